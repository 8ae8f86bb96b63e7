/** The verifier against every vector, against every token one character away from a good one, and against noise. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { files, signEs256 } from '../../scripts/verifier-vectors.js'
import { createVerifier, refusalReasons, TokenRefused, type Verifier } from '../../src/verifier/index.js'
import { goodToken, now, optionsOf, outcomeOf, serveKeys, vectors } from './vectors.js'

const base = await serveKeys(t)
const verifiers = new Map(Object.keys(vectors.verifiers).map(name => [name, createVerifier(optionsOf(name, base))]))

function verifierOf(name: string): Verifier {
  const verifier = verifiers.get(name)
  if (!verifier) throw new Error(`no verifier ${name}`)
  return verifier
}

t.test('the vectors, and the programs in the page about verifying, are what their script writes', async t => {
  for (const [name, content] of Object.entries(files))
    t.ok(readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8') === content, name)
  // RFC 6979 appendix A.2.5, the message "sample" with SHA-256.
  const d = Buffer.from('c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721', 'hex')
  const r = 'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716'
  const s = 'f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8'
  t.equal(signEs256('sample', d).toString('hex'), r + s)
})

t.test('good vectors', async t => {
  for (const { id, verifier, token, claims } of vectors.good)
    t.strictSame(await verifierOf(verifier).verify(token), claims, id)
})

t.test('bad vectors', async t => {
  t.ok(vectors.bad.length >= 100)
  t.equal(new Set([...vectors.good, ...vectors.bad].map(({ id }) => id)).size, vectors.good.length + vectors.bad.length)
  for (const { id, verifier, token, reason } of vectors.bad)
    t.equal(await outcomeOf(verifierOf(verifier).verify(token)), reason, id)
  const seen = new Set<string>(vectors.bad.map(({ reason }) => reason))
  const elsewhere = ['token_revoked', 'keys_unavailable', 'revocations_stale']
  t.strictSame(
    refusalReasons.filter(reason => !seen.has(reason)),
    elsewhere,
    'each reason that needs nothing but a token has a vector',
  )
})

t.test('bad vectors are bad for one verifier, and what makes them bad is not the setup', async t => {
  for (const name of verifiers.keys())
    t.ok(
      vectors.good.some(each => each.verifier === name) || name === 'odd-keys',
      `${name} takes a good token with the same setup`,
    )
  t.equal(await outcomeOf(verifierOf('odd-keys').verify(goodToken('es256-plain').token)), 'accepted')
})

t.test('one character changed anywhere', async t => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=.+/ '
  const neighbours = function* (token: string, characters: string) {
    for (let at = 0; at < token.length; at += 1)
      for (const character of characters)
        if (character !== token[at]) yield token.slice(0, at) + character + token.slice(at + 1)
  }
  for (const [id, verifier, characters] of [
    ['hs256-plain', 'hs256', alphabet],
    ['es256-plain', 'es256', 'Aw_'],
    ['eddsa-plain', 'eddsa', 'Aw_'],
    ['rs256-plain', 'rs256', 'Aw_'],
  ] as const) {
    const accepted = []
    for (const token of neighbours(goodToken(id).token, characters))
      if ((await outcomeOf(verifierOf(verifier).verify(token))) === 'accepted') accepted.push(token)
    t.strictSame(accepted, [], id)
  }
})

t.test('a character inserted or left out', async t => {
  const { token } = goodToken('hs256-plain')
  for (let at = 0; at <= token.length; at += 1) {
    for (const changed of [`${token.slice(0, at)}A${token.slice(at)}`, token.slice(0, at) + token.slice(at + 1)])
      if (changed !== token && (await outcomeOf(verifierOf('hs256').verify(changed))) === 'accepted') t.fail(`at ${at}`)
  }
})

t.test('whatever is no token is refused, and nothing else is thrown', async t => {
  const verifier = verifierOf('every-algorithm')
  for (const value of [undefined, null, 1, true, {}, [], Buffer.from('a.b.c'), { toString: () => 'a.b.c' }])
    t.equal(await outcomeOf(verifier.verify(value)), 'token_malformed')
  const { token } = goodToken('es256-plain')
  const piece = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...token.split('.')), fc.base64String())
  const texts = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(piece, { maxLength: 5 }).map(parts => parts.join('.')),
  )
  await fc.assert(
    fc.asyncProperty(texts, async text => {
      const refusal = await verifier.verify(text).catch((error: unknown) => error)
      return text === token || refusal instanceof TokenRefused
    }),
    { numRuns: 2000 },
  )
})

t.test('a payload of any JSON, well signed, is refused or is what was signed', async t => {
  const { createHmac } = await import('node:crypto')
  const secret = vectors.verifiers.hs256?.secrets?.[0] ?? ''
  const { token, claims } = goodToken('hs256-plain')
  const [header] = token.split('.')
  const odd = fc.oneof(fc.jsonValue(), fc.constantFrom(...Object.values(claims)), fc.integer(), fc.double())
  const changes = fc.dictionary(fc.oneof(fc.constantFrom(...Object.keys(claims), 'nbf', '__proto__'), fc.string()), odd)
  await fc.assert(
    fc.asyncProperty(changes, async change => {
      const payload = JSON.stringify({ ...claims, ...change })
      const input = `${header}.${Buffer.from(payload).toString('base64url')}`
      const signed = `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
      const result = await verifierOf('hs256')
        .verify(signed)
        .catch((error: unknown) => error)
      if (result instanceof TokenRefused) return true
      t.match(result, { type: 'access', iss: claims.iss, sub: /^[0-9a-f-]{36}$/, sid: /^[0-9a-f-]{36}$/ })
      return JSON.stringify(result) === payload
    }),
    { numRuns: 1000 },
  )
})

t.test('what a refusal says', async t => {
  const { token } = goodToken('hs256-plain')
  const refusal = await verifierOf('es256')
    .verify(token)
    .catch((error: unknown) => error)
  t.ok(refusal instanceof TokenRefused && refusal instanceof Error)
  t.match(refusal, { name: 'TokenRefused', reason: 'algorithm_not_allowed', isOutage: false })
  t.notMatch(String(refusal), token.slice(0, 10))
  for (const reason of refusalReasons)
    t.equal(new TokenRefused(reason).isOutage, ['keys_unavailable', 'revocations_stale'].includes(reason), reason)
})

t.test('times, to the second', async t => {
  const { token, claims } = goodToken('hs256-plain')
  const at = (seconds: number, clockToleranceSeconds?: number) => {
    const tolerance = clockToleranceSeconds === undefined ? {} : { clockToleranceSeconds }
    return outcomeOf(
      createVerifier({ ...optionsOf('hs256', base), now: () => seconds * 1000, ...tolerance }).verify(token),
    )
  }
  t.equal(await at(claims.exp + 4.999), 'accepted')
  t.equal(await at(claims.exp + 5), 'token_expired')
  t.equal(await at(claims.exp, 0), 'token_expired')
  t.equal(await at(claims.exp - 0.001, 0), 'accepted')
  t.equal(await at(claims.iat - 5), 'accepted')
  t.equal(await at(claims.iat - 5.001), 'token_not_yet_valid')
  t.equal(await at(claims.iat, 0), 'accepted')
  t.equal(await at(claims.iat - 0.001, 0), 'token_not_yet_valid')
  const real = createVerifier({ ...optionsOf('hs256', base), now: Date.now })
  t.equal(await outcomeOf(real.verify(token)), 'token_not_yet_valid', 'the clock of the vectors is far ahead')
})

t.test('options that cannot be meant', async t => {
  const secret = vectors.verifiers.hs256?.secrets?.[0] ?? ''
  const jwksUrl = `${base}/jwks`
  const revocations = { url: `${base}/feed`, clientId: 'api', clientSecret: 's', whenStale: 'reject' as const }
  const wrong: Record<string, unknown> = {
    'no key': {},
    'no secret': { secret: [] },
    'a short secret': { secret: 'secret' },
    'a secret of 31 bytes': { secret: 's'.repeat(31) },
    'one short secret of two': { secret: [secret, 'old'] },
    'a PEM as secret': { secret: `-----BEGIN PUBLIC KEY-----\n${'A'.repeat(64)}\n-----END PUBLIC KEY-----` },
    'a JWK as secret': { secret: JSON.stringify(vectors.jwks.keys[0]) },
    'a number as secret': { secret: 1 },
    'no issuer': { secret, issuer: '' },
    'an empty audience': { secret, audience: '' },
    'HS256 without a secret': { jwksUrl, algorithms: ['HS256'] },
    'ES256 without keys': { secret, algorithms: ['ES256'] },
    none: { secret, algorithms: ['none'] },
    'HS512 beside HS256': { secret, algorithms: ['HS256', 'HS512'] },
    'no algorithm': { secret, algorithms: [] },
    'keys over http': { jwksUrl: 'http://auth.gatehouse.example/jwks' },
    'keys over http from a name that looks local': { jwksUrl: 'http://localhost.gatehouse.example/jwks' },
    'keys from a file': { jwksUrl: 'file:///jwks.json' },
    'keys from no address': { jwksUrl: 'jwks' },
    'credentials in the address': { jwksUrl: 'https://a:b@auth.gatehouse.example/jwks' },
    'a clock years apart': { secret, clockToleranceSeconds: 1e9 },
    'a tolerance that is no number': { secret, clockToleranceSeconds: Number.NaN },
    'no policy': { secret, revocations: { ...revocations, whenStale: undefined } },
    'a word as policy': { secret, revocations: { ...revocations, whenStale: 'maybe' } },
    'revocations over http': { secret, revocations: { ...revocations, url: 'http://auth.gatehouse.example/' } },
    'no client': { secret, revocations: { ...revocations, clientId: '' } },
    'stale at once': { secret, revocations: { ...revocations, maxStaleSeconds: 0 } },
  }
  for (const [what, options] of Object.entries(wrong))
    t.throws(() => createVerifier({ issuer: 'us', ...(options as { secret: string }) }), TypeError, what)
  t.doesNotThrow(() => createVerifier({ issuer: 'us', jwksUrl: 'http://gatehouse/jwks', allowHttp: true }))
  t.doesNotThrow(() => createVerifier({ issuer: 'us', jwksUrl: new URL('https://auth.gatehouse.example/jwks') }))
})

t.test('by default the algorithms are those of the keys', async t => {
  const { algorithms: _, ...options } = optionsOf('every-algorithm', base)
  const verifier = createVerifier({ ...options, now })
  for (const id of ['hs256-plain', 'es256-plain', 'eddsa-plain', 'rs256-plain'])
    t.equal(await outcomeOf(verifier.verify(goodToken(id).token)), 'accepted', id)
})
