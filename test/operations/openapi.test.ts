/** The OpenAPI document: that it leaves nothing out, that its examples are true, and that what is answered is in it. */
import { execFile } from 'node:child_process'
import { subscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { sql } from 'drizzle-orm'
import type { FastifyInstance, LightMyRequestResponse, RouteOptions } from 'fastify'
import t from 'tap'
import { parse } from 'yaml'
import { createLinkTokens } from '../../src/core/verifications.js'
import { rowsOf } from '../dialects/doors.js'
import { startApp, testSecrets } from '../helpers/app.js'

type Schema = Record<string, unknown> & { $ref?: string; examples?: unknown[]; properties?: Record<string, Schema> }
type Media = { schema: Schema; example?: unknown; examples?: Record<string, { value: unknown }> }
type Parameter = {
  name: string
  in: string
  required: boolean
  description?: string
  example?: unknown
  schema: Schema
}
type Response = { description: string; headers?: Record<string, unknown>; content?: Record<string, Media> }
type Operation = {
  operationId: string
  summary: string
  tags: string[]
  security: Record<string, string[]>[]
  parameters?: Parameter[]
  requestBody?: { required: boolean; content: Record<string, Media> }
  responses: Record<string, Response>
}
type Document = {
  tags: { name: string }[]
  paths: Record<string, Record<string, Operation>>
  components: {
    schemas: Record<string, Schema>
    responses: Record<string, Response>
    securitySchemes: Record<string, { type: string }>
  }
}

type Located = ReturnType<typeof locate>
type Validator = (pointer: string) => ValidateFunction

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))

/** Routes as Fastify itself is told of them, whatever the document says. */
const routes: RouteOptions[] = []
subscribe('fastify.initialization', message => {
  const { fastify } = message as { fastify: FastifyInstance }
  fastify.addHook('onRoute', route => void routes.push(route))
})

const client = 'api:zK3vQ8wLr1Yt6Np4Xb9Hs2Dm7Gf5Jc0AeUiOoTqRyWx'
const { app, database } = await startApp(t, {
  CODVID_GET_UUID: 'on',
  SERVICE_CLIENTS: client,
  // Nobody listens there: what is written waits, and that is all that is asked here.
  SMTP_URL: 'smtp://127.0.0.1:9',
  MAIL_FROM: 'no-reply@acme.test',
})
const document = (await app.inject('/openapi.json')).json<Document>()
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    path,
    method,
    pointer: `#/paths/${toPointer(path)}/${method}`,
    operation,
    responses: Object.entries(operation.responses).map(([status, given]) => locate(status, given, path, method)),
  })),
)

/** Follows the `$ref` of a shared answer, and tells where its schemas stand. */
function locate(status: string, given: Response & { $ref?: string }, path: string, method: string) {
  const name = given.$ref?.split('/').at(-1)
  const response = name === undefined ? given : document.components.responses[name]
  if (!response) throw new Error(`${given.$ref} leads nowhere`)
  return { status, response, pointer: given.$ref ?? `#/paths/${toPointer(path)}/${method}/responses/${status}` }
}

function toPointer(part: string): string {
  return part.replaceAll('~', '~0').replaceAll('/', '~1')
}

function toTemplate(url: string): string {
  return url.replace(/:(\w+)/g, '{$1}')
}

t.test('every route is in it, but for those that are hidden on purpose', async t => {
  const [hidden, shown] = [routes.filter(({ schema }) => schema?.hide), routes.filter(({ schema }) => !schema?.hide)]
  const methodsOf = (route: RouteOptions) => [route.method].flat().filter(method => method !== 'HEAD')

  const expected = shown.flatMap(route => methodsOf(route).map(method => `${method} ${toTemplate(route.url)}`))
  t.ok(expected.length > 40, `${expected.length} operations`)
  t.strictSame(operations.map(({ method, path }) => `${method.toUpperCase()} ${path}`).sort(), [...expected].sort())

  // GET /oauth2/verify is shown; what proxies make of it is the same.
  const mayHide = [
    '/docs',
    '/openapi.json',
    '/openapi.yaml',
    '/codvid-ai/public',
    '/oauth2/verify',
    '/auth/pages',
    '/api/auth/reset-password',
  ]
  const outside = hidden.filter(({ url }) => !mayHide.some(prefix => url === prefix || url.startsWith(`${prefix}/`)))
  t.strictSame(
    outside.map(({ method, url }) => `${method} ${url}`),
    [],
  )
})

