/** The doors as their clients see them: how to knock, the ten ways in, the forms of a credential, the ways out, and each door's errors. */
import type { FastifyInstance, InjectOptions } from 'fastify'
import type { Test } from 'tap'
import { buildApp } from '../../src/app.js'
import { loadConfig } from '../../src/config.js'
import { onPostgres, type TestService, testEnvironment } from '../helpers/app.js'

export type Headers = Record<string, string>
export type Answer = {
  status: number
  headers: Record<string, string>
  /** Every Set-Cookie line. */
  cookies: string[]
  text: string
  /** The JSON value of the body; undefined where the body is empty. */
  body: Json
}
// biome-ignore lint/suspicious/noExplicitAny: what a server answers is looked into, and compared as a whole.
export type Json = any
export type Sent = {
  json?: unknown
  form?: Record<string, string> | string
  raw?: string | Buffer
  headers?: Headers
  /** The address of whoever asks. */
  from?: string
}
export type Knock = (method: string, url: string, sent?: Sent) => Promise<Answer>

const formType = 'application/x-www-form-urlencoded'

/** Requests in, whole answers out, without a network between. */
export function createKnock(app: FastifyInstance): Knock {
  return async (method, url, { json, form, raw, headers = {}, from } = {}) => {
    const body =
      form !== undefined
        ? { payload: new URLSearchParams(form).toString(), headers: { 'content-type': formType, ...headers } }
        : {
            payload: raw ?? (json === undefined ? undefined : JSON.stringify(json)),
            headers: { ...jsonType(json), ...headers },
          }
    const { payload, headers: sent } = body
    const about = {
      ...(payload === undefined ? {} : { payload }),
      ...(from === undefined ? {} : { remoteAddress: from }),
    }
    const request = { method, url, headers: sent, ...about } as InjectOptions
    const answer = await app.inject(request)
    return {
      status: answer.statusCode,
      headers: answer.headers as Record<string, string>,
      cookies: [answer.headers['set-cookie'] ?? []].flat(),
      text: answer.body,
      body: /json/.test(String(answer.headers['content-type'])) && answer.body !== '' ? answer.json() : undefined,
    }
  }
}

const jsonType = (json: unknown): Headers => (json === undefined ? {} : { 'content-type': 'application/json' })

/** A plain array, whichever driver answered. */
export const rowsOf = (result: unknown): Json[] => [
  ...(Array.isArray(result) ? (result as Json[]) : (result as { rows: Json[] }).rows),
]

/** Another service over the same database, configured otherwise: its credentials are good at both. */
export async function startSibling(
  t: Test,
  { database, url }: Pick<TestService, 'database' | 'url'>,
  overrides: Record<string, string>,
): Promise<FastifyInstance> {
  const config = loadConfig(
    { ...testEnvironment, ...(url === undefined ? {} : onPostgres(url)), LOG_LEVEL: 'silent', ...overrides },
    'no-such-file',
  )
  const { app } = await buildApp(config, { database, version: '0.0.0' })
  // Its schemas are compiled now, and not while a statement of another one waits for its answer.
  await app.ready()
  t.teardown(() => app.close())
  return app
}

export type Person = { email: string; password: string }

export const password = 'correct horse battery'

let people = 0

/** Somebody with an address nobody has yet. */
export function newPerson(): Person {
  people += 1
  return { email: `person${people}@example.com`, password }
}

