/** From a request's bearer and cookies to the identity behind them. The one place that knows where a credential can ride. */
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { AuthError } from '../core/errors.js'
import type { Core, Credential, Identity, Visit } from '../core/index.js'
import { type BearerReading, looksLikeJwt, readBearer } from './bearer.js'
import { addressOf } from './client-address.js'
import { type Cookies, hasCredentialCookie } from './cookies.js'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who is calling, once that has been asked. */
    identity: Identity | null
    /** Set when the caller's session has just been extended, so that its cookies want sending again. */
    extended: Identity | null
  }
}

/** An opaque session token: 256 bits in base64url. */
const sessionTokenForm = /^[\w-]{43}$/

const authorization = /^authorization$/i

const longestUserAgent = 512

export type Credentials = ReturnType<typeof createCredentials>

export function createCredentials(core: Core, cookies: Cookies) {
  const bearerCredentials = (request: FastifyRequest): Credential[] => {
    const bearer = bearerOf(request)
    if (bearer.kind !== 'bearer') return []
    if (looksLikeJwt(bearer.value)) return [{ kind: 'jwt', token: bearer.value }]
    const token = sessionTokenForm.test(bearer.value) ? bearer.value : cookies.unsign(bearer.value)
    return token === undefined ? [] : [{ kind: 'session', token }]
  }

  /** The bearer before the cookies: where both come, the bearer counts unless it is none of ours. */
  const readCredentials = (request: FastifyRequest): Credential[] => [
    ...bearerCredentials(request),
    ...cookies.readTokens(request).map(({ token }): Credential => ({ kind: 'session', token })),
  ]

  /** Whether anything came that claims to be a credential, good or not. */
  const wasSent = (request: FastifyRequest): boolean => {
    const { kind } = bearerOf(request)
    return kind === 'bearer' || kind === 'malformed' || hasCredentialCookie(request)
  }

  /** The caller's identity, or undefined: signed out. Throws credential_invalid for a JWT that is dead. */
  const find = async (request: FastifyRequest, options = { slide: true }): Promise<Identity | undefined> => {
    const identity = await core.sessions.identify(readCredentials(request), readVisit(request), options)
    if (identity?.extended) request.extended = identity
    return identity
  }

  return {
    find,

    wasSent,

    /**
     * The caller's identity, asked of the core once a request. Routes whose schema says `security: signedIn` have it asked
     * before their body is read. Throws credential_missing, credential_invalid.
     */
    async identify(request: FastifyRequest): Promise<Identity> {
      request.identity ??= (await find(request)) ?? null
      if (!request.identity) throw new AuthError(wasSent(request) ? 'credential_invalid' : 'credential_missing')
      return request.identity
    },

    /** The visit of somebody who signs in, with what the device calls itself. */
    readEntry(request: FastifyRequest): Visit {
      const header = request.headers['x-device-id']
      const deviceId = typeof header === 'string' ? header : cookies.readDevice(request)
      return { ...readVisit(request), deviceId }
    },

    /** The session token that a browser carried along: the session a new sign-in takes the place of. */
    carriedToken: (request: FastifyRequest): string | undefined => cookies.readTokens(request)[0]?.token,

    /** Whether the bearer, if there is one, is a JWT. */
    bearsJwt: (request: FastifyRequest): boolean => bearerCredentials(request)[0]?.kind === 'jwt',
  }
}

/** Node keeps the first of two Authorization headers without a word; whoever sends two means neither. */
function bearerOf({ headers, raw }: FastifyRequest): BearerReading {
  const sent = raw.rawHeaders.filter((name, index) => index % 2 === 0 && authorization.test(name))
  return sent.length > 1 ? { kind: 'malformed' } : readBearer(headers.authorization)
}

/** What a device of an app may call itself; shorter could be guessed. */
export const DeviceHeader = Type.Object({
  'x-device-id': Type.Optional(
    Type.String({
      minLength: 16,
      maxLength: 128,
      pattern: '^[!-~]+$',
      description:
        'A random id that this device made once and keeps to itself. From a device that has signed in before, a stranger who guesses passwords holds nobody up. Browsers have a cookie for it at the doors that set cookies.',
    }),
  ),
})

/** What the core is told of a request. */
export function readVisit(request: FastifyRequest): Visit {
  const { headers, id, routeOptions } = request
  const userAgent = headers['user-agent']?.slice(0, longestUserAgent) ?? null
  const { door = '' } = routeOptions.config
  return { door, requestId: id, userAgent, ipAddress: addressOf(request) }
}
