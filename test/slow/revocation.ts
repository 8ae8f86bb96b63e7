/**
 * Two processes of the service on one Postgres, and a service elsewhere that verifies by itself: run after `npm run build`,
 * ends with 1 where a promise is broken. Whatever ends a session at one process, the other refuses it within 250 ms, and
 * whoever follows the feed within two seconds; with its news cut off, a process never says yes to what has ended.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import postgres from 'postgres'
import { createVerifier, TokenRefused, type Verifier } from '../../src/verifier/index.js'
import { type Cluster, startPostgres } from '../helpers/postgres.js'

const replicaPromiseMs = 250
const feedPromiseMs = 2000
const password = 'a passphrase nobody guesses'
const client = { id: 'api', secret: 'a-secret-of-the-service-that-verifies' }
const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const firstPort = 20_000 + (process.pid % 10_000)
const say = (line: string) => process.stdout.write(`${line}\n`)

type Replica = { base: string; process: ChildProcess }
type Signed = { email: string; access: string; refresh: string; sid: string; sub: string }
type Answer = { status: number; body: Record<string, string> }

const cluster = await startPostgres()
const url = await cluster.newDatabase()
const sql = postgres(url, { max: 2, onnotice: () => {} })
const replicas: Replica[] = []
let verifier: Verifier | undefined
let people = 0
try {
  // One after the other: the first migrates.
  for (const index of [0, 1]) replicas.push(await startReplica(index))
  const [here, there] = replicas as [Replica, Replica]
  await test('every way a session ends at one process reaches the other', () => testEveryWay(here, there))
  await test('how long that takes', () => measureReplicas(here, there))
  await test('news cut off: the listening backend is killed', () => testKilledListener(here, there))
  await test('news cut off: the process itself was stopped', () => testStoppedProcess(here, there))
  await test('news cut off: Postgres is restarted', () => testRestart(here, there, cluster))
  verifier = follow(there)
  await test('a follower of the feed', () => measureFollower(here, verifier as Verifier))
} finally {
  await verifier?.close()
  for (const replica of replicas) replica.process.kill('SIGKILL')
  await sql.end({ timeout: 1 })
  await cluster.remove()
}
say('every promise held')

async function test(name: string, run: () => Promise<void>): Promise<void> {
  const started = performance.now()
  try {
    await run()
    say(`ok    ${name} (${Math.round((performance.now() - started) / 100) / 10} s)`)
  } catch (error) {
    say(`FAIL  ${name}`)
    throw error
  }
}

/** Each way is the last thing its person does. */
async function testEveryWay(here: Replica, there: Replica): Promise<void> {
  const basic = `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}`
  const ways: [string, (person: Signed) => Promise<unknown>][] = [
    ['logout', ({ access }) => call(here, 'POST', '/auth/logout', { bearer: access, body: {} })],
    [
      'all sessions ended',
      ({ access }) => call(here, 'POST', '/api/auth/revoke-sessions', { bearer: access, body: {} }),
    ],
    ['another session of the person ended it', endFromAnotherSession(here)],
    [
      'a token revoked by a service',
      ({ access }) => call(here, 'POST', '/oauth2/revoke', { authorization: basic, body: { token: access } }),
    ],
    ['a refresh token used twice', refreshTwice(here)],
    ['another session changed the password', changePasswordElsewhere(here)],
    ['the account deleted', ({ access }) => call(here, 'DELETE', '/auth/me', { bearer: access, body: { password } })],
    ['disabled by hand', ({ sub }) => sql`update accounts set disabled_at = now() where id = ${sub}`],
    ['ended by hand', ({ sid }) => sql`update sessions set ended_at = now() where id = ${sid}`],
    ['expired by hand', ({ sid }) => sql`update sessions set expires_at = now() where id = ${sid}`],
    ['the row deleted by hand', ({ sid }) => sql`delete from sessions where id = ${sid}`],
    ['the account deleted by hand', ({ sub }) => sql`delete from accounts where id = ${sub}`],
    ['all rows gone', () => sql`truncate sessions`],
  ]
  for (const [name, end] of ways) {
    const person = await signIn(here)
    assert.equal(await ask(there, person.access), 200)
    assert.equal(await ask(there, person.access), 200, 'and from memory')
    await end(person)
    await sleep(replicaPromiseMs)
    assert.equal(await ask(there, person.access), 401, name)
    assert.equal(await ask(here, person.access), 401, `${name}, where it was done`)
  }
}

