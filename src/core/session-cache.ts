/**
 * Live sessions this process has seen, so that most requests cost no query. It only answers while it is told of every
 * session that ends; in doubt it knows nothing, and the database is asked.
 */
import type { Account, Session } from '../store/rows.js'

export type KnownSession = { account: Account; session: Session; now: Date }

export type SessionCache = {
  /** The session with the database's time of this moment, or undefined: ask the database. */
  find(key: string): KnownSession | undefined
  /** Asks for a session, and remembers the answer under the key unless something ended meanwhile. */
  load(key: string, ask: () => Promise<KnownSession | undefined>): Promise<KnownSession | undefined>
  /** Replaces what is known of a session, after this process has changed it. */
  replace(session: Session): void
  /** Forgets the session of a key. */
  forget(key: string): void
  forgetSession(sessionId: string): void
  forgetAccount(accountId: string): void
  forgetAll(): void
}

export type SessionCacheSettings = {
  maxEntries: number
  /** Seconds after which an entry is asked for again, whatever happens. */
  maxAge: number
  /** Whether news of ended sessions is reaching this process right now. */
  isInformed(): boolean
}

/** No id and no hash reads like this. */
const everything = '*'

const isAmong = (forgotten: ReadonlySet<string>, key: string, { session, account }: KnownSession): boolean =>
  [everything, key, session.id, account.id].some(name => forgotten.has(name))

type Entry = KnownSession & { readAt: number; keys: Set<string> }

/** A cache that knows nothing: SESSION_CACHE=off. */
export const noSessionCache: SessionCache = {
  find: () => undefined,
  load: (_key, ask) => ask(),
  replace: () => {},
  forget: () => {},
  forgetSession: () => {},
  forgetAccount: () => {},
  forgetAll: () => {},
}

export function createSessionCache({ maxEntries, maxAge, isInformed }: SessionCacheSettings): SessionCache {
  const byKey = new Map<string, Entry>()
  const bySession = new Map<string, Entry>()
  const byAccount = new Map<string, Set<Entry>>()
  /** What has been forgotten since each question under way was asked: its answer may be older, and must not be remembered. */
  const asking = new Set<Set<string>>()

  const spoil = (name: string): void => {
    for (const forgotten of asking) forgotten.add(name)
  }

  const remove = (entry: Entry): void => {
    for (const key of entry.keys) byKey.delete(key)
    bySession.delete(entry.session.id)
    const siblings = byAccount.get(entry.account.id)
    siblings?.delete(entry)
    if (siblings?.size === 0) byAccount.delete(entry.account.id)
  }

  const remember = (key: string, known: KnownSession): void => {
    const before = bySession.get(known.session.id)
    const keys = new Set(before?.keys).add(key)
    if (before) remove(before)
    const entry: Entry = { ...known, readAt: performance.now(), keys }
    for (const name of keys) byKey.set(name, entry)
    bySession.set(known.session.id, entry)
    byAccount.set(known.account.id, (byAccount.get(known.account.id) ?? new Set()).add(entry))
    const [eldest] = bySession.values()
    if (eldest && bySession.size > maxEntries) remove(eldest)
  }

  return {
    find(key) {
      const entry = byKey.get(key)
      if (!entry || !isInformed()) return undefined
      const age = performance.now() - entry.readAt
      const now = new Date(entry.now.getTime() + age)
      if (age > maxAge * 1000 || entry.session.expiresAt <= now) {
        remove(entry)
        return undefined
      }
      return { account: entry.account, session: entry.session, now }
    },

    async load(key, ask) {
      const forgotten = new Set<string>()
      asking.add(forgotten)
      try {
        const known = await ask()
        if (known && isInformed() && !isAmong(forgotten, key, known)) remember(key, known)
        return known
      } finally {
        asking.delete(forgotten)
      }
    },

    replace(session) {
      const entry = bySession.get(session.id)
      if (entry) entry.session = session
    },

    forget(key) {
      spoil(key)
      const entry = byKey.get(key)
      if (entry) remove(entry)
    },

    forgetSession(sessionId) {
      spoil(sessionId)
      const entry = bySession.get(sessionId)
      if (entry) remove(entry)
    },

    forgetAccount(accountId) {
      spoil(accountId)
      for (const entry of [...(byAccount.get(accountId) ?? [])]) remove(entry)
    },

    forgetAll() {
      spoil(everything)
      byKey.clear()
      bySession.clear()
      byAccount.clear()
    },
  }
}
