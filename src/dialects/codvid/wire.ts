/** The envelope door on the wire (seed 3): a version, the data, and `result`. */
import { Type } from 'typebox'

/** Everything optional here: this door has a sentence of its own for each thing that is missing. */
export const CodvidEnvelope = Type.Object(
  {
    schema_version: Type.Optional(Type.Unknown({ description: 'The text 4.0.', examples: ['4.0'] })),
    data: Type.Optional(
      Type.Object({
        auth_type: Type.Optional(Type.Unknown({ description: 'The text email.', examples: ['email'] })),
        email: Type.Optional(Type.Unknown({ examples: ['user@example.com'] })),
        password: Type.Optional(Type.Unknown({ examples: ['securepassword123'] })),
      }),
    ),
  },
  {
    $id: 'CodvidEnvelope',
    examples: [
      { schema_version: '4.0', data: { auth_type: 'email', email: 'user@example.com', password: 'securepassword123' } },
    ],
  },
)

export const CodvidToken = Type.Object(
  {
    result: Type.Literal(true),
    token: Type.String({ description: 'A JWT that lives 30 days.', examples: ['eyJhbGciOi…'] }),
  },
  { $id: 'CodvidToken', description: 'Signed in.', examples: [{ result: true, token: 'eyJhbGciOi…' }] },
)

export const CodvidUuid = Type.Object(
  { uuid: Type.String({ format: 'uuid', examples: ['0197a0b4-6c1e-7cc3-9d7a-2f6a1f0c9a11'] }) },
  {
    $id: 'CodvidUuid',
    description: 'The id of the account.',
    examples: [{ uuid: '0197a0b4-6c1e-7cc3-9d7a-2f6a1f0c9a11' }],
  },
)

export const CodvidPong = Type.Object(
  { result: Type.Literal(true), message: Type.Literal('pong') },
  { $id: 'CodvidPong', description: 'It is open.', examples: [{ result: true, message: 'pong' }] },
)

/** `result` and `message` where the envelope is spoken, `error` where a credential or a query parameter is at fault. */
export const CodvidFailure = Type.Object(
  {
    result: Type.Optional(Type.Literal(false)),
    message: Type.Optional(Type.String()),
    error: Type.Optional(Type.String()),
  },
  {
    $id: 'CodvidFailure',
    description: '`result` and `message`, or a bare `error`.',
    examples: [{ result: false, message: 'wrong password.' }],
  },
)

export const components = [CodvidEnvelope, CodvidToken, CodvidUuid, CodvidPong, CodvidFailure]
