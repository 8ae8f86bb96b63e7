/** The JSON dialects beside Better Auth's: register, login, logout and user (seeds 0 and 2), signup and signin (seed 1). */
import t from 'tap'
import {
  asBearer,
  aUser,
  expiredPlain,
  expiredSigned,
  failure,
  masked,
  maskedCookies,
  openDoor,
  pairOf,
  password,
  plainCookie,
  trusted,
} from './door.js'

const door = await openDoor(t)
const { get, post, newEmail, signUp, isLive } = door

const wrong = failure('INVALID_EMAIL_OR_PASSWORD', 'Invalid email or password')
const unauthorized = failure('UNAUTHORIZED', 'Unauthorized')
const taken = failure('USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL', 'User already exists. Use another email.')
const background_data = {
  softwareBackground: {
    primaryLanguages: ['Python', 'JavaScript/TypeScript'],
    cloudFamiliarity: 'Intermediate',
    preferredOs: 'Linux',
    databaseExperience: ['SQL', 'NoSQL'],
  },
  hardwareBackground: { embeddedSystemsExperience: 'Some C/Assembly', gpuFamiliarity: 'Basic' },
}

type Opened = { token: string; accessToken: string; refreshToken: string; userId: string; accessTokenExpiresAt: string }
type Headers = Record<string, string>

const opened = (email: string, name = '') => ({
  userId: '(id)',
  token: '(token)',
  accessToken: '(jwt)',
  accessTokenExpiresAt: '(time)',
  refreshToken: '(jwt)',
  user: aUser(email, { name }),
})

const personalization = async (headers: Headers) =>
  masked((await door.send('GET', '/api/user/personalization', headers)).body)

