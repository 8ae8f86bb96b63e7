/** Everything the service does, as verbs that know no HTTP: accounts, sessions, profiles, tokens. */
import { createAccountStore } from '../store/accounts.js'
import { type Change, type Changes, followChanges } from '../store/changes.js'
import { type Database, isUnavailable, isUniqueViolation } from '../store/database.js'
import { createEventStore } from '../store/events.js'
import { createInteractionStore } from '../store/interactions.js'
import { createMailStore } from '../store/mails.js'
import { createPasswordTryStore } from '../store/password-tries.js'
import { createProfileStore } from '../store/profiles.js'
import { createRevocationStore } from '../store/revocations.js'
import { createSessionStore } from '../store/sessions.js'
import { createVerificationStore } from '../store/verifications.js'
import { type Accounts, createAccounts } from './accounts.js'
import { cacheAccounts, cacheSessions, cacheVerifications } from './cached-stores.js'
import { type CourierEvent, createCourier, type Deliver } from './courier.js'
import { createEvents, type EventRecord, type Events } from './events.js'
import { createGuessing, type Guessing } from './guessing.js'
import { createPasswords, type PasswordOptions } from './passwords.js'
import { createPerson, type Person } from './person.js'
import { createProfiles, type Profiles } from './profiles.js'
import { createRevocations, type Revocations } from './revocations.js'
import { createSessionCache, noSessionCache, type SessionCache } from './session-cache.js'
import { createSessions, type Sessions } from './sessions.js'
import { type Sources, systemSources } from './sources.js'
import { createTokens, type Signer } from './tokens.js'
import { createLinkTokens, createVerifications, type Verifications } from './verifications.js'

export type { Interaction } from '../store/interactions.js'
export type { Account, Background, Profile, Session } from '../store/rows.js'
export type { Credential, Identity, Pass, Term } from './sessions.js'
export type { Visit } from './visit.js'

export type CoreSettings = {
  /** Whether sessions are remembered in memory; off where LISTEN does not work, behind a pooler in transaction mode. */
  sessionCache: boolean
  /** Whether access tokens tell the background profile. */
  profileClaims: boolean
  issuer: string
  audience: string | undefined
  /** Seconds; see config.ts for the variables behind these. */
  accessTtl: number
  refreshTtl: number
  sessionMaxAge: number
  /** Seconds a session of term `long` and its access token live. */
  longTtl: number
  /** Seconds in which a refresh token's predecessor is answered with the successor it already made. */
  refreshLeeway: number
  /** How often that may happen in one generation. */
  maxReplays: number
  passwords: PasswordOptions
  /** Secrets of mailed links, and of names for what is counted and noted; the current one first. */
  linkSecrets: readonly string[]
  /** Seconds a mailed link lives. */
  linkTtl: number
  resetEndsSessions: boolean
  /** Whether nobody signs in before the address is proved. */
  requireEmailVerification: boolean
  /** Whether a sign-in from a device not seen before is told by mail. */
  newDeviceMail: boolean
  /** Whether tries at passwords are counted, and devices known. */
  guessLimit: boolean
  /** Seconds an event is kept. */
  auditRetention: number
}

export type CoreWorld = {
  database: Database
  /** The database's URL, for the connection that brings the news; undefined: the embedded one. */
  databaseUrl: string | undefined
  signers: { access: Signer; refresh: Signer }
  sources?: Sources
  /** Takes mails to their recipients; undefined: there are none. */
  deliver: Deliver | undefined
  onMail(event: CourierEvent): void
  /** Told of what happens to accounts and sessions. */
  onEvent(record: EventRecord): void
  /** Told of work beside a request that failed; the request goes on. */
  onSideFailure(error: unknown, what: string): void
  /** Told when news of ended sessions stops coming, so that every request asks the database, and when it comes again. */
  onHearing(isHeard: boolean): void
}

export type Core = {
  accounts: Accounts
  sessions: Sessions
  profiles: Profiles
  revocations: Revocations
  verifications: Verifications
  person: Person
  guessing: Guessing
  events: Events
  /** Whether sessions that end elsewhere are heard of; without that, every request asks the database. */
  isInformed(): boolean
  /** Begins to send the mails that wait. */
  startMails(): void
  /** Once nobody is served any more; `revocations.close` lets those go who wait for the feed. */
  close(): Promise<void>
}

const cachedSessions = 20_000
/** Seconds. News makes the cache forget; this is for what nobody told. */
const cacheMaxAge = 30
/** A megabyte or so. */
const feedMostEntries = 20_000
const feedDocumentTtl = 300

