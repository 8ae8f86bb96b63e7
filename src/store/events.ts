/** Statements about what has happened: appending to the chain, reading it, letting its oldest part go. */
import { and, asc, desc, eq, gt, lt, sql } from 'drizzle-orm'
import type { Db } from './database.js'
import { rowsOf, seconds } from './rows.js'
import { eventChain, events } from './schema.js'

export type StoredEvent = typeof events.$inferSelect
export type EventChain = Omit<typeof eventChain.$inferSelect, 'one'>

export type EventStore = ReturnType<typeof createEventStore>

export function createEventStore(db: Db) {
  return {
    /** Appends records, each the JSON text of one event, in one statement that holds the end of the chain. */
    append: async (records: readonly string[]): Promise<void> => {
      await db.execute(sql`select append_events(array(
        select record from jsonb_array_elements_text(${JSON.stringify(records)}::jsonb) with ordinality as given (record, place)
        order by place))`)
    },

    /** An account's events, the newest first, from before the one named where one is. */
    listOf: (accountId: string, limit: number, before?: number): Promise<StoredEvent[]> =>
      db
        .select()
        .from(events)
        .where(and(eq(events.accountId, accountId), before === undefined ? undefined : lt(events.seq, before)))
        .orderBy(desc(events.seq))
        .limit(limit),

    /** All events after that one, the oldest first. */
    page: (after: number, limit: number): Promise<StoredEvent[]> =>
      db.select().from(events).where(gt(events.seq, after)).orderBy(asc(events.seq)).limit(limit),

    /** Where the chain ends and begins. Undefined: somebody has deleted the row. */
    chain: async (): Promise<EventChain | undefined> => (await db.select().from(eventChain))[0],

    /** Lets go of at most `batch` of the oldest events that are older than that. Returns how many. */
    letGo: async (olderThanSeconds: number, batch: number): Promise<number> => {
      const answer = await db.execute(
        sql`select let_events_go(now() - ${seconds(olderThanSeconds)}, ${batch}::integer) as gone`,
      )
      return rowsOf<{ gone: number }>(answer)[0]?.gone ?? 0
    },
  }
}
