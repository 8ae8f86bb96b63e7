/** An SDK as anybody would generate it from openapi.yaml: what it lets a program say, what it does not, and one whole journey. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { startApp } from '../helpers/app.js'

const journey = `
import createClient, { type Middleware } from 'openapi-fetch'
import type { components, paths } from './gatehouse.js'

type Tokens = components['schemas']['Tokens']

const client = createClient<paths>({ baseUrl: process.argv[2] ?? '' })
let tokens: Tokens | undefined
const bearer: Middleware = {
  onRequest({ request }) {
    if (tokens) request.headers.set('authorization', 'Bearer ' + tokens.access_token)
  },
}
client.use(bearer)

const email = 'ada@example.com'
const password = 'correct horse battery'
const story: Record<string, unknown> = {}

const registered = await client.POST('/auth/register', { body: { email, password, name: 'Ada' } })
story.registered = registered.data?.user.email

const taken = await client.POST('/auth/register', { body: { email, password } })
const detail: string | { msg: string; loc: string[] }[] | undefined = taken.error?.detail
story.taken = [taken.response.status, detail]

const refused = await client.POST('/auth/login', { body: { username: email, password: 'not her password' } })
if (refused.error) story.refused = [refused.response.status, refused.error.error, refused.error.error_description]

const loggedIn = await client.POST('/auth/login', {
  body: { grant_type: 'password', username: email, password },
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
})
tokens = loggedIn.data
story.loggedIn = [tokens?.token_type, tokens?.expires_in]

const first: Tokens | undefined = tokens
const refreshed = await client.POST('/auth/refresh', { body: { token: first?.refresh_token ?? '' } })
tokens = refreshed.data
story.refreshed = tokens !== undefined && tokens.refresh_token !== first?.refresh_token

const me = await client.GET('/auth/me')
const image: string | null | undefined = me.data?.image
story.me = [me.data?.name, me.data?.id, image]

const none = await client.GET('/api/user/profile')
story.none = [none.response.status, none.error?.code]

const written = await client.PUT('/api/user/profile', {
  body: { software_level: 'beginner', hardware_background: 'robotics' },
})
story.written = written.data?.software_level

const etag = written.response.headers.get('etag') ?? ''
const again = await client.GET('/api/user/profile', { params: { header: { 'if-none-match': etag } } })
story.again = again.response.status
const stale = await client.PATCH('/api/user/profile', {
  params: { header: { 'if-match': '"77"' } },
  body: { software_level: 'advanced' },
})
story.stale = [stale.response.status, stale.error?.code]

const details = await client.PUT('/api/user/personalization', { body: { hardwareBackground: { gpuFamiliarity: 'Basic' } } })
const gpu: 'None' | 'Basic' | 'Advanced' | undefined = details.data?.hardwareBackground?.gpuFamiliarity
story.details = [gpu, details.data?.softwareBackground]

const context = await client.GET('/api/personalization/context')
story.context = context.data?.user_context.personalization_notes

const page = await client.GET('/api/personalization/interactions', { params: { query: { limit: 1 } } })
story.page = page.data

const [device] = (await client.GET('/auth/sessions')).data ?? []
const unknown = await client.DELETE('/auth/sessions/{id}', { params: { path: { id: 'nobody' } } })
story.sessions = [device?.current, unknown.response.status]

const left = await client.POST('/auth/logout')
story.left = left.data?.detail
const outside = await client.GET('/auth/me')
story.outside = [outside.response.status, outside.response.headers.get('www-authenticate'), outside.error?.detail]

console.log(JSON.stringify(story))
`

/** One statement a line, and what TypeScript must say of it. */
const mistakes = [
  ["client.GET('/auth/whoami')", 'no such path'],
  ["client.GET('/auth/login')", 'no such method'],
  ["client.POST('/auth/register', { body: { email: 'ada@example.com' } })", 'no password'],
  ["client.POST('/auth/register', { body: { email: 'ada@example.com', password: 12345678 } })", 'a number'],
  ["client.POST('/auth/register')", 'no body'],
  [
    "client.PUT('/api/user/profile', { body: { software_level: 'guru', hardware_background: 'none' } })",
    'no such level',
  ],
  ["client.PATCH('/auth/me', { body: { name: null } })", 'a name that may not be null'],
  ["client.DELETE('/auth/sessions/{id}')", 'no parameter'],
  ["client.GET('/api/personalization/interactions', { params: { query: { limit: 'ten' } } })", 'a text'],
  ["(await client.GET('/auth/me')).data?.username", 'not answered'],
  ["(await client.GET('/auth/me')).data.email", 'data that may not be there'],
  ["(await client.GET('/auth/me')).data?.image?.at(0).length", 'an image that may be null'],
  ["(await client.GET('/auth/me')).error?.code", 'another door’s error'],
  ["(await client.GET('/api/user/profile')).error?.detail", 'another door’s error'],
] as const

