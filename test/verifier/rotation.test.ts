/**
 * Rotations of keys as docs/key-rotation.md tells them, drawn at random: two replicas of the service with its real
 * configuration, services that verify with cached key sets, and an operator. No good token is ever refused, and no key that
 * was retired, or was never there, lets anybody in. Then the operator makes mistakes, and each is noticed.
 */
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import fastify from 'fastify'
import t from 'tap'
import { loadConfig } from '../../src/config.js'
import {
  type Algorithm,
  asymmetricKey,
  asymmetricKeys,
  type Key,
  publicKeysOf,
  secretKey,
} from '../../src/core/keys.js'
import { createTokens } from '../../src/core/tokens.js'
import { createCookies } from '../../src/http/cookies.js'
import { cacheable } from '../../src/http/etag.js'
import { keysMaxAge } from '../../src/http/key-set.js'
import { createSigners } from '../../src/http/signer.js'
import type { Account, Session } from '../../src/store/rows.js'
import { createVerifier, type Verifier } from '../../src/verifier/index.js'
import { createKeySet } from '../../src/verifier/key-set.js'
import { outcomeOf, serve } from './vectors.js'

const second = 1000
const minute = 60 * second
const day = 86_400 * second

// ------------------------------------------------------------------------------------------------ Time

const beginning = Date.UTC(2030, 0, 1)
/** Milliseconds since 1970, for the service and for its verifiers alike; each history turns it anew. */
let time = beginning
/** The same as a clock that nobody can set, by which the kit times its key sets; here somebody must turn it too. */
let elapsed = 0
performance.now = () => elapsed

let underway = 0
const fetchPart = globalThis.fetch

/** Fetches whole answers, and knows how many are on their way, so that time can stand still for them. */
globalThis.fetch = async (...asked) => {
  underway += 1
  try {
    const response = await fetchPart(...asked)
    return new Response(response.status === 304 ? null : await response.arrayBuffer(), response)
  } finally {
    underway -= 1
  }
}

t.teardown(() => {
  globalThis.fetch = fetchPart
  Reflect.deleteProperty(performance, 'now')
})

async function pass(milliseconds: number): Promise<void> {
  do await turn()
  while (underway > 0)
  await turn()
  time += milliseconds
  elapsed += milliseconds
}

// ------------------------------------------------------------------------------------------------ Keys

/** `text` is what an operator keeps: the secret, or the private key as PEM. */
type Material = { name: string; key: Key; text: string }

const makers: Record<Algorithm, () => string> = {
  HS256: () => randomBytes(32).toString('base64'),
  ES256: () => privatePem('ec', { namedCurve: 'prime256v1' }),
  EdDSA: () => privatePem('ed25519', {}),
  RS256: () => privatePem('rsa', { modulusLength: 2048 }),
}
const algorithms = Object.keys(makers) as Algorithm[]

function privatePem(type: string, options: object): string {
  const { privateKey } = generateKeyPairSync(type as 'rsa', options as { modulusLength: number })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
}

function materials(family: Family, alg: Algorithm, count: number): Material[] {
  return Array.from({ length: count }, (_, n) => {
    const text = makers[alg]()
    return { name: `${family} ${alg} ${n + 1}`, key: alg === 'HS256' ? secretKey(text) : asymmetricKey(text), text }
  })
}

type Family = 'access' | 'refresh'

/** Of each algorithm the last is never used: a key that never was in a ring. */
const pool: Record<Family, Material[]> = {
  access: algorithms.flatMap(alg => materials('access', alg, 4)),
  refresh: materials('refresh', 'HS256', 5),
}

/** Whoever stole every key there is. */
const thief = await createSigners(
  fastify(),
  Object.fromEntries([...pool.access, ...pool.refresh].map(({ name, key }) => [name, { current: key, others: [] }])),
)

// ------------------------------------------------------------------------------------------------ Replicas

/** What an operator configures for one of the two kinds of token. */
type Ring = { signs: Material; next: Material | undefined; previous: readonly Material[] }
type Rings = Record<Family, Ring>

const issuer = 'https://auth.gatehouse.example'
const audience = 'https://api.gatehouse.example'

const keysOf = ({ signs, next, previous }: Ring): Material[] => [signs, ...(next ? [next] : []), ...previous]
const isSecret = ({ key }: Material): boolean => key.alg === 'HS256'
const secretsOf = (ring: Ring): Material[] => keysOf(ring).filter(isSecret)
const listOf = (given: readonly (Material | undefined)[]): string =>
  given.flatMap(each => (each && isSecret(each) ? each.text : [])).join(',')

