/** Statements about the log of personalised interactions. */
import { and, asc, avg, count, desc, eq, ne, sql } from 'drizzle-orm'
import type { Db } from './database.js'
import { accounts, type BackgroundSnapshot, interactions, profiles } from './schema.js'

export type Interaction = typeof interactions.$inferSelect

export type NewInteraction = { id: string; accountId: string; contentType: string; effectiveness: number | null }

/** Where a page begins: after this row, in the order newest first. */
export type InteractionPosition = { createdAt: Date; id: string }

export type InteractionStore = ReturnType<typeof createInteractionStore>

export function createInteractionStore(db: Db) {
  return {
    /** Records an interaction with the background as it stands in this very statement. Undefined: no such account. */
    insert: async (interaction: NewInteraction) => {
      const snapshot = sql<BackgroundSnapshot>`jsonb_build_object(
        'software_level', ${profiles.softwareLevel}, 'hardware_background', ${profiles.hardwareBackground},
        'software_details', ${profiles.softwareDetails}, 'hardware_details', ${profiles.hardwareDetails})`
      const rows = await db
        .insert(interactions)
        .select(query =>
          query
            .select({
              id: sql<string>`${interaction.id}::uuid`.as('id'),
              accountId: sql<string>`${accounts.id}`.as('account_id'),
              contentType: sql<string>`${interaction.contentType}::text`.as('content_type'),
              backgroundUsed: snapshot.as('background_used'),
              effectiveness: sql<number | null>`${interaction.effectiveness}::double precision`.as('effectiveness'),
              createdAt: sql<Date>`now()`.as('created_at'),
            })
            .from(accounts)
            .leftJoin(profiles, and(eq(profiles.accountId, accounts.id), ne(profiles.status, 'archived')))
            .where(eq(accounts.id, interaction.accountId)),
        )
        .returning()
      return rows[0]
    },

    /** At most `limit` interactions of the account, newest first, after the position given. */
    list: (accountId: string, limit: number, after?: InteractionPosition) =>
      db
        .select()
        .from(interactions)
        .where(
          and(
            eq(interactions.accountId, accountId),
            after &&
              sql`(${interactions.createdAt}, ${interactions.id}) < (${after.createdAt.toISOString()}::timestamptz, ${after.id}::uuid)`,
          ),
        )
        .orderBy(desc(interactions.createdAt), desc(interactions.id))
        .limit(limit),

    /** Per content type: how many, and the mean of the ratings given (null where nobody rated). */
    summarise: (accountId: string) =>
      db
        .select({
          contentType: interactions.contentType,
          count: count(),
          averageEffectiveness: avg(interactions.effectiveness).mapWith(Number),
        })
        .from(interactions)
        .where(eq(interactions.accountId, accountId))
        .groupBy(interactions.contentType)
        .orderBy(asc(interactions.contentType)),
  }
}
