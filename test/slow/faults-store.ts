/**
 * What the store does while Postgres misbehaves (R-39), on a real cluster of its own: restarts, killed and frozen backends, a locked
 * table, no connection to be had, a server that is down. Prints what it measured; exits with 1 where a promise was broken.
 * With `--bare`, the same workload on the driver as it comes, to see what the pool is for.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/postgres-js'
import postgres from 'postgres'
import {
  type DatabaseTrouble,
  type Db,
  isUnavailable,
  openDatabase,
  safeErrorFields,
} from '../../src/store/database.js'
import { migrateDatabase } from '../../src/store/migrate.js'
import * as schema from '../../src/store/schema.js'
import { type Cluster, startPostgres } from '../helpers/postgres.js'

const { accounts, sessions } = schema
const isBare = process.argv.includes('--bare')
const workers = 20
const settleMs = 5000
const recoverMs = 2000
/** Of the undisturbed rate: what counts as the full rate again, on a machine that does other things too. */
const full = 0.7

const broken = new Set<string>()
const say = (line: string) => process.stdout.write(`${line}\n`)
const promised = (kept: boolean, what: string) => {
  if (!kept) broken.add(what)
}

/** A database that belongs to a role without privileges, since some limits do not hold for a superuser. */
const role = 'gatehouse'
const ours = `usename = '${role}' and pid <> pg_backend_pid()`

let uncaught = 0
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error: unknown) => {
    uncaught += 1
    say(`  ${event}: ${JSON.stringify(safeErrorFields(error))}`)
  })
}

async function testFaults(cluster: Cluster) {
  const url = await prepare(cluster)
  const troubles: DatabaseTrouble[] = []
  const database = isBare
    ? openBare(url)
    : await openDatabase({ url, dataDir: '', onTrouble: event => troubles.push(event) })
  // Those who hurry make trouble; those who do not show when it is over, whatever else the machine does.
  const load = startLoad(database.db, 0)
  const gauge = startLoad(database.db, 20)
  await sleep(1500)
  const from = performance.now()
  await sleep(4000)
  const rate = gauge.rate(from, performance.now())
  say(
    `${isBare ? 'Bare postgres.js' : 'The pool'}, undisturbed: ${workers} workers without pause make ` +
      `${load.rate(from, performance.now()).toFixed(0)} statements/s, ${workers} with a pause ${rate.toFixed(0)}/s`,
  )

  const fault = async (name: string, act: () => Promise<unknown>) => {
    load.forget()
    gauge.forget()
    troubles.length = 0
    const start = performance.now()
    await act()
    const over = performance.now()
    await sleep(recoverMs + 1500)
    const back = gauge.reached(rate * full, over)
    const { answered, refused } = load.seen()
    const wrong = load.wrong() + gauge.wrong()
    const slowest = Math.max(load.seen().slowest, gauge.seen().slowest)
    const told = counted(troubles.map(({ event, code }) => `${event}${code ? ` ${code}` : ''}`))
    say(
      [
        `${name}, ${(over - start).toFixed(0)} ms:`,
        `  ${answered} answered, slowest ${slowest.toFixed(0)} ms; wrong so far ${wrong}; refused ${JSON.stringify(refused)}`,
        `  ${full * 100} % of the rate ${back === undefined ? 'not again' : `${back.toFixed(0)} ms after it was over`}`,
        `  told: ${JSON.stringify(told)}`,
      ].join('\n'),
    )
    promised(back !== undefined && back <= recoverMs, `${name}: the rate was not back after ${recoverMs} ms`)
    promised(slowest <= settleMs, `${name}: a statement took ${slowest.toFixed(0)} ms`)
  }

  await fault('A table changed ten times', async () => {
    for (let column = 0; column < 10; column += 1) {
      await cluster.psql(`alter table accounts add column c${column} text`, inCluster(url))
      await sleep(200)
    }
  })
  const kill = () => cluster.psql(`select pg_terminate_backend(pid) from pg_stat_activity where ${ours}`)
  for (const round of [1, 2, 3, 4]) await fault(`Restart ${round}`, () => cluster.restart('immediate'))
  for (const round of [1, 2, 3, 4]) await fault(`All backends killed ${round}`, kill)
  await fault('Backends frozen for 3 s', async () => freeze(await backendsOf(cluster), 3000))
  await fault('Backends frozen for 7 s', async () => freeze(await backendsOf(cluster), 7000))
  await fault('Server and backends frozen for 7 s', async () =>
    freeze([await cluster.postmaster(), ...(await backendsOf(cluster))], 7000),
  )
  await fault('Sessions locked for 6 s', () =>
    cluster.psql('begin; lock table sessions; select pg_sleep(6); commit', inCluster(url)),
  )
  await fault('No connection to be had for 3 s', async () => {
    await cluster.psql(`alter role ${role} connection limit 0`)
    await kill()
    await sleep(3000)
    await cluster.psql(`alter role ${role} connection limit -1`)
  })
  await cluster.stop('immediate')
  const late = isBare ? undefined : await openDatabase({ url, dataDir: '' })
  await fault('Down for 10 s', async () => {
    await sleep(10_000)
    await cluster.start()
  })
  await late
    ?.ping()
    .catch(() => promised(false, 'A database that was opened while the server was down does not answer'))
  await late?.close()

  for (const each of [load, gauge]) {
    await each.end()
    await judge(url, each)
  }
  await database.close()
}

