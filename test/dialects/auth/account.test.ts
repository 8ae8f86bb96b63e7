/** The OAuth2-shaped door: the signed-in person's account, devices and password. */
import t from 'tap'
import { startApp } from '../../helpers/app.js'
import { bearer, claimsOf, createKnock, type Headers, masked, newPerson, pairOf, password } from '../doors.js'

const trusted = 'https://app.example.com'
const { app } = await startApp(t, { TRUSTED_ORIGINS: trusted })
const knock = createKnock(app)

const unauthorized = { detail: 'Could not validate credentials' }
const notStored = { 'cache-control': 'no-store', pragma: 'no-cache' }
const invalidBody = { detail: 'There was an error parsing the body' }
const fault = (type: string, loc: string[], msg: string) => ({ type, loc, msg })

async function register(given: object = {}) {
  const person = { ...newPerson(), ...given }
  const { body } = await knock('POST', '/auth/register', { json: person })
  const { access_token: access, refresh_token: refresh, user } = body
  return { ...person, access, refresh, user, headers: bearer(access) }
}

async function login({ email }: { email: string }, headers: Headers = {}) {
  const { body } = await knock('POST', '/auth/login', { form: { username: email, password }, headers })
  return { access: body.access_token, refresh: body.refresh_token, headers: bearer(body.access_token) }
}

const isLive = async (headers: Headers) => (await knock('GET', '/auth/me', { headers })).status === 200

t.test('me answers with the caller’s account', async t => {
  const { email, headers } = await register()
  const answer = await knock('GET', '/auth/me', { headers })
  t.equal(answer.status, 200)
  t.match(answer.headers, notStored)
  const { id } = answer.body
  t.ok(Number.isInteger(id))
  t.strictSame(masked(answer.body), {
    id,
    uuid: '(id)',
    email,
    name: '',
    image: null,
    personal_info: null,
    created_at: '(time)',
  })
})

t.test('every route for somebody signed in is 401 to anybody else', async t => {
  const { headers } = await register()
  await knock('POST', '/auth/logout', { headers })
  const routes: [string, string][] = [
    ['GET', '/auth/me'],
    ['PATCH', '/auth/me'],
    ['DELETE', '/auth/me'],
    ['GET', '/auth/sessions'],
    ['DELETE', '/auth/sessions/01a1fde8-d4ab-7c31-8112-7a30324a280f'],
    ['POST', '/auth/change-password'],
  ]
  for (const [method, url] of routes) {
    const cases: [string, Headers, string][] = [
      ['nothing', {}, 'Bearer'],
      ['another scheme', { authorization: 'Basic OjpvOg==' }, 'Bearer'],
      ['an ended session', headers, 'Bearer error="invalid_token"'],
      ['no token of ours', bearer('x'), 'Bearer error="invalid_token"'],
      ['somebody else’s JWT', bearer('eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.'), 'Bearer error="invalid_token"'],
      ['a made-up cookie', { cookie: 'session_token=x' }, 'Bearer error="invalid_token"'],
    ]
    for (const [name, sent, challenge] of cases) {
      // The body is not even looked at: it could not be read.
      const raw = method === 'GET' ? {} : { raw: '{' }
      const answer = await knock(method, url, { ...raw, headers: { 'content-type': 'application/json', ...sent } })
      t.equal(answer.status, 401, `${method} ${url}: ${name}`)
      t.strictSame(answer.body, unauthorized)
      t.match(answer.headers, { ...notStored })
      t.equal(answer.headers['www-authenticate'], challenge, `${method} ${url}: ${name}`)
    }
  }
})

t.test('T-09 a token in the address is none', async t => {
  const { access } = await register()
  t.equal((await knock('GET', `/auth/me?access_token=${access}`)).status, 401)
})

