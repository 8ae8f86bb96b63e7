/**
 * Our tokens, verified elsewhere. First real services sign some at every door, with HS256 and with ES256; the kit is to take
 * them, and to refuse bad ones made of them. Then the programs of samples/verify are really run, each in a folder of its own, with
 * packages from the ordinary registries: on the vectors of test/vectors/verifier, and on those tokens. Exits with 1 where a
 * good token is refused, a bad one taken, a toolchain missing or a lock file stale. With names of languages as arguments, only those.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { loadConfig } from '../../src/config.js'
import { type RunningService, startService } from '../../src/service.js'
import { createVerifier, type RefusalReason, type Verifier } from '../../src/verifier/index.js'
import {
  bearer,
  type Carried,
  claimsOf,
  type Entrance,
  type Json,
  type Knock,
  logins,
  newPerson,
  registers,
} from '../dialects/doors.js'
import type { Vectors } from '../verifier/vectors.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const vectors = join(root, 'test/vectors/verifier/tokens.json')
const deadline = 20 * 60_000
const say = (line: string) => process.stdout.write(`${line}\n`)

type Step = [command: string, ...args: string[]]
type Language = {
  name: string
  /** Run in a copy of the sample. */
  steps: Step[]
  /** Runs a file of vectors. */
  verify: (file: string) => Step
  environment?: Record<string, string>
  /** Files that the run must leave as they are checked in. */
  locks: string[]
}

const languages: Language[] = [
  {
    name: 'python',
    steps: [
      ['python3', '-m', 'venv', '.venv'],
      ['.venv/bin/python', '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt'],
      ['.venv/bin/python', '-m', 'pip', 'check'],
    ],
    verify: file => ['.venv/bin/python', 'vectors.py', file],
    locks: ['requirements.txt'],
  },
  {
    name: 'go',
    steps: [['go', 'vet', './...']],
    verify: file => ['go', 'run', '.', file],
    environment: { GOFLAGS: '-mod=mod' },
    locks: ['go.mod', 'go.sum'],
  },
  {
    name: 'java',
    steps: [],
    verify: file => ['mvn', '--quiet', '--batch-mode', 'compile', 'exec:java', `-Dexec.args=${file}`],
    locks: ['pom.xml'],
  },
  {
    name: 'rust',
    steps: [],
    verify: file => ['cargo', 'run', '--quiet', '--locked', '--', file],
    // Nobody debugs this build, and without the symbols it is done sooner.
    environment: { CARGO_TARGET_DIR: 'target', CARGO_PROFILE_DEV_DEBUG: '0' },
    locks: ['Cargo.toml', 'Cargo.lock'],
  },
]

// ------------------------------------------------------------------------------------------------ Who signs

type Signature = (input: string) => Buffer
type Issuer = {
  /** The verifier its tokens are for; runners of samples/verify know this name. */
  verifier: 'hs256' | 'hs256-no-audience' | 'es256'
  algorithm: 'HS256' | 'ES256'
  audience?: string
  environment: Record<string, string>
  /** With its own key. */
  sign: Signature
  /** With another key of the same kind. */
  signAsStranger: Signature
}
type Token = { name: string; token: string; claims: Json }
type Bad = { name: string; token: string; reason: RefusalReason }
type Running = Issuer & { service: RunningService; jwks: Vectors['jwks']; good: Token[]; others: Bad[] }
type Live = Omit<Vectors, 'odd_jwks'>

const newSecret = (): string => randomBytes(32).toString('base64url')
const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey
const hmac =
  (secret: string): Signature =>
  input =>
    createHmac('sha256', secret).update(input).digest()
const ecdsa =
  (key: KeyObject): Signature =>
  input =>
    sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })

