/** A run: what every scenario is given, and how its contestants take turns. */
import type { Ground } from './contestants.js'
import { drive, type Measurement, type Question, type Throughput, type Window } from './load.js'
import { residentMegabytes, waitForQuiet } from './machine.js'
import { median, type Result } from './report.js'
import type { Server } from './server.js'

export type Run = Ground & {
  seconds: number
  rounds: number
  /** Until when (of `performance.now()`) a disturbed round is measured again. */
  patientUntil: number
  progress(line: string): void
}

/** Measures, and answers with a piece of Markdown. */
export type Scenario = (run: Run) => Promise<string>

/** Before the first round, so that the slow ones have been compiled as well as the fast ones. */
const coldSeconds = 10
export const warmupSeconds = 2
/** What may run on the servers' core beside a server in a round that was not disturbed. */
const quietShare = 0.05

/** Somebody who takes turns with the others. */
export type Contestant<Round extends Throughput> = {
  name: string
  server: Server
  measure(window: Window): Promise<Round>
}

/** A contestant that is asked over HTTP. */
export type Asked = { name: string; server: Server; questions: () => Promise<Question[]> | Question[] }

export const askInTurns = (run: Run, contestants: Asked[]): Promise<Result<Measurement>[]> =>
  takeTurns(
    run,
    contestants.map(({ name, server, questions }) => ({
      name,
      server,
      measure: async window => drive(server, { questions: await questions(), ...window }),
    })),
  )

/** Everybody in turn, as many times as there are rounds: whatever slows the machine for a while then slows them all. */
export async function takeTurns<Round extends Throughput>(
  run: Run,
  contestants: Contestant<Round>[],
): Promise<Result<Round>[]> {
  const { rounds, seconds, progress } = run
  const results = contestants.map(({ name }): Result<Round> => ({ name, rounds: [], residentMb: 0 }))
  for (const { server, measure } of contestants) {
    await measure({ warmupSeconds: coldSeconds, seconds: 1 })
    await server.settle()
  }
  for (let round = 1; round <= rounds; round += 1) {
    for (const [index, { name, server, measure }] of contestants.entries()) {
      const measured = await patiently(run, name, async () => {
        const once = await measure({ warmupSeconds, seconds })
        await server.settle()
        return once
      })
      results[index]?.rounds.push(measured)
      progress(`round ${round}: ${name}: ${describe(measured)}`)
    }
  }
  for (const [index, { server }] of contestants.entries()) {
    const result = results[index]
    if (result) result.residentMb = residentMegabytes(server.pid).now
  }
  return results
}

type Disturbed = { lostShare: number }

/** Measures once, and while there is patience again for as long as it was disturbed. */
export async function patiently<Round extends Disturbed>(
  { patientUntil, progress }: Run,
  name: string,
  measure: () => Promise<Round>,
): Promise<Round> {
  for (;;) {
    await waitForQuiet(patientUntil)
    const measured = await measure()
    if (measured.lostShare <= quietShare || performance.now() > patientUntil) return measured
    progress(`disturbed: ${name}: ${percent(measured.lostShare)} lost`)
  }
}

const describe = ({ rate, cpuMicros, lostShare, ...rest }: Throughput | Measurement): string => {
  const waits = 'p50' in rest ? ` p50 ${rest.p50.toFixed(2)}, p99 ${rest.p99.toFixed(2)},` : ''
  return `${rate.toFixed(0)}/s, ${cpuMicros.toFixed(1)} µs,${waits} ${percent(lostShare)} lost`
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`

/** How much of the servers' core went elsewhere while it was measured. */
export function noise(rounds: Disturbed[]): string {
  const shares = rounds.map(({ lostShare }) => lostShare)
  return `Of the servers' core something else took ${percent(median(shares))} (median), ${percent(Math.max(...shares))} at most.`
}

export function demand<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a contestant is missing')
  return value
}

export async function times<T>(count: number, make: () => Promise<T>): Promise<T[]> {
  const made: T[] = []
  while (made.length < count) made.push(await make())
  return made
}
