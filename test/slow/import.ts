/**
 * 100,000 users out of one file into a real Postgres: interrupted half way, run again, exported, and imported into another
 * database; and what memory that takes. Exits with 1 where somebody is lost or memory grows with the number of users.
 */
import assert from 'node:assert/strict'
import { createReadStream, createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import bcrypt from 'bcrypt'
import { createHashCheck } from '../../src/core/passwords.js'
import { openDatabase } from '../../src/store/database.js'
import { createImportStore } from '../../src/store/imports.js'
import { migrateDatabase } from '../../src/store/migrate.js'
import { exportUsers } from '../../src/users/export.js'
import { type Counts, importUsers } from '../../src/users/import.js'
import type { Format } from '../../src/users/read.js'
import { startPostgres } from '../helpers/postgres.js'

const users = 100_000
/** Every so many-th line is one that must be refused: it repeats the address before it. */
const doubleEvery = 1000
const doubles = users / doubleEvery
/** What the collector may leave lying about between the first fifth and the end; the file has some 40 MB. */
const allowedGrowth = 48 * 1024 * 1024

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-import-'))
const cluster = await startPostgres()
try {
  const file = join(folder, 'users.ndjson')
  await pipeline(Readable.from(generate()), createWriteStream(file))
  console.log(`measured: a file of ${users + doubles} lines, ${megabytes(statSync(file).size)}`)
  await testImport(file)
} finally {
  await cluster.remove()
  rmSync(folder, { recursive: true })
}

async function testImport(file: string): Promise<void> {
  const first = await openNew()
  const controller = new AbortController()
  const part = await run(
    first.store,
    file,
    'ndjson',
    counts => counts.read > users / 4 && controller.abort(),
    controller,
  )
  assert.ok(part.made > 0 && part.made < users / 2, 'it was interrupted')
  const rest = await run(first.store, file, 'ndjson')
  assert.deepEqual(
    [part.made + rest.made, rest.there, rest.refused],
    [users, part.made, doubles],
    'nobody is lost, or taken twice',
  )

  for (const format of ['ndjson', 'csv'] as const) {
    const copy = join(folder, `copy.${format}`)
    const started = performance.now()
    await pipeline(
      Readable.from(exportUsers({ store: first.store, format, withHashes: true })),
      createWriteStream(copy),
    )
    console.log(`measured: export as ${format}: ${rate(users, started)}, RSS ${megabytes(process.memoryUsage().rss)}`)
    const other = await openNew()
    const counts = await run(other.store, copy, format)
    assert.deepEqual(counts, { read: users, made: users, there: 0, refused: 0 })
    await other.close()
  }
  await first.close()
}

async function openNew() {
  const url = await cluster.newDatabase()
  await migrateDatabase({ url })
  const database = await openDatabase({ url, dataDir: '', maxConnections: 1 })
  return { store: createImportStore(database.db), close: database.close }
}

async function run(
  store: ReturnType<typeof createImportStore>,
  file: string,
  format: Format,
  onCounts: (counts: Counts) => void = () => {},
  controller = new AbortController(),
): Promise<Counts> {
  const before = process.memoryUsage().rss
  const started = performance.now()
  let early = 0
  let most = 0
  const counts = await importUsers({
    source: createReadStream(file),
    format,
    store,
    rules: { isUsable: createHashCheck(undefined) },
    onRefused: () => {},
    onProgress: progress => {
      const { rss } = process.memoryUsage()
      if (progress.read < users / 5) early = Math.max(early, rss)
      most = Math.max(most, rss)
      onCounts(progress)
    },
    signal: controller.signal,
  })
  console.log(
    `measured: import from ${format}: ${counts.read} read, ${counts.made} taken, ${rate(counts.read, started)}, ` +
      `RSS ${megabytes(before)} before, ${megabytes(early)} in the first fifth, ${megabytes(most)} at most`,
  )
  assert.ok(most - early < allowedGrowth, 'memory does not grow with the number of users')
  return counts
}

async function* generate(): AsyncGenerator<string> {
  const hash = await bcrypt.hash('correct horse battery', 4)
  for (let index = 0; index < users; index += 1) {
    const email = `user${index}@example.com`
    const line = JSON.stringify({
      email,
      email_verified: index % 2 === 0,
      name: `User ${index}`,
      hash,
      created: new Date(1_500_000_000_000 + index * 1000).toISOString(),
      personal_info: { city: 'Karachi', note: 'x'.repeat(100) },
      ...(index % 3 === 0 && { software_level: 'beginner', software_details: { primaryLanguages: ['Python'] } }),
    })
    yield `${line}\n`
    if (index % doubleEvery === 0) yield `${JSON.stringify({ email })}\n`
  }
}

function rate(count: number, started: number): string {
  return `${Math.round((1000 * count) / (performance.now() - started))} users a second`
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MB`
}
