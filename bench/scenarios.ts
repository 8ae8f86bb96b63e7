/** What is measured, scenario by scenario. */
import {
  accessTokenOf,
  bearer,
  ceilingTokenOf,
  compareOnly,
  forwardAuth,
  hasOauthProvider,
  newChain,
  newPrivateKey,
  oauthRefreshTokenOf,
  type Person,
  readSession,
  refresh,
  refreshTokenOf,
  signIn,
  signUp,
  startBetterAuth,
  startCeiling,
  startGatehouse,
  updateRow,
} from './contestants.js'
import { drive, type Latency, type Measurement, pace, type Question } from './load.js'
import { residentMegabytes, waitForQuiet } from './machine.js'
import { compare, median, type Ratio, type Result, ratioTable, resultTable, table } from './report.js'
import { revoking } from './revocation.js'
import { type Server, sleep } from './server.js'
import { type Asked, askInTurns, demand, noise, type Run, type Scenario, times, warmupSeconds } from './turns.js'
import { verifying } from './verifier.js'

const readers = 64
const refreshers = 8
const signers = 16

export const scenarios = {
  'session-read': sessionRead,
  'session-cache': sessionCache,
  verifier: verifying,
  revocation: revoking,
  refresh: refreshing,
  'sign-in': signingIn,
  storm,
  memory,
} satisfies Record<string, Scenario>

// ---------------------------------------------------------------------------------------------------------- session-read

/** "Who am I", 64 connections, each with a session of its own. */
async function sessionRead(run: Run): Promise<string> {
  const gatehouse = await startGatehouse(run)
  const logging = await startGatehouse(run, { LOG_LEVEL: 'info' })
  const betterAuth = await startBetterAuth(run, 'defaults')
  const verify = await startCeiling(run, 'fastify-verify')
  const select = await startCeiling(run, 'fastify-select')

  const ours = await withAccess(gatehouse)
  const logged = await withAccess(logging)
  const theirs = await times(readers, () => signUp(betterAuth))
  const verified = await times(readers, () => ceilingTokenOf(verify))
  const selected = await times(readers, () => ceilingTokenOf(select))
  const getSession = '/api/auth/get-session'

  const results = await askInTurns(run, [
    {
      name: 'Gatehouse, `GET /api/auth/get-session`, access token',
      server: gatehouse,
      questions: () => ours.map(({ email, access }) => readSession(getSession, bearer(access), email)),
    },
    {
      name: 'Gatehouse, `GET /auth/me`, access token',
      server: gatehouse,
      questions: () => ours.map(({ email, access }) => readSession('/auth/me', bearer(access), email)),
    },
    {
      name: 'Gatehouse, get-session, opaque token',
      server: gatehouse,
      questions: () => ours.map(({ email, token }) => readSession(getSession, bearer(token), email)),
    },
    {
      name: 'Gatehouse, get-session, Better Auth’s signed cookie',
      server: gatehouse,
      questions: () => ours.map(({ email, cookie }) => readSession(getSession, { cookie }, email)),
    },
    {
      name: 'Gatehouse, get-session, access token, `LOG_LEVEL=info`',
      server: logging,
      questions: () => logged.map(({ email, access }) => readSession(getSession, bearer(access), email)),
    },
    {
      name: 'Better Auth, get-session, cookie',
      server: betterAuth,
      questions: () => theirs.map(({ email, cookie }) => readSession(getSession, { cookie }, email)),
    },
    {
      name: 'Fastify + HS256 verify, constant answer',
      server: verify,
      questions: () => verified.map(token => readSession('/me', bearer(token), 'person@example.com')),
    },
    {
      name: 'Fastify + HS256 verify + one select',
      server: select,
      questions: () => selected.map(token => readSession('/me', bearer(token), 'person@example.com')),
    },
  ])
  const [session, me, opaque, cookie, logs, better, bare, query] = results.map(result => demand(result))
  const ratios = [
    compare('get-session with access token / Better Auth', demand(session), demand(better), {
      target: { atLeast: 15 },
      aim: { atLeast: 20 },
    }),
    compare('`/auth/me` with access token / Better Auth', demand(me), demand(better), {
      target: { atLeast: 15 },
      aim: { atLeast: 20 },
    }),
    compare('get-session with opaque token / Better Auth', demand(opaque), demand(better), { target: { atLeast: 15 } }),
    compare('get-session with signed cookie / Better Auth', demand(cookie), demand(better), {
      target: { atLeast: 15 },
    }),
    compare('get-session with access token / verify alone', demand(session), demand(bare), { aim: { atLeast: 0.8 } }),
    compare('get-session with access token / verify and select', demand(session), demand(query)),
    compare('with access log / without', demand(logs), demand(session)),
  ]
  return section(results, ratios)
}

