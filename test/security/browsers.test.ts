/** What browsers are told and what they carry, at every route: cookies, headers, caches, and pages of others. */
import { sql } from 'drizzle-orm'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import {
  type Answer,
  bearer,
  createKnock,
  entrances,
  type Headers,
  type Json,
  newPerson,
  pairOf,
  password,
  rowsOf,
  startSibling,
} from '../dialects/doors.js'
import { startApp } from '../helpers/app.js'
import { routesOf } from './routes.js'

const mail = { SMTP_URL: 'smtp://127.0.0.1:9', MAIL_FROM: 'no-reply@acme.test' }
const service = await startApp(t, mail)
const knock = createKnock(service.app)
await service.app.ready()
const routes = routesOf(service.app)

const plainLogin = '/api/auth/login'
const signedLogin = '/api/auth/sign-in/email'

/** Somebody signed in by both cookies, in two sessions. */
async function visitor(ask = knock) {
  const person = newPerson()
  const { body } = await ask('POST', '/auth/register', { json: person })
  const plain = await ask('POST', plainLogin, { json: person })
  const signed = await ask('POST', signedLogin, { json: person })
  return {
    ...person,
    access: String(body.access_token),
    plain: pairOf(plain.cookies[0]),
    signed: pairOf(signed.cookies[0]),
  }
}

// ------------------------------------------------------------------------------------------------------------ Cookies

type Cookie = { name: string; value: string; attributes: Map<string, string> }

function parse(line: string): Cookie {
  const [pair = '', ...rest] = line.split('; ')
  const attributes = rest.map((each): [string, string] => {
    const [name = '', value = ''] = each.split('=')
    return [name.toLowerCase(), value]
  })
  const equals = pair.indexOf('=')
  return { name: pair.slice(0, equals), value: pair.slice(equals + 1), attributes: new Map(attributes) }
}

/** Every Set-Cookie line of every route: signing in and out, in use, a day later, and with nothing that is any good. */
async function everyCookie(app: FastifyInstance): Promise<string[]> {
  const ask = createKnock(app)
  const lines: string[] = []
  const note = ({ cookies }: Answer) => lines.push(...cookies)
  for (const { url, ask: asking, way } of entrances) {
    const { plain, signed, email } = await visitor(ask)
    const json = asking(way === 'login' ? { email, password } : newPerson())
    for (const cookie of ['', plain, signed, `${plain}; ${signed}`])
      note(await ask('POST', url, { json, headers: cookie === '' ? {} : { cookie } }))
  }
  const person = await visitor(ask)
  note(await ask('POST', signedLogin, { json: { email: person.email, password, rememberMe: false } }))
  let fresh = await visitor(ask)
  for (const { method, url } of routes) {
    const headers = { cookie: `${fresh.plain}; ${fresh.signed}` }
    if ((await ask('GET', '/auth/me', { headers })).status !== 200) fresh = await visitor(ask)
    await service.database.db.execute(sql`update sessions set expires_at = created_at + interval '5 days'`)
    const json = method === 'GET' ? undefined : { password, current_password: password, currentPassword: password }
    for (const cookie of [`${fresh.plain}; ${fresh.signed}`, fresh.plain, 'session_token=x; session_token=y'])
      note(await ask(method, url, { json, headers: { cookie } }))
    note(await ask(method, url, { json, headers: bearer(fresh.access) }))
  }
  return lines
}

const settings: [
  string,
  Record<string, string>,
  { plainIsSecure: boolean; signedIsSecure: boolean; domain?: string },
][] = [
  ['as it comes', {}, { plainIsSecure: true, signedIsSecure: false }],
  ['behind https', { PUBLIC_URL: 'https://auth.acme.test' }, { plainIsSecure: true, signedIsSecure: true }],
  [
    'shared with subdomains',
    { PUBLIC_URL: 'https://auth.acme.test', COOKIE_DOMAIN: '.acme.test' },
    { plainIsSecure: true, signedIsSecure: true, domain: '.acme.test' },
  ],
  ['COOKIE_SECURE=true', { COOKIE_SECURE: 'true' }, { plainIsSecure: true, signedIsSecure: true }],
  ['COOKIE_SECURE=false', { COOKIE_SECURE: 'false' }, { plainIsSecure: false, signedIsSecure: false }],
]

