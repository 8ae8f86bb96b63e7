/** The JWTs this service issues: what is in them, and the one function per type that checks them. */
import type { Account, Session } from '../store/rows.js'
import { AuthError } from './errors.js'
import { isUuid } from './sources.js'

/** Signs claims and verifies a compact JWS with one key; made by http/signer.ts. `verify` throws on anything but a good signature. */
export type Signer = {
  sign(claims: Record<string, unknown>): string
  verify(token: string): Record<string, unknown>
}

export type TokenSettings = {
  /** Signs access tokens. */
  access: Signer
  /** Signs refresh tokens, with another secret. */
  refresh: Signer
  issuer: string
  audience: string | undefined
  /** Seconds an access token lives. */
  accessTtl: number
  /** Seconds a refresh token lives. */
  refreshTtl: number
  /** Seconds the longest access token lives (the one that lasts as long as its session). */
  longAccessTtl: number
  /** Seconds after which a session ends whatever happens. */
  maxAge: number
}

/** A signed token, the second it expires, and its life in seconds from its `iat`. */
export type IssuedToken = { token: string; expiresAt: Date; lifetime: number }

/** RFC 7519 section 4.1 claims, plus `sid` (OpenID Connect Front-Channel Logout 1.0 section 3) and `type`. */
export type AccessClaims = { sub: string; sid: string; iat: number; exp: number }
export type RefreshClaims = AccessClaims & { gen: number }

/** Seconds by which an issuer's clock may run ahead of the database's. */
const clockTolerance = 60

export type Tokens = ReturnType<typeof createTokens>

export function createTokens(settings: TokenSettings) {
  const { issuer, audience, accessTtl, refreshTtl } = settings
  const longestAccess = Math.max(accessTtl, settings.longAccessTtl)
  /** How long get-session repeats one access token; what is left of its life then is a sixth. */
  const window = Math.max(1, Math.floor((accessTtl * 5) / 6))

  const claims = (account: { id: string }, session: { id: string }, jti: string) => ({
    iss: issuer,
    sub: account.id,
    sid: session.id,
    jti,
    ...(audience === undefined ? {} : { aud: audience }),
  })

  const issue = (signer: Signer, payload: Record<string, unknown>, iat: number, exp: number): IssuedToken => ({
    token: signer.sign({ ...payload, iat, exp }),
    expiresAt: new Date(exp * 1000),
    lifetime: exp - iat,
  })

  /** Claims every token of ours has, of the right types; anything else is not ours. */
  const check = (payload: Record<string, unknown>, type: 'access' | 'refresh', longest: number): AccessClaims => {
    const { iss, sub, sid, jti, iat, exp, nbf, aud } = payload
    const sound =
      payload.type === type &&
      iss === issuer &&
      isId(sub) &&
      isId(sid) &&
      isShortText(jti) &&
      isSecond(iat) &&
      isSecond(exp) &&
      (nbf === undefined || isSecond(nbf)) &&
      exp > iat &&
      exp - iat <= longest &&
      isForUs(aud, audience)
    if (!sound) throw new AuthError('credential_invalid')
    return { sub, sid, iat: Math.max(iat, nbf ?? iat), exp }
  }

  return {
    /** A fresh access token. `lasting`: it lives as long as its session. */
    access(account: Account, session: Session, at: Date, options: { jti: string; lasting?: boolean }): IssuedToken {
      const iat = epoch(at)
      const exp = options.lasting ? epoch(session.expiresAt) : iat + accessTtl
      return issue(settings.access, { ...claims(account, session, options.jti), type: 'access' }, iat, exp)
    },

    /** The access token of the window that `at` falls in: the same bytes for the same session until it nears its expiry. */
    steadyAccess(account: Account, session: Session, at: Date): IssuedToken {
      const start = epoch(session.createdAt)
      const iat = start + Math.max(0, Math.floor((epoch(at) - start) / window)) * window
      const payload = { ...claims(account, session, `${session.id}.${iat}`), type: 'access' }
      return issue(settings.access, payload, iat, iat + accessTtl)
    },

    /** The refresh token of the session's generation. Everything in it stands in the row, so it is the same bytes each time. */
    refresh(account: Account, session: Session): IssuedToken {
      const iat = epoch(session.rotatedAt)
      const exp = Math.min(iat + refreshTtl, epoch(session.createdAt) + settings.maxAge)
      const jti = `${session.id}.${session.generation}`
      const payload = { ...claims(account, session, jti), type: 'refresh', gen: session.generation }
      return issue(settings.refresh, payload, iat, exp)
    },

    /** Claims of a well-signed access token, its times not yet judged. Throws credential_invalid. */
    readAccess(token: string): AccessClaims {
      return check(verified(settings.access, token), 'access', longestAccess)
    },

    /** Claims of a well-signed refresh token, its times not yet judged. Throws credential_invalid. */
    readRefresh(token: string): RefreshClaims {
      const payload = verified(settings.refresh, token)
      const { gen } = payload
      if (!isSecond(gen) || gen > 0x7fff_ffff) throw new AuthError('credential_invalid')
      return { ...check(payload, 'refresh', refreshTtl), gen }
    },

    /** Whether an unreadable token at least names us as its issuer, unverified: then it is a dead one of ours, not somebody else's. */
    claimsToBeOurs: (token: string): boolean => unverifiedIssuer(token) === issuer,

    /** Whether the token is in its time, by the database's clock. */
    isCurrent: (claims: AccessClaims, now: Date): boolean =>
      claims.exp * 1000 > now.getTime() && claims.iat <= epoch(now) + clockTolerance,
  }
}

const epoch = (time: Date): number => Math.floor(time.getTime() / 1000)

const isId = (value: unknown): value is string => typeof value === 'string' && isUuid(value)

const isShortText = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= 128

/** A whole number of seconds (or of generations) that Postgres takes. */
const isSecond = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff

/** RFC 7519 section 4.1.3: a token with an audience is refused by whoever is not named in it. */
const isForUs = (aud: unknown, audience: string | undefined): boolean =>
  audience === undefined ? aud === undefined : aud === audience || (Array.isArray(aud) && aud.includes(audience))

function unverifiedIssuer(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))?.iss
  } catch {
    return undefined
  }
}

function verified(signer: Signer, token: string): Record<string, unknown> {
  try {
    return signer.verify(token)
  } catch {
    throw new AuthError('credential_invalid')
  }
}