t.test('every operation is complete', async t => {
  const failureSchemas: Record<string, string> = {
    auth: 'AuthFailure',
    'better-auth': 'Failure',
    profile: 'Failure',
    codvid: 'CodvidFailure',
    verifiers: 'VerifierFailure',
  }
  const ids = operations.map(({ operation }) => operation.operationId)
  t.strictSame([...new Set(ids)], ids, 'no operationId twice')
  t.strictSame(
    document.tags.map(({ name }) => name).sort(),
    [...new Set(operations.flatMap(({ operation }) => operation.tags))].sort(),
    'the tags described are those used',
  )
  t.match(document.components.securitySchemes, {
    bearer: { type: 'http', scheme: 'bearer' },
    cookie: { type: 'apiKey', in: 'cookie' },
    password: { type: 'oauth2', flows: { password: { tokenUrl: '/auth/login' } } },
  })

  for (const { path, method, operation, responses } of operations) {
    await t.test(`${method.toUpperCase()} ${path}`, async t => {
      const [tag = ''] = operation.tags
      const statuses = responses.map(({ status }) => Number(status))
      t.match(operation, { operationId: /^[a-z]\w+$/, summary: /^[A-Z].{5,}[^.]$/, tags: { length: 1 } })
      t.ok(
        operation.security?.flatMap(Object.keys).every(name => name in document.components.securitySchemes),
        'its security is described',
      )
      for (const { status, response } of responses) {
        t.not(response.description, 'Default Response', `${status} says what it means`)
        if (Number(status) >= 400) t.ok(response.content, `${status} has a body`)
      }
      for (const parameter of operation.parameters ?? []) {
        t.ok(parameter.description, `${parameter.name} is described`)
        t.equal('example' in parameter, parameter.required, `${parameter.name}: an example only where it must be sent`)
      }

      const route = routes.find(each => `${each.method} ${toTemplate(each.url)}` === `${method.toUpperCase()} ${path}`)
      if (operation.requestBody)
        t.equal(operation.requestBody.required, !route?.config?.emptyBody, 'must it have a body')

      const failureSchema = failureSchemas[tag]
      if (!failureSchema) return t.equal(tag, 'operations')
      for (const { status, response } of responses.filter(({ status }) => Number(status) >= 400))
        t.strictSame(
          Object.entries(response.content ?? {}).map(([type, { schema, examples }]) => [
            type,
            schema.$ref,
            Object.keys(examples ?? {}).length > 0,
          ]),
          [['application/json', `#/components/schemas/${failureSchema}`, true]],
          `${status} is a failure of the door, with examples`,
        )
      t.strictSame(
        [429, 500, 503].filter(status => statuses.includes(status)),
        route?.config?.rateLimit === false ? [500, 503] : [429, 500, 503],
        'any answer that any route can give',
      )
      if (operation.security.length > 0) t.ok(statuses.includes(401), '401 where a credential is asked for')
      if (operation.requestBody) {
        t.ok(
          [400, 403, 413, 415].every(status => statuses.includes(status)),
          'what can be wrong with a body',
        )
        t.equal(Object.keys(operation.requestBody.content)[0], 'application/json', 'generators take the first')
      }
      const headersOf = (status: number) =>
        Object.keys(responses.find(each => each.status === String(status))?.response.headers ?? {})
      if (statuses.includes(401)) t.strictSame(headersOf(401), ['WWW-Authenticate'])
      for (const status of [429, 503].filter(status => statuses.includes(status)))
        t.strictSame(headersOf(status), ['Retry-After'])
    })
  }
})

