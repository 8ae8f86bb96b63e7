/**
 * Writes test/vectors/verifier from the keys that lie there: tokens a verifier of ours must take, and many it must refuse;
 * and the programs of samples/verify into docs/verifying.md. The same keys give the same bytes. With --check it only says
 * whether the files are what it would write.
 */
import { createECDH, createHash, createHmac, createPrivateKey, type JsonWebKey, sign } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import type { RefusalReason } from '../src/verifier/index.js'

// ------------------------------------------------------------------------------------------------ Keys and signing

type PrivateJwk = JsonWebKey & { kid: string; alg: 'ES256' | 'EdDSA' | 'RS256'; d: string }
type Signature = (input: string) => Buffer

const folder = new URL('../test/vectors/verifier/', import.meta.url)
const { secrets, private: jwks } = JSON.parse(readFileSync(new URL('keys.json', folder), 'utf8')) as {
  secrets: Record<'current' | 'previous' | 'foreign', string>
  private: PrivateJwk[]
}

function jwkOf(kid: string): PrivateJwk {
  const jwk = jwks.find(each => each.kid === kid)
  if (!jwk) throw new Error(`keys.json has no ${kid}`)
  return jwk
}

/** As published (RFC 7517 section 4). */
function publicJwk(kid: string) {
  const { d, p, q, dp, dq, qi, alg, kid: name, ...rest } = jwkOf(kid)
  return { ...rest, alg, use: 'sig', kid: name }
}

const hmac =
  (secret: string | Buffer, hash = 'sha256'): Signature =>
  input =>
    createHmac(hash, secret).update(input).digest()

const withKey =
  (kid: string, digest: string | null): Signature =>
  input =>
    sign(digest, Buffer.from(input), createPrivateKey({ key: jwkOf(kid), format: 'jwk' }))

const order = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551')
const toBytes = (value: bigint): Buffer => Buffer.from(value.toString(16).padStart(64, '0'), 'hex')
const toNumber = (bytes: Buffer): bigint => BigInt(`0x${bytes.toString('hex')}`)
const modulo = (value: bigint): bigint => ((value % order) + order) % order

/** The inverse modulo the order, which is prime (Fermat). */
function inverse(value: bigint): bigint {
  let [result, base, exponent] = [1n, modulo(value), order - 2n]
  for (; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = modulo(result * base)
    base = modulo(base * base)
  }
  return result
}

/** ECDSA on P-256 with the nonce of RFC 6979 section 3.2, so that one input has one signature. */
export function signEs256(input: string, d: Buffer): Buffer {
  const hash = createHash('sha256').update(input).digest()
  const seed = Buffer.concat([d, toBytes(modulo(toNumber(hash)))])
  let key = Buffer.alloc(32, 0)
  let value = Buffer.alloc(32, 1)
  const step = (...parts: Buffer[]) => createHmac('sha256', key).update(Buffer.concat(parts)).digest()
  for (const tag of [0, 1]) {
    key = step(value, Buffer.from([tag]), seed)
    value = step(value)
  }
  value = step(value)
  const nonce = toNumber(value)
  if (nonce === 0n || nonce >= order) throw new Error('one input in 2^32: change it')
  const point = createECDH('prime256v1')
  point.setPrivateKey(value)
  const r = modulo(toNumber(point.getPublicKey().subarray(1, 33)))
  const s = modulo(inverse(nonce) * (toNumber(hash) + r * toNumber(d)))
  return Buffer.concat([toBytes(r), toBytes(s)])
}

const es256 =
  (kid: string): Signature =>
  input =>
    signEs256(input, Buffer.from(jwkOf(kid).d, 'base64url'))

// ------------------------------------------------------------------------------------------------ The verifiers

const issuer = 'https://auth.gatehouse.example'
const audience = 'https://api.gatehouse.example'
/** 2100-01-01T00:00:00Z: nothing that lives at this time has expired for a program that cannot set its clock. */
const now = 4_102_444_800
const day = 86_400

/** Keys in odd company: each of them is to be passed over. */
const oddJwks = {
  keys: [
    { ...publicJwk('es256-1'), kid: 'for-encryption', use: 'enc' },
    { ...publicJwk('es256-1'), kid: 'without-use', use: undefined },
    { ...publicJwk('es256-1'), kid: 'without-alg', alg: undefined },
    { ...publicJwk('es256-1'), kid: 'for-another-alg', alg: 'ES384' },
    { ...publicJwk('es256-1'), kid: 'off-the-curve', y: publicJwk('es256-1').x },
    { ...publicJwk('es256-1'), kid: 'twice' },
    { ...publicJwk('es256-2'), kid: 'twice' },
    { ...publicJwk('p384'), kid: 'p384' },
    { ...publicJwk('rs256-short'), kid: 'rs256-short' },
    { ...publicJwk('eddsa-1'), kid: 'eddsa-as-es256', alg: 'ES256' },
    { ...publicJwk('es256-2'), kid: 'private', d: jwkOf('es256-2').d },
    { kty: 'oct', k: Buffer.from(secrets.current).toString('base64url'), alg: 'HS256', use: 'sig', kid: 'shared' },
    {
      kty: 'oct',
      k: Buffer.from(secrets.current).toString('base64url'),
      alg: 'RS256',
      use: 'sig',
      kid: 'oct-as-rs256',
    },
    publicJwk('es256-1'),
  ],
}

const verifiers = {
  hs256: { algorithms: ['HS256'], audience, secrets: [secrets.current] },
  'hs256-rotation': { algorithms: ['HS256'], audience, secrets: [secrets.current, secrets.previous] },
  'hs256-no-audience': { algorithms: ['HS256'], audience: null, secrets: [secrets.current] },
  es256: { algorithms: ['ES256'], audience, jwks: 'jwks' },
  eddsa: { algorithms: ['EdDSA'], audience, jwks: 'jwks' },
  rs256: { algorithms: ['RS256'], audience, jwks: 'jwks' },
  'every-algorithm': {
    algorithms: ['HS256', 'ES256', 'EdDSA', 'RS256'],
    audience,
    secrets: [secrets.current],
    jwks: 'jwks',
  },
  'odd-keys': { algorithms: ['ES256', 'EdDSA', 'RS256'], audience, jwks: 'odd_jwks' },
} as const

