/** The OpenAPI document, generated from the routes' schemas, and Swagger UI over it at /docs. */
import swagger, { type SwaggerTransform } from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { stringify } from 'yaml'
import { isKnown, tagOf } from '../http/etag.js'
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

/** A page without https gains nothing by these, and a browser says so in its console. */
const onlyForHttps = ['cross-origin-opener-policy', 'origin-agent-cluster']

const description = `One store of accounts, sessions and background profiles, spoken to in several HTTP dialects.

An account made through one door works through every other, and so does every credential. Every answer carries \
\`x-request-id\`. Whatever no door answers, an unknown path for one, is \`application/problem+json\` (RFC 9457). More than \
a hundred headers are refused with 431 anywhere.`

const tags = [
  { name: 'auth', description: 'The OAuth2-shaped bearer door: form login, refresh tokens, FastAPI-style errors.' },
  {
    name: 'better-auth',
    description: 'What Better Auth’s own client calls, and two older JSON dialects under the same prefix.',
  },
  { name: 'profile', description: 'The background profile and what a chatbot reads from it.' },
  { name: 'codvid', description: 'The envelope dialect with 30-day tokens.' },
  {
    name: 'verifiers',
    description:
      'For services that verify our tokens: keys, introspection, revocation, and the check a proxy asks for.',
  },
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
        description,
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/', description: 'This service' }],
      tags,
      components: { securitySchemes: securitySchemes as never },
    },
    refResolver: { buildLocalReference: json => String(json.$id) },
    transform: markOptionalBody,
    transformObject: given => tidy((given as unknown as { openapiObject: Document }).openapiObject),
  })
  if (settings.enabled) await serveDocs(app)
}

async function serveDocs(app: FastifyInstance): Promise<void> {
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    // The other layout has a bar on top, with another product's name and a field to load any other document.
    uiConfig: { layout: 'BaseLayout', persistAuthorization: true, displayRequestDuration: true, deepLinking: true },
    theme: { title: 'Gatehouse' },
    staticCSP: contentSecurityPolicy,
    uiHooks: {
      onRequest: async (request, reply) => {
        if (request.protocol === 'https') return
        for (const header of onlyForHttps) reply.removeHeader(header)
      },
    },
  })
  serveDocument(app, '/openapi.json', 'application/json; charset=utf-8', () => JSON.stringify(app.swagger()))
  serveDocument(app, '/openapi.yaml', 'application/yaml; charset=utf-8', () => openapiYaml(app))
}

/** Writes the text once, when it is first asked for: by then all routes are known, and none can be added any more. */
function serveDocument(app: FastifyInstance, path: string, type: string, write: () => string): void {
  let written: { text: string; etag: string } | undefined
  app.get(path, { schema: { hide: true } }, async (request, reply) => {
    written ??= withEtag(write())
    reply.headers({ etag: written.etag, 'cache-control': 'public, no-cache' })
    if (isKnown(request, written.etag)) return reply.code(304).send()
    return reply.type(type).send(written.text)
  })
}

const withEtag = (text: string) => ({ text, etag: tagOf(text) })

/** The document as openapi.yaml holds it, byte for byte the same on every machine. */
export function openapiYaml(app: FastifyInstance): string {
  return stringify(app.swagger(), { lineWidth: 0, aliasDuplicateObjects: false })
}

// ------------------------------------------------------------------------------------------ What the plugin leaves to do

const bodyIsOptional = 'x-body-is-optional'

type Response = { $ref?: string; content?: Record<string, { schema: { $ref?: string } }> }
type Operation = {
  requestBody?: { required: boolean }
  responses: Record<string, Response>
  [bodyIsOptional]?: boolean
}
type Document = {
  paths: Record<string, Record<string, Operation>>
  components: Record<string, unknown>
  [member: string]: unknown
}

/** The plugin takes every body for required, and only here is the route at hand; an `x-` member goes with the operation. */
const markOptionalBody: SwaggerTransform = ({ schema, url, route }) => ({
  schema: route.config?.emptyBody ? { ...schema, [bodyIsOptional]: true } : schema,
  url,
})

const memberOrder = ['openapi', 'info', 'servers', 'tags', 'paths', 'components']

function tidy(given: Document): Record<string, unknown> {
  const document = nameEnumTypes(given) as Document
  const operations = Object.values(document.paths).flatMap(path => Object.values(path))
  for (const operation of operations) {
    if (operation.requestBody && operation[bodyIsOptional]) operation.requestBody.required = false
    delete operation[bodyIsOptional]
  }
  document.components.responses = shareFailures(operations)
  return Object.fromEntries(memberOrder.map(member => [member, document[member]]))
}

/** A copy in which every enumeration of texts says that it is one: some generators look at nothing but `type`. */
function nameEnumTypes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(nameEnumTypes)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).map(([name, member]) => [name, nameEnumTypes(member)])
  const { enum: values, type } = value as { enum?: unknown; type?: unknown }
  const isText = type === undefined && Array.isArray(values) && values.every(each => typeof each === 'string')
  return Object.fromEntries(isText ? [['type', 'string'], ...members] : members)
}

/** Most error answers of a door are the same at each of its routes: these become components, by schema and status. */
function shareFailures(operations: readonly Operation[]): Record<string, Response> {
  const alike = new Map<string, { name: string; response: Response; share: () => void }[]>()
  for (const { responses } of operations) {
    for (const [status, response] of Object.entries(responses)) {
      const name = failureName(status, response)
      if (!name) continue
      const share = () => {
        responses[status] = { $ref: `#/components/responses/${name}` }
      }
      const key = name + JSON.stringify(response)
      alike.set(key, [...(alike.get(key) ?? []), { name, response, share }])
    }
  }
  const shared = new Map<string, Response>()
  for (const group of [...alike.values()].sort((one, other) => other.length - one.length)) {
    const [first, ...others] = group
    if (!first || others.length === 0 || shared.has(first.name)) continue
    shared.set(first.name, first.response)
    for (const { share } of group) share()
  }
  return Object.fromEntries([...shared].sort(([one], [other]) => (one < other ? -1 : 1)))
}

/** `AuthFailure401`; undefined for what is no failure of a named schema. */
function failureName(status: string, response: Response): string | undefined {
  const [media] = Object.values(response.content ?? {})
  const schema = media?.schema.$ref?.split('/').at(-1)
  return schema && Number(status) >= 400 ? `${schema}${status}` : undefined
}