function endFromAnotherSession(replica: Replica) {
  return async ({ email, sid }: Signed) => {
    const { access } = await logIn(replica, email)
    assert.equal((await call(replica, 'DELETE', `/auth/sessions/${sid}`, { bearer: access })).status, 204)
  }
}

function refreshTwice(replica: Replica) {
  return async ({ refresh }: Signed) => {
    const second = await call(replica, 'POST', '/auth/refresh', { body: { token: refresh } })
    const third = await call(replica, 'POST', '/auth/refresh', { body: { token: second.body.refresh_token } })
    assert.equal(third.status, 200)
    assert.equal((await call(replica, 'POST', '/auth/refresh', { body: { token: refresh } })).status, 401)
  }
}

function changePasswordElsewhere(replica: Replica) {
  return async ({ email }: Signed) => {
    const { access } = await logIn(replica, email)
    const body = { current_password: password, new_password: `${password}, again` }
    assert.equal((await call(replica, 'POST', '/auth/change-password', { bearer: access, body })).status, 200)
  }
}

/** From the answer to the logout here until the first refusal there. */
async function measureReplicas(here: Replica, there: Replica): Promise<void> {
  const delays: number[] = []
  for (let round = 0; round < 200; round += 1) {
    const { access } = await signIn(here)
    assert.equal(await ask(there, access), 200)
    const refusedAt = whenRefused(() => ask(there, access).then(status => status === 401))
    await call(here, 'POST', '/auth/logout', { bearer: access, body: {} })
    const acknowledgedAt = performance.now()
    delays.push(Math.max(0, (await refusedAt) - acknowledgedAt))
  }
  report('logout at one process to refusal at the other', delays)
  assert.ok(Math.max(...delays) <= replicaPromiseMs, `the slowest took ${Math.max(...delays)} ms`)
}

async function testKilledListener(here: Replica, there: Replica): Promise<void> {
  for (let round = 0; round < 20; round += 1) {
    const { access } = await signIn(here)
    assert.equal(await ask(there, access), 200)
    const killed = await sql`
      select pg_terminate_backend(pid, 5000) as gone from pg_stat_activity
      where application_name = 'gatehouse-changes' and datname = current_database()`
    assert.ok(killed.every(({ gone }) => gone === true))
    await call(here, 'POST', '/auth/logout', { bearer: access, body: {} })
    for (let tries = 0; tries < 20; tries += 1) assert.equal(await ask(there, access), 401, 'never a stale yes')
    // Half of the rounds kill the next one while it is being made.
    if (round % 2 === 0) await listening(2)
  }
  await listening(2)
}

async function testStoppedProcess(here: Replica, there: Replica): Promise<void> {
  const { access } = await signIn(here)
  assert.equal(await ask(there, access), 200)
  there.process.kill('SIGSTOP')
  await call(here, 'POST', '/auth/logout', { bearer: access, body: {} })
  await sleep(3000)
  there.process.kill('SIGCONT')
  assert.equal(await ask(there, access), 401)
  await listening(2)
}

async function testRestart(here: Replica, there: Replica, database: Cluster): Promise<void> {
  const kept = await signIn(here)
  const ended = await signIn(here)
  for (const { access } of [kept, ended]) assert.equal(await ask(there, access), 200)
  await database.restart('immediate')
  await insist(() => call(here, 'POST', '/auth/logout', { bearer: ended.access, body: {} }))
  assert.equal(await insist(async () => ({ status: await ask(there, ended.access) })), 401)
  assert.equal(await insist(async () => ({ status: await ask(there, kept.access) })), 200)
  await listening(2)
}

/** From the answer to the logout until a service that only follows the feed of the other process refuses. */
async function measureFollower(here: Replica, following: Verifier): Promise<void> {
  const delays: number[] = []
  for (let round = 0; round < 60; round += 1) {
    const { access, sid } = await signIn(here)
    assert.equal((await following.verify(access)).sid, sid)
    await sleep(Math.random() * 400)
    const refusedAt = whenRefused(() =>
      following.verify(access).then(
        () => false,
        (error: unknown) => error instanceof TokenRefused && error.reason === 'token_revoked',
      ),
    )
    await call(here, 'POST', '/auth/logout', { bearer: access, body: {} })
    const acknowledgedAt = performance.now()
    delays.push(Math.max(0, (await refusedAt) - acknowledgedAt))
  }
  report('logout to refusal at a follower of the feed', delays)
  assert.ok(Math.max(...delays) <= feedPromiseMs, `the slowest took ${Math.max(...delays)} ms`)

  const disabled = await signIn(here)
  await following.verify(disabled.access)
  await sql`update accounts set disabled_at = now() where id = ${disabled.sub}`
  await sleep(feedPromiseMs)
  await assert.rejects(following.verify(disabled.access), { reason: 'token_revoked' }, 'the whole account')
}

