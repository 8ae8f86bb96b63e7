/** Opens the database: Postgres behind a deadline where there is a URL, a PGlite folder of our own where there is none. */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { join, resolve as resolvePath } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core'
import { drizzle as drizzlePglite } from 'drizzle-orm/pglite'
import { drizzle as drizzlePostgres } from 'drizzle-orm/postgres-js'
import postgres, { type Sql } from 'postgres'
import * as schema from './schema.js'

export type Schema = typeof schema

/** What the functions of this floor take: the same queries on Postgres and on PGlite. */
export type Db = PgDatabase<PgQueryResultHKT, Schema>

export type Database = {
  db: Db
  kind: 'postgres' | 'embedded'
  /** Throws DatabaseUnavailable when `select 1` is not answered within a second. */
  ping(): Promise<void>
  /** Refuses what is new, lets what runs end, and lets go of everything. */
  close(): Promise<void>
  /** PGlite itself, which the migrator needs for its transaction. */
  engine?: PGlite
}

export type DatabaseOptions = {
  url?: string | undefined
  /** The folder that keeps PGlite's files where there is no URL; `memory://` keeps nothing. */
  dataDir: string
  maxConnections?: number
  /** How many statements may be under way or waiting at once; one more is refused. */
  maxStatements?: number
  deadlineMs?: number
  onTrouble?: (event: DatabaseTrouble) => void
}

export type DatabaseTrouble = {
  event: 'database_connection_lost' | 'database_unreachable' | 'database_reachable'
  code?: string
}

/** Opens the database. Returns before Postgres has answered, so that the service starts, and recovers, without it. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  return options.url === undefined ? openEmbedded(options) : openPostgres(options.url, options)
}

// ---------------------------------------------------------------------------------------------------------- Errors

/**
 * The database cannot be asked now, or did not answer: what was asked may or may not have happened. It carries an SQLSTATE
 * or a driver's code and nothing else, since drivers put SQL and parameters, so password hashes, into their errors.
 */
export class DatabaseUnavailable extends Error {
  override readonly name = 'DatabaseUnavailable'
  readonly reason: string

  constructor(reason: string) {
    super(`the database is unavailable (${reason})`)
    this.reason = reason
  }
}

/** Another process has the folder of the embedded database open. */
export class DataDirInUse extends Error {
  override readonly name = 'DataDirInUse'
}

/** Drizzle wraps what its client throws, so the cause of a cause may be the one that tells. */
export function isUnavailable(error: unknown): boolean {
  return chainOf(error).some(link => link instanceof DatabaseUnavailable)
}

/** A row points to one that is not there, or no longer: an account that was deleted meanwhile. */
export function isForeignKeyViolation(error: unknown): boolean {
  return chainOf(error).some(link => (link as { code?: unknown }).code === '23503')
}

/** A row that must be the only one of its kind is there already. */
export function isUniqueViolation(error: unknown): boolean {
  return chainOf(error).some(link => (link as { code?: unknown }).code === '23505')
}

export type SafeErrorFields = { type: string; code?: string; constraint?: string; stack?: string[] }

/**
 * What a log may say about an error that came out of this floor. Drizzle's message and stack repeat the SQL with its
 * parameters, and Postgres repeats values in `message`, `detail` and `where`; so neither is taken, only names and frames.
 */
export function safeErrorFields(error: unknown): SafeErrorFields {
  const links = chainOf(error)
  const [outermost] = links
  if (!outermost) return { type: typeof error }
  const code = firstName(links, ['reason', 'code'])
  const constraint = firstName(links, ['constraint_name', 'constraint'])
  return {
    type: outermost.constructor.name,
    ...(code !== undefined && { code }),
    ...(constraint !== undefined && { constraint }),
    stack: framesOf(outermost),
  }
}

function chainOf(error: unknown): Error[] {
  const chain: Error[] = []
  for (let link = error; link instanceof Error && chain.length < 8; link = link.cause) chain.push(link)
  return chain
}

/** The first member that reads like a name: whatever holds more than a name is not repeated. */
function firstName(links: Error[], members: string[]): string | undefined {
  return links
    .flatMap(link => members.map(member => (link as unknown as Record<string, unknown>)[member]))
    .find((value): value is string => typeof value === 'string' && /^\w{1,63}$/.test(value))
}

