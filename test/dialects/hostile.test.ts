/** What nobody should send, at every route of every door: refused in the door's own words, and never with an error of ours. */
import { readFileSync } from 'node:fs'
import http from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { sql } from 'drizzle-orm'
import t, { type Test } from 'tap'
import { startApp } from '../helpers/app.js'
import {
  type Answer,
  bearer,
  createKnock,
  doorOf,
  entrances,
  type Headers,
  internals,
  isErrorOf,
  logins,
  newPerson,
  pairOf,
  password,
  protectedRoutes,
  registers,
  rowsOf,
  type Sent,
  securityHeaders,
  send as sendBy,
} from './doors.js'

const page = 'https://app.example.com'
const evil = 'https://evil.example'
// Nobody listens there: mails are written, and wait.
const mail = { SMTP_URL: 'smtp://127.0.0.1:9', MAIL_FROM: 'no-reply@acme.test' }
const { app, database } = await startApp(t, { CORS_ORIGINS: page, ...mail })
const knock = createKnock(app)
await app.ready()

const readVectors = (name: string) =>
  JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8')).vectors

const send = (t: Test, method: string, url: string, sent?: Sent): Promise<Answer> => sendBy(t, knock, method, url, sent)

/** Every operation that the document tells of, but the operators' own and those of services, who are nobody signed in. */
const operations = Object.entries(app.swagger().paths ?? {}).flatMap(([path, item]) =>
  [undefined, 'verifiers'].includes(doorOf(path))
    ? []
    : Object.keys(item ?? {}).map(method => ({ method: method.toUpperCase(), url: path.replace(/\{\w+\}/g, 'x') })),
)
const writes = operations.filter(({ method }) => method !== 'GET')
const ways = entrances.map(({ url }) => url)

/** Somebody signed in, by bearer and by cookie; again and again, for some requests sign them out. */
async function signedIn() {
  const person = newPerson()
  const { body } = await knock('POST', '/auth/register', { json: person })
  return { ...person, id: body.user.uuid as string, headers: bearer(body.access_token) }
}

// ------------------------------------------------------------------------------------------------------------ Bodies

t.test('A-06 F-16 R-33 text/plain is 415, and more than 16 KiB is 413, at every route that writes', async t => {
  const { headers: who } = await signedIn()
  const huge = { email: 'u@example.com', password: 'x'.repeat(1_000_000) }
  for (const { method, url } of writes) {
    const text = await send(t, method, url, { raw: '{}', headers: { ...who, 'content-type': 'text/plain' } })
    t.equal(text.status, 415, `${method} ${url}`)
    const large = await send(t, method, url, { json: huge, headers: who })
    t.equal(large.status, 413, `${method} ${url}`)
    const padded = await send(t, method, url, {
      raw: `${' '.repeat(16_384)}{`,
      headers: { ...who, 'content-type': 'application/json' },
    })
    t.equal(padded.status, 413, `${method} ${url}`)
  }
  t.equal((await knock('GET', '/auth/me', { headers: who })).status, 200, 'none of it was done')
})

// ------------------------------------------------------------------------------------------------- Mass assignment

const foreignId = '00000000-0000-7000-8000-000000000000'
const planted = {
  id: foreignId,
  uuid: foreignId,
  number: 1_000_000,
  userId: foreignId,
  user_id: foreignId,
  accountId: foreignId,
  sub: foreignId,
  sid: foreignId,
  emailVerified: true,
  email_verified: true,
  is_verified: true,
  role: 'admin',
  is_superuser: true,
  createdAt: '1970-01-01T00:00:00.000Z',
  created_at: '1970-01-01T00:00:00.000Z',
  updatedAt: '1970-01-01T00:00:00.000Z',
  passwordHash: '$2b$04$abcdefghijklmnopqrstuv',
  password_hash: '$2b$04$abcdefghijklmnopqrstuv',
  personalInfo: { admin: true },
  disabledAt: '1970-01-01T00:00:00.000Z',
  term: 'long',
  replaces: 'x',
  device: { ipAddress: '1.2.3.4' },
  background: { softwareLevel: 'advanced' },
  version: 9,
  status: 'archived',
}
const plantedQuery = `?${new URLSearchParams(Object.entries(planted).map(([name, value]): [string, string] => [name, String(value)]))}`

