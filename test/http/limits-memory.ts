/**
 * Asks from many addresses at two classes of routes, and prints what the heap holds, in MB: with both classes full, and after
 * 100,000 more addresses. A process of its own, since a test runner keeps things too. Run with --expose-gc.
 */
import { setImmediate as turn } from 'node:timers/promises'
import fastify from 'fastify'
import { defaultLimits } from '../../src/http/limit-classes.js'
import { limitRequests } from '../../src/http/limits.js'

const app = fastify({ trustProxy: ['10.0.0.0/8'] })
await limitRequests(app, { limits: defaultLimits, redisUrl: undefined, onLimited: () => {} })
app.get('/', async () => '')
app.post('/', { config: { checksPassword: true } }, async () => '')

let addresses = 0

async function askFromMore(count: number): Promise<void> {
  for (const end = addresses + count; addresses < end; addresses += 1) {
    const address = `100.${addresses >> 16}.${(addresses >> 8) & 255}.${addresses & 255}`
    const method = addresses % 2 === 0 ? 'GET' : 'POST'
    await app.inject({ method, url: '/', headers: { 'x-forwarded-for': address }, remoteAddress: '10.0.0.1' })
  }
}

async function heap(): Promise<number> {
  // What a request leaves behind goes with the turn of the event loop.
  await turn()
  globalThis.gc?.()
  return process.memoryUsage().heapUsed / 1_000_000
}

const empty = await heap()
await askFromMore(44_000)
const full = await heap()
await askFromMore(100_000)
process.stdout.write(JSON.stringify({ empty, full, after: await heap() }))
