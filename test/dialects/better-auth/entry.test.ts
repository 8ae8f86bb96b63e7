/** Better Auth's sign-up, sign-in and sign-out. */
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
  signedCookie,
  trusted,
} from './door.js'

const door = await openDoor(t)
const { get, post, newEmail, signUp, isLive } = door

t.test('sign-up makes an account, a session, a signed cookie and a token for apps', async t => {
  const email = newEmail()
  const answer = await post('/sign-up/email', {
    name: 'Ada',
    email: email.toUpperCase(),
    password,
    image: 'https://example.com/a.png',
  })
  t.equal(answer.status, 200)
  t.same(masked(answer.body), { token: '(token)', user: aUser(email, { image: 'https://example.com/a.png' }) })
  t.same(maskedCookies(answer.cookies), [signedCookie])
  const { token } = answer.body as { token: string }
  t.match(answer.headers['set-auth-token'], new RegExp(`^${token}\\.[A-Za-z0-9+/]{43}=$`))
  t.equal(decodeURIComponent(pairOf(answer.cookies)), `better-auth.session_token=${answer.headers['set-auth-token']}`)
  t.match(answer.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store', pragma: 'no-cache' })
  for (const credential of [
    asBearer(token),
    asBearer(String(answer.headers['set-auth-token'])),
    { cookie: pairOf(answer.cookies) },
  ])
    t.ok(await isLive(credential))
})

t.test('what a body holds beyond the schema is ignored, never applied', async t => {
  const email = newEmail()
  const extra = {
    id: 'mine',
    emailVerified: true,
    personalInfo: { a: 1 },
    background: { softwareLevel: 'guru' },
    term: 'long',
    lang: 'en',
  }
  const answer = await post('/sign-up/email', { name: 'Ada', email, password, ...extra })
  t.equal(answer.status, 200)
  t.same(masked((answer.body as { user: unknown }).user), aUser(email))
  const { token } = answer.body as { token: string }
  const me = await door.send('GET', '/auth/me', asBearer(token))
  t.match(me.body, { personal_info: null })
  t.equal((await door.send('GET', '/api/user/profile', asBearer(token))).status, 404)
})

t.test('sign-up refuses', async t => {
  const { email: taken } = await signUp()
  const email = 'refused@example.com'
  const good = { name: 'Ada', email, password }
  const cases: [string, unknown, number, object][] = [
    [
      'no members',
      {},
      400,
      failure(
        'VALIDATION_ERROR',
        '[body.name] Invalid input: expected string, received undefined; [body.email] Invalid input: expected string, received undefined; [body.password] Invalid input: expected string, received undefined',
      ),
    ],
    [
      'no body',
      undefined,
      400,
      failure('VALIDATION_ERROR', '[body] Invalid input: expected object, received undefined'),
    ],
    ['an array', [1], 400, failure('VALIDATION_ERROR', '[body] Invalid input: expected object, received array')],
    [
      'a number for a password',
      { ...good, password: 12345678 },
      400,
      failure('VALIDATION_ERROR', '[body.password] Invalid input: expected string, received number'),
    ],
    [
      'a text for rememberMe',
      { ...good, rememberMe: 'no' },
      400,
      failure('VALIDATION_ERROR', '[body.rememberMe] Invalid input: expected boolean, received string'),
    ],
    [
      'an empty password',
      { ...good, password: '' },
      400,
      { code: 'VALIDATION_ERROR', message: /^\[body\.password\] / },
    ],
    [
      'a malformed address',
      { ...good, email: 'nobody' },
      400,
      failure('VALIDATION_ERROR', '[body.email] Invalid email address'),
    ],
    ['a short password', { ...good, password: 'short' }, 400, failure('PASSWORD_TOO_SHORT', 'Password too short')],
    ['a long password', { ...good, password: 'x'.repeat(129) }, 400, failure('PASSWORD_TOO_LONG', 'Password too long')],
    [
      'a very long password',
      { ...good, password: 'x'.repeat(5000) },
      400,
      failure('PASSWORD_TOO_LONG', 'Password too long'),
    ],
    [
      'a common password',
      { ...good, password: 'password1' },
      400,
      failure('PASSWORD_TOO_COMMON', 'Password is too common, or the same as the email'),
    ],
    ['its own address', { ...good, password: email }, 400, { code: 'PASSWORD_TOO_COMMON' }],
    [
      'a taken address',
      { ...good, email: taken.toUpperCase() },
      422,
      failure('USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL', 'User already exists. Use another email.'),
    ],
    [
      'a foreign callbackURL',
      { ...good, callbackURL: 'https://evil.example' },
      403,
      failure('INVALID_CALLBACK_URL', 'Invalid callbackURL'),
    ],
    ['broken JSON', '{"name":', 400, failure('BAD_REQUEST', 'Invalid JSON in request body')],
  ]
  for (const [name, body, status, expected] of cases) {
    const answer = await post(
      '/sign-up/email',
      body,
      typeof body === 'string' ? { 'content-type': 'application/json' } : {},
    )
    t.equal(answer.status, status, name)
    if ('success' in expected) t.same(answer.body, expected, name)
    else t.match(answer.body, { success: false, ...expected }, name)
    t.same(answer.cookies, [], `${name} sets no cookie`)
    t.notOk(answer.headers['set-auth-token'], `${name} hands out no token`)
  }
  t.equal((await post('/sign-in/email', { email, password })).status, 401, 'none of them made an account')
})

t.test('sign-in answers as Better Auth does', async t => {
  const { email } = await signUp()
  const answer = await post('/sign-in/email', { email: ` ${email.toUpperCase()}`, password })
  t.equal(answer.status, 200)
  t.same(masked(answer.body), { redirect: false, token: '(token)', user: aUser(email) })
  t.same(maskedCookies(answer.cookies), [signedCookie])
  t.match(answer.headers['set-auth-token'], /^[\w-]{43}\.[A-Za-z0-9+/]{43}=$/)
  t.notOk(answer.headers.location)
})

t.test('sign-in with a callbackURL tells the client to go there, and stays 200', async t => {
  const { email } = await signUp()
  for (const callbackURL of ['/dashboard?tab=1', `${trusted}/in`]) {
    const answer = await post('/sign-in/email', { email, password, callbackURL })
    t.equal(answer.status, 200)
    t.same(masked(answer.body), { redirect: true, token: '(token)', url: callbackURL, user: aUser(email) })
    t.equal(answer.headers.location, callbackURL)
  }
  const strange = await post('/sign-in/email', { email, password, callbackURL: '/é→?x=%20' })
  t.equal(strange.status, 200, 'a header holds less than JSON does')
  t.equal(strange.headers.location, '/%C3%A9%E2%86%92?x=%20')
  const empty = await post('/sign-in/email', { email, password, callbackURL: '' })
  t.same(masked(empty.body), { redirect: false, token: '(token)', user: aUser(email) })
  for (const callbackURL of ['https://evil.example/', '//evil.example', '/\\evil.example', 'javascript:alert(1)']) {
    const refused = await post('/sign-in/email', { email, password, callbackURL })
    t.equal(refused.status, 403, callbackURL)
    t.same(refused.body, failure('INVALID_CALLBACK_URL', 'Invalid callbackURL'))
    t.same(refused.cookies, [])
  }
})

t.test('rememberMe: false ends with the browser, and after a day', async t => {
  const { email } = await signUp()
  for (const [path, body] of [
    ['/sign-in/email', { email, password, rememberMe: false }],
    ['/sign-up/email', { name: 'Ada', email: newEmail(), password, rememberMe: false }],
  ] as const) {
    const answer = await post(path, body)
    t.match(answer.cookies, [
      /^better-auth\.session_token=[^;]+; Path=\/; HttpOnly; SameSite=Lax$/,
      /^better-auth\.dont_remember=true\.[^;]+; Path=\/; HttpOnly; SameSite=Lax$/,
    ])
    const { session } = (await get('/get-session', { cookie: pairOf(answer.cookies) })).body as {
      session: Record<string, string>
    }
    t.equal(Date.parse(String(session.expiresAt)) - Date.parse(String(session.createdAt)), 86_400_000)
  }
})

t.test('sign-in refuses, and does not tell an unknown address from a wrong password', async t => {
  const { email } = await signUp()
  const wrong = failure('INVALID_EMAIL_OR_PASSWORD', 'Invalid email or password')
  const cases: [string, unknown, number, object][] = [
    ['a wrong password', { email, password: 'wrong horse battery' }, 401, wrong],
    ['an unknown address', { email: 'nobody@example.com', password }, 401, wrong],
    ['an empty password', { email, password: '' }, 401, wrong],
    ['a malformed address', { email: 'nobody', password }, 400, failure('INVALID_EMAIL', 'Invalid email')],
    ['an empty address', { email: '', password }, 400, failure('INVALID_EMAIL', 'Invalid email')],
    [
      'no password',
      { email },
      400,
      failure('VALIDATION_ERROR', '[body.password] Invalid input: expected string, received undefined'),
    ],
    [
      'null for an address',
      { email: null, password },
      400,
      failure('VALIDATION_ERROR', '[body.email] Invalid input: expected string, received null'),
    ],
  ]
  for (const [name, body, status, expected] of cases) {
    const answer = await post('/sign-in/email', body)
    t.equal(answer.status, status, name)
    t.same(answer.body, expected, name)
    t.same(answer.cookies, [], name)
    t.equal(answer.headers['www-authenticate'], status === 401 ? 'Bearer' : undefined, name)
  }
})

t.test('sign-up and sign-in take forms too', async t => {
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const email = newEmail()
  const fields = `email=${encodeURIComponent(email)}&password=${encodeURIComponent(password)}`
  t.equal((await post('/sign-up/email', `name=Ada&${fields}`, form)).status, 200)
  t.same(masked((await post('/sign-in/email', fields, form)).body), {
    redirect: false,
    token: '(token)',
    user: aUser(email),
  })
  t.equal((await post('/sign-in/email', `${fields}&password=other`, form)).status, 400, 'a parameter given twice')
})

t.test('C-01 a sign-in takes the place of the session whose cookie came along', async t => {
  const first = await signUp()
  const second = await post('/sign-in/email', { email: first.email, password }, first.cookie)
  t.equal(second.status, 200)
  t.same(maskedCookies(second.cookies), [signedCookie, ...expiredSigned.slice(1)], 'one line a name')
  t.notOk(await isLive(first.bearer))
  t.ok(await isLive({ cookie: pairOf(second.cookies.filter(line => line.includes('Max-Age=604800'))) }))

  const plain = await post('/login', { email: first.email, password })
  const third = await post('/sign-in/email', { email: first.email, password }, { cookie: pairOf(plain.cookies) })
  t.same(maskedCookies(third.cookies).sort(), [signedCookie, expiredPlain].sort(), 'the other name is taken back')
  t.notOk(await isLive({ cookie: pairOf(plain.cookies) }))

  const failed = await post('/sign-in/email', { email: first.email, password: 'wrong horse' }, first.cookie)
  t.equal(failed.status, 401)
  t.same(failed.cookies, [], 'a failed one leaves everything as it is')
})

t.test('C-12 sign-out ends the session at once, and is never refused', async t => {
  const { email, cookie, bearer } = await signUp()
  const out = await post('/sign-out', {}, cookie)
  t.equal(out.status, 200)
  t.same(out.body, { success: true })
  t.same(out.cookies, expiredSigned)
  t.notOk(await isLive(cookie), 'a cookie that was copied is dead')
  t.notOk(await isLive(bearer))

  for (const [name, headers] of [
    ['signed out', {}],
    ['with a stale cookie', cookie],
    ['with a stale bearer', bearer],
    ['with a dead JWT', asBearer('eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln')],
    ['with another scheme', { authorization: 'Basic Zm9vOmJhcg==' }],
  ] as const) {
    const answer = await post('/sign-out', undefined, headers)
    t.equal(answer.status, 200, name)
    t.same(answer.body, { success: true }, name)
    t.same(answer.cookies, expiredSigned, name)
  }

  const app = await door.signIn(email)
  const browser = await door.signIn(email)
  t.same((await post('/sign-out', {}, { ...app.bearer, ...browser.cookie })).body, { success: true })
  t.notOk(await isLive(app.bearer))
  t.notOk(await isLive(browser.bearer), 'a session whose cookie is taken back does not live on')
})

t.test('sign-out through an access token ends its session', async t => {
  const { email } = await signUp()
  const login = (await post('/login', { email, password })).body as { token: string; accessToken: string }
  t.equal((await post('/sign-out', {}, asBearer(login.accessToken))).status, 200)
  t.notOk(await isLive(asBearer(login.token)))
})

t.test('ok', async t => {
  const answer = await get('/ok')
  t.equal(answer.status, 200)
  t.same(answer.body, { ok: true })
})
