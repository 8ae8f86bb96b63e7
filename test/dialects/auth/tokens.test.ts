/** The OAuth2-shaped door: getting tokens, renewing them, giving them up. */
import t from 'tap'
import { startApp } from '../../helpers/app.js'
import { bearer, claimsOf, createKnock, masked, newPerson, pairOf, password } from '../doors.js'

const { app } = await startApp(t)
const knock = createKnock(app)

const aUser = (email: string, given: object = {}) => ({
  uuid: '(id)',
  email,
  name: '',
  image: null,
  personal_info: null,
  created_at: '(time)',
  ...given,
})

/** The whole answer with tokens; `user.id` is an integer that nobody can foretell. */
const tokensOf = (email: string, id: number, given: object = {}) => ({
  access_token: '(jwt)',
  refresh_token: '(jwt)',
  token_type: 'bearer',
  expires_in: 1800,
  user: { id, ...aUser(email, given) },
})

const notStored = { 'cache-control': 'no-store', pragma: 'no-cache', 'content-type': 'application/json; charset=utf-8' }
const oauthFailure = (error: string, text: string, detail: unknown = text) => ({
  detail,
  error,
  error_description: text,
})
const missing = (member: string) => ({ type: 'missing', loc: ['body', member], msg: 'Field required' })
const invalid = oauthFailure('invalid_request', 'There was an error parsing the body')

async function register(given: object = {}) {
  const person = { ...newPerson(), ...given }
  const { body } = await knock('POST', '/auth/register', { json: person })
  return { ...person, access: body.access_token, refresh: body.refresh_token, uuid: body.user.uuid, id: body.user.id }
}

const login = (form: Record<string, string> | string, headers = {}) => knock('POST', '/auth/login', { form, headers })

const isLive = async (access: string) => (await knock('GET', '/auth/me', { headers: bearer(access) })).status === 200

t.test('register answers 200 with tokens, and no cookie', async t => {
  const { email } = newPerson()
  const answer = await knock('POST', '/auth/register', { json: { email: ` ${email.toUpperCase()} `, password } })
  t.equal(answer.status, 200)
  t.match(answer.headers, notStored)
  t.strictSame(answer.cookies, [])
  const { id } = answer.body.user
  t.ok(Number.isInteger(id) && id > 0, 'user.id is a positive integer')
  t.strictSame(masked(answer.body), tokensOf(email, id))
})

t.test('register keeps name and personal_info, and ids count up', async t => {
  const first = await register()
  const { email } = newPerson()
  const told = { name: 'Ada', personal_info: { phone: '+44', tags: ['a'], address: { city: 'London' } } }
  const answer = await knock('POST', '/auth/register', { json: { email, password, ...told } })
  t.ok(answer.body.user.id > first.id)
  t.strictSame(masked(answer.body), tokensOf(email, answer.body.user.id, told))
  const none = await knock('POST', '/auth/register', { json: { ...newPerson(), personal_info: null } })
  t.strictSame(none.body.user.personal_info, null)
})

t.test('the tokens say what they are', async t => {
  const { access, refresh, uuid } = await register()
  const [header, payload] = access.split('.').map((part: string) => Buffer.from(part, 'base64url').toString())
  t.strictSame(Object.keys(JSON.parse(header)).sort(), ['alg', 'kid', 'typ'])
  t.match(JSON.parse(header), { alg: 'HS256', typ: 'JWT', kid: /^[\w-]{8}$/ })
  const claims = JSON.parse(payload)
  t.strictSame(Object.keys(claims), ['iss', 'sub', 'sid', 'jti', 'type', 'iat', 'exp'])
  t.match(claims, { iss: 'http://localhost:3000', sub: uuid, type: 'access', exp: claims.iat + 1800 })
  const renewing = claimsOf(refresh)
  t.strictSame(Object.keys(renewing), ['iss', 'sub', 'sid', 'jti', 'type', 'gen', 'iat', 'exp'])
  t.match(renewing, { sub: uuid, sid: claims.sid, type: 'refresh', gen: 0, exp: renewing.iat + 7 * 86_400 })
  t.ok(Math.abs(claims.iat - Date.now() / 1000) < 60)
})

