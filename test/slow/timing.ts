/**
 * Silence about who exists (L-01, R-31, R-32): for every kind of account the same answer, to the byte, in the same time, at
 * the login of every door and wherever a mail can be asked for. Run after `npm run build`; ends with 1 where an answer or its
 * time tells.
 *
 * Tries come in blocks: one of every kind in an order of chance, so that whatever else the machine does hits all alike. Each
 * is compared with the unknown address of its own block, by the statistics of test/helpers/timing.ts. Equal times give a
 * false alarm in one run of ten thousand or fewer, and what is 3 ms later must be noticed, or the run says nothing.
 */
import { execFileSync } from 'node:child_process'
import { pbkdf2Sync, randomBytes } from 'node:crypto'
import http from 'node:http'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import bcrypt from 'bcrypt'
import postgres from 'postgres'
import { uuidv7 } from 'uuidv7'
import { inEnvelope } from '../dialects/doors.js'
import { startPostgres } from '../helpers/postgres.js'
import { type BuiltService, startBuiltService } from '../helpers/service.js'
import { isBeyond, noticeable, type Pair, quantileOf, type Shift, shiftOf, shuffled } from '../helpers/timing.js'

/** Of the whole run, for each of its two parts. */
const falseAlarms = 1e-4 / 2
const cost = 10
/** More than the first are taken only while the machine is too busy with other things for the control to be noticed. */
const loginBlocks = { atLeast: 60, atMost: 180 }
const mailBlocks = { atLeast: 150, atMost: 240 }
const moreBlocks = 30
/** Before they count: the first answers of a process are slow, and its statements not planned yet. */
const warmUps = 4
/**
 * What an attacker may see of it. A hash of cost 10 takes 50 ms, so this is two in a hundred; over a network, whose own noise
 * is as large, it takes thousands of tries at one account, and those are limited.
 */
const tolerance = 1
/** The control, which must be noticed, is what may not be missed: the least that the requirement forbids. */
const controlDelay = 3

const password = 'a passphrase nobody guesses'
const wrongPassword = 'a passphrase somebody tries'

/** A kind of address to ask for. `next` gives one that has been asked for as often as any of its kind. */
type Kind = { name: string; next(): string; password?: string; extra?: number }
type Door = { name: string; path: string; body(email: string, password: string): object }
type Tries = Map<string, number[]>

const faults: string[] = []
const say = (line: string) => process.stdout.write(`${line}\n`)
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })

// ------------------------------------------------------------------------------------------------------------ Who exists

type People = {
  /** So many addresses of accounts made alike. */
  accounts(count: number, row: Partial<Row>): Promise<() => string>
  unknown(): string
}
type Row = { password_hash: string | null; disabled_at: Date | null; email_verified: boolean }

/** Accounts as they come to be by every way, written by hand; each address is as long as any other. */
async function createPeople(databaseUrl: string): Promise<People> {
  const newAddress = () => `person-${randomBytes(6).toString('hex')}@example.com`
  const own = await bcrypt.hash(password, cost)
  return {
    unknown: newAddress,
    accounts: async (count, row) => {
      const sql = postgres(databaseUrl, { max: 1 })
      const rows = Array.from({ length: count }, () => ({
        id: uuidv7(),
        email: newAddress(),
        ...{ password_hash: own, disabled_at: null, email_verified: true, ...row },
      }))
      await sql`insert into accounts ${sql(rows)}`
      await sql`analyze accounts`
      await sql.end()
      let asked = 0
      return () => {
        asked += 1
        return rows[asked % rows.length]?.email as string
      }
    },
  }
}

const asPhp = (hash: string): string => hash.replace('$2b$', '$2y$')

function asPbkdf2(iterations: number): string {
  const salt = randomBytes(12)
  const encode = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
  return `$pbkdf2-sha256$i=${iterations}$${encode(salt)}$${encode(pbkdf2Sync(password, salt, iterations, 32, 'sha256'))}`
}

// ---------------------------------------------------------------------------------------------------------------- Logins

const doors: Door[] = [
  { name: 'auth', path: '/auth/login', body: (username, password) => ({ username, password }) },
  { name: 'better-auth', path: '/api/auth/sign-in/email', body: (email, password) => ({ email, password }) },
  { name: 'api login', path: '/api/auth/login', body: (email, password) => ({ email, password }) },
  { name: 'api signin', path: '/api/auth/signin', body: (email, password) => ({ email, password }) },
  { name: 'codvid', path: '/codvid-ai/auth/login', body: (email, password) => inEnvelope({ email, password }) },
]

