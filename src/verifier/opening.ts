/** A compact JWS opened: taken apart, its key found, its signature verified, and only then its payload read. */
import { type Kind, readCompact } from './compact.js'
import { type JsonObject, parseObject } from './json.js'
import type { KeySet } from './key-set.js'
import type { VerifyingKey } from './keys.js'
import { TokenRefused } from './refused.js'

export type Keys = {
  algorithms: ReadonlySet<string>
  /** The shared secrets, the newest first. */
  secrets: readonly VerifyingKey[]
  published: KeySet | undefined
}

/** What was signed; throws every reason of compact.ts, and algorithm_not_allowed, key_unknown, keys_unavailable, signature_invalid. */
export type Open = (token: unknown, kind: Kind, longest: number) => Promise<JsonObject>

export function createOpen({ algorithms, secrets, published }: Keys): Open {
  /** A token says which key of its algorithm; that the algorithm is the key's own is not for it to say (RFC 8725 section 3.1). */
  const findPublished = async (alg: string, kid: string): Promise<readonly VerifyingKey[]> => {
    const key = await published?.find(kid)
    if (key === undefined) throw new TokenRefused('key_unknown')
    if (key.alg !== alg) throw new TokenRefused('algorithm_not_allowed')
    return [key]
  }

  return async (token, kind, longest) => {
    const { alg, kid, input, signature, payload } = readCompact(token, kind, longest)
    if (!algorithms.has(alg)) throw new TokenRefused('algorithm_not_allowed')
    // How a secret is named is its issuer's affair, and there are few: the right MAC tells which one it was.
    const keys = alg === 'HS256' ? secrets : await findPublished(alg, kid)
    if (!keys.some(key => key.verifies(input, signature))) throw new TokenRefused('signature_invalid')
    const content = parseObject(payload)
    if (content === undefined) throw new TokenRefused('token_malformed')
    return content
  }
}
