/** The OAuth2-shaped door's words for every problem: FastAPI's `detail`, and RFC 6749's `error` at the token endpoints. */
import type { FastifyRequest } from 'fastify'
import type { Answer } from '../../http/dialect.js'
import { worded } from '../../http/openapi.js'
import type { Issue, Problem, ProblemCode } from '../../http/problem.js'
import { AuthFailure } from './wire.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Errors of this route carry RFC 6749's members too. */
    tokenEndpoint?: boolean
    /** The body member that a password of the caller's choice stands in, where it is not `password`. */
    passwordMember?: string
  }
}

type Words = {
  status: number
  detail: string
  /** RFC 6749 section 5.2. */
  error: string
  /** The body member at fault: the answer is then FastAPI's list of details. */
  member?: 'email' | 'password'
}

const words = {
  email_invalid: {
    status: 422,
    detail: 'value is not a valid email address',
    error: 'invalid_request',
    member: 'email',
  },
  email_taken: { status: 400, detail: 'Email already registered', error: 'invalid_request' },
  password_too_short: { status: 422, detail: 'Password is too short', error: 'invalid_request', member: 'password' },
  password_too_long: {
    status: 422,
    detail: 'Password should have at most 128 characters',
    error: 'invalid_request',
    member: 'password',
  },
  password_common: {
    status: 422,
    detail: 'Password is too common, or the same as the email',
    error: 'invalid_request',
    member: 'password',
  },
  password_invalid: {
    status: 422,
    detail: 'Password holds characters that cannot be used',
    error: 'invalid_request',
    member: 'password',
  },
  account_unknown: { status: 401, detail: 'Incorrect email or password', error: 'invalid_grant' },
  password_wrong: { status: 401, detail: 'Incorrect email or password', error: 'invalid_grant' },
  current_password_wrong: { status: 400, detail: 'Incorrect password', error: 'invalid_grant' },
  session_stale: { status: 400, detail: 'Password required', error: 'invalid_request' },
  credential_missing: { status: 401, detail: 'Could not validate credentials', error: 'invalid_token' },
  credential_invalid: { status: 401, detail: 'Could not validate credentials', error: 'invalid_token' },
  refresh_invalid: { status: 401, detail: 'Invalid refresh token', error: 'invalid_grant' },
  session_unknown: { status: 404, detail: 'Session not found', error: 'invalid_request' },
  profile_absent: { status: 404, detail: 'Profile not found', error: 'invalid_request' },
  background_absent: { status: 404, detail: 'Background not found', error: 'invalid_request' },
  version_mismatch: { status: 412, detail: 'Precondition failed', error: 'invalid_request' },
  cursor_invalid: { status: 400, detail: 'Invalid cursor', error: 'invalid_request' },
  account_absent: { status: 404, detail: 'User not found', error: 'invalid_request' },
  hashing_busy: { status: 503, detail: 'Service is busy, try again shortly', error: 'temporarily_unavailable' },
  too_many_tries: { status: 429, detail: 'Too many attempts, try again later', error: 'temporarily_unavailable' },
  email_unchanged: {
    status: 422,
    detail: 'value is the address the account has already',
    error: 'invalid_request',
    member: 'email',
  },
  email_unverified: { status: 403, detail: 'Email address is not verified', error: 'invalid_grant' },
  link_invalid: { status: 400, detail: 'Invalid or expired link', error: 'invalid_request' },
  mail_off: { status: 400, detail: 'This service sends no mails', error: 'invalid_request' },
  malformed_body: { status: 400, detail: 'There was an error parsing the body', error: 'invalid_request' },
  unsupported_media_type: { status: 415, detail: 'Unsupported media type', error: 'invalid_request' },
  unsupported_grant_type: { status: 400, detail: 'Unsupported grant type', error: 'unsupported_grant_type' },
  client_invalid: { status: 401, detail: 'Could not validate client credentials', error: 'invalid_client' },
  body_too_large: { status: 413, detail: 'Request body is too large', error: 'invalid_request' },
  header_too_large: { status: 431, detail: 'Request header fields are too large', error: 'invalid_request' },
  origin_untrusted: { status: 403, detail: 'Origin is not trusted', error: 'access_denied' },
  origin_missing: { status: 403, detail: 'Origin is missing', error: 'access_denied' },
  cross_site_login: { status: 403, detail: 'Cross-site login blocked', error: 'access_denied' },
  not_found: { status: 404, detail: 'Not Found', error: 'invalid_request' },
  method_not_allowed: { status: 405, detail: 'Method Not Allowed', error: 'invalid_request' },
  rate_limited: { status: 429, detail: 'Too many requests', error: 'temporarily_unavailable' },
  overloaded: { status: 503, detail: 'Service is busy, try again shortly', error: 'temporarily_unavailable' },
  validation_failed: { status: 422, detail: 'Validation failed', error: 'invalid_request' },
  unavailable: { status: 503, detail: 'Service temporarily unavailable', error: 'temporarily_unavailable' },
  internal: { status: 500, detail: 'Internal Server Error', error: 'server_error' },
} satisfies Record<ProblemCode, Words>

export function render(problem: Problem, request: FastifyRequest): Answer {
  const { status, detail, error, member }: Words = words[problem.code]
  const { tokenEndpoint, passwordMember = 'password' } = request.routeOptions.config
  const text = problem.origin === undefined ? detail : `${detail}: ${problem.origin} (add it to TRUSTED_ORIGINS)`
  const body = {
    detail: member
      ? [valueError(member === 'password' ? passwordMember : member, text)]
      : toDetail(problem.issues, text),
    ...(tokenEndpoint ? { error, error_description: text } : {}),
  }
  return { status: isFormRefresh(problem, request) ? 400 : status, body }
}

/** What the document shows of this door's failures: everywhere, at its token endpoints, and where a new password is chosen. */
export const Failure = worded(AuthFailure, render)
export const TokenFailure = worded(AuthFailure, render, { tokenEndpoint: true })
export const PasswordChangeFailure = worded(AuthFailure, render, { passwordMember: 'new_password' })

export const wrongType = (member: string): Issue => ({
  in: 'body',
  path: [member],
  rule: 'type',
  message: 'must be string',
})

/** RFC 6749 section 5.2 answers 400 where the source document's JSON form answers 401. */
const isFormRefresh = (problem: Problem, request: FastifyRequest): boolean =>
  problem.code === 'refresh_invalid' &&
  (request.headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded')

const toDetail = (issues: readonly Issue[], text: string) =>
  issues.length === 0
    ? text
    : issues.map(issue => ({
        type: issue.rule === 'required' ? 'missing' : `${issue.rule}_error`,
        loc: [issue.in, ...issue.path],
        msg: issue.rule === 'required' ? 'Field required' : `Input ${issue.message}`,
      }))

const valueError = (member: string, text: string) => ({ type: 'value_error', loc: ['body', member], msg: text })
