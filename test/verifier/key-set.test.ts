/** The issuer's key set, fetched from a real socket: how often, how long it is held, and what it may do to us. */
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { createVerifier } from '../../src/verifier/index.js'
import { createKeySet } from '../../src/verifier/key-set.js'
import { goodToken, now, optionsOf, outcomeOf, pause, sendJson, serve, vectors } from './vectors.js'

const second = 1000
const hour = 3600 * second

type Answer = (response: ServerResponse, request: IncomingMessage) => void

/** A key set of an issuer that answers as it is told, by a clock that is turned by hand. */
async function keySetOf(t: Test, first: Answer) {
  const state = { answer: first, time: 0, fetches: 0, conditions: [] as unknown[] }
  const problems: Error[] = []
  const closing = new AbortController()
  const base = await serve(t, (request, response) => {
    state.fetches += 1
    state.conditions.push(request.headers['if-none-match'])
    state.answer(response, request)
  })
  t.teardown(() => closing.abort())
  const keys = createKeySet({
    url: new URL(`${base}/jwks`),
    signal: closing.signal,
    onProblem: problem => problems.push(problem),
    clock: () => state.time,
  })
  const find = (kid: string) =>
    keys.find(kid).then(
      key => (key ? 'found' : 'unknown'),
      error => error.reason,
    )
  return { state, problems, find, closing }
}

const jwkOf = (kid: string, changes: object = {}) => ({ ...vectors.jwks.keys[0], kid, ...changes })
const send =
  (keys: unknown[], headers?: Record<string, string>): Answer =>
  response =>
    sendJson(response, { keys }, headers)
const fail =
  (status: number): Answer =>
  response =>
    void response.writeHead(status).end()

t.test('one fetch for everything that comes while it runs, and none while the set is fresh', async t => {
  const { state, find } = await keySetOf(t, send([jwkOf('a')]))
  t.strictSame(await Promise.all(Array.from({ length: 50 }, () => find('a'))), Array(50).fill('found'))
  state.time = 299 * second * 0.75
  t.equal(await find('a'), 'found')
  t.equal(state.fetches, 1)
})

t.test('a storm of unknown keys is a fetch every five seconds', async t => {
  const { state, find } = await keySetOf(t, send([jwkOf('a')]))
  await find('a')
  const outcomes = new Set<string>()
  for (let n = 0; n < 1000; n += 1) {
    state.time += 20
    outcomes.add(await find(`random-${n}`))
  }
  t.strictSame([...outcomes], ['unknown'])
  t.equal(state.fetches, 1 + 4, 'in twenty seconds')
  t.equal(await find('a'), 'found')
})

t.test('a storm against a verifier, in real time', async t => {
  let fetches = 0
  const base = await serve(t, (_, response) => {
    fetches += 1
    sendJson(response, vectors.jwks)
  })
  const verifier = createVerifier(optionsOf('es256', base))
  const [, payload, signature] = goodToken('es256-plain').token.split('.')
  const forged = (kid: string) => {
    const header = Buffer.from(JSON.stringify({ alg: 'ES256', typ: 'JWT', kid })).toString('base64url')
    return `${header}.${payload}.${signature}`
  }
  const outcomes = await Promise.all(Array.from({ length: 500 }, (_, n) => outcomeOf(verifier.verify(forged(`k${n}`)))))
  t.strictSame(new Set(outcomes), new Set(['key_unknown']))
  t.equal(await outcomeOf(verifier.verify(goodToken('es256-plain').token)), 'accepted')
  t.equal(fetches, 1)
  t.equal(await outcomeOf(verifier.verify(goodToken('hs256-plain').token)), 'algorithm_not_allowed')
  t.equal(fetches, 1, 'what is not allowed asks for nothing')
})

t.test(
  'rotation: a new key is found at once, and one that is gone is refused once the set is no longer fresh',
  async t => {
    const { state, find } = await keySetOf(t, send([jwkOf('a')], { 'cache-control': 'public, max-age=60' }))
    await find('a')
    state.answer = send([jwkOf('a'), jwkOf('b')], { 'cache-control': 'max-age=60' })
    state.time = 6 * second
    t.equal(await find('b'), 'found')
    t.equal(await find('a'), 'found')
    state.answer = send([jwkOf('b')], { 'cache-control': 'max-age=60' })
    state.time = 66 * second
    t.equal(await find('a'), 'unknown')
    t.equal(await find('b'), 'found')
    t.equal(state.fetches, 3)
  },
)

