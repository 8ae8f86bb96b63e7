/** Import files, read line by line in constant memory: NDJSON, and CSV as RFC 4180 has it. */

export type Format = 'ndjson' | 'csv'

export const formats: readonly Format[] = ['ndjson', 'csv']

/** One user of the file: members as the file has them, in CSV all of them text; or why there is none. */
export type Entry = { line: number } & ({ record: Record<string, unknown> } | { reason: string })

/** The file as a whole cannot be used, or not beyond this line. */
export class UnreadableFile extends Error {
  override readonly name = 'UnreadableFile'
}

/** A user has some hundred bytes; what is longer is a file of another kind, or a quote that nobody closed. */
export const longestLine = 65_536

export function readEntries(
  source: AsyncIterable<Uint8Array>,
  format: Format,
  columns: readonly string[],
): AsyncGenerator<Entry> {
  return format === 'csv' ? readCsv(source, columns) : readNdjson(source)
}

// ---------------------------------------------------------------------------------------------------------- Lines

type Line = { number: number; text: string; fault?: string }

const newline = 0x0a
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const lenient = new TextDecoder('utf-8', { ignoreBOM: true })

/** Lines without their newline. One that is too long is never held as a whole. */
async function* readLines(source: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  let parts: Uint8Array[] = []
  let size = 0
  let number = 1

  const add = (part: Uint8Array): void => {
    size += part.length
    if (size <= longestLine) parts.push(part)
    else parts = []
  }
  const take = (): Line => {
    const bytes = Buffer.concat(parts)
    const line = size > longestLine ? tooLong(number) : decode(bytes, number)
    parts = []
    size = 0
    number += 1
    return line
  }

  for await (const chunk of source) {
    let start = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      add(chunk.subarray(start, end))
      yield take()
      start = end + 1
    }
    // A copy: the stream's buffer is kept alive by the smallest piece of it.
    if (start < chunk.length) add(chunk.slice(start))
  }
  if (size > 0) yield take()
}

const tooLong = (number: number): Line => ({ number, text: '', fault: `the line is longer than ${longestLine} bytes` })

function decode(bytes: Buffer, number: number): Line {
  const content = number === 1 ? withoutMark(bytes) : bytes
  try {
    return { number, text: strict.decode(content) }
  } catch {
    // Its structure is still of use: a quoted field may go on in the next line.
    return { number, text: lenient.decode(content), fault: 'the line is not UTF-8' }
  }
}

/** Drops the byte order mark that Excel and others put first. */
function withoutMark(bytes: Buffer): Buffer {
  const [first, second, third] = bytes
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))
    throw new UnreadableFile('The file is UTF-16. Save it as UTF-8.')
  return first === 0xef && second === 0xbb && third === 0xbf ? bytes.subarray(3) : bytes
}

// ---------------------------------------------------------------------------------------------------------- NDJSON

async function* readNdjson(source: AsyncIterable<Uint8Array>): AsyncGenerator<Entry> {
  for await (const { number: line, text, fault } of readLines(source)) {
    if (fault !== undefined) yield { line, reason: fault }
    else if (text.trim() !== '') yield { line, ...parseObject(text) }
  }
}

function parseObject(text: string): { record: Record<string, unknown> } | { reason: string } {
  try {
    const value: unknown = JSON.parse(text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? { record: value as Record<string, unknown> } : { reason: 'the line is no JSON object' }
  } catch {
    return { reason: 'the line is no JSON' }
  }
}

// ---------------------------------------------------------------------------------------------------------- CSV

async function* readCsv(source: AsyncIterable<Uint8Array>, columns: readonly string[]): AsyncGenerator<Entry> {
  let header: string[] | undefined
  for await (const { line, ...row } of readRows(source)) {
    if (header) yield { line, ...toRecord(header, row) }
    else header = toHeader(row, columns)
  }
  if (!header) throw new UnreadableFile('The file is empty: a CSV file begins with the names of its columns.')
}

function toHeader(row: Row, columns: readonly string[]): string[] {
  if ('reason' in row) throw new UnreadableFile(`The first line, with the names of the columns: ${row.reason}.`)
  const names = row.fields.map(name => name.trim())
  const unknown = names.filter(name => !columns.includes(name))
  // A column that nobody reads would be lost, and a misspelt one too.
  if (unknown.length > 0)
    throw new UnreadableFile(`Unknown columns: ${unknown.join(', ').slice(0, 200)}. Known: ${columns.join(', ')}.`)
  if (new Set(names).size < names.length) throw new UnreadableFile('A column is named twice.')
  return names
}

/** An empty field counts as one that is not there. */
function toRecord(header: string[], row: Row): { record: Record<string, unknown> } | { reason: string } {
  if ('reason' in row) return row
  const { fields } = row
  if (fields.length !== header.length)
    return { reason: `the line has ${fields.length} fields, and ${header.length} columns are named` }
  return {
    record: Object.fromEntries(header.map((name, index) => [name, fields[index]]).filter(([, text]) => text !== '')),
  }
}

type Row = { fields: string[] } | { reason: string }

async function* readRows(source: AsyncIterable<Uint8Array>): AsyncGenerator<{ line: number } & Row> {
  let open: { line: number; row: RowParser; size: number; fault: string | undefined } | undefined
  for await (const { number, text, fault } of readLines(source)) {
    if (!open && fault === undefined && (text === '' || text === '\r')) continue
    open ??= { line: number, row: createRowParser(), size: 0, fault: undefined }
    open.fault ??= fault
    open.size += text.length + 1
    if (open.size > longestLine) throw unclosed(open.line)
    const row = open.row(text)
    if (!row) continue
    yield { line: open.line, ...(open.fault === undefined ? row : { reason: open.fault }) }
    open = undefined
  }
  if (open) throw unclosed(open.line)
}

/** Where it should have been closed nobody can know, so nothing after it can be told from what it holds. */
const unclosed = (line: number): UnreadableFile =>
  new UnreadableFile(`A quote that is opened on line ${line} is never closed. Nothing from there on was read.`)

/** Takes one line after the other; answers with the row when it is whole. */
type RowParser = (line: string) => Row | undefined

function createRowParser(): RowParser {
  const fields: string[] = []
  let field: string | undefined

  return line => {
    let at = 0
    for (;;) {
      if (field !== undefined || line[at] === '"') {
        if (field === undefined) at += 1
        const { text, end } = quotedPart(line, at)
        field = (field === undefined ? '' : `${field}\n`) + text
        if (end < 0) return undefined
        at = end
        const next = line.slice(at, at + 1)
        if (next !== ',' && next !== '' && line.slice(at) !== '\r')
          return { reason: 'a quoted field is followed by something else than a comma' }
        fields.push(field)
        field = undefined
      } else {
        const comma = line.indexOf(',', at)
        const text = comma < 0 ? line.slice(at).replace(/\r$/, '') : line.slice(at, comma)
        if (text.includes('"')) return { reason: 'there is a quote inside a field that does not begin with one' }
        fields.push(text)
        at += comma < 0 ? line.length : text.length
      }
      if (line[at] !== ',') return { fields }
      at += 1
    }
  }
}

/** The text up to the quote that closes it, and where that ends; -1: it is not closed on this line. */
function quotedPart(line: string, from: number): { text: string; end: number } {
  let text = ''
  for (let start = from; ; ) {
    const quote = line.indexOf('"', start)
    if (quote < 0) return { text: text + line.slice(start), end: -1 }
    text += line.slice(start, quote)
    if (line[quote + 1] !== '"') return { text, end: quote + 1 }
    text += '"'
    start = quote + 2
  }
}