t.test('L-05 L-15 register refuses', async t => {
  const taken = await register()
  const { email } = newPerson()
  const valueError = (member: string, msg: string) => [{ type: 'value_error', loc: ['body', member], msg }]
  const refused = (member: string, msg: string) => oauthFailure('invalid_request', msg, valueError(member, msg))
  const failed = (...detail: object[]) => oauthFailure('invalid_request', 'Validation failed', detail)
  const mustBe = (member: string, what: string) => ({
    type: 'type_error',
    loc: ['body', member],
    msg: `Input must be ${what}`,
  })
  const cases: [string, unknown, number, object][] = [
    [
      'a taken address',
      { email: taken.email, password },
      400,
      oauthFailure('invalid_request', 'Email already registered'),
    ],
    [
      'a taken address in other letters',
      { email: ` ${taken.email.toUpperCase()}`, password },
      400,
      oauthFailure('invalid_request', 'Email already registered'),
    ],
    ['nothing told', {}, 422, failed(missing('email'), missing('password'))],
    ['no password', { email }, 422, failed(missing('password'))],
    [
      'an empty password',
      { email, password: '' },
      422,
      failed({
        type: 'minLength_error',
        loc: ['body', 'password'],
        msg: 'Input must NOT have fewer than 1 characters',
      }),
    ],
    ['no body', undefined, 422, failed({ type: 'type_error', loc: ['body'], msg: 'Input must be object' })],
    ['a list', [], 422, failed({ type: 'type_error', loc: ['body'], msg: 'Input must be object' })],
    [
      'other types',
      { email: 5, password: true, name: [], personal_info: 'x' },
      422,
      failed(
        mustBe('email', 'string'),
        mustBe('password', 'string'),
        mustBe('name', 'string'),
        mustBe('personal_info', 'object,null'),
      ),
    ],
    ['no address', { email: 'nobody', password }, 422, refused('email', 'value is not a valid email address')],
    ['7 characters', { email, password: 'abcdefg' }, 422, refused('password', 'Password is too short')],
    [
      '129 characters',
      { email, password: 'x'.repeat(129) },
      422,
      refused('password', 'Password should have at most 128 characters'),
    ],
    [
      'a common password',
      { email, password: 'Password1' },
      422,
      refused('password', 'Password is too common, or the same as the email'),
    ],
    [
      'the address as password',
      { email, password: email },
      422,
      refused('password', 'Password is too common, or the same as the email'),
    ],
  ]
  for (const [name, json, status, body] of cases) {
    const answer = await knock('POST', '/auth/register', { json })
    t.equal(answer.status, status, name)
    t.strictSame(answer.body, body, name)
    t.match(answer.headers, notStored, name)
  }
  t.equal((await login({ username: email, password })).status, 401, 'nothing of that made an account')
})

t.test('L-05 L-06 passwords of 8 and of 128 characters are taken, in any script', async t => {
  for (const long of ['zqxwvkjy', 'ü'.repeat(128), '😀'.repeat(64), 'with space inside']) {
    const { email } = await register({ password: long })
    t.equal((await login({ username: email, password: long })).status, 200)
    t.equal((await login({ username: email, password: long.slice(0, -1) })).status, 401, 'none of it is cut off')
  }
})

