/** Statements about what was revoked while tokens of it may still live. Its rows are written by triggers. */
import { desc, not, sql } from 'drizzle-orm'
import type { Db } from './database.js'
import { seconds } from './rows.js'
import { revocations } from './schema.js'

export type Revocation = {
  accountId: string
  /** Null: every token of the account that was issued before `revokedAt`. */
  sessionId: string | null
  revokedAt: Date
  /** When the last session concerned that has one fixed end would have reached it; null where there is none. */
  sessionExpiresAt: Date | null
  sliding: boolean
}

export type RevocationStore = ReturnType<typeof createRevocationStore>

/** `accessTtl`: seconds an ordinary access token lives; that of a session with a fixed end may live as long as it. */
export function createRevocationStore(db: Db, { accessTtl }: { accessTtl: number }) {
  const { accountId, sessionId, revokedAt, sessionExpiresAt, sliding } = revocations
  const relevant = sql`(${revokedAt} > now() - ${seconds(accessTtl)} or (not ${sliding} and ${sessionExpiresAt} > now()))`
  const list = db
    .select({ accountId, sessionId, revokedAt, sessionExpiresAt, sliding })
    .from(revocations)
    .where(relevant)
    .orderBy(desc(revokedAt), desc(revocations.id))
    .limit(sql.placeholder('limit'))
    .prepare('revocations_relevant')

  return {
    /** What some token may still live of, the newest first. */
    listRelevant: (limit: number): Promise<Revocation[]> => list.execute({ limit }),

    /** Deletes what no token can live of any more. Returns how many. */
    deleteOver: async (): Promise<number> => {
      const rows = await db.delete(revocations).where(not(relevant)).returning({ id: revocations.id })
      return rows.length
    },
  }
}
