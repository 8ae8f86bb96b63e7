/** What can go wrong, as a closed union of codes. Doors choose the words and the status; the core never does. */

export const authErrorCodes = [
  'email_invalid',
  'email_taken',
  'password_too_short',
  'password_too_long',
  'password_common',
  'password_invalid',
  'account_unknown',
  'password_wrong',
  'current_password_wrong',
  'session_stale',
  'credential_missing',
  'credential_invalid',
  'refresh_invalid',
  'session_unknown',
  'profile_absent',
  'background_absent',
  'version_mismatch',
  'cursor_invalid',
  'account_absent',
  'hashing_busy',
  'too_many_tries',
  'email_unchanged',
  'email_unverified',
  'link_invalid',
  'mail_off',
] as const

export type AuthErrorCode = (typeof authErrorCodes)[number]

/** The one error the core throws on purpose. It carries a code, when to come again, and nothing else: no value, no cause that could leak. */
export class AuthError extends Error {
  override readonly name = 'AuthError'
  readonly code: AuthErrorCode
  /** Seconds, where trying again later makes sense. */
  readonly retryAfter: number | undefined

  constructor(code: AuthErrorCode, { retryAfter }: { retryAfter?: number } = {}) {
    super(code)
    this.code = code
    this.retryAfter = retryAfter
  }
}

export { isForeignKeyViolation, isUnavailable, isUniqueViolation, safeErrorFields } from '../store/database.js'
