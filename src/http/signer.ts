/** @fastify/jwt as two plain functions: HS256 with one key, one algorithm, and a header checked to the letter. */
import { createHash } from 'node:crypto'
import jwt from '@fastify/jwt'
import type { FastifyInstance } from 'fastify'
import type { Signer } from '../core/tokens.js'

type SignerName = 'access' | 'refresh'

type Jwt = { sign(payload: object): string; verify(token: string): unknown }

type Complete = { header: Record<string, unknown>; payload: unknown }

/**
 * Registers the signers in a scope of their own, so that no route ever reaches @fastify/jwt's request decorators: they
 * answer 500 to some forged tokens. Times are not judged here: the core does that by the database's clock.
 */
export async function createSigners(
  app: FastifyInstance,
  secrets: Record<SignerName, string>,
): Promise<Record<SignerName, Signer>> {
  const signers = {} as Record<SignerName, Signer>
  await app.register(async scope => {
    for (const name of ['access', 'refresh'] as const) {
      const kid = keyId(secrets[name])
      await scope.register(jwt, {
        namespace: name,
        secret: secrets[name],
        sign: { algorithm: 'HS256', kid },
        verify: { algorithms: ['HS256'], complete: true, cache: false, ignoreExpiration: true, ignoreNotBefore: true },
      })
      signers[name] = toSigner((scope.jwt as unknown as Record<SignerName, Jwt>)[name], kid)
    }
  })
  return signers
}

function toSigner(jwt: Jwt, kid: string): Signer {
  return {
    sign: claims => jwt.sign(claims),
    verify(token) {
      if (!isSpeltOneWay(token)) throw new Error('not a token of ours')
      const { header, payload } = jwt.verify(token) as Complete
      if (!isHeaderOfOurs(header, kid) || !isObject(payload)) throw new Error('not a token of ours')
      return payload
    },
  }
}

/** RFC 4648 section 3.5: bits a last character has no use for are zero, or one token would have several spellings. */
const isSpeltOneWay = (token: string): boolean =>
  token.split('.').every(part => Buffer.from(part, 'base64url').toString('base64url') === part)

/** RFC 8725 section 3.10: the token never chooses its key. A token without `kid` is tried against the one key there is. */
function isHeaderOfOurs(header: Record<string, unknown>, kid: string): boolean {
  return (
    header.alg === 'HS256' &&
    (header.typ === undefined || header.typ === 'JWT') &&
    (header.kid === undefined || header.kid === kid) &&
    Object.keys(header).every(name => name === 'alg' || name === 'typ' || name === 'kid')
  )
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Names the key without telling anything of it: a prefix of a hash made for this purpose alone. */
const keyId = (secret: string): string =>
  createHash('sha256').update(`gatehouse kid\0${secret}`).digest('base64url').slice(0, 8)
