/** The vectors as data, and an issuer on a real socket to serve them. */
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { Algorithm, Claims, RefusalReason, VerifierOptions } from '../../src/verifier/index.js'

type Setup = { algorithms: Algorithm[]; audience: string | null; secrets?: string[]; jwks?: 'jwks' | 'odd_jwks' }
type Jwks = { keys: Record<string, unknown>[] }

export type Vectors = {
  now: number
  issuer: string
  verifiers: Record<string, Setup>
  jwks: Jwks
  odd_jwks: Jwks
  good: { id: string; verifier: string; token: string; claims: Claims }[]
  bad: { id: string; verifier: string; token: string; reason: RefusalReason }[]
}

export type RevocationVectors = {
  audience: string
  client_id: string
  good: { id: string; document: string; also_revokes?: string[] }[]
  tokens: { id: string; token: string; revoked: boolean }[]
  bad: { id: string; document: string }[]
}

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`../vectors/verifier/${name}.json`, import.meta.url), 'utf8'))

export const vectors: Vectors = read('tokens')
export const revocationVectors: RevocationVectors = read('revocations')

/** The clock of the vectors, and how a verifier of theirs is set up. */
export const now = () => vectors.now * 1000

export function optionsOf(name: string, base: string): VerifierOptions {
  const setup = vectors.verifiers[name]
  if (!setup) throw new Error(`no verifier ${name}`)
  return {
    issuer: vectors.issuer,
    algorithms: setup.algorithms,
    now,
    ...(setup.audience === null ? {} : { audience: setup.audience }),
    ...(setup.secrets ? { secret: setup.secrets } : {}),
    ...(setup.jwks ? { jwksUrl: `${base}/${setup.jwks}` } : {}),
  }
}

export function goodToken(id: string): { token: string; claims: Claims } {
  const found = vectors.good.find(each => each.id === id)
  if (!found) throw new Error(`no good token ${id}`)
  return found
}

/** A server of this machine for the length of a test; the address it is at. */
export async function serve(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

export const sendJson = (response: ServerResponse, content: unknown, headers: Record<string, string> = {}): void => {
  response.writeHead(200, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(content))
}

/** The key sets of the vectors, each at its name. */
export const serveKeys = (t: Test): Promise<string> =>
  serve(t, (request: IncomingMessage, response) => {
    sendJson(response, request.url === '/odd_jwks' ? vectors.odd_jwks : vectors.jwks)
  })

export const pause = (milliseconds: number) => new Promise(resolve => setTimeout(resolve, milliseconds))

/** The reason a promise is refused for, or 'accepted'. */
export const outcomeOf = (verifying: Promise<unknown>): Promise<string> =>
  verifying.then(
    () => 'accepted',
    error => error.reason ?? String(error),
  )
