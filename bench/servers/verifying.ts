/**
 * Verifies tokens in a loop: by the kit, or by a library it is compared with. HTTP says when and for how long, and is no part
 * of what is measured. LIBRARY: `kit`, `jose`, `fast-jwt`; SECRET for HS256, else JWKS_URL; TOKENS: pairs of a token and its `sub`.
 */
import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { createServer } from 'node:http'
import { setImmediate } from 'node:timers/promises'
// Comes with @fastify/jwt.
import { createVerifier as createFastJwt } from 'fast-jwt'
import { importJWK, jwtVerify } from 'jose'

type Claims = { sub?: string | undefined }
type Verify = (token: string) => Claims | Promise<Claims>
type Algorithm = 'HS256' | 'ES256' | 'EdDSA'

const { PORT, ISSUER = '', AUDIENCE = '', ALGORITHM, LIBRARY = '', SECRET, JWKS_URL = '', TOKENS = '' } = process.env
const algorithm = ALGORITHM as Algorithm
const tokens = JSON.parse(TOKENS) as [string, string][]
/** What the kit demands anyway, as far as the others can be asked for it. */
const tolerance = 5
const demanded = ['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'sid']

const makers: Record<string, () => Promise<Verify>> = {
  async kit() {
    // As services get it, and not as tsx would compile it.
    const built = new URL('../../dist/verifier/index.js', import.meta.url).href
    const { createVerifier } = (await import(built)) as typeof import('../../src/verifier/index.js')
    const key = SECRET === undefined ? { jwksUrl: JWKS_URL } : { secret: SECRET }
    const verifier = createVerifier({ issuer: ISSUER, audience: AUDIENCE, algorithms: [algorithm], ...key })
    return token => verifier.verify(token)
  },

  async jose() {
    // Of the forms of a key that it takes, the one it need not convert.
    const key = SECRET === undefined ? await importJWK(await publishedKey(), algorithm) : await importSecret(SECRET)
    const options = {
      issuer: ISSUER,
      audience: AUDIENCE,
      algorithms: [algorithm],
      typ: 'JWT',
      requiredClaims: demanded,
      clockTolerance: tolerance,
    }
    return async token => (await jwtVerify(token, key, options)).payload
  },

  async 'fast-jwt'() {
    return createFastJwt({
      key: SECRET ?? toPem(await publishedKey()),
      allowedIss: ISSUER,
      allowedAud: AUDIENCE,
      algorithms: [algorithm],
      checkTyp: 'JWT',
      requiredClaims: demanded,
      clockTolerance: tolerance * 1000,
      cache: false,
    })
  },
}

const importSecret = (secret: string) =>
  crypto.subtle.importKey('raw', Buffer.from(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['verify'])

async function publishedKey(): Promise<JsonWebKey> {
  const { keys } = (await (await fetch(JWKS_URL)).json()) as { keys: [JsonWebKey] }
  return keys[0]
}

const toPem = (key: JsonWebKey): string =>
  createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' }).toString()

const verify = await (makers[LIBRARY] ?? unknownLibrary)()

function unknownLibrary(): never {
  throw new Error(`There is no library "${LIBRARY}".`)
}

/** How many it verified, and in how many seconds. Throws if a single answer is wrong. */
async function verifyFor(seconds: number, inTurn: () => Promise<unknown>) {
  const started = performance.now()
  let count = 0
  while (performance.now() < started + seconds * 1000) {
    await inTurn()
    count += tokens.length
    // As between the requests of a service: whatever else is due gets its turn.
    await setImmediate()
  }
  return { count, seconds: (performance.now() - started) / 1000 }
}

async function oneByOne(): Promise<void> {
  for (const [token, sub] of tokens) if ((await verify(token)).sub !== sub) wrongAnswer()
}

async function allAtOnce(): Promise<void> {
  await Promise.all(
    tokens.map(async ([token, sub]) => {
      if ((await verify(token)).sub !== sub) wrongAnswer()
    }),
  )
}

function wrongAnswer(): never {
  throw new Error('A token was verified and taken for that of somebody else.')
}

createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1')
  if (pathname === '/ready') return response.end()
  const inTurn = searchParams.has('together') ? allAtOnce : oneByOne
  try {
    return response.end(JSON.stringify(await verifyFor(Number(searchParams.get('seconds')), inTurn)))
  } catch (error) {
    return response.writeHead(500).end(String(error))
  }
}).listen(Number(PORT), '127.0.0.1')