const issuer = 'https://auth.example.org'
const audience = 'https://api.example.org'
const client = { id: 'api', secret: newSecret() }
const [secret, key] = [newSecret(), newKey()]
const withAudience = { JWT_AUDIENCE: audience, ACCESS_TOKEN_CLAIMS: 'profile' }
const withSecret = { algorithm: 'HS256', sign: hmac(secret), signAsStranger: hmac(newSecret()) } as const

const issuers: Issuer[] = [
  { ...withSecret, verifier: 'hs256', audience, environment: { ...withAudience, JWT_SECRET: secret } },
  { ...withSecret, verifier: 'hs256-no-audience', environment: { JWT_SECRET: secret } },
  {
    verifier: 'es256',
    algorithm: 'ES256',
    audience,
    environment: { ...withAudience, JWT_PRIVATE_KEY: key.export({ type: 'pkcs8', format: 'pem' }).toString() },
    sign: ecdsa(key),
    signAsStranger: ecdsa(newKey()),
  },
]

// ------------------------------------------------------------------------------------------------ The run

const asked = process.argv.slice(2)
const folder = await mkdtemp(join(tmpdir(), 'verifier-languages-'))
const live = join(folder, 'live.json')
let failed = 0
try {
  await report('our tokens and the kit', testKit)
  for (const language of languages.filter(({ name }) => asked.length === 0 || asked.includes(name)))
    await report(language.name, () => testLanguage(language))
} finally {
  await rm(folder, { recursive: true, force: true })
}
process.exitCode = failed === 0 ? 0 : 1

/** `test` tells what went wrong, or undefined. */
async function report(name: string, test: () => Promise<string | undefined>): Promise<void> {
  const started = Date.now()
  const fault = await test().catch(error => (error instanceof Error ? (error.stack ?? error.message) : String(error)))
  const seconds = Math.round((Date.now() - started) / 1000)
  if (fault !== undefined) failed += 1
  say(`${fault === undefined ? 'ok  ' : 'FAIL'} ${name} (${seconds}s)${fault === undefined ? '' : `: ${fault}`}`)
}

async function testLanguage({ name, steps, verify, environment, locks }: Language): Promise<string | undefined> {
  const sample = join(root, 'samples/verify', name)
  const copy = join(folder, name)
  await cp(sample, copy, { recursive: true })
  for (const step of [...steps, verify(vectors), verify(live)]) {
    const fault = await execute(step, copy, environment)
    if (fault !== undefined) return `${step.join(' ')}: ${fault}`
  }
  for (const lock of locks)
    if ((await readFile(join(sample, lock), 'utf8')) !== (await readFile(join(copy, lock), 'utf8')))
      return `${lock} is not what the run needs`
  return undefined
}

function execute([command, ...args]: Step, cwd: string, environment = {}): Promise<string | undefined> {
  return new Promise(resolve => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'inherit', 'inherit'],
      timeout: deadline,
      killSignal: 'SIGKILL',
    })
    child.on('error', error => resolve(error.message))
    child.on('exit', (code, signal) => resolve(code === 0 ? undefined : `ended with ${signal ?? code}`))
  })
}

// ------------------------------------------------------------------------------------------------ The kit

/** Writes our tokens down for the languages, and shows them to the kit, which asks the services themselves for their keys. */
async function testKit(): Promise<string | undefined> {
  const all: Running[] = []
  try {
    for (const each of issuers) all.push(await start(each))
    const tokens = toVectors(all)
    await writeFile(live, JSON.stringify(tokens))
    return await judge(tokens, all)
  } finally {
    for (const { service } of all) await service.stop({ drain: false })
  }
}

