import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { eq, sql } from 'drizzle-orm'
import postgres from 'postgres'
import t, { type Test } from 'tap'
import {
  type Database,
  type DatabaseOptions,
  type DatabaseTrouble,
  DatabaseUnavailable,
  DataDirInUse,
  isForeignKeyViolation,
  isUnavailable,
  openDatabase,
  safeErrorFields,
} from '../../src/store/database.js'
import { migrateDatabase } from '../../src/store/migrate.js'
import { accounts, sessions } from '../../src/store/schema.js'
import { createDatabase } from '../helpers/postgres.js'

const server = process.env.TEST_DATABASE_URL
const onPostgres = { skip: server === undefined && 'TEST_DATABASE_URL is not set' }
const id = '018f0000-0000-7000-8000-000000000001'

/** Rows of `db.execute`, which the two drivers wrap differently. */
const rowsOf = (result: unknown) => [...((result as { rows?: Row[] }).rows ?? (result as Row[]))]
type Row = Record<string, unknown>

const failureOf = (promise: PromiseLike<unknown>): Promise<Error> =>
  Promise.resolve(promise).then(
    () => Promise.reject(new Error('It was answered.')),
    error => error,
  )

/** What made it unavailable; undefined where that was not what happened. */
const reasonOf = async (promise: PromiseLike<unknown>) => {
  const error = await failureOf(promise)
  return isUnavailable(error) ? safeErrorFields(error).code : undefined
}

const timed = async (act: () => PromiseLike<unknown>) => {
  const start = performance.now()
  await act()
  return performance.now() - start
}

async function freshUrl(t: Test): Promise<string> {
  const { url, drop } = await createDatabase(server ?? '')
  t.teardown(drop)
  return url
}

async function open(t: Test, options: Partial<DatabaseOptions>): Promise<Database> {
  const database = await openDatabase({ dataDir: 'memory://', ...options })
  t.teardown(() => database.close())
  return database
}

for (const kind of ['embedded', 'postgres'] as const) {
  t.test(kind, kind === 'postgres' ? onPostgres : {}, async t => {
    const url = kind === 'postgres' ? await freshUrl(t) : undefined
    const database = await open(t, { url, maxStatements: 8 })
    const { db } = database
    await migrateDatabase(url === undefined ? { database } : { url })
    t.equal(database.kind, kind)

    t.test('answers, on both paths of drizzle', async t => {
      await database.ping()
      t.strictSame(rowsOf(await db.execute(sql`select ${'x'}::text as x, ${7}::int as n, ${true}::boolean as yes`)), [
        { x: 'x', n: 7, yes: true },
      ])
      const [written] = await db.insert(accounts).values({ id, email: 'one@example.test' }).returning()
      const [read] = await db.select().from(accounts).where(eq(accounts.id, id))
      t.ok(read?.createdAt instanceof Date)
      t.strictSame(read, written)
    })

    t.test('a broken rule is the statement’s own fault, and nothing of it but names may be logged', async t => {
      const secret = 'a\n    at secret (/secret:1:1)'
      const taken = await failureOf(
        db.insert(accounts).values({ id, email: 'two@example.test', passwordHash: secret, name: secret }),
      )
      t.match(taken.message, 'secret', 'drizzle does leak')
      t.notOk(isUnavailable(taken))
      t.notOk(isForeignKeyViolation(taken))
      const fields = safeErrorFields(taken)
      t.match(fields, { type: 'DrizzleQueryError', code: '23505', constraint: 'accounts_pkey' })
      t.ok(fields.stack?.length, 'has frames')
      t.notMatch(JSON.stringify(fields), /secret|insert/)

      const now = new Date()
      const orphan = {
        id,
        accountId: id.replace('1', '2'),
        tokenHash: secret,
        generation: 0,
        replays: 0,
        sliding: true,
      }
      const times = { rotatedAt: now, createdAt: now, lastUsedAt: now, expiresAt: now }
      const dangling = await failureOf(db.insert(sessions).values({ ...orphan, ...times }))
      t.ok(isForeignKeyViolation(dangling))
      t.match(safeErrorFields(dangling), { code: '23503', constraint: 'sessions_account_id_accounts_id_fk' })
    })

    t.test('takes a bounded number of statements, and more once those are done', async t => {
      const flood = () => Promise.allSettled(Array.from({ length: 30 }, () => db.execute(sql`select 1`)))
      for (const round of [1, 2]) {
        const results = await flood()
        const refused = results.flatMap(result => (result.status === 'rejected' ? [result.reason] : []))
        t.equal(refused.length, 22, `round ${round}`)
        t.ok(refused.every(error => isUnavailable(error) && safeErrorFields(error).code === 'queue_full'))
      }
    })

    t.test('offers no transaction', t =>
      t.rejects(
        db.transaction(async () => {}),
        /one statement/,
      ),
    )
  })

  t.test(`${kind}: closed`, kind === 'postgres' ? onPostgres : {}, async t => {
    const database = await open(t, { url: kind === 'postgres' ? await freshUrl(t) : undefined })
    const asked = Promise.all([1, 2, 3].map(one => database.db.execute(sql`select ${one}::int as one`)))
    await sleep(0)
    await database.close()
    t.strictSame((await asked).flatMap(rowsOf), [{ one: 1 }, { one: 2 }, { one: 3 }], 'what was asked was let end')
    await t.rejects(database.ping(), new DatabaseUnavailable('closed'))
    await database.close()
  })
}

