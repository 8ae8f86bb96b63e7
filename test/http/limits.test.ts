/** How many requests an address may make: what is counted together, what is said about it, and that nothing is done before. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import fastify from 'fastify'
import t, { type Test } from 'tap'
import { defaultLimits, toLimits } from '../../src/http/limit-classes.js'
import { limitRequests } from '../../src/http/limits.js'
import {
  bearer,
  createKnock,
  type Entrance,
  logins,
  newPerson,
  password,
  registers,
  type Sent,
  startSibling,
} from '../dialects/doors.js'
import { startApp } from '../helpers/app.js'

const run = promisify(execFile)
const origin = 'https://app.example.com'
const unknownToken = 'x'.repeat(43)
const limited = { RATE_LIMIT: 'on', TRUST_PROXY: '10.0.0.0/8, loopback', CORS_ORIGINS: origin }

const service = await startApp(t, limited)
const onePerHour = await startApp(t, {
  ...limited,
  RATE_LIMITS: 'password=1/h,register=1/h,mail=1/h,session=1/h,other=1/h',
})

let addresses = 0

/** How somebody knocks whose address has not been here before. */
function arrive({ app } = service) {
  addresses += 1
  const address = `192.0.2.${addresses}`
  const knock = createKnock(app)
  return (method: string, url: string, sent: Sent = {}) =>
    knock(method, url, { ...sent, headers: { 'x-forwarded-for': address, ...sent.headers } })
}

/** What an address may still do, as the next answer tells it. */
async function remaining(remoteAddress: string, forwarded?: string, { app } = service): Promise<number> {
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }
  const answer = await app.inject({ url: '/auth/me', remoteAddress, headers })
  return Number(answer.headers['ratelimit-remaining'])
}

t.test('every route has its class', async t => {
  const { paths } = (await service.app.inject('/openapi.json')).json()
  const found: Record<string, string[]> = {}
  for (const [path, operations] of Object.entries<object>(paths))
    for (const method of Object.keys(operations).filter(name => /^(get|post|put|patch|delete)$/.test(name))) {
      const { headers } = await arrive()(method.toUpperCase(), path.replaceAll(/\{\w+\}/g, 'x'))
      const max = Number(headers['ratelimit-limit'])
      const name = Object.entries(defaultLimits).find(([, limit]) => limit.max === max)?.[0] ?? 'none'
      found[name] = [...(found[name] ?? []), `${method} ${path}`].sort()
    }
  const posts = (entrances: Entrance[]) => entrances.map(({ url }) => `post ${url}`).sort()
  t.strictSame(found.register, posts(registers))
  for (const route of [
    ...posts(logins),
    'post /auth/change-password',
    'post /auth/reset-password',
    'delete /auth/me',
    'post /api/auth/verify-password',
  ])
    t.ok(found.password?.includes(route), route)
  t.strictSame(found.mail, [
    'post /api/auth/change-email',
    'post /api/auth/request-password-reset',
    'post /api/auth/send-verification-email',
    'post /auth/change-email',
    'post /auth/request-email-verification',
    'post /auth/request-password-reset',
  ])
  t.strictSame(found.session, ['get /api/auth/get-session', 'get /api/auth/user', 'get /auth/me'])
  t.ok(found.other?.includes('post /auth/refresh'))
  t.strictSame(
    found.none,
    [
      'get /health',
      'get /livez',
      'get /oauth2/revocations',
      'get /oauth2/verify',
      'get /readyz',
      'post /oauth2/introspect',
      'post /oauth2/revoke',
    ],
    'what monitors, proxies and services ask is not limited',
  )
})

