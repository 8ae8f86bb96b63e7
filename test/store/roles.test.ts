/** The two roles of docs/database-roles.md: the service runs with one that can read and write rows and nothing else. */
import { readFileSync } from 'node:fs'
import postgres from 'postgres'
import t from 'tap'
import { buildApp } from '../../src/app.js'
import { loadConfig } from '../../src/config.js'
import { openDatabase } from '../../src/store/database.js'
import { migrateDatabase } from '../../src/store/migrate.js'
import { bearer, createKnock, entrances, newPerson, password } from '../dialects/doors.js'
import { onPostgres, testEnvironment } from '../helpers/app.js'

const server = process.env.TEST_DATABASE_URL
const needsPostgres = server === undefined ? { skip: 'TEST_DATABASE_URL is not set' } : {}

const name = `gatehouse_roles_${process.pid}`
const page = readFileSync(new URL('../../docs/database-roles.md', import.meta.url), 'utf8')
const [inAnyDatabase = '', inTheNew = ''] = [...page.matchAll(/```sql\n(.+?)```/gs)].map(([, block = '']) =>
  block.replaceAll('gatehouse', name),
)

const urlFor = (role: string | undefined, database: string): string => {
  const url = new URL(server ?? 'postgres://nowhere')
  if (role !== undefined) url.username = role
  if (role !== undefined) url.password = role.endsWith('app') ? 'of the one that serves' : 'of the one that migrates'
  url.pathname = `/${database}`
  return url.href
}

const connect = (url: string) => postgres(url, { max: 1, onnotice: () => {} })

t.test('A-09 the service needs no right but to read and write rows', needsPostgres, async t => {
  const admin = connect(server ?? '')
  for (const statement of inAnyDatabase.split(';\n')) if (statement.trim()) await admin.unsafe(statement)
  t.teardown(async () => {
    await admin.unsafe(`drop database ${name} with (force)`)
    await admin.unsafe(`drop role ${name}_app`)
    await admin.unsafe(`drop role ${name}_migrator`)
    await admin.end()
  })
  const owner = connect(urlFor(undefined, name))
  await owner.unsafe(inTheNew)
  await owner.end()
  await migrateDatabase({ url: urlFor(`${name}_migrator`, name) })

  const url = urlFor(`${name}_app`, name)
  const config = loadConfig(
    { ...testEnvironment, ...onPostgres(url), SESSION_CACHE: 'on', LOG_LEVEL: 'error' },
    'no-such-file',
  )
  const database = await openDatabase({ url, dataDir: config.dataDir })
  const logs: string[] = []
  const { app, core } = await buildApp(config, {
    database,
    version: '0.0.0',
    logStream: { write: line => logs.push(line) },
  })
  const knock = createKnock(app)
  t.match(await knock('GET', '/readyz'), { status: 200, body: { checks: { database: 'ok', migrations: 'ok' } } })

  for (const { url, ask, way, status } of entrances) {
    const person = newPerson()
    if (way === 'login') await knock('POST', '/auth/register', { json: person })
    t.equal((await knock('POST', url, { json: ask(person) })).status, status, url)
  }
  const person = newPerson()
  const { body } = await knock('POST', '/auth/register', { json: person })
  const headers = bearer(body.access_token)
  const levels = { software_level: 'beginner', hardware_background: 'robotics' }
  const life: [string, string, object | undefined, number][] = [
    ['PUT', '/api/user/profile', levels, 200],
    ['POST', '/api/personalization/interactions', { content_type: 'lesson' }, 201],
    ['GET', '/api/personalization/interactions', undefined, 200],
    ['PATCH', '/auth/me', { name: 'Ada' }, 200],
    ['POST', '/auth/refresh', { token: body.refresh_token }, 200],
    ['POST', '/api/auth/revoke-other-sessions', {}, 200],
    ['DELETE', '/auth/me', { password }, 204],
  ]
  for (const [method, path, json, status] of life)
    t.equal((await knock(method, path, { json, headers })).status, status, `${method} ${path}`)
  await core.sessions.sweep()
  await core.revocations.sweep()
  await core.verifications.sweep()
  await app.close()
  await database.close()
  t.strictSame(logs, [])

  const service = connect(url)
  for (const statement of [
    'create table more (x integer)',
    'create schema more',
    'create temporary table more (x integer)',
    'alter table accounts add column more text',
    'alter table accounts disable trigger all',
    'drop table sessions',
    'truncate sessions',
    'drop trigger sessions_ended on sessions',
    "create or replace function announce(news text) returns void language sql as ''",
    "create function more() returns void language sql as ''",
    'create role more',
    'create database more',
    'delete from drizzle.__drizzle_migrations',
    "copy accounts to program 'cat'",
    `set role ${name}_migrator`,
  ])
    await t.rejects(service.unsafe(statement), { code: '42501' }, statement)
  await service.end()
})