async function prepare(cluster: Cluster): Promise<string> {
  const url = await cluster.newDatabase()
  const name = new URL(url).pathname.slice(1)
  await cluster.psql(`create role ${role} login`)
  await cluster.psql(`alter database ${name} owner to ${role}`)
  const owned = Object.assign(new URL(url), { username: role }).href
  await migrateDatabase({ url: owned })
  return owned
}

const inCluster = (url: string) => Object.assign(new URL(url), { username: 'postgres' }).href

async function backendsOf(cluster: Cluster): Promise<number[]> {
  const pids = await cluster.psql(`select pid from pg_stat_activity where ${ours}`)
  // Never 0, which is what an empty line reads as, and which would freeze ourselves.
  return pids.split('\n').map(Number).filter(Boolean)
}

async function freeze(pids: number[], ms: number) {
  for (const pid of pids) process.kill(pid, 'SIGSTOP')
  await sleep(ms)
  for (const pid of pids.reverse()) process.kill(pid, 'SIGCONT')
}

function openBare(url: string) {
  const connection = { statement_timeout: 2000, lock_timeout: 1000 }
  const client = postgres(url, { max: 4, connect_timeout: 2, onnotice: () => {}, connection })
  return { db: drizzle(client, { schema }) as Db, close: () => client.end({ timeout: 1 }) }
}

/** Single statements, with a pause of so many milliseconds on average: seven reads, two updates and one insert of an account with its session in ten. */
function startLoad(db: Db, pauseMs: number) {
  const acknowledged: string[] = []
  const underWay = new Map<symbol, number>()
  let finished: number[] = []
  let slowest = 0
  let refused: Record<string, number> = {}
  let wrong = 0
  let running = true

  const insert = async () => {
    const id = randomUUID()
    const rows = await db.execute(sql`
      with made as (
        insert into accounts (id, email, password_hash) values (${id}, ${`${id}@example.test`}, 'none') returning id
      )
      insert into sessions (id, account_id, token_hash, generation, rotated_at, replays, sliding, created_at, last_used_at, expires_at)
      select ${randomUUID()}::uuid, id, ${id}, 0, now(), 0, ${true}::boolean, now(), now(), now() from made
      returning account_id`)
    if ((rows as unknown as { account_id: string }[])[0]?.account_id !== id) return false
    acknowledged.push(id)
    return true
  }
  const update = async (id: string) => {
    const rows = await db.update(sessions).set({ lastUsedAt: sql`now()` }).where(eq(sessions.accountId, id)).returning()
    return rows[0]?.accountId === id && rows[0].sliding
  }
  const read = async (id: string) => {
    const rows = await db.execute(sql`select * from accounts where id = ${id}`)
    return (rows as unknown as { id: string }[])[0]?.id === id
  }

  const step = async (number: number) => {
    const known = acknowledged[Math.floor(Math.random() * acknowledged.length)]
    if (known === undefined || number % 10 === 0) return insert()
    return number % 10 < 3 ? update(known) : read(known)
  }

  const work = async (_: unknown, worker: number) => {
    for (let number = worker; running; number += 1) {
      const call = Symbol()
      let failed = false
      const start = performance.now()
      underWay.set(call, start)
      try {
        // What was acknowledged must be there: an answer with other rows is worse than none.
        if (await step(number)) finished.push(performance.now())
        else wrong += 1
      } catch (error) {
        const { code = 'none' } = safeErrorFields(error)
        refused[code] = (refused[code] ?? 0) + 1
        promised(isBare || isUnavailable(error), `an error that is not the infrastructure's: ${code}`)
        failed = true
      }
      slowest = Math.max(slowest, performance.now() - start)
      underWay.delete(call)
      // A refusal comes at once; who is refused does not ask again at once.
      const pause = failed ? Math.max(pauseMs, 5) : pauseMs
      if (pause > 0) await sleep(Math.random() * 2 * pause)
    }
  }
  const all = Promise.all(Array.from({ length: workers }, work))

  const rate = (from: number, to: number) => (finished.filter(at => at >= from && at < to).length / (to - from)) * 1000
  return {
    acknowledged,
    rate,
    /** How long after `from` the rate was reached, over 300 ms. */
    reached: (least: number, from: number) => {
      for (let at = from; at + 300 <= performance.now(); at += 50) if (rate(at, at + 300) >= least) return at - from
      return undefined
    },
    forget: () => {
      finished = []
      slowest = 0
      refused = {}
    },
    seen: () => {
      const oldest = performance.now() - Math.min(performance.now(), ...underWay.values())
      return { answered: finished.length, refused, slowest: Math.max(slowest, oldest) }
    },
    unsettled: () => underWay.size,
    wrong: () => wrong,
    end: async () => {
      running = false
      await Promise.race([all, sleep(settleMs + 1000)])
    },
  }
}

