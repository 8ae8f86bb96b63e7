/** Every table and column of the store; the only place where a column is named. */
import { type SQL, sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  check,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core'

export const softwareLevels = ['beginner', 'intermediate', 'advanced'] as const
export const hardwareBackgrounds = ['robotics', 'embedded systems', 'none', 'other'] as const
export const profileStatuses = ['created', 'updated', 'archived'] as const
export const endReasons = ['logout', 'revoked', 'replaced', 'password_changed', 'reuse'] as const
export const purposes = ['verify_email', 'reset_password', 'change_email', 'delete_account'] as const
export const mailKinds = [...purposes, 'email_changed', 'password_reset', 'new_device', 'decoy'] as const

export type SoftwareLevel = (typeof softwareLevels)[number]
export type HardwareBackground = (typeof hardwareBackgrounds)[number]
export type EndReason = (typeof endReasons)[number]
export type Purpose = (typeof purposes)[number]
export type MailKind = (typeof mailKinds)[number]

/** What a person tells about their software background; every member may be missing. */
export type SoftwareDetails = {
  primaryLanguages?: string[]
  cloudFamiliarity?: 'None' | 'Beginner' | 'Intermediate' | 'Advanced'
  preferredOs?: 'Linux' | 'macOS' | 'Windows' | 'Hybrid'
  databaseExperience?: string[]
}

/** What a person tells about their hardware background; every member may be missing. */
export type HardwareDetails = {
  embeddedSystemsExperience?: 'Yes' | 'No' | 'Some C/Assembly'
  gpuFamiliarity?: 'None' | 'Basic' | 'Advanced'
}

/** The background as it stood when something was personalised with it. */
export type BackgroundSnapshot = {
  software_level: SoftwareLevel | null
  hardware_background: HardwareBackground | null
  software_details: SoftwareDetails | null
  hardware_details: HardwareDetails | null
}

/** What a mail says beside its link. */
export type MailDetails = {
  name?: string
  /** Which dialect asked, and so which of our addresses the link names. */
  door?: 'auth' | 'better-auth'
  /** Where the dialect's link leads in the end. */
  callbackUrl?: string
  userAgent?: string
  ipAddress?: string
}

/** Milliseconds, so that a time read back is the time that was written: JavaScript dates hold no more. */
const moment = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'date' })

const oneOf = (column: SQL | unknown, values: readonly string[]) =>
  sql`${column} in (${sql.raw(values.map(value => `'${value}'`).join(', '))})`

export const accounts = pgTable(
  'accounts',
  {
    id: uuid('id').primaryKey(),
    /** The small integer that the OAuth2-shaped door shows as `user.id`. */
    number: integer('number').notNull().generatedAlwaysAsIdentity().unique(),
    /** In canonical form: core/emails.ts is the one place that makes it. */
    email: text('email').notNull().unique(),
    emailVerified: boolean('email_verified').notNull().default(false),
    name: text('name').notNull().default(''),
    image: text('image'),
    personalInfo: jsonb('personal_info').$type<Record<string, unknown>>(),
    /**
     * `$2b$…`, or `$h1$<pepper id>$2b$…` where the password was hashed with HMAC first; of imported accounts, until they sign
     * in, another system's as a PHC string (core/foreign-passwords.ts); null: no password.
     */
    passwordHash: text('password_hash'),
    /** Set by an operator: nobody signs in to, or stays signed in to, a disabled account. */
    disabledAt: moment('disabled_at'),
    createdAt: moment('created_at').notNull().defaultNow(),
    updatedAt: moment('updated_at').notNull().defaultNow(),
  },
  table => [
    check(
      'accounts_email_canonical',
      sql`${table.email} = lower(${table.email}) and ${table.email} ~ '^[!-~]+@[!-~]+$'`,
    ),
  ],
)