for (const [what, variables, { plainIsSecure, signedIsSecure, domain }] of settings)
  t.test(`C-03 every cookie of every route, ${what}`, async t => {
    const lines = await everyCookie(await startSibling(t, service, { ...mail, ...variables }))
    t.ok(lines.length > 30, `${lines.length} lines`)
    const seen = new Set<string>()
    for (const line of new Set(lines)) {
      const { name, attributes } = parse(line)
      seen.add(name)
      t.match(name, /^(session_token|(__Secure-)?better-auth\.(session_token|session_data|dont_remember))$/)
      for (const flag of ['httponly', ...(plainIsSecure && name === 'session_token' ? ['secure'] : [])])
        t.ok(attributes.has(flag), `${flag}: ${line}`)
      t.equal(attributes.get('samesite'), 'Lax', line)
      t.equal(attributes.get('path'), '/', line)
      if (attributes.has('domain')) t.equal(attributes.get('domain'), domain, line)
      if (name.startsWith('__Secure-')) t.ok(attributes.has('secure'), line)
      if (name.startsWith('__Host-')) t.ok(attributes.has('secure') && !attributes.has('domain'), line)
      if (!name.startsWith('__Secure-') && name !== 'session_token')
        t.notOk(signedIsSecure && !line.includes('Max-Age=0'), line)
      t.ok(line.length < 4096, line)
    }
    t.ok(
      seen.has('session_token') && [...seen].some(name => name.endsWith('better-auth.session_token')),
      [...seen].join(),
    )
  })

t.test('C-02 a session token is 256 random bits, and no two are alike', async t => {
  const { email } = await visitor()
  const tokens = new Set<string>()
  for (let count = 0; count < 200; count += 1) {
    const { body } = await knock('POST', plainLogin, { json: { email, password } })
    t.match(body.token, /^[\w-]{43}$/)
    tokens.add(body.token)
  }
  t.equal(tokens.size, 200)
  const bits = [...tokens].flatMap(token => [...Buffer.from(token, 'base64url')])
  const ones = bits.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)
  t.ok(Math.abs(ones / (bits.length * 8) - 0.5) < 0.02, 'half of the bits are set')
})

t.test('C-01 a sign-in with a cookie gives another, and ends the session of the first', async t => {
  for (const { url, ask, way, carriedIn, status } of entrances.filter(({ door }) => door === 'better-auth')) {
    for (const kind of ['plain', 'signed'] as const) {
      const before = await visitor()
      const json = ask(way === 'login' ? { email: before.email, password } : newPerson())
      const answer = await knock('POST', url, { json, headers: { cookie: before[kind] } })
      t.equal(answer.status, status, url)
      t.notOk(answer.text.includes(parse(before[kind]).value), url)
      const old = await knock('GET', '/auth/me', { headers: { cookie: before[kind] } })
      t.equal(old.status, 401, `${url}: the ${kind} cookie of before`)
      const cookies = answer.cookies.filter(line => !line.includes('Max-Age=0'))
      for (const { form, headers } of carriedIn({ ...answer, cookies }))
        t.equal((await knock('GET', '/auth/me', { headers })).status, 200, `${url}: ${form}`)
    }
  }
  const made = await knock('POST', plainLogin, {
    json: { email: (await visitor()).email, password },
    headers: { cookie: `session_token=${'A'.repeat(43)}` },
  })
  t.notOk(made.text.includes('A'.repeat(43)), 'a token that somebody made up is never taken on')
})

t.test('R-17 no session data in cookies: what they name is asked for, each time', async t => {
  for (const kind of ['plain', 'signed'] as const) {
    const { email, [kind]: cookie } = await visitor()
    const token = decodeURIComponent(parse(cookie).value)
    t.notMatch(Buffer.from(token, 'base64').toString('latin1'), new RegExp(`${email}|session|user`))
    t.equal((await knock('GET', '/api/auth/get-session', { headers: { cookie } })).body.user.email, email)
    await knock('POST', '/api/auth/sign-out', { json: {}, headers: { cookie } })
    t.equal((await knock('GET', '/api/auth/get-session', { headers: { cookie } })).text, 'null', kind)
  }
})

