/** The keys that tokens are signed and verified with: read from configuration, named, and published where they are public. */
import { createHash, createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'

/** RFC 7518 section 3.1 and RFC 8037 section 3.1: the algorithms tokens may be signed with. */
export type Algorithm = 'HS256' | 'ES256' | 'EdDSA' | 'RS256'

export type Key = {
  /** Names the key in token headers; tells nothing of it. */
  kid: string
  alg: Algorithm
  /** The secret of HS256, or the public key as PEM. */
  verifying: string
  /** The secret of HS256, or the private key as PEM; undefined: the key verifies only. */
  signing: string | undefined
  /** The public key as published; undefined for HS256. */
  jwk: PublicJwk | undefined
}

/** RFC 7517 section 4, with the members of RFC 7518 section 6 that are public. */
export type PublicJwk = { kid: string; alg: Algorithm; use: 'sig'; kty: string } & {
  [Member in 'crv' | 'x' | 'y' | 'n' | 'e']?: string
}

/** One key signs, all verify. A token names its key by `kid`; one without is the current key's. */
export type KeyRing = { current: Key; others: readonly Key[] }

/** Key material that cannot be used; the message names the fault and never the material. */
export class BadKey extends Error {
  override readonly name = 'BadKey'
}

const smallestRsaBits = 2048

/** The HS256 key of a secret. Its name is a prefix of a hash made for this purpose alone. */
export function secretKey(secret: string): Key {
  const kid = createHash('sha256').update(`gatehouse kid\0${secret}`).digest('base64url').slice(0, 8)
  return { kid, alg: 'HS256', verifying: secret, signing: secret, jwk: undefined }
}

/** A key of a PEM (PKCS #8, SEC 1, PKCS #1 or SPKI) or a JWK as text. Throws BadKey. */
export function asymmetricKey(text: string): Key {
  const material = parseMaterial(text)
  const publicKey = material.type === 'public' ? material : createPublicKey(material)
  const alg = algorithmOf(publicKey)
  const jwk = publicKey.export({ format: 'jwk' }) as Omit<PublicJwk, 'kid' | 'alg' | 'use'>
  const kid = thumbprint(jwk)
  return {
    kid,
    alg,
    verifying: publicKey.export({ type: 'spki', format: 'pem' }) as string,
    signing: material.type === 'private' ? (material.export({ type: 'pkcs8', format: 'pem' }) as string) : undefined,
    jwk: { ...jwk, kid, alg, use: 'sig' },
  }
}

/** Several keys in one text: PEM blocks one after the other, a JWK, or a JWK set. Throws BadKey. */
export function asymmetricKeys(text: string): Key[] {
  if (isJson(text)) {
    const { keys } = parseJson(text) as { keys?: unknown }
    return Array.isArray(keys) ? keys.map(key => asymmetricKey(JSON.stringify(key))) : [asymmetricKey(text)]
  }
  const pem = unescapeLines(text)
  const blocks = pem.match(/-----BEGIN [A-Z ]+-----[^-]+-----END [A-Z ]+-----/g) ?? []
  if (blocks.length === 0) throw new BadKey('holds no PEM block and no JWK')
  if (blocks.length < pem.split('-----BEGIN').length - 1) throw new BadKey('holds a PEM block that does not end')
  return blocks.map(asymmetricKey)
}

/** What `/.well-known/jwks.json` publishes (RFC 7517 section 5): no secret, and no private member. */
export const publicKeysOf = (ring: KeyRing): PublicJwk[] =>
  [ring.current, ...ring.others].flatMap(key => (key.jwk ? [key.jwk] : []))

function parseMaterial(text: string): KeyObject {
  try {
    if (isJson(text)) return parseJwk(parseJson(text) as JsonWebKey)
    const pem = unescapeLines(text)
    return pem.includes('PRIVATE KEY') ? createPrivateKey(pem) : createPublicKey(pem)
  } catch (error) {
    throw error instanceof BadKey ? error : new BadKey('is not a key in PEM or JWK form')
  }
}

function parseJwk(jwk: JsonWebKey): KeyObject {
  if (jwk.kty === 'oct') throw new BadKey('is a symmetric JWK; a secret belongs in JWT_SECRET')
  return jwk.d === undefined
    ? createPublicKey({ key: jwk, format: 'jwk' })
    : createPrivateKey({ key: jwk, format: 'jwk' })
}

function algorithmOf(key: KeyObject): Algorithm {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (type === 'ed25519') return 'EdDSA'
  if (type === 'ec' && details?.namedCurve === 'prime256v1') return 'ES256'
  if (type === 'rsa' && (details?.modulusLength ?? 0) >= smallestRsaBits) return 'RS256'
  throw new BadKey('must be an EC key on P-256, an Ed25519 key, or an RSA key of 2048 bits or more')
}

/** RFC 7638 section 3: the required members in lexicographic order. */
function thumbprint({ crv, e, kty, n, x, y }: Omit<PublicJwk, 'kid' | 'alg' | 'use'>): string {
  const members = Object.entries({ crv, e, kty, n, x, y }).filter(([, value]) => value !== undefined)
  return createHash('sha256')
    .update(JSON.stringify(Object.fromEntries(members)))
    .digest('base64url')
}

const isJson = (text: string): boolean => /^\s*\{/.test(text)

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new BadKey('is not JSON')
  }
}

/** A PEM in an environment variable often has its line breaks spelled out. */
const unescapeLines = (text: string): string => text.replaceAll('\\n', '\n').trim()
