#!/usr/bin/env node
/** `gatehouse users import`, `gatehouse users export` and `gatehouse audit verify`: the operator's commands, on the service's own configuration and database. */
import { createReadStream } from 'node:fs'
import { type FileHandle, open, readFile, realpath, stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'
import { verifyChain } from './audit/verify.js'
import { type Config, ConfigError, loadConfig } from './config.js'
import { createEvents } from './core/events.js'
import { createHashCheck } from './core/passwords.js'
import { systemSources } from './core/sources.js'
import { type Database, isUnavailable, openDatabase, safeErrorFields } from './store/database.js'
import { createEventStore } from './store/events.js'
import { createImportStore } from './store/imports.js'
import { migrateDatabase, pendingMigrations } from './store/migrate.js'
import { exportUsers } from './users/export.js'
import { type FirebaseProject, parseFirebaseProject } from './users/hashes.js'
import { type Counts, importUsers, type Refused } from './users/import.js'
import { createProgress } from './users/progress.js'
import { type Format, formats } from './users/read.js'

const exitCodes = { done: 0, someRefused: 1, broken: 1, unusable: 2, stopped: 3 } as const

const help = `Usage:
  gatehouse users import FILE [--format ndjson|csv] [--dry-run] [--report FILE] [--firebase-config FILE]
  gatehouse users export [--format ndjson|csv] [--with-hashes] > FILE
  gatehouse audit verify [--head SEQ:HASH]

All use the service's configuration: the environment and .env, and so DATABASE_URL or DATA_DIR.
The embedded database belongs to one process: stop the service first. Postgres may be in use.

import  takes the accounts of FILE that are not there yet, and changes none that is. Interrupted, it is run again.
  --format           ndjson or csv, where the name of the file does not tell
  --dry-run          writes nothing, and tells what would become of each line
  --report           writes every refused line there, as {"line","email","reason"} a line
  --firebase-config  the password hash parameters, as Firebase's console shows them

export  writes every account, in the form that import takes.
  --format           ndjson (which it is unless told) or csv
  --with-hashes      the password hashes too: whoever has the file can try passwords on them

verify  goes along the chain of events, and says whether any was changed, deleted or put in.
  --head             an end of the chain that was kept elsewhere, from a log line "audit_head": it must be part of it

Ends with 0: all is well; 1: lines were refused, or the chain is broken; 2: options, configuration or file cannot be used; 3: stopped before the end.
docs/importing-users.md has the columns and the hashes.
`

/** What the operator can mend, in one sentence. */
class Unusable extends Error {
  override readonly name = 'Unusable'
}

async function main(given: string[]): Promise<number> {
  const { values, positionals } = parse(given)
  const [subject, verb, file, ...rest] = positionals
  if (values.help || positionals.length === 0) {
    process.stdout.write(help)
    return exitCodes.done
  }
  if (subject === 'users' && verb === 'import' && file !== undefined && rest.length === 0) {
    refuseOptions(values, ['with-hashes', 'head'], 'import')
    return importFile(file, values)
  }
  if (subject === 'users' && verb === 'export' && file === undefined) {
    refuseOptions(values, ['dry-run', 'report', 'firebase-config', 'head'], 'export')
    return exportAll(values)
  }
  if (subject === 'audit' && verb === 'verify' && file === undefined) {
    refuseOptions(values, ['format', 'dry-run', 'report', 'firebase-config', 'with-hashes'], 'verify')
    return verifyEvents(values)
  }
  throw new Unusable(`There is no such command.\n\n${help}`)
}

type Options = ReturnType<typeof parse>['values']

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        format: { type: 'string' },
        'dry-run': { type: 'boolean' },
        report: { type: 'string' },
        'firebase-config': { type: 'string' },
        'with-hashes': { type: 'boolean' },
        head: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    throw new Unusable(`${(error as Error).message}\n\n${help}`)
  }
}

function refuseOptions(values: Options, names: (keyof Options)[], verb: string): void {
  const strange = names.find(name => values[name] !== undefined)
  if (strange) throw new Unusable(`--${strange} is no option of ${verb}.`)
}

// ---------------------------------------------------------------------------------------------------------- Import

