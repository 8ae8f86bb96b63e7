/** Tokens through the doors: what is in them, where each kind is good for something, and what else is refused. */
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import t from 'tap'
import { startApp, testSecrets } from '../helpers/app.js'

const service = await startApp(t)
const password = 'correct horse battery'
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const day = 86_400

// ------------------------------------------------------------------------------------------------ Reading and forging

type Claims = Record<string, unknown> & { iss: string; sub: string; sid: string; jti: string; iat: number; exp: number }

const encode = (text: string) => Buffer.from(text).toString('base64url')

function mac(input: string, secret: string | Buffer = testSecrets.JWT_SECRET, hash = 'sha256'): string {
  return createHmac(hash, secret).update(input).digest('base64url')
}

/** Signed like one of ours, by another implementation. A text is taken as it is. */
function forge(header: unknown, payload: unknown, secret?: string): string {
  const text = (part: unknown) => encode(typeof part === 'string' ? part : JSON.stringify(part))
  const input = `${text(header)}.${text(payload)}`
  return `${input}.${mac(input, secret)}`
}

function read(token: string): { header: Record<string, unknown>; claims: Claims } {
  const [header = '', payload = ''] = token.split('.')
  const parse = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString())
  return { header: parse(header), claims: parse(payload) }
}

const without = (claims: Claims, name: string) =>
  Object.fromEntries(Object.entries(claims).filter(([each]) => each !== name))

const now = () => Math.floor(Date.now() / 1000)

// ---------------------------------------------------------------------------------------------------------- The doors

type Tokens = { access_token: string; refresh_token: string; expires_in: number; user: { uuid: string } }
type Headers = Record<string, string>

