/** Goes along the chain of events and says whether it is whole. Computes the hashes itself: functions in the database may have been changed too. */
import { createHash } from 'node:crypto'
import { readRecord } from '../core/events.js'
import type { EventChain, EventStore, StoredEvent } from '../store/events.js'

/** An end of the chain, as the service's log tells it now and then. */
export type Head = { seq: number; hash: string }

export type Verdict =
  | { holds: true; count: number; first: StoredEvent | undefined; head: Head }
  /** `seq`: the first event that is not what it was, or the place where one is missing. */
  | { holds: false; seq: number; fault: string }

const page = 1000

/** `noted`: an end that was kept elsewhere, which has to be part of the chain. Throws what the database throws. */
export async function verifyChain(store: EventStore, noted?: Head): Promise<Verdict> {
  const chain = await store.chain()
  if (!chain) return broken(0, 'the row that tells where the chain ends is missing')
  if (noted && noted.seq < chain.baseSeq) return broken(noted.seq, 'that end has been let go of already')
  const verdict = await follow(store, chain, noted)
  // The service may have let go of the oldest events in the meantime.
  const now = await store.chain()
  return verdict.holds || now?.baseSeq === chain.baseSeq ? verdict : verifyChain(store, noted)
}

async function follow(store: EventStore, chain: EventChain, noted: Head | undefined): Promise<Verdict> {
  let first: StoredEvent | undefined
  let head: Head = { seq: chain.baseSeq, hash: chain.baseHash }
  let count = 0
  const demanded = [chain, ...(noted ? [noted] : [])]
  for (;;) {
    const events = await store.page(head.seq, page)
    for (const event of events) {
      const fault = faultOf(event, head, demanded)
      if (fault) return broken(head.seq + 1, fault)
      first ??= event
      head = event
      count += 1
    }
    if (events.length < page) break
  }
  if (count === 0 && isOther(head, demanded)) return broken(head.seq, anew)
  const missing = demanded.find(({ seq }) => seq > head.seq)
  if (missing) return broken(head.seq + 1, `the chain went on to ${missing.seq}`)
  return { holds: true, count, first, head: { seq: head.seq, hash: head.hash } }
}

function faultOf(event: StoredEvent, before: Head, demanded: readonly Head[]): string | undefined {
  if (event.seq !== before.seq + 1) return 'an event is missing'
  if (event.hash !== hashOf(event, before.hash)) return 'the event is not what was written'
  const { kind, account = null } = readRecord(event)
  if (event.kind !== kind || event.accountId !== account) return 'the event is filed as what it is not'
  return isOther(event, demanded) ? anew : undefined
}

const anew = 'the chain has been written anew up to here'

const isOther = (head: Head, demanded: readonly Head[]): boolean =>
  demanded.some(({ seq, hash }) => seq === head.seq && hash !== head.hash)

/** As the function `append_events` of the migration makes it. */
const hashOf = ({ seq, at, record }: StoredEvent, before: string): string =>
  createHash('sha256').update([before, seq, at.getTime(), record].join('\n')).digest('hex')

const broken = (seq: number, fault: string): Verdict => ({ holds: false, seq, fault })
