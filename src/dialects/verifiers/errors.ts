/** The verifiers' words: RFC 6749's and RFC 6750's codes with a sentence. */
import type { Answer } from '../../http/dialect.js'
import { worded } from '../../http/openapi.js'
import type { Problem, ProblemCode } from '../../http/problem.js'
import { VerifierFailure } from './wire.js'

type Words = { status: number; error: string; sentence: string }

const notHere: Words = { status: 404, error: 'not_found', sentence: 'There is no such thing here.' }
const badRequest: Words = { status: 400, error: 'invalid_request', sentence: 'The request is not valid.' }
const badToken: Words = { status: 401, error: 'invalid_token', sentence: 'The token is not valid.' }
const busy: Words = { status: 503, error: 'temporarily_unavailable', sentence: 'Try again shortly.' }

const words = {
  email_invalid: badRequest,
  email_taken: badRequest,
  password_too_short: badRequest,
  password_too_long: badRequest,
  password_common: badRequest,
  password_invalid: badRequest,
  account_unknown: badRequest,
  password_wrong: badRequest,
  current_password_wrong: badRequest,
  session_stale: badRequest,
  client_invalid: {
    status: 401,
    error: 'invalid_client',
    sentence: 'The client is not known, or its secret is wrong.',
  },
  credential_missing: { ...badToken, sentence: 'There is no token.' },
  credential_invalid: badToken,
  refresh_invalid: badToken,
  session_unknown: notHere,
  profile_absent: notHere,
  background_absent: notHere,
  version_mismatch: badRequest,
  cursor_invalid: badRequest,
  account_absent: notHere,
  hashing_busy: busy,
  too_many_tries: { status: 429, error: 'temporarily_unavailable', sentence: 'Too many attempts.' },
  email_unchanged: badRequest,
  email_unverified: badRequest,
  link_invalid: badRequest,
  mail_off: badRequest,
  malformed_body: badRequest,
  unsupported_media_type: { status: 415, error: 'invalid_request', sentence: 'The body must be a form.' },
  unsupported_grant_type: {
    status: 400,
    error: 'unsupported_grant_type',
    sentence: 'The grant type is not supported.',
  },
  body_too_large: { status: 413, error: 'invalid_request', sentence: 'The body is too large.' },
  header_too_large: { status: 431, error: 'invalid_request', sentence: 'The headers are too large.' },
  origin_untrusted: { status: 403, error: 'access_denied', sentence: 'The origin is not trusted.' },
  origin_missing: { status: 403, error: 'access_denied', sentence: 'The origin is missing.' },
  cross_site_login: { status: 403, error: 'access_denied', sentence: 'A sign-in from another site is blocked.' },
  not_found: notHere,
  method_not_allowed: { status: 405, error: 'invalid_request', sentence: 'The method is not allowed.' },
  rate_limited: { status: 429, error: 'temporarily_unavailable', sentence: 'Too many requests.' },
  overloaded: busy,
  validation_failed: badRequest,
  unavailable: { status: 503, error: 'temporarily_unavailable', sentence: 'The service is not available just now.' },
  internal: { status: 500, error: 'server_error', sentence: 'Something went wrong on our side.' },
} satisfies Record<ProblemCode, Words>

export function render(problem: Problem): Answer {
  const { status, error, sentence } = words[problem.code]
  const told = problem.issues.map(({ path, message }) => `${path.join('.') || 'The body'} ${message}.`)
  return {
    status,
    body: { error, error_description: told.join(' ') || sentence },
    // RFC 6749 section 5.2: whoever tried with a header is told which scheme would do.
    headers: problem.code === 'client_invalid' ? { 'www-authenticate': 'Basic realm="gatehouse"' } : {},
  }
}

/** What the document shows of this door's failures. */
export const Failure = worded(VerifierFailure, render)
