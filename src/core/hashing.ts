/**
 * Where passwords are hashed: in threads of their own, so that neither the event loop nor libuv's pool, which DNS and files
 * share, ever waits for one.
 */
import { createRequire } from 'node:module'
import { Worker } from 'node:worker_threads'

/** What a thread can be asked to compute, and with what. Texts and bytes only: it is sent by structured clone. */
type Jobs = {
  bcryptHash: { ask: { material: string; cost: number }; answer: string }
  bcryptCompare: { ask: { material: string; crypt: string }; answer: boolean }
  scrypt: { ask: { password: string; salt: Uint8Array; length: number; options: object }; answer: Uint8Array }
  pbkdf2: {
    ask: { password: string; salt: Uint8Array; iterations: number; length: number; digest: string }
    answer: Uint8Array
  }
  /** `name`: the function of hash-wasm, argon2id for one. */
  argon2: { ask: { name: string; options: object }; answer: Uint8Array }
}
type Job = keyof Jobs

export type HashingThreads = {
  /** Computes it in a thread that has nothing else to do, started if need be: whoever calls bounds how many there are at a time. */
  run<Name extends Job>(job: Name, ask: Jobs[Name]['ask']): Promise<Jobs[Name]['answer']>
  /** Ends the threads; what is being computed fails. */
  close(): Promise<void>
}

const { resolve } = createRequire(import.meta.url)

/**
 * As text, since there is no file that is the same for source and build; a worker's `require` would start at its folder. On
 * Linux a priority is a thread's own, so that hashing takes what is left: elsewhere it would be the whole process's.
 */
const workerSource = `
  const { scryptSync, pbkdf2Sync } = require('node:crypto')
  const { constants, setPriority } = require('node:os')
  const { parentPort, workerData } = require('node:worker_threads')
  const bcrypt = require(workerData.bcrypt)
  if (process.platform === 'linux') setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL)
  const jobs = {
    bcryptHash: ({ material, cost }) => bcrypt.hashSync(material, cost),
    bcryptCompare: ({ material, crypt }) => bcrypt.compareSync(material, crypt),
    scrypt: ({ password, salt, length, options }) => scryptSync(password, salt, length, options),
    pbkdf2: ({ password, salt, iterations, length, digest }) => pbkdf2Sync(password, salt, iterations, length, digest),
    argon2: ({ name, options }) => require(workerData.hashWasm)[name](options),
  }
  parentPort.on('message', async ({ job, ask }) => {
    try {
      parentPort.postMessage({ answer: await jobs[job](ask) })
    } catch {
      // What a library says may repeat its input.
      parentPort.postMessage({ failed: true })
    }
  })
`

/** `mostIdle`: how many threads are kept when there is nothing to do. The first one starts with the first job. */
export function createHashingThreads(mostIdle: number): HashingThreads {
  const all = new Set<Worker>()
  const idle: Worker[] = []

  const start = (): Worker => {
    const workerData = { bcrypt: resolve('bcrypt'), hashWasm: resolve('hash-wasm') }
    const worker = new Worker(workerSource, { eval: true, workerData, execArgv: [], env: {} })
    all.add(worker)
    worker.once('exit', () => all.delete(worker))
    return worker
  }

  const retire = async (worker: Worker): Promise<void> => {
    await worker.terminate()
  }

  /** argon2 leaves its memory behind, which goes with its thread. */
  const release = (worker: Worker, job: Job): void => {
    worker.unref()
    if (job === 'argon2' || idle.length >= mostIdle) void retire(worker)
    else idle.push(worker)
  }

  return {
    run: (job, ask) =>
      new Promise((resolve, reject) => {
        const worker = idle.pop() ?? start()
        worker.ref()
        const settle = (): void => {
          worker.off('message', onMessage).off('error', onEnd).off('exit', onEnd)
        }
        const onMessage = ({ answer, failed }: { answer: never; failed?: true }): void => {
          settle()
          release(worker, job)
          if (failed) reject(new Error(`${job} could not be computed`))
          else resolve(answer)
        }
        const onEnd = (): void => {
          settle()
          reject(new Error(`the thread of ${job} ended without an answer`))
        }
        worker.on('message', onMessage).on('error', onEnd).on('exit', onEnd)
        worker.postMessage({ job, ask })
      }),

    async close() {
      idle.length = 0
      await Promise.all([...all].map(retire))
    },
  }
}
