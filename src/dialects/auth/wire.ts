/** The OAuth2-shaped door on the wire: snake_case, FastAPI's habits (seed 4), RFC 6749's token answers. */
import { type Static, Type } from 'typebox'
import type { Account, Pass, Session } from '../../core/index.js'
import { deviceName } from '../../http/device-name.js'
import { ref } from '../../http/openapi.js'
import { AccountEvent, AccountEventList } from './event-wire.js'
import { Export } from './export-wire.js'

const PersonalInfo = Type.Unsafe<Record<string, unknown> | null>({
  type: ['object', 'null'],
  additionalProperties: true,
})
const Nullable = (options: object = {}) => Type.Unsafe<string | null>({ type: ['string', 'null'], ...options })
const Moment = Type.String({ format: 'date-time', examples: ['2026-11-21T10:00:00.000Z'] })

const Uuid = Type.String({ format: 'uuid', examples: ['0197a0b4-6c1e-7cc3-9d7a-2f6a1f0c9a11'] })
const Email = Type.String({ maxLength: 320, examples: ['user@example.com'] })
const Password = Type.String({ minLength: 1, maxLength: 1024, format: 'password', examples: ['correct horse battery'] })
const Name = Type.String({ maxLength: 200, examples: ['Ada'] })
const Image = Nullable({ maxLength: 2048 })
const Token = Type.String({ minLength: 1, maxLength: 4096, examples: ['eyJhbGciOi…'] })

const user = {
  id: 1,
  uuid: '0197a0b4-6c1e-7cc3-9d7a-2f6a1f0c9a11',
  email: 'user@example.com',
  name: 'Ada',
  image: null,
  personal_info: null,
  created_at: '2026-11-21T10:00:00.000Z',
}

export const User = Type.Object(
  {
    id: Type.Integer({ description: 'Counts accounts; tokens and the other doors name `uuid`.', examples: [1] }),
    uuid: Uuid,
    email: Type.String({ examples: ['user@example.com'] }),
    name: Type.String({ description: 'Empty where none was given.', examples: ['Ada'] }),
    image: Nullable(),
    personal_info: PersonalInfo,
    created_at: Moment,
  },
  { $id: 'User', description: 'An account.', examples: [user] },
)

export const Tokens = Type.Object(
  {
    access_token: Type.String({ description: 'A JWT, for the Authorization header.', examples: ['eyJhbGciOi…'] }),
    refresh_token: Type.String({ description: 'Good for one use.', examples: ['eyJhbGciOi…'] }),
    token_type: Type.Literal('bearer'),
    expires_in: Type.Integer({ description: 'Seconds the access token lives.', examples: [1800] }),
    user: ref(User),
  },
  {
    $id: 'Tokens',
    description: 'A pair of tokens, and whose they are.',
    examples: [
      {
        access_token: 'eyJhbGciOi…',
        refresh_token: 'eyJhbGciOi…',
        token_type: 'bearer',
        expires_in: 1800,
        user,
      },
    ],
  },
)

const session = {
  id: '0197a0b4-7d2f-7aa1-8c3e-5b9d0e6f1c22',
  created_at: '2026-11-21T10:00:00.000Z',
  last_used_at: '2026-11-21T10:05:00.000Z',
  expires_at: '2026-11-28T10:05:00.000Z',
  user_agent: 'Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0',
  device: 'Firefox on Linux',
  ip_address: '203.0.113.7',
  current: true,
}

export const SessionInfo = Type.Object(
  {
    id: Uuid,
    created_at: Moment,
    last_used_at: Moment,
    expires_at: Moment,
    user_agent: Nullable({ examples: ['Mozilla/5.0'] }),
    device: Nullable({ description: 'The same in words, as far as it tells.', examples: ['Firefox on Linux'] }),
    ip_address: Nullable({ examples: ['203.0.113.7'] }),
    current: Type.Boolean({ description: 'Whether it is the session that asks.' }),
  },
  { $id: 'SessionInfo', description: 'A device that is signed in.', examples: [session] },
)

export const SessionList = Type.Array(ref(SessionInfo), {
  $id: 'SessionList',
  description: 'Every device that is signed in; the one used last comes first.',
  examples: [[session]],
})

export const Registration = Type.Object(
  { email: Email, password: Password, name: Type.Optional(Name), personal_info: Type.Optional(PersonalInfo) },
  { $id: 'Registration', examples: [{ email: 'user@example.com', password: 'correct horse battery', name: 'Ada' }] },
)

/**
 * Of the form and of JSON alike. `client_id`, `client_secret` and `scope` are what OAuth clients send besides; ignored. All
 * optional, since another grant type has other parameters, and is to be told that it is not supported.
 */
export const PasswordGrant = Type.Object(
  {
    username: Type.Optional(Email),
    email: Type.Optional(
      Type.String({ maxLength: 320, description: 'Another name for `username`.', examples: ['user@example.com'] }),
    ),
    password: Type.Optional(Password),
    grant_type: Type.Optional(Type.String({ maxLength: 128, examples: ['password'] })),
    scope: Type.Optional(Type.String({ maxLength: 1024 })),
    client_id: Type.Optional(Type.String({ maxLength: 1024 })),
    client_secret: Type.Optional(Type.String({ maxLength: 1024 })),
  },
  { $id: 'PasswordGrant', examples: [{ username: 'user@example.com', password: 'correct horse battery' }] },
)

