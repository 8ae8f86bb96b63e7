/** Statements that move accounts in and out by the hundred: a batch is one statement, so that a crash leaves all of it or nothing. */
import { asc, eq, gt, ne, type SQL, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import type { Db } from './database.js'
import { type Background, rowsOf } from './rows.js'
import { accounts, profiles } from './schema.js'

export type ImportedAccount = {
  id: string
  /** In canonical form. */
  email: string
  emailVerified: boolean
  name: string
  image: string | null
  personalInfo: Record<string, unknown> | null
  /** Null: nobody signs in with a password before one is set by a mailed link. */
  passwordHash: string | null
  /** ISO 8601; null: now. */
  createdAt: string | null
  disabledAt: string | null
  /** Null: nothing was told, and there is no profile. */
  background: Background | null
}

/** `there`: the address has an account, which stays as it is. `id_taken`: the id is that of an account with another address. */
export type Fate = 'made' | 'there' | 'id_taken'

export type ImportStore = ReturnType<typeof createImportStore>

/** Members of the JSON that carries a batch; one parameter, so that the statement is the same for every size. */
const given = (batch: string) => sql`
  given as (
    select * from jsonb_to_recordset(${batch}::jsonb) as row(
      place integer, id uuid, email text, "emailVerified" boolean, name text, image text, "personalInfo" jsonb,
      "passwordHash" text, "createdAt" timestamptz, "disabledAt" timestamptz, background jsonb
    )
  )`

const names = (...columns: PgColumn[]): SQL =>
  sql.join(
    columns.map(column => sql.identifier(column.name)),
    sql`, `,
  )

/** A JSON null is no SQL null. */
const member = (name: string) => sql`nullif(given.background -> ${sql.raw(`'${name}'`)}, 'null'::jsonb)`

const made = sql`
  made as (
    insert into ${accounts} (${names(
      accounts.id,
      accounts.email,
      accounts.emailVerified,
      accounts.name,
      accounts.image,
      accounts.personalInfo,
      accounts.passwordHash,
      accounts.disabledAt,
      accounts.createdAt,
    )})
    select id, email, "emailVerified", name, image, nullif("personalInfo", 'null'::jsonb), "passwordHash", "disabledAt",
      coalesce("createdAt", now())
    from given order by place
    on conflict do nothing
    returning id, email
  )`

const described = sql`
  described as (
    insert into ${profiles} (${names(
      profiles.accountId,
      profiles.softwareLevel,
      profiles.hardwareBackground,
      profiles.softwareDetails,
      profiles.hardwareDetails,
      profiles.status,
      profiles.version,
      profiles.createdAt,
      profiles.updatedAt,
    )})
    select given.id, given.background ->> 'softwareLevel', given.background ->> 'hardwareBackground',
      ${member('softwareDetails')}, ${member('hardwareDetails')}, 'created', 1, now(), now()
    from made join given using (id, email)
    where jsonb_typeof(given.background) = 'object'
  )`

/** What is read of `accounts` here is how it was before the statement. */
const fates = sql`
  select given.place, case
    when made.id is not null then 'made'
    when same.id is not null then 'there'
    else 'id_taken' end as fate
  from given
    left join made using (id, email)
    left join ${accounts} same on same.email = given.email
  order by given.place`

const prospects = sql`
  select given.place, case
    when same.id is not null then 'there'
    when other.id is not null then 'id_taken'
    else 'made' end as fate
  from given
    left join ${accounts} same on same.email = given.email
    left join ${accounts} other on other.id = given.id
  order by given.place`

export type ExportedAccount = Awaited<ReturnType<ImportStore['page']>>[number]

export function createImportStore(db: Db) {
  const ask = async (steps: SQL, batch: readonly ImportedAccount[]): Promise<Fate[]> => {
    const json = JSON.stringify(batch.map((account, place) => ({ place, ...account })))
    const answer: unknown = await db.execute(sql`with ${given(json)}${steps}`)
    return rowsOf<{ fate: Fate }>(answer).map(row => row.fate)
  }

  return {
    /** Inserts the accounts that are not there yet, with their backgrounds; says of each what became of it. */
    insert: (batch: readonly ImportedAccount[]) => ask(sql`, ${made}, ${described} ${fates}`, batch),

    /** Says of each what would become of it. */
    foresee: (batch: readonly ImportedAccount[]) => ask(prospects, batch),

    /** The accounts after that number in the order of their numbers, each with its background unless that is archived. */
    page: async (after: number, limit: number) =>
      db
        .select({
          number: accounts.number,
          id: accounts.id,
          email: accounts.email,
          emailVerified: accounts.emailVerified,
          name: accounts.name,
          image: accounts.image,
          personalInfo: accounts.personalInfo,
          passwordHash: accounts.passwordHash,
          createdAt: accounts.createdAt,
          disabledAt: accounts.disabledAt,
          softwareLevel: profiles.softwareLevel,
          hardwareBackground: profiles.hardwareBackground,
          softwareDetails: profiles.softwareDetails,
          hardwareDetails: profiles.hardwareDetails,
        })
        .from(accounts)
        .leftJoin(profiles, sql`${eq(profiles.accountId, accounts.id)} and ${ne(profiles.status, 'archived')}`)
        .where(gt(accounts.number, after))
        .orderBy(asc(accounts.number))
        .limit(limit),
  }
}
