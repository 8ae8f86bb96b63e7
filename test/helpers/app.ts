/** The whole service for a test: the real app on an embedded database, or on a database of its own of TEST_DATABASE_URL. */
import postgres from 'postgres'
import type { Test } from 'tap'
import { buildApp, type Service } from '../../src/app.js'
import { type Config, loadConfig } from '../../src/config.js'
import { type Database, openDatabase } from '../../src/store/database.js'
import { createEventStore } from '../../src/store/events.js'
import { migrateDatabase } from '../../src/store/migrate.js'
import { watchForCanaries } from './canaries.js'

export type TestService = Service & { config: Config; database: Database; logs: string[]; url: string | undefined }

export const testSecrets = {
  JWT_SECRET: 'g_EYu9r6uwlaU0fpwqZm3YPJbzBtPKXguh1fDbZ0TkE',
  REFRESH_TOKEN_SECRET: 'cmVmcmVzaC10b2tlbi1zZWNyZXQtb2YtdGhlLXRlc3Rz',
}

/** Hashes cheaply and limits neither requests nor tries, so that tests are about what they say. */
export const testEnvironment = {
  ...testSecrets,
  NODE_ENV: 'test',
  DATA_DIR: 'memory://',
  BCRYPT_COST: '4',
  RATE_LIMIT: 'off',
  GUESS_LIMIT: 'off',
  LOG_LEVEL: 'info',
}

let count = 0

/** Builds it with the given environment over the tests' own; it is closed, and its database dropped, when the test ends. */
export async function startApp(t: Test, overrides: Record<string, string> = {}): Promise<TestService> {
  const server = process.env.TEST_DATABASE_URL
  const scratch = server === undefined ? undefined : await createScratchDatabase(server)
  const config = loadConfig(
    { ...testEnvironment, ...(scratch ? onPostgres(scratch.url) : {}), ...overrides },
    'no-such-file',
  )
  const database = await openDatabase({
    url: config.databaseUrl,
    dataDir: config.dataDir,
    maxConnections: config.databasePool,
  })
  const logs: string[] = []
  const service = await buildApp(config, {
    database,
    version: '0.0.0',
    logStream: { write: line => void logs.push(line) },
  })
  await migrateDatabase(config.databaseUrl === undefined ? { database } : { url: config.databaseUrl })
  const canaries = watchForCanaries(service.app, secretsOf(config))
  t.teardown(async () => {
    await service.app.close()
    const leaks = [...canaries.told, ...canaries.findIn([...logs, ...(await recordsIn(database))])]
    if (leaks.length > 0) throw new Error(`secrets have leaked: ${leaks.slice(0, 5).join('; ')}`)
    await database.close()
    await scratch?.drop()
  })
  return { ...service, config, database, logs, url: scratch?.url }
}

const secretsOf = ({ accessKeys, refreshKeys, passwordPepper }: Config): string[] =>
  [accessKeys.current, ...accessKeys.others, refreshKeys.current, ...refreshKeys.others]
    .flatMap(({ signing }) => signing ?? [])
    .concat(passwordPepper ?? [])

/** Every event there is; none where a test has taken the database away. */
const recordsIn = async (database: Database): Promise<string[]> => {
  const events = await createEventStore(database.db)
    .page(0, 100_000)
    .catch(() => [])
  return events.map(({ record }) => record)
}

/**
 * Tests move rows in time by SQL and ask at once. PGlite has told the session cache by then; from Postgres the news takes
 * some milliseconds. What the cache does there is proved by test/slow/revocation.ts.
 */
export const onPostgres = (url: string) => ({ DATABASE_URL: url, SESSION_CACHE: 'off' })

async function createScratchDatabase(server: string): Promise<{ url: string; drop(): Promise<void> }> {
  const admin = postgres(server, { max: 1, onnotice: () => {} })
  count += 1
  const name = `gatehouse_test_${process.pid}_${count}`
  await admin.unsafe(`create database ${name}`)
  const url = new URL(server)
  url.pathname = `/${name}`
  return {
    url: url.href,
    drop: async () => {
      await admin.unsafe(`drop database ${name} with (force)`)
      await admin.end()
    },
  }
}
