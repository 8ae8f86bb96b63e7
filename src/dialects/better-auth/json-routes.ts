/** The two JSON dialects beside Better Auth's: register and login with a plain cookie (seeds 0 and 2), signup and signin (seed 1). */
import { AuthError } from '../../core/errors.js'
import type { Door, Floor } from '../../http/dialect.js'
import { anybody, failures, ref, signedIn } from '../../http/openapi.js'
import { missing } from '../../http/problem.js'
import { endCarried, readBrowserEntry, readEntry, sendBare, sendPlain } from './entry.js'
import { Failure } from './errors.js'
import {
  LoggedIn,
  LoggedOut,
  Login,
  Register,
  Registered,
  Signin,
  SigninDone,
  Signup,
  SignupDone,
  toBackground,
  toOpened,
  toSigninDone,
  toSignupDone,
} from './json-wire.js'
import { Nothing, toUser, User } from './wire.js'

export function jsonRoutes(door: Door, floor: Floor): void {
  const { core, credentials, cookies, origins } = floor

  door.post(
    '/register',
    {
      config: { opensSession: true, checksPassword: true, limitClass: 'register' },
      schema: {
        operationId: 'apiRegister',
        summary: 'Make an account, tell its background, and sign in',
        security: anybody,
        consumes: ['application/json'],
        body: ref(Register),
        response: {
          201: ref(Registered),
          ...failures(Failure, 'malformed_body', 'email_taken', 'password_common', missing('email')),
        },
      },
    },
    async (request, reply) => {
      const { email, password, name, background_data: data } = request.body
      const registration = { email, password, name, background: toBackground(data) }
      const pass = await core.accounts.register(registration, readBrowserEntry(request, floor))
      const opened = toOpened(pass, sendPlain(request, reply, floor, pass))
      return reply.code(201).send({ message: 'User registered successfully', ...opened })
    },
  )

  door.post(
    '/login',
    {
      config: { opensSession: true, checksPassword: true },
      schema: {
        operationId: 'apiLogin',
        summary: 'Sign in; sets the cookie session_token',
        security: anybody,
        consumes: ['application/json'],
        body: ref(Login),
        response: { 200: ref(LoggedIn), ...failures(Failure, 'malformed_body', missing('password'), 'password_wrong') },
      },
    },
    async (request, reply) => {
      const { email, password, redirectUrl } = request.body
      const pass = await core.accounts.login({ email, password }, readBrowserEntry(request, floor))
      const safe = redirectUrl !== undefined && origins.safeRedirect(redirectUrl)
      const opened = toOpened(pass, sendPlain(request, reply, floor, pass))
      return { message: 'Login successful', ...(safe ? { redirectUrl } : {}), ...opened }
    },
  )

  door.post(
    '/logout',
    {
      config: { emptyBody: true },
      schema: {
        operationId: 'apiLogout',
        summary: 'End the session and clear its cookies',
        description: 'A stale cookie or session token is logged out already: 200.',
        security: [...signedIn, {}],
        consumes: ['application/json'],
        body: ref(Nothing),
        response: { 200: ref(LoggedOut) },
      },
    },
    async (request, reply) => {
      const identity = await credentials.find(request, { slide: false })
      if (!credentials.wasSent(request)) throw new AuthError('credential_missing')
      await endCarried(request, floor, identity)
      cookies.clear(reply, request, 'plain')
      return { message: 'Logged out successfully' }
    },
  )

  door.get(
    '/user',
    {
      config: { limitClass: 'session' },
      schema: {
        operationId: 'apiUser',
        summary: 'The account of the caller',
        security: signedIn,
        response: { 200: ref(User) },
      },
    },
    async request => toUser((await credentials.identify(request)).account),
  )

  door.post(
    '/signup',
    {
      config: { opensSession: true, checksPassword: true, limitClass: 'register' },
      schema: {
        operationId: 'apiSignup',
        summary: 'Make an account with its background levels, and sign in',
        security: anybody,
        consumes: ['application/json'],
        body: ref(Signup),
        response: {
          201: ref(SignupDone),
          ...failures(Failure, 'malformed_body', 'email_taken', 'password_common', missing('software_level')),
        },
      },
    },
    async (request, reply) => {
      const { software_level: softwareLevel, hardware_background: hardwareBackground, email, password } = request.body
      const background = { softwareLevel, hardwareBackground, softwareDetails: null, hardwareDetails: null }
      const pass = await core.accounts.register({ email, password, background }, readEntry(request, floor))
      return reply.code(201).send(toSignupDone(pass, sendBare(request, reply, floor, pass)))
    },
  )

  door.post(
    '/signin',
    {
      config: { opensSession: true, checksPassword: true },
      schema: {
        operationId: 'apiSignin',
        summary: 'Sign in; answers with the background levels',
        security: anybody,
        consumes: ['application/json'],
        body: ref(Signin),
        response: {
          200: ref(SigninDone),
          ...failures(Failure, 'malformed_body', missing('password'), 'password_wrong'),
        },
      },
    },
    async (request, reply) => {
      const { email, password } = request.body
      const pass = await core.accounts.login({ email, password }, readEntry(request, floor))
      const profile = await core.profiles.findByAccount(pass.account.id)
      return toSigninDone(pass, sendBare(request, reply, floor, pass), profile)
    },
  )
}
