/** Whether the process lives, and whether it should get requests. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { anybody } from '../http/openapi.js'
import type { Readiness } from './readiness.js'

const Alive = Type.Object({ status: Type.Literal('ok') }, { $id: 'Alive', examples: [{ status: 'ok' }] })
const Ready = Type.Object(
  {
    status: Type.Enum(['ok', 'unavailable']),
    checks: Type.Object({
      database: Type.Enum(['ok', 'unavailable']),
      migrations: Type.Enum(['ok', 'pending', 'unknown']),
      draining: Type.Boolean(),
    }),
  },
  { $id: 'Ready', examples: [{ status: 'ok', checks: { database: 'ok', migrations: 'ok', draining: false } }] },
)

/** `/livez` asks nothing of anybody; `/readyz` (alias `/health`) is 503 while the database is away, behind, or the process drains. */
export function serveHealth(app: FastifyInstance, readiness: Readiness): void {
  const quiet = { logLevel: 'warn' as const, config: { rateLimit: false } }

  app.get(
    '/livez',
    {
      ...quiet,
      schema: {
        operationId: 'livez',
        summary: 'The process lives',
        tags: ['operations'],
        security: anybody,
        response: { 200: Alive },
      },
    },
    async () => ({ status: 'ok' as const }),
  )

  for (const [path, operationId] of [
    ['/readyz', 'readyz'],
    ['/health', 'health'],
  ] as const) {
    app.get(
      path,
      {
        ...quiet,
        schema: {
          operationId,
          summary: 'The service can answer requests',
          tags: ['operations'],
          security: anybody,
          response: { 200: Ready, 503: Type.Unsafe({ ...Ready, $id: undefined, description: 'Not just now.' }) },
        },
      },
      async (_request, reply) => {
        const checks = await readiness.checks()
        const ready = checks.database === 'ok' && checks.migrations === 'ok' && !checks.draining
        reply.header('cache-control', 'no-store')
        return reply.code(ready ? 200 : 503).send({ status: ready ? 'ok' : 'unavailable', checks })
      },
    )
  }
}
