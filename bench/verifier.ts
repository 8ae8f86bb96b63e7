/** What it costs to verify a token: the kit beside two libraries, without a server around them. */
import { createSecretKey, generateKeyPairSync, type KeyObject, randomBytes, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SignJWT } from 'jose'
import { type Throughput, type Window, watch } from './load.js'
import { compare, type Ratio, ratioTable, verificationTable } from './report.js'
import { type Server, startServer } from './server.js'
import { type Contestant, demand, noise, type Run, takeTurns, times } from './turns.js'

const algorithms = ['HS256', 'ES256', 'EdDSA'] as const
const libraries = ['kit', 'jose', 'fast-jwt'] as const
const issuer = 'https://auth.example.com'
const audience = 'https://api.example.com'
const differentTokens = 64

type Algorithm = (typeof algorithms)[number]
type Library = (typeof libraries)[number]

/** A process for each library and algorithm, so that none is compiled for what another does. */
export async function verifying(run: Run): Promise<string> {
  const contestants: Contestant<Throughput>[] = []
  for (const algorithm of algorithms) {
    const issued = await issue(run, algorithm)
    for (const library of libraries) {
      const server = await startVerifying(run, { ALGORITHM: algorithm, LIBRARY: library, ...issued })
      contestants.push({ name: nameOf(algorithm, library), server, measure: window => verifyFor(server, window) })
      if (library === 'jose') contestants.push(together(algorithm, server))
    }
  }
  const results = await takeTurns(run, contestants)

  const find = (name: string) => demand(results.find(result => result.name === name))
  const ratios = algorithms.flatMap((algorithm): Ratio[] => {
    const kit = find(nameOf(algorithm, 'kit'))
    return [
      compare(`${algorithm}: kit / \`jose\``, kit, find(nameOf(algorithm, 'jose'))),
      compare(`${algorithm}: kit / \`jose\`, ${differentTokens} at once`, kit, find(togetherName(algorithm))),
      compare(`${algorithm}: kit / \`fast-jwt\``, kit, find(nameOf(algorithm, 'fast-jwt'))),
    ]
  })
  return [verificationTable(results), ratioTable(ratios), noise(results.flatMap(({ rounds }) => rounds))].join('\n\n')
}

const nameOf = (algorithm: Algorithm, library: Library): string =>
  `${algorithm}, ${library === 'kit' ? 'the kit' : `\`${library}\``}`

const togetherName = (algorithm: Algorithm): string => `${nameOf(algorithm, 'jose')}, ${differentTokens} at once`

/** WebCrypto hands each signature to another thread. Where many are asked for at once, less of that is waiting. */
const together = (algorithm: Algorithm, server: Server): Contestant<Throughput> => ({
  name: togetherName(algorithm),
  server,
  measure: window => verifyFor(server, window, '&together'),
})

const startVerifying = (run: Run, environment: Record<string, string>): Promise<Server> =>
  startServer(
    {
      name: `${environment.LIBRARY} with ${environment.ALGORITHM}`,
      script: 'bench/servers/verifying.ts',
      readyPath: '/ready',
      environment: { ISSUER: issuer, AUDIENCE: audience, ...environment },
    },
    run.keep,
  )

async function verifyFor(server: Server, window: Window, how = ''): Promise<Throughput> {
  await ask(server, window.warmupSeconds, how)
  let done = { count: 0, seconds: 0 }
  const { cpuMicros, lostShare } = await watch([server], async () => {
    done = await ask(server, window.seconds, how)
  })
  return { rate: done.count / done.seconds, cpuMicros: cpuMicros / done.count, lostShare }
}

async function ask(
  { name, origin }: Server,
  seconds: number,
  how: string,
): Promise<{ count: number; seconds: number }> {
  const signal = AbortSignal.timeout((seconds + 30) * 1000)
  const answer = await fetch(`${origin}/verify?seconds=${seconds}${how}`, { signal })
  if (!answer.ok) throw new Error(`${name} gave answers that are no result: ${await answer.text()}`)
  return (await answer.json()) as { count: number; seconds: number }
}

// ---------------------------------------------------------------------------------------------------------- Tokens

/** Tokens as Gatehouse makes them, and where their key is. */
async function issue(run: Run, alg: Algorithm): Promise<Record<string, string>> {
  const { signing, kid, found } = await makeKey(run, alg)
  const tokens = await times(differentTokens, async () => {
    const [sub, sid] = [randomUUID(), randomUUID()]
    const iat = Math.floor(Date.now() / 1000)
    // A day, for the run may be long.
    const claims = {
      iss: issuer,
      sub,
      sid,
      jti: `${sid}.${iat}`,
      aud: audience,
      type: 'access',
      iat,
      exp: iat + 86_400,
    }
    return [await new SignJWT(claims).setProtectedHeader({ alg, typ: 'JWT', kid }).sign(signing), sub]
  })
  return { ...found, TOKENS: JSON.stringify(tokens) }
}

type Key = { signing: KeyObject; kid: string; found: Record<string, string> }

async function makeKey(run: Run, alg: Algorithm): Promise<Key> {
  if (alg === 'HS256') {
    const secret = randomBytes(32).toString('base64')
    const kid = randomBytes(6).toString('base64url')
    return { signing: createSecretKey(Buffer.from(secret)), kid, found: { SECRET: secret } }
  }
  const { publicKey, privateKey } =
    alg === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519')
  const kid = randomBytes(32).toString('base64url')
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' }
  return { signing: privateKey, kid, found: { JWKS_URL: await publish(run, { keys: [jwk] }) } }
}

/** Serves the key set for as long as the scenario takes, to be kept as long as Gatehouse's own. */
async function publish({ keep }: Run, set: object): Promise<string> {
  const headers = { 'content-type': 'application/json', 'cache-control': 'public, max-age=300' }
  const server = createServer((_request, response) => response.writeHead(200, headers).end(JSON.stringify(set)))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  keep(async () => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`
}