t.test('PATCH me writes the members it is given', async t => {
  const { headers, user } = await register()
  const patch = (json: unknown) => knock('PATCH', '/auth/me', { json, headers })
  let known = user
  for (const json of [
    { name: 'Ada' },
    { image: 'https://example.com/a.png' },
    { personal_info: { a: [1, { b: null }], ü: '☃' } },
    {},
    { image: null, personal_info: null },
    { name: '' },
  ]) {
    const answer = await patch(json)
    t.equal(answer.status, 200)
    t.match(answer.headers, notStored)
    known = { ...known, ...json }
    t.strictSame(answer.body, known, JSON.stringify(json))
    t.strictSame((await knock('GET', '/auth/me', { headers })).body, known)
  }
  const foreign = { id: 1, uuid: 'x', email: 'other@example.com', created_at: 'x', emailVerified: true, password: 'x' }
  t.strictSame((await patch({ ...foreign, name: 'Eve' })).body, { ...known, name: 'Eve' }, 'and no others')
})

t.test('PATCH me refuses', async t => {
  const { headers, user } = await register()
  const cases: [string, unknown, object[]][] = [
    ['no body', undefined, [fault('type_error', ['body'], 'Input must be object')]],
    ['null as name', { name: null }, [fault('type_error', ['body', 'name'], 'Input must be string')]],
    ['a number as name', { name: 5 }, [fault('type_error', ['body', 'name'], 'Input must be string')]],
    [
      'a name of 201 characters',
      { name: 'x'.repeat(201) },
      [fault('maxLength_error', ['body', 'name'], 'Input must NOT have more than 200 characters')],
    ],
    [
      'a list as personal info',
      { personal_info: [] },
      [fault('type_error', ['body', 'personal_info'], 'Input must be object,null')],
    ],
    ['false as image', { image: false }, [fault('type_error', ['body', 'image'], 'Input must be string,null')]],
  ]
  for (const [name, json, detail] of cases) {
    const answer = await knock('PATCH', '/auth/me', { json, headers })
    t.equal(answer.status, 422, name)
    t.strictSame(answer.body, { detail }, name)
  }
  t.strictSame((await knock('GET', '/auth/me', { headers })).body, user)
})

t.test('DELETE me takes the password, and everything goes', async t => {
  const person = await register()
  const other = await login(person)
  const deletion = (json: unknown) => knock('DELETE', '/auth/me', { json, headers: person.headers })

  const wrong = await deletion({ password: 'wrong horse battery' })
  t.equal(wrong.status, 400)
  t.strictSame(wrong.body, { detail: 'Incorrect password' })
  const none = await deletion({})
  t.equal(none.status, 422)
  t.strictSame(none.body, { detail: [fault('missing', ['body', 'password'], 'Field required')] })
  t.ok(await isLive(person.headers))

  const done = await deletion({ password })
  t.equal(done.status, 204)
  t.equal(done.text, '')
  t.match(done.headers, notStored)
  for (const { headers, refresh } of [person, other]) {
    t.notOk(await isLive(headers))
    t.equal((await knock('POST', '/auth/refresh', { json: { token: refresh } })).status, 401)
  }
  t.equal((await knock('POST', '/auth/login', { form: { username: person.email, password } })).status, 401)
  const again = await knock('POST', '/auth/register', { json: { email: person.email, password } })
  t.equal(again.status, 200, 'the address is free again')
  t.not(again.body.user.uuid, person.user.uuid)
})

t.test('sessions lists the caller’s devices, one marked current', async t => {
  const person = await register()
  await login(await register())
  const phone = await login(person, { 'user-agent': 'Phone/1.0' })
  const answer = await knock('GET', '/auth/sessions', { headers: person.headers })
  t.equal(answer.status, 200)
  t.match(answer.headers, notStored)
  const device = {
    id: '(id)',
    created_at: '(time)',
    last_used_at: '(time)',
    expires_at: '(time)',
    ip_address: '127.0.0.1',
  }
  t.strictSame(masked(answer.body), [
    { ...device, user_agent: 'Phone/1.0', device: 'Phone', current: false },
    { ...device, user_agent: 'lightMyRequest', device: 'lightMyRequest', current: true },
  ])
  t.strictSame(
    answer.body.map(({ id }: { id: string }) => id),
    [phone, person].map(({ access }) => claimsOf(access).sid),
    'by their sid, the last used first',
  )
  const [{ created_at: made, expires_at: end }] = answer.body
  t.equal(Date.parse(end) - Date.parse(made), 7 * 86_400_000)
})