t.test('max-age, within bounds', async t => {
  for (const [header, good] of [
    [{ 'cache-control': 'public, max-age=60, must-revalidate' }, 60],
    [{ 'cache-control': 'MAX-AGE="60"' }, 60],
    [{ 'cache-control': 'max-age=60', age: '20' }, 40],
    [{ 'cache-control': 's-maxage=7, max-age=60' }, 60],
    [{ 'cache-control': 'max-age=0' }, 5],
    [{ 'cache-control': 'max-age=999999999' }, 3600],
    [{ 'cache-control': 'max-age=-1' }, 300],
    [{ 'cache-control': 'no-store' }, 300],
    [{}, 300],
  ] as const) {
    const { state, find } = await keySetOf(t, send([jwkOf('a')], header as Record<string, string>))
    await find('a')
    state.time = good * second * 0.74
    await find('a')
    t.equal(state.fetches, 1, `fresh: ${JSON.stringify(header)}`)
    state.time = good * second
    await find('a')
    t.equal(state.fetches, 2, `no longer fresh: ${JSON.stringify(header)}`)
  }
})

t.test('a set that nears its end is fetched beside the requests', async t => {
  const { state, find } = await keySetOf(t, send([jwkOf('a')], { 'cache-control': 'max-age=100' }))
  await find('a')
  let release = () => {}
  const asked = new Promise<void>(resolve => {
    state.answer = response => {
      release = () => sendJson(response, { keys: [jwkOf('b')] })
      resolve()
    }
  })
  state.time = 80 * second
  t.equal(await find('a'), 'found', 'nobody waits')
  await asked
  t.equal(await find('a'), 'found')
  release()
  while ((await find('a')) === 'found') await pause(5)
  t.equal(state.fetches, 2)
})

t.test('an ETag is sent back, and 304 makes the set fresh again', async t => {
  const { state, find } = await keySetOf(t, send([jwkOf('a')], { etag: '"1"', 'cache-control': 'max-age=60' }))
  await find('a')
  state.answer = response => response.writeHead(304, { 'cache-control': 'max-age=60' }).end()
  state.time = 61 * second
  t.equal(await find('a'), 'found')
  state.time = 100 * second
  t.equal(await find('a'), 'found')
  t.strictSame(state.conditions, [undefined, '"1"'])
})

t.test('304 to somebody who holds nothing is no answer', async t => {
  const { find } = await keySetOf(t, fail(304))
  t.equal(await find('a'), 'keys_unavailable')
})

t.test('an outage: keys that are held stay good for a day, and tries are few', async t => {
  const { state, problems, find } = await keySetOf(t, send([jwkOf('a')], { 'cache-control': 'max-age=60' }))
  await find('a')
  state.answer = fail(503)
  const outcomes = new Set<string>()
  for (state.time = 60 * second; state.time < hour; state.time += 5 * second) {
    outcomes.add(await find('a'))
    await pause(1)
  }
  t.strictSame([...outcomes], ['found'])
  t.ok(state.fetches > 100 && state.fetches < 300, `every 15 to 30 seconds: ${state.fetches}`)
  await pause(50)
  t.ok(problems.length >= state.fetches - 2)
  t.match(problems[0], { message: /^keys could not be fetched from http:/, cause: { message: 'status 503' } })
  state.time += 60 * second
  t.equal(await find('b'), 'keys_unavailable', 'whether there is such a key cannot be told')
  state.time = 24 * hour
  t.equal(await find('a'), 'found')
  state.time = 24 * hour + 61 * second
  t.equal(await find('a'), 'keys_unavailable')
  state.answer = send([jwkOf('a')])
  state.time += 60 * second
  t.equal(await find('a'), 'found')
})

t.test('an outage from the start, and its end', async t => {
  const { state, find } = await keySetOf(t, fail(500))
  t.equal(await find('a'), 'keys_unavailable')
  t.equal(await find('a'), 'keys_unavailable')
  t.equal(state.fetches, 1, 'no second try at once')
  state.answer = send([jwkOf('a')])
  state.time = second
  t.equal(await find('a'), 'found')
})

t.test('nobody listens', async t => {
  const verifier = createVerifier({
    ...optionsOf('es256', 'http://127.0.0.1:9'),
    onProblem: problem => problems.push(problem),
  })
  const problems: Error[] = []
  t.equal(await outcomeOf(verifier.verify(goodToken('es256-plain').token)), 'keys_unavailable')
  t.equal(problems.length, 1)
})

