/** What this door does by mail: a forgotten password, a proved address, a new address. */
import { readVisit } from '../../http/credentials.js'
import type { Door, Floor } from '../../http/dialect.js'
import { anybody, failures, ref, signedIn } from '../../http/openapi.js'
import { missing } from '../../http/problem.js'
import { Failure, PasswordChangeFailure } from './errors.js'
import { AddressedRequest, EmailChange, LinkUse, Message, PasswordReset, toUser, User } from './wire.js'

const target = { door: 'auth' } as const

export function mailRoutes(door: Door, { core, credentials }: Floor): void {
  const asked = {
    security: anybody,
    consumes: ['application/json'],
    body: ref(AddressedRequest),
    response: { 200: ref(Message), ...failures(Failure, 'malformed_body', missing('email'), 'mail_off') },
  }

  door.post(
    '/request-password-reset',
    {
      config: { limitClass: 'mail' },
      schema: {
        ...asked,
        operationId: 'requestPasswordReset',
        summary: 'Mail a link to set a new password; the same answer for every address',
      },
    },
    async request => {
      await core.verifications.requestPasswordReset(request.body.email, target, readVisit(request))
      return { detail: 'If the address belongs to an account, a link has been mailed to it' }
    },
  )

  door.post(
    '/reset-password',
    {
      config: { checksPassword: true, passwordMember: 'new_password' },
      schema: {
        operationId: 'resetPassword',
        summary: 'Set a new password by a mailed token, which can be used once; every refresh token ends',
        security: anybody,
        consumes: ['application/json'],
        body: ref(PasswordReset),
        response: {
          200: ref(Message),
          ...failures(
            PasswordChangeFailure,
            'malformed_body',
            'link_invalid',
            'password_common',
            missing('new_password'),
          ),
        },
      },
    },
    async request => {
      await core.verifications.resetPassword(request.body.token, request.body.new_password, readVisit(request))
      return { detail: 'The password has been changed' }
    },
  )

  door.post(
    '/request-email-verification',
    {
      config: { limitClass: 'mail' },
      schema: {
        ...asked,
        operationId: 'requestEmailVerification',
        summary: 'Mail a link that proves an address; the same answer for every address',
      },
    },
    async request => {
      await core.verifications.requestEmailVerification(request.body.email, target, readVisit(request))
      return { detail: 'If the address belongs to an account and is not verified yet, a link has been mailed to it' }
    },
  )

  door.post(
    '/verify-email',
    {
      schema: {
        operationId: 'verifyEmail',
        summary: 'Prove an address by a mailed token, which can be used once',
        security: anybody,
        consumes: ['application/json'],
        body: ref(LinkUse),
        response: { 200: ref(User), ...failures(Failure, 'malformed_body', 'link_invalid', missing('token')) },
      },
    },
    async request => toUser(await core.verifications.verifyEmail(request.body.token, readVisit(request))),
  )

  door.post(
    '/change-email',
    {
      config: { checksPassword: true, limitClass: 'mail' },
      schema: {
        operationId: 'changeEmail',
        summary: 'Mail a link to a new address, which the account has once the link is used',
        description: 'Whether the address is taken nobody is told. The old address is told when the change is done.',
        security: signedIn,
        consumes: ['application/json'],
        body: ref(EmailChange),
        response: {
          200: ref(Message),
          ...failures(
            Failure,
            'malformed_body',
            'current_password_wrong',
            'email_invalid',
            'mail_off',
            missing('new_email'),
          ),
        },
      },
    },
    async request => {
      const identity = await credentials.identify(request)
      const { new_email: newEmail, password } = request.body
      await core.accounts.verifyPassword(identity, password)
      await core.verifications.requestEmailChange(identity, newEmail, target, true)
      return { detail: 'A link has been mailed to the new address, if it can be used' }
    },
  )
}
