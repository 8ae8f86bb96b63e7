/** What every route's schema needs for the OpenAPI document: named components, who may call, and the error answers. */
import { type Static, type TSchema, Type } from 'typebox'

/** A typed `$ref` to a component that the dialect lists in its `components`. */
export const ref = <T extends TSchema>(component: T & { $id?: string }) =>
  Type.Unsafe<Static<T>>(Type.Ref(`${component.$id}#`))

/** `security` of a route that needs somebody signed in: any one of them will do. */
export const signedIn = [{ bearer: [] }, { cookie: [] }, { password: [] }]

/** `security` of a route that anybody may call. */
export const anybody: Record<string, string[]>[] = []

export const securitySchemes = {
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

const meanings: Record<number, string> = {
  400: 'The request cannot be used; the body says why.',
  401: 'No credential, or one that is not good (any more).',
  403: 'The request comes from an origin that is not trusted.',
  404: 'There is no such thing.',
  412: 'The profile is not in the version that was asked for.',
  413: 'The body is larger than 16 KiB.',
  415: 'The body has a media type this route does not take.',
  422: 'The request is well-formed, but something in it cannot be accepted.',
  429: 'Too many requests; Retry-After says when to come back.',
  500: 'Something went wrong on our side.',
  503: 'Not available just now; Retry-After says when to come back.',
}

/** Error answers of a door, all of one schema, each with its meaning. */
export const failures = (schema: TSchema, ...statuses: number[]): Record<number, TSchema> =>
  Object.fromEntries(
    statuses.map(status => [status, Type.Unsafe({ ...ref(schema), description: meanings[status] ?? 'Failed.' })]),
  )
