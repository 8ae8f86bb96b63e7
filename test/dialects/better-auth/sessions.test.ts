/** get-session, and the sessions of an account: listing and revoking them. */
import t from 'tap'
import {
  aSession,
  asBearer,
  aUser,
  expiredPlain,
  expiredSigned,
  failure,
  masked,
  openDoor,
  pairOf,
  password,
} from './door.js'

const door = await openDoor(t)
const { get, post, signUp, signIn, isLive } = door

const unauthorized = failure('UNAUTHORIZED', 'Unauthorized')
/** Reads as a JWT, and is none of ours. */
const foreignJwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln'

type Current = { session: Record<string, string>; user: object; accessToken: string; accessTokenExpiresAt: string }
type Listed = { id: string; token: string }[]

const login = async (email: string) => {
  const { body, cookies } = await post('/login', { email, password })
  return { ...(body as { token: string; accessToken: string }), cookie: { cookie: pairOf(cookies) } }
}

t.test('get-session shows the session, the user and an access token, through every credential', async t => {
  const { email, id, token, signed, cookie } = await signUp()
  const plain = { cookie: `session_token=${token}` }
  for (const headers of [cookie, plain, asBearer(token), asBearer(signed), asBearer(encodeURIComponent(signed))]) {
    const answer = await get('/get-session', headers)
    t.equal(answer.status, 200)
    t.same(masked(answer.body), {
      session: aSession(),
      user: aUser(email),
      accessToken: '(jwt)',
      accessTokenExpiresAt: '(time)',
      refreshToken: null,
    })
    t.match(answer.body, { session: { token, userId: id }, user: { id } })
    t.match(answer.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store', pragma: 'no-cache' })
    t.same(answer.cookies, [])
  }
})

t.test('the access token is good, and the same one until it nears its expiry', async t => {
  const { cookie } = await signUp()
  const first = (await get('/get-session', cookie)).body as Current
  const again = (await get('/get-session?disableCookieCache=true', cookie)).body as Current
  t.same(again, first)
  const throughIt = (await get('/get-session', asBearer(first.accessToken))).body as Current
  t.match(throughIt.user, first.user)
  t.same(throughIt.session, { ...first.session, token: first.session.id }, 'a JWT shows no session token, but a handle')
  t.equal((await door.send('GET', '/auth/me', asBearer(first.accessToken))).status, 200, 'at the other doors too')
  await door.age(1700)
  const later = (await get('/get-session', cookie)).body as Current
  t.not(later.accessToken, first.accessToken)
  t.ok(Date.parse(later.accessTokenExpiresAt) > Date.now())
})

t.test('signed out is 200 and null, in JSON', async t => {
  const { cookie, bearer } = await signUp()
  await post('/sign-out', {}, cookie)
  const tampered = cookie.cookie.replace('session_token=', 'session_token=A')
  const cases: [string, Record<string, string>, string[]][] = [
    ['nothing sent', {}, []],
    ['a dead signed cookie', cookie, expiredSigned],
    ['a dead plain cookie', { cookie: `session_token=${'A'.repeat(43)}` }, [expiredPlain]],
    ['a tampered cookie', { cookie: tampered }, []],
    ['a cookie nobody made', { cookie: 'session_token=1' }, []],
    [
      'a cookie that came twice, each time another',
      { cookie: `session_token=${'A'.repeat(43)}; session_token=${'B'.repeat(43)}` },
      [expiredPlain],
    ],
    ['a dead session token', bearer, []],
    ['a bearer of somebody else', asBearer('not-ours'), []],
    ['something with dots', asBearer('a.b.c'), []],
    ['another scheme', { authorization: 'Basic Zm9vOmJhcg==' }, []],
  ]
  for (const [name, headers, cookies] of cases) {
    const answer = await get('/get-session', headers)
    t.equal(answer.status, 200, name)
    t.equal(answer.body, null, name)
    t.match(answer.headers['content-type'], /^application\/json/, name)
    t.equal(answer.headers['content-length'], '4', name)
    t.same(answer.cookies, cookies, name)
  }
})

t.test('a real but dead JWT is 401', async t => {
  const { email, cookie, bearer } = await signUp()
  const { accessToken, token } = await login(email)
  await post('/sign-out', {}, asBearer(token))
  for (const [name, headers] of [
    ['of a session that is over', asBearer(accessToken)],
    ['of ours, beside a live cookie', { ...asBearer(accessToken), ...cookie }],
    ['of somebody else', asBearer(foreignJwt)],
  ] as const) {
    const answer = await get('/get-session', headers)
    t.equal(answer.status, 401, name)
    t.same(answer.body, unauthorized, name)
    t.equal(answer.headers['www-authenticate'], 'Bearer error="invalid_token"', name)
  }
  t.ok(await isLive({ ...asBearer(foreignJwt), ...cookie }), 'somebody else’s falls back to the cookie')
  const other = await signUp()
  const both = (await get('/get-session', { ...bearer, ...other.cookie })).body as { user: object }
  t.match(both.user, { email }, 'where both are good, the bearer counts')
})

t.test('strict: every signed-out answer is 401', async t => {
  const strict = await openDoor(t, { BETTER_AUTH_STRICT_SESSION: 'true' })
  const { cookie } = await strict.signUp()
  t.equal((await strict.get('/get-session', cookie)).status, 200)
  await strict.post('/sign-out', {}, cookie)
  const bare = await strict.get('/get-session')
  t.equal(bare.status, 401)
  t.same(bare.body, unauthorized)
  t.equal(bare.headers['www-authenticate'], 'Bearer')
  const stale = await strict.get('/get-session', cookie)
  t.equal(stale.status, 401)
  t.same(stale.body, unauthorized)
  t.equal(stale.headers['www-authenticate'], 'Bearer error="invalid_token"')
  t.same(stale.cookies, expiredSigned)
})

t.test('a session in use is extended once a day, and its cookie sent again', async t => {
  const { cookie, bearer } = await signUp()
  const { expiresAt } = ((await get('/get-session', cookie)).body as Current).session
  await door.age(86_400 * 2)
  const left = await get('/get-session?disableRefresh=true', cookie)
  t.same(left.cookies, [])
  t.ok(Date.parse(String((left.body as Current).session.expiresAt)) < Date.parse(String(expiresAt)) - 86_400_000)
  const extended = await get('/get-session', cookie)
  t.match(extended.cookies, [
    /^better-auth\.session_token=[^;]+; Max-Age=604(799|800); Path=\/; HttpOnly; SameSite=Lax$/,
  ])
  t.equal(pairOf(extended.cookies), cookie.cookie)
  t.ok(Date.parse(String((extended.body as Current).session.expiresAt)) >= Date.parse(String(expiresAt)))
  t.same((await get('/get-session', cookie)).cookies, [], 'once')
  await door.age(86_400 * 2)
  t.same((await get('/get-session', bearer)).cookies, [], 'who sent no cookie gets none')
  await door.age(86_400 * 7)
  t.equal((await get('/get-session', cookie)).body, null, 'a week unused, and it is over')
})

t.test('without rememberMe a session is not extended', async t => {
  const { email } = await signUp()
  const { cookie } = await signIn(email, { rememberMe: false })
  await door.age(86_000)
  t.same((await get('/get-session', cookie)).cookies, [])
  t.ok(await isLive(cookie))
  await door.age(401)
  t.notOk(await isLive(cookie))
})

t.test('list-sessions shows the token of the caller, and handles of the others', async t => {
  const { email, token, cookie } = await signUp()
  const phone = await signIn(email, {}, { 'user-agent': 'Phone/1.0' })
  const listed = await get('/list-sessions', cookie)
  t.equal(listed.status, 200)
  t.same(masked(listed.body), [aSession({ token: '(id)', userAgent: 'Phone/1.0' }), aSession()])
  const [other, own] = listed.body as Listed
  t.equal(own?.token, token)
  t.equal(other?.token, other?.id)
  await post('/sign-out', {}, phone.cookie)
  t.same(masked((await get('/list-sessions', cookie)).body), [aSession()], 'live ones only')
  const { accessToken } = (await get('/get-session', cookie)).body as Current
  t.same(
    masked((await get('/list-sessions', asBearer(accessToken))).body),
    [aSession({ token: '(id)' })],
    'a JWT shows no token',
  )
})

t.test('revoke-session takes the handle, the token or the id', async t => {
  const me = await signUp()
  const revoked = { status: true }
  const handleOf = async (bearer: Record<string, string>) =>
    ((await get('/get-session', bearer)).body as Current).session.id as string

  const one = await signIn(me.email)
  t.same(
    await post('/revoke-session', { token: await handleOf(one.bearer) }, me.bearer).then(({ body }) => body),
    revoked,
  )
  t.notOk(await isLive(one.bearer))
  const two = await signIn(me.email)
  t.same((await post('/revoke-session', { token: two.token }, me.bearer)).body, revoked)
  t.notOk(await isLive(two.bearer))
  const three = await signIn(me.email)
  t.same((await post('/revoke-session', { sessionId: await handleOf(three.bearer) }, me.bearer)).body, revoked)
  t.notOk(await isLive(three.bearer))

  const stranger = await signUp()
  for (const token of [stranger.token, await handleOf(stranger.bearer), one.token, 'unknown', '']) {
    const answer = await post('/revoke-session', { token }, me.bearer)
    t.equal(answer.status, 200, token)
    t.same(answer.body, revoked, token)
    t.same(answer.cookies, [], token)
  }
  t.ok(await isLive(stranger.bearer), 'a foreign session stays')
  t.ok(await isLive(me.bearer))

  for (const body of [{}, undefined]) {
    const nameless = await post('/revoke-session', body, me.bearer)
    t.equal(nameless.status, 400)
    t.same(
      nameless.body,
      failure('VALIDATION_ERROR', '[body.token] Invalid input: expected string, received undefined'),
    )
  }
  const own = await post('/revoke-session', { token: me.token }, me.cookie)
  t.same(own.body, revoked)
  t.same(own.cookies, expiredSigned, 'the cookie of one’s own session goes with it')
  t.notOk(await isLive(me.bearer))
})

t.test('revoke-other-sessions leaves this one, revoke-sessions none', async t => {
  const me = await signUp()
  const [phone, stranger] = [await signIn(me.email), await signUp()]
  for (const body of [undefined, {}]) {
    const others = await post('/revoke-other-sessions', body, me.cookie)
    t.equal(others.status, 200)
    t.same(others.body, { status: true })
    t.same(others.cookies, [])
  }
  t.notOk(await isLive(phone.bearer))
  t.ok(await isLive(me.bearer))

  const second = await signIn(me.email)
  const all = await post('/revoke-sessions', {}, me.cookie)
  t.same(all.body, { status: true })
  t.same(all.cookies, expiredSigned)
  t.notOk(await isLive(me.bearer))
  t.notOk(await isLive(second.bearer))
  t.ok(await isLive(stranger.bearer))
})

t.test('a session that ends in the very request that would extend it leaves no cookie behind', async t => {
  const me = await signUp()
  await door.age(86_400 * 2)
  t.same((await post('/revoke-sessions', {}, me.cookie)).cookies, expiredSigned)
})

t.test('what needs somebody signed in says so before it looks at the body', async t => {
  const routes = [
    '/revoke-session',
    '/revoke-other-sessions',
    '/revoke-sessions',
    '/update-user',
    '/change-password',
    '/verify-password',
    '/delete-user',
  ]
  for (const path of routes) {
    const answer = await post(path, '{broken', { 'content-type': 'application/json' })
    t.equal(answer.status, 401, path)
    t.same(answer.body, unauthorized, path)
    t.equal(answer.headers['www-authenticate'], 'Bearer', path)
  }
  for (const path of ['/list-sessions', '/list-accounts', '/user']) {
    t.same((await get(path)).body, unauthorized, path)
    const stale = await get(path, asBearer('A'.repeat(43)))
    t.equal(stale.status, 401, path)
    t.equal(stale.headers['www-authenticate'], 'Bearer error="invalid_token"', path)
  }
})
