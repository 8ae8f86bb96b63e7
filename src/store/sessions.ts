/** Statements about sessions: finding the live one, rotating its refresh generation, ending it. */
import { and, desc, eq, gt, isNull, ne, or, sql } from 'drizzle-orm'
import type { Db } from './database.js'
import { accountColumns, now, seconds, sessionColumns } from './rows.js'
import { accounts, type EndReason, sessions } from './schema.js'

export type Rotation = {
  id: string
  accountId: string
  /** The generation that the presented refresh token names. */
  generation: number
  /** `exp` of the presented token, seconds since the epoch. */
  tokenExpiry: number
}

export type RotationLimits = {
  /** Seconds in which a predecessor is answered with the successor it already made. */
  leeway: number
  /** How often that may happen in one generation. */
  maxReplays: number
  /** Seconds a refresh token lives. */
  refreshTtl: number
  /** Seconds after which a session ends whatever happens. */
  maxAge: number
}

const presentedGeneration = sql`${sql.placeholder('generation')}::integer`

const live = and(isNull(sessions.endedAt), gt(sessions.expiresAt, sql`now()`))

const endedColumns = { id: sessions.id, accountId: sessions.accountId }

/** The assignment that ends a session. */
const ending = (reason: EndReason) => ({ endedAt: sql`now()`, endReason: reason })

export type SessionStore = ReturnType<typeof createSessionStore>

export function createSessionStore(db: Db, limits: RotationLimits) {
  const liveWithAccount = () =>
    db
      .select({ account: accountColumns, session: sessionColumns, now })
      .from(sessions)
      .innerJoin(accounts, eq(accounts.id, sessions.accountId))

  const findLiveById = liveWithAccount()
    .where(and(eq(sessions.id, sql.placeholder('id')), live, isNull(accounts.disabledAt)))
    .prepare('session_by_id')

  const findLiveByTokenHash = liveWithAccount()
    .where(and(eq(sessions.tokenHash, sql.placeholder('tokenHash')), live, isNull(accounts.disabledAt)))
    .prepare('session_by_token')

  const rotate = db
    .update(sessions)
    .set(rotation(limits))
    .from(accounts)
    .where(
      and(
        eq(sessions.id, sql.placeholder('id')),
        eq(sessions.accountId, sql.placeholder('accountId')),
        live,
        sql`to_timestamp(${sql.placeholder('tokenExpiry')}::double precision) > now()`,
        // A password change leaves no predecessor: what was handed out before it is refused, and says nothing of theft.
        sql`not (${sessions.replays} < 0 and ${sessions.generation} > ${presentedGeneration})`,
        eq(accounts.id, sessions.accountId),
        isNull(accounts.disabledAt),
      ),
    )
    .returning({ account: accountColumns, session: sessionColumns, now })
    .prepare('session_rotate')

  return {
    /** The live session of an id with its account and the database's time, or undefined. */
    findLiveById: async (id: string) => (await findLiveById.execute({ id }))[0],

    findLiveByTokenHash: async (tokenHash: string) => (await findLiveByTokenHash.execute({ tokenHash }))[0],

    /**
     * One step of the refresh state table, decided by the row alone: rotated, replayed, or ended for reuse
     * (then `session.endedAt` is set). Undefined: no live session of that account, or the token has expired
     * or is from before a password change.
     */
    rotate: async (input: Rotation) => (await rotate.execute(input))[0],

    /** Notes that the session was used; moves its end where it slides and that is due. Returns the row, or undefined once it is over. */
    touch: async (id: string, slide: { lifetime: number; grain: number } | undefined) => {
      const later = slide
        ? sql`case when ${sessions.sliding} and ${sessions.expiresAt} < now() + ${seconds(slide.lifetime - slide.grain)}
              then greatest(${sessions.expiresAt}, least(now() + ${seconds(slide.lifetime)}, ${sessions.createdAt} + ${seconds(limits.maxAge)}))
              else ${sessions.expiresAt} end`
        : sql`${sessions.expiresAt}`
      const rows = await db
        .update(sessions)
        .set({ lastUsedAt: sql`now()`, expiresAt: later })
        .where(and(eq(sessions.id, id), live))
        .returning(sessionColumns)
      return rows[0]
    },

    /** Live sessions of an account, the last used first. */
    listLive: (accountId: string) =>
      db
        .select(sessionColumns)
        .from(sessions)
        .where(and(eq(sessions.accountId, accountId), live))
        .orderBy(desc(sessions.lastUsedAt), desc(sessions.id)),

    /** All rows of an account's sessions, those that are over too, the newest first. */
    listEvery: (accountId: string) =>
      db
        .select(sessionColumns)
        .from(sessions)
        .where(eq(sessions.accountId, accountId))
        .orderBy(desc(sessions.createdAt), desc(sessions.id)),

    /** Ends one live session of the account, named by its id or by the hash of its token. Undefined: there was none. */
    endOne: async (accountId: string, name: { id: string } | { tokenHash: string }, reason: EndReason) => {
      const named = 'id' in name ? eq(sessions.id, name.id) : eq(sessions.tokenHash, name.tokenHash)
      const rows = await db
        .update(sessions)
        .set(ending(reason))
        .where(and(eq(sessions.accountId, accountId), named, live))
        .returning(endedColumns)
      return rows[0]
    },

    /** Ends whatever live session has this token hash; for a cookie that another sign-in replaces or a logout names. Undefined: none has. */
    endByTokenHash: async (tokenHash: string, reason: EndReason) => {
      const rows = await db
        .update(sessions)
        .set(ending(reason))
        .where(and(eq(sessions.tokenHash, tokenHash), live))
        .returning(endedColumns)
      return rows[0]
    },

    /** Ends every live session of the account, but the one named where one is. */
    endAll: async (accountId: string, reason: EndReason, except?: string) => {
      await db
        .update(sessions)
        .set(ending(reason))
        .where(and(eq(sessions.accountId, accountId), live, except === undefined ? undefined : ne(sessions.id, except)))
    },

    /** Deletes at most `batch` sessions that were over for `graceSeconds`, skipping rows somebody holds. Returns how many. */
    deleteOver: async (graceSeconds: number, batch: number) => {
      const over = db
        .select({ id: sessions.id })
        .from(sessions)
        .where(
          or(
            sql`${sessions.expiresAt} < now() - ${seconds(graceSeconds)}`,
            sql`${sessions.endedAt} < now() - ${seconds(graceSeconds)}`,
          ),
        )
        .limit(batch)
        .for('update', { skipLocked: true })
      const rows = await db.delete(sessions).where(sql`${sessions.id} in ${over}`).returning({ id: sessions.id })
      return rows.length
    },
  }
}