const wrong = `import createClient from 'openapi-fetch'
import type { paths } from './gatehouse.js'
const client = createClient<paths>({ baseUrl: '' })
${mistakes.map(([statement]) => `await ${statement}`).join('\n')}
`

const settings = {
  compilerOptions: {
    target: 'es2023',
    module: 'nodenext',
    lib: ['es2023'],
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: true,
    noEmit: true,
  },
  include: ['*.ts'],
}

const openapi = fileURLToPath(new URL('../../openapi.yaml', import.meta.url))
const { resolve } = createRequire(import.meta.url)
const run = promisify(execFile)

/** Runs the program of a package by Node; its exit code and what it said. */
async function runBin(packageName: string, bin: string, args: string[], cwd: string) {
  const program = join(dirname(resolve(`${packageName}/package.json`)), bin)
  try {
    return { code: 0, ...(await run(process.execPath, [program, ...args], { cwd })) }
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string }
  }
}

const { app } = await startApp(t)
await app.listen({ host: '127.0.0.1', port: 0 })
const baseUrl = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`

const folder = t.testdir({
  'package.json': JSON.stringify({ type: 'module' }),
  'tsconfig.json': JSON.stringify(settings),
  'journey.ts': journey,
  'wrong.ts': wrong,
})

t.test('is generated from the file and from the running service alike', async t => {
  const generate = (from: string, to: string) =>
    runBin('openapi-typescript', 'bin/cli.js', [from, '-o', join(folder, to)], folder)
  const generated = await Promise.all([
    generate(openapi, 'gatehouse.d.ts'),
    generate(`${baseUrl}/openapi.yaml`, 'served.d.ts'),
  ])
  t.match(generated, [{ code: 0 }, { code: 0 }])
  const text = readFileSync(join(folder, 'gatehouse.d.ts'), 'utf8')
  t.equal(readFileSync(join(folder, 'served.d.ts'), 'utf8'), text)
})

t.test('compiles a right program, and no wrong one', async t => {
  const { code, stdout } = await runBin('typescript', 'bin/tsc', ['-p', '.', '--pretty', 'false'], folder)
  const errors = [...stdout.matchAll(/^(\w+)\.ts\((\d+),\d+\): error (TS\d+): (.*)$/gm)]
  t.not(code, 0)
  t.strictSame(
    errors.filter(([, file]) => file !== 'wrong').map(([line]) => line),
    [],
    'the journey compiles',
  )
  for (const [index, [statement, reason]] of mistakes.entries()) {
    const said = errors.filter(([, file, line]) => file === 'wrong' && Number(line) === index + 4)
    t.ok(said.length > 0, `${reason}: ${statement}`)
    t.comment(said.map(([, , , code, text]) => `${code} ${text}`).join('; '))
  }
})

t.test('makes the whole journey', async t => {
  const args = ['--import', import.meta.resolve('tsx'), 'journey.ts', baseUrl]
  // Ended from outside if it hangs on a connection that an answer has not left free.
  const { stdout } = await run(process.execPath, args, { cwd: folder, timeout: 60_000 })
  t.strictSame(JSON.parse(stdout), {
    registered: 'ada@example.com',
    taken: [400, 'Email already registered'],
    refused: [401, 'invalid_grant', 'Incorrect email or password'],
    loggedIn: ['bearer', 1800],
    refreshed: true,
    me: ['Ada', 1, null],
    none: [404, 'PROFILE_NOT_FOUND'],
    written: 'beginner',
    again: 304,
    stale: [412, 'PRECONDITION_FAILED'],
    details: ['Basic', null],
    context:
      'User is a beginner in software development with robotics experience. Provide simplified explanations with robotics examples where applicable. User has basic knowledge of GPU computing.',
    page: { interactions: [], next_cursor: null },
    sessions: [true, 404],
    left: 'Logged out',
    outside: [401, 'Bearer error="invalid_token"', 'Could not validate credentials'],
  })
})