t.test('L-13 no member that was not asked for makes an account anything else', async t => {
  for (const { url, ask, status, door } of registers) {
    const person = newPerson()
    const asked = ask(person) as { data?: object }
    const json =
      door === 'codvid' ? { ...planted, ...asked, data: { ...planted, ...asked.data } } : { ...planted, ...asked }
    t.equal((await send(t, 'POST', url + plantedQuery, { json })).status, status, url)
    const [row] = rowsOf(
      await database.db.execute(sql`select a.id, a.number, a.email_verified, a.personal_info, a.disabled_at,
        now() - a.created_at < interval '1 minute' and now() - a.updated_at < interval '1 minute' as fresh,
        s.ip_address, extract(day from s.expires_at - s.created_at)::integer as days
        from accounts a join sessions s on s.account_id = a.id where a.email = ${person.email}`),
    )
    t.not(row.id, foreignId, url)
    t.ok(row.number < 100_000, url)
    const { id: _id, number: _number, ...rest } = row
    t.strictSame(
      rest,
      {
        email_verified: false,
        personal_info: null,
        disabled_at: null,
        fresh: true,
        ip_address: '127.0.0.1',
        days: door === 'codvid' ? 30 : 7,
      },
      url,
    )
  }
})

t.test('R-18 no id of somebody else stands in for a credential', async t => {
  const [ann, bob] = [await signedIn(), await signedIn()]
  const ids = { id: ann.id, uuid: ann.id, userId: ann.id, user_id: ann.id, sub: ann.id, accountId: ann.id }
  const query = new URLSearchParams(ids).toString()
  const withQuery = (url: string) => `${url}${url.includes('?') ? '&' : '?'}${query}`
  for (const { url, idIn } of protectedRoutes) {
    const mine = await send(t, 'GET', withQuery(url(bob)), { headers: bob.headers })
    t.equal(idIn(mine.body), bob.id, url(bob))
    const nobody = await send(t, 'GET', withQuery(url(bob)))
    t.ok(nobody.status === 401 || nobody.text === 'null', url(bob))
  }
  const before = (await knock('GET', '/auth/me', { headers: ann.headers })).body
  for (const { method, url } of writes.filter(({ url }) => !/delete|logout|sign-?out|revoke|me$/.test(url))) {
    const json = { ...ids, ...planted, ...ids, name: 'Eve', image: null }
    const nobody = await send(t, method, withQuery(url), { json })
    t.ok(nobody.status >= 400, `${method} ${url}`)
    await send(t, method, withQuery(url), { json, headers: bob.headers })
  }
  t.strictSame((await knock('GET', '/auth/me', { headers: ann.headers })).body, before)
  t.equal((await knock('GET', '/api/user/profile', { headers: ann.headers })).status, 404)
  t.strictSame(
    (await knock('GET', '/api/personalization/interactions', { headers: ann.headers })).body.interactions,
    [],
  )

  for (const { url, ask, accountIn, status } of logins) {
    const answer = await send(t, 'POST', withQuery(url), { json: { ...ids, ...ask({ email: bob.email, password }) } })
    t.equal(answer.status, status)
    t.equal(accountIn(answer), bob.id, url)
  }
})

// --------------------------------------------------------------------------------------------------- Identifiers

type Pair = { id: string; a: string; b: string; expect: string }

