/** Statements about background profiles: one row per account serves both forms, levels and details. */
import { and, eq, ne, sql } from 'drizzle-orm'
import type { Db } from './database.js'
import { type Background, newProfileRow, profileColumns } from './rows.js'
import { accounts, profiles } from './schema.js'

/** The members of a background to write; a member left out stays as it is. */
export type BackgroundPatch = Partial<Background>

const present = ne(profiles.status, 'archived')
const step = { status: 'updated', version: sql`${profiles.version} + 1`, updatedAt: sql`now()` } as const

const nothingTold: Background = {
  softwareLevel: null,
  hardwareBackground: null,
  softwareDetails: null,
  hardwareDetails: null,
}

export type ProfileStore = ReturnType<typeof createProfileStore>

export function createProfileStore(db: Db) {
  const find = db
    .select(profileColumns)
    .from(profiles)
    .where(eq(profiles.accountId, sql.placeholder('accountId')))
    .prepare('profile_by_account')

  return {
    /** The profile, archived or not. */
    find: async (accountId: string) => (await find.execute({ accountId }))[0],

    /**
     * Creates the profile, revives the archived one, or (unless only an absent one may be made) writes the given members of
     * the one that is there. Undefined: there is one already, or there is no such account.
     */
    put: async (accountId: string, patch: BackgroundPatch, only: { absent: boolean } = { absent: false }) => {
      const rows = await db
        .insert(profiles)
        .select(query =>
          query
            .select(newProfileRow({ ...nothingTold, ...patch }, sql`${accounts.id}`))
            .from(accounts)
            .where(eq(accounts.id, accountId)),
        )
        .onConflictDoUpdate({
          target: profiles.accountId,
          set: { ...patch, ...step },
          ...(only.absent ? { setWhere: eq(profiles.status, 'archived') } : {}),
        })
        .returning(profileColumns)
      return rows[0]
    },

    /** Writes the given members of a profile that is there, at that version where one is named. Undefined: absent, archived or another version. */
    update: async (accountId: string, patch: BackgroundPatch, version?: number) => {
      const rows = await db
        .update(profiles)
        .set({ ...patch, ...step })
        .where(
          and(
            eq(profiles.accountId, accountId),
            present,
            version === undefined ? undefined : eq(profiles.version, version),
          ),
        )
        .returning(profileColumns)
      return rows[0]
    },

    /** Archives the profile. Undefined: absent, archived already or another version. */
    archive: async (accountId: string, version?: number) => {
      const rows = await db
        .update(profiles)
        .set({ ...step, status: 'archived' })
        .where(
          and(
            eq(profiles.accountId, accountId),
            present,
            version === undefined ? undefined : eq(profiles.version, version),
          ),
        )
        .returning(profileColumns)
      return rows[0]
    },
  }
}
