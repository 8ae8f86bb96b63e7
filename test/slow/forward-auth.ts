/**
 * Forward auth with a real nginx (Debian's package) that is configured by docs/forward-auth.md to the letter, ports apart: who gets
 * through to the upstream and as whom, who does not, and what a client is told while Gatehouse is away. Exits with 1 where
 * one is not so.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer as createNetServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config.js'
import { startService } from '../../src/service.js'

type Arrival = { method: string; path: string; headers: [name: string, value: string][]; body: Buffer }
type Answer = { status: number; headers: IncomingHttpHeaders; body: string }
type Question = {
  method?: string
  path?: string
  headers?: Record<string, string>
  /** Headers as they shall stand on the wire, after the others. */
  more?: [name: string, value: string][]
  body?: Buffer
  chunked?: boolean
}
type Person = { sub: string; sid: string; bearer: string; refresh: string; email: string }
type Ports = { gatehouse: number; app: number }
type Nginx = { port: number; stop(): Promise<void> }

const password = 'correct horse battery'
const json = { 'content-type': 'application/json' }
/** The host that the client believes to talk to. The origin of its pages. */
const host = 'app.example.com'
const home = `http://${host}`
const friend = 'https://pages.example.com'
const stranger = 'https://stranger.example.net'
/** Life of a session that nobody uses; its end moves, and its cookie with it, when a seventh of that is over. */
const sessionTtl = 70
const loadSeconds = 3
const megabyte = Buffer.alloc(2 ** 20, 'gatehouse ')