export const sessions = pgTable(
  'sessions',
  {
    /** The `sid` of every token. */
    id: uuid('id').primaryKey(),
    accountId: uuid('account_id')
      .notNull()
      .references(() => accounts.id, { onDelete: 'cascade' }),
    /** SHA-256 of the opaque session token, base64url; the token itself is kept nowhere. */
    tokenHash: text('token_hash').notNull().unique(),
    /** Steps at every refresh; only the refresh token that carries this number is the live one. */
    generation: integer('generation').notNull(),
    rotatedAt: moment('rotated_at').notNull(),
    /** How often the predecessor of this generation was repeated inside the leeway; -1: a new password left it none. */
    replays: integer('replays').notNull(),
    /** False: a session that was asked to end with the browser, or that has one fixed end. */
    sliding: boolean('sliding').notNull(),
    createdAt: moment('created_at').notNull(),
    lastUsedAt: moment('last_used_at').notNull(),
    expiresAt: moment('expires_at').notNull(),
    endedAt: moment('ended_at'),
    endReason: text('end_reason').$type<EndReason>(),
    userAgent: text('user_agent'),
    ipAddress: text('ip_address'),
  },
  table => [
    index('sessions_account').on(table.accountId),
    index('sessions_expiry').on(table.expiresAt),
    check('sessions_end_reason', oneOf(table.endReason, endReasons)),
  ],
)

export const profiles = pgTable(
  'profiles',
  {
    accountId: uuid('account_id')
      .primaryKey()
      .references(() => accounts.id, { onDelete: 'cascade' }),
    softwareLevel: text('software_level').$type<SoftwareLevel>(),
    hardwareBackground: text('hardware_background').$type<HardwareBackground>(),
    softwareDetails: jsonb('software_details').$type<SoftwareDetails>(),
    hardwareDetails: jsonb('hardware_details').$type<HardwareDetails>(),
    status: text('status').$type<(typeof profileStatuses)[number]>().notNull(),
    /** Steps at every change; the profile's entity tag. */
    version: integer('version').notNull(),
    createdAt: moment('created_at').notNull().defaultNow(),
    updatedAt: moment('updated_at').notNull().defaultNow(),
  },
  table => [
    check('profiles_software_level', oneOf(table.softwareLevel, softwareLevels)),
    check('profiles_hardware_background', oneOf(table.hardwareBackground, hardwareBackgrounds)),
    check('profiles_status', oneOf(table.status, profileStatuses)),
  ],
)

export const interactions = pgTable(
  'interactions',
  {
    id: uuid('id').primaryKey(),
    accountId: uuid('account_id')
      .notNull()
      .references(() => accounts.id, { onDelete: 'cascade' }),
    contentType: text('content_type').notNull(),
    backgroundUsed: jsonb('background_used').$type<BackgroundSnapshot>().notNull(),
    /** 0 to 5, or null where nobody rated it. */
    effectiveness: doublePrecision('effectiveness'),
    createdAt: moment('created_at').notNull().defaultNow(),
  },
  table => [
    index('interactions_newest').on(table.accountId, table.createdAt, table.id),
    check('interactions_effectiveness', sql`${table.effectiveness} between 0 and 5`),
  ],
)

/**
 * What has been revoked while tokens of it may still live elsewhere. Written by triggers alone (see the migration), so that
 * SQL by hand counts too; read by the revocation feed.
 */
export const revocations = pgTable(
  'revocations',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    accountId: uuid('account_id').notNull(),
    /** Null: every token of the account that was issued before `revoked_at`. */
    sessionId: uuid('session_id'),
    revokedAt: moment('revoked_at').notNull().defaultNow(),
    /** When the session would have expired, or the last one of the account that has a fixed end; null where there is none. */
    sessionExpiresAt: moment('session_expires_at'),
    /** False: the session, or one of the account's, has a fixed end, and so may have an access token that lives as long. */
    sliding: boolean('sliding').notNull(),
  },
  table => [index('revocations_time').on(table.revokedAt)],
)

/** What a person has been asked to confirm by a mailed link. The link's token stands nowhere: it is a function of the row and a secret. */
export const verifications = pgTable(
  'verifications',
  {
    id: uuid('id').primaryKey(),
    accountId: uuid('account_id')
      .notNull()
      .references(() => accounts.id, { onDelete: 'cascade' }),
    purpose: text('purpose').$type<Purpose>().notNull(),
    /** SHA-256 of the token, base64url. */
    tokenHash: text('token_hash').notNull().unique(),
    /** The address of the account when the link was asked for; it is good for no other. */
    email: text('email').notNull(),
    /** The address the account shall have; `change_email` only. */
    newEmail: text('new_email'),
    createdAt: moment('created_at').notNull().defaultNow(),
    expiresAt: moment('expires_at').notNull(),
  },
  table => [
    index('verifications_account').on(table.accountId, table.purpose),
    index('verifications_expiry').on(table.expiresAt),
    check('verifications_purpose', oneOf(table.purpose, purposes)),
  ],
)