t.test('C-07 two different session cookies count as none, and get-session takes both back', async t => {
  const { plain, signed } = await visitor()
  for (const pair of [plain, signed]) {
    const { name } = parse(pair)
    for (const cookie of [`${pair}; ${name}=x`, `${name}=x; ${pair}`]) {
      const answer = await knock('GET', '/api/auth/get-session', { headers: { cookie } })
      t.equal(answer.text, 'null')
      t.match(answer.cookies[0], new RegExp(`^${name.replace('.', '\\.')}=; Max-Age=0; `))
    }
  }
})

// ------------------------------------------------------------------------------------------------------ Pages of others

const formType = 'application/x-www-form-urlencoded'

t.test('C-04 GET and HEAD change nothing', async t => {
  const { plain, signed, access } = await visitor()
  const everything = async (): Promise<Json> =>
    JSON.stringify([
      rowsOf(await service.database.db.execute(sql`select * from accounts order by id`)),
      rowsOf(await service.database.db.execute(sql`select * from profiles order by account_id`)),
      rowsOf(await service.database.db.execute(sql`select * from interactions order by id`)),
      rowsOf(await service.database.db.execute(sql`select * from verifications order by id`)),
      rowsOf(await service.database.db.execute(sql`select * from sessions order by id`)),
    ])
  const before = await everything()
  const query = '?token=x&password=x&name=Eve&email=eve@example.com&newEmail=eve@example.com&confirm=1&_method=DELETE'
  const foreign = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }
  const override = { 'x-http-method-override': 'DELETE', 'x-method-override': 'DELETE', 'x-http-method': 'PUT' }
  for (const { url } of routes)
    for (const method of ['GET', 'HEAD'])
      for (const headers of [{ cookie: plain }, { cookie: signed }, bearer(access)] as Headers[])
        await knock(method, url + query, { headers: { ...headers, ...foreign, ...override } })
  t.equal(await everything(), before)
})

t.test('C-04 a cookie with a form, plain text or parts is refused where JSON is meant, from any page', async t => {
  const bodies: [string, string][] = [
    ['text/plain', '{"name":"Eve"}'],
    ['multipart/form-data; boundary=x', '--x\r\ncontent-disposition: form-data; name="name"\r\n\r\nEve\r\n--x--\r\n'],
    [formType, 'name=Eve'],
  ]
  const origins: Headers[] = [{}, { origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }]
  const who = await visitor()
  for (const { method, url } of routes.filter(({ method }) => method !== 'GET')) {
    for (const [type, raw] of bodies)
      for (const origin of origins) {
        // Doors that take forms take them from apps, which state no origin.
        if (type === formType && Object.keys(origin).length === 0) continue
        const headers = { cookie: who.plain, 'content-type': type, ...origin }
        const { status } = await knock(method, url, { raw, headers })
        const name = `${method} ${url}: ${type}, ${JSON.stringify(origin)}`
        t.equal(status, Object.keys(origin).length > 0 ? 403 : 415, name)
      }
  }
  t.equal(
    (await knock('GET', '/auth/me', { headers: { cookie: who.plain } })).body.name ?? '',
    '',
    'none of it was done',
  )
})

