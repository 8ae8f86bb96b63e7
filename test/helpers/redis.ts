/** A throwaway Redis of one's own: on a free port, with a password, in a temporary folder, gone without a trace when it is removed. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

export type RedisServer = {
  url: string
  password: string
  start(): Promise<void>
  /** SIGTERM ends it in order, SIGKILL at once. */
  stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>
  /** It goes on accepting connections, and answers nothing. */
  freeze(): void
  thaw(): void
  /** What redis-cli answers to a command. */
  ask(...command: string[]): Promise<string>
  remove(): Promise<void>
}

export async function startRedis(): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-redis-'))
  const port = await freePort()
  const password = `password-${process.pid}-of-redis`
  let child: ChildProcess | undefined

  const server: RedisServer = {
    url: `redis://:${password}@127.0.0.1:${port}/1`,
    password,

    async start() {
      const options = { port, bind: '127.0.0.1', dir: folder, save: '', appendonly: 'no', requirepass: password }
      const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)])
      child = spawn('redis-server', args, { stdio: 'ignore' })
      for (let tries = 0; tries < 100; tries += 1) {
        if ((await server.ask('ping').catch(() => '')) === 'PONG') return
        await sleep(50)
      }
      throw new Error('Redis did not start: is redis-server installed?')
    },

    async stop(signal = 'SIGTERM') {
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill(signal)
      await ended
    },

    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),

    async ask(...command) {
      const args = ['-p', String(port), '-n', '1', ...command]
      return (await run('redis-cli', args, { env: { ...process.env, REDISCLI_AUTH: password } })).stdout.trim()
    },

    async remove() {
      await server.stop('SIGKILL')
      await rm(folder, { recursive: true, force: true })
    },
  }

  await server.start().catch(async error => {
    await server.remove()
    throw error
  })
  return server
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  if (typeof address !== 'object' || address === null) throw new Error('No free port.')
  return address.port
}