t.test('every example is what its schema says, to the letter', async t => {
  const strictly = createValidator(closed(document))
  const examined = operations.flatMap(({ pointer, operation, responses }) => [
    ...Object.entries(operation.requestBody?.content ?? {}).map(([type, media]) => ({
      where: `${operation.operationId}, request`,
      pointer: `${pointer}/requestBody/content/${toPointer(type)}/schema`,
      examples: examplesOf(media),
    })),
    ...responses.flatMap(({ status, response, pointer }) =>
      Object.entries(response.content ?? {}).map(([type, media]) => ({
        where: `${operation.operationId}, ${status}`,
        pointer: `${pointer}/content/${toPointer(type)}/schema`,
        examples: examplesOf(media),
      })),
    ),
    ...(operation.parameters ?? []).flatMap((parameter, index) =>
      'example' in parameter
        ? [
            {
              where: `${operation.operationId}, ${parameter.name}`,
              pointer: `${pointer}/parameters/${index}/schema`,
              examples: [parameter.example],
            },
          ]
        : [],
    ),
  ])
  const named = Object.entries(document.components.schemas).flatMap(([name, schema]) =>
    inner(schema, `#/components/schemas/${name}`).map(({ pointer, examples }) => ({
      where: pointer,
      pointer,
      examples,
    })),
  )
  const faults = [...examined, ...named].flatMap(({ where, pointer, examples }) => {
    const validate = strictly(pointer)
    const wrong = examples.filter(example => !validate(example))
    if (examples.length === 0) return [`${where}: none`]
    return wrong.map(example => `${where}: ${JSON.stringify(example)}: ${ajvErrors(validate, example)}`)
  })
  t.ok(examined.length > 200, `${examined.length + named.length} places`)
  t.strictSame(faults, [])
})

function ajvErrors(validate: ValidateFunction, example: unknown): string {
  validate(example)
  return JSON.stringify(validate.errors)
}

function examplesOf({ schema, example, examples }: Media): unknown[] {
  const shown = [
    ...(example === undefined ? [] : [example]),
    ...Object.values(examples ?? {}).map(({ value }) => value),
  ]
  const referred = document.components.schemas[schema.$ref?.split('/').at(-1) ?? '']
  return shown.length > 0 ? shown : (schema.examples ?? referred?.examples ?? [])
}

/** Every part of a schema that has examples, with the way to it. */
function inner(schema: unknown, pointer: string): { pointer: string; examples: unknown[] }[] {
  if (typeof schema !== 'object' || schema === null) return []
  const { examples, ...parts } = schema as Schema
  return [
    ...(Array.isArray(examples) ? [{ pointer, examples }] : []),
    ...Object.entries(parts).flatMap(([name, part]) => inner(part, `${pointer}/${toPointer(name)}`)),
  ]
}

/** A copy in which no object may have members that are not described, so that a misspelt one is noticed. */
function closed<T>(value: T): T {
  if (Array.isArray(value)) return value.map(closed) as T
  if (typeof value !== 'object' || value === null) return value
  const copy = Object.fromEntries(Object.entries(value).map(([name, member]) => [name, closed(member)]))
  const isObject = copy.type === 'object' && 'properties' in copy && !('additionalProperties' in copy)
  return (isObject ? { ...copy, additionalProperties: false } : copy) as T
}

/** Compiles the schema at a JSON pointer into the document. */
function createValidator(of: Document): Validator {
  const ajv = new Ajv2020({ strict: true, strictSchema: false, allowUnionTypes: true, allErrors: true })
  addFormats.default(ajv)
  ajv.addFormat('password', true)
  ajv.addSchema({ ...of, $id: 'https://gatehouse.test/openapi.json' } as object)
  return pointer => ajv.compile({ $ref: `https://gatehouse.test/openapi.json${encodeURI(pointer)}` })
}

