/** The envelope door's words: plain sentences, 400 for nearly everything, 500 where the others say 503. */
import type { FastifyRequest } from 'fastify'
import type { Answer } from '../../http/dialect.js'
import { worded } from '../../http/openapi.js'
import type { Issue, Problem, ProblemCode } from '../../http/problem.js'
import { envelopeRule } from './envelope.js'
import { CodvidFailure } from './wire.js'

type Words = { status: number; message: string; bare?: true }

const missingToken = 'Unauthorized: missing session token while accessing non-public routes'
const badToken = 'Unauthorized: invalid or expired token'

/** `bare`: the answer is `{error}` without the envelope. */
const words = {
  email_invalid: { status: 400, message: 'email is not valid.' },
  email_taken: { status: 400, message: 'Email is already linked to an account' },
  password_too_short: { status: 400, message: 'password is too short.' },
  password_too_long: { status: 400, message: 'password is too long.' },
  password_common: { status: 400, message: 'password is too common.' },
  password_invalid: { status: 400, message: 'password is not valid.' },
  account_unknown: { status: 400, message: 'Email is not linked to an account.' },
  password_wrong: { status: 400, message: 'wrong password.' },
  current_password_wrong: { status: 400, message: 'wrong password.' },
  session_stale: { status: 400, message: 'password is required.' },
  credential_missing: { status: 401, message: missingToken, bare: true },
  credential_invalid: { status: 401, message: badToken, bare: true },
  refresh_invalid: { status: 401, message: badToken, bare: true },
  session_unknown: { status: 404, message: 'Session not found', bare: true },
  profile_absent: { status: 404, message: 'Profile not found', bare: true },
  background_absent: { status: 404, message: 'Background not found', bare: true },
  version_mismatch: { status: 412, message: 'Precondition failed', bare: true },
  cursor_invalid: { status: 400, message: 'Invalid cursor', bare: true },
  account_absent: { status: 404, message: 'User not found', bare: true },
  hashing_busy: { status: 503, message: 'service is busy, please try again.' },
  too_many_tries: { status: 429, message: 'too many attempts, please try again later.' },
  email_unchanged: { status: 400, message: 'email is the same.' },
  email_unverified: { status: 400, message: 'Email is not verified.' },
  link_invalid: { status: 400, message: 'link is invalid or expired.' },
  mail_off: { status: 400, message: 'this service sends no mails.' },
  malformed_body: { status: 400, message: 'request body is not valid JSON.' },
  unsupported_media_type: { status: 415, message: 'request body must be application/json.' },
  unsupported_grant_type: { status: 400, message: 'unsupported auth_type!' },
  client_invalid: { status: 401, message: badToken, bare: true },
  body_too_large: { status: 413, message: 'request body is too large.' },
  header_too_large: { status: 431, message: 'request headers are too large.' },
  origin_untrusted: { status: 403, message: 'origin is not trusted.' },
  origin_missing: { status: 403, message: 'origin is missing.' },
  cross_site_login: { status: 403, message: 'cross-site login is blocked.' },
  not_found: { status: 404, message: 'Not found', bare: true },
  method_not_allowed: { status: 405, message: 'Method not allowed', bare: true },
  rate_limited: { status: 429, message: 'too many requests, please try again later.' },
  overloaded: { status: 503, message: 'service is busy, please try again.' },
  validation_failed: { status: 400, message: 'request is not valid.' },
  unavailable: { status: 500, message: 'Database error: temporarily unavailable, please try again.' },
  internal: { status: 500, message: 'Internal server error.' },
} satisfies Record<ProblemCode, Words>

/** With `uniform`, unknown address and wrong password are told apart no longer. */
export const createRender =
  (uniform: boolean) =>
  (problem: Problem, _request: FastifyRequest): Answer => {
    const told = uniform && problem.code === 'password_wrong' ? 'account_unknown' : problem.code
    const { status, message, bare }: Words = uniform && told === 'account_unknown' ? uniformRefusal : words[told]
    if (problem.issues.some(issue => issue.in === 'query'))
      return { status, body: { error: 'Email parameter required' } }
    const sentence = problem.issues.find(issue => issue.rule === envelopeRule)?.message ?? message
    return { status, body: bare ? { error: message } : { result: false, message: sentence } }
  }

const uniformRefusal: Words = { status: 400, message: 'wrong email or password.' }

/** What the document shows of this door's failures. */
export const Failure = worded(CodvidFailure, createRender(false))

export const missingAuthType: Issue = { in: 'body', path: [], rule: envelopeRule, message: 'missing auth_type!' }
export const missingEmail: Issue = { in: 'query', path: ['email'], rule: 'required', message: 'is required' }