export const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` })

/** `name=value` of the cookie that a Set-Cookie line sets. */
export const pairOf = (line = ''): string => line.split(';', 1)[0] ?? ''

export type Claims = { sub: string; sid: string; jti: string; type: string; iat: number; exp: number; gen?: number }

/** What a JWT claims, unverified. */
export const claimsOf = (jwt: string): Claims =>
  JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString())

// ---------------------------------------------------------------------------------------------------------- Ways in

export type DoorName = 'auth' | 'better-auth' | 'profile' | 'codvid' | 'verifiers'

/** One form of a credential, as a client carries it. */
export type Carried = { form: string; headers: Headers }

export type Entrance = {
  door: DoorName
  way: 'register' | 'login'
  url: string
  status: number
  ask(person: Person): object
  /** The id of the account, as the answer tells it. */
  accountIn(answer: Answer): string
  /** Every form of credential that the answer hands out. */
  carriedIn(answer: Answer): Carried[]
  refreshTokenIn(answer: Answer): string | undefined
}

type Wire = Pick<Entrance, 'accountIn' | 'carriedIn' | 'refreshTokenIn'>

const bearing = (form: string, token: string): Carried => ({ form, headers: bearer(token) })

const oauthWire: Wire = {
  accountIn: ({ body }) => body.user.uuid,
  carriedIn: ({ body }) => [bearing('access JWT', body.access_token)],
  refreshTokenIn: ({ body }) => body.refresh_token,
}

const betterAuthWire: Wire = {
  accountIn: ({ body }) => body.user.id,
  carriedIn: ({ body, headers, cookies }) => [
    bearing('opaque bearer', body.token),
    bearing('signed bearer', headers['set-auth-token'] ?? ''),
    bearing('signed bearer, URL-encoded', encodeURIComponent(headers['set-auth-token'] ?? '')),
    { form: 'signed cookie', headers: { cookie: pairOf(cookies[0]) } },
  ],
  refreshTokenIn: () => undefined,
}

const cookieWire: Wire = {
  accountIn: ({ body }) => body.userId,
  carriedIn: ({ body, cookies }) => [
    bearing('access JWT', body.accessToken),
    bearing('opaque bearer', body.token),
    { form: 'plain cookie', headers: { cookie: pairOf(cookies[0]) } },
  ],
  refreshTokenIn: ({ body }) => body.refreshToken,
}

const levelsWire: Wire = {
  accountIn: ({ body }) => body.user_id,
  carriedIn: ({ body }) => [bearing('opaque bearer', body.session_token)],
  refreshTokenIn: () => undefined,
}

const envelopeWire: Wire = {
  accountIn: ({ body }) => claimsOf(body.token).sub,
  carriedIn: ({ body }) => [bearing('access JWT', body.token)],
  refreshTokenIn: () => undefined,
}

export const inEnvelope = (data: object) => ({ schema_version: '4.0', data: { auth_type: 'email', ...data } })

const levels = { software_level: 'beginner', hardware_background: 'robotics' }

const wayIn = (
  way: Entrance['way'],
  door: DoorName,
  url: string,
  status: number,
  wire: Wire,
  ask = plainly,
): Entrance => ({
  way,
  door,
  url,
  status,
  ask,
  ...wire,
})

const plainly = (person: Person): object => person

export const entrances: Entrance[] = [
  wayIn('register', 'auth', '/auth/register', 200, oauthWire),
  wayIn('register', 'better-auth', '/api/auth/sign-up/email', 200, betterAuthWire, person => ({
    name: 'Ada',
    ...person,
  })),
  wayIn('register', 'better-auth', '/api/auth/register', 201, cookieWire),
  wayIn('register', 'better-auth', '/api/auth/signup', 201, levelsWire, person => ({ ...person, ...levels })),
  wayIn('register', 'codvid', '/codvid-ai/auth/signup', 201, envelopeWire, inEnvelope),
  wayIn('login', 'auth', '/auth/login', 200, oauthWire),
  wayIn('login', 'better-auth', '/api/auth/sign-in/email', 200, betterAuthWire),
  wayIn('login', 'better-auth', '/api/auth/login', 200, cookieWire),
  wayIn('login', 'better-auth', '/api/auth/signin', 200, levelsWire),
  wayIn('login', 'codvid', '/codvid-ai/auth/login', 201, envelopeWire, inEnvelope),
]

export const registers = entrances.filter(({ way }) => way === 'register')
export const logins = entrances.filter(({ way }) => way === 'login')

// ---------------------------------------------------------------------------------------------------- Protected routes

/** One route of each door that needs somebody signed in, and where its answer tells who that is. */
export const protectedRoutes: { door: DoorName; url(person: Person): string; idIn(body: Json): string }[] = [
  { door: 'auth', url: () => '/auth/me', idIn: body => body.uuid },
  { door: 'better-auth', url: () => '/api/auth/user', idIn: body => body.id },
  { door: 'better-auth', url: () => '/api/auth/get-session', idIn: body => body?.user.id },
  { door: 'profile', url: () => '/api/user/personalization', idIn: body => body.betterAuthUserId },
  {
    door: 'codvid',
    url: ({ email }) => `/codvid-ai/auth/get_uuid?email=${encodeURIComponent(email)}`,
    idIn: body => body.uuid,
  },
]

// ------------------------------------------------------------------------------------------------------------ Errors

export const doorOf = (path: string): DoorName | undefined => {
  if (path.startsWith('/auth')) return 'auth'
  if (path.startsWith('/api/auth')) return 'better-auth'
  if (path.startsWith('/api')) return 'profile'
  if (path.startsWith('/codvid-ai')) return 'codvid'
  return /^\/(oauth2|\.well-known)\//.test(path) ? 'verifiers' : undefined
}

const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''
const hasOnly = (body: object, ...names: string[]): boolean => Object.keys(body).every(name => names.includes(name))

/** Whether a body is an error in the door's own form, with nothing beside. */
export function isErrorOf(door: DoorName, body: Json): boolean {
  if (typeof body !== 'object' || body === null) return false
  if (door === 'auth') return isDetail(body.detail) && hasOnly(body, 'detail', 'error', 'error_description')
  if (door === 'codvid')
    return (body.result === false && isText(body.message) && hasOnly(body, 'result', 'message')) || isBareError(body)
  if (door === 'verifiers')
    return isText(body.error) && isText(body.error_description) && hasOnly(body, 'error', 'error_description')
  const isCoded = body.success === false && /^[A-Z][A-Z_]+$/.test(body.code) && isText(body.message)
  return isCoded && hasOnly(body, 'success', 'code', 'message', 'hint')
}

const isBareError = (body: Json): boolean => isText(body.error) && hasOnly(body, 'error')

const isDetail = (detail: Json): boolean =>
  isText(detail) ||
  (Array.isArray(detail) &&
    detail.length > 0 &&
    detail.every(({ type, loc, msg }) => isText(type) && Array.isArray(loc) && isText(msg)))

/** What no answer and no log line may hold: stacks, SQL, names of what we are built from, hashes. */
export const internals =
  /node_modules|\bat \S+ \(|\/src\/|FST_|FAST_JWT|SQLSTATE|drizzle|pglite|postgres|\bselect\b.+\bfrom\b|insert into|\$2b\$|\$h1\$/i

export const securityHeaders = {
  'strict-transport-security': /^max-age=(3[1-9]|[4-9]\d)\d{6,}/,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'content-security-policy': /frame-ancestors 'none'/,
  'referrer-policy': 'no-referrer',
  'x-request-id': /^[\w.-]{8,64}$/,
}

/** A request, and what holds of every answer there is: no fault of ours, nothing told of us, and the door's own words. */
export async function send(t: Test, knock: Knock, method: string, url: string, sent: Sent = {}): Promise<Answer> {
  const answer = await knock(method, url, sent)
  const name = `${method} ${url.slice(0, 80)}: ${answer.status}`
  if (answer.status >= 500) t.fail(`${name} ${answer.text}`)
  if (internals.test(answer.text)) t.fail(`${name} tells of what we are made of: ${answer.text}`)
  t.match(answer.headers, securityHeaders, name)
  if (!answer.headers.etag) t.match(answer.headers, { 'cache-control': 'no-store', pragma: 'no-cache' }, name)
  if (answer.text !== '') t.match(answer.headers['content-type'], /json; charset=utf-8$/, name)
  const door = doorOf(new URL(url, 'http://x').pathname)
  if (answer.status >= 400 && door) t.ok(isErrorOf(door, answer.body), `${name} ${answer.text}`)
  return answer
}

// ---------------------------------------------------------------------------------------------------------- Whole bodies

const masks: [RegExp, string][] = [
  [/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, '(id)'],
  [/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, '(time)'],
  [/^[\w-]{43}$/, '(token)'],
  [/^[\w-]+\.[\w-]+\.[\w-]+$/, '(jwt)'],
]

/** The same with ids, times and tokens by name: what is left has to be what it is. */
export function masked(value: unknown): unknown {
  if (typeof value === 'string') return masks.find(([form]) => form.test(value))?.[1] ?? value
  if (Array.isArray(value)) return value.map(masked)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, masked(member)]))
}
