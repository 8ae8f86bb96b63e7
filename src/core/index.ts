/** Everything the service does, as verbs that know no HTTP: accounts, sessions, profiles, tokens. */
import { createAccountStore } from '../store/accounts.js'
import { type Database, isUnavailable } from '../store/database.js'
import { createInteractionStore } from '../store/interactions.js'
import { createProfileStore } from '../store/profiles.js'
import { createSessionStore } from '../store/sessions.js'
import { type Accounts, createAccounts } from './accounts.js'
import { createPasswords, type PasswordOptions } from './passwords.js'
import { createProfiles, type Profiles } from './profiles.js'
import { createSessions, type Sessions } from './sessions.js'
import { type Sources, systemSources } from './sources.js'
import { createTokens, type Signer } from './tokens.js'

export type { Interaction } from '../store/interactions.js'
export type { Account, Background, Profile, Session } from '../store/rows.js'
export type { Credential, Device, Identity, Pass, Term } from './sessions.js'

export type CoreSettings = {
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
}

export type CoreWorld = {
  database: Database
  signers: { access: Signer; refresh: Signer }
  sources?: Sources
  onRehashFailure(error: unknown): void
}

export type Core = { accounts: Accounts; sessions: Sessions; profiles: Profiles }

/** Builds the core over an open database. Throws only for settings no password can be hashed with. */
export async function createCore(settings: CoreSettings, world: CoreWorld): Promise<Core> {
  const { database, signers, sources = systemSources, onRehashFailure } = world
  const { issuer, audience, accessTtl, sessionMaxAge: maxAge } = settings
  const refreshTtl = Math.min(settings.refreshTtl, maxAge)
  const longTtl = Math.min(settings.longTtl, maxAge)
  const tokens = createTokens({ ...signers, issuer, audience, accessTtl, refreshTtl, longAccessTtl: longTtl, maxAge })
  const sessionStore = createSessionStore(database.db, {
    leeway: settings.refreshLeeway,
    maxReplays: settings.maxReplays,
    refreshTtl,
    maxAge,
  })
  const sessions = createSessions({
    store: sessionStore,
    tokens,
    sources,
    settings: { standardTtl: refreshTtl, longTtl, maxAge },
    isUnavailable,
  })
  const passwords = await createPasswords(settings.passwords)
  return {
    sessions,
    accounts: createAccounts({ store: createAccountStore(database.db), sessions, passwords, sources, onRehashFailure }),
    profiles: createProfiles({
      store: createProfileStore(database.db),
      interactions: createInteractionStore(database.db),
      sources,
    }),
  }
}