/** The frames after the message; a line of the message that looks like a frame is not one, so the message goes first. */
function framesOf({ stack = '', message }: Error): string[] {
  const start = stack.indexOf(message)
  if (start < 0) return []
  const lines = stack.slice(start + message.length).split('\n')
  return lines.filter(line => line.startsWith('    at ')).map(line => line.trim())
}

/** The code that tells that a statement failed for the infrastructure's sake and not its own; undefined: for its own. */
function unavailableReason(error: unknown): string | undefined {
  if (error instanceof DatabaseUnavailable) return error.reason
  const { code } = (error ?? {}) as { code?: unknown }
  if (typeof code !== 'string') return undefined
  if (!isSqlState(code)) return /^(CONNECT|E[A-Z]+$|ERR_(STREAM|SOCKET|SSL|TLS))/.test(code) ? code : undefined
  // 08 connection, 53 resources, 57 operator, 58 system, XX internal; the rest: lock timeout, read-only (a demoted
  // primary), serialisation, deadlock, a preparation that went stale again and again.
  const passing = /^(08|53|57|58|XX)/.test(code) || ['55P03', '25006', '40001', '40P01', '26000'].includes(code)
  return passing || isStale(error) ? code : undefined
}

/** EPIPE has five capitals too, but no SQLSTATE begins like a word. */
const isSqlState = (code: string) => /^(\d|F0|HV|P0|XX)[\dA-Z]+$/.test(code) && code.length === 5

// ---------------------------------------------------------------------------------------------------------- Postgres

function openPostgres(url: string, options: DatabaseOptions): Database {
  const pool = createPool(url, options)
  const db = drizzlePostgres(pool.client as unknown as Sql, { schema })
  pool.start()
  const ping = async () => {
    await withDeadline(pool.run('select 1', [], false), pingMs)
  }
  return { db, kind: 'postgres', ping, close: pool.close }
}

/** Waits that long, and no longer. What is waited for goes on. */
export async function withDeadline<Answer>(answer: PromiseLike<Answer>, ms: number): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DatabaseUnavailable('deadline')), ms)
  })
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}

export type Connection = { sql: Sql; destroy(): void }

export type ConnectionOptions = {
  /** Which of the hosts of a URL that names several. */
  turn?: number
  /** Settings of the Postgres session. */
  settings: Record<string, string>
  /** Called once, when the connection is over for whatever reason; the code is the socket's where it has one. */
  onGone: (code: string) => void
  /** Called with the payload of every notification the connection listens for. */
  onNotify?: (payload: string) => void
}

/**
 * One connection, used until it breaks and never again. postgres.js keeps a broken connection's unsent bytes, its timer
 * and its current query for the next socket: a statement that was never sent may then be answered with no rows, another
 * may never be answered, and a transaction may go on outside itself. So its second socket is refused, and all of that
 * state dies with the first. Where it does its own queries (for types, for host selection) nobody catches their errors.
 */
export function openConnection(url: string, { turn = 0, settings, onGone, onNotify }: ConnectionOptions): Connection {
  let socket: (Socket & { host?: string }) | undefined
  let trouble = 'CONNECTION_CLOSED'
  let gone = false

  const over = () => {
    if (gone) return
    gone = true
    onGone(trouble)
  }
  const connect = (to: { host: string[]; port: number[]; path: string | false }) => {
    if (socket) {
      over()
      throw new DatabaseUnavailable(trouble)
    }
    socket = new Socket()
    // The driver listens from its next turn only, and a Unix socket that is missing says so before. It also goes on sending
    // until the socket has closed, which is later than the error or the end that lost it.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      trouble = error.code ?? trouble
      over()
    })
    socket.once('end', over).once('close', over)
    socket.once('connect', () => socket?.setKeepAlive(true, 10_000))
    socket.setNoDelay(true)
    if (to.path) return socket.connect(to.path)
    const host = to.host[turn % to.host.length]
    if (host !== undefined) socket.host = host // where the driver looks for the name that TLS checks
    return socket.connect({ host, port: to.port[turn % to.port.length] ?? 5432 })
  }

  const settingsOfDriver = {
    max: 1,
    socket: connect,
    onclose: over,
    onnotice: () => {},
    onnotify: (_channel: string, payload: string) => onNotify?.(payload),
    fetch_types: false,
    idle_timeout: null,
    max_lifetime: null,
    connect_timeout: 0,
    keep_alive: null,
    connection: settings,
  }
  const sql = parsed(url, settingsOfDriver)

  return {
    sql,
    destroy: () => {
      // A reset makes the server forget what it has received and not yet begun. There is none for a Unix socket.
      if (socket?.remoteAddress) socket.resetAndDestroy()
      else socket?.destroy()
    },
  }
}

