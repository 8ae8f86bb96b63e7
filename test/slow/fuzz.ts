/**
 * 20,000 requests (A-01, F-20) made out of openapi.yaml, right ones and wrong ones, at the real service over real sockets:
 * each is answered within two seconds, with a documented status and a body that is as its schema says, and never with a
 * fault of ours. Run after `npm run build`; ends with 1 where one is not, and prints it as a command. `--seed` repeats a run,
 * `--requests` makes it shorter.
 */
import http from 'node:http'
import { connect } from 'node:net'
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import postgres from 'postgres'
import { uuidv7 } from 'uuidv7'
import { hashToken } from '../../src/core/sources.js'
import { inEnvelope, internals, pairOf } from '../dialects/doors.js'
import { hostileFramings, type Made, requestsOf } from '../helpers/fuzz-requests.js'
import { type Document, type Given, judgeOutside, type Operation, readDocument } from '../helpers/openapi.js'
import { startPostgres } from '../helpers/postgres.js'
import { type BuiltService, startBuiltService } from '../helpers/service.js'

const { values: options } = parseArgs({ options: { seed: { type: 'string' }, requests: { type: 'string' } } })
const seed = options.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(options.seed)
const requests = Number(options.requests ?? 20_000)
const workers = 8
/** Of these, so many are bytes that no client library would send. */
const framings = Math.ceil(requests / 50)
const slowestMs = 2000
/** Each operation is asked some 280 times; half of that shows that chance left none out. */
const fewestPerOperation = requests / 140
/** The heap when little lies about in it, late in the run against early: what is kept of sessions that live is far less. */
const allowedGrowth = 48 * 1024 * 1024
/** So many different faults are told of, and the rest counted. */
const mostFaults = 25

const metricsPort = 30_000 + (process.pid % 10_000)
const client = { id: 'api', secret: 'zK3vQ8wLr1Yt6Np4Xb9Hs2Dm7Gf5Jc0AeUiOoTqRyWx' }
const page = 'https://app.example.com'
const password = 'a passphrase nobody guesses'

const say = (line: string) => process.stdout.write(`${line}\n`)
const faults = new Map<string, string>()
const document = readDocument('openapi.yaml')
const statuses = new Map<string, Map<number, number>>()
let sent = 0
let slowest = 0
let busy = 0

// ---------------------------------------------------------------------------------------------------------------- People

/** Somebody with everything that a request may name; each worker is one, and a new one after whatever ends a session. */
type Person = Record<string, string>

let people = 0

const newAddress = (): string => {
  people += 1
  return `person${people}-${seed}@example.com`
}

async function signUp(send: Send): Promise<Person> {
  const email = newAddress()
  const ask = (method: string, path: string, body: object, headers: Record<string, string> = {}) =>
    send({ method, path, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })
  const registered = JSON.parse((await ask('POST', '/auth/register', { email, password })).text)
  const browser = await ask('POST', '/api/auth/login', { email, password })
  const signed = await ask('POST', '/api/auth/sign-in/email', { email, password })
  const authorization = `Bearer ${registered.access_token}`
  const background = { software_level: 'beginner', hardware_background: 'robotics' }
  await ask('PUT', '/api/user/profile', background, { authorization })
  const cookieOf = ({ headers }: Given) => pairOf([headers['set-cookie'] ?? []].flat()[0])
  return {
    email,
    password,
    id: registered.user.uuid,
    access: registered.access_token,
    refresh: registered.refresh_token,
    session: JSON.parse(browser.text).token,
    sid: JSON.parse(Buffer.from(registered.access_token.split('.')[1], 'base64url').toString()).sid,
    cookie: cookieOf(browser),
    signed: cookieOf(signed),
    client: client.id,
    secret: client.secret,
    other: 'somebody-else@example.com',
  }
}

const basic = `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString('base64')}`

/** Cookies count only from a page that is trusted; whoever wants another Origin has said so. */
const credentialHeaders = ({ credential }: Made, person: Person): Record<string, string> =>
  typeof credential === 'object'
    ? credential
    : {
        access: { authorization: `Bearer ${person.access}` },
        session: { authorization: `Bearer ${person.session}` },
        cookie: { cookie: person.cookie ?? '', origin: page },
        signed: { cookie: person.signed ?? '', origin: page },
        client: { authorization: basic },
        none: {},
      }[credential]

/** Operations after which a person no longer has what they had. */
const endings = /logout|signOut|delete|changePassword|resetPassword|revoke|^end|^refresh|verifyEmail/i

// -------------------------------------------------------------------------------------------------------------- Requests

