/**
 * Two processes of the service that count requests together in a real Redis: run after `npm run build`, ends with 1 where a
 * promise is broken. Redis is stopped, killed, frozen and started again under traffic: no request fails or takes a second,
 * each process says once that Redis is away and once that it is back, and counting goes on.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { type RedisServer, startRedis } from '../helpers/redis.js'

const slowestMs = 1000
const workers = 16
const tries = 20
const firstPort = 20_000 + (process.pid % 10_000)
const say = (line: string) => process.stdout.write(`${line}\n`)

type Replica = { base: string; process: ChildProcess; lines: string[] }
type Told = { event: string; level: number; reason?: string }

const replicas: Replica[] = []
let addresses = 0
const redis = await startRedis()
try {
  for (const index of [0, 1]) replicas.push(await startReplica(index))
  await test('counted together', countedTogether)
  await test('Redis stopped and started', () =>
    fault('stopped', { away: () => redis.stop('SIGTERM'), back: () => redis.start() }))
  await test('Redis killed and started', () =>
    fault('killed', { away: () => redis.stop('SIGKILL'), back: () => redis.start() }))
  await test('Redis frozen and going on', () => fault('frozen', { away: redis.freeze, back: redis.thaw }))
  await test('Redis frozen, killed and started', () =>
    fault('frozen for good', {
      away: redis.freeze,
      async back() {
        await redis.stop('SIGKILL')
        await redis.start()
      },
    }))
  await test('Redis read-only for a while', () =>
    fault('read-only', {
      away: () => redis.ask('replicaof', '127.0.0.1', '1'),
      back: () => redis.ask('replicaof', 'no', 'one'),
    }))
  await test('started while Redis is away', startedWithout)
  await test('an end that lets go of Redis', () => endsCleanly(redis))
} finally {
  for (const replica of replicas) replica.process.kill('SIGKILL')
  await redis.remove()
}
say('every promise held')

async function test(name: string, act: () => Promise<void>): Promise<void> {
  const started = performance.now()
  try {
    await act()
    say(`ok    ${name} (${Math.round((performance.now() - started) / 100) / 10} s)`)
  } catch (error) {
    say(`FAIL  ${name}`)
    throw error
  }
}

/** Of three times as many tries at a password as an address may make, at all processes at once, just so many are heard. */
async function countedTogether(): Promise<void> {
  const statuses = await tryPasswords()
  assert.equal(statuses.filter(status => status !== 429).length, tries)
  assert.equal(statuses.filter(status => status === 429).length, 2 * tries)
}

async function tryPasswords(): Promise<number[]> {
  addresses += 1
  const headers = { 'content-type': 'application/json', 'x-forwarded-for': `198.51.100.${addresses}` }
  const answers = Array.from({ length: 3 * tries }, (_, count) =>
    fetch(`${at(count).base}/auth/login`, { method: 'POST', headers, body: '{}' }),
  )
  return Promise.all(answers.map(async answer => (await answer).status))
}

function at(count: number): Replica {
  return replicas[count % replicas.length] as Replica
}

type Fault = { away(): unknown; back(): unknown }

async function fault(name: string, { away, back }: Fault): Promise<void> {
  const saidBefore = replicas.map(({ lines }) => lines.length)
  const traffic = startTraffic()
  await sleep(1000)
  await away()
  await sleep(3000)
  const statuses = await tryPasswords()
  assert.ok(!statuses.includes(429), 'while it is away nothing is limited')
  await back()
  const since = performance.now()
  for (const [index, replica] of replicas.entries())
    while (replica.lines.length < (saidBefore[index] ?? 0) + 2) {
      assert.ok(performance.now() - since < 10_000, 'it is noticed that Redis is back')
      await sleep(10)
    }
  const noticed = performance.now() - since
  await countedTogether()
  await sleep(1000)
  const { count, slowest } = await traffic.stop()
  say(
    `measured: Redis ${name}: slowest of ${count} requests ${slowest.toFixed(0)} ms, noticed ${noticed.toFixed(0)} ms after it was back`,
  )
  assert.ok(slowest < slowestMs)
  for (const [index, { lines }] of replicas.entries()) assertTold(lines.slice(saidBefore[index]))
}