const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` })
const flatWords = { success: false, code: 'UNAUTHORIZED', message: 'Unauthorized' }
const envelopeWords = { error: 'Unauthorized: invalid or expired token' }

/** Protected routes of every door, with its words for a credential that is not good. */
const places = [
  { url: '/auth/me', words: { detail: 'Could not validate credentials' } },
  { url: '/api/user/profile', words: flatWords },
  { url: '/api/auth/user', words: flatWords },
  { url: '/codvid-ai/auth/get_uuid?email=ada@example.com', words: envelopeWords },
  { url: '/codvid-ai/x', words: envelopeWords, live: 404 },
]

/** `taken` or `refused`, if every door says so, and the refusal is its own to the letter; otherwise what they say. */
async function ask(headers: Headers, { app } = service): Promise<string> {
  const outcomes = places.map(async ({ url, words, live = 200 }) => {
    const answer = await app.inject({ url, headers })
    if (answer.statusCode === live) return 'taken'
    const told = `${answer.statusCode} ${answer.headers['www-authenticate']} ${answer.body}`
    const isRefusal = told === `401 Bearer error="invalid_token" ${JSON.stringify(words)}`
    return isRefusal || answer.statusCode === 431 ? 'refused' : `${url}: ${told}`
  })
  return [...new Set(await Promise.all(outcomes))].join('; ')
}

const askBearer = (token: string, at = service) => ask(bearer(token), at)

async function post(url: string, payload: object | string, headers: Headers = {}, { app } = service) {
  return app.inject({ method: 'POST', url, headers, payload })
}

/** An account with a profile, so that every door has something to answer. */
async function register(email: string, at = service): Promise<Tokens> {
  const tokens: Tokens = (await post('/auth/register', { email, password }, {}, at)).json()
  await at.app.inject({
    method: 'PUT',
    url: '/api/user/profile',
    headers: bearer(tokens.access_token),
    payload: { software_level: 'beginner', hardware_background: 'robotics' },
  })
  return tokens
}

const login = async (email: string) => (await post('/api/auth/login', { email, password })).json()

async function codvidLogin(email: string): Promise<string> {
  const data = { auth_type: 'email', email, password }
  return (await post('/codvid-ai/auth/login', { schema_version: '4.0', data })).json().token
}

const refresh = (token: string) => post('/auth/refresh', { token })
const invalidGrant = {
  detail: 'Invalid refresh token',
  error: 'invalid_grant',
  error_description: 'Invalid refresh token',
}

/** One of every kind that there is, all of one account, each of a session of its own. */
async function allKinds(email: string) {
  const { refresh_token: renewal, access_token: access } = await register(email)
  const opaque: string = (await login(email)).token
  const signed = String((await post('/api/auth/sign-in/email', { email, password })).headers['set-auth-token'])
  const steady = await service.app.inject({ url: '/api/auth/get-session', headers: bearer(opaque) })
  return {
    'access token': access,
    'steady access token': String(steady.json().accessToken),
    '30-day token': await codvidLogin(email),
    'refresh token': renewal,
    'session token': opaque,
    'signed session token': signed,
    'signed session token, URL-encoded': encodeURIComponent(signed),
    'session id': read(access).claims.sid,
    'account id': read(access).claims.sub,
  }
}

/** What the service logged as an error of its own. */
const errorsSince = (at: number) => service.logs.slice(at).filter(line => /"level":[56]0/.test(line))

await register('ada@example.com')

// ---------------------------------------------------------------------------------------------------------- The tests

t.test('what is in a token', async t => {
  const before = now()
  const tokens = await register('claims@example.com')
  const access = read(tokens.access_token)
  t.strictSame(Object.keys(access.header).sort(), ['alg', 'kid', 'typ'])
  t.match(access.header, { alg: 'HS256', typ: 'JWT', kid: /^[\w-]{8}$/ })
  t.strictSame(Object.keys(access.claims).sort(), ['exp', 'iat', 'iss', 'jti', 'sid', 'sub', 'type'])
  t.match(access.claims, { iss: 'http://localhost:3000', sub: tokens.user.uuid, sid: uuid, jti: uuid, type: 'access' })
  t.ok(Number.isInteger(access.claims.iat) && Math.abs(access.claims.iat - before) <= 5)
  t.equal(access.claims.exp - access.claims.iat, 1800)
  t.equal(tokens.expires_in, 1800)

  const { sid, sub } = access.claims
  const renewal = read(tokens.refresh_token)
  t.strictSame(Object.keys(renewal.claims).sort(), ['exp', 'gen', 'iat', 'iss', 'jti', 'sid', 'sub', 'type'])
  t.match(renewal.claims, { iss: 'http://localhost:3000', sub, sid, jti: `${sid}.0`, type: 'refresh', gen: 0 })
  t.ok(Number.isInteger(renewal.claims.iat))
  t.equal(renewal.claims.exp - renewal.claims.iat, 7 * day)
  t.not(renewal.header.kid, access.header.kid, 'the keys have different names')
  const [header, payload, signature] = tokens.refresh_token.split('.')
  t.equal(mac(`${header}.${payload}`, testSecrets.REFRESH_TOKEN_SECRET), signature, 'signed with the other secret')

  const long = read(await codvidLogin('claims@example.com')).claims
  t.strictSame(Object.keys(long).sort(), Object.keys(access.claims).sort())
  t.match(long, { type: 'access', sub, sid: uuid, jti: uuid })
  t.not(long.sid, sid)
  t.equal(long.exp - long.iat, 30 * day)

  const json = await login('claims@example.com')
  const jsonAccess = read(json.accessToken).claims
  t.equal(jsonAccess.exp - jsonAccess.iat, 1800)
  t.equal(json.accessTokenExpiresAt, new Date(jsonAccess.exp * 1000).toISOString())
  t.match(read(json.refreshToken).claims, { type: 'refresh', sid: jsonAccess.sid, sub })

  const seen = [tokens.access_token, tokens.refresh_token, json.accessToken, json.refreshToken].map(read)
  t.equal(new Set(seen.map(({ claims }) => claims.jti)).size, 4, 'no two have one jti')
  for (const each of seen) t.notMatch(JSON.stringify(each), /claims@|example\.com|127\.0\.0\.1/i, 'nothing personal')
})

t.test('the access token of get-session stays the same for a while', async t => {
  const { access_token: token } = await register('steady@example.com')
  const ask = async () => (await service.app.inject({ url: '/api/auth/get-session', headers: bearer(token) })).json()
  const first = await ask()
  t.equal((await ask()).accessToken, first.accessToken)
  const { claims } = read(first.accessToken)
  t.match(claims, { type: 'access', sub: read(token).claims.sub, sid: read(token).claims.sid })
  t.equal(claims.exp - claims.iat, 1800)
  t.equal(first.accessTokenExpiresAt, new Date(claims.exp * 1000).toISOString())
  t.equal(await askBearer(first.accessToken), 'taken')
})

t.test('T-06 lifetimes, issuer and audience as configured', async t => {
  const acme = await startApp(t, {
    JWT_ISSUER: 'https://auth.acme.test',
    JWT_AUDIENCE: 'acme-api',
    ACCESS_TOKEN_TTL: '5m',
    REFRESH_TOKEN_TTL: '2d',
  })
  const tokens = await register('ada@example.com', acme)
  const { header, claims } = read(tokens.access_token)
  t.match(claims, { iss: 'https://auth.acme.test', aud: 'acme-api' })
  t.equal(claims.exp - claims.iat, 300)
  t.equal(tokens.expires_in, 300)
  const renewal = read(tokens.refresh_token).claims
  t.match(renewal, { iss: 'https://auth.acme.test', aud: 'acme-api' })
  t.equal(renewal.exp - renewal.iat, 2 * day)

  t.equal(await askBearer(forge(header, { ...claims, aud: ['others', 'acme-api'] }), acme), 'taken')
  t.equal(await askBearer(forge(header, without(claims, 'aud')), acme), 'refused', 'no audience')
  for (const aud of ['other-api', 'acme-api ', '', null, [], ['other-api'], [['acme-api']], { 'acme-api': 1 }, 1])
    t.equal(await askBearer(forge(header, { ...claims, aud }), acme), 'refused', `audience ${JSON.stringify(aud)}`)
  t.equal(
    await askBearer(forge(header, { ...claims, iss: 'http://localhost:3000' }), acme),
    'refused',
    'the default issuer',
  )
  t.equal((await post('/auth/refresh', { token: tokens.refresh_token }, {}, acme)).statusCode, 200)
})

t.test('T-05 every kind of token in every place', async t => {
  const kinds = Object.entries(await allKinds('kinds@example.com'))
  const jwts = ['access token', 'steady access token', '30-day token']
  const signed = ['signed session token', 'signed session token, URL-encoded']
  const good = [...jwts, 'session token', ...signed]
  const cookie = (name: string) => (token: string) => ({ cookie: `${name}=${token}` })
  const matrix: [string, (token: string) => Headers, string[]][] = [
    ['as a bearer', bearer, good],
    ['as the plain cookie', cookie('session_token'), ['session token']],
    ['as the signed cookie', cookie('better-auth.session_token'), signed],
    ['as the secure signed cookie', cookie('__Secure-better-auth.session_token'), signed],
  ]
  for (const [place, toHeaders, good] of matrix)
    for (const [kind, token] of kinds)
      t.equal(await ask(toHeaders(token)), good.includes(kind) ? 'taken' : 'refused', `${kind} ${place}`)

  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  for (const [kind, token] of kinds.filter(([kind]) => kind !== 'refresh token')) {
    for (const member of ['token', 'refresh_token']) {
      const answer = await post('/auth/refresh', { [member]: token })
      t.equal(answer.statusCode, 401, `${kind} as ${member} at refresh`)
      t.strictSame(answer.json(), invalidGrant)
    }
    const oauth = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token }).toString()
    const answer = await post('/auth/refresh', oauth, form)
    t.equal(answer.statusCode, 400, `${kind} in a form at refresh`)
    t.strictSame(answer.json(), invalidGrant)
    for (const url of ['/auth/logout', '/auth/logout-all']) {
      const out = await post(url, { refresh_token: token })
      t.equal(out.statusCode, 401, `${kind} at ${url}`)
      t.strictSame(out.json(), { detail: 'Invalid refresh token' })
    }
  }
  for (const [kind, token] of kinds) {
    if (good.includes(kind)) t.equal(await askBearer(token), 'taken', `${kind}, after all that`)
    if (kind === 'refresh token') t.equal((await refresh(token)).statusCode, 200, `${kind}, after all that`)
  }
})

type Vector = { id: string; class: string; expect: string; token: string }
type Vectors = { secret_base64url: string; other_secret_base64url: string; vectors: Vector[] }
const vectors: Vectors = JSON.parse(
  readFileSync(new URL('../vectors/jwt_hs256_attack_vectors.json', import.meta.url), 'utf8'),
)

t.test('T-01 T-02 R-01 R-02 R-07 R-08 attack vectors as they stand', async t => {
  t.equal(vectors.secret_base64url, testSecrets.JWT_SECRET, 'the tests’ secret is that of the vectors')
  const before = service.logs.length
  // Their subject is nobody here: those that a verifier alone would accept are refused as well.
  for (const { id, token } of vectors.vectors) {
    t.equal(await askBearer(token), 'refused', id)
    const status = (await refresh(token)).statusCode
    t.ok(
      [401, ...(token === '' ? [422] : []), ...(token.length > 4096 ? [422, 413] : [])].includes(status),
      `${id}: ${status}`,
    )
  }
  t.equal(vectors.vectors.length, 61)
  const huge = vectors.vectors.find(({ id }) => id === 'huge-claims')?.token ?? ''
  const origin = await service.app.listen({ port: 0 })
  t.equal((await fetch(`${origin}/auth/me`, { headers: bearer(huge) })).status, 431, 'more than any header may hold')
  t.strictSame(errorsSince(before), [])
})

/** Nothing else is wrong with these: the same faults on the claims of somebody who is signed in. */
t.test('T-01 T-02 T-03 T-04 R-03 R-06 R-07 R-14 attack vectors on live claims', async t => {
  const { header, claims } = read((await register('vectors@example.com')).access_token)
  const before = service.logs.length
  const tried = { taken: 0, refused: 0 }
  for (const vector of vectors.vectors) {
    const mutant = onLiveClaims(vector, claims, String(header.kid))
    if (mutant === undefined) continue
    const [itsHeader, itsPayload] = mutant.split('.')
    const input = `${itsHeader}.${itsPayload}`
    // We take neither fractions of a second nor a reason to look at names in an unknown claim.
    const isGood = vector.expect === 'accept' || ['payload-proto', 'header-dup-alg'].includes(vector.id)
    const expected = isGood ? 'taken' : 'refused'
    tried[expected] += 1
    t.equal(await askBearer(mutant), expected, vector.id)
    // Some headers came with an attacker's signature: they are no better with ours.
    if (vector.class === 'header') t.equal(await askBearer(`${input}.${mac(input)}`), expected, `${vector.id}, our key`)
  }
  t.strictSame(tried, { taken: 5, refused: 46 })
  t.strictSame(errorsSince(before), [])
})

/** The vector with live claims in place of its own, signed the way it was. Undefined where there is no place for them. */
function onLiveClaims({ id, token }: Vector, live: Claims, kid: string): string | undefined {
  const [header = '', payload = '', signature = ''] = token.split('.')
  const text = Buffer.from(payload, 'base64url').toString()
  if (id === 'huge-claims' || (!text.includes('"type"') && id !== 'type-missing')) return undefined
  const claims = text
    .replace('"11111111-1111-4111-8111-111111111111"', JSON.stringify(live.sub))
    .replace('"22222222-2222-4222-8222-222222222222"', JSON.stringify(live.jti))
    .replace('1767225600', String(live.iat))
    .replace('4102444800', String(live.exp))
    .replace(/\}$/, `,"iss":${JSON.stringify(live.iss)},"sid":${JSON.stringify(live.sid)}}`)
  // One vector names a key that the verifier knows, and calls it k1.
  const ours = id === 'ok-3' ? encode(Buffer.from(header, 'base64url').toString().replace('"k1"', `"${kid}"`)) : header
  const input = `${ours}.${encode(claims)}`
  const good = mac(input)
  const byHand: Record<string, string> = {
    'alg-none-sig': `${input}.${good}`,
    'sig-flip': `${input}.${good.startsWith('A') ? 'B' : 'A'}${good.slice(1)}`,
    'sig-trailing-bits': `${input}.${otherSpelling(good)}`,
    'sig-std-alphabet': `${input}.${good.replace(/^./, '+')}`,
    'sig-trunc': `${input}.${good.slice(0, -2)}`,
    'sig-none-2parts': input,
    'sig-space': `${input}.${good.slice(0, 8)} ${good.slice(8)}`,
    'parts-4': `${input}.${good}.`,
    'parts-5-jwe': `${input}.${good}.${good}.${good}`,
  }
  return byHand[id] ?? `${input}.${signAlike(`${header}.${payload}`, signature, input)}`
}

/** Another last character for the same 32 bytes. */
function otherSpelling(signature: string): string {
  const spelt = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'].map(
    last => signature.slice(0, -1) + last,
  )
  const bytes = Buffer.from(signature, 'base64url')
  return spelt.find(each => each !== signature && Buffer.from(each, 'base64url').equals(bytes)) ?? ''
}

/** Signs with the algorithm and key that the original signature was made with. */
function signAlike(original: string, signature: string, input: string): string {
  if (signature === '') return ''
  const bytes = (text: string) => Buffer.from(text, 'base64url')
  const ways: { key: Buffer | string; ours: string; hash: string }[] = [
    ...['sha256', 'sha384', 'sha512'].map(hash => ({
      key: bytes(testSecrets.JWT_SECRET),
      ours: testSecrets.JWT_SECRET,
      hash,
    })),
    ...['', 'undefined'].map(key => ({ key, ours: key, hash: 'sha256' })),
    // The key that the attacker's `jku` would lead to.
    { key: bytes(vectors.other_secret_base64url), ours: vectors.other_secret_base64url, hash: 'sha256' },
  ]
  const way = ways.find(({ key, hash }) => mac(original, key, hash) === signature)
  if (!way) throw new Error('signed in no way that is known here')
  return mac(input, way.ours, way.hash)
}

t.test('T-04 T-05 T-06 R-14 one claim at a time', async t => {
  const { header, claims } = read((await register('claim@example.com')).access_token)
  const other = read((await register('other@example.com')).access_token).claims
  const ended = await login('claim@example.com')
  await post('/api/auth/logout', {}, bearer(ended.token))
  const before = service.logs.length

  t.equal(await askBearer(forge(header, claims)), 'taken', 'the claims as they are')
  t.equal(await askBearer(forge({ alg: 'HS256' }, claims)), 'taken', 'neither kid nor typ')
  const good: Record<string, unknown> = {
    'in another order': Object.fromEntries(Object.entries(claims).reverse()),
    'a claim nobody knows': { ...claims, scope: 'admin' },
    'another jti': { ...claims, jti: 'x' },
    'the longest jti': { ...claims, jti: 'x'.repeat(128) },
    'seconds left': { ...claims, iat: now() - 1700, exp: now() + 20 },
    'an issuer whose clock is half a minute ahead': { ...claims, iat: now() + 30, exp: now() + 60 },
    'nbf just past': { ...claims, nbf: now() - 1 },
    'as long as the longest there is': { ...claims, exp: claims.iat + 30 * day },
  }
  for (const [name, payload] of Object.entries(good)) t.equal(await askBearer(forge(header, payload)), 'taken', name)

  const bad: Record<string, unknown> = {
    'no claims': {},
    'the subject of another': { ...claims, sub: other.sub },
    'the session of another': { ...claims, sid: other.sid },
    'the session for the subject': { ...claims, sub: claims.sid },
    'the subject for the session': { ...claims, sid: claims.sub },
    'a session nobody has': { ...claims, sid: '01920000-0000-7000-8000-000000000000' },
    'a session that has ended': { ...claims, sid: read(ended.accessToken).claims.sid },
    'times in milliseconds': { ...claims, iat: claims.iat * 1000, exp: claims.exp * 1000 },
    'expired a second ago': { ...claims, iat: now() - 600, exp: now() - 1 },
    'expired this second': { ...claims, iat: now() - 600, exp: now() },
    'expired long ago': { ...claims, iat: 1, exp: 2 },
    'expired before it was issued': { ...claims, exp: claims.iat - 1 },
    'expired when it was issued': { ...claims, exp: claims.iat },
    'issued in two minutes': { ...claims, iat: now() + 120, exp: now() + 1200 },
    'issued in an hour': { ...claims, iat: now() + 3600, exp: now() + 3700 },
    'good in an hour': { ...claims, nbf: now() + 3600, exp: now() + 7200 },
    'a second longer than the longest there is': { ...claims, exp: claims.iat + 30 * day + 1 },
    'till the end of the century': { ...claims, exp: 4_102_444_800 },
    'till the end of numbers': JSON.stringify(claims).replace(`"exp":${claims.exp}`, '"exp":1e400'),
    'a type of another case': { ...claims, type: 'Access' },
    'an issuer of another case': { ...claims, iss: 'Gatehouse' },
    'an audience, where there is none': { ...claims, aud: 'gatehouse' },
    'the last of two types': JSON.stringify(claims).replace(/\}$/, ',"type":"refresh"}'),
    'a refresh token by the access key': { ...claims, type: 'refresh', gen: 0 },
    'a jti too long': { ...claims, jti: 'x'.repeat(129) },
  }
  const ids = ['', ' ', 'admin', "' or 1=1--", '\u0000', claims.sub.toUpperCase(), `${claims.sub} `, `{${claims.sub}}`]
  const odd = [null, 0, 1, true, {}, [], [claims.sub], [claims.sid], { $ne: '' }, ...ids, 'x'.repeat(2000)]
  const oddTimes = [null, true, '', String(claims.exp), [claims.exp], {}, -1, 0.5, claims.exp + 0.5, 2 ** 32, 2 ** 53]
  for (const name of ['iss', 'sub', 'sid', 'jti', 'type', 'iat', 'exp']) bad[`no ${name}`] = without(claims, name)
  for (const name of ['iss', 'sub', 'sid', 'type'])
    for (const value of odd) bad[`${name} ${JSON.stringify(value).slice(0, 50)}`] = { ...claims, [name]: value }
  for (const value of [null, 0, true, {}, [], '', ['x']])
    bad[`jti ${JSON.stringify(value)}`] = { ...claims, jti: value }
  for (const name of ['exp', 'iat', 'nbf'])
    for (const value of oddTimes) bad[`${name} ${JSON.stringify(value)}`] = { ...claims, [name]: value }
  for (const [name, payload] of Object.entries(bad)) t.equal(await askBearer(forge(header, payload)), 'refused', name)

  const renewal = read(ended.refreshToken).header
  t.equal(await askBearer(forge(renewal, claims)), 'refused', 'the name of the refresh key')
  t.equal(await askBearer(forge(renewal, claims, testSecrets.REFRESH_TOKEN_SECRET)), 'refused', 'the refresh key')
  t.equal(await askBearer(forge({ ...header, typ: 'at+jwt' }, claims)), 'refused', 'another typ')
  t.strictSame(errorsSince(before), [])
})

t.test('T-04 T-05 refresh tokens, one claim at a time', async t => {
  const { header, claims } = read((await register('renewal@example.com')).refresh_token)
  const other = read((await register('other-renewal@example.com')).refresh_token).claims
  const before = service.logs.length
  const bad: Record<string, unknown> = {
    'no gen': without(claims, 'gen'),
    'the subject of another': { ...claims, sub: other.sub },
    'the session of another': { ...claims, sid: other.sid },
    'an access token by the refresh key': { ...claims, type: 'access' },
    'expired a second ago': { ...claims, iat: now() - 600, exp: now() - 1 },
    'a second longer than seven days': { ...claims, exp: claims.iat + 7 * day + 1 },
    'another issuer': { ...claims, iss: 'https://evil.example' },
    'an audience, where there is none': { ...claims, aud: 'x' },
  }
  for (const name of ['iss', 'sub', 'sid', 'jti', 'type', 'iat', 'exp']) bad[`no ${name}`] = without(claims, name)
  for (const gen of [null, -1, 0.5, '0', '0; --', [0], {}, true, 2 ** 31, 2 ** 53, 1e300])
    bad[`gen ${JSON.stringify(gen)}`] = { ...claims, gen }
  for (const exp of [null, 'x', [claims.exp], -1, 2 ** 32, 2 ** 53])
    bad[`exp ${JSON.stringify(exp)}`] = { ...claims, exp }
  for (const name of ['sid', 'sub'])
    for (const id of ['', "' or 1=1--", '\u0000', null, {}])
      bad[`${name} ${JSON.stringify(id)}`] = { ...claims, [name]: id }
  for (const [name, payload] of Object.entries(bad)) {
    const answer = await refresh(forge(header, payload, testSecrets.REFRESH_TOKEN_SECRET))
    t.strictSame([answer.statusCode, answer.json()], [401, invalidGrant], name)
  }
  t.equal((await refresh(forge(header, claims))).statusCode, 401, 'signed with the access key')
  const again = await refresh(forge(header, claims, testSecrets.REFRESH_TOKEN_SECRET))
  t.equal(again.statusCode, 200, 'none of them did anything to the session')
  t.strictSame(errorsSince(before), [])
})

t.test('T-03 R-07 a key that the token names is not fetched', async t => {
  const { claims } = read((await register('keys@example.com')).access_token)
  let connections = 0
  const server = createServer(socket => {
    connections += 1
    socket.destroy()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const url = `http://127.0.0.1:${port}/jwks.json`
  const jwk = { kty: 'oct', k: encode(testSecrets.JWT_SECRET) }
  for (const extra of [{ jku: url }, { x5u: url }, { kid: url }, { jwk }])
    t.equal(await askBearer(forge({ alg: 'HS256', typ: 'JWT', ...extra }, claims)), 'refused', JSON.stringify(extra))
  t.equal(await askBearer(forge({ alg: 'HS256' }, { ...claims, iss: url })), 'refused', 'an issuer to ask')
  await new Promise(resolve => setTimeout(resolve, 50))
  t.equal(connections, 0)
})

