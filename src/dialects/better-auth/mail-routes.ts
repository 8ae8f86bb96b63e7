/** What Better Auth does by mail: a forgotten password, a proved address, a new address, and the end of an account. */
import type { FastifyReply } from 'fastify'
import { canonicalEmail } from '../../core/emails.js'
import { AuthError } from '../../core/errors.js'
import type { LinkTarget } from '../../core/verifications.js'
import { readVisit } from '../../http/credentials.js'
import type { Door, Floor } from '../../http/dialect.js'
import { FlatFailure } from '../../http/flat-errors.js'
import { anybody, failures, redirects, ref, signedIn, worded } from '../../http/openapi.js'
import { missing } from '../../http/problem.js'
import { demandSafeCallback, toLocation } from './entry.js'
import { Failure, malformedEmail, refusal, refused, render } from './errors.js'
import {
  Deleted,
  EmailChange,
  LinkPath,
  LinkQuery,
  PasswordReset,
  ResetLinkQuery,
  ResetRequest,
  ResetRequested,
  ResetTokenQuery,
  Status,
  toUser,
  VerificationRequest,
  Verified,
} from './wire.js'

const done = { status: true } as const

/** Where a mail's link leads: a page of the app behind this door's address, or a page of ours. */
const targetOf = (callbackUrl: string | undefined): LinkTarget => ({
  door: 'better-auth',
  ...(callbackUrl ? { callbackUrl } : {}),
})

const resetWords = {
  ...malformedEmail('email'),
  mail_off: { status: 400, code: 'RESET_PASSWORD_DISABLED', message: "Reset password isn't enabled" },
}
const verificationWords = malformedEmail('email')
const changeWords = {
  ...malformedEmail('newEmail'),
  mail_off: { status: 400, code: 'CHANGE_EMAIL_DISABLED', message: 'Change email is disabled' },
}
const badLink = { link_invalid: { status: 401, code: 'INVALID_TOKEN', message: 'Invalid token' } }

const ResetFailure = worded(FlatFailure, render, { words: resetWords })
const VerificationFailure = worded(FlatFailure, render, { words: verificationWords })
const ChangeFailure = worded(FlatFailure, render, { words: changeWords })

