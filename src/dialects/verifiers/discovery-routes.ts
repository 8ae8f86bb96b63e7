/** The public keys, and what this server offers to verifiers. */
import type { Door } from '../../http/dialect.js'
import { cacheable } from '../../http/etag.js'
import { KeySet, keysMaxAge } from '../../http/key-set.js'
import { anybody, refWith, unchanged } from '../../http/openapi.js'
import type { VerifierSettings } from './index.js'
import { ServerMetadata } from './wire.js'

export function discoveryRoutes(door: Door, settings: VerifierSettings): void {
  const { issuer, publicUrl, clients } = settings
  const metadata = toMetadata(issuer, publicUrl, clients.size > 0)

  door.get(
    '/jwks.json',
    {
      schema: {
        operationId: 'getKeySet',
        summary: 'The public keys that tokens are signed with; none where they are signed with a secret',
        security: anybody,
        response: { 200: refWith(KeySet, 'ETag'), 304: unchanged },
      },
    },
    cacheable({ keys: [...settings.publicKeys] }, keysMaxAge),
  )

  door.get(
    '/oauth-authorization-server',
    {
      schema: {
        operationId: 'getServerMetadata',
        summary: 'What this server offers (RFC 8414)',
        security: anybody,
        response: { 200: refWith(ServerMetadata, 'ETag'), 304: unchanged },
      },
    },
    cacheable(metadata, keysMaxAge),
  )
}

/** RFC 8414 section 2; lists only what there is. */
function toMetadata(issuer: string, publicUrl: string, hasClients: boolean) {
  const methods = ['client_secret_basic', 'client_secret_post']
  return {
    issuer,
    token_endpoint: `${publicUrl}/auth/login`,
    jwks_uri: `${publicUrl}/.well-known/jwks.json`,
    grant_types_supported: ['password'],
    response_types_supported: [],
    token_endpoint_auth_methods_supported: ['none'],
    ...(hasClients
      ? {
          introspection_endpoint: `${publicUrl}/oauth2/introspect`,
          revocation_endpoint: `${publicUrl}/oauth2/revoke`,
          introspection_endpoint_auth_methods_supported: methods,
          revocation_endpoint_auth_methods_supported: methods,
        }
      : {}),
  }
}
