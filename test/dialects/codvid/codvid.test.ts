/** The envelope door: what is inside, what is said of it, and the guard around everything else. */
import { sql } from 'drizzle-orm'
import t from 'tap'
import { startApp } from '../../helpers/app.js'
import {
  bearer,
  claimsOf,
  createKnock,
  type Headers,
  inEnvelope,
  internals,
  type Knock,
  masked,
  newPerson,
  pairOf,
  password,
  startSibling,
} from '../doors.js'

const trusted = 'https://app.example.com'
const service = await startApp(t, { TRUSTED_ORIGINS: trusted })
const knock = createKnock(service.app)

const signupUrl = '/codvid-ai/auth/signup'
const loginUrl = '/codvid-ai/auth/login'
const uuidUrl = '/codvid-ai/auth/get_uuid'
const refusal = (message: string) => ({ result: false, message })
const missing = { error: 'Unauthorized: missing session token while accessing non-public routes' }
const invalid = { error: 'Unauthorized: invalid or expired token' }
const notStored = { 'cache-control': 'no-store', pragma: 'no-cache', 'content-type': 'application/json; charset=utf-8' }
const month = 30 * 86_400

async function signup(knocking: Knock = knock) {
  const person = newPerson()
  const { body } = await knocking('POST', signupUrl, { json: inEnvelope(person) })
  return { ...person, token: body.token, headers: bearer(body.token) }
}

t.test('signup and login answer 201 with a token for 30 days', async t => {
  const person = newPerson()
  let account: string | undefined
  for (const url of [signupUrl, loginUrl]) {
    const answer = await knock('POST', url, {
      json: inEnvelope({ ...person, email: ` ${person.email.toUpperCase()}` }),
    })
    t.equal(answer.status, 201)
    t.match(answer.headers, notStored)
    t.strictSame(answer.cookies, [])
    t.strictSame(masked(answer.body), { result: true, token: '(jwt)' })
    const { iat, exp, sub, type } = claimsOf(answer.body.token)
    t.equal(type, 'access')
    t.equal(exp - iat, month)
    account ??= sub
    t.equal(sub, account)

    const session = await knock('GET', '/api/auth/get-session', { headers: bearer(answer.body.token) })
    t.equal(Math.floor(Date.parse(session.body.session.expiresAt) / 1000), exp, 'the session lives as long')
  }
})

t.test('the token ends when the 30 days are over', async t => {
  const { headers, token } = await signup()
  const age = (seconds: number) =>
    service.database.db.execute(sql`update sessions set created_at = created_at - make_interval(secs => ${seconds}),
      expires_at = expires_at - make_interval(secs => ${seconds}) where id = ${claimsOf(token).sid}`)
  t.equal((await knock('GET', '/codvid-ai/nothing', { headers })).status, 404)
  await age(month - 60)
  t.equal((await knock('GET', '/codvid-ai/nothing', { headers })).status, 404, 'nothing but time ends it')
  await age(61)
  const answer = await knock('GET', '/codvid-ai/nothing', { headers })
  t.equal(answer.status, 401)
  t.strictSame(answer.body, invalid)
})

t.test('faults of the envelope', async t => {
  const { email } = newPerson()
  const data = { auth_type: 'email', email, password }
  const cases: [string, unknown, string][] = [
    ['nothing', {}, 'missing schema_version!'],
    ['no schema_version', { data }, 'missing schema_version!'],
    ['an older one', { schema_version: '3.0', data }, 'unsupported schema_version!'],
    ['a number', { schema_version: 4.0, data }, 'unsupported schema_version!'],
    ['null', { schema_version: null, data }, 'unsupported schema_version!'],
    ['no data', { schema_version: '4.0' }, 'missing data!'],
    ['data that is no object', { schema_version: '4.0', data: 'x' }, 'request is not valid.'],
    ['data that is null', { schema_version: '4.0', data: null }, 'request is not valid.'],
    ['no auth_type', { schema_version: '4.0', data: { email, password } }, 'missing auth_type!'],
    ['another auth_type', { schema_version: '4.0', data: { ...data, auth_type: 'phone' } }, 'unsupported auth_type!'],
    [
      'a list as auth_type',
      { schema_version: '4.0', data: { ...data, auth_type: ['email'] } },
      'unsupported auth_type!',
    ],
    ['no email', inEnvelope({ password }), 'missing email!'],
    ['an empty email', inEnvelope({ email: '', password }), 'missing email!'],
    ['a number as email', inEnvelope({ email: 5, password }), 'email is not valid.'],
    ['an object as email', inEnvelope({ email: { $ne: '' }, password }), 'email is not valid.'],
    ['no password', inEnvelope({ email }), 'missing password!'],
    ['an empty password', inEnvelope({ email, password: '' }), 'missing password!'],
    ['a number as password', inEnvelope({ email, password: 12345678 }), 'password is not valid.'],
    ['null as password', inEnvelope({ email, password: null }), 'password is not valid.'],
    ['a list', [], 'request is not valid.'],
    ['null', null, 'request is not valid.'],
    ['no body', undefined, 'request is not valid.'],
  ]
  for (const url of [signupUrl, loginUrl]) {
    for (const [name, json, message] of cases) {
      const answer = await knock('POST', url, { json })
      t.equal(answer.status, 400, `${url}: ${name}`)
      t.strictSame(answer.body, refusal(message), `${url}: ${name}`)
      t.match(answer.headers, notStored)
    }
  }
})

