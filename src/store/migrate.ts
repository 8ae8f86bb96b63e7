/** Brings a database to the schema of this release, once, however many processes try at the same time. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import { bigint, type PgDatabase, type PgQueryResultHKT, pgSchema } from 'drizzle-orm/pg-core'
import { drizzle as drizzlePglite } from 'drizzle-orm/pglite'
import { migrate as migratePglite } from 'drizzle-orm/pglite/migrator'
import { drizzle as drizzlePostgres } from 'drizzle-orm/postgres-js'
import { migrate as migratePostgres } from 'drizzle-orm/postgres-js/migrator'
import type { Sql } from 'postgres'
import { type Database, DatabaseUnavailable, openConnection, safeErrorFields, withDeadline } from './database.js'

/** A migration that cannot be done, in one sentence for whoever runs it, with neither password nor data in it. */
export class MigrationFailed extends Error {
  override readonly name = 'MigrationFailed'
}

export type MigrationOptions = ({ url: string } | { database: Database }) & {
  /** The folder that drizzle-kit writes; another one than the repository's is for tests. */
  folder?: string
}

/** The same depth below the root from `src/store` as from `dist/store`. */
const releaseFolder = fileURLToPath(new URL('../../drizzle', import.meta.url))

type JournalEntry = { tag: string; when: number }
type AnyDb = Pick<PgDatabase<PgQueryResultHKT, Record<string, unknown>>, 'select'>

/** Where drizzle's migrator keeps what it has applied: `created_at` is the entry's `when`. */
const applied = pgSchema('drizzle').table('__drizzle_migrations', {
  when: bigint('created_at', { mode: 'number' }).notNull(),
})
const noSuchTable = '42P01'

/**
 * Applies what is missing, in one transaction. With a URL it is for any number of processes at once: the first does it and
 * the others wait. Throws MigrationFailed.
 */
export async function migrateDatabase(options: MigrationOptions): Promise<{ applied: number }> {
  const folder = options.folder ?? releaseFolder
  const journal = readJournal(folder)
  return 'url' in options ? migrateUrl(options.url, folder, journal) : migrateEngine(options.database, folder, journal)
}

/** How many migrations of this release the database lacks. More than the release knows is no lack: a newer one was here. */
export async function pendingMigrations(database: Pick<Database, 'db'>, folder = releaseFolder): Promise<number> {
  const done = await findApplied(database.db)
  return readJournal(folder).filter(entry => !done.has(entry.when)).length
}

/** Drizzle applies what is newer than the newest applied one and skips the rest without a word, so time must only rise. */
function readJournal(folder: string): JournalEntry[] {
  const { entries } = JSON.parse(readFileSync(join(folder, 'meta', '_journal.json'), 'utf8')) as {
    entries: JournalEntry[]
  }
  for (const [index, entry] of entries.entries()) {
    const before = entries[index - 1]
    if (before && entry.when <= before.when) {
      throw new MigrationFailed(
        `Migration ${entry.tag} is not younger than ${before.tag} in the journal, so it would be skipped.`,
      )
    }
  }
  return entries
}

async function migrateEngine({ db, engine }: Database, folder: string, journal: JournalEntry[]) {
  if (!engine) throw new MigrationFailed('A database behind a URL is migrated by its URL.')
  return bringUp(db, journal, folder, () => migratePglite(drizzlePglite(engine), { migrationsFolder: folder }))
}

/** The name of the lock that everybody who migrates this database takes: any number, the same in every release. */
const lockId = 4_283_645_105
const connectMs = 10_000

async function migrateUrl(url: string, folder: string, journal: JournalEntry[]) {
  let gone: (error: DatabaseUnavailable) => void = () => {}
  const lost = new Promise<never>((_, reject) => {
    gone = reject
  })
  const connection = openConnection(url, {
    // A migration takes as long as it takes, and so does waiting for another process's.
    settings: { application_name: 'gatehouse-migrate', statement_timeout: '0', lock_timeout: '0' },
    onGone: code => gone(new DatabaseUnavailable(code)),
  })
  const { sql: client } = connection
  const work = async () => {
    await withDeadline(client.unsafe('select 1'), connectMs)
    await client.unsafe(`select pg_advisory_lock(${lockId})`)
    const db = drizzlePostgres(transactional(client))
    return bringUp(db, journal, folder, () => migratePostgres(db, { migrationsFolder: folder }))
  }
  try {
    return await Promise.race([work(), lost])
  } catch (error) {
    const { code } = safeErrorFields(error)
    if (error instanceof MigrationFailed || code === undefined) throw error
    throw new MigrationFailed(`Postgres at ${placeOf(client)} ${troubleOf(code)}.`)
  } finally {
    // The lock ends with its session.
    await client.end({ timeout: 1 })
    connection.destroy()
  }
}

/** The driver's own transactions can crash the process when the connection breaks; on one connection plain statements will do. */
function transactional(client: Sql): Sql {
  const through = {
    options: client.options,
    unsafe: client.unsafe,
    begin: async <Result>(act: (client: unknown) => Promise<Result>): Promise<Result> => {
      await client.unsafe('begin')
      try {
        const result = await act(through)
        await client.unsafe('commit')
        return result
      } catch (error) {
        await client.unsafe('rollback').catch(() => {})
        throw error
      }
    },
  }
  return through as unknown as Sql
}

async function bringUp(db: AnyDb, journal: JournalEntry[], folder: string, migrate: () => Promise<void>) {
  const before = await findApplied(db)
  await migrate().catch(error => {
    throw new MigrationFailed(failureOf(error, journal, folder))
  })
  const after = await findApplied(db)
  const skipped = journal.find(entry => !after.has(entry.when))
  if (skipped) throw new MigrationFailed(`Migration ${skipped.tag} was skipped: a younger one was applied before it.`)
  return { applied: after.size - before.size }
}

async function findApplied(db: AnyDb): Promise<Set<number>> {
  try {
    return new Set((await db.select().from(applied)).map(row => row.when))
  } catch (error) {
    if (safeErrorFields(error).code === noSuchTable) return new Set()
    throw error
  }
}

/** Which migration failed and on what, by names only: the driver's message and detail may repeat rows of the table. */
function failureOf(error: unknown, journal: JournalEntry[], folder: string): string {
  const { query, cause } = error as { query?: string; cause?: Record<string, unknown> }
  const place = readMigrationFiles({ migrationsFolder: folder }).findIndex(({ sql }) => sql.includes(query ?? ''))
  const names = ['table_name', 'table', 'column_name', 'column', 'constraint_name', 'constraint'].flatMap(
    key => cause?.[key] ?? [],
  )
  const about = names.length > 0 ? ` on ${names.join(', ')}` : ''
  const what = journal[place] ? `Migration ${journal[place].tag}` : 'Migrating'
  return `${what} failed with ${safeErrorFields(error).code ?? 'an error'}${about}.`
}

function troubleOf(code: string): string {
  if (code === '28P01' || code === '28000') return `refuses this user or password (${code})`
  if (code === '3D000') return `has no such database (${code})`
  return `is not available (${code})`
}

function placeOf({ options: { host, port, path } }: Sql): string {
  return path || host.map((name, index) => `${name}:${port[index] ?? port[0]}`).join(', ')
}
