/** Better Auth's own wire: what its unmodified client sends and reads. */
import { type Static, Type } from 'typebox'
import type { Account, Identity, Session } from '../../core/index.js'
import type { IssuedToken } from '../../core/tokens.js'
import { ref } from '../../http/openapi.js'

const Nullable = (options: object = {}) => Type.Unsafe<string | null>({ type: ['string', 'null'], ...options })
const Flag = (options: { default?: boolean; description?: string } = {}) => Type.Optional(Type.Boolean(options))
const Id = Type.String({ format: 'uuid', examples: ['0197a0b4-6c1e-7cc3-9d7a-2f6a1f0c9a11'] })

/** Exactly `toISOString()`: the client takes more digits of a second for milliseconds, and is minutes off. */
export const Moment = Type.String({ format: 'date-time', examples: ['2026-11-21T10:00:00.000Z'] })
export const Email = Type.String({ maxLength: 320, examples: ['user@example.com'] })
export const SessionToken = Type.String({
  description: 'Opaque and without a dot; works as bearer.',
  examples: ['u2fN3mEo1xJb0v8Tq5kYc7sWz4rHd6gLpA9iXeVtMnQ'],
})
/** Its length is for the core to judge, so that too long has one answer. */
export const Password = Type.String({ format: 'password', examples: ['correct horse battery'] })
export const NewPassword = Type.String({ minLength: 1, format: 'password', examples: ['correct horse battery'] })
export const Name = Type.String({ maxLength: 200, examples: ['Ada'] })
export const Url = Type.String({ maxLength: 2048, examples: ['/dashboard'] })
const Image = Nullable({ maxLength: 2048, examples: ['https://example.com/ada.png'] })

const token = 'u2fN3mEo1xJb0v8Tq5kYc7sWz4rHd6gLpA9iXeVtMnQ'

/** What the examples tell of. */
export const user = {
  id: '0197a0b4-6c1e-7cc3-9d7a-2f6a1f0c9a11',
  name: 'Ada',
  email: 'user@example.com',
  emailVerified: false,
  image: null,
  createdAt: '2026-11-21T10:00:00.000Z',
  updatedAt: '2026-11-21T10:00:00.000Z',
}

export const User = Type.Object(
  {
    id: Id,
    name: Type.String({ description: 'Empty where none was given.' }),
    email: Type.String(),
    emailVerified: Type.Boolean(),
    image: Nullable(),
    createdAt: Moment,
    updatedAt: Moment,
  },
  { $id: 'BetterAuthUser', description: 'The account of the caller.', examples: [user] },
)

const session = {
  id: '0197a0b4-7d2f-7aa1-8c3e-5b9d0e6f1c22',
  token,
  userId: user.id,
  expiresAt: '2026-11-28T10:00:00.000Z',
  createdAt: '2026-11-21T10:00:00.000Z',
  updatedAt: '2026-11-21T10:00:00.000Z',
  ipAddress: '203.0.113.7',
  userAgent: 'Mozilla/5.0',
}

export const SessionObject = Type.Object(
  {
    id: Id,
    token: Type.String({
      description:
        'The session token where the caller presented it, else the session’s id; revoke-session takes either.',
    }),
    userId: Id,
    expiresAt: Moment,
    createdAt: Moment,
    updatedAt: Moment,
    ipAddress: Type.String({ description: 'Empty where unknown.' }),
    userAgent: Type.String({ description: 'Empty where unknown.' }),
  },
  { $id: 'BetterAuthSession', description: 'A device that is signed in.', examples: [session] },
)

export const SessionList = Type.Array(ref(SessionObject), {
  $id: 'BetterAuthSessionList',
  description: 'Every device that is signed in; the one used last comes first.',
  examples: [[session]],
})

const current = {
  session,
  user,
  accessToken: 'eyJhbGciOi…',
  accessTokenExpiresAt: '2026-11-21T10:30:00.000Z',
  refreshToken: null,
}

