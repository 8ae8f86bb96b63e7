/** The signed-in person's account, password and devices. */
import { Type } from 'typebox'
import type { Door, Floor } from '../../http/dialect.js'
import { failures, ref, signedIn } from '../../http/openapi.js'
import { missing } from '../../http/problem.js'
import { Failure, PasswordChangeFailure, wrongType } from './errors.js'
import { AccountEventList, EventQuery, toAccountEvent } from './event-wire.js'
import { Export, toExport } from './export-wire.js'
import {
  Deletion,
  PasswordChange,
  SessionList,
  SessionPath,
  Tokens,
  toSessionInfo,
  toTokens,
  toUser,
  User,
  UserPatch,
} from './wire.js'

const nothing = Type.Null({ description: 'Done; no body.' })

export function accountRoutes(door: Door, { core, credentials, cookies }: Floor): void {
  door.get(
    '/me',
    {
      config: { limitClass: 'session' },
      schema: {
        operationId: 'getMe',
        summary: 'The account of the caller',
        security: signedIn,
        response: { 200: ref(User) },
      },
    },
    async request => toUser((await credentials.identify(request)).account),
  )

  door.patch(
    '/me',
    {
      schema: {
        operationId: 'updateMe',
        summary: 'Change name, image or personal info',
        security: signedIn,
        consumes: ['application/json'],
        body: ref(UserPatch),
        response: { 200: ref(User), ...failures(Failure, wrongType('name')) },
      },
    },
    async request => {
      const identity = await credentials.identify(request)
      const { personal_info: personalInfo, name, image } = request.body
      return toUser(await core.accounts.update(identity, { name, image, personalInfo }))
    },
  )

  door.delete(
    '/me',
    {
      config: { checksPassword: true },
      schema: {
        operationId: 'deleteMe',
        summary: 'Delete the account and everything that is its own',
        security: signedIn,
        consumes: ['application/json'],
        body: ref(Deletion),
        response: {
          204: nothing,
          ...failures(Failure, 'malformed_body', 'current_password_wrong', missing('password')),
        },
      },
    },
    async (request, reply) => {
      const identity = await credentials.identify(request)
      await core.accounts.delete(identity, request.body.password)
      cookies.clear(reply, request)
      return reply.code(204).send(null)
    },
  )

  door.post(
    '/change-password',
    {
      config: { checksPassword: true, passwordMember: 'new_password' },
      schema: {
        operationId: 'changePassword',
        summary: 'Set a new password; the other sessions end unless told not to',
        security: signedIn,
        consumes: ['application/json'],
        body: ref(PasswordChange),
        response: {
          200: ref(Tokens),
          ...failures(
            PasswordChangeFailure,
            'malformed_body',
            'current_password_wrong',
            'password_common',
            missing('new_password'),
          ),
        },
      },
    },
    async request => {
      const identity = await credentials.identify(request)
      const { current_password: current, new_password, revoke_others: endOthers = true } = request.body
      return toTokens(await core.accounts.changePassword(identity, { current, new: new_password }, { endOthers }))
    },
  )

  door.get(
    '/sessions',
    {
      schema: {
        operationId: 'listSessions',
        summary: 'The devices that are signed in',
        security: signedIn,
        response: { 200: ref(SessionList) },
      },
    },
    async request => {
      const identity = await credentials.identify(request)
      const sessions = await core.sessions.list(identity)
      return sessions.map(session => toSessionInfo(session, identity.session.id))
    },
  )

  door.delete(
    '/sessions',
    {
      schema: {
        operationId: 'endOtherSessions',
        summary: 'Sign out every device but this one',
        security: signedIn,
        response: { 204: nothing, ...failures(Failure, 400, 413, 415) },
      },
    },
    async (request, reply) => {
      await core.sessions.endOthers(await credentials.identify(request))
      return reply.code(204).send(null)
    },
  )

  door.get(
    '/me/events',
    {
      schema: {
        operationId: 'listEvents',
        summary: 'What happened to the account of the caller: sign-ins, failed ones too, and changes',
        security: signedIn,
        querystring: EventQuery,
        response: { 200: ref(AccountEventList), ...failures(Failure, 422) },
      },
    },
    async request => {
      const identity = await credentials.identify(request)
      return (await core.events.listOwn(identity, request.query.limit ?? 50)).map(toAccountEvent)
    },
  )

  door.get(
    '/me/export',
    {
      schema: {
        operationId: 'exportMe',
        summary: 'Everything that is kept of the caller',
        security: signedIn,
        response: { 200: ref(Export) },
      },
    },
    async (request, reply) => {
      reply.header('content-disposition', 'attachment; filename="my-data.json"')
      return toExport(await core.person.export(await credentials.identify(request)))
    },
  )

  door.delete(
    '/sessions/:id',
    {
      schema: {
        operationId: 'endSession',
        summary: 'Sign one device out',
        security: signedIn,
        params: SessionPath,
        response: { 204: nothing, ...failures(Failure, 400, 'session_unknown', 413, 415, 422) },
      },
    },
    async (request, reply) => {
      await core.sessions.end(await credentials.identify(request), request.params.id)
      return reply.code(204).send(null)
    },
  )
}