/** The variables docs/key-rotation.md tells for a ring. `oneLine`: in the forms that have no line breaks. */
function environmentOf({ access, refresh }: Rings, oneLine: boolean): Record<string, string> {
  const others = keysOf(access).slice(1)
  const publicKeys = others.filter(each => !isSecret(each)).map(each => each.key)
  // A secret that has signed stays in JWT_SECRET when a private key takes over.
  const kept = isSecret(access.signs) ? access.signs : access.previous.find(isSecret)
  return {
    NODE_ENV: 'production',
    DATABASE_URL: 'postgres://gatehouse@127.0.0.1:9/nobody',
    JWT_ISSUER: issuer,
    JWT_AUDIENCE: audience,
    JWT_SECRET: kept?.text ?? '',
    JWT_SECRETS_PREVIOUS: listOf(access.previous.filter(each => each !== kept)),
    JWT_SECRETS_NEXT: listOf([access.next]),
    JWT_PRIVATE_KEY: isSecret(access.signs) ? '' : spell(access.signs.text, oneLine),
    JWT_PUBLIC_KEYS: oneLine
      ? JSON.stringify({ keys: publicKeys.map(key => key.jwk) })
      : publicKeys.map(key => key.verifying).join(''),
    REFRESH_TOKEN_SECRET: refresh.signs.text,
    REFRESH_TOKEN_SECRETS_PREVIOUS: listOf(refresh.previous),
    REFRESH_TOKEN_SECRETS_NEXT: listOf([refresh.next]),
  }
}

const spell = (pem: string, oneLine: boolean): string => (oneLine ? pem.replaceAll('\n', '\\n') : pem)

type Service = Awaited<ReturnType<typeof startService>>

/** The parts of the service that know keys, put together as the service does. */
async function startService(rings: Rings, oneLine: boolean) {
  const config = loadConfig(environmentOf(rings, oneLine), 'no-such-file')
  const app = fastify()
  const signers = await createSigners(app, { access: config.accessKeys, refresh: config.refreshKeys })
  app.get('/.well-known/jwks.json', cacheable({ keys: publicKeysOf(config.accessKeys) }, keysMaxAge))
  const { accessTtl, refreshTtl, sessionMaxAge: maxAge } = config
  const longAccessTtl = (30 * day) / second
  const tokens = createTokens({ ...signers, issuer, audience, accessTtl, refreshTtl, longAccessTtl, maxAge })
  const cookies = createCookies({ secure: true, publicUrlIsHttps: true, secrets: config.cookieSecrets })
  return { app, config, tokens, cookies }
}

type Replica = {
  name: string
  isUp: boolean
  service: Service
  /** What the operator believes it to run with. */
  rings: Rings
}

const other = { access: 'refresh', refresh: 'access' } as const

// ------------------------------------------------------------------------------------------------ What is issued

type Kind = 'ordinary' | 'lasting' | 'steady' | 'refresh' | 'cookie'

type Issued = {
  what: string
  expiresAt: number
  /** Where it is an access token, for verifiers. */
  access: string | undefined
  isAcceptedBy(service: Service): boolean
}

/** `age`: milliseconds the session is old already. */
function issue({ service, rings, name }: Replica, kind: Kind, age: number): Issued {
  const { tokens, cookies, config } = service
  const what = (key: Material) => `${kind}, signed by ${name} with ${key.name}`
  if (kind === 'cookie') {
    const token = randomBytes(32).toString('base64url')
    const value = cookies.sign(token)
    return {
      what: what(rings.refresh.signs),
      expiresAt: time + config.refreshTtl * second,
      access: undefined,
      isAcceptedBy: service => service.cookies.unsign(value) === token,
    }
  }
  const account = { id: randomUUID() } as Account
  const session = sessionAt(kind === 'steady' ? time - age : time)
  const at = new Date(time)
  if (kind === 'refresh') {
    const { token, expiresAt } = tokens.refresh(account, session)
    const isAcceptedBy = ({ tokens }: Service) => isCurrent(tokens, () => tokens.readRefresh(token))
    return { what: what(rings.refresh.signs), expiresAt: expiresAt.getTime(), access: undefined, isAcceptedBy }
  }
  const { token, expiresAt } =
    kind === 'steady'
      ? tokens.steadyAccess(account, session, at)
      : tokens.access(account, session, at, { jti: randomUUID(), lasting: kind === 'lasting' })
  const isAcceptedBy = ({ tokens }: Service) => isCurrent(tokens, () => tokens.readAccess(token))
  return { what: what(rings.access.signs), expiresAt: expiresAt.getTime(), access: token, isAcceptedBy }
}