t.test('one session can be ended by its id', async t => {
  const person = await register()
  const phone = await login(person)
  const end = (id: string) => knock('DELETE', `/auth/sessions/${id}`, { headers: person.headers })

  const done = await end(claimsOf(phone.access).sid)
  t.equal(done.status, 204)
  t.equal(done.text, '')
  t.notOk(await isLive(phone.headers))
  t.equal((await knock('POST', '/auth/refresh', { json: { token: phone.refresh } })).status, 401)
  t.ok(await isLive(person.headers))
  t.equal((await knock('GET', '/auth/sessions', { headers: person.headers })).body.length, 1)

  const stranger = await register()
  for (const id of [
    claimsOf(phone.access).sid,
    claimsOf(stranger.access).sid,
    'x',
    '0',
    `${claimsOf(phone.access).sid}'--`,
  ]) {
    const answer = await end(id)
    t.equal(answer.status, 404)
    t.strictSame(answer.body, { detail: 'Session not found' })
  }
  t.ok(await isLive(stranger.headers), 'nobody ends another’s')

  t.equal((await end(claimsOf(person.access).sid)).status, 204, 'the current one too')
  t.notOk(await isLive(person.headers))
})

t.test('L-11 change-password gives new tokens and ends the other sessions, unless told not to', async t => {
  for (const revokeOthers of [undefined, true, false]) {
    const person = await register()
    const other = await login(person)
    const next = 'staple that horse twice'
    const answer = await knock('POST', '/auth/change-password', {
      json: { current_password: password, new_password: next, revoke_others: revokeOthers },
      headers: person.headers,
    })
    const name = `revoke_others ${revokeOthers}`
    t.equal(answer.status, 200, name)
    t.match(answer.headers, notStored)
    t.strictSame(masked(answer.body), {
      access_token: '(jwt)',
      refresh_token: '(jwt)',
      token_type: 'bearer',
      expires_in: 1800,
      user: masked(person.user),
    })
    t.strictSame(answer.body.user, person.user)
    t.equal(claimsOf(answer.body.access_token).sid, claimsOf(person.access).sid, 'the session goes on')
    for (const headers of [person.headers, bearer(answer.body.access_token)]) t.ok(await isLive(headers), name)
    t.equal((await knock('POST', '/auth/refresh', { json: { token: answer.body.refresh_token } })).status, 200, name)

    const stays = revokeOthers === false
    t.equal(await isLive(other.headers), stays, `${name}: the other session`)
    t.equal((await knock('POST', '/auth/refresh', { json: { token: other.refresh } })).status, stays ? 200 : 401, name)

    t.equal((await knock('POST', '/auth/login', { form: { username: person.email, password } })).status, 401)
    t.equal((await knock('POST', '/auth/login', { form: { username: person.email, password: next } })).status, 200)
  }
})

