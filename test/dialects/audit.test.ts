/** What the doors record of what happens: in the log, in the chain, and for the person concerned. */
import { sql } from 'drizzle-orm'
import t from 'tap'
import { verifyChain } from '../../src/audit/verify.js'
import { createLinkTokens } from '../../src/core/verifications.js'
import { createEventStore } from '../../src/store/events.js'
import { startApp } from '../helpers/app.js'
import {
  bearer,
  claimsOf,
  createKnock,
  type Headers,
  type Json,
  logins,
  newPerson,
  registers,
  rowsOf,
  startSibling,
} from './doors.js'

const mail = { SMTP_URL: 'smtp://127.0.0.1:9', MAIL_FROM: 'no-reply@acme.test' }
const clients = { SERVICE_CLIENTS: `api:${'s'.repeat(32)}` }
const service = await startApp(t, { GUESS_LIMIT: 'on', ...mail, ...clients })
const knock = createKnock(service.app)
const { db } = service.database
const agent = 'Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0'

async function register(headers: Headers = {}) {
  const person = newPerson()
  const { body } = await knock('POST', '/auth/register', { json: person, headers })
  return {
    ...person,
    id: body.user.uuid as string,
    tokens: body,
    headers: { ...headers, ...bearer(body.access_token) },
  }
}

/** All rows, once what was recorded has been written. */
async function records(): Promise<Json[]> {
  await service.core.events.listOwn({ account: { id: '0197a0b4-6c1e-7cc3-9d7a-2f6a1f0c9a11' } } as never, 1)
  const store = createEventStore(db)
  const chain = await store.chain()
  return (await store.page(Math.max(0, (chain?.seq ?? 0) - 500), 500)).map(({ record }) => JSON.parse(record))
}

/** The kinds of events that belong to the account, in their order. */
const kindsOf = async (id: string): Promise<string[]> =>
  (await records()).filter(({ account }) => account === id).map(({ kind }) => kind)

const linkOf = async (email: string, purpose: string): Promise<string> => {
  const [row] = rowsOf(
    await db.execute(sql`select id from verifications where email = ${email} and purpose = ${purpose}`),
  )
  return createLinkTokens(service.config.cookieSecrets).tokenOf(row.id)
}

t.test('A-08 every way in is recorded, with what is known of it', async t => {
  for (const { url, ask, accountIn, door } of registers) {
    const person = newPerson()
    const answer = await knock('POST', url, {
      json: ask(person),
      headers: { 'user-agent': agent },
      from: '203.0.113.7',
    })
    const id = accountIn(answer)
    const [record, ...more] = (await records()).filter(({ account }) => account === id)
    t.strictSame(more, [])
    t.match(record, {
      kind: 'sign_up',
      door,
      ip: '203.0.113.7',
      agent,
      request: answer.headers['x-request-id'],
      session: /^[0-9a-f-]{36}$/,
      id: /^[0-9a-f-]{36}$/,
      at: /^\d{4}-\d\d-\d\dT.*Z$/,
    })
    for (const login of logins) {
      await knock('POST', login.url, { json: login.ask(person) })
      await knock('POST', login.url, { json: login.ask({ ...person, password: 'not it' }) })
    }
    t.strictSame(await kindsOf(id), ['sign_up', ...logins.flatMap(() => ['sign_in', 'sign_in_failed'])], url)
    await knock('POST', url, { json: ask(person) })
    const last = (await records()).at(-1)
    t.match(last, { kind: 'sign_up_failed', detail: { reason: 'email_taken' }, subject: /^[\w-]{43}$/ })
    t.notOk('account' in last)
  }
})

t.test('A-08 why a sign-in failed is recorded, and nobody else is told', async t => {
  const [disabled, bare, wrong] = [await register(), await register(), await register()]
  await db.execute(sql`update accounts set disabled_at = now() where id = ${disabled.id}`)
  await db.execute(sql`update accounts set password_hash = null where id = ${bare.id}`)
  const reasons: [{ email: string; password: string }, string][] = [
    [disabled, 'account_disabled'],
    [bare, 'password_wrong'],
    [{ ...wrong, password: 'not it' }, 'password_wrong'],
    [newPerson(), 'account_unknown'],
    [{ email: 'no address at all', password: 'x' }, 'account_unknown'],
  ]
  const told = new Set<string>()
  for (const [{ email, password }, reason] of reasons) {
    const { text } = await knock('POST', '/auth/login', { json: { email, password } })
    told.add(text)
    t.match((await records()).at(-1), { kind: 'sign_in_failed', detail: { reason }, subject: /^[\w-]{43}$/ })
  }
  t.equal(told.size, 1)
})