type Reader = Person & { access: string }

async function withAccess(server: Server): Promise<Reader[]> {
  return times(readers, async () => {
    const person = await signUp(server)
    return { ...person, access: await accessTokenOf(server, person) }
  })
}

const section = (results: Result<Measurement>[], ratios: Ratio[]): string =>
  [resultTable(results), ratioTable(ratios), noise(results.flatMap(({ rounds }) => rounds))].join('\n\n')

// ---------------------------------------------------------------------------------------------------------- session-cache

/** What it saves to remember live sessions, for a read and for a proxy's question; and whether the kind of key matters. */
async function sessionCache(run: Run): Promise<string> {
  const key = { JWT_PRIVATE_KEY: newPrivateKey() }
  const on = await startWithReaders(run, {})
  const off = await startWithReaders(run, { SESSION_CACHE: 'off' })
  const keyOn = await startWithReaders(run, key)
  const keyOff = await startWithReaders(run, { ...key, SESSION_CACHE: 'off' })

  const results = await askInTurns(run, [
    { name: 'get-session', ...reads(on) },
    { name: 'get-session, `SESSION_CACHE=off`', ...reads(off) },
    { name: '`GET /oauth2/verify`', ...proxied(on) },
    { name: '`GET /oauth2/verify`, `SESSION_CACHE=off`', ...proxied(off) },
    { name: 'get-session, ES256', ...reads(keyOn) },
    { name: 'get-session, ES256, `SESSION_CACHE=off`', ...reads(keyOff) },
  ])
  const [read, readOff, verify, verifyOff, keyed, keyedOff] = results
  return section(results, [
    compare('get-session, cache on / off', demand(read), demand(readOff)),
    compare('`/oauth2/verify`, cache on / off', demand(verify), demand(verifyOff)),
    compare('get-session with ES256, cache on / off', demand(keyed), demand(keyedOff)),
    compare('`/oauth2/verify` / get-session', demand(verify), demand(read)),
    compare('get-session with ES256 / with HS256', demand(keyed), demand(read)),
    compare('the same without the cache', demand(keyedOff), demand(readOff)),
  ])
}

type Readers = { server: Server; people: Reader[] }

async function startWithReaders(run: Run, environment: Record<string, string>): Promise<Readers> {
  const server = await startGatehouse(run, environment)
  return { server, people: await withAccess(server) }
}

const reads = ({ server, people }: Readers) => ({
  server,
  questions: () => people.map(({ email, access }) => readSession('/api/auth/get-session', bearer(access), email)),
})

const proxied = ({ server, people }: Readers) => ({
  server,
  questions: () => people.map(({ access }) => forwardAuth(access)),
})

// ---------------------------------------------------------------------------------------------------------- refresh

