/** Statements about mailed links: asking for one, and the one statement that uses it up and does what it stands for. */
import { and, asc, eq, gt, isNotNull, isNull, lt, ne, type SQL, sql } from 'drizzle-orm'
import type { Db } from './database.js'
import { accountColumns, json, newNotice, seconds } from './rows.js'
import { accounts, type MailDetails, type MailKind, mails, type Purpose, sessions, verifications } from './schema.js'

export type NewLink = {
  id: string
  mailId: string
  purpose: Purpose
  tokenHash: string
  /** Seconds. */
  lifetime: number
  details: MailDetails
}

/** Whom a link is for: the account of an address, known or not, or the one that asks, perhaps for another address. */
export type LinkFor = { email: string } | { accountId: string; newEmail?: string }

export type PendingLink = { purpose: Purpose; email: string; newEmail: string | null; createdAt: Date; expiresAt: Date }

/** So many links of one purpose are mailed to an account in so many seconds; who asks for more gets the same answer and no mail. */
const mostLinks = 3
const linksWindow = 600

export type VerificationStore = ReturnType<typeof createVerificationStore>

export function createVerificationStore(db: Db) {
  const isLive = gt(verifications.expiresAt, sql`now()`)

  /** Uses the link up. Postgres re-reads a row it has waited for: of two who use one link, the second finds none to delete. */
  const spentBy = (tokenHash: string, purpose: Purpose, accountId?: string) =>
    db.$with('spent').as(
      db
        .delete(verifications)
        .where(
          and(
            eq(verifications.tokenHash, tokenHash),
            eq(verifications.purpose, purpose),
            accountId === undefined ? undefined : eq(verifications.accountId, accountId),
            isLive,
          ),
        )
        .returning({
          accountId: verifications.accountId,
          email: verifications.email,
          newEmail: verifications.newEmail,
        }),
    )

  const matching = (spent: { accountId: SQL | unknown; email: SQL | unknown }) =>
    and(sql`${accounts.id} = ${spent.accountId}`, sql`${accounts.email} = ${spent.email}`, isNull(accounts.disabledAt))

  return {
    /**
     * Makes a link and the mail that carries it. For an unknown or disabled account, for a new address that is taken, and
     * for one link too many, the same statement writes a decoy instead, so that neither answer nor time tells.
     */
    ask: async (link: NewLink, whom: LinkFor): Promise<void> => {
      const recent = sql`(select count(*) from ${verifications} as recent where recent.account_id = ${accounts.id}
        and recent.purpose = ${link.purpose} and recent.created_at > now() - ${seconds(linksWindow)})`
      const newEmail = 'accountId' in whom ? whom.newEmail : undefined
      const isFree =
        newEmail === undefined
          ? undefined
          : sql`not exists (select 1 from ${accounts} as other where other.email = ${newEmail})`
      const isUnverified = link.purpose === 'verify_email' ? eq(accounts.emailVerified, false) : undefined
      const found = db.$with('found').as(
        db
          .select({ id: accounts.id, email: accounts.email, name: accounts.name })
          .from(accounts)
          .where(
            and(
              'email' in whom ? eq(accounts.email, whom.email) : eq(accounts.id, whom.accountId),
              isNull(accounts.disabledAt),
              sql`${recent} < ${mostLinks}`,
              isFree,
              isUnverified,
            ),
          ),
      )
      const made = db.$with('made').as(
        db
          .insert(verifications)
          .select(query =>
            query
              .select({
                id: sql<string>`${link.id}::uuid`.as('id'),
                accountId: sql<string>`${found.id}`.as('account_id'),
                purpose: sql<Purpose>`${link.purpose}::text`.as('purpose'),
                tokenHash: sql<string>`${link.tokenHash}::text`.as('token_hash'),
                email: sql<string>`${found.email}`.as('email'),
                newEmail: sql<string | null>`${newEmail ?? null}::text`.as('new_email'),
                createdAt: sql<Date>`now()`.as('created_at'),
                expiresAt: sql<Date>`now() + ${seconds(link.lifetime)}`.as('expires_at'),
              })
              .from(found),
          )
          .returning({
            id: verifications.id,
            accountId: verifications.accountId,
            email: verifications.email,
            newEmail: verifications.newEmail,
          }),
      )
      await db
        .with(found, made)
        .insert(mails)
        .select(query =>
          query
            .select({
              id: sql<string>`${link.mailId}::uuid`.as('id'),
              accountId: sql<string | null>`${made.accountId}`.as('account_id'),
              kind: sql<MailKind>`case when ${made.id} is null then 'decoy' else ${link.purpose}::text end`.as('kind'),
              recipient: sql<string | null>`coalesce(${made.newEmail}, ${made.email})`.as('recipient'),
              verificationId: sql<string | null>`${made.id}`.as('verification_id'),
              details: sql<MailDetails>`${json(link.details)}`.as('details'),
              attempts: sql<number>`0`.as('attempts'),
              createdAt: sql<Date>`now()`.as('created_at'),
              dueAt: sql<Date>`now()`.as('due_at'),
            })
            .from(sql`(select 1) as one`)
            .leftJoin(made, sql`true`),
        )
    },

    /** The account that a live link is about, without using it up. */
    find: async (tokenHash: string, purpose: Purpose) => {
      const rows = await db
        .select({ account: accountColumns })
        .from(verifications)
        .innerJoin(accounts, and(eq(accounts.id, verifications.accountId), eq(accounts.email, verifications.email)))
        .where(
          and(
            eq(verifications.tokenHash, tokenHash),
            eq(verifications.purpose, purpose),
            isLive,
            isNull(accounts.disabledAt),
          ),
        )
      return rows[0]?.account
    },

    /** Marks the address as verified. Undefined: no such link (any more). */
    verifyEmail: async (tokenHash: string) => {
      const spent = spentBy(tokenHash, 'verify_email')
      const rows = await db
        .with(spent)
        .update(accounts)
        .set({ emailVerified: true, updatedAt: sql`now()` })
        .from(spent)
        .where(matching(spent))
        .returning(accountColumns)
      return rows[0]
    },

    /**
     * Sets the new password, marks the address, to which the link was mailed, as verified, and ends every session, or
     * leaves them their cookies and ends every refresh token. Undefined: no such link (any more).
     */
    resetPassword: async (
      tokenHash: string,
      newHash: string,
      { endSessions, mailId }: { endSessions: boolean; mailId: string },
    ) => {
      const spent = spentBy(tokenHash, 'reset_password')
      const changed = db
        .$with('changed')
        .as(
          db
            .update(accounts)
            .set({ passwordHash: newHash, emailVerified: true, updatedAt: sql`now()` })
            .from(spent)
            .where(matching(spent))
            .returning(accountColumns),
        )
      const ended = db.$with('ended').as(
        db
          .update(sessions)
          .set(
            endSessions
              ? { endedAt: sql`now()`, endReason: 'password_changed' }
              : { generation: sql`${sessions.generation} + 1`, rotatedAt: sql`now()`, replays: -1 },
          )
          .from(changed)
          .where(and(sql`${sessions.accountId} = ${changed.id}`, isNull(sessions.endedAt)))
          .returning({ id: sessions.id }),
      )
      // Whatever else was mailed to confirm something is void with the old password.
      const voided = db.$with('voided').as(
        db
          .delete(verifications)
          .where(
            and(
              sql`${verifications.accountId} = (select id from ${changed})`,
              ne(verifications.tokenHash, tokenHash),
              ne(verifications.purpose, 'verify_email'),
            ),
          )
          .returning({ id: verifications.id }),
      )
      const told = db.$with('told').as(
        db
          .insert(mails)
          .select(query =>
            query
              .select(newNotice({ id: mailId, kind: 'password_reset' }, sql`${changed.id}`, sql`${changed.email}`))
              .from(changed),
          )
          .returning({ id: mails.id }),
      )
      const rows = await db.with(spent, changed, ended, voided, told).select().from(changed)
      return rows[0]
    },

    /**
     * Gives the account its new address, and tells the old one. Undefined: no such link (any more). Throws a unique
     * violation where somebody else has taken the address meanwhile.
     */
    changeEmail: async (tokenHash: string, mailId: string) => {
      const spent = spentBy(tokenHash, 'change_email')
      const changed = db.$with('changed').as(
        db
          .update(accounts)
          .set({ email: sql`${spent.newEmail}`, emailVerified: true, updatedAt: sql`now()` })
          .from(spent)
          .where(and(matching(spent), isNotNull(spent.newEmail)))
          .returning(accountColumns),
      )
      const told = db.$with('told').as(
        db
          .insert(mails)
          .select(query =>
            query
              .select(newNotice({ id: mailId, kind: 'email_changed' }, sql`${spent.accountId}`, sql`${spent.email}`))
              .from(spent),
          )
          .returning({ id: mails.id }),
      )
      const rows = await db.with(spent, changed, told).select().from(changed)
      return rows[0]
    },

    /** Deletes the account. Undefined: no such link (any more), or it is another account's than the one that asks, and stays good. */
    deleteAccount: async (tokenHash: string, accountId: string) => {
      const spent = spentBy(tokenHash, 'delete_account', accountId)
      const rows = await db
        .with(spent)
        .delete(accounts)
        .where(and(eq(accounts.id, accountId), sql`${accounts.id} = (select account_id from ${spent})`))
        .returning({ id: accounts.id })
      return rows[0]?.id
    },

    /** Links of an account that have not been used and are not over. */
    listPending: (accountId: string): Promise<PendingLink[]> =>
      db
        .select({
          purpose: verifications.purpose,
          email: verifications.email,
          newEmail: verifications.newEmail,
          createdAt: verifications.createdAt,
          expiresAt: verifications.expiresAt,
        })
        .from(verifications)
        .where(and(eq(verifications.accountId, accountId), isLive))
        .orderBy(asc(verifications.createdAt), asc(verifications.id)),

    /** Deletes links whose time is over. Returns how many. */
    deleteOver: async (): Promise<number> => {
      const rows = await db
        .delete(verifications)
        .where(lt(verifications.expiresAt, sql`now()`))
        .returning({ id: verifications.id })
      return rows.length
    },
  }
}