type VerifierName = keyof typeof verifiers

// ------------------------------------------------------------------------------------------------ Making tokens

type Json = Record<string, unknown>

const claims = {
  iss: issuer,
  sub: '01936f2a-7c00-7000-8000-0123456789ab',
  sid: '01936f2a-7c01-7000-8000-ba9876543210',
  jti: '01936f2a-7c01-7000-8000-ba9876543210.1',
  aud: audience,
  type: 'access',
  iat: now - 60,
  exp: now + 1740,
}

const encode = (content: unknown): string => {
  const isRaw = typeof content === 'string' || Buffer.isBuffer(content)
  return Buffer.from(isRaw ? content : JSON.stringify(content)).toString('base64url')
}
const without = (from: Json, name: string): Json => Object.fromEntries(Object.entries(from).filter(([n]) => n !== name))

/** A text or bytes are taken as they are, anything else as JSON. */
function jws(header: unknown, payload: unknown, signature: Signature): string {
  const input = `${encode(header)}.${encode(payload)}`
  return `${input}.${signature(input).toString('base64url')}`
}

type Family = { verifier: VerifierName; header: { alg: string; typ: string; kid: string }; signature: Signature }

const families = {
  hs256: {
    verifier: 'hs256',
    header: { alg: 'HS256', typ: 'JWT', kid: 'hs256-1' },
    signature: hmac(secrets.current),
  },
  es256: { verifier: 'es256', header: { alg: 'ES256', typ: 'JWT', kid: 'es256-1' }, signature: es256('es256-1') },
  eddsa: {
    verifier: 'eddsa',
    header: { alg: 'EdDSA', typ: 'JWT', kid: 'eddsa-1' },
    signature: withKey('eddsa-1', null),
  },
  rs256: {
    verifier: 'rs256',
    header: { alg: 'RS256', typ: 'JWT', kid: 'rs256-1' },
    signature: withKey('rs256-1', 'sha256'),
  },
} satisfies Record<string, Family>

const make = ({ header, signature }: Family, changes: Json = {}): string =>
  jws(header, { ...claims, ...changes }, signature)

// ------------------------------------------------------------------------------------------------ Good tokens

type Good = { id: string; verifier: VerifierName; token: string; claims: Json; note: string }

const good: Good[] = []

function accept(id: string, verifier: VerifierName, parts: { family: Family; claims?: Json; note: string }): void {
  const expected = { ...claims, ...parts.claims }
  good.push({ id, verifier, token: make(parts.family, parts.claims), claims: expected, note: parts.note })
}

const { hs256, rs256, eddsa } = families

for (const [name, family] of Object.entries(families)) {
  accept(`${name}-plain`, family.verifier, { family, note: 'a token as they all are' })
  accept(`${name}-mixed`, 'every-algorithm', { family, note: 'a verifier that takes each algorithm with its own key' })
}
for (const name of ['hs256', 'es256'] as const) {
  const family: Family = families[name]
  const also = (id: string, note: string, changes: Json) =>
    accept(`${name}-${id}`, family.verifier, { family, claims: changes, note })
  also('audiences', 'one audience of several', { aud: ['https://other.example', audience] })
  also('longest', 'lives 30 days to the second', { iat: now, exp: now + 30 * day })
  also('nbf', 'may be used since its iat', { nbf: now - 60 })
  also('profile', 'carries the profile', {
    profile_version: 3,
    software_level: 'beginner',
    hardware_background: 'embedded systems',
  })
  also('no-profile', 'carries a profile without parts', { profile_version: null, software_level: null })
  also('more', 'claims nobody asked for are ignored (RFC 7519 section 4)', {
    locale: 'é𝄞',
    nested: { sub: 'x', list: [{}] },
  })
  also('jti-128', 'the longest jti', { jti: 'j'.repeat(128) })
}
{
  const bare = without(claims, 'aud')
  good.push({
    id: 'hs256-no-audience',
    verifier: 'hs256-no-audience',
    token: jws(hs256.header, bare, hs256.signature),
    claims: bare,
    note: 'no audience, and none asked for',
  })
  const spaced = `{ "typ" : "JWT",\n "kid":"hs256-1", "alg":"HS\\u003256" }`
  good.push({
    id: 'hs256-spaced',
    verifier: 'hs256',
    token: jws(spaced, JSON.stringify(claims, null, 2), hs256.signature),
    claims,
    note: 'JSON may be spaced and escaped; it is the same header and the same claims',
  })
  const signature = es256('es256-1')
  const mirrored: Signature = input => {
    const bytes = signature(input)
    return Buffer.concat([bytes.subarray(0, 32), toBytes(order - toNumber(bytes.subarray(32)))])
  }
  accept('es256-mirrored', 'es256', {
    family: { ...families.es256, signature: mirrored },
    note: 'every ECDSA signature (r, s) has a twin (r, n - s) that is as good: never tell tokens apart by their text',
  })
}
accept('hs256-previous', 'hs256-rotation', {
  family: { ...hs256, header: { ...hs256.header, kid: 'hs256-0' }, signature: hmac(secrets.previous) },
  note: 'signed with the secret before',
})
accept('es256-second', 'es256', {
  family: { ...families.es256, header: { ...families.es256.header, kid: 'es256-2' }, signature: es256('es256-2') },
  note: 'signed with another published key',
})

// ------------------------------------------------------------------------------------------------ Bad tokens

type Bad = {
  id: string
  verifier: VerifierName
  token: string
  reason: RefusalReason
  why: string
  /** Only a program whose clock says `now` can be asked. */
  needs_clock?: true
}

const bad: Bad[] = []

const refuse = (id: string, verifier: VerifierName, token: string, [reason, why]: [RefusalReason, string]): void => {
  bad.push({ id, verifier, token, reason, why })
}

