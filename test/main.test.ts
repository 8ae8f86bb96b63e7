/** The process, as an operator meets it: started from source, stopped by signals, started again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const tsx = import.meta.resolve('tsx')
const password = 'correct horse battery'
const quick = { PORT: '0', BCRYPT_COST: '4', RATE_LIMIT: 'off' }

// It starts the service ten times, and starting takes seconds where there is little to compute with.
t.setTimeout(300_000)

type Outcome = { code: number | null; signal: string | null; stdout: string; stderr: string }
type Started = { child: ChildProcess; outcome: Promise<Outcome>; output(): string }

/** Runs it in an empty folder, with nothing of our own environment. */
function start(t: Test, variables: Record<string, string>): Started {
  const child = spawn(process.execPath, ['--import', tsx, main], {
    cwd: t.testdirName,
    env: { PATH: process.env.PATH, ...quick, ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const told = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', chunk => {
      told[name] += chunk
    })
  const outcome = once(child, 'close').then(([code, signal]) => ({ code, signal, ...told }))
  return { child, outcome, output: () => told.stdout + told.stderr }
}

/** Where it listens, as soon as it says so. */
async function addressOf({ outcome, output }: Started): Promise<string> {
  const ended = outcome.then(({ stdout, stderr }) => {
    throw new Error(`it has ended: ${stdout}${stderr}`)
  })
  ended.catch(() => {})
  for (;;) {
    const [, address] = /Gatehouse listens on (http:\/\/[\w.:]+)/.exec(output()) ?? []
    if (address) return address
    await Promise.race([sleep(20), ended])
  }
}

async function stop({ child, outcome }: Started, signal: NodeJS.Signals): Promise<Outcome> {
  child.kill(signal)
  return outcome
}

async function post(url: string, body: object, headers: Record<string, string> = {}) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  return { status: answer.status, body: (await answer.json()) as Record<string, string> }
}

