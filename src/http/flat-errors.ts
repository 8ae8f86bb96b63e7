/** The flat errors of everything under /api: Better Auth's codes and messages, the way its clients read them. */
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Answer } from './dialect.js'
import type { Issue, Problem, ProblemCode } from './problem.js'

export type FlatWords = { status: number; code: string; message: string }

export const FlatFailure = Type.Object(
  {
    success: Type.Literal(false),
    code: Type.String({ description: 'Stable; the one to test for.', examples: ['INVALID_EMAIL_OR_PASSWORD'] }),
    message: Type.String({ examples: ['Invalid email or password'] }),
    hint: Type.Optional(Type.String({ description: 'For whoever runs the service.' })),
  },
  { $id: 'Failure', examples: [{ success: false, code: 'UNAUTHORIZED', message: 'Unauthorized' }] },
)

const wrongLogin: FlatWords = { status: 401, code: 'INVALID_EMAIL_OR_PASSWORD', message: 'Invalid email or password' }
const unauthorized: FlatWords = { status: 401, code: 'UNAUTHORIZED', message: 'Unauthorized' }
const busy: FlatWords = { status: 503, code: 'SERVICE_UNAVAILABLE', message: 'Service is busy, try again shortly' }

/** Codes and messages are those of Better Auth's BASE_ERROR_CODES wherever it has one. */
export const flatWords = {
  email_invalid: { status: 400, code: 'INVALID_EMAIL', message: 'Invalid email' },
  email_taken: {
    status: 400,
    code: 'USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL',
    message: 'User already exists. Use another email.',
  },
  password_too_short: { status: 400, code: 'PASSWORD_TOO_SHORT', message: 'Password too short' },
  password_too_long: { status: 400, code: 'PASSWORD_TOO_LONG', message: 'Password too long' },
  password_common: {
    status: 400,
    code: 'PASSWORD_TOO_COMMON',
    message: 'Password is too common, or the same as the email',
  },
  password_invalid: { status: 400, code: 'VALIDATION_ERROR', message: 'Password holds characters that cannot be used' },
  account_unknown: wrongLogin,
  password_wrong: wrongLogin,
  current_password_wrong: { status: 400, code: 'INVALID_PASSWORD', message: 'Invalid password' },
  session_stale: {
    status: 400,
    code: 'SESSION_EXPIRED',
    message: 'Session expired. Re-authenticate to perform this action.',
  },
  credential_missing: unauthorized,
  credential_invalid: unauthorized,
  refresh_invalid: { status: 401, code: 'INVALID_TOKEN', message: 'Invalid token' },
  session_unknown: { status: 404, code: 'SESSION_NOT_FOUND', message: 'Session not found' },
  profile_absent: { status: 404, code: 'PROFILE_NOT_FOUND', message: 'Profile not found' },
  background_absent: { status: 404, code: 'BACKGROUND_NOT_FOUND', message: 'Background not found' },
  version_mismatch: { status: 412, code: 'PRECONDITION_FAILED', message: 'The profile has been changed meanwhile' },
  cursor_invalid: { status: 400, code: 'INVALID_CURSOR', message: 'Invalid cursor' },
  account_absent: { status: 404, code: 'USER_NOT_FOUND', message: 'User not found' },
  hashing_busy: busy,
  too_many_tries: { status: 429, code: 'TOO_MANY_REQUESTS', message: 'Too many attempts. Please try again later.' },
  email_unchanged: { status: 400, code: 'EMAIL_IS_THE_SAME', message: 'Email is the same' },
  email_unverified: { status: 403, code: 'EMAIL_NOT_VERIFIED', message: 'Email not verified' },
  link_invalid: { status: 400, code: 'INVALID_TOKEN', message: 'Invalid token' },
  mail_off: { status: 400, code: 'VERIFICATION_EMAIL_NOT_ENABLED', message: "Verification email isn't enabled" },
  malformed_body: { status: 400, code: 'BAD_REQUEST', message: 'Invalid JSON in request body' },
  unsupported_media_type: { status: 415, code: 'UNSUPPORTED_MEDIA_TYPE', message: 'Unsupported media type' },
  unsupported_grant_type: { status: 400, code: 'UNSUPPORTED_GRANT_TYPE', message: 'Unsupported grant type' },
  client_invalid: { status: 401, code: 'INVALID_CLIENT', message: 'Invalid client' },
  body_too_large: { status: 413, code: 'PAYLOAD_TOO_LARGE', message: 'Request body is too large' },
  header_too_large: {
    status: 431,
    code: 'REQUEST_HEADER_FIELDS_TOO_LARGE',
    message: 'Request header fields are too large',
  },
  origin_untrusted: { status: 403, code: 'INVALID_ORIGIN', message: 'Invalid origin' },
  origin_missing: { status: 403, code: 'MISSING_OR_NULL_ORIGIN', message: 'Missing or null Origin' },
  cross_site_login: {
    status: 403,
    code: 'CROSS_SITE_NAVIGATION_LOGIN_BLOCKED',
    message: 'Cross-site navigation login blocked. This request appears to be a CSRF attack.',
  },
  not_found: { status: 404, code: 'NOT_FOUND', message: 'Not found' },
  method_not_allowed: { status: 405, code: 'METHOD_NOT_ALLOWED', message: 'Method not allowed' },
  rate_limited: { status: 429, code: 'TOO_MANY_REQUESTS', message: 'Too many requests. Please try again later.' },
  overloaded: busy,
  validation_failed: { status: 400, code: 'VALIDATION_ERROR', message: 'Validation Error' },
  unavailable: { status: 503, code: 'SERVICE_UNAVAILABLE', message: 'Service temporarily unavailable' },
  internal: { status: 500, code: 'INTERNAL_SERVER_ERROR', message: 'Internal server error' },
} satisfies Record<ProblemCode, FlatWords>

/** The flat answer to a problem; `words` where a route has its own for it. Given the request, it tells what types came. */
export function flatAnswer(
  problem: Problem,
  request?: FastifyRequest,
  words: FlatWords = flatWords[problem.code],
): Answer {
  const { status, code, message } = words
  const told = problem.issues.map(issue => describe(issue, request))
  const hint = problem.origin === undefined ? {} : { hint: `If ${problem.origin} is yours, add it to TRUSTED_ORIGINS.` }
  return {
    status,
    body: { success: false, code, message: told.length > 0 ? told.join('; ') : message, ...hint },
    // Better Auth's own name for Retry-After at 429, and the one its clients look at.
    headers: status === 429 && problem.retryAfter !== undefined ? { 'x-retry-after': String(problem.retryAfter) } : {},
  }
}

/** `[body.password] Invalid input: expected string, received undefined`, as Better Auth's validator puts it. */
function describe(issue: Issue, request: FastifyRequest | undefined): string {
  return `[${[issue.in, ...issue.path].join('.')}] Invalid input: ${explain(issue, request)}`
}

function explain(issue: Issue, request: FastifyRequest | undefined): string {
  // Whatever is required here is a text.
  if (issue.rule === 'required') return 'expected string, received undefined'
  if (issue.rule !== 'type') return issue.message
  const expected = issue.message.replace(/^must be /, 'expected ')
  return issue.in === 'body' && request ? `${expected}, received ${typeAt(issue.path, request.body)}` : expected
}

/** The type of what came, never its value. */
function typeAt(path: readonly string[], body: unknown): string {
  const value = path.reduce<unknown>((part, name) => (part as Record<string, unknown> | null | undefined)?.[name], body)
  if (Array.isArray(value)) return 'array'
  return value === null ? 'null' : typeof value
}