/** An URL that cannot be parsed is thrown about by the parser, with its password. */
function parsed(url: string, settings: object): Sql {
  try {
    return postgres(url, settings as postgres.Options<Record<string, postgres.PostgresType>>)
  } catch {
    throw new TypeError('The URL of the database is not one.')
  }
}

/**
 * What Postgres says when a prepared statement is gone, or its tables have changed under it: nothing of it was done yet.
 * The driver would then repeat it by itself, and in a pipeline give the rows of the next statement to the one it repeats, so
 * it may not see by which `routine` it knows them. The pool repeats them instead, on another connection.
 */
const staleRoutines = ['FetchPreparedStatement', 'RevalidateCachedQuery', 'transformAssignedExpr']
const isStale = (error: unknown) => staleRoutines.includes((error as { raisedIn?: string }).raisedIn ?? '')

Object.defineProperty(postgres.PostgresError.prototype, 'routine', {
  configurable: true,
  set(this: { raisedIn?: string }, routine: string) {
    this.raisedIn = routine
  },
})

/**
 * A parameter as the driver sends it without a thought of its own. Where its own serialisers throw in a pipeline, it goes on
 * as if the statement had been sent, and every later answer goes to the wrong one; and they make `f` of a `t` they made.
 */
function toText(parameter: unknown): string | null {
  if (typeof parameter === 'string' || parameter === null) return parameter
  if (typeof parameter === 'number' || typeof parameter === 'bigint' || typeof parameter === 'boolean')
    return String(parameter)
  if (parameter instanceof Date) return parameter.toISOString()
  if (parameter instanceof Uint8Array) return `\\x${Buffer.from(parameter).toString('hex')}`
  throw new TypeError(`A parameter cannot be of type ${typeof parameter}.`)
}

type Call = {
  text: string
  parameters: (string | null)[]
  asArrays: boolean
  resolve: (rows: unknown) => void
  reject: (error: unknown) => void
  /** In sweeps: when it was asked for, and when it was sent. */
  born: number
  sent: number
  repeated: boolean
}

type Lane = Connection & {
  state: 'opening' | 'open' | 'leaving' | 'gone'
  /** What was sent and is not answered, oldest first. */
  calls: Set<Call>
  /** Its oldest statement takes long, so that others should not be sent behind it. */
  stalled: boolean
  born: number
  leavesAt: number
}

/** Below every time limit of ours: what the server itself gives up on, so that only a dead connection meets ours. */
const sessionSettings = {
  application_name: 'gatehouse',
  statement_timeout: '2000',
  lock_timeout: '1000',
  idle_in_transaction_session_timeout: '5000',
}

const pingMs = 1000
const tickMs = 100
const connectMs = 2000
/** How long a statement may wait unsent, and how long after losing the last connection statements wait at all. */
const patienceMs = 1500
const stalledMs = 200
/** Statements sent ahead on one connection. More is no faster, and each is lost with the connection. */
const depth = 16
const spacingMs = 25
const longestPauseMs = 500
const lifetimeMs = () => (30 + Math.random() * 30) * 60_000

/**
 * A pool of connections, each with a pipeline of statements, that drizzle takes for postgres.js. Every statement settles
 * by its deadline: the connection that let it pass is dropped with all it holds, and another is opened. What waits here
 * unsent is sent later by whichever connection is free, or refused in time, and then never sent.
 */