/** Builds the core over an open database. Throws only for settings no password can be hashed with. */
export async function createCore(settings: CoreSettings, world: CoreWorld): Promise<Core> {
  const { database, signers, sources = systemSources, deliver, onSideFailure } = world
  const { issuer, audience, accessTtl, sessionMaxAge: maxAge, profileClaims } = settings
  const refreshTtl = Math.min(settings.refreshTtl, maxAge)
  const longTtl = Math.min(settings.longTtl, maxAge)
  const { cache, revocations, changes } = await openMemory(settings, world)

  const eventStore = createEventStore(database.db)
  const events = createEvents({
    store: eventStore,
    sources,
    secrets: settings.linkSecrets,
    retention: settings.auditRetention,
    onEvent: world.onEvent,
    onFailure: error => onSideFailure(error, 'events could not be written'),
    isUnavailable,
  })
  const guessing = createGuessing({
    store: createPasswordTryStore(database.db),
    sources,
    secrets: settings.linkSecrets,
    isOn: settings.guessLimit,
    onSideFailure,
  })
  const profileStore = createProfileStore(database.db)
  const limits = { leeway: settings.refreshLeeway, maxReplays: settings.maxReplays, refreshTtl, maxAge }
  const interactions = createInteractionStore(database.db)
  const sessionStore = createSessionStore(database.db, limits)
  const sessions = createSessions({
    store: cacheSessions(sessionStore, cache),
    findFreshById: sessionStore.findLiveById,
    profiles: profileStore,
    tokens: createTokens({ ...signers, issuer, audience, accessTtl, refreshTtl, longAccessTtl: longTtl, maxAge }),
    sources,
    events,
    settings: { standardTtl: refreshTtl, longTtl, maxAge, profileClaims },
    isUnavailable,
  })
  const passwords = await createPasswords(settings.passwords)
  const accounts = cacheAccounts(createAccountStore(database.db), cache)

  const links = createLinkTokens(settings.linkSecrets)
  const mails = createMailStore(database.db)
  const courier =
    deliver &&
    createCourier({
      store: mails,
      links,
      deliver,
      onEvent: world.onMail,
      onFailure: error => onSideFailure(error, 'mails could not be looked for'),
    })
  const verificationStore = createVerificationStore(database.db)
  const verifications = createVerifications({
    store: cacheVerifications(verificationStore, cache),
    mails,
    passwords,
    sources,
    links,
    guessing,
    events,
    settings,
    mailer: courier,
    isUniqueViolation,
  })
  return {
    sessions,
    accounts: createAccounts({
      store: accounts,
      sessions,
      passwords,
      sources,
      verifications,
      guessing,
      events,
      settings,
      onSideFailure,
    }),
    profiles: createProfiles({ store: profileStore, interactions, sources }),
    person: createPerson({
      profiles: profileStore,
      sessions: sessionStore,
      interactions,
      verifications: verificationStore,
      events: eventStore,
    }),
    revocations,
    verifications,
    guessing,
    events,
    startMails: () => courier?.start(),
    isInformed: () => changes?.isHeard() ?? false,
    close: async () => {
      await courier?.close()
      await events.close()
      await passwords.close()
      await changes?.close()
    },
  }
}

/** What this process remembers of sessions, kept true by the news from the database. */
async function openMemory(settings: CoreSettings, world: CoreWorld) {
  const { database, databaseUrl, signers, onHearing } = world
  const { issuer, audience, accessTtl } = settings
  const revocations = createRevocations({
    store: createRevocationStore(database.db, { accessTtl }),
    signer: signers.access,
    settings: { issuer, audience, accessTtl, documentTtl: feedDocumentTtl, mostEntries: feedMostEntries },
    now: Date.now,
  })
  if (!settings.sessionCache)
    return { cache: alsoTelling(noSessionCache, revocations), revocations, changes: undefined }

  let changes: Changes | undefined
  const isInformed = () => changes?.isHeard() ?? false
  const cache = createSessionCache({ maxEntries: cachedSessions, maxAge: cacheMaxAge, isInformed })
  const onChange = (change: Change) => {
    if (change.kind === 'session') cache.forgetSession(change.id)
    else if (change.kind === 'account') cache.forgetAccount(change.id)
    else cache.forgetAll()
    revocations.tell()
  }
  changes = await followChanges(database, databaseUrl, { onChange, onHearing })
  return { cache: alsoTelling(cache, revocations), revocations, changes }
}

/** What this process ends itself its followers hear of before its caller does, news or no news. */
function alsoTelling(cache: SessionCache, { tell }: Revocations): SessionCache {
  const telling =
    (forget: (name: string) => void) =>
    (name: string): void => {
      forget(name)
      tell()
    }
  return {
    ...cache,
    forget: telling(cache.forget),
    forgetSession: telling(cache.forgetSession),
    forgetAccount: telling(cache.forgetAccount),
  }
}
