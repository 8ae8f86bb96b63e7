import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'drizzle-orm'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { type Database, openDatabase } from '../../src/store/database.js'
import { migrateDatabase, pendingMigrations } from '../../src/store/migrate.js'
import { accounts } from '../../src/store/schema.js'
import { createDatabase } from '../helpers/postgres.js'

const server = process.env.TEST_DATABASE_URL
const onPostgres = { skip: server === undefined && 'TEST_DATABASE_URL is not set' }
const journal = JSON.parse(readFileSync('drizzle/meta/_journal.json', 'utf8')) as { entries: unknown[] }

async function freshUrl(t: Test): Promise<string> {
  const { url, drop } = await createDatabase(server ?? '')
  t.teardown(drop)
  return url
}

async function open(t: Test, url?: string): Promise<Database> {
  const database = await openDatabase({ url, dataDir: 'memory://' })
  t.teardown(() => database.close())
  return database
}

type Migration = { tag: string; when: number; sql: string }

/** A folder as drizzle-kit writes it. */
function folderOf(t: Test, ...migrations: Migration[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-migrations-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const entries = migrations.map(({ tag, when }, idx) => ({ idx, version: '7', when, tag, breakpoints: true }))
  mkdirSync(join(folder, 'meta'))
  writeFileSync(join(folder, 'meta', '_journal.json'), JSON.stringify({ version: '7', dialect: 'postgresql', entries }))
  for (const { tag, sql } of migrations) writeFileSync(join(folder, `${tag}.sql`), sql)
  return folder
}

const one = { tag: '0000_one', when: 1000, sql: 'create table one (id int primary key, secret text)' }
const two = { tag: '0001_two', when: 2000, sql: 'create table two (id int)' }
const three = { tag: '0002_three', when: 3000, sql: 'create table three (id int)' }

for (const kind of ['embedded', 'postgres'] as const) {
  t.test(kind, kind === 'postgres' ? onPostgres : {}, async t => {
    const prepare = async (t: Test) => {
      const url = kind === 'postgres' ? await freshUrl(t) : undefined
      const database = await open(t, url)
      const migrate = (folder?: string) =>
        migrateDatabase({ ...(url === undefined ? { database } : { url }), ...(folder !== undefined && { folder }) })
      return { database, migrate }
    }

    t.test('applies this release’s migrations once', async t => {
      const { database, migrate } = await prepare(t)
      t.equal(await pendingMigrations(database), journal.entries.length)
      t.strictSame(await migrate(), { applied: journal.entries.length })
      t.equal(await pendingMigrations(database), 0)
      t.strictSame(await migrate(), { applied: 0 })
      t.strictSame(await database.db.select().from(accounts), [])
    })

    t.test('says which migration would never be applied', async t => {
      const { database, migrate } = await prepare(t)
      t.strictSame(await migrate(folderOf(t, one, three)), { applied: 2 })
      const late = folderOf(t, one, two, three)
      t.equal(await pendingMigrations(database, late), 1)
      await t.rejects(migrate(late), { name: 'MigrationFailed', message: /^Migration 0001_two was skipped/ })
      await t.rejects(migrate(folderOf(t, one, { ...two, when: one.when })), {
        message: /^Migration 0001_two is not younger/,
      })
      await t.rejects(pendingMigrations(database, folderOf(t, two, one)), {
        message: /^Migration 0000_one is not younger/,
      })
    })

    t.test('lets an older release run on a newer database', async t => {
      const { database, migrate } = await prepare(t)
      await migrate(folderOf(t, one, two, three))
      const older = folderOf(t, one, two)
      t.equal(await pendingMigrations(database, older), 0)
      t.strictSame(await migrate(older), { applied: 0 })
    })

    t.test('does all or nothing, and tells what failed without telling what is in it', async t => {
      const { database, migrate } = await prepare(t)
      await migrate(folderOf(t, one))
      await database.db.execute(sql`insert into one values (1, 'hunter2'), (2, 'hunter2')`)
      const unique = { ...three, sql: 'alter table one add constraint one_secret_unique unique (secret)' }
      const folder = folderOf(t, one, two, unique)
      await t.rejects(migrate(folder), {
        name: 'MigrationFailed',
        message: /^Migration 0002_three failed with 23505 on [^.]*one_secret_unique\.$/,
      })
      t.equal(await pendingMigrations(database, folder), 2)
      await database.db.execute(sql`delete from one where id = 2`)
      t.strictSame(await migrate(folder), { applied: 2 })
    })
  })
}

t.test('Postgres, by many and in trouble', onPostgres, async t => {
  t.test('four processes at once on an empty database all succeed, and one does it', async t => {
    const program = `
      const { migrateDatabase } = await import('./src/store/migrate.ts')
      process.on('message', async url => process.send(await migrateDatabase({ url }).catch(error => error.message)))
      process.send('ready')`
    const others = [1, 2, 3, 4].map(() =>
      spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      }),
    )
    t.teardown(() => others.map(other => other.kill()))
    const heard = () => Promise.all(others.map(async other => (await once(other, 'message'))[0]))
    await heard()
    for (const round of [1, 2, 3, 4, 5]) {
      const url = await freshUrl(t)
      const results = heard()
      for (const other of others) other.send(url)
      const applied = (await results).map(result => result.applied ?? result)
      t.strictSame(applied.toSorted(), [0, 0, 0, journal.entries.length], `round ${round}`)
    }
  })

  t.test('waits for whoever migrates, and holds nothing afterwards', async t => {
    const { url, admin, busyWith } = await watched(t)
    const slow = migrateDatabase({ url, folder: folderOf(t, { ...one, sql: `select pg_sleep(1.5); ${one.sql}` }) })
    await busyWith('pg_sleep')
    let done = false
    const waiting = migrateDatabase({ url, folder: folderOf(t, one, two) }).finally(() => {
      done = true
    })
    await busyWith('pg_advisory_lock')
    t.notOk(done)
    t.strictSame([await slow, await waiting], [{ applied: 1 }, { applied: 1 }])
    await until(async () => (await admin`select from pg_locks where locktype = 'advisory'`).length === 0)
  })

  t.test('a connection that is lost half way leaves nothing behind', async t => {
    const { url, admin, busyWith } = await watched(t)
    const folder = folderOf(t, one, { ...two, sql: `select pg_sleep(2)--> statement-breakpoint\n${two.sql}` }, three)
    const failed = t.rejects(migrateDatabase({ url, folder }), { name: 'MigrationFailed' })
    await busyWith('pg_sleep')
    await admin`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'gatehouse-migrate'`
    await failed
    await sleep(500)
    const tables = await admin`select tablename from pg_tables where schemaname = 'public'`
    t.strictSame([...tables], [])
    t.strictSame(await migrateDatabase({ url, folder }), { applied: 3 })
  })

  t.test('says in one sentence where it did not get in, and never the password', async t => {
    const url = new URL(server ?? '')
    const without = (change: Partial<URL>) => Object.assign(new URL(url), { password: 'hunter2', ...change }).href
    const cases = [
      [without({ port: '1' }), `Postgres at ${url.hostname}:1 is not available (ECONNREFUSED).`],
      [without({ pathname: '/nowhere' }), `Postgres at ${url.host} has no such database (3D000).`],
      [without({ username: 'nobody' }), `Postgres at ${url.host} refuses this user or password (28`],
    ]
    for (const [wrong = '', message = ''] of cases) {
      const error: Error = await migrateDatabase({ url: wrong }).then(
        () => new Error('It got in.'),
        error => error,
      )
      t.ok(error.message.startsWith(message), error.message)
      t.notMatch(`${error.stack} ${JSON.stringify(error)}`, 'hunter2')
    }
  })
})

t.test('a database behind a URL is not migrated through its pool', t =>
  t.rejects(migrateDatabase({ database: { kind: 'postgres' } as Database }), { name: 'MigrationFailed' }),
)

/** A database with somebody who sees what a migrator is doing there. */
async function watched(t: Test) {
  const url = await freshUrl(t)
  const admin = postgres(url, { max: 1, onnotice: () => {} })
  t.teardown(() => admin.end())
  const busyWith = (what: string) =>
    until(async () => {
      const busy = await admin`
        select from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and state = 'active' and query ~ ${what}`
      return busy.length > 0
    })
  return { url, admin, busyWith }
}

async function until(isSo: () => Promise<boolean>) {
  while (!(await isSo())) await sleep(20)
}
