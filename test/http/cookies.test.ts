/** The credential cookies as browsers get them, and as whoever wants in sends them. */

import { createHmac, hkdfSync } from 'node:crypto'
import fastifyCookie from '@fastify/cookie'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import t from 'tap'
import {
  type CookieSettings,
  type Cookies,
  createCookies,
  hasAmbiguousCookie,
  hasCredentialCookie,
} from '../../src/http/cookies.js'

const secret = 'a secret of at least thirty-two characters'
const [token, other] = ['t'.repeat(43), 'o'.repeat(43)]
const epoch = 'Expires=Thu, 01 Jan 1970 00:00:00 GMT'

function cookiesFor(settings: Partial<CookieSettings> = {}): Cookies {
  return createCookies({ secure: undefined, publicUrlIsHttps: false, secrets: [secret], ...settings })
}

/** Runs something against a real request carrying this Cookie header; what it returns, and the Set-Cookie headers sent. */
async function visit<T>(header: string | undefined, act: (request: FastifyRequest, reply: FastifyReply) => T) {
  const app = Fastify()
  await app.register(fastifyCookie, { hook: false })
  let result: T | undefined
  app.get('/', (request, reply) => {
    result = act(request, reply)
    reply.send('')
  })
  const answer = await app.inject({ url: '/', headers: header === undefined ? {} : { cookie: header } })
  const lines = [answer.headers['set-cookie'] ?? []].flat()
  return { result: result as T, lines }
}

const read = async (cookies: Cookies, header: string | undefined) =>
  (await visit(header, request => cookies.readTokens(request).map(({ token }) => token))).result
const write = async (act: (reply: FastifyReply) => void) => (await visit(undefined, (_, reply) => act(reply))).lines
const signed = encodeURIComponent(cookiesFor().sign(token))

t.test('the plain cookie is seed 0’s, to the letter', async t => {
  t.same(await write(reply => cookiesFor().setPlain(reply, token, 604800)), [
    `session_token=${token}; Max-Age=604800; Path=/; HttpOnly; Secure; SameSite=Lax`,
  ])
  t.same(await write(reply => cookiesFor({ secure: false }).setPlain(reply, token, undefined)), [
    `session_token=${token}; Path=/; HttpOnly; SameSite=Lax`,
  ])
  t.same((await visit(undefined, (request, reply) => cookiesFor().clear(reply, request, 'plain'))).lines, [
    `session_token=; Max-Age=0; Path=/; ${epoch}; HttpOnly; Secure; SameSite=Lax`,
  ])
})

t.test('the signed cookie is Better Auth’s', async t => {
  t.same(await write(reply => cookiesFor().setSigned(reply, token, 604800)), [
    `better-auth.session_token=${signed}; Max-Age=604800; Path=/; HttpOnly; SameSite=Lax`,
  ])
  const secure = cookiesFor({ publicUrlIsHttps: true, domain: '.acme.com' })
  t.same(await write(reply => secure.setSigned(reply, token, 604800.9)), [
    `__Secure-better-auth.session_token=${signed}; Max-Age=604800; Domain=.acme.com; Path=/; HttpOnly; Secure; SameSite=Lax`,
  ])
})

t.test('without rememberMe it ends with the browser, and a second cookie says so, in a header of its own', async t => {
  const lines = await write(reply => cookiesFor().setSigned(reply, token, undefined))
  t.equal(lines.length, 2)
  t.equal(lines[0], `better-auth.session_token=${signed}; Path=/; HttpOnly; SameSite=Lax`)
  t.match(lines[1], /^better-auth\.dont_remember=true\.[\w%]+%3D; Path=\/; HttpOnly; SameSite=Lax$/)
})

t.test('both cookies set at once are two headers', async t => {
  const cookies = cookiesFor()
  const lines = await write(reply => {
    cookies.setPlain(reply, token, 1)
    cookies.setSigned(reply, token, 1)
  })
  t.match(lines, [/^session_token=/, /^better-auth\.session_token=/])
})

