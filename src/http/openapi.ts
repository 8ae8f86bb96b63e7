/** What every route's schema needs for the OpenAPI document: named components, who may call, headers, and the error answers. */
import type { FastifyContextConfig, FastifyRequest } from 'fastify'
import { type Static, type TSchema, Type } from 'typebox'
import type { Answer } from './dialect.js'
import type { Issue, Problem, ProblemCode } from './problem.js'

/** A typed `$ref` to a component that the dialect lists in its `components`. */
export const ref = <T extends TSchema>(component: T & { $id?: string }) =>
  Type.Unsafe<Static<T>>(Type.Ref(`${component.$id}#`))

/** `security` of a route that needs somebody signed in: any one of them will do. */
export const signedIn = [{ bearer: [] }, { cookie: [] }, { password: [] }]

/** `security` of a route that anybody may call. */
export const anybody: Record<string, string[]>[] = []

/** `security` of a route for services that authenticate with a secret of their own. */
export const asClient = [{ client: [] }]

export const securitySchemes = {
  client: {
    type: 'http',
    scheme: 'basic',
    description: 'The id and secret of a service, as listed in SERVICE_CLIENTS.',
  },
  bearer: {
    type: 'http',
    scheme: 'bearer',
    description: 'An access token (JWT) or an opaque session token, of any door.',
  },
  cookie: {
    type: 'apiKey',
    in: 'cookie',
    name: 'session_token',
    description:
      'The session cookie of /api/auth/login; Better Auth’s signed `better-auth.session_token` serves as well.',
  },
  password: {
    type: 'oauth2',
    description: 'E-mail address and password, for first-party clients.',
    flows: { password: { tokenUrl: '/auth/login', refreshUrl: '/auth/refresh', scopes: {} } },
  },
} as const

const documentedHeaders = {
  ETag: Type.String({ description: 'The version of what is answered.', examples: ['"3"'] }),
  'Retry-After': Type.Integer({ description: 'Seconds to wait before trying again.', examples: [2] }),
  'WWW-Authenticate': Type.String({
    description: 'RFC 6750: with `error="invalid_token"` only where a credential was sent.',
    examples: ['Bearer'],
  }),
}

type HeaderName = keyof typeof documentedHeaders

const headersNamed = (names: readonly HeaderName[]) =>
  Object.fromEntries(names.map(name => [name, documentedHeaders[name]]))

/** A `$ref` to a component as an answer that says something in its headers too. */
export const refWith = <T extends TSchema>(component: T & { $id?: string }, ...names: HeaderName[]) =>
  Type.Unsafe<Static<T>>({ ...ref(component), headers: headersNamed(names) })

/** The answer to a conditional request for what has not changed. Sending null would announce four bytes that never come. */
export const unchanged = Type.Unsafe<undefined>({
  type: 'null',
  description: 'Still the version that If-None-Match names; no body.',
  headers: headersNamed(['ETag']),
})

/** Answers that send a browser on. */
export const redirects = {
  302: Type.Unsafe<undefined>({
    type: 'null',
    description: 'On to the address that was named, with what became of it in its query.',
    headers: { Location: Type.String({ examples: ['/reset?token=kT3v9QzX1rWm5yBc7nHs2LpFd8Gj4AeUiOo6TqRyWxE'] }) },
  }),
}

type Meaning = {
  text: string
  /** What the document shows where a route names no problem: the first of these that the door answers with this status. */
  usual: readonly ProblemCode[]
  headers?: readonly HeaderName[]
}

const meanings: Record<number, Meaning> = {
  400: { text: 'The request cannot be used; the body says why.', usual: ['malformed_body'] },
  401: {
    text: 'No credential, or one that is not good (any more).',
    usual: ['credential_missing'],
    headers: ['WWW-Authenticate'],
  },
  403: { text: 'The request comes from an origin that is not trusted.', usual: ['origin_untrusted'] },
  404: { text: 'There is no such thing.', usual: ['not_found'] },
  412: { text: 'The profile is not in the version that was asked for.', usual: ['version_mismatch'] },
  413: { text: 'The body is larger than 16 KiB.', usual: ['body_too_large'] },
  415: { text: 'The body has a media type this route does not take.', usual: ['unsupported_media_type'] },
  422: { text: 'The request is well-formed, but something in it cannot be accepted.', usual: ['validation_failed'] },
  429: {
    text: 'Too many requests; Retry-After says when to come back.',
    usual: ['rate_limited'],
    headers: ['Retry-After'],
  },
  500: { text: 'Something went wrong on our side.', usual: ['internal'] },
  503: {
    text: 'Not available just now; Retry-After says when to come back.',
    usual: ['unavailable', 'hashing_busy'],
    headers: ['Retry-After'],
  },
}

type Words = (problem: Problem) => Answer

const wording = Symbol('wording')

type Worded = TSchema & { [wording]?: Words }

/** The schema of a door's failures that knows the door's words as well, so that `failures` of it shows what is answered. */
export function worded<T extends TSchema>(
  schema: T,
  render: (problem: Problem, request: FastifyRequest) => Answer,
  config: FastifyContextConfig = {},
): T {
  // All that a door reads of a request while it renders: how the route is configured, and the form of the body.
  const request = { routeOptions: { config }, headers: {} } as FastifyRequest
  const words: Words = problem => render(problem, request)
  return { ...schema, [wording]: words }
}

/** A status, with its usual problem; a problem by its code; or one failed validation. The last two want a worded schema. */
type Failure = number | ProblemCode | Issue

type Examples = Record<string, { value: unknown }>

/** Error answers of a door, all of one schema, each with its meaning, its headers and its examples. */
export function failures(schema: TSchema, ...kinds: Failure[]): Record<number, TSchema> {
  const answers = new Map<number, Examples>()
  for (const { status, example } of kinds.map(kind => exemplify(schema, kind)))
    answers.set(status, { ...answers.get(status), ...example })
  return Object.fromEntries([...answers].map(([status, examples]) => [status, toFailure(schema, status, examples)]))
}

function exemplify({ [wording]: words }: Worded, kind: Failure): { status: number; example: Examples } {
  if (typeof kind === 'number') {
    const usual = words ? (meanings[kind]?.usual ?? []).map(code => quote(words, code)) : []
    return usual.find(({ status }) => status === kind) ?? { status: kind, example: {} }
  }
  if (!words) throw new Error('only a worded schema knows with which status a problem is answered')
  return typeof kind === 'string' ? quote(words, kind) : quote(words, 'validation_failed', kind)
}

/** The example is named by what is wrong: the problem's code, or the rule that the request breaks. */
function quote(words: Words, code: ProblemCode, issue?: Issue): { status: number; example: Examples } {
  const { status, body } = words({ code, issues: issue ? [issue] : [] })
  return { status, example: { [issue?.rule ?? code]: { value: body } } }
}

function toFailure(schema: TSchema, status: number, examples: Examples): TSchema {
  const { text, headers } = meanings[status] ?? { text: 'Failed.' }
  return Type.Unsafe({
    description: text,
    ...(headers ? { headers: headersNamed(headers) } : {}),
    content: {
      'application/json': { schema: ref(schema), ...(Object.keys(examples).length > 0 ? { examples } : {}) },
    },
  })
}
