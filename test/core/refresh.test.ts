/** Refresh tokens: every row of the state table, through POST /auth/refresh. Time passes by ageing the rows. */
import { createHmac } from 'node:crypto'
import { sql } from 'drizzle-orm'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { buildApp } from '../../src/app.js'
import { openDatabase } from '../../src/store/database.js'
import { startApp, type TestService, testSecrets } from '../helpers/app.js'

const shared = await startApp(t)
const password = 'correct horse battery'
const day = 86_400
const leeway = 30

type Tokens = { access_token: string; refresh_token: string; user: { uuid: string } }
type Claims = { sub: string; sid: string; jti: string; gen: number; iat: number; exp: number }

const claimsOf = (token: string): Claims => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

/** The same token with other claims, signed with the key of refresh tokens. */
function alter(token: string, changes: Record<string, unknown>, secret = testSecrets.REFRESH_TOKEN_SECRET): string {
  const [header] = token.split('.')
  const payload = Buffer.from(JSON.stringify({ ...claimsOf(token), ...changes })).toString('base64url')
  return `${header}.${payload}.${createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url')}`
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

const refusal = { detail: 'Invalid refresh token', error: 'invalid_grant', error_description: 'Invalid refresh token' }

let people = 0

/** A service, with what a client and an operator do to its sessions. */
function actorsOf(service: TestService) {
  const { app, database } = service

  const post = (url: string, payload: object | string, headers: Record<string, string> = {}) =>
    app.inject({ method: 'POST', url, payload, headers })

  const run = (statement: ReturnType<typeof sql>) => database.db.execute(statement)

  /** Columns of the session's row, as they are. */
  const rowOf = async (token: string) => {
    const result = await run(sql`select * from sessions where id = ${claimsOf(token).sid}`)
    const rows = (Array.isArray(result) ? result : (result as { rows: unknown[] }).rows) as Record<string, unknown>[]
    return rows[0] ?? {}
  }

  return {
    post,
    run,
    rowOf,

    register: async (): Promise<Tokens> => {
      people += 1
      return (await post('/auth/register', { email: `person${people}@example.com`, password })).json()
    },

    refresh: (token: string) => post('/auth/refresh', { token }),

    /** Refreshes with a token that must be good. */
    renew: async (token: string): Promise<Tokens> => {
      const answer = await post('/auth/refresh', { token })
      if (answer.statusCode !== 200) throw new Error(`${answer.statusCode} ${answer.body}`)
      return answer.json()
    },

    isSignedIn: async (token: string) => {
      const { statusCode } = await app.inject({ url: '/auth/me', headers: bearer(token) })
      if (statusCode !== 200 && statusCode !== 401) throw new Error(`${statusCode} at /auth/me`)
      return statusCode === 200
    },

    logout: (access: string) => post('/auth/logout', {}, bearer(access)),

    /** Lets time pass for a session: all its moments move into the past. */
    age: (token: string, seconds: number) => {
      const earlier = (column: string) => sql.raw(`${column} = ${column} - interval '${seconds} seconds'`)
      const columns = ['created_at', 'rotated_at', 'last_used_at', 'expires_at'].map(earlier)
      return run(sql`update sessions set ${sql.join(columns, sql`, `)} where id = ${claimsOf(token).sid}`)
    },
  }
}

const { post, run, rowOf, register, refresh, renew, isSignedIn, logout, age } = actorsOf(shared)

/** The session is over: no access token, and no refresh token ever made, does anything. */
async function assertOver(t: Test, name: string, reason: string | null, tokens: Tokens[]): Promise<void> {
  const [{ refresh_token: first } = { refresh_token: '' }] = tokens
  t.match(await rowOf(first), { end_reason: reason }, `${name}: why`)
  for (const [index, { access_token: access, refresh_token: renewal }] of tokens.entries()) {
    t.notOk(await isSignedIn(access), `${name}: access token ${index}`)
    const answer = await refresh(renewal)
    t.strictSame([answer.statusCode, answer.json()], [401, refusal], `${name}: refresh token ${index}`)
  }
}

async function assertRefused(t: Test, token: string, name: string): Promise<void> {
  const answer = await refresh(token)
  t.strictSame([answer.statusCode, answer.json()], [401, refusal], name)
  t.equal(answer.headers['cache-control'], 'no-store', `${name}: not to be stored`)
}

t.test('row 1: a refresh is a step', async t => {
  const first = await register()
  t.match(await rowOf(first.refresh_token), { generation: 0, replays: 0, ended_at: null })
  const answer = await refresh(first.refresh_token)
  t.equal(answer.statusCode, 200)
  const second = answer.json()
  t.strictSame(Object.keys(second).sort(), ['access_token', 'expires_in', 'refresh_token', 'token_type', 'user'])
  t.match(second, { token_type: 'bearer', expires_in: 1800 })
  t.strictSame(second.user, (first as { user: object }).user)
  t.match(answer.headers, { 'cache-control': 'no-store', pragma: 'no-cache' })

  const [before, after] = [claimsOf(first.refresh_token), claimsOf(second.refresh_token)]
  t.match(after, { sid: before.sid, sub: before.sub, gen: 1, jti: `${before.sid}.1` })
  t.equal(after.exp - after.iat, 7 * day)
  t.not(second.access_token, first.access_token)
  t.equal(claimsOf(second.access_token).sid, before.sid, 'one session, one sid')
  t.match(await rowOf(first.refresh_token), { generation: 1, replays: 0, ended_at: null, end_reason: null })
  t.ok(await isSignedIn(second.access_token))
  t.ok(await isSignedIn(first.access_token), 'the access token before it lives out its time')

  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    refresh_token: second.refresh_token,
    client_id: 'app',
  })
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const third = await post('/auth/refresh', form.toString(), headers)
  t.equal(third.statusCode, 200, 'as an OAuth form too')
  t.equal(claimsOf(third.json().refresh_token).gen, 2)
})

