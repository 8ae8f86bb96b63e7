/** The OpenAPI document, generated from the routes' schemas, and Swagger UI over it at /docs. */
import { createHash } from 'node:crypto'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { stringify } from 'yaml'
import { securitySchemes } from '../http/openapi.js'

export type DocsSettings = { enabled: boolean; version: string }

/** Swagger UI's own policies are no good here: one of them turns every address into https, which leaves /docs blank without it. */
const contentSecurityPolicy = [
  "default-src 'self'",
  "base-uri 'self'",
  "frame-ancestors 'none'",
  "object-src 'none'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "connect-src 'self'",
].join('; ')

const tags = [
  { name: 'auth', description: 'The OAuth2-shaped bearer door: form login, refresh tokens, FastAPI-style errors.' },
  {
    name: 'better-auth',
    description: 'What Better Auth’s own client calls, and two older JSON dialects under the same prefix.',
  },
  { name: 'profile', description: 'The background profile and what a chatbot reads from it.' },
  { name: 'codvid', description: 'The envelope dialect with 30-day tokens.' },
  { name: 'operations', description: 'For those who run the service.' },
]

/** Collects the routes that are registered after it. */
export async function describeRoutes(app: FastifyInstance, settings: DocsSettings): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Gatehouse',
        version: settings.version,
        description: 'One store of accounts, sessions and background profiles, spoken to in several HTTP dialects.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/', description: 'This service' }],
      tags,
      components: { securitySchemes: securitySchemes as never },
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, index) => (json.$id as string | undefined) ?? `def-${index}`,
    },
  })
  if (settings.enabled) await serveDocs(app)
}

async function serveDocs(app: FastifyInstance): Promise<void> {
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { persistAuthorization: true, displayRequestDuration: true, deepLinking: true },
    theme: { title: 'Gatehouse' },
    staticCSP: contentSecurityPolicy,
  })
  const documents = [
    { path: '/openapi.json', type: 'application/json; charset=utf-8', text: () => JSON.stringify(app.swagger()) },
    { path: '/openapi.yaml', type: 'application/yaml; charset=utf-8', text: () => openapiYaml(app) },
  ]
  for (const { path, type, text } of documents) {
    app.get(path, { schema: { hide: true } as object }, async (request, reply) => {
      const document = text()
      const etag = `"${createHash('sha256').update(document).digest('base64url').slice(0, 22)}"`
      reply.headers({ etag, 'cache-control': 'public, no-cache' }).type(type)
      return request.headers['if-none-match'] === etag ? reply.code(304).send() : reply.send(document)
    })
  }
}

const topLevelOrder = ['openapi', 'info', 'servers', 'tags', 'paths', 'components']

/** The document as openapi.yaml holds it, byte for byte the same on every machine. */
export function openapiYaml(app: FastifyInstance): string {
  const document = app.swagger() as unknown as Record<string, unknown>
  const names = [...topLevelOrder, ...Object.keys(document).filter(name => !topLevelOrder.includes(name))]
  const ordered = Object.fromEntries(
    names.flatMap(name => (document[name] === undefined ? [] : [[name, document[name]]])),
  )
  return stringify(JSON.parse(JSON.stringify(ordered)), { lineWidth: 0, aliasDuplicateObjects: false })
}