const sessionAt = (created: number) =>
  ({
    id: randomUUID(),
    generation: 3,
    createdAt: new Date(created),
    rotatedAt: new Date(created),
    expiresAt: new Date(created + 30 * day),
  }) as Session

type Tokens = Service['tokens']

function isCurrent(tokens: Tokens, read: () => ReturnType<Tokens['readAccess']>): boolean {
  try {
    return tokens.isCurrent(read(), new Date(time))
  } catch {
    return false
  }
}

const forgeries = new Map<Material, { token: string; exp: number }>()

/** A token somebody else made with one of our keys; the same one while it lives. */
function forge(type: Family, key: Material): string {
  const iat = Math.floor(time / second)
  const known = forgeries.get(key)
  if (known && known.exp > iat) return known.token
  const claims = { iss: issuer, aud: audience, sub: randomUUID(), sid: randomUUID(), jti: 'forged', type, gen: 1 }
  const exp = iat + (7 * day) / second
  const token = thief[key.name]?.sign({ ...claims, iat, exp }) ?? ''
  forgeries.set(key, { token, exp })
  return token
}

// ------------------------------------------------------------------------------------------------ Histories

/** `publish`: not before it signs. `patience`: not until key sets have expired. `wait`: not until tokens have. `all`: not everywhere. */
type Omission = 'publish' | 'patience' | 'wait' | 'all'

/** `first`: where it begins. `gap`, `down`: milliseconds between two, and without each. */
type Rolling = { first: number; gap: number; down: number; oneLine: boolean }

type Deed =
  | { do: 'nothing' }
  | { do: 'restart'; who: number }
  /** Publishes a key that is to sign, a new one or the one before. */
  | { do: 'prepare'; family: Family; alg: Algorithm; back: boolean; rolling: Rolling }
  /** One of what is to come: another key signs, or an old one is retired. `waits`: for its time, if that has not come. */
  | { do: 'proceed'; family: Family; which: number; waits: boolean; rolling: Rolling }

type Step = {
  wait: number
  issues: { kind: Kind; by: number; age: number }[]
  deed: Deed
  /** Which verifiers are asked; the others' key sets grow old. */
  asked: number[]
  /** Whether forged tokens come too; a name nobody knows makes the kit fetch anew. */
  forged: boolean
}

type Start = {
  alg: Algorithm
  /** Whether tokens of 30 days are issued, as one door does. */
  lasting: boolean
  /** Which replica each fetch of a key set comes upon. */
  fetches: Iterable<number>
}

const verifierCount = 3

/** Where the verifiers fetch their keys: one address, behind it a replica each time. */
let answerer: () => Service | undefined = () => undefined
const base = await serve(t, (request, response) => {
  const condition = request.headers['if-none-match']
  answerer()
    ?.app.inject({ url: request.url ?? '', headers: condition === undefined ? {} : { 'if-none-match': condition } })
    .then(
      ({ statusCode, headers, rawPayload }) => response.writeHead(statusCode, headers).end(rawPayload),
      () => response.destroy(),
    )
})

async function live(start: Start, steps: readonly Step[], omission?: Omission): Promise<void> {
  time = beginning
  forgeries.clear()
  const world = await createWorld(start, omission)
  try {
    for (const step of steps) await world.play(step)
    await world.finish()
  } finally {
    await world.close()
  }
}

