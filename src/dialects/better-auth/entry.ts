/** What the ways in and out of this door have in common: the session a browser carried along, and the cookies that name one. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Entry } from '../../core/accounts.js'
import type { Identity, Pass, Session } from '../../core/index.js'
import { readVisit } from '../../http/credentials.js'
import type { Floor } from '../../http/dialect.js'
import { refusal } from './errors.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** What a browser shall call itself that had no name before; null: it has one, or gets none. */
    newDevice: string | null
  }
}

/** From where the session is opened, and which one it takes the place of. */
export const readEntry = (
  request: FastifyRequest,
  { credentials }: Floor,
  options: { remember: boolean } = { remember: true },
): Entry => ({
  visit: credentials.readEntry(request),
  term: options.remember ? 'standard' : 'browser',
  replaces: credentials.carriedToken(request),
})

/** The same for a browser: one that has no name yet gets one, which it keeps once it has signed in. */
export function readBrowserEntry(
  request: FastifyRequest,
  floor: Floor,
  options: { remember: boolean } = { remember: true },
): Entry {
  const { visit, ...entry } = readEntry(request, floor, options)
  if (visit.deviceId !== undefined) return { ...entry, visit }
  const deviceId = floor.core.guessing.nameDevice()
  request.newDevice = deviceId ?? null
  return { ...entry, visit: { ...visit, deviceId } }
}

/** Sets Better Auth's signed cookie, and the same for apps that keep no cookies. Returns the token they are about. */
export function sendSigned(request: FastifyRequest, reply: FastifyReply, { cookies }: Floor, pass: Pass): string {
  const token = tokenOf(pass)
  cookies.clear(reply, request)
  cookies.setSigned(reply, token, lifeOf(pass.session))
  if (request.newDevice) cookies.setDevice(reply, request.newDevice)
  reply.header('set-auth-token', cookies.sign(token))
  return token
}

/** Sets seed 0's plain cookie. Returns the token it holds. */
export function sendPlain(request: FastifyRequest, reply: FastifyReply, { cookies }: Floor, pass: Pass): string {
  const token = tokenOf(pass)
  cookies.clear(reply, request)
  cookies.setPlain(reply, token, lifeOf(pass.session))
  if (request.newDevice) cookies.setDevice(reply, request.newDevice)
  return token
}

/** Sets no cookie, and expires what came: its session is over, and two credentials should not disagree. Returns the token. */
export function sendBare(request: FastifyRequest, reply: FastifyReply, { cookies }: Floor, pass: Pass): string {
  cookies.clear(reply, request)
  return tokenOf(pass)
}

/** Ends the caller's session, and that of every cookie: one that is expired in the browser alone would still let a thief in. */
export async function endCarried(
  request: FastifyRequest,
  { core, cookies }: Floor,
  identity: Identity | undefined,
): Promise<void> {
  if (identity) await core.sessions.logout(identity)
  const others = cookies.readTokens(request).filter(({ token }) => token !== identity?.sessionToken)
  for (const { token } of others) await core.sessions.discard(token, 'logout', readVisit(request))
}

/** Throws callback_untrusted for an address we would not send anybody to. An empty one is none. */
export function demandSafeCallback(url: string | undefined, { origins }: Floor): void {
  if (url && !origins.safeRedirect(url)) throw refusal('callback_untrusted')
}

/** Node refuses a header beyond Latin-1; what is percent-encoded already stays as it is. */
export const toLocation = (url: string): string => encodeURI(url).replaceAll('%25', '%')

/** Seconds until the cookie expires; undefined where it ends with the browser. */
const lifeOf = (session: Session): number | undefined =>
  session.sliding ? (session.expiresAt.getTime() - session.createdAt.getTime()) / 1000 : undefined

function tokenOf({ sessionToken }: Pass): string {
  if (sessionToken === undefined) throw new Error('a session was opened without its token')
  return sessionToken
}