const me = async (address: string, token = '') => {
  const answer = await fetch(`${address}/auth/me`, { headers: { authorization: `Bearer ${token}` } })
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

/** One line, and no more: no stack, no source. */
function assertPlain(t: Test, { code, stderr }: Outcome, ...lines: (string | RegExp)[]): void {
  t.equal(code, 1, 'exit code')
  const told = stderr.trimEnd().split('\n')
  t.equal(told.length, lines.length, stderr)
  for (const [index, line] of lines.entries()) t.match(told[index], line)
  t.notMatch(stderr, /^\s+at /m, 'no stack')
}

t.test('R-10 an account made before a restart is there after it, and what was revoked stays so', async t => {
  t.testdir()
  const DATA_DIR = join(t.testdirName, 'data')

  const first = start(t, { DATA_DIR })
  const address = await addressOf(first)
  t.match(first.output(), `Gatehouse listens on ${address}, documentation at ${address}/docs`)
  t.match(first.output(), `JWT_SECRET and REFRESH_TOKEN_SECRET not set: made once and kept in ${DATA_DIR}/secrets.json`)
  for (const line of first.output().trim().split('\n')) t.type(JSON.parse(line).msg, 'string', 'every line is JSON')
  const docs = await fetch(`${address}/docs`)
  t.equal(docs.status, 200)
  t.match(await docs.text(), /swagger/i)
  t.strictSame(await (await fetch(`${address}/livez`)).json(), { status: 'ok' })
  t.match(await (await fetch(`${address}/readyz`)).json(), {
    status: 'ok',
    checks: { database: 'ok', migrations: 'ok' },
  })

  const registered = await post(`${address}/auth/register`, { email: 'ada@example.com', password })
  t.equal(registered.status, 200)
  const { access_token: access, refresh_token: refresh } = registered.body
  const before = await me(address, access)
  t.match(before, { status: 200, body: { email: 'ada@example.com' } })

  const login = { email: 'ada@example.com', password }
  const signedOut = (await post(`${address}/api/auth/login`, login)).body
  const out = await post(`${address}/auth/logout`, {}, { authorization: `Bearer ${signedOut.accessToken}` })
  t.equal(out.status, 200)
  const reused = (await post(`${address}/api/auth/login`, login)).body
  const { refresh_token: successor } = (await post(`${address}/auth/refresh`, { token: reused.refreshToken })).body
  await post(`${address}/auth/refresh`, { token: successor })
  t.equal((await post(`${address}/auth/refresh`, { token: reused.refreshToken })).status, 401, 'reuse ends a session')

  const second = start(t, { DATA_DIR })
  assertPlain(t, await second.outcome, new RegExp(`is in use by process ${first.child.pid}`))
  t.strictSame(await me(address, access), before, 'the first goes on')

  const { code, signal, stderr } = await stop(first, 'SIGINT')
  t.strictSame({ code, signal, stderr }, { code: 0, signal: null, stderr: '' }, 'stopped')
  t.notMatch(first.output(), new RegExp(`${password}|${access}|${refresh}`), 'no secret is told')
  t.notOk(existsSync(join(DATA_DIR, 'pglite.lock')), 'the folder is free')

  const again = start(t, { DATA_DIR })
  const newAddress = await addressOf(again)
  t.strictSame(await me(newAddress, access), before, 'the old access token')
  for (const { token, accessToken, refreshToken } of [signedOut, reused]) {
    for (const gone of [token, accessToken])
      t.equal((await me(newAddress, gone)).status, 401, 'what was revoked before the restart stays so')
    t.equal((await post(`${newAddress}/auth/refresh`, { token: refreshToken })).status, 401, 'its refresh token too')
  }
  t.equal((await post(`${newAddress}/auth/refresh`, { token: successor })).status, 401, 'and what was reused')
  t.equal((await post(`${newAddress}/auth/refresh`, { token: refresh })).status, 200, 'the old refresh token')
  t.equal((await post(`${newAddress}/auth/login`, { username: 'ada@example.com', password })).status, 200)
  t.equal((await post(`${newAddress}/auth/register`, { email: 'ada@example.com', password })).status, 400)
  const late = await post(`${newAddress}/auth/register`, { email: 'grace@example.com', password })
  t.equal((await stop(again, 'SIGKILL')).signal, 'SIGKILL')
  t.ok(existsSync(join(DATA_DIR, 'pglite.lock')), 'killed, it left its lock')

  const afterKill = start(t, { DATA_DIR, BCRYPT_COST: '13' })
  const lastAddress = await addressOf(afterKill)
  t.match(
    await me(lastAddress, late.body.access_token),
    { status: 200, body: { email: 'grace@example.com' } },
    'what was answered is kept',
  )

  const slow = post(`${lastAddress}/auth/register`, { email: 'mary@example.com', password })
  while (!/"path":"\/auth\/register"/.test(afterKill.output())) await sleep(5)
  t.equal((await stop(afterKill, 'SIGINT')).code, 0)
  t.equal((await slow).status, 200, 'a request under way is answered before the end')
})

t.test('T-02 T-07 R-24 a configuration that cannot be used', async t => {
  t.testdir()
  const variables = {
    NODE_ENV: 'production',
    BCRYPT_COST: '4',
    LOG_LEVEL: 'loud',
    JWT_SECRET: '-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----',
    PUBLIC_URL: 'https://[',
    TRUSTED_ORIGINS: 'javascript://',
    TRUST_PROXY: '10.0.0.0/99',
  }
  assertPlain(
    t,
    await start(t, variables).outcome,
    'The configuration cannot be used:',
    /^ {2}- LOG_LEVEL must be one of /,
    /^ {2}- JWT_SECRET holds a PEM key/,
    /^ {2}- PUBLIC_URL must be/,
    /^ {2}- TRUSTED_ORIGINS must list/,
    /^ {2}- TRUST_PROXY must list/,
    '  - DATABASE_URL is required in production',
    '  - REFRESH_TOKEN_SECRET is required in production',
    '  - BCRYPT_COST must be 10 or more in production',
  )
  assertPlain(
    t,
    await start(t, { NODE_ENV: 'production', BCRYPT_COST: '' }).outcome,
    'The configuration cannot be used:',
    '  - DATABASE_URL is required in production',
    '  - JWT_SECRET is required in production',
    '  - REFRESH_TOKEN_SECRET is required in production',
  )
  t.notOk(existsSync(join(t.testdirName, '.data')), 'nothing was made on the way')
})

t.test('a port that is taken', async t => {
  t.testdir()
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const DATA_DIR = join(t.testdirName, 'data')
  assertPlain(
    t,
    await start(t, { DATA_DIR, PORT: String(port) }).outcome,
    new RegExp(`address already in use 127.0.0.1:${port}`),
  )
  t.notOk(existsSync(join(DATA_DIR, 'pglite.lock')), 'the folder is free')
  assertPlain(
    t,
    await start(t, { DATA_DIR, METRICS_PORT: String(port) }).outcome,
    new RegExp(`address already in use 127.0.0.1:${port}`),
  )
})

t.test('a database that is not there yet', async t => {
  t.testdir()
  const nobody = createServer(socket => socket.destroy()).listen(0, '127.0.0.1')
  await once(nobody, 'listening')
  t.teardown(() => nobody.close())
  const { port } = nobody.address() as { port: number }
  const service = start(t, { DATABASE_URL: `postgres://ada:canary@127.0.0.1:${port}/gatehouse` })
  const address = await addressOf(service)
  t.equal((await fetch(`${address}/livez`)).status, 200)
  t.equal((await fetch(`${address}/readyz`)).status, 503)
  const answer = await fetch(`${address}/auth/me`, { headers: { authorization: `Bearer ${'A'.repeat(43)}` } })
  t.equal(answer.status, 503, 'not 401: nobody is signed out by that')
  t.ok(Number(answer.headers.get('retry-after')) > 0)
  t.match(service.output(), /is not available \(\w+\)\. The service is not ready until it is there/)
  t.notMatch(service.output(), /canary/)
  t.equal((await stop(service, 'SIGINT')).code, 0)
})

t.test('SIGTERM under load: no request fails', async t => {
  t.testdir()
  const service = start(t, { DATA_DIR: 'memory://', DRAIN_DELAY: '1' })
  const address = await addressOf(service)
  const { body } = await post(`${address}/auth/register`, { email: 'ada@example.com', password })
  const headers = { authorization: `Bearer ${body.access_token}` }
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())

  const tally = { answered: 0, draining: 0, closing: 0 }
  const failures: string[] = []
  let isReady = true
  const ask = () =>
    new Promise<void>(resolve => {
      const fail = (error: Error) => {
        failures.push(error.message)
        resolve()
      }
      get(`${address}/auth/me`, { agent, headers }, response => {
        tally.answered += 1
        if (isDraining) tally.draining += 1
        if (isDraining && response.headers.connection === 'close') tally.closing += 1
        if (response.statusCode !== 200) failures.push(String(response.statusCode))
        response.resume().on('end', resolve).on('error', fail)
      }).on('error', fail)
    })

  let isDraining = false
  // Clients go on until the balancer sees that the service is not ready, as it would at its next probe.
  const clients = Array.from({ length: 16 }, async () => {
    while (isReady) await ask()
  })
  const balancer = (async () => {
    while (isReady) {
      isReady = (await fetch(`${address}/readyz`)).status === 200
      await sleep(50)
    }
  })()
  await sleep(300)
  const asked = performance.now()
  isDraining = true
  service.child.kill('SIGTERM')
  await Promise.all([...clients, balancer])
  const told = performance.now() - asked
  const { code, signal } = await service.outcome
  const took = performance.now() - asked

  t.strictSame(failures, [])
  t.strictSame({ code, signal }, { code: 0, signal: null })
  t.ok(tally.answered > 30, `${tally.answered} answers`)
  t.ok(tally.draining > 0 && tally.closing > 0, 'while it drained too, and those said that they were the last')
  t.ok(told < 1000, `the balancer knew after ${told} ms`)
  t.ok(took >= 1000 && took < 5000, `it ended after ${took} ms`)
  t.notMatch(service.output(), /"level":[56]0/, 'no error was logged')
})