t.test('too many tries at a password', async t => {
  const knock = arrive()
  const { body } = await knock('POST', '/auth/register', { json: newPerson() })
  const headers = bearer(body.access_token)
  const tryPassword = ({ url, ask }: Entrance) =>
    knock('POST', url, { json: ask({ email: 'nobody@example.com', password }) })
  for (let count = 0; count < 100; count += 1) await knock('GET', '/auth/me', { headers })

  for (let count = 0; count < 30; count += 1) {
    const answer = await tryPassword(logins[count % logins.length] as Entrance)
    t.notOk(answer.status === 429 || 'retry-after' in answer.headers, `try ${count + 1}`)
    t.match(answer.headers, { 'ratelimit-limit': 30, 'ratelimit-remaining': 29 - count, 'ratelimit-reset': /^\d+$/ })
  }
  for (const login of logins) {
    const { status, headers } = await tryPassword(login)
    t.equal(status, 429, `${login.url} has no tries to spare`)
    t.match(headers, { 'retry-after': /^[1-9]\d?$/, 'ratelimit-limit': 30, 'ratelimit-remaining': 0 })
  }
  t.equal((await knock('POST', '/auth/register', { json: newPerson() })).status, 200, 'one can still register')
  t.equal((await knock('GET', '/auth/me', { headers })).status, 200, 'who is signed in notices nothing')
  t.equal((await arrive()('POST', '/auth/login', { json: newPerson() })).status, 401, 'nor does anybody else')
})

t.test('L-02 who registers learns of a few addresses an hour whether they are taken', async t => {
  const knock = arrive()
  const { email } = newPerson()
  const spellings = [email, email.toUpperCase(), ` ${email} `]
  const statuses: number[] = []
  for (let count = 0; count < 21; count += 1) {
    const { url, ask } = registers[count % registers.length] as Entrance
    const person = { email: spellings[count % spellings.length] ?? '', password }
    statuses.push((await knock('POST', url, { json: ask(person) })).status)
  }
  t.strictSame(
    statuses.map(status => status === 429),
    statuses.map((_, count) => count === 20),
    'at all doors together, however an address is written',
  )
  const { headers } = await knock('POST', '/auth/register', { json: newPerson() })
  t.ok(Number(headers['retry-after']) > 3500)
})

t.test('who asks for mails gets a few an hour', async t => {
  const knock = arrive()
  const urls = ['/auth/request-password-reset', '/api/auth/send-verification-email']
  const ask = (url = '') => knock('POST', url, { json: { email: 'nobody@example.com' } })
  for (let count = 0; count < 10; count += 1) t.not((await ask(urls[count % 2])).status, 429)
  for (const url of urls) t.equal((await ask(url)).status, 429)
})

t.test('each door refuses in its own words, and tells pages of other origins when to come back', async t => {
  const flat = { success: false, code: 'TOO_MANY_REQUESTS', message: 'Too many requests. Please try again later.' }
  const enveloped = { result: false, message: 'too many requests, please try again later.' }
  const detail = 'Too many requests'
  const routes: [string, string, object][] = [
    ['POST', '/auth/login', { detail, error: 'temporarily_unavailable', error_description: detail }],
    ['GET', '/auth/me', { detail }],
    ['GET', '/auth/nothing', { detail }],
    ['POST', '/api/auth/sign-in/email', flat],
    ['POST', '/api/auth/register', flat],
    ['GET', '/api/auth/get-session', flat],
    ['POST', '/api/auth/request-password-reset', flat],
    ['GET', '/api/personalization/context', flat],
    ['GET', '/api/user/nothing', flat],
    ['POST', '/codvid-ai/auth/login', enveloped],
    ['GET', '/codvid-ai/ping', enveloped],
    ['GET', '/codvid-ai/nothing', enveloped],
    ['GET', '/.well-known/jwks.json', { error: 'temporarily_unavailable', error_description: 'Too many requests.' }],
    ['GET', '/oauth2/nothing', { error: 'temporarily_unavailable', error_description: 'Too many requests.' }],
    ['GET', '/nothing', { type: 'about:blank', title: 'Too Many Requests', status: 429, code: 'rate_limited' }],
  ]
  for (const [method, url, words] of routes) {
    const knock = arrive(onePerHour)
    for (let count = 0; count < 3; count += 1) {
      const headers = { origin, 'access-control-request-method': method }
      t.equal((await knock('OPTIONS', url, { headers })).status, 204, 'asking whether one may ask does not count')
    }
    t.not((await knock(method, url, { headers: { origin } })).status, 429)
    const { status, headers, body } = await knock(method, url, { headers: { origin } })
    const { request_id: _, ...told } = JSON.parse(JSON.stringify(body ?? {}))
    t.equal(status, 429, `${method} ${url}`)
    t.strictSame(told, words)
    t.match(headers, {
      'retry-after': /^3(600|5\d\d)$/,
      'ratelimit-limit': 1,
      'ratelimit-remaining': 0,
      'access-control-allow-origin': origin,
    })
    if (url !== '/nothing') t.equal(headers['cache-control'], 'no-store')
    t.equal(String(headers['ratelimit-reset']), headers['retry-after'])
    t.equal(headers['x-retry-after'], url.startsWith('/api/') ? headers['retry-after'] : undefined)
    const exposed = headers['access-control-expose-headers']?.split(', ')
    for (const name of Object.keys(headers).filter(name => /retry-after|ratelimit/.test(name)))
      t.ok(exposed?.includes(name), `pages can read ${name}`)
  }
})

