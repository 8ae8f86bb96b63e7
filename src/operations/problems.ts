/** Whatever no door answers: RFC 9457 problem details, the request's id on every answer, and a bound on headers. */
import { validateHeaderValue } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { logProblem } from '../http/dialect.js'
import { type Problem, toProblem } from '../http/problem.js'
import { Rejection } from '../http/rejection.js'

/** Node drops what comes after the 1,000th header without a word; a proxy's own header could be among them. Names and values count. */
const mostRawHeaders = 200

const statuses: Record<string, [number, string]> = {
  not_found: [404, 'Not Found'],
  rate_limited: [429, 'Too Many Requests'],
  malformed_body: [400, 'Bad Request'],
  validation_failed: [400, 'Bad Request'],
  body_too_large: [413, 'Payload Too Large'],
  unsupported_media_type: [415, 'Unsupported Media Type'],
  header_too_large: [431, 'Request Header Fields Too Large'],
  unavailable: [503, 'Service Unavailable'],
}

/** Call it before anything else is registered. */
export function answerProblems(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
  })
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error)
    logProblem(problem, error, request)
    if (problem.code === 'internal') return sendPastHooks(request, reply)
    return sendProblem(problem, request, reply)
  })
  app.setNotFoundHandler(async () => {
    throw new Rejection('not_found')
  })
}

/**
 * The last resort, also of a door whose own answer could not be sent: a hook that throws, or a header that cannot be written,
 * must not be what this answer fails by as well. Fastify's own would tell the error's words.
 */
function sendPastHooks(request: FastifyRequest, reply: FastifyReply): void {
  reply.hijack()
  if (reply.raw.headersSent) return void reply.raw.destroy()
  const headers = Object.entries(reply.getHeaders()).filter(isWritable)
  const body = {
    type: 'about:blank',
    title: 'Internal Server Error',
    status: 500,
    code: 'internal',
    request_id: request.id,
  }
  reply.raw.writeHead(500, {
    ...Object.fromEntries(headers),
    'content-type': 'application/problem+json; charset=utf-8',
  })
  reply.raw.end(JSON.stringify(body))
}

function isWritable([name, value]: [string, unknown]): boolean {
  try {
    for (const each of [value].flat()) validateHeaderValue(name, String(each))
    return name !== 'content-length'
  } catch {
    return false
  }
}

/** Refuses more headers than any client of ours sends, and two hosts. Call it after the hooks whose headers belong on every answer. */
export function boundHeaders(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    const { rawHeaders } = request.raw
    if (rawHeaders.length > mostRawHeaders) throw new Rejection('header_too_large')
    // RFC 9112 section 3.2. Node takes the first without a word, and whoever stands before us perhaps the last.
    if (rawHeaders.filter(isHostName).length > 1) {
      reply.header('connection', 'close')
      return send(reply, { status: 400, title: 'Bad Request', code: 'malformed_request' }, request.id)
    }
  })
}

const isHostName = (text: string, index: number): boolean => index % 2 === 0 && /^host$/i.test(text)

/** An address the router cannot decode, or with a part longer than any of ours, names nothing. No hook runs for it. */
export function answerUnroutable(_error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  reply.headers({ 'x-request-id': request.id, 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' })
  sendProblem(toProblem(new Rejection('not_found')), request, reply)
}

function sendProblem(problem: Problem, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const [status, title] = statuses[problem.code] ?? [500, 'Internal Server Error']
  if (problem.retryAfter !== undefined) reply.header('retry-after', String(problem.retryAfter))
  return send(reply, { status, title, code: problem.code }, request.id)
}

type Told = { status: number; title: string; code: string }

function send(reply: FastifyReply, { status, title, code }: Told, id: string): FastifyReply {
  const body = { type: 'about:blank', title, status, code, request_id: id }
  return reply.code(status).type('application/problem+json').send(body)
}
