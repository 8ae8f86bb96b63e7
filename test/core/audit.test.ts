/** The chain of events: what is recorded stays as it was, in one order, or it shows. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sql } from 'drizzle-orm'
import t from 'tap'
import { verifyChain } from '../../src/audit/verify.js'
import { type AuthEvent, createEvents, type EventRecord, ourselves } from '../../src/core/events.js'
import { systemSources } from '../../src/core/sources.js'
import { DatabaseUnavailable, isUnavailable, openDatabase } from '../../src/store/database.js'
import { createEventStore, type EventStore } from '../../src/store/events.js'
import { migrateDatabase } from '../../src/store/migrate.js'
import { startApp } from '../helpers/app.js'

const account = '0197a0b4-6c1e-7cc3-9d7a-2f6a1f0c9a11'
const signIn = (detail: AuthEvent['detail'] = {}): AuthEvent => ({
  kind: 'sign_in',
  accountId: account,
  visit: { ...ourselves, door: 'auth', userAgent: 'Mozilla/5.0 “quoted”\u2028 é \\ "', ipAddress: '203.0.113.7' },
  detail,
})

function eventsOver(store: EventStore) {
  const told: EventRecord[] = []
  const failures: unknown[] = []
  const events = createEvents({
    store,
    sources: systemSources,
    secrets: ['a secret of the tests'],
    retention: 86_400,
    onEvent: record => void told.push(record),
    onFailure: error => void failures.push(error),
    isUnavailable,
  })
  return { events, told, failures }
}

const { database } = await startApp(t)

/** The store, with no events. */
async function openStore() {
  const run = (statement: ReturnType<typeof sql>) => database.db.execute(statement)
  const store = createEventStore(database.db)
  /** What somebody with the rights of a superuser does to events. */
  const tamper = async (statement: ReturnType<typeof sql>) => {
    await run(sql`alter table events disable trigger all`)
    await run(statement)
    await run(sql`alter table events enable trigger all`)
  }
  await tamper(sql`delete from events`)
  await run(sql`delete from event_chain`)
  await run(sql`insert into event_chain (seq, hash, base_seq, base_hash) values (0, '', 0, '')`)
  return { store, run, tamper }
}

async function fill(store: EventStore, count: number): Promise<void> {
  const { events } = eventsOver(store)
  for (let index = 0; index < count; index += 1) events.record(signIn({ index }))
  await events.close()
}

t.test('A-08 what is recorded is told at once, written in order, and the chain holds', async t => {
  const { store } = await openStore()
  const { events, told } = eventsOver(store)
  for (let index = 0; index < 1200; index += 1) events.record(signIn({ index }))
  t.equal(told.length, 1200)
  await events.close()
  const written = await store.page(0, 2000)
  t.strictSame(
    written.map(({ record }) => JSON.parse(record).detail.index),
    [...Array(1200).keys()],
  )
  t.strictSame(
    written.map(({ seq }) => seq),
    [...Array(1200).keys()].map(index => index + 1),
  )
  t.match(await verifyChain(store), { holds: true, count: 1200, head: { seq: 1200 } })
})

t.test('several processes append to one chain', async t => {
  const { store } = await openStore()
  const writers = Array.from({ length: 6 }, () => eventsOver(store).events)
  for (let index = 0; index < 50; index += 1) {
    for (const writer of writers) writer.record(signIn({ index }))
    if (index % 10 === 0) await new Promise(resolve => setTimeout(resolve, 5))
  }
  await Promise.all(writers.map(writer => writer.close()))
  t.match(await verifyChain(store), { holds: true, count: 300 })
})

t.test('events are refused to be changed, deleted or truncated', async t => {
  const { store, run } = await openStore()
  await fill(store, 3)
  for (const statement of [
    sql`update events set record = '{}' where seq = 2`,
    sql`delete from events where seq = 2`,
    sql`delete from events`,
    sql`truncate events`,
  ])
    await t.rejects(run(statement))
  t.match(await verifyChain(store), { holds: true, count: 3 })
})