t.test('what signup and login refuse', async t => {
  const { email } = await signup()
  const fresh = newPerson().email
  const cases: [string, object, string][] = [
    [signupUrl, { email, password }, 'Email is already linked to an account'],
    [signupUrl, { email: email.toUpperCase(), password }, 'Email is already linked to an account'],
    [signupUrl, { email: 'nobody', password }, 'email is not valid.'],
    [signupUrl, { email: fresh, password: 'abcdefg' }, 'password is too short.'],
    [signupUrl, { email: fresh, password: 'x'.repeat(129) }, 'password is too long.'],
    [signupUrl, { email: fresh, password: 'password1' }, 'password is too common.'],
    [signupUrl, { email: fresh, password: 'x'.repeat(1025) }, 'password is not valid.'],
    [loginUrl, { email: fresh, password }, 'Email is not linked to an account.'],
    [loginUrl, { email: 'nobody', password }, 'Email is not linked to an account.'],
    [loginUrl, { email, password: 'wrong horse battery' }, 'wrong password.'],
  ]
  for (const [url, data, message] of cases) {
    const answer = await knock('POST', url, { json: inEnvelope(data) })
    t.equal(answer.status, 400, message)
    t.strictSame(answer.body, refusal(message))
  }
})

t.test('bodies that cannot be read', async t => {
  for (const url of [signupUrl, loginUrl]) {
    const cases: [string, string, number, string][] = [
      ['application/json', '{', 400, 'request body is not valid JSON.'],
      ['application/json', '{"__proto__":1}', 400, 'request body is not valid JSON.'],
      ['application/json', '{"data":{"constructor":1}}', 400, 'request body is not valid JSON.'],
      ['application/json', '{"data":{"email":"a","email":"b"}}', 400, 'request body is not valid JSON.'],
      ['text/plain', '{}', 415, 'request body must be application/json.'],
      ['application/x-www-form-urlencoded', 'email=x', 415, 'request body must be application/json.'],
      ['application/json', ' '.repeat(16_385), 413, 'request body is too large.'],
    ]
    for (const [type, raw, status, message] of cases) {
      const answer = await knock('POST', url, { raw, headers: { 'content-type': type } })
      t.equal(answer.status, status, `${url}: ${type} ${raw.slice(0, 30)}`)
      t.strictSame(answer.body, refusal(message))
    }
  }
})

t.test('get_uuid tells the id of an address', async t => {
  const { email, token, headers } = await signup()
  const ask = (query: string) => knock('GET', uuidUrl + query, { headers })
  for (const spelling of [email, encodeURIComponent(` ${email.toUpperCase()} `)]) {
    const found = await ask(`?email=${spelling}`)
    t.equal(found.status, 200)
    t.strictSame(found.body, { uuid: claimsOf(token).sub })
    t.match(found.headers, notStored)
  }
  for (const query of ['', '?', '?email=', '?mail=x', `?email=${email}&email=${email}`]) {
    const none = await ask(query)
    t.equal(none.status, 400, query)
    t.strictSame(none.body, { error: 'Email parameter required' })
  }
  for (const query of ['?email=nobody@example.com', '?email=nobody', '?email=%00', "?email='or''='"]) {
    const unknown = await ask(query)
    t.equal(unknown.status, 404, query)
    t.strictSame(unknown.body, { error: 'User not found' })
  }
  const stranger = await knock('GET', `${uuidUrl}?email=${email}`)
  t.equal(stranger.status, 401)
  t.strictSame(stranger.body, missing)
})

