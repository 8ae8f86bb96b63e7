/** What `/readyz` is judged by, and the state of draining. */
import type { FastifyInstance } from 'fastify'

export type Checks = {
  database: 'ok' | 'unavailable'
  migrations: 'ok' | 'pending' | 'unknown'
  draining: boolean
}

export type Readiness = {
  checks(): Promise<Checks>
  /** From now on the service is not ready, and answers ask keep-alive clients to connect elsewhere. */
  drain(): void
}

export type ReadinessSources = { ping(): Promise<void>; pendingMigrations(): Promise<number> }

/** Probes must not multiply into database work: an answer is good for a second. */
const goodFor = 1000

export function createReadiness(app: FastifyInstance, sources: ReadinessSources): Readiness {
  let draining = false
  let known: { at: number; checks: Promise<Omit<Checks, 'draining'>> } | undefined

  app.addHook('onSend', async (_request, reply) => {
    if (draining) reply.header('connection', 'close')
  })

  return {
    async checks() {
      const now = performance.now()
      if (!known || now - known.at > goodFor) known = { at: now, checks: look(sources) }
      return { ...(await known.checks), draining }
    },
    drain() {
      draining = true
    },
  }
}

async function look(sources: ReadinessSources): Promise<Omit<Checks, 'draining'>> {
  try {
    await sources.ping()
    return { database: 'ok', migrations: (await sources.pendingMigrations()) === 0 ? 'ok' : 'pending' }
  } catch {
    return { database: 'unavailable', migrations: 'unknown' }
  }
}
