/** Getting, renewing and giving up tokens. */
import { readVisit } from '../../http/credentials.js'
import type { Door, Floor } from '../../http/dialect.js'
import { anybody, failures, ref, signedIn } from '../../http/openapi.js'
import { InvalidRequest, missing } from '../../http/problem.js'
import { Rejection } from '../../http/rejection.js'
import { Failure, TokenFailure, wrongType } from './errors.js'
import { Logout, Message, PasswordGrant, RefreshGrant, Registration, Tokens, toTokens } from './wire.js'

const jsonOrForm = ['application/json', 'application/x-www-form-urlencoded']

export function tokenRoutes(door: Door, { core, credentials, cookies }: Floor): void {
  door.post(
    '/register',
    {
      config: { opensSession: true, checksPassword: true, limitClass: 'register', tokenEndpoint: true },
      schema: {
        operationId: 'register',
        summary: 'Make an account and sign in',
        security: anybody,
        consumes: ['application/json'],
        body: ref(Registration),
        response: {
          200: ref(Tokens),
          ...failures(TokenFailure, 'malformed_body', 'email_taken', 'password_common', missing('email')),
        },
      },
    },
    async request => {
      // Named one by one: what else the body holds is nothing the core should see.
      const { email, password, name, personal_info: personalInfo } = request.body
      const registration = { email, password, name, personalInfo }
      return toTokens(await core.accounts.register(registration, { visit: credentials.readEntry(request) }))
    },
  )

  door.post(
    '/login',
    {
      config: { opensSession: true, checksPassword: true, tokenEndpoint: true },
      schema: {
        operationId: 'login',
        summary: 'Sign in with e-mail address and password',
        description:
          'An OAuth2-shaped form (RFC 6749 section 4.3) or JSON. `username` is the e-mail address. Client credentials, also in a Basic header, are ignored: this is a first-party login, not an OAuth provider.',
        security: anybody,
        consumes: jsonOrForm,
        body: ref(PasswordGrant),
        response: {
          200: ref(Tokens),
          ...failures(TokenFailure, 'malformed_body', 'unsupported_grant_type', 'password_wrong', missing('username')),
        },
      },
    },
    async request => {
      const { username, email = username, password, grant_type: grantType = 'password' } = request.body
      if (grantType !== 'password') throw new Rejection('unsupported_grant_type')
      const absent = [...(email === undefined ? ['username'] : []), ...(password === undefined ? ['password'] : [])]
      if (email === undefined || password === undefined) throw new InvalidRequest(...absent.map(missing))
      return toTokens(await core.accounts.login({ email, password }, { visit: credentials.readEntry(request) }))
    },
  )

  door.post(
    '/refresh',
    {
      config: { tokenEndpoint: true },
      schema: {
        operationId: 'refresh',
        summary: 'Exchange a refresh token for a new pair',
        description:
          'Every use rotates the token. The one before it is answered with the same successor for 30 seconds, for tabs that race and answers that get lost; after that, or any older one, ends the session. As a form (RFC 6749 section 6), a token that is not good is 400.',
        security: anybody,
        consumes: jsonOrForm,
        body: ref(RefreshGrant),
        response: {
          200: ref(Tokens),
          ...failures(TokenFailure, 'malformed_body', 'unsupported_grant_type', 'refresh_invalid', missing('token')),
        },
      },
    },
    async request => {
      const { refresh_token, token = refresh_token, grant_type: grantType = 'refresh_token' } = request.body
      if (grantType !== 'refresh_token') throw new Rejection('unsupported_grant_type')
      if (token === undefined) throw new InvalidRequest(missing('token'))
      return toTokens(await core.sessions.refresh(token, readVisit(request)))
    },
  )

  const logout = { security: [...signedIn, {}], consumes: ['application/json'], body: ref(Logout) }

  door.post(
    '/logout',
    {
      config: { emptyBody: true },
      schema: {
        ...logout,
        operationId: 'logout',
        summary: 'End the session of the credential, or of the refresh token in the body',
        response: {
          200: ref(Message),
          ...failures(Failure, 'credential_missing', 'refresh_invalid', wrongType('refresh_token')),
        },
      },
    },
    async (request, reply) => {
      const { refresh_token: refreshToken } = request.body
      if (refreshToken !== undefined)
        await core.sessions.logoutByRefreshToken(refreshToken, { everywhere: false }, readVisit(request))
      else await core.sessions.logout(await credentials.identify(request))
      cookies.clear(reply, request)
      return { detail: 'Logged out' }
    },
  )

  door.post(
    '/logout-all',
    {
      config: { emptyBody: true },
      schema: {
        ...logout,
        operationId: 'logoutAll',
        summary: 'End every session of the account',
        response: {
          200: ref(Message),
          ...failures(Failure, 'credential_missing', 'refresh_invalid', wrongType('refresh_token')),
        },
      },
    },
    async (request, reply) => {
      const { refresh_token: refreshToken } = request.body
      if (refreshToken !== undefined)
        await core.sessions.logoutByRefreshToken(refreshToken, { everywhere: true }, readVisit(request))
      else await core.sessions.endAll(await credentials.identify(request))
      cookies.clear(reply, request)
      return { detail: 'Logged out' }
    },
  )
}