t.test('L-16 R-22 F-24 spellings of an address at every register', async t => {
  const more: Pair[] = [
    { id: 'fullwidth-at', a: 'victim\uff20example.com', b: 'victim@example.com', expect: 'reject-a' },
    { id: 'comma', a: 'a@example.com,victim@example.com', b: 'victim@example.com', expect: 'reject-a' },
    { id: 'percent', a: 'victim@ex%61mple.com', b: 'victim@example.com', expect: 'reject-a' },
    { id: 'tag', a: 'victim+tag@example.com', b: 'victim@example.com', expect: 'different-accounts' },
  ]
  for (const register of registers) {
    for (const { id, a, b, expect } of [...(readVectors('identifier_vectors.json') as Pair[]), ...more]) {
      await database.db.execute(sql`delete from accounts`)
      const name = `${id} at ${register.url}`
      const make = (email: string) => send(t, 'POST', register.url, { json: register.ask({ email, password }) })
      const first = await make(a)
      const isRefused = expect.startsWith('reject')
      t.ok(isRefused ? [400, 422].includes(first.status) : first.status === register.status, `${name}: ${first.status}`)
      if (b === '') continue
      const second = await make(b)
      const isMade = expect === 'different-accounts' || expect === 'reject-a'
      t.ok(isMade ? second.status === register.status : [400, 422].includes(second.status), `${name}: ${second.status}`)
      const rows = rowsOf(await database.db.execute(sql`select email from accounts`))
      t.equal(rows.length, { 'reject-both': 0, 'different-accounts': 2 }[expect] ?? 1, name)
      t.ok(
        rows.every(({ email }) => /^[!-~]+@[a-z0-9.-]+$/.test(email) && email === email.toLowerCase()),
        name,
      )

      if (expect !== 'same-account') continue
      for (const login of logins) {
        const back = await send(t, 'POST', login.url, { json: login.ask({ email: b, password }) })
        t.equal(login.accountIn(back), register.accountIn(first), `${name}, back at ${login.url}`)
      }
    }
  }
})

t.test('F-25 40 at once, in mixed case and through every door: one is first', async t => {
  for (let round = 0; round < 3; round += 1) {
    const { email } = newPerson()
    const spell = (count: number) =>
      [...email].map((letter, index) => ((count >> (index % 5)) & 1 ? letter.toUpperCase() : letter)).join('')
    const answers = await Promise.all(
      Array.from({ length: 40 / registers.length }, () => registers)
        .flat()
        .map(async (register, count) => {
          const answer = await send(t, 'POST', register.url, { json: register.ask({ email: spell(count), password }) })
          return { answer, register }
        }),
    )
    const made = answers.filter(({ answer, register }) => answer.status === register.status)
    const taken = answers.filter(({ answer }) => [400, 422].includes(answer.status))
    t.equal(made.length, 1)
    t.equal(taken.length, 39)
    for (const { answer } of taken) t.match(answer.text, /already (registered|exists|linked)/i)
  }
})

// ------------------------------------------------------------------------------------------- Credentials and headers

t.test('R-23 Authorization headers of every shape', async t => {
  const person = await signedIn()
  const token = person.headers.authorization?.slice('Bearer '.length) ?? ''
  const values = [
    '',
    ' ',
    'Bearer',
    'Bearer ',
    'bearer  x',
    'Bearer\tx',
    'Bearer x y',
    `Bearer ${token} ${token}`,
    `Bearer ${token},${token}`,
    `Bearer "${token}"`,
    `Bearer <${token}>`,
    `Bearer ${token}=`,
    `Bearer ${token.slice(0, -1)}`,
    `Bearer ${token}.`,
    `Bearer .${token}`,
    `Basic ${token}`,
    `Token ${token}`,
    token,
    `BearerX ${token}`,
    'Bearer null',
    'Bearer undefined',
    'Bearer [object Object]',
    'Bearer \u00e9\u00ff',
    'Bearer %',
    'Bearer %00',
    'Bearer %zz',
    'Bearer ..',
    'Bearer a.b',
    'Bearer a.b.c',
    'Bearer e30.e30.',
    'Bearer bnVsbA.bnVsbA.x',
    'Bearer W10.W10.x',
    `Bearer ${'.'.repeat(500)}`,
    `Bearer ${'a'.repeat(43)}`,
    `Bearer ${'a'.repeat(43)}.${'b'.repeat(43)}=`,
    `Bearer ${'x'.repeat(10_000)}`,
    'Digest username="x", realm="y"',
    '\u00ff\u00fe',
  ]
  for (const authorization of values) {
    for (const { url } of protectedRoutes) {
      const { status, text } = await send(t, 'GET', url(person), { headers: { authorization } })
      const isSignedOut = status === 401 || (url(person).endsWith('/get-session') && status === 200 && text === 'null')
      t.ok(isSignedOut, `${JSON.stringify(authorization.slice(0, 60))} at ${url(person)}: ${status}`)
    }
  }
})