/** One line each way, and nothing of where Redis is. */
function assertTold(lines: string[]): void {
  const told = lines.map(line => JSON.parse(line) as Told)
  assert.deepEqual(
    told.map(({ event, level }) => [event, level]),
    [
      ['redis_away', 40],
      ['redis_back', 30],
    ],
  )
  say(`      said: ${told[0]?.reason}`)
}

/** Everybody asks without pause, each from some addresses of their own, at all processes in turn. */
function startTraffic(): { stop(): Promise<{ count: number; slowest: number }> } {
  let isOver = false
  let count = 0
  let slowest = 0
  const work = async (worker: number) => {
    for (let turn = 0; !isOver; turn += 1) {
      const started = performance.now()
      const headers = { 'x-forwarded-for': `203.0.113.${worker}` }
      const answer = await fetch(`${at(worker + turn).base}/.well-known/jwks.json`, { headers })
      await answer.arrayBuffer()
      assert.equal(answer.status, 200)
      slowest = Math.max(slowest, performance.now() - started)
      count += 1
    }
  }
  const all = Promise.all(Array.from({ length: workers }, (_, worker) => work(worker)))
  all.catch(() => {})
  return {
    async stop() {
      isOver = true
      await all
      return { count, slowest }
    },
  }
}

async function startedWithout(): Promise<void> {
  await redis.stop()
  const late = await startReplica(replicas.length)
  replicas.push(late)
  assert.ok(!(await tryPasswords()).includes(429))
  await redis.start()
  while (late.lines.length < 2) await sleep(10)
  assertTold(late.lines)
  // The others try again every half second as well.
  await sleep(2000)
  await countedTogether()
}

async function endsCleanly(server: RedisServer): Promise<void> {
  const connections = async () => (await server.ask('client', 'list')).match(/name=gatehouse/g)?.length ?? 0
  assert.equal(await connections(), replicas.length)
  for (const { process: child } of replicas) {
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    assert.deepEqual(await ended, [0, null])
  }
  assert.equal(await connections(), 0)
  const keys = (await server.ask('keys', '*')).split('\n')
  assert.ok(keys.every(key => key.startsWith('gatehouse:limit:')))
  for (const key of keys) assert.ok(Number(await server.ask('pttl', key)) !== -1, `${key} has an end`)
}

async function startReplica(index: number): Promise<Replica> {
  const port = firstPort + index
  const child = spawn(process.execPath, ['dist/main.js'], {
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'test',
      PORT: String(port),
      DATA_DIR: 'memory://',
      JWT_SECRET: 'g_EYu9r6uwlaU0fpwqZm3YPJbzBtPKXguh1fDbZ0TkE',
      REFRESH_TOKEN_SECRET: 'cmVmcmVzaC10b2tlbi1zZWNyZXQtb2YtdGhlLXRlc3Rz',
      REDIS_URL: redis.url,
      RATE_LIMITS: `password=${tries}/h,other=9999999/h`,
      TRUST_PROXY: 'loopback',
      DRAIN_DELAY: '0',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  createInterface(child.stdout).on('line', line => {
    if (line.includes(redis.password) || line.includes('redis://'))
      throw new Error('a log line tells the address of Redis')
    if (/redis/i.test(line)) lines.push(line)
  })
  const replica = { base: `http://127.0.0.1:${port}`, process: child, lines }
  for (let count = 0; count < 300; count += 1) {
    const answer = await fetch(`${replica.base}/readyz`).catch(() => undefined)
    if (answer?.ok) return replica
    await sleep(100)
  }
  throw new Error('the service did not become ready')
}
