/** The signer: what it signs anybody can verify, and what it verifies is a token of its own key, to the letter. */
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fastify from 'fastify'
import { jwtVerify } from 'jose'
import t, { type Test } from 'tap'
import { secretKey } from '../../src/core/keys.js'
import { createSigners } from '../../src/http/signer.js'

const secrets = {
  access: 'q3Zl0nJm7R2uXw8sVtYb5KpGdHcAeFfTQiOoLkMzN1E',
  refresh: 'Hn6Ud1Wc9Zx4Tb7Ra2Yk5Vs8Pq3Om0Lj6Ig4Fe1Cb9D',
}
const claims = { iss: 'gatehouse', sub: 'somebody', iat: 1_795_000_000, exp: 4_102_444_800 }

const encode = (text: string) => Buffer.from(text).toString('base64url')
const mac = (input: string, secret = secrets.access) => createHmac('sha256', secret).update(input).digest('base64url')
const seal = (header: string, payload: string, secret?: string) =>
  `${header}.${payload}.${mac(`${header}.${payload}`, secret)}`

async function signersOf(t: Test, given = secrets) {
  const app = fastify()
  t.teardown(() => app.close())
  const ring = (secret: string) => ({ current: secretKey(secret), others: [] })
  return createSigners(app, { access: ring(given.access), refresh: ring(given.refresh) })
}

function splitToken(token: string): [string, string, string] {
  const [header = '', payload = '', signature = ''] = token.split('.')
  return [header, payload, signature]
}

function readVectors<Vectors>(name: string): Vectors {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8'))
}

t.test('signs compact HS256 that another library verifies', async t => {
  const { access } = await signersOf(t)
  const token = access.sign(claims)
  const [header, payload, signature] = splitToken(token)
  const { kid, ...rest } = JSON.parse(Buffer.from(header, 'base64url').toString())
  t.strictSame(rest, { alg: 'HS256', typ: 'JWT' })
  t.match(kid, /^[\w-]{8}$/)
  t.equal(Buffer.from(payload, 'base64url').toString(), JSON.stringify(claims), 'what was given, in that order')
  t.equal(signature, mac(`${header}.${payload}`))
  t.equal(access.sign(claims), token, 'the same claims are the same bytes')
  t.strictSame(access.verify(token), claims)
  const verified = await jwtVerify(token, Buffer.from(secrets.access), { algorithms: ['HS256'] })
  t.strictSame(verified.payload, claims)
})

t.test('each key has a name of its own, that tells nothing of it and stays the same', async t => {
  const first = await signersOf(t)
  const second = await signersOf(t, { access: secrets.access, refresh: `${secrets.refresh}.` })
  const kidOf = (token: string) => JSON.parse(Buffer.from(splitToken(token)[0], 'base64url').toString()).kid
  const [access, refresh] = [kidOf(first.access.sign(claims)), kidOf(first.refresh.sign(claims))]
  t.not(access, refresh)
  t.equal(kidOf(second.access.sign(claims)), access)
  t.not(kidOf(second.refresh.sign(claims)), refresh)
  for (const hash of ['sha256', 'sha1', 'md5'])
    t.notOk(createHmac(hash, '').update(secrets.access).digest('base64url').startsWith(access))
  t.notOk(secrets.access.includes(access))
})

t.test('neither signer takes the other one’s tokens', async t => {
  const { access, refresh } = await signersOf(t)
  t.throws(() => access.verify(refresh.sign(claims)))
  t.throws(() => refresh.verify(access.sign(claims)))
  const [, payload] = splitToken(access.sign(claims))
  const [refreshHeader] = splitToken(refresh.sign(claims))
  t.throws(() => access.verify(seal(refreshHeader, payload)), 'its key id with our key')
})

t.test('times are not its business', async t => {
  const { access } = await signersOf(t)
  for (const times of [{ exp: 1 }, { nbf: 4_102_444_800 }, { iat: 4_102_444_800 }])
    t.match(access.verify(access.sign(times)), times)
})