t.test('fields of errors that are not ours', async t => {
  t.strictSame(safeErrorFields('text'), { type: 'string' })
  t.strictSame(safeErrorFields(undefined), { type: 'undefined' })
  t.notOk(isUnavailable(new Error('x', { cause: new Error('y') })))
  t.ok(isUnavailable(new Error('x', { cause: new Error('y', { cause: new DatabaseUnavailable('57P01') }) })))
  const circular = new Error('x')
  circular.cause = circular
  t.notOk(isUnavailable(circular))
  const odd = Object.assign(new Error('secret'), { code: 'a value, not a name', stack: 'secret\n    at secret' })
  t.equal(safeErrorFields(odd).code, undefined)
  const rewritten = new Error('before')
  t.match(safeErrorFields(rewritten).stack, [/^at /])
  rewritten.message = 'after'
  t.strictSame(safeErrorFields(rewritten).stack, [], 'no telling where the message ended')
})

t.test('R-39 Postgres, troubled', onPostgres, async t => {
  const url = await freshUrl(t)
  const admin = postgres(url, { max: 1, onnotice: () => {} })
  t.teardown(() => admin.end())
  await admin.unsafe('create table notes (id int primary key, sure boolean)')
  const kill = () => admin`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'gatehouse'`
  const select = (database: Database) => database.db.execute(sql`select ${1}::int as one`)

  t.test('statement and lock timeouts of the server', async t => {
    const { db } = await open(t, { url })
    const slow = await timed(async () => t.equal(await reasonOf(db.execute(sql`select pg_sleep(10)`)), '57014'))
    t.ok(slow > 1800 && slow < 3000, `${slow} ms`)
    await admin.begin(async admin => {
      await admin`lock table notes`
      t.equal(await reasonOf(db.execute(sql`select * from notes`)), '55P03')
    })
  })

  t.test('a connection that goes silent is given up at the deadline, and replaced', async t => {
    const wire = await openWire(t, url)
    const events: DatabaseTrouble[] = []
    const database = await open(t, { url: wire.url, deadlineMs: 500, onTrouble: event => events.push(event) })
    await select(database)
    wire.silent = true
    const waited = await timed(async () => t.equal(await reasonOf(select(database)), 'deadline'))
    t.ok(waited > 450 && waited < 1000, `${waited} ms`)
    wire.silent = false
    await sleep(100)
    t.strictSame(rowsOf(await select(database)), [{ one: 1 }])
    t.match(events, [{ event: 'database_connection_lost', code: 'deadline' }])
  })

  t.test('a killed backend costs what was under way, and no more', async t => {
    const database = await open(t, { url })
    const asked = Promise.all([1, 2, 3].map(() => reasonOf(database.db.execute(sql`select pg_sleep(1)`))))
    await sleep(200)
    await kill()
    t.ok((await asked).every(reason => reason !== undefined))
    t.strictSame(rowsOf(await select(database)), [{ one: 1 }])
  })

  t.test('what was not sent in time is never sent', async t => {
    const wire = await openWire(t, url)
    const database = await open(t, { url: wire.url, maxConnections: 1 })
    await select(database)
    wire.silent = true
    const lost = reasonOf(select(database))
    await sleep(500)
    const waited = await timed(async () =>
      t.equal(await reasonOf(database.db.execute(sql`insert into notes values (1, true)`)), 'queue_timeout'),
    )
    t.ok(waited > 1400 && waited < 2000, `${waited} ms`)
    wire.silent = false
    t.equal(await lost, 'deadline')
    await select(database)
    t.strictSame([...(await admin`select * from notes`)], [])
  })

  t.test('a statement between the error of a connection and its end is never answered for it', async t => {
    const sockets: Socket[] = []
    const { connect } = Socket.prototype
    t.intercept(Socket.prototype, 'connect', {
      value(this: Socket, ...args: Parameters<typeof connect>) {
        sockets.push(this)
        return connect.apply(this, args)
      },
    })
    const database = await open(t, { url, maxConnections: 1 })
    await select(database)
    const [socket] = sockets
    let answer: Promise<unknown> | undefined
    socket?.once('error', () => {
      answer = select(database).then(rowsOf)
    })
    socket?.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }))
    await new Promise(resolve => socket?.once('close', resolve))
    t.strictSame(await answer, [{ one: 1 }])
  })

  t.test('prepares on every path, and survives that the preparation is lost', async t => {
    const { db } = await open(t, { url, maxConnections: 1 })
    const put = () =>
      db.execute(
        sql`insert into notes values (${2}, ${true}) on conflict (id) do update set sure = excluded.sure returning *`,
      )
    await put()
    await db.execute(sql`select 2`)
    const known = await db.execute(
      sql`select statement from pg_prepared_statements where statement ~ '^(insert|select 2)'`,
    )
    t.equal(rowsOf(known).length, 2)

    await db.execute(sql`deallocate all`)
    t.strictSame(rowsOf(await put()), [{ id: 2, sure: true }], 'a true that is sent again is still true')
    await admin.unsafe('alter table notes add column extra text')
    t.strictSame(rowsOf(await put()), [{ id: 2, sure: true, extra: null }], 'a plan whose rows have changed')
  })

  t.test('every answer goes to who asked, whatever happens to the preparations', async t => {
    const { db } = await open(t, { url, maxConnections: 2 })
    await admin.unsafe('create table shapes as select 1 as side')
    const statements = [
      (who: string) => sql`select ${who}::text as who`,
      (who: string) => sql`select ${who}::text as who, 2 as two`,
      (who: string) => sql`select ${who}::text as who, * from shapes`,
    ]
    let refused = 0
    for (let round = 0; round < 40; round += 1) {
      const names = Array.from({ length: 30 }, (_, index) => `${round}/${index}`)
      const asked = names.map((name, index) => db.execute(statements[index % 3]?.(name) ?? sql``).then(rowsOf))
      if (round % 2 === 0) {
        const senseless = failureOf(db.execute(sql`select ${sql.param(undefined)}::text as who`))
        senseless.then(error => (refused += error.cause instanceof TypeError ? 1 : 0)).catch(t.fail)
      }
      if (round % 3 === 0) asked.push(db.execute(sql`deallocate all`).then(rowsOf))
      if (round % 5 === 0) await admin.unsafe(`alter table shapes add column c${round} text`)
      const answers = await Promise.all(asked)
      const heard = answers.slice(0, names.length).map(([row]) => row?.who)
      if (heard.join() !== names.join()) t.strictSame(heard, names)
    }
    t.equal(refused, 20, 'what cannot be sent is refused before it is')
  })

  t.test('a server that became read-only is left for another connection', async t => {
    const { db } = await open(t, { url, maxConnections: 1 })
    const put = () => db.execute(sql`update notes set sure = false`)
    await db.execute(sql`set default_transaction_read_only = on`)
    t.equal(await reasonOf(put()), '25006')
    await put()
  })

  t.test('starts without the server, refuses at once when that lasts, and recovers alone', async t => {
    const wire = await openWire(t, url, { listening: false })
    const events: DatabaseTrouble[] = []
    const database = await open(t, { url: wire.url, onTrouble: event => events.push(event) })
    const first = await timed(async () => t.equal(await reasonOf(select(database)), 'ECONNREFUSED'))
    t.ok(first < 2000, `waited ${first} ms for it`)
    const second = await timed(async () => t.equal(await reasonOf(select(database)), 'ECONNREFUSED'))
    t.ok(second < 50, `then ${second} ms`)
    await t.rejects(database.ping(), new DatabaseUnavailable('ECONNREFUSED'))
    await wire.listen()
    await sleep(700)
    await database.ping()
    t.strictSame(events, [{ event: 'database_unreachable', code: 'ECONNREFUSED' }, { event: 'database_reachable' }])
  })

  t.test('of several hosts, takes the one that answers', async t => {
    const { host } = new URL(url)
    const database = await open(t, { url: url.replace(host, `127.0.0.1:1,${host}`) })
    await database.ping()
  })

  t.test('a URL that is none is not repeated', async t => {
    const error = await failureOf(openDatabase({ url: 'postgres://me:secret@[::1/db', dataDir: '' }))
    t.notMatch(`${error.stack} ${JSON.stringify(error)}`, 'secret')
  })
})

