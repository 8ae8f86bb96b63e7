/** The signed-in person's account and password. */
import { AuthError } from '../../core/errors.js'
import type { Identity } from '../../core/index.js'
import type { Door, Floor } from '../../http/dialect.js'
import { failures, ref, signedIn } from '../../http/openapi.js'
import { missing } from '../../http/problem.js'
import { demandSafeCallback, sendSigned } from './entry.js'
import { Failure, refusal, refused } from './errors.js'
import { toUnknownToken } from './mail-routes.js'
import {
  Deleted,
  Deletion,
  LinkedAccountList,
  PasswordChange,
  PasswordChanged,
  PasswordProof,
  Status,
  toLinkedAccount,
  toUser,
  UserPatch,
} from './wire.js'

const done = { status: true } as const

export function accountRoutes(door: Door, floor: Floor): void {
  const { core, credentials, cookies } = floor

  /** False: the session is too old to delete an account without more, and a link has been mailed. */
  const deleted = async (identity: Identity, password: string | undefined, callbackUrl: string | undefined) => {
    try {
      await core.accounts.delete(identity, password)
      return true
    } catch (error) {
      const isStale = error instanceof AuthError && error.code === 'session_stale'
      if (!isStale || !core.verifications.isOn) throw error
      await core.verifications.requestDeletion(identity, {
        door: 'better-auth',
        ...(callbackUrl ? { callbackUrl } : {}),
      })
      return false
    }
  }

  door.post(
    '/update-user',
    {
      config: { emptyBody: true },
      schema: {
        operationId: 'betterAuthUpdateUser',
        summary: 'Change name or image',
        security: signedIn,
        consumes: ['application/json'],
        body: ref(UserPatch),
        response: {
          200: ref(Status),
          ...failures(Failure, 'malformed_body', refused('email_fixed'), refused('nothing_to_update')),
        },
      },
    },
    async (request, reply) => {
      const identity = await credentials.identify(request)
      const { name, image, email } = request.body
      if (email !== undefined) throw refusal('email_fixed')
      if (name === undefined && image === undefined) throw refusal('nothing_to_update')
      await core.accounts.update(identity, { name, image })
      // A cookie that ends with the browser would become one that stays.
      if (identity.session.sliding) cookies.renew(reply, request, identity)
      if (identity.sessionToken !== undefined) reply.header('set-auth-token', cookies.sign(identity.sessionToken))
      return done
    },
  )

  door.post(
    '/change-password',
    {
      config: { checksPassword: true },
      schema: {
        operationId: 'betterAuthChangePassword',
        summary: 'Set a new password; the other sessions go on unless told not to',
        security: signedIn,
        consumes: ['application/json'],
        body: ref(PasswordChange),
        response: {
          200: ref(PasswordChanged),
          ...failures(
            Failure,
            'malformed_body',
            'current_password_wrong',
            'password_too_short',
            missing('newPassword'),
          ),
        },
      },
    },
    async (request, reply) => {
      const identity = await credentials.identify(request)
      const { currentPassword: current, newPassword, revokeOtherSessions } = request.body
      const passwords = { current, new: newPassword }
      if (revokeOtherSessions) {
        const pass = await core.accounts.changePasswordEverywhere(identity, passwords)
        return { token: sendSigned(request, reply, floor, pass), user: toUser(pass.account) }
      }
      const { account } = await core.accounts.changePassword(identity, passwords, {
        endOthers: false,
        renewRefresh: false,
      })
      return { token: null, user: toUser(account) }
    },
  )

  door.post(
    '/verify-password',
    {
      config: { checksPassword: true },
      schema: {
        operationId: 'betterAuthVerifyPassword',
        summary: 'Whether this is the caller’s password',
        security: signedIn,
        consumes: ['application/json'],
        body: ref(PasswordProof),
        response: {
          200: ref(Status),
          ...failures(Failure, 'malformed_body', 'current_password_wrong', missing('password')),
        },
      },
    },
    async request => {
      await core.accounts.verifyPassword(await credentials.identify(request), request.body.password)
      return done
    },
  )

  door.post(
    '/delete-user',
    {
      config: { emptyBody: true, checksPassword: true },
      schema: {
        operationId: 'betterAuthDeleteUser',
        summary: 'Delete the account and everything that is its own',
        description:
          'With the password, with a mailed token, or with neither from a session that is a day old at most; from an older one a link is mailed.',
        security: signedIn,
        consumes: ['application/json'],
        body: ref(Deletion),
        response: {
          200: ref(Deleted),
          ...failures(Failure, 'malformed_body', 'current_password_wrong', 'session_stale'),
          ...failures(Failure, 'origin_untrusted', refused('callback_untrusted')),
          ...failures(Failure, refused('deletion_token_unknown')),
        },
      },
    },
    async (request, reply) => {
      const identity = await credentials.identify(request)
      const { password, token, callbackURL } = request.body
      demandSafeCallback(callbackURL, floor)
      if (token) await core.verifications.deleteAccount(identity, token).catch(toUnknownToken)
      else if (!(await deleted(identity, password || undefined, callbackURL)))
        return { success: true as const, message: 'Verification email sent' }
      cookies.clear(reply, request, 'signed')
      return { success: true as const, message: 'User deleted' }
    },
  )

  door.get(
    '/list-accounts',
    {
      schema: {
        operationId: 'betterAuthListAccounts',
        summary: 'The ways the caller can sign in: by password',
        security: signedIn,
        response: { 200: ref(LinkedAccountList) },
      },
    },
    async request => [toLinkedAccount((await credentials.identify(request)).account)],
  )
}
