/** Why a token is refused, as a closed set of reasons, and the one error that carries them. */

/** What each reason means, in words that may be logged: nothing of the token is in them. */
const meanings = {
  token_too_large: 'longer than any token of ours',
  token_malformed: 'not a compact JWS of two JSON objects in canonical base64url',
  header_invalid: 'a header other than exactly alg, typ and kid',
  algorithm_not_allowed: 'signed with an algorithm that is not on the list',
  key_unknown: 'names a key that the issuer does not publish',
  signature_invalid: 'the signature is not of the key it names',
  claims_invalid: 'a claim is missing or of the wrong form',
  issuer_wrong: 'issued by somebody else',
  audience_wrong: 'meant for somebody else',
  type_wrong: 'not an access token',
  lifetime_too_long: 'lives longer than any token of ours',
  token_expired: 'expired',
  token_not_yet_valid: 'not valid yet',
  token_revoked: 'revoked',
  keys_unavailable: 'the keys of the issuer could not be fetched',
  revocations_stale: 'nothing was heard of revocations for too long',
}

export type RefusalReason = keyof typeof meanings

/** Every reason there is. */
export const refusalReasons = Object.keys(meanings) as readonly RefusalReason[]

/** The token is not to be trusted; `reason` says why. */
export class TokenRefused extends Error {
  override readonly name = 'TokenRefused'
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, options?: ErrorOptions) {
    super(`Token refused: ${meanings[reason]}`, options)
    this.reason = reason
  }

  /** The fault is not the token's: its keys or its revocations could not be had. Answer 503, not 401, or people are signed out. */
  get isOutage(): boolean {
    return this.reason === 'keys_unavailable' || this.reason === 'revocations_stale'
  }
}
