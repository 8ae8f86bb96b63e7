/** Who is signed in, and on which devices. */
import { AuthError } from '../../core/errors.js'
import { hasAmbiguousCookie } from '../../http/cookies.js'
import type { Door, Floor } from '../../http/dialect.js'
import { failures, ref, signedIn } from '../../http/openapi.js'
import { InvalidRequest, type Issue, missing } from '../../http/problem.js'
import { Failure, unless } from './errors.js'
import {
  MaybeSession,
  Nothing,
  Revocation,
  SessionList,
  SessionQuery,
  Status,
  toCurrentSession,
  toSession,
} from './wire.js'

const done = { status: true } as const

const tooLong: Issue = {
  in: 'query',
  path: ['disableRefresh'],
  rule: 'maxLength',
  message: 'must NOT have more than 16 characters',
}

export function sessionRoutes(
  door: Door,
  { core, credentials, cookies }: Floor,
  options: { strictSession: boolean },
): void {
  door.get(
    '/get-session',
    {
      config: { limitClass: 'session' },
      schema: {
        operationId: 'betterAuthGetSession',
        summary: 'The current session, or null',
        description:
          'Signed out is 200 with the body `null`; 401 only for a real but dead JWT, or always with BETTER_AUTH_STRICT_SESSION. The access token is the same one until it nears its expiry.',
        security: [...signedIn, {}],
        querystring: SessionQuery,
        response: { 200: MaybeSession, ...failures(Failure, tooLong, 'credential_invalid') },
      },
    },
    async (request, reply) => {
      const identity = await credentials.find(request, { slide: request.query.disableRefresh !== 'true' })
      if (identity) {
        const access = await core.sessions.steadyAccess(identity)
        // What Better Auth's jwt plugin sends along, so that no second call is needed.
        reply.header('set-auth-jwt', access.token)
        // Beside the cookie, which is sent again where the session has just been extended.
        if (identity.extended && identity.sessionToken !== undefined)
          reply.header('set-auth-token', cookies.sign(identity.sessionToken))
        return toCurrentSession(identity, access)
      }
      // A cookie that was ours once is taken back; one that somebody made up is not worth an answer.
      if (cookies.readTokens(request).length > 0 || hasAmbiguousCookie(request)) cookies.clear(reply, request)
      if (options.strictSession)
        throw new AuthError(credentials.wasSent(request) ? 'credential_invalid' : 'credential_missing')
      return null
    },
  )

  door.get(
    '/list-sessions',
    {
      schema: {
        operationId: 'betterAuthListSessions',
        summary: 'The devices that are signed in',
        security: signedIn,
        response: { 200: ref(SessionList) },
      },
    },
    async request => {
      const identity = await credentials.identify(request)
      const sessions = await core.sessions.list(identity)
      return sessions.map(session => toSession(session, identity))
    },
  )

  door.post(
    '/revoke-session',
    {
      config: { emptyBody: true },
      schema: {
        operationId: 'betterAuthRevokeSession',
        summary: 'Sign one device out',
        description:
          'By session token, or by the id of the session. An unknown or foreign one answers alike, without effect.',
        security: signedIn,
        consumes: ['application/json'],
        body: ref(Revocation),
        response: { 200: ref(Status), ...failures(Failure, 'malformed_body', missing('token')) },
      },
    },
    async (request, reply) => {
      const identity = await credentials.identify(request)
      const { sessionId, token: name = sessionId } = request.body
      if (name === undefined) throw new InvalidRequest(missing('token'))
      await core.sessions.end(identity, name).catch(unless('session_unknown'))
      if (name === identity.session.id || name === identity.sessionToken) cookies.clear(reply, request)
      return done
    },
  )

  door.post(
    '/revoke-other-sessions',
    {
      config: { emptyBody: true },
      schema: {
        operationId: 'betterAuthRevokeOtherSessions',
        summary: 'Sign every other device out',
        security: signedIn,
        consumes: ['application/json'],
        body: ref(Nothing),
        response: { 200: ref(Status) },
      },
    },
    async request => {
      await core.sessions.endOthers(await credentials.identify(request))
      return done
    },
  )

  door.post(
    '/revoke-sessions',
    {
      config: { emptyBody: true },
      schema: {
        operationId: 'betterAuthRevokeSessions',
        summary: 'Sign every device out, this one too',
        security: signedIn,
        consumes: ['application/json'],
        body: ref(Nothing),
        response: { 200: ref(Status) },
      },
    },
    async (request, reply) => {
      await core.sessions.endAll(await credentials.identify(request))
      cookies.clear(reply, request)
      return done
    },
  )
}
