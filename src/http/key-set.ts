/** The wire form of a key set (RFC 7517), which two doors publish. */
import { type Static, Type } from 'typebox'

/** Seconds. A key is published long before it signs, so verifiers may keep the set for minutes. */
export const keysMaxAge = 300

export const PublicKey = Type.Object(
  {
    kty: Type.String({ examples: ['EC'] }),
    kid: Type.String(),
    alg: Type.String({ examples: ['ES256'] }),
    use: Type.Literal('sig'),
    crv: Type.Optional(Type.String({ examples: ['P-256'] })),
    x: Type.Optional(Type.String()),
    y: Type.Optional(Type.String()),
    n: Type.Optional(Type.String()),
    e: Type.Optional(Type.String()),
  },
  { $id: 'PublicKey' },
)

export const KeySet = Type.Object(
  { keys: Type.Array(Type.Unsafe<Static<typeof PublicKey>>({ $ref: 'PublicKey#' })) },
  {
    $id: 'KeySet',
    description: 'The public keys (RFC 7517); none where tokens are signed with a secret.',
    examples: [
      { keys: [] },
      {
        keys: [
          {
            kty: 'EC',
            crv: 'P-256',
            x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
            y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
            kid: 'GnLmIwrUpu5zJqnsFc49JVB91P0HkaTPcA5aVWyT9Oo',
            alg: 'ES256',
            use: 'sig',
          },
        ],
      },
    ],
  },
)
