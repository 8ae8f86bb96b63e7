/** The built service as a process of its own: run `npm run build` before. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { testSecrets } from './app.js'

export type BuiltService = {
  base: string
  port: number
  process: ChildProcess
  /** Every line of its log, parsed. */
  log: LogLine[]
  /** Asks it to end; answers with its exit code. */
  stop(): Promise<number | null>
}

export type LogLine = { level: number; msg?: string; [name: string]: unknown }

/** Starts it over the database and waits until it is ready; `on`: the one core it may run on. */
export async function startBuiltService(
  databaseUrl: string,
  variables: Record<string, string> = {},
  on?: number,
): Promise<BuiltService> {
  const port = 20_000 + (process.pid % 10_000)
  const command = [process.execPath, 'dist/main.js']
  const [program = '', ...rest] = on === undefined ? command : ['taskset', '-c', String(on), ...command]
  const child = spawn(program, rest, {
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'test',
      PORT: String(port),
      DATABASE_URL: databaseUrl,
      ...testSecrets,
      RATE_LIMIT: 'off',
      GUESS_LIMIT: 'off',
      DRAIN_DELAY: '0',
      ...variables,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const log: LogLine[] = []
  createInterface({ input: child.stdout }).on('line', line => log.push(toLogLine(line)))
  const base = `http://127.0.0.1:${port}`
  await ready(base, child)
  return {
    base,
    port,
    process: child,
    log,
    stop: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM')
        await once(child, 'exit')
      }
      return child.exitCode
    },
  }
}

/** What is no JSON should not have been written at all, so it counts as the gravest. */
function toLogLine(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine
  } catch {
    return { level: 60, msg: line }
  }
}

async function ready(base: string, child: ChildProcess): Promise<void> {
  for (let tries = 0; tries < 200 && child.exitCode === null; tries += 1) {
    const response = await fetch(`${base}/readyz`).catch(() => undefined)
    if (response?.ok) return
    await sleep(100)
  }
  child.kill('SIGKILL')
  throw new Error('the service did not become ready')
}