async function judge({ good, bad }: Live, all: Running[]): Promise<string | undefined> {
  const kits = new Map<string, Verifier>(all.map(each => [each.verifier, kitOf(each)]))
  const outcomeOf = async ({ verifier, token }: { verifier: string; token: string }): Promise<object> =>
    (kits.get(verifier) as Verifier).verify(token).then(
      claims => ({ claims: { ...claims } }),
      error => ({ reason: error.reason ?? String(error) }),
    )
  const faults: string[] = []
  for (const each of [...good, ...bad]) {
    const expected = 'claims' in each ? { claims: each.claims } : { reason: each.reason }
    const outcome = await outcomeOf(each)
    if (!isDeepStrictEqual(outcome, expected))
      faults.push(`${each.id}: ${JSON.stringify(outcome)}, and not ${JSON.stringify(expected)}`)
  }
  for (const kit of kits.values()) await kit.close()
  say(`${good.length} good, ${bad.length} bad, ${faults.length} wrong`)
  return faults.length === 0 ? undefined : faults.join('\n')
}

function kitOf({ algorithm, audience, service }: Running): Verifier {
  const keys = algorithm === 'HS256' ? { secret } : { jwksUrl: `${service.address}/.well-known/jwks.json` }
  return createVerifier({ issuer, ...(audience === undefined ? {} : { audience }), ...keys })
}

function toVectors(all: Running[]): Live {
  const idOf = (verifier: string, name: string) => `${verifier}-live-${name}`
  const [jwks] = all.filter(({ algorithm }) => algorithm === 'ES256').map(each => each.jwks)
  assert.ok(jwks)
  return {
    now: Math.floor(Date.now() / 1000),
    issuer,
    verifiers: Object.fromEntries(all.map(each => [each.verifier, setupOf(each)])),
    jwks,
    good: all.flatMap(({ verifier, good }) => good.map(each => ({ ...each, id: idOf(verifier, each.name), verifier }))),
    bad: all.flatMap(each =>
      [...each.others, ...forgeriesOf(each), ...all.flatMap(other => meantForOthers(each, other))].map(bad => ({
        ...bad,
        id: idOf(each.verifier, bad.name),
        verifier: each.verifier,
      })),
    ),
  }
}

function setupOf({ algorithm, audience }: Issuer): Live['verifiers'][string] {
  const keys = algorithm === 'HS256' ? { secrets: [secret] } : ({ jwks: 'jwks' } as const)
  return { algorithms: [algorithm], audience: audience ?? null, ...keys }
}

// ------------------------------------------------------------------------------------------------ What services hand out

async function start(by: Issuer): Promise<Running> {
  const environment = {
    DATA_DIR: 'memory://',
    PORT: '0',
    BCRYPT_COST: '4',
    LOG_LEVEL: 'silent',
    JWT_ISSUER: issuer,
    REFRESH_TOKEN_SECRET: newSecret(),
    SERVICE_CLIENTS: `${client.id}:${client.secret}`,
    ...by.environment,
  }
  const service = await startService(loadConfig(environment, 'no-such-file'))
  try {
    const knock = knockAt(service.address)
    const { body: jwks } = await knock('GET', '/.well-known/jwks.json')
    assert.deepEqual(
      jwks.keys.map((key: Json) => key.alg),
      by.algorithm === 'HS256' ? [] : [by.algorithm],
      'published is what signs, and no secret',
    )
    return { ...by, service, jwks, ...(await visit(knock, by)) }
  } catch (error) {
    await service.stop({ drain: false })
    throw error
  }
}

