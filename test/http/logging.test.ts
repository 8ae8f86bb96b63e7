/** What is written down of a request: enough to find it again, and nothing that anybody should not read. */
import { sql } from 'drizzle-orm'
import t from 'tap'
import { bearer, createKnock, entrances, type Headers, inEnvelope, pairOf, protectedRoutes } from '../dialects/doors.js'
import { startApp, testSecrets } from '../helpers/app.js'

const service = await startApp(t, { LOG_LEVEL: 'trace' })
const { app, logs, database } = service
const knock = createKnock(app)

const lines = () => logs.map(line => JSON.parse(line))
/** What has been logged since, as one text. */
const mark = () => {
  const start = logs.length
  return () => logs.slice(start).join('')
}

t.test('a request is two lines under one id: which, and what became of it', async t => {
  const { headers } = await knock('GET', '/auth/me?secret=1')
  const id = headers['x-request-id']
  const own = lines().filter(({ reqId }) => reqId === id)
  const [incoming, completed] = own
  t.equal(own.length, 2)
  t.strictSame(incoming.req, { method: 'GET', path: '/auth/me', ip: '127.0.0.1' })
  t.strictSame(completed.res, { statusCode: 401 })
  t.type(completed.responseTime, 'number')
  t.strictSame(
    Object.keys(completed).filter(name => !['level', 'time', 'pid', 'hostname'].includes(name)),
    ['reqId', 'res', 'responseTime', 'msg'],
  )
})

t.test('a path is logged by its pattern, and one that is none as it came', async t => {
  const path = async (method: string, url: string) => {
    const { headers } = await knock(method, url)
    return lines().find(({ reqId, req }) => reqId === headers['x-request-id'] && req).req.path
  }
  t.equal(await path('DELETE', '/auth/sessions/canary-token'), '/auth/sessions/:id')
  t.equal(await path('GET', '/nothing?email=canary@example.com'), '/nothing')
  t.equal(await path('GET', '/codvid-ai/nothing?token=canary'), '/codvid-ai/nothing')
})

t.test('the id of a request comes from outside if it can be read, and goes back with every answer', async t => {
  const idOf = async (given?: string) =>
    (await knock('GET', '/livez', { headers: given === undefined ? {} : { 'x-request-id': given } })).headers[
      'x-request-id'
    ]
  for (const given of ['abcdefgh', 'trace-0123.4567_89', 'x'.repeat(64)]) t.equal(await idOf(given), given)
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
  for (const given of [undefined, '', 'short', 'x'.repeat(65), 'with space inside', '{"level":60}', 'a"b\\c,d-e-f'])
    t.match(await idOf(given), uuid, given ?? 'none')
  t.not(await idOf(), await idOf())

  const headers = { 'x-request-id': 'from-outside-1' }
  for (const [method, url, status] of [
    ['GET', '/auth/me', 401],
    ['POST', '/auth/login', 422],
    ['GET', '/api/auth/nothing', 404],
    ['GET', '/codvid-ai/nothing', 401],
    ['GET', '/nothing', 404],
    ['GET', '/auth/%zz', 404],
  ] as const) {
    const answer = await knock(method, url, { headers })
    t.equal(answer.status, status, url)
    t.equal(answer.headers['x-request-id'], 'from-outside-1', url)
  }
  t.equal((await knock('GET', '/nothing', { headers })).body.request_id, 'from-outside-1')
  t.ok(lines().some(({ reqId }) => reqId === 'from-outside-1'))
})

t.test('what a client sends cannot make a line of its own', async t => {
  const since = mark()
  await knock('GET', '/nothing%0a%7B"level":60,"msg":"forged"%7D', {
    headers: { 'user-agent': 'x"}\\n{"msg":"forged"}' },
  })
  for (const line of since().trimEnd().split('\n')) t.not(JSON.parse(line).msg, 'forged')
})