/**
 * The refresh state table as one assignment. Postgres re-reads the row after a lock wait (READ COMMITTED), so that of
 * many parallel refreshes with one token exactly one sees `generation = presented`; the others see themselves one behind.
 */
function rotation(limits: RotationLimits) {
  const current = sql`${sessions.generation} = ${presentedGeneration}`
  const predecessor = sql`${sessions.generation} - 1 = ${presentedGeneration}`
  // For a statement that waited for the rotation, `now()` lies before it: no leeway has to say so.
  const inLeeway = limits.leeway === 0 ? sql`false` : sql`now() - ${sessions.rotatedAt} <= ${seconds(limits.leeway)}`
  const replay = sql`${predecessor} and ${inLeeway} and ${sessions.replays} < ${limits.maxReplays}::integer`
  return {
    generation: sql`case when ${current} then ${sessions.generation} + 1 else ${sessions.generation} end`,
    rotatedAt: sql`case when ${current} then now() else ${sessions.rotatedAt} end`,
    replays: sql`case when ${current} then 0 when ${replay} then ${sessions.replays} + 1 else ${sessions.replays} end`,
    lastUsedAt: sql`now()`,
    expiresAt: sql`case when ${current}
      then greatest(${sessions.expiresAt}, least(now() + ${seconds(limits.refreshTtl)}, ${sessions.createdAt} + ${seconds(limits.maxAge)}))
      else ${sessions.expiresAt} end`,
    endedAt: sql`case when ${current} or (${replay}) then null::timestamptz else now() end`,
    endReason: sql`case when ${current} or (${replay}) then null else 'reuse' end`,
  }
}
