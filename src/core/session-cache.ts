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

type Entry = KnownSession & { readAt: number; keys: Set<string> }

/** A cache that knows nothing: SESSION_CACHE=off. */
export const noSessionCache: SessionCache = {
  find: () => undefined,
  load: (_key, ask) => ask(),
  replace: () => {},
  forgetSession: () => {},
  forgetAccount: () => {},
  forgetAll: () => {},
}

export function createSessionCache({ maxEntries, maxAge, isInformed }: SessionCacheSettings): SessionCache {
  const byKey = new Map<string, Entry>()
  const bySession = new Map<string, Entry>()
  const byAccount = new Map<string, Set<Entry>>()
  /** Steps at everything forgotten: an answer that was asked for before must not be remembered after. */
  let forgotten = 0

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
      const before = forgotten
      const known = await ask()
      if (known && forgotten === before && isInformed()) remember(key, known)
      return known
    },

    replace(session) {
      const entry = bySession.get(session.id)
      if (entry) entry.session = session
    },

    forgetSession(sessionId) {
      forgotten += 1
      const entry = bySession.get(sessionId)
      if (entry) remove(entry)
    },

    forgetAccount(accountId) {
      forgotten += 1
      for (const entry of [...(byAccount.get(accountId) ?? [])]) remove(entry)
    },

    forgetAll() {
      forgotten += 1
      byKey.clear()
      bySession.clear()
      byAccount.clear()
    },
  }
}
