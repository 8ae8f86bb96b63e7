/** A contestant as a process of its own, on the servers' core. */
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { serverCore, usedMicros } from './machine.js'

export type Server = {
  name: string
  origin: string
  pid: number
  /** From the start of the process to its first answer. */
  startedInMs: number
  /** Waits until it has done what it still had to do, but not for long. */
  settle(): Promise<void>
}

export type ServerOptions = {
  name: string
  /** From the root of the repository. */
  script: string
  /** Answers 2xx as soon as the server can be asked. */
  readyPath: string
  environment: Record<string, string>
}

const root = new URL('../', import.meta.url)
const startLimitMs = 30_000
const stopLimitMs = 5_000

/**
 * Starts it and waits for its first answer. `environment` is all it gets, with `PORT`. Hands the way to stop it to `keep`
 * before it waits.
 */
export async function startServer(
  { name, script, readyPath, environment }: ServerOptions,
  keep: (stop: () => Promise<void>) => void,
): Promise<Server> {
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const loader = script.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : []
  const node = [process.execPath, ...loader, fileURLToPath(new URL(script, root))]
  const started = performance.now()
  // It dies with the harness, however that dies.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'taskset', '-c', String(serverCore), ...node], {
    // Not the repository, where a `.env` of its owner may lie.
    cwd: tmpdir(),
    env: { PATH: process.env.PATH, PORT: String(port), ORIGIN: origin, ...environment },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const gone = new Promise<void>(resolve => child.once('close', () => resolve()))
  const { pid } = child
  if (pid === undefined) throw new Error(`${name} could not be started: are setpriv and taskset (util-linux) there?`)

  const stop = async () => {
    child.kill('SIGTERM')
    const killer = setTimeout(() => child.kill('SIGKILL'), stopLimitMs)
    await gone
    clearTimeout(killer)
  }
  keep(stop)
  try {
    await firstAnswer(origin + readyPath, () => child.exitCode === null && child.signalCode === null)
  } catch (error) {
    throw new Error(`${name} did not come up`, { cause: error })
  }
  return { name, origin, pid, startedInMs: performance.now() - started, settle: () => settle(pid) }
}

async function firstAnswer(url: string, isAlive: () => boolean): Promise<void> {
  const deadline = performance.now() + startLimitMs
  while (isAlive() && performance.now() < deadline) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(1000) }).catch(() => undefined)
    await answer?.arrayBuffer()
    if (answer?.ok) return
    await sleep(10)
  }
  throw new Error(isAlive() ? `no answer from ${url} in ${startLimitMs / 1000} s` : 'the process ended')
}

async function settle(pid: number): Promise<void> {
  for (let turn = 0; turn < 40; turn += 1) {
    const before = usedMicros(pid)
    await sleep(100)
    if (usedMicros(pid) - before <= 10_000) return
  }
}

export const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      const port = typeof address === 'object' && address ? address.port : 0
      probe.close(() => resolve(port))
    })
  })
}