/** Over HTTP. Throws for what is no success. */
function knockAt(base: string): Knock {
  return async (method, path, { json, headers = {} } = {}) => {
    const answer = await fetch(`${base}${path}`, {
      method,
      headers: { ...(json === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    })
    const text = await answer.text()
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`)
    return {
      status: answer.status,
      headers: Object.fromEntries(answer.headers),
      cookies: answer.headers.getSetCookie(),
      text,
      body: /json/.test(answer.headers.get('content-type') ?? '') ? JSON.parse(text) : undefined,
    }
  }
}

/** In by every way there is: an access token of each, and what else was handed out on the way, none of which is one. */
async function visit(knock: Knock, by: Issuer): Promise<Pick<Running, 'good' | 'others'>> {
  const good: Token[] = []
  const others: Bad[] = []
  const keep = async (name: string, token: string): Promise<void> => {
    good.push({ name, token, claims: await checkedClaims(knock, by, token, name) })
  }
  const keepRefresh = (name: string, token: string): void => {
    others.push({ name, token, reason: by.algorithm === 'HS256' ? 'signature_invalid' : 'algorithm_not_allowed' })
  }
  const enter = async (entrance: Entrance, person: object, name = nameOf(entrance)): Promise<Json> => {
    const answer = await knock('POST', entrance.url, { json: person })
    const carried = entrance.carriedIn(answer)
    await keep(name, await accessTokenIn(knock, carried))
    for (const { form, headers } of carried)
      if (form !== 'access JWT' && headers.authorization)
        others.push({ name: `${name}-${form.replace(/\W+/g, '-')}`, token: textOf(headers), reason: 'token_malformed' })
    const refresh = entrance.refreshTokenIn(answer)
    if (refresh !== undefined) keepRefresh(`${name}-refresh`, refresh)
    return answer.body
  }

  for (const entrance of registers) await enter(entrance, entrance.ask(newPerson()))
  const [register] = registers
  const cookieRegister = registers.find(({ url }) => url === '/api/auth/register')
  assert.ok(register && cookieRegister)
  // Details alone: the claims of the levels are null.
  await enter(cookieRegister, { ...newPerson(), background_data: { softwareBackground: {} } }, 'details')

  const person = newPerson()
  const { access_token: token, refresh_token: first } = await enter(register, person, 'before-profile')
  const { body: refreshed } = await knock('POST', '/auth/refresh', { json: { refresh_token: first } })
  await keep('refreshed', refreshed.access_token)
  keepRefresh('refreshed-refresh', refreshed.refresh_token)
  const levels = { software_level: 'advanced', hardware_background: 'embedded systems' }
  await knock('PUT', '/api/user/profile', { json: levels, headers: bearer(token) })
  for (const entrance of logins) await enter(entrance, entrance.ask(person))

  const authorization = `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}`
  const { text } = await knock('GET', '/oauth2/revocations', { headers: { authorization } })
  others.push({ name: 'revocations', token: text, reason: 'header_invalid' })
  return { good, others }
}

function nameOf({ url }: Entrance): string {
  return url.slice(1).replaceAll('/', '-')
}

function textOf({ authorization = '' }: Record<string, string>): string {
  return authorization.slice('Bearer '.length)
}

/** A door that hands out none has one for whoever came in. */
async function accessTokenIn(knock: Knock, carried: Carried[]): Promise<string> {
  const found = carried.find(({ form }) => form === 'access JWT')
  if (found) return textOf(found.headers)
  // The last is the cookie, where there is one.
  const { body } = await knock('GET', '/api/auth/get-session', { headers: carried.at(-1)?.headers ?? {} })
  return body.accessToken
}

/** What a token claims, which is what the service answers whoever shows it. */
async function checkedClaims(knock: Knock, by: Issuer, token: string, name: string): Promise<Json> {
  const headers = bearer(token)
  const { body: me } = await knock('GET', '/auth/me', { headers })
  const profile = await knock('GET', '/api/user/profile', { headers }).then(
    ({ body }) => body,
    error => assert.match(error.message, /: 404 /),
  )
  const claims: Json = claimsOf(token)
  const { sid, jti, iat, exp, profile_version: version, ...said } = claims
  const isTold = by.environment.ACCESS_TOKEN_CLAIMS === 'profile' && profile !== undefined
  assert.deepEqual(
    said,
    {
      iss: issuer,
      sub: me.uuid,
      ...(by.audience === undefined ? {} : { aud: by.audience }),
      type: 'access',
      ...(isTold ? { software_level: profile.software_level, hardware_background: profile.hardware_background } : {}),
    },
    name,
  )
  assert.equal(version, isTold ? 1 : undefined, name)
  assert.equal(exp - iat, name.startsWith('codvid') ? 30 * 86_400 : 30 * 60, name)
  return claims
}

// ------------------------------------------------------------------------------------------------ What is made of them

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}

function forge(header: object, claims: object, signature: Signature): string {
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${signature(input).toString('base64url')}`
}

function partsOf({ token, claims }: Token) {
  const [head = '', payload = '', signature = ''] = token.split('.')
  const header = JSON.parse(Buffer.from(head, 'base64url').toString())
  return { head, payload, signature, header, claims }
}

/** Bad tokens made of good ones: by whoever found one, and, for the claims that only the key can say, by the issuer. */
function forgeriesOf({ algorithm, audience: ours, good, sign, signAsStranger, verifier }: Running): Bad[] {
  const [token, another] = good
  assert.ok(token && another)
  const { head, payload, signature, header, claims } = partsOf(token)
  const flipped = Buffer.from(signature, 'base64url')
  flipped[0] = Number(flipped[0]) ^ 1
  const unsigned = { ...header, alg: 'none' }
  const cases: [name: string, token: string, reason: RefusalReason][] = [
    ['sub-changed', `${head}.${encode({ ...claims, sub: another.claims.sub })}.${signature}`, 'signature_invalid'],
    ['exp-changed', `${head}.${encode({ ...claims, exp: claims.exp + 3600 })}.${signature}`, 'signature_invalid'],
    ['signature-changed', `${head}.${payload}.${flipped.toString('base64url')}`, 'signature_invalid'],
    ['signature-of-another', `${head}.${payload}.${partsOf(another).signature}`, 'signature_invalid'],
    ['signature-cut', `${head}.${payload}.`, 'signature_invalid'],
    ['none', `${encode(unsigned)}.${payload}.`, 'algorithm_not_allowed'],
    ['none-signed', forge(unsigned, claims, sign), 'algorithm_not_allowed'],
    ['key-of-a-stranger', forge(header, claims, signAsStranger), 'signature_invalid'],
    [
      'kid-of-a-stranger',
      forge({ ...header, kid: 'stranger' }, claims, signAsStranger),
      algorithm === 'HS256' ? 'signature_invalid' : 'key_unknown',
    ],
    ['issuer-other', forge(header, { ...claims, iss: 'https://auth.example.com' }, sign), 'issuer_wrong'],
    ['issuer-slash', forge(header, { ...claims, iss: `${issuer}/` }, sign), 'issuer_wrong'],
    ['audience-other', forge(header, { ...claims, aud: 'https://other.example.org' }, sign), 'audience_wrong'],
    ['refresh-of-this-key', forge(header, { ...claims, type: 'refresh' }, sign), 'type_wrong'],
  ]
  if (ours !== undefined)
    cases.push(['audience-none', forge(header, { ...claims, aud: undefined }, sign), 'audience_wrong'])
  if (verifier === 'es256') {
    // Whoever lets the token choose takes the published key for a secret.
    const published = createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString()
    cases.push([
      'public-key-as-secret',
      forge({ ...header, alg: 'HS256' }, claims, hmac(published)),
      'algorithm_not_allowed',
    ])
  }
  return cases.map(([name, token, reason]) => ({ name, token, reason }))
}

/** Good tokens of another service, and one of its key that goes by the name of ours. */
function meantForOthers(by: Running, other: Running): Bad[] {
  const [ours] = by.good
  assert.ok(ours)
  if (by === other) return []
  const isAlike = by.algorithm === other.algorithm
  const reason = isAlike ? 'audience_wrong' : 'algorithm_not_allowed'
  const theirs = other.good.map(({ name, token }) => ({ name: `of-${other.verifier}-${name}`, token, reason }) as const)
  if (isAlike) return theirs
  const { header, claims } = partsOf(ours)
  const token = forge({ ...header, alg: other.algorithm }, claims, other.sign)
  return [...theirs, { name: `key-of-${other.verifier}`, token, reason }]
}
