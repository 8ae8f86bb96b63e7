/** The life of an account: registering, signing in, changing, deleting. */
import type { AccountPatch, AccountStore, NewAccount } from '../store/accounts.js'
import type { Account, Background, Session } from '../store/rows.js'
import { createAside, type OnSideFailure } from './aside.js'
import { canonicalEmail } from './emails.js'
import { AuthError } from './errors.js'
import type { Events } from './events.js'
import type { Guessing } from './guessing.js'
import type { Passwords } from './passwords.js'
import { type Identity, isFresh, type Pass, type Sessions, type Term } from './sessions.js'
import type { Sources } from './sources.js'
import type { LinkTarget, Verifications } from './verifications.js'
import type { Visit } from './visit.js'

export type Registration = {
  email: string
  password: string
  name?: string | undefined
  image?: string | null | undefined
  personalInfo?: Record<string, unknown> | null | undefined
  background?: Background | undefined
  /** Where the link that proves the address leads. */
  link?: LinkTarget | undefined
}

/** From where a session is opened and how long it shall last. */
export type Entry = {
  visit: Visit
  term?: Term
  /** The opaque token of a session that the new one takes the place of: the cookie the same browser carried. */
  replaces?: string | undefined
}

export type Accounts = ReturnType<typeof createAccounts>

export type AccountWorld = {
  store: AccountStore
  sessions: Sessions
  passwords: Passwords
  sources: Sources
  verifications: Verifications
  guessing: Guessing
  events: Events
  settings: { requireEmailVerification: boolean; newDeviceMail: boolean }
  onSideFailure: OnSideFailure
}