function createPool(url: string, options: DatabaseOptions) {
  const { maxConnections = 4, maxStatements = 1024, deadlineMs = 4000, onTrouble = () => {} } = options
  const patience = Math.min(patienceMs, deadlineMs)
  const codecs = { parsers: {}, serializers: {} }
  const lanes: Lane[] = []
  const leaving = new Set<Lane>()
  const waiting: Call[] = []
  let outstanding = 0
  let turn = 0
  let failures = 0
  let openedAt = Number.NEGATIVE_INFINITY
  let downSince: number | undefined = performance.now()
  let downReason = 'CONNECT_TIMEOUT'
  let told: string | undefined
  let pause: NodeJS.Timeout | undefined
  let closing = false
  let drained = () => {}

  // Time is counted in sweeps, so that a process that was stopped for a while does not blame the database.
  let now = 0
  let sweeper: NodeJS.Timeout | undefined

  const run = (text: string, parameters: (string | null)[], asArrays: boolean): Promise<unknown> => {
    const refusal = refuses()
    if (refusal !== undefined) return Promise.reject(new DatabaseUnavailable(refusal))
    return new Promise((resolve, reject) => {
      const call = { text, parameters, asArrays, resolve, reject, born: now, sent: now, repeated: false }
      outstanding += 1
      sweeper ??= setInterval(sweep, tickMs)
      const lane = waiting.length === 0 ? pick() : undefined
      if (lane) send(lane, call)
      else waiting.push(call)
      if (!lane || lane.calls.size > 1) grow()
    })
  }

  function refuses(): string | undefined {
    if (closing) return 'closed'
    if (outstanding >= maxStatements) return 'queue_full'
    if (downSince !== undefined && performance.now() - downSince > patienceMs) return downReason
    return undefined
  }

  function pick(): Lane | undefined {
    let best: Lane | undefined
    for (const lane of lanes) {
      if (lane.state !== 'open' || lane.stalled || lane.calls.size >= depth) continue
      if (!best || lane.calls.size < best.calls.size) best = lane
    }
    return best
  }

  function send(lane: Lane, call: Call) {
    lane.calls.add(call)
    call.sent = now
    // Prepared on every path. `simple` would otherwise be on where there are no parameters, and nothing be prepared.
    const query = lane.sql.unsafe(call.text, call.parameters, { prepare: true, simple: false } as never)
    Object.assign(query, { strings: interned(call.text) })
    const answer: PromiseLike<unknown> = call.asArrays ? query.values() : query
    answer.then(
      rows => {
        if (!lane.calls.delete(call)) return
        call.resolve(rows)
        settled(lane)
      },
      error => {
        if (!lane.calls.delete(call)) return
        if (isStale(error) && !call.repeated) return repeat(call)
        const reason = unavailableReason(error)
        call.reject(reason === undefined ? error : new DatabaseUnavailable(reason))
        judge(lane, error, reason)
        settled(lane)
      },
    )
  }

  /** Once, on a new connection: nothing of it was done, and what is stale on one of those that are open is so on all. */
  function repeat(call: Call) {
    call.repeated = true
    waiting.unshift(call)
    for (const lane of [...lanes, ...leaving]) leave(lane, 'CONNECTION_CLOSED')
  }

  /** The driver remembers for ever, by identity, the text of each statement that failed: so one array a text, not a failure. */
  const texts = new Map<string, string[]>()
  function interned(text: string): string[] {
    const known = texts.get(text) ?? [text]
    texts.set(text, known)
    return known
  }

  function settled(lane?: Lane) {
    outstanding -= 1
    if (outstanding === 0) drained()
    if (!lane) return
    lane.stalled = false
    if (waiting.length > 0) pump()
    if (lane.state === 'leaving') leave(lane, 'CONNECTION_CLOSED')
  }

  /** Whether the connection can stay after such a failure. What did not come from the server leaves it in an unknown state. */
  function judge(lane: Lane, error: unknown, reason = 'CONNECTION_CLOSED') {
    if (!(error instanceof postgres.PostgresError)) lose(lane, reason)
    if (reason !== '25006') return
    // A primary that became a standby keeps its connections; a new one may find the new primary, at the pace of failures.
    failures = Math.max(failures, 3)
    leave(lane, reason)
  }

  function pump() {
    while (waiting.length > 0) {
      const lane = pick()
      const call = lane && waiting.shift()
      if (!lane || !call) return grow()
      send(lane, call)
    }
  }

  /** Opens one more connection, one at a time, not too often, and after failures ever less often. */
  function grow() {
    if (closing || pause || lanes.length >= maxConnections || lanes.some(lane => lane.state === 'opening')) return
    const backoff = failures === 0 ? 0 : Math.min(longestPauseMs, spacingMs * 2 ** failures) * (0.5 + Math.random() / 2)
    const wait = Math.max(backoff, openedAt + spacingMs - performance.now())
    if (wait <= 0) return openLane()
    pause = setTimeout(() => {
      pause = undefined
      openLane()
    }, wait).unref()
  }

  function openLane() {
    openedAt = performance.now()
    sweeper ??= setInterval(sweep, tickMs)
    turn += 1
    const onGone = (code: string) => lose(lane, code)
    const connection = openConnection(url, { turn: turn - 1, settings: sessionSettings, onGone })
    const lane: Lane = {
      ...connection,
      state: 'opening',
      calls: new Set(),
      stalled: false,
      born: now,
      leavesAt: openedAt + lifetimeMs(),
    }
    lanes.push(lane)
    adopt(connection.sql, codecs)
    connection.sql.unsafe('select 1').then(
      () => opened(lane),
      error => lose(lane, safeErrorFields(error).code ?? 'CONNECTION_CLOSED'),
    )
  }

  function opened(lane: Lane) {
    if (lane.state !== 'opening') return
    lane.state = 'open'
    failures = 0
    downSince = undefined
    if (told !== undefined) onTrouble({ event: 'database_reachable' })
    told = undefined
    pump()
  }

  /** Takes the connection out of service, and ends it when what it carries has. */
  function leave(lane: Lane, reason: string) {
    if (lane.state === 'open') {
      lane.state = 'leaving'
      leaving.add(lane)
      lanes.splice(lanes.indexOf(lane), 1)
      recover(reason)
    }
    if (lane.state === 'leaving' && lane.calls.size === 0) void end(lane)
  }

  async function end(lane: Lane) {
    forget(lane)
    await lane.sql.end({ timeout: 1 })
    lane.destroy()
  }

  /** Drops the connection, with all that was sent on it and is not answered. */
  function lose(lane: Lane, reason: string) {
    if (lane.state === 'gone') return
    const wasOpening = lane.state === 'opening'
    drop(lane)
    for (const call of lane.calls) {
      call.reject(new DatabaseUnavailable(reason))
      settled()
    }
    lane.calls.clear()
    if (wasOpening) failures += 1
    else onTrouble({ event: 'database_connection_lost', code: reason })
    if (wasOpening && told !== reason) {
      told = reason
      onTrouble({ event: 'database_unreachable', code: reason })
    }
    recover(reason)
  }

  function drop(lane: Lane) {
    forget(lane)
    lane.destroy()
  }

  function forget(lane: Lane) {
    lane.state = 'gone'
    leaving.delete(lane)
    const index = lanes.indexOf(lane)
    if (index >= 0) lanes.splice(index, 1)
  }

  /** One connection is always open or being opened, whether somebody asks or not, so that recovery needs no visitor. */
  function recover(reason: string) {
    if (!lanes.some(lane => lane.state === 'open')) {
      downSince ??= performance.now()
      downReason = reason
    }
    if (waiting.length > 0 || lanes.length === 0) grow()
  }

  function sweep() {
    now += 1
    const isPast = (born: number, limitMs: number) => (now - born) * tickMs > limitMs
    for (let eldest = waiting[0]; eldest && isPast(eldest.born, patience); eldest = waiting[0]) {
      waiting.shift()
      settled()
      eldest.reject(new DatabaseUnavailable(downSince === undefined ? 'queue_timeout' : downReason))
    }
    for (const lane of [...lanes, ...leaving]) {
      if (lane.state === 'opening' && isPast(lane.born, connectMs)) lose(lane, 'CONNECT_TIMEOUT')
      const [eldest] = lane.calls
      if (eldest && isPast(eldest.born, deadlineMs)) lose(lane, 'deadline')
      lane.stalled = eldest !== undefined && isPast(eldest.sent, stalledMs)
      if (lane.state === 'open' && performance.now() > lane.leavesAt) leave(lane, 'CONNECTION_CLOSED')
    }
    if (outstanding === 0 && leaving.size === 0 && !lanes.some(lane => lane.state === 'opening')) {
      clearInterval(sweeper)
      sweeper = undefined
    }
  }

  const close = async () => {
    closing = true
    clearTimeout(pause)
    if (outstanding > 0) {
      await new Promise<void>(resolve => {
        drained = resolve
      })
    }
    await Promise.all([...lanes, ...leaving].map(lane => (lane.state === 'opening' ? drop(lane) : end(lane))))
    clearInterval(sweeper)
  }

  const client = {
    options: codecs,
    unsafe: (text: string, parameters: unknown[] = []) => ({
      values: () => run(text, parameters.map(toText), true),
      // biome-ignore lint/suspicious/noThenProperty: drizzle awaits what postgres.js returns, which runs when it is awaited
      then: (...handlers: Parameters<Promise<unknown>['then']>) =>
        run(text, parameters.map(toText), false).then(...handlers),
    }),
    begin: transactionRefused,
  }

  return { client, run, close, start: grow }
}

