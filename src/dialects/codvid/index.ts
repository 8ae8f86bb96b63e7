/** The envelope door under /codvid-ai: 30-day tokens, and nothing without one but what is declared public. */
import { Type } from 'typebox'
import type { Dialect, Door, Floor } from '../../http/dialect.js'
import { anybody, failures, ref, signedIn } from '../../http/openapi.js'
import { Rejection } from '../../http/rejection.js'
import { openEnvelope } from './envelope.js'
import { createRender, Failure, missingAuthType, missingEmail } from './errors.js'
import { CodvidEnvelope, CodvidPong, CodvidToken, CodvidUuid, components } from './wire.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Open to anybody at a door that is closed otherwise. */
    public?: boolean
  }
}

export const codvidComponents = components

export type CodvidSettings = { getUuid: boolean; uniformErrors: boolean }

export const codvid = (settings: CodvidSettings): Dialect => ({
  name: 'codvid',
  prefix: '/codvid-ai',
  takesForms: false,
  setsCookies: false,
  errorSchema: Failure,
  render: createRender(settings.uniformErrors),
  async guard(request, { credentials }) {
    if (!request.routeOptions.config.public) await credentials.identify(request)
  },
  routes(door, floor) {
    entryRoutes(door, floor)
    publicRoutes(door)
    if (settings.getUuid) uuidRoute(door, floor)
  },
})

function entryRoutes(door: Door, { core, credentials }: Floor): void {
  const entry = {
    config: { public: true, opensSession: true, checksPassword: true },
    schema: {
      security: anybody,
      consumes: ['application/json'],
      body: ref(CodvidEnvelope),
    },
  }

  door.post(
    '/auth/signup',
    {
      ...entry,
      config: { ...entry.config, limitClass: 'register' },
      schema: {
        ...entry.schema,
        operationId: 'codvidSignup',
        summary: 'Make an account and get a 30-day token',
        response: { 201: ref(CodvidToken), ...failures(Failure, missingAuthType, 'email_taken', 'password_too_short') },
      },
    },
    async (request, reply) => {
      const person = openEnvelope(request.body)
      const pass = await core.accounts.register(person, { visit: credentials.readEntry(request), term: 'long' })
      return reply.code(201).send({ result: true, token: pass.access.token })
    },
  )

  door.post(
    '/auth/login',
    {
      ...entry,
      schema: {
        ...entry.schema,
        operationId: 'codvidLogin',
        summary: 'Sign in and get a 30-day token',
        response: { 201: ref(CodvidToken), ...failures(Failure, missingAuthType, 'account_unknown', 'password_wrong') },
      },
    },
    async (request, reply) => {
      const person = openEnvelope(request.body)
      const pass = await core.accounts.login(person, { visit: credentials.readEntry(request), term: 'long' })
      return reply.code(201).send({ result: true, token: pass.access.token })
    },
  )
}

function publicRoutes(door: Door): void {
  door.get(
    '/ping',
    {
      config: { public: true },
      schema: {
        operationId: 'codvidPing',
        summary: 'The door is open',
        security: anybody,
        response: { 200: ref(CodvidPong) },
      },
    },
    async () => ({ result: true as const, message: 'pong' as const }),
  )

  for (const url of ['/public', '/public/*'])
    door.all(url, { config: { public: true }, schema: { hide: true } }, async () => {
      throw new Rejection('not_found')
    })
}

function uuidRoute(door: Door, { core }: Floor): void {
  door.get(
    '/auth/get_uuid',
    {
      schema: {
        operationId: 'codvidGetUuid',
        summary: 'The id of an account, by its e-mail address; for debugging',
        security: signedIn,
        querystring: Type.Object({
          email: Type.String({
            minLength: 1,
            description: 'Of the account looked for.',
            examples: ['user@example.com'],
          }),
        }),
        response: { 200: ref(CodvidUuid), ...failures(Failure, missingEmail, 'account_absent') },
      },
    },
    async request => ({ uuid: await core.accounts.findId(request.query.email) }),
  )
}
