/** Follows the issuer's revocations by long poll, and knows how long ago it last heard of them. */
import type { Claims } from './claims.js'
import { type Download, download } from './download.js'
import type { Open } from './opening.js'
import { type Revocations, readRevocations, succeed } from './revocations.js'

export type FeedOptions = {
  url: URL
  clientId: string
  clientSecret: string
  /** Seconds without a word from the issuer after which nothing is known. */
  maxStaleSeconds: number
  issuer: string
  audience: string | undefined
  tolerance: number
  open: Open
  /** The time of day in milliseconds, for the documents. */
  now(): number
  onProblem(problem: Error): void
}

export type Feed = {
  /** Settles when the first try has ended, well or not; undefined from then on. */
  starting: Promise<void> | undefined
  isRevoked(claims: Claims): boolean
  isStale(): boolean
  close(): Promise<void>
}

const second = 1000
/** The longest wait the issuer grants. */
const longestWait = 30
/** Between the starts of two polls: many changes in a row become few documents. */
const spacing = 200
/** After an answer that came back at once and said nothing new, as from an issuer that grants no wait. */
const idlePause = 1 * second
const shortestBackOff = 250
const longestBackOff = 5 * second
const longestRetryAfter = 30 * second
/** Some hundred thousand entries. */
const largest = 8 * 1024 * 1024

export function followFeed(options: FeedOptions): Feed {
  const { maxStaleSeconds, open, onProblem } = options
  // Two polls fit into the time allowed, so that one lost connection is no outage.
  const wait = Math.min(longestWait, Math.max(1, Math.floor(maxStaleSeconds / 2)))
  const deadline = wait * second + Math.min(10 * second, maxStaleSeconds * 250)
  const backOffBound = Math.min(longestBackOff, maxStaleSeconds * 250)
  const closing = new AbortController()
  let held: Revocations | undefined
  let etag: string | undefined
  let heardAt = Number.NEGATIVE_INFINITY
  let failures = 0
  let endSleep = () => {}

  const clock = () => performance.now()
  const secondsNow = () => options.now() / second

  /** True when there was news. */
  const poll = async (): Promise<boolean> => {
    const startedAt = clock()
    // A document about to expire is asked for anew, whether or not anything changed.
    const isConditional = etag !== undefined && held !== undefined && held.exp > secondsNow() + 2 * wait
    const answer = await download(addressOf(options.url, isConditional ? wait : undefined), {
      headers: {
        accept: 'application/jwt',
        authorization: basic(options.clientId, options.clientSecret),
        ...(isConditional ? { 'if-none-match': String(etag) } : {}),
      },
      deadline,
      largest,
      signal: closing.signal,
    })
    const isNews = !(answer.status === 304 && isConditional)
    if (isNews) await take(answer)
    failures = 0
    // However late the answer is read, it was given when its wait was over at the latest.
    heardAt = Math.min(clock(), startedAt + (wait + 1) * second)
    return isNews
  }

  const take = async (answer: Download): Promise<void> => {
    if (answer.status !== 200) throw new RefusedPoll(answer)
    const type = answer.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
    if (type !== 'application/jwt') throw new Error('the answer is no JWT')
    const payload = await open(Buffer.from(answer.body).toString('latin1'), 'secevent+jwt', largest)
    const { issuer, audience, clientId, tolerance } = options
    const names = audience === undefined ? [clientId] : [audience, clientId]
    const seconds = secondsNow()
    held = succeed(held, readRevocations(payload, { issuer, names, seconds, tolerance }), seconds - tolerance)
    etag = answer.headers.get('etag') ?? undefined
  }

  /** One poll; the milliseconds until the next. */
  const step = async (): Promise<number> => {
    const startedAt = clock()
    try {
      const isNews = await poll()
      return (isNews ? spacing : idlePause) - (clock() - startedAt)
    } catch (error) {
      if (closing.signal.aborted) return 0
      onProblem(new Error(`revocations could not be read from ${options.url.origin}`, { cause: error }))
      const backOff = Math.min(backOffBound, shortestBackOff * 2 ** failures) * (0.5 + Math.random() / 2)
      failures += 1
      return Math.max(backOff, error instanceof RefusedPoll ? error.retryAfter : 0)
    }
  }

  /** Keeps no process alive: between two polls nothing is pending that would. */
  const sleep = (milliseconds: number): Promise<void> =>
    new Promise(resolve => {
      const timer = setTimeout(resolve, Math.max(1, milliseconds))
      timer.unref()
      endSleep = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  const run = async (first: Promise<number>): Promise<void> => {
    let pause = await first
    while (!closing.signal.aborted) {
      await sleep(pause)
      if (!closing.signal.aborted) pause = await step()
    }
  }

  const first = step()
  const running = run(first)
  const feed: Feed = {
    starting: first.then(() => {
      feed.starting = undefined
    }),
    isRevoked: claims =>
      held !== undefined &&
      (claims.iat < held.before ||
        held.sessions.has(claims.sid) ||
        claims.iat < (held.accounts.get(claims.sub)?.notBefore ?? 0)),
    isStale: () => held === undefined || held.exp <= secondsNow() || clock() - heardAt > maxStaleSeconds * second,
    async close() {
      closing.abort()
      endSleep()
      await running
    },
  }
  return feed
}

/** The issuer answered, but with no document. */
class RefusedPoll extends Error {
  /** RFC 9110 section 10.2.3, in milliseconds and bounded. */
  readonly retryAfter: number

  constructor({ status, headers }: Download) {
    super(`status ${status}`)
    const seconds = Number.parseInt(headers.get('retry-after') ?? '', 10) || 0
    this.retryAfter = Math.min(longestRetryAfter, Math.max(0, seconds * second))
  }
}

function addressOf(url: URL, wait: number | undefined): URL {
  const address = new URL(url)
  if (wait !== undefined) address.searchParams.set('wait', String(wait))
  return address
}

/** RFC 6749 section 2.3.1: both halves form-encoded, then RFC 7617. */
function basic(id: string, secret: string): string {
  return `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`
}