t.test('everything else is closed, before anything is looked at', async t => {
  const { headers: ended } = await signup()
  await knock('POST', '/auth/logout', { headers: ended })
  const paths: [string, string][] = [
    ['GET', '/codvid-ai'],
    ['GET', '/codvid-ai/'],
    ['GET', '/codvid-ai/ai/respond'],
    ['POST', '/codvid-ai/ai/respond'],
    ['PUT', '/codvid-ai/nothing'],
    ['PATCH', '/codvid-ai/nothing'],
    ['DELETE', '/codvid-ai/nothing'],
    ['TRACE', '/codvid-ai/nothing'],
    ['PROPFIND', '/codvid-ai/nothing'],
    ['GET', '/codvid-ai/auth'],
    ['GET', '/codvid-ai/auth/login'],
    ['PUT', '/codvid-ai/auth/signup'],
    ['GET', '/codvid-ai/auth/login/'],
    ['POST', '/codvid-ai/auth/Login'],
    ['POST', '/codvid-ai/ping'],
    ['GET', '/codvid-ai//ping'],
    ['GET', '/codvid-ai/ping/'],
    ['GET', '/codvid-ai/publicity'],
    ['GET', '/codvid-ai/Public/x'],
    ['GET', '/codvid-ai/public%2f..%2fauth/get_uuid'],
    ['GET', '/codvid-ai/%70ing/x'],
    ['GET', '/%63odvid-ai/nothing'],
    ['GET', `${uuidUrl}?email=x`],
    ['GET', uuidUrl],
  ]
  for (const [method, url] of paths) {
    const cases: [string, Headers, object, string][] = [
      ['nothing', {}, missing, 'Bearer'],
      ['another scheme', { authorization: 'Basic Og==' }, missing, 'Bearer'],
      ['a bare token', { authorization: 'abc' }, missing, 'Bearer'],
      ['an empty bearer', { authorization: 'Bearer' }, invalid, 'Bearer error="invalid_token"'],
      ['no token of ours', bearer('x'), invalid, 'Bearer error="invalid_token"'],
      ['an ended session', ended, invalid, 'Bearer error="invalid_token"'],
      ['a made-up cookie', { cookie: 'session_token=x' }, invalid, 'Bearer error="invalid_token"'],
      ['a cookie of somebody else’s', { cookie: 'theme=dark' }, missing, 'Bearer'],
    ]
    for (const [name, headers, body, challenge] of cases) {
      const answer = await knock(method, url, { headers })
      t.equal(answer.status, 401, `${method} ${url}: ${name}`)
      t.strictSame(answer.body, body, `${method} ${url}: ${name}`)
      t.equal(answer.headers['www-authenticate'], challenge)
      t.match(answer.headers, notStored)
    }
  }
  for (const [type, raw] of [
    ['application/json', '{'],
    ['text/plain', 'x'],
    ['application/json', ' '.repeat(20_000)],
    ['application/x-www-form-urlencoded', 'a=1&a=1'],
  ] as const) {
    const answer = await knock('POST', '/codvid-ai/ai/respond', { raw, headers: { 'content-type': type } })
    t.equal(answer.status, 401, 'the body is not read')
    t.strictSame(answer.body, missing)
  }
})

t.test('with a credential of any door, what is not there is 404', async t => {
  const { email, headers } = await signup()
  const login = await knock('POST', '/api/auth/login', { json: { email, password } })
  for (const credential of [headers, bearer(login.body.token), { cookie: pairOf(login.cookies[0]) }]) {
    for (const [method, url] of [
      ['GET', '/codvid-ai'],
      ['GET', '/codvid-ai/nothing'],
      ['POST', '/codvid-ai/nothing'],
      ['PUT', '/codvid-ai/auth/login'],
    ] as const) {
      const answer = await knock(method, url, { headers: credential })
      t.equal(answer.status, 404)
      t.strictSame(answer.body, { error: 'Not found' })
    }
  }
})

t.test('what is public is public', async t => {
  const credentials: Headers[] = [{}, bearer('x'), bearer('x.y.z'), { cookie: 'session_token=x' }]
  for (const headers of credentials) {
    const pong = await knock('GET', '/codvid-ai/ping', { headers })
    t.equal(pong.status, 200)
    t.strictSame(pong.body, { result: true, message: 'pong' })
    t.match(pong.headers, notStored)
    for (const url of [
      '/codvid-ai/public',
      '/codvid-ai/public/',
      '/codvid-ai/public/logo.png',
      '/codvid-ai/public/a/b',
    ]) {
      const answer = await knock('GET', url, { headers })
      t.equal(answer.status, 404, 'there is nothing, and anybody may know')
      t.strictSame(answer.body, { error: 'Not found' })
    }
    t.equal(
      (await knock('POST', signupUrl, { json: inEnvelope(newPerson()), headers: { ...headers, origin: trusted } }))
        .status,
      201,
    )
  }
  for (const method of ['POST', 'PUT', 'DELETE'])
    t.equal((await knock(method, '/codvid-ai/public/x')).status, 404, method)
})

