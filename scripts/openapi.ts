/** Writes openapi.yaml from the routes' schemas; with --check it only says whether the file is what it would write. */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { buildApp } from '../src/app.js'
import { loadConfig } from '../src/config.js'
import { openapiYaml } from '../src/operations/docs.js'
import { openDatabase } from '../src/store/database.js'

const file = fileURLToPath(new URL('../openapi.yaml', import.meta.url))
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

const written = await describeService()
if (process.argv.includes('--check')) {
  if (readFileSync(file, 'utf8') !== written) {
    process.stderr.write('openapi.yaml is not what the routes say: run `npm run openapi` and commit it.\n')
    process.exitCode = 1
  }
} else {
  writeFileSync(file, written)
}

/** The document needs no database: the routes are registered, and none is called. */
async function describeService(): Promise<string> {
  const config = loadConfig(
    { DATA_DIR: 'memory://', BCRYPT_COST: '4', LOG_LEVEL: 'silent', CODVID_GET_UUID: 'on' },
    'no-such-file',
  )
  const database = await openDatabase({ dataDir: config.dataDir })
  const { app } = await buildApp(config, { database, version })
  await app.ready()
  const document = openapiYaml(app)
  await app.close()
  await database.close()
  return document
}
