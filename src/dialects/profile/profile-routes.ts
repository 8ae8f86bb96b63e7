/** /api/user: the background profile, by levels and by details. */
import { Type } from 'typebox'
import type { Door, Floor } from '../../http/dialect.js'
import { FlatFailure } from '../../http/flat-errors.js'
import { failures, ref, signedIn } from '../../http/openapi.js'
import { isUnchanged, readPrecondition, toEtag } from './etag.js'
import {
  LevelProfile,
  Levels,
  LevelsPatch,
  Personalization,
  PersonalizationPut,
  ProfileArchived,
  ProfileWritten,
  toLevelProfile,
  toPersonalization,
  toProfileWritten,
} from './wire.js'

const unchanged = Type.Null({ description: 'The version that If-None-Match names; no body.' })
const conditional = Type.Object({ 'if-match': Type.Optional(Type.String({ maxLength: 200 })) })

export function profileRoutes(door: Door, { core, credentials }: Floor): void {
  door.get(
    '/user/profile',
    {
      schema: {
        operationId: 'getProfile',
        summary: 'The background profile',
        security: signedIn,
        response: { 200: ref(LevelProfile), 304: unchanged, ...failures(FlatFailure, 404) },
      },
    },
    async (request, reply) => {
      const profile = await core.profiles.read(await credentials.identify(request))
      if (isUnchanged(request, reply, profile.version)) return reply.code(304).send(null)
      return toLevelProfile(profile)
    },
  )

  door.put(
    '/user/profile',
    {
      schema: {
        operationId: 'putProfile',
        summary: 'Write the background profile; makes it, or brings it back from the archive',
        security: signedIn,
        headers: conditional,
        consumes: ['application/json'],
        body: ref(Levels),
        response: { 200: ref(ProfileWritten), ...failures(FlatFailure, 412) },
      },
    },
    async (request, reply) => {
      const identity = await credentials.identify(request)
      const profile = await core.profiles.put(identity, toPatch(request.body), readPrecondition(request))
      reply.header('etag', toEtag(profile.version))
      return toProfileWritten(profile)
    },
  )

  door.patch(
    '/user/profile',
    {
      schema: {
        operationId: 'patchProfile',
        summary: 'Change a part of the background profile',
        security: signedIn,
        headers: conditional,
        consumes: ['application/json'],
        body: ref(LevelsPatch),
        response: { 200: ref(ProfileWritten), ...failures(FlatFailure, 404, 412) },
      },
    },
    async (request, reply) => {
      const identity = await credentials.identify(request)
      const profile = await core.profiles.patch(identity, toPatch(request.body), readPrecondition(request))
      reply.header('etag', toEtag(profile.version))
      return toProfileWritten(profile)
    },
  )

  door.delete(
    '/user/profile',
    {
      config: { emptyBody: true },
      schema: {
        operationId: 'archiveProfile',
        summary: 'Archive the background profile; a PUT brings it back whole',
        security: signedIn,
        headers: conditional,
        response: { 200: ref(ProfileArchived), ...failures(FlatFailure, 404, 412) },
      },
    },
    async request => {
      const identity = await credentials.identify(request)
      await core.profiles.archive(identity, readPrecondition(request))
      return { success: true as const, user_id: identity.account.id }
    },
  )

  door.get(
    '/user/personalization',
    {
      schema: {
        operationId: 'getPersonalization',
        summary: 'The background in detail; what was never told is null',
        security: signedIn,
        response: { 200: ref(Personalization) },
      },
    },
    async request => {
      const identity = await credentials.identify(request)
      return toPersonalization(identity.account.id, await core.profiles.find(identity))
    },
  )

  door.put(
    '/user/personalization',
    {
      schema: {
        operationId: 'putPersonalization',
        summary: 'Replace the halves of the background that are given',
        security: signedIn,
        consumes: ['application/json'],
        body: ref(PersonalizationPut),
        response: { 200: ref(Personalization) },
      },
    },
    async request => {
      const identity = await credentials.identify(request)
      const { softwareBackground, hardwareBackground } = request.body
      const profile = await core.profiles.put(identity, {
        ...(softwareBackground ? { softwareDetails: softwareBackground } : {}),
        ...(hardwareBackground ? { hardwareDetails: hardwareBackground } : {}),
      })
      return toPersonalization(identity.account.id, profile)
    },
  )
}

type LevelsGiven = {
  software_level?: 'beginner' | 'intermediate' | 'advanced'
  hardware_background?: 'robotics' | 'embedded systems' | 'none' | 'other'
}

const toPatch = ({ software_level: softwareLevel, hardware_background: hardwareBackground }: LevelsGiven) => ({
  ...(softwareLevel ? { softwareLevel } : {}),
  ...(hardwareBackground ? { hardwareBackground } : {}),
})
