/** What every route of the door answers alike: origins, media types, sizes, unknown paths, limits, trouble. */
import t from 'tap'
import { asBearer, failure, openDoor, password, trusted } from './door.js'

const door = await openDoor(t)
const { get, post, send, newEmail, signUp, isLive } = door
const evil = { origin: 'https://evil.example' }

t.test('a cookie from a foreign page is refused, and the answer names the setting', async t => {
  const { cookie } = await signUp()
  for (const path of ['/update-user', '/sign-out', '/logout', '/delete-user', '/revoke-sessions', '/change-password']) {
    const foreign = await post(path, {}, { ...cookie, ...evil })
    t.equal(foreign.status, 403, path)
    t.same(foreign.body, {
      ...failure('INVALID_ORIGIN', 'Invalid origin'),
      hint: 'If https://evil.example is yours, add it to TRUSTED_ORIGINS.',
    })
    t.same(foreign.cookies, [], path)
    const hidden = await post(path, {}, { ...cookie, origin: 'null' })
    t.equal(hidden.status, 403, path)
    t.same(hidden.body, failure('MISSING_OR_NULL_ORIGIN', 'Missing or null Origin'), path)
  }
  t.ok(await isLive(cookie))
  t.ok(await isLive({ ...cookie, ...evil }), 'reading is never checked')
  t.equal((await post('/update-user', { name: 'B' }, { ...cookie, origin: trusted })).status, 200)
  t.equal((await post('/update-user', { name: 'B' }, cookie)).status, 200, 'no page at all')
})

t.test('a bearer may come from anywhere', async t => {
  const { bearer } = await signUp()
  t.equal((await post('/update-user', { name: 'B' }, { ...bearer, ...evil })).status, 200)
  t.equal((await post('/update-user', { name: 'B' }, bearer)).status, 200)
})

