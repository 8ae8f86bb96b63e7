/**
 * Measures Gatehouse beside others, on a Postgres of its own: `npx tsx bench/run.ts [scenario…] [--seconds N] [--rounds N]
 * [--patience MINUTES]`, after `npm run build`. Writes Markdown to standard output and what it is doing to standard error.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { arch, cpus } from 'node:os'
import { inspect, parseArgs } from 'node:util'
import { type Cluster, startPostgres } from '../test/helpers/postgres.js'
import { leaveServerCore, loadAverages } from './machine.js'
import { scenarios } from './scenarios.js'
import type { Run } from './turns.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '5' },
    patience: { type: 'string', default: '0' },
  },
})
const names = positionals.length > 0 ? positionals : Object.keys(scenarios)
const seconds = within('seconds', values.seconds, [1, 60])
const rounds = within('rounds', values.rounds, [1, 20])
const patience = within('patience', values.patience, [0, 60])
const limitMinutes = 120

const stops: (() => Promise<void>)[] = []
let cluster: Promise<Cluster> | undefined
let cleaning: Promise<void> | undefined

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void leave(130, `stopped by ${signal}`))
setTimeout(() => void leave(1, `not done in ${limitMinutes} minutes`), limitMinutes * 60_000).unref()

try {
  leaveServerCore()
  cluster = startPostgres()
  await measure(await cluster)
  await cleanUp()
} catch (error) {
  await leave(1, inspect(error))
}
process.exit()

async function measure(postgres: Cluster): Promise<void> {
  const keep = (stop: () => Promise<void>) => void stops.push(stop)
  const progress = (line: string) => void process.stderr.write(`${line}\n`)
  const patientUntil = performance.now() + patience * 60_000
  const run: Run = { cluster: postgres, keep, seconds, rounds, patientUntil, progress }
  const chosen = names.map(name => [name, scenarioOf(name)] as const)
  console.log(`${await describeMachine(postgres)}\n`)
  for (const [name, scenario] of chosen) {
    progress(`${name}, load averages ${loadAverages()}`)
    console.log(`### ${name}\n\n${await scenario(run)}\n\nLoad averages at the end: ${loadAverages()}.\n`)
    await stopServers()
  }
}

function scenarioOf(name: string) {
  if (!Object.hasOwn(scenarios, name))
    throw new Error(`There is no scenario "${name}", only ${Object.keys(scenarios).join(', ')}.`)
  return scenarios[name as keyof typeof scenarios]
}

async function describeMachine(postgres: Cluster): Promise<string> {
  const [cpu] = cpus()
  const version = (name: string): string =>
    JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url), 'utf8')).version
  const facts = [
    new Date().toISOString().slice(0, 10),
    `commit ${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain', '--', 'src') === '' ? '' : ' with changes'}`,
    `${cpus().length} cores (${cpu?.model.trim()}, ${arch()})`,
    `Node ${process.version}`,
    `Postgres ${(await postgres.psql('show server_version')).split(' ')[0]}`,
    ...['fastify', 'drizzle-orm', 'postgres', 'better-auth', 'jose', 'fast-jwt'].map(
      name => `${name} ${version(name)}`,
    ),
    `${rounds} rounds of ${seconds} s`,
  ]
  return `${facts.join(', ')}. Load averages at the start: ${loadAverages()}.`
}

function git(...args: string[]): string {
  try {
    return execFileSync('git', args, { encoding: 'utf8', cwd: new URL('../', import.meta.url) }).trim()
  } catch {
    return 'unknown'
  }
}

function within(name: string, text: string, [least, most]: [number, number]): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= least && value <= most) return value
  process.stderr.write(`--${name} must be a whole number from ${least} to ${most}\n`)
  process.exit(2)
}

async function stopServers(): Promise<void> {
  await Promise.allSettled(stops.splice(0).map(stop => stop()))
}

/** Leaves nothing behind: no process, no database. */
function cleanUp(): Promise<void> {
  cleaning ??= (async () => {
    await stopServers()
    await cluster?.then(
      postgres => postgres.remove(),
      () => {},
    )
  })()
  return cleaning
}

/** The first reason counts: what fails while everything is being stopped does so because of that. */
async function leave(code: number, why: string): Promise<never> {
  if (cleaning) return new Promise(() => {})
  process.stderr.write(`${why}\n`)
  await cleanUp()
  process.exit(code)
}