async function createWorld({ alg, lasting, fetches }: Start, omission: Omission | undefined) {
  const unused = { access: [...pool.access], refresh: [...pool.refresh] }
  const take = (family: Family, alg: Algorithm): Material | undefined => {
    const [found, another] = unused[family].filter(({ key }) => key.alg === alg)
    if (another) unused[family] = unused[family].filter(each => each !== found)
    return another && found
  }
  const firstRing = (family: Family, alg: Algorithm): Ring => {
    const signs = take(family, alg)
    if (!signs) throw new Error('an empty pool')
    return { signs, next: undefined, previous: [] }
  }
  /** The keys that ever were in a ring, and the one of each algorithm that never is. */
  const suspects = (family: Family): Material[] =>
    pool[family].filter((each, n, all) => !unused[family].includes(each) || all[n + 1]?.key.alg !== each.key.alg)
  /** What the operator has brought everywhere. */
  const told: Rings = { access: firstRing('access', alg), refresh: firstRing('refresh', 'HS256') }
  const publishedAt: Record<Family, number> = { access: 0, refresh: 0 }
  const signedUntil = new Map<Material, number>()

  const replicas: Replica[] = []
  for (const name of ['replica 1', 'replica 2'])
    replicas.push({ name, isUp: true, service: await startService(told, false), rings: { ...told } })
  const verifiers = Array.from({ length: verifierCount }, (_, n) => newVerifier(`verifier ${n + 1}`, told.access))
  /** By what they are: of two alike the one that lives longer tells as much. */
  const issued = new Map<string, Issued>()
  let count = 0

  const turns = fetches[Symbol.iterator]()
  const up = () => replicas.filter(replica => replica.isUp)
  answerer = () => up()[(turns.next().value ?? 0) % up().length]?.service

  // -------------------------------------------------------------------------------- What must hold

  /** Since when every replica has had an access key, or none has; undefined while only some have it. */
  const settled = new Map<Material, { everywhere: boolean; since: number } | undefined>()
  const note = () => {
    for (const key of pool.access) {
      const holders = replicas.filter(({ rings }) => keysOf(rings.access).includes(key)).length
      const everywhere = holders === replicas.length
      if (holders > 0 && !everywhere) settled.set(key, undefined)
      else if (settled.get(key)?.everywhere !== everywhere) settled.set(key, { everywhere, since: time })
    }
  }
  note()
  for (const [key, state] of settled) if (state) settled.set(key, { ...state, since: Number.NEGATIVE_INFINITY })

  const fail = (what: string): never => {
    throw new Error(`${what}, ${(time - beginning) / second} s after the beginning`)
  }

  /** Every good token is taken by every replica, and by those of the verifiers that are asked. */
  const checkIssued = async (asked: readonly number[]): Promise<void> => {
    for (const each of issued.values()) {
      if (each.expiresAt <= time) {
        issued.delete(each.what)
        continue
      }
      for (const { name, service } of up()) if (!each.isAcceptedBy(service)) fail(`${name} refuses ${each.what}`)
      if (each.access === undefined) continue
      for (const n of asked) await checkGood(verifiers[n], each.access, each.what)
    }
  }

  const checkGood = async (verifier: Verifying | undefined, token: string, what: string): Promise<void> => {
    const outcome = await outcomeOf(verifier?.kit.verify(token) ?? Promise.resolve())
    if (outcome !== 'accepted') fail(`${verifier?.name} refuses ${what}: ${outcome}`)
  }

  /** A key opens a replica while it is in its ring and not a moment longer, and a verifier until its key set has expired. */
  const checkForged = async (asked: readonly number[]): Promise<void> => {
    for (const key of suspects('access')) {
      const token = forge('access', key)
      for (const { name, service, rings } of up())
        if (isCurrent(service.tokens, () => service.tokens.readAccess(token)) !== keysOf(rings.access).includes(key))
          fail(`${name} and a token signed with ${key.name}`)
      for (const n of asked) await checkVerdict(verifiers[n], key, token)
    }
    for (const key of suspects('refresh')) {
      const token = forge('refresh', key)
      for (const { name, service, rings } of up())
        if (isCurrent(service.tokens, () => service.tokens.readRefresh(token)) !== keysOf(rings.refresh).includes(key))
          fail(`${name} and a token signed with ${key.name}`)
    }
  }

  const checkVerdict = async (verifier: Verifying | undefined, key: Material, token: string): Promise<void> => {
    const expected = verdict(verifier, key)
    if (expected === undefined) return
    const outcome = await outcomeOf(verifier?.kit.verify(token) ?? Promise.resolve())
    const words = expected ? ['accepted'] : ['key_unknown', 'signature_invalid', 'algorithm_not_allowed']
    if (!words.includes(outcome)) fail(`${verifier?.name} and a token signed with ${key.name}: ${outcome}`)
  }

  /** Undefined: it may say one thing or the other. */
  const verdict = (verifier: Verifying | undefined, key: Material): boolean | undefined => {
    if (isSecret(key)) return verifier?.secrets.includes(key)
    const state = settled.get(key)
    return state && time - state.since >= keysMaxAge * second ? state.everywhere : undefined
  }

  const check = async (asked: readonly number[], forged: boolean): Promise<void> => {
    if (forged) await checkForged(asked)
    await checkIssued(asked)
  }

  // -------------------------------------------------------------------------------- What happens

  const issueOne = (kind: Kind, by: number, age: number): void => {
    const replica = replicas[by]?.isUp ? replicas[by] : up()[0]
    if (!replica) return
    const made = issue(replica, kind === 'lasting' && !lasting ? 'ordinary' : kind, age)
    if (made.expiresAt >= (issued.get(made.what)?.expiresAt ?? 0)) issued.set(made.what, made)
  }

  /** One of each kind at every replica, a kind at a time. */
  const issueSome = (): void => {
    const kinds: Kind[] = lasting ? ['lasting', 'refresh', 'cookie'] : ['ordinary', 'steady', 'refresh', 'cookie']
    for (const by of replicas.keys()) issueOne(kinds[(count + by) % kinds.length] ?? 'ordinary', by, 7 * minute)
    issueOne(lasting ? 'lasting' : 'ordinary', count % replicas.length, 0)
    count += 1
  }

  const replace = async (replica: Replica, rings: Rings, { down, oneLine }: Rolling): Promise<void> => {
    replica.isUp = false
    await pass(down)
    await checkIssued([0])
    await replica.service.app.close()
    replica.service = await startService(rings, oneLine)
    replica.isUp = true
  }

  /** Brings a ring everywhere, one after the other: to every replica, and to every verifier if the secrets change. */
  const roll = async (family: Family, ring: Ring, rolling: Rolling, leftOut?: Replica): Promise<void> => {
    const hasNewSecrets = family === 'access' && listOf(secretsOf(told.access)) !== listOf(secretsOf(ring))
    const targets = [...replicas, ...(hasNewSecrets ? verifiers : [])]
    const first = rolling.first % targets.length
    for (const [n, target] of [...targets.slice(first), ...targets.slice(0, first)].entries()) {
      if ('kit' in target) await renew(target, ring)
      else {
        const rings = { [family]: ring, [other[family]]: told[other[family]] } as Rings
        if (target !== leftOut) await replace(target, rings, rolling)
        target.rings = rings
        note()
      }
      issueSome()
      await check(n % 2 === 0 ? [0, 1] : [1], n % 2 === 0)
      await pass(rolling.gap)
    }
    told[family] = ring
  }

  const renew = async (verifying: Verifying, ring: Ring): Promise<void> => {
    await verifying.kit.close()
    Object.assign(verifying, newVerifier(verifying.name, ring))
  }

  const prepare = async (deed: Deed & { do: 'prepare' }): Promise<void> => {
    const { family, alg, back, rolling } = deed
    const ring = told[family]
    if (ring.next) return
    const [before] = ring.previous
    const next = back && before ? before : take(family, family === 'refresh' ? 'HS256' : alg)
    if (!next) return
    const wanted = { ...ring, next, previous: ring.previous.filter(each => each !== next) }
    publishedAt[family] = Number.NEGATIVE_INFINITY
    if (omission === 'publish') told[family] = { ...ring, next }
    else await roll(family, wanted, rolling)
    if (next !== before) publishedAt[family] = time
  }

  /** What waits to be done, and from when on it may be. */
  const due = (family: Family): { from: number; run(rolling: Rolling): Promise<void> }[] => {
    const { signs, next, previous } = told[family]
    const longest = family === 'refresh' ? 7 * day : lasting ? 30 * day : 30 * minute
    const haste = omission === 'wait' ? second : 0
    const retirements = previous.map(key => ({
      from: (signedUntil.get(key) ?? 0) + longest - haste,
      run: (rolling: Rolling) =>
        roll(
          family,
          { signs, next, previous: previous.filter(each => each !== key) },
          rolling,
          omission === 'all' ? replicas[1] : undefined,
        ),
    }))
    if (!next) return retirements
    const patience = omission === 'patience' || isSecret(next) ? 0 : keysMaxAge * second
    const change = async (rolling: Rolling) => {
      await roll(family, { signs: next, next: undefined, previous: [signs, ...previous] }, rolling)
      // Said too late rather than too early: the last replica changed a gap ago.
      signedUntil.set(signs, time - rolling.gap)
    }
    return [{ from: publishedAt[family] + patience, run: change }, ...retirements]
  }

  const proceed = async ({ family, which, waits, rolling }: Omit<Deed & { do: 'proceed' }, 'do'>): Promise<void> => {
    const all = due(family)
    const chosen = all[which % Math.max(1, all.length)]
    if (!chosen || (!waits && chosen.from > time)) return
    for (const left of [10 * minute, 20 * second, 0]) {
      await pass(Math.max(0, chosen.from - left - time))
      issueSome()
      await check([which % verifierCount], left === 0)
    }
    await chosen.run(rolling)
  }

  const restart = async (who: number): Promise<void> => {
    const replica = replicas[who % (replicas.length + verifierCount)]
    const verifying = verifiers[(who % (replicas.length + verifierCount)) - replicas.length]
    if (replica) await replace(replica, replica.rings, calm)
    else if (verifying) await renew(verifying, told.access)
  }

  const act = async (deed: Deed): Promise<void> => {
    if (deed.do === 'prepare') await prepare(deed)
    else if (deed.do === 'proceed') await proceed(deed)
    else if (deed.do === 'restart') await restart(deed.who)
  }

  const everybody = verifiers.map((_, n) => n)

  return {
    async play({ wait, issues, deed, asked, forged }: Step): Promise<void> {
      await pass(wait)
      for (const { kind, by, age } of issues) issueOne(kind, by, age)
      await act(deed)
      await check(asked, forged)
    },

    /** What was begun is brought to its end, and then nothing but the last key is left. */
    async finish(): Promise<void> {
      for (const family of ['access', 'refresh'] as const)
        while (due(family).length > 0) await proceed({ family, which: 0, waits: true, rolling: calm })
      await check(everybody, true)
      await pass(keysMaxAge * second)
      await check(everybody, true)
      for (const key of pool.access)
        for (const verifier of verifiers)
          if (verdict(verifier, key) !== (key === told.access.signs)) fail(`${key.name} and ${verifier.name}`)
    },

    async close(): Promise<void> {
      answerer = () => undefined
      await Promise.all(verifiers.map(({ kit }) => kit.close()))
      await Promise.all(replicas.map(({ service }) => service.app.close()))
    },
  }
}

