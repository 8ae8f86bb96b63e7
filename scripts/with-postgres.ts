/** `tsx scripts/with-postgres.ts -- COMMAND…` runs a command with TEST_DATABASE_URL naming a throwaway Postgres. */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { startPostgres } from '../test/helpers/postgres.js'

const given = process.argv.slice(2)
const [command, ...args] = given[0] === '--' ? given.slice(1) : given
if (command === undefined) {
  process.stderr.write('Usage: tsx scripts/with-postgres.ts -- COMMAND...\n')
  process.exit(2)
}

// A signal is for the command, which a terminal tells by itself; we stay to clean up after it.
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
let pass = (_signal: NodeJS.Signals) => {}
for (const signal of signals) process.on(signal, () => pass(signal))

const cluster = await startPostgres()
const code = await run(command, args).finally(() => cluster.remove())
process.exit(code)

function run(command: string, args: string[]): Promise<number> {
  const env = { ...process.env, TEST_DATABASE_URL: cluster.url }
  const child = spawn(command, args, { stdio: 'inherit', env })
  pass = signal => child.kill(signal)
  return new Promise(resolve => {
    child.on('error', error => {
      process.stderr.write(`${command}: ${error.message}\n`)
      resolve(127)
    })
    child.on('exit', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)))
  })
}