t.test('the embedded folder', async t => {
  const dataDir = `${t.testdir()}/data`
  const lock = `${dataDir}/pglite.lock`

  t.test('keeps what was written', async t => {
    const first = await openDatabase({ dataDir })
    await migrateDatabase({ database: first })
    await first.db.insert(accounts).values({ id, email: 'kept@example.test' })
    t.equal(readFileSync(lock, 'utf8'), String(process.pid))
    await t.rejects(openDatabase({ dataDir }), DataDirInUse, 'not twice in one process')
    await first.close()
    t.throws(() => readFileSync(lock), { code: 'ENOENT' })
    await t.resolveMatch(emailsIn(dataDir), ['kept@example.test'])
  })

  t.test('is for one process, until that is gone', async t => {
    const program = `
      const { openDatabase } = await import('./src/store/database.ts')
      await openDatabase({ dataDir: ${JSON.stringify(dataDir)} })
      console.log('open')
      setInterval(() => {}, 1000)`
    const other = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.teardown(() => other.kill('SIGKILL'))
    await once(other.stdout, 'data')
    await t.rejects(openDatabase({ dataDir }), { name: 'DataDirInUse', message: new RegExp(`process ${other.pid}\\b`) })
    other.kill('SIGKILL')
    await once(other, 'exit')
    await t.resolveMatch(emailsIn(dataDir), ['kept@example.test'])
  })

  for (const [whose, holder] of Object.entries({ 'our own pid': process.pid, 'no pid': 'x', nothing: '' })) {
    t.test(`takes over a lock with ${whose}`, async t => {
      writeFileSync(lock, String(holder))
      await t.resolveMatch(emailsIn(dataDir), ['kept@example.test'])
    })
  }
})