t.test('row 1: a refresh moves the end of the session', async t => {
  const { refresh_token: token, access_token: access } = await register()
  const expiry = async () => {
    const list = (await shared.app.inject({ url: '/auth/sessions', headers: bearer(access) })).json()
    return (Date.parse(list[0].expires_at) - Date.now()) / 1000
  }
  await age(token, 3 * day)
  t.ok(Math.abs((await expiry()) - 4 * day) < 60)
  await renew(token)
  t.ok(Math.abs((await expiry()) - 7 * day) < 60)
})

t.test('row 2: inside the leeway the predecessor gets the same successor', async t => {
  const first = await register()
  const second = await renew(first.refresh_token)
  const again = await renew(first.refresh_token)
  const oncemore = await renew(first.refresh_token)
  t.equal(again.refresh_token, second.refresh_token, 'byte for byte')
  t.equal(oncemore.refresh_token, second.refresh_token, 'byte for byte, again')
  t.equal(new Set([first, second, again, oncemore].map(each => each.access_token)).size, 4, 'and a new access token')
  t.match(await rowOf(first.refresh_token), { generation: 1, replays: 2, ended_at: null })

  const third = await renew(second.refresh_token)
  t.match(await rowOf(first.refresh_token), { generation: 2, replays: 0 })
  t.equal((await renew(second.refresh_token)).refresh_token, third.refresh_token)
  for (const { access_token: access } of [first, second, again, oncemore, third]) t.ok(await isSignedIn(access))
})

t.test('row 2: up to the last second', async t => {
  const first = await register()
  await renew(first.refresh_token)
  await age(first.refresh_token, leeway - 3)
  t.equal((await refresh(first.refresh_token)).statusCode, 200)
})

t.test('R-11 row 4: the predecessor, late, ends the session', async t => {
  const first = await register()
  const second = await renew(first.refresh_token)
  await age(first.refresh_token, leeway + 1)
  await assertRefused(t, first.refresh_token, 'the predecessor')
  await assertOver(t, 'late', 'reuse', [first, second])
})

t.test('row 4: however often it was repeated in time', async t => {
  const first = await register()
  const second = await renew(first.refresh_token)
  for (let repeat = 0; repeat < 3; repeat += 1) {
    await age(first.refresh_token, 9)
    t.equal((await refresh(first.refresh_token)).statusCode, 200)
  }
  await age(first.refresh_token, 4)
  await assertRefused(t, first.refresh_token, 'a repetition does not prolong the leeway')
  await assertOver(t, 'late', 'reuse', [first, second])
})

t.test('R-12 row 5: an older token ends the session, inside the leeway too', async t => {
  for (const between of [0, leeway + 1]) {
    const first = await register()
    const second = await renew(first.refresh_token)
    const third = await renew(second.refresh_token)
    await age(first.refresh_token, between)
    await assertRefused(t, first.refresh_token, 'two behind')
    await assertOver(t, 'old', 'reuse', [third, second, first])
  }
})

