/** The background profile on the wire, in both its forms: levels (seed 1) and details (seed 0). */
import { type Static, Type } from 'typebox'
import type { Interaction, Profile } from '../../core/index.js'
import { ref } from '../../http/openapi.js'

/** An enumeration that may also be null: never told. */
const MaybeOneOf = <const T extends readonly string[]>(values: T) =>
  Type.Unsafe<T[number] | null>({ type: ['string', 'null'], enum: [...values, null] })
const Moment = Type.String({ format: 'date-time', examples: ['2026-11-21T10:00:00.000Z'] })
const UserId = Type.String({ format: 'uuid', examples: ['0197a0b4-6c1e-7cc3-9d7a-2f6a1f0c9a11'] })
const Words = Type.Array(Type.String({ minLength: 1, maxLength: 100 }), { maxItems: 50, examples: [['Python']] })

const levels = ['beginner', 'intermediate', 'advanced'] as const
const hardware = ['robotics', 'embedded systems', 'none', 'other'] as const
const SoftwareLevel = Type.Enum([...levels])
const HardwareBackground = Type.Enum([...hardware])

export const SoftwareBackground = Type.Object(
  {
    primaryLanguages: Type.Optional(Words),
    cloudFamiliarity: Type.Optional(Type.Enum(['None', 'Beginner', 'Intermediate', 'Advanced'])),
    preferredOs: Type.Optional(Type.Enum(['Linux', 'macOS', 'Windows', 'Hybrid'])),
    databaseExperience: Type.Optional(Words),
  },
  {
    $id: 'SoftwareBackground',
    examples: [{ primaryLanguages: ['Python'], cloudFamiliarity: 'Beginner', preferredOs: 'Linux' }],
  },
)

export const HardwareDetails = Type.Object(
  {
    embeddedSystemsExperience: Type.Optional(Type.Enum(['Yes', 'No', 'Some C/Assembly'])),
    gpuFamiliarity: Type.Optional(Type.Enum(['None', 'Basic', 'Advanced'])),
  },
  { $id: 'HardwareDetails', examples: [{ embeddedSystemsExperience: 'No', gpuFamiliarity: 'Basic' }] },
)

export const LevelProfile = Type.Object(
  {
    user_id: UserId,
    software_level: MaybeOneOf(levels),
    hardware_background: MaybeOneOf(hardware),
    created_at: Moment,
    updated_at: Moment,
  },
  { $id: 'Profile' },
)

export const Levels = Type.Object(
  { software_level: SoftwareLevel, hardware_background: HardwareBackground },
  { $id: 'Levels', examples: [{ software_level: 'beginner', hardware_background: 'robotics' }] },
)

export const LevelsPatch = Type.Partial(
  Type.Object({ software_level: SoftwareLevel, hardware_background: HardwareBackground }),
  {
    $id: 'LevelsPatch',
    examples: [{ software_level: 'advanced' }],
  },
)

export const ProfileWritten = Type.Object(
  {
    success: Type.Literal(true),
    user_id: UserId,
    software_level: MaybeOneOf(levels),
    hardware_background: MaybeOneOf(hardware),
  },
  { $id: 'ProfileWritten' },
)

export const ProfileArchived = Type.Object({ success: Type.Literal(true), user_id: UserId }, { $id: 'ProfileArchived' })

const NullableRef = <T>(name: string) => Type.Unsafe<T | null>({ anyOf: [{ $ref: `${name}#` }, { type: 'null' }] })

export const Personalization = Type.Object(
  {
    betterAuthUserId: UserId,
    softwareBackground: NullableRef<Static<typeof SoftwareBackground>>('SoftwareBackground'),
    hardwareBackground: NullableRef<Static<typeof HardwareDetails>>('HardwareDetails'),
  },
  { $id: 'Personalization' },
)

export const PersonalizationPut = Type.Object(
  {
    softwareBackground: Type.Optional(ref(SoftwareBackground)),
    hardwareBackground: Type.Optional(ref(HardwareDetails)),
  },
  { $id: 'PersonalizationPut', examples: [{ hardwareBackground: { gpuFamiliarity: 'Basic' } }] },
)

