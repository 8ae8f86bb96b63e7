/** What verifiers elsewhere must refuse although its signature and its time are good: a signed, bounded list that is told at once. */
import { createHash } from 'node:crypto'
import type { Revocation, RevocationStore } from '../store/revocations.js'
import type { Signer } from './tokens.js'

/** OpenID CAEP 1.0 section 3.1. */
const sessionRevoked = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'

/** One security event token (RFC 8417) about all that is revoked, as a compact JWS, and the entity tag of what it says. */
export type RevocationFeed = { document: string; etag: string }

export type RevocationSettings = {
  issuer: string
  audience: string | undefined
  /** Seconds an ordinary access token lives. */
  accessTtl: number
  /** Seconds a document may be relied on without a newer one. */
  documentTtl: number
  /** Entries in a document. Beyond them, everything older than the newest that is left out is void. */
  mostEntries: number
}

export type RevocationWorld = { store: RevocationStore; signer: Signer; settings: RevocationSettings; now(): number }

type SessionEntry = [sid: string, until: number]
type AccountEntry = [sub: string, notBefore: number, until: number]
type Events = { sessions: SessionEntry[]; accounts: AccountEntry[]; before?: number }
type List = { events: Events; etag: string; readAt: number }

/** Where news is not coming, the list is read again this often. */
const rereadMs = 1000

export type Revocations = ReturnType<typeof createRevocations>

export function createRevocations({ store, signer, settings, now }: RevocationWorld) {
  /** The newest list, being read or there; undefined once something may have changed since. */
  let latest: { list: Promise<List>; startedAt: number } | undefined
  const waiting = new Set<() => void>()

  const read = async (readAt: number): Promise<List> => {
    const events = toEvents(await store.listRelevant(settings.mostEntries + 1), settings)
    return { events, etag: tagOf(events), readAt }
  }

  /** Whoever asks together is answered from one statement, as long as it began after the last news. */
  const current = (): Promise<List> => {
    const startedAt = performance.now()
    if (latest && startedAt - latest.startedAt < rereadMs) return latest.list
    const reading = { list: read(startedAt), startedAt }
    latest = reading
    reading.list.catch(() => {
      if (latest === reading) latest = undefined
    })
    return reading.list
  }

  const sign = ({ events, etag }: List): RevocationFeed => {
    const iat = Math.floor(now() / 1000)
    const { issuer: iss, audience: aud, documentTtl } = settings
    const claims = {
      iss,
      ...(aud === undefined ? {} : { aud }),
      iat,
      exp: iat + documentTtl,
      jti: `${etag.slice(1, -1)}.${iat}`,
      events: { [sessionRevoked]: events },
    }
    return { document: signer.sign(claims, 'secevent+jwt'), etag }
  }

  /** Resolves at the next news, or after that many milliseconds. */
  const news = (ms: number): Promise<void> =>
    new Promise(resolve => {
      const wake = () => {
        clearTimeout(timer)
        waiting.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, ms)
      waiting.add(wake)
    })

  const wakeAll = () => {
    for (const wake of [...waiting]) wake()
  }

  let isClosed = false

  return {
    /** The list; `unchanged` where it is still what `isKnown` knows after up to `waitMs`. Throws where the database cannot be asked. */
    async read(isKnown: (etag: string) => boolean, waitMs: number): Promise<RevocationFeed | { unchanged: string }> {
      const until = performance.now() + waitMs
      for (;;) {
        const list = await current()
        if (!isKnown(list.etag)) return sign(list)
        const left = until - performance.now()
        if (left <= 0 || isClosed) return { unchanged: list.etag }
        await news(Math.min(left, rereadMs))
      }
    },

    /** To be called when something may have been revoked. */
    tell(): void {
      latest = undefined
      wakeAll()
    },

    /** Deletes what no token can live of any more. Returns how many. */
    sweep: () => store.deleteOver(),

    /** Lets those who wait go with what they know. */
    close(): void {
      isClosed = true
      wakeAll()
    },
  }
}

/** The newest first, so that what is left out is the oldest, of which the fewest tokens live. */
function toEvents(revocations: readonly Revocation[], { accessTtl, mostEntries }: RevocationSettings): Events {
  const events: Events = { sessions: [], accounts: [] }
  for (const revocation of revocations.slice(0, mostEntries)) {
    const { accountId, sessionId, revokedAt } = revocation
    const until = endOfTokens(revocation, accessTtl)
    if (sessionId === null) events.accounts.push([accountId, followingSecond(revokedAt), until])
    else events.sessions.push([sessionId, until])
  }
  const leftOut = revocations[mostEntries]
  return leftOut ? { ...events, before: followingSecond(leftOut.revokedAt) } : events
}

/** The first second in which no token of what was revoked can live any more. */
function endOfTokens({ revokedAt, sessionExpiresAt, sliding }: Revocation, accessTtl: number): number {
  const ordinary = followingSecond(revokedAt) + accessTtl
  return sliding || !sessionExpiresAt ? ordinary : Math.max(ordinary, followingSecond(sessionExpiresAt))
}

/** Tokens carry whole seconds: one issued in the second of the revocation may be of either side, and is refused. */
const followingSecond = (time: Date): number => Math.floor(time.getTime() / 1000) + 1

const tagOf = (events: Events): string =>
  `"${createHash('sha256').update(JSON.stringify(events)).digest('base64url').slice(0, 22)}"`
