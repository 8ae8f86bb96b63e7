/** @fastify/jwt as two plain functions over a ring of keys: one algorithm per key, and a header checked to the letter. */
import jwt from '@fastify/jwt'
import type { FastifyInstance } from 'fastify'
import type { Key, KeyRing } from '../core/keys.js'
import type { Signer } from '../core/tokens.js'

type Jwt = { sign(payload: object, options?: { typ: string }): string; verify(token: string): unknown }

type Complete = { header: Record<string, unknown>; payload: unknown }

/**
 * Registers every key in a scope of its own, so that no route ever reaches @fastify/jwt's request decorators: they answer
 * 500 to some forged tokens. Times are not judged here: the core does that by the database's clock.
 */
export async function createSigners<Name extends string>(
  app: FastifyInstance,
  rings: Record<Name, KeyRing>,
): Promise<Record<Name, Signer>> {
  const signers = {} as Record<Name, Signer>
  await app.register(async scope => {
    for (const [name, ring] of Object.entries(rings) as [Name, KeyRing][]) {
      const keys = [ring.current, ...ring.others]
      const jwts = new Map<string, Jwt>()
      for (const key of keys)
        if (!jwts.has(key.kid)) jwts.set(key.kid, await registerKey(scope, `${name}-${key.kid}`, key))
      signers[name] = toSigner(new Map(keys.map(key => [key.kid, key])), jwts, ring.current)
    }
  })
  return signers
}

async function registerKey(scope: FastifyInstance, namespace: string, key: Key): Promise<Jwt> {
  await scope.register(jwt, {
    namespace,
    secret: key.alg === 'HS256' ? key.verifying : { private: key.signing ?? '', public: key.verifying },
    sign: { algorithm: key.alg, kid: key.kid },
    verify: { algorithms: [key.alg], complete: true, cache: false, ignoreExpiration: true, ignoreNotBefore: true },
  })
  return (scope.jwt as unknown as Record<string, Jwt>)[namespace] as Jwt
}

function toSigner(keys: Map<string, Key>, jwts: Map<string, Jwt>, current: Key): Signer {
  const jwtOf = (kid: string): Jwt => {
    const found = jwts.get(kid)
    if (!found) throw new Error('no such key')
    return found
  }
  return {
    sign: (claims, typ) => jwtOf(current.kid).sign(claims, typ === undefined ? undefined : { typ }),
    verify(token) {
      if (!isSpeltOneWay(token)) throw new Error('not a token of ours')
      // RFC 8725 section 3.10: the name only picks among our own keys; each has one algorithm, whatever the header says.
      const kid = unverifiedKid(token) ?? current.kid
      const { header, payload } = jwtOf(kid).verify(token) as Complete
      if (!isHeaderOfOurs(header, keys.get(kid)?.alg) || !isObject(payload)) throw new Error('not a token of ours')
      return payload
    },
  }
}

/** RFC 4648 section 3.5: bits a last character has no use for are zero, or one token would have several spellings. */
const isSpeltOneWay = (token: string): boolean =>
  token.split('.').every(part => Buffer.from(part, 'base64url').toString('base64url') === part)

/** The `kid` of a header nobody has verified yet; undefined where it names none. Throws for what is no header. */
function unverifiedKid(token: string): string | undefined {
  const header: unknown = JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString('utf8'))
  if (!isObject(header)) throw new Error('not a header')
  if (header.kid !== undefined && typeof header.kid !== 'string') throw new Error('not a key id')
  return header.kid
}

const isHeaderOfOurs = (header: Record<string, unknown>, alg: string | undefined): boolean =>
  header.alg === alg &&
  (header.typ === undefined || header.typ === 'JWT') &&
  Object.keys(header).every(name => name === 'alg' || name === 'typ' || name === 'kid')

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