t.test('R-02 R-03 headers', async t => {
  const { access } = await signersOf(t)
  const [, payload] = splitToken(access.sign(claims))
  const kid = JSON.parse(Buffer.from(splitToken(access.sign(claims))[0], 'base64url').toString()).kid
  const take = (header: string) => () => access.verify(seal(encode(header), payload))

  const accepted = [
    '{"alg":"HS256"}',
    '{"alg":"HS256","typ":"JWT"}',
    '{"typ":"JWT","alg":"HS256"}',
    `{"alg":"HS256","kid":"${kid}"}`,
    `{ "kid" : "${kid}",\n\t"alg" : "HS256" }`,
  ]
  for (const header of accepted) t.strictSame(take(header)(), claims, header)

  const refused = [
    '{}',
    '[]',
    'null',
    '"HS256"',
    '',
    '{"alg":"HS256"',
    '{"alg":"HS256"}}',
    '{"typ":"JWT"}',
    '{"alg":null}',
    '{"alg":["HS256"]}',
    '{"alg":{"HS256":true}}',
    ...['none', 'None', 'NONE', '', 'hs256', 'HS256 ', 'HS384', 'HS512', 'RS256', 'ES256', 'EdDSA'].map(alg =>
      JSON.stringify({ alg }),
    ),
    ...['at+jwt', 'jwt', 'JWE', '', 'refresh+jwt'].map(typ => JSON.stringify({ alg: 'HS256', typ })),
    '{"alg":"HS256","typ":null}',
    ...['', 'no-such-key', '__proto__', 'constructor', '../../../../dev/null', `${kid} `, kid.toLowerCase()].map(kid =>
      JSON.stringify({ alg: 'HS256', kid }),
    ),
    `{"alg":"HS256","kid":["${kid}"]}`,
    '{"alg":"HS256","kid":null}',
    '{"alg":"HS256","crit":["exp"]}',
    '{"alg":"HS256","crit":[]}',
    '{"alg":"HS256","crit":"exp"}',
    '{"alg":"HS256","b64":false,"crit":["b64"]}',
    '{"alg":"HS256","b64":true}',
    '{"alg":"HS256","zip":"DEF"}',
    '{"alg":"HS256","cty":"JWT"}',
    '{"alg":"HS256","jku":"http://127.0.0.1:9/jwks.json"}',
    '{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}',
    '{"alg":"HS256","x5u":"http://127.0.0.1:9/"}',
    '{"alg":"HS256","x5c":[]}',
    '{"alg":"HS256","__proto__":{"typ":"JWT"}}',
    '{"alg":"HS256","surprise":1}',
  ]
  for (const header of refused) t.throws(take(header), header)
})

t.test('R-06 payloads that are no JSON object', async t => {
  const { access } = await signersOf(t)
  const [header] = splitToken(access.sign(claims))
  for (const payload of ['null', '[]', '[{}]', '"x"', '1', 'true', '', 'foo', '{', '{}x', '\ufeff{}'])
    t.throws(() => access.verify(seal(header, encode(payload))), JSON.stringify(payload))
  t.throws(() => access.verify(seal(header, Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31]).toString('base64url'))))
  t.strictSame(access.verify(seal(header, encode('{}'))), {})
  const polluted = access.verify(seal(header, encode('{"__proto__":{"admin":true}}')))
  t.equal(polluted.admin, undefined)
  t.equal(({} as { admin?: boolean }).admin, undefined)
})

t.test('what is no token at all', async t => {
  const { access } = await signersOf(t)
  for (const value of ['', '.', '..', '...', 'a', 'a.b', 'a.b.c', ' ', '\0', 'ü.ü.ü'])
    t.throws(() => access.verify(value), JSON.stringify(value))
  for (const value of [undefined, null, 0, {}, [], true]) t.throws(() => access.verify(value as unknown as string))
})