t.test('T-08 every 401 carries a challenge, with an error only where a credential came', async t => {
  const { email, headers: who } = await signedIn()
  await knock('POST', '/auth/logout', { headers: who })
  for (const { method, url } of operations) {
    const none = await send(t, method, url, { json: method === 'GET' ? undefined : {} })
    if (none.status === 401) t.equal(none.headers['www-authenticate'], 'Bearer', `${method} ${url}`)
    const dead = await send(t, method, url, { json: method === 'GET' ? undefined : {}, headers: who })
    if (dead.status === 401)
      t.equal(dead.headers['www-authenticate'], 'Bearer error="invalid_token"', `${method} ${url}`)
    t.ok(none.status !== 401 || dead.status === 401, `${method} ${url}`)
  }
  for (const { url, ask, door } of logins) {
    const wrong = await send(t, 'POST', url, { json: ask({ email, password: 'wrong horse battery' }) })
    t.equal(wrong.status, door === 'codvid' ? 400 : 401)
    t.equal(wrong.headers['www-authenticate'], door === 'codvid' ? undefined : 'Bearer')
  }
})

t.test('C-07 doubled cookies with different values are no credential', async t => {
  const person = await signedIn()
  const plain = pairOf((await knock('POST', '/api/auth/login', { json: person })).cookies[0])
  const signed = pairOf((await knock('POST', '/api/auth/sign-in/email', { json: person })).cookies[0])
  for (const pair of [plain, signed]) {
    const [name] = pair.split('=')
    for (const { url, door } of protectedRoutes) {
      const state = async (cookie: string) =>
        (await send(t, 'GET', url(person), { headers: { cookie } })).text !== 'null'
      if (url(person).endsWith('/get-session')) {
        t.ok(await state(pair))
        t.notOk(await state(`${pair}; ${name}=x`))
        continue
      }
      const status = async (cookie: string) => (await send(t, 'GET', url(person), { headers: { cookie } })).status
      t.equal(await status(pair), 200, `${name} at ${door}`)
      t.equal(await status(`${pair}; ${pair}`), 200, 'twice the same is one')
      t.equal(await status(`${pair}; ${name}=x`), 401, `${name} at ${door}`)
      t.equal(await status(`${name}=x; ${pair}`), 401, `${name} at ${door}`)
    }
  }
})

// --------------------------------------------------------------------------------------------------- Foreign pages

t.test('C-04 no foreign page writes with a visitor’s cookie, at any route', async t => {
  const person = await signedIn()
  const cookie = pairOf((await knock('POST', '/api/auth/login', { json: person })).cookies[0])
  const pages: Headers[] = [
    { origin: evil },
    { origin: 'null' },
    { origin: `${page}.evil.example` },
    { referer: `${evil}/` },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
  ]
  for (const { method, url } of writes) {
    for (const headers of pages) {
      const { status } = await send(t, method, url, { json: {}, headers: { cookie, ...headers } })
      t.equal(status, 403, `${method} ${url} ${JSON.stringify(headers)}`)
    }
    const form = await send(t, method, url, { form: { a: '1' }, headers: { cookie, origin: evil } })
    t.equal(form.status, 403, `${method} ${url}`)
  }
  t.equal((await knock('GET', '/auth/me', { headers: { cookie } })).status, 200, 'none of it was done')
})

t.test('C-05 no foreign page signs a visitor in at a door that sets cookies', async t => {
  const person = await signedIn()
  const navigation = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }
  const pages: Headers[] = [{ origin: evil }, { origin: 'null' }, { referer: `${evil}/a` }, navigation]
  for (const { url, ask, status, door, way } of entrances) {
    const json = () => ask(way === 'login' ? person : newPerson())
    for (const headers of pages) {
      const answer = await send(t, 'POST', url, { json: json(), headers })
      t.equal(answer.status, door === 'better-auth' ? 403 : status, `${url} ${JSON.stringify(headers)}`)
      t.notOk(door !== 'better-auth' && answer.cookies.length > 0, `${url} sets no cookie`)
    }
    for (const headers of [{}, { origin: page }] as Headers[])
      t.equal(
        (await send(t, 'POST', url, { json: json(), headers })).status,
        status,
        `${url} ${JSON.stringify(headers)}`,
      )
  }
})