type Wire = { method: string; path: string; headers: Record<string, string>; body: string | Buffer | undefined }
type Send = (wire: Wire) => Promise<Given>

/** Over one connection that is kept; rejects where it is reset. */
function createSend(port: number): Send & { close(): void } {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const send = ({ method, path, headers, body }: Wire): Promise<Given> =>
    new Promise((resolve, reject) => {
      const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
      const asked = http.request({ host: '127.0.0.1', port, method, path, headers: { ...headers, ...length }, agent })
      asked.on('error', reject)
      asked.on('response', response => {
        const parts: Buffer[] = []
        response.on('data', part => parts.push(part))
        response.on('error', reject)
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(parts).toString('utf8'),
          }),
        )
      })
      asked.end(body)
    })
  return Object.assign(send, { close: () => agent.destroy() })
}

/** Bytes as they are, and all that comes back until the connection ends. */
function sendBytes(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(port, '127.0.0.1')
    socket.setTimeout(slowestMs, () => socket.destroy(new Error('no end of it')))
    socket.on('data', part => (text += part.toString('latin1')))
    socket.on('error', error => (text === '' ? reject(error) : resolve(text)))
    socket.on('close', () => resolve(text))
    socket.write(bytes, 'latin1')
  })
}

/** Puts what the person has where the request names it. */
async function fill(made: Made, person: Person, link: (purpose: string) => Promise<string>): Promise<Wire> {
  const put = async (text: string): Promise<string> => {
    let filled = text
    for (const [mark, name = ''] of text.matchAll(/~~([\w.]+)~~/g)) {
      const value =
        name === 'fresh' ? newAddress() : name.startsWith('link.') ? await link(name.slice(5)) : person[name]
      filled = filled.replace(mark, () => value ?? '')
    }
    return filled
  }
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries({ ...credentialHeaders(made, person), ...made.headers }))
    headers[name] = await put(value)
  const body = made.body === undefined ? undefined : await put(made.body)
  return {
    method: made.method,
    path: await put(made.path),
    headers,
    body: body === undefined ? undefined : Buffer.from(body, made.isLatin1 ? 'latin1' : 'utf8'),
  }
}

// ------------------------------------------------------------------------------------------------------------ Judgement

/** What the document promises for a request, whoever it is for. */
function judge(made: Made, given: Given): string | undefined {
  if (given.status === 503) busy += 1
  if (made.operation) return document.judge(made.operation, given)
  const { method, path } = made
  const isForProxies = /^\/oauth2\/verify(?=$|[/?])/.test(path)
  const same = document.operations.find(each => each.path === (isForProxies ? '/oauth2/verify' : path))
  if (isForProxies && given.status < 400) return same && document.judge(same, given)
  if (method === 'HEAD' || (method === 'OPTIONS' && given.status === 204)) return undefined
  return judgeOutside(path, given)
}

/** How late an answer may be: `wait` is for being answered late. */
const allowedMs = (path: string): number => slowestMs + 1000 * Number(/[?&]wait=([0-9]+)(?:&|$)/.exec(path)?.[1] ?? 0)

function count(name: string, status: number): void {
  const counts = statuses.get(name) ?? new Map<number, number>()
  counts.set(status, (counts.get(status) ?? 0) + 1)
  statuses.set(name, counts)
}

