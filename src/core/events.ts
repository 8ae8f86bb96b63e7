/** What has happened to accounts and sessions: one line of the log each, and one link of a chain in the database. */
import { createHmac, hkdfSync } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EventStore, StoredEvent } from '../store/events.js'
import type { Account } from '../store/rows.js'
import type { Sources } from './sources.js'
import type { Visit } from './visit.js'

export const eventKinds = [
  'sign_up',
  'sign_up_failed',
  'sign_in',
  'sign_in_failed',
  'sign_in_limited',
  'password_check_failed',
  'password_check_limited',
  'refresh',
  'refresh_replayed',
  'refresh_reused',
  'refresh_denied',
  'sign_out',
  'session_ended',
  'sessions_ended',
  'password_changed',
  'password_reset_requested',
  'password_reset',
  'email_verification_requested',
  'email_verified',
  'email_change_requested',
  'email_changed',
  'deletion_requested',
  'account_deleted',
  'requests_limited',
  'users_imported',
  'users_exported',
  'events_lost',
] as const

export type EventKind = (typeof eventKinds)[number]

export type AuthEvent = {
  kind: EventKind
  visit: Visit
  accountId?: string | undefined
  sessionId?: string | undefined
  /** The address that was tried; it is kept as an HMAC, since people type passwords there too. */
  email?: string | undefined
  /** What else there is to know. Never anything a client chose. */
  detail?: Record<string, string | number | boolean>
}

/** What the log and the chain hold of an event. */
export type EventRecord = {
  /** The same in a record that had to be written twice. */
  id: string
  /** ISO 8601, by the clock of the process. */
  at: string
  kind: EventKind
  account?: string
  session?: string
  /** Stands for the address that was tried: the same for the same, and nobody can read it. */
  subject?: string
  door: string
  ip?: string
  agent?: string
  request: string
  detail?: Record<string, string | number | boolean>
}

export type Events = ReturnType<typeof createEvents>

export type EventsWorld = {
  store: EventStore
  sources: Sources
  /** The current one makes subjects; after it has changed they are others. */
  secrets: readonly string[]
  /** Seconds an event is kept. */
  retention: number
  /** Told of each event as it happens. */
  onEvent(record: EventRecord): void
  /** Told that events wait since they cannot be written. */
  onFailure(error: unknown): void
  isUnavailable(error: unknown): boolean
}

/** Records in one statement. All that came up while the last one ran go together. */
const mostAtOnce = 500
/** Records that may wait while the database is away: some megabytes. */
const mostWaiting = 10_000
const retryAfterMs = 1000
const sweepBatch = 5000
const longestAgent = 256

export function createEvents(world: EventsWorld) {
  const { store, sources, secrets, retention, onEvent, onFailure, isUnavailable } = world
  const key = Buffer.from(hkdfSync('sha256', secrets[0] ?? '', '', 'gatehouse event subjects', 32))
  let waiting: string[] = []
  let lost = 0
  let writing: Promise<void> | undefined
  const closing = new AbortController()

  const toRecord = ({ kind, visit, accountId, sessionId, email, detail }: AuthEvent): EventRecord => ({
    id: sources.id(),
    at: new Date().toISOString(),
    kind,
    ...(accountId === undefined ? {} : { account: accountId }),
    ...(sessionId === undefined ? {} : { session: sessionId }),
    ...(email === undefined ? {} : { subject: createHmac('sha256', key).update(email).digest('base64url') }),
    door: visit.door,
    ...(visit.ipAddress === null ? {} : { ip: visit.ipAddress }),
    ...(visit.userAgent === null ? {} : { agent: visit.userAgent.slice(0, longestAgent) }),
    request: visit.requestId,
    ...(detail === undefined ? {} : { detail }),
  })

  /** Writes the first of those that wait. False: the database is away, and they wait on. */
  const writeSome = async (): Promise<boolean> => {
    const some = waiting.slice(0, mostAtOnce)
    try {
      await store.append(some)
    } catch (error) {
      onFailure(error)
      if (isUnavailable(error)) return false
      lost += some.length
    }
    waiting = waiting.slice(some.length)
    return true
  }

  const writeAll = async (): Promise<void> => {
    while (waiting.length > 0) {
      const isWritten = await writeSome()
      if (!isWritten && closing.signal.aborted) return
      if (!isWritten) await sleep(retryAfterMs, undefined, { ref: false, signal: closing.signal }).catch(() => {})
      else if (lost > 0) tellLost()
    }
  }

  const add = (record: EventRecord): void => {
    onEvent(record)
    if (waiting.length >= mostWaiting) lost += 1
    else waiting.push(JSON.stringify(record))
    writing ??= writeAll().finally(() => {
      writing = undefined
    })
  }

  /** The gap is part of the record. */
  const tellLost = (): void => {
    const count = lost
    lost = 0
    add(toRecord({ kind: 'events_lost', visit: ourselves, detail: { count } }))
  }

  return {
    /** Notes that this has happened: in the log at once, in the database a moment later, together with what else happens. */
    record: (event: AuthEvent): void => add(toRecord(event)),

    /** The caller's last events, the newest first; what they have just done is among them. */
    async listOwn({ account }: { account: Account }, limit: number): Promise<EventRecord[]> {
      await Promise.race([writing, sleep(retryAfterMs, undefined, { ref: false })])
      return (await store.listOf(account.id, limit)).map(readRecord)
    },

    /** Where the chain ends: to be kept elsewhere, so that a chain that was written anew from the beginning shows. */
    head: async (): Promise<{ seq: number; hash: string } | undefined> => {
      const chain = await store.chain()
      return chain && { seq: chain.seq, hash: chain.hash }
    },

    /** Lets go of what is older than it is to be kept. Returns how many. */
    async sweep(): Promise<number> {
      let gone = 0
      for (;;) {
        const batch = await store.letGo(retention, sweepBatch)
        gone += batch
        if (batch < sweepBatch) return gone
      }
    },

    /** Writes what waits, if it can be written. */
    async close(): Promise<void> {
      closing.abort()
      await writing
    },
  }
}

/** For what no request brought about. */
export const ourselves: Visit = { door: 'service', requestId: '-', userAgent: null, ipAddress: null }

export const readRecord = ({ record }: StoredEvent): EventRecord => JSON.parse(record) as EventRecord
