/** Load: as fast as a number of connections get answers, or at a fixed pace; every answer is looked at. */
import { Agent, request as send } from 'node:http'
import autocannon, { type Request } from 'autocannon'
import { coreBusyMicros, usedMicros } from './machine.js'
import { type Server, sleep } from './server.js'

/** What one connection asks again and again. */
export type Question = {
  method: 'GET' | 'POST'
  path: string
  headers: Record<string, string>
  /** Made anew for each request. */
  body?: () => string
  /** Whether an answer with a status of 200 is the right one; may take from it what the next body needs. */
  isRight: (answer: string, headers: Headers) => boolean
}

/** By their names in lower case. */
type Headers = Record<string, unknown>

export type Latency = { p50: number; p99: number }

export type Throughput = {
  /** Right answers a second. */
  rate: number
  /** Of the server's process, per answer. */
  cpuMicros: number
  /** The part of the servers' core that something else took. */
  lostShare: number
}

export type Measurement = Throughput & Latency

export type Window = {
  /** Load before the measurement begins. */
  warmupSeconds: number
  seconds: number
}

export type Drive = Window & {
  /** One per connection. */
  questions: Question[]
}

const answerLimitSeconds = 15

/** Every connection asks its next question when the last one is answered. Throws if a single answer is wrong. */
export async function drive(server: Server, { questions, warmupSeconds, seconds }: Drive): Promise<Measurement> {
  const faults = createFaults()
  const latencies: number[] = []
  let counting = false
  const free = [...questions]
  const load = autocannon({
    url: server.origin,
    connections: questions.length,
    duration: warmupSeconds + seconds + 5,
    timeout: answerLimitSeconds,
    setupClient: client => {
      const question = free.pop()
      if (question) client.setRequests([toRequest(question, faults)])
    },
  })
  load.on('response', (_client, _status, _bytes, ms) => {
    if (counting) latencies.push(ms)
  })
  load.on('reqError', error => faults.add(error.message))
  const done = Promise.resolve(load)

  await sleep(warmupSeconds * 1000)
  const { passedMicros, cpuMicros, lostShare } = await watch([server], async () => {
    counting = true
    await sleep(seconds * 1000)
    counting = false
  })
  load.stop()
  await done
  faults.demandNone(server.name)

  return {
    ...toLatency(latencies),
    rate: latencies.length / (passedMicros / 1e6),
    cpuMicros: cpuMicros / latencies.length,
    lostShare,
  }
}

/** What the servers used while something was done, and which part of their core something else took. */
export async function watch(servers: Server[], act: () => Promise<void>) {
  const sample = () => ({
    at: performance.now() * 1000,
    used: servers.reduce((sum, { pid }) => sum + usedMicros(pid), 0),
    busy: coreBusyMicros(),
  })
  const before = sample()
  await act()
  const after = sample()
  const passedMicros = after.at - before.at
  const cpuMicros = after.used - before.used
  return { passedMicros, cpuMicros, lostShare: Math.max(0, after.busy - before.busy - cpuMicros) / passedMicros }
}

function toRequest({ method, path, headers, body, isRight }: Question, faults: Faults): Request {
  return {
    method,
    path,
    headers,
    ...(body && { setupRequest: request => ({ ...request, body: body() }) }),
    onResponse: (status, answer, _context, received) => {
      if (status !== 200) faults.add(`status ${status}`)
      else if (!isRight(answer, received)) faults.add('status 200 with another answer than expected')
    },
  }
}

const connectionsAtMost = 64

/** Asks one question after the other at a fixed pace, whether or not answers come. A wait for a free connection counts. Throws if an answer is wrong. */
export async function pace(
  server: Server,
  { questions, perSecond, seconds }: { questions: readonly Question[]; perSecond: number; seconds: number },
): Promise<Latency> {
  const faults = createFaults()
  const latencies: number[] = []
  const agent = new Agent({ keepAlive: true, maxSockets: connectionsAtMost, scheduling: 'fifo' })
  const asked: Promise<void>[] = []
  const started = performance.now()
  while (asked.length < perSecond * seconds) {
    const due = Math.min(((performance.now() - started) / 1000) * perSecond, perSecond * seconds)
    while (asked.length < due) {
      const question = questions[asked.length % questions.length] as Question
      asked.push(ask(server.origin, { question, agent, faults, latencies }))
    }
    await sleep(1)
  }
  await Promise.all(asked)
  agent.destroy()
  faults.demandNone(server.name)
  return toLatency(latencies)
}

type Asking = { question: Question; agent: Agent; faults: Faults; latencies: number[] }

function ask(origin: string, { question, agent, faults, latencies }: Asking): Promise<void> {
  const { method, path, headers, body: toBody, isRight } = question
  const asked = performance.now()
  return new Promise(resolve => {
    const failed = (error: Error) => {
      faults.add(error.message)
      resolve()
    }
    const signal = AbortSignal.timeout(answerLimitSeconds * 1000)
    const request = send(origin + path, { method, agent, headers, signal }, response => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', part => {
        body += part
      })
      response.once('error', failed)
      response.once('end', () => {
        latencies.push(performance.now() - asked)
        if (response.statusCode !== 200) faults.add(`status ${response.statusCode}`)
        else if (!isRight(body, response.headers)) faults.add('status 200 with another answer than expected')
        resolve()
      })
    })
    request.once('error', failed)
    request.end(toBody?.())
  })
}

type Faults = ReturnType<typeof createFaults>

function createFaults() {
  const counts = new Map<string, number>()
  return {
    add(what: string): void {
      counts.set(what, (counts.get(what) ?? 0) + 1)
    },
    demandNone(name: string): void {
      if (counts.size === 0) return
      const list = [...counts].map(([what, count]) => `${count} × ${what}`).join(', ')
      throw new Error(`${name} gave answers that are no result: ${list}`)
    },
  }
}

export function toLatency(latencies: number[]): Latency {
  const sorted = Float64Array.from(latencies).sort()
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99) }
}