t.test('L-11 change-password refuses', async t => {
  const person = await register()
  const good = { current_password: password, new_password: 'staple that horse twice' }
  const value = (msg: string) => ({ detail: [fault('value_error', ['body', 'new_password'], msg)] })
  const cases: [string, object, number, object][] = [
    ['a wrong current password', { ...good, current_password: 'x' }, 400, { detail: 'Incorrect password' }],
    ['7 characters', { ...good, new_password: 'abcdefg' }, 422, value('Password is too short')],
    [
      '129 characters',
      { ...good, new_password: 'x'.repeat(129) },
      422,
      value('Password should have at most 128 characters'),
    ],
    [
      'a common password',
      { ...good, new_password: 'PASSWORD1' },
      422,
      value('Password is too common, or the same as the email'),
    ],
    [
      'the address as password',
      { ...good, new_password: person.email },
      422,
      value('Password is too common, or the same as the email'),
    ],
    [
      'no current password',
      { new_password: good.new_password },
      422,
      { detail: [fault('missing', ['body', 'current_password'], 'Field required')] },
    ],
    [
      'a text for the switch',
      { ...good, revoke_others: 'false' },
      422,
      { detail: [fault('type_error', ['body', 'revoke_others'], 'Input must be boolean')] },
    ],
  ]
  for (const [name, json, status, body] of cases) {
    const answer = await knock('POST', '/auth/change-password', { json, headers: person.headers })
    t.equal(answer.status, status, name)
    t.strictSame(answer.body, body, name)
  }
  t.equal((await knock('POST', '/auth/login', { form: { username: person.email, password } })).status, 200)
})

t.test('a cookie alone opens every route, but to no foreign page', async t => {
  const { email } = await register()
  const entry = await knock('POST', '/api/auth/login', { json: { email, password } })
  const cookie = { cookie: pairOf(entry.cookies[0]) }
  const evil = 'https://evil.example'
  const foreign: [string, Headers, string][] = [
    ['a foreign origin', { origin: evil }, `Origin is not trusted: ${evil} (add it to TRUSTED_ORIGINS)`],
    ['a foreign referer', { referer: `${evil}/a?b` }, `Origin is not trusted: ${evil} (add it to TRUSTED_ORIGINS)`],
    [
      'a suffix trick',
      { origin: `${trusted}.evil.example` },
      `Origin is not trusted: ${trusted}.evil.example (add it to TRUSTED_ORIGINS)`,
    ],
    ['a hidden origin', { origin: 'null' }, 'Origin is missing'],
    ['no origin, across sites', { 'sec-fetch-site': 'cross-site' }, 'Origin is missing'],
  ]
  const routes: [string, string, object][] = [
    ['PATCH', '/auth/me', { name: 'Eve' }],
    ['DELETE', '/auth/me', { password }],
    ['POST', '/auth/change-password', { current_password: password, new_password: 'staple that horse twice' }],
    ['DELETE', '/auth/sessions/x', {}],
    ['POST', '/auth/logout', {}],
    ['POST', '/auth/logout-all', {}],
  ]
  for (const [method, url, json] of routes) {
    for (const [name, headers, detail] of foreign) {
      const answer = await knock(method, url, { json, headers: { ...cookie, ...headers } })
      t.equal(answer.status, 403, `${method} ${url}: ${name}`)
      t.strictSame(answer.body, { detail }, `${method} ${url}: ${name}`)
      t.match(answer.headers, notStored)
    }
  }
  for (const [name, headers] of foreign)
    t.equal((await knock('GET', '/auth/me', { headers: { ...cookie, ...headers } })).body.name, '', `reading: ${name}`)
  t.equal((await knock('GET', '/auth/sessions', { headers: cookie })).status, 200)
  for (const headers of [{}, { origin: trusted }] as Headers[])
    t.equal(
      (await knock('PATCH', '/auth/me', { json: { name: 'Ada' }, headers: { ...cookie, ...headers } })).status,
      200,
    )

  const stranger = bearer(entry.body.accessToken)
  t.equal(
    (await knock('PATCH', '/auth/me', { json: { name: 'Ada' }, headers: { ...stranger, origin: evil } })).status,
    200,
    'a bearer is nothing a browser sends by itself',
  )
  t.equal(
    (await knock('POST', '/auth/login', { form: { username: email, password }, headers: { origin: evil } })).status,
    200,
    'this door sets no cookies, so that signing in from elsewhere harms nobody',
  )
  t.equal((await knock('POST', '/auth/logout', { headers: { ...cookie, origin: trusted } })).status, 200)
  t.notOk(await isLive(cookie))
})

