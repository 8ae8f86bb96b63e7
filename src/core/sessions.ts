/** Sessions: who is calling, the refresh rotation, and every way a session ends. */

import type { ProfileStore } from '../store/profiles.js'
import type { Account, NewSession, Session } from '../store/rows.js'
import type { SessionStore } from '../store/sessions.js'
import { AuthError } from './errors.js'
import type { AuthEvent, Events } from './events.js'
import { hashToken, isUuid, type Sources } from './sources.js'
import type { AccessClaims, IssuedToken, ProfileClaims, Tokens } from './tokens.js'
import type { Visit } from './visit.js'

/**
 * How long a session lasts: `standard` slides, `browser` has a day and does not slide (Better Auth's `rememberMe: false`),
 * `long` has one fixed term and an access token that lives as long.
 */
export type Term = 'standard' | 'browser' | 'long'

/** Something presented as proof of a session: a JWT, or an opaque session token. */
export type Credential = { kind: 'jwt'; token: string } | { kind: 'session'; token: string }

/** Who is calling. Verbs that need somebody signed in take one of these, so that they cannot be called without. */
export type Identity = {
  account: Account
  session: Session
  /** The database's time when the session was found live. */
  at: Date
  /** The opaque session token, where that is what the caller presented. */
  sessionToken: string | undefined
  /** Whether the session's end has just been moved, so that a cookie wants sending again. */
  extended: boolean
  /** The request in which they call. */
  visit: Visit
}

/** What a sign-in or a refresh gives: every form of credential, so that each door can pick its own. */
export type Pass = {
  account: Account
  session: Session
  access: IssuedToken
  refresh: IssuedToken
  /** The opaque session token; only whoever opens a session ever sees it. */
  sessionToken: string | undefined
}

/** A live token: its session, and the claims where it is a JWT. */
export type Introspection = {
  account: Account
  session: Session
  kind: 'access' | 'refresh' | 'session'
  claims: AccessClaims | undefined
}

/** Seconds up to which a session alone shows that its owner is there: Better Auth's `freshAge`. */
const freshAge = 86_400

/** Whether the session is young enough for what would otherwise ask for the password, or for a mailed link. */
export const isFresh = ({ at, session }: Identity): boolean =>
  at.getTime() - session.createdAt.getTime() <= freshAge * 1000

export type SessionSettings = {
  /** Seconds a standard session lives without being used. */
  standardTtl: number
  /** Seconds a session of term `long` lives. */
  longTtl: number
  /** Seconds after which a session ends whatever happens. */
  maxAge: number
  /** Whether access tokens tell the background profile. */
  profileClaims: boolean
}

const day = 86_400
/** `last_used_at` is written at most this often, so that reading stays reading. */
const touchInterval = 300
const sweepBatch = 1000

export type Sessions = ReturnType<typeof createSessions>

export type SessionWorld = {
  store: SessionStore
  /** What the store answers without a memory: for what the news does not tell of, a rotation. */
  findFreshById: SessionStore['findLiveById']
  profiles: ProfileStore
  tokens: Tokens
  sources: Sources
  events: Events
  settings: SessionSettings
  isUnavailable(error: unknown): boolean
}