async function judge(url: string, load: ReturnType<typeof startLoad>) {
  const client = postgres(url, { max: 1, onnotice: () => {} })
  const [half] =
    await client`select count(*)::int as n from accounts where not exists (select from sessions where account_id = accounts.id)`
  const [kept] = await client`select count(*)::int as n from accounts where id = any(${load.acknowledged}::uuid[])`
  const [all] = await client`select count(*)::int as n from accounts`
  await client.end()
  const lost = load.acknowledged.length - kept?.n
  say(
    `In the end: ${all?.n} accounts, ${half?.n} half written, ${load.acknowledged.length} acknowledged, ${lost} of them lost; ` +
      `${load.wrong()} wrong answers, ${load.unsettled()} statements unsettled, ${uncaught} uncaught errors`,
  )
  promised(half?.n === 0, 'half-written accounts')
  promised(lost === 0, 'acknowledged accounts were lost')
  promised(load.wrong() === 0, 'wrong answers')
  promised(load.unsettled() === 0, 'unsettled statements')
}

/** A prepared primary-key read, in turns: the bare driver, drizzle on it, and drizzle on the pool. */
async function measureCost(cluster: Cluster) {
  const url = await cluster.newDatabase()
  await migrateDatabase({ url })
  const bare = postgres(url, { max: 4, onnotice: () => {} })
  const database = await openDatabase({ url, dataDir: '' })
  const id = randomUUID()
  await database.db.insert(accounts).values({ id, email: 'one@example.test' })

  const columns = { id: accounts.id, email: accounts.email }
  const prepared = (db: Db) =>
    db
      .select(columns)
      .from(accounts)
      .where(eq(accounts.id, sql.placeholder('id')))
      .prepare('by_id')
  const onDriver = prepared(drizzle(bare, { schema }) as Db)
  const onPool = prepared(database.db)
  const ways = {
    driver: () => bare.unsafe('select id, email from accounts where id = $1', [id], { prepare: true }).values(),
    'drizzle on the driver': () => onDriver.execute({ id }),
    'drizzle on the pool': () => onPool.execute({ id }),
  }
  for (const width of [1, 16, 64]) {
    const rates: Record<string, number[]> = {}
    for (let round = 0; round < 6; round += 1) {
      for (const [name, way] of Object.entries(ways)) {
        const rate = await ratePerSecond(way, width)
        if (round > 0) rates[name] = [...(rates[name] ?? []), rate]
      }
    }
    const base = median(rates.driver ?? [])
    const parts = Object.entries(rates).map(
      ([name, of]) => `${name} ${median(of).toFixed(0)}/s (${(median(of) / base).toFixed(2)})`,
    )
    say(`Prepared primary-key read, ${width} at a time: ${parts.join(', ')}`)
  }
  await Promise.all([bare.end(), database.close()])
}

async function ratePerSecond(act: () => PromiseLike<unknown>, width: number): Promise<number> {
  const end = performance.now() + 700
  let count = 0
  const loop = async () => {
    while (performance.now() < end) {
      await act()
      count += 1
    }
  }
  await Promise.all(Array.from({ length: width }, loop))
  return count / 0.7
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

function counted(names: string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

const cluster = await startPostgres()
try {
  await testFaults(cluster)
  if (!isBare) await measureCost(cluster)
} catch (error) {
  broken.add(`the run itself: ${error}`)
} finally {
  await cluster.remove()
}
promised(uncaught === 0, `${uncaught} errors reached the process`)
for (const what of broken) say(`BROKEN: ${what}`)
if (broken.size === 0) say('Every promise was kept.')
process.exit(broken.size === 0 ? 0 : 1)