export const UserContext = Type.Object(
  {
    user_context: Type.Object({
      software_level: MaybeOneOf(levels),
      hardware_background: MaybeOneOf(hardware),
      personalization_notes: Type.String({
        examples: [
          'User is a beginner in software development with robotics experience. Provide simplified explanations with robotics examples where applicable.',
        ],
      }),
    }),
  },
  { $id: 'UserContext' },
)

const MaybeNumber = Type.Unsafe<number | null>({ type: ['number', 'null'] })

export const NewInteraction = Type.Object(
  {
    content_type: Type.String({ minLength: 1, maxLength: 64, examples: ['chat'] }),
    personalization_effectiveness: Type.Optional(
      Type.Unsafe<number | null>({ type: ['number', 'null'], minimum: 0, maximum: 5, examples: [4] }),
    ),
  },
  { $id: 'NewInteraction', examples: [{ content_type: 'chat', personalization_effectiveness: 4 }] },
)

export const InteractionEntry = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    user_id: UserId,
    content_type: Type.String({ examples: ['chat'] }),
    background_used: Type.Object({
      software_level: MaybeOneOf(levels),
      hardware_background: MaybeOneOf(hardware),
      softwareBackground: NullableRef<Static<typeof SoftwareBackground>>('SoftwareBackground'),
      hardwareBackground: NullableRef<Static<typeof HardwareDetails>>('HardwareDetails'),
    }),
    timestamp: Moment,
    personalization_effectiveness: MaybeNumber,
  },
  { $id: 'Interaction' },
)

export const InteractionPage = Type.Object(
  {
    interactions: Type.Array(ref(InteractionEntry)),
    next_cursor: Type.Unsafe<string | null>({ type: ['string', 'null'], description: 'Null on the last page.' }),
  },
  { $id: 'InteractionPage' },
)

export const InteractionQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 20 })),
  cursor: Type.Optional(Type.String({ maxLength: 200, description: '`next_cursor` of the page before.' })),
})

export const InteractionSummary = Type.Object(
  {
    content_types: Type.Array(
      Type.Object({
        content_type: Type.String({ examples: ['chat'] }),
        count: Type.Integer({ examples: [3] }),
        average_effectiveness: MaybeNumber,
      }),
    ),
  },
  { $id: 'InteractionSummary' },
)

export const components = [
  SoftwareBackground,
  HardwareDetails,
  LevelProfile,
  Levels,
  LevelsPatch,
  ProfileWritten,
  ProfileArchived,
  Personalization,
  PersonalizationPut,
  UserContext,
  NewInteraction,
  InteractionEntry,
  InteractionPage,
  InteractionSummary,
]

const toLevels = (profile: Profile) => ({
  user_id: profile.accountId,
  software_level: profile.softwareLevel,
  hardware_background: profile.hardwareBackground,
})

export const toLevelProfile = (profile: Profile): Static<typeof LevelProfile> => ({
  ...toLevels(profile),
  created_at: profile.createdAt.toISOString(),
  updated_at: profile.updatedAt.toISOString(),
})

export const toProfileWritten = (profile: Profile): Static<typeof ProfileWritten> => ({
  success: true,
  ...toLevels(profile),
})

export const toPersonalization = (userId: string, profile: Profile | undefined): Static<typeof Personalization> => ({
  betterAuthUserId: userId,
  softwareBackground: profile?.softwareDetails ?? null,
  hardwareBackground: profile?.hardwareDetails ?? null,
})

export const toInteraction = (interaction: Interaction): Static<typeof InteractionEntry> => ({
  id: interaction.id,
  user_id: interaction.accountId,
  content_type: interaction.contentType,
  background_used: {
    software_level: interaction.backgroundUsed.software_level,
    hardware_background: interaction.backgroundUsed.hardware_background,
    softwareBackground: interaction.backgroundUsed.software_details,
    hardwareBackground: interaction.backgroundUsed.hardware_details,
  },
  timestamp: interaction.createdAt.toISOString(),
  personalization_effectiveness: interaction.effectiveness,
})