t.test('C-06 CORS names an origin only where it is one of ours, and never *', async t => {
  const { headers: who } = await signedIn()
  const foreign = [
    evil,
    'null',
    `${page}.evil.example`,
    'https://evil.example/https://app.example.com',
    'https://app.example.com.evil.example',
    'https://evilapp.example.com',
    'https://app-example.com',
    'https://app.example.com:444',
    'http://app.example.com',
    'https://APP.example.com',
    'https://app.example.com/',
    '*',
    `${page}, ${evil}`,
  ]
  for (const { method, url } of operations) {
    const preflight = (origin: string) =>
      knock('OPTIONS', url, { headers: { origin, 'access-control-request-method': method } })
    const ours = await preflight(page)
    t.equal(ours.status, 204, url)
    t.match(ours.headers, {
      'access-control-allow-origin': page,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': new RegExp(`\\b${method}\\b`),
      vary: /Origin/,
    })
    const answer = await knock(method, url, { json: method === 'GET' ? undefined : {}, headers: { origin: page } })
    t.equal(answer.headers['access-control-allow-origin'], page, `${method} ${url}`)
    t.match(answer.headers['access-control-expose-headers'], /set-auth-token/)
    for (const origin of [evil, 'null']) {
      t.notOk('access-control-allow-origin' in (await preflight(origin)).headers, `${origin} at ${url}`)
      const told = await knock(method, url, { json: method === 'GET' ? undefined : {}, headers: { origin } })
      t.notOk('access-control-allow-origin' in told.headers, `${origin} at ${method} ${url}`)
    }
  }
  for (const url of ['/auth/me', '/api/auth/login', '/codvid-ai/ping', '/livez', '/nothing']) {
    for (const headers of [{}, { origin: evil }, { 'access-control-request-method': 'GET' }] as Headers[]) {
      const answer = await knock('OPTIONS', url, { headers })
      t.equal(answer.status, 204, `${url}: what is no preflight is asked for nothing`)
      t.equal(answer.text, '')
      t.notOk('access-control-allow-origin' in answer.headers, `and told nothing at ${url}`)
    }
  }
  for (const origin of foreign) {
    for (const url of ['/auth/me', '/api/auth/get-session', '/api/user/profile', '/codvid-ai/ping', '/nothing']) {
      const answer = await knock('GET', url, { headers: { ...who, origin } })
      t.notOk('access-control-allow-origin' in answer.headers, `${origin} at ${url}`)
      t.match(answer.headers.vary, /Origin/)
    }
  }
})

// ------------------------------------------------------------------------------------------------------- The wire

const serverUrl = await app.listen({ host: '127.0.0.1', port: 0 })
const { port } = app.server.address() as AddressInfo

type RawAnswer = { status: number; headers: http.IncomingHttpHeaders; text: string }

