/** The doors for services that verify our tokens: keys, metadata, introspection, revocation, the feed, and what proxies ask. */
import { createHmac, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { sql } from 'drizzle-orm'
import { compactVerify, createLocalJWKSet, jwtVerify } from 'jose'
import t from 'tap'
import { loadConfig } from '../../../src/config.js'
import { startApp, testEnvironment, testSecrets } from '../../helpers/app.js'
import {
  type Answer,
  bearer,
  claimsOf,
  createKnock,
  entrances,
  type Headers,
  inEnvelope,
  type Json,
  type Knock,
  newPerson,
  pairOf,
  startSibling,
} from '../doors.js'

const secret = 'zK3vQ8wLr1Yt6Np4Xb9Hs2Dm7Gf5Jc0AeUiOoTqRyWx'
const clients = { SERVICE_CLIENTS: `api:${secret},chat.bot:with:colons%${secret}` }
const service = await startApp(t, clients)
const knock = createKnock(service.app)
const basic = (id: string, password: string): Headers => ({
  authorization: `Basic ${Buffer.from(`${id}:${password}`).toString('base64')}`,
})
const asApi = basic('api', secret)
const inactive = { active: false }
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const sessionRevoked = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'
const long = 30 * 86_400

const introspect = (token: string, at: Knock = knock) =>
  at('POST', '/oauth2/introspect', { form: { token }, headers: asApi })
const revoke = (token: string) => knock('POST', '/oauth2/revoke', { form: { token }, headers: asApi })
const verify = (headers: Headers) => knock('GET', '/oauth2/verify', { headers })
const run = (statement: ReturnType<typeof sql>) => service.database.db.execute(statement)

/** Everything one sign-up hands out: an access and a refresh token, and an opaque session token with its cookie. */
async function signUp(at: Knock = knock) {
  const person = newPerson()
  const { body, cookies } = await at('POST', '/api/auth/register', { json: person })
  const { sid, sub } = claimsOf(body.accessToken)
  return {
    ...person,
    access: body.accessToken as string,
    refresh: body.refreshToken as string,
    opaque: body.token as string,
    cookie: pairOf(cookies[0]),
    sid,
    sub,
  }
}

const privateKeys = {
  ES256: generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey,
  EdDSA: generateKeyPairSync('ed25519').privateKey,
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
}
const privatePem = (alg: keyof typeof privateKeys) =>
  privateKeys[alg].export({ type: 'pkcs8', format: 'pem' }).toString()
const publicPem = (alg: keyof typeof privateKeys) =>
  createPublicKey(privatePem(alg)).export({ type: 'spki', format: 'pem' }).toString()

t.test('the key set of secrets is empty, and caches may keep it', async t => {
  for (const url of ['/.well-known/jwks.json', '/api/auth/jwks']) {
    const answer = await knock('GET', url)
    t.match(answer, { status: 200, body: { keys: [] } }, url)
    const { etag = '', 'cache-control': caching } = answer.headers
    t.equal(caching, 'public, max-age=300')
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*'])
      t.match(await knock('GET', url, { headers: { 'if-none-match': known } }), { status: 304, text: '' }, known)
    t.equal((await knock('GET', url, { headers: { 'if-none-match': '"other"' } })).status, 200)
  }
})

for (const alg of ['ES256', 'EdDSA', 'RS256'] as const)
  t.test(
    `signed with ${alg}: every door’s tokens verify with the published key, and secrets of before verify on`,
    async t => {
      const others = (['ES256', 'EdDSA', 'RS256'] as const).filter(other => other !== alg)
      const { app } = await startApp(t, {
        ...clients,
        JWT_PRIVATE_KEY: privatePem(alg),
        JWT_PUBLIC_KEYS: others.map(publicPem).join(''),
        PUBLIC_URL: 'http://localhost:3000',
      })
      const signed = createKnock(app)
      const { body: keySet } = await signed('GET', '/.well-known/jwks.json')
      t.same(
        keySet.keys.map((key: Json) => [key.alg, key.use]),
        [alg, ...others].map(each => [each, 'sig']),
      )
      for (const key of keySet.keys)
        t.strictSame(
          Object.keys(key).filter(name => ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'oth'].includes(name)),
          [],
          'nothing private',
        )
      t.strictSame((await signed('GET', '/api/auth/jwks')).body, keySet)

      const keys = createLocalJWKSet(keySet)
      for (const { url, ask, carriedIn, way } of entrances) {
        if (way === 'login') continue
        const answer = await signed('POST', url, { json: ask(newPerson()) })
        for (const { form, headers } of carriedIn(answer)) {
          if (form !== 'access JWT') continue
          const token = headers.authorization?.slice('Bearer '.length) ?? ''
          const { protectedHeader, payload } = await jwtVerify(token, keys, { issuer: 'http://localhost:3000' })
          t.match(protectedHeader, { alg, typ: 'JWT', kid: keySet.keys[0].kid }, url)
          t.match(payload, { type: 'access', sid: uuid })
          t.equal((await signed('GET', '/auth/me', { headers })).status, 200)
          t.ok(token.length <= 1024, `${token.length} characters`)
        }
      }

      // Steady, though an ECDSA signature never comes out alike twice.
      const { refresh, opaque } = await signUp(signed)
      const session = await signed('GET', '/api/auth/get-session', { headers: bearer(opaque) })
      const token = session.headers['set-auth-jwt']
      t.equal(session.body.accessToken, token)
      t.equal((await signed('GET', '/api/auth/token', { headers: bearer(opaque) })).body.token, token)
      t.equal(
        (await signed('POST', '/auth/refresh', { json: { token: refresh } })).status,
        200,
        'refresh tokens are ours alone',
      )

      const claims = claimsOf(token ?? '')
      const input = [{ alg: 'HS256', typ: 'JWT' }, claims]
        .map(part => Buffer.from(JSON.stringify(part)).toString('base64url'))
        .join('.')
      const mac = (key: string) => `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`
      t.equal(
        (await signed('GET', '/auth/me', { headers: bearer(mac(publicPem(alg))) })).status,
        401,
        'a public key is no secret',
      )
      t.equal(
        (await signed('GET', '/auth/me', { headers: bearer(mac(testSecrets.JWT_SECRET)) })).status,
        401,
        'without a name, only the current key is tried',
      )
    },
  )