t.test('R-01 R-02 keys an attacker could hope for', async t => {
  const { access } = await signersOf(t)
  const [header, payload] = splitToken(access.sign(claims))
  for (const secret of [
    '',
    'undefined',
    'null',
    'secret',
    secrets.refresh,
    `${secrets.access}\n`,
    secrets.access.slice(0, -1),
  ])
    t.throws(() => access.verify(seal(header, payload, secret)), JSON.stringify(secret))
  for (const hash of ['sha1', 'sha384', 'sha512'])
    for (const alg of ['HS256', 'HS384', 'HS512']) {
      const input = `${encode(JSON.stringify({ alg }))}.${payload}`
      const signature = createHmac(hash, secrets.access).update(input).digest('base64url')
      t.throws(() => access.verify(`${input}.${signature}`), `${alg} by ${hash}`)
    }
})

/** The faults of Wycheproof's HS256 tests, each on a token of ours, so that nothing else is wrong with it. */
t.test('R-06 a token has one spelling', async t => {
  const { access } = await signersOf(t)
  const token = access.sign(claims)
  const [header, payload, signature] = splitToken(token)
  t.strictSame(access.verify(token), claims)
  const refuse = (mutant: string, name: string) => {
    if (mutant === token) t.fail(`${name} changed nothing`)
    t.throws(() => access.verify(mutant), name)
  }

  refuse(`${header}.${payload}.`, 'no signature')
  refuse(`${header}.${payload}`, 'neither signature nor separator')
  refuse(`${header}..${signature}`, 'no payload')
  refuse(`${header}.${signature}`, 'neither payload nor separator')
  refuse(`.${payload}.${signature}`, 'no header')
  refuse(`${payload}.${signature}`, 'neither header nor separator')
  refuse(seal('', payload), 'an empty header, signed')
  refuse(seal(header, ''), 'an empty payload, signed')
  refuse(`${token}.`, 'a fourth, empty part')
  refuse(`${token}.${payload}`, 'a fourth part')
  refuse(`${token}.${payload}.${signature}`, 'five parts, as of a JWE')
  refuse(`.${token}`, 'a leading dot')
  refuse(JSON.stringify({ payload, protected: header, signature }), 'JSON serialisation')
  refuse(JSON.stringify({ payload, signatures: [{ protected: header, signature }] }), 'general JSON serialisation')

  for (const [index, original] of [...signature].entries()) {
    const other = original === 'A' ? 'B' : 'A'
    const changed = `${signature.slice(0, index)}${other}${signature.slice(index + 1)}`
    if (!Buffer.from(changed, 'base64url').equals(Buffer.from(signature, 'base64url')))
      refuse(`${header}.${payload}.${changed}`, `character ${index} of the signature is another`)
  }
  for (let length = 0; length < signature.length; length += 1)
    refuse(`${header}.${payload}.${signature.slice(0, length)}`, `${length} characters of the signature`)

  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(signature.at(-1) ?? '')
  for (const bits of [1, 2, 3])
    refuse(`${token.slice(0, -1)}${alphabet[last ^ bits]}`, `unused bits of the signature, ${bits}`)

  for (const extra of [
    '=',
    '==',
    ' ',
    '\n',
    '\r\n',
    '\t',
    '\0',
    '#',
    '?',
    '+',
    '/',
    '%',
    '%3D',
    'é',
    '\u{1F600}',
    '\ufeff',
    'A',
    'AA',
  ]) {
    const name = JSON.stringify(extra)
    refuse(`${token}${extra}`, `${name} after the signature`)
    refuse(`${header}.${payload}.${extra}${signature}`, `${name} before the signature`)
    refuse(`${header}.${payload}.${signature.slice(0, 9)}${extra}${signature.slice(9)}`, `${name} in the signature`)
    if (/A/.test(extra)) continue
    refuse(`${extra}${token}`, `${name} before all`)
    for (const at of [0, 4, header.length]) {
      const spoilt = `${header.slice(0, at)}${extra}${header.slice(at)}`
      refuse(`${spoilt}.${payload}.${signature}`, `${name} at ${at} of the header`)
      refuse(seal(spoilt, payload), `${name} at ${at} of the header, signed`)
    }
    for (const at of [0, 4, payload.length]) {
      const spoilt = `${payload.slice(0, at)}${extra}${payload.slice(at)}`
      refuse(`${header}.${spoilt}.${signature}`, `${name} at ${at} of the payload`)
      refuse(seal(header, spoilt), `${name} at ${at} of the payload, signed`)
    }
  }

  // Two of three lengths leave bits unused; blanks in the JSON choose the length.
  for (const [text, unused] of [
    ['{"a":1}', [1, 2, 3, 8, 15]],
    ['{"a":12}', [1, 2, 3]],
  ] as const) {
    const whole = encode(text)
    t.ok(access.verify(seal(header, whole)))
    for (const bits of unused) {
      const spoilt = `${whole.slice(0, -1)}${alphabet[alphabet.indexOf(whole.at(-1) ?? '') ^ bits]}`
      refuse(`${header}.${spoilt}.${mac(`${header}.${whole}`)}`, `unused bits of the payload of ${text}, ${bits}`)
      refuse(seal(header, spoilt), `unused bits of the payload of ${text}, ${bits}, signed`)
    }
  }
  for (const text of ['{"alg":"HS256"} ', '{"alg":"HS256"}  ']) {
    const whole = encode(text)
    t.ok(access.verify(seal(whole, payload)))
    const spoilt = `${whole.slice(0, -1)}${alphabet[alphabet.indexOf(whole.at(-1) ?? '') ^ 1]}`
    if (Buffer.from(spoilt, 'base64url').equals(Buffer.from(whole, 'base64url')))
      refuse(seal(spoilt, payload), `unused bits of the header ${JSON.stringify(text)}, signed`)
  }
  const standard = Buffer.from(signature, 'base64url').toString('base64')
  if (standard.replace(/=$/, '') !== signature) refuse(`${header}.${payload}.${standard}`, 'the standard alphabet')
})