t.test('a whole journey through every door leaves no secret in the log', async t => {
  const since = mark()
  const canaries = new Map<string, string>()
  const plant = (name: string, value: string) => {
    canaries.set(name, value)
    return value
  }
  plant('access secret', testSecrets.JWT_SECRET)
  plant('refresh secret', testSecrets.REFRESH_TOKEN_SECRET)
  const person = {
    email: plant('address', 'canary.address@example.com'),
    password: plant('password', 'canary password battery'),
  }
  await knock('POST', '/auth/register', { json: person })

  for (const [index, entrance] of entrances.entries()) {
    const email = plant(`address ${index}`, `canary.number${index}@example.com`)
    const someone = entrance.way === 'login' ? person : { ...person, email }
    const answer = await knock('POST', entrance.url, { json: entrance.ask(someone) })
    const carried = entrance.carriedIn(answer)
    for (const { form, headers } of carried) {
      plant(`${form} of ${entrance.url}`, Object.values(headers)[0]?.replace(/^(Bearer |[^=]+=)/, '') ?? '')
      for (const { url } of protectedRoutes) await knock('GET', `${url(someone)}`, { headers })
    }
    const refresh = entrance.refreshTokenIn(answer)
    if (refresh) {
      const { body } = await knock('POST', '/auth/refresh', { json: { token: plant(`refresh ${index}`, refresh) } })
      plant(`next refresh ${index}`, body.refresh_token)
      await knock('POST', '/auth/logout', { json: { refresh_token: body.refresh_token } })
    }
  }

  // The same where it goes wrong, and where it does not belong.
  const { email } = person
  const wrong = plant('wrong password', 'canary wrong battery')
  const next = plant('new password', 'canary staple battery')
  const login = await knock('POST', '/api/auth/login', { json: person })
  const token: string = plant('session token', login.body.token)
  const cookie: Headers = { cookie: pairOf(login.cookies[0]) }
  await knock('POST', '/auth/login', { form: { username: email, password: wrong } })
  await knock('POST', '/api/auth/sign-in/email', { json: { email, password: wrong } })
  await knock('POST', '/codvid-ai/auth/login', { json: inEnvelope({ email, password: wrong }) })
  await knock('POST', '/auth/login', { raw: `{"password":"${wrong}"`, headers: { 'content-type': 'application/json' } })
  await knock('POST', '/auth/login', { raw: wrong, headers: { 'content-type': 'text/plain' } })
  await knock('POST', '/auth/register', { json: { email: `${email} `, password: wrong, name: [wrong] } })
  await knock('POST', '/auth/register', { json: { email: `not-${email}`, password: 'x' } })
  await knock('GET', `/codvid-ai/auth/get_uuid?email=${email}`, { headers: bearer(token) })
  await knock('GET', `/auth/me?access_token=${token}&email=${email}&password=${wrong}`)
  await knock('GET', `/nothing?token=${token}#${email}`)
  await knock('DELETE', `/auth/sessions/${token}x`, { headers: cookie })
  await knock('GET', '/auth/me', { headers: { authorization: `Bearer ${token}x` } })
  await knock('GET', '/auth/me', {
    headers: { authorization: `Basic ${Buffer.from(`${email}:${wrong}`).toString('base64')}` },
  })
  await knock('PATCH', '/auth/me', {
    json: { name: plant('name', 'Canary Name'), personal_info: { phone: plant('phone', '+44 canary 1234') } },
    headers: cookie,
  })
  await knock('POST', '/auth/change-password', {
    json: { current_password: person.password, new_password: next },
    headers: cookie,
  })
  await knock('POST', '/api/auth/logout', { headers: { ...cookie, origin: 'https://evil.example' } })
  await knock('POST', '/api/auth/logout', { headers: cookie })

  const told = since()
  t.ok(told.split('\n').length > 150, 'there is a log to look at')
  for (const [name, secret] of canaries) {
    t.ok(secret.length > 8, name)
    for (const form of [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64url')])
      t.notOk(told.includes(form), name)
  }
  t.notMatch(told, /canary/i, 'nor a part of one')
  t.notMatch(told, /\$2b\$|eyJ/, 'nor a hash, nor a JWT')
})

t.test('an error of ours is logged with its place, without SQL and without a value', async t => {
  const person = { email: 'canary.error@example.com', password: 'canary password battery' }
  const { body } = await knock('POST', '/auth/register', { json: person })
  const headers = bearer(body.access_token)
  await database.db.execute(sql`alter table interactions rename to interactions_away`)
  const since = mark()
  const answer = await knock('POST', '/api/personalization/interactions', {
    json: { content_type: 'canary-content' },
    headers,
  })
  await database.db.execute(sql`alter table interactions_away rename to interactions`)
  t.equal(answer.status, 500)
  t.strictSame(answer.body, { success: false, code: 'INTERNAL_SERVER_ERROR', message: 'Internal server error' })
  const told = since()
  const error = told
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
    .find(({ level }) => level === 50)
  t.equal(error.msg, 'a request failed')
  t.equal(error.reqId, answer.headers['x-request-id'])
  t.strictSame(Object.keys(error.err).sort(), ['code', 'stack', 'type'])
  t.equal(error.err.code, '42P01')
  t.match(error.err.stack[0], /^at /)
  t.notMatch(told, /insert into|select |values|canary|\$1|params/i)
})

// The last one: it leaves no database.
t.test('a database that is away is a warning, without SQL and without a value', async t => {
  const person = { email: 'canary.away@example.com', password: 'canary password battery' }
  const { body } = await knock('POST', '/auth/register', { json: person })
  const since = mark()
  await database.close()
  await knock('POST', '/auth/register', { json: { ...person, email: 'canary.later@example.com' } })
  await knock('POST', '/auth/login', { form: { username: person.email, password: person.password } })
  await knock('GET', '/auth/me', { headers: bearer(body.access_token) })
  const told = since()
  const warnings = told
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
    .filter(({ level }) => level >= 40)
  t.strictSame(
    warnings.map(({ level, msg }) => [level, msg]),
    Array(3).fill([40, 'the database is not available']),
  )
  for (const { err } of warnings) t.match(err.stack, [/^at /])
  t.notMatch(told, /insert into|select |canary|params|eyJ|\$2b\$/i)
})