t.test('T-11 a secret changes without one token refused, and when it is retired none is accepted', async t => {
  const [next, after] = ['Vq8Zt3Lm6Xc1Rb9Nw4Ks7Hd2Gj5Fp0AyUeIiOoTzQrE', 'Mn2Bv7Cx4Zl9Kj1Hg6Fd3Sa8Po5Iu0YtReWwQqAaSsD']
  const sibling = async (overrides: Record<string, string>) => createKnock(await startSibling(t, service, overrides))
  const ahead = await sibling({ JWT_SECRETS_NEXT: next, REFRESH_TOKEN_SECRETS_NEXT: after })
  const rotated = await sibling({
    JWT_SECRET: next,
    JWT_SECRETS_PREVIOUS: testSecrets.JWT_SECRET,
    REFRESH_TOKEN_SECRET: after,
    REFRESH_TOKEN_SECRETS_PREVIOUS: testSecrets.REFRESH_TOKEN_SECRET,
  })
  const retired = await sibling({ JWT_SECRET: next, REFRESH_TOKEN_SECRET: after })
  const old = await signUp()
  const young = await signUp(rotated)
  const kidOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid
  t.not(kidOf(old.access), kidOf(young.access))
  t.not(kidOf(old.refresh), kidOf(young.refresh))
  const statuses = ({ access, refresh }: { access: string; refresh: string }) =>
    Promise.all(
      [knock, ahead, rotated, retired].map(async at => {
        const read = await at('GET', '/auth/me', { headers: bearer(access) })
        const refreshed = await at('POST', '/auth/refresh', { json: { token: refresh } })
        return `${read.status} ${refreshed.status}`
      }),
    )
  // Asked in parallel, one rotates a refresh token and the others are answered with the successor it made.
  t.strictSame(await statuses(old), ['200 200', '200 200', '200 200', '401 401'], 'tokens of before')
  t.strictSame(await statuses(young), ['401 401', '200 200', '200 200', '200 200'], 'tokens of after')
})

