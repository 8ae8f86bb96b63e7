/** Whether the process lives, and whether it should get requests. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { anybody, ref } from '../http/openapi.js'
import type { Readiness } from './readiness.js'

const Alive = Type.Object(
  { status: Type.Literal('ok') },
  { $id: 'Alive', description: 'It lives.', examples: [{ status: 'ok' }] },
)

const Ready = Type.Object(
  {
    status: Type.Enum(['ok', 'unavailable']),
    checks: Type.Object({
      database: Type.Enum(['ok', 'unavailable']),
      migrations: Type.Enum(['ok', 'pending', 'unknown']),
      draining: Type.Boolean(),
    }),
  },
  {
    $id: 'Ready',
    description: 'Ready, and what that is judged by.',
    examples: [{ status: 'ok', checks: { database: 'ok', migrations: 'ok', draining: false } }],
  },
)

const Problem = Type.Object(
  {
    type: Type.Literal('about:blank'),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: 'Stable; the one to test for.' }),
    request_id: Type.String({ description: 'The x-request-id of this answer.' }),
  },
  {
    $id: 'Problem',
    description: 'RFC 9457, for whatever no door answers.',
    examples: [{ type: 'about:blank', title: 'Not Found', status: 404, code: 'not_found', request_id: 'req-1' }],
  },
)

const problem = (status: number, title: string, code: string) =>
  Type.Unsafe({
    description: `${title}.`,
    content: {
      'application/problem+json': {
        schema: ref(Problem),
        example: { type: 'about:blank', title, status, code, request_id: 'req-1' },
      },
    },
  })

const problems = {
  431: problem(431, 'Request Header Fields Too Large', 'header_too_large'),
  500: problem(500, 'Internal Server Error', 'internal'),
}

const notReady = {
  description: 'Not just now.',
  content: {
    'application/json': {
      schema: ref(Ready),
      example: { status: 'unavailable', checks: { database: 'unavailable', migrations: 'unknown', draining: false } },
    },
  },
}

/** `/livez` asks nothing of anybody; `/readyz` (alias `/health`) is 503 while the database is away, behind, or the process drains. */
export function serveHealth(app: FastifyInstance, readiness: Readiness): void {
  for (const component of [Alive, Ready, Problem]) app.addSchema(component)
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
        response: { 200: ref(Alive), ...problems },
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
          response: { 200: ref(Ready), 503: notReady, ...problems },
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
