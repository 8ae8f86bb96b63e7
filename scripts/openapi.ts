/** Writes openapi.yaml, or the file named, from the routes' schemas; with --check it only says whether they agree. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildApp } from '../src/app.js'
import { loadConfig } from '../src/config.js'
import { openapiYaml } from '../src/operations/docs.js'
import { openDatabase } from '../src/store/database.js'

const { values, positionals } = parseArgs({ options: { check: { type: 'boolean' } }, allowPositionals: true })
const [file = fileURLToPath(new URL('../openapi.yaml', import.meta.url))] = positionals
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

const written = await describeService()
if (!values.check) writeFileSync(file, written)
else if (!existsSync(file) || readFileSync(file, 'utf8') !== written) {
  process.stderr.write(`${file} is not what the routes say: run \`npm run openapi\` and commit what it writes.\n`)
  process.exitCode = 1
}

/** Registers every route there can be and calls none, so the database it names is never asked. */
async function describeService(): Promise<string> {
  const config = loadConfig(
    {
      DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none',
      DATA_DIR: 'memory://',
      LOG_LEVEL: 'silent',
      CODVID_GET_UUID: 'on',
    },
    'no-such-file',
  )
  const database = await openDatabase({ url: config.databaseUrl, dataDir: config.dataDir })
  const { app } = await buildApp(config, { database, version })
  await app.ready()
  const document = openapiYaml(app)
  await app.close()
  await database.close()
  return document
}
