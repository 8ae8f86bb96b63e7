/** Statements about accounts. Each write is one statement, so that a crash leaves all of it or nothing. */

import type { WithSubquery } from 'drizzle-orm'
import { and, eq, isNull, ne, sql } from 'drizzle-orm'
import type { Db } from './database.js'
import {
  accountColumns,
  type Background,
  type NewSession,
  newProfileRow,
  newSessionRow,
  sessionColumns,
} from './rows.js'
import { accounts, profiles, sessions } from './schema.js'

export type NewAccount = {
  id: string
  email: string
  name: string
  image: string | null
  personalInfo: Record<string, unknown> | null
  passwordHash: string
}

/** The members to write; one that is undefined stays as it is. */
export type AccountPatch = {
  name?: string | undefined
  image?: string | null | undefined
  personalInfo?: Record<string, unknown> | null | undefined
}

export type PasswordChange = { accountId: string; checkedHash: string; newHash: string }

/** A refresh token nobody has seen yet becomes the live one, and has no predecessor. */
const nextGeneration = { generation: sql`${sessions.generation} + 1`, rotatedAt: sql`now()`, replays: -1 }

export type AccountStore = ReturnType<typeof createAccountStore>

export function createAccountStore(db: Db) {
  const findByEmail = db
    .select({ account: accountColumns, passwordHash: accounts.passwordHash, disabledAt: accounts.disabledAt })
    .from(accounts)
    .where(eq(accounts.email, sql.placeholder('email')))
    .prepare('account_by_email')

  /** The first step of a change: the new hash, only while the old one is still the one that was checked. */
  const changedBy = (change: PasswordChange) =>
    db.$with('changed').as(
      db
        .update(accounts)
        .set({ passwordHash: change.newHash, updatedAt: sql`now()` })
        .where(and(eq(accounts.id, change.accountId), eq(accounts.passwordHash, change.checkedHash)))
        .returning(accountColumns),
    )

  /** The first steps of a registration: the account, unless the address is taken, and what it told of its background. */
  const insertion = (account: NewAccount, background: Background | undefined) => {
    const made = db
      .$with('made')
      .as(db.insert(accounts).values(account).onConflictDoNothing({ target: accounts.email }).returning(accountColumns))
    const described: WithSubquery[] = []
    if (background) {
      const insert = db
        .insert(profiles)
        .select(query => query.select(newProfileRow(background, sql`${made.id}`)).from(made))
        .returning({ accountId: profiles.accountId })
      described.push(db.$with('described').as(insert))
    }
    return { made, described }
  }

  return {
    findByEmail: async (email: string) => (await findByEmail.execute({ email }))[0],

    findPasswordHash: async (id: string) => {
      const rows = await db.select({ passwordHash: accounts.passwordHash }).from(accounts).where(eq(accounts.id, id))
      return rows[0]?.passwordHash ?? undefined
    },

    /** Inserts the account, its first session and its background together. Undefined: the unique index has the address already. */
    insertWithSession: async (account: NewAccount, session: NewSession, background?: Background) => {
      const { made, described } = insertion(account, background)
      const opened = db.$with('opened').as(
        db
          .insert(sessions)
          .select(query => query.select(newSessionRow(session, sql`${made.id}`)).from(made))
          .returning(sessionColumns),
      )
      const rows = await db
        .with(made, opened, ...described)
        .select()
        .from(made)
        .innerJoin(opened, eq(opened.accountId, made.id))
      return rows[0] && { account: rows[0].made, session: rows[0].opened }
    },

    /** Inserts the account and its background, and nobody is signed in. Undefined: the unique index has the address already. */
    insert: async (account: NewAccount, background?: Background) => {
      const { made, described } = insertion(account, background)
      const rows = await db
        .with(made, ...described)
        .select()
        .from(made)
      return rows[0]
    },

    /** Opens a session for an account whose password hash is still the one that was checked. Undefined: it is not, or it is disabled. */
    openSession: async (accountId: string, checkedHash: string, session: NewSession) => {
      const rows = await db
        .insert(sessions)
        .select(query =>
          query
            .select(newSessionRow(session, sql`${accounts.id}`))
            .from(accounts)
            .where(
              and(eq(accounts.id, accountId), eq(accounts.passwordHash, checkedHash), isNull(accounts.disabledAt)),
            ),
        )
        .returning(sessionColumns)
      return rows[0]
    },

    /** Writes the members that are given. Undefined: there is no such account. */
    update: async (id: string, patch: AccountPatch) => {
      const rows = await db
        .update(accounts)
        .set({ ...patch, updatedAt: sql`now()` })
        .where(eq(accounts.id, id))
        .returning(accountColumns)
      return rows[0]
    },

    /** Replaces a hash only while it is still the one that was checked, so that a change in between wins. */
    replaceHash: async (change: PasswordChange) => {
      await db
        .update(accounts)
        .set({ passwordHash: change.newHash })
        .where(and(eq(accounts.id, change.accountId), eq(accounts.passwordHash, change.checkedHash)))
    },

    /**
     * Sets the new password; the session named goes on, one refresh generation further if asked, and the others end if asked.
     * Undefined: the password was changed, or that session ended, meanwhile.
     */
    changePasswordKeeping: async (
      change: PasswordChange,
      keep: string,
      { endOthers, renewRefresh }: { endOthers: boolean; renewRefresh: boolean },
    ) => {
      const changed = changedBy(change)
      const ended = db.$with('ended').as(
        db
          .update(sessions)
          .set({ endedAt: sql`now()`, endReason: 'password_changed' })
          .from(changed)
          .where(
            and(
              eq(sessions.accountId, changed.id),
              isNull(sessions.endedAt),
              ne(sessions.id, keep),
              sql`${endOthers}::boolean`,
            ),
          )
          .returning({ id: sessions.id }),
      )
      const kept = db.$with('kept').as(
        db
          .update(sessions)
          .set({ lastUsedAt: sql`now()`, ...(renewRefresh ? nextGeneration : {}) })
          .from(changed)
          .where(and(eq(sessions.accountId, changed.id), isNull(sessions.endedAt), eq(sessions.id, keep)))
          .returning(sessionColumns),
      )
      const rows = await db
        .with(changed, ended, kept)
        .select()
        .from(changed)
        .innerJoin(kept, eq(kept.accountId, changed.id))
      return rows[0] && { account: rows[0].changed, session: rows[0].kept }
    },

    /** Sets the new password, ends every session and opens a new one. Undefined: the password was changed meanwhile. */
    changePasswordReplacing: async (change: PasswordChange, successor: NewSession) => {
      const changed = changedBy(change)
      const ended = db.$with('ended').as(
        db
          .update(sessions)
          .set({ endedAt: sql`now()`, endReason: 'password_changed' })
          .from(changed)
          .where(and(eq(sessions.accountId, changed.id), isNull(sessions.endedAt)))
          .returning({ id: sessions.id }),
      )
      const opened = db.$with('opened').as(
        db
          .insert(sessions)
          .select(query => query.select(newSessionRow(successor, sql`${changed.id}`)).from(changed))
          .returning(sessionColumns),
      )
      const rows = await db
        .with(changed, ended, opened)
        .select()
        .from(changed)
        .innerJoin(opened, eq(opened.accountId, changed.id))
      return rows[0] && { account: rows[0].changed, session: rows[0].opened }
    },

    /** Deletes the account with everything that is its own, while the password is still the one that was checked (where one was). */
    delete: async (id: string, checkedHash?: string) => {
      const rows = await db
        .delete(accounts)
        .where(and(eq(accounts.id, id), checkedHash === undefined ? undefined : eq(accounts.passwordHash, checkedHash)))
        .returning({ id: accounts.id })
      return rows.length > 0
    },
  }
}
