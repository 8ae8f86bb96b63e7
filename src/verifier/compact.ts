/** The compact serialisation of a JWS (RFC 7515 section 7.1), taken apart to the letter and before anything is believed. */
import { type JsonObject, parseObject } from './json.js'
import { TokenRefused } from './refused.js'

/** RFC 7515 section 4.1.9: what a JWS says it is, so that one kind never passes for another (RFC 8725 section 3.11). */
export type Kind = 'JWT' | 'secevent+jwt'

export type Compact = {
  alg: string
  kid: string
  /** RFC 7515 section 5.2: what the signature is over. */
  input: string
  signature: Uint8Array
  /** Not to be parsed before the signature has been verified. */
  payload: Uint8Array
}

/** Takes a compact JWS of one kind apart. Throws token_too_large, token_malformed, header_invalid. */
export function readCompact(token: unknown, kind: Kind, longest: number): Compact {
  if (typeof token !== 'string') throw new TokenRefused('token_malformed')
  if (token.length > longest) throw new TokenRefused('token_too_large')
  const first = token.indexOf('.')
  const second = token.indexOf('.', first + 1)
  if (first < 1 || second < 0) throw new TokenRefused('token_malformed')
  const header = readHeader(token.slice(0, first), kind)
  const payload = decode(token.slice(first + 1, second))
  const signature = decode(token.slice(second + 1))
  return { alg: header.alg, kid: header.kid, input: token.slice(0, second), signature, payload }
}

/**
 * RFC 4648 section 3.5, RFC 7515 section 2: no padding, no white space, and bits a last character has no use for are
 * zero; and no dot, so that there are three parts. A lenient reader gives one token several spellings.
 */
function decode(part: string): Buffer {
  const bytes = Buffer.from(part, 'base64url')
  if (bytes.toString('base64url') !== part) throw new TokenRefused('token_malformed')
  return bytes
}

type Header = { alg: string; kid: string }

/** Headers read before: an issuer writes one per key, and to read it costs as much as the rest of the form. */
const known = new Map<string, Header>()
const mostKnown = 64
const longestKnown = 256

function readHeader(part: string, kind: Kind): Header {
  const name = `${kind} ${part}`
  const found = known.get(name)
  if (found) return found
  const header = checkHeader(parseObject(decode(part)), kind)
  if (known.size >= mostKnown) known.clear()
  if (part.length <= longestKnown) known.set(name, header)
  return header
}

/**
 * Exactly `alg`, `typ` and `kid`: whoever allows nothing else needs no rule against `jwk`, `jku`, `x5u`, `x5c`, `b64`,
 * `zip` (RFC 8725 section 3.10), and has refused every `crit` (RFC 7515 section 4.1.11).
 */
function checkHeader(header: JsonObject | undefined, kind: Kind): Header {
  if (header === undefined) throw new TokenRefused('token_malformed')
  const { alg, typ, kid } = header
  const sound = isText(alg) && typ === kind && isText(kid) && Object.keys(header).length === 3
  if (!sound) throw new TokenRefused('header_invalid')
  return { alg, kid }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '' && value.length <= 128
