/** RFC 6750: the token in an Authorization header, and what is said to whoever brings none or a bad one. */
import type { Claims } from './claims.js'
import { TokenRefused } from './refused.js'
import type { Verifier } from './verifier.js'

/** How a request is turned away. `refusal`: why its token was refused; undefined when it brought none. */
export type Rejection = {
  statusCode: 401 | 503
  headers: Record<string, string>
  /** RFC 6750 section 3.1 has a code for a bad token, and none for a missing one. */
  error: 'unauthorized' | 'invalid_token' | 'temporarily_unavailable'
  refusal: TokenRefused | undefined
}

export type Passage = { claims: Claims } | { rejection: Rejection }

/** Reads and verifies the bearer token of a request. What is no TokenRefused is thrown on. */
export async function passageOf(verifier: Verifier, authorization: string | undefined): Promise<Passage> {
  const token = bearerOf(authorization)
  if (token === undefined) return { rejection: reject(undefined) }
  try {
    return { claims: await verifier.verify(token) }
  } catch (error) {
    if (error instanceof TokenRefused) return { rejection: reject(error) }
    throw error
  }
}

/** RFC 6750 section 2.1; undefined without a bearer, and a bearer that cannot be read is a bad token. */
function bearerOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined || !/^bearer(?: |$)/i.test(authorization)) return undefined
  return authorization.slice('bearer'.length).trim()
}

/** RFC 6750 section 3: whoever brought no token is told no error. An outage is nobody's fault and signs nobody out. */
function reject(refusal: TokenRefused | undefined): Rejection {
  if (refusal === undefined)
    return { statusCode: 401, headers: { 'www-authenticate': 'Bearer' }, error: 'unauthorized', refusal }
  if (refusal.isOutage)
    return { statusCode: 503, headers: { 'retry-after': '1' }, error: 'temporarily_unavailable', refusal }
  const headers = { 'www-authenticate': 'Bearer error="invalid_token"' }
  return { statusCode: 401, headers, error: 'invalid_token', refusal }
}