async function testLogins(service: BuiltService, people: People): Promise<void> {
  const make = (row: Partial<Row>) => people.accounts(20, row)
  const disabled = await make({ disabled_at: new Date() })
  const kinds: Kind[] = [
    { name: 'unknown again', next: people.unknown },
    { name: 'wrong password', next: await make({}) },
    { name: 'wrong password, address not proved', next: await make({ email_verified: false }) },
    { name: 'disabled, wrong password', next: disabled },
    { name: 'disabled, right password', next: disabled, password },
    { name: 'no password', next: await make({ password_hash: null }) },
    { name: 'imported, a hash nothing can match', next: await make({ password_hash: '!' }) },
    { name: 'imported from PHP', next: await make({ password_hash: asPhp(await bcrypt.hash(password, cost)) }) },
    { name: 'imported, a cheaper bcrypt', next: await make({ password_hash: await bcrypt.hash(password, cost - 2) }) },
    { name: 'imported, a cheaper scheme', next: await make({ password_hash: asPbkdf2(1000) }) },
  ]
  await judge(service, { doors, kinds, people, blocks: loginBlocks })
}

// ----------------------------------------------------------------------------------------------------------------- Mails

const mailDoors: Door[] = [
  '/auth/request-password-reset',
  '/api/auth/request-password-reset',
  '/auth/request-email-verification',
  '/api/auth/send-verification-email',
].map(path => ({ name: path, path, body: email => ({ email }) }))

async function testMails(service: BuiltService, people: People): Promise<void> {
  // So many that none is mailed more links than an account may be: those get a decoy, as unknown addresses do.
  const fresh = (row: Partial<Row>) => people.accounts(2 * (mailBlocks.atMost + warmUps), row)
  const kinds: Kind[] = [
    { name: 'unknown again', next: people.unknown },
    { name: 'known, not proved', next: await fresh({ email_verified: false }) },
    { name: 'known, proved', next: await fresh({}) },
    { name: 'disabled', next: await fresh({ disabled_at: new Date(), email_verified: false }) },
    { name: 'no password', next: await fresh({ password_hash: null, email_verified: false }) },
    { name: 'asked for too often', next: await people.accounts(1, { email_verified: false }) },
  ]
  await judge(service, { doors: mailDoors, kinds, people, blocks: mailBlocks })
}

// ------------------------------------------------------------------------------------------------------------ The tries

type Plan = { doors: Door[]; kinds: Kind[]; people: People; blocks: { atLeast: number; atMost: number } }

const reference = 'unknown'
/** Compared with a reference of its own, so that what it decides has nothing to do with the others. */
const control = `unknown, ${controlDelay} ms later`
const controlReference = 'unknown, not later'
/** The median is what is asked for; the first quarter has less of the machine's noise in it, and sees smaller things. */
const quantiles = [0.1, 0.25, 0.5]

async function judge(service: BuiltService, plan: Plan): Promise<void> {
  const { doors, kinds, blocks } = plan
  const alpha = falseAlarms / ((kinds.length + 1) * (doors.length + 1) * quantiles.length)
  const tries: Tries = new Map()
  const shiftsOfControl = () =>
    shiftsOf(
      doors.flatMap(door => pairsOf(tries, door, control, controlReference)),
      alpha,
    )
  const isNoticed = () => shiftsOfControl().some(({ shift }) => isBeyond(shift, tolerance))

  await take(service, plan, tries, blocks.atLeast)
  for (let taken = blocks.atLeast; taken < blocks.atMost && !isNoticed(); taken += moreBlocks)
    await take(service, plan, tries, moreBlocks)
  if (!isNoticed()) faults.push('the control was not noticed: nothing else says anything either')
  tell(control, timesOf(tries, doors, control), shiftsOfControl())
  const unknown = timesOf(tries, doors, reference)
  // Far apart, they say that others had the core: then the median is the scheduler's as much as ours.
  say(
    `measured: unknown: a tenth within ${format(quantileOf(unknown, 0.1))} ms, half within ${format(quantileOf(unknown, 0.5))} ms`,
  )

  for (const { name } of kinds) {
    const apart = doors.map(door => ({ at: door.name, shifts: shiftsOf(pairsOf(tries, door, name, reference), alpha) }))
    const together = shiftsOf(
      doors.flatMap(door => pairsOf(tries, door, name, reference)),
      alpha,
    )
    tell(name, timesOf(tries, doors, name), together)
    accuse(name, [{ at: 'all doors together', shifts: together }, ...apart])
  }
  const least = doors.map(door => leastNoticeable(shiftsOf(pairsOf(tries, door, control, controlReference), alpha)))
  say(`measured: at one door alone ${format(Math.max(...least))} ms or more would be noticed`)
}

function tell(kind: string, times: readonly number[], shifts: readonly Found[]): void {
  const middle = format(quantileOf(times, 0.5))
  say(`measured: ${kind}: median of ${times.length} ${middle} ms; from unknown, ${shifts.map(describe).join(', ')}`)
}

type Found = { quantile: number; shift: Shift }