t.test('row 6: a hundred repetitions, and not one more', async t => {
  const first = await register()
  const second = await renew(first.refresh_token)
  for (let repeat = 1; repeat <= 100; repeat += 1)
    t.equal((await renew(first.refresh_token)).refresh_token, second.refresh_token)
  t.match(await rowOf(first.refresh_token), { generation: 1, replays: 100, ended_at: null })
  await assertRefused(t, first.refresh_token, 'the 101st')
  await assertOver(t, 'many', 'reuse', [first, second])
})

t.test('row 7: a token ahead of the row ends the session', async t => {
  for (const gen of [1, 2, 2 ** 31 - 1]) {
    const first = await register()
    await assertRefused(
      t,
      alter(first.refresh_token, { gen, jti: `${claimsOf(first.refresh_token).sid}.${gen}` }),
      `${gen}`,
    )
    await assertOver(t, `ahead by ${gen}`, 'reuse', [first])
  }
})

t.test('row 8: over is over, and nothing is written', async t => {
  const endings: Record<string, (tokens: Tokens) => Promise<unknown>> = {
    'signed out': ({ access_token: access }) => logout(access),
    'signed out everywhere': ({ access_token: access }) => post('/auth/logout-all', {}, bearer(access)),
    'idle for too long': ({ refresh_token: token }) => age(token, 7 * day + 1),
    'older than any session may be': ({ refresh_token: token }) => age(token, 90 * day),
    disabled: ({ user }) => run(sql`update accounts set disabled_at = now() where id = ${user.uuid}`),
  }
  for (const [name, end] of Object.entries(endings)) {
    const first = await register()
    const second = await renew(first.refresh_token)
    await end(second)
    const before = await rowOf(first.refresh_token)
    for (const { refresh_token: token } of [second, first]) await assertRefused(t, token, name)
    await assertRefused(t, alter(second.refresh_token, { gen: 7 }), `${name}, a token ahead`)
    t.strictSame(await rowOf(first.refresh_token), before, `${name}: the row`)
    t.notOk(await isSignedIn(second.access_token), `${name}: the access token`)
  }

  const deleted = await register()
  const gone = await shared.app.inject({
    method: 'DELETE',
    url: '/auth/me',
    headers: bearer(deleted.access_token),
    payload: { password },
  })
  t.equal(gone.statusCode, 204)
  await assertRefused(t, deleted.refresh_token, 'deleted')
  t.strictSame(await rowOf(deleted.refresh_token), {}, 'deleted: no row')
  t.notOk(await isSignedIn(deleted.access_token), 'deleted: the access token')
})

t.test('row 8: the token itself has expired, whatever the session has', async t => {
  const { refresh_token: token } = await register()
  const before = await rowOf(token)
  const seconds = Math.floor(Date.now() / 1000)
  await assertRefused(t, alter(token, { iat: seconds - 7 * day - 1, exp: seconds - 1 }), 'expired a second ago')
  t.strictSame(await rowOf(token), before)
  t.equal((await refresh(token)).statusCode, 200)
})

t.test('row 8: a new password', async t => {
  const change = (access: string, extra: object = {}) =>
    post(
      '/auth/change-password',
      { current_password: password, new_password: 'staple that horse twice', ...extra },
      bearer(access),
    )
  const signInAgain = async ({ user }: Tokens, secret = password): Promise<Tokens> => {
    const { email } = user as unknown as { email: string }
    return (await post('/auth/login', { email, password: secret })).json()
  }

  const first = await register()
  const beside = await signInAgain(first)
  const answer = await change(first.access_token)
  t.equal(answer.statusCode, 200)
  const second: Tokens = answer.json()
  t.equal(claimsOf(second.refresh_token).sid, claimsOf(first.refresh_token).sid)
  await assertOver(t, 'another session', 'password_changed', [beside])
  const before = await rowOf(first.refresh_token)
  await assertRefused(t, first.refresh_token, 'the token from before')
  await assertRefused(t, first.refresh_token, 'the token from before, again')
  t.strictSame(await rowOf(first.refresh_token), before, 'it did nothing')
  t.ok(await isSignedIn(second.access_token))
  const third = await renew(second.refresh_token)
  t.equal((await renew(second.refresh_token)).refresh_token, third.refresh_token, 'from here on as ever')
  await assertRefused(t, first.refresh_token, 'the token from before is now an old one')
  await assertOver(t, 'an old token', 'reuse', [second, third])

  const kept = await register()
  const keptBeside = await signInAgain(kept)
  t.equal((await change(kept.access_token, { revoke_others: false })).statusCode, 200)
  t.equal((await refresh(keptBeside.refresh_token)).statusCode, 200, 'the others live on where that was asked')
})