t.test('C-03 Secure and the prefix come together', async t => {
  const cases = [
    [undefined, true, true],
    [undefined, false, false],
    [true, false, true],
    [false, true, false],
  ] as const
  for (const [secure, publicUrlIsHttps, expected] of cases) {
    const cookies = cookiesFor({ secure, publicUrlIsHttps })
    const lines = await write(reply => cookies.setSigned(reply, token, undefined))
    t.equal(cookies.signedName.startsWith('__Secure-'), expected)
    for (const line of lines)
      t.same([line.startsWith('__Secure-'), line.includes('; Secure')], [expected, expected], line)
  }
})

t.test('the signature is HMAC-SHA256 in padded base64, under a key of its own', async t => {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'gatehouse better-auth cookie', 32))
  const expected = createHmac('sha256', key).update(token).digest('base64')
  t.equal(cookiesFor().sign(token), `${token}.${expected}`)
  t.match(expected, /^.{43}=$/)
  t.not(expected, createHmac('sha256', secret).update(token).digest('base64'), 'not the secret itself')
})

t.test('unsign takes our signatures alone, plain or URL-encoded', async t => {
  const cookies = cookiesFor()
  const value = cookies.sign(token)
  t.equal(cookies.unsign(value), token)
  t.equal(cookies.unsign(encodeURIComponent(value)), token)

  const mac = value.slice(44)
  const refused = [
    '',
    '.',
    token,
    `${token}.`,
    `.${mac}`,
    `${other}.${mac}`,
    value.slice(0, -1),
    `${value}=`,
    `${value} `,
    `${token}.${mac.replace(/./, first => (first === 'A' ? 'B' : 'A'))}`,
    `${token}.${'é'.repeat(22)}`,
    `${token}.${'é'.repeat(44)}`,
    value.toUpperCase(),
    encodeURIComponent(encodeURIComponent(value)),
    `${value}%`,
    '%E0%A4%A',
    cookiesFor({ secrets: [`${secret}!`] }).sign(token),
    cookies.sign('true'),
    cookies.sign('t'.repeat(42)),
    cookies.sign(`${'t'.repeat(42)}.`),
  ]
  for (const text of refused) t.equal(cookies.unsign(text), undefined, text)
})

t.test('while the secret changes, both verify and the first one signs', async t => {
  const next = `${secret}, the next one`
  const [before, during, after] = [[secret], [next, secret], [next]].map(secrets => cookiesFor({ secrets }))
  const [old, young] = [before?.sign(token) ?? '', after?.sign(token) ?? '']
  t.not(old, young)
  t.equal(during?.sign(token), young)
  for (const value of [old, young]) t.equal(during?.unsign(value), token)
  t.equal(after?.unsign(old), undefined)
})

t.test('tokens are read from all three names, the signed ones first', async t => {
  const cookies = cookiesFor()
  const signedOther = encodeURIComponent(cookies.sign(other))
  const cases: [string | undefined, string[]][] = [
    [undefined, []],
    ['', []],
    [`session_token=${token}`, [token]],
    [`better-auth.session_token=${signed}`, [token]],
    [`better-auth.session_token=${cookies.sign(token)}`, [token]],
    [`__Secure-better-auth.session_token=${signed}`, [token]],
    [`session_token=${other}; better-auth.session_token=${signed}`, [token, other]],
    [`better-auth.session_token=${signed}; __Secure-better-auth.session_token=${signedOther}`, [other, token]],
    [`session_token=${token}; better-auth.session_token=${signed}`, [token, token]],
    [` a=b;;session_token = ${token} ;=;c`, [token]],
    [`session_token="${token}"`, []],
    [`session_token=${token}x`, []],
    [`session_token=${'+'.repeat(43)}`, []],
    [`session_token=${signed}`, []],
    [`better-auth.session_token=${token}`, []],
    [`better-auth.session_token=${token}.${'A'.repeat(43)}=; session_token=${other}`, [other]],
    ['session_token', []],
    [`xsession_token=${token}; session_token2=${token}; Session_Token=${token}`, []],
    [`__proto__=${token}; constructor=${token}; toString=${token}`, []],
    [`better-auth.session_data=${token}; better-auth.dont_remember=${signed}`, []],
  ]
  for (const [header, expected] of cases) t.same(await read(cookies, header), expected, header ?? 'no header')
})

