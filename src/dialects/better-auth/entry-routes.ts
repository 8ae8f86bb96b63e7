/** Better Auth's ways in and out. */
import { canonicalEmail } from '../../core/emails.js'
import { AuthError } from '../../core/errors.js'
import type { Door, Floor } from '../../http/dialect.js'
import { anybody, failures, ref, signedIn } from '../../http/openapi.js'
import { missing } from '../../http/problem.js'
import { demandSafeCallback, endCarried, readBrowserEntry, sendSigned, toLocation } from './entry.js'
import { Failure, refused, SignUpFailure, signUpWords, unless } from './errors.js'
import { Ok, SignedIn, SignedUp, SignIn, SignOut, SignUp, Success, toUser } from './wire.js'

const jsonOrForm = ['application/json', 'application/x-www-form-urlencoded']

export function entryRoutes(door: Door, floor: Floor): void {
  const { core, credentials, cookies } = floor

  door.post(
    '/sign-up/email',
    {
      config: { opensSession: true, checksPassword: true, limitClass: 'register', words: signUpWords },
      schema: {
        operationId: 'betterAuthSignUp',
        summary: 'Make an account and sign in',
        security: anybody,
        consumes: jsonOrForm,
        body: ref(SignUp),
        response: {
          200: ref(SignedUp),
          ...failures(SignUpFailure, 'malformed_body', 'password_common', missing('email'), 'email_taken'),
          ...failures(SignUpFailure, 'origin_untrusted', refused('callback_untrusted')),
        },
      },
    },
    async (request, reply) => {
      // Named one by one: what else the body holds is nothing the core should see.
      const { name, email, password, image, callbackURL, rememberMe: remember = true } = request.body
      demandSafeCallback(callbackURL, floor)
      const link = { door: 'better-auth', ...(callbackURL ? { callbackUrl: callbackURL } : {}) } as const
      const { account, pass } = await core.accounts.registerQuietly(
        { name, email, password, image, link },
        readBrowserEntry(request, floor, { remember }),
      )
      // Where the address has to be proved first, nobody is signed in, and a taken address looks like a new one.
      return { token: pass ? sendSigned(request, reply, floor, pass) : null, user: toUser(account) }
    },
  )

  door.post(
    '/sign-in/email',
    {
      config: { opensSession: true, checksPassword: true },
      schema: {
        operationId: 'betterAuthSignIn',
        summary: 'Sign in with e-mail address and password',
        security: anybody,
        consumes: jsonOrForm,
        body: ref(SignIn),
        response: {
          200: ref(SignedIn),
          ...failures(Failure, 'malformed_body', 'email_invalid', missing('password'), 'password_wrong'),
          ...failures(Failure, 'origin_untrusted', refused('callback_untrusted')),
        },
      },
    },
    async (request, reply) => {
      const { email, password, callbackURL, rememberMe: remember = true } = request.body
      demandSafeCallback(callbackURL, floor)
      if (canonicalEmail(email) === undefined) throw new AuthError('email_invalid')
      const pass = await core.accounts.login({ email, password }, readBrowserEntry(request, floor, { remember }))
      const answer = { token: sendSigned(request, reply, floor, pass), user: toUser(pass.account) }
      if (!callbackURL) return { redirect: false, ...answer }
      // The status stays 200: the client's script does the redirecting, by the body.
      reply.header('location', toLocation(callbackURL))
      return { redirect: true, url: callbackURL, ...answer }
    },
  )

  door.post(
    '/sign-out',
    {
      config: { emptyBody: true },
      schema: {
        operationId: 'betterAuthSignOut',
        summary: 'End the session; succeeds also when there is none',
        security: [...signedIn, {}],
        consumes: ['application/json'],
        body: ref(SignOut),
        response: { 200: ref(Success) },
      },
    },
    async (request, reply) => {
      const identity = await credentials.find(request, { slide: false }).catch(unless('credential_invalid'))
      await endCarried(request, floor, identity)
      cookies.clear(reply, request, 'signed')
      return { success: true as const }
    },
  )

  door.get(
    '/ok',
    {
      schema: {
        operationId: 'betterAuthOk',
        summary: 'Whether the door answers',
        security: anybody,
        response: { 200: ref(Ok) },
      },
    },
    async () => ({ ok: true as const }),
  )
}