export const CurrentSession = Type.Object(
  {
    session: ref(SessionObject),
    user: ref(User),
    accessToken: Type.String({
      description: 'A JWT for other services; the same one until it nears its expiry.',
      examples: ['eyJhbGciOi…'],
    }),
    accessTokenExpiresAt: Moment,
    refreshToken: Type.Null({ description: 'Never told here: a script of the page could read it.' }),
  },
  { $id: 'BetterAuthCurrentSession', description: 'Who is signed in, and how.', examples: [current] },
)

/** Better Auth’s way of saying signed out. An object schema alone would turn null into `{}`, which its client takes for signed in. */
export const MaybeSession = Type.Unsafe<Static<typeof CurrentSession> | null>({
  anyOf: [ref(CurrentSession), { type: 'null' }],
  description: 'Who is signed in, and how; signed out is null.',
  examples: [current, null],
})

export const AccessToken = Type.Object(
  { token: Type.String({ description: 'A JWT.' }) },
  { $id: 'BetterAuthToken', description: 'The token.', examples: [{ token: 'eyJhbGciOi…' }] },
)

export const SessionQuery = Type.Object({
  disableRefresh: Type.Optional(Type.String({ maxLength: 16, description: '`true`: do not extend the session.' })),
  disableCookieCache: Type.Optional(Type.String({ maxLength: 16, description: 'Accepted; there is no such cache.' })),
})

export const SignUp = Type.Object(
  {
    name: Name,
    email: Email,
    password: NewPassword,
    image: Type.Optional(Image),
    callbackURL: Type.Optional(Url),
    rememberMe: Flag({ default: true, description: 'False: the session ends with the browser, and after a day.' }),
  },
  {
    $id: 'BetterAuthSignUp',
    examples: [{ name: 'Ada', email: 'user@example.com', password: 'correct horse battery' }],
  },
)

export const SignIn = Type.Object(
  {
    email: Email,
    password: Password,
    callbackURL: Type.Optional(Url),
    rememberMe: Flag({ default: true, description: 'False: the session ends with the browser, and after a day.' }),
  },
  { $id: 'BetterAuthSignIn', examples: [{ email: 'user@example.com', password: 'correct horse battery' }] },
)

export const SignedUp = Type.Object(
  {
    token: Nullable({
      description: 'The session token; null where the address has to be proved before anybody signs in.',
      examples: [token],
    }),
    user: ref(User),
  },
  {
    $id: 'BetterAuthSignedUp',
    description: 'Made, and signed in.',
    examples: [
      { token, user },
      { token: null, user },
    ],
  },
)

export const SignedIn = Type.Object(
  {
    redirect: Type.Boolean({ description: 'Whether the client is to go to `url`.' }),
    token: SessionToken,
    url: Type.Optional(Type.String({ description: 'The callbackURL of the request.' })),
    user: ref(User),
  },
  { $id: 'BetterAuthSignedIn', description: 'Signed in.', examples: [{ redirect: false, token, user }] },
)

/** Options of a provider's logout, which there is none of here; accepted and left alone. */
export const SignOut = Type.Object(
  { callbackURL: Type.Optional(Url), disableRedirect: Flag(), state: Type.Optional(Type.String({ maxLength: 2048 })) },
  { $id: 'BetterAuthSignOut', examples: [{}] },
)

export const Nothing = Type.Object(
  {},
  { $id: 'BetterAuthNothing', description: 'Nothing is asked for.', examples: [{}] },
)

export const Revocation = Type.Object(
  {
    token: Type.Optional(Type.String({ maxLength: 4096, description: 'A session token, or `token` of the list.' })),
    sessionId: Type.Optional(Type.String({ maxLength: 64, description: 'The id of a session instead.' })),
  },
  { $id: 'BetterAuthRevocation', examples: [{ token: '0197a0b4-7d2f-7aa1-8c3e-5b9d0e6f1c22' }] },
)

