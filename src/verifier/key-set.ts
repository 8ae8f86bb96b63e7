/** The issuer's published keys, fetched when they are needed and held while they are good. */
import { download } from './download.js'
import { parseObject } from './json.js'
import { publicKeysOf, type VerifyingKey } from './keys.js'
import { TokenRefused } from './refused.js'

export type KeySetOptions = {
  url: URL
  signal: AbortSignal
  onProblem(problem: Error): void
  /** Milliseconds of a clock that nobody sets. */
  clock?: () => number
}

const second = 1000
/** How long a fetched set is good, whatever its max-age says (RFC 9111 section 5.2.2.1), and where it says nothing. */
const freshness = { shortest: 5 * second, longest: 3600 * second, usual: 300 * second }
/** A set that cannot be fetched again is good for a day more: an outage of the issuer is not one of its verifiers. */
const longestOutage = 86_400 * second
/** Between two fetches, however many tokens name keys nobody has. */
const pauseAfterSuccess = 5 * second
/** Between two tries that fail, doubled each time. */
const pauseAfterFailure = { shortest: 1 * second, longest: 30 * second }
const deadline = 5 * second
const largest = 64 * 1024

export type KeySet = ReturnType<typeof createKeySet>

export function createKeySet(options: KeySetOptions) {
  const { url, signal, onProblem, clock = () => performance.now() } = options
  let keys: ReadonlyMap<string, VerifyingKey> = new Map()
  let etag: string | undefined
  let loadedAt = Number.NEGATIVE_INFINITY
  let freshFor = 0
  let nextTry = Number.NEGATIVE_INFINITY
  let failures = 0
  let fetching: Promise<void> | undefined

  /** One fetch at a time, and none before its time: who comes meanwhile waits for it or goes without. */
  const refresh = (): Promise<void> => {
    if (fetching === undefined && clock() >= nextTry)
      fetching = load().finally(() => {
        fetching = undefined
      })
    return fetching ?? Promise.resolve()
  }

  const load = async (): Promise<void> => {
    const askedAt = clock()
    try {
      await fetchKeys()
      failures = 0
      // RFC 9111 section 4.2.3: an answer ages on its way, and a key may have been retired meanwhile.
      loadedAt = askedAt
      nextTry = clock() + pauseAfterSuccess
    } catch (error) {
      const pause = Math.min(pauseAfterFailure.longest, pauseAfterFailure.shortest * 2 ** failures)
      failures += 1
      nextTry = clock() + pause * (0.5 + Math.random() / 2)
      if (!signal.aborted) onProblem(new Error(`keys could not be fetched from ${url.origin}`, { cause: error }))
    }
  }

  const fetchKeys = async (): Promise<void> => {
    const headers = { accept: 'application/json', ...(etag === undefined ? {} : { 'if-none-match': etag }) }
    const answer = await download(url, { headers, deadline, largest, signal })
    if (answer.status !== 304 || etag === undefined) {
      if (answer.status !== 200) throw new Error(`status ${answer.status}`)
      const fetched = publicKeysOf(parseObject(answer.body))
      if (fetched === undefined) throw new Error('not a JWK set')
      keys = fetched
      etag = answer.headers.get('etag') ?? undefined
    }
    freshFor = freshnessOf(answer.headers)
  }

  return {
    /** The key of that name, or undefined where the issuer publishes none. Throws keys_unavailable. */
    async find(kid: string): Promise<VerifyingKey | undefined> {
      const age = clock() - loadedAt
      const isHeld = keys.has(kid) && age <= freshFor + longestOutage
      // Who waits for a set that is no longer fresh waits once: in an outage what is held is used at once.
      if (age >= freshFor && !(isHeld && failures > 0)) await refresh()
      else if (age >= freshFor * 0.75) void refresh()
      const key = keys.get(kid) ?? (await refresh().then(() => keys.get(kid)))
      const isTooOld = clock() - loadedAt > freshFor + longestOutage
      if (isTooOld || (key === undefined && failures > 0)) throw new TokenRefused('keys_unavailable')
      return key
    },
  }
}

/** RFC 9111 sections 4.2.1 and 5.1: what is left of max-age when the answer comes. */
function freshnessOf(headers: Headers): number {
  const maxAge = /(?:^|[\s,])max-age="?(\d{1,9})/i.exec(headers.get('cache-control') ?? '')?.[1]
  if (maxAge === undefined) return freshness.usual
  const left = (Number(maxAge) - (Number.parseInt(headers.get('age') ?? '0', 10) || 0)) * second
  return Math.min(freshness.longest, Math.max(freshness.shortest, left))
}
