/** /api/personalization: what a chatbot reads, and the log of what was personalised. */
import type { Door, Floor } from '../../http/dialect.js'
import { failures, ref, refWith, signedIn, unchanged } from '../../http/openapi.js'
import { isUnchanged } from './etag.js'
import {
  Failure,
  InteractionEntry,
  InteractionPage,
  InteractionQuery,
  InteractionSummary,
  NewInteraction,
  ReadConditions,
  toInteraction,
  UserContext,
} from './wire.js'

export function contextRoutes(door: Door, { core, credentials }: Floor): void {
  door.get(
    '/personalization/context',
    {
      schema: {
        operationId: 'getContext',
        summary: 'What a chatbot should know about the caller, in sentences',
        security: signedIn,
        headers: ReadConditions,
        response: { 200: refWith(UserContext, 'ETag'), 304: unchanged, ...failures(Failure, 'background_absent') },
      },
    },
    async (request, reply) => {
      const { context, version } = await core.profiles.context(await credentials.identify(request))
      if (isUnchanged(request, reply, version)) return reply.code(304).send(undefined)
      return {
        user_context: {
          software_level: context.softwareLevel,
          hardware_background: context.hardwareBackground,
          personalization_notes: context.notes,
        },
      }
    },
  )

  door.post(
    '/personalization/interactions',
    {
      schema: {
        operationId: 'recordInteraction',
        summary: 'Record that something was personalised; the background of that moment is kept with it',
        security: signedIn,
        consumes: ['application/json'],
        body: ref(NewInteraction),
        response: { 201: ref(InteractionEntry) },
      },
    },
    async (request, reply) => {
      const identity = await credentials.identify(request)
      const { content_type: contentType, personalization_effectiveness: effectiveness = null } = request.body
      const interaction = await core.profiles.recordInteraction(identity, { contentType, effectiveness })
      return reply.code(201).send(toInteraction(interaction))
    },
  )

  door.get(
    '/personalization/interactions',
    {
      schema: {
        operationId: 'listInteractions',
        summary: 'The caller’s interactions, newest first',
        security: signedIn,
        querystring: InteractionQuery,
        response: { 200: ref(InteractionPage), ...failures(Failure, 'cursor_invalid') },
      },
    },
    async request => {
      const identity = await credentials.identify(request)
      const { limit = 20, cursor } = request.query
      const page = await core.profiles.listInteractions(identity, { limit, cursor })
      return { interactions: page.interactions.map(toInteraction), next_cursor: page.nextCursor }
    },
  )

  door.get(
    '/personalization/interactions/summary',
    {
      schema: {
        operationId: 'summarizeInteractions',
        summary: 'How many interactions of each content type, and their mean rating',
        security: signedIn,
        response: { 200: ref(InteractionSummary) },
      },
    },
    async request => {
      const rows = await core.profiles.summarizeInteractions(await credentials.identify(request))
      return {
        content_types: rows.map(({ contentType, count, averageEffectiveness }) => ({
          content_type: contentType,
          count,
          average_effectiveness: averageEffectiveness,
        })),
      }
    },
  )
}