async function transactionRefused(): Promise<never> {
  throw new Error('Transactions are not offered: a write is one statement.')
}

type Codecs = { parsers: object; serializers: Record<string, (text: unknown) => unknown> }

/** Gives the driver drizzle's parsers; what is sent is text already. */
function adopt(sql: Sql, codecs: Codecs) {
  const options = sql.options as unknown as Codecs
  Object.assign(options.parsers, codecs.parsers)
  for (const type of Object.keys(options.serializers)) options.serializers[type] = text => text
}

// ---------------------------------------------------------------------------------------------------------- PGlite

async function openEmbedded({ dataDir, maxStatements = 1024 }: DatabaseOptions): Promise<Database> {
  const inMemory = dataDir.startsWith('memory://')
  const unlock = inMemory ? () => {} : lockFolder(dataDir)
  const engine = await PGlite.create(inMemory ? dataDir : join(dataDir, 'pglite')).catch(error => {
    unlock()
    throw error
  })
  let outstanding = 0
  let last: Promise<unknown> = Promise.resolve()
  let closing: Promise<void> | undefined

  // It runs in this thread, one statement after the other: a deadline could not strike, but the queue can be bounded.
  const query = async <Row>(...statement: Parameters<PGlite['query']>) => {
    if (closing) throw new DatabaseUnavailable('closed')
    if (outstanding >= maxStatements) throw new DatabaseUnavailable('queue_full')
    outstanding += 1
    const answer = engine.query<Row>(...statement)
    last = answer
    try {
      return await answer
    } catch (error) {
      const reason = unavailableReason(error)
      throw reason === undefined ? error : new DatabaseUnavailable(reason)
    } finally {
      outstanding -= 1
    }
  }
  const client = { query, transaction: transactionRefused }

  return {
    db: drizzlePglite(client as unknown as PGlite, { schema }),
    kind: 'embedded',
    engine,
    ping: async () => {
      await withDeadline(query('select 1'), pingMs)
    },
    close: () => {
      closing ??= last
        .catch(() => {})
        .then(() => engine.close())
        .finally(unlock)
      return closing
    },
  }
}