const forgeries: [string, ReturnType<typeof sql>, number][] = [
  [
    'a word of a record',
    sql`update events set record = replace(record, '203.0.113.7', '203.0.113.8') where seq = 4`,
    4,
  ],
  ['a time', sql`update events set at = at + interval '1 millisecond' where seq = 4`, 4],
  ['a hash', sql`update events set hash = repeat('0', 64) where seq = 4`, 4],
  ['whose it is', sql`update events set account_id = null where seq = 4`, 4],
  ['what it is filed as', sql`update events set kind = 'sign_out' where seq = 4`, 4],
  ['a deletion in the middle', sql`delete from events where seq = 4`, 4],
  ['a deletion at the end', sql`delete from events where seq > 5`, 6],
  ['a deletion at the beginning', sql`delete from events where seq < 3`, 1],
  ['a deletion of all', sql`delete from events`, 1],
  [
    'two in each other’s place',
    sql`update events set record = other.record, hash = other.hash from events other
      where (events.seq, other.seq) in ((4, 5), (5, 4))`,
    4,
  ],
  [
    'one put in',
    sql`insert into events select 8, at, kind, account_id, record, repeat('a', 64) from events where seq = 7`,
    8,
  ],
]

for (const [name, statement, place] of forgeries)
  t.test(`a change shows: ${name}`, async t => {
    const { store, tamper } = await openStore()
    await fill(store, 7)
    t.match(await verifyChain(store), { holds: true })
    await tamper(statement)
    t.match(await verifyChain(store), { holds: false, seq: place })
  })

t.test('a chain written anew from the beginning shows against an end that was kept elsewhere', async t => {
  const { store, run, tamper } = await openStore()
  await fill(store, 5)
  const noted = await eventsOver(store).events.head()
  await fill(store, 2)
  t.match(await verifyChain(store, noted), { holds: true, count: 7 }, 'the end is part of it')

  const records = (await store.page(0, 10)).map(({ record }) => record.replace('203.0.113.7', '203.0.113.8'))
  await tamper(sql`delete from events`)
  await run(sql`update event_chain set seq = 0, hash = ''`)
  await store.append(records)
  t.match(await verifyChain(store), { holds: true, count: 7 }, 'whole in itself')
  t.match(await verifyChain(store, noted), { holds: false, seq: 5 })

  await tamper(sql`delete from events`)
  await run(sql`update event_chain set seq = 0, hash = ''`)
  t.match(await verifyChain(store, noted), { holds: false, seq: 1 })
  await run(sql`delete from event_chain`)
  t.match(await verifyChain(store), { holds: false, seq: 0 })
})

t.test('the oldest are let go, and the chain begins where they end', async t => {
  const { store, run, tamper } = await openStore()
  await fill(store, 10)
  await tamper(sql`update events set at = at - interval '2 days' where seq <= 6`)
  // Their times are part of what is hashed: as if they had been written two days ago.
  const old = await store.page(0, 6)
  await tamper(sql`delete from events`)
  await run(sql`update event_chain set seq = 0, hash = ''`)
  await store.append(old.map(({ record }) => record))
  await tamper(sql`update events set at = at - interval '2 days'`)
  t.equal(await eventsOver(store).events.sweep(), 6)
  t.equal(await eventsOver(store).events.sweep(), 0)
  await fill(store, 3)
  t.match(await verifyChain(store), { holds: true, count: 3, head: { seq: 9 } })
  t.match(await verifyChain(store, { seq: 2, hash: 'a'.repeat(64) }), { holds: false, fault: /let go/ })
  await tamper(sql`delete from events where seq = 7`)
  t.match(await verifyChain(store), { holds: false, seq: 7 })
})