const unusedBits: Record<number, number> = { 2: 15, 3: 3 }
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Another spelling of the same bytes: a bit set that the last character has no use for. */
function respell(part: string): string {
  const bits = unusedBits[part.length % 4]
  const value = alphabet.indexOf(part.at(-1) ?? '')
  if (bits === undefined || (value & bits) !== 0) throw new Error('has no other spelling')
  return part.slice(0, -1) + alphabet.charAt(value | 1)
}

/** A token whose parts both have unused bits, or whose signature has the characters asked for. */
function search(family: Family, wanted: (parts: [string, string, string]) => boolean): [string, string, string] {
  for (let n = 0; n < 200; n += 1) {
    const parts = make(family, { jti: `search${'.'.repeat(n % 7)}${n}` }).split('.') as [string, string, string]
    if (wanted(parts)) return parts
  }
  throw new Error('found none')
}

for (const [name, family] of [
  ['hs256', families.hs256],
  ['es256', families.es256],
] as const) {
  const { verifier, header, signature } = family
  const token = make(family)
  const [h, p, s] = token.split('.') as [string, string, string]
  const no = (id: string, reason: RefusalReason, why: string, bytes: string) =>
    refuse(`${name}-${id}`, verifier, bytes, [reason, why])
  const form = (id: string, why: string, bytes: string) => no(`form-${id}`, 'token_malformed', why, bytes)

  form('empty', 'no token at all', '')
  form('dots', 'separators alone', '..')
  form('word', 'an opaque token', 'k7Zq0nJm7R2uXw8sVtYb5KpGdHcAeFfTQiOoLkMzN1E')
  form('two-parts', 'no signature part', `${h}.${p}`)
  form('four-parts', 'a part too many', `${token}.${s}`)
  form('five-parts', 'the form of a JWE (RFC 7516 section 3.1)', `${h}.${s}.${s}.${p}.${s}`)
  form('no-header', 'an empty header', `.${p}.${s}`)
  no('sig-empty', 'signature_invalid', 'an empty signature', `${h}.${p}.`)
  form('space-before', 'white space before', ` ${token}`)
  form('space-after', 'white space after', `${token} `)
  form('newline', 'a line break after', `${token}\n`)
  form('space-inside', 'white space in the signature', `${h}.${p}.${s.slice(0, 9)} ${s.slice(9)}`)
  form('padding', 'a padded signature (RFC 7515 section 2)', `${h}.${p}.${s}=`)
  form('padding-whole', 'a signature padded to the end', `${h}.${p}.${s.padEnd(Math.ceil(s.length / 4) * 4, '=')}`)
  form('sig-respelt', 'a signature spelt with unused bits (RFC 4648 section 3.5)', `${h}.${p}.${respell(s)}`)
  form('nul', 'a NUL after', `${token}\0`)
  form('prefix', 'the scheme left on', `Bearer ${token}`)
  form('quoted', 'in quotation marks', `"${token}"`)
  form('escaped', 'its dots percent-encoded', token.replaceAll('.', '%2E'))
  form('not-ascii', 'a full-width dot', `${h}．${p}.${s}`)
  {
    const [, payload, mac] = search(family, parts => /[-_]/.test(parts[2]))
    const standard = mac.replaceAll('-', '+').replaceAll('_', '/')
    form('alphabet', 'base64 instead of base64url (RFC 4648 section 5)', `${h}.${payload}.${standard}`)
    const spelt = search(family, parts => parts[1].length % 4 > 1)
    const input = `${h}.${respell(spelt[1])}`
    form('payload-respelt', 'signed, but its payload is spelt with unused bits', `${input}.${encode(signature(input))}`)
    const padded = `${h}.${spelt[1].padEnd(Math.ceil(spelt[1].length / 4) * 4, '=')}`
    form('payload-padded', 'signed, but its payload is padded', `${padded}.${encode(signature(padded))}`)
  }
  no('size', 'token_too_large', 'signed, and longer than 8 KiB', make(family, { filler: 'f'.repeat(9000) }))

  const flipped = s.replace(/^./, first => (first === 'A' ? 'B' : 'A'))
  const broken = (id: string, why: string, bytes: string) => no(`sig-${id}`, 'signature_invalid', why, bytes)
  broken('flipped', 'one character of the signature changed', `${h}.${p}.${flipped}`)
  broken('other', 'the signature of another token', `${h}.${p}.${make(family, { jti: 'other' }).split('.')[2]}`)
  broken('truncated', 'half a signature', `${h}.${p}.${encode(Buffer.from(s, 'base64url').subarray(0, 16))}`)
  broken('longer', 'a byte too many', `${h}.${p}.${encode(Buffer.from(`${s}AA`, 'base64url'))}`)
  broken('zero', 'zeros', `${h}.${p}.${encode(Buffer.alloc(Buffer.from(s, 'base64url').length))}`)
  broken('payload-changed', 'claims changed after signing', `${h}.${encode({ ...claims, sub: claims.sid })}.${s}`)
  const reordered = { kid: header.kid, typ: header.typ, alg: header.alg }
  broken('header-changed', 'the header in another order after signing', `${encode(reordered)}.${p}.${s}`)

  for (const alg of ['none', 'None', 'NONE', 'nOnE'])
    no(`alg-${alg}`, 'algorithm_not_allowed', `alg ${alg} and no signature`, `${encode({ ...header, alg })}.${p}.`)
  const signed = (id: string, reason: RefusalReason, why: string, head: unknown) =>
    no(id, reason, why, jws(head, claims, signature))
  signed('alg-none-signed', 'algorithm_not_allowed', 'alg none, well signed', { ...header, alg: 'none' })
  signed('alg-lower', 'algorithm_not_allowed', 'alg in lower case', { ...header, alg: header.alg.toLowerCase() })
  signed('alg-space', 'algorithm_not_allowed', 'alg with a space', { ...header, alg: `${header.alg} ` })
  signed('alg-empty', 'header_invalid', 'alg empty', { ...header, alg: '' })
  signed('alg-missing', 'header_invalid', 'no alg', without(header, 'alg'))
  signed('alg-array', 'header_invalid', 'alg an array', { ...header, alg: [header.alg] })
  signed('alg-null', 'header_invalid', 'alg null', { ...header, alg: null })
  const head = (id: string, why: string, content: unknown) => signed(`header-${id}`, 'header_invalid', why, content)
  head('typ-missing', 'no typ', without(header, 'typ'))
  head('typ-at-jwt', 'typ of another profile (RFC 9068)', { ...header, typ: 'at+jwt' })
  head('typ-event', 'typ of a security event (RFC 8417 section 2.3)', { ...header, typ: 'secevent+jwt' })
  head('typ-number', 'typ a number', { ...header, typ: 1 })
  head('kid-missing', 'no kid', without(header, 'kid'))
  head('kid-empty', 'kid empty', { ...header, kid: '' })
  head('kid-number', 'kid a number', { ...header, kid: 1 })
  head('kid-array', 'kid an array', { ...header, kid: [header.kid] })
  head('kid-long', 'kid of 129 characters', { ...header, kid: 'k'.repeat(129) })
  head('crit', 'crit with what nobody knows (RFC 7515 section 4.1.11)', { ...header, crit: ['x-mfa'], 'x-mfa': true })
  head('crit-empty', 'crit empty', { ...header, crit: [] })
  head('crit-text', 'crit a text', { ...header, crit: 'exp' })
  head('b64', 'an unencoded payload (RFC 7797)', { ...header, b64: false, crit: ['b64'] })
  head('jwk', 'brings its own key', { ...header, jwk: publicJwk('es256-foreign') })
  head('jku', 'says where its keys are', { ...header, jku: 'http://127.0.0.1:9/jwks.json' })
  head('x5u', 'says where its certificate is', { ...header, x5u: 'http://127.0.0.1:9/cert.pem' })
  head('x5c', 'brings its certificate', { ...header, x5c: ['MIIB'] })
  head('cty', 'a token inside a token (RFC 7519 section 5.2)', { ...header, cty: 'JWT' })
  head('zip', 'compressed', { ...header, zip: 'DEF' })
  head('more', 'a member nobody knows', { ...header, note: 'hello' })
  const rawHeader = (id: string, why: string, content: string | Buffer | unknown) =>
    signed(`header-${id}`, 'token_malformed', why, content)
  const text = JSON.stringify(header)
  rawHeader('repeated-alg', 'alg twice', text.replace('{', '{"alg":"none",'))
  rawHeader('repeated-kid', 'kid twice, once escaped', text.replace('{', '{"k\\u0069d":"other",'))
  rawHeader('not-json', 'no JSON', 'header')
  rawHeader('array', 'an array', [header])
  rawHeader('null', 'null', 'null')
  rawHeader('text', 'a text', JSON.stringify(text))
  rawHeader('bom', 'a byte order mark', `\uFEFF${text}`)
  rawHeader('utf8', 'broken UTF-8', Buffer.from(text.replace('JWT', 'J\xffT'), 'latin1'))
  rawHeader('comma', 'a comma too many', text.replace('}', ',}'))
  rawHeader('tail', 'something after the object', `${text}{}`)

  const raw = (id: string, why: string, content: unknown) =>
    no(`payload-${id}`, 'token_malformed', why, jws(header, content, signature))
  const body = JSON.stringify(claims)
  raw('empty', 'nothing', '')
  raw('null', 'null', 'null')
  raw('array', 'an array', [claims])
  raw('text', 'a text', JSON.stringify(body))
  raw('number', 'a number', '1')
  raw('not-json', 'no JSON', 'payload')
  raw('bom', 'a byte order mark', `\uFEFF${body}`)
  raw('utf8', 'broken UTF-8', Buffer.from(body.replace('access', 'acce\xffs'), 'latin1'))
  raw('comma', 'a comma too many', body.replace(/}$/, ',}'))
  raw('tail', 'something after the object', `${body}{}`)
  raw('comment', 'a comment', `${body}//`)
  raw('nan', 'NaN is no JSON', body.replace(/"exp":\d+/, '"exp":NaN'))
  raw('repeated-sub', 'sub twice', body.replace('{', `{"sub":"${claims.sid}",`))
  raw('repeated-exp', 'exp twice, once escaped', body.replace('{', '{"\\u0065xp":1,'))
  raw('repeated-inside', 'a member twice, further inside', body.replace('{', '{"a":[{"b":1,"b":2}],'))

  const claim = (id: string, reason: RefusalReason, why: string, changes: Json) =>
    no(`claim-${id}`, reason, why, make(family, changes))
  const missing: Record<string, RefusalReason> = { iss: 'issuer_wrong', type: 'type_wrong', aud: 'audience_wrong' }
  for (const member of Object.keys(claims)) {
    const reason = missing[member] ?? 'claims_invalid'
    no(`claim-${member}-missing`, reason, `no ${member}`, jws(header, without(claims, member), signature))
  }
  claim('iss-other', 'issuer_wrong', 'another issuer', { iss: 'https://auth.other.example' })
  claim('iss-slash', 'issuer_wrong', 'the issuer and a slash', { iss: `${issuer}/` })
  claim('iss-case', 'issuer_wrong', 'the issuer in capitals', { iss: issuer.toUpperCase() })
  claim('iss-array', 'issuer_wrong', 'the issuer in an array', { iss: [issuer] })
  claim('iss-null', 'issuer_wrong', 'iss null', { iss: null })
  claim('type-refresh', 'type_wrong', 'a refresh token', { type: 'refresh', gen: 1 })
  claim('type-case', 'type_wrong', 'type in another case', { type: 'Access' })
  claim('type-array', 'type_wrong', 'type an array', { type: ['access'] })
  claim('type-null', 'type_wrong', 'type null', { type: null })
  claim('aud-other', 'audience_wrong', 'for somebody else', { aud: 'https://other.example' })
  claim('aud-others', 'audience_wrong', 'for others', { aud: ['https://other.example', 'https://third.example'] })
  claim('aud-empty', 'audience_wrong', 'for nobody', { aud: [] })
  claim('aud-prefix', 'audience_wrong', 'the audience and more', { aud: `${audience}.evil.example` })
  claim('aud-number', 'audience_wrong', 'an audience that is no text', { aud: [audience, 1] })
  claim('aud-nested', 'audience_wrong', 'the audience in an array in an array', { aud: [[audience]] })
  claim('aud-object', 'audience_wrong', 'aud an object', { aud: { 0: audience } })
  claim('aud-null', 'audience_wrong', 'aud null', { aud: null })
  for (const id of ['sub', 'sid']) {
    const wrong = (what: string, why: string, value: unknown) =>
      claim(`${id}-${what}`, 'claims_invalid', `${id} ${why}`, { [id]: value })
    wrong('null', 'null', null)
    wrong('number', 'a number', 7)
    wrong('array', 'an array', [claims.sub])
    wrong('object', 'an object', { ne: '' })
    wrong('empty', 'empty', '')
    wrong('word', 'no UUID', 'somebody')
    wrong('capitals', 'a UUID in capitals', claims.sub.toUpperCase())
    wrong('braces', 'a UUID in braces', `{${claims.sub}}`)
    wrong('newline', 'a UUID and a line break', `${claims.sub}\n`)
    wrong('sql', 'a UUID and more', `${claims.sub}' or '1'='1`)
  }
  claim('jti-empty', 'claims_invalid', 'jti empty', { jti: '' })
  claim('jti-number', 'claims_invalid', 'jti a number', { jti: 1 })
  claim('jti-long', 'claims_invalid', 'jti of 129 characters', { jti: 'j'.repeat(129) })
  for (const time of ['iat', 'exp'] as const) {
    const wrong = (what: string, why: string, value: unknown) =>
      claim(`${time}-${what}`, 'claims_invalid', `${time} ${why}`, { [time]: value })
    wrong('text', 'a text', String(claims[time]))
    wrong('fraction', 'with a fraction', claims[time] + 0.5)
    wrong('negative', 'negative', -1)
    wrong('null', 'null', null)
    wrong('array', 'an array', [claims[time]])
    wrong('boolean', 'a boolean', true)
    wrong('milliseconds', 'in milliseconds', claims[time] * 1000)
  }
  const infinite = jws(header, body.replace(/"exp":\d+/, '"exp":1e400'), signature)
  no('claim-exp-infinite', 'claims_invalid', 'exp beyond every number', infinite)
  claim('exp-before-iat', 'claims_invalid', 'expires before it begins', { exp: claims.iat - 1 })
  claim('exp-at-iat', 'claims_invalid', 'lives no second', { exp: claims.iat })
  claim('nbf-text', 'claims_invalid', 'nbf a text', { nbf: String(now) })
  claim('nbf-fraction', 'claims_invalid', 'nbf with a fraction', { nbf: now - 0.5 })
  claim('nbf-null', 'claims_invalid', 'nbf null', { nbf: null })
  claim('profile-version', 'claims_invalid', 'profile_version a text', { profile_version: '3' })
  claim('profile-level', 'claims_invalid', 'software_level a number', { software_level: 1 })
  claim('lifetime', 'lifetime_too_long', 'lives 30 days and a second', { iat: now, exp: now + 30 * day + 1 })
  claim('lifetime-eternal', 'lifetime_too_long', 'lives since 1970', { iat: 0 })
  claim('exp-past', 'token_expired', 'expired in 2001', { iat: 1_000_000_000, exp: 1_000_001_800 })

  const atNow = (id: string, reason: RefusalReason, why: string, changes: Json) => {
    claim(id, reason, why, changes)
    const vector = bad.at(-1)
    if (vector) vector.needs_clock = true
  }
  atNow('exp-now', 'token_expired', 'expired for as long as clocks may differ', { iat: now - 1800, exp: now - 5 })
  atNow('exp-yesterday', 'token_expired', 'expired a day ago', { iat: now - day - 1800, exp: now - day })
  atNow('iat-future', 'token_not_yet_valid', 'issued in a minute', { iat: now + 60 })
  atNow('iat-soon', 'token_not_yet_valid', 'issued a second later than clocks may differ', { iat: now + 6 })
  atNow('nbf-future', 'token_not_yet_valid', 'good in a minute', { nbf: now + 60 })
}

