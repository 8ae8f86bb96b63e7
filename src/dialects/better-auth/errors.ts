/** The door's words: those that everything under /api shares, and Better Auth's own where one of its routes has others. */
import type { FastifyRequest } from 'fastify'
import { AuthError, type AuthErrorCode } from '../../core/errors.js'
import type { Answer } from '../../http/dialect.js'
import { FlatFailure, type FlatWords, flatAnswer, flatWords } from '../../http/flat-errors.js'
import { worded } from '../../http/openapi.js'
import { InvalidRequest, type Issue, type Problem, type ProblemCode } from '../../http/problem.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route's own words for some problems. */
    words?: Partial<Record<ProblemCode, FlatWords>>
  }
}

/** A malformed address is a failed validation wherever Better Auth has it checked before its handler: all but at sign-in. */
export const malformedEmail = (field: string) => ({
  email_invalid: { ...flatWords.validation_failed, message: `[body.${field}] Invalid email address` },
})

/** At Better Auth's sign-up a taken address is 422; the JSON dialects say 400. */
export const signUpWords = {
  ...malformedEmail('email'),
  email_taken: { ...flatWords.email_taken, status: 422 },
} satisfies Partial<Record<ProblemCode, FlatWords>>

/** What no other door refuses. Better Auth has no code where nothing is left to update. */
const refusals = {
  callback_untrusted: { status: 403, code: 'INVALID_CALLBACK_URL', message: 'Invalid callbackURL' },
  redirect_untrusted: { status: 403, code: 'INVALID_REDIRECT_URL', message: 'Invalid redirectURL' },
  email_mismatch: { status: 400, code: 'EMAIL_MISMATCH', message: 'Email mismatch' },
  email_verified: { status: 400, code: 'EMAIL_ALREADY_VERIFIED', message: 'Email is already verified' },
  email_fixed: { status: 400, code: 'EMAIL_CAN_NOT_BE_UPDATED', message: 'Email can not be updated' },
  nothing_to_update: { status: 400, code: 'NO_FIELDS_TO_UPDATE', message: 'No fields to update' },
  deletion_token_unknown: { status: 404, code: 'INVALID_TOKEN', message: 'Invalid token' },
} satisfies Record<string, FlatWords>

type Refusal = keyof typeof refusals

/** What is wrong with a request for a reason of this door alone. */
export const refused = (rule: Refusal): Issue => ({ in: 'body', path: [], rule, message: refusals[rule].message })

/** The same, to be thrown by a handler. */
export const refusal = (rule: Refusal): InvalidRequest => new InvalidRequest(refused(rule))

export function render(problem: Problem, request: FastifyRequest): Answer {
  const rule = problem.issues.map(issue => issue.rule).find(isRefusal)
  if (rule) return flatAnswer({ ...problem, issues: [] }, request, refusals[rule])
  return flatAnswer(problem, request, request.routeOptions.config.words?.[problem.code])
}

const isRefusal = (rule: string): rule is Refusal => Object.hasOwn(refusals, rule)

/** What the document shows of this door's failures: everywhere, and at Better Auth's sign-up. */
export const Failure = worded(FlatFailure, render)
export const SignUpFailure = worded(FlatFailure, render, { words: signUpWords })

/** For `.catch`, where Better Auth answers as if nothing had been wrong: takes that one code for undefined. */
export const unless =
  (code: AuthErrorCode) =>
  (error: unknown): undefined => {
    if (!(error instanceof AuthError && error.code === code)) throw error
  }
