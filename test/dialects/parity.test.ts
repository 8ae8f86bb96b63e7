/** One journey through every door: whoever comes in anywhere is known everywhere, and once they leave, they have left everywhere. */
import t from 'tap'
import { startApp } from '../helpers/app.js'
import {
  type Carried,
  claimsOf,
  createKnock,
  type Entrance,
  entrances,
  type Headers,
  isErrorOf,
  logins,
  newPerson,
  type Person,
  password,
  protectedRoutes,
  registers,
} from './doors.js'

const { app } = await startApp(t)
const knock = createKnock(app)

const enter = (entrance: Entrance, person: Person) => knock('POST', entrance.url, { json: entrance.ask(person) })

/** Somebody who has come in by this way just now, for whom a login needs an account first. */
async function arrive(entrance: Entrance) {
  const person = newPerson()
  if (entrance.way === 'login') await knock('POST', '/auth/register', { json: person })
  const answer = await enter(entrance, person)
  const carried = entrance.carriedIn(answer)
  const [first] = carried
  if (!first) throw new Error(`${entrance.url} handed out no credential`)
  return {
    person,
    answer,
    first,
    carried,
    account: entrance.accountIn(answer),
    refresh: entrance.refreshTokenIn(answer),
  }
}

const sidOf = async ({ headers }: Carried): Promise<string> => {
  const { body } = await knock('GET', '/auth/sessions', { headers })
  return body.find(({ current }: { current: boolean }) => current).id
}

const refreshWith = (token: string) => knock('POST', '/auth/refresh', { json: { token } })

t.test('an account made at any door works at every other, and is the same one', async t => {
  for (const register of registers) {
    for (const login of logins) {
      const person = newPerson()
      const made = await enter(register, person)
      t.equal(made.status, register.status, `${register.url}, ${login.url}`)
      const back = await enter(login, { ...person, email: ` ${person.email.toUpperCase()}` })
      t.equal(back.status, login.status, `${register.url}, ${login.url}`)
      t.equal(login.accountIn(back), register.accountIn(made), `${register.url}, ${login.url}`)
    }
  }
})

t.test('an address taken at any door is taken at every other', async t => {
  for (const first of registers) {
    const person = newPerson()
    await enter(first, person)
    for (const second of registers) {
      const refused = await enter(second, { ...person, email: person.email.toUpperCase() })
      t.equal(refused.status, second.url.endsWith('/sign-up/email') ? 422 : 400, `${first.url}, ${second.url}`)
      t.ok(isErrorOf(second.door, refused.body))
      t.match(refused.text, /already/i)
    }
  }
})

t.test('every form of credential of every entrance opens every door', async t => {
  for (const entrance of entrances) {
    const { person, account, carried, refresh } = await arrive(entrance)
    for (const { form, headers } of carried) {
      for (const route of protectedRoutes) {
        const answer = await knock('GET', route.url(person), { headers })
        t.equal(answer.status, 200, `${entrance.url}, ${form}, at ${route.url(person)}`)
        t.equal(route.idIn(answer.body), account, `${entrance.url}, ${form}, at ${route.url(person)}`)
      }
    }
    if (refresh === undefined) continue
    const renewed = await refreshWith(refresh)
    t.equal(renewed.status, 200, `${entrance.url}: its refresh token`)
    t.equal(renewed.body.user.uuid, account)
  }
})

t.test('the access token that get-session hands out is one more of those', async t => {
  for (const entrance of entrances) {
    const { person, account, first } = await arrive(entrance)
    const { body } = await knock('GET', '/api/auth/get-session', { headers: first.headers })
    for (const route of protectedRoutes) {
      const answer = await knock('GET', route.url(person), { headers: { authorization: `Bearer ${body.accessToken}` } })
      t.equal(answer.status, 200, `${entrance.url}, at ${route.url(person)}`)
      t.equal(route.idIn(answer.body), account)
    }
  }
})

type Exit = {
  name: string
  leave(headers: Headers, session: { sid: string; refresh: string | undefined }): ReturnType<typeof knock> | undefined
}

