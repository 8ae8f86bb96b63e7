/** What is confirmed by a mailed link: an address, a new password, a new address, the end of an account. */
import { createHmac, hkdfSync } from 'node:crypto'
import type { MailStore } from '../store/mails.js'
import type { Account, Session } from '../store/rows.js'
import type { MailDetails, Purpose } from '../store/schema.js'
import type { VerificationStore } from '../store/verifications.js'
import { canonicalEmail } from './emails.js'
import { AuthError } from './errors.js'
import type { EventKind, Events } from './events.js'
import type { Guessing } from './guessing.js'
import type { Passwords } from './passwords.js'
import { type Identity, isFresh } from './sessions.js'
import { hashToken, type Sources } from './sources.js'
import type { Visit } from './visit.js'

/** Where a link leads: which dialect's address it names, and where that dialect sends the person afterwards. */
export type LinkTarget = Pick<MailDetails, 'door' | 'callbackUrl'>

export type VerificationSettings = {
  /** Seconds a link lives. */
  linkTtl: number
  /** Whether a reset ends the sessions themselves; refresh tokens it ends always. */
  resetEndsSessions: boolean
}

export type VerificationWorld = {
  store: VerificationStore
  mails: Pick<MailStore, 'tellNewDevice'>
  passwords: Passwords
  sources: Sources
  links: LinkTokens
  guessing: Guessing
  events: Events
  settings: VerificationSettings
  /** Wakes whoever sends mails; undefined: there is nobody who could. */
  mailer: { wake(): void } | undefined
  isUniqueViolation(error: unknown): boolean
}

const requested = {
  reset_password: 'password_reset_requested',
  verify_email: 'email_verification_requested',
} as const

export type Verifications = ReturnType<typeof createVerifications>

