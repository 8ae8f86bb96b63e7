/** One JSON line per event: which request, what became of it; never a query string, a header, a body or a value from an error. */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { FastifyRequest, FastifyServerOptions } from 'fastify'
import { safeErrorFields } from '../core/errors.js'
import { addressOf } from './client-address.js'

/** What a request id from outside may look like; anything else could forge log lines. */
const requestIdForm = /^[\w.-]{8,64}$/

/** The route's pattern where there is one: what stands for a parameter may be a token. */
const pathOf = ({ routeOptions, url }: FastifyRequest): string => routeOptions.url ?? url.split('?', 1)[0] ?? ''

/** Fastify's options for logging and request ids. */
export function logging(level: string, stream?: { write(line: string): void }): FastifyServerOptions {
  return {
    logger: {
      level,
      ...(stream ? { stream } : {}),
      serializers: {
        req: (request: FastifyRequest) => ({ method: request.method, path: pathOf(request), ip: addressOf(request) }),
        res: (reply: { statusCode: number }) => ({ statusCode: reply.statusCode }),
        err: safeErrorFields as never,
      },
    },
    genReqId: (raw: IncomingMessage) => {
      const given = raw.headers['x-request-id']
      return typeof given === 'string' && requestIdForm.test(given) ? given : randomUUID()
    },
  }
}