t.test('T-15 metadata: what there is, where it is', async t => {
  const url = 'https://auth.acme.test'
  const { app } = await startApp(t, { ...clients, PUBLIC_URL: url })
  const { status, body, headers } = await createKnock(app)('GET', '/.well-known/oauth-authorization-server')
  t.equal(status, 200)
  t.equal(headers['cache-control'], 'public, max-age=300')
  const methods = ['client_secret_basic', 'client_secret_post']
  t.strictSame(body, {
    issuer: url,
    token_endpoint: `${url}/auth/login`,
    jwks_uri: `${url}/.well-known/jwks.json`,
    grant_types_supported: ['password'],
    response_types_supported: [],
    token_endpoint_auth_methods_supported: ['none'],
    introspection_endpoint: `${url}/oauth2/introspect`,
    revocation_endpoint: `${url}/oauth2/revoke`,
    introspection_endpoint_auth_methods_supported: methods,
    revocation_endpoint_auth_methods_supported: methods,
  })
  for (const name of ['token_endpoint', 'introspection_endpoint', 'revocation_endpoint', 'jwks_uri']) {
    const path = new URL(body[name]).pathname
    const answer = await createKnock(app)(
      name === 'jwks_uri' ? 'GET' : 'POST',
      path,
      name === 'jwks_uri' ? {} : { form: {} },
    )
    t.not(answer.status, 404, `${name} is there`)
  }
  const alone = createKnock(await startSibling(t, service, {}))
  t.notOk(
    Object.keys((await alone('GET', '/.well-known/oauth-authorization-server')).body).some(name =>
      /introspection|revocation/.test(name),
    ),
    'without clients there is nobody to serve',
  )
})

t.test('T-13 introspection and revocation are for known clients', async t => {
  const { access } = await signUp()
  const strangers: [string, Headers, object][] = [
    ['nobody', {}, {}],
    ['a wrong secret', basic('api', `${secret}.`), {}],
    ['a part of the secret', basic('api', secret.slice(0, -1)), {}],
    ['an unknown client', basic('nobody', secret), {}],
    ['another one’s secret', basic('chat.bot', secret), {}],
    ['no secret', basic('api', ''), {}],
    ['no colon', { authorization: `Basic ${Buffer.from('api').toString('base64')}` }, {}],
    ['no base64', { authorization: 'Basic §' }, {}],
    ['a prototype’s name', basic('__proto__', 'undefined'), {}],
    ['the token itself', bearer(access), {}],
    ['a wrong secret in the body', {}, { client_id: 'api', client_secret: 'x' }],
    ['an id alone in the body', {}, { client_id: 'api' }],
  ]
  const refusal = { error: 'invalid_client', error_description: 'The client is not known, or its secret is wrong.' }
  for (const path of ['/oauth2/introspect', '/oauth2/revoke'])
    for (const [name, headers, more] of strangers)
      for (const sent of [{ form: { token: access, ...more } }, { json: { token: access, ...more } }]) {
        const answer = await knock('POST', path, { ...sent, headers })
        t.strictSame([answer.status, answer.body], [401, refusal], `${name} at ${path}`)
        t.equal(answer.headers['www-authenticate'], 'Basic realm="gatehouse"')
      }
  for (const headers of strangers.map(([, headers]) => headers))
    t.strictSame((await knock('GET', '/oauth2/revocations', { headers })).body, refusal)

  const known: [Headers, object][] = [
    [asApi, {}],
    [basic('chat.bot', encodeURIComponent(`with:colons%${secret}`)), {}],
    [{}, { client_id: 'api', client_secret: secret }],
  ]
  for (const [headers, more] of known)
    for (const sent of [{ form: { token: access, ...more } }, { json: { token: access, ...more } }])
      t.match(await knock('POST', '/oauth2/introspect', { ...sent, headers }), { status: 200, body: { active: true } })
  t.equal((await verify(bearer(access))).status, 200, 'nobody ended anything')
  for (const form of [{}, { token: '' }, { tokens: access }]) {
    const answer = await knock('POST', '/oauth2/introspect', { form, headers: asApi })
    t.strictSame(
      [answer.status, answer.body],
      [400, { error: 'invalid_request', error_description: 'token is required.' }],
    )
  }
  t.equal((await knock('POST', '/oauth2/introspect', { form: `token=${access}&token=x`, headers: asApi })).status, 400)
})