type Verifying = { name: string; secrets: Material[]; kit: Verifier }

function newVerifier(name: string, ring: Ring): Verifying {
  const secrets = secretsOf(ring)
  const jwksUrl = `${base}/.well-known/jwks.json`
  const secret = secrets.map(({ text }) => text)
  return { name, secrets, kit: createVerifier({ issuer, audience, jwksUrl, secret, now: () => time }) }
}

// ------------------------------------------------------------------------------------------------ Drawn at random

const calm: Rolling = { first: 0, gap: 0, down: 0, oneLine: false }

const family = fc.constantFrom<Family>('access', 'refresh')
const rolling = fc.record({
  first: fc.nat({ max: 4 }),
  gap: fc.constantFrom(0, 300, 4 * second, 20 * second, 3 * minute, 10 * minute),
  down: fc.constantFrom(0, 10, 2 * second, 30 * second),
  oneLine: fc.boolean(),
})
const which = fc.nat({ max: 2 })
const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('nothing' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), who: fc.nat({ max: 4 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('prepare' as const),
      family,
      alg: fc.constantFrom('HS256', ...algorithms),
      back: fc.nat({ max: 3 }).map(n => n === 0),
      rolling,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('proceed' as const),
      family,
      which,
      waits: fc.nat(3).map(n => n === 0),
      rolling,
    }),
  },
)
const kind = fc.constantFrom<Kind>('ordinary', 'lasting', 'steady', 'refresh', 'cookie')
const step: fc.Arbitrary<Step> = fc.record({
  wait: fc.constantFrom(
    ...[0, 1, 4.5 * second, 5.5 * second, minute, 224 * second, 226 * second, 299 * second, 301 * second],
    ...[29 * minute, 31 * minute, day, 8 * day],
  ),
  issues: fc.array(fc.record({ kind, by: fc.nat({ max: 1 }), age: fc.nat({ max: 30 * minute }) }), { maxLength: 3 }),
  deed,
  asked: fc.subarray([...Array(verifierCount).keys()]),
  forged: fc.boolean(),
})
const start: fc.Arbitrary<Start> = fc.record({
  alg: fc.constantFrom(...algorithms),
  lasting: fc.boolean(),
  fetches: fc.infiniteStream(fc.nat({ max: 1 })),
})