export function mailRoutes(door: Door, floor: Floor): void {
  const { core, credentials, cookies, origins } = floor

  door.post(
    '/request-password-reset',
    {
      config: { limitClass: 'mail', words: resetWords },
      schema: {
        operationId: 'betterAuthRequestPasswordReset',
        summary: 'Mail a link to set a new password, if the address is an account’s',
        security: anybody,
        consumes: ['application/json'],
        body: ref(ResetRequest),
        response: {
          200: ref(ResetRequested),
          ...failures(ResetFailure, 'malformed_body', 'email_invalid', missing('email'), refused('redirect_untrusted')),
        },
      },
    },
    async request => {
      const { email, redirectTo } = request.body
      demandEmail(email)
      if (redirectTo && !origins.safeRedirect(redirectTo)) throw refusal('redirect_untrusted')
      await core.verifications.requestPasswordReset(email, targetOf(redirectTo), readVisit(request))
      return {
        status: true as const,
        message: 'If this email exists in our system, check your email for the reset link',
      }
    },
  )

  door.get(
    '/reset-password/:token',
    {
      // An address in a mail, for browsers: nothing that an SDK would call.
      schema: {
        hide: true,
        params: LinkPath,
        querystring: ResetLinkQuery,
        response: { ...redirects, ...failures(Failure, 400, refused('callback_untrusted')) },
      },
    },
    async (request, reply) => {
      const { token } = request.params
      const { callbackURL } = request.query
      demandSafeCallback(callbackURL, floor)
      // Looked at and not used up: mail programs open links before people do.
      const account = await core.verifications.findPasswordReset(token)
      return leadTo(reply, callbackURL, account ? { token } : { error: 'INVALID_TOKEN' })
    },
  )

  door.post(
    '/reset-password',
    {
      config: { checksPassword: true },
      schema: {
        operationId: 'betterAuthResetPassword',
        summary: 'Set a new password by a mailed token; it can be used once',
        security: anybody,
        consumes: ['application/json'],
        querystring: ResetTokenQuery,
        body: ref(PasswordReset),
        response: {
          200: ref(Status),
          ...failures(Failure, 'malformed_body', 'link_invalid', 'password_too_short', missing('newPassword')),
        },
      },
    },
    async request => {
      const { newPassword, token = request.query.token } = request.body
      if (!token) throw new AuthError('link_invalid')
      await core.verifications.resetPassword(token, newPassword, readVisit(request))
      return done
    },
  )

  door.post(
    '/send-verification-email',
    {
      config: { limitClass: 'mail', words: verificationWords },
      schema: {
        operationId: 'betterAuthSendVerificationEmail',
        summary: 'Mail a link that proves the address, if it is an account’s and not proved yet',
        security: [...signedIn, {}],
        consumes: ['application/json'],
        body: ref(VerificationRequest),
        response: {
          200: ref(Status),
          ...failures(
            VerificationFailure,
            'malformed_body',
            'mail_off',
            'email_invalid',
            missing('email'),
            refused('email_mismatch'),
            refused('email_verified'),
            refused('callback_untrusted'),
          ),
        },
      },
    },
    async request => {
      const { email, callbackURL } = request.body
      demandEmail(email)
      demandSafeCallback(callbackURL, floor)
      const identity = await credentials.find(request, { slide: false })
      if (identity && identity.account.email !== canonicalEmail(email)) throw refusal('email_mismatch')
      if (identity?.account.emailVerified) throw refusal('email_verified')
      await core.verifications.requestEmailVerification(email, targetOf(callbackURL), readVisit(request))
      return done
    },
  )

  door.get(
    '/verify-email',
    {
      config: { words: badLink },
      schema: {
        operationId: 'betterAuthVerifyEmail',
        summary: 'Prove an address, or take a new one, by a mailed link',
        security: anybody,
        querystring: LinkQuery,
        response: { 200: ref(Verified), ...redirects, ...failures(Failure, 400, 401, refused('callback_untrusted')) },
      },
    },
    async (request, reply) => {
      const { token, callbackURL } = request.query
      demandSafeCallback(callbackURL, floor)
      try {
        const { account, isNew } = await core.verifications.redeemEmailLink(token, readVisit(request))
        return callbackURL ? leadTo(reply, callbackURL, {}) : { ...done, user: isNew ? toUser(account) : null }
      } catch (error) {
        const isBad = error instanceof AuthError && error.code === 'link_invalid'
        if (isBad && callbackURL) return leadTo(reply, callbackURL, { error: 'INVALID_TOKEN' })
        throw error
      }
    },
  )

  door.post(
    '/change-email',
    {
      config: { limitClass: 'mail', words: changeWords },
      schema: {
        operationId: 'betterAuthChangeEmail',
        summary: 'Mail a link to a new address, which the account has once the link is opened',
        description: 'From a session that is a day old at most. Whether the address is taken nobody is told.',
        security: signedIn,
        consumes: ['application/json'],
        body: ref(EmailChange),
        response: {
          200: ref(Status),
          ...failures(
            ChangeFailure,
            'malformed_body',
            'email_invalid',
            'email_unchanged',
            'session_stale',
            missing('newEmail'),
            refused('callback_untrusted'),
          ),
        },
      },
    },
    async (request, reply) => {
      const identity = await credentials.identify(request)
      const { newEmail, callbackURL } = request.body
      demandSafeCallback(callbackURL, floor)
      await core.verifications.requestEmailChange(identity, newEmail, targetOf(callbackURL), false)
      if (identity.session.sliding) cookies.renew(reply, request, identity)
      return done
    },
  )

  door.get(
    '/delete-user/callback',
    {
      schema: {
        operationId: 'betterAuthDeleteUserCallback',
        summary: 'Delete the account by a mailed link',
        security: signedIn,
        querystring: LinkQuery,
        response: {
          200: ref(Deleted),
          ...redirects,
          ...failures(Failure, 400, refused('callback_untrusted'), refused('deletion_token_unknown')),
        },
      },
    },
    async (request, reply) => {
      const identity = await credentials.identify(request)
      const { token, callbackURL } = request.query
      demandSafeCallback(callbackURL, floor)
      await core.verifications.deleteAccount(identity, token).catch(toUnknownToken)
      cookies.clear(reply, request, 'signed')
      return callbackURL ? leadTo(reply, callbackURL, {}) : { success: true as const, message: 'User deleted' }
    },
  )
}

/** Throws email_invalid for what cannot be anybody's address, of which Better Auth makes no secret. */
function demandEmail(text: string): void {
  if (canonicalEmail(text) === undefined) throw new AuthError('email_invalid')
}

export function toUnknownToken(error: unknown): never {
  throw error instanceof AuthError && error.code === 'link_invalid' ? refusal('deletion_token_unknown') : error
}

/** Sends the browser to an address that has been found safe, with these parameters added to its own. */
function leadTo(reply: FastifyReply, url: string, parameters: Record<string, string>) {
  const [path = '', fragment] = url.split('#', 2)
  const query = new URLSearchParams(parameters).toString()
  const joined = query === '' ? path : `${path}${path.includes('?') ? '&' : '?'}${query}`
  return reply.redirect(toLocation(fragment === undefined ? joined : `${joined}#${fragment}`), 302)
}