t.test('what every kind of token stands for', async t => {
  const { email, access, refresh, opaque, sid, sub } = await signUp()
  const shared = { active: true, token_type: 'Bearer', sub, sid, iss: 'http://localhost:3000', username: email }
  const { jti, iat, exp } = claimsOf(access)
  t.strictSame((await introspect(access)).body, { ...shared, token_use: 'access', jti, iat, exp })
  const ofRefresh = claimsOf(refresh)
  t.strictSame((await introspect(refresh)).body, {
    ...shared,
    token_use: 'refresh',
    jti: ofRefresh.jti,
    iat: ofRefresh.iat,
    exp: ofRefresh.exp,
  })
  const { body } = await introspect(opaque)
  t.strictSame({ ...body, iat: 0, exp: 0 }, { ...shared, token_use: 'session', iat: 0, exp: 0 })
  t.ok(body.exp - body.iat === 7 * 86_400)
  for (const { headers } of [await introspect(access)]) t.equal(headers['cache-control'], 'no-store')

  const successor = (await knock('POST', '/auth/refresh', { json: { token: refresh } })).body.refresh_token
  t.strictSame((await introspect(refresh)).body, inactive, 'a refresh token that was used')
  t.match(
    (await introspect(successor)).body,
    { active: true, token_use: 'refresh' },
    'its successor, which another replica may have issued',
  )
  const { app } = await startApp(t, { ...clients, JWT_AUDIENCE: 'acme-api' })
  const named = createKnock(app)
  t.equal((await introspect((await signUp(named)).access, named)).body.aud, 'acme-api')
})

t.test('T-12 T-13 what stands for nothing: one answer, and nothing else in it', async t => {
  const endings: [string, (person: Awaited<ReturnType<typeof signUp>>) => Promise<unknown>][] = [
    ['logged out', ({ access }) => knock('POST', '/auth/logout', { json: {}, headers: bearer(access) })],
    ['disabled', ({ sub }) => run(sql`update accounts set disabled_at = now() where id = ${sub}`)],
    ['deleted', ({ sub }) => run(sql`delete from accounts where id = ${sub}`)],
    ['expired', ({ sid }) => run(sql`update sessions set expires_at = now() - interval '1 second' where id = ${sid}`)],
  ]
  for (const [name, end] of endings) {
    const person = await signUp()
    const kinds = [person.access, person.refresh, person.opaque]
    for (const token of kinds) t.equal((await introspect(token)).body.active, true)
    await end(person)
    for (const token of kinds) {
      const answer = await introspect(token)
      t.strictSame([answer.status, answer.body], [200, inactive], name)
    }
  }

  const { access, refresh } = await signUp()
  for (const token of [
    ...mutantsOf(access),
    ...mutantsOf(refresh),
    ...attacks(),
    'x',
    ' ',
    '.',
    '..',
    'ü',
    'x'.repeat(15_000),
    '[object Object]',
    secret,
  ]) {
    const answer = await introspect(token)
    t.strictSame([answer.status, answer.body], [200, inactive], token.slice(0, 60))
  }
  const feed = await knock('GET', '/oauth2/revocations', { headers: asApi })
  t.strictSame(
    (await introspect(feed.text)).body,
    inactive,
    'the feed’s document, though it is signed with the same key',
  )
  t.equal((await verify(bearer(feed.text))).status, 401)
})

/** Tokens that are not ours any more, or never were. */
function mutantsOf(token: string): string[] {
  const [header = '', payload = '', signature = ''] = token.split('.')
  const none = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')
  return [
    `${header}.${payload}.`,
    `${header}.${payload}`,
    `${none}.${payload}.`,
    `${none}.${payload}.${signature}`,
    `${header}.${payload}.${signature.slice(1)}`,
    `${header}.${payload}.${signature}=`,
    `${header}.${payload}.${signature}.`,
    `${header}.${payload.slice(0, -2)}.${signature}`,
    `${token} `,
    `Bearer ${token}`,
  ]
}

const attacks = (): string[] =>
  JSON.parse(readFileSync(new URL('../../vectors/jwt_hs256_attack_vectors.json', import.meta.url), 'utf8'))
    .vectors.map(({ token }: { token: string }) => token)
    .filter((token: string) => token !== '' && token.length < 15_000)

