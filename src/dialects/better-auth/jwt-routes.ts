/** What Better Auth's jwt plugin offers: an access token for other services, and the keys to verify it. */
import type { PublicJwk } from '../../core/keys.js'
import type { Door, Floor } from '../../http/dialect.js'
import { cacheable } from '../../http/etag.js'
import { KeySet, keysMaxAge } from '../../http/key-set.js'
import { anybody, ref, refWith, signedIn, unchanged } from '../../http/openapi.js'
import { AccessToken } from './wire.js'

export function jwtRoutes(door: Door, { core, credentials }: Floor, publicKeys: readonly PublicJwk[]): void {
  door.get(
    '/token',
    {
      schema: {
        operationId: 'betterAuthToken',
        summary: 'A JWT for other services; the same one until it nears its expiry',
        security: signedIn,
        response: { 200: ref(AccessToken) },
      },
    },
    async request => ({ token: (await core.sessions.steadyAccess(await credentials.identify(request))).token }),
  )

  door.get(
    '/jwks',
    {
      schema: {
        operationId: 'betterAuthKeySet',
        summary: 'The public keys that tokens are signed with; none where they are signed with a secret',
        security: anybody,
        response: { 200: refWith(KeySet, 'ETag'), 304: unchanged },
      },
    },
    cacheable({ keys: [...publicKeys] }, keysMaxAge),
  )
}