t.test('row 9: what is no refresh token of ours leaves no trace', async t => {
  const first = await register()
  const { refresh_token: token, access_token: access } = await renew(first.refresh_token)
  const other = await register()
  const [header, payload, signature = ''] = token.split('.')
  const fakes: Record<string, string> = {
    'no token': 'x',
    'an access token': access,
    'another signature': `${header}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`,
    'no signature': `${header}.${payload}.`,
    'the access key': alter(token, {}, testSecrets.JWT_SECRET),
    'an unknown session': alter(token, { sid: '01920000-0000-7000-8000-000000000000' }),
    'the session of another': alter(token, { sid: claimsOf(other.refresh_token).sid }),
    'the subject of another': alter(token, { sub: claimsOf(other.refresh_token).sub }),
    'another type': alter(token, { type: 'access' }),
    'another issuer': alter(token, { iss: 'somebody else' }),
    'the predecessor with another signature': first.refresh_token.slice(0, -4).concat('AAAA'),
    'one ahead, signed with the access key': alter(token, { gen: 2 }, testSecrets.JWT_SECRET),
  }
  const rows = [await rowOf(token), await rowOf(other.refresh_token)]
  for (const [name, fake] of Object.entries(fakes)) await assertRefused(t, fake, name)
  t.strictSame([await rowOf(token), await rowOf(other.refresh_token)], rows)
  t.equal((await refresh(token)).statusCode, 200)
  t.equal((await refresh(other.refresh_token)).statusCode, 200)
})

t.test('row 10: logout races refresh', async t => {
  for (let round = 0; round < 20; round += 1) {
    const first = await register()
    const [renewed, out] = await Promise.all(
      round % 2 === 0
        ? [refresh(first.refresh_token), logout(first.access_token)]
        : [logout(first.access_token), refresh(first.refresh_token)].reverse(),
    )
    t.ok(renewed && [200, 401].includes(renewed.statusCode), 'the refresh came first, or came to nothing')
    t.equal(out?.statusCode, 200, 'the logout is done')
    const tokens = renewed?.statusCode === 200 ? [first, renewed.json()] : [first]
    await assertOver(t, 'after both', 'logout', tokens)
  }
})

t.test('row 10: logout by refresh token', async t => {
  const cases: [string, (first: Tokens, second: Tokens) => string][] = [
    ['the current one', (_, second) => second.refresh_token],
    ['the predecessor, inside the leeway', first => first.refresh_token],
  ]
  for (const [name, choose] of cases) {
    const first = await register()
    const second = await renew(first.refresh_token)
    const out = await post('/auth/logout', { refresh_token: choose(first, second) })
    t.strictSame([out.statusCode, out.json()], [200, { detail: 'Logged out' }], name)
    await assertOver(t, name, 'logout', [first, second])
    const again = await post('/auth/logout', { refresh_token: choose(first, second) })
    t.strictSame([again.statusCode, again.json()], [401, { detail: 'Invalid refresh token' }], `${name}, again`)
  }

  const phone = await register()
  const { email } = phone.user as unknown as { email: string }
  const laptop: Tokens = (await post('/auth/login', { email, password })).json()
  t.equal((await post('/auth/logout-all', { refresh_token: laptop.refresh_token })).statusCode, 200)
  await assertOver(t, 'this device', 'logout', [laptop])
  await assertOver(t, 'the other device', 'logout', [phone])
})

t.test('R-09 sixty-four at once are one step', async t => {
  const rounds = 5
  for (let round = 0; round < rounds; round += 1) {
    const first = await register()
    const answers = await Promise.all(Array.from({ length: 64 }, () => refresh(first.refresh_token)))
    t.strictSame([...new Set(answers.map(answer => answer.statusCode))], [200], 'all of them')
    const tokens: Tokens[] = answers.map(answer => answer.json())
    t.equal(new Set(tokens.map(each => each.refresh_token)).size, 1, 'one successor')
    t.equal(new Set(tokens.map(each => each.access_token)).size, 64)
    t.match(await rowOf(first.refresh_token), { generation: 1, replays: 63, ended_at: null })
    t.equal(claimsOf(tokens[0]?.refresh_token ?? '').gen, 1)
  }
})

