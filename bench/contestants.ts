/** Who is measured: how each server is started, and how its own clients talk to it. */
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { decodeJwt } from 'jose'
import type { Cluster } from '../test/helpers/postgres.js'
import type { Question } from './load.js'
import { type Server, startServer } from './server.js'

/** Where contestants get their databases, and who ends them. */
export type Ground = { cluster: Cluster; keep(stop: () => Promise<void>): void }

const password = 'correct horse battery staple'
const json = { 'content-type': 'application/json' }
const form = { 'content-type': 'application/x-www-form-urlencoded' }
let people = 0

// ---------------------------------------------------------------------------------------------------------- Servers

/** `environment` changes what it is started with, and adds to it. */
export async function startGatehouse(ground: Ground, environment: Record<string, string> = {}): Promise<Server> {
  return startServer(
    {
      name: 'gatehouse',
      script: 'dist/main.js',
      readyPath: '/livez',
      environment: {
        DATABASE_URL: environment.DATABASE_URL ?? (await ground.cluster.newDatabase()),
        JWT_SECRET: randomBytes(32).toString('base64'),
        REFRESH_TOKEN_SECRET: randomBytes(32).toString('base64'),
        BCRYPT_COST: '10',
        RATE_LIMIT: 'off',
        LOG_LEVEL: 'warn',
        DRAIN_DELAY: '0',
        ...environment,
      },
    },
    ground.keep,
  )
}

export async function startBetterAuth(ground: Ground, mode: 'defaults' | 'renewing' | 'oauth'): Promise<Server> {
  const environment = { DATABASE_URL: await ground.cluster.newDatabase(), MODE: mode }
  return startServer(
    {
      name: `Better Auth (${mode})`,
      script: 'bench/servers/better-auth.ts',
      readyPath: '/api/auth/ok',
      environment,
    },
    ground.keep,
  )
}

/** A new key for ES256, as JWT_PRIVATE_KEY. */
export function newPrivateKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** One of the ceilings: what a service could do that left out nearly everything. */
export async function startCeiling(
  ground: Ground,
  name: 'fastify-verify' | 'fastify-select' | 'bare-update' | 'bare-bcrypt',
): Promise<Server> {
  const needsDatabase = name === 'fastify-select' || name === 'bare-update'
  return startServer(
    {
      name,
      script: `bench/servers/${name}.ts`,
      readyPath: '/ready',
      environment: needsDatabase ? { DATABASE_URL: await ground.cluster.newDatabase() } : { PASSWORD: password },
    },
    ground.keep,
  )
}

/** Its OAuth provider is a package of its own since 1.5, and none of ours: it takes part where it is installed. */
export function hasOauthProvider(): boolean {
  try {
    import.meta.resolve('@better-auth/oauth-provider')
    return true
  } catch {
    return false
  }
}

// ---------------------------------------------------------------------------------------------------------- People

/** Somebody signed up, by the wire that Gatehouse and Better Auth share. */
export type Person = { email: string; token: string; cookie: string }

export async function signUp({ origin }: Server): Promise<Person> {
  people += 1
  const email = `person-${people}@example.com`
  const answer = await call(`${origin}/api/auth/sign-up/email`, {
    headers: json,
    body: JSON.stringify({ name: 'Ada', email, password }),
  })
  const { token } = (await answer.json()) as { token: string }
  const cookies = answer.headers.getSetCookie().map(cookie => cookie.split(';', 1)[0] ?? '')
  return { email, token, cookie: cookies.find(cookie => cookie.includes('session_token=')) ?? '' }
}

/** The access token of somebody's session at Gatehouse. */
export async function accessTokenOf({ origin }: Server, person: Person): Promise<string> {
  const answer = await call(`${origin}/api/auth/get-session`, { headers: bearer(person.token) })
  return ((await answer.json()) as { accessToken: string }).accessToken
}

/** Ends the session of an access token of Gatehouse. */
export async function logOut({ origin }: Server, access: string): Promise<void> {
  await call(`${origin}/auth/logout`, { headers: { ...json, ...bearer(access) }, body: '{}' })
}

/** A fresh refresh token of Gatehouse. */
export async function refreshTokenOf({ origin }: Server, person: Person): Promise<string> {
  const body = new URLSearchParams({ username: person.email, password })
  return refreshTokenIn(await call(`${origin}/auth/login`, { headers: form, body }))
}

const callback = 'http://127.0.0.1/callback'

