/** `npm run db:migrate`: brings the database to this release's schema and ends. For deployments that migrate before they start. */
import { ConfigError, loadConfig } from './config.js'
import { openDatabase } from './store/database.js'
import { migrateDatabase } from './store/migrate.js'

try {
  const { databaseUrl: url, dataDir } = loadConfig()
  const { applied } = url === undefined ? await migrateEmbedded(dataDir) : await migrateDatabase({ url })
  process.stdout.write(
    applied === 0 ? 'The database is up to date.\n' : `Applied ${applied} migration${applied === 1 ? '' : 's'}.\n`,
  )
} catch (error) {
  const plain =
    error instanceof ConfigError || (error instanceof Error && /^(MigrationFailed|DataDirInUse)$/.test(error.name))
  process.stderr.write(`${plain ? (error as Error).message : (error as Error).stack}\n`)
  process.exitCode = 1
}

async function migrateEmbedded(dataDir: string) {
  const database = await openDatabase({ dataDir })
  try {
    return await migrateDatabase({ database })
  } finally {
    await database.close()
  }
}