t.test('T-08 no credential at all is told from a bad one', async t => {
  const missing = { error: 'Unauthorized: missing session token while accessing non-public routes' }
  for (const headers of [
    {},
    { authorization: '' },
    { authorization: 'Basic dTpw' },
    { cookie: 'theme=dark' },
  ] as Headers[])
    for (const { url, words } of places) {
      const answer = await service.app.inject({ url, headers })
      t.strictSame(
        [answer.statusCode, answer.headers['www-authenticate'], answer.json()],
        [401, 'Bearer', words === envelopeWords ? missing : words],
        `${JSON.stringify(headers)} at ${url}`,
      )
    }
  for (const value of ['', ' ', ' x', '\tx', ' a b', ' ü', ' x, Bearer y', ` ${'x'.repeat(9000)}`])
    t.equal(await ask({ authorization: `Bearer${value}` }), 'refused', JSON.stringify(value.slice(0, 20)))
})

t.test('T-09 a token in the address is no credential, and does not reach the log', async t => {
  const kinds = await allKinds('address@example.com')
  const secrets = Object.entries(kinds).filter(([kind]) => !kind.endsWith(' id'))
  for (const [kind, token] of secrets)
    for (const member of ['access_token', 'token', 'session_token', 'auth'])
      for (const { url } of places) {
        const query = new URLSearchParams({ [member]: decodeURIComponent(token) })
        const answer = await service.app.inject({ url: `${url}${url.includes('?') ? '&' : '?'}${query}` })
        const told = [answer.statusCode, answer.headers['www-authenticate']]
        t.strictSame(told, [401, 'Bearer'], `${kind} as ${member} at ${url}`)
      }
  const log = service.logs.join('')
  t.match(log, /"path":"\/auth\/me"/, 'there is a log')
  for (const [kind, token] of secrets)
    for (const part of decodeURIComponent(token)
      .split('.')
      .filter(part => part.length > 40))
      t.notOk(log.includes(part) || log.includes(encodeURIComponent(part)), `${kind} in the log`)
})

