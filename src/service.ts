/** The life of a running service: open the database, migrate, build, listen, clean up, drain, stop. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { FastifyBaseLogger } from 'fastify'
import { buildApp, type Service } from './app.js'
import type { Config } from './config.js'
import { createMetricsServer } from './operations/metrics.js'
import { type Database, openDatabase } from './store/database.js'
import { type MigrationOptions, migrateDatabase } from './store/migrate.js'

export type RunningService = {
  log: FastifyBaseLogger
  /** Where it listens, with the port that was found where 0 was asked. */
  address: string
  /** Ends it. `drain`: answers on for DRAIN_DELAY seconds, so that load balancers notice before the listener closes. */
  stop(options: { drain: boolean }): Promise<void>
}

/** How often sessions and revocations that are over are deleted. */
const sweepEveryMs = 600_000
const retryEveryMs = 1000

const version: string = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version

/** Starts the service. Throws DataDirInUse, MigrationFailed, and whatever keeps a port from being had. */
export async function startService(config: Config): Promise<RunningService> {
  let log: FastifyBaseLogger | undefined
  const database = await openDatabase({
    url: config.databaseUrl,
    dataDir: config.dataDir,
    maxConnections: config.databasePool,
    onTrouble: trouble => log?.warn(trouble, 'the connection to the database changed'),
  })
  try {
    const service = await buildApp(config, { database, version })
    log = service.app.log
    return await run(config, service, database)
  } catch (error) {
    // What was opened is given back, or the data folder would stay locked.
    await database.close()
    throw error
  }
}

async function run(config: Config, service: Service, database: Database): Promise<RunningService> {
  const { app } = service
  const { log } = app
  if (config.madeSecrets.length > 0)
    log.warn(`${config.madeSecrets.join(' and ')} not set: made once and kept in ${config.dataDir}/secrets.json`)
  if (config.production && config.publicUrl === undefined)
    log.warn(`PUBLIC_URL not set: services are told that this is ${config.issuer}`)
  if (config.migrateOnStart) await migrateAtStart(database, config.databaseUrl, log)

  const metricsServer = config.metricsPort === undefined ? undefined : createMetricsServer(service.metrics)
  if (metricsServer) await once(metricsServer.listen(config.metricsPort, config.host), 'listening')
  const address = await app.listen({
    host: config.host,
    port: config.port,
    listenTextResolver: where =>
      `Gatehouse listens on ${where}${config.docs ? `, documentation at ${where}/docs` : ''}`,
  })
  service.core.startMails()
  const sweeper = setInterval(() => void sweep(service), sweepEveryMs).unref()

  return {
    log,
    address,
    async stop({ drain }) {
      service.readiness.drain()
      if (drain) await sleep(config.drainDelay * 1000)
      clearInterval(sweeper)
      metricsServer?.close()
      await app.close()
      await database.close()
    },
  }
}

async function sweep({ app, core }: Service): Promise<void> {
  try {
    const deleted =
      (await core.sessions.sweep()) +
      (await core.revocations.sweep()) +
      (await core.verifications.sweep()) +
      (await core.guessing.sweep()) +
      (await core.events.sweep())
    if (deleted > 0) app.log.info({ deleted }, 'what was over is deleted')
    const head = await core.events.head()
    app.log.info({ event: 'audit_head', ...head }, 'the chain of events ends here: keep this line elsewhere')
  } catch (error) {
    app.log.warn({ err: error }, 'what is over could not be deleted')
  }
}

/** Migrates before the first request. Where Postgres is not there yet, the service starts without it, unready, and migrates when it comes. */
async function migrateAtStart(database: Database, url: string | undefined, log: FastifyBaseLogger): Promise<void> {
  const target = url === undefined ? { database } : { url }
  try {
    await migrateDatabase(target)
  } catch (error) {
    if (await isThere(database)) throw error
    log.warn(`${(error as Error).message} The service is not ready until it is there.`)
    void migrateWhenThere(database, target)
  }
}

/** What it throws nobody catches, on purpose: a service whose migration fails must not go on. */
async function migrateWhenThere(database: Database, target: MigrationOptions): Promise<void> {
  while (!(await isThere(database))) await sleep(retryEveryMs)
  await migrateDatabase(target)
}

const isThere = (database: Database): Promise<boolean> =>
  database.ping().then(
    () => true,
    () => false,
  )

const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms).unref())
