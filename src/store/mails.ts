/** Statements about mails that are to be sent: taking some to try, and what became of each. */
import { and, asc, eq, inArray, lte, sql } from 'drizzle-orm'
import type { Db } from './database.js'
import { newNotice, type Session, seconds } from './rows.js'
import { accounts, type MailDetails, type MailKind, mails, sessions, verifications } from './schema.js'

export type DueMail = {
  id: string
  kind: MailKind
  recipient: string | null
  /** The name of the person, empty where unknown. */
  name: string | null
  verificationId: string | null
  tokenHash: string | null
  details: MailDetails
  /** Tries so far, this one included. */
  attempts: number
  /** Seconds since it was to be sent. */
  age: number
}

export type MailStore = ReturnType<typeof createMailStore>

export function createMailStore(db: Db) {
  return {
    /**
     * Takes mails that are due, the oldest first. They are nobody else's for `lease` seconds: whoever dies meanwhile leaves
     * them to be tried again, so that each is sent at least once.
     */
    take: async (limit: number, lease: number): Promise<DueMail[]> => {
      const due = db
        .$with('due')
        .as(
          db
            .select({ id: mails.id })
            .from(mails)
            .where(lte(mails.dueAt, sql`now()`))
            .orderBy(asc(mails.dueAt), asc(mails.id))
            .limit(limit)
            .for('update', { skipLocked: true }),
        )
      const taken = db.$with('taken').as(
        db
          .update(mails)
          .set({ attempts: sql`${mails.attempts} + 1`, dueAt: sql`now() + ${seconds(lease)}` })
          .where(inArray(mails.id, sql`(select id from ${due})`))
          .returning(),
      )
      return db
        .with(due, taken)
        .select({
          id: taken.id,
          kind: taken.kind,
          recipient: taken.recipient,
          name: accounts.name,
          verificationId: taken.verificationId,
          tokenHash: verifications.tokenHash,
          details: taken.details,
          attempts: taken.attempts,
          age: sql<number>`extract(epoch from now() - ${taken.createdAt})`.mapWith(Number),
        })
        .from(taken)
        .leftJoin(accounts, eq(accounts.id, taken.accountId))
        .leftJoin(verifications, eq(verifications.id, taken.verificationId))
    },

    /** Writes a mail about a session, where the account has had others and none from such a device. */
    tellNewDevice: async (id: string, accountId: string, session: Session): Promise<void> => {
      const others = sql`select 1 from ${sessions} as other where other.account_id = ${accountId} and other.id <> ${session.id}`
      const details: MailDetails = {
        ...(session.userAgent === null ? {} : { userAgent: session.userAgent }),
        ...(session.ipAddress === null ? {} : { ipAddress: session.ipAddress }),
      }
      await db.insert(mails).select(query =>
        query
          .select(newNotice({ id, kind: 'new_device', details }, sql`${accounts.id}`, sql`${accounts.email}`))
          .from(accounts)
          .where(
            and(
              eq(accounts.id, accountId),
              sql`exists (${others})`,
              sql`not exists (${others} and other.user_agent is not distinct from ${session.userAgent})`,
            ),
          ),
      )
    },

    /** The mail has gone, or will never go. */
    remove: async (id: string): Promise<void> => {
      await db.delete(mails).where(eq(mails.id, id))
    },

    /** To be tried again in so many seconds. */
    postpone: async (id: string, delay: number): Promise<void> => {
      await db
        .update(mails)
        .set({ dueAt: sql`now() + ${seconds(delay)}` })
        .where(eq(mails.id, id))
    },
  }
}
