/** Counts that replicas share in Redis, which is asked for a moment or not at all: no request waits for a Redis that is away. */
import type { Redis } from 'ioredis'

export type Count = {
  current: number
  /** Milliseconds until it starts again. */
  ttl: number
}

export type SharedCounts = {
  /** Whether there is nothing that could count: it has been told, and is over as soon as a count succeeds on a new connection. */
  areAway(): boolean
  /** Counts one more. Throws where Redis does not answer at once, which then is away. */
  count(key: string, windowMs: number): Promise<Count>
  close(): void
}

/** Told once each time: `reason` is a code of Redis or of the system, and never an address or a secret. */
export type Told = { onAway(reason: string): void; onBack(): void }

const answerWithinMs = 200
const connectWithinMs = 1000
const tryAgainAfterMs = 500

const prefix = 'gatehouse:limit:'

/** One step, so that no count is ever without an end. */
const script = `
local current = redis.call('INCR', KEYS[1])
local ttl = redis.call('PTTL', KEYS[1])
if ttl < 0 then
  ttl = tonumber(ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ttl)
end
return { current, ttl }`

/** Returns when Redis has counted once or could not be had, within little more than a second; it is then tried again and again. */
export async function openSharedCounts(url: string, told: Told): Promise<SharedCounts> {
  // Loaded here, so that a service without Redis neither reads nor keeps it.
  const { Redis } = await import('ioredis')
  let newest: Redis | undefined
  /** The newest connection, once it has counted and until it fails. */
  let live: Redis | undefined
  let isClosed = false
  let retry: NodeJS.Timeout | undefined

  const open = () =>
    new Redis(url, {
      lazyConnect: true,
      protocol: 2,
      connectionName: 'gatehouse',
      disableClientInfo: true,
      // A count is the check that matters: it fails as well where Redis loads, is read-only or full.
      enableReadyCheck: false,
      // A connection is used until it breaks, and nothing waits for the next.
      enableOfflineQueue: false,
      retryStrategy: null,
      commandTimeout: answerWithinMs,
      disconnectTimeout: answerWithinMs,
    })

  const connect = async (): Promise<void> => {
    const client = open()
    newest = client
    let failure: unknown
    client.on('error', error => {
      failure ??= error
    })
    const overdue = setTimeout(() => client.disconnect(), connectWithinMs)
    try {
      await client.connect()
      await countOn(client, 'probe', 1000)
      if (isClosed) throw new Error('closed')
    } catch (error) {
      client.disconnect()
      throw failure ?? error
    } finally {
      clearTimeout(overdue)
    }
    live = client
    client.once('close', () => lose(client, failure))
  }

  const reconnect = () => {
    if (!isClosed) retry = setTimeout(() => connect().then(told.onBack, reconnect), tryAgainAfterMs)
  }

  /** Of all the requests that notice, the first tells. */
  const lose = (client: Redis, error: unknown) => {
    if (client !== live) return
    live = undefined
    client.disconnect()
    beAway(error)
  }

  const beAway = (error: unknown) => {
    told.onAway(reasonOf(error))
    reconnect()
  }

  await connect().catch(beAway)

  return {
    areAway: () => live === undefined,

    async count(key, windowMs) {
      const client = live
      if (!client) throw new Error('Redis is away')
      try {
        return await countOn(client, key, windowMs)
      } catch (error) {
        lose(client, error)
        throw error
      }
    },

    close() {
      isClosed = true
      clearTimeout(retry)
      live = undefined
      newest?.disconnect()
    },
  }
}

async function countOn(client: Redis, key: string, windowMs: number): Promise<Count> {
  const [current, ttl] = (await client.eval(script, 1, prefix + key, windowMs)) as [number, number]
  return { current, ttl }
}

/** ECONNREFUSED, WRONGPASS, READONLY and their like; messages can hold addresses. */
function reasonOf(error: unknown): string {
  const { code, message = '' } = (error ?? {}) as { code?: unknown; message?: string }
  if (typeof code === 'string') return code
  if (message === 'Command timed out') return 'timeout'
  return /^[A-Z]{2,}(?= )/.exec(message)?.[0] ?? 'connection_lost'
}