/** Mails that are to be sent; the row goes when the mail has gone. Beside a decoy, nobody is written to. */
export const mails = pgTable(
  'mails',
  {
    id: uuid('id').primaryKey(),
    accountId: uuid('account_id').references(() => accounts.id, { onDelete: 'cascade' }),
    kind: text('kind').$type<MailKind>().notNull(),
    recipient: text('recipient'),
    /** The link of the mail; without its row the mail has nothing to say any more. */
    verificationId: uuid('verification_id').references(() => verifications.id, { onDelete: 'cascade' }),
    /** What else the mail tells, and where its link leads afterwards. */
    details: jsonb('details').$type<MailDetails>().notNull(),
    attempts: integer('attempts').notNull().default(0),
    createdAt: moment('created_at').notNull().defaultNow(),
    /** From when on it may be tried, by whoever comes first. */
    dueAt: moment('due_at').notNull().defaultNow(),
  },
  table => [
    index('mails_due').on(table.dueAt),
    index('mails_account').on(table.accountId),
    index('mails_verification').on(table.verificationId),
    check('mails_kind', oneOf(table.kind, mailKinds)),
  ],
)

/**
 * How often a password was tried and did not fit: by known device, by subnet, and by all strangers together, each of one
 * address. Also of addresses nobody has an account with, so that they behave alike.
 */
export const passwordTries = pgTable(
  'password_tries',
  {
    /** HMAC of what is counted (core/guessing.ts): the table tells nobody which addresses there are. */
    key: text('key').primaryKey(),
    tries: integer('tries').notNull(),
    lastAt: moment('last_at').notNull(),
    /** From when on nothing of it counts. */
    expiresAt: moment('expires_at').notNull(),
  },
  table => [index('password_tries_expiry').on(table.expiresAt)],
)

/** Devices from which somebody has signed in: strangers who guess do not use up their tries. */
export const knownDevices = pgTable(
  'known_devices',
  {
    accountId: uuid('account_id')
      .notNull()
      .references(() => accounts.id, { onDelete: 'cascade' }),
    /** SHA-256 of the id that the device keeps, base64url. */
    deviceHash: text('device_hash').notNull(),
    lastSeenAt: moment('last_seen_at').notNull(),
  },
  table => [
    primaryKey({ columns: [table.accountId, table.deviceHash] }),
    index('known_devices_seen').on(table.lastSeenAt),
  ],
)

/**
 * What has happened, for good: a trigger refuses changes, and each row's hash is over the one before it, so that a change in
 * spite of that shows. Written by the function `append_events` alone (see the migration).
 */
export const events = pgTable(
  'events',
  {
    seq: bigint('seq', { mode: 'number' }).primaryKey(),
    /** When it was written; when it happened is in the record. */
    at: moment('at').notNull(),
    /** The same as in the record, to be found by. */
    kind: text('kind').notNull(),
    accountId: uuid('account_id'),
    /** JSON, kept as the text that was hashed. */
    record: text('record').notNull(),
    /** SHA-256, hex, of the hash before it, `seq`, `at` in milliseconds and the record, each on a line of its own. */
    hash: text('hash').notNull(),
  },
  table => [index('events_account').on(table.accountId, table.seq), index('events_time').on(table.at)],
)

/** Where the chain of events ends, and where it begins since the oldest were let go. One row. */
export const eventChain = pgTable(
  'event_chain',
  {
    one: boolean('one').primaryKey().default(true),
    seq: bigint('seq', { mode: 'number' }).notNull(),
    hash: text('hash').notNull(),
    /** The last event that was let go, and its hash. */
    baseSeq: bigint('base_seq', { mode: 'number' }).notNull(),
    baseHash: text('base_hash').notNull(),
  },
  table => [check('event_chain_one', sql`${table.one}`)],
)
