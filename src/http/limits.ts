/** How many requests an address may make: few where a password is checked, many elsewhere. */
import rateLimit, { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import { addressOf } from './client-address.js'
import { Rejection } from './rejection.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Hashes or checks a password, which costs much and invites guessing. */
    checksPassword?: boolean
  }
}

const perMinute = 60_000
const passwordTries = 30
const otherRequests = 1200

/**
 * Counts in memory, by address: all tries at a password together, whatever door they come to, and everything else apart
 * from them, so that a busy page locks nobody out of signing in. Call it before the routes.
 */
export async function limitRequests(app: FastifyInstance): Promise<void> {
  await app.register(rateLimit, {
    timeWindow: perMinute,
    max: request => (request.routeOptions.config.checksPassword ? passwordTries : otherRequests),
    keyGenerator: request =>
      `${request.routeOptions.config.checksPassword ? 'password' : 'other'} ${normalizeIP(addressOf(request))}`,
    enableDraftSpec: true,
    errorResponseBuilder: (_request, context) =>
      new Rejection('rate_limited', { retryAfter: Math.ceil(context.ttl / 1000) }),
  })
}