/** A fault by what it is about, so that each is told once. Answers whether it is new. */
function note(key: string, text: string): boolean {
  if (faults.has(key) || faults.size >= mostFaults) return false
  faults.set(key, text)
  return true
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

function asCommand({ method, path, headers, body }: Wire, base: string): string {
  const sentHeaders = Object.entries(headers).map(([name, value]) => `-H ${quote(`${name}: ${value}`)}`)
  const data = body === undefined ? [] : [`--data-binary ${quote(body.toString('utf8'))}`]
  return ['curl -i --path-as-is -X', method, ...sentHeaders, ...data, quote(base + path)].join(' ')
}

/** That the judge can say no: answers that are wrong on purpose, each in one way. */
function testJudge(): void {
  const operation = document.operations.find(({ id }) => id === 'getMe') as Operation
  const user = { id: 1, uuid: uuidv7(), email: 'a@example.com', name: '', image: null, email_verified: true }
  const headers = { 'content-type': 'application/json; charset=utf-8', 'www-authenticate': 'Bearer' }
  const wrong: [string, Given][] = [
    ['a status nobody documents', { status: 418, headers, text: '{"detail":"x"}' }],
    ['a fault of ours', { status: 500, headers, text: '{"detail":"x"}' }],
    ['a body without its members', { status: 200, headers, text: '{}' }],
    ['a member of another type', { status: 200, headers, text: JSON.stringify({ ...user, email: 1 }) }],
    ['another media type', { status: 401, headers: { ...headers, 'content-type': 'text/html' }, text: '' }],
    ['no JSON', { status: 401, headers, text: '{' }],
    ['an error of another door', { status: 401, headers, text: '{"success":false}' }],
    ['no challenge', { status: 401, headers: { 'content-type': 'application/json' }, text: '{"detail":"x"}' }],
    ['what we are made of', { status: 401, headers, text: '{"detail":"relation of drizzle"}' }],
  ]
  for (const [name, given] of wrong)
    if (document.judge(operation, given) === undefined) throw new Error(`the judge lets pass ${name}`)
  const refused = document.judge(operation, { status: 401, headers, text: '{"detail":"Not authenticated"}' })
  if (refused) throw new Error(`the judge refuses what is right: ${refused}`)
  if (judgeOutside('/nothing', { status: 404, headers, text: '{"detail":"x"}' }) === undefined)
    throw new Error('the judge lets pass a door’s words where there is no door')
}

// --------------------------------------------------------------------------------------------------------------- The run

type Site = { service: BuiltService; sql: postgres.Sql }

/** One person and one connection; fast-check makes the requests, and makes those that fail as small as they get. */
async function work({ service, sql }: Site, index: number, share: number): Promise<void> {
  const send = createSend(service.port)
  let person = await signUp(send)
  const link = async (purpose: string): Promise<string> => {
    const token = `${uuidv7()}-${index}`
    await sql`insert into verifications (id, account_id, purpose, token_hash, email, expires_at)
      select ${uuidv7()}, id, ${purpose}, ${hashToken(token)}, email, now() + interval '1 hour' from accounts where id = ${person.id as string}`
    return token
  }

  const tryOne = async (made: Made): Promise<void> => {
    const wire = await fill(made, person, link)
    const started = performance.now()
    const given = await send(wire).catch((error: Error) => error)
    const ms = performance.now() - started
    slowest = Math.max(slowest, ms)
    sent += 1
    const name = made.operation?.id ?? 'no operation'
    const fault =
      given instanceof Error
        ? `no answer: ${given.message}`
        : (judge(made, given) ?? (ms > allowedMs(wire.path) ? 'answered late' : undefined))
    if (!(given instanceof Error)) {
      count(name, given.status)
      if (given.status === 401 || (given.status < 400 && endings.test(name))) person = await signUp(send)
    }
    const key = `${name}: ${fault}`
    if (fault && !faults.has(key)) {
      const told = given instanceof Error ? '' : `\n  ${given.status} ${given.text.slice(0, 500)}`
      throw Object.assign(new Error(`${key} (${Math.round(ms)} ms)\n  ${asCommand(wire, service.base)}${told}`), {
        key,
      })
    }
  }

  let left = share
  for (let round = 0; left > 0; round += 1) {
    const property = fc.asyncProperty(requestsOf(document), tryOne)
    const result = await fc.check(property, { seed: seed + 1000 * index + round, numRuns: left })
    left -= result.numRuns
    const error = result.errorInstance as (Error & { key?: string }) | null
    if (error && !error.key) throw error
    if (error?.key) note(error.key, error.message)
  }
  send.close()
}

/** Bytes that are no request; each must be answered with a refusal, or as what it is after all. */
async function workBytes({ service }: Site): Promise<void> {
  for (const bytes of fc.sample(hostileFramings, { seed, numRuns: framings })) {
    sent += 1
    const started = performance.now()
    const text = await sendBytes(service.port, bytes).catch((error: Error) => `no answer: ${error.message}`)
    const ms = performance.now() - started
    slowest = Math.max(slowest, ms)
    const status = Number(/^HTTP\/1\.1 ([1-5]\d\d) /.exec(text)?.[1] ?? 0)
    count('no request', status)
    const isRight = status >= 100 && status < 500 && !internals.test(text) && ms < slowestMs
    if (!isRight)
      note(
        `bytes: ${text.slice(0, 60)}`,
        `${JSON.stringify(bytes.slice(0, 500))}\n  ${Math.round(ms)} ms: ${text.slice(0, 500)}`,
      )
  }
}

type Heap = { after: number; bytes: number }

/** Looks at the heap every second, until it is told to stop. */
function watchHeap(metricsPort: number): { stop(): Heap[] } {
  const seen: Heap[] = []
  const look = async () => {
    const metrics = await fetch(`http://127.0.0.1:${metricsPort}/metrics`).then(response => response.text())
    seen.push({ after: sent, bytes: Number(/^nodejs_heap_size_used_bytes (\d+)/m.exec(metrics)?.[1]) })
  }
  const timer = setInterval(() => void look().catch(() => {}), 1000)
  return {
    stop: () => {
      clearInterval(timer)
      return seen
    },
  }
}

/** The least that was ever in it between two parts of the run: just after the collector had been there. */
const leastIn = (seen: readonly Heap[], from: number, to: number): number =>
  Math.min(...seen.filter(({ after }) => after >= from * sent && after <= to * sent).map(({ bytes }) => bytes))

function testHeap(seen: readonly Heap[]): void {
  const [early, late] = [leastIn(seen, 0.25, 0.5), leastIn(seen, 0.75, 1)]
  const inMegabytes = (bytes: number) => Math.round(bytes / 1024 / 1024)
  say(`measured: ${inMegabytes(early)} MiB of heap in the second quarter, ${inMegabytes(late)} MiB in the last`)
  if (!(late - early < allowedGrowth)) note('heap', `the heap grew from ${early} to ${late} bytes`)
}

async function testAfterwards(service: BuiltService): Promise<void> {
  if (service.process.exitCode !== null) note('exit', `the process ended with ${service.process.exitCode}`)
  const ready = await fetch(`${service.base}/readyz`)
  if (ready.status !== 200) note('ready', `/readyz: ${ready.status}`)
  for (const line of service.log.filter(({ level }) => level >= 50))
    note(`log: ${line.msg}`, `a line of the log: ${JSON.stringify(line).slice(0, 1000)}`)
  const code = await service.stop()
  if (code !== 0) note('stop', `SIGTERM ended it with ${code}`)
}

/** Every operation was asked often enough, and succeeded when it was asked as it should be. */
function testCoverage({ operations }: Document): void {
  for (const { id } of operations) {
    const counts = statuses.get(id) ?? new Map<number, number>()
    const total = [...counts.values()].reduce((sum, each) => sum + each, 0)
    if (total < fewestPerOperation) note(`${id}: seldom`, `${id} was asked ${total} times`)
    if (![...counts.keys()].some(status => status < 300)) note(`${id}: never`, `${id} never succeeded`)
  }
}

function tell(started: number): void {
  const total = new Map<number, number>()
  for (const [name, counts] of statuses) {
    const sorted = [...counts].sort(([one], [other]) => one - other)
    for (const [status, times] of sorted) total.set(status, (total.get(status) ?? 0) + times)
    say(`${name.padEnd(32)} ${sorted.map(([status, times]) => `${status}×${times}`).join(' ')}`)
  }
  const seconds = Math.round((performance.now() - started) / 1000)
  const byStatus = [...total].sort(([one], [other]) => one - other).map(([status, times]) => `${status}×${times}`)
  say(
    `measured: ${sent} requests in ${seconds} s with seed ${seed}, slowest ${Math.round(slowest)} ms: ${byStatus.join(' ')}`,
  )
  if (busy > 0) say(`measured: ${busy} times busy, with Retry-After`)
}

testJudge()
say(`seed ${seed}`)
const cluster = await startPostgres()
const url = await cluster.newDatabase()
const sql = postgres(url, { max: 2, onnotice: () => {} })
let service: BuiltService | undefined
try {
  service = await startBuiltService(url, {
    BCRYPT_COST: '4',
    METRICS_PORT: String(metricsPort),
    LOG_LEVEL: 'error',
    CODVID_GET_UUID: 'on',
    CORS_ORIGINS: page,
    SERVICE_CLIENTS: `${client.id}:${client.secret}`,
    // Nobody listens there: mails are written, and wait.
    SMTP_URL: 'smtp://127.0.0.1:9',
    MAIL_FROM: 'no-reply@acme.test',
  })
  const site = { service, sql }
  const other = { email: 'somebody-else@example.com', password }
  const greet = createSend(service.port)
  const headers = { 'content-type': 'application/json' }
  await greet({ method: 'POST', path: '/codvid-ai/auth/signup', headers, body: JSON.stringify(inEnvelope(other)) })
  greet.close()
  const started = performance.now()
  const heap = watchHeap(metricsPort)
  const share = Math.ceil((requests - framings) / workers)
  await Promise.all([...Array.from({ length: workers }, (_, index) => work(site, index, share)), workBytes(site)])
  testHeap(heap.stop())
  tell(started)
  testCoverage(document)
  await testAfterwards(service)
} finally {
  await sql.end({ timeout: 1 })
  service?.process.kill('SIGKILL')
  await cluster.remove()
}
for (const fault of faults.values()) say(`FAIL  ${fault}`)
say(faults.size === 0 ? 'every answer was as the document says' : `${faults.size} faults`)
process.exit(faults.size === 0 ? 0 : 1)
