/**
 * The whole service while its Postgres is restarted and killed under load: run after `npm run build`, ends with 1 where a
 * promise is broken. Twenty workers register, log in, refresh, read and log out; every answer is held against what the
 * service has acknowledged before.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Cluster, startPostgres } from '../helpers/postgres.js'

const workers = 20
/** Each is one restart of Postgres and one killing of all its backends. */
const rounds = 4
/** What the service promises: an answer in five seconds, and the full rate two seconds after the database is back. */
const longestAnswerMs = 5000
const recoveryMs = 2000
const settleMs = 3000
const port = 20_000 + (process.pid % 10_000)
const base = `http://127.0.0.1:${port}`
const password = 'a passphrase nobody guesses'

type Journey = { email: string; refresh: string; access: string }

const statuses = new Map<number, number>()
const violations: string[] = []
const answeredAt: number[] = []
const acknowledged = { registered: [] as string[], loggedOut: [] as Journey[] }
let slowest = 0
let running = true

const cluster = await startPostgres()
const url = await cluster.newDatabase()
const service = startService(url)
try {
  await ready()
  await Promise.all([...Array.from({ length: workers }, (_, index) => work(index)), torment(cluster)])
  await verify(cluster)
} finally {
  service.kill('SIGKILL')
  await cluster.remove()
}

console.log(
  `measured: ${answeredAt.length} answers, slowest ${Math.round(slowest)} ms, by status ${JSON.stringify(Object.fromEntries(statuses))}`,
)
for (const violation of violations.slice(0, 20)) console.log(`violation: ${violation}`)
console.log(violations.length === 0 ? 'every promise held' : `${violations.length} violations`)
process.exit(violations.length === 0 ? 0 : 1)

function startService(databaseUrl: string): ChildProcess {
  const child = spawn(process.execPath, ['dist/main.js'], {
    env: {
      ...process.env,
      NODE_ENV: 'test',
      PORT: String(port),
      DATABASE_URL: databaseUrl,
      JWT_SECRET: 'g_EYu9r6uwlaU0fpwqZm3YPJbzBtPKXguh1fDbZ0TkE',
      REFRESH_TOKEN_SECRET: 'cmVmcmVzaC10b2tlbi1zZWNyZXQtb2YtdGhlLXRlc3Rz',
      BCRYPT_COST: '4',
      RATE_LIMIT: 'off',
      LOG_LEVEL: 'error',
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  child.on('exit', code => {
    if (running) violations.push(`the process ended with ${code}`)
  })
  return child
}

async function ready(): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const response = await fetch(`${base}/readyz`).catch(() => undefined)
    if (response?.ok) return
    await sleep(100)
  }
  throw new Error('the service did not become ready')
}

/** One request, timed and counted. Anything but an answer is a violation. */
async function call(method: string, path: string, body: object | undefined, bearer?: string) {
  const started = performance.now()
  try {
    const response = await fetch(base + path, {
      method,
      headers: {
        ...(body ? { 'content-type': 'application/json' } : {}),
        ...(bearer ? { authorization: `Bearer ${bearer}` } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal: AbortSignal.timeout(longestAnswerMs * 2),
    })
    const json = (await response.json()) as Record<string, string>
    statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1)
    if (response.status === 503 && !response.headers.has('retry-after'))
      violations.push(`${path}: 503 without Retry-After`)
    if (response.status >= 500 && response.status !== 503) violations.push(`${path}: ${response.status}`)
    if (response.status < 300) answeredAt.push(performance.now())
    return { status: response.status, json }
  } catch (error) {
    if (running) violations.push(`${path}: no answer (${(error as Error).name})`)
    return { status: 0, json: {} as Record<string, string> }
  } finally {
    const took = performance.now() - started
    slowest = Math.max(slowest, took)
    if (took > longestAnswerMs) violations.push(`${path}: answered after ${Math.round(took)} ms`)
  }
}

/** Repeats a request through 503s; undefined where the test is over before it got through. */
async function insist(method: string, path: string, body: object | undefined, bearer?: string) {
  while (running) {
    const answer = await call(method, path, body, bearer)
    if (answer.status !== 503 && answer.status !== 0) return answer
    await sleep(20)
  }
  return undefined
}

async function work(index: number): Promise<void> {
  for (let round = 0; running; round += 1) {
    const email = `worker-${index}-${round}@example.com`
    const registered = await insist('POST', '/auth/register', { email, password })
    if (!registered) return
    // 400 is a registration that was done before its answer got lost.
    if (registered.status !== 200 && registered.status !== 400) violations.push(`register: ${registered.status}`)
    acknowledged.registered.push(email)
    const login = await insist('POST', '/auth/login', { username: email, password })
    if (!login) return
    if (login.status !== 200) violations.push(`login after an acknowledged registration: ${login.status}`)
    await live({ email, access: login.json.access_token ?? '', refresh: login.json.refresh_token ?? '' })
  }
}

async function live(journey: Journey): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) {
    const refreshed = await insist('POST', '/auth/refresh', { token: journey.refresh })
    if (!refreshed) return
    if (refreshed.status !== 200) violations.push(`refresh of a live session: ${refreshed.status}`)
    journey.refresh = refreshed.json.refresh_token ?? ''
    journey.access = refreshed.json.access_token ?? ''
    const me = await insist('GET', '/auth/me', undefined, journey.access)
    if (!me) return
    if (me.status !== 200 || me.json.email !== journey.email) violations.push(`me of a live session: ${me.status}`)
  }
  const out = await insist('POST', '/auth/logout', { refresh_token: journey.refresh })
  if (!out) return
  // 401 is a logout that was done before its answer got lost.
  if (out.status !== 200 && out.status !== 401) violations.push(`logout: ${out.status}`)
  acknowledged.loggedOut.push(journey)
}

