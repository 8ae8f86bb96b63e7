/** Reads the Authorization header, and peeks into a token nobody has verified yet. Nothing here throws, whatever is sent. */

export type BearerReading =
  | { readonly kind: 'none' }
  | { readonly kind: 'other' }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'bearer'; readonly value: string }

/** The scheme's name, ended by anything that cannot belong to it (RFC 9110, section 5.6.2). */
const bearerScheme = /^bearer(?![\w!#$%&'*+.^`|~-])/i
/** RFC 6750, section 2.1, and `%`: Better Auth's clients send the cookie's value as it stands, URL-encoded. */
const bearerCredentials = /^bearer +([\w.~+/%-]+=*)$/i

/** `malformed` is a bearer header no token can be read from; `other` is another scheme, or no scheme at all. */
export function readBearer(header: string | undefined): BearerReading {
  if (header === undefined || header.trim() === '') return { kind: 'none' }
  if (!bearerScheme.test(header)) return { kind: 'other' }
  const value = bearerCredentials.exec(header)?.[1]
  return value === undefined ? { kind: 'malformed' } : { kind: 'bearer', value }
}

/** Three base64url parts, the first two JSON objects: somebody's JWT, alive or dead. An empty signature counts too. */
export function looksLikeJwt(value: string): boolean {
  return unverifiedPayload(value) !== undefined
}

/** The `iss` a JWT claims. It tells whose token this would be, and proves nothing. */
export function unverifiedIssuer(value: string): string | undefined {
  const issuer = unverifiedPayload(value)?.iss
  return typeof issuer === 'string' ? issuer : undefined
}

type JsonObject = Record<string, unknown>

function unverifiedPayload(value: string): JsonObject | undefined {
  const [header, payload, signature, ...more] = value.split('.', 4)
  if (header === undefined || payload === undefined || signature === undefined || more.length > 0) return undefined
  if (!isBase64url(signature) || decodeObject(header) === undefined) return undefined
  return decodeObject(payload)
}

function decodeObject(part: string): JsonObject | undefined {
  if (!isBase64url(part)) return undefined
  try {
    const decoded: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    const isObject = typeof decoded === 'object' && decoded !== null && !Array.isArray(decoded)
    return isObject ? (decoded as JsonObject) : undefined
  } catch {
    return undefined
  }
}

function isBase64url(part: string): boolean {
  return /^[\w-]*$/.test(part) && part.length % 4 !== 1
}
