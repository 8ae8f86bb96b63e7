/** The address a request comes from, in one spelling. */
import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'

/** Nothing longer is an address: zones of IPv6 would otherwise be as long as their sender likes. */
const longestAddress = 45

/**
 * That of the connection, or what a trusted proxy says it is. Some proxies add a port, and some pass on whatever a client
 * wrote: where that is no address, the proxy's own counts, so that nobody writes texts into logs, sessions and limits.
 */
export function addressOf({ ip, socket }: Pick<FastifyRequest, 'ip' | 'socket'>): string {
  // A connection that is gone has no address any more, whatever the types say.
  const told = withoutPort(ip ?? '').replace(/^::ffff:(?=\d+\.)/i, '')
  return told.length <= longestAddress && isIP(told) !== 0 ? told : (socket.remoteAddress ?? '')
}

function withoutPort(text: string): string {
  const [, four, six] = /^(?:([\d.]+):\d+|\[([\da-f:.]+)\](?::\d+)?)$/i.exec(text) ?? []
  return four ?? six ?? text
}