t.test('a window passes', async t => {
  const knock = createKnock(await startSibling(t, service, { ...limited, RATE_LIMITS: 'session=1/s' }))
  t.equal((await knock('GET', '/auth/me')).status, 401)
  const refused = await knock('GET', '/auth/me')
  t.equal(refused.status, 429)
  t.equal(refused.headers['retry-after'], '1')
  await sleep(1050)
  t.equal((await knock('GET', '/auth/me')).status, 401)
})

t.test('L-04 limiter keys are canonical (R-19)', async t => {
  const together = [
    ['203.0.113.1', '::ffff:203.0.113.1', '::ffff:cb00:7101', '::FFFF:203.0.113.1'],
    ['2001:db8:1:2::1', '2001:DB8:1:2::ffff', '2001:db8:1:2:3:4:5:6'],
    ['2001:db8:1:3::1', '2001:0db8:0001:0003::2'],
    ['fe80::1%eth0', 'fe80::2%eth1'],
    ['203.0.113.2'],
  ]
  for (const addresses of together)
    for (const [count, address] of addresses.entries()) t.equal(await remaining(address), 5999 - count, address)
  const forwarded = ['203.0.113.3', '::ffff:203.0.113.3', '203.0.113.3:4711', '[::ffff:203.0.113.3]:4712']
  for (const [count, address] of forwarded.entries())
    t.equal(await remaining('10.0.0.1', address), 5999 - count, `${address}, told by a proxy`)
})

t.test('A-05 what a stranger says of its address changes nothing', async t => {
  t.equal(await remaining('203.0.113.7', '198.51.100.1'), 5999)
  t.equal(await remaining('203.0.113.7', '198.51.100.2'), 5998)
  t.equal(await remaining('203.0.113.7', '198.51.100.3, 10.0.0.1'), 5997)
  t.equal(await remaining('10.0.0.1', '198.51.100.4, 203.0.113.7'), 5996, 'nor what it says to the proxy')
  t.equal(await remaining('10.0.0.2', `junk, ${unknownToken}, 203.0.113.7, 10.0.0.1`), 5995)
  t.equal(await remaining('10.0.0.1', '198.51.100.4'), 5999, 'the proxy is believed')

  const alone = { app: await startSibling(t, service, { RATE_LIMIT: 'on' }) } as typeof service
  t.equal(await remaining('10.0.0.1', '198.51.100.4', alone), 5999)
  t.equal(await remaining('10.0.0.1', '198.51.100.5', alone), 5998, 'nobody is believed where no proxy is named')
})

t.test('the limit comes before the body', async t => {
  const { app } = onePerHour
  const knock = arrive(onePerHour)
  t.equal((await knock('POST', '/auth/login', { json: {} })).status, 422)
  for (const [what, sent] of Object.entries<Sent>({
    'not JSON': { raw: '{', headers: { 'content-type': 'application/json' } },
    'too large': { json: 'x'.repeat(20_000) },
    'of another type': { raw: '<a/>', headers: { 'content-type': 'text/xml' } },
  }))
    t.equal((await knock('POST', '/auth/login', sent)).status, 429, what)

  await app.listen({ port: 0, host: '127.0.0.1' })
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1').setEncoding('utf8')
  t.teardown(() => socket.destroy())
  const start = 'POST /auth/login HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n'
  socket.write(`${start}content-length: 2\r\n\r\n{}`)
  t.match(await once(socket, 'data'), [/^HTTP\/1\.1 422 /])
  socket.write(`${start}content-length: 5000\r\n\r\n`)
  t.match(await once(socket, 'data'), [/^HTTP\/1\.1 429 /], 'before any of it has come')
})

