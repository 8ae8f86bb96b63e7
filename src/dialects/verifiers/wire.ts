/** What verifying services read: RFC 7517 key sets, RFC 7662 introspection, RFC 8414 metadata. */
import { type Static, Type } from 'typebox'
import type { Introspection } from '../../core/sessions.js'

const Url = Type.String({ format: 'uri' })
const Names = Type.Array(Type.String())

export const ServerMetadata = Type.Object(
  {
    issuer: Type.String({ examples: ['https://auth.example.com'] }),
    token_endpoint: Url,
    jwks_uri: Url,
    introspection_endpoint: Type.Optional(Url),
    revocation_endpoint: Type.Optional(Url),
    grant_types_supported: Names,
    response_types_supported: Names,
    token_endpoint_auth_methods_supported: Names,
    introspection_endpoint_auth_methods_supported: Type.Optional(Names),
    revocation_endpoint_auth_methods_supported: Type.Optional(Names),
  },
  {
    $id: 'ServerMetadata',
    description: 'RFC 8414 section 2; only what there is.',
    examples: [
      {
        issuer: 'https://auth.example.com',
        token_endpoint: 'https://auth.example.com/auth/login',
        jwks_uri: 'https://auth.example.com/.well-known/jwks.json',
        grant_types_supported: ['password'],
        response_types_supported: [],
        token_endpoint_auth_methods_supported: ['none'],
      },
    ],
  },
)

/** RFC 7662 section 2.1. The client's credentials may ride in the body (RFC 6749 section 2.3.1); the hint is not needed. */
export const TokenQuery = Type.Object(
  {
    token: Type.Optional(Type.String()),
    token_type_hint: Type.Optional(Type.String({ maxLength: 64 })),
    client_id: Type.Optional(Type.String({ maxLength: 1024 })),
    client_secret: Type.Optional(Type.String({ maxLength: 1024 })),
  },
  { $id: 'TokenQuery', examples: [{ token: 'eyJhbGciOi…' }] },
)

/** RFC 7662 section 2.2. Inactive tokens answer `{"active":false}` and nothing else. */
export const IntrospectionAnswer = Type.Object(
  {
    active: Type.Boolean(),
    token_type: Type.Optional(Type.String({ examples: ['Bearer'] })),
    token_use: Type.Optional(Type.Enum(['access', 'refresh', 'session'])),
    sub: Type.Optional(Type.String({ format: 'uuid' })),
    sid: Type.Optional(Type.String({ format: 'uuid' })),
    iss: Type.Optional(Type.String()),
    aud: Type.Optional(Type.String()),
    jti: Type.Optional(Type.String()),
    iat: Type.Optional(Type.Integer()),
    exp: Type.Optional(Type.Integer()),
    username: Type.Optional(Type.String({ description: 'The e-mail address.' })),
  },
  {
    $id: 'Introspection',
    description: 'What the token stands for; `{"active":false}` alone for one that stands for nothing (any more).',
    examples: [
      { active: false },
      {
        active: true,
        token_type: 'Bearer',
        token_use: 'access',
        sub: '0197a0b4-7d2f-7aa1-8c3e-5b9d0e6f1c21',
        sid: '0197a0b4-7d2f-7aa1-8c3e-5b9d0e6f1c22',
        iss: 'https://auth.example.com',
        jti: '0197a0b4-7d2f-7aa1-8c3e-5b9d0e6f1c23',
        iat: 1795270861,
        exp: 1795272661,
        username: 'user@example.com',
      },
    ],
  },
)

export const Revoked = Type.Object(
  {},
  { $id: 'Revoked', description: 'Done, or there was nothing to do.', examples: [{}] },
)

export const VerifierFailure = Type.Object(
  { error: Type.String({ examples: ['invalid_client'] }), error_description: Type.String() },
  { $id: 'VerifierFailure', examples: [{ error: 'invalid_token', error_description: 'The token is not valid.' }] },
)

export const components = [ServerMetadata, TokenQuery, IntrospectionAnswer, Revoked, VerifierFailure]

const toSecond = (time: Date): number => Math.floor(time.getTime() / 1000)

export function toIntrospection(
  found: Introspection | undefined,
  { issuer, audience }: { issuer: string; audience: string | undefined },
): Static<typeof IntrospectionAnswer> {
  if (!found) return { active: false }
  const { account, session, kind, claims } = found
  return {
    active: true,
    token_type: 'Bearer',
    token_use: kind,
    sub: account.id,
    sid: session.id,
    iss: issuer,
    ...(audience === undefined ? {} : { aud: audience }),
    ...(claims ? { jti: claims.jti } : {}),
    iat: claims?.iat ?? toSecond(session.createdAt),
    exp: claims?.exp ?? toSecond(session.expiresAt),
    username: account.email,
  }
}