export function createSessions(world: SessionWorld) {
  const { store, findFreshById, profiles, tokens, sources, events, settings, isUnavailable } = world
  /** The end moves in steps of a day; where the whole life is shorter, of a seventh of it. */
  const slide = { lifetime: settings.standardTtl, grain: Math.min(day, settings.standardTtl / 7) }

  const find = async (credential: Credential) => {
    if (credential.kind === 'session') return store.findLiveByTokenHash(hashToken(credential.token))
    const claims = readableClaims(tokens, credential.token)
    if (!claims) return undefined
    const found = await store.findLiveById(claims.sid)
    return found?.account.id === claims.sub && tokens.isCurrent(claims, found.now) ? found : undefined
  }

  /** Whether its end cannot be moved any further. */
  const isAtItsLast = (session: Session): boolean =>
    session.expiresAt.getTime() >= session.createdAt.getTime() + settings.maxAge * 1000

  /** The claims about the person's background, where tokens shall carry them. */
  const profileClaims = async (accountId: string): Promise<ProfileClaims | undefined> => {
    const profile = settings.profileClaims ? await profiles.find(accountId) : undefined
    if (!profile || profile.status === 'archived') return undefined
    const { version, softwareLevel, hardwareBackground } = profile
    return { profile_version: version, software_level: softwareLevel, hardware_background: hardwareBackground }
  }

  /** Notes the use. A store that cannot write just now (full disk, standby) does not sign anybody out. */
  const touch = async (identity: Identity, maySlide: boolean): Promise<Identity> => {
    const { session, at } = identity
    const slides = maySlide && session.sliding && identity.sessionToken !== undefined && !isAtItsLast(session)
    const due = slides && session.expiresAt.getTime() - at.getTime() < (slide.lifetime - slide.grain) * 1000
    if (!due && at.getTime() - session.lastUsedAt.getTime() < touchInterval * 1000) return identity
    try {
      const touched = await store.touch(session.id, due ? slide : undefined)
      if (!touched) throw new AuthError('credential_invalid')
      return { ...identity, session: touched, extended: due }
    } catch (error) {
      if (isUnavailable(error)) return identity
      throw error
    }
  }

  const pass = async (
    { account, session }: { account: Account; session: Session },
    at: Date,
    sessionToken: string | undefined,
    term: Term,
  ): Promise<Pass> => {
    const profile = await profileClaims(account.id)
    return {
      account,
      session,
      access: tokens.access(account, session, at, { jti: sources.id(), lasting: term === 'long', profile }),
      refresh: tokens.refresh(account, session),
      sessionToken,
    }
  }

  const recordEnd = (
    kind: 'sign_out' | 'session_ended',
    ended: { id: string; accountId: string },
    visit: Visit,
  ): void => events.record({ kind, accountId: ended.accountId, sessionId: ended.id, visit })

  /** `except`: the session that goes on. */
  const endAll = async (
    accountId: string,
    reason: 'logout' | 'revoked',
    visit: Visit,
    except?: string,
  ): Promise<void> => {
    await store.endAll(accountId, reason, except)
    events.record({
      kind: 'sessions_ended',
      accountId,
      sessionId: except,
      visit,
      detail: { others: except !== undefined },
    })
  }

  return {
    /** A new session's row and its token, for the statement that opens it. */
    draft({ userAgent, ipAddress }: Visit, term: Term): { row: NewSession; token: string } {
      const token = sources.sessionToken()
      const lifetime = {
        standard: settings.standardTtl,
        browser: Math.min(day, settings.standardTtl),
        long: settings.longTtl,
      }[term]
      return {
        row: {
          id: sources.id(),
          tokenHash: hashToken(token),
          lifetime,
          sliding: term === 'standard',
          userAgent,
          ipAddress,
        },
        token,
      }
    },

    /** The pass of a session that has just been opened. */
    admit: (
      found: { account: Account; session: Session },
      sessionToken: string | undefined,
      term: Term,
    ): Promise<Pass> => pass(found, found.session.lastUsedAt, sessionToken, term),

    /**
     * The identity behind the first credential that is good, or undefined: signed out. A JWT of ours that is no longer good
     * ends the search. Throws credential_invalid for that, and for any JWT when nothing else identifies the caller.
     */
    async identify(
      credentials: readonly Credential[],
      visit: Visit,
      options: { slide: boolean } = { slide: true },
    ): Promise<Identity | undefined> {
      for (const credential of credentials) {
        const found = await find(credential)
        if (found) {
          const { now: at, ...rest } = found
          const sessionToken = credential.kind === 'session' ? credential.token : undefined
          return touch({ ...rest, at, sessionToken, extended: false, visit }, options.slide)
        }
        if (credential.kind === 'jwt' && tokens.claimsToBeOurs(credential.token))
          throw new AuthError('credential_invalid')
      }
      if (credentials.some(credential => credential.kind === 'jwt')) throw new AuthError('credential_invalid')
      return undefined
    },

    /** The access token that get-session repeats: the same bytes until it nears its expiry. */
    async steadyAccess(identity: Identity): Promise<IssuedToken> {
      const profile = await profileClaims(identity.account.id)
      return tokens.steadyAccess(identity.account, identity.session, identity.at, profile)
    },

    /** Rotates the refresh token by the state table. Throws refresh_invalid; a token used twice too late ends its session. */
    async refresh(token: string, visit: Visit): Promise<Pass> {
      const claims = readRefresh(tokens, token)
      const rotated = await store.rotate({
        id: claims.sid,
        accountId: claims.sub,
        generation: claims.gen,
        tokenExpiry: claims.exp,
      })
      const { kind, detail } = outcomeOf(claims.gen, rotated?.session)
      events.record({ kind, accountId: claims.sub, sessionId: claims.sid, visit, ...(detail ? { detail } : {}) })
      if (!rotated || rotated.session.endedAt) throw new AuthError('refresh_invalid')
      return pass(rotated, rotated.now, undefined, 'standard')
    },

    /** What a token stands for, or undefined: it stands for nothing (any more). Changes nothing. */
    async introspect(token: string): Promise<Introspection | undefined> {
      const access = readableClaims(tokens, token)
      if (access) {
        const found = await store.findLiveById(access.sid)
        const active = found?.account.id === access.sub && tokens.isCurrent(access, found.now)
        return active ? { ...found, kind: 'access', claims: access } : undefined
      }
      const refresh = readableRefreshClaims(tokens, token)
      if (refresh) {
        const found = await findFreshById(refresh.sid)
        const active = found?.account.id === refresh.sub && tokens.isCurrent(refresh, found.now)
        return active && found.session.generation === refresh.gen
          ? { ...found, kind: 'refresh', claims: refresh }
          : undefined
      }
      const found = await store.findLiveByTokenHash(hashToken(token))
      return found && { ...found, kind: 'session', claims: undefined }
    },

    /** Ends the session of any token of ours (RFC 7009); nothing happens for anything else. */
    async revoke(token: string, visit: Visit): Promise<void> {
      const claims = readableClaims(tokens, token) ?? readableRefreshClaims(tokens, token)
      const ended = claims
        ? await store.endOne(claims.sub, { id: claims.sid }, 'revoked')
        : await store.endByTokenHash(hashToken(token), 'revoked')
      if (ended) recordEnd('session_ended', ended, visit)
    },

    /** Live sessions of the caller, the last used first. */
    list: (identity: Identity): Promise<Session[]> => store.listLive(identity.account.id),

    /** Ends the caller's session. */
    async logout({ account, session, visit }: Identity): Promise<void> {
      const ended = await store.endOne(account.id, { id: session.id }, 'logout')
      if (ended) recordEnd('sign_out', ended, visit)
    },

    /**
     * Ends the session of a refresh token, current or not (whoever holds an old one should not keep the session alive), or
     * with it every session of the account. Throws refresh_invalid.
     */
    async logoutByRefreshToken(token: string, options: { everywhere: boolean }, visit: Visit): Promise<void> {
      const claims = readRefresh(tokens, token)
      const ended = await store.endOne(claims.sub, { id: claims.sid }, 'logout')
      if (!ended) throw new AuthError('refresh_invalid')
      recordEnd('sign_out', ended, visit)
      if (options.everywhere) await endAll(claims.sub, 'logout', visit)
    },

    /** Ends the session of an opaque token; nothing happens where there is none. */
    async discard(sessionToken: string, reason: 'logout' | 'replaced', visit: Visit): Promise<void> {
      const ended = await store.endByTokenHash(hashToken(sessionToken), reason)
      if (ended) recordEnd(reason === 'logout' ? 'sign_out' : 'session_ended', ended, visit)
    },

    /** Ends one of the caller's sessions, named by its id or its opaque token. Throws session_unknown. */
    async end(identity: Identity, name: string): Promise<void> {
      const named = isUuid(name) ? { id: name } : { tokenHash: hashToken(name) }
      const ended = await store.endOne(identity.account.id, named, 'revoked')
      if (!ended) throw new AuthError('session_unknown')
      recordEnd('session_ended', ended, identity.visit)
    },

    /** Ends the caller's sessions but this one. */
    endOthers: ({ account, session, visit }: Identity): Promise<void> =>
      endAll(account.id, 'revoked', visit, session.id),

    /** Deletes sessions that have been over for a day, in batches that hold nobody up. Returns how many. */
    async sweep(): Promise<number> {
      let deleted = 0
      for (;;) {
        const batch = await store.deleteOver(day, sweepBatch)
        deleted += batch
        if (batch < sweepBatch) return deleted
      }
    },

    /** Ends all the caller's sessions, this one too. */
    endAll: ({ account, visit }: Identity): Promise<void> => endAll(account.id, 'logout', visit),
  }
}

/** What became of a refresh with a token of that generation; undefined: no live session of that account, or the token is older than its password. */
function outcomeOf(generation: number, session: Session | undefined): Pick<AuthEvent, 'kind' | 'detail'> {
  if (!session) return { kind: 'refresh_denied' }
  // A token of ours from the time to come: a backup has been restored, or a key is in other hands.
  if (session.endedAt) return { kind: 'refresh_reused', detail: { ahead: generation > session.generation } }
  return session.replays > 0 ? { kind: 'refresh_replayed' } : { kind: 'refresh' }
}

function readableClaims(tokens: Tokens, token: string) {
  try {
    return tokens.readAccess(token)
  } catch {
    return undefined
  }
}

function readableRefreshClaims(tokens: Tokens, token: string) {
  try {
    return tokens.readRefresh(token)
  } catch {
    return undefined
  }
}

function readRefresh(tokens: Tokens, token: string) {
  try {
    return tokens.readRefresh(token)
  } catch {
    throw new AuthError('refresh_invalid')
  }
}
