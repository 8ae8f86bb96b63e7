/** The background profile on the wire, in both its forms: levels (seed 1) and details (seed 0). */
import { type Static, Type } from 'typebox'
import type { Interaction, Profile } from '../../core/index.js'
import { FlatFailure, flatAnswer } from '../../http/flat-errors.js'
import { ref, worded } from '../../http/openapi.js'

/** An enumeration that may also be null: never told. */
const MaybeOneOf = <const T extends readonly string[]>(values: T) =>
  Type.Unsafe<T[number] | null>({ type: ['string', 'null'], enum: [...values, null] })
const Moment = Type.String({ format: 'date-time', examples: ['2026-11-21T10:00:00.000Z'] })
const UserId = Type.String({ format: 'uuid', examples: ['0197a0b4-6c1e-7cc3-9d7a-2f6a1f0c9a11'] })
const Words = Type.Array(Type.String({ minLength: 1, maxLength: 100 }), { maxItems: 50, examples: [['Python']] })

/** What the document shows of this door's failures. */
export const Failure = worded(FlatFailure, flatAnswer)

const levels = ['beginner', 'intermediate', 'advanced'] as const
const hardware = ['robotics', 'embedded systems', 'none', 'other'] as const
const SoftwareLevel = Type.Enum([...levels])
const HardwareBackground = Type.Enum([...hardware])

const userId = '0197a0b4-6c1e-7cc3-9d7a-2f6a1f0c9a11'
const moment = '2026-11-21T10:00:00.000Z'
const told = { software_level: 'beginner', hardware_background: 'robotics' }
const softwareTold = { primaryLanguages: ['Python'], cloudFamiliarity: 'Beginner', preferredOs: 'Linux' }
const hardwareTold = { embeddedSystemsExperience: 'No', gpuFamiliarity: 'Basic' }

export const SoftwareBackground = Type.Object(
  {
    primaryLanguages: Type.Optional(Words),
    cloudFamiliarity: Type.Optional(Type.Enum(['None', 'Beginner', 'Intermediate', 'Advanced'])),
    preferredOs: Type.Optional(Type.Enum(['Linux', 'macOS', 'Windows', 'Hybrid'])),
    databaseExperience: Type.Optional(Words),
  },
  {
    $id: 'SoftwareBackground',
    description: 'What somebody programs with; what was never told is missing.',
    examples: [softwareTold],
  },
)

export const HardwareDetails = Type.Object(
  {
    embeddedSystemsExperience: Type.Optional(Type.Enum(['Yes', 'No', 'Some C/Assembly'])),
    gpuFamiliarity: Type.Optional(Type.Enum(['None', 'Basic', 'Advanced'])),
  },
  {
    $id: 'HardwareDetails',
    description: 'What somebody knows of hardware; what was never told is missing.',
    examples: [hardwareTold],
  },
)

export const LevelProfile = Type.Object(
  {
    user_id: UserId,
    software_level: MaybeOneOf(levels),
    hardware_background: MaybeOneOf(hardware),
    created_at: Moment,
    updated_at: Moment,
  },
  {
    $id: 'Profile',
    description: 'The background profile by levels; null where only details were told.',
    examples: [{ user_id: userId, ...told, created_at: moment, updated_at: moment }],
  },
)

export const Levels = Type.Object(
  { software_level: SoftwareLevel, hardware_background: HardwareBackground },
  { $id: 'Levels', examples: [told] },
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
  {
    $id: 'ProfileWritten',
    description: 'The background profile as it is now.',
    examples: [{ success: true, user_id: userId, ...told }],
  },
)

export const ProfileArchived = Type.Object(
  { success: Type.Literal(true), user_id: UserId },
  { $id: 'ProfileArchived', description: 'It is archived.', examples: [{ success: true, user_id: userId }] },
)

/** What a read may ask of the profile's version. None of the conditions has an example: Swagger UI would send it. */
export const ReadConditions = Type.Object({
  'if-none-match': Type.Optional(
    Type.String({ description: 'The ETag of an earlier answer; 304 if that is what would be answered again.' }),
  ),
})

/** What a write may ask of it. */
export const WriteConditions = Type.Object({
  'if-match': Type.Optional(
    Type.String({ maxLength: 200, description: 'The ETag of the version to be changed; 412 if it is another by now.' }),
  ),
})

