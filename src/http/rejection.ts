/** What the HTTP floor itself refuses, before any verb is asked. */

export const rejectionCodes = [
  'malformed_body',
  'unsupported_media_type',
  'unsupported_grant_type',
  'body_too_large',
  'header_too_large',
  'client_invalid',
  'origin_untrusted',
  'origin_missing',
  'cross_site_login',
  'not_found',
  'method_not_allowed',
  'rate_limited',
  'overloaded',
] as const

export type RejectionCode = (typeof rejectionCodes)[number]

export type RejectionDetail = {
  /** Seconds, for the Retry-After header. */
  readonly retryAfter?: number
  /** The origin refused, so that the answer can name it beside the setting that would admit it. */
  readonly origin?: string
}

/** Carries a code and, at most, what a door may repeat to the client. Never a part of the request's body. */
export class Rejection extends Error {
  override readonly name = 'Rejection'
  readonly code: RejectionCode
  readonly detail: RejectionDetail

  constructor(code: RejectionCode, detail: RejectionDetail = {}) {
    super(code)
    this.code = code
    this.detail = detail
  }
}
