/** The wire of the two JSON dialects beside Better Auth's: camelCase with background data (seed 0), snake_case with levels (seed 1). */
import { type Static, Type } from 'typebox'
import type { Background, Pass, Profile } from '../../core/index.js'
import { ref } from '../../http/openapi.js'
import { Moment, Name, NewPassword, SessionToken, toUser, Url, User, user } from './wire.js'

const UserId = Type.String({ format: 'uuid', examples: ['0197a0b4-6c1e-7cc3-9d7a-2f6a1f0c9a11'] })
const Email = Type.String({ minLength: 1, maxLength: 320, examples: ['user@example.com'] })
const Words = Type.Array(Type.String({ minLength: 1, maxLength: 100 }), {
  maxItems: 50,
  examples: [['Python', 'JavaScript/TypeScript']],
})
const SoftwareLevel = Type.Enum(['beginner', 'intermediate', 'advanced'])
const HardwareBackground = Type.Enum(['robotics', 'embedded systems', 'none', 'other'])

export const BackgroundData = Type.Object(
  {
    softwareBackground: Type.Optional(
      Type.Object({
        primaryLanguages: Type.Optional(Words),
        cloudFamiliarity: Type.Optional(Type.Enum(['None', 'Beginner', 'Intermediate', 'Advanced'])),
        preferredOs: Type.Optional(Type.Enum(['Linux', 'macOS', 'Windows', 'Hybrid'])),
        databaseExperience: Type.Optional(Words),
      }),
    ),
    hardwareBackground: Type.Optional(
      Type.Object({
        embeddedSystemsExperience: Type.Optional(Type.Enum(['Yes', 'No', 'Some C/Assembly'])),
        gpuFamiliarity: Type.Optional(Type.Enum(['None', 'Basic', 'Advanced'])),
      }),
    ),
  },
  {
    $id: 'BackgroundData',
    examples: [
      {
        softwareBackground: {
          primaryLanguages: ['Python'],
          cloudFamiliarity: 'Intermediate',
          preferredOs: 'Linux',
          databaseExperience: ['SQL'],
        },
        hardwareBackground: { embeddedSystemsExperience: 'No', gpuFamiliarity: 'Basic' },
      },
    ],
  },
)

export const Register = Type.Object(
  {
    email: Email,
    password: NewPassword,
    name: Type.Optional(Name),
    background_data: Type.Optional(ref(BackgroundData)),
  },
  {
    $id: 'Register',
    examples: [
      {
        email: 'user@example.com',
        password: 'SecurePassword123!',
        background_data: {
          softwareBackground: {
            primaryLanguages: ['Python'],
            cloudFamiliarity: 'Intermediate',
            preferredOs: 'Linux',
            databaseExperience: ['SQL'],
          },
          hardwareBackground: { embeddedSystemsExperience: 'No', gpuFamiliarity: 'Basic' },
        },
      },
    ],
  },
)

export const Login = Type.Object(
  { email: Email, password: NewPassword, redirectUrl: Type.Optional(Url) },
  { $id: 'Login', examples: [{ email: 'user@example.com', password: 'SecurePassword123!' }] },
)

const token = 'u2fN3mEo1xJb0v8Tq5kYc7sWz4rHd6gLpA9iXeVtMnQ'
const openedExample = {
  userId: user.id,
  token,
  accessToken: 'eyJhbGciOi…',
  accessTokenExpiresAt: '2026-11-21T10:30:00.000Z',
  refreshToken: 'eyJhbGciOi…',
  user,
}

const opened = {
  userId: UserId,
  token: SessionToken,
  accessToken: Type.String({ description: 'A JWT.', examples: ['eyJhbGciOi…'] }),
  accessTokenExpiresAt: Moment,
  refreshToken: Type.String({ description: 'For POST /auth/refresh.', examples: ['eyJhbGciOi…'] }),
  user: ref(User),
}

export const Registered = Type.Object(
  { message: Type.String({ examples: ['User registered successfully'] }), ...opened },
  {
    $id: 'Registered',
    description: 'Made, and signed in. Sets the cookie session_token.',
    examples: [{ message: 'User registered successfully', ...openedExample }],
  },
)

export const LoggedIn = Type.Object(
  {
    message: Type.String({ examples: ['Login successful'] }),
    redirectUrl: Type.Optional(
      Type.String({ description: 'That of the request, where it is relative or on a trusted origin.' }),
    ),
    ...opened,
  },
  {
    $id: 'LoggedIn',
    description: 'Signed in. Sets the cookie session_token.',
    examples: [{ message: 'Login successful', ...openedExample }],
  },
)