export function createVerifications(world: VerificationWorld) {
  const { store, mails, passwords, sources, links, guessing, events, settings, mailer, isUniqueViolation } = world

  /** Throws mail_off where nobody could send what would be written. */
  const demandMail = () => {
    if (!mailer) throw new AuthError('mail_off')
    return mailer
  }

  const ask = async (purpose: Purpose, whom: Parameters<VerificationStore['ask']>[1], details: MailDetails) => {
    const mailer = demandMail()
    const id = sources.id()
    const tokenHash = hashToken(links.tokenOf(id))
    await store.ask({ id, mailId: sources.id(), purpose, tokenHash, lifetime: settings.linkTtl, details }, whom)
    mailer.wake()
  }

  /** For an address as somebody typed it: one that cannot be an account's gets what an unknown one gets. */
  const askFor = async (
    purpose: 'reset_password' | 'verify_email',
    raw: string,
    target: LinkTarget,
    visit: Visit,
  ): Promise<void> => {
    const email = canonicalEmail(raw)
    await ask(purpose, { email: email ?? '' }, target)
    events.record({ kind: requested[purpose], email: email ?? raw, visit })
  }

  const record = (kind: EventKind, { id: accountId }: { id: string }, visit: Visit): void =>
    events.record({ kind, accountId, visit })

  const verify = async (token: string, visit: Visit): Promise<Account | undefined> => {
    const account = await store.verifyEmail(hashToken(token))
    if (account) record('email_verified', account, visit)
    return account
  }

  const changeEmail = async (token: string, visit: Visit): Promise<Account> => {
    try {
      const changed = await store.changeEmail(hashToken(token), sources.id())
      if (!changed) throw new AuthError('link_invalid')
      mailer?.wake()
      record('email_changed', changed, visit)
      return changed
    } catch (error) {
      throw isUniqueViolation(error) ? new AuthError('link_invalid') : error
    }
  }

  return {
    /** Whether there is anybody to send mails. */
    isOn: mailer !== undefined,

    /** Mails a link to set a new password, if the address is an account's; nobody is told. Throws mail_off. */
    requestPasswordReset: (email: string, target: LinkTarget, visit: Visit): Promise<void> =>
      askFor('reset_password', email, target, visit),

    /** Mails a link that proves the address, if it is an account's and not proved yet; nobody is told. Throws mail_off. */
    requestEmailVerification: (email: string, target: LinkTarget, visit: Visit): Promise<void> =>
      askFor('verify_email', email, target, visit),

    /**
     * Mails a link to the new address. The caller shows that they are the owner still by a session of today or, before, by
     * their password. Whether the address is taken nobody is told. Throws mail_off, email_invalid, email_unchanged, session_stale.
     */
    async requestEmailChange(
      identity: Identity,
      newEmail: string,
      target: LinkTarget,
      isProved: boolean,
    ): Promise<void> {
      demandMail()
      const email = canonicalEmail(newEmail)
      if (email === undefined) throw new AuthError('email_invalid')
      if (email === identity.account.email) throw new AuthError('email_unchanged')
      if (!isProved && !isFresh(identity)) throw new AuthError('session_stale')
      await ask('change_email', { accountId: identity.account.id, newEmail: email }, target)
      record('email_change_requested', identity.account, identity.visit)
    },

    /** Mails a link that ends the caller's account. Throws mail_off. */
    async requestDeletion(identity: Identity, target: LinkTarget): Promise<void> {
      await ask('delete_account', { accountId: identity.account.id }, target)
      record('deletion_requested', identity.account, identity.visit)
    },

    /** Marks the address as proved. Throws link_invalid. */
    async verifyEmail(token: string, visit: Visit): Promise<Account> {
      const account = await verify(token, visit)
      if (!account) throw new AuthError('link_invalid')
      return account
    },

    /** The account that a link to a new password is about, which it does not use up; undefined: no good link. */
    findPasswordReset: (token: string): Promise<Account | undefined> => store.find(hashToken(token), 'reset_password'),

    /** Sets the new password. Throws link_invalid, password_*, hashing_busy; then the link can be used again. */
    async resetPassword(token: string, newPassword: string, visit: Visit): Promise<Account> {
      const tokenHash = hashToken(token)
      const account = await store.find(tokenHash, 'reset_password')
      if (!account) throw new AuthError('link_invalid')
      passwords.check(newPassword, account.email)
      const newHash = await passwords.hash(newPassword)
      const options = { endSessions: settings.resetEndsSessions, mailId: sources.id() }
      const changed = await store.resetPassword(tokenHash, newHash, options)
      if (!changed) throw new AuthError('link_invalid')
      mailer?.wake()
      record('password_reset', changed, visit)
      await guessing.forgive(changed.email, visit)
      return changed
    },

    /**
     * Uses a link of either kind that is about an address, for a door that has one path for both. `isNew`: the account has
     * another address now. Throws link_invalid.
     */
    async redeemEmailLink(token: string, visit: Visit): Promise<{ account: Account; isNew: boolean }> {
      const proved = await verify(token, visit)
      return proved ? { account: proved, isNew: false } : { account: await changeEmail(token, visit), isNew: true }
    },

    /** Gives the account the address that the link was mailed to. Throws link_invalid, also where it has been taken meanwhile. */
    changeEmail,

    /** Deletes the caller's account by the link that was mailed to it. Throws link_invalid. */
    async deleteAccount(identity: Identity, token: string): Promise<void> {
      if (!(await store.deleteAccount(hashToken(token), identity.account.id))) throw new AuthError('link_invalid')
      record('account_deleted', identity.account, identity.visit)
    },

    /** Mails the owner that somebody signed in, where that was on a device not seen before. Throws mail_off. */
    async tellNewDevice(accountId: string, session: Session): Promise<void> {
      const mailer = demandMail()
      await mails.tellNewDevice(sources.id(), accountId, session)
      mailer.wake()
    },

    /** Deletes links whose time is over. Returns how many. */
    sweep: (): Promise<number> => store.deleteOver(),
  }
}

export type LinkTokens = ReturnType<typeof createLinkTokens>

/**
 * Tokens of links as functions of their row: 256 bits, 43 characters of base64url. Nothing that could be read out of the
 * database, mails that wait included, lets anybody use a link. While the secret changes, the older ones find theirs.
 */
export function createLinkTokens(secrets: readonly string[]) {
  const keys = secrets.map(secret => Buffer.from(hkdfSync('sha256', secret, '', 'gatehouse mailed links', 32)))
  const by = (key: Buffer, id: string): string => createHmac('sha256', key).update(id).digest('base64url')
  return {
    /** The token of a link that is being made. */
    tokenOf: (id: string): string => by(keys[0] as Buffer, id),
    /** The token of a link made before, by whichever secret; undefined: its secret is gone. */
    find: (id: string, tokenHash: string): string | undefined =>
      keys.map(key => by(key, id)).find(token => hashToken(token) === tokenHash),
  }
}
