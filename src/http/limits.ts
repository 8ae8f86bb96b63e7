/** Counts requests by address and class of route, and refuses what is too many before it costs anything. */
import rateLimit, { type FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { subnetOf } from '../core/subnet.js'
import { addressOf } from './client-address.js'
import { type LimitClass, type Limits, limitClasses, limitClassOf } from './limit-classes.js'
import { Rejection } from './rejection.js'
import { openSharedCounts, type SharedCounts } from './shared-counts.js'

export type LimitSettings = {
  limits: Limits
  /** Where replicas count together; each counts in its own memory where there is none. */
  redisUrl: string | undefined
  /** Told of the first request of an address that is too many in its class, and of no other for as long as that class counts. */
  onLimited(request: FastifyRequest, limitClass: LimitClass): void
}

/** Addresses remembered in each class, those not seen for longest going first: some 6 MB when it is full. */
const mostAddresses = 20_000

/**
 * Call it after the hooks whose headers belong on every answer, and before the doors: who is calling is asked of the
 * database, and bodies are read, for requests that may be made at all. Unknown paths count as well; a route whose
 * `config.rateLimit` is false does not.
 */
export async function limitRequests(
  app: FastifyInstance,
  { limits, redisUrl, onLimited }: LimitSettings,
): Promise<void> {
  const isFirst = createFirsts()
  await app.register(rateLimit, {
    // A hook of each route would run after those of its door.
    global: false,
    keyGenerator: request => `${limitClassOf(request)} ${subnetOf(addressOf(request))}`,
    enableDraftSpec: true,
    onExceeded: (request, key) => {
      const limitClass = limitClassOf(request)
      if (isFirst(key, limits[limitClass].seconds)) onLimited(request, limitClass)
    },
    errorResponseBuilder: (_request, context) =>
      new Rejection('rate_limited', { retryAfter: Math.max(1, Math.ceil(context.ttl / 1000)) }),
    ...(redisUrl === undefined ? {} : inRedis(await shareCounts(app, redisUrl))),
  })
  const counters = new Map(limitClasses.map(name => [name, createCounter(app, limits, name)]))
  app.addHook('onRequest', async (request, reply) => {
    if (request.routeOptions.config.rateLimit === false) return
    await counters.get(limitClassOf(request))?.call(app, request, reply)
  })
}

/** Tells of a key whether it comes for the first time in so many seconds. */
function createFirsts(): (key: string, seconds: number) => boolean {
  const until = new Map<string, number>()
  return (key, seconds) => {
    const now = Date.now()
    if (now < (until.get(key) ?? 0)) return false
    const [eldest] = until.keys()
    if (eldest !== undefined && until.size >= mostAddresses) until.delete(eldest)
    until.delete(key)
    until.set(key, now + seconds * 1000)
    return true
  }
}

/** A counter for each class: what is much asked makes nobody's tries at a password forgotten. */
const createCounter = (app: FastifyInstance, limits: Limits, name: LimitClass) =>
  app.rateLimit({ max: limits[name].max, timeWindow: limits[name].seconds * 1000, cache: mostAddresses })

/** While Redis is away nothing is limited, and nothing said about limits. */
const inRedis = (counts: SharedCounts) => ({
  store: storeOf(counts),
  allowList: () => counts.areAway(),
  skipOnError: true,
})

/** The form that the plugin wants a store in. */
const storeOf = (counts: SharedCounts): FastifyRateLimitStoreCtor =>
  class Store {
    incr(key: string, callback: (error: Error | null, result?: { current: number; ttl: number }) => void, ms: number) {
      counts.count(key, ms).then(
        result => callback(null, result),
        error => callback(error),
      )
    }

    child(): Store {
      return this
    }
  }

async function shareCounts(app: FastifyInstance, redisUrl: string): Promise<SharedCounts> {
  const counts = await openSharedCounts(redisUrl, {
    onAway: reason => app.log.warn({ event: 'redis_away', reason }, 'Redis is away: requests are not limited'),
    onBack: () => app.log.info({ event: 'redis_back' }, 'Redis is back: requests are limited again'),
  })
  app.addHook('onClose', async () => counts.close())
  return counts
}