t.test('while the database is away events wait, in their order; a gap is told', async t => {
  const { store } = await openStore()
  let isAway = true
  const { events, told, failures } = eventsOver({
    ...store,
    append: async records => {
      if (isAway) throw new DatabaseUnavailable('test')
      await store.append(records)
    },
  })
  for (let index = 0; index < 10_050; index += 1) events.record(signIn({ index }))
  t.equal(told.length, 10_050, 'the log has them all')
  await new Promise(resolve => setTimeout(resolve, 20))
  t.equal(failures.length, 1, 'told once, and tried again a second later')
  isAway = false
  await new Promise(resolve => setTimeout(resolve, 1200))
  await events.close()
  const all = await store.page(0, 20_000)
  t.equal(all.length, 10_001)
  t.strictSame(JSON.parse(all.at(-1)?.record ?? '').detail, { count: 50 })
  t.equal(all.at(-1)?.kind, 'events_lost')
  t.match(await verifyChain(store), { holds: true })
})

t.test('closing does not wait for a database that is away', async t => {
  const { events } = eventsOver({
    append: async () => {
      throw new DatabaseUnavailable('test')
    },
  } as unknown as EventStore)
  events.record(signIn())
  await events.close()
  t.pass('closed')
})

t.test('an address that was tried cannot be read, and is the same for the same', async t => {
  const { store } = await openStore()
  const { events, told } = eventsOver(store)
  for (const email of ['a@example.com', 'b@example.com', 'a@example.com'])
    events.record({ kind: 'sign_in_failed', email, visit: ourselves })
  await events.close()
  t.notMatch(JSON.stringify([told, await store.page(0, 10)]), 'example.com')
  const [a, b, again] = told.map(({ subject }) => subject)
  t.equal(a, again)
  t.not(a, b)
})

t.test('gatehouse audit verify', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-audit-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const DATA_DIR = join(folder, 'data')
  const open = async (
    act: (store: EventStore, run: (statement: ReturnType<typeof sql>) => Promise<unknown>) => Promise<void>,
  ) => {
    const database = await openDatabase({ url: undefined, dataDir: DATA_DIR })
    await migrateDatabase({ database })
    await act(createEventStore(database.db), async statement => database.db.execute(statement))
    await database.close()
  }
  const gatehouse = async (...args: string[]) => {
    const cli = new URL('../../src/cli.ts', import.meta.url).pathname
    const options = { env: { PATH: process.env.PATH, DATA_DIR }, cwd: folder }
    const tsx = new URL('../../node_modules/tsx/dist/cli.mjs', import.meta.url).pathname
    return promisify(execFile)(process.execPath, [tsx, cli, ...args], options).then(
      ({ stdout }) => ({ code: 0, stdout }),
      ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
    )
  }
  await open(store => fill(store, 4))
  const holds = await gatehouse('audit', 'verify')
  t.equal(holds.code, 0)
  t.match(holds.stdout, /^4 events, the first of \d{4}-.*: the chain holds\.\nIt ends at 4:[0-9a-f]{64}\n$/)
  const [head = ''] = /4:[0-9a-f]{64}/.exec(holds.stdout) ?? []
  t.match(await gatehouse('audit', 'verify', '--head', head), { code: 0 })
  t.match(
    await gatehouse(
      'audit',
      'verify',
      '--head',
      head.replace(/.$/, last => (last === '0' ? '1' : '0')),
    ),
    {
      code: 1,
      stdout: 'The chain of events is broken at 4: the chain has been written anew up to here.\n',
    },
  )
  t.match(await gatehouse('audit', 'verify', '--head', 'nonsense'), { code: 2, stderr: /^--head must be/ })
  t.match(await gatehouse('audit', 'verify', '--format', 'csv'), { code: 2 })

  t.match(await gatehouse('users', 'export'), { code: 0 })
  await open(async store => {
    t.match(
      (await store.page(4, 10)).map(({ kind, record }) => [kind, JSON.parse(record)]),
      [['users_exported', { door: 'cli', detail: { with_hashes: false } }]],
    )
  })
  await open(async (_, run) => {
    await run(sql`alter table events disable trigger all`)
    await run(sql`update events set record = '{}' where seq = 2`)
  })
  t.match(await gatehouse('audit', 'verify'), {
    code: 1,
    stdout: 'The chain of events is broken at 2: the event is not what was written.\n',
  })
})
