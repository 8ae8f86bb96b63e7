/** What an access token of ours says, and the checks that make it one (RFC 7519 section 4.1, RFC 8725 section 3). */
import type { JsonObject } from './json.js'
import { TokenRefused } from './refused.js'

export type Claims = {
  /** RFC 7519 section 4.1.1. */
  readonly iss: string
  /** The account: a UUID in its canonical form. */
  readonly sub: string
  /** The session the token belongs to (OpenID Connect Front-Channel Logout 1.0 section 3): a UUID in its canonical form. */
  readonly sid: string
  readonly jti: string
  readonly type: 'access'
  /** Seconds since 1970, as are `exp` and `nbf`. */
  readonly iat: number
  readonly exp: number
  readonly nbf?: number
  readonly aud?: string | readonly string[]
  /** The account's profile, where the issuer is set to put it into its tokens; null is a part never given. */
  readonly profile_version?: number | null
  readonly software_level?: string | null
  readonly hardware_background?: string | null
  readonly [claim: string]: unknown
}

export type Expectations = { issuer: string; audience: string | undefined }

/** Seconds the longest access token lives: 30 days. */
export const longestLifetime = 30 * 86_400

/** A signed payload as claims. Throws claims_invalid, issuer_wrong, audience_wrong, type_wrong, lifetime_too_long. */
export function checkClaims(payload: JsonObject, expected: Expectations): Claims {
  const { iss, aud, type, sub, sid, jti, iat, exp, nbf } = payload
  if (iss !== expected.issuer) throw new TokenRefused('issuer_wrong')
  // RFC 8725 section 3.12: a refresh token is for its issuer alone, whatever key signed it.
  if (type !== 'access') throw new TokenRefused('type_wrong')
  if (!isForUs(aud, expected.audience)) throw new TokenRefused('audience_wrong')
  const sound = isUuid(sub) && isUuid(sid) && isShortText(jti) && isSecond(iat) && isSecond(exp) && exp > iat
  if (!sound || !(nbf === undefined || isSecond(nbf)) || !isProfile(payload)) throw new TokenRefused('claims_invalid')
  if (exp - iat > longestLifetime) throw new TokenRefused('lifetime_too_long')
  return payload as Claims
}

/** RFC 7519 sections 4.1.4 to 4.1.6. Throws token_expired, token_not_yet_valid. */
export function checkTimes(claims: Claims, seconds: number, tolerance: number): void {
  if (claims.exp + tolerance <= seconds) throw new TokenRefused('token_expired')
  if (Math.max(claims.iat, claims.nbf ?? 0) > seconds + tolerance) throw new TokenRefused('token_not_yet_valid')
}

/** RFC 7519 section 4.1.3: a token with an audience is refused by whoever is not named in it, and by whoever has no name. */
export function isForUs(aud: unknown, audience: string | undefined): boolean {
  if (audience === undefined) return aud === undefined
  return aud === audience || (Array.isArray(aud) && aud.every(isText) && aud.includes(audience))
}

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

export const isUuid = (value: unknown): value is string => typeof value === 'string' && uuidForm.test(value)

/** RFC 7519 section 2, NumericDate, and of that only whole seconds until 2106. */
export const isSecond = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff

export const isShortText = (value: unknown): value is string => isText(value) && value !== '' && value.length <= 128

const isText = (value: unknown): value is string => typeof value === 'string'

const isTextOrNothing = (value: unknown): boolean => value === undefined || value === null || isText(value)

function isProfile({ profile_version: version, software_level, hardware_background }: JsonObject): boolean {
  const isVersion = version === undefined || version === null || (Number.isSafeInteger(version) && Number(version) >= 0)
  return isVersion && isTextOrNothing(software_level) && isTextOrNothing(hardware_background)
}