export function createAccounts(world: AccountWorld) {
  const { store, sessions, passwords, sources, verifications, guessing, events, settings, onSideFailure } = world

  const newEmail = (raw: string): string => {
    const email = canonicalEmail(raw)
    if (email === undefined) throw new AuthError('email_invalid')
    return email
  }

  /**
   * The stored account of an address whose password this is. Does the same work whether or not there is one, and before any
   * of it counts the try. Throws account_unknown, password_wrong, too_many_tries, hashing_busy.
   */
  const authenticate = async (rawEmail: string, password: string, visit: Visit) => {
    passwords.demandTurn()
    const email = canonicalEmail(rawEmail)
    const name = email ?? rawEmail
    const seen: { accountId?: string; reason: string } = { reason: 'account_unknown' }
    const compare = async () => {
      const found = email === undefined ? undefined : await store.findByEmail(email)
      const verdict = await passwords.verify(password, found?.passwordHash)
      if (!found) return undefined
      seen.accountId = found.account.id
      seen.reason = found.disabledAt ? 'account_disabled' : 'password_wrong'
      if (!verdict.matches || found.passwordHash === null || found.disabledAt) return undefined
      return { account: found.account, hash: found.passwordHash, outdated: verdict.outdated }
    }
    const found = await guessing
      .attempt({ email: name, visit }, compare)
      .catch(recording('sign_in_limited', { email: name, visit }))
    if (found) return found
    const { accountId, reason } = seen
    events.record({ kind: 'sign_in_failed', accountId, email: name, visit, detail: { reason } })
    throw new AuthError(accountId === undefined ? 'account_unknown' : 'password_wrong')
  }

  /** Notes, and passes on, that a try was refused. */
  const recording =
    (kind: 'sign_in_limited' | 'password_check_limited', about: { email?: string; accountId?: string; visit: Visit }) =>
    (error: unknown): never => {
      if (error instanceof AuthError && error.code === 'too_many_tries')
        events.record({ kind, ...about, detail: { retry_after: error.retryAfter ?? 0 } })
      throw error
    }

  /**
   * What `compare` makes of the caller's password, once it fits: one more try that is counted. Throws
   * current_password_wrong, too_many_tries, hashing_busy.
   */
  const confirm = async <Found>(
    { account, session, visit }: Identity,
    compare: (stored: string | undefined) => Promise<Found | undefined>,
  ): Promise<Found> => {
    passwords.demandTurn()
    const found = await guessing
      .attempt({ email: account.email, visit, sessionId: session.id }, async () =>
        compare(await store.findPasswordHash(account.id)),
      )
      .catch(recording('password_check_limited', { accountId: account.id, visit }))
    if (found !== undefined) return found
    events.record({ kind: 'password_check_failed', accountId: account.id, sessionId: session.id, visit })
    throw new AuthError('current_password_wrong')
  }

  /** The caller's stored hash, once they have shown that they know the password. */
  const confirmed = (identity: Identity, password: string): Promise<string> =>
    confirm(identity, async stored => ((await passwords.verify(password, stored)).matches ? stored : undefined))

  const aside = createAside(onSideFailure)

  const rehash = (accountId: string, checkedHash: string, password: string): Promise<void> =>
    aside('a password hash could not be brought up to date', async () =>
      store.replaceHash({ accountId, checkedHash, newHash: await passwords.hash(password) }),
    )

  const mailVerification = (email: string, target: LinkTarget, visit: Visit): Promise<void> =>
    aside('the mail that proves an address could not be written', async () => {
      if (verifications.isOn) await verifications.requestEmailVerification(email, target, visit)
    })

  const mailNewDevice = (accountId: string, session: Session): Promise<void> =>
    aside('the mail about a new device could not be written', async () => {
      if (settings.newDeviceMail && verifications.isOn) await verifications.tellNewDevice(accountId, session)
    })

  const replace = async (entry: Entry): Promise<void> => {
    if (entry.replaces !== undefined) await sessions.discard(entry.replaces, 'replaced', entry.visit)
  }

  const preparedChange = (identity: Identity, currentPassword: string, newPassword: string) => {
    passwords.check(newPassword, identity.account.email)
    return confirm(identity, async checkedHash => {
      const newHash = await passwords.exchange(currentPassword, checkedHash, newPassword)
      if (checkedHash === undefined || newHash === undefined) return undefined
      return { accountId: identity.account.id, checkedHash, newHash }
    })
  }

  const taken = (wanted: NewAccount, visit: Visit) => {
    events.record({ kind: 'sign_up_failed', email: wanted.email, visit, detail: { reason: 'email_taken' } })
    return { account: imagined(wanted), isTaken: true }
  }

  const signUp = async (
    registration: Registration,
    entry: Entry,
  ): Promise<{ account: Account; pass?: Pass; isTaken?: boolean }> => {
    const email = newEmail(registration.email)
    passwords.check(registration.password, email)
    const passwordHash = await passwords.hash(registration.password)
    const term = entry.term ?? 'standard'
    const { name = '', image = null, personalInfo = null, background, link = {} } = registration
    const wanted = { id: sources.id(), email, name, image, personalInfo, passwordHash }
    if (settings.requireEmailVerification) {
      const account = await store.insert(wanted, background)
      await mailVerification(email, link, entry.visit)
      if (!account) return taken(wanted, entry.visit)
      events.record({ kind: 'sign_up', accountId: account.id, visit: entry.visit })
      return { account }
    }
    const draft = sessions.draft(entry.visit, term)
    const made = await store.insertWithSession(wanted, draft.row, background)
    if (!made) return taken(wanted, entry.visit)
    events.record({ kind: 'sign_up', accountId: made.account.id, sessionId: made.session.id, visit: entry.visit })
    await mailVerification(email, link, entry.visit)
    await guessing.know(made.account.id, entry.visit)
    await replace(entry)
    return { account: made.account, pass: await sessions.admit(made, draft.token, term) }
  }

  const recordChange = ({ account, session, visit }: Identity, endedOthers: boolean): void => {
    const detail = { ended_others: endedOthers }
    events.record({ kind: 'password_changed', accountId: account.id, sessionId: session.id, visit, detail })
  }

  return {
    /**
     * Makes an account with its first session. Throws email_invalid, email_taken, password_*, hashing_busy; and, where the
     * address has to be proved first, email_unverified although the account is made.
     */
    async register(registration: Registration, entry: Entry): Promise<Pass> {
      const { pass, isTaken } = await signUp(registration, entry)
      if (isTaken) throw new AuthError('email_taken')
      if (!pass) throw new AuthError('email_unverified')
      return pass
    },

    /**
     * The same for a door that keeps to itself which addresses there are, where they have to be proved first: then there is
     * no pass, and the account of a taken address is made up. Throws as register does, but email_unverified.
     */
    async registerQuietly(registration: Registration, entry: Entry): Promise<{ account: Account; pass?: Pass }> {
      const { account, pass, isTaken } = await signUp(registration, entry)
      if (isTaken && !settings.requireEmailVerification) throw new AuthError('email_taken')
      return { account, ...(pass ? { pass } : {}) }
    },

    /** Opens a session for who knows the password. Throws account_unknown, password_wrong, email_unverified, too_many_tries, hashing_busy. */
    async login(credentials: { email: string; password: string }, entry: Entry): Promise<Pass> {
      const { visit, term = 'standard' } = entry
      const { account, hash, outdated } = await authenticate(credentials.email, credentials.password, visit)
      const draft = sessions.draft(visit, term)
      const fail = (code: 'email_unverified' | 'password_wrong'): never => {
        events.record({ kind: 'sign_in_failed', accountId: account.id, visit, detail: { reason: code } })
        throw new AuthError(code)
      }
      if (settings.requireEmailVerification && !account.emailVerified) fail('email_unverified')
      const session = (await store.openSession(account.id, hash, draft.row)) ?? fail('password_wrong')
      events.record({ kind: 'sign_in', accountId: account.id, sessionId: session.id, visit })
      await guessing.know(account.id, visit)
      await replace(entry)
      if (outdated) await rehash(account.id, hash, credentials.password)
      await mailNewDevice(account.id, session)
      return sessions.admit({ account, session }, draft.token, term)
    },

    /** Writes the members given. Throws credential_invalid when the account has just been deleted. */
    async update(identity: Identity, patch: AccountPatch): Promise<Account> {
      const account = await store.update(identity.account.id, patch)
      if (!account) throw new AuthError('credential_invalid')
      return account
    },

    /** Whether this is the caller's password. Throws current_password_wrong, too_many_tries, hashing_busy. */
    async verifyPassword(identity: Identity, password: string): Promise<void> {
      await confirmed(identity, password)
    },

    /**
     * Sets a new password; the caller's session goes on with a new refresh token, the others end unless told not to. A door
     * that cannot hand out the new refresh token keeps the old one good. Throws current_password_wrong, password_*, too_many_tries, hashing_busy.
     */
    async changePassword(
      identity: Identity,
      passwordsGiven: { current: string; new: string },
      { endOthers, renewRefresh = true }: { endOthers: boolean; renewRefresh?: boolean },
    ): Promise<Pass> {
      const change = await preparedChange(identity, passwordsGiven.current, passwordsGiven.new)
      const changed = await store.changePasswordKeeping(change, identity.session.id, { endOthers, renewRefresh })
      if (!changed) throw new AuthError('current_password_wrong')
      recordChange(identity, endOthers)
      return sessions.admit(changed, identity.sessionToken, 'standard')
    },

    /** Sets a new password, ends every session and opens a new one in their place. Throws as changePassword does. */
    async changePasswordEverywhere(
      identity: Identity,
      passwordsGiven: { current: string; new: string },
    ): Promise<Pass> {
      const change = await preparedChange(identity, passwordsGiven.current, passwordsGiven.new)
      const draft = sessions.draft(identity.visit, identity.session.sliding ? 'standard' : 'browser')
      const changed = await store.changePasswordReplacing(change, draft.row)
      if (!changed) throw new AuthError('current_password_wrong')
      recordChange(identity, true)
      return sessions.admit(changed, draft.token, 'standard')
    },

    /** Deletes the account with everything that is its own. Without a password the session must be a day old at most: session_stale. Throws current_password_wrong. */
    async delete(identity: Identity, password?: string): Promise<void> {
      if (password === undefined) {
        if (!isFresh(identity)) throw new AuthError('session_stale')
        await store.delete(identity.account.id)
      } else {
        const checkedHash = await confirmed(identity, password)
        if (!(await store.delete(identity.account.id, checkedHash))) throw new AuthError('current_password_wrong')
      }
      events.record({ kind: 'account_deleted', accountId: identity.account.id, visit: identity.visit })
    },

    /** The id of the account with this address. Throws account_absent. */
    async findId(rawEmail: string): Promise<string> {
      const email = canonicalEmail(rawEmail)
      const found = email === undefined ? undefined : await store.findByEmail(email)
      if (!found) throw new AuthError('account_absent')
      return found.account.id
    },
  }
}

/** What a new account would have looked like. */
function imagined({ id, email, name, image, personalInfo }: NewAccount): Account {
  const now = new Date()
  return { id, number: 0, email, emailVerified: false, name, image, personalInfo, createdAt: now, updatedAt: now }
}
