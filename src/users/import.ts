/** Takes the accounts of a file into the database, batch by batch: what is there already stays as it is, what cannot be taken is told. */
import { setTimeout as sleep } from 'node:timers/promises'
import { systemSources } from '../core/sources.js'
import { isUnavailable } from '../store/database.js'
import type { Fate, ImportedAccount, ImportStore } from '../store/imports.js'
import { columns, toAccount } from './columns.js'
import type { HashRules } from './hashes.js'
import { type Entry, type Format, readEntries } from './read.js'
import { createSeen } from './seen.js'

export type Refused = { line: number; email?: string; reason: string }

export type Counts = { read: number; made: number; there: number; refused: number }

export type ImportOptions = {
  source: AsyncIterable<Uint8Array>
  format: Format
  store: Pick<ImportStore, 'insert' | 'foresee'>
  rules: HashRules
  /** Writes nothing, and tells what would become of each line. */
  dryRun?: boolean
  onRefused(refused: Refused): void | Promise<void>
  onProgress?(counts: Counts): void
  /** Stops after the batch that is under way. */
  signal?: AbortSignal
}

/** A statement has two seconds; of so many it takes some hundredths of one. */
const batchSize = 500
/** A batch of long lines is cut here, in bytes of their parts. */
const batchBytes = 1_000_000
const tries = 6

type Place = { line: number; account: ImportedAccount }

/**
 * Reads the source to its end, or to the signal. Throws UnreadableFile, and DatabaseUnavailable when the database stays
 * away; what was taken by then stays, and the same file again goes on from there.
 */
export async function importUsers(options: ImportOptions): Promise<Counts> {
  const { source, format, store, rules, dryRun = false, onRefused, onProgress = () => {}, signal } = options
  const counts: Counts = { read: 0, made: 0, there: 0, refused: 0 }
  const seen = createSeen()
  let batch: Place[] = []
  let bytes = 0

  const refuse = async (refused: Refused): Promise<void> => {
    counts.refused += 1
    await onRefused(refused)
  }

  const flush = async (): Promise<void> => {
    const places = batch
    batch = []
    bytes = 0
    const fates = await settle(store, places, dryRun)
    for (const [index, { line, account }] of places.entries()) {
      const fate = fates[index]
      if (fate === 'made') counts.made += 1
      else if (fate === 'there') counts.there += 1
      else await refuse({ line, email: account.email, reason: 'the id is that of another account' })
    }
    onProgress(counts)
  }

  const take = async (entry: Entry): Promise<void> => {
    const { line } = entry
    const drafted = 'reason' in entry ? entry : toAccount(entry.record, format, rules)
    if ('reason' in drafted) return refuse({ line, ...addressOf(entry), reason: drafted.reason })
    const { id = systemSources.id(), ...rest } = drafted.account
    const { email } = rest
    const before = seen.add(email, line)
    if (before !== undefined) return refuse({ line, email, reason: `the address is that of line ${before} too` })
    const sameId = drafted.account.id === undefined ? undefined : seen.add(id, line)
    if (sameId !== undefined) return refuse({ line, email, reason: `the id is that of line ${sameId} too` })
    const account = { id, ...rest }
    batch.push({ line, account })
    bytes += JSON.stringify(account).length
  }

  try {
    for await (const entry of readEntries(source, format, columns)) {
      if (signal?.aborted) break
      counts.read += 1
      await take(entry)
      if (batch.length >= batchSize || bytes >= batchBytes) await flush()
    }
  } finally {
    // What was read before the file turned out to be unreadable is good.
    if (batch.length > 0 && !signal?.aborted) await flush()
    else onProgress(counts)
  }
  return counts
}

/** For the report: which user a refused line is about. */
function addressOf(entry: Entry): { email?: string } {
  const email = 'record' in entry ? entry.record.email : undefined
  return typeof email === 'string' && email.length <= 320 ? { email } : {}
}

async function settle(store: ImportOptions['store'], places: Place[], dryRun: boolean): Promise<Fate[]> {
  const ask = (accounts: ImportedAccount[]) =>
    persist(() => (dryRun ? store.foresee(accounts) : store.insert(accounts)))
  const accounts = places.map(({ account }) => account)
  const fates = await ask(accounts)
  const doubtful = accounts.filter((_, index) => fates[index] === 'id_taken')
  if (doubtful.length === 0 || dryRun) return fates
  // Somebody may have registered with the address in that very moment; then it is there by now.
  const second = await ask(doubtful)
  return fates.map(fate => (fate === 'id_taken' ? (second.shift() ?? fate) : fate))
}

/** A batch may be repeated: accounts that an unanswered statement did make are there the next time. */
async function persist<Answer>(act: () => Promise<Answer>): Promise<Answer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await act()
    } catch (error) {
      if (!isUnavailable(error) || attempt === tries) throw error
      await sleep(250 * 2 ** attempt)
    }
  }
}