t.test(
  'T-01 T-05 T-09 R-08 every bad token, at every place a token can stand, is one 401 in the door’s words',
  async t => {
    const { access, refresh, opaque } = await signUp()
    const bad = [...mutantsOf(access), ...attacks()].filter(token => /^[\x21-\x7e]+$/.test(token))
    const places: [string, (token: string) => Promise<Answer>, Json][] = [
      [
        '/auth/me',
        token => knock('GET', '/auth/me', { headers: bearer(token) }),
        { detail: 'Could not validate credentials' },
      ],
      [
        '/api/auth/user',
        token => knock('GET', '/api/auth/user', { headers: bearer(token) }),
        { success: false, code: 'UNAUTHORIZED', message: 'Unauthorized' },
      ],
      [
        '/api/auth/token',
        token => knock('GET', '/api/auth/token', { headers: bearer(token) }),
        { success: false, code: 'UNAUTHORIZED', message: 'Unauthorized' },
      ],
      [
        '/api/user/profile',
        token => knock('GET', '/api/user/profile', { headers: bearer(token) }),
        { success: false, code: 'UNAUTHORIZED', message: 'Unauthorized' },
      ],
      [
        '/codvid-ai/x',
        token => knock('GET', '/codvid-ai/x', { headers: bearer(token) }),
        { error: 'Unauthorized: invalid or expired token' },
      ],
      [
        '/oauth2/verify',
        token => verify(bearer(token)),
        { error: 'invalid_token', error_description: 'The token is not valid.' },
      ],
      [
        '/oauth2/verify, a cookie',
        token => verify({ cookie: `session_token=${token}` }),
        { error: 'invalid_token', error_description: 'The token is not valid.' },
      ],
      [
        '/oauth2/verify, Better Auth’s cookie',
        token => verify({ cookie: `better-auth.session_token=${encodeURIComponent(token)}` }),
        { error: 'invalid_token', error_description: 'The token is not valid.' },
      ],
    ]
    for (const [place, send, words] of places) {
      for (const token of bad) {
        const { status, body, headers } = await send(token)
        t.strictSame([status, body], [401, words], `${place}: ${token.slice(0, 50)}`)
        t.equal(headers['www-authenticate'], 'Bearer error="invalid_token"')
      }
    }
    for (const token of [...bad, access, opaque]) {
      const answer = await knock('POST', '/auth/refresh', { json: { token } })
      t.match(
        [answer.status, answer.body.detail],
        [token.length > 4096 ? 422 : 401, token.length > 4096 ? [{}] : 'Invalid refresh token'],
        `/auth/refresh: ${token.slice(0, 50)}`,
      )
      t.strictSame(
        (await revoke(token === access || token === opaque ? `${token}.` : token)).body,
        {},
        '/oauth2/revoke tells nothing',
      )
    }
    t.equal((await verify(bearer(access))).status, 200, 'and the session they were made from lives')
    t.equal((await verify(bearer(refresh))).status, 401, 'a refresh token is no credential')
    t.equal((await verify(asApi)).status, 401, 'nor is a client')
    t.equal(
      (await knock('GET', `/oauth2/verify?access_token=${access}`)).status,
      401,
      'nor a token in the address (T-09)',
    )
  },
)

t.test('T-14 revocation ends the session of any token, and says nothing of those it does not know', async t => {
  for (const kind of ['access', 'refresh', 'opaque'] as const) {
    const person = await signUp()
    const answer = await revoke(person[kind])
    t.match([answer.status, answer.body], [200, {}], kind)
    for (const headers of [bearer(person.access), bearer(person.opaque), { cookie: person.cookie }])
      t.equal((await verify(headers)).status, 401)
    t.equal(
      (await knock('POST', '/auth/refresh', { json: { token: person.refresh } })).status,
      401,
      'its family is dead',
    )
    t.strictSame((await revoke(person[kind])).body, {}, 'again')
  }
  const person = await signUp()
  const other = await knock('POST', '/auth/login', { form: { username: person.email, password: person.password } })
  await revoke(other.body.access_token)
  t.equal((await verify(bearer(person.access))).status, 200, 'other sessions live on')
  const { refresh_token: successor } = (await knock('POST', '/auth/refresh', { json: { token: person.refresh } })).body
  await revoke(person.refresh)
  t.strictSame((await introspect(successor)).body, inactive, 'an old refresh token ends its session too')
})