t.test('login takes a form and JSON', async t => {
  const { email, id } = await register({ password: 'p+q r&s=t%20' })
  const secret = 'p+q r&s=t%20'
  const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })
  const form = { username: email, password: secret }
  const ways: [string, Parameters<typeof knock>[2]][] = [
    ['the form', { form }],
    ['other letters', { form: { ...form, username: ` ${email.toUpperCase()} ` } }],
    ['grant_type=password', { form: { grant_type: 'password', ...form } }],
    [
      'all that OAuth clients send',
      { form: { grant_type: 'password', ...form, scope: '', client_id: 'string', client_secret: 'string' } },
    ],
    ['parameters nobody knows', { form: { ...form, audience: 'x', resource: 'y' } }],
    ['empty values, which count as absent', { form: { grant_type: '', scope: '', client_id: '', ...form } }],
    ['an empty Basic header', { form, headers: basic(':') }],
    ['a Basic header', { form, headers: basic('client:secret') }],
    ['a charset', { form, headers: { 'content-type': 'application/x-www-form-urlencoded; charset=UTF-8' } }],
    ['a dead bearer', { form, headers: { authorization: 'Bearer x.y.z' } }],
    ['JSON username', { json: form }],
    ['JSON email', { json: { email, password: secret } }],
  ]
  for (const [name, sent] of ways) {
    const answer = await knock('POST', '/auth/login', sent)
    t.equal(answer.status, 200, name)
    t.strictSame(masked(answer.body), tokensOf(email, id), name)
    t.match(answer.headers, notStored, name)
    t.strictSame(answer.cookies, [], name)
  }
})

t.test('an unknown address and a wrong password get one answer', async t => {
  const { email } = await register()
  const wrong = await login({ username: email, password: 'wrong horse battery' })
  const unknown = await login({ username: 'nobody@example.com', password })
  const noAddress = await login({ username: 'nobody', password })
  for (const answer of [wrong, unknown, noAddress]) {
    t.equal(answer.status, 401)
    t.strictSame(answer.body, oauthFailure('invalid_grant', 'Incorrect email or password'))
    t.match(answer.headers, { ...notStored, 'www-authenticate': 'Bearer' })
    t.strictSame(Object.keys(answer.headers), Object.keys(wrong.headers))
  }
})