// ------------------------------------------------------------------------------------------------ Keys and algorithms

{
  const es: Family = families.es256
  const token = make(es)
  const [h, p, s] = token.split('.') as [string, string, string]
  const otherwise = (id: string, verifier: VerifierName, reason: RefusalReason, vector: [string, string]) =>
    refuse(id, verifier, vector[1], [reason, vector[0]])
  const byHmac = (key: string | Buffer, hash?: string, alg = 'HS256') =>
    jws({ ...hs256.header, alg }, claims, hmac(key, hash))

  otherwise('hs256-key-foreign', 'hs256', 'signature_invalid', ['another secret', byHmac(secrets.foreign)])
  otherwise('hs256-key-retired', 'hs256', 'signature_invalid', ['a secret no longer used', byHmac(secrets.previous)])
  otherwise('hs256-key-empty', 'hs256', 'signature_invalid', ['the empty secret', byHmac('')])
  otherwise('hs256-key-undefined', 'hs256', 'signature_invalid', ['a secret never set', byHmac('undefined')])
  otherwise('hs256-key-decoded', 'hs256', 'signature_invalid', [
    'the secret base64url-decoded: its text is the key',
    byHmac(Buffer.from(secrets.current, 'base64url')),
  ])
  otherwise('hs256-key-kid', 'hs256', 'signature_invalid', ['its own kid as the secret', byHmac(hs256.header.kid)])
  otherwise('hs256-hash', 'hs256', 'signature_invalid', ['HMAC with SHA-512', byHmac(secrets.current, 'sha512')])
  otherwise('hs256-unkeyed', 'hs256', 'signature_invalid', [
    'a hash without a key',
    jws(hs256.header, claims, input => createHash('sha256').update(input).digest()),
  ])
  for (const size of ['384', '512'])
    otherwise(`hs256-as-hs${size}`, 'hs256', 'algorithm_not_allowed', [
      `HS${size} with the right secret`,
      byHmac(secrets.current, `sha${size}`, `HS${size}`),
    ])
  otherwise('hs256-at-es256', 'es256', 'algorithm_not_allowed', ['HS256 where ES256 is asked for', make(hs256)])
  otherwise('es256-at-hs256', 'hs256', 'algorithm_not_allowed', ['ES256 where HS256 is asked for', token])
  otherwise('rs256-at-es256', 'es256', 'algorithm_not_allowed', ['RS256 where ES256 is asked for', make(rs256)])

  // The public key as an HMAC secret, in the forms it is had in (RFC 8725 section 2.1).
  const key = createPrivateKey({ key: jwkOf('es256-1'), format: 'jwk' })
  const ecdh = createECDH('prime256v1')
  ecdh.setPrivateKey(Buffer.from(jwkOf('es256-1').d, 'base64url'))
  const forms: Record<string, string | Buffer> = {
    jwk: JSON.stringify(publicJwk('es256-1')),
    x: Buffer.from(publicJwk('es256-1').x ?? '', 'base64url'),
    point: ecdh.getPublicKey(),
    pem: publicPem(key.export({ format: 'jwk' })),
  }
  for (const [form, material] of Object.entries(forms)) {
    const confused = jws({ ...hs256.header, kid: 'es256-1' }, claims, hmac(material))
    otherwise(`confused-${form}`, 'every-algorithm', 'signature_invalid', [
      `HS256 keyed with the public ${form}`,
      confused,
    ])
    otherwise(`confused-${form}-es256`, 'es256', 'algorithm_not_allowed', [
      `HS256 keyed with the public ${form}`,
      confused,
    ])
    otherwise(`confused-${form}-alg`, 'es256', 'signature_invalid', [
      `says ES256 and is an HMAC keyed with the public ${form}`,
      jws(es.header, claims, hmac(material)),
    ])
  }

  otherwise('es256-kid-unknown', 'es256', 'key_unknown', [
    'no such key',
    make({ ...es, header: { ...es.header, kid: 'es256-9' } }),
  ])
  for (const kid of ['__proto__', '../../../../dev/null', "es256-1' or '1'='1", 'ES256-1', 'es256-1\0'])
    otherwise(`es256-kid-${encodeURIComponent(kid)}`, 'es256', 'key_unknown', [
      'a kid that is meant to be more than a name',
      make({ ...es, header: { ...es.header, kid } }),
    ])
  otherwise('es256-kid-other', 'es256', 'signature_invalid', [
    'names another published key',
    make({ ...es, header: { ...es.header, kid: 'es256-2' } }),
  ])
  otherwise('es256-key-foreign', 'es256', 'signature_invalid', [
    'a key of somebody else',
    make({ ...es, signature: es256('es256-foreign') }),
  ])
  otherwise('es256-kid-rs256', 'every-algorithm', 'algorithm_not_allowed', [
    'ES256 with the kid of an RSA key',
    make({ ...es, header: { ...es.header, kid: 'rs256-1' } }),
  ])
  otherwise('rs256-kid-es256', 'every-algorithm', 'algorithm_not_allowed', [
    'RS256 with the kid of an EC key',
    make({ ...rs256, header: { ...rs256.header, kid: 'es256-1' } }),
  ])
  otherwise('eddsa-kid-es256', 'every-algorithm', 'algorithm_not_allowed', [
    'EdDSA with the kid of an EC key',
    make({ ...eddsa, header: { ...eddsa.header, kid: 'es256-1' } }),
  ])

  // ECDSA, where a verifier forgets that r and s are between 1 and n - 1, or reads another form of them.
  const bytes = Buffer.from(s, 'base64url')
  const [r, second] = [bytes.subarray(0, 32), bytes.subarray(32)]
  const halves: Record<string, [Buffer, Buffer]> = {
    'r-zero': [Buffer.alloc(32), second],
    's-zero': [r, Buffer.alloc(32)],
    'r-order': [toBytes(order), second],
    's-order': [r, toBytes(order)],
    'both-order': [toBytes(order), toBytes(order)],
    'both-one': [toBytes(1n), toBytes(1n)],
    's-beyond': [r, Buffer.alloc(32, 0xff)],
    swapped: [second, r],
  }
  for (const [id, parts] of Object.entries(halves))
    otherwise(`es256-sig-${id}`, 'es256', 'signature_invalid', [
      `ECDSA: ${id}`,
      `${h}.${p}.${encode(Buffer.concat(parts))}`,
    ])
  otherwise('es256-sig-der', 'es256', 'signature_invalid', [
    'the signature as DER',
    `${h}.${p}.${encode(toDer(r, second))}`,
  ])
  const wide = Buffer.concat([Buffer.alloc(16), r, Buffer.alloc(16), second])
  otherwise('es256-sig-wide', 'es256', 'signature_invalid', ['r and s of 48 bytes', `${h}.${p}.${encode(wide)}`])
  otherwise('es256-as-es384', 'es256', 'algorithm_not_allowed', [
    'says ES384',
    make({ ...es, header: { ...es.header, alg: 'ES384' } }),
  ])
  otherwise('es256-as-es256k', 'es256', 'algorithm_not_allowed', [
    'says ES256K',
    make({ ...es, header: { ...es.header, alg: 'ES256K' } }),
  ])

  const rsToken = make(rs256)
  const [rh, rp, rs] = rsToken.split('.') as [string, string, string]
  const rsa = Buffer.from(rs, 'base64url')
  otherwise('rs256-sig-flipped', 'rs256', 'signature_invalid', [
    'one character changed',
    `${rh}.${rp}.${rs.replace(/^./, c => (c === 'A' ? 'B' : 'A'))}`,
  ])
  otherwise('rs256-sig-longer', 'rs256', 'signature_invalid', [
    'a zero before the signature',
    `${rh}.${rp}.${encode(Buffer.concat([Buffer.alloc(1), rsa]))}`,
  ])
  otherwise('rs256-sig-shorter', 'rs256', 'signature_invalid', [
    'a byte too few',
    `${rh}.${rp}.${encode(rsa.subarray(0, 255))}`,
  ])
  otherwise('rs256-sig-zero', 'rs256', 'signature_invalid', ['zeros', `${rh}.${rp}.${encode(Buffer.alloc(256))}`])
  otherwise('rs256-sig-one', 'rs256', 'signature_invalid', [
    'one',
    `${rh}.${rp}.${encode(Buffer.concat([Buffer.alloc(255), Buffer.from([1])]))}`,
  ])
  otherwise('rs256-as-rs512', 'rs256', 'algorithm_not_allowed', [
    'RS512 with the right key',
    make({ ...rs256, header: { ...rs256.header, alg: 'RS512' }, signature: withKey('rs256-1', 'sha512') }),
  ])
  otherwise('rs256-sha512', 'rs256', 'signature_invalid', [
    'says RS256 and hashes with SHA-512',
    make({ ...rs256, signature: withKey('rs256-1', 'sha512') }),
  ])
  otherwise('rs256-as-ps256', 'rs256', 'algorithm_not_allowed', [
    'says PS256',
    make({ ...rs256, header: { ...rs256.header, alg: 'PS256' } }),
  ])
  otherwise('rs256-payload-changed', 'rs256', 'signature_invalid', [
    'claims changed after signing',
    `${rh}.${encode({ ...claims, sub: claims.sid })}.${rs}`,
  ])

  const edToken = make(eddsa)
  const [eh, ep, ed] = edToken.split('.') as [string, string, string]
  const edBytes = Buffer.from(ed, 'base64url')
  otherwise('eddsa-sig-zero', 'eddsa', 'signature_invalid', ['zeros', `${eh}.${ep}.${encode(Buffer.alloc(64))}`])
  otherwise('eddsa-sig-truncated', 'eddsa', 'signature_invalid', [
    'a byte too few',
    `${eh}.${ep}.${encode(edBytes.subarray(0, 63))}`,
  ])
  otherwise('eddsa-sig-malleable', 'eddsa', 'signature_invalid', [
    'S beyond the order of the group (RFC 8032 section 5.1.7)',
    `${eh}.${ep}.${encode(Buffer.concat([edBytes.subarray(0, 32), addEdOrder(edBytes.subarray(32))]))}`,
  ])
  otherwise('eddsa-as-ed448', 'eddsa', 'algorithm_not_allowed', [
    'says Ed448',
    make({ ...eddsa, header: { ...eddsa.header, alg: 'Ed448' } }),
  ])
  otherwise('eddsa-payload-changed', 'eddsa', 'signature_invalid', [
    'claims changed after signing',
    `${eh}.${encode({ ...claims, sub: claims.sid })}.${ed}`,
  ])

  otherwise('aud-unasked', 'hs256-no-audience', 'audience_wrong', [
    'for somebody, and the verifier is nobody (RFC 7519 section 4.1.3)',
    make(hs256),
  ])
  otherwise('aud-unasked-array', 'hs256-no-audience', 'audience_wrong', [
    'for nobody, in an array',
    make(hs256, { aud: [] }),
  ])
  otherwise('aud-unasked-null', 'hs256-no-audience', 'audience_wrong', ['aud null', make(hs256, { aud: null })])
  otherwise('rotation-foreign', 'hs256-rotation', 'signature_invalid', ['a third secret', byHmac(secrets.foreign)])

  const odd = (kid: string, why: string, signature: Signature, alg = 'ES256', reason: RefusalReason = 'key_unknown') =>
    otherwise(`odd-${kid}`, 'odd-keys', reason, [why, make({ ...es, header: { ...es.header, alg, kid }, signature })])
  odd('for-encryption', 'a key for encryption (RFC 7517 section 4.2)', es256('es256-1'))
  odd('without-use', 'a key that does not say what it is for', es256('es256-1'))
  odd('without-alg', 'a key that does not say its algorithm', es256('es256-1'))
  odd('for-another-alg', 'a key of another algorithm', es256('es256-1'))
  odd('off-the-curve', 'a point that is not on the curve', es256('es256-1'))
  odd('twice', 'a name that two keys share', es256('es256-1'))
  odd('rs256-short', 'an RSA key of 1024 bits (RFC 7518 section 3.3)', withKey('rs256-short', 'sha256'), 'RS256')
  odd('eddsa-as-es256', 'a key of another type', withKey('eddsa-1', null))
  odd('private', 'a key whose private half is published', es256('es256-2'))
  odd('shared', 'a shared secret among public keys', hmac(secrets.current), 'HS256', 'algorithm_not_allowed')
  odd('oct-as-rs256', 'a shared secret that says RS256', hmac(secrets.current), 'RS256')
}