t.test('register makes an account with its background, and sets the plain cookie', async t => {
  const email = newEmail()
  const answer = await post('/register', { email: email.toUpperCase(), password, name: 'Ada', background_data })
  t.equal(answer.status, 201)
  t.same(masked(answer.body), { message: 'User registered successfully', ...opened(email, 'Ada') })
  t.same(maskedCookies(answer.cookies), [plainCookie])
  t.match(answer.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store', pragma: 'no-cache' })
  const { token, accessToken, refreshToken, userId } = answer.body as Opened
  t.equal(pairOf(answer.cookies), `session_token=${token}`)
  t.match(answer.body, { user: { id: userId } })
  for (const headers of [asBearer(token), asBearer(accessToken), { cookie: `session_token=${token}` }]) {
    t.same(masked((await get('/user', headers)).body), aUser(email, { name: 'Ada' }))
    t.same(await personalization(headers), { betterAuthUserId: '(id)', ...background_data })
  }
  t.equal((await door.send('POST', '/auth/refresh', {}, { token: refreshToken })).status, 200)
})

t.test('every part of the background is optional, and what nobody asked for is not kept', async t => {
  const { softwareBackground, hardwareBackground } = background_data
  const cases: [string, object | undefined, object][] = [
    ['nothing', undefined, { softwareBackground: null, hardwareBackground: null }],
    ['no halves', {}, { softwareBackground: null, hardwareBackground: null }],
    ['one half', { hardwareBackground }, { softwareBackground: null, hardwareBackground }],
    [
      'one member',
      { softwareBackground: { preferredOs: 'Hybrid' } },
      { softwareBackground: { preferredOs: 'Hybrid' }, hardwareBackground: null },
    ],
    [
      'more than asked',
      { softwareBackground: { ...softwareBackground, isAdmin: true }, extra: 1 },
      { softwareBackground, hardwareBackground: null },
    ],
  ]
  for (const [name, data, expected] of cases) {
    const answer = await post('/register', { email: newEmail(), password, background_data: data, role: 'admin' })
    t.equal(answer.status, 201, name)
    const bearer = asBearer((answer.body as Opened).token)
    t.same(await personalization(bearer), { betterAuthUserId: '(id)', ...expected }, name)
    const told = data !== undefined && Object.keys(data).length > 0
    t.equal(
      (await door.send('GET', '/api/user/profile', bearer)).status,
      told ? 200 : 404,
      `${name}: a profile or none`,
    )
  }
  const rows = await door.database.db.query.profiles.findMany({ columns: { softwareDetails: true } })
  t.notOk(JSON.stringify(rows).includes('isAdmin'))
})

t.test('register refuses with 400, and the code says why', async t => {
  const { email: existing } = await signUp()
  const good = { email: 'refused@example.com', password }
  const cases: [string, unknown, object][] = [
    [
      'nothing',
      {},
      failure(
        'VALIDATION_ERROR',
        '[body.email] Invalid input: expected string, received undefined; [body.password] Invalid input: expected string, received undefined',
      ),
    ],
    ['no body', undefined, failure('VALIDATION_ERROR', '[body] Invalid input: expected object, received undefined')],
    ['a taken address', { ...good, email: existing }, taken],
    ['a malformed address', { ...good, email: 'nobody' }, failure('INVALID_EMAIL', 'Invalid email')],
    ['a short password', { ...good, password: 'short' }, failure('PASSWORD_TOO_SHORT', 'Password too short')],
    ['a long password', { ...good, password: 'x'.repeat(129) }, failure('PASSWORD_TOO_LONG', 'Password too long')],
    [
      'a number for a password',
      { ...good, password: 12345678 },
      failure('VALIDATION_ERROR', '[body.password] Invalid input: expected string, received number'),
    ],
    [
      'an unknown value',
      { ...good, background_data: { hardwareBackground: { gpuFamiliarity: 'Expert' } } },
      failure(
        'VALIDATION_ERROR',
        '[body.background_data.hardwareBackground.gpuFamiliarity] Invalid input: must be one of None, Basic, Advanced',
      ),
    ],
    [
      'a text for a list',
      { ...good, background_data: { softwareBackground: { primaryLanguages: 'Python' } } },
      failure(
        'VALIDATION_ERROR',
        '[body.background_data.softwareBackground.primaryLanguages] Invalid input: expected array, received string',
      ),
    ],
    [
      'a list of numbers',
      { ...good, background_data: { softwareBackground: { databaseExperience: [1] } } },
      failure(
        'VALIDATION_ERROR',
        '[body.background_data.softwareBackground.databaseExperience.0] Invalid input: expected string, received number',
      ),
    ],
  ]
  for (const [name, body, expected] of cases) {
    const answer = await post('/register', body)
    t.equal(answer.status, 400, name)
    t.same(answer.body, expected, name)
    t.same(answer.cookies, [], name)
  }
  t.equal((await post('/login', good)).status, 401, 'none of them made an account')
})

t.test('login sets the cookie and answers with every token', async t => {
  const { email } = await signUp()
  const answer = await post('/login', { email: email.toUpperCase(), password })
  t.equal(answer.status, 200)
  t.same(masked(answer.body), { message: 'Login successful', ...opened(email, 'Ada') })
  t.same(maskedCookies(answer.cookies), [plainCookie])
  const { token, accessTokenExpiresAt } = answer.body as Opened
  t.equal(pairOf(answer.cookies), `session_token=${token}`)
  const left = Date.parse(accessTokenExpiresAt) - Date.now()
  t.ok(left > 1_790_000 && left <= 1_800_000)
  t.ok(await isLive({ cookie: pairOf(answer.cookies) }))
})

t.test('login repeats a redirectUrl only where it is relative or trusted', async t => {
  const { email } = await signUp()
  for (const redirectUrl of ['/docs/intro?a=1#b', `${trusted}/welcome`]) {
    const answer = await post('/login', { email, password, redirectUrl })
    t.same(masked(answer.body), { message: 'Login successful', redirectUrl, ...opened(email, 'Ada') }, redirectUrl)
  }
  for (const redirectUrl of [
    'https://evil.example/',
    '//evil.example',
    '/\\evil.example',
    'javascript:alert(1)',
    'docs',
    '',
  ]) {
    const answer = await post('/login', { email, password, redirectUrl })
    t.equal(answer.status, 200, redirectUrl)
    t.same(masked(answer.body), { message: 'Login successful', ...opened(email, 'Ada') }, redirectUrl)
    t.notOk(answer.headers.location)
  }
})

t.test('login and signin refuse', async t => {
  const { email } = await signUp()
  const cases: [string, unknown, number, object][] = [
    ['a wrong password', { email, password: 'wrong horse' }, 401, wrong],
    ['an unknown address', { email: 'nobody@example.com', password }, 401, wrong],
    ['what is no address', { email: 'nobody', password }, 401, wrong],
    [
      'no password',
      { email },
      400,
      failure('VALIDATION_ERROR', '[body.password] Invalid input: expected string, received undefined'),
    ],
    [
      'no address',
      { password },
      400,
      failure('VALIDATION_ERROR', '[body.email] Invalid input: expected string, received undefined'),
    ],
    [
      'a list',
      { email, password: [password] },
      400,
      failure('VALIDATION_ERROR', '[body.password] Invalid input: expected string, received array'),
    ],
  ]
  for (const path of ['/login', '/signin'])
    for (const [name, body, status, expected] of cases) {
      const answer = await post(path, body)
      t.equal(answer.status, status, `${path} ${name}`)
      t.same(answer.body, expected, `${path} ${name}`)
      t.same(answer.cookies, [], `${path} ${name}`)
    }
})

t.test('C-01 login takes the place of the session whose cookie came along', async t => {
  const first = await signUp()
  const second = await post('/login', { email: first.email, password }, first.cookie)
  t.same(maskedCookies(second.cookies).sort(), [...expiredSigned, plainCookie].sort(), 'the other name is taken back')
  t.notOk(await isLive(first.bearer))
  const third = await post('/login', { email: first.email, password }, { cookie: pairOf(second.cookies.slice(-1)) })
  t.same(maskedCookies(third.cookies), [plainCookie], 'one line a name')
  t.notOk(await isLive(asBearer((second.body as Opened).token)))
  t.ok(await isLive(asBearer((third.body as Opened).token)))
})

t.test('C-12 logout ends the session at once and clears its cookies', async t => {
  const { email, cookie: signedCookie } = await signUp()
  const login = async () => (await post('/login', { email, password })).body as Opened
  const done = { message: 'Logged out successfully' }

  const [one, two, three, four] = [await login(), await login(), await login(), await login()]
  const plain = { cookie: `session_token=${one.token}` }
  const cases: [string, Headers, string, string[]][] = [
    ['the plain cookie', plain, one.token, [expiredPlain]],
    ['the session token as bearer', asBearer(two.token), two.token, [expiredPlain]],
    ['the access token', asBearer(three.accessToken), three.token, [expiredPlain]],
    ['the signed cookie', signedCookie, '', [expiredPlain, ...expiredSigned]],
  ]
  for (const [name, headers, token, cookies] of cases) {
    const answer = await post('/logout', undefined, headers)
    t.equal(answer.status, 200, name)
    t.same(answer.body, done, name)
    t.same(answer.cookies, cookies, name)
    t.notOk(await isLive(token ? asBearer(token) : headers), name)
  }

  for (const [name, headers] of [
    ['a stale cookie', plain],
    ['a tampered cookie', { cookie: 'session_token=1' }],
    ['a stale bearer', asBearer(two.token)],
    ['a bearer of somebody else', asBearer('not-ours')],
  ] as const) {
    const answer = await post('/logout', {}, headers)
    t.equal(answer.status, 200, name)
    t.same(answer.body, done, name)
    t.same(answer.cookies, [expiredPlain], name)
  }

  const bare = await post('/logout')
  t.equal(bare.status, 401)
  t.same(bare.body, unauthorized)
  t.equal(bare.headers['www-authenticate'], 'Bearer')
  const dead = await post('/logout', {}, asBearer(three.accessToken))
  t.equal(dead.status, 401, 'an access token that is dead')
  t.same(dead.body, unauthorized)
  t.same(dead.cookies, [])

  const both = await post('/logout', {}, { ...asBearer(four.token), cookie: `session_token=${(await login()).token}` })
  t.same(both.body, done)
  t.notOk(await isLive(asBearer(four.token)))
})

t.test('logout ends the session of the cookie it takes back, also beside a bearer', async t => {
  const { email, bearer } = await signUp()
  const { token } = (await post('/login', { email, password })).body as Opened
  await post('/logout', {}, { ...bearer, cookie: `session_token=${token}` })
  t.notOk(await isLive(bearer))
  t.notOk(await isLive(asBearer(token)))
})

t.test('routes without required members take an empty body in each of its forms', async t => {
  const json = { 'content-type': 'application/json' }
  for (const path of ['/logout', '/sign-out', '/revoke-other-sessions', '/revoke-sessions', '/delete-user'])
    for (const [name, body, headers] of [
      ['none', undefined, {}],
      ['{}', '{}', json],
      ['none, said to be JSON', '', json],
    ] as const) {
      const { bearer } = await signUp()
      t.equal((await post(path, body, { ...headers, ...bearer })).status, 200, `${path} ${name}`)
    }
})

t.test('C-12 there is no GET that logs out', async t => {
  const { cookie } = await signUp()
  for (const path of ['/logout', '/sign-out']) t.equal((await get(path, cookie)).status, 404)
  t.ok(await isLive(cookie))
})

t.test('signup makes an account with its levels', async t => {
  const email = newEmail()
  const levels = { software_level: 'beginner', hardware_background: 'robotics' }
  const answer = await post('/signup', { email, password, ...levels, name: 'ignored' })
  t.equal(answer.status, 201)
  t.same(masked(answer.body), { success: true, user_id: '(id)', session_token: '(token)' })
  t.same(answer.cookies, [])
  const { session_token, user_id } = answer.body as { session_token: string; user_id: string }
  t.match((await door.send('GET', '/api/user/profile', asBearer(session_token))).body, { user_id, ...levels })
  t.same(masked((await get('/user', asBearer(session_token))).body), aUser(email, { name: '' }))

  const again = await post('/signup', { email, password, ...levels })
  t.equal(again.status, 400)
  t.same(again.body, taken)
})

t.test('signup wants both levels', async t => {
  const good = { email: newEmail(), password, software_level: 'beginner', hardware_background: 'robotics' }
  const cases: [string, object, string][] = [
    [
      'no software level',
      { ...good, software_level: undefined },
      '[body.software_level] Invalid input: expected string, received undefined',
    ],
    [
      'no hardware',
      { ...good, hardware_background: undefined },
      '[body.hardware_background] Invalid input: expected string, received undefined',
    ],
    [
      'another level',
      { ...good, software_level: 'guru' },
      '[body.software_level] Invalid input: must be one of beginner, intermediate, advanced',
    ],
    [
      'other hardware',
      { ...good, hardware_background: 'Robotics' },
      '[body.hardware_background] Invalid input: must be one of robotics, embedded systems, none, other',
    ],
  ]
  for (const [name, body, message] of cases) {
    const answer = await post('/signup', body)
    t.equal(answer.status, 400, name)
    t.same(answer.body, failure('VALIDATION_ERROR', message), name)
  }
})

t.test('signin answers with the background, or null', async t => {
  const email = newEmail()
  const levels = { software_level: 'advanced', hardware_background: 'embedded systems' }
  await post('/signup', { email, password, ...levels })
  const answer = await post('/signin', { email, password })
  t.equal(answer.status, 200)
  t.same(masked(answer.body), { success: true, user_id: '(id)', session_token: '(token)', background_profile: levels })
  t.same(answer.cookies, [])
  const { session_token } = answer.body as { session_token: string }
  t.ok(await isLive(asBearer(session_token)))

  await door.app.inject({ method: 'DELETE', url: '/api/user/profile', headers: asBearer(session_token) })
  t.match((await post('/signin', { email, password })).body, { background_profile: null }, 'archived')
  const { email: plain, cookie, bearer } = await signUp()
  const none = await post('/signin', { email: plain, password }, cookie)
  t.same(masked(none.body), { success: true, user_id: '(id)', session_token: '(token)', background_profile: null })
  t.same(none.cookies, expiredSigned, 'the cookie that came along is taken back')
  t.notOk(await isLive(bearer), 'and its session is over')
})
