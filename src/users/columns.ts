/** The columns of an import file, which are those of an export: what each may hold, and the account that they make. */
import { type Static, type TSchema, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { canonicalEmail } from '../core/emails.js'
import { isUuid } from '../core/sources.js'
import type { ExportedAccount, ImportedAccount } from '../store/imports.js'
import { hardwareBackgrounds, softwareLevels } from '../store/schema.js'
import { type HashRules, toStoredHash } from './hashes.js'
import type { Format } from './read.js'

const closed = { additionalProperties: false }
const Maybe = <Schema extends TSchema>(schema: Schema) => Type.Optional(Type.Union([schema, Type.Null()]))
const OneOf = <const Values extends readonly string[]>(values: Values) => Type.Enum([...values])
const Words = Type.Array(Type.String({ minLength: 1, maxLength: 100 }), { maxItems: 50 })

/** The same limits as at the doors: what is let in here must be able to leave there, and to be written again. */
const SoftwareDetails = Type.Object(
  {
    primaryLanguages: Type.Optional(Words),
    cloudFamiliarity: Type.Optional(OneOf(['None', 'Beginner', 'Intermediate', 'Advanced'])),
    preferredOs: Type.Optional(OneOf(['Linux', 'macOS', 'Windows', 'Hybrid'])),
    databaseExperience: Type.Optional(Words),
  },
  closed,
)
const HardwareDetails = Type.Object(
  {
    embeddedSystemsExperience: Type.Optional(OneOf(['Yes', 'No', 'Some C/Assembly'])),
    gpuFamiliarity: Type.Optional(OneOf(['None', 'Basic', 'Advanced'])),
  },
  closed,
)
const Moment = Type.Union([Type.String({ maxLength: 40 }), Type.Integer()])

const User = Type.Object(
  {
    id: Maybe(Type.String()),
    email: Type.String(),
    email_verified: Maybe(Type.Boolean()),
    name: Maybe(Type.String({ maxLength: 200 })),
    image: Maybe(Type.String({ maxLength: 2048 })),
    hash: Maybe(Type.String({ maxLength: 1024 })),
    created: Maybe(Moment),
    disabled: Maybe(Moment),
    personal_info: Maybe(Type.Record(Type.String(), Type.Unknown())),
    software_level: Maybe(OneOf(softwareLevels)),
    hardware_background: Maybe(OneOf(hardwareBackgrounds)),
    software_details: Maybe(SoftwareDetails),
    hardware_details: Maybe(HardwareDetails),
  },
  closed,
)
type User = Static<typeof User>
const validator = Compile(User)

export const columns = Object.keys(User.properties) as (keyof User)[]

/** What a column must hold, for whoever mends the file. */
const demands: Record<keyof User, string> = {
  id: 'must be a UUID',
  email: 'must be an e-mail address',
  email_verified: 'must be true or false',
  name: 'must be text of at most 200 characters',
  image: 'must be text of at most 2048 characters',
  hash: 'must be text of at most 1024 characters',
  created:
    'must be a time with its zone, such as 2024-05-31T10:00:00Z, or milliseconds since 1970, and not in the future',
  disabled: 'must be a time with its zone, such as 2024-05-31T10:00:00Z, or milliseconds since 1970',
  personal_info: 'must be a JSON object',
  software_level: `must be one of ${softwareLevels.join(', ')}`,
  hardware_background: `must be one of ${hardwareBackgrounds.join(', ')}`,
  software_details: 'must be a JSON object with the members and values that the documentation lists',
  hardware_details: 'must be a JSON object with the members and values that the documentation lists',
}

export type Drafted = { account: Omit<ImportedAccount, 'id'> & { id: string | undefined } } | { reason: string }

/** The account that a record makes, or why it makes none. Reasons never repeat a value. */
export function toAccount(record: Record<string, unknown>, format: Format, rules: HashRules): Drafted {
  const typed = format === 'csv' ? fromText(record) : record
  if (!validator.Check(typed)) return { reason: faultOf(typed) }
  const unstorable = columns.find(name => !isStorable(typed[name]))
  if (unstorable) return { reason: `${unstorable} holds a character that cannot be stored, or is nested too deeply` }

  const email = canonicalEmail(typed.email)
  if (email === undefined) return { reason: 'email is no address that is accepted' }
  const id = typed.id?.toLowerCase()
  if (id !== undefined && !isUuid(id)) return { reason: `id ${demands.id}` }
  const createdAt = toMoment(typed.created)
  if (createdAt === undefined || isFuture(createdAt)) return { reason: `created ${demands.created}` }
  const disabledAt = toMoment(typed.disabled)
  if (disabledAt === undefined) return { reason: `disabled ${demands.disabled}` }
  const hash = typed.hash ? toStoredHash(typed.hash, rules) : { stored: null }
  if ('reason' in hash) return hash

  return {
    account: {
      id,
      email,
      emailVerified: typed.email_verified ?? false,
      name: typed.name ?? '',
      image: typed.image ?? null,
      personalInfo: typed.personal_info ?? null,
      passwordHash: hash.stored,
      createdAt,
      disabledAt,
      background: toBackground(typed),
    },
  }
}

function toBackground(user: User): ImportedAccount['background'] {
  const background = {
    softwareLevel: user.software_level ?? null,
    hardwareBackground: user.hardware_background ?? null,
    softwareDetails: user.software_details ?? null,
    hardwareDetails: user.hardware_details ?? null,
  }
  return Object.values(background).some(part => part !== null) ? (background as ImportedAccount['background']) : null
}

function faultOf(record: Record<string, unknown>): string {
  const unknown = Object.keys(record).find(name => !isColumn(name))
  if (unknown !== undefined) return `there is no column ${JSON.stringify(unknown.slice(0, 40))}`
  const [first] = validator.Errors(record)
  const named = first?.instancePath.split('/')[1] ?? ''
  return isColumn(named) ? `${named} ${demands[named]}` : 'email is missing'
}

const isColumn = (name: string): name is keyof User => Object.hasOwn(demands, name)

const booleans: ReadonlyMap<unknown, boolean> = new Map([
  ['true', true],
  ['t', true],
  ['1', true],
  ['false', false],
  ['f', false],
  ['0', false],
])

const jsonColumns = ['personal_info', 'software_details', 'hardware_details']

/** A CSV file has text only. What does not read as its type stays text, and is refused as such. */
function fromText(record: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(record).map(([name, text]) => {
    if (name === 'email_verified') return [name, booleans.get(String(text).toLowerCase()) ?? text]
    return [name, jsonColumns.includes(name) ? parsed(String(text)) : text]
  })
  return Object.fromEntries(entries)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

const deepest = 32

/** Postgres stores no NUL, and no half of a surrogate pair survives UTF-8. */
function isStorable(value: unknown, depth = 0): boolean {
  if (typeof value === 'string') return !value.includes('\0') && !/\p{Surrogate}/u.test(value)
  if (typeof value !== 'object' || value === null) return true
  if (depth > deepest) return false
  return Object.entries(value).every(([name, member]) => isStorable(name) && isStorable(member, depth + 1))
}

const momentForm = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d)(?::?(\d\d))?$/

/** ISO 8601, as `timestamptz` is written too, or milliseconds since 1970. Null where nothing is given, undefined for what is no time. */
function toMoment(given: string | number | null | undefined): string | null | undefined {
  if (given === null || given === undefined) return null
  if (typeof given === 'number' || /^\d{1,15}$/.test(given))
    return fewest <= Number(given) ? toIso(Number(given)) : undefined
  const [, year, month, day, time, fraction = '', zone = '', minutes = '00'] = momentForm.exec(given) ?? []
  if (year === undefined || !isDay(Number(year), Number(month), Number(day))) return undefined
  const offset = zone === 'Z' ? 'Z' : `${zone}:${minutes}`
  return toIso(Date.parse(`${year}-${month}-${day}T${time}${fraction.slice(0, 4)}${offset}`))
}

/** Of milliseconds, for a day in 1973. Fewer are seconds, or a year, and would be taken for a day in 1970. */
const fewest = 1e11

/** Date.parse takes the 30th of February for the 2nd of March. */
const isDay = (year: number, month: number, day: number): boolean =>
  new Date(Date.UTC(year, month - 1, day)).getUTCDate() === day

const longestAgo = Date.UTC(1970, 0, 1)
const farthest = Date.UTC(2200, 0, 1)

const toIso = (ms: number): string | undefined =>
  ms >= longestAgo && ms < farthest ? new Date(ms).toISOString() : undefined

/** A day's grace, for clocks and zones. */
const isFuture = (moment: string | null): boolean => moment !== null && Date.parse(moment) > Date.now() + 86_400_000

/** The record that an account makes in an export; only what there is to tell. */
export function toRecord(account: ExportedAccount, withHashes: boolean): Partial<Record<keyof User, unknown>> {
  const all: Record<keyof User, unknown> = {
    id: account.id,
    email: account.email,
    email_verified: account.emailVerified,
    name: account.name,
    image: account.image,
    hash: withHashes ? account.passwordHash : null,
    created: account.createdAt.toISOString(),
    disabled: account.disabledAt?.toISOString() ?? null,
    personal_info: account.personalInfo,
    software_level: account.softwareLevel,
    hardware_background: account.hardwareBackground,
    software_details: account.softwareDetails,
    hardware_details: account.hardwareDetails,
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null && value !== ''))
}