export const PutConditions = Type.Object({
  ...WriteConditions.properties,
  'if-none-match': Type.Optional(Type.String({ description: '`*` writes only where there is no profile; else 412.' })),
})

const NullableRef = <T>(name: string) => Type.Unsafe<T | null>({ anyOf: [{ $ref: `${name}#` }, { type: 'null' }] })

export const Personalization = Type.Object(
  {
    betterAuthUserId: UserId,
    softwareBackground: NullableRef<Static<typeof SoftwareBackground>>('SoftwareBackground'),
    hardwareBackground: NullableRef<Static<typeof HardwareDetails>>('HardwareDetails'),
  },
  {
    $id: 'Personalization',
    description: 'The background profile by details; a half that was never told is null.',
    examples: [{ betterAuthUserId: userId, softwareBackground: softwareTold, hardwareBackground: null }],
  },
)

export const PersonalizationPut = Type.Object(
  {
    softwareBackground: Type.Optional(ref(SoftwareBackground)),
    hardwareBackground: Type.Optional(ref(HardwareDetails)),
  },
  { $id: 'PersonalizationPut', examples: [{ hardwareBackground: { gpuFamiliarity: 'Basic' } }] },
)

const notes =
  'User is a beginner in software development with robotics experience. Provide simplified explanations with robotics examples where applicable.'

export const UserContext = Type.Object(
  {
    user_context: Type.Object({
      software_level: MaybeOneOf(levels),
      hardware_background: MaybeOneOf(hardware),
      personalization_notes: Type.String({ description: 'Sentences for a prompt.', examples: [notes] }),
    }),
  },
  {
    $id: 'UserContext',
    description: 'What a chatbot should know of the caller.',
    examples: [{ user_context: { ...told, personalization_notes: notes } }],
  },
)

const MaybeNumber = Type.Unsafe<number | null>({ type: ['number', 'null'], examples: [4] })

export const NewInteraction = Type.Object(
  {
    content_type: Type.String({
      minLength: 1,
      maxLength: 64,
      description: 'What was personalised, in a word of yours.',
      examples: ['chat'],
    }),
    personalization_effectiveness: Type.Optional(
      Type.Unsafe<number | null>({
        type: ['number', 'null'],
        minimum: 0,
        maximum: 5,
        description: 'How well it served.',
        examples: [4],
      }),
    ),
  },
  { $id: 'NewInteraction', examples: [{ content_type: 'chat', personalization_effectiveness: 4 }] },
)

const interaction = {
  id: '0197a0b5-11d0-7e5c-a4f2-3c8b7d6e5f01',
  user_id: userId,
  content_type: 'chat',
  background_used: { ...told, softwareBackground: softwareTold, hardwareBackground: null },
  timestamp: moment,
  personalization_effectiveness: 4,
}

export const InteractionEntry = Type.Object(
  {
    id: Type.String({ format: 'uuid', examples: [interaction.id] }),
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
  { $id: 'Interaction', description: 'What was personalised, and on what ground.', examples: [interaction] },
)

export const InteractionPage = Type.Object(
  {
    interactions: Type.Array(ref(InteractionEntry)),
    next_cursor: Type.Unsafe<string | null>({ type: ['string', 'null'], description: 'Null on the last page.' }),
  },
  {
    $id: 'InteractionPage',
    description: 'The newest first.',
    examples: [{ interactions: [interaction], next_cursor: null }],
  },
)

export const InteractionQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 20, description: 'How many at most.' })),
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
  {
    $id: 'InteractionSummary',
    description: 'One entry for each content type.',
    examples: [{ content_types: [{ content_type: 'chat', count: 3, average_effectiveness: 4.5 }] }],
  },
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

/** The halves that are given, with the members that were asked for and no others. */
export const toDetails = ({
  softwareBackground: software,
  hardwareBackground: hardware,
}: Static<typeof PersonalizationPut>) => ({
  ...(software
    ? {
        softwareDetails: pick(software, 'primaryLanguages', 'cloudFamiliarity', 'preferredOs', 'databaseExperience'),
      }
    : {}),
  ...(hardware ? { hardwareDetails: pick(hardware, 'embeddedSystemsExperience', 'gpuFamiliarity') } : {}),
})

const pick = <T extends object, K extends keyof T>(from: T, ...names: K[]): Pick<T, K> =>
  Object.fromEntries(names.filter(name => Object.hasOwn(from, name)).map(name => [name, from[name]])) as Pick<T, K>

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
