/** The Better Auth door as its tests see it: requests in, whole answers out, with what differs each time masked. */
import { sql } from 'drizzle-orm'
import type { Test } from 'tap'
import { startApp } from '../../helpers/app.js'

export type Answer = { status: number; body: unknown; headers: Record<string, unknown>; cookies: string[] }
export type Headers = Record<string, string>

export const password = 'correct horse battery'
export const trusted = 'https://app.example.com'

export async function openDoor(t: Test, overrides: Record<string, string> = {}) {
  const service = await startApp(t, { TRUSTED_ORIGINS: trusted, ...overrides })
  let people = 0

  const send = async (method: 'GET' | 'POST', url: string, headers: Headers, payload?: unknown): Promise<Answer> => {
    const body = payload === undefined ? {} : { payload: payload as object | string }
    const {
      statusCode: status,
      headers: answered,
      body: text,
    } = await service.app.inject({ method, url, headers, ...body })
    const cookies = [answered['set-cookie'] ?? []].flat()
    return { status, body: text === '' ? undefined : JSON.parse(text), headers: answered, cookies }
  }
  const get = (path: string, headers: Headers = {}) => send('GET', `/api/auth${path}`, headers)
  const post = (path: string, payload?: unknown, headers: Headers = {}) =>
    send('POST', `/api/auth${path}`, headers, payload)

  return {
    ...service,
    send,
    get,
    post,

    /** An address nobody has yet. */
    newEmail: () => `person${++people}@example.com`,

    /** Somebody who has just signed up, with each form of their credential as headers. */
    async signUp(given: object = {}) {
      const email = `person${++people}@example.com`
      const { body, headers, cookies } = await post('/sign-up/email', { name: 'Ada', email, password, ...given })
      const { token, user } = body as { token: string; user: { id: string } }
      const signed = String(headers['set-auth-token'])
      return { email, token, id: user.id, signed, bearer: asBearer(token), cookie: { cookie: pairOf(cookies) } }
    },

    /** A further session of theirs. */
    async signIn(email: string, given: object = {}, headers: Headers = {}) {
      const { body, cookies } = await post('/sign-in/email', { email, password, ...given }, headers)
      const { token } = body as { token: string }
      return { token, bearer: asBearer(token), cookie: { cookie: pairOf(cookies) } }
    },

    /** Moves all that the sessions remember into the past. */
    age: (seconds: number) =>
      service.database.db.execute(sql`update sessions set created_at = created_at - make_interval(secs => ${seconds}),
        last_used_at = last_used_at - make_interval(secs => ${seconds}), rotated_at = rotated_at - make_interval(secs => ${seconds}),
        expires_at = expires_at - make_interval(secs => ${seconds})`),

    isLive: async (headers: Headers) => (await get('/get-session', headers)).body !== null,
  }
}

export const asBearer = (token: string): Headers => ({ authorization: `Bearer ${token}` })

/** `name=value` of the first cookie that an answer sets. */
export const pairOf = (cookies: string[]): string => cookies[0]?.split(';', 1)[0] ?? ''

const masks: [RegExp, string][] = [
  [/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, '(id)'],
  [/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, '(time)'],
  [/^[\w-]{43}$/, '(token)'],
  [/^[\w-]+\.[\w-]+\.[\w-]+$/, '(jwt)'],
]

/** The same with ids, times, session tokens and JWTs by name: what is left has to be what it is. */
export function masked(value: unknown): unknown {
  if (typeof value === 'string') return masks.find(([form]) => form.test(value))?.[1] ?? value
  if (Array.isArray(value)) return value.map(masked)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, masked(member)]))
}

/** Set-Cookie lines with the token masked, in either form. */
export const maskedCookies = (cookies: string[]): string[] =>
  cookies.map(line => line.replace(/=[\w-]{43}\.[\w%]{43,}(?=;)/, '=(signed)').replace(/=[\w-]{43}(?=;)/, '=(token)'))

export const failure = (code: string, message: string) => ({ success: false, code, message })

export const aUser = (email: string, given: object = {}) => ({
  id: '(id)',
  name: 'Ada',
  email,
  emailVerified: false,
  image: null,
  createdAt: '(time)',
  updatedAt: '(time)',
  ...given,
})

export const aSession = (given: object = {}) => ({
  id: '(id)',
  token: '(token)',
  userId: '(id)',
  expiresAt: '(time)',
  createdAt: '(time)',
  updatedAt: '(time)',
  ipAddress: '127.0.0.1',
  userAgent: 'lightMyRequest',
  ...given,
})

export const expiredSigned = ['session_token', 'session_data', 'dont_remember'].map(
  name => `better-auth.${name}=; Max-Age=0; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax`,
)
export const expiredPlain =
  'session_token=; Max-Age=0; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure; SameSite=Lax'
export const signedCookie = 'better-auth.session_token=(signed); Max-Age=604800; Path=/; HttpOnly; SameSite=Lax'
export const plainCookie = 'session_token=(token); Max-Age=604800; Path=/; HttpOnly; Secure; SameSite=Lax'
