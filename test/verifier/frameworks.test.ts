/** The middleware under node:http and the plugin under Fastify, on real sockets: who gets in, and what the others are told. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import {
  BearerRejected,
  type Claims,
  type ConnectOptions,
  connectBearer,
  createVerifier,
  fastifyBearer,
  TokenRefused,
  type Verifier,
} from '../../src/verifier/index.js'
import { goodToken, optionsOf, serve, vectors } from './vectors.js'

declare module 'fastify' {
  interface FastifyRequest {
    auth: Claims | null
  }
}

const { token, claims } = goodToken('hs256-plain')
const verifier = createVerifier(optionsOf('hs256', ''))
/** Every refusal is one of an outage: nobody is there to ask for keys. */
const cutOff = createVerifier(optionsOf('es256', 'http://127.0.0.1:9'))
const broken: Verifier = { ...verifier, verify: () => Promise.reject(new RangeError('a fault of ours')) }

type AuthRequest = IncomingMessage & { auth?: Claims | undefined }

/** What Connect and Express do: the middleware, and a handler behind it. */
function serveConnect(t: Test, given: Verifier, options?: ConnectOptions): Promise<string> {
  const middleware = connectBearer(given, options)
  return serve(t, (request: AuthRequest, response: ServerResponse) => {
    middleware(request, response, error => {
      response.statusCode = error ? 500 : 200
      response.end(JSON.stringify(error ? { error: String(error) } : { auth: request.auth ?? null }))
    })
  })
}

async function serveFastify(t: Test, given: Verifier, options: { optional?: boolean } = {}): Promise<string> {
  const app = fastify()
  await app.register(fastifyBearer, { verifier: given, ...options })
  app.get('/', async request => ({ auth: request.auth }))
  app.post('/', async request => ({ auth: request.auth }))
  t.teardown(() => app.close())
  return app.listen({ port: 0, host: '127.0.0.1' })
}

async function ask(base: string, authorization?: string, path = '/') {
  const response = await fetch(base + path, { headers: authorization === undefined ? {} : { authorization } })
  const text = await response.text()
  return {
    status: response.status,
    challenge: response.headers.get('www-authenticate'),
    retryAfter: response.headers.get('retry-after'),
    body: JSON.parse(text) as { auth?: Claims | null; error?: string; message?: string },
  }
}

for (const [name, start] of [
  ['Connect', serveConnect],
  ['Fastify', serveFastify],
] as const) {
  t.test(`${name}: a good token`, async t => {
    const base = await start(t, verifier)
    for (const authorization of [`Bearer ${token}`, `bearer ${token}`, `BEARER   ${token}`])
      t.match(await ask(base, authorization), { status: 200, challenge: null, body: { auth: claims } })
    const once = await ask(base, `Bearer ${token}`)
    t.strictSame(once.body.auth, claims)
  })

  t.test(`${name}: no token is told so, and no error (RFC 6750 section 3)`, async t => {
    const base = await start(t, verifier)
    for (const authorization of [undefined, 'Basic YTpi', 'Digest a=b', `Bearerx ${token}`, token])
      t.match(await ask(base, authorization), { status: 401, challenge: /^Bearer$/ }, String(authorization).slice(0, 9))
    t.match(
      await ask(base, undefined, `/?access_token=${token}`),
      { status: 401, challenge: /^Bearer$/ },
      'in the address',
    )
  })

  t.test(`${name}: a bad token`, async t => {
    const base = await start(t, verifier)
    const challenge = 'Bearer error="invalid_token"'
    const sent = vectors.bad.filter(each => each.verifier === 'hs256' && /^[\x21-\x7e]+$/.test(each.token))
    t.ok(sent.length > 100)
    for (const { id, token } of sent) {
      const answer = await ask(base, `Bearer ${token}`)
      t.match(answer, { status: 401, challenge }, id)
      t.notMatch(JSON.stringify(answer.body), /alg|sign|expire|key/, 'why is nobody’s business')
    }
    for (const authorization of [
      'Bearer',
      'Bearer ',
      `Bearer ${token} x`,
      `Bearer ${token},`,
      `Bearer ${token}, ${token}`,
    ])
      t.match(await ask(base, authorization), { status: 401, challenge }, authorization.slice(0, 9))
  })

  t.test(`${name}: an outage is no bad token`, async t => {
    const base = await start(t, cutOff)
    const answer = await ask(base, `Bearer ${goodToken('es256-plain').token}`)
    t.match(answer, { status: 503, challenge: null, retryAfter: '1' })
    t.match(await ask(base, `Bearer ${token}`), { status: 401 }, 'what needs no key is told at once')
  })

  t.test(`${name}: optional`, async t => {
    const base = await start(t, verifier, { optional: true })
    t.match(await ask(base), { status: 200, body: { auth: null } })
    t.match(await ask(base, 'Basic YTpi'), { status: 200, body: { auth: null } })
    t.match(await ask(base, `Bearer ${token}`), { status: 200, body: { auth: claims } })
    t.match(await ask(base, `Bearer ${token.slice(1)}`), { status: 401, challenge: 'Bearer error="invalid_token"' })
    t.match(await ask(base, 'Bearer'), { status: 401 })
  })

  t.test(`${name}: a fault of ours is the service’s to handle`, async t => {
    const base = await start(t, broken)
    t.match(await ask(base, `Bearer ${token}`), { status: 500, challenge: null })
  })
}

