/** /api/user: the background profile, by levels and by details. */
import type { Door, Floor } from '../../http/dialect.js'
import { failures, ref, refWith, signedIn, unchanged } from '../../http/openapi.js'
import { missing } from '../../http/problem.js'
import { isUnchanged, readPrecondition, toEtag } from './etag.js'
import {
  Failure,
  LevelProfile,
  Levels,
  LevelsPatch,
  Personalization,
  PersonalizationPut,
  ProfileArchived,
  ProfileWritten,
  PutConditions,
  ReadConditions,
  toDetails,
  toLevelProfile,
  toPersonalization,
  toProfileWritten,
  WriteConditions,
} from './wire.js'

export function profileRoutes(door: Door, { core, credentials }: Floor): void {
  door.get(
    '/user/profile',
    {
      schema: {
        operationId: 'getProfile',
        summary: 'The background profile',
        security: signedIn,
        headers: ReadConditions,
        response: { 200: refWith(LevelProfile, 'ETag'), 304: unchanged, ...failures(Failure, 'profile_absent') },
      },
    },
    async (request, reply) => {
      const profile = await core.profiles.read(await credentials.identify(request))
      if (isUnchanged(request, reply, profile.version)) return reply.code(304).send(undefined)
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
        headers: PutConditions,
        consumes: ['application/json'],
        body: ref(Levels),
        response: {
          200: refWith(ProfileWritten, 'ETag'),
          ...failures(Failure, 'malformed_body', missing('software_level'), 412),
        },
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
        headers: WriteConditions,
        consumes: ['application/json'],
        body: ref(LevelsPatch),
        response: { 200: refWith(ProfileWritten, 'ETag'), ...failures(Failure, 400, 'profile_absent', 412) },
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
        headers: WriteConditions,
        response: { 200: ref(ProfileArchived), ...failures(Failure, 400, 'profile_absent', 412, 413, 415) },
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
        response: { 200: ref(Personalization), ...failures(Failure, 'profile_absent') },
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
      const profile = await core.profiles.put(identity, toDetails(request.body))
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
