/** What queries answer with: the public columns of each table, the types of those rows, and new rows for `insert … select`. */
import { getTableColumns, type SQL, sql } from 'drizzle-orm'
import {
  accounts,
  type HardwareBackground,
  type HardwareDetails,
  type MailDetails,
  type MailKind,
  profiles,
  type SoftwareDetails,
  type SoftwareLevel,
  sessions,
} from './schema.js'

const { passwordHash: _hash, disabledAt: _disabled, ...publicAccountColumns } = getTableColumns(accounts)
const { tokenHash: _token, ...publicSessionColumns } = getTableColumns(sessions)

export const accountColumns = publicAccountColumns
export const sessionColumns = publicSessionColumns
export const profileColumns = getTableColumns(profiles)

/** An account as everybody but the password check sees it: without the hash. */
export type Account = Omit<typeof accounts.$inferSelect, 'passwordHash' | 'disabledAt'>

/** A session as everybody but the store sees it: without the hash of its token. */
export type Session = Omit<typeof sessions.$inferSelect, 'tokenHash'>

export type Profile = typeof profiles.$inferSelect

/** What may be told about a background; null: not told. */
export type Background = {
  softwareLevel: SoftwareLevel | null
  hardwareBackground: HardwareBackground | null
  softwareDetails: SoftwareDetails | null
  hardwareDetails: HardwareDetails | null
}

export type NewSession = {
  id: string
  tokenHash: string
  /** Seconds until it expires when nothing moves that. */
  lifetime: number
  sliding: boolean
  userAgent: string | null
  ipAddress: string | null
}

/** The database's clock, as a column. */
export const now = sql`now()`.mapWith(sessions.createdAt)

export const seconds = (count: unknown): SQL => sql`make_interval(secs => ${count}::double precision)`

export const json = (value: unknown): SQL => (value === null ? sql`null::jsonb` : sql`${JSON.stringify(value)}::jsonb`)

/** Of a statement in SQL: postgres.js answers with the rows, PGlite with an object that has them. */
export const rowsOf = <Row>(answer: unknown): Row[] =>
  Array.isArray(answer) ? answer : (answer as { rows: Row[] }).rows

/** The row of a new session, in table order; `accountId` is a column of the statement's source. */
export const newSessionRow = (session: NewSession, accountId: SQL) => ({
  id: sql<string>`${session.id}::uuid`.as('id'),
  accountId: sql<string>`${accountId}`.as('account_id'),
  tokenHash: sql<string>`${session.tokenHash}::text`.as('token_hash'),
  generation: sql<number>`0`.as('generation'),
  rotatedAt: sql<Date>`now()`.as('rotated_at'),
  replays: sql<number>`0`.as('replays'),
  sliding: sql<boolean>`${session.sliding}::boolean`.as('sliding'),
  createdAt: sql<Date>`now()`.as('created_at'),
  lastUsedAt: sql<Date>`now()`.as('last_used_at'),
  expiresAt: sql<Date>`now() + ${seconds(session.lifetime)}`.as('expires_at'),
  endedAt: sql<null>`null::timestamptz`.as('ended_at'),
  endReason: sql<null>`null::text`.as('end_reason'),
  userAgent: sql<string | null>`${session.userAgent}::text`.as('user_agent'),
  ipAddress: sql<string | null>`${session.ipAddress}::text`.as('ip_address'),
})

/** The row of a new mail without a link, in table order; the account and the address are columns of the statement's source. */
export const newNotice = (
  mail: { id: string; kind: MailKind; details?: MailDetails },
  accountId: SQL,
  recipient: SQL,
) => ({
  id: sql<string>`${mail.id}::uuid`.as('id'),
  accountId: sql<string | null>`${accountId}`.as('account_id'),
  kind: sql<MailKind>`${mail.kind}::text`.as('kind'),
  recipient: sql<string | null>`${recipient}`.as('recipient'),
  verificationId: sql<string | null>`null::uuid`.as('verification_id'),
  details: sql<MailDetails>`${json(mail.details ?? {})}`.as('details'),
  attempts: sql<number>`0`.as('attempts'),
  createdAt: sql<Date>`now()`.as('created_at'),
  dueAt: sql<Date>`now()`.as('due_at'),
})

/** The row of a new profile, in table order; `accountId` is a column of the statement's source. */
export const newProfileRow = (background: Background, accountId: SQL) => ({
  accountId: sql<string>`${accountId}`.as('account_id'),
  softwareLevel: sql<SoftwareLevel | null>`${background.softwareLevel}::text`.as('software_level'),
  hardwareBackground: sql<HardwareBackground | null>`${background.hardwareBackground}::text`.as('hardware_background'),
  softwareDetails: sql<SoftwareDetails | null>`${json(background.softwareDetails)}`.as('software_details'),
  hardwareDetails: sql<HardwareDetails | null>`${json(background.hardwareDetails)}`.as('hardware_details'),
  status: sql<'created'>`'created'`.as('status'),
  version: sql<number>`1`.as('version'),
  createdAt: sql<Date>`now()`.as('created_at'),
  updatedAt: sql<Date>`now()`.as('updated_at'),
})