t.test('forward-auth: whose request it is', async t => {
  const { access, opaque, cookie, sid, sub } = await signUp()
  for (const headers of [bearer(access), bearer(opaque), { cookie }]) {
    const answer = await verify(headers)
    t.match(answer, {
      status: 200,
      text: '',
      headers: { 'x-auth-user': sub, 'x-auth-session': sid, 'cache-control': 'no-store' },
    })
  }
  const spoofed = await verify({ ...bearer(access), 'x-auth-user': 'root', 'x-auth-session': 'x' })
  t.match(spoofed.headers, { 'x-auth-user': sub, 'x-auth-session': sid })
  for (const url of ['/oauth2/verify', '/oauth2/verify/', '/oauth2/verify/any/path%20?x=1', '/oauth2/verify/../admin'])
    for (const [method, sent] of [
      ['GET', {}],
      ['HEAD', {}],
      ['POST', { raw: '{', headers: { 'content-type': 'application/json' } }],
      ['PUT', { raw: '<a/>', headers: { 'content-type': 'text/xml' } }],
      ['PATCH', { raw: '', headers: { 'content-type': 'application/json', 'content-length': '0' } }],
      ['DELETE', {}],
      ['OPTIONS', {}],
    ] as const) {
      const ask = (headers: Headers) =>
        knock(method, url, { ...sent, headers: { ...('headers' in sent ? sent.headers : {}), ...headers } })
      if (url.includes('..')) continue
      t.equal((await ask(bearer(access))).status, 200, `${method} ${url}`)
      const refused = await ask({})
      t.match(refused, { status: 401, headers: { 'www-authenticate': /^Bearer$/ } }, `${method} ${url}, nobody`)
    }
  t.match(await verify({}), { body: { error: 'invalid_token', error_description: 'There is no token.' } })
})

// ------------------------------------------------------------------------------------------------------------ The feed

type Events = { sessions: [string, number][]; accounts: [string, number, number][] }

const feed = (query = '', headers: Headers = {}) =>
  knock('GET', `/oauth2/revocations${query}`, { headers: { ...asApi, ...headers } })

async function eventsIn({ text }: Answer): Promise<Events> {
  const { payload, protectedHeader } = await compactVerify(text, Buffer.from(testSecrets.JWT_SECRET))
  const { events, iss, iat, exp, jti, ...rest } = JSON.parse(Buffer.from(payload).toString())
  t.match(protectedHeader, { alg: 'HS256', typ: 'secevent+jwt', kid: /^[\w-]{8}$/ })
  t.match({ iss, jti, rest }, { iss: 'http://localhost:3000', jti: /^.{1,128}$/, rest: {} })
  t.equal(exp - iat, 300)
  return events[sessionRevoked]
}

/** SQL by hand is heard of by the news, which the suite on Postgres does without; then within the second. */
const noticed = () => new Promise(resolve => setTimeout(resolve, service.url === undefined ? 0 : 1100))

const second = () => Math.floor(Date.now() / 1000)
const isNear = (given: number | undefined, expected: number) => Math.abs((given ?? 0) - expected) <= 3

t.test('the feed names what was ended while its tokens live, and no longer', async t => {
  const [ended, deleted, disabled, lasting] = [await signUp(), await signUp(), await signUp(), newPerson()]
  const envelope = { schema_version: '4.0', data: { auth_type: 'email', ...lasting } }
  const { token } = (await knock('POST', '/codvid-ai/auth/signup', { json: envelope })).body
  const before = await feed()
  t.match(before.headers, { 'content-type': 'application/jwt', etag: /^"[\w-]{22}"$/, 'cache-control': 'no-store' })

  await knock('POST', '/auth/logout', { json: {}, headers: bearer(ended.access) })
  await run(sql`delete from accounts where id = ${deleted.sub}`)
  await run(sql`update accounts set disabled_at = now() where id = ${disabled.sub}`)
  await knock('POST', '/auth/logout', { json: {}, headers: bearer(token) })
  const after = await feed()
  t.not(after.headers.etag, before.headers.etag)
  const { sessions, accounts } = await eventsIn(after)
  const untilOf = new Map(sessions)
  t.ok(isNear(untilOf.get(ended.sid), second() + 1801), 'until its last access token has expired')
  t.ok(isNear(untilOf.get(deleted.sid), second() + 1801))
  t.ok(isNear(untilOf.get(claimsOf(token).sid), second() + long), 'a token of 30 days, until then')
  const [, notBefore, until] = accounts.find(([sub]) => sub === disabled.sub) ?? []
  t.ok(isNear(notBefore, second() + 1) && isNear(until, second() + 1801), 'a disabled account, by a mark')
  t.notOk(
    accounts.some(([sub]) => sub === deleted.sub),
    'a deleted one needs none',
  )
  t.same(new Set(sessions.map(([sid]) => sid)).size, sessions.length, 'no session twice')

  await run(sql`update revocations set revoked_at = revoked_at - interval '31 minutes'`)
  await run(sql`update sessions set expires_at = expires_at - interval '1 second' where id = ${(await signUp()).sid}`)
  await noticed()
  const later = await eventsIn(await feed())
  t.same(
    later.sessions.map(([sid]) => sid),
    [claimsOf(token).sid],
    'only what may still live',
  )
  t.same(later.accounts, [])
  t.ok((await service.core.revocations.sweep()) >= 3, 'the rest is deleted')
  await noticed()
  t.same(await eventsIn(await feed()), later)
})