async function emailsIn(dataDir: string): Promise<string[]> {
  const { db, close } = await openDatabase({ dataDir })
  const found = await db.select().from(accounts)
  await close()
  return found.map(account => account.email)
}

type Wire = { url: string; silent: boolean; listen(): Promise<void> }

/** A way to the server that can go silent: what is sent then is lost, and nobody is told. */
async function openWire(t: Test, url: string, { listening = true } = {}): Promise<Wire> {
  const target = new URL(url)
  const ends = new Set<Socket>()
  const proxy = createServer(near => {
    const far = new Socket().connect(Number(target.port), target.hostname)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      ends.add(from)
      from.on('data', data => wire.silent || to.write(data))
      from.on('error', () => {})
      from.on('close', () => {
        ends.delete(from)
        to.destroy()
      })
    }
  })
  const listen = async (port: number) => {
    proxy.listen(port, '127.0.0.1')
    await once(proxy, 'listening')
  }
  await listen(0)
  const { port } = proxy.address() as AddressInfo
  const wire: Wire = { url: url.replace(target.host, `127.0.0.1:${port}`), silent: false, listen: () => listen(port) }
  if (!listening) await new Promise(resolve => proxy.close(resolve))
  t.teardown(() => {
    proxy.close()
    for (const end of ends) end.destroy()
  })
  return wire
}