t.test('C-07 two different values under one name are none', async t => {
  const cookies = cookiesFor()
  const twice = `session_token=${token}; session_token=${other}`
  t.same(await read(cookies, twice), [])
  t.same(await read(cookies, `${twice}; better-auth.session_token=${signed}`), [token], 'the other name still counts')
  t.same(await read(cookies, `better-auth.session_token=${signed}; better-auth.session_token=x`), [])
  t.same(await read(cookies, `session_token=${token}; session_token=${token}`), [token], 'the same value twice is one')

  const ambiguous = async (header: string) => (await visit(header, hasAmbiguousCookie)).result
  t.equal(await ambiguous(twice), true)
  t.equal(await ambiguous(`session_token=${token}; session_token=${token}`), false)
  t.equal(await ambiguous(`session_token=${token}; better-auth.session_token=${signed}`), false)
})

t.test('hasCredentialCookie sees good and bad ones, and nobody else’s', async t => {
  const has = async (header: string | undefined) => (await visit(header, hasCredentialCookie)).result
  for (const header of [
    'session_token=x',
    'better-auth.session_token=x',
    '__Secure-better-auth.session_token=x',
    'session_token=a; session_token=b',
  ])
    t.equal(await has(header), true, header)
  for (const header of [undefined, 'session_token=', '__cf_bm=x', 'better-auth.session_data=x', 'session_token'])
    t.equal(await has(header), false, header ?? 'no header')
})

t.test('clearing the signed kind expires Better Auth’s three names', async t => {
  const { lines } = await visit(undefined, (request, reply) => cookiesFor().clear(reply, request, 'signed'))
  t.same(
    lines,
    ['session_token', 'session_data', 'dont_remember'].map(
      name => `better-auth.${name}=; Max-Age=0; Path=/; ${epoch}; HttpOnly; SameSite=Lax`,
    ),
  )
})

t.test('clearing takes along whatever credential was sent', async t => {
  const cleared = async (cookies: Cookies, header: string, own?: 'plain' | 'signed') => {
    const { lines } = await visit(header, (request, reply) => cookies.clear(reply, request, own))
    return lines.map(line => line.slice(0, line.indexOf('=')))
  }
  const family = ['better-auth.session_token', 'better-auth.session_data', 'better-auth.dont_remember']
  t.same(await cleared(cookiesFor(), 'a=b'), [])
  t.same(await cleared(cookiesFor(), 'session_token=x'), ['session_token'])
  t.same(await cleared(cookiesFor(), 'session_token=x', 'signed'), ['session_token', ...family])
  t.same(await cleared(cookiesFor(), 'better-auth.session_token=x', 'plain'), ['session_token', ...family])

  const secure = cookiesFor({ secure: true })
  const prefixed = family.map(name => `__Secure-${name}`)
  t.same(
    await cleared(secure, 'better-auth.session_token=x'),
    [...prefixed, 'better-auth.session_token'],
    'set before https',
  )
  const { lines } = await visit('__Secure-better-auth.session_token=x', (request, reply) =>
    cookiesFor().clear(reply, request),
  )
  t.match(lines.at(-1), /^__Secure-better-auth\.session_token=; Max-Age=0; Path=\/; Expires=[^;]+; HttpOnly; Secure; /)
})

t.test('with a domain, clearing reaches the cookies set before it was configured', async t => {
  const cookies = cookiesFor({ domain: 'acme.com' })
  const { lines } = await visit('session_token=x', (request, reply) => cookies.clear(reply, request))
  t.match(lines, [/^session_token=; Max-Age=0; Domain=acme\.com; /, /^session_token=; Max-Age=0; Path=\//])
})

t.test('two thousand cookies are read at once', async t => {
  const crowd = Array.from({ length: 2000 }, (_, index) => `session_token=${index}`).join('; ')
  const started = performance.now()
  t.same(await read(cookiesFor(), crowd), [])
  t.ok(performance.now() - started < 1000)
})