/** The moment of the first yes to "is it refused?", asked again and again. */
async function whenRefused(isRefused: () => Promise<boolean>): Promise<number> {
  for (;;) {
    if (await isRefused()) return performance.now()
    await sleep(1)
  }
}

function report(what: string, delays: number[]): void {
  const sorted = [...delays].sort((a, b) => a - b)
  const at = (share: number) => (sorted[Math.ceil(share * sorted.length) - 1] ?? 0).toFixed(1)
  say(`measured: ${what}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, slowest ${at(1)} ms, of ${sorted.length}`)
}

/** Until so many processes hear the news again. */
async function listening(count: number): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const rows = await insistSql(
      () => sql`
        select 1 from pg_stat_activity where application_name = 'gatehouse-changes' and state = 'idle'
          and datname = current_database() and query = 'select 1'`,
    )
    if (rows.length === count) return
    await sleep(100)
  }
  throw new Error('the news did not come again')
}

async function insistSql<Rows>(query: () => PromiseLike<Rows>): Promise<Rows> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await query()
    } catch (error) {
      if (tries === 50) throw error
      await sleep(100)
    }
  }
}

/** Through 503s, which say that nothing is known. */
async function insist(act: () => Promise<{ status: number }>): Promise<number> {
  for (let tries = 0; tries < 100; tries += 1) {
    const { status } = await act()
    if (status !== 503) return status
    await sleep(50)
  }
  return 503
}

async function startReplica(index: number): Promise<Replica> {
  const port = firstPort + index
  const child = spawn(process.execPath, ['dist/main.js'], {
    env: {
      ...process.env,
      NODE_ENV: 'test',
      PORT: String(port),
      DATABASE_URL: url,
      JWT_PRIVATE_KEY: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      REFRESH_TOKEN_SECRET: 'cmVmcmVzaC10b2tlbi1zZWNyZXQtb2YtdGhlLXRlc3Rz',
      JWT_ISSUER: `http://127.0.0.1:${firstPort}`,
      SERVICE_CLIENTS: `${client.id}:${client.secret}`,
      BCRYPT_COST: '4',
      RATE_LIMIT: 'off',
      LOG_LEVEL: 'error',
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const replica = { base: `http://127.0.0.1:${port}`, process: child }
  const ended = once(child, 'exit').then(() => {
    throw new Error('a process ended')
  })
  ended.catch(() => {})
  await Promise.race([ended, ready(replica)])
  await listening(index + 1)
  return replica
}

async function ready({ base }: Replica): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const response = await fetch(`${base}/readyz`).catch(() => undefined)
    if (response?.ok) return
    await sleep(100)
  }
  throw new Error('the service did not become ready')
}

function follow({ base }: Replica): Verifier {
  return createVerifier({
    issuer: `http://127.0.0.1:${firstPort}`,
    jwksUrl: `${base}/.well-known/jwks.json`,
    revocations: {
      url: `${base}/oauth2/revocations`,
      clientId: client.id,
      clientSecret: client.secret,
      whenStale: 'reject',
    },
  })
}

type Sent = { body?: object; bearer?: string; authorization?: string }

async function call(
  { base }: Replica,
  method: string,
  path: string,
  { body, bearer, authorization }: Sent = {},
): Promise<Answer> {
  const credential = bearer === undefined ? authorization : `Bearer ${bearer}`
  const response = await fetch(base + path, {
    method,
    headers: {
      ...(body ? { 'content-type': 'application/json' } : {}),
      ...(credential === undefined ? {} : { authorization: credential }),
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  const text = await response.text()
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Answer['body']) }
}

async function ask(replica: Replica, bearer: string): Promise<number> {
  return (await call(replica, 'GET', '/auth/me', { bearer })).status
}

async function signIn(replica: Replica): Promise<Signed> {
  people += 1
  const email = `person${people}@example.com`
  return toSigned(email, await call(replica, 'POST', '/auth/register', { body: { email, password } }))
}

async function logIn(replica: Replica, email: string): Promise<Signed> {
  return toSigned(email, await call(replica, 'POST', '/auth/login', { body: { username: email, password } }))
}

function toSigned(email: string, { status, body }: Answer): Signed {
  assert.equal(status, 200)
  const { access_token: access = '', refresh_token: refresh = '' } = body
  const { sid, sub } = JSON.parse(Buffer.from(access.split('.')[1] ?? '', 'base64url').toString())
  return { email, access, refresh, sid, sub }
}
