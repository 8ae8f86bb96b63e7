/** Keys that verify, each bound to one algorithm: shared secrets, and public keys out of a JWK set. */
import { createHmac, createPublicKey, createSecretKey, type JsonWebKey, timingSafeEqual, verify } from 'node:crypto'
import { isObject, type JsonObject } from './json.js'

/** RFC 7518 section 3.1 and RFC 8037 section 3.1. */
export type Algorithm = 'HS256' | 'ES256' | 'EdDSA' | 'RS256'
export type PublicAlgorithm = Exclude<Algorithm, 'HS256'>

/** RFC 8725 section 3.1: a key is for one algorithm, and what a token says of itself never makes it another's. */
export type VerifyingKey = {
  alg: Algorithm
  verifies(input: string, signature: Uint8Array): boolean
}

/** RFC 7518 section 3.2: a key of the hash's size or more. */
const shortestSecret = 32
/** RFC 7518 section 3.3; the upper bound keeps one verification short. */
const rsaBits = { fewest: 2048, most: 8192 }

/** The HS256 key of a shared secret: the bytes of the text as it stands, not decoded. Throws TypeError for what is no secret. */
export function secretKey(secret: unknown): VerifyingKey {
  if (typeof secret !== 'string' || Buffer.byteLength(secret) < shortestSecret)
    throw new TypeError(`a secret is a text of ${shortestSecret} bytes or more`)
  if (/^\s*(?:-----BEGIN|ssh-|\{.*"kty")/s.test(secret))
    throw new TypeError('a PEM or JWK is no shared secret: its public half is known to all')
  const key = createSecretKey(Buffer.from(secret))
  return {
    alg: 'HS256',
    verifies(input, signature) {
      const mac = createHmac('sha256', key).update(input).digest()
      return signature.length === mac.length && timingSafeEqual(mac, signature)
    },
  }
}

/** The public keys of a JWK set (RFC 7517 section 5) by their `kid`; undefined where it is not one. */
export function publicKeysOf(set: JsonObject | undefined) {
  if (!Array.isArray(set?.keys)) return undefined
  const keys = new Map<string, VerifyingKey>()
  const names = new Set<string>()
  for (const jwk of set.keys as unknown[]) {
    if (!isObject(jwk) || typeof jwk.kid !== 'string') continue
    const { kid } = jwk
    // A name that two keys share is no name (RFC 7517 section 4.5: they SHOULD differ): neither is used.
    const key = names.has(kid) ? undefined : publicKey(jwk)
    names.add(kid)
    if (key) keys.set(kid, key)
    else keys.delete(kid)
  }
  return keys
}

/** What each algorithm takes: the form of its JWK, the length of its signatures, and how node:crypto is asked. */
const forms = {
  // RFC 7518 sections 3.4 and 6.2.1: r and s side by side, 32 bytes each.
  ES256: { kty: 'EC', crv: 'P-256', members: ['x', 'y'], digest: 'sha256', options: { dsaEncoding: 'ieee-p1363' } },
  // RFC 8037 sections 2 and 3.1.
  EdDSA: { kty: 'OKP', crv: 'Ed25519', members: ['x'], digest: undefined, options: {} },
  // RFC 7518 sections 3.3 and 6.3.1: RSASSA-PKCS1-v1_5, which is what node:crypto does unless told otherwise.
  RS256: { kty: 'RSA', crv: undefined, members: ['n', 'e'], digest: 'sha256', options: {} },
} as const

const isPublicAlgorithm = (alg: unknown): alg is PublicAlgorithm => typeof alg === 'string' && Object.hasOwn(forms, alg)

/** A key that says what it is for and is of that form, or undefined: an odd key in a set is passed over (RFC 7517 section 5). */
function publicKey(jwk: JsonObject): VerifyingKey | undefined {
  const { alg, use, kty, crv } = jwk
  if (use !== 'sig' || !isPublicAlgorithm(alg)) return undefined
  const form = forms[alg]
  // A private member in a published key (RFC 7518 sections 6.2.2, 6.3.2, 6.4): whoever can read it can sign.
  if (kty !== form.kty || crv !== form.crv || 'd' in jwk || 'k' in jwk) return undefined
  const key = importKey({ kty, crv, ...pick(jwk, form.members) } as JsonWebKey)
  if (!key || (alg === 'RS256' && !isSoundRsa(key.asymmetricKeyDetails))) return undefined
  const size = alg === 'RS256' ? Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8) : 64
  const asked = { key, ...form.options }
  return {
    alg,
    verifies: (input, signature) =>
      signature.length === size && verify(form.digest, Buffer.from(input), asked, signature),
  }
}

function importKey(jwk: JsonWebKey) {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    return undefined
  }
}

function isSoundRsa(details: { modulusLength?: number; publicExponent?: bigint } | undefined): boolean {
  const { modulusLength: bits = 0, publicExponent: exponent = 0n } = details ?? {}
  return bits >= rsaBits.fewest && bits <= rsaBits.most && exponent >= 65_537n && exponent < 1n << 32n
}

const pick = (from: JsonObject, names: readonly string[]): JsonObject =>
  Object.fromEntries(names.map(name => [name, from[name]]))