t.test('R-09 sixty-four at once, at two processes', async t => {
  const { url, config } = shared
  const database =
    url === undefined ? shared.database : await openDatabase({ url, dataDir: config.dataDir, maxConnections: 16 })
  const replica = await buildApp(config, { database, version: '0.0.0', logStream: { write() {} } })
  t.teardown(async () => {
    await replica.app.close()
    if (database !== shared.database) await database.close()
  })
  const elsewhere = actorsOf({ ...shared, ...replica })
  for (let round = 0; round < (url === undefined ? 5 : 50); round += 1) {
    const first = await register()
    const answers = await Promise.all(
      Array.from({ length: 64 }, (_, index) => (index % 2 ? elsewhere : { refresh }).refresh(first.refresh_token)),
    )
    t.strictSame([...new Set(answers.map(answer => answer.statusCode))], [200])
    t.equal(new Set(answers.map(answer => answer.json().refresh_token)).size, 1)
    t.match(await rowOf(first.refresh_token), { generation: 1, replays: 63, ended_at: null })
  }
})

t.test('a thief and the owner: whoever is second puts both out', async t => {
  for (const [name, swap] of [
    ['the thief first', false],
    ['the owner first', true],
  ] as const) {
    const stolen = await register()
    const quick = await renew(stolen.refresh_token)
    const quicker = swap ? await renew(quick.refresh_token) : quick
    await age(stolen.refresh_token, 600)
    await assertRefused(t, stolen.refresh_token, name)
    await assertOver(t, name, 'reuse', [stolen, quick, quicker])
  }
})

t.test('C-08 idle for seven days', async t => {
  const { refresh_token: token, access_token: access } = await register()
  await age(token, 7 * day - 60)
  t.ok(await isSignedIn(access))
  const second = await renew(token)
  await age(token, 7 * day)
  await assertRefused(t, second.refresh_token, 'seven days later')
  t.notOk(await isSignedIn(second.access_token))
})

t.test('C-08 refreshed every six days, a session lives ninety', async t => {
  const first = await register()
  const created = claimsOf(first.refresh_token).iat
  let tokens = first
  for (let days = 6; days < 90; days += 6) {
    await age(first.refresh_token, 6 * day)
    tokens = await renew(tokens.refresh_token)
    const { exp, iat } = claimsOf(tokens.refresh_token)
    const left = created + (90 - days) * day - iat
    t.ok(Math.abs(exp - iat - Math.min(7 * day, left)) < 60, `on day ${days} the token lives ${(exp - iat) / day} days`)
  }
  t.equal(claimsOf(tokens.refresh_token).gen, 14)
  await age(first.refresh_token, 6 * day - 60)
  t.ok(await isSignedIn(tokens.access_token), 'a minute before the end')
  tokens = await renew(tokens.refresh_token)
  const { exp, iat } = claimsOf(tokens.refresh_token)
  t.ok(exp - iat <= 60, 'the last token lives as long as the session')
  await age(first.refresh_token, 60)
  await assertRefused(t, tokens.refresh_token, 'on day 90')
  t.notOk(await isSignedIn(tokens.access_token), 'on day 90')
})

t.test('a shorter life, and no leeway', async t => {
  const strict = await startApp(t, { REFRESH_LEEWAY: '0', SESSION_MAX_AGE: '2d', REFRESH_TOKEN_TTL: '1d' })
  const { register, refresh, renew, rowOf, age, isSignedIn, run } = actorsOf(strict)

  const first = await register()
  const second = await renew(first.refresh_token)
  t.equal((await refresh(first.refresh_token)).statusCode, 401, 'a token is good once')
  t.match(await rowOf(first.refresh_token), { end_reason: 'reuse' })
  t.equal((await refresh(second.refresh_token)).statusCode, 401)

  // What two connections see of each other: the one that waited began before the other one’s rotation.
  const waited = await register()
  const successor = await renew(waited.refresh_token)
  await run(
    sql`update sessions set rotated_at = now() + interval '1 second' where id = ${claimsOf(waited.refresh_token).sid}`,
  )
  t.equal((await refresh(waited.refresh_token)).statusCode, 401, 'good once, also for one that waited')
  t.equal((await refresh(successor.refresh_token)).statusCode, 401)

  const rush = await register()
  const answers = await Promise.all(Array.from({ length: 8 }, () => refresh(rush.refresh_token)))
  t.strictSame(answers.map(answer => answer.statusCode).sort(), [200, 401, 401, 401, 401, 401, 401, 401])

  let tokens = await register()
  const { refresh_token: origin } = tokens
  t.equal(claimsOf(origin).exp - claimsOf(origin).iat, day)
  await age(origin, day - 60)
  tokens = await renew(tokens.refresh_token)
  await age(origin, day - 60)
  tokens = await renew(tokens.refresh_token)
  t.ok(claimsOf(tokens.refresh_token).exp - claimsOf(tokens.refresh_token).iat <= 120)
  await age(origin, 120)
  t.equal((await refresh(tokens.refresh_token)).statusCode, 401, 'two days old')
  t.notOk(await isSignedIn(tokens.access_token))
})

