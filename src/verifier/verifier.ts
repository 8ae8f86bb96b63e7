/** The verifier: one function from a token to its claims, and what it needs in the background. */
import { type Claims, checkClaims, checkTimes } from './claims.js'
import { checkAddress } from './download.js'
import { type Feed, followFeed } from './feed.js'
import { createKeySet } from './key-set.js'
import { type Algorithm, secretKey } from './keys.js'
import { createOpen } from './opening.js'
import { TokenRefused } from './refused.js'

export type VerifierOptions = {
  /** What `iss` must be, to the letter. */
  issuer: string
  /** What `aud` must name. Without it a token that has an audience is refused. */
  audience?: string
  /** Where the issuer publishes its keys. Needed for every algorithm but HS256. */
  jwksUrl?: string | URL
  /** The secret shared with the issuer, for HS256; several while it is being changed. Beside `jwksUrl`: while HS256 is being left. */
  secret?: string | readonly string[]
  /** Those of the keys given, by default: HS256 with a secret; ES256, EdDSA and RS256 with published keys. */
  algorithms?: readonly Algorithm[]
  revocations?: RevocationOptions
  /** Seconds by which the clocks of issuer and verifier may differ; 5 by default. */
  clockToleranceSeconds?: number
  /** The time in milliseconds since 1970; Date.now by default. */
  now?: () => number
  /** Keys and revocations over plain http from other machines, as inside a network that encrypts by itself. */
  allowHttp?: boolean
  /** Told of each failed fetch, for a log: a verifier that lives on what it holds says nothing else. */
  onProblem?: (problem: Error) => void
}

export type RevocationOptions = {
  url: string | URL
  clientId: string
  clientSecret: string
  /** Seconds without a word from the issuer after which `whenStale` holds; 10 by default, 2 or more. */
  maxStaleSeconds?: number
  /** `reject`: nobody gets in while revocations cannot be heard of. `accept`: a token revoked meanwhile gets in until it expires. */
  whenStale: 'reject' | 'accept'
}

export type Verifier = {
  /** The claims of an access token that is good now. Throws TokenRefused. */
  verify(token: unknown): Promise<Claims>
  /** Ends what runs in the background. */
  close(): Promise<void>
}

/** Characters of the longest token that is looked at. */
const longestToken = 8 * 1024

/** Throws TypeError for options that cannot be meant. */
export function createVerifier(options: VerifierOptions): Verifier {
  const { issuer, audience, clockToleranceSeconds: tolerance = 5, now = Date.now } = options
  demand(isText(issuer), 'issuer is a text')
  demand(audience === undefined || isText(audience), 'audience is a text')
  demand(tolerance >= 0 && tolerance <= 300, 'clockToleranceSeconds is between 0 and 300')
  const closing = new AbortController()
  // Beside what runs, so that a fault of the listener is not one of the follower.
  const onProblem = (problem: Error) => queueMicrotask(() => options.onProblem?.(problem))
  const open = createOpen(keysOf(options, closing.signal, onProblem))
  const feed = options.revocations && feedOf(options, options.revocations)

  function feedOf({ allowHttp = false }: VerifierOptions, chosen: RevocationOptions): Feed {
    const { clientId, clientSecret, maxStaleSeconds = 10 } = chosen
    demand(chosen.whenStale === 'reject' || chosen.whenStale === 'accept', 'whenStale is reject or accept')
    demand(isText(clientId) && isText(clientSecret), 'clientId and clientSecret are texts')
    demand(maxStaleSeconds >= 2, 'maxStaleSeconds is 2 or more')
    const url = checkAddress(chosen.url, allowHttp)
    return followFeed({
      url,
      clientId,
      clientSecret,
      maxStaleSeconds,
      issuer,
      audience,
      tolerance,
      open,
      now,
      onProblem,
    })
  }

  /** Throws token_revoked, revocations_stale. */
  const checkRevocations = async (claims: Claims, feed: Feed): Promise<void> => {
    if (feed.starting) await feed.starting
    if (feed.isRevoked(claims)) throw new TokenRefused('token_revoked')
    if (options.revocations?.whenStale !== 'accept' && feed.isStale()) throw new TokenRefused('revocations_stale')
  }

  return {
    async verify(token) {
      const claims = checkClaims(await open(token, 'JWT', longestToken), { issuer, audience })
      checkTimes(claims, now() / 1000, tolerance)
      if (feed) await checkRevocations(claims, feed)
      return claims
    },
    async close() {
      closing.abort()
      await feed?.close()
    },
  }
}

function keysOf(options: VerifierOptions, signal: AbortSignal, onProblem: (problem: Error) => void) {
  const { secret, jwksUrl, allowHttp = false } = options
  const secrets = (typeof secret === 'string' ? [secret] : (secret ?? [])).map(secretKey)
  demand(secrets.length > 0 || jwksUrl !== undefined, 'either a secret or jwksUrl is needed')
  const usable: Algorithm[] = [
    ...(secrets.length > 0 ? (['HS256'] as const) : []),
    ...(jwksUrl === undefined ? [] : (['ES256', 'EdDSA', 'RS256'] as const)),
  ]
  const algorithms = new Set<string>(options.algorithms ?? usable)
  const isUsable = algorithms.size > 0 && usable.some(alg => algorithms.has(alg))
  demand(isUsable && [...algorithms].every(alg => usable.some(each => each === alg)), `algorithms are of ${usable}`)
  const published =
    jwksUrl === undefined ? undefined : createKeySet({ url: checkAddress(jwksUrl, allowHttp), signal, onProblem })
  return { algorithms, secrets, published }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''

function demand(holds: boolean, what: string): void {
  if (!holds) throw new TypeError(what)
}
