/** What lies beneath requests: how many connections there may be, how long they may dawdle, and the answer to bytes that are no request. */
import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** A body or a header that trickles in holds a connection; Fastify's own default is to wait for ever. */
export const patience = {
  requestTimeout: 10_000,
  http: { headersTimeout: 5_000, connectionsCheckingInterval: 1_000, maxHeaderSize: 8 * 1024 },
}

const tellEveryMs = 60_000

/**
 * Beyond so many connections the next one is dropped at once, and those that are there are served as before. Logged at most
 * once a minute: a flood must not become one of log lines.
 */
export function boundConnections(app: FastifyInstance, most: number): void {
  let dropped = 0
  let toldAt = Number.NEGATIVE_INFINITY
  app.server.maxConnections = most
  app.server.on('drop', () => {
    dropped += 1
    if (performance.now() - toldAt < tellEveryMs) return
    app.log.warn({ most, dropped }, 'MAX_CONNECTIONS are open: new ones are dropped')
    toldAt = performance.now()
    dropped = 0
  })
}

const faults: Record<string, [status: number, code: string]> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'request_timeout'],
  HPE_HEADER_OVERFLOW: [431, 'header_too_large'],
}

/** Answers what the HTTP parser gave up on, as no hook and no door sees it, and closes: nobody knows where a next request would begin. */
export function answerUnreadable(this: FastifyInstance, error: { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const [status, code] = faults[error.code ?? ''] ?? [400, 'malformed_request']
  const id = randomUUID()
  this.log.debug({ reqId: id, code: error.code }, 'a request could not be read')
  const title = STATUS_CODES[status]
  const body = JSON.stringify({ type: 'about:blank', title, status, code, request_id: id })
  const head = [
    `HTTP/1.1 ${status} ${title}`,
    'content-type: application/problem+json; charset=utf-8',
    `content-length: ${body.length}`,
    `x-request-id: ${id}`,
    'x-content-type-options: nosniff',
    'cache-control: no-store',
    'connection: close',
  ]
  socket.write(`${head.join('\r\n')}\r\n\r\n${body}`)
  socket.destroy()
}