t.test('T-11 whatever is rotated and when: no good token is refused, no key outside the ring accepted', async t => {
  const property = fc.asyncProperty(
    start,
    fc.array(step, { minLength: 1, maxLength: 16, size: 'max' }),
    (start, steps) => live(start, steps),
  )
  const { failed, errorInstance, ...found } = await fc.check(property, { numRuns: 50 })
  const { seed, counterexamplePath: path, counterexample } = found
  t.notOk(failed, `${errorInstance} ${JSON.stringify({ seed, path, counterexample })}`)
})

// ------------------------------------------------------------------------------------------------ Told step by step

const nothing: Step = { wait: 0, issues: [], deed: { do: 'nothing' }, asked: [0, 1, 2], forged: false }
const rotation = (alg: Algorithm): Step[] => [
  { ...nothing, forged: true },
  { ...nothing, deed: { do: 'prepare', family: 'access', alg, back: false, rolling: calm } },
  { ...nothing, deed: { do: 'proceed', family: 'access', which: 0, waits: true, rolling: calm } },
  { ...nothing, deed: { do: 'proceed', family: 'access', which: 0, waits: true, rolling: calm } },
]
const refreshRotation: Step[] = rotation('HS256').map(step => ({
  ...step,
  deed: 'family' in step.deed ? { ...step.deed, family: 'refresh' } : step.deed,
}))