/** 8 connections, each along its own chain of rotated refresh tokens. */
async function refreshing(run: Run): Promise<string> {
  const gatehouse = await startGatehouse(run)
  const update = await startCeiling(run, 'bare-update')
  const renewing = await startBetterAuth(run, 'renewing')
  const oauth = hasOauthProvider() ? await startBetterAuth(run, 'oauth') : undefined

  const ours = await times(refreshers, () => signUp(gatehouse))
  const theirs = await times(refreshers, () => signUp(renewing))
  const contestants: Asked[] = [
    {
      name: 'Gatehouse, `POST /auth/refresh`',
      server: gatehouse,
      questions: () =>
        Promise.all(ours.map(async person => refresh('/auth/refresh', await refreshTokenOf(gatehouse, person)))),
    },
    {
      name: 'one prepared `UPDATE … RETURNING` behind Fastify',
      server: update,
      questions: () => times(refreshers, async () => updateRow(await newChain(update))),
    },
    {
      name: 'Better Auth, get-session that renews each time (`updateAge: 0`)',
      server: renewing,
      questions: () => theirs.map(({ email, cookie }) => readSession('/api/auth/get-session', { cookie }, email)),
    },
  ]
  if (oauth) {
    const members = await times(refreshers, () => signUp(oauth))
    contestants.push({
      name: 'Better Auth, OAuth provider, `grant_type=refresh_token`',
      server: oauth,
      questions: () =>
        Promise.all(
          members.map(async person =>
            refresh('/api/auth/oauth2/token', await oauthRefreshTokenOf(oauth, person), { client_id: 'bench' }),
          ),
        ),
    })
  }
  const results = await askInTurns(run, contestants)
  const [rotation, bare, renewal, grant] = results
  const bounds = { target: { atLeast: 6 }, aim: { atLeast: 8 } }
  const ratios = [
    ...(grant ? [compare('refresh / Better Auth’s refresh grant', demand(rotation), grant, bounds)] : []),
    compare(
      'refresh / Better Auth’s renewing get-session',
      demand(rotation),
      demand(renewal),
      grant === undefined ? bounds : {},
    ),
    compare('refresh / the bare update', demand(rotation), demand(bare), { aim: { atLeast: 0.7 } }),
  ]
  return section(results, ratios)
}

// ---------------------------------------------------------------------------------------------------------- sign-in

/** 16 clients, bcrypt of cost 10 for everybody. */
async function signingIn(run: Run): Promise<string> {
  const gatehouse = await startGatehouse(run)
  const betterAuth = await startBetterAuth(run, 'defaults')
  const bare = await startCeiling(run, 'bare-bcrypt')
  const ours = await times(signers, () => signUp(gatehouse))
  const theirs = await times(signers, () => signUp(betterAuth))

  const results = await askInTurns(run, [
    {
      name: 'Gatehouse, `POST /api/auth/sign-in/email`',
      server: gatehouse,
      questions: () => ours.map(person => signIn(gatehouse, person)),
    },
    {
      name: 'Better Auth, the same, bcrypt as its hash',
      server: betterAuth,
      questions: () => theirs.map(person => signIn(betterAuth, person)),
    },
    {
      name: 'one `bcrypt.compare` behind node:http',
      server: bare,
      questions: () => Array.from({ length: signers }, () => compareOnly),
    },
  ])
  const [one, other, ceiling] = results
  return section(results, [
    compare('sign-in / bare bcrypt', demand(one), demand(ceiling), { aim: { atLeast: 0.97 } }),
    compare('sign-in / Better Auth', demand(one), demand(other)),
  ])
}

// ---------------------------------------------------------------------------------------------------------- storm

const readsPerSecond = 200

const refreshesPerSecond = 50

/** What those who are signed in see: `refreshes` of Gatehouse alone. */
type Calm = { reads: Latency; refreshes: Latency | undefined }
type StormRound = { idle: Calm; storm: Calm; signIns: number }

/** Session reads at 200 a second and refreshes at 50, first alone, then while 16 clients sign in without pause. */
async function storm(run: Run): Promise<string> {
  const gatehouse = await startGatehouse(run)
  const betterAuth = await startBetterAuth(run, 'defaults')
  const contestants = []
  for (const [name, server] of [
    ['Gatehouse', gatehouse],
    ['Better Auth', betterAuth],
  ] as const) {
    const [reader, ...members] = await times(signers + 1, () => signUp(server))
    const { cookie, email } = demand(reader)
    const question = readSession('/api/auth/get-session', { cookie }, email)
    const chains = server === gatehouse ? members : []
    const refreshing = await Promise.all(
      chains.map(async person => refresh('/auth/refresh', await refreshTokenOf(server, person))),
    )
    contestants.push({ name, server, question, refreshing, members, rounds: [] as StormRound[] })
  }

  for (let round = 1; round <= run.rounds; round += 1) {
    for (const { name, server, question, refreshing, members, rounds } of contestants) {
      const calm = async (seconds: number): Promise<Calm> => {
        const [reads, refreshes] = await Promise.all([
          pace(server, { questions: [question], perSecond: readsPerSecond, seconds }),
          refreshing.length > 0
            ? pace(server, { questions: refreshing, perSecond: refreshesPerSecond, seconds })
            : undefined,
        ])
        return { reads, refreshes }
      }
      await waitForQuiet(run.patientUntil)
      await calm(1)
      const idle = await calm(run.seconds)
      const [{ rate: signIns }, stormy] = await Promise.all([
        drive(server, {
          questions: members.map(person => signIn(server, person)),
          warmupSeconds,
          seconds: run.seconds,
        }),
        sleep(warmupSeconds * 1000).then(() => calm(run.seconds)),
      ])
      await server.settle()
      rounds.push({ idle, storm: stormy, signIns })
      run.progress(
        `round ${round}: ${name}: idle ${latency(idle.reads)}, storm ${latency(stormy.reads)}, ${signIns.toFixed(1)} sign-ins/s`,
      )
    }
  }

  const rows = contestants.flatMap(({ name, rounds }) => [
    stormRow(`${name}, get-session`, rounds, ({ reads }) => reads),
    ...(rounds.some(({ idle }) => idle.refreshes) ? [stormRow(`${name}, refresh`, rounds, refreshesOf)] : []),
  ])
  const ours = contestants[0]?.rounds ?? []
  return [
    table(['', 'p50 ms, idle', 'p99 ms, idle', 'p50 ms, storm', 'p99 ms, storm', 'sign-ins/s'], rows),
    ratioTable([
      ...stormRatios('get-session', ours, ({ reads }) => reads),
      ...stormRatios('refresh', ours, refreshesOf),
    ]),
  ].join('\n\n')
}