/** Refused lines that are shown where there is no report. */
const mostShown = 20

async function importFile(file: string, options: Options): Promise<number> {
  const format = toFormat(options.format ?? /\.(csv|ndjson|jsonl)$/i.exec(file)?.[1]?.toLowerCase())
  const { size } = await stat(file).catch(cannotRead(file))
  const firebase = await readFirebase(options['firebase-config'])
  const config = loadConfig()
  const report = await openReport(options.report, file)
  const dryRun = options['dry-run'] ?? false
  try {
    return await withDatabase(config, { mayMigrate: !dryRun }, async database => {
      const source = createReadStream(file)
      const progress = createProgress({ out: process.stderr, size, bytesRead: () => source.bytesRead })
      const isUsable = createHashCheck(config.passwordPepper)
      const interruption = onInterruption()
      let last: Counts = { read: 0, made: 0, there: 0, refused: 0 }
      let refused = 0
      const onRefused = async (line: Refused): Promise<void> => {
        refused += 1
        if (report) return writeLine(report, line)
        if (refused > mostShown) return
        progress.end()
        process.stderr.write(`${inWords(line)}\n`)
        if (refused === mostShown) process.stderr.write('More are not shown: --report FILE has them all.\n')
      }
      const onProgress = (counts: Counts): void => {
        last = counts
        progress.show(counts)
      }
      try {
        const store = createImportStore(database.db)
        const rules = { firebase, isUsable }
        last = await importUsers({ source, format, store, rules, dryRun, onRefused, onProgress, ...interruption })
      } finally {
        progress.end()
        process.stdout.write(`${summary(last, dryRun)}\n`)
        if (report && refused > 0) process.stdout.write(`The refused lines are in ${options.report}.\n`)
      }
      if (!dryRun) await recordAct(config, database, 'users_imported', last)
      if (interruption.signal.aborted) {
        process.stderr.write('Interrupted. The same command, given again, goes on from there.\n')
        return exitCodes.stopped
      }
      return refused > 0 ? exitCodes.someRefused : exitCodes.done
    })
  } finally {
    await report?.close()
  }
}

const summary = ({ read, made, there, refused }: Counts, dryRun: boolean): string =>
  dryRun
    ? `Dry run, nothing written: of ${read} read, ${made} would be taken, ${there} are already there, ${refused} would be refused.`
    : `${read} read: ${made} taken, ${there} already there, ${refused} refused.`

const inWords = ({ line, email, reason }: Refused): string =>
  // What a file holds may hold control characters, and this goes to a terminal.
  `line ${line}${email === undefined ? '' : ` (${email.replaceAll(/\p{C}/gu, '?')})`}: ${reason.replaceAll(/\p{C}/gu, '?')}`

async function writeLine(report: FileHandle, line: Refused): Promise<void> {
  await report.write(`${JSON.stringify(line)}\n`)
}

/** It names people, so it is for the operator's eyes. */
async function openReport(path: string | undefined, input: string): Promise<FileHandle | undefined> {
  if (path === undefined) return undefined
  const [existing, source] = await Promise.all([realpath(path).catch(() => undefined), realpath(input)])
  if (existing === source) throw new Unusable('The report would overwrite the file that is to be imported.')
  return open(path, 'w', 0o600).catch(() => {
    throw new Unusable(`${path} cannot be written.`)
  })
}

async function readFirebase(path: string | undefined): Promise<FirebaseProject | undefined> {
  if (path === undefined) return undefined
  const project = parseFirebaseProject(await readFile(path, 'utf8').catch(cannotRead(path)))
  if (!project)
    throw new Unusable(`${path} must have base64_signer_key, base64_salt_separator, rounds and mem_cost of a project.`)
  return project
}

/** The first signal ends the import after the batch under way; a second one ends the process. */
function onInterruption(): { signal: AbortSignal } {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => controller.abort())
  return { signal: controller.signal }
}

// ---------------------------------------------------------------------------------------------------------- Export

