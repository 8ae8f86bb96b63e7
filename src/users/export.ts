/** Writes every account as a line that the import takes. */
import type { ImportStore } from '../store/imports.js'
import { columns, toRecord } from './columns.js'
import type { Format } from './read.js'

export type ExportOptions = {
  store: Pick<ImportStore, 'page'>
  format: Format
  withHashes: boolean
}

const pageSize = 500

/** In the order of the accounts' numbers, so that importing gives out new numbers in the same order. A page is held at a time. */
export async function* exportUsers({ store, format, withHashes }: ExportOptions): AsyncGenerator<string> {
  const named = columns.filter(name => withHashes || name !== 'hash')
  if (format === 'csv') yield `${named.join(',')}\r\n`
  for (let after = 0; ; ) {
    const page = await store.page(after, pageSize)
    if (page.length === 0) return
    const records = page.map(account => toRecord(account, withHashes))
    yield records.map(record => (format === 'csv' ? toCsv(named, record) : `${JSON.stringify(record)}\n`)).join('')
    after = page.at(-1)?.number ?? after
  }
}

const toCsv = (names: readonly (keyof ReturnType<typeof toRecord>)[], record: ReturnType<typeof toRecord>): string =>
  `${names.map(name => toField(record[name])).join(',')}\r\n`

function toField(value: unknown): string {
  const text = value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
