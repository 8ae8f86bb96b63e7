/** What a token stands for, and its end: RFC 7662 and RFC 7009, for services with a secret of their own. */
import { identifyClient } from '../../http/client-auth.js'
import { readVisit } from '../../http/credentials.js'
import type { Door, Floor } from '../../http/dialect.js'
import { asClient, failures, ref } from '../../http/openapi.js'
import { InvalidRequest, missing } from '../../http/problem.js'
import { Failure } from './errors.js'
import type { VerifierSettings } from './index.js'
import { IntrospectionAnswer, Revoked, TokenQuery, toIntrospection } from './wire.js'

const bodyTypes = ['application/json', 'application/x-www-form-urlencoded']

export function tokenRoutes(door: Door, { core }: Floor, settings: VerifierSettings): void {
  door.post(
    '/introspect',
    {
      config: { rateLimit: false },
      schema: {
        operationId: 'introspect',
        summary: 'What a token stands for (RFC 7662)',
        security: asClient,
        consumes: bodyTypes,
        body: ref(TokenQuery),
        response: { 200: ref(IntrospectionAnswer), ...failures(Failure, 'client_invalid', missing('token')) },
      },
    },
    async request => {
      identifyClient(request, settings.clients)
      return toIntrospection(await core.sessions.introspect(demandToken(request.body)), settings)
    },
  )

  door.post(
    '/revoke',
    {
      config: { rateLimit: false },
      schema: {
        operationId: 'revoke',
        summary: 'End the session of a token (RFC 7009); 200 also where there is none',
        security: asClient,
        consumes: bodyTypes,
        body: ref(TokenQuery),
        response: { 200: ref(Revoked), ...failures(Failure, 'client_invalid', missing('token')) },
      },
    },
    async request => {
      identifyClient(request, settings.clients)
      await core.sessions.revoke(demandToken(request.body), readVisit(request))
      return {}
    },
  )
}

/** Looked at after the client, so that who is nobody learns nothing of the request. */
function demandToken({ token }: { token?: string }): string {
  if (token === undefined) throw new InvalidRequest(missing('token'))
  return token
}