export const LoggedOut = Type.Object(
  { message: Type.String({ examples: ['Logged out successfully'] }) },
  {
    $id: 'LoggedOut',
    description: 'Signed out. Expires the cookies.',
    examples: [{ message: 'Logged out successfully' }],
  },
)

export const Signup = Type.Object(
  { email: Email, password: NewPassword, software_level: SoftwareLevel, hardware_background: HardwareBackground },
  {
    $id: 'Signup',
    examples: [
      {
        email: 'user@example.com',
        password: 'secure_password',
        software_level: 'beginner',
        hardware_background: 'robotics',
      },
    ],
  },
)

export const Signin = Type.Object(
  { email: Email, password: NewPassword },
  { $id: 'Signin', examples: [{ email: 'user@example.com', password: 'secure_password' }] },
)

export const SignupDone = Type.Object(
  { success: Type.Literal(true), user_id: UserId, session_token: SessionToken },
  {
    $id: 'SignupDone',
    description: 'Made, and signed in.',
    examples: [{ success: true, user_id: user.id, session_token: token }],
  },
)

const MaybeOneOf = <const T extends readonly string[]>(...values: T) =>
  Type.Unsafe<T[number] | null>({ type: ['string', 'null'], enum: [...values, null] })

const BackgroundProfile = Type.Object(
  {
    software_level: MaybeOneOf('beginner', 'intermediate', 'advanced'),
    hardware_background: MaybeOneOf('robotics', 'embedded systems', 'none', 'other'),
  },
  {
    $id: 'BackgroundProfile',
    description: 'The background by levels; null where only details were told.',
    examples: [{ software_level: 'beginner', hardware_background: 'robotics' }],
  },
)

export const SigninDone = Type.Object(
  {
    success: Type.Literal(true),
    user_id: UserId,
    session_token: SessionToken,
    background_profile: Type.Unsafe<Static<typeof BackgroundProfile> | null>({
      anyOf: [ref(BackgroundProfile), { type: 'null' }],
      description: 'Null where there is none, or it is archived.',
    }),
  },
  {
    $id: 'SigninDone',
    description: 'Signed in.',
    examples: [
      {
        success: true,
        user_id: user.id,
        session_token: token,
        background_profile: { software_level: 'beginner', hardware_background: 'robotics' },
      },
    ],
  },
)

export const jsonComponents = [
  BackgroundData,
  Register,
  Login,
  Registered,
  LoggedIn,
  LoggedOut,
  Signup,
  Signin,
  SignupDone,
  BackgroundProfile,
  SigninDone,
]

/** Undefined where nothing was told: such an account has no profile. */
export function toBackground(data: Static<typeof BackgroundData> | undefined): Background | undefined {
  const { softwareBackground: software, hardwareBackground: hardware } = data ?? {}
  if (!software && !hardware) return undefined
  return {
    softwareLevel: null,
    hardwareBackground: null,
    softwareDetails: software
      ? pick(software, 'primaryLanguages', 'cloudFamiliarity', 'preferredOs', 'databaseExperience')
      : null,
    hardwareDetails: hardware ? pick(hardware, 'embeddedSystemsExperience', 'gpuFamiliarity') : null,
  }
}

/** Of what came, only the members that were asked for. */
const pick = <T extends object, K extends keyof T>(from: T, ...names: K[]): Pick<T, K> =>
  Object.fromEntries(names.filter(name => Object.hasOwn(from, name)).map(name => [name, from[name]])) as Pick<T, K>

/** What register and login tell alike. */
export const toOpened = (pass: Pass, token: string) => ({
  userId: pass.account.id,
  token,
  accessToken: pass.access.token,
  accessTokenExpiresAt: pass.access.expiresAt.toISOString(),
  refreshToken: pass.refresh.token,
  user: toUser(pass.account),
})

export const toSignupDone = (pass: Pass, token: string): Static<typeof SignupDone> => ({
  success: true,
  user_id: pass.account.id,
  session_token: token,
})

export const toSigninDone = (pass: Pass, token: string, profile: Profile | undefined): Static<typeof SigninDone> => ({
  ...toSignupDone(pass, token),
  background_profile: profile
    ? { software_level: profile.softwareLevel, hardware_background: profile.hardwareBackground }
    : null,
})