t.test('R-15 a token that was cut is no token', async t => {
  const kinds = await allKinds('cut@example.com')
  const cookie = (name: string) => (token: string) => ({ cookie: `${name}=${token}` })
  const ways: [keyof typeof kinds, (token: string) => Headers][] = [
    ['access token', bearer],
    ['steady access token', bearer],
    ['30-day token', bearer],
    ['session token', bearer],
    ['signed session token', bearer],
    ['signed session token, URL-encoded', bearer],
    ['session token', cookie('session_token')],
    ['signed session token', cookie('better-auth.session_token')],
    ['signed session token, URL-encoded', cookie('__Secure-better-auth.session_token')],
  ]
  const cuts = Array.from({ length: 40 }, (_, index) => index + 1)
  for (const [kind, toHeaders] of ways) {
    const token = kinds[kind]
    t.equal(await ask(toHeaders(token)), 'taken', `${kind}, whole`)
    const shortened = cuts.flatMap(cut => [token.slice(0, -cut), token.slice(cut)])
    const answers = await Promise.all(
      shortened.map(each => service.app.inject({ url: '/auth/me', headers: toHeaders(each) })),
    )
    t.strictSame([...new Set(answers.map(answer => answer.statusCode))], [401], `${kind}, cut`)
  }
  const renewal = kinds['refresh token']
  const answers = await Promise.all(cuts.map(cut => refresh(renewal.slice(0, -cut))))
  t.strictSame([...new Set(answers.map(answer => answer.statusCode))], [401], 'refresh token, cut')
  t.equal((await refresh(renewal)).statusCode, 200, 'refresh token, whole')
})