async function torment(postgres: Cluster): Promise<void> {
  await sleep(settleMs)
  for (let round = 1; round <= rounds; round += 1) {
    await afflict(`restart ${round}`, () => postgres.restart('immediate'))
    await afflict(`kill ${round}`, () =>
      postgres.psql("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'gatehouse%'"),
    )
  }
  running = false
}

/** The rate from two seconds after the fault on must be that of before again; half of it counts, for the machine is shared. */
async function afflict(fault: string, cause: () => Promise<unknown>): Promise<void> {
  const before = rateOfLast(1000)
  await cause()
  await sleep(recoveryMs + 1000)
  const after = rateOfLast(1000)
  console.log(
    `measured: ${fault}: ${Math.round(before)} answers/s before, ${Math.round(after)}/s in the third second after`,
  )
  if (after < before / 2) violations.push(`${fault}: ${Math.round(after)}/s, of ${Math.round(before)}/s before`)
}

function rateOfLast(ms: number): number {
  const since = performance.now() - ms
  return (answeredAt.filter(at => at > since).length * 1000) / ms
}

/** Afterwards: what was acknowledged is there, what was ended is dead, and nothing is half written. */
async function verify(postgres: Cluster): Promise<void> {
  running = true
  const broken = await postgres.psql(
    'select count(*) from accounts a where not exists (select from sessions s where s.account_id = a.id)',
    url,
  )
  console.log(`measured: ${acknowledged.registered.length} accounts, ${broken} of them half written`)
  if (broken !== '0') violations.push(`${broken} accounts without a session`)
  for (const email of sample(acknowledged.registered)) {
    const login = await call('POST', '/auth/login', { username: email, password })
    if (login.status !== 200) violations.push(`an acknowledged account cannot log in: ${login.status}`)
  }
  for (const { access, refresh } of sample(acknowledged.loggedOut)) {
    const me = await call('GET', '/auth/me', undefined, access)
    const refreshed = await call('POST', '/auth/refresh', { token: refresh })
    if (me.status !== 401 || refreshed.status !== 401)
      violations.push(`a session works after its logout: ${me.status}, ${refreshed.status}`)
  }
  running = false
  service.kill('SIGTERM')
  const [code] = await once(service, 'exit')
  if (code !== 0) violations.push(`SIGTERM ended it with ${code}`)
}

function sample<Item>(items: readonly Item[]): Item[] {
  return items.filter((_, index) => index % Math.ceil(items.length / 200) === 0)
}