/** The folders that this process has open, which its own pid in a lock file cannot tell. */
const lockedHere = new Set<string>()

/**
 * Takes the folder for this process, and returns how to give it back: two PGlites in one folder destroy it.
 * The lock of a process that is gone is taken over, and that of our own pid, which a fresh container gives out again.
 */
function lockFolder(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true })
  const lock = resolvePath(dataDir, 'pglite.lock')
  if (lockedHere.has(lock)) throw new DataDirInUse(`${dataDir} is open already in this process.`)
  const ours = `${lock}.${process.pid}`
  writeFileSync(ours, String(process.pid))
  try {
    // A link appears with its content, or not at all where there is a lock.
    while (expecting('EEXIST', () => linkSync(ours, lock)) === 'EEXIST') releaseStale(lock, dataDir)
  } finally {
    rmSync(ours, { force: true })
  }
  lockedHere.add(lock)
  return () => {
    lockedHere.delete(lock)
    rmSync(lock, { force: true })
  }
}

/** Moved aside before it is removed, so that of two who find it stale, one does not remove the other's new lock. */
function releaseStale(lock: string, dataDir: string) {
  const holder = expecting('ENOENT', () => readFileSync(lock, 'utf8'))
  const pid = Number(holder)
  if (pid !== process.pid && isAlive(pid)) {
    throw new DataDirInUse(`${dataDir} is in use by process ${pid}. If that is no Gatehouse, remove ${lock}.`)
  }
  const aside = `${lock}.${process.pid}.stale`
  if (expecting('ENOENT', () => renameSync(lock, aside)) === 'ENOENT') return
  if (readFileSync(aside, 'utf8') !== holder) linkSync(aside, lock)
  rmSync(aside)
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  return expecting('ESRCH', () => expecting('EPERM', () => process.kill(pid, 0))) !== 'ESRCH'
}

/** Answers with the code of the one error that is part of the plan. */
function expecting<T, Code extends string>(code: Code, act: () => T): T | Code {
  try {
    return act()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === code) return code
    throw error
  }
}