t.test('A-08 refreshes: used, repeated, used again too late, and of a session that is over', async t => {
  const { id, tokens } = await register()
  const refresh = (token: string) => knock('POST', '/auth/refresh', { json: { token } })
  const { body: next } = await refresh(tokens.refresh_token)
  await refresh(tokens.refresh_token)
  await refresh(next.refresh_token)
  await refresh(tokens.refresh_token)
  await refresh(next.refresh_token)
  await refresh('nonsense')
  t.strictSame(await kindsOf(id), [
    'sign_up',
    'refresh',
    'refresh_replayed',
    'refresh',
    'refresh_reused',
    'refresh_denied',
  ])
  const reused = service.logs.map(line => JSON.parse(line)).filter(({ event }) => event === 'refresh_reused')
  t.match(reused, [{ level: 40, account: id, session: claimsOf(tokens.access_token).sid, detail: { ahead: false } }])
})

t.test('A-08 every way out is recorded', async t => {
  const { email, password, id, headers, tokens } = await register()
  const login = async () => (await knock('POST', '/auth/login', { json: { email, password } })).body
  const basic = `Basic ${Buffer.from(`api:${'s'.repeat(32)}`).toString('base64')}`
  await knock('POST', '/auth/logout', { json: { refresh_token: (await login()).refresh_token } })
  await knock('DELETE', `/auth/sessions/${claimsOf((await login()).access_token).sid}`, { headers })
  await knock('DELETE', '/auth/sessions', { headers })
  await knock('POST', '/oauth2/revoke', {
    form: { token: (await login()).refresh_token },
    headers: { authorization: basic },
  })
  await knock('POST', '/api/auth/sign-out', { json: {}, headers })
  await knock('POST', '/auth/logout-all', { headers: bearer((await login()).access_token) })
  t.strictSame(
    (await kindsOf(id)).filter(kind => kind !== 'sign_in'),
    ['sign_up', 'sign_out', 'session_ended', 'sessions_ended', 'session_ended', 'sign_out', 'sessions_ended'],
  )
  t.equal((await knock('GET', '/auth/me', { headers: bearer(tokens.access_token) })).status, 401)
})

t.test('A-08 changes of password and address, by the owner and by mailed link', async t => {
  const { email, password, id, headers } = await register()
  const changed = 'another long phrase'
  await knock('POST', '/auth/change-password', {
    json: { current_password: 'not it', new_password: changed },
    headers,
  })
  await knock('POST', '/auth/change-password', { json: { current_password: password, new_password: changed }, headers })
  await knock('POST', '/auth/verify-email', { json: { token: await linkOf(email, 'verify_email') } })
  await knock('POST', '/auth/request-password-reset', { json: { email } })
  await knock('POST', '/auth/reset-password', {
    json: { token: await linkOf(email, 'reset_password'), new_password: password },
  })
  const { body } = await knock('POST', '/auth/login', { json: { email, password } })
  const again = bearer(body.access_token)
  const address = `new-${email}`
  await knock('POST', '/auth/change-email', { json: { new_email: address, password }, headers: again })
  const link = await linkOf(email, 'change_email')
  await knock('GET', `/api/auth/verify-email?token=${link}`)
  await knock('DELETE', '/auth/me', { json: { password }, headers: again })
  t.strictSame(await kindsOf(id), [
    'sign_up',
    'password_check_failed',
    'password_changed',
    'email_verified',
    'password_reset',
    'sign_in',
    'email_change_requested',
    'email_changed',
    'account_deleted',
  ])
  const requested = (await records()).filter(({ kind }) => kind === 'password_reset_requested')
  t.ok(requested.length > 0)
  for (const record of requested) t.match(record, { subject: /^[\w-]{43}$/, account: undefined })
})