const shiftsOf = (pairs: readonly Pair[], alpha: number): Found[] =>
  quantiles.map(quantile => ({ quantile, shift: shiftOf(pairs, quantile, alpha) }))

const leastNoticeable = (shifts: readonly Found[]): number =>
  Math.min(...shifts.map(({ shift }) => noticeable(shift, tolerance)))

function accuse(kind: string, places: { at: string; shifts: Found[] }[]): void {
  for (const { at, shifts } of places) {
    const beyond = shifts.filter(({ shift }) => isBeyond(shift, tolerance))
    if (beyond.length > 0) faults.push(`${kind}, ${at}: ${beyond.map(describe).join(', ')} from an unknown address`)
  }
}

const format = (ms: number): string => ms.toFixed(2)

const describe = ({ quantile, shift: { shift, low, high } }: Found): string =>
  `${format(shift)} ms at ${100 * quantile} % (${format(low)} to ${format(high)})`

const timesOf = (tries: Tries, doors: readonly Door[], kind: string): number[] =>
  doors.flatMap(door => tries.get(`${door.name}: ${kind}`) ?? [])

function pairsOf(tries: Tries, door: Door, kind: string, other: string): Pair[] {
  const reference = timesOf(tries, [door], other)
  return timesOf(tries, [door], kind).map((ms, block) => [ms, reference[block] ?? Number.NaN] as const)
}

/** Every block at every door; the answers are compared on the way. */
async function take(service: BuiltService, plan: Plan, tries: Tries, blocks: number): Promise<void> {
  const { doors, kinds, people } = plan
  const all: Kind[] = [
    ...kinds,
    { name: reference, next: people.unknown },
    { name: control, next: people.unknown, extra: controlDelay },
    { name: controlReference, next: people.unknown },
  ]
  for (let block = -warmUps; block < blocks; block += 1) {
    for (const door of shuffled(doors)) {
      for (const kind of shuffled(all)) {
        const { ms, answer } = await ask(service, door, kind)
        compare(door, kind, answer)
        const key = `${door.name}: ${kind.name}`
        if (block >= 0) tries.set(key, [...(tries.get(key) ?? []), ms])
      }
    }
  }
}

const answers = new Map<string, string>()

/** All that a door says must be what it said first, but for what is of the moment. */
function compare(door: Door, kind: Kind, answer: string): void {
  const first = answers.get(door.name)
  if (first === undefined) answers.set(door.name, answer)
  const fault = `${kind.name}: another answer at ${door.name}: ${answer} instead of ${first}`
  if (first !== undefined && first !== answer && !faults.includes(fault)) faults.push(fault)
}

const ofTheMoment = /^(date|x-request-id|x?-?ratelimit-.*)$/i

/** From the first byte sent to the last one read. */
async function ask({ port }: BuiltService, { path, body }: Door, kind: Kind): Promise<{ ms: number; answer: string }> {
  const payload = JSON.stringify(body(kind.next(), kind.password ?? wrongPassword))
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }
  const started = performance.now()
  const { response, text } = await new Promise<{ response: http.IncomingMessage; text: string }>((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, path, method: 'POST', headers, agent }, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', part => (text += part))
      response.on('end', () => resolve({ response, text }))
    })
    request.on('error', reject)
    request.end(payload)
  })
  if (kind.extra) await sleep(kind.extra)
  const ms = performance.now() - started
  const { rawHeaders } = response
  const kept = rawHeaders.flatMap((name, index) =>
    index % 2 === 0 && !ofTheMoment.test(name) ? [`${name}: ${rawHeaders[index + 1]}`] : [],
  )
  return { ms, answer: [response.statusCode, ...kept, text].join('\n') }
}

// --------------------------------------------------------------------------------------------------------------- The run

// One core for the service and another for us and Postgres, where there are two.
const isShared = availableParallelism() < 2
if (!isShared) execFileSync('taskset', ['-a', '-p', '-c', '1', String(process.pid)])
const cluster = await startPostgres()
const url = await cluster.newDatabase()
let service: BuiltService | undefined
try {
  const variables = {
    BCRYPT_COST: String(cost),
    CODVID_UNIFORM_ERRORS: 'on',
    LOG_LEVEL: 'error',
    // Nobody listens there: mails are written, tried once, and wait.
    SMTP_URL: 'smtp://127.0.0.1:9',
    MAIL_FROM: 'no-reply@acme.test',
  }
  service = await startBuiltService(url, variables, isShared ? undefined : 0)
  const people = await createPeople(url)
  await testLogins(service, people)
  await testMails(service, people)
} finally {
  agent.destroy()
  await service?.stop()
  await cluster.remove()
}
for (const fault of faults) say(`FAIL  ${fault}`)
say(faults.length === 0 ? 'nothing tells who exists' : `${faults.length} ways to tell`)
process.exit(faults.length === 0 ? 0 : 1)