t.test('C-04 C-05 R-37 what a browser says of a request is believed against it, never for it', async t => {
  const { plain, email } = await visitor()
  const json = { email, password }
  const write = (headers: Headers) => knock('PATCH', '/auth/me', { json: {}, headers: { cookie: plain, ...headers } })
  const enter = (headers: Headers) => knock('POST', plainLogin, { json, headers })
  const lies: Headers[] = [
    { origin: 'https://evil.example', 'sec-fetch-site': 'same-origin' },
    { origin: 'https://evil.example', 'sec-fetch-site': 'none' },
    { origin: 'https://evil.example', referer: 'http://localhost:80/' },
    { origin: 'null', 'sec-fetch-site': 'same-origin' },
    { origin: 'https://evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' },
    { origin: 'https://evil.example', 'x-requested-with': 'XMLHttpRequest' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
  ]
  for (const headers of lies) {
    t.equal((await write(headers)).status, 403, `with a cookie: ${JSON.stringify(headers)}`)
    t.equal((await enter(headers)).status, 403, `signing in: ${JSON.stringify(headers)}`)
  }
  t.equal((await write({})).status, 200, 'an app without an origin')
  t.equal((await enter({})).status, 200, 'an app without an origin signs in')
})

// --------------------------------------------------------------------------------------------------- Every answer

t.test('C-11 R-37 no answer with anything of anybody in it may be kept', async t => {
  const shared = new Set(['/api/auth/jwks', '/.well-known/jwks.json', '/.well-known/oauth-authorization-server'])
  const tagged = new Set(['/api/user/profile', '/api/personalization/context'])
  const { access, plain } = await visitor()
  const levels = { software_level: 'beginner', hardware_background: 'robotics' }
  await knock('PUT', '/api/user/profile', { json: levels, headers: bearer(access) })
  for (const { method, url } of routes)
    for (const headers of [{}, bearer(access), { cookie: plain }, bearer('x')] as Headers[]) {
      if (/log-?out|sign-?out|revoke|delete/i.test(url) || method === 'DELETE') continue
      const answer = await knock(method, url, { json: method === 'GET' ? undefined : {}, headers })
      const name = `${method} ${url}: ${answer.status}`
      if (shared.has(url) && answer.status === 200)
        t.equal(answer.headers['cache-control'], 'public, max-age=300', name)
      else if (method === 'GET' && tagged.has(url) && answer.status === 200) {
        t.equal(answer.headers['cache-control'], 'private, no-cache', name)
        t.match(answer.headers.vary, /Authorization/i, name)
        t.match(answer.headers.vary, /Cookie/i, name)
      } else t.match(answer.headers, { 'cache-control': 'no-store', pragma: 'no-cache' }, name)
    }
})

t.test('C-13 every answer of every route, good and bad, carries the headers that protect it', async t => {
  const { access } = await visitor()
  const others: [string, string][] = [
    ['GET', '/nothing'],
    ['GET', '/livez'],
    ['GET', '/readyz'],
    ['GET', '/openapi.json'],
    ['GET', '/.well-known/jwks.json'],
    ['GET', '/docs/'],
    ['POST', '/auth/nothing'],
    ['GET', '/auth/pages/reset-password?token=x'],
  ]
  const all = [...routes.map(({ method, url }): [string, string] => [method, url]), ...others]
  for (const [method, url] of all)
    for (const headers of [{}, bearer(access), { 'content-type': 'text/plain' }] as Headers[]) {
      const body = method === 'GET' ? {} : { raw: '{}' }
      const answer = await knock(method, url, { ...body, headers: { 'content-type': 'application/json', ...headers } })
      const name = `${method} ${url}: ${answer.status}`
      const [, age] = /^max-age=(\d+); includeSubDomains$/.exec(answer.headers['strict-transport-security'] ?? '') ?? []
      t.ok(Number(age) >= 31_536_000, `${name}: HSTS of a year or more`)
      t.equal(answer.headers['x-content-type-options'], 'nosniff', name)
      t.match(answer.headers['content-security-policy'], /frame-ancestors 'none'/, name)
      t.match(answer.headers['referrer-policy'], /^(no-referrer|same-origin)$/, name)
      const type = answer.headers['content-type'] ?? ''
      if (answer.text !== '' && /json|html|text/.test(type)) t.match(type, /; charset=utf-8$/i, name)
      for (const header of ['server', 'x-powered-by', 'via']) t.notOk(header in answer.headers, `${name}: ${header}`)
    }
})

t.test('C-12 logging out is a POST, again and again, and takes the cookie back as it was set', async t => {
  for (const url of ['/api/auth/logout', '/api/auth/sign-out', '/auth/logout']) {
    for (const kind of ['plain', 'signed'] as const) {
      const { [kind]: cookie } = await visitor()
      t.equal((await knock('GET', url, { headers: { cookie } })).status, 404, `GET ${url}`)
      const first = await knock('POST', url, { json: {}, headers: { cookie } })
      t.equal(first.status, 200, url)
      const taken = parse(first.cookies.find(line => line.startsWith(`${parse(cookie).name}=`)) ?? '')
      t.match(taken, { name: parse(cookie).name, value: '' }, `${url}: ${first.cookies}`)
      t.strictSame(
        [taken.attributes.get('path'), taken.attributes.get('samesite'), taken.attributes.has('httponly')],
        ['/', 'Lax', true],
      )
      t.equal(taken.attributes.get('max-age'), '0')
      t.equal((await knock('GET', '/auth/me', { headers: { cookie } })).status, 401)
      if (url.startsWith('/api'))
        t.equal((await knock('POST', url, { json: {}, headers: { cookie } })).status, 200, `${url}, again`)
    }
  }
})