export const RefreshGrant = Type.Object(
  {
    token: Type.Optional(Token),
    refresh_token: Type.Optional(
      Type.String({ minLength: 1, maxLength: 4096, description: 'RFC 6749’s name for `token`.' }),
    ),
    grant_type: Type.Optional(Type.String({ maxLength: 128, examples: ['refresh_token'] })),
    scope: Type.Optional(Type.String({ maxLength: 1024 })),
    client_id: Type.Optional(Type.String({ maxLength: 1024 })),
    client_secret: Type.Optional(Type.String({ maxLength: 1024 })),
  },
  { $id: 'RefreshGrant', examples: [{ token: 'eyJhbGciOi…' }] },
)

export const Logout = Type.Object({ refresh_token: Type.Optional(Token) }, { $id: 'Logout', examples: [{}] })

export const UserPatch = Type.Object(
  { name: Type.Optional(Name), image: Type.Optional(Image), personal_info: Type.Optional(PersonalInfo) },
  { $id: 'UserPatch', examples: [{ name: 'Ada Lovelace' }] },
)

export const Deletion = Type.Object(
  { password: Password },
  { $id: 'Deletion', examples: [{ password: 'correct horse battery' }] },
)

export const PasswordChange = Type.Object(
  {
    current_password: Password,
    new_password: Password,
    revoke_others: Type.Optional(
      Type.Boolean({ default: true, description: 'End the other sessions of this account.' }),
    ),
  },
  {
    $id: 'PasswordChange',
    examples: [{ current_password: 'correct horse battery', new_password: 'staple that horse twice' }],
  },
)

const linkToken = 'kT3v9QzX1rWm5yBc7nHs2LpFd8Gj4AeUiOo6TqRyWxE'
const LinkToken = Type.String({ minLength: 1, maxLength: 4096, description: 'Of the mailed link.' })

export const AddressedRequest = Type.Object(
  { email: Email },
  { $id: 'AddressedRequest', examples: [{ email: 'user@example.com' }] },
)

export const PasswordReset = Type.Object(
  { token: LinkToken, new_password: Password },
  { $id: 'PasswordReset', examples: [{ token: linkToken, new_password: 'staple that horse twice' }] },
)

export const LinkUse = Type.Object({ token: LinkToken }, { $id: 'LinkUse', examples: [{ token: linkToken }] })

export const EmailChange = Type.Object(
  { new_email: Email, password: Password },
  { $id: 'EmailChange', examples: [{ new_email: 'new@example.com', password: 'correct horse battery' }] },
)

export const Message = Type.Object(
  { detail: Type.String({ examples: ['Logged out'] }) },
  { $id: 'Message', description: 'It is done.', examples: [{ detail: 'Logged out' }] },
)

export const SessionPath = Type.Object({
  id: Type.String({
    maxLength: 64,
    description: '`id` of the list.',
    examples: ['0197a0b4-7d2f-7aa1-8c3e-5b9d0e6f1c22'],
  }),
})

/** FastAPI's form of one failed validation. */
const ValidationDetail = Type.Object({
  type: Type.String({ examples: ['missing'] }),
  loc: Type.Array(Type.String(), { examples: [['body', 'email']] }),
  msg: Type.String({ examples: ['Field required'] }),
})

export const AuthFailure = Type.Object(
  {
    detail: Type.Union([Type.String(), Type.Array(ValidationDetail)], {
      description: 'A sentence, or what is wrong with each member of the request.',
    }),
    error: Type.Optional(Type.String({ description: 'RFC 6749 section 5.2, at the token endpoints.' })),
    error_description: Type.Optional(Type.String()),
  },
  {
    $id: 'AuthFailure',
    description: 'FastAPI’s form of an error.',
    examples: [{ detail: 'Could not validate credentials' }],
  },
)

export const components = [
  User,
  Tokens,
  SessionInfo,
  SessionList,
  AccountEvent,
  AccountEventList,
  Registration,
  PasswordGrant,
  RefreshGrant,
  Logout,
  UserPatch,
  Deletion,
  PasswordChange,
  AddressedRequest,
  PasswordReset,
  LinkUse,
  EmailChange,
  Export,
  Message,
  AuthFailure,
]

export const toUser = (account: Account): Static<typeof User> => ({
  id: account.number,
  uuid: account.id,
  email: account.email,
  name: account.name,
  image: account.image,
  personal_info: account.personalInfo,
  created_at: account.createdAt.toISOString(),
})

export const toTokens = (pass: Pass): Static<typeof Tokens> => ({
  access_token: pass.access.token,
  refresh_token: pass.refresh.token,
  token_type: 'bearer',
  expires_in: pass.access.lifetime,
  user: toUser(pass.account),
})

export const toSessionInfo = (session: Session, currentId: string): Static<typeof SessionInfo> => ({
  id: session.id,
  created_at: session.createdAt.toISOString(),
  last_used_at: session.lastUsedAt.toISOString(),
  expires_at: session.expiresAt.toISOString(),
  user_agent: session.userAgent,
  device: deviceName(session.userAgent),
  ip_address: session.ipAddress,
  current: session.id === currentId,
})