/** A fresh refresh token of Better Auth's OAuth provider, by the authorization code flow (RFC 6749 section 4.1). */
export async function oauthRefreshTokenOf({ origin }: Server, { cookie }: Person): Promise<string> {
  const verifier = randomBytes(32).toString('base64url')
  const query = new URLSearchParams({
    client_id: 'bench',
    response_type: 'code',
    redirect_uri: callback,
    scope: 'offline_access',
    state: randomBytes(8).toString('hex'),
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  })
  const sent = await call(`${origin}/api/auth/oauth2/authorize?${query}`, { headers: { cookie } })
  // To a script it answers with the address, where it would redirect a page.
  const { url } = (await sent.json()) as { url: string }
  const code = new URL(url).searchParams.get('code') ?? ''
  const body = new URLSearchParams({
    grant_type: 'authorization_code',
    client_id: 'bench',
    redirect_uri: callback,
    code,
    code_verifier: verifier,
  })
  return refreshTokenIn(await call(`${origin}/api/auth/oauth2/token`, { headers: form, body }))
}

async function refreshTokenIn(answer: Response): Promise<string> {
  return ((await answer.json()) as { refresh_token: string }).refresh_token
}

/** A token of one of the ceilings that verify one. */
export async function ceilingTokenOf({ origin }: Server): Promise<string> {
  const answer = await call(`${origin}/people`, {
    headers: json,
    body: JSON.stringify({ email: 'person@example.com' }),
  })
  return ((await answer.json()) as { token: string }).token
}

/** A row for bare-update to update. */
export async function newChain({ origin }: Server): Promise<string> {
  const answer = await call(`${origin}/chains`, { headers: json, body: '{}' })
  return ((await answer.json()) as { id: string }).id
}

async function call(url: string, init: { headers: Record<string, string>; body?: string | URLSearchParams }) {
  const method = init.body === undefined ? 'GET' : 'POST'
  // As a browser does: Better Auth refuses who states none.
  const headers = { ...init.headers, origin: new URL(url).origin }
  const answer = await fetch(url, { ...init, method, headers })
  if (!answer.ok) throw new Error(`${answer.status} from ${url}: ${await answer.text()}`)
  return answer
}

// ---------------------------------------------------------------------------------------------------------- Questions

export const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })

/** A session read, right if it names the person. */
export const readSession = (path: string, headers: Record<string, string>, email: string): Question => ({
  method: 'GET',
  path,
  headers,
  isRight: answer => answer.includes(`"${email}"`),
})

/** What a proxy asks Gatehouse before it lets a request through, right if it names the person's account. */
export function forwardAuth(access: string): Question {
  const { sub } = decodeJwt(access)
  return {
    method: 'GET',
    path: '/oauth2/verify',
    headers: bearer(access),
    isRight: (_answer, headers) => headers['x-auth-user'] === sub,
  }
}

/** A sign-in by the wire that Gatehouse and Better Auth share. */
export const signIn = ({ origin }: Server, { email }: Person): Question => ({
  method: 'POST',
  path: '/api/auth/sign-in/email',
  headers: { ...json, origin },
  body: () => JSON.stringify({ email, password }),
  isRight: answer => answer.includes(`"${email}"`),
})

export const compareOnly: Question = {
  method: 'POST',
  path: '/',
  headers: json,
  body: () => JSON.stringify({ email: 'person@example.com', password }),
  isRight: answer => answer === '{"matches":true}',
}

/** Walks a chain: each answer's refresh token is the next request's, and never the same again. */
export function refresh(path: string, token: string, more: Record<string, string> = {}): Question {
  let current = token
  return {
    method: 'POST',
    path,
    headers: form,
    body: () => new URLSearchParams({ ...more, grant_type: 'refresh_token', refresh_token: current }).toString(),
    isRight: answer => {
      const { refresh_token: next, access_token: access } = JSON.parse(answer)
      const isNew = typeof next === 'string' && next !== current && typeof access === 'string'
      if (isNew) current = next
      return isNew
    },
  }
}

/** Counts one row up. */
export function updateRow(id: string): Question {
  let generation = 0
  return {
    method: 'POST',
    path: '/refresh',
    headers: json,
    body: () => JSON.stringify({ id }),
    isRight: answer => {
      const { generation: next } = JSON.parse(answer)
      const isNew = next > generation
      generation = next
      return isNew
    },
  }
}