t.test('a connection that the issuer closed between two fetches is no outage', async t => {
  const { state, find } = await keySetOf(t, send([jwkOf('a')], { 'cache-control': 'max-age=10' }))
  await find('a')
  state.answer = (response, request) => {
    state.answer = send([jwkOf('a'), jwkOf('b')])
    response.destroy()
    request.socket.destroy()
  }
  state.time = 10 * second
  t.equal(await find('b'), 'found')
})

t.test('answers that are no key set leave the held one as it is', async t => {
  const answers: Record<string, Answer> = {
    'not JSON': response => void response.end('<html>'),
    'an array': response => sendJson(response, [jwkOf('a')]),
    'no keys': response => sendJson(response, {}),
    'keys an object': response => sendJson(response, { keys: { a: jwkOf('a') } }),
    'keys twice': response => void response.end(`{"keys":[],"keys":[${JSON.stringify(jwkOf('b'))}]}`),
    'a redirect': response => void response.writeHead(302, { location: '/elsewhere' }).end(),
    'a permanent redirect': response => void response.writeHead(308, { location: '/elsewhere' }).end(),
    'half an answer': response => {
      response.writeHead(200, { 'content-length': '1000' })
      response.write('{"keys":[')
      setTimeout(() => response.destroy(), 10)
    },
    huge: response => sendJson(response, { keys: [jwkOf('b', { filler: 'f'.repeat(70_000) })] }),
    'huge in small': response => {
      response.writeHead(200, { 'transfer-encoding': 'chunked' })
      const timer = setInterval(() => response.write(' '.repeat(8192)), 1)
      response.on('close', () => clearInterval(timer))
    },
    'not found': fail(404),
    'no content': fail(204),
  }
  for (const [what, answer] of Object.entries(answers)) {
    const { state, problems, find } = await keySetOf(t, send([jwkOf('a')], { 'cache-control': 'max-age=60' }))
    await find('a')
    state.answer = (response, request) => {
      if (request.url === '/elsewhere') t.fail('followed a redirect')
      answer(response, request)
    }
    state.time = 60 * second
    t.equal(await find('a'), 'found', what)
    t.equal(problems.length, 1, what)
    state.time += 30 * second
    t.equal(await find('b'), 'keys_unavailable', what)
  }
})

t.test('an issuer that never answers is waited for once', async t => {
  const { state, find } = await keySetOf(t, send([jwkOf('a')], { 'cache-control': 'max-age=60' }))
  await find('a')
  state.answer = () => {}
  state.time = 60 * second
  const started = performance.now()
  t.equal(await find('a'), 'found')
  const waited = performance.now() - started
  t.ok(waited > 4500 && waited < 8000, `five seconds: ${waited}`)
  state.time += 60 * second
  const again = performance.now()
  t.equal(await find('a'), 'found')
  t.ok(performance.now() - again < 1000, 'and from then on nobody waits')
})

