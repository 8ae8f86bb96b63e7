/** The JWTs this service issues: what is in them, and the one function per type that checks them. */
import { timingSafeEqual } from 'node:crypto'
import type { Account, Session } from '../store/rows.js'
import { hardwareBackgrounds, softwareLevels } from '../store/schema.js'
import { AuthError } from './errors.js'
import type { Key } from './keys.js'
import { isUuid } from './sources.js'

/** Signs claims with the current key and verifies a compact JWS with any of the ring; made by http/signer.ts. `verify` throws on anything but a good signature. */
export type Signer = {
  /** `typ` is the header's, JWT where nothing is said. */
  sign(claims: Record<string, unknown>, typ?: string): string
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
export type AccessClaims = { sub: string; sid: string; jti: string; iat: number; exp: number }
export type RefreshClaims = AccessClaims & { gen: number }

/** What a verifying service can know of the person without asking; only where ACCESS_TOKEN_CLAIMS asks for it. */
export type ProfileClaims = {
  profile_version: number
  software_level: string | null
  hardware_background: string | null
}

/** Characters a token may have, so that a header with it fits everywhere. */
export const tokenLimit = 1024
/** How many tokens are remembered, of those verified and of those made. */
const mostKept = 10_000

/** Seconds by which an issuer's clock may run ahead of the database's. */
const clockTolerance = 60

const someId = '00000000-0000-7000-8000-000000000000'
const latest = 0xffff_ffff
const longestProfile = {
  profile_version: 0x7fff_ffff,
  software_level: longestOf(softwareLevels),
  hardware_background: longestOf(hardwareBackgrounds),
}

/** How many characters the longest access token will have that is signed with the key: known before the first is minted. */
export function longestAccessToken(
  key: Key,
  { issuer, audience, profileClaims }: { issuer: string; audience: string | undefined; profileClaims: boolean },
): number {
  const header = { alg: key.alg, typ: 'JWT', kid: key.kid }
  const claims = { iss: issuer, sub: someId, sid: someId, jti: `${someId}.${latest}`, aud: audience, type: 'access' }
  const payload = { ...claims, ...(profileClaims ? longestProfile : {}), iat: latest, exp: latest }
  // An RSA signature is as long as the modulus.
  const signature = { HS256: 43, ES256: 86, EdDSA: 86, RS256: key.jwk?.n?.length ?? 0 }[key.alg]
  return encodedLength(header) + 1 + encodedLength(payload) + 1 + signature
}

const encodedLength = (part: object): number => Buffer.from(JSON.stringify(part)).toString('base64url').length

function longestOf(names: readonly string[]): string {
  return names.reduce((longest, name) => (name.length > longest.length ? name : longest), '')
}

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

  const issue = (signer: Signer, payload: Record<string, unknown>, iat: number, exp: number): IssuedToken => {
    const token = signer.sign({ ...payload, iat, exp })
    if (token.length > tokenLimit) throw new Error(`a token of ${token.length} characters is too long`)
    return { token, expiresAt: new Date(exp * 1000), lifetime: exp - iat }
  }

  const rememberVerified = createTokenMemory()
  const steady = new Map<string, IssuedToken>()

  /** `make`, once per key, oldest out first: signing costs, and an ECDSA signature never comes out alike twice. */
  const steadily = (key: string, make: () => IssuedToken): IssuedToken => {
    const known = steady.get(key)
    if (known) return known
    const made = make()
    keep(steady, key, made)
    return made
  }

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
    return { sub, sid, jti, iat: Math.max(iat, nbf ?? iat), exp }
  }

  return {
    /** A fresh access token. `lasting`: it lives as long as its session. */
    access(
      account: Account,
      session: Session,
      at: Date,
      options: { jti: string; lasting?: boolean; profile?: ProfileClaims | undefined },
    ): IssuedToken {
      const iat = epoch(at)
      const exp = options.lasting ? epoch(session.expiresAt) : iat + accessTtl
      const payload = { ...claims(account, session, options.jti), type: 'access', ...options.profile }
      return issue(settings.access, payload, iat, exp)
    },

    /** The access token of the window that `at` falls in: the same bytes for the same session until it nears its expiry. */
    steadyAccess(account: Account, session: Session, at: Date, profile?: ProfileClaims): IssuedToken {
      const start = epoch(session.createdAt)
      const iat = start + Math.max(0, Math.floor((epoch(at) - start) / window)) * window
      const payload = { ...claims(account, session, `${session.id}.${iat}`), type: 'access', ...profile }
      const key = `${session.id} ${iat} ${profile?.profile_version}`
      return steadily(key, () => issue(settings.access, payload, iat, iat + accessTtl))
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
    readAccess: (token: string): AccessClaims =>
      rememberVerified(token, () => check(verified(settings.access, token), 'access', longestAccess)),

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

/**
 * The claims of the tokens verified last: clients send one token many times, and its signature does not change. Named by
 * `jti`, and never by the token's text alone (ECDSA tokens have twins); a hit is the same text, signature compared in
 * constant time.
 */
function createTokenMemory() {
  const known = new Map<string, { input: string; signature: Buffer; claims: AccessClaims }>()

  return (token: string, verify: () => AccessClaims): AccessClaims => {
    const dot = token.lastIndexOf('.')
    const input = token.slice(0, dot)
    const signature = Buffer.from(token.slice(dot + 1))
    const found = known.get(unverifiedJti(token))
    const isKnown =
      found?.input === input &&
      found.signature.length === signature.length &&
      timingSafeEqual(found.signature, signature)
    if (isKnown) return found.claims
    const claims = verify()
    keep(known, claims.jti, { input, signature, claims })
    return claims
  }
}

/** Bounded, the oldest going first. */
function keep<Value>(map: Map<string, Value>, key: string, value: Value): void {
  const [eldest] = map.keys()
  if (eldest !== undefined && map.size >= mostKept) map.delete(eldest)
  map.set(key, value)
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

const unverifiedIssuer = (token: string): unknown => unverifiedPayload(token)?.iss

const unverifiedJti = (token: string): string => String(unverifiedPayload(token)?.jti)

function unverifiedPayload(token: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) ?? undefined
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
