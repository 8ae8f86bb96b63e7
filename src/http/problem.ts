/** Anything thrown becomes a Problem: a code from one closed union, with what a door may tell about it. Nothing else leaves. */
import type { FastifySchemaValidationError } from 'fastify'
import { AuthError, type AuthErrorCode, isForeignKeyViolation, isUnavailable } from '../core/errors.js'
import { Rejection, type RejectionCode } from './rejection.js'

export type ProblemCode = AuthErrorCode | RejectionCode | 'validation_failed' | 'unavailable' | 'internal'

/** One member of a request that is not as its schema says. */
export type Issue = {
  /** Which part of the request: `body`, `query`, `path` or `header`. */
  in: 'body' | 'query' | 'path' | 'header'
  /** The way to the member; empty for the part itself. */
  path: readonly string[]
  /** JSON Schema's keyword that refused it, `required` for a missing member. */
  rule: string
  /** A sentence without any value of the request. */
  message: string
}

export type Problem = {
  code: ProblemCode
  issues: readonly Issue[]
  /** Seconds, where trying again later makes sense. */
  retryAfter?: number | undefined
  /** The origin that was refused. */
  origin?: string | undefined
}

/** For what a schema cannot say well: thrown by a handler, answered like any other failed validation. */
export class InvalidRequest extends Error {
  override readonly name = 'InvalidRequest'
  readonly issues: readonly Issue[]

  constructor(...issues: readonly Issue[]) {
    super('validation_failed')
    this.issues = issues
  }
}

/** The issue of a body member that is missing. */
export const missing = (member: string): Issue => ({
  in: 'body',
  path: [member],
  rule: 'required',
  message: 'is required',
})

const retrySoon = 2

/** Never throws, and never passes on a text it did not write itself. */
export function toProblem(error: unknown): Problem {
  if (error instanceof AuthError)
    return problem(error.code, { retryAfter: error.code === 'hashing_busy' ? retrySoon : error.retryAfter })
  if (error instanceof Rejection) return problem(error.code, error.detail)
  if (error instanceof InvalidRequest) return { code: 'validation_failed', issues: error.issues }
  if (isUnavailable(error)) return problem('unavailable', { retryAfter: retrySoon })
  // Every foreign key names an account: the caller's has been deleted between the check and the write.
  if (isForeignKeyViolation(error)) return problem('credential_invalid')
  return fromFastify(error)
}

type FastifyFault = {
  code?: unknown
  statusCode?: unknown
  validation?: FastifySchemaValidationError[]
  validationContext?: string
}

const rejections = new Map<number, RejectionCode>([
  [400, 'malformed_body'],
  [404, 'not_found'],
  [413, 'body_too_large'],
  [415, 'unsupported_media_type'],
  [431, 'header_too_large'],
])

function fromFastify(error: unknown): Problem {
  const { statusCode, validation, validationContext } = (error ?? {}) as FastifyFault
  if (validation)
    return { code: 'validation_failed', issues: validation.map(fault => toIssue(fault, validationContext)) }
  const code = typeof statusCode === 'number' ? rejections.get(statusCode) : undefined
  return problem(code ?? 'internal')
}

const problem = (code: ProblemCode, detail: Omit<Partial<Problem>, 'code'> = {}): Problem => ({
  code,
  issues: [],
  ...detail,
})

const parts: Record<string, Issue['in']> = { body: 'body', querystring: 'query', params: 'path', headers: 'header' }

function toIssue(fault: FastifySchemaValidationError, context = 'body'): Issue {
  const missing = fault.keyword === 'required' ? [String(fault.params.missingProperty)] : []
  const path = [...fault.instancePath.split('/').slice(1).map(unescapePointer), ...missing]
  const allowed = fault.params.allowedValues
  const message = Array.isArray(allowed) ? `must be one of ${allowed.join(', ')}` : (fault.message ?? 'is not valid')
  return {
    in: parts[context] ?? 'body',
    path,
    rule: fault.keyword,
    message: missing.length > 0 ? 'is required' : message,
  }
}

/** RFC 6901 section 3. */
const unescapePointer = (part: string): string => part.replaceAll('~1', '/').replaceAll('~0', '~')
