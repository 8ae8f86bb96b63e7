/** Sessions through the doors: how long they live, who is listed, who is put out, and which credential counts. */
import { createHash, createHmac } from 'node:crypto'
import { sql } from 'drizzle-orm'
import t from 'tap'
import { startApp, type TestService, testSecrets } from '../helpers/app.js'

const shared = await startApp(t)
const password = 'correct horse battery'
const day = 86_400
const signedName = 'better-auth.session_token'

type Headers = Record<string, string>
type Person = { email: string; id: string; access: string; refresh: string; sid: string }
type Row = Record<string, unknown> & { ended_at: unknown; end_reason: unknown }

const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` })
const plainCookie = (token: string): Headers => ({ cookie: `session_token=${token}` })
const signedCookie = (value: string): Headers => ({ cookie: `${signedName}=${encodeURIComponent(value)}` })

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

function forge(claims: object, secret = testSecrets.JWT_SECRET): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const input = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

let people = 0

function actorsOf({ app, database }: TestService) {
  const get = (url: string, headers: Headers = {}) => app.inject({ url, headers })
  const post = (url: string, payload: object = {}, headers: Headers = {}) =>
    app.inject({ method: 'POST', url, payload, headers })
  const run = async (statement: ReturnType<typeof sql>): Promise<Row[]> => {
    const result: unknown = await database.db.execute(statement)
    return Array.isArray(result) ? result : (result as { rows: Row[] }).rows
  }
  const rowOf = async (sid: string) => (await run(sql`select * from sessions where id = ${sid}`))[0]
  const secondsLeft = async (sid: string) =>
    Number(
      (await run(sql`select extract(epoch from expires_at - now()) as left from sessions where id = ${sid}`))[0]?.left,
    )

  return {
    get,
    post,
    run,
    rowOf,
    secondsLeft,

    register: async (): Promise<Person> => {
      people += 1
      const email = `person${people}@example.com`
      const {
        access_token: access,
        refresh_token: refresh,
        user,
      } = (await post('/auth/register', { email, password })).json()
      return { email, id: user.uuid, access, refresh, sid: claimsOf(access).sid }
    },

    /** A session with an opaque token and seed 0's cookie. */
    login: async ({ email }: { email: string }, headers: Headers = {}) => {
      const answer = await post('/api/auth/login', { email, password }, headers)
      const { token, accessToken, refreshToken } = answer.json()
      return { token, access: accessToken, refresh: refreshToken, sid: claimsOf(accessToken).sid as string }
    },

    /** A session with Better Auth's signed cookie; `signed` is the cookie's value. */
    signIn: async ({ email }: { email: string }, extra: object = {}) => {
      const answer = await post('/api/auth/sign-in/email', { email, password, ...extra })
      const { token } = answer.json()
      const hash = createHash('sha256').update(token).digest('base64url')
      const [row] = await run(sql`select id from sessions where token_hash = ${hash}`)
      return { token, signed: String(answer.headers['set-auth-token']), sid: String(row?.id), cookies: answer.cookies }
    },

    /** Lets time pass for a session: all its moments move into the past. */
    age: (sid: string, seconds: number) => {
      const columns = ['created_at', 'rotated_at', 'last_used_at', 'expires_at']
      const earlier = columns.map(column => sql.raw(`${column} = ${column} - interval '${seconds} seconds'`))
      return run(sql`update sessions set ${sql.join(earlier, sql`, `)} where id = ${sid}`)
    },

    /** Who the service says is calling: an account's address, or the status. */
    whoIs: async (headers: Headers, url = '/auth/me') => {
      const answer = await get(url, headers)
      return answer.statusCode === 200 ? answer.json().email : answer.statusCode
    },
  }
}

const { get, post, run, rowOf, secondsLeft, register, login, signIn, age, whoIs } = actorsOf(shared)

const near = (actual: number, expected: number) => Math.abs(actual - expected) <= 30

t.test('C-08 a session token lives seven days from its last use, moved once a day', async t => {
  const person = await register()
  const { token, sid } = await login(person)
  const cookie = plainCookie(token)
  t.ok(near(await secondsLeft(sid), 7 * day))
  t.equal((await get('/auth/me', cookie)).headers['set-cookie'], undefined, 'fresh')

  await age(sid, 23 * 3600)
  t.equal((await get('/auth/me', cookie)).headers['set-cookie'], undefined, 'after 23 hours')
  t.ok(near(await secondsLeft(sid), 7 * day - 23 * 3600), 'not moved')

  await age(sid, 2 * 3600)
  const renewed = await get('/auth/me', cookie)
  t.equal(renewed.statusCode, 200)
  t.match(
    renewed.headers['set-cookie'],
    new RegExp(`^session_token=${token}; Max-Age=604(?:7\\d\\d|800); Path=/; HttpOnly; Secure; SameSite=Lax$`),
    'after 25 hours the cookie comes again, with a whole life',
  )
  t.ok(near(await secondsLeft(sid), 7 * day), 'moved')
  t.equal((await get('/auth/me', cookie)).headers['set-cookie'], undefined, 'once')

  await age(sid, 7 * day - 60)
  t.equal(await whoIs(cookie), person.email, 'a minute before the end')
  await age(sid, 7 * day)
  t.equal(await whoIs(cookie), 401, 'seven days without use')
})

t.test('any door moves it, and sends the cookie that came', async t => {
  const person = await register()
  for (const url of [
    '/auth/me',
    '/api/user/personalization',
    '/api/auth/user',
    '/api/auth/get-session',
    '/codvid-ai/x',
  ]) {
    const plain = await login(person)
    await age(plain.sid, 2 * day)
    const cookies = (await get(url, plainCookie(plain.token))).cookies
    t.match(
      cookies,
      [{ name: 'session_token', value: plain.token, path: '/', httpOnly: true, secure: true, sameSite: 'Lax' }],
      url,
    )
    t.equal(cookies.length, 1, `${url}: one cookie`)
    t.ok(near(Number(cookies[0]?.maxAge), 7 * day), url)

    const signed = await signIn(person)
    await age(signed.sid, 2 * day)
    const [cookie, ...more] = (await get(url, signedCookie(signed.signed))).cookies
    t.match(
      cookie,
      { name: signedName, value: signed.signed, path: '/', httpOnly: true, sameSite: 'Lax' },
      `${url}: signed`,
    )
    t.ok(near(Number(cookie?.maxAge), 7 * day), `${url}: signed`)
    t.strictSame(more, [])
  }

  const both = await login(person)
  const other = await login(person)
  await age(both.sid, 2 * day)
  const headers = { ...bearer(both.token), ...plainCookie(other.token) }
  t.equal(
    (await get('/auth/me', headers)).headers['set-cookie'],
    undefined,
    'a bearer’s session renews nobody’s cookie',
  )
  t.ok(near(await secondsLeft(both.sid), 7 * day), 'it moves all the same')
})

t.test('what does not move', async t => {
  const person = await register()

  const read = await login(person)
  await age(read.sid, 2 * day)
  const peek = await get('/api/auth/get-session?disableRefresh=true', plainCookie(read.token))
  t.match(peek.json(), { user: { email: person.email } })
  t.equal(peek.headers['set-cookie'], undefined)
  t.ok(near(await secondsLeft(read.sid), 5 * day), 'where the reader asks not to')

  t.equal((await get('/auth/me', bearer(read.access))).headers['set-cookie'], undefined)
  t.ok(near(await secondsLeft(read.sid), 5 * day), 'an access token moves nothing')

  const brief = await signIn(person, { rememberMe: false })
  t.match(
    brief.cookies.find(({ name }) => name === signedName),
    { maxAge: undefined, expires: undefined },
  )
  t.ok(near(await secondsLeft(brief.sid), day), 'a session for the browser’s life has a day')
  await age(brief.sid, day - 600)
  t.equal((await get('/auth/me', signedCookie(brief.signed))).headers['set-cookie'], undefined)
  t.ok(near(await secondsLeft(brief.sid), 600))
  await age(brief.sid, 600)
  t.equal(await whoIs(signedCookie(brief.signed)), 401)

  const data = { auth_type: 'email', email: person.email, password }
  const { token: long } = (await post('/codvid-ai/auth/login', { schema_version: '4.0', data })).json()
  const { sid } = claimsOf(long)
  t.ok(near(await secondsLeft(sid), 30 * day))
  await age(sid, 29 * day)
  t.equal(await whoIs(bearer(long)), person.email)
  t.ok(near(await secondsLeft(sid), day), 'a 30-day session has one fixed end')
  await age(sid, day)
  t.equal(await whoIs(bearer(long)), 401)
})

t.test('C-08 at its greatest age a session moves no more, and is not written at every use', async t => {
  const person = await register()
  const { token, sid } = await login(person)
  await run(
    sql`update sessions set created_at = now() - interval '85 days', expires_at = now() + interval '2 days' where id = ${sid}`,
  )
  const [cookie] = (await get('/auth/me', plainCookie(token))).cookies
  t.ok(near(Number(cookie?.maxAge), 5 * day), 'as far as ninety days go')
  t.ok(near(await secondsLeft(sid), 5 * day))
  const before = await rowOf(sid)
  for (let use = 0; use < 3; use += 1) {
    const answer = await get('/auth/me', plainCookie(token))
    t.strictSame([answer.statusCode, answer.headers['set-cookie']], [200, undefined])
  }
  t.strictSame(await rowOf(sid), before, 'no use of it was written')
  await age(sid, 5 * day)
  t.equal(await whoIs(plainCookie(token)), 401, 'ninety days')
})

t.test('a short life moves in sevenths', async t => {
  const hourly = actorsOf(await startApp(t, { REFRESH_TOKEN_TTL: '70m' }))
  const { token, sid } = await hourly.login(await hourly.register())
  t.ok(near(await hourly.secondsLeft(sid), 4200))
  await hourly.age(sid, 540)
  t.equal((await hourly.get('/auth/me', plainCookie(token))).headers['set-cookie'], undefined)
  await hourly.age(sid, 120)
  const [cookie] = (await hourly.get('/auth/me', plainCookie(token))).cookies
  t.ok(near(Number(cookie?.maxAge), 4200))
  await hourly.age(sid, 4200)
  t.equal(await hourly.whoIs(plainCookie(token)), 401)
})

t.test('the last use is noted every five minutes at most', async t => {
  const person = await register()
  const { token, access, sid } = await login(person)
  /** An end that moves back is news; the last use alone is none. */
  const lastUsed = (seconds: number) =>
    run(sql`
      update sessions set last_used_at = now() - make_interval(secs => ${seconds}),
        expires_at = expires_at - interval '1 second' where id = ${sid}`)
  for (const headers of [bearer(token), bearer(access), plainCookie(token)]) {
    const used = async () => {
      const [row] = await run(
        sql`select extract(epoch from now() - last_used_at) as ago from sessions where id = ${sid}`,
      )
      return Number(row?.ago)
    }
    await lastUsed(290)
    await get('/auth/me', headers)
    t.ok((await used()) >= 290, 'within five minutes')
    await lastUsed(301)
    await get('/auth/me', headers)
    t.ok((await used()) < 30, 'after five minutes')
  }
})

t.test('C-02 only a hash of a session token is kept', async t => {
  const { token, sid } = await login(await register())
  const row = await rowOf(sid)
  t.notMatch(JSON.stringify(row), token)
  t.equal(row?.token_hash, createHash('sha256').update(token).digest('base64url'))
  t.equal(await whoIs(bearer(String(row?.token_hash))), 401, 'the hash is no token')
})

t.test('C-10 R-16 R-17 a disabled account is out at once, and in again when it is not', async t => {
  const person = await register()
  const { token, access, refresh } = await login(person)
  const { signed } = await signIn(person)
  const data = { auth_type: 'email', email: person.email, password }
  const { token: long } = (await post('/codvid-ai/auth/login', { schema_version: '4.0', data })).json()
  const credentials: Record<string, Headers> = {
    'access token': bearer(person.access),
    'other access token': bearer(access),
    'session token': bearer(token),
    'plain cookie': plainCookie(token),
    'signed cookie': signedCookie(signed),
    '30-day token': bearer(long),
  }
  for (const [kind, headers] of Object.entries(credentials)) t.equal(await whoIs(headers), person.email, kind)

  await run(sql`update accounts set disabled_at = now() where id = ${person.id}`)
  for (const [kind, headers] of Object.entries(credentials))
    for (const url of ['/auth/me', '/api/auth/user', '/api/user/personalization', '/codvid-ai/x'])
      t.equal((await get(url, headers)).statusCode, 401, `${kind} at ${url}`)
  t.equal((await get('/api/auth/get-session', plainCookie(token))).body, 'null', 'signed out')
  for (const each of [refresh, person.refresh]) t.equal((await post('/auth/refresh', { token: each })).statusCode, 401)

  const refusals = await Promise.all([
    post('/auth/login', { email: person.email, password }),
    post('/auth/login', { email: person.email, password: 'another horse battery' }),
    post('/auth/login', { email: 'nobody@example.com', password }),
  ])
  for (const refusal of refusals)
    t.strictSame([refusal.statusCode, refusal.json()], [401, refusals[1]?.json()], 'one answer for all of them')

  await run(sql`update accounts set disabled_at = null where id = ${person.id}`)
  t.equal(await whoIs(bearer(token)), person.email)
})

t.test('C-10 R-16 a deleted account is out at once', async t => {
  const person = await register()
  const { token, access } = await login(person)
  const gone = await shared.app.inject({
    method: 'DELETE',
    url: '/auth/me',
    headers: bearer(token),
    payload: { password },
  })
  t.equal(gone.statusCode, 204)
  for (const headers of [bearer(person.access), bearer(access), bearer(token), plainCookie(token)])
    t.equal(await whoIs(headers), 401)
  t.equal((await run(sql`select id from sessions where account_id = ${person.id}`)).length, 0)
})

t.test('R-27 a cookie that was captured does nothing after its session', async t => {
  const person = await register()
  const endings: Record<string, (session: { token: string; sid: string }) => Promise<unknown>> = {
    'a logout': ({ token }) => post('/api/auth/logout', {}, plainCookie(token)),
    'its end': ({ sid }) => age(sid, 7 * day),
    'another sign-in of that browser': ({ token }) => login(person, plainCookie(token)),
    'a new password': () =>
      post(
        '/auth/change-password',
        { current_password: password, new_password: 'staple that horse twice' },
        bearer(person.access),
      ),
  }
  for (const [name, end] of Object.entries(endings)) {
    const session = await login(person)
    t.equal(await whoIs(plainCookie(session.token)), person.email)
    await end(session)
    for (const headers of [plainCookie(session.token), bearer(session.token), bearer(session.access)])
      t.equal(await whoIs(headers), 401, `after ${name}`)
  }
})

t.test('C-09 the list of devices, and putting them out', async t => {
  const person = await register()
  const stranger = await register()
  const phone = await login(person, { 'user-agent': 'Phone' })
  const laptop = await login(person, { 'user-agent': 'Laptop' })
  const over = await login(person)
  await age(over.sid, 7 * day)
  const out = await login(person)
  await post('/auth/logout', {}, bearer(out.access))
  await run(sql`update sessions set last_used_at = now() - interval '1 minute' where id = ${phone.sid}`)
  await run(sql`update sessions set last_used_at = now() - interval '2 minutes' where id = ${person.sid}`)

  const listed = await get('/auth/sessions', bearer(phone.token))
  t.equal(listed.statusCode, 200)
  const list = listed.json()
  t.strictSame(
    list.map((each: { id: string; current: boolean; user_agent: string }) => [each.id, each.current, each.user_agent]),
    [
      [laptop.sid, false, 'Laptop'],
      [phone.sid, true, 'Phone'],
      [person.sid, false, 'lightMyRequest'],
    ],
    'live ones of the caller, the last used first',
  )
  const [first] = list
  t.strictSame(Object.keys(first).sort(), [
    'created_at',
    'current',
    'device',
    'expires_at',
    'id',
    'ip_address',
    'last_used_at',
    'user_agent',
  ])
  for (const name of ['created_at', 'expires_at', 'last_used_at'])
    t.equal(new Date(first[name]).toISOString(), first[name])

  const end = (id: string, headers: Headers) =>
    shared.app.inject({ method: 'DELETE', url: `/auth/sessions/${id}`, headers })
  const names = [
    stranger.sid,
    over.sid,
    out.sid,
    '01920000-0000-7000-8000-000000000000',
    'x',
    laptop.sid.toUpperCase(),
    '%00',
    "'--",
  ]
  for (const id of names) {
    const answer = await end(id, bearer(phone.token))
    t.strictSame([answer.statusCode, answer.json()], [404, { detail: 'Session not found' }], id)
  }
  t.equal(await whoIs(bearer(stranger.access)), stranger.email, 'nobody ends a session of another')

  const ended = await end(laptop.sid, bearer(phone.token))
  t.strictSame([ended.statusCode, ended.body], [204, ''])
  for (const token of [laptop.token, laptop.access]) t.equal(await whoIs(bearer(token)), 401)
  t.equal((await post('/auth/refresh', { token: laptop.refresh })).statusCode, 401)
  t.match(await rowOf(laptop.sid), { end_reason: 'revoked' })
  t.equal((await end(laptop.sid, bearer(phone.token))).statusCode, 404, 'again')

  const [tablet, desk] = [await login(person), await login(person)]
  t.strictSame((await post('/api/auth/revoke-other-sessions', {}, bearer(phone.token))).json(), { status: true })
  for (const { token } of [tablet, desk]) t.equal(await whoIs(bearer(token)), 401, 'the others')
  t.equal(await whoIs(bearer(phone.token)), person.email, 'not this one')
  t.equal((await get('/auth/sessions', bearer(phone.token))).json().length, 1)

  const last = await login(person)
  t.equal((await end(phone.sid, bearer(phone.token))).statusCode, 204, 'this one, by its name')
  t.equal(await whoIs(bearer(phone.token)), 401)
  t.equal((await post('/auth/logout-all', {}, bearer(last.token))).statusCode, 200)
  t.equal(await whoIs(bearer(last.token)), 401)
  t.equal(await whoIs(bearer(stranger.access)), stranger.email)
})

t.test('what is remembered of a device is bounded', async t => {
  const person = await register()
  const device = async (headers: Headers, remoteAddress: string) => {
    const answer = await shared.app.inject({
      method: 'POST',
      url: '/auth/login',
      payload: { email: person.email, password },
      headers,
      remoteAddress,
    })
    const list = (await get('/auth/sessions', bearer(answer.json().access_token))).json()
    const { user_agent: agent, ip_address: address } = list.find((each: { current: boolean }) => each.current)
    return [agent, address]
  }
  t.strictSame(await device({ 'user-agent': 'x'.repeat(9000) }, '203.0.113.7'), ['x'.repeat(512), '203.0.113.7'])
  t.strictSame(await device({ 'user-agent': '' }, '::ffff:203.0.113.7'), ['', '203.0.113.7'])
  t.strictSame(await device({ 'user-agent': '<b>"\\\'é' }, '2001:db8::7'), ['<b>"\\\'é', '2001:db8::7'])
  const spoofed = {
    'user-agent': 'x',
    'x-forwarded-for': '198.51.100.1',
    'x-real-ip': '198.51.100.2',
    forwarded: 'for=198.51.100.3',
  }
  t.strictSame(await device(spoofed, '203.0.113.8'), ['x', '203.0.113.8'], 'nobody is believed about an address')
})

t.test('the sweep deletes what has been over for a day, and nothing else', async t => {
  const person = await register()
  const { core } = shared
  await core.sessions.sweep()
  const sessions = {
    live: await login(person),
    'just expired': await login(person),
    'expired a day ago, nearly': await login(person),
    'expired for a day': await login(person),
    'just ended': await login(person),
    'ended a day ago, nearly': await login(person),
    'ended for a day': await login(person),
  }
  const expire = (sid: string, hours: number) => age(sid, 7 * day + hours * 3600)
  await expire(sessions['just expired'].sid, 0)
  await expire(sessions['expired a day ago, nearly'].sid, 23)
  await expire(sessions['expired for a day'].sid, 25)
  for (const [name, hours] of [
    ['just ended', 0],
    ['ended a day ago, nearly', 23],
    ['ended for a day', 25],
  ] as const) {
    await post('/auth/logout', {}, bearer(sessions[name].token))
    await run(
      sql`update sessions set ended_at = ended_at - make_interval(hours => ${hours}) where id = ${sessions[name].sid}`,
    )
  }
  t.equal(await core.sessions.sweep(), 2)
  for (const [name, { sid }] of Object.entries(sessions))
    t.equal((await rowOf(sid)) === undefined, ['expired for a day', 'ended for a day'].includes(name), name)
  t.equal(await whoIs(bearer(sessions.live.token)), person.email)
  t.equal((await post('/auth/refresh', { token: sessions['ended for a day'].refresh })).statusCode, 401)
  t.equal(await core.sessions.sweep(), 0, 'again')

  await run(sql`
    insert into sessions (id, account_id, token_hash, generation, rotated_at, replays, sliding, created_at, last_used_at, expires_at)
    select gen_random_uuid(), ${person.id}, 'made up ' || n, 0, now(), 0, true, now(), now(), now() - interval '2 days'
    from generate_series(1, 2500) n`)
  t.equal(await core.sessions.sweep(), 2500, 'in as many batches as it takes')
  t.equal(await whoIs(bearer(sessions.live.token)), person.email)
})

t.test('a bearer counts before a cookie', async t => {
  const [ada, grace, mary] = [await register(), await register(), await register()]
  const graceHere = await login(grace)
  const maryHere = await signIn(mary)
  for (const url of ['/auth/me', '/api/auth/user']) {
    for (const cookie of [plainCookie(graceHere.token), signedCookie(maryHere.signed)])
      t.equal(await whoIs({ ...bearer(ada.access), ...cookie }, url), ada.email, url)
    const opaque = await login(ada)
    t.equal(await whoIs({ ...bearer(opaque.token), ...plainCookie(graceHere.token) }, url), ada.email, `${url}, opaque`)
  }
})

t.test('a dead JWT of ours ends the search, whatever cookie lies beside it', async t => {
  const [ada, grace] = [await register(), await register()]
  const beside = plainCookie((await login(grace)).token)
  const out = await login(ada)
  await post('/auth/logout', {}, bearer(out.access))
  const claims = claimsOf(ada.access)
  const dead: Record<string, string> = {
    'of a session that has ended': out.access,
    expired: forge({ ...claims, iat: claims.iat - 3600, exp: claims.iat - 1800 }),
    'signed with another key': forge(claims, 'another secret that is long enough, too'),
    'a refresh token': ada.refresh,
    'without a signature': ada.access.replace(/[^.]+$/, ''),
    'with a signature cut short': ada.access.slice(0, -4),
    'of a subject it does not belong to': forge({ ...claims, sub: grace.id }),
  }
  for (const [name, token] of Object.entries(dead)) {
    for (const url of [
      '/auth/me',
      '/api/user/personalization',
      '/api/auth/user',
      '/api/auth/get-session',
      '/codvid-ai/x',
    ]) {
      const answer = await get(url, { ...bearer(token), ...beside })
      t.strictSame(
        [answer.statusCode, answer.headers['www-authenticate']],
        [401, 'Bearer error="invalid_token"'],
        `${name} at ${url}`,
      )
    }
  }
})

t.test('a bearer that is none of ours falls back to the cookie', async t => {
  const person = await register()
  const { token } = await login(person)
  const { signed } = await signIn(person)
  const claims = claimsOf(person.access)
  const foreign: Record<string, Headers> = {
    'a JWT of another issuer': bearer(forge({ ...claims, iss: 'https://login.other.example' })),
    'a JWT of no issuer': bearer(forge({ sub: 'x' }, 'another secret that is long enough, too')),
    'an API key': bearer('sk_live_0123456789'),
    'a session token nobody has': bearer('A'.repeat(43)),
    'a signed form by nobody': bearer(`${token}.${'A'.repeat(43)}=`),
    'nothing after the scheme': { authorization: 'Bearer' },
    'two words': { authorization: 'Bearer a b' },
    'another scheme': { authorization: 'Basic dTpw' },
  }
  for (const [name, headers] of Object.entries(foreign)) {
    t.equal(await whoIs(headers), 401, `${name}, alone`)
    for (const cookie of [plainCookie(token), signedCookie(signed)])
      for (const url of ['/auth/me', '/api/auth/user'])
        t.equal(await whoIs({ ...headers, ...cookie }, url), person.email, `${name} at ${url}`)
  }
})

t.test('C-07 a cookie that came twice counts as none', async t => {
  const [ada, grace] = [await register(), await register()]
  const [first, second] = [await login(ada), await login(grace)]
  const signedFirst = encodeURIComponent((await signIn(ada)).signed)
  const signedSecond = encodeURIComponent((await signIn(grace)).signed)
  const cases: [string, string, string | number][] = [
    ['two values', `session_token=${first.token}; session_token=${second.token}`, 401],
    ['two values, the other way round', `session_token=${second.token}; session_token=${first.token}`, 401],
    ['a good one and rubbish', `session_token=${first.token}; session_token=x`, 401],
    ['rubbish and a good one', `session_token=x;session_token=${first.token}`, 401],
    ['the same value twice', `session_token=${first.token}; session_token=${first.token}`, ada.email],
    ['an empty one beside it', `session_token=; session_token=${first.token}`, ada.email],
    ['others around it', `a=b; session_token=${first.token}; session=x; xsession_token=y`, ada.email],
    ['another case', `Session_Token=${first.token}`, 401],
    ['two signed values', `${signedName}=${signedFirst}; ${signedName}=${signedSecond}`, 401],
    [
      'two signed values, one plain',
      `${signedName}=${signedFirst}; ${signedName}=${signedSecond}; session_token=${second.token}`,
      grace.email,
    ],
    [
      'two plain values, one signed',
      `session_token=${first.token}; session_token=x; ${signedName}=${signedSecond}`,
      grace.email,
    ],
    ['signed before plain', `session_token=${first.token}; ${signedName}=${signedSecond}`, grace.email],
    [
      'a signed one that is none',
      `session_token=${first.token}; ${signedName}=${signedSecond.slice(0, -8)}`,
      ada.email,
    ],
  ]
  for (const [name, cookie, expected] of cases)
    for (const url of ['/auth/me', '/api/auth/user'])
      t.equal(await whoIs({ cookie }, url), expected, `${name} at ${url}`)

  const over = await signIn(grace)
  await post('/api/auth/sign-out', {}, signedCookie(over.signed))
  const cookie = `${signedName}=${encodeURIComponent(over.signed)}; session_token=${first.token}`
  t.equal(await whoIs({ cookie }), ada.email, 'a dead one and a live one')
})
