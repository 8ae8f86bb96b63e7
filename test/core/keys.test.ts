/** Keys as operators give them: read, named, refused, published. */
import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { asymmetricKey, asymmetricKeys, BadKey, publicKeysOf, secretKey } from '../../src/core/keys.js'

const pem = (type: 'ec' | 'ed25519' | 'rsa', options: object = {}) => {
  const pair = generateKeyPairSync(type as 'rsa', options as { modulusLength: number })
  return {
    private: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    public: pair.publicKey.export({ type: 'spki', format: 'pem' }) as string,
    jwk: pair.privateKey.export({ format: 'jwk' }),
  }
}
const ec = pem('ec', { namedCurve: 'prime256v1' })
const ed = pem('ed25519')
const rsa = pem('rsa', { modulusLength: 2048 })

t.test('the algorithm follows from the key', async t => {
  t.equal(asymmetricKey(ec.private).alg, 'ES256')
  t.equal(asymmetricKey(ed.private).alg, 'EdDSA')
  t.equal(asymmetricKey(rsa.private).alg, 'RS256')
})

t.test('PEM, JWK and a PEM with its line breaks spelled out are the same key', async t => {
  const { kid } = asymmetricKey(ec.private)
  t.equal(asymmetricKey(JSON.stringify(ec.jwk)).kid, kid)
  t.equal(asymmetricKey(ec.private.replaceAll('\n', '\\n')).kid, kid)
  t.equal(asymmetricKey(ec.public).kid, kid, 'the public half has the same name')
  t.equal(asymmetricKey(ec.public).signing, undefined, 'and signs nothing')
})

t.test('the name is the thumbprint of RFC 7638, section 3.1', async t => {
  const jwk = {
    kty: 'RSA',
    n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
    e: 'AQAB',
  }
  t.equal(asymmetricKey(JSON.stringify(jwk)).kid, 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
})

t.test('several keys in one variable', async t => {
  t.same(
    asymmetricKeys(`${ec.public}${ed.public}`).map(key => key.alg),
    ['ES256', 'EdDSA'],
  )
  const set = { keys: [asymmetricKey(ec.public).jwk, asymmetricKey(rsa.public).jwk] }
  t.same(
    asymmetricKeys(JSON.stringify(set)).map(key => key.alg),
    ['ES256', 'RS256'],
  )
})

t.test('what is published holds nothing private, and no secret at all', async t => {
  const ring = { current: asymmetricKey(ec.private), others: [secretKey('x'.repeat(32)), asymmetricKey(rsa.private)] }
  const published = publicKeysOf(ring)
  t.same(
    published.map(key => [key.kty, key.alg, key.use]),
    [
      ['EC', 'ES256', 'sig'],
      ['RSA', 'RS256', 'sig'],
    ],
  )
  for (const key of published) for (const name of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) t.notOk(name in key, name)
})

t.test('keys that are no good are refused with a reason that tells nothing of them', async t => {
  const bad = [
    '',
    'no key',
    '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----',
    '{',
    '{"kty":"oct","k":"c2VjcmV0"}',
    pem('ec', { namedCurve: 'secp256k1' }).private,
    pem('ec', { namedCurve: 'secp384r1' }).private,
    pem('rsa', { modulusLength: 1024 }).private,
  ]
  for (const text of bad) {
    t.throws(() => asymmetricKey(text), BadKey, text.slice(0, 40))
    try {
      asymmetricKey(text)
    } catch (error) {
      t.notMatch((error as Error).message, /AAAA|c2VjcmV0/)
    }
  }
  t.throws(() => asymmetricKeys('no key'), BadKey)
})