export const UserPatch = Type.Object(
  {
    name: Type.Optional(Name),
    image: Type.Optional(Image),
    email: Type.Optional(Type.Unknown({ description: 'Refused: an address changes by e-mail.' })),
  },
  { $id: 'BetterAuthUserPatch', examples: [{ name: 'Ada Lovelace' }] },
)

export const PasswordChange = Type.Object(
  {
    currentPassword: Password,
    newPassword: Password,
    revokeOtherSessions: Flag({ default: false, description: 'End every session and open a new one for the caller.' }),
  },
  {
    $id: 'BetterAuthPasswordChange',
    examples: [
      { currentPassword: 'correct horse battery', newPassword: 'staple that horse twice', revokeOtherSessions: true },
    ],
  },
)

export const PasswordChanged = Type.Object(
  { token: Nullable({ description: 'Of the new session, where there is one.' }), user: ref(User) },
  { $id: 'BetterAuthPasswordChanged', description: 'It is changed.', examples: [{ token, user }] },
)

export const PasswordProof = Type.Object(
  { password: Password },
  { $id: 'BetterAuthPasswordProof', examples: [{ password: 'correct horse battery' }] },
)

/** A mailed token; bad ones of any length are simply no good. */
const LinkToken = Type.String({ maxLength: 4096, examples: ['kT3v9QzX1rWm5yBc7nHs2LpFd8Gj4AeUiOo6TqRyWxE'] })

export const LinkPath = Type.Object({
  token: Type.String({
    description: 'The token of the link.',
    examples: ['kT3v9QzX1rWm5yBc7nHs2LpFd8Gj4AeUiOo6TqRyWxE'],
  }),
})

export const ResetLinkQuery = Type.Object({
  callbackURL: Type.String({ maxLength: 2048, description: 'The app’s page.', examples: ['/reset'] }),
})

export const ResetTokenQuery = Type.Object({
  token: Type.Optional(Type.String({ maxLength: 4096, description: 'In the place of the one in the body.' })),
})

export const LinkQuery = Type.Object({
  token: Type.String({ ...LinkToken, description: 'The token of the link.' }),
  callbackURL: Type.Optional(Type.String({ maxLength: 2048, description: 'Where to go on to.' })),
})

export const ResetRequest = Type.Object(
  { email: Email, redirectTo: Type.Optional(Url) },
  { $id: 'BetterAuthResetRequest', examples: [{ email: 'user@example.com', redirectTo: '/reset' }] },
)

const resetRequested = {
  status: true,
  message: 'If this email exists in our system, check your email for the reset link',
} as const

export const ResetRequested = Type.Object(
  { status: Type.Literal(true), message: Type.String() },
  { $id: 'BetterAuthResetRequested', description: 'The same for every address.', examples: [resetRequested] },
)

export const PasswordReset = Type.Object(
  { newPassword: Password, token: Type.Optional(LinkToken) },
  {
    $id: 'BetterAuthPasswordReset',
    examples: [{ newPassword: 'correct horse battery', token: 'kT3v9QzX1rWm5yBc7nHs2LpFd8Gj4AeUiOo6TqRyWxE' }],
  },
)

export const VerificationRequest = Type.Object(
  { email: Email, callbackURL: Type.Optional(Url) },
  { $id: 'BetterAuthVerificationRequest', examples: [{ email: 'user@example.com' }] },
)

export const EmailChange = Type.Object(
  { newEmail: Email, callbackURL: Type.Optional(Url) },
  { $id: 'BetterAuthEmailChange', examples: [{ newEmail: 'new@example.com' }] },
)

export const Verified = Type.Object(
  {
    status: Type.Literal(true),
    user: Type.Unsafe<Static<typeof User> | null>({ anyOf: [ref(User), { type: 'null' }] }),
  },
  {
    $id: 'BetterAuthVerified',
    description: 'The address is proved; `user` where the account has a new one.',
    examples: [
      { status: true, user: null },
      { status: true, user },
    ],
  },
)

