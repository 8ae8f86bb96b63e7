/** News from the database of sessions that ended and accounts that changed, wherever and by whomever, and whether news is coming at all. */
import { randomUUID } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { type Database, openConnection } from './database.js'

export type Change = { kind: 'session' | 'account'; id: string } | { kind: 'all' }

export type Changes = {
  /** Whether the news is known to have reached this process until a moment ago. While it is false, anything may have happened unheard. */
  isHeard(): boolean
  close(): Promise<void>
}

export type Listener = {
  onChange(change: Change): void
  /** Told when the news comes for the first time or again, and when it stops coming. */
  onHearing?(isHeard: boolean): void
}

/** The channel of the migrations' function `announce`, which the triggers call. */
const channel = 'gatehouse'
const heartbeatMs = 500
/** A connection that has not answered for this long counts as gone, and so does a process that was stopped meanwhile. */
const silenceMs = 2000
const shortestPauseMs = 250
const longestPauseMs = 5000

/**
 * Tells every change to the listener, and `all` whenever the news was interrupted and comes again. The database being away
 * is no error here: it is not heard, that is all.
 */
export async function followChanges(
  database: Pick<Database, 'engine' | 'db'>,
  url: string | undefined,
  listener: Listener,
): Promise<Changes> {
  return url === undefined ? followEmbedded(database, listener) : followPostgres(database, url, listener)
}

/** PGlite belongs to this process alone and tells at once. */
async function followEmbedded({ engine }: Pick<Database, 'engine'>, { onChange }: Listener): Promise<Changes> {
  if (!engine) throw new Error('a database without a URL is the embedded one')
  const unlisten = await engine.listen(channel, payload => onChange(parseChange(payload)))
  return {
    isHeard: () => !engine.closed,
    close: async () => {
      if (!engine.closed) await unlisten()
    },
  }
}

function followPostgres({ db }: Pick<Database, 'db'>, url: string, listener: Listener): Changes {
  const { onChange, onHearing = () => {} } = listener
  let heardAt = Number.NEGATIVE_INFINITY
  let isTold = false
  let failures = 0
  let closed = false
  let stopCurrent = () => {}

  const tell = (isHeard: boolean) => {
    if (isTold === isHeard) return
    isTold = isHeard
    onHearing(isHeard)
  }

  const connect = () => {
    /**
     * Sent through the pool and expected here. A pooler in transaction mode takes LISTEN, and then brings nothing; and before
     * the migration nothing announces anything.
     */
    const proof = `proof ${randomUUID()}`
    let beating: NodeJS.Timeout | undefined
    let isOver = false

    const gone = () => {
      if (isOver) return
      isOver = true
      clearInterval(beating)
      clearTimeout(patience)
      heardAt = Number.NEGATIVE_INFINITY
      onChange({ kind: 'all' })
      connection.destroy()
      if (closed) return
      tell(false)
      setTimeout(connect, Math.min(longestPauseMs, shortestPauseMs * 2 ** failures)).unref()
      failures += 1
    }

    const proven = () => {
      clearTimeout(patience)
      failures = 0
      // What was read before the listening began may have changed unheard, so it goes before the news counts as heard.
      onChange({ kind: 'all' })
      heardAt = performance.now()
      beating = setInterval(beat, heartbeatMs).unref()
      tell(true)
    }

    /** The moment that counts is the one of asking: whatever happened before it has been told before the answer. */
    const beat = async () => {
      const askedAt = performance.now()
      if (askedAt - heardAt > silenceMs) return gone()
      try {
        await connection.sql.unsafe('select 1')
        if (!isOver) heardAt = askedAt
      } catch {
        gone()
      }
    }

    const hear = (payload: string) => {
      if (isOver) return
      if (payload === proof) proven()
      else if (!payload.startsWith('proof ')) onChange(parseChange(payload))
    }

    const patience = setTimeout(gone, silenceMs).unref()
    const connection = openConnection(url, {
      settings: { application_name: 'gatehouse-changes' },
      onGone: gone,
      onNotify: hear,
    })
    stopCurrent = gone
    connection.sql
      .unsafe(`listen ${channel}`)
      .then(() => db.execute(sql`select announce(${proof})`))
      .catch(gone)
  }
  connect()

  return {
    isHeard: () => performance.now() - heardAt < silenceMs,
    close: async () => {
      closed = true
      stopCurrent()
    },
  }
}

/** Anything unknown means that everything may have changed. */
function parseChange(payload: string): Change {
  const [kind, id = ''] = payload.split(' ')
  return kind === 'session' || kind === 'account' ? { kind, id } : { kind: 'all' }
}