t.test('A-08 what is held up is recorded', async t => {
  const { email, id, headers } = await register()
  for (let count = 0; count < 11; count += 1)
    await knock('POST', '/auth/login', { json: { email, password: 'not it' } })
  t.match((await records()).at(-1), { kind: 'sign_in_limited', detail: { retry_after: 10 }, subject: /^[\w-]{43}$/ })
  for (let count = 0; count < 11; count += 1)
    await knock('POST', '/api/auth/verify-password', { json: { password: 'not it' }, headers })
  t.equal((await kindsOf(id)).at(-1), 'password_check_limited')
})

t.test('A-08 the log has one line for each, the same as the chain', async t => {
  const lines = service.logs.map(line => JSON.parse(line)).filter(({ event }) => event !== undefined)
  const chain = await records()
  t.ok(chain.length > 50)
  const bare = ({ level: _l, time: _t, pid: _p, hostname: _h, msg: _m, event: kind, ...rest }: Json) => ({
    kind,
    ...rest,
  })
  const byId = new Map(lines.map(line => [line.id, bare(line)]))
  for (const record of chain) t.strictSame(byId.get(record.id), record)
  t.match(await verifyChain(createEventStore(db)), { holds: true })
})

t.test('A-08 what a client sends stays on its line', async t => {
  const before = service.logs.length
  const evil = 'x\u0085{"level":60} \u2028 \\n\\r\\u000a "}'
  const sent = Buffer.from(evil, 'utf8').toString('latin1')
  const person = newPerson()
  await knock('POST', '/auth/login', { json: person, headers: { 'user-agent': sent } })
  await knock('POST', '/auth/login', { json: { email: 'a@b.c\r\n{"event":"sign_in"}', password: 'x' } })
  for (const line of service.logs.slice(before)) {
    t.equal(line.trimEnd().split(/[\r\n]/).length, 1)
    t.doesNotThrow(() => JSON.parse(line))
    t.notMatch(line, '"event":"sign_in"')
  }
  t.match(await verifyChain(createEventStore(db)), { holds: true })
})

t.test('a person reads their own events, and nobody else’s', async t => {
  const [ada, bob] = [await register({ 'user-agent': agent }), await register()]
  await knock('POST', '/auth/login', { json: { email: ada.email, password: 'not it' }, from: '198.51.100.4' })
  const { status, body, headers } = await knock('GET', '/auth/me/events', { headers: ada.headers })
  t.equal(status, 200)
  t.equal(headers['cache-control'], 'no-store')
  t.match(body, [
    { kind: 'sign_in_failed', reason: 'password_wrong', session_id: null, ip_address: '198.51.100.4', door: 'auth' },
    { kind: 'sign_up', reason: null, device: 'Firefox on Linux', user_agent: agent, door: 'auth' },
  ])
  t.equal(body.length, 2)
  t.equal(body[1].session_id, claimsOf(ada.tokens.access_token).sid)
  t.equal((await knock('GET', '/auth/me/events', { headers: bob.headers })).body.length, 1)
  t.equal((await knock('GET', '/auth/me/events?limit=1', { headers: ada.headers })).body.length, 1)
  for (const limit of ['0', '201', 'x', '1.5'])
    t.equal((await knock('GET', `/auth/me/events?limit=${limit}`, { headers: ada.headers })).status, 422, limit)
  t.equal((await knock('GET', '/auth/me/events')).status, 401)
  const exported = await knock('GET', '/auth/me/export', { headers: ada.headers })
  t.strictSame(exported.body.events, body, 'the same, and all of them, in the export')
})

t.test('A-08 requests that are too many are recorded once, not each', async t => {
  const limits = { RATE_LIMIT: 'on', RATE_LIMITS: 'password=3/m' }
  const strict = createKnock(await startSibling(t, service, limits))
  const { headers } = await register()
  for (let count = 0; count < 10; count += 1)
    for (const from of ['198.51.100.1', '198.51.100.2'])
      await strict('POST', '/auth/login', { json: newPerson(), from })
  // Answers once that process has written what it recorded.
  await strict('GET', '/auth/me/events', { headers })
  const limited = (await records()).filter(({ kind }) => kind === 'requests_limited')
  t.match(limited, [
    { door: 'auth', ip: '198.51.100.1', detail: { class: 'password' } },
    { door: 'auth', ip: '198.51.100.2', detail: { class: 'password' } },
  ])
  t.equal(limited.length, 2)
})