t.test('Connect: what the middleware answers', async t => {
  const base = await serveConnect(t, verifier)
  t.strictSame((await ask(base)).body, { error: 'unauthorized' })
  t.strictSame((await ask(base, 'Bearer x')).body, { error: 'invalid_token' })
  const response = await fetch(base)
  t.equal(response.headers.get('content-type'), 'application/json')
  await response.text()
})

t.test('Connect: in the service’s own words, with the reason for its log', async t => {
  const reasons: unknown[] = []
  const base = await serveConnect(t, verifier, {
    onRejected: ({ refusal, statusCode }, _request, response) => {
      reasons.push(refusal?.reason)
      response.end(JSON.stringify({ detail: statusCode }))
    },
  })
  t.match(await ask(base, 'Bearer x'), { status: 401, challenge: /invalid_token/, body: { detail: 401 } })
  t.match(await ask(base), { status: 401, challenge: /^Bearer$/, body: { detail: 401 } })
  t.strictSame(reasons, ['token_malformed', undefined])
})

t.test('Connect: two headers are not two tokens', async t => {
  const base = await serveConnect(t, verifier)
  const { createConnection } = await import('node:net')
  const socket = createConnection(Number(new URL(base).port), '127.0.0.1')
  socket.end(
    `GET / HTTP/1.1\r\nhost: a\r\nauthorization: Bearer x\r\nauthorization: Bearer ${token}\r\nconnection: close\r\n\r\n`,
  )
  let answer = ''
  for await (const chunk of socket) answer += chunk
  t.match(answer, /^HTTP\/1\.1 401 /)
})

t.test('Fastify: the scope that registers it, and no other', async t => {
  const app: FastifyInstance = fastify()
  app.get('/public', async () => ({ auth: null }))
  await app.register(async scope => {
    await scope.register(fastifyBearer, { verifier })
    scope.get('/private', async request => ({ auth: request.auth }))
    await scope.register(async inner => {
      inner.get('/inner', async request => ({ auth: request.auth }))
    })
  })
  t.teardown(() => app.close())
  const base = await app.listen({ port: 0, host: '127.0.0.1' })
  t.match(await ask(base, undefined, '/public'), { status: 200 })
  t.match(await ask(base, undefined, '/private'), { status: 401 })
  t.match(await ask(base, undefined, '/inner'), { status: 401 })
  t.match(await ask(base, `Bearer ${token}`, '/inner'), { status: 200, body: { auth: claims } })
})

t.test('Fastify: refused before the body is read, and in the service’s own words', async t => {
  const app = fastify()
  const seen: unknown[] = []
  app.setErrorHandler((error, _request, reply) => {
    if (!(error instanceof BearerRejected)) return reply.send(error)
    seen.push(error.code, (error.cause as TokenRefused | undefined)?.reason)
    return reply.status(error.statusCode).send({ detail: error.message })
  })
  await app.register(fastifyBearer, { verifier })
  app.post('/', async () => ({}))
  t.teardown(() => app.close())
  const response = await app.inject({
    method: 'POST',
    url: '/',
    headers: { authorization: 'Bearer x', 'content-type': 'application/json' },
    payload: '{broken',
  })
  t.equal(response.statusCode, 401)
  t.strictSame(response.json(), { detail: 'A valid access token is needed' })
  t.equal(response.headers['www-authenticate'], 'Bearer error="invalid_token"')
  t.strictSame(seen, ['invalid_token', 'token_malformed'])
})

t.test('one request’s claims are no other’s', async t => {
  const base = await serveFastify(t, verifier, { optional: true })
  const longest = goodToken('hs256-longest')
  const answers = await Promise.all(
    Array.from({ length: 60 }, (_, n) => ask(base, [undefined, `Bearer ${token}`, `Bearer ${longest.token}`][n % 3])),
  )
  for (const [n, { body }] of answers.entries()) t.strictSame(body.auth, [null, claims, longest.claims][n % 3])
})

t.test('the middleware works where a server is made of it alone', async t => {
  const middleware = connectBearer(verifier)
  const server = createServer((request, response) =>
    middleware(request, response, () => response.end(JSON.stringify((request as AuthRequest).auth))),
  )
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const response = await fetch(`http://127.0.0.1:${port}`, { headers: { authorization: `Bearer ${token}` } })
  t.strictSame(await response.json(), claims)
})

t.test('what is thrown is of a class that can be told', async t => {
  const refusal = await verifier.verify('').catch((error: unknown) => error)
  t.ok(refusal instanceof TokenRefused)
})