const startOf = (alg: Algorithm, lasting = false): Start => ({ alg, lasting, fetches: [] })
const outcome = (start: Start, steps: Step[], omission?: Omission): Promise<string> =>
  live(start, steps, omission).then(
    () => 'nothing noticed',
    (error: Error) => error.message,
  )

for (const from of algorithms)
  for (const to of algorithms)
    t.test(`${from} to ${to}: as told nothing is noticed, and each thing left out is`, async t => {
      // With tokens of 30 minutes it is the same, sooner; histories draw both.
      t.equal(await outcome(startOf(from, true), rotation(to)), 'nothing noticed', 'as told')
      const early = await outcome(startOf(from, true), rotation(to), 'wait')
      t.match(early, new RegExp(`^replica . refuses lasting, signed by replica . with access ${from}`), 'too early')
      const unpublished = await outcome(startOf(from), rotation(to), 'publish')
      t.match(unpublished, new RegExp(`refuses .*, signed by replica . with access ${to}`), 'not published')
      const forgotten = await outcome(startOf(from), rotation(to), 'all')
      t.match(forgotten, new RegExp(`^replica 2 and a token signed with access ${from}`), 'not retired everywhere')
      if (to === 'HS256') return
      const impatient = await outcome(startOf(from), rotation(to), 'patience')
      t.match(
        impatient,
        new RegExp(`^verifier . refuses .* with access ${to} .*: key_unknown`),
        'key sets not waited for',
      )
    })

t.test('the refresh secret: as told nothing is noticed, and each thing left out is', async t => {
  const start = startOf('ES256')
  t.equal(await outcome(start, refreshRotation), 'nothing noticed')
  t.match(await outcome(start, refreshRotation, 'publish'), /^replica 2 refuses .*, signed by replica 1 with refresh/)
  t.match(await outcome(start, refreshRotation, 'wait'), /refuses (cookie|refresh), signed by replica . with refresh/)
  t.match(await outcome(start, refreshRotation, 'all'), /^replica 2 and a token signed with refresh/)
})

t.test('a key set that was long on its way is as old as the question', async t => {
  let now = 0
  let fetched = 0
  const [key] = asymmetricKeys(makers.EdDSA())
  const url = await serve(t, (_, response) => {
    fetched += 1
    now += 4 * second
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'max-age=100' })
    response.end(JSON.stringify({ keys: [key?.jwk] }))
  })
  const { signal } = new AbortController()
  const keys = createKeySet({ url: new URL(url), signal, onProblem: error => t.fail(error), clock: () => now })
  t.ok(await keys.find(key?.kid ?? ''))
  now = 75 * second
  t.ok(await keys.find(key?.kid ?? ''))
  await pass(0)
  t.equal(fetched, 2, 'three quarters of its time are over')
})
