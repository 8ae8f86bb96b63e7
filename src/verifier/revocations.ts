/** The issuer's revocation document: one security event token (RFC 8417) that names many sessions and accounts. */
import { isForUs, isSecond, isShortText, isUuid } from './claims.js'
import { isObject, type JsonObject } from './json.js'

/** OpenID Continuous Access Evaluation Profile 1.0 section 3.1. */
export const sessionRevoked = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'

export type Revocations = {
  iat: number
  exp: number
  /** Until when each session's tokens could live. */
  sessions: ReadonlyMap<string, { exp: number }>
  /** Per account the second before which its tokens are void, and until when they could live. */
  accounts: ReadonlyMap<string, { notBefore: number; exp: number }>
  /** The second before which every token is void: more was revoked than a document can hold. 0 where nothing is said. */
  before: number
}

export type DocumentExpectations = {
  issuer: string
  /** Names the reader goes by; a document with an audience is for those it names (RFC 8417 section 2.2). */
  names: readonly string[]
  seconds: number
  tolerance: number
}

/** A signed payload as revocations; throws Error with what is wrong with it. */
export function readRevocations(payload: JsonObject, expected: DocumentExpectations): Revocations {
  const { iss, aud, jti, iat, exp, events } = payload
  if (iss !== expected.issuer) throw new Error('the document is of another issuer')
  const isMeantForUs = aud === undefined || expected.names.some(name => isForUs(aud, name))
  if (!isMeantForUs) throw new Error('the document is for somebody else')
  const event = isObject(events) ? events[sessionRevoked] : undefined
  if (!isShortText(jti) || !isSecond(iat) || !isSecond(exp) || !isObject(event))
    throw new Error('the document is malformed')
  if (iat > expected.seconds + expected.tolerance) throw new Error('the document is of a time to come')
  if (exp + expected.tolerance <= expected.seconds) throw new Error('the document has expired')
  const { sessions, accounts, before } = event
  return { iat, exp, sessions: readSessions(sessions), accounts: readAccounts(accounts), before: readBefore(before) }
}

function readBefore(before: unknown): number {
  if (before === undefined) return 0
  if (!isSecond(before)) throw new Error('the second before which all is void is malformed')
  return before
}

function readSessions(entries: unknown): Revocations['sessions'] {
  if (!Array.isArray(entries) || !entries.every(isSession)) throw new Error('the sessions are malformed')
  return new Map(entries.map(([sid, exp]) => [sid, { exp }]))
}

function readAccounts(entries: unknown): Revocations['accounts'] {
  if (!Array.isArray(entries) || !entries.every(isAccount)) throw new Error('the accounts are malformed')
  return mergeAccounts(entries.map(([sub, notBefore, exp]) => [sub, { notBefore, exp }]))
}

const isSession = (entry: unknown): entry is [string, number] =>
  Array.isArray(entry) && entry.length === 2 && isUuid(entry[0]) && isSecond(entry[1])

const isAccount = (entry: unknown): entry is [string, number, number] =>
  Array.isArray(entry) && entry.length === 3 && isUuid(entry[0]) && isSecond(entry[1]) && isSecond(entry[2])

/**
 * What is known after another document. What was revoked once stays so until `seconds` has passed its end, whatever later
 * documents leave out: no replica that lags behind, and no replay, lets anybody in again. A document older than the one held is
 * a replay, and throws.
 */
export function succeed(held: Revocations | undefined, next: Revocations, seconds: number): Revocations {
  if (held === undefined) return next
  if (next.iat < held.iat) throw new Error('the document is older than the one held')
  const isLive = ([, { exp }]: [string, { exp: number }]) => exp > seconds
  const sessions = new Map([...[...held.sessions].filter(isLive), ...next.sessions])
  const accounts = mergeAccounts([...[...held.accounts].filter(isLive), ...next.accounts])
  return { ...next, sessions, accounts, before: Math.max(held.before, next.before) }
}

function mergeAccounts(entries: Iterable<[string, { notBefore: number; exp: number }]>): Revocations['accounts'] {
  const accounts = new Map<string, { notBefore: number; exp: number }>()
  for (const [sub, { notBefore, exp }] of entries) {
    const known = accounts.get(sub)
    accounts.set(sub, {
      notBefore: Math.max(notBefore, known?.notBefore ?? 0),
      exp: Math.max(exp, known?.exp ?? 0),
    })
  }
  return accounts
}