t.test('only keys that are what they say are used', async t => {
  const pair = (type: string, options: object) =>
    generateKeyPairSync(type as 'rsa', options as { modulusLength: number }) as unknown as {
      publicKey: KeyObject
      privateKey: KeyObject
    }
  const p384 = pair('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' })
  const ed448 = pair('ed448', {}).publicKey.export({ format: 'jwk' })
  const smallExponent = pair('rsa', { modulusLength: 2048, publicExponent: 3 }).publicKey.export({ format: 'jwk' })
  const short = pair('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
  const rsa = vectors.jwks.keys.find(key => key.kty === 'RSA')
  const okp = vectors.jwks.keys.find(key => key.kty === 'OKP')
  const ec = vectors.jwks.keys.find(key => key.kty === 'EC')
  const sig = { use: 'sig' }
  const keys: Record<string, object> = {
    p384: { ...p384, ...sig, alg: 'ES256' },
    'p384-as-p256': { ...p384, crv: 'P-256', ...sig, alg: 'ES256' },
    ed448: { ...ed448, ...sig, alg: 'EdDSA' },
    x25519: { ...okp, crv: 'X25519' },
    'rsa-exponent-3': { ...smallExponent, ...sig, alg: 'RS256' },
    'rsa-1024': { ...short, ...sig, alg: 'RS256' },
    'rsa-exponent-1': { ...rsa, e: 'AQ' },
    'rsa-exponent-huge': { ...rsa, e: rsa?.n },
    'rsa-huge': { ...rsa, n: Buffer.alloc(4096, 0xff).toString('base64url') },
    'rsa-no-n': { ...rsa, n: undefined },
    'rsa-n-number': { ...rsa, n: 3 },
    'rsa-as-es256': { ...rsa, alg: 'ES256' },
    'rsa-as-ps256': { ...rsa, alg: 'PS256' },
    'rsa-with-curve': { ...rsa, crv: 'P-256' },
    'ec-as-rs256': { ...ec, alg: 'RS256' },
    'ec-as-hs256': { ...ec, alg: 'HS256' },
    'ec-no-y': { ...ec, y: undefined },
    'oct-as-rs256': { kty: 'oct', k: 'AAAA', ...sig, alg: 'RS256' },
    'oct-as-hs256': { kty: 'oct', k: 'A'.repeat(43), ...sig, alg: 'HS256' },
    'use-missing': { ...ec, use: undefined },
    'use-enc': { ...ec, use: 'enc' },
    'alg-missing': { ...ec, alg: undefined },
    'alg-proto': { ...ec, alg: '__proto__' },
    'alg-array': { ...ec, alg: ['ES256'] },
    private: { ...ec, d: 'AAAA' },
  }
  const odd = [null, 1, 'key', [], {}, { ...ec, kid: undefined }, { ...ec, kid: 7 }]
  const named = Object.entries(keys).map(([kid, key]) => ({ ...key, kid }))
  const twice = [jwkOf('twice'), jwkOf('twice', { use: 'enc' })]
  const thrice = [jwkOf('thrice'), jwkOf('thrice'), jwkOf('thrice')]
  const { find, problems, state } = await keySetOf(
    t,
    send([...odd, ...named, ...twice, ...thrice, jwkOf('good'), jwkOf('__proto__')]),
  )
  for (const kid of [...Object.keys(keys), 'twice', 'thrice', 'undefined', 'constructor', 'toString'])
    t.equal(await find(kid), 'unknown', kid)
  t.equal(await find('good'), 'found')
  t.equal(await find('__proto__'), 'found', 'a name like any other')
  t.equal(state.fetches, 1)
  t.strictSame(problems, [], 'odd company is no outage (RFC 7517 section 5)')
})

t.test('an algorithm that is not on the list has no keys', async t => {
  const base = await serve(t, (_, response) => sendJson(response, vectors.jwks))
  const verifier = createVerifier({ issuer: vectors.issuer, jwksUrl: `${base}/jwks`, algorithms: ['EdDSA'], now })
  t.equal(await outcomeOf(verifier.verify(goodToken('es256-plain').token)), 'algorithm_not_allowed')
})

t.test('an RSA key that signs with another hash or padding', async t => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'r', alg: 'RS256', use: 'sig' }
  const base = await serve(t, (_, response) => sendJson(response, { keys: [jwk] }))
  const verifier = createVerifier({ ...optionsOf('rs256', base) })
  const { claims } = goodToken('rs256-plain')
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const input = `${encode({ alg: 'RS256', typ: 'JWT', kid: 'r' })}.${encode(claims)}`
  const seal = (signature: Buffer) => `${input}.${signature.toString('base64url')}`
  const pss = { key: privateKey, padding: 6, saltLength: 32 }
  t.equal(await outcomeOf(verifier.verify(seal(sign('sha256', Buffer.from(input), privateKey)))), 'accepted')
  t.equal(await outcomeOf(verifier.verify(seal(sign('sha256', Buffer.from(input), pss)))), 'signature_invalid')
  t.equal(await outcomeOf(verifier.verify(seal(sign('sha1', Buffer.from(input), privateKey)))), 'signature_invalid')
  const mac = createHmac('sha256', publicKey.export({ type: 'spki', format: 'pem' }))
    .update(input)
    .digest()
  t.equal(await outcomeOf(verifier.verify(seal(mac))), 'signature_invalid')
})

t.test('a close while a fetch runs ends it quietly', async t => {
  const { find, problems, closing } = await keySetOf(t, () => {})
  const finding = find('a')
  setTimeout(() => closing.abort(), 50)
  t.equal(await finding, 'keys_unavailable')
  t.strictSame(problems, [])
})