t.test('T-10 after a logout nothing of the session works', async t => {
  const { access_token: access, refresh_token: renewal } = await register('logout@example.com')
  const beside = await login('logout@example.com')
  t.equal(await askBearer(access), 'taken', 'before')
  const out = await post('/auth/logout', {}, bearer(access))
  t.strictSame([out.statusCode, out.json()], [200, { detail: 'Logged out' }])
  t.equal(await askBearer(access), 'refused', 'the access token')
  t.equal((await refresh(renewal)).statusCode, 401)

  for (const name of ['token', 'accessToken'])
    t.equal(await askBearer(beside[name]), 'taken', `${name} of another session`)
  await post('/api/auth/logout', {}, bearer(beside.token))
  for (const name of ['token', 'accessToken']) t.equal(await askBearer(beside[name]), 'refused', name)
  t.equal((await refresh(beside.refreshToken)).statusCode, 401)
})

t.test('R-04 ten thousand tokens of a hundred accounts, in any order: always the right one', async t => {
  const accounts: { email: string; header: unknown; claims: Claims }[] = []
  for (let index = 0; index < 100; index += 1) {
    const email = `person${index}@example.com`
    accounts.push({ email, ...read((await post('/auth/register', { email, password })).json().access_token) })
  }
  const calls = Array.from({ length: 100 }, (_, round) =>
    accounts.map(account => ({
      ...account,
      token: forge(account.header, { ...account.claims, jti: `round-${round}` }),
    })),
  ).flat()
  calls.sort((a, b) => mac(a.token).localeCompare(mac(b.token)))

  let right = 0
  while (calls.length > 0)
    await Promise.all(
      calls.splice(0, 50).map(async ({ token, email, claims }) => {
        const { uuid, ...user } = (await service.app.inject({ url: '/auth/me', headers: bearer(token) })).json()
        if (uuid === claims.sub && user.email === email) right += 1
      }),
    )
  t.equal(right, 10_000)
})