t.test('whatever is sent, the answer is a documented one', async t => {
  const validator = createValidator(document)
  for (const { path, method, operation, responses } of operations) {
    const faults: string[] = []
    const answered: number[] = []
    for (const [kind, { headers = {}, ...request }] of await requestsTo(path, method, operation)) {
      const answer = await app.inject({ method: method.toUpperCase() as 'GET', headers, ...request })
      answered.push(answer.statusCode)
      const documented = responses.find(({ status }) => status === String(answer.statusCode))
      const fault = documented ? differences(answer, documented, validator) : 'not documented'
      if (fault) faults.push(`${kind}: ${fault}: ${answer.statusCode} ${answer.body}`)
    }
    t.strictSame(faults, [], `${method.toUpperCase()} ${path}: ${[...new Set(answered)].sort().join(', ')}`)
    t.ok((answered.at(-1) ?? 0) < 300, 'the example of the document succeeds')
  }
})

function differences(answer: LightMyRequestResponse, { response, pointer }: Located, validator: Validator) {
  const { content = {}, headers = {} } = response
  const [type = ''] = String(answer.headers['content-type'] ?? '').split(';')
  if (type !== Object.keys(content).join()) return `its media type ${type}`
  const absent = Object.keys(headers).filter(name => !(name.toLowerCase() in answer.headers))
  if (absent.length > 0) return `no ${absent}`
  if (type === '') return undefined
  const validate = validator(`${pointer}/content/${toPointer(type)}/schema`)
  return validate(type.endsWith('json') ? answer.json() : answer.body) ? undefined : JSON.stringify(validate.errors)
}

type Sent = { url: string; payload?: string; headers?: Record<string, string> }

const newcomers = new Set(['register', 'betterAuthSignUp', 'apiRegister', 'apiSignup', 'codvidSignup'])
const json = { 'content-type': 'application/json' }
const dead = { authorization: 'Bearer eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJnYXRlaG91c2UifQ.c2lnbmF0dXJl' }
const foreign = { cookie: 'session_token=x', origin: 'https://evil.example' }

/** The request of the example, for whoever it is about, and every way of getting it wrong. */
async function requestsTo(path: string, method: string, operation: Operation): Promise<[string, Sent][]> {
  const media = operation.requestBody?.content['application/json']
  const example = media && (examplesOf(media)[0] as Record<string, unknown>)
  const parameters = operation.parameters ?? []
  const url = addressOf(path, parameters)
  const good: Sent = { url, ...(example ? { payload: JSON.stringify(example), headers: json } : {}) }
  const conditions = (value: string) =>
    Object.fromEntries(parameters.flatMap(({ in: place, name }) => (place === 'header' ? [[name, value]] : [])))

  const wrong: [string, Sent][] = [['a dead credential', { ...good, headers: { ...good.headers, ...dead } }]]
  if (parameters.length > 0)
    wrong.push(
      ['no parameters', { ...good, url: url.split('?', 1)[0] ?? url }],
      ['long parameters', { ...good, url: addressOf(path, parameters, 'x'.repeat(190)) }],
      ['conditions that hold', { ...good, headers: { ...good.headers, ...conditions('*') } }],
      ['conditions that do not hold', { ...good, headers: { ...good.headers, ...conditions('"77"') } }],
      ['long conditions', { ...good, headers: { ...good.headers, ...conditions('x'.repeat(300)) } }],
    )
  if (method === 'get') wrong.push(['a copy already', { ...good, headers: { 'if-none-match': '*' } }])
  if (method !== 'get') {
    wrong.push(['a foreign page', { ...good, headers: { ...good.headers, ...foreign } }])
    for (const type of ['text/plain', 'application/x-www-form-urlencoded'])
      wrong.push([type, { url, payload: 'a=1&a=2', headers: { 'content-type': type } }])
    for (const name of Object.keys(example ?? {}))
      wrong.push([`a wrong ${name}`, { ...good, payload: JSON.stringify({ ...example, [name]: [7] }) }])
    // The last ones do what is asked where nothing need be said, and who has signed out gets no further.
    for (const payload of ['{', '{"a":1,"a":2}', `{"a":"${'x'.repeat(17_000)}"}`, '[]', '{}', ''])
      wrong.push([`the body ${payload.slice(0, 14)}`, { url, payload, headers: json }])
  }
  if ('431' in operation.responses)
    wrong.push([
      'many headers',
      { url, headers: Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`h${n}`, '1'])) },
    ])
  const [unlucky, lucky] = [await makePerson(operation, example), await makePerson(operation, example)]
  return [
    ['nothing right', { ...good }],
    ...wrong.map(([kind, sent]): [string, Sent] => [kind, unlucky(sent)]),
    ['the example', lucky(good)],
  ]
}

