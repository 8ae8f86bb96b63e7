/** The feed of what was revoked, for services that verify offline. */
import { Type } from 'typebox'
import { identifyClient } from '../../http/client-auth.js'
import type { Door } from '../../http/dialect.js'
import { isKnown } from '../../http/etag.js'
import { asClient, failures, unchanged } from '../../http/openapi.js'
import type { Issue } from '../../http/problem.js'
import { Failure } from './errors.js'
import type { VerifierSettings } from './index.js'

const wrongWait: Issue = { in: 'query', path: ['wait'], rule: 'maximum', message: 'must be <= 30' }

export function revocationFeedRoute(door: Door, { clients, revocations }: VerifierSettings): void {
  door.get(
    '/revocations',
    {
      config: { rateLimit: false },
      schema: {
        operationId: 'getRevocations',
        summary: 'What was revoked while tokens of it may still live, as one signed security event token',
        description:
          'A compact JWS (RFC 8417) with CAEP’s session-revoked event. With If-None-Match and `wait` the answer comes as soon as something changes, or 304 after that many seconds.',
        security: asClient,
        querystring: Type.Object({
          wait: Type.Optional(
            Type.Integer({ minimum: 0, maximum: 30, default: 0, description: 'Seconds to wait for a change.' }),
          ),
        }),
        response: {
          200: {
            description: 'The list.',
            content: { 'application/jwt': { schema: Type.String({ examples: ['eyJhbGciOi…'] }) } },
          },
          304: unchanged,
          ...failures(Failure, 'client_invalid', wrongWait),
        },
      },
    },
    async (request, reply) => {
      identifyClient(request, clients)
      const { wait = 0 } = request.query
      const answer = await revocations.read(etag => isKnown(request, etag), wait * 1000)
      if ('unchanged' in answer) return reply.code(304).header('etag', answer.unchanged).send(undefined)
      return reply.header('etag', answer.etag).type('application/jwt').send(answer.document)
    },
  )
}