t.test('of several credentials the bearer counts, unless it is none of ours', async t => {
  const [ann, ben] = [await register(), await register()]
  const { cookies } = await knock('POST', '/api/auth/login', { json: { email: ben.email, password } })
  const cookie = { cookie: pairOf(cookies[0]) }
  const who = async (headers: Headers) => {
    const { status, body } = await knock('GET', '/auth/me', { headers: { ...cookie, ...headers } })
    return status === 200 ? body.email : status
  }
  t.equal(await who(ann.headers), ann.email)
  t.equal(await who(bearer('x')), ben.email)
  t.equal(await who(bearer('eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.')), ben.email)
  t.equal(await who({ authorization: 'Basic Og==' }), ben.email)
  await knock('POST', '/auth/logout', { headers: ann.headers })
  t.equal(await who(ann.headers), 401, 'a dead one of ours beside a live cookie')
  t.equal(await who({ cookie: `${cookie.cookie}; session_token=x` }), 401, 'two different cookies of one name are none')
})

t.test('a body that cannot be read is 400, one of another type 415, one too large 413', async t => {
  const { headers } = await register()
  const routes: [string, string][] = [
    ['POST', '/auth/register'],
    ['POST', '/auth/login'],
    ['POST', '/auth/refresh'],
    ['POST', '/auth/logout'],
    ['POST', '/auth/logout-all'],
    ['PATCH', '/auth/me'],
    ['DELETE', '/auth/me'],
    ['POST', '/auth/change-password'],
  ]
  for (const [method, url] of routes) {
    const spoken = /register|login|refresh/.test(url)
    const body = (detail: string) =>
      spoken ? { detail, error: 'invalid_request', error_description: detail } : { detail }
    const send = (type: string, raw: string) =>
      knock(method, url, { raw, headers: { ...headers, 'content-type': type } })
    const padded = (size: number) => `${' '.repeat(size - 1)}{`
    const cases: [string, string, string, number, string][] = [
      ['half of an object', 'application/json', '{"email":', 400, invalidBody.detail],
      ['a doubled name', 'application/json', '{"token":"a","token":"b"}', 400, invalidBody.detail],
      ['__proto__', 'application/json', '{"__proto__":{"a":1}}', 400, invalidBody.detail],
      ['constructor', 'application/json', '{"constructor":1}', 400, invalidBody.detail],
      ['plain text', 'text/plain', '{"email":"a@example.com"}', 415, 'Unsupported media type'],
      ['multipart', 'multipart/form-data; boundary=x', '--x--', 415, 'Unsupported media type'],
      ['16 KiB', 'application/json', padded(16_384), 400, invalidBody.detail],
      ['a byte more', 'application/json', padded(16_385), 413, 'Request body is too large'],
      [
        'a larger form',
        'application/x-www-form-urlencoded',
        `a=${'x'.repeat(16_383)}`,
        413,
        'Request body is too large',
      ],
    ]
    for (const [name, type, raw, status, detail] of cases) {
      const answer = await send(type, raw)
      t.equal(answer.status, status, `${method} ${url}: ${name}`)
      t.strictSame(answer.body, body(detail), `${method} ${url}: ${name}`)
    }
  }
})

t.test('what is not there is 404 in the door’s words', async t => {
  const { headers } = await register()
  for (const [method, url] of [
    ['GET', '/auth'],
    ['GET', '/auth/'],
    ['GET', '/auth/nothing'],
    ['GET', '/auth/login'],
    ['PUT', '/auth/me'],
    ['POST', '/auth/me/'],
  ] as const) {
    const answer = await knock(method, url, { headers })
    t.equal(answer.status, 404, `${method} ${url}`)
    t.strictSame(answer.body, { detail: 'Not Found' })
    t.match(answer.headers, notStored)
  }
})