t.test('the limit comes before the database', async t => {
  const knock = arrive(onePerHour)
  const headers = bearer(unknownToken)
  t.equal((await knock('GET', '/auth/me', { headers })).status, 401)
  // From here on every statement shows, since it fails.
  await onePerHour.database.close()
  for (const url of ['/auth/me', '/api/auth/user', '/api/auth/get-session'])
    t.equal((await knock('GET', url, { headers })).status, 429, url)
  t.equal((await knock('GET', '/auth/sessions', { headers })).status, 503, 'where there is one request to spare')
})

t.test('no limits at all are said loudly, and only then', async t => {
  const warnings = (logs: string[]) => logs.map(line => JSON.parse(line)).filter(({ level }) => level >= 40)
  t.notMatch(service.logs.join(''), /RATE_LIMIT/)
  const { app, logs } = await startApp(t, { RATE_LIMIT: 'off' })
  t.match(warnings(logs), [{ level: 40, msg: /RATE_LIMIT is off/ }])
  t.notOk('ratelimit-limit' in (await app.inject('/auth/me')).headers)
})

t.test('R-33 any number of addresses needs no more memory than many', async t => {
  const script = fileURLToPath(new URL('limits-memory.ts', import.meta.url))
  const { stdout } = await run(process.execPath, ['--expose-gc', '--import', import.meta.resolve('tsx'), script])
  const { empty, full, after } = JSON.parse(stdout)
  t.comment(`${empty.toFixed(1)} MB, ${full.toFixed(1)} MB full, ${after.toFixed(1)} MB after 100,000 more addresses`)
  t.ok(after - full < 4, 'flat, where 100,000 more would have taken 30')
  t.ok(full - empty < 25)
})

/** A service with nothing but limits, and what it logs. */
async function startLimits(t: Test, redisUrl: string) {
  const logs: string[] = []
  const app = fastify({ logger: { level: 'info', stream: { write: line => void logs.push(line) } } })
  await limitRequests(app, { limits: toLimits('other=1/h') ?? defaultLimits, redisUrl, onLimited: () => {} })
  app.get('/limited', { logLevel: 'silent' }, async () => 'served')
  t.teardown(() => app.close())
  return { app, told: () => logs.map(line => JSON.parse(line)), logs }
}

t.test('requests go on with a Redis that is not there', async t => {
  const { app, told, logs } = await startLimits(t, 'redis://default:very-secret@127.0.0.1:1/0')
  for (let count = 0; count < 20; count += 1) {
    const answer = await app.inject('/limited')
    t.equal(answer.body, 'served')
    t.notOk('ratelimit-limit' in answer.headers, 'nothing is promised')
  }
  await sleep(1200)
  t.strictSame(
    told().map(({ level, event, reason }) => ({ level, event, reason })),
    [{ level: 40, event: 'redis_away', reason: 'ECONNREFUSED' }],
    'and it is said once',
  )
  t.notMatch(logs.join(''), /very-secret|127\.0\.0\.1/)
})

t.test('nobody waits for a Redis that accepts and never answers', async t => {
  const sockets = new Set<Socket>()
  const silent = createServer(socket => void sockets.add(socket.on('error', () => {}))).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => {
    silent.close()
    for (const socket of sockets) socket.destroy()
  })
  const { app, told } = await startLimits(t, `redis://127.0.0.1:${(silent.address() as AddressInfo).port}`)
  const started = performance.now()
  for (let count = 0; count < 20; count += 1) t.equal((await app.inject('/limited')).body, 'served')
  t.ok(performance.now() - started < 20 * 100)
  t.match(told(), [{ level: 40, event: 'redis_away', reason: 'timeout' }])
})