const post =
  (url: string, json?: object): Exit['leave'] =>
  headers =>
    knock('POST', url, { json, headers })

const exits: Exit[] = [
  { name: 'POST /auth/logout', leave: post('/auth/logout') },
  { name: 'POST /auth/logout-all', leave: post('/auth/logout-all') },
  {
    name: 'POST /auth/logout with the refresh token',
    leave: (_headers, { refresh }) =>
      refresh === undefined ? undefined : knock('POST', '/auth/logout', { json: { refresh_token: refresh } }),
  },
  {
    name: 'DELETE /auth/sessions/{id}',
    leave: (headers, { sid }) => knock('DELETE', `/auth/sessions/${sid}`, { headers }),
  },
  { name: 'DELETE /auth/me', leave: headers => knock('DELETE', '/auth/me', { json: { password }, headers }) },
  { name: 'POST /api/auth/logout', leave: post('/api/auth/logout') },
  { name: 'POST /api/auth/sign-out', leave: post('/api/auth/sign-out', {}) },
  {
    name: 'POST /api/auth/revoke-session',
    leave: (headers, { sid }) => knock('POST', '/api/auth/revoke-session', { json: { token: sid }, headers }),
  },
  { name: 'POST /api/auth/revoke-sessions', leave: post('/api/auth/revoke-sessions', {}) },
  { name: 'POST /api/auth/delete-user', leave: post('/api/auth/delete-user', { password }) },
]

/** 401, but for get-session, which says `null` to whatever is no JWT. */
const signedOut = (url: string, form: string) =>
  url === '/api/auth/get-session' && form !== 'access JWT' ? { status: 200, text: 'null' } : { status: 401 }

for (const { name, leave } of exits) {
  t.test(`${name} ends a session for every door at once`, async t => {
    for (const entrance of entrances) {
      const { carried: forms } = await arrive(entrance)
      for (const index of forms.keys()) {
        const { person, carried, first, refresh } = await arrive(entrance)
        const used = carried[index] ?? first
        const left = await leave(used.headers, { sid: await sidOf(used), refresh })
        if (!left) continue
        t.ok([200, 204].includes(left.status), `${entrance.url}, leaving by ${used.form}`)
        for (const { form, headers } of carried) {
          for (const route of protectedRoutes) {
            const url = route.url(person)
            const answer = await knock('GET', url, { headers })
            t.match(answer, signedOut(url, form), `${entrance.url}, ${used.form}: ${form} at ${url}`)
          }
        }
        if (refresh !== undefined) t.equal((await refreshWith(refresh)).status, 401, `${entrance.url}, ${used.form}`)
      }
    }
  })
}

t.test('what one door writes every other reads', async t => {
  const person = newPerson()
  const { body } = await knock('POST', '/codvid-ai/auth/signup', {
    json: { schema_version: '4.0', data: { auth_type: 'email', ...person } },
  })
  const headers = { authorization: `Bearer ${body.token}` }
  const { sub: id } = claimsOf(body.token)
  await knock('PATCH', '/auth/me', { json: { name: 'Ada', image: 'https://example.com/a.png' }, headers })
  t.match((await knock('GET', '/api/auth/user', { headers })).body, {
    id,
    name: 'Ada',
    image: 'https://example.com/a.png',
  })
  await knock('POST', '/api/auth/update-user', { json: { name: 'Ada Lovelace' }, headers })
  t.match((await knock('GET', '/auth/me', { headers })).body, { uuid: id, name: 'Ada Lovelace' })

  const next = 'staple that horse twice'
  const changed = await knock('POST', '/auth/change-password', {
    json: { current_password: password, new_password: next },
    headers,
  })
  t.equal(changed.status, 200)
  for (const login of logins) {
    t.equal((await enter(login, { ...person, password: next })).status, login.status, `${login.url}: the new password`)
    const old = await enter(login, person)
    t.equal(old.status, login.door === 'codvid' ? 400 : 401, `${login.url}: the old one`)
  }
})