function publicPem(jwk: JsonWebKey): string {
  // SubjectPublicKeyInfo of P-256 (RFC 5480 section 2): a fixed prefix, then the point.
  const prefix = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex')
  const point = [jwk.x, jwk.y].map(part => Buffer.from(part ?? '', 'base64url'))
  const lines = Buffer.concat([prefix, ...point])
    .toString('base64')
    .match(/.{1,64}/g)
  return `-----BEGIN PUBLIC KEY-----\n${lines?.join('\n')}\n-----END PUBLIC KEY-----\n`
}

function toDer(...numbers: Buffer[]): Buffer {
  const integers = numbers.map(number => {
    const padded = (number[0] ?? 0) > 0x7f ? Buffer.concat([Buffer.alloc(1), number]) : number
    return Buffer.concat([Buffer.from([2, padded.length]), padded])
  })
  const content = Buffer.concat(integers)
  return Buffer.concat([Buffer.from([0x30, content.length]), content])
}

/** S plus the order of the group of Ed25519, little-endian. */
function addEdOrder(scalar: Buffer): Buffer {
  const groupOrder = (1n << 252n) + 27742317777372353535851937790883648493n
  return toBytes(toNumber(Buffer.from(scalar).reverse()) + groupOrder).reverse()
}

// ------------------------------------------------------------------------------------------------ Revocations