const top = new URL('../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, top), 'utf8')
const say = (line: string) => process.stdout.write(`${line}\n`)

const environment = {
  DATA_DIR: 'memory://',
  BCRYPT_COST: '4',
  LOG_LEVEL: 'silent',
  PORT: '0',
  // The secret of the vectors, so that those which are well signed are refused for what they say.
  JWT_SECRET: 'g_EYu9r6uwlaU0fpwqZm3YPJbzBtPKXguh1fDbZ0TkE',
  REFRESH_TOKEN_SECRET: 'cmVmcmVzaC10b2tlbi1zZWNyZXQtb2YtdGhlLXRlc3Rz',
  JWT_ISSUER: 'https://auth.example.com',
  REFRESH_TOKEN_TTL: `${sessionTtl}s`,
  TRUST_PROXY: 'loopback',
  // It must not matter to the check that pages of other origins may call Gatehouse.
  CORS_ORIGINS: friend,
}

const arrivals: Arrival[] = []
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-forward-auth-'))
const running: Nginx[] = []
let people = 0

testPage()
const service = await startService(loadConfig(environment, 'no-such-file'))
const servicePort = Number(new URL(service.address).port)
const upstream = await startUpstream()
const app = (upstream.address() as AddressInfo).port
let isServing = true
try {
  const nginx = await startNginx({ gatehouse: servicePort, app })
  const asked = listenForQuestions()
  await testNobody(nginx)
  await testBadTokens(nginx)
  await testGoodCredentials(nginx)
  await testSpoofing(nginx)
  await testRequestsStayWhole(nginx)
  await testUrls(nginx)
  await testOrigins(nginx)
  await testEnds(nginx)
  await testQuestions(nginx, asked)
  asked.close()
  await testEveryMethod()

  const visitor = await signUp()
  const { cookie } = await signIn(visitor, '/api/auth/sign-in/email')
  const signedInAt = performance.now()
  await measure()
  await sleep(Math.max(0, signedInAt + (sessionTtl / 7 + 1) * 1000 - performance.now()))
  await testRenewal(nginx, visitor, cookie)
  await testDatabaseAway(visitor)
  await testServiceGone(nginx, visitor)
} finally {
  for (const nginx of running) await nginx.stop()
  upstream.close()
  upstream.closeAllConnections()
  if (isServing) await service.stop({ drain: false })
  rmSync(folder, { recursive: true, force: true })
}

/** What an operator copies is what runs here. The other two proxies do not run here, but are at least YAML. */
function testPage(): void {
  const page = read('docs/forward-auth.md')
  for (const [name, language] of [
    ['nginx.conf', 'nginx'],
    ['traefik.yaml', 'yaml'],
    ['envoy.yaml', 'yaml'],
  ]) {
    const path = `samples/forward-auth/${name}`
    const shown = page.split(`<!-- ${path} -->\n\n\`\`\`${language}\n`)[1]?.split('```')[0]
    assert.equal(shown, read(path), `docs/forward-auth.md shows ${path}`)
    if (language === 'yaml') assert.ok(parse(read(path)), path)
  }
  say('the page shows the samples')
}

async function testNobody(nginx: Nginx): Promise<void> {
  for (const method of ['GET', 'HEAD', 'POST', 'OPTIONS', 'DELETE', 'PROPFIND']) {
    const answer = await refused(nginx, { method }, 401)
    assert.equal(answer.headers['www-authenticate'], 'Bearer', method)
  }
  const preflight = { origin: friend, 'access-control-request-method': 'PUT' }
  await refused(nginx, { method: 'OPTIONS', headers: preflight }, 401)
  const basic = await refused(nginx, { headers: { authorization: 'Basic dXNlcjpwYXNz' } }, 401)
  assert.equal(basic.headers['www-authenticate'], 'Bearer')
  // The question itself is nobody's to ask but nginx's.
  await refused(nginx, { path: '/_gatehouse' }, 404)
  say('nobody: 401 with WWW-Authenticate, by any method')
}

async function testBadTokens(nginx: Nginx): Promise<void> {
  const { vectors } = JSON.parse(read('test/vectors/jwt_hs256_attack_vectors.json')) as {
    vectors: { id: string; expect: string; token: string }[]
  }
  const isSendable = (token: string) => /^[!-~]+$/.test(token) && token.length < 6000
  const bad = vectors.filter(({ expect, token }) => expect.startsWith('reject') && isSendable(token))
  assert.ok(bad.length >= 20)
  for (const { id, token } of bad) {
    const answer = await refused(nginx, { headers: { authorization: `Bearer ${token}` } }, 401)
    assert.equal(answer.headers['www-authenticate'], 'Bearer error="invalid_token"', id)
  }
  const { refresh, bearer } = await signUp()
  await refused(nginx, { headers: { authorization: `Bearer ${refresh}` } }, 401)
  await refused(nginx, { headers: { cookie: `session_token=${'x'.repeat(43)}` } }, 401)
  // nginx 1.23 and later answer the second one themselves.
  const doubled = await ask(nginx, { more: Array(2).fill(['Authorization', `Bearer ${bearer}`]) })
  assert.match(String(doubled.status), /^40[01]$/)
  assert.deepEqual(arrivals, [])
  say(`measured: ${bad.length} bad tokens, a refresh token, a made-up cookie and a doubled header all refused`)
}

async function testGoodCredentials(nginx: Nginx): Promise<void> {
  const person = await signUp()
  await passes(nginx, { headers: { authorization: `Bearer ${person.bearer}` } }, person)
  for (const path of ['/api/auth/login', '/api/auth/sign-in/email']) {
    const { cookie, token, sid } = await signIn(person, path)
    const here = { ...person, sid }
    await passes(nginx, { headers: { cookie } }, here)
    await passes(nginx, { headers: { authorization: `Bearer ${token}` } }, here)
    for (const method of ['HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND'])
      await passes(nginx, { method, headers: { cookie, origin: home } }, here)
  }
  say('access token, session token and either cookie: through, by any method')
}

/** Whatever a client says of who it is, the upstream hears it from Gatehouse. */
async function testSpoofing(nginx: Nginx): Promise<void> {
  const person = await signUp()
  const { bearer } = person
  const somebody = '00000000-0000-7000-8000-000000000000'
  const spellings = [
    'X-Auth-User',
    'x-auth-user',
    'X-AUTH-USER',
    'X_Auth_User',
    'X-Auth_User',
    'X.Auth.User',
    'x_AUTH-user',
  ]
  for (const name of spellings) {
    const session = name.replace(/user/i, 'Session')
    const more: [string, string][] = [
      [name, somebody],
      [session, somebody],
      [name, `${somebody}, ${somebody}`],
    ]
    const arrival = await passes(nginx, { headers: { authorization: `Bearer ${bearer}` }, more }, person)
    assert.ok(!arrival.headers.some(([, value]) => value.includes(somebody)), name)
    await refused(nginx, { more }, 401)
  }
  say('a client that calls itself somebody else is still itself')
}

async function testRequestsStayWhole(nginx: Nginx): Promise<void> {
  const person = await signUp()
  const headers = { authorization: `Bearer ${person.bearer}`, 'content-type': 'not a media type' }
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
    for (const chunked of [false, true]) {
      const { body } = await passes(nginx, { method, headers, body: megabyte, chunked }, person)
      assert.ok(body.equals(megabyte), `${method}, ${chunked ? 'chunked' : 'of known length'}`)
    }
  const expecting = { ...headers, expect: '100-continue' }
  const { body } = await passes(nginx, { method: 'POST', headers: expecting, body: megabyte }, person)
  assert.ok(body.equals(megabyte), 'Expect: 100-continue')
  await refused(nginx, { method: 'POST', body: megabyte }, 401)
  // More than Gatehouse reads, a 431 of its own: no leave either.
  const much = { ...headers, 'x-a': 'a'.repeat(7000), 'x-b': 'b'.repeat(7000), 'x-c': 'c'.repeat(7000) }
  await refused(nginx, { headers: much }, 503)
  await refused(nginx, { headers, more: Array.from({ length: 101 }, (_, n) => [`x-${n}`, 'x']) }, 503)
  say('bodies of 1 MiB arrive whole')
}

async function testUrls(nginx: Nginx): Promise<void> {
  const person = await signUp()
  const headers = { authorization: `Bearer ${person.bearer}` }
  const token = person.bearer
  const paths = ['/a%2Fb//c/;d=1?x=1&y=%20z&y=', '/%E2%82%AC?q=%zz', '/oauth2/verify?x', `/?access_token=${token}`]
  for (const path of paths) {
    assert.equal((await passes(nginx, { path, headers }, person)).path, path)
    await refused(nginx, { path }, 401)
  }
  // Gatehouse itself does not read them either.
  const { cookie } = await signIn(person, '/api/auth/login')
  for (const query of [`access_token=${token}`, `token=${token}`, `authorization=Bearer%20${token}`, cookie])
    assert.equal((await fetch(`${service.address}/oauth2/verify?${query}`)).status, 401)
  say('paths and queries arrive untouched, and a token in them counts for nothing')
}

/** What the question as a POST is for: a page that uses its visitor's cookies to change something must be one we trust. */
async function testOrigins(nginx: Nginx): Promise<void> {
  const person = await signUp()
  for (const path of ['/api/auth/login', '/api/auth/sign-in/email']) {
    const { cookie, sid } = await signIn(person, path)
    const here = { ...person, sid }
    for (const method of ['POST', 'PUT', 'DELETE', 'PROPFIND']) {
      for (const origin of [home, friend]) await passes(nginx, { method, headers: { cookie, origin } }, here)
      for (const origin of [stranger, 'null', `${home}:8443`, home.replace('http', 'https')])
        await refused(nginx, { method, headers: { cookie, origin } }, 403)
      await refused(nginx, { method, headers: { cookie, 'sec-fetch-site': 'cross-site' } }, 403)
      // Nobody can claim to have asked for another address than he did.
      for (const scheme of ['http', 'https']) {
        const forwarded = { 'x-forwarded-host': new URL(stranger).host, 'x-forwarded-proto': scheme }
        const origin = stranger.replace('https', scheme)
        await refused(nginx, { method, headers: { cookie, origin, ...forwarded } }, 403)
      }
      // Programs state no origin; what a page may not send at all, a bearer, is nobody's by accident.
      await passes(nginx, { method, headers: { cookie } }, here)
      const bearer = { authorization: `Bearer ${person.bearer}`, origin: stranger }
      await passes(nginx, { method, headers: bearer }, person)
    }
    // Reading is not looked at, here as anywhere: an upstream must not change anything for a GET.
    await passes(nginx, { headers: { cookie, origin: stranger } }, here)
  }
  say('cookies: a page we do not trust changes nothing with them')
}

async function testEnds(nginx: Nginx): Promise<void> {
  const person = await signUp()
  const headers = { authorization: `Bearer ${person.bearer}` }
  await passes(nginx, { headers }, person)
  await call('/auth/logout', { refresh_token: person.refresh })
  await refused(nginx, { headers }, 401)

  for (const path of ['/api/auth/login', '/api/auth/sign-in/email']) {
    const { cookie, sid } = await signIn(person, path)
    await passes(nginx, { headers: { cookie } }, { ...person, sid })
    await call('/api/auth/sign-out', {}, { cookie })
    await refused(nginx, { headers: { cookie } }, 401)
  }
  say('signed out: refused at the very next request')
}

/** What Gatehouse is asked: one address, without a query or a body, over connections that stay. */
async function testQuestions(nginx: Nginx, asked: ReturnType<typeof listenForQuestions>): Promise<void> {
  assert.deepEqual([...asked.urls], ['/oauth2/verify'])
  assert.deepEqual([...asked.methods].sort(), ['GET', 'POST'])
  assert.equal(asked.withBody, 0)
  const person = await signUp()
  asked.sockets.clear()
  const before = asked.count
  for (let n = 0; n < 100; n += 1)
    await passes(nginx, { headers: { authorization: `Bearer ${person.bearer}` } }, person)
  assert.equal(asked.count - before, 100)
  assert.equal(asked.sockets.size, 1)
  say(`measured: ${asked.count} questions; of 100 in a row, ${asked.sockets.size} connection`)
}

/** Without a proxy between: what Envoy and Traefik send, which keep the method and may append the path. */
async function testEveryMethod(): Promise<void> {
  const person = await signUp()
  const gatehouse = { port: servicePort }
  const good = { authorization: `Bearer ${person.bearer}` }
  const preflight = { origin: friend, 'access-control-request-method': 'PUT' }
  const methods = [
    'GET',
    'HEAD',
    'POST',
    'PUT',
    'PATCH',
    'DELETE',
    'OPTIONS',
    'TRACE',
    'PROPFIND',
    'MKCOL',
    'LOCK',
    'REPORT',
  ]
  const paths = ['', '/', '//a', '/a%2Fb', '/%00', '/../..', '?q=%zz', `/${'long'.repeat(1000)}`]
  for (const method of methods)
    for (const path of paths.map(path => `/oauth2/verify${path}`)) {
      const { status, headers } = await ask(gatehouse, { method, path, headers: good })
      assert.deepEqual(
        [status, headers['x-auth-user'], headers['x-auth-session']],
        [200, person.sub, person.sid],
        method,
      )
      // Not as a preflight either, which would be a 204 that some proxies take for leave.
      assert.equal((await ask(gatehouse, { method, path, headers: preflight })).status, 401, `${method} ${path}`)
    }
  for (const type of ['application/json', 'nonsense', ';', ''])
    for (const chunked of [false, true]) {
      const question = { method: 'POST', path: '/oauth2/verify/a', body: megabyte, chunked }
      const { status } = await ask(gatehouse, { ...question, headers: { ...good, 'content-type': type } })
      assert.equal(status, 200, type)
    }
  say(`Gatehouse alone: ${methods.length} methods, ${paths.length} paths, bodies of any type`)
}

/** A user of the upstream alone stays signed in: the session's cookie is renewed through nginx. */
async function testRenewal(nginx: Nginx, person: Person, cookie: string): Promise<void> {
  const { status, headers } = await ask(nginx, { headers: { cookie } })
  assert.equal(status, 200)
  const renewed = headers['set-cookie'] ?? []
  assert.equal(renewed.length, 1)
  assert.ok(renewed[0]?.startsWith(`${cookie};`) && renewed[0].includes(`Max-Age=${sessionTtl};`), renewed[0])
  assert.equal(arrivals.splice(0).length, 1)
  const again = await ask(nginx, { headers: { cookie } })
  assert.deepEqual([again.status, again.headers['set-cookie']], [200, undefined], person.email)
  arrivals.length = 0
  say('a cookie is renewed once it is due')
}

async function testDatabaseAway(person: Person): Promise<void> {
  const nowhere = { ...environment, DATABASE_URL: `postgres://nobody@127.0.0.1:${await freePort()}/nothing` }
  const blind = await startService(loadConfig(nowhere, 'no-such-file'))
  try {
    const nginx = await startNginx({ gatehouse: Number(new URL(blind.address).port), app })
    const started = performance.now()
    await unavailable(nginx, person)
    say(`measured: without its database, 503 after ${Math.round(performance.now() - started)} ms`)
    await refused(nginx, {}, 401)
  } finally {
    await blind.stop({ drain: false })
  }
}

async function testServiceGone(nginx: Nginx, person: Person): Promise<void> {
  isServing = false
  await service.stop({ drain: false })
  const started = performance.now()
  await unavailable(nginx, person)
  say(`measured: Gatehouse stopped, 503 after ${Math.round(performance.now() - started)} ms`)
}

async function unavailable(nginx: Nginx, { bearer }: Person): Promise<void> {
  const headers = { authorization: `Bearer ${bearer}` }
  for (const method of ['GET', 'POST']) {
    const answer = await refused(nginx, { method, headers, body: Buffer.from('x') }, 503)
    assert.equal(answer.headers['retry-after'], '2')
  }
}

/** With and without the question, before an upstream that is nginx itself, so that nothing but the question costs anything. */
async function measure(): Promise<void> {
  const { bearer } = await signUp()
  const rates: number[] = []
  for (const isAsking of [false, true]) {
    const nginx = await startNginx({ gatehouse: servicePort, app }, { isAsking, toItself: true })
    rates.push(await rateOf(`http://127.0.0.1:${nginx.port}/`, bearer))
    await nginx.stop()
  }
  const [without = 0, asking = 0] = rates
  const share = (asking / without).toFixed(2)
  say(`measured: nginx alone ${Math.round(without)} requests/s, asking ${Math.round(asking)}/s: ${share} of it`)
}

/** RATE_LIMIT is on: a single 429 would show. */
async function rateOf(url: string, bearer: string): Promise<number> {
  const autocannon = createRequire(import.meta.url).resolve('autocannon')
  const options = ['--json', '--connections', '16', '--duration', String(loadSeconds)]
  const child = spawn(process.execPath, [autocannon, ...options, '--headers', `authorization=Bearer ${bearer}`, url], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let text = ''
  child.stdout.on('data', chunk => {
    text += chunk
  })
  await once(child, 'close')
  const { requests, '2xx': good, non2xx, errors } = JSON.parse(text)
  assert.deepEqual({ non2xx, errors, isAny: good > 0 }, { non2xx: 0, errors: 0, isAny: true })
  return requests.average
}

/** The request gets through, and the upstream is told once each who sent it. */
async function passes(nginx: Nginx, question: Question, { sub, sid }: Pick<Person, 'sub' | 'sid'>): Promise<Arrival> {
  const { status, headers, body } = await ask(nginx, question)
  const what = JSON.stringify({ ...question, body: question.body?.length })
  assert.equal(status, 200, what)
  assert.equal(headers['set-cookie'], undefined, what)
  const [arrival, ...more] = arrivals.splice(0)
  assert.ok(arrival && more.length === 0, what)
  assert.equal(arrival.method, question.method ?? 'GET')
  assert.equal(arrival.path, question.path ?? '/')
  assert.equal(body, arrival.method === 'HEAD' ? '' : `${arrival.method} ${arrival.path}`)
  assert.deepEqual(saidOf(arrival, 'x-auth-user'), [sub], what)
  assert.deepEqual(saidOf(arrival, 'x-auth-session'), [sid], what)
  return arrival
}

/** The client gets this status, and the upstream does not hear of it. */
async function refused(nginx: Nginx, question: Question, status: number): Promise<Answer> {
  const answer = await ask(nginx, question)
  const what = JSON.stringify({ ...question, body: question.body?.length })
  assert.equal(answer.status, status, what)
  assert.deepEqual(arrivals, [], what)
  return answer
}

/** Values under a name, however a careless server would spell it. */
function saidOf({ headers }: Arrival, name: string): string[] {
  return headers.filter(([sent]) => sent.toLowerCase().replace(/[^a-z]/g, '-') === name).map(([, value]) => value)
}

async function ask({ port }: Pick<Nginx, 'port'>, question: Question): Promise<Answer> {
  const { method = 'GET', path = '/', headers = {}, more = [], body, chunked = false } = question
  const length = body && !chunked ? { 'content-length': String(body.length) } : {}
  const framing = body && chunked ? { 'transfer-encoding': 'chunked' } : length
  const sent = [...Object.entries({ host, connection: 'close', ...headers, ...framing }), ...more]
  const outgoing = request({ host: '127.0.0.1', port, method, path, headers: sent.flat() })
  // A refusal may come before the body is read, and end the connection under it.
  const responded = once(outgoing, 'response') as Promise<[IncomingMessage]>
  if (headers.expect) outgoing.on('continue', () => outgoing.end(body)).flushHeaders()
  else outgoing.end(body)
  const [response] = await responded
  outgoing.on('error', () => {})
  let text = ''
  for await (const chunk of response) text += chunk
  return { status: response.statusCode ?? 0, headers: response.headers, body: text }
}

async function call(path: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  const response = await fetch(service.address + path, {
    method: 'POST',
    headers: { ...json, ...headers },
    body: JSON.stringify(body),
  })
  assert.equal(response.status, 200, path)
  return response
}

async function signUp(): Promise<Person> {
  people += 1
  const email = `visitor${people}@example.com`
  const response = await call('/auth/register', { email, password })
  const { access_token: bearer, refresh_token: refresh } = (await response.json()) as Record<string, string>
  assert.ok(bearer && refresh)
  return { ...claimsOf(bearer), bearer, refresh, email }
}

/** The cookie and the opaque token of a new session at a door that sets one. */
async function signIn({ email }: Person, path: string): Promise<{ cookie: string; token: string; sid: string }> {
  const response = await call(path, { email, password })
  const cookies = response.headers.getSetCookie().map(value => String(value.split(';')[0]))
  const [cookie = '', ...more] = cookies.filter(pair => pair.includes('session_token='))
  assert.ok(cookie !== '' && more.length === 0)
  const { token } = (await response.json()) as { token: string }
  const current = await fetch(`${service.address}/api/auth/get-session`, { headers: { cookie } })
  const { session } = (await current.json()) as { session: { id: string } }
  return { cookie, token, sid: session.id }
}

function claimsOf(token: string): { sub: string; sid: string } {
  const { sub, sid } = JSON.parse(Buffer.from(String(token.split('.')[1]), 'base64url').toString())
  return { sub, sid }
}

/** What reaches Gatehouse, seen from inside its process. */
function listenForQuestions() {
  const asked = {
    urls: new Set<string | undefined>(),
    methods: new Set<string | undefined>(),
    sockets: new Set<Socket>(),
    count: 0,
    withBody: 0,
    close: () => unsubscribe('http.server.request.start', onRequest),
  }
  const onRequest = (message: unknown) => {
    const { request: incoming } = message as { request: IncomingMessage }
    const { url, method, socket, headers } = incoming
    // What the tests themselves ask of it is not nginx's.
    if (socket.localPort !== servicePort || headers.host !== host) return
    asked.count += 1
    asked.urls.add(url)
    asked.methods.add(method)
    asked.sockets.add(socket)
    if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) asked.withBody += 1
  }
  subscribe('http.server.request.start', onRequest)
  return asked
}

/** Remembers what arrives, and says so. */
async function startUpstream() {
  const server = createServer(async (incoming, outgoing) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    const { method = '', url = '', rawHeaders } = incoming
    const headers = rawHeaders.flatMap((name, n): Arrival['headers'] =>
      n % 2 === 0 ? [[name, String(rawHeaders[n + 1])]] : [],
    )
    arrivals.push({ method, path: url, headers, body: Buffer.concat(chunks) })
    outgoing.end(`${method} ${url}`)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return server
}

/** The page's configuration inside the least that nginx needs around it. */
async function startNginx(ports: Ports, options = { isAsking: true, toItself: false }): Promise<Nginx> {
  const program = ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/bin/nginx'].find(path => existsSync(path))
  assert.ok(program, 'nginx is not installed: apt-get install nginx')
  const [port, fixedPort] = [await freePort(), await freePort()]
  const home = mkdtempSync(join(folder, 'nginx-'))
  writeFileSync(
    join(home, 'site.conf'),
    toSite(port, { ...ports, ...(options.toItself ? { app: fixedPort } : {}) }, options),
  )
  writeFileSync(join(home, 'nginx.conf'), around(home, fixedPort))
  const child = spawn(program, ['-p', home, '-c', join(home, 'nginx.conf'), '-e', join(home, 'error.log')], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const nginx = { port, stop: () => end(child) }
  running.push(nginx)
  await reachable(child, port)
  return nginx
}

function toSite(port: number, { gatehouse, app: upstreamPort }: Ports, { isAsking }: { isAsking: boolean }): string {
  const conf = read('samples/forward-auth/nginx.conf')
  const replacements: [from: string, to: string][] = [
    ['listen 80;', `listen ${port};`],
    ['127.0.0.1:3000;', `127.0.0.1:${gatehouse};`],
    ['127.0.0.1:8080;', `127.0.0.1:${upstreamPort};`],
    ...(isAsking ? [] : ([['auth_request /_gatehouse;', '']] as [string, string][])),
  ]
  return replacements.reduce((text, [from, to]) => {
    assert.equal(text.split(from).length, 2, `${from} stands once in nginx.conf`)
    return text.replace(from, to)
  }, conf)
}

/** One process as whoever runs this: the workers of a master run by root would be somebody else, without a right to the folder. */
function around(home: string, fixedPort: number): string {
  return `
daemon off;
master_process off;
pid ${home}/nginx.pid;
events { worker_connections 512; }
http {
    access_log off;
    keepalive_requests 1000000;
    ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(kind => `${kind}_temp_path ${home}/${kind};`).join('\n    ')}
    include ${home}/site.conf;
    server {
        listen 127.0.0.1:${fixedPort};
        location / { return 200 "fixed"; }
    }
}
`
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  await exited
}

async function reachable(child: ChildProcess, port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    assert.equal(child.exitCode, null, 'nginx did not start')
    const answer = await ask({ port }, { path: '/_gatehouse' }).catch(() => undefined)
    if (answer) return
    await sleep(50)
  }
  throw new Error('nginx did not answer')
}

async function freePort(): Promise<number> {
  const server = createNetServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}
