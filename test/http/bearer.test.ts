/** What is read from an Authorization header, and what is only believed of a token. */

import fc from 'fast-check'
import t from 'tap'
import { looksLikeJwt, readBearer, unverifiedIssuer } from '../../src/http/bearer.js'

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const jwt = (payload: unknown, header: unknown = { alg: 'HS256' }, signature = 'c2ln') =>
  `${encode(header)}.${encode(payload)}.${signature}`

t.test('readBearer tells four kinds of header apart', async t => {
  const token = 'A'.repeat(43)
  const signed = `${token}.Zm9v+b/A=`
  const cases: [string | undefined, object][] = [
    [undefined, { kind: 'none' }],
    ['', { kind: 'none' }],
    ['  ', { kind: 'none' }],
    [`Bearer ${token}`, { kind: 'bearer', value: token }],
    [`bEARER ${token}`, { kind: 'bearer', value: token }],
    [`Bearer   ${token}`, { kind: 'bearer', value: token }],
    [`Bearer ${signed}`, { kind: 'bearer', value: signed }],
    [`Bearer ${encodeURIComponent(signed)}`, { kind: 'bearer', value: encodeURIComponent(signed) }],
    [`Bearer ${jwt({})}`, { kind: 'bearer', value: jwt({}) }],
    ['Bearer', { kind: 'malformed' }],
    ['Bearer ', { kind: 'malformed' }],
    ['Bearer\tabc', { kind: 'malformed' }],
    ['Bearer,abc', { kind: 'malformed' }],
    ['Bearer abc def', { kind: 'malformed' }],
    ['Bearer abc, Bearer def', { kind: 'malformed' }],
    ['Bearer "abc"', { kind: 'malformed' }],
    ['Bearer token="abc"', { kind: 'malformed' }],
    ['Bearer =', { kind: 'malformed' }],
    ['Bearer a\u00e9', { kind: 'malformed' }],
    ['Bearer a\nb', { kind: 'malformed' }],
    ['Bearer abc\n', { kind: 'malformed' }],
    ['Basic dTpw', { kind: 'other' }],
    ['Bearerx abc', { kind: 'other' }],
    ['Bearer-Token abc', { kind: 'other' }],
    [token, { kind: 'other' }],
    [' Bearer abc', { kind: 'other' }],
    ['\u00ff', { kind: 'other' }],
  ]
  for (const [header, expected] of cases) t.same(readBearer(header), expected, JSON.stringify(header))
})

t.test('ten kilobytes are read at once', async t => {
  const value = 'a'.repeat(10_240)
  t.same(readBearer(`Bearer ${value}`), { kind: 'bearer', value })
  const started = performance.now()
  t.same(readBearer(`Bearer ${' '.repeat(10_240)}\u0001`), { kind: 'malformed' })
  t.same(readBearer(`Bearer ${'='.repeat(10_240)}\u0001`), { kind: 'malformed' })
  t.ok(performance.now() - started < 200)
})

t.test('a JWT is three base64url parts, the first two JSON objects', async t => {
  for (const token of [jwt({}), jwt({ iss: 'x' }, {}), jwt({}, { alg: 'none' }, ''), jwt({ a: 'é' })])
    t.ok(looksLikeJwt(token), token)

  const [header, payload] = jwt({}).split('.')
  const others = [
    '',
    '.',
    '..',
    'A'.repeat(43),
    `${'A'.repeat(43)}.${'A'.repeat(43)}=`,
    `${header}.${payload}`,
    `${jwt({})}.e30`,
    `${jwt({})}..`,
    jwt(null),
    jwt([]),
    jwt('text'),
    jwt({}, 1),
    jwt({}, {}, 'c2ln='),
    jwt({}, {}, 'c+/n'),
    jwt({}, {}, 'ccccc'),
    `${header}..c2ln`,
    `${header}.e3.c2ln`,
    `${header}=.${payload}.c2ln`,
    ` ${jwt({})}`,
    `${header}.${Buffer.from('{"a":').toString('base64url')}.c2ln`,
  ]
  for (const other of others) t.notOk(looksLikeJwt(other), other)
})

t.test('the issuer is what the payload claims, if it claims a string of its own', async t => {
  t.equal(unverifiedIssuer(jwt({ iss: 'https://auth.example.com' })), 'https://auth.example.com')
  t.equal(unverifiedIssuer(jwt({ iss: 1 })), undefined)
  t.equal(unverifiedIssuer(jwt({})), undefined)
  t.equal(unverifiedIssuer('not.a.jwt'), undefined)
  const inherited = `e30.${Buffer.from('{"__proto__":{"iss":"x"}}').toString('base64url')}.`
  t.equal(unverifiedIssuer(inherited), undefined)
})

t.test('R-23 nothing sent makes them throw', async t => {
  const anything = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string().map(text => `Bearer ${text}`),
    fc.tuple(fc.json(), fc.json(), fc.string()).map(([a, b, c]) => `${btoaUrl(a)}.${btoaUrl(b)}.${c}`),
  )
  fc.assert(
    fc.property(anything, text => {
      const { kind } = readBearer(text)
      looksLikeJwt(text)
      unverifiedIssuer(text)
      return ['none', 'other', 'malformed', 'bearer'].includes(kind)
    }),
    { numRuns: 1000 },
  )
  t.pass()
})

function btoaUrl(text: string): string {
  return Buffer.from(text).toString('base64url')
}