const sessionRevoked = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'
const client = 'api'
const other = '01936f2a-7c02-7000-8000-000000000002'
const feedHeader = { alg: 'ES256', typ: 'secevent+jwt', kid: 'es256-1' }
const entries = {
  sessions: [[claims.sid, now + 1740]],
  accounts: [[other, now - 30, now + 30 * day]],
}
const feedClaims = { iss: issuer, iat: now - 1, exp: now + 300, jti: 'feed-1', events: { [sessionRevoked]: entries } }

const feed = (changes: Json = {}, header: unknown = feedHeader, signature: Signature = es256('es256-1')) =>
  jws(header, { ...feedClaims, ...changes }, signature)
const event = (changes: Json): Json => ({ events: { [sessionRevoked]: { ...entries, ...changes } } })

const revocations = {
  note: 'A good document, what it says of good tokens, and documents a follower must not believe.',
  now,
  issuer,
  audience,
  client_id: client,
  jwks: 'tokens.json',
  good: [
    { id: 'plain', document: feed() },
    { id: 'eddsa', document: feed({}, { ...feedHeader, alg: 'EdDSA', kid: 'eddsa-1' }, eddsa.signature) },
    { id: 'for-client', document: feed({ aud: ['other', client] }) },
    { id: 'for-audience', document: feed({ aud: audience }) },
    { id: 'more-events', document: feed({ events: { ...feedClaims.events, 'https://example.org/event': {} } }) },
    { id: 'before', document: feed(event({ before: now - 60 })), also_revokes: ['older'] },
  ],
  tokens: [
    { id: 'session-revoked', revoked: true, token: make(families.es256) },
    { id: 'session-good', revoked: false, token: make(families.es256, { sid: other }) },
    { id: 'account-before', revoked: true, token: make(families.es256, { sid: other, sub: other, iat: now - 31 }) },
    { id: 'account-at', revoked: false, token: make(families.es256, { sid: other, sub: other, iat: now - 30 }) },
    { id: 'account-after', revoked: false, token: make(families.es256, { sid: other, sub: other, iat: now - 29 }) },
    { id: 'older', revoked: false, token: make(families.es256, { sid: other, iat: now - 61 }) },
  ],
  bad: [
    { id: 'signature', why: 'signed by somebody else', document: feed({}, feedHeader, es256('es256-foreign')) },
    { id: 'unsigned', why: 'alg none', document: feed({}, { ...feedHeader, alg: 'none' }, () => Buffer.alloc(0)) },
    { id: 'typ', why: 'typ of an access token', document: feed({}, { ...feedHeader, typ: 'JWT' }) },
    { id: 'access-token', why: 'an access token', document: make(families.es256) },
    { id: 'issuer', why: 'of another issuer', document: feed({ iss: 'https://auth.other.example' }) },
    { id: 'audience', why: 'for somebody else', document: feed({ aud: 'other' }) },
    { id: 'expired', why: 'expired', document: feed({ iat: now - 600, exp: now - 300 }) },
    { id: 'future', why: 'of a time to come', document: feed({ iat: now + 60 }) },
    { id: 'no-jti', why: 'no jti (RFC 8417 section 2.2)', document: feed({ jti: undefined }) },
    { id: 'no-iat', why: 'no iat', document: feed({ iat: undefined }) },
    { id: 'no-exp', why: 'no exp', document: feed({ exp: undefined }) },
    { id: 'no-events', why: 'no events', document: feed({ events: undefined }) },
    { id: 'other-event', why: 'another event', document: feed({ events: { 'https://example.org/event': entries } }) },
    { id: 'no-sessions', why: 'no sessions', document: feed(event({ sessions: undefined })) },
    { id: 'sessions-object', why: 'sessions an object', document: feed(event({ sessions: {} })) },
    { id: 'session-word', why: 'a session that is no UUID', document: feed(event({ sessions: [['word', now]] })) },
    { id: 'session-alone', why: 'a session without its end', document: feed(event({ sessions: [[other]] })) },
    { id: 'account-text', why: 'a mark that is a text', document: feed(event({ accounts: [[other, '1', now]] })) },
    { id: 'account-short', why: 'an account without its end', document: feed(event({ accounts: [[other, now]] })) },
    { id: 'before-text', why: 'a `before` that is a text', document: feed(event({ before: String(now - 60) })) },
    { id: 'before-fraction', why: 'a `before` between two seconds', document: feed(event({ before: now - 60.5 })) },
    { id: 'before-null', why: 'a `before` of nothing', document: feed(event({ before: null })) },
  ],
}

