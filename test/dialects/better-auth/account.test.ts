/** The signed-in person's account and password, in Better Auth's words. */
import t from 'tap'
import {
  asBearer,
  aUser,
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
const { get, post, signUp, signIn, isLive } = door
const newPassword = 'staple that horse twice'

const userOf = async (headers: Record<string, string>) => masked((await get('/user', headers)).body)

t.test('update-user changes name and image, and sends the cookie again', async t => {
  const { email, cookie, bearer, signed } = await signUp()
  const answer = await post('/update-user', { name: 'Ada Lovelace', image: 'https://example.com/a.png' }, cookie)
  t.equal(answer.status, 200)
  t.same(answer.body, { status: true })
  t.match(answer.cookies, [/^better-auth\.session_token=[^;]+; Max-Age=604(799|800); Path=\/; HttpOnly; SameSite=Lax$/])
  t.equal(pairOf(answer.cookies), cookie.cookie)
  t.equal(answer.headers['set-auth-token'], signed)
  t.same(await userOf(cookie), aUser(email, { name: 'Ada Lovelace', image: 'https://example.com/a.png' }))

  const cleared = await post('/update-user', { image: null }, bearer)
  t.same(cleared.body, { status: true })
  t.same(cleared.cookies, [], 'who sent no cookie gets none')
  t.equal(cleared.headers['set-auth-token'], signed)
  t.same(await userOf(cookie), aUser(email, { name: 'Ada Lovelace' }))
})

t.test('update-user does not turn a cookie that ends with the browser into one that stays', async t => {
  const { email } = await signUp()
  const { cookie } = await signIn(email, { rememberMe: false })
  t.same((await post('/update-user', { name: 'A' }, cookie)).cookies, [])
})

t.test('update-user refuses', async t => {
  const { email, bearer } = await signUp()
  const nothing = failure('NO_FIELDS_TO_UPDATE', 'No fields to update')
  const cases: [string, unknown, object][] = [
    [
      'an address',
      { email: 'other@example.com', name: 'Eve' },
      failure('EMAIL_CAN_NOT_BE_UPDATED', 'Email can not be updated'),
    ],
    ['nothing', {}, nothing],
    ['no body', undefined, nothing],
    ['only what there is not', { emailVerified: true, id: 'x', personalInfo: {} }, nothing],
    ['an array', [], failure('VALIDATION_ERROR', '[body] Invalid input: expected object, received array')],
    [
      'a number',
      { name: 1 },
      failure('VALIDATION_ERROR', '[body.name] Invalid input: expected string, received number'),
    ],
  ]
  for (const [name, body, expected] of cases) {
    const answer = await post('/update-user', body, bearer)
    t.equal(answer.status, 400, name)
    t.same(answer.body, expected, name)
  }
  t.same(await userOf(bearer), aUser(email))
})

t.test('change-password leaves every session as it is', async t => {
  const me = await signUp()
  const phone = await signIn(me.email)
  const { refreshToken } = (await post('/login', { email: me.email, password })).body as { refreshToken: string }
  const answer = await post('/change-password', { currentPassword: password, newPassword }, me.cookie)
  t.equal(answer.status, 200)
  t.same(masked(answer.body), { token: null, user: aUser(me.email) })
  t.same(answer.cookies, [])
  t.notOk(answer.headers['set-auth-token'])
  t.ok(await isLive(me.bearer))
  t.ok(await isLive(phone.bearer))
  t.equal((await post('/sign-in/email', { email: me.email, password })).status, 401)
  t.equal((await post('/sign-in/email', { email: me.email, password: newPassword })).status, 200)
  await door.age(60)
  const refreshed = await door.send('POST', '/auth/refresh', {}, { token: refreshToken })
  t.equal(refreshed.status, 200, 'the refresh tokens of the others stay good')
})

t.test('change-password leaves the caller’s refresh token good: there is no place to tell another', async t => {
  const { email } = await signUp()
  const { token, refreshToken } = (await post('/login', { email, password })).body as {
    token: string
    refreshToken: string
  }
  t.equal((await post('/change-password', { currentPassword: password, newPassword }, asBearer(token))).status, 200)
  await door.age(60)
  t.equal((await door.send('POST', '/auth/refresh', {}, { token: refreshToken })).status, 200)
  t.ok(await isLive(asBearer(token)))
})

t.test('change-password with revokeOtherSessions ends all of them and opens a new one', async t => {
  const me = await signUp()
  const phone = await signIn(me.email)
  await door.age(86_400 * 2)
  const change = { currentPassword: password, newPassword, revokeOtherSessions: true }
  const answer = await post('/change-password', change, me.cookie)
  t.equal(answer.status, 200)
  t.same(masked(answer.body), { token: '(token)', user: aUser(me.email) })
  t.same(maskedCookies(answer.cookies), [signedCookie, ...expiredSigned.slice(1)])
  const { token } = answer.body as { token: string }
  t.not(token, me.token)
  t.match(answer.headers['set-auth-token'], `${token}.`)
  t.match(decodeURIComponent(pairOf(answer.cookies)), `better-auth.session_token=${token}.`)
  t.notOk(await isLive(me.bearer))
  t.notOk(await isLive(phone.bearer))
  t.ok(await isLive(asBearer(token)))
  t.ok(await isLive({ cookie: pairOf(answer.cookies) }))
  t.equal((await post('/sign-in/email', { email: me.email, password: newPassword })).status, 200)
})

t.test('change-password keeps a session that ends with the browser one that does', async t => {
  const { email } = await signUp()
  const { cookie } = await signIn(email, { rememberMe: false })
  const answer = await post(
    '/change-password',
    { currentPassword: password, newPassword, revokeOtherSessions: true },
    cookie,
  )
  t.match(answer.cookies[0], /^better-auth\.session_token=[^;]+; Path=\/; HttpOnly; SameSite=Lax$/)
})

t.test('L-11 change-password refuses', async t => {
  const { email, bearer } = await signUp()
  const given = { currentPassword: password, newPassword }
  const cases: [string, unknown, object][] = [
    ['a wrong password', { ...given, currentPassword: 'wrong horse' }, failure('INVALID_PASSWORD', 'Invalid password')],
    ['a short one', { ...given, newPassword: 'short' }, failure('PASSWORD_TOO_SHORT', 'Password too short')],
    ['an empty one', { ...given, newPassword: '' }, failure('PASSWORD_TOO_SHORT', 'Password too short')],
    ['a long one', { ...given, newPassword: 'x'.repeat(129) }, failure('PASSWORD_TOO_LONG', 'Password too long')],
    [
      'one’s own address',
      { ...given, newPassword: email },
      failure('PASSWORD_TOO_COMMON', 'Password is too common, or the same as the email'),
    ],
    [
      'nothing',
      {},
      failure(
        'VALIDATION_ERROR',
        '[body.currentPassword] Invalid input: expected string, received undefined; [body.newPassword] Invalid input: expected string, received undefined',
      ),
    ],
    [
      'a text for revokeOtherSessions',
      { ...given, revokeOtherSessions: 'true' },
      failure('VALIDATION_ERROR', '[body.revokeOtherSessions] Invalid input: expected boolean, received string'),
    ],
  ]
  for (const [name, body, expected] of cases) {
    const answer = await post('/change-password', body, bearer)
    t.equal(answer.status, 400, name)
    t.same(answer.body, expected, name)
    t.same(answer.cookies, [], name)
  }
  t.ok(await isLive(bearer))
})

t.test('verify-password', async t => {
  const { bearer } = await signUp()
  const right = await post('/verify-password', { password }, bearer)
  t.equal(right.status, 200)
  t.same(right.body, { status: true })
  const wrong = await post('/verify-password', { password: 'wrong horse' }, bearer)
  t.equal(wrong.status, 400)
  t.same(wrong.body, failure('INVALID_PASSWORD', 'Invalid password'))
  t.equal((await post('/verify-password', {}, bearer)).status, 400)
})

t.test('list-accounts shows the one way in, and no secret', async t => {
  const { id, bearer } = await signUp()
  const answer = await get('/list-accounts', bearer)
  t.equal(answer.status, 200)
  t.same(masked(answer.body), [
    {
      id: '(id)',
      accountId: '(id)',
      providerId: 'credential',
      userId: '(id)',
      createdAt: '(time)',
      updatedAt: '(time)',
      scopes: [],
    },
  ])
  t.match(answer.body, [{ accountId: id, userId: id }])
})

t.test('delete-user takes the account, its sessions and the cookies', async t => {
  const me = await signUp()
  const phone = await signIn(me.email)
  const answer = await post('/delete-user', { password, callbackURL: `${trusted}/bye` }, me.cookie)
  t.equal(answer.status, 200)
  t.same(answer.body, { success: true, message: 'User deleted' })
  t.same(answer.cookies, expiredSigned)
  t.notOk(await isLive(me.bearer))
  t.notOk(await isLive(phone.bearer))
  t.equal((await post('/sign-in/email', { email: me.email, password })).status, 401)
  t.equal(
    (await post('/sign-up/email', { name: 'Ada', email: me.email, password })).status,
    200,
    'the address is free again',
  )
})

t.test('delete-user asks no password of a session that is a day old at most', async t => {
  for (const body of [undefined, {}, { password: '' }]) {
    const { bearer } = await signUp()
    t.same((await post('/delete-user', body, bearer)).body, { success: true, message: 'User deleted' })
  }
  const { cookie, bearer } = await signUp()
  await door.age(86_460)
  const stale = await post('/delete-user', {}, cookie)
  t.equal(stale.status, 400)
  t.same(stale.body, failure('SESSION_EXPIRED', 'Session expired. Re-authenticate to perform this action.'))
  t.ok(await isLive(bearer))
  const deleted = await post('/delete-user', { password }, cookie)
  t.equal(deleted.status, 200)
  t.same(deleted.cookies, expiredSigned)
})

t.test('delete-user refuses', async t => {
  const { bearer } = await signUp()
  const cases: [string, unknown, number, object][] = [
    ['a wrong password', { password: 'wrong horse' }, 400, failure('INVALID_PASSWORD', 'Invalid password')],
    ['a token nobody sent', { token: 'abc' }, 404, failure('INVALID_TOKEN', 'Invalid token')],
    [
      'a foreign callbackURL',
      { password, callbackURL: 'https://evil.example' },
      403,
      failure('INVALID_CALLBACK_URL', 'Invalid callbackURL'),
    ],
    [
      'a number',
      { password: 1 },
      400,
      failure('VALIDATION_ERROR', '[body.password] Invalid input: expected string, received number'),
    ],
  ]
  for (const [name, body, status, expected] of cases) {
    const answer = await post('/delete-user', body, bearer)
    t.equal(answer.status, status, name)
    t.same(answer.body, expected, name)
  }
  t.ok(await isLive(bearer))
})