t.test('the mark of an account with a token of 30 days lasts as long as that', async t => {
  const person = newPerson()
  const envelope = { schema_version: '4.0', data: { auth_type: 'email', ...person } }
  const { sub } = claimsOf((await knock('POST', '/codvid-ai/auth/signup', { json: envelope })).body.token)
  await run(sql`update accounts set disabled_at = now() where id = ${sub}`)
  await noticed()
  const { accounts } = await eventsIn(await feed())
  t.ok(isNear(accounts.find(([each]) => each === sub)?.[2], second() + long))
})

t.test('the feed is asked again cheaply, and answers at once when something happens', async t => {
  const person = await signUp()
  const first = await feed()
  const known = { 'if-none-match': first.headers.etag ?? '' }
  t.match(await feed('', known), {
    status: 304,
    text: '',
    headers: known['if-none-match'] ? { etag: known['if-none-match'] } : {},
  })
  t.equal((await feed('?wait=5')).status, 200, 'without a tag there is nothing to wait for')
  const began = performance.now()
  t.equal((await feed('?wait=1', known)).status, 304)
  t.ok(performance.now() - began >= 990, 'after its wait')

  const waiting = Promise.all([feed('?wait=20', known), feed('?wait=20', known)])
  await new Promise(resolve => setTimeout(resolve, 50))
  await knock('POST', '/auth/logout', { json: {}, headers: bearer(person.access) })
  for (const answer of await waiting) t.ok((await eventsIn(answer)).sessions.some(([sid]) => sid === person.sid))
  for (const wait of ['31', '-1', '1.5', 'x', '']) {
    const answer = await feed(`?wait=${wait}`, known)
    t.match(
      [answer.status, answer.body],
      [400, { error: 'invalid_request', error_description: /^wait must be/ }],
      `wait=${wait}`,
    )
  }
})

t.test('closing the service lets those who wait go', async t => {
  const { app } = await startApp(t, clients)
  const base = await app.listen({ port: 0 })
  const first = await fetch(`${base}/oauth2/revocations`, { headers: asApi })
  const waiting = fetch(`${base}/oauth2/revocations?wait=30`, {
    headers: { ...asApi, 'if-none-match': first.headers.get('etag') ?? '' },
  })
  await new Promise(resolve => setTimeout(resolve, 50))
  const began = performance.now()
  await app.close()
  t.equal((await waiting).status, 304)
  t.ok(performance.now() - began < 10_000)
})

// -------------------------------------------------------------------------------------------------------------- Claims

t.test('ACCESS_TOKEN_CLAIMS=profile: what a chatbot needs, without a call', async t => {
  const { app } = await startApp(t, { ...clients, ACCESS_TOKEN_CLAIMS: 'profile' })
  const chatty = createKnock(app)
  const { access, opaque, refresh } = await signUp(chatty)
  const profileIn = (token: string) => {
    const { profile_version, software_level, hardware_background } = claimsOf(token) as Json
    return { profile_version, software_level, hardware_background }
  }
  const none = { profile_version: undefined, software_level: undefined, hardware_background: undefined }
  t.strictSame(profileIn(access), none, 'nobody said anything yet')
  const levels = { software_level: 'advanced', hardware_background: 'robotics' }
  const put = (json: object) => chatty('PUT', '/api/user/profile', { json, headers: bearer(opaque) })
  t.equal((await put(levels)).status, 200)

  const steady = async () => (await chatty('GET', '/api/auth/token', { headers: bearer(opaque) })).body.token
  const token = await steady()
  t.strictSame(profileIn(token), { profile_version: 1, ...levels })
  t.equal(await steady(), token)
  const refreshed = (await chatty('POST', '/auth/refresh', { json: { token: refresh } })).body
  t.strictSame(profileIn(refreshed.access_token), { profile_version: 1, ...levels })
  t.strictSame(profileIn(refreshed.refresh_token), none, 'a refresh token is nobody’s to read')
  t.equal((await chatty('GET', '/auth/me', { headers: bearer(token) })).status, 200)
  t.equal((await put({ ...levels, software_level: 'beginner' })).status, 200)
  t.match(profileIn(await steady()), { profile_version: 2, software_level: 'beginner' }, 'told at the next token')
  t.ok(token.length <= 1024)
  t.strictSame(profileIn((await signUp()).access), none, 'by default tokens tell nothing')
})