/** With its required parameters as in their examples, or with every one of them as given. */
function addressOf(path: string, parameters: readonly Parameter[], value?: string): string {
  const sent = parameters.filter(({ required }) => required || value !== undefined)
  const of = (place: string) =>
    sent.flatMap(({ in: where, name, example }) => (where === place ? [[name, value ?? String(example)]] : []))
  const filled = of('path').reduce((filled, [name, value = '']) => filled.replace(`{${name}}`, value), path)
  return `${filled}?${new URLSearchParams(of('query') as [string, string][])}`.replace(/\?$/, '')
}

let people = 0

/** Makes the account that an example speaks of; then puts its address, session and tokens where the example has others. */
async function makePerson(operation: Operation, example: unknown): Promise<(sent: Sent) => Sent> {
  people += 1
  const email = `person${people}@example.com`
  const password = /"(?:password|current_?[pP]assword)":"([^"]+)"/.exec(JSON.stringify(example) ?? '')?.[1]
  const registered = await app.inject({
    method: 'POST',
    url: '/auth/register',
    payload: { email, password: password ?? 'correct horse battery' },
  })
  const { access_token: access, refresh_token: refresh } = registered.json<Record<string, string>>()
  const isForClients = operation.security.some(way => 'client' in way)
  const headers = { authorization: `Bearer ${access}` }
  const credential = isForClients ? { authorization: `Basic ${Buffer.from(client).toString('base64')}` } : headers
  const payload = { software_level: 'beginner', hardware_background: 'robotics' }
  await app.inject({ method: 'PUT', url: '/api/user/profile', headers, payload })
  const [session] = (await app.inject({ url: '/auth/sessions', headers })).json<{ id: string }[]>()

  const link = await mailLink(operation, email, headers)
  const fill = (text: string) =>
    text
      .replaceAll('user@example.com', newcomers.has(operation.operationId) ? `new-${email}` : email)
      .replaceAll('0197a0b4-7d2f-7aa1-8c3e-5b9d0e6f1c22', session?.id ?? '')
      .replaceAll('eyJhbGciOi…', refresh ?? '')
      .replaceAll('kT3v9QzX1rWm5yBc7nHs2LpFd8Gj4AeUiOo6TqRyWxE', link)
  return sent => ({
    url: fill(sent.url),
    ...(sent.payload === undefined ? {} : { payload: fill(sent.payload) }),
    headers: { ...(operation.security.length > 0 ? credential : {}), ...sent.headers },
  })
}

/** What has to be asked for before an operation can use its link. */
const askFor: Record<string, { url: string; json(email: string): object; purpose: string }> = {
  resetPassword: { url: '/auth/request-password-reset', json: email => ({ email }), purpose: 'reset_password' },
  betterAuthResetPassword: {
    url: '/auth/request-password-reset',
    json: email => ({ email }),
    purpose: 'reset_password',
  },
  verifyEmail: { url: '/auth/request-email-verification', json: email => ({ email }), purpose: 'verify_email' },
  betterAuthVerifyEmail: {
    url: '/auth/request-email-verification',
    json: email => ({ email }),
    purpose: 'verify_email',
  },
  // Mailed only to somebody whose session is old.
  betterAuthDeleteUserCallback: { url: '/api/auth/delete-user', json: () => ({}), purpose: 'delete_account' },
}