t.test('no session outlives SESSION_MAX_AGE, whichever door opened it', async t => {
  const brief = await startApp(t, { SESSION_MAX_AGE: '1h' })
  const { register, post, isSignedIn, age } = actorsOf(brief)
  const { user, refresh_token: token, access_token: access } = await register()
  const { email } = user as unknown as { email: string }
  t.ok(claimsOf(token).exp - claimsOf(token).iat <= 3600)
  const json = (await post('/api/auth/login', { email, password })).json()
  const data = { auth_type: 'email', email, password }
  const long = (await post('/codvid-ai/auth/login', { schema_version: '4.0', data })).json().token
  t.ok(claimsOf(long).exp - claimsOf(long).iat <= 3600)
  for (const [name, sid, credential] of [
    ['bearer door', token, access],
    ['JSON door', json.accessToken, json.token],
    ['envelope door', long, long],
  ]) {
    t.ok(await isSignedIn(credential), name)
    await age(sid, 3600)
    t.notOk(await isSignedIn(credential), `${name}, an hour later`)
  }
})

/** What the state table says, and nothing of how it is done. */
type Model = { generation: number; fresh: boolean; replays: number; over: boolean }
type Step = { do: 'refresh'; back: number } | { do: 'wait' } | { do: 'logout' } | { do: 'look' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('refresh' as const), back: fc.constantFrom(0, 0, 0, 1, 1, 2, 3, -1) }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'wait' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'logout' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'look' as const }) },
)

function decide(model: Model, presented: number): 'step' | 'replay' | 'refuse' {
  if (model.over) return 'refuse'
  if (presented === model.generation) return 'step'
  return presented === model.generation - 1 && model.fresh ? 'replay' : 'refuse'
}

t.test('R-11 R-12 R-13 any sequence does what the table says', async t => {
  const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 14 }), async steps => {
    const model: Model = { generation: 0, fresh: true, replays: 0, over: false }
    const first = await register()
    const issued = [first]
    const access = [first.access_token]
    for (const each of steps) {
      if (each.do === 'wait') {
        await run(
          sql`update sessions set rotated_at = rotated_at - interval '31 seconds' where id = ${claimsOf(first.refresh_token).sid}`,
        )
        model.fresh = false
      } else if (each.do === 'logout') {
        const { statusCode } = await logout(access.at(-1) ?? '')
        if (statusCode !== (model.over ? 401 : 200)) return false
        model.over = true
      } else if (each.do === 'look') {
        for (const token of access) if ((await isSignedIn(token)) === model.over) return false
      } else {
        const presented = Math.max(0, model.generation - each.back)
        const token = issued[presented]?.refresh_token ?? alter(first.refresh_token, { gen: presented })
        const answer = await refresh(token)
        const decision = decide(model, presented)
        if (answer.statusCode !== (decision === 'refuse' ? 401 : 200)) return false
        if (decision === 'refuse') {
          model.over = true
          continue
        }
        const tokens: Tokens = answer.json()
        access.push(tokens.access_token)
        if (decision === 'step') {
          Object.assign(model, { generation: presented + 1, fresh: true, replays: 0 })
          issued.push(tokens)
        } else {
          model.replays += 1
          if (tokens.refresh_token !== issued.at(-1)?.refresh_token) return false
        }
        if (claimsOf(tokens.refresh_token).gen !== model.generation) return false
      }
    }
    const row = await rowOf(first.refresh_token)
    if (row.generation !== model.generation || row.replays !== model.replays) return false
    if ((row.ended_at !== null) !== model.over) return false
    if (!model.over) return true
    // After the end, nothing that was ever handed out does anything.
    for (const token of access) if (await isSignedIn(token)) return false
    for (const { refresh_token: token } of issued) if ((await refresh(token)).statusCode !== 401) return false
    return true
  })
  const { failed, counterexample, counterexamplePath } = await fc.check(property, { numRuns: 150 })
  t.notOk(failed, JSON.stringify({ counterexample, counterexamplePath }))
})