t.test('a cookie is not for foreign pages', async t => {
  const { email } = await signup()
  const { cookies } = await knock('POST', '/api/auth/login', { json: { email, password } })
  const headers = { cookie: pairOf(cookies[0]), origin: 'https://evil.example' }
  for (const url of ['/codvid-ai/ai/respond', loginUrl]) {
    const answer = await knock('POST', url, { json: {}, headers })
    t.equal(answer.status, 403)
    t.strictSame(answer.body, refusal('origin is not trusted.'))
  }
})

t.test('get_uuid is off in production, unless it is asked for', async t => {
  const { email, headers } = await signup()
  const production = { NODE_ENV: 'production', BCRYPT_COST: '10', DATABASE_URL: 'postgres://elsewhere/unused' }
  const settings: [string, Record<string, string>, boolean][] = [
    ['nothing said', {}, true],
    ['off', { CODVID_GET_UUID: 'off' }, false],
    ['false', { CODVID_GET_UUID: 'false' }, false],
    ['production', production, false],
    ['production, true', { ...production, CODVID_GET_UUID: 'true' }, true],
  ]
  for (const [name, overrides, isOn] of settings) {
    const knock = createKnock(await startSibling(t, service, overrides))
    const answer = await knock('GET', `${uuidUrl}?email=${email}`, { headers })
    t.equal(answer.status, isOn ? 200 : 404, name)
    if (!isOn) t.strictSame(answer.body, { error: 'Not found' }, name)
    t.equal((await knock('GET', `${uuidUrl}?email=${email}`)).status, 401, `${name}: closed to strangers`)
  }
})

t.test('CODVID_UNIFORM_ERRORS tells unknown address and wrong password apart no longer', async t => {
  const knock = createKnock(await startSibling(t, service, { CODVID_UNIFORM_ERRORS: 'true' }))
  const { email } = await signup(knock)
  const login = (data: object) => knock('POST', loginUrl, { json: inEnvelope(data) })
  const unknown = await login({ email: 'nobody@example.com', password })
  const wrong = await login({ email, password: 'wrong horse battery' })
  t.strictSame(unknown.body, refusal('wrong email or password.'))
  for (const answer of [unknown, wrong]) {
    t.equal(answer.status, 400)
    t.equal(answer.text, unknown.text)
    t.strictSame(Object.keys(answer.headers), Object.keys(unknown.headers))
  }
  t.equal((await login({ email, password })).status, 201)
})

t.test('too many tries', async t => {
  const knock = createKnock(await startSibling(t, service, { RATE_LIMIT: 'on' }))
  const attempt = () => knock('POST', loginUrl, { json: inEnvelope({ email: 'nobody@example.com', password }) })
  for (let count = 0; count < 30; count += 1) t.equal((await attempt()).status, 400)
  const refused = await attempt()
  t.equal(refused.status, 429)
  t.strictSame(refused.body, refusal('too many requests, please try again later.'))
  t.match(refused.headers, { ...notStored, 'retry-after': /^[1-9]\d?$/ })
})

// The last one: it leaves no database.
t.test('trouble with the database is 500 in the envelope, without a word of the driver', async t => {
  const { email, headers } = await signup()
  await service.database.close()
  const trouble = refusal('Database error: temporarily unavailable, please try again.')
  for (const [method, url, sent] of [
    ['POST', signupUrl, { json: inEnvelope(newPerson()) }],
    ['POST', loginUrl, { json: inEnvelope({ email, password }) }],
    ['GET', `${uuidUrl}?email=${email}`, { headers }],
    ['GET', '/codvid-ai/nothing', { headers }],
  ] as const) {
    const answer = await knock(method, url, sent)
    t.equal(answer.status, 500, `${method} ${url}`)
    t.strictSame(answer.body, trouble)
    t.notMatch(answer.text, internals)
    t.equal(answer.headers['retry-after'], '2')
    t.notOk('www-authenticate' in answer.headers, 'nobody is told to sign in again')
  }
  t.equal((await knock('GET', '/codvid-ai/ping')).status, 200)
  t.equal((await knock('GET', '/codvid-ai/nothing')).status, 401, 'who sent nothing can be told so')
})