export const Deletion = Type.Object(
  {
    password: Type.Optional(Password),
    token: Type.Optional(Type.String({ maxLength: 4096, description: 'Of the mailed link.' })),
    callbackURL: Type.Optional(Url),
  },
  { $id: 'BetterAuthDeletion', examples: [{ password: 'correct horse battery' }] },
)

export const Deleted = Type.Object(
  { success: Type.Literal(true), message: Type.String({ examples: ['User deleted'] }) },
  {
    $id: 'BetterAuthDeleted',
    description: 'It is deleted, or a link to do so has been mailed.',
    examples: [{ success: true, message: 'User deleted' }],
  },
)

const linked = {
  id: user.id,
  accountId: user.id,
  providerId: 'credential',
  userId: user.id,
  createdAt: user.createdAt,
  updatedAt: user.updatedAt,
  scopes: [],
}

export const LinkedAccount = Type.Object(
  {
    id: Id,
    accountId: Id,
    providerId: Type.Literal('credential'),
    userId: Id,
    createdAt: Moment,
    updatedAt: Moment,
    scopes: Type.Array(Type.String()),
  },
  { $id: 'BetterAuthLinkedAccount', description: 'A way to sign in.', examples: [linked] },
)

export const LinkedAccountList = Type.Array(ref(LinkedAccount), {
  $id: 'BetterAuthLinkedAccountList',
  description: 'The ways to sign in: one.',
  examples: [[linked]],
})

export const Status = Type.Object(
  { status: Type.Literal(true) },
  { $id: 'BetterAuthStatus', description: 'It is done.', examples: [{ status: true }] },
)

export const Success = Type.Object(
  { success: Type.Literal(true) },
  { $id: 'BetterAuthSuccess', description: 'It is done.', examples: [{ success: true }] },
)

export const Ok = Type.Object(
  { ok: Type.Literal(true) },
  { $id: 'BetterAuthOk', description: 'It answers.', examples: [{ ok: true }] },
)

export const components = [
  AccessToken,
  User,
  SessionObject,
  SessionList,
  CurrentSession,
  SignUp,
  SignIn,
  SignedUp,
  SignedIn,
  SignOut,
  Nothing,
  Revocation,
  UserPatch,
  PasswordChange,
  PasswordChanged,
  PasswordProof,
  ResetRequest,
  ResetRequested,
  PasswordReset,
  VerificationRequest,
  EmailChange,
  Verified,
  Deletion,
  Deleted,
  LinkedAccount,
  LinkedAccountList,
  Status,
  Success,
  Ok,
]

export const toUser = (account: Account): Static<typeof User> => ({
  id: account.id,
  name: account.name,
  email: account.email,
  emailVerified: account.emailVerified,
  image: account.image,
  createdAt: account.createdAt.toISOString(),
  updatedAt: account.updatedAt.toISOString(),
})

/** Shows the token itself only to who presented it. */
export const toSession = (session: Session, caller: Identity): Static<typeof SessionObject> => ({
  id: session.id,
  token: session.id === caller.session.id ? (caller.sessionToken ?? session.id) : session.id,
  userId: session.accountId,
  expiresAt: session.expiresAt.toISOString(),
  createdAt: session.createdAt.toISOString(),
  updatedAt: session.lastUsedAt.toISOString(),
  ipAddress: session.ipAddress ?? '',
  userAgent: session.userAgent ?? '',
})

export const toCurrentSession = (caller: Identity, access: IssuedToken): Static<typeof CurrentSession> => ({
  session: toSession(caller.session, caller),
  user: toUser(caller.account),
  accessToken: access.token,
  accessTokenExpiresAt: access.expiresAt.toISOString(),
  refreshToken: null,
})

/** The password is the only way in there is, and the account is its record. */
export const toLinkedAccount = (account: Account): Static<typeof LinkedAccount> => ({
  id: account.id,
  accountId: account.id,
  providerId: 'credential',
  userId: account.id,
  createdAt: account.createdAt.toISOString(),
  updatedAt: account.updatedAt.toISOString(),
  scopes: [],
})