/** Over a socket, with the address and the headers as they are. */
const request = (
  method: string,
  path: string,
  headers: http.OutgoingHttpHeaders | string[] = {},
  chunks: string[] = [],
): Promise<RawAnswer> =>
  new Promise((resolve, reject) => {
    const sent = http.request({
      host: '127.0.0.1',
      port,
      method,
      path,
      headers: headers as http.OutgoingHttpHeaders,
      agent: false,
    })
    sent.on('response', response => {
      let text = ''
      response.on('data', chunk => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
    })
    sent.on('error', reject)
    for (const chunk of chunks) sent.write(chunk)
    sent.end()
  })

t.test('A-03 methods nobody needs', async t => {
  const { headers: who } = await signedIn()
  for (const method of ['TRACE', 'PROPFIND', 'LOCK', 'SEARCH', 'QUERY', 'REPORT']) {
    for (const path of [
      '/auth/me',
      '/api/auth/user',
      '/api/auth/login',
      '/api/user/profile',
      '/codvid-ai/ping',
      '/livez',
      '/',
    ]) {
      for (const headers of [{}, who]) {
        const { status, text } = await request(method, path, { host: 'x', ...headers })
        t.ok([400, 401, 404, 405].includes(status), `${method} ${path}: ${status}`)
        t.notMatch(text, internals)
        t.notMatch(text, /authorization|eyJ/i, 'nothing is echoed')
      }
    }
  }
})

t.test('R-28 no spelling of a path gets past the check', async t => {
  const { headers: who, email } = await signedIn()
  const paths = [
    '/auth/me',
    '/auth/sessions',
    '/api/auth/user',
    '/api/auth/list-sessions',
    '/api/user/profile',
    '/api/user/personalization',
    '/api/personalization/context',
    '/api/personalization/interactions',
    `/codvid-ai/auth/get_uuid?email=${email}`,
  ]
  const spell = (path: string): string[] => {
    const last = path.lastIndexOf('/')
    const [head, tail] = [path.slice(0, last), path.slice(last + 1)]
    const [pathname = '', query = ''] = path.split('?')
    return [
      `${pathname}/${query && `?${query}`}`,
      `/${path}`,
      `${head}//${tail}`,
      `${head}/./${tail}`,
      `${head}/x/../${tail}`,
      `/public/..${path}`,
      `/codvid-ai/public/..${path}`,
      `/codvid-ai/public/%2e%2e${path}`,
      `/codvid-ai/public/..%2f..${path}`,
      `/livez/..${path}`,
      `${head}%2f${tail}`,
      `${head}%2F${tail}`,
      `${head}%5c${tail}`,
      `${head}\\${tail}`,
      `${pathname};a=b`,
      `${pathname}%00`,
      `${pathname}%20`,
      `${pathname}.json`,
      `${pathname}%3f${query}`,
      `${pathname}%23`,
      path.toUpperCase(),
      path.replace(/[a-z]/, letter => letter.toUpperCase()),
      path.replace(/[a-z]/, letter => `%${letter.charCodeAt(0).toString(16)}`),
      path.replace(/[a-z]/, letter => `%25${letter.charCodeAt(0).toString(16)}`),
      path.replace('/', '/%zz'),
      path.replace('/', '/%c0%ae'),
      `http://x${path}`,
      path,
    ]
  }
  for (const path of paths) {
    t.equal((await request('GET', path, who)).status, path.match(/profile|context/) ? 404 : 200, path)
    for (const spelling of spell(path)) {
      const { status, text, headers } = await request('GET', spelling)
      t.ok([400, 401, 404].includes(status), `${spelling}: ${status}`)
      t.notMatch(text, internals, spelling)
      t.ok(headers['x-request-id'], spelling)
      t.equal(headers['x-content-type-options'], 'nosniff', spelling)
    }
  }
})

t.test('R-28 F-18 addresses that cannot be decoded, or are too long, name nothing', async t => {
  const { headers: who } = await signedIn()
  for (const path of ['/auth/%zz', '/codvid-ai/%', '/%', `/auth/sessions/${'x'.repeat(201)}`, '/api/%ff%fe']) {
    const answer = await request('DELETE', path, who)
    t.equal(answer.status, 404, path)
    t.match(answer.headers, {
      'content-type': /^application\/problem\+json/,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    t.strictSame(JSON.parse(answer.text), {
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      code: 'not_found',
      request_id: answer.headers['x-request-id'],
    })
  }
  t.equal((await request('GET', `/auth/me?x=${'y'.repeat(20_000)}`, who)).status, 431)
})

t.test('F-16 a body too large is refused before it has come', async t => {
  for (const path of ways) {
    const announced = await announce(path, 10_485_760)
    t.match(announced, /^HTTP\/1\.1 413 /, path)
    const chunked = await request('POST', path, { 'content-type': 'application/json' }, Array(5).fill(' '.repeat(4096)))
    t.equal(chunked.status, 413, path)
    t.notMatch(chunked.text, internals)
  }
})

/** The answer to a body of which nothing ever comes but its length. */
const announce = (path: string, length: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('data', data => resolve(String(data)))
    socket.on('data', () => socket.destroy())
    socket.on('error', reject)
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`,
    )
  })

t.test('F-18 too many headers, or too long ones', async t => {
  const flood = (count: number) => Array.from({ length: count }, (_, index) => [`x-${index}`, '1']).flat()
  const words: [string, object][] = [
    ['/auth/me', { detail: 'Request header fields are too large' }],
    [
      '/api/auth/get-session',
      { success: false, code: 'REQUEST_HEADER_FIELDS_TOO_LARGE', message: 'Request header fields are too large' },
    ],
    [
      '/api/user/profile',
      { success: false, code: 'REQUEST_HEADER_FIELDS_TOO_LARGE', message: 'Request header fields are too large' },
    ],
    ['/codvid-ai/ping', { result: false, message: 'request headers are too large.' }],
  ]
  for (const [path, body] of words) {
    const answer = await request('GET', path, ['host', 'x', ...flood(100)])
    t.equal(answer.status, 431, path)
    t.strictSame(JSON.parse(answer.text), body)
    t.match(answer.headers, { ...securityHeaders, 'cache-control': 'no-store' })
    t.not((await request('GET', path, ['host', 'x', ...flood(90)])).status, 431, 'many are not too many')
    t.equal((await request('GET', path, ['host', 'x', ...flood(1500)])).status, 431)
    t.equal((await request('GET', path, { 'x-long': 'x'.repeat(20_000) })).status, 431)
    t.equal((await request('GET', path, { cookie: 'session_token=x; '.repeat(2000) })).status, 431)
  }
  const two = await request('GET', '/auth/me', ['host', 'x', 'authorization', 'Bearer x', 'authorization', 'Bearer y'])
  t.ok([400, 401].includes(two.status))
  t.equal((await fetch(`${serverUrl}/livez`)).status, 200, 'and it is still there')
})

// ----------------------------------------------------------------------------------------------- What is our own fault

const everyRequest = async () => {
  const person = await signedIn()
  const { headers } = person
  const routes = protectedRoutes.map(({ url }) => ({ method: 'GET', url: url(person), sent: { headers } }))
  const entries = entrances.map(({ url, ask, way }) => ({
    method: 'POST',
    url,
    sent: { json: ask(way === 'login' ? person : newPerson()) },
  }))
  return [...entries, ...routes]
}

t.test('A-01 A-02 a fault of ours is 500 in the door’s own words, and nothing more is said', async t => {
  const requests = await everyRequest()
  await database.db.execute(sql`alter table accounts rename to accounts_away`)
  for (const { method, url, sent } of requests) {
    const { status, text, body, headers } = await knock(method, url, sent)
    t.equal(status, 500, url)
    t.ok(isErrorOf(doorOf(url) ?? 'profile', body), text)
    t.notMatch(text, internals)
    t.match(headers, { ...securityHeaders, 'cache-control': 'no-store' })
  }
  await database.db.execute(sql`alter table accounts_away rename to accounts`)
  for (const { method, url, sent } of requests) t.ok((await knock(method, url, sent)).status < 300, `${url} again`)
})

// The last one: it leaves no database.
t.test('A-02 a database that is away signs nobody out, at no route', async t => {
  const { headers: who } = await signedIn()
  const requests = await everyRequest()
  const guarded = operations
    .filter(({ url }) => !ways.includes(url))
    .map(({ method, url }) => ({ method, url, sent: { json: method === 'GET' ? undefined : {}, headers: who } }))
  await database.close()
  for (const { method, url, sent } of [...requests, ...guarded]) {
    const { status, text, body, headers } = await knock(method, url, sent)
    if (status < 300) {
      t.match(url, /\/(ok|ping|jwks)$/, 'only what asks nothing of it goes on')
      continue
    }
    const isMemberNeeded = /\/(refresh|request-[a-z-]+|reset-password|send-[a-z-]+|verify-email)$/.test(url)
    const refused = url.startsWith('/api') ? 400 : 422
    t.equal(status, isMemberNeeded ? refused : url.startsWith('/codvid-ai') ? 500 : 503, `${method} ${url}`)
    t.ok(isErrorOf(doorOf(url) ?? 'profile', body), text)
    t.notMatch(text, internals)
    if (!isMemberNeeded) t.match(headers['retry-after'], /^\d+$/, `${method} ${url}`)
    t.notOk('www-authenticate' in headers)
  }
})