t.test('a token never exceeds 1 KiB, and what would make it longer stops the start', async t => {
  const profile = { software_level: 'intermediate', hardware_background: 'embedded systems' }
  for (const alg of ['HS256', 'ES256', 'EdDSA', 'RS256'] as const) {
    const signing = { ...testEnvironment, ...(alg === 'HS256' ? {} : { JWT_PRIVATE_KEY: privatePem(alg) }) }
    const named = (length: number) => ({
      JWT_ISSUER: `https://${'i'.repeat(length)}`,
      JWT_AUDIENCE: 'acme-api',
      ACCESS_TOKEN_CLAIMS: 'profile',
    })
    let length = 1
    const isTaken = () => {
      try {
        return loadConfig({ ...signing, ...named(length) }, 'no-such-file').issuer !== ''
      } catch (error) {
        t.match((error as Error).message, /JWT_ISSUER, .* make access tokens of up to 102[5-9] characters, and 1024 is/)
        return false
      }
    }
    while (isTaken()) length += 1
    const { app } = await startApp(t, { ...signing, ...named(length - 1) })
    const at = createKnock(app)
    const { opaque, access } = await signUp(at)
    const answer = await at('PUT', '/api/user/profile', { json: profile, headers: bearer(opaque) })
    t.equal(answer.status, 200, answer.text)
    const { body } = await at('GET', '/api/auth/token', { headers: bearer(opaque) })
    for (const token of [access, body.token]) t.ok(token.length <= 1024, `${alg}: ${token.length}`)
    t.ok(body.token.length > 990, 'close to it')
  }
})

t.test('no limit on what proxies and services ask', async t => {
  const { app } = await startApp(t, { ...clients, RATE_LIMIT: 'on' })
  const limited = createKnock(app)
  const { access } = await signUp(limited)
  for (let count = 0; count < 1300; count += 1) {
    const answer = await limited('GET', '/oauth2/verify', { headers: bearer(access) })
    if (answer.status !== 200) return t.fail(`request ${count}: ${answer.status}`)
  }
  t.equal((await introspect(access, limited)).status, 200)
})

t.test('T-12 a token of 30 days ends with its account, its password and every session', async t => {
  const endings: [string, (person: { email: string; password: string; access: string }) => Promise<Answer>][] = [
    [
      'its account',
      ({ access, password }) => knock('DELETE', '/auth/me', { json: { password }, headers: bearer(access) }),
    ],
    [
      'a new password',
      ({ access, password }) =>
        knock('POST', '/auth/change-password', {
          json: { current_password: password, new_password: 'staple that horse twice' },
          headers: bearer(access),
        }),
    ],
    ['logout-all', ({ access }) => knock('POST', '/auth/logout-all', { json: {}, headers: bearer(access) })],
  ]
  for (const [name, end] of endings) {
    const person = await signUp()
    const { email, password } = person
    const { body } = await knock('POST', '/codvid-ai/auth/login', { json: inEnvelope({ email, password }) })
    t.equal(claimsOf(body.token).exp - claimsOf(body.token).iat, 30 * 86_400)
    t.equal((await verify(bearer(body.token))).status, 200)
    t.ok((await end(person)).status < 300, name)
    for (const url of ['/auth/me', '/api/auth/user', '/codvid-ai/x', '/oauth2/verify'])
      t.equal((await knock('GET', url, { headers: bearer(body.token) })).status, 401, `${url} after ${name}`)
    t.strictSame((await introspect(body.token)).body, inactive, name)
  }
})
