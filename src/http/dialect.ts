/** What a front door is, and how it is hung: one encapsulated plugin with its own errors, bodies, origin rules and 404. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  RawServerDefault,
  RouteOptions,
} from 'fastify'
import type { TSchema } from 'typebox'
import type { Core } from '../core/index.js'
import { acceptBodies } from './bodies.js'
import { type Cookies, hasCredentialCookie } from './cookies.js'
import { type Credentials, DeviceHeader } from './credentials.js'
import { failures, signedIn } from './openapi.js'
import type { OriginCheck } from './origin.js'
import { type Problem, toProblem } from './problem.js'
import { Rejection } from './rejection.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The name of the dialect that the route belongs to. */
    door?: string
  }
}

/** A Fastify instance whose routes are typed by their TypeBox schemas. */
export type Door = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

/** What all doors share. */
export type Floor = { core: Core; credentials: Credentials; cookies: Cookies; origins: OriginCheck }

/** A door's own words for a problem. */
export type Answer = { status: number; body: unknown; headers?: Record<string, string> }

export type Dialect = {
  /** The tag of its routes in the OpenAPI document. */
  name: string
  prefix: string
  takesForms: boolean
  /** Doors that set cookies refuse a sign-in from a foreign page. */
  setsCookies: boolean
  /** The schema of every error body of this door. */
  errorSchema: TSchema
  render(problem: Problem, request: FastifyRequest): Answer
  /** Runs before anything of the request's body is read, on unknown paths too. */
  guard?(request: FastifyRequest, floor: Floor): Promise<void>
  routes(door: Door, floor: Floor): void
}

/** Registers a door under its prefix. */
export async function mountDialect(app: FastifyInstance, dialect: Dialect, floor: Floor): Promise<void> {
  await app.register(
    async scope => {
      acceptBodies(scope, { forms: dialect.takesForms })
      scope.addHook('onRoute', route => documentFailures(route, dialect))
      scope.addHook('onRoute', takeDeviceId)
      scope.addHook('onRoute', route => {
        route.config = { ...route.config, door: dialect.name }
      })
      scope.addHook('onRequest', async request => {
        const loginRoute = dialect.setsCookies && request.routeOptions.config.opensSession === true
        floor.origins.check(request, { hasCredentialCookie: hasCredentialCookie(request), loginRoute })
        await dialect.guard?.(request, floor)
        // What the document says of a route is what is enforced, and before its body is looked at.
        if (request.routeOptions.schema?.security === signedIn) await floor.credentials.identify(request)
      })
      scope.addHook('onSend', async (request, reply) => {
        // A handler that has said something about cookies, a logout's for one, has the last word.
        if (request.extended && !reply.hasHeader('set-cookie')) floor.cookies.renew(reply, request, request.extended)
        if (!reply.hasHeader('cache-control')) forbidStoring(reply)
      })
      scope.setErrorHandler((error, request, reply) => answer(dialect, error, request, reply))
      scope.setNotFoundHandler(async () => {
        throw new Rejection('not_found')
      })
      dialect.routes(scope.withTypeProvider<TypeBoxTypeProvider>(), floor)
    },
    { prefix: dialect.prefix },
  )
}

function answer(dialect: Dialect, error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = toProblem(error)
  logProblem(problem, error, request)
  const { status, body, headers = {} } = dialect.render(problem, request)
  if (problem.retryAfter !== undefined) reply.header('retry-after', String(problem.retryAfter))
  if (status === 401) reply.header('www-authenticate', challenge(problem))
  return reply.code(status).headers(headers).send(body)
}

/** RFC 6750 section 3: no error code where no credential was sent. */
const challenge = (problem: Problem): string =>
  problem.code === 'credential_invalid' ? 'Bearer error="invalid_token"' : 'Bearer'

/** What we broke is an error with its stack; what the world broke a warning; what the client broke is in the access log. */
export function logProblem(problem: Problem, error: unknown, request: FastifyRequest): void {
  if (problem.code === 'internal') request.log.error({ err: error }, 'a request failed')
  if (problem.code === 'unavailable') request.log.warn({ err: error }, 'the database is not available')
}

function forbidStoring(reply: FastifyReply): void {
  reply.header('cache-control', 'no-store')
  reply.header('pragma', 'no-cache')
}

/** Adds the error answers that any route of its kind can give, so that a route declares only those of its own. */
function documentFailures(route: RouteOptions, dialect: Dialect): void {
  const schema = route.schema
  if (!schema) return
  const statuses = [
    ...(schema.body ? [400, 413, 415] : []),
    ...(schema.security?.length ? [401] : []),
    ...(isSafe(route.method) ? [] : [403]),
    ...(route.config?.rateLimit === false ? [] : [429]),
    500,
    503,
  ]
  schema.tags ??= [dialect.name]
  schema.response = { ...failures(dialect.errorSchema, ...statuses), ...(schema.response as object) }
}

/** Whoever signs in may tell which device that is. */
function takeDeviceId({ config, schema }: RouteOptions): void {
  if (schema && config?.opensSession) schema.headers ??= DeviceHeader
}

/** Fastify shares the schema of a GET route with the HEAD route it adds. */
const isSafe = (method: RouteOptions['method']): boolean => method === 'GET' || method === 'HEAD'
