/** How soon an ended session is refused where it was not ended: by another process of the service, and by a service elsewhere. */
import { randomBytes } from 'node:crypto'
import type { Verifier } from '../src/verifier/index.js'
import { accessTokenOf, bearer, logOut, newPrivateKey, signUp, startGatehouse } from './contestants.js'
import { toLatency, watch } from './load.js'
import { number, ratioTable, table } from './report.js'
import { type Server, sleep } from './server.js'
import { noise, patiently, type Run, times } from './turns.js'

const logoutsPerRound = 40
/** Between two logouts, so that they meet the feed at any moment of its polls. */
const longestPauseMs = 400
/** What is not refused until then never will be. */
const limitMs = 10_000
const client = { id: 'bench', secret: randomBytes(32).toString('base64url') }
const issuer = 'http://127.0.0.1'

type Follower = { verifier: Verifier; problems: Error[] }
type Place = { here: Server; there: Server; follower: Follower }
type Round = { byOther: number[]; byKit: number[]; lostShare: number }

/** Sessions end at one process; the other one is asked until it refuses, and so is a kit that follows the other's feed. */
export async function revoking(run: Run): Promise<string> {
  const place = await settle(run)
  const rounds: Round[] = []
  for (let round = 1; round <= run.rounds; round += 1) {
    const measured = await patiently(run, 'logouts', () => measure(place))
    rounds.push(measured)
    run.progress(
      `round ${round}: other process p50 ${toLatency(measured.byOther).p50.toFixed(1)}, kit p50 ${toLatency(measured.byKit).p50.toFixed(1)}`,
    )
  }
  const byOther = rounds.flatMap(round => round.byOther)
  const byKit = rounds.flatMap(round => round.byKit)
  const slowest = (delays: number[]) => ({ value: Math.max(...delays), unit: ' ms' })
  return [
    table(
      ['from the answer to the logout to the first refusal', 'logouts', 'p50 ms', 'p99 ms', 'slowest ms'],
      [toRow('by another process of the service', byOther), toRow('by a kit that follows its feed', byKit)],
    ),
    ratioTable([
      { what: 'slowest at another process', ...slowest(byOther), target: { atMost: 250 } },
      { what: 'slowest at a kit', ...slowest(byKit), target: { atMost: 2000 } },
    ]),
    noise(rounds),
  ].join('\n\n')
}

const toRow = (what: string, delays: number[]): string[] => {
  const { p50, p99 } = toLatency(delays)
  return [what, String(delays.length), number(p50), number(p99), number(Math.max(...delays))]
}

// ---------------------------------------------------------------------------------------------------------- Who takes part

async function settle(run: Run): Promise<Place> {
  const shared = {
    DATABASE_URL: await run.cluster.newDatabase(),
    JWT_SECRET: randomBytes(32).toString('base64'),
    REFRESH_TOKEN_SECRET: randomBytes(32).toString('base64'),
    JWT_PRIVATE_KEY: newPrivateKey(),
    JWT_ISSUER: issuer,
    SERVICE_CLIENTS: `${client.id}:${client.secret}`,
  }
  // One after the other: the first migrates.
  const here = await startGatehouse(run, shared)
  const there = await startGatehouse(run, shared)
  await listening(run, shared.DATABASE_URL)
  return { here, there, follower: await follow(run, there) }
}

/** Until both hear the news: a process that does not asks the database about every request, and that would flatter it. */
async function listening({ cluster }: Run, database: string): Promise<void> {
  const question = `
    select count(*) from pg_stat_activity
    where application_name = 'gatehouse-changes' and datname = current_database() and query = 'select 1'`
  const deadline = performance.now() + limitMs
  while ((await cluster.psql(question, database)) !== '2') {
    if (performance.now() > deadline) throw new Error('the two processes do not both listen')
    await sleep(100)
  }
}

async function follow({ keep }: Run, { origin }: Server): Promise<Follower> {
  const built = new URL('../dist/verifier/index.js', import.meta.url).href
  const { createVerifier } = (await import(built)) as typeof import('../src/verifier/index.js')
  const problems: Error[] = []
  const verifier = createVerifier({
    issuer,
    jwksUrl: `${origin}/.well-known/jwks.json`,
    revocations: {
      url: `${origin}/oauth2/revocations`,
      clientId: client.id,
      clientSecret: client.secret,
      whenStale: 'reject',
    },
    onProblem: problem => problems.push(problem),
  })
  keep(() => verifier.close())
  return { verifier, problems }
}

// ---------------------------------------------------------------------------------------------------------- Logouts

async function measure(place: Place): Promise<Round> {
  const { here, there } = place
  // Before the clock runs: hashing passwords would take the core.
  const people = await times(logoutsPerRound, async () => {
    const person = await signUp(here)
    return { email: person.email, access: await accessTokenOf(here, person) }
  })
  const byOther: number[] = []
  const byKit: number[] = []
  const { lostShare } = await watch([here, there], async () => {
    for (const person of people) {
      const delays = await endSession(place, person)
      byOther.push(delays.byOther)
      byKit.push(delays.byKit)
    }
  })
  const [problem] = place.follower.problems
  if (problem) throw problem
  return { byOther, byKit, lostShare }
}

async function endSession({ here, there, follower }: Place, { email, access }: { email: string; access: string }) {
  const { verifier } = follower
  const isRefusedThere = () => isRefused(there, { email, access })
  const isRefusedByKit = () => verifier.verify(access).then(() => false, isRevoked)
  // The second answer comes from the other process's memory.
  for (const ask of [isRefusedThere, isRefusedThere, isRefusedByKit])
    if (await ask()) throw new Error('a session was refused before it was ended')
  await sleep(Math.random() * longestPauseMs)

  const [acknowledgedAt, refusedThereAt, refusedByKitAt] = await Promise.all([
    logOut(here, access).then(() => performance.now()),
    firstRefusal('the other process', isRefusedThere),
    firstRefusal('the kit', isRefusedByKit),
  ])
  // A refusal may come before the answer to the logout has.
  return {
    byOther: Math.max(0, refusedThereAt - acknowledgedAt),
    byKit: Math.max(0, refusedByKitAt - acknowledgedAt),
  }
}

/** Throws for any answer but the right one and a refusal. */
async function isRefused({ origin }: Server, { email, access }: { email: string; access: string }): Promise<boolean> {
  const answer = await fetch(`${origin}/auth/me`, { headers: bearer(access) })
  const body = await answer.text()
  if (answer.status === 200 && body.includes(`"${email}"`)) return false
  if (answer.status === 401) return true
  throw new Error(`the other process answered ${answer.status}: ${body}`)
}

/** Throws for any other reason. */
function isRevoked(error: unknown): boolean {
  if ((error as { reason?: unknown }).reason === 'token_revoked') return true
  throw error
}

/** The moment of the first refusal, asked for again and again. */
async function firstRefusal(who: string, isRefusedNow: () => Promise<boolean>): Promise<number> {
  const deadline = performance.now() + limitMs
  while (performance.now() < deadline) {
    if (await isRefusedNow()) return performance.now()
    await sleep(1)
  }
  throw new Error(`${who} did not refuse within ${limitMs / 1000} s`)
}