/** The token of a link, as it would be mailed. */
async function mailLink({ operationId }: Operation, email: string, headers: Record<string, string>): Promise<string> {
  const asked = askFor[operationId]
  if (!asked) return 'none'
  if (asked.purpose === 'delete_account')
    await database.db.execute(sql`
      update sessions set created_at = created_at - interval '25 hours', expires_at = expires_at - interval '1 second'
      where account_id = (select id from accounts where email = ${email})`)
  await app.inject({ method: 'POST', url: asked.url, headers, payload: asked.json(email) })
  const [row] = rowsOf(
    await database.db.execute(
      sql`select id from verifications where email = ${email} and purpose = ${asked.purpose} limit 1`,
    ),
  )
  return row ? createLinkTokens([testSecrets.REFRESH_TOKEN_SECRET]).tokenOf(row.id) : 'none'
}

t.test('the served document is cached by its tag', async t => {
  const served = [
    ['/openapi.json', 'application/json', (text: string) => JSON.parse(text)],
    ['/openapi.yaml', 'application/yaml', (text: string) => parse(text)],
  ] as const
  for (const [url, type, read] of served) {
    const whole = await app.inject(url)
    const etag = String(whole.headers.etag)
    t.match(whole, { statusCode: 200, headers: { 'content-type': `${type}; charset=utf-8`, etag: /^"[\w-]{22}"$/ } })
    t.strictSame(read(whole.body), document, `${url} is the document`)
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const answer = await app.inject({ url, headers: { 'if-none-match': known } })
      t.match(answer, { statusCode: 304, body: '', headers: { etag } }, `If-None-Match: ${known}`)
    }
    t.equal((await app.inject({ url, headers: { 'if-none-match': '"other"' } })).statusCode, 200)
    t.equal((await app.inject({ url, method: 'HEAD' })).headers.etag, etag)
  }
})

t.test('A-12 DOCS=off hides it, and Swagger UI', async t => {
  const silent = await startApp(t, { DOCS: 'off' })
  for (const url of ['/openapi.json', '/openapi.yaml', '/docs', '/docs/', '/docs/json', '/docs/static/index.html']) {
    const answer = await silent.app.inject(url)
    t.match(answer, { statusCode: 404, headers: { 'content-type': /^application\/problem\+json/ } }, url)
    t.match((await app.inject(url)).statusCode.toString(), /^[23]/, `${url} is there otherwise`)
  }
})

t.test('openapi.yaml is what the routes say', async t => {
  const script = (...args: string[]) => runNode('--import', 'tsx', join(root, 'scripts/openapi.ts'), ...args)
  const text = readFileSync(join(root, 'openapi.yaml'), 'utf8')
  t.notMatch(text, /def-\d|Default Response|nullable:/)
  t.strictSame(Object.keys((parse(text) as Document).paths), Object.keys(document.paths), 'it has every path')

  const folder = t.testdir({ 'drifted.yaml': text.replace('Sign one device out', 'Sign a device out') })
  const [checked, drifted, written] = await Promise.all([
    script('--check'),
    script('--check', join(folder, 'drifted.yaml')),
    script(join(folder, 'written.yaml')),
  ])
  t.match(checked, { code: 0, stderr: '' })
  t.match(drifted, { code: 1, stderr: /npm run openapi/ }, 'one word is drift')
  t.match(written, { code: 0, stderr: '' })
  t.equal(readFileSync(join(folder, 'written.yaml'), 'utf8'), text, 'written again, it is the same')
})

t.test('Redocly finds nothing', async t => {
  const cli = join(root, 'node_modules/@redocly/cli/bin/cli.js')
  const { code, stdout, stderr } = await runNode(cli, 'lint', 'openapi.yaml', '--extends', 'recommended-strict')
  t.equal(code, 0, 'by redocly.yaml, and the strictest set', { stdout, stderr })
  t.match(stderr, /openapi.yaml: validated/)
  t.notMatch(`${stdout}${stderr}`, /\d+ (error|warning|problem)/)
})

/** What a program run by Node says, and its exit code. */
async function runNode(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true', NODE_OPTIONS: '' }
  try {
    return { code: 0, ...(await run(process.execPath, args, { cwd: root, env })) }
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string }
  }
}
