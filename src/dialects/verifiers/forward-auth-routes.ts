/** The question a proxy asks before it lets a request through: nginx auth_request, Traefik ForwardAuth, Envoy ext_authz. */
import { METHODS } from 'node:http'
import type { FastifyReply, FastifyRequest, HTTPMethods } from 'fastify'
import { Type } from 'typebox'
import type { Door, Floor } from '../../http/dialect.js'
import { signedIn } from '../../http/openapi.js'

const description =
  'Answers in headers: `X-Auth-User` holds the `sub`, `X-Auth-Session` the `sid`. The proxy must put them in the place of ' +
  'any that the client sent. Envoy may append the path of the request it holds, and use its method.'

/**
 * Cheap enough to stand in front of every request, and so not limited: all of them come from the proxy. Never answered as
 * a preflight either: its 204 needs no credential, and a proxy that forwards OPTIONS would take it for leave.
 */
const config = { rateLimit: false, cors: false } as const

export function forwardAuthRoutes(door: Door, { credentials }: Floor): void {
  const schema = {
    summary: 'Whether a request carries a good credential, and whose',
    description,
    security: signedIn,
    response: { 200: Type.Null({ description: 'Let it through.' }) },
  }
  const verify = async (request: FastifyRequest, reply: FastifyReply) => {
    const { account, session } = await credentials.identify(request)
    return reply.headers({ 'x-auth-user': account.id, 'x-auth-session': session.id }).send()
  }
  // Answered in a hook, before the body and what is said of it are looked at: both are the upstream's.
  const options = { config, onRequest: verify, handler: verify }
  door.route({ ...options, method: 'GET', url: '/verify', schema: { ...schema, operationId: 'verifyRequest' } })

  const others = { ...schema, hide: true } as typeof schema
  const methods = everyMethod(door)
  const unsaid = methods.filter(method => method !== 'GET' && method !== 'HEAD')
  door.route({ ...options, method: unsaid, url: '/verify', schema: others })
  door.route({ ...options, method: methods, url: '/verify/*', schema: others })
}

/** WebDAV's too, whose upstream may stand behind the proxy. Node hands CONNECT to no route. */
function everyMethod(door: Door): HTTPMethods[] {
  const methods = METHODS.filter(method => method !== 'CONNECT')
  for (const method of methods) if (!door.supportedMethods.includes(method)) door.addHttpMethod(method)
  return methods
}