type SignatureTest = { tcId: number; comment: string; jws: unknown; result: 'valid' | 'invalid' }
type Jwk = { kty?: string; alg?: string; k?: string }
type SignatureVectors = { testGroups: { private?: Jwk & { keys?: Jwk[] }; tests: SignatureTest[] }[] }

t.test('Wycheproof: every invalid HS256 test is refused as it stands', async t => {
  let refused = 0
  for (const name of ['json_web_signature_test', 'json_web_crypto_test'])
    for (const { private: key, tests } of readVectors<SignatureVectors>(name).testGroups) {
      const { k } = (key?.keys ?? [key]).find(each => each?.kty === 'oct' && each.alg === 'HS256') ?? {}
      if (k === undefined) continue
      const bytes = Buffer.from(k, 'base64url')
      // A secret is a text: where the key's bytes are none, its base64url stands in for it.
      const secret = Buffer.from(bytes.toString()).equals(bytes) ? bytes.toString() : k
      const { access } = await signersOf(t, { ...secrets, access: secret })
      for (const { tcId, comment, jws, result } of tests) {
        if (result !== 'invalid') continue
        refused += 1
        t.throws(
          () => access.verify(typeof jws === 'string' ? jws : JSON.stringify(jws)),
          `${name} ${tcId}: ${comment}`,
        )
      }
    }
  t.equal(refused, 48)
})

type MacTest = { tcId: number; key: string; msg: string; tag: string; result: 'valid' | 'invalid' }
type MacVectors = { testGroups: { tagSize: number; tests: MacTest[] }[] }

t.test('Wycheproof: HMAC-SHA-256 itself', async t => {
  let tried = 0
  for (const { tagSize, tests } of readVectors<MacVectors>('hmac_sha256_test').testGroups)
    for (const { tcId, key, msg, tag, result } of tests) {
      tried += 1
      const whole = createHmac('sha256', Buffer.from(key, 'hex')).update(Buffer.from(msg, 'hex')).digest('hex')
      t.equal(whole.slice(0, tagSize / 4) === tag, result === 'valid', `test ${tcId}`)
    }
  t.equal(tried, 174)
})