const refreshesOf = ({ refreshes }: Calm): Latency => demand(refreshes)

function stormRow(name: string, rounds: StormRound[], latencyOf: (calm: Calm) => Latency): string[] {
  const digits = (values: number[]) => median(values).toFixed(2)
  return [
    name,
    digits(rounds.map(({ idle }) => latencyOf(idle).p50)),
    digits(rounds.map(({ idle }) => latencyOf(idle).p99)),
    digits(rounds.map(({ storm }) => latencyOf(storm).p50)),
    digits(rounds.map(({ storm }) => latencyOf(storm).p99)),
    digits(rounds.map(({ signIns }) => signIns)),
  ]
}

function stormRatios(what: string, rounds: StormRound[], latencyOf: (calm: Calm) => Latency): Ratio[] {
  const storm = median(rounds.map(round => latencyOf(round.storm).p99))
  const idle = median(rounds.map(round => latencyOf(round.idle).p99))
  return [
    { what: `Gatehouse’s p99 of ${what} in the storm`, value: storm, unit: ' ms', aim: { atMost: 10 } },
    { what: `the same, storm / idle`, value: storm / idle, target: { atMost: 2 } },
  ]
}

const latency = ({ p50, p99 }: Latency): string => `p50 ${p50.toFixed(2)} p99 ${p99.toFixed(2)}`

// ---------------------------------------------------------------------------------------------------------- memory

/** How large Gatehouse is after each kind of load has been on it, one after the other; and how soon it answers. */
async function memory(run: Run): Promise<string> {
  await waitForQuiet(run.patientUntil)
  const server = await startGatehouse(run)
  const fresh = residentMegabytes(server.pid).now
  const people = await withAccess(server)
  const few = people.slice(0, refreshers)
  const load = async (questions: Question[]) => {
    await drive(server, { questions, warmupSeconds, seconds: run.seconds * 2 })
  }
  await load(people.map(({ email, access }) => readSession('/api/auth/get-session', bearer(access), email)))
  const refreshTokens = await Promise.all(few.map(person => refreshTokenOf(server, person)))
  await load(refreshTokens.map(token => refresh('/auth/refresh', token)))
  await load(people.slice(0, signers).map(person => signIn(server, person)))
  const { now, peak } = residentMegabytes(server.pid)
  run.progress(
    `memory: ${fresh.toFixed(0)} MB at start, ${now.toFixed(0)} MB after load, ${peak.toFixed(0)} MB at most`,
  )
  return ratioTable([
    { what: 'resident after the first answer', value: fresh, unit: ' MB' },
    { what: 'resident after the load', value: now, unit: ' MB', target: { atMost: 150 }, aim: { atMost: 120 } },
    { what: 'resident at its highest', value: peak, unit: ' MB' },
    { what: 'start to first answer', value: server.startedInMs, unit: ' ms', aim: { atMost: 1500 } },
  ])
}