t.test('no foreign page signs a visitor in', async t => {
  const { email } = await signUp()
  const bodies: [string, () => object][] = [
    ['/sign-in/email', () => ({ email, password })],
    ['/login', () => ({ email, password })],
    ['/signin', () => ({ email, password })],
    ['/sign-up/email', () => ({ name: 'A', email: newEmail(), password })],
    ['/register', () => ({ email: newEmail(), password })],
    ['/signup', () => ({ email: newEmail(), password, software_level: 'beginner', hardware_background: 'none' })],
  ]
  for (const [path, body] of bodies) {
    const foreign = await post(path, body(), evil)
    t.equal(foreign.status, 403, path)
    t.match(foreign.body, failure('INVALID_ORIGIN', 'Invalid origin'), path)
    t.same(foreign.cookies, [], path)
    const navigation = await post(path, body(), { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' })
    t.equal(navigation.status, 403, path)
    t.same(
      navigation.body,
      failure(
        'CROSS_SITE_NAVIGATION_LOGIN_BLOCKED',
        'Cross-site navigation login blocked. This request appears to be a CSRF attack.',
      ),
      path,
    )
    for (const headers of [{}, { origin: trusted }, { 'sec-fetch-mode': 'cors' }])
      t.match((await post(path, body(), headers)).status, /^20[01]$/, path)
  }
})

t.test('bodies', async t => {
  const cases: [string, string, Record<string, string>, number, object][] = [
    ['text', '{}', { 'content-type': 'text/plain' }, 415, failure('UNSUPPORTED_MEDIA_TYPE', 'Unsupported media type')],
    [
      'broken JSON',
      '{"email":',
      { 'content-type': 'application/json' },
      400,
      failure('BAD_REQUEST', 'Invalid JSON in request body'),
    ],
    [
      'a prototype',
      '{"__proto__":{"a":1}}',
      { 'content-type': 'application/json' },
      400,
      failure('BAD_REQUEST', 'Invalid JSON in request body'),
    ],
    [
      'too much',
      JSON.stringify({ email: 'x'.repeat(17_000) }),
      { 'content-type': 'application/json' },
      413,
      failure('PAYLOAD_TOO_LARGE', 'Request body is too large'),
    ],
  ]
  for (const path of ['/sign-in/email', '/register'])
    for (const [name, body, headers, status, expected] of cases) {
      const answer = await post(path, body, headers)
      t.equal(answer.status, status, `${path} ${name}`)
      t.same(answer.body, expected, `${path} ${name}`)
    }
})

t.test('what is not there', async t => {
  for (const path of ['/nothing', '/sign-in', '/get-session/', '/refresh-token', '/get-access-token']) {
    const answer = await get(path)
    t.equal(answer.status, 404, path)
    t.same(answer.body, failure('NOT_FOUND', 'Not found'), path)
  }
  t.equal((await get('/sign-in/email')).status, 404)
})

t.test('too many tries at a password are 429, with when to come back', async t => {
  const limited = await openDoor(t, { RATE_LIMIT: 'on' })
  const { email } = await limited.signUp()
  let answer = await limited.post('/sign-in/email', { email, password: 'wrong horse' })
  for (let tries = 0; answer.status === 401 && tries < 40; tries++)
    answer = await limited.post('/sign-in/email', { email, password: 'wrong horse' })
  t.equal(answer.status, 429)
  t.same(answer.body, failure('TOO_MANY_REQUESTS', 'Too many requests. Please try again later.'))
  t.match(answer.headers['retry-after'], /^\d+$/)
  t.equal(answer.headers['x-retry-after'], answer.headers['retry-after'])
  t.equal((await limited.get('/get-session')).status, 200, 'sessions can still be read')
})

t.test('when the database is gone, nobody is told to be signed out', async t => {
  const broken = await openDoor(t)
  const { bearer, cookie } = await broken.signUp()
  await broken.database.close()
  for (const [name, ask] of [
    ['get-session', () => broken.get('/get-session', bearer)],
    ['sign-out', () => broken.post('/sign-out', {}, cookie)],
    ['sign-in', () => broken.post('/sign-in/email', { email: 'a@example.com', password })],
  ] as const) {
    const answer = await ask()
    t.equal(answer.status, 503, name)
    t.same(answer.body, failure('SERVICE_UNAVAILABLE', 'Service temporarily unavailable'), name)
    t.match(answer.headers['retry-after'], /^\d+$/, name)
    t.same(answer.cookies, [], name)
  }
})

t.test('every route is in the document, with schemas and errors of its own', async t => {
  const { paths } = (await send('GET', '/openapi.json', {})).body as {
    paths: Record<string, Record<string, { responses: object; tags: string[] }>>
  }
  const documented = Object.keys(paths).filter(path => path.startsWith('/api/auth/'))
  for (const path of documented)
    for (const [method, operation] of Object.entries(paths[path] ?? {})) {
      t.same(operation.tags, ['better-auth'], `${method} ${path}`)
      t.ok(Object.keys(operation.responses).includes('503'), `${method} ${path}`)
    }
  t.same(documented.map(path => path.slice('/api/auth'.length)).sort(), [
    '/change-email',
    '/change-password',
    '/delete-user',
    '/delete-user/callback',
    '/get-session',
    '/jwks',
    '/list-accounts',
    '/list-sessions',
    '/login',
    '/logout',
    '/ok',
    '/register',
    '/request-password-reset',
    '/reset-password',
    '/revoke-other-sessions',
    '/revoke-session',
    '/revoke-sessions',
    '/send-verification-email',
    '/sign-in/email',
    '/sign-out',
    '/sign-up/email',
    '/signin',
    '/signup',
    '/token',
    '/update-user',
    '/user',
    '/verify-email',
    '/verify-password',
  ])
})

t.test('a log line never holds what was sent', async t => {
  const { token } = await signUp()
  await get('/get-session', asBearer(token))
  t.ok(door.logs.length > 0)
  t.notOk(door.logs.some(line => line.includes(token) || line.includes(password)))
})