// ------------------------------------------------------------------------------------------------ Writing

const tokens = {
  note: 'See README.md. The keys are published on purpose: whoever trusts them trusts everybody.',
  licence: 'MIT, as this project',
  now,
  clock_tolerance_seconds: 5,
  issuer,
  verifiers,
  jwks: { keys: ['es256-1', 'es256-2', 'eddsa-1', 'rs256-1'].map(publicJwk) },
  odd_jwks: oddJwks,
  good,
  bad,
}

/** One vector a line, so that a change is read as one. */
function write(content: Json): string {
  const members = Object.entries(content).map(([name, value]) => {
    const isList = Array.isArray(value) && typeof value[0] === 'object'
    const lines = isList
      ? `[\n${value.map(each => `    ${JSON.stringify(each)}`).join(',\n')}\n  ]`
      : JSON.stringify(value)
    return `  ${JSON.stringify(name)}: ${lines}`
  })
  return `{\n${members.join(',\n')}\n}\n`
}

/** A page with each program named by a comment, in the fenced block that follows it, as it is in its file. */
const withSamples = (page: string): string =>
  page.replace(
    /(<!-- (samples\/[\w/.]+) -->\n\n```\w+\n).*?(```\n)/gs,
    (_, head: string, name: string, tail: string) => head + readFileSync(new URL(name, top), 'utf8') + tail,
  )

const top = new URL('../', import.meta.url)

/** What this script writes, by the file's path. */
export const files: Record<string, string> = {
  'test/vectors/verifier/tokens.json': write(tokens),
  'test/vectors/verifier/revocations.json': write(revocations),
  'docs/verifying.md': withSamples(readFileSync(new URL('docs/verifying.md', top), 'utf8')),
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const [name, content] of Object.entries(files)) {
    const file = new URL(name, top)
    if (!process.argv.includes('--check')) writeFileSync(file, content)
    else if (readFileSync(file, 'utf8') !== content) {
      process.stderr.write(`${name} is not what scripts/verifier-vectors.ts writes.\n`)
      process.exitCode = 1
    }
  }
  process.stdout.write(`${good.length} good, ${bad.length} bad\n`)
}
