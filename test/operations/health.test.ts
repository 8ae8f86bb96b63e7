/** What an operator asks: does it live, can it take requests, and how is it doing. */
import type { AddressInfo } from 'node:net'
import { sql } from 'drizzle-orm'
import t from 'tap'
import { buildApp } from '../../src/app.js'
import { createMetricsServer } from '../../src/operations/metrics.js'
import { bearer, createKnock, newPerson, startSibling } from '../dialects/doors.js'
import { startApp } from '../helpers/app.js'

const { app, config, database, readiness, metrics, logs, url } = await startApp(t)
const knock = createKnock(app)

const ready = { status: 'ok', checks: { database: 'ok', migrations: 'ok', draining: false } }
/** Longer than an answer is kept. */
const forgotten = () => new Promise(resolve => setTimeout(resolve, 1100))

t.test('a service that is well', async t => {
  const live = await knock('GET', '/livez')
  t.equal(live.status, 200)
  t.strictSame(live.body, { status: 'ok' })
  for (const url of ['/readyz', '/health']) {
    const answer = await knock('GET', url)
    t.equal(answer.status, 200, url)
    t.strictSame(answer.body, ready, url)
    t.equal(answer.headers['cache-control'], 'no-store', url)
  }
})

t.test('probes ask no credential, mind none, and leave no line in the log', async t => {
  const before = logs.length
  for (const url of ['/livez', '/readyz', '/health']) {
    for (const headers of [bearer('x'), { cookie: 'session_token=x' }, { origin: 'https://evil.example' }] as const)
      t.equal((await knock('GET', url, { headers })).status, 200, url)
    t.equal((await knock('HEAD', url)).status, 200, url)
    t.equal((await knock('POST', url)).status, 404, url)
  }
  t.notMatch(logs.slice(before).join(''), /livez.+GET|GET.+livez/)
})

t.test('R-38 many probes are one question', async t => {
  let asked = 0
  const ping = async () => {
    asked += 1
    await database.ping()
  }
  const knock = createKnock(await startSibling(t, { database: { ...database, ping }, url }, {}))
  const probe = () => Promise.all(Array.from({ length: 50 }, () => knock('GET', '/readyz')))
  t.ok((await probe()).every(({ status }) => status === 200))
  await probe()
  t.equal(asked, 1)
  await forgotten()
  await probe()
  t.equal(asked, 2)
})

t.test('a schema that is behind is not ready', async t => {
  await database.db.execute(sql`alter table drizzle.__drizzle_migrations rename to away`)
  await forgotten()
  const answer = await knock('GET', '/readyz')
  await database.db.execute(sql`alter table drizzle.away rename to __drizzle_migrations`)
  t.equal(answer.status, 503)
  t.strictSame(answer.body, { status: 'unavailable', checks: { ...ready.checks, migrations: 'pending' } })
  await forgotten()
  t.strictSame((await knock('GET', '/readyz')).body, ready)
})

t.test('metrics know methods, routes by their pattern, and statuses', async t => {
  const { body } = await knock('POST', '/auth/register', { json: newPerson() })
  const headers = bearer(body.access_token)
  await knock('GET', '/auth/me', { headers })
  await knock('GET', '/auth/me?email=canary@example.com')
  await knock('DELETE', '/auth/sessions/canary', { headers })
  await knock('GET', '/canary')
  const text = await metrics.metrics()
  for (const [method, route, status] of [
    ['POST', '/auth/register', 200],
    ['GET', '/auth/me', 200],
    ['GET', '/auth/me', 401],
    ['DELETE', '/auth/sessions/:id', 404],
    ['GET', 'unknown', 404],
  ]) {
    const labels = `{method="${method}",route="${route}",status="${status}"}`
    t.match(text, `http_request_duration_seconds_count${labels} `, labels)
    t.match(text, `http_request_duration_seconds_sum${labels} `, labels)
  }
  t.match(text, /^process_cpu_user_seconds_total /m)
  t.match(text, /^nodejs_eventloop_lag_seconds /m)
  t.notMatch(text, /canary/, 'nothing that a client sent')
  t.equal((await knock('GET', '/metrics')).status, 404, 'not where the public can ask')
})

t.test('A-12 metrics have a port of their own', async t => {
  const server = createMetricsServer(metrics)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`)
  t.equal(answer.status, 200)
  t.match(answer.headers.get('content-type'), /^text\/plain; version=/)
  t.match(await answer.text(), /^http_request_duration_seconds_count/m)
  t.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 404)
  t.equal((await fetch(`http://127.0.0.1:${port}/metrics`, { method: 'POST' })).status, 404)
})

t.test('A-01 what no door knows is a problem of RFC 9457', async t => {
  for (const [method, url] of [
    ['GET', '/'],
    ['POST', '/nothing'],
    ['GET', '/authentic'],
    ['GET', '/apis'],
  ] as const) {
    const answer = await knock(method, url)
    t.equal(answer.status, 404, url)
    t.equal(answer.headers['content-type'], 'application/problem+json; charset=utf-8', url)
    t.strictSame(answer.body, {
      type: 'about:blank',
      title: 'Not Found',
      status: 404,
      code: 'not_found',
      request_id: answer.headers['x-request-id'],
    })
  }
})

t.test('draining: not ready, alive, still answering, and asking clients to go elsewhere', async t => {
  const { app, readiness } = await buildApp({ ...config, logLevel: 'silent' }, { database, version: '0.0.0' })
  t.teardown(() => app.close())
  const knock = createKnock(app)
  readiness.drain()
  const answer = await knock('GET', '/readyz')
  t.equal(answer.status, 503)
  t.strictSame(answer.body, { status: 'unavailable', checks: { ...ready.checks, draining: true } })
  t.equal((await knock('GET', '/livez')).status, 200)
  const made = await knock('POST', '/auth/register', { json: newPerson() })
  t.equal(made.status, 200)
  for (const { headers } of [answer, made]) t.equal(headers.connection, 'close')
})

// The last one: it leaves no database.
t.test('a database that is away: not ready, alive', async t => {
  await database.close()
  await forgotten()
  for (const url of ['/readyz', '/health']) {
    const answer = await knock('GET', url)
    t.equal(answer.status, 503, url)
    t.strictSame(
      answer.body,
      { status: 'unavailable', checks: { database: 'unavailable', migrations: 'unknown', draining: false } },
      url,
    )
  }
  t.equal((await knock('GET', '/livez')).status, 200)
  t.strictSame(await readiness.checks(), { database: 'unavailable', migrations: 'unknown', draining: false })
})