t.test('L-17 login refuses what is no login', async t => {
  const { email } = await register()
  const failed = (...members: string[]) => oauthFailure('invalid_request', 'Validation failed', members.map(missing))
  const unsupported = oauthFailure('unsupported_grant_type', 'Unsupported grant type')
  const cases: [string, string, number, object][] = [
    ['nothing', '', 422, failed('username', 'password')],
    ['empty values', 'username=&password=', 422, failed('username', 'password')],
    ['no username', 'password=x', 422, failed('username')],
    ['no password', `username=${email}`, 422, failed('password')],
    ['a doubled password', `username=${email}&password=${password}&password=${password}`, 400, invalid],
    ['a doubled username', `username=${email}&username=${email}&password=${password}`, 400, invalid],
    ['a doubled parameter nobody knows', `username=${email}&password=${password}&x=1&x=1`, 400, invalid],
    ['a doubled one that is empty', `username=${email}&password=${password}&scope=&scope=`, 400, invalid],
    ['bytes that are no UTF-8', `username=${email}&password=%ff`, 400, invalid],
    ['another grant', `grant_type=authorization_code&username=${email}&password=${password}`, 400, unsupported],
    ['a grant without a password', 'grant_type=client_credentials', 400, unsupported],
    ['the grant of the other endpoint', 'grant_type=refresh_token&refresh_token=x', 400, unsupported],
  ]
  for (const [name, form, status, body] of cases) {
    const answer = await knock('POST', '/auth/login', {
      raw: form,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    t.equal(answer.status, status, name)
    t.strictSame(answer.body, body, name)
    t.match(answer.headers, notStored, name)
  }
  const json = await knock('POST', '/auth/login', { json: { username: 5, password: 12345678 } })
  t.equal(json.status, 422)
  t.strictSame(
    json.body.detail.map(({ loc }: { loc: string[] }) => loc),
    [
      ['body', 'username'],
      ['body', 'password'],
    ],
    'a number is not a password',
  )
})

t.test('refresh takes a token in three ways, and gives a new pair', async t => {
  const { email, id, refresh, access } = await register()
  let current = refresh
  for (const sent of [
    (token: string) => ({ json: { token } }),
    (token: string) => ({ json: { refresh_token: token } }),
    (token: string) => ({ form: { grant_type: 'refresh_token', refresh_token: token } }),
    (token: string) => ({
      form: { refresh_token: token, client_id: 'app', scope: '' },
      headers: { authorization: 'Basic Og==' },
    }),
  ]) {
    const answer = await knock('POST', '/auth/refresh', sent(current))
    t.equal(answer.status, 200)
    t.strictSame(masked(answer.body), tokensOf(email, id))
    t.match(answer.headers, notStored)
    t.not(answer.body.refresh_token, current)
    t.not(answer.body.access_token, access)
    t.equal(claimsOf(answer.body.refresh_token).gen, (claimsOf(current).gen ?? 0) + 1)
    t.ok(await isLive(answer.body.access_token))
    current = answer.body.refresh_token
  }
})

t.test('a predecessor inside the leeway gets the same successor', async t => {
  const { refresh } = await register()
  const again = await Promise.all(
    Array.from({ length: 64 }, () => knock('POST', '/auth/refresh', { json: { token: refresh } })),
  )
  t.ok(again.every(({ status }) => status === 200))
  t.equal(new Set(again.map(({ body }) => body.refresh_token)).size, 1)
})

t.test('L-17 refresh refuses, in JSON 401, in a form 400', async t => {
  const { access, refresh } = await register()
  const ended = await register()
  await knock('POST', '/auth/logout', { headers: bearer(ended.access) })
  const refused = oauthFailure('invalid_grant', 'Invalid refresh token')
  for (const token of ['x', 'x.y.z', access, `${refresh.slice(0, -4)}AAAA`, ended.refresh]) {
    const json = await knock('POST', '/auth/refresh', { json: { token } })
    t.equal(json.status, 401)
    t.strictSame(json.body, refused)
    t.match(json.headers, { ...notStored, 'www-authenticate': 'Bearer' })
    const form = await knock('POST', '/auth/refresh', { form: { grant_type: 'refresh_token', refresh_token: token } })
    t.equal(form.status, 400)
    t.strictSame(form.body, refused)
    t.notOk('www-authenticate' in form.headers)
  }
  t.ok(await isLive(access), 'a token that was never ours ends nothing')

  const grant = await knock('POST', '/auth/refresh', { form: { grant_type: 'password', refresh_token: refresh } })
  t.equal(grant.status, 400)
  t.strictSame(grant.body, oauthFailure('unsupported_grant_type', 'Unsupported grant type'))
  const nothing = await knock('POST', '/auth/refresh', { json: {} })
  t.equal(nothing.status, 422)
  t.strictSame(nothing.body, oauthFailure('invalid_request', 'Validation failed', [missing('token')]))
  const doubled = await knock('POST', '/auth/refresh', {
    raw: `refresh_token=${refresh}&refresh_token=${refresh}`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
  t.equal(doubled.status, 400)
  t.strictSame(doubled.body, invalid)
})

t.test('logout ends the session of whatever names it', async t => {
  const person = await register()
  const byCookie = async () => {
    const { body, cookies } = await knock('POST', '/api/auth/login', { json: { email: person.email, password } })
    return { access: body.accessToken, refresh: body.refreshToken, cookie: pairOf(cookies[0]), opaque: body.token }
  }
  type Session = Awaited<ReturnType<typeof byCookie>>
  const ways: [string, (session: Session) => Parameters<typeof knock>[2]][] = [
    ['its access token', ({ access }) => ({ headers: bearer(access) })],
    ['its opaque token', ({ opaque }) => ({ headers: bearer(opaque) })],
    ['its cookie', ({ cookie }) => ({ headers: { cookie } })],
    ['its refresh token', ({ refresh }) => ({ json: { refresh_token: refresh } })],
    ['its refresh token in a form', ({ refresh }) => ({ form: { refresh_token: refresh } })],
    ['its access token and an empty body', ({ access }) => ({ json: {}, headers: bearer(access) })],
  ]
  for (const [name, sent] of ways) {
    const session = await byCookie()
    const answer = await knock('POST', '/auth/logout', sent(session))
    t.equal(answer.status, 200, name)
    t.strictSame(answer.body, { detail: 'Logged out' }, name)
    t.match(answer.headers, notStored, name)
    t.notOk(await isLive(session.access), name)
    t.equal((await knock('POST', '/auth/refresh', { json: { token: session.refresh } })).status, 401, name)
  }
  t.ok(await isLive(person.access), 'the other sessions go on')
})

t.test('C-12 logout expires the cookie it was called with', async t => {
  const { email } = await register()
  const { cookies } = await knock('POST', '/api/auth/login', { json: { email, password } })
  const answer = await knock('POST', '/auth/logout', { headers: { cookie: pairOf(cookies[0]) } })
  t.strictSame(answer.cookies, [
    'session_token=; Max-Age=0; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure; SameSite=Lax',
  ])
})

t.test('logging out with a predecessor inside the leeway ends the session', async t => {
  const { refresh } = await register()
  const { body } = await knock('POST', '/auth/refresh', { json: { token: refresh } })
  t.equal((await knock('POST', '/auth/logout', { json: { refresh_token: refresh } })).status, 200)
  t.notOk(await isLive(body.access_token))
  t.equal((await knock('POST', '/auth/refresh', { json: { token: body.refresh_token } })).status, 401)
})

t.test('logout-all ends every session of the account, and nobody else’s', async t => {
  const other = await register()
  for (const sent of ['credential', 'refresh token'] as const) {
    const first = await register()
    const { body: second } = await login({ username: first.email, password })
    const answer = await knock(
      'POST',
      '/auth/logout-all',
      sent === 'credential' ? { headers: bearer(first.access) } : { json: { refresh_token: first.refresh } },
    )
    t.equal(answer.status, 200, sent)
    t.strictSame(answer.body, { detail: 'Logged out' }, sent)
    for (const access of [first.access, second.access_token]) t.notOk(await isLive(access), sent)
    for (const token of [first.refresh, second.refresh_token])
      t.equal((await knock('POST', '/auth/refresh', { json: { token } })).status, 401, sent)
  }
  t.ok(await isLive(other.access))
})

t.test('logout without a good credential is 401', async t => {
  const ended = await register()
  await knock('POST', '/auth/logout', { headers: bearer(ended.access) })
  for (const url of ['/auth/logout', '/auth/logout-all']) {
    const none = await knock('POST', url)
    t.equal(none.status, 401)
    t.strictSame(none.body, { detail: 'Could not validate credentials' })
    t.match(none.headers, { ...notStored, 'www-authenticate': /^Bearer$/ })
    for (const headers of [bearer(ended.access), bearer('x'), { cookie: 'session_token=x' }] as Record<
      string,
      string
    >[]) {
      const dead = await knock('POST', url, { headers })
      t.equal(dead.status, 401)
      t.strictSame(dead.body, { detail: 'Could not validate credentials' })
      t.equal(dead.headers['www-authenticate'], 'Bearer error="invalid_token"')
    }
    const refresh = await knock('POST', url, { json: { refresh_token: ended.refresh } })
    t.equal(refresh.status, 401)
    t.strictSame(refresh.body, { detail: 'Invalid refresh token' })
    const badType = await knock('POST', url, { json: { refresh_token: 5 } })
    t.equal(badType.status, 422)
    t.strictSame(badType.body, {
      detail: [{ type: 'type_error', loc: ['body', 'refresh_token'], msg: 'Input must be string' }],
    })
  }
})