async function exportAll(options: Options): Promise<number> {
  const format = toFormat(options.format ?? 'ndjson')
  const withHashes = options['with-hashes'] ?? false
  const config = loadConfig()
  return withDatabase(config, { mayMigrate: false }, async database => {
    await recordAct(config, database, 'users_exported', { with_hashes: withHashes })
    const lines = exportUsers({ store: createImportStore(database.db), format, withHashes })
    await pipeline(Readable.from(lines), process.stdout, { end: false })
    return exitCodes.done
  })
}

// ---------------------------------------------------------------------------------------------------------- Events

async function verifyEvents({ head }: Options): Promise<number> {
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(head ?? '') ?? []
  if (head !== undefined && hash === undefined) throw new Unusable('--head must be a number, a colon and 64 digits.')
  const noted = seq === undefined || hash === undefined ? undefined : { seq: Number(seq), hash }
  return withDatabase(loadConfig(), { mayMigrate: false }, async database => {
    const verdict = await verifyChain(createEventStore(database.db), noted)
    if (!verdict.holds) {
      process.stdout.write(`The chain of events is broken at ${verdict.seq}: ${verdict.fault}.\n`)
      return exitCodes.broken
    }
    const since = verdict.first ? `, the first of ${verdict.first.at.toISOString()}` : ''
    process.stdout.write(`${verdict.count} events${since}: the chain holds.\n`)
    process.stdout.write(`It ends at ${verdict.head.seq}:${verdict.head.hash}\n`)
    return exitCodes.done
  })
}

/** What an operator does is an event like any other. */
async function recordAct(
  config: Config,
  database: Database,
  kind: 'users_imported' | 'users_exported',
  detail: Record<string, number | boolean>,
): Promise<void> {
  let failure: unknown
  const events = createEvents({
    store: createEventStore(database.db),
    sources: systemSources,
    secrets: config.cookieSecrets,
    retention: config.auditRetention,
    onEvent: () => {},
    onFailure: error => {
      failure = error
    },
    isUnavailable,
  })
  events.record({ kind, visit: { door: 'cli', requestId: '-', userAgent: null, ipAddress: null }, detail })
  await events.close()
  if (failure !== undefined) throw failure
}

// ---------------------------------------------------------------------------------------------------------- All

function toFormat(given: string | undefined): Format {
  const name = given === 'jsonl' ? 'ndjson' : given
  const format = formats.find(known => known === name)
  if (!format) throw new Unusable('--format must be ndjson or csv.')
  return format
}

const cannotRead =
  (path: string) =>
  (error: unknown): never => {
    throw new Unusable(`${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`)
  }

async function withDatabase(
  { databaseUrl: url, dataDir, migrateOnStart }: Config,
  { mayMigrate }: { mayMigrate: boolean },
  act: (database: Database) => Promise<number>,
): Promise<number> {
  const database = await openDatabase({ url, dataDir, maxConnections: 1 })
  try {
    if (mayMigrate && migrateOnStart) await migrateDatabase(url === undefined ? { database } : { url })
    const missing = await pendingMigrations(database)
    if (missing > 0)
      throw new Unusable(`The database lacks ${missing} migrations: start the service once, or run npm run db:migrate.`)
    return await act(database)
  } finally {
    await database.close()
  }
}

/** Says what ended it. An error of the database may repeat rows, with their hashes, so only names of it are told. */
function tell(error: unknown): number {
  const { name, message } = error as Error
  if (name === 'DataDirInUse') {
    process.stderr.write(`${message}\nThe embedded database belongs to one process: stop the service first.\n`)
    return exitCodes.unusable
  }
  if (error instanceof ConfigError || ['Unusable', 'UnreadableFile', 'MigrationFailed'].includes(name)) {
    process.stderr.write(`${message}\n`)
    return exitCodes.unusable
  }
  // Whoever reads the export has had enough of it.
  if ((error as NodeJS.ErrnoException).code === 'EPIPE') return exitCodes.stopped
  const fields = safeErrorFields(error)
  process.stderr.write(
    isUnavailable(error)
      ? `The database is not available (${fields.code}). The same command, given again, goes on from there.\n`
      : `Something is broken: ${JSON.stringify(fields)}\n`,
  )
  return exitCodes.stopped
}

process.exitCode = await main(process.argv.slice(2)).catch(tell)
