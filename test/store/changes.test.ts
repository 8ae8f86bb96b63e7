/** News from the database: what is told, when it counts as heard, and that whoever is not heard is not believed. */
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'drizzle-orm'
import t, { type Test } from 'tap'
import { type Change, followChanges } from '../../src/store/changes.js'
import { type Database, openDatabase } from '../../src/store/database.js'
import { startApp } from '../helpers/app.js'

const needsPostgres = { skip: process.env.TEST_DATABASE_URL === undefined && 'needs Postgres' }

/** A follower beside the service's own, and all it has been told. */
async function follow(t: Test, database: Pick<Database, 'db' | 'engine'>, url: string | undefined) {
  const told: Change[] = []
  const hearing: boolean[] = []
  const changes = await followChanges(database, url, {
    onChange: change => void told.push(change),
    onHearing: isHeard => void hearing.push(isHeard),
  })
  t.teardown(() => changes.close())
  return { changes, told, hearing }
}

async function eventually(holds: () => boolean): Promise<boolean> {
  for (let tries = 0; tries < 500; tries += 1) {
    if (holds()) return true
    await sleep(20)
  }
  return false
}

t.test('what is told, and what is not worth telling', async t => {
  const { app, database, url } = await startApp(t)
  const { changes, told } = await follow(t, database, url)
  t.ok(await eventually(changes.isHeard))
  told.length = 0
  const payload = { email: 'ada@example.com', password: 'correct horse battery' }
  const { access_token: access, refresh_token: refresh } = (
    await app.inject({ method: 'POST', url: '/auth/register', payload })
  ).json()
  const { sid: session, sub: account } = JSON.parse(Buffer.from(access.split('.')[1] ?? '', 'base64url').toString())
  await app.inject({ method: 'POST', url: '/auth/refresh', payload: { token: refresh } })
  await database.db.execute(sql`update sessions set last_used_at = now() where id = ${session}`)
  await database.db.execute(sql`update accounts set name = name where id = ${account}`)
  await database.db.execute(sql`update sessions set expires_at = expires_at + interval '1 day' where id = ${session}`)

  const happens = async (statement: ReturnType<typeof sql>, ...expected: Change[]) => {
    told.length = 0
    await database.db.execute(statement)
    t.ok(await eventually(() => told.length >= expected.length))
    t.strictSame(told, expected)
  }
  await happens(sql`update accounts set name = 'Ada' where id = ${account}`, { kind: 'account', id: account })
  await happens(sql`update accounts set disabled_at = now() where id = ${account}`, { kind: 'account', id: account })
  const again: Change = { kind: 'session', id: session }
  await happens(sql`update sessions set expires_at = expires_at - interval '1 second' where id = ${session}`, again)
  await happens(sql`update sessions set token_hash = 'other' where id = ${session}`, again)
  await happens(sql`update sessions set ended_at = now(), end_reason = 'logout' where id = ${session}`, again)
  await happens(sql`update sessions set ended_at = null, end_reason = null where id = ${session}`)
  await happens(sql`delete from accounts where id = ${account}`, { kind: 'account', id: account }, again)
  await happens(sql`truncate sessions`, { kind: 'all' })
  await happens(sql`select announce('something new')`, { kind: 'all' })
})

t.test('it counts as heard when it was heard, and everything may have changed before', needsPostgres, async t => {
  const { database, url } = await startApp(t)
  const { changes, told, hearing } = await follow(t, database, url)
  t.equal(changes.isHeard(), false, 'not yet')
  t.ok(await eventually(changes.isHeard))
  t.strictSame([told, hearing], [[{ kind: 'all' }], [true]])

  told.length = 0
  const kill = sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'gatehouse-changes' and datname = current_database()`
  await database.db.execute(kill)
  t.ok(await eventually(() => !changes.isHeard()))
  t.strictSame([told, hearing], [[{ kind: 'all' }], [true, false]], 'forget everything')
  t.ok(await eventually(changes.isHeard), 'it comes again by itself')
  t.strictSame([told.length, hearing], [2, [true, false, true]])
  await changes.close()
  t.equal(changes.isHeard(), false)
})

t.test('a connection that takes LISTEN and brings nothing is never believed', needsPostgres, async t => {
  const { url } = await startApp(t)
  // As behind a pooler in transaction mode: what is announced comes out somewhere else.
  const deaf = { db: { execute: async () => [] } } as unknown as Database
  const { changes, hearing } = await follow(t, deaf, url)
  for (let tries = 0; tries < 30; tries += 1) {
    t.equal(changes.isHeard(), false)
    await sleep(100)
  }
  t.strictSame(hearing, [], 'it was never told that it is')
})

t.test('before the migration nothing announces anything', needsPostgres, async t => {
  const { database, url } = await startApp(t)
  await database.db.execute(sql`alter function announce(text) rename to silent`)
  const { changes } = await follow(t, database, url)
  await sleep(700)
  t.equal(changes.isHeard(), false)
  await database.db.execute(sql`alter function silent(text) rename to announce`)
  t.ok(await eventually(changes.isHeard), 'and then it does')
})

t.test('a database that is away is no error', needsPostgres, async t => {
  const url = 'postgres://nobody@127.0.0.1:9/nowhere'
  const database = await openDatabase({ url, dataDir: 'memory://' })
  t.teardown(() => database.close())
  const { changes } = await follow(t, database, url)
  await sleep(300)
  t.equal(changes.isHeard(), false)
})
