/** Better Auth's own client, unmodified, against a listening service: once with cookies as a browser, once with a bearer as an app. */
import { generateKeyPairSync } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { BASE_ERROR_CODES } from 'better-auth'
import { createAuthClient } from 'better-auth/client'
import { jwtClient } from 'better-auth/client/plugins'
import { createLocalJWKSet, jwtVerify } from 'jose'
import t from 'tap'
import { startApp } from '../helpers/app.js'

const { app } = await startApp(t)
await app.listen({ host: '127.0.0.1', port: 0 })
const baseURL = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`

const password = 'correct horse battery'
const newPassword = 'staple that horse twice'
let people = 0
const newEmail = () => `client${++people}@example.com`

type Device = { client: ReturnType<typeof createAuthClient>; cookies: Map<string, string> }

/** Keeps cookies and states its origin, as the page of an app on the same site does. */
function browser(origin = baseURL): Device {
  const cookies = new Map<string, string>()
  const customFetchImpl: typeof fetch = async (input, init) => {
    const headers = new Headers(init?.headers)
    if (cookies.size > 0) headers.set('cookie', [...cookies].map(([name, value]) => `${name}=${value}`).join('; '))
    if (init?.method !== 'GET') headers.set('origin', origin)
    const response = await fetch(input, { ...init, headers })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (/; Max-Age=0(;|$)/.test(line)) cookies.delete(name)
      else cookies.set(name, value)
    }
    return response
  }
  return { client: createAuthClient({ baseURL, fetchOptions: { customFetchImpl } }), cookies }
}

/** Keeps the token of `set-auth-token` and nothing else, as the documentation of the bearer plugin has it. */
function phone(): Device {
  let token = ''
  const client = createAuthClient({
    baseURL,
    fetchOptions: {
      auth: { type: 'Bearer', token: () => token },
      onSuccess: ({ response }) => {
        token = response.headers.get('set-auth-token') ?? token
      },
    },
  })
  return { client, cookies: new Map() }
}

for (const [kind, makeDevice] of [
  ['a browser', browser],
  ['an app', phone],
] as const)
  t.test(`a life in ${kind}`, async t => {
    const email = newEmail()
    const [here, there] = [makeDevice(), makeDevice()]

    t.same(await here.client.getSession(), { data: null, error: null }, 'signed out is null, and no error')

    const up = await here.client.signUp.email({ name: 'Ada', email, password })
    t.equal(up.error, null)
    t.match(up.data, { token: /^[\w-]{43}$/, user: { email, name: 'Ada', emailVerified: false, image: null } })
    t.ok(up.data?.user.createdAt instanceof Date)

    const session = await here.client.getSession()
    t.equal(session.error, null)
    t.match(session.data, {
      session: { token: up.data?.token, userId: up.data?.user.id },
      user: { id: up.data?.user.id, email },
    })
    t.ok(session.data?.session.expiresAt instanceof Date)
    t.same(
      await here.client.getSession({ query: { disableCookieCache: true } }),
      session,
      'equal while nothing changes',
    )

    const into = await there.client.signIn.email({ email, password })
    t.match(into, { error: null, data: { redirect: false, token: /^[\w-]{43}$/, user: { email } } })

    const listed = await here.client.listSessions()
    t.equal(listed.error, null)
    t.equal(listed.data?.length, 2)
    t.ok(listed.data?.some(({ token }) => token === up.data?.token))
    const other = listed.data?.find(({ token }) => token !== up.data?.token)
    t.same(await here.client.revokeSession({ token: String(other?.token) }), { data: { status: true }, error: null })
    t.same(await there.client.getSession(), { data: null, error: null }, 'the other device is signed out')
    t.equal(there.cookies.size, 0, 'and its cookies are gone')
    t.equal((await here.client.listSessions()).data?.length, 1)

    t.same(await here.client.updateUser({ name: 'Ada Lovelace' }), { data: { status: true }, error: null })
    t.equal((await here.client.getSession()).data?.user.name, 'Ada Lovelace')

    await there.client.signIn.email({ email, password, rememberMe: false })
    const wrong = await here.client.changePassword({ currentPassword: 'wrong horse', newPassword })
    t.match(wrong, { data: null, error: { status: 400, code: 'INVALID_PASSWORD', message: 'Invalid password' } })
    const changed = await here.client.changePassword({
      currentPassword: password,
      newPassword,
      revokeOtherSessions: true,
    })
    t.match(changed, { error: null, data: { token: /^[\w-]{43}$/, user: { email } } })
    t.match(
      await here.client.getSession(),
      { error: null, data: { session: { token: changed.data?.token } } },
      'signed in still, anew',
    )
    t.equal((await there.client.getSession()).data, null)
    t.equal((await there.client.signIn.email({ email, password })).error?.status, 401, 'the old password is of no use')

    await there.client.signIn.email({ email, password: newPassword })
    t.same(await here.client.revokeOtherSessions(), { data: { status: true }, error: null })
    t.equal((await there.client.getSession()).data, null)
    t.match(await here.client.listAccounts(), {
      error: null,
      data: [{ providerId: 'credential', accountId: up.data?.user.id }],
    })

    t.same(await here.client.signOut(), { data: { success: true }, error: null })
    t.same(await here.client.getSession(), { data: null, error: null })
    t.equal(here.cookies.size, 0)
    t.match(await here.client.listSessions(), { data: null, error: { status: 401, code: 'UNAUTHORIZED' } })

    await here.client.signIn.email({ email, password: newPassword })
    t.same(await here.client.revokeSessions(), { data: { status: true }, error: null })
    t.equal((await here.client.getSession()).data, null)

    await here.client.signIn.email({ email, password: newPassword })
    t.same(await here.client.deleteUser({ password: newPassword }), {
      data: { success: true, message: 'User deleted' },
      error: null,
    })
    t.equal((await here.client.getSession()).data, null)
    t.match(await here.client.signIn.email({ email, password: newPassword }), {
      error: { code: 'INVALID_EMAIL_OR_PASSWORD' },
    })
  })

type Refused = { error: { status: number; code?: string | undefined; message?: string | undefined } | null }

t.test('what is refused has Better Auth’s own codes and messages', async t => {
  const { client } = browser()
  const email = newEmail()
  await client.signUp.email({ name: 'Ada', email, password })
  const foreign = browser('https://evil.example').client
  const callbackURL = 'https://evil.example'
  const cases: [string, Refused, number, keyof typeof BASE_ERROR_CODES][] = [
    [
      'a taken address',
      await client.signUp.email({ name: 'Eve', email, password }),
      422,
      'USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL',
    ],
    [
      'a short password',
      await client.signUp.email({ name: 'Eve', email: newEmail(), password: 'short' }),
      400,
      'PASSWORD_TOO_SHORT',
    ],
    [
      'a long one',
      await client.signUp.email({ name: 'Eve', email: newEmail(), password: 'x'.repeat(129) }),
      400,
      'PASSWORD_TOO_LONG',
    ],
    [
      'a wrong password',
      await client.signIn.email({ email, password: 'wrong horse' }),
      401,
      'INVALID_EMAIL_OR_PASSWORD',
    ],
    ['no address', await client.signIn.email({ email: 'nobody', password }), 400, 'INVALID_EMAIL'],
    [
      'a wrong proof',
      await client.$fetch('/verify-password', { method: 'POST', body: { password: 'x' } }),
      400,
      'INVALID_PASSWORD',
    ],
    [
      'a new address',
      await client.$fetch('/update-user', { method: 'POST', body: { email } }),
      400,
      'EMAIL_CAN_NOT_BE_UPDATED',
    ],
    ['a foreign page', await foreign.signIn.email({ email, password }), 403, 'INVALID_ORIGIN'],
    [
      'a page that hides',
      await browser('null').client.signIn.email({ email, password }),
      403,
      'MISSING_OR_NULL_ORIGIN',
    ],
    ['a foreign callback', await client.signIn.email({ email, password, callbackURL }), 403, 'INVALID_CALLBACK_URL'],
  ]
  for (const [name, { error }, status, code] of cases)
    t.match(error, { status, code, message: BASE_ERROR_CODES[code].message }, name)
})

t.test('the JSON dialect is in the client’s reach, and its session the client’s', async t => {
  const { client, cookies } = browser()
  const email = newEmail()
  const registered = await client.$fetch('/register', { method: 'POST', body: { email, password } })
  t.equal(registered.error, null)
  t.same([...cookies.keys()], ['session_token'])
  t.match(await client.getSession(), { error: null, data: { user: { email, name: '' } } })
  t.match(await client.$fetch('/user'), { error: null, data: { email } })
  t.same(await client.signOut(), { data: { success: true }, error: null })
  t.equal(cookies.size, 0)
})

t.test('its jwt plugin: a token for other services, and the keys to verify it', async t => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const signing = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const service = await startApp(t, { JWT_PRIVATE_KEY: signing })
  await service.app.listen({ host: '127.0.0.1', port: 0 })
  const there = `http://127.0.0.1:${(service.app.server.address() as AddressInfo).port}`
  let opaque = ''
  let along: string | null = null
  const client = createAuthClient({
    baseURL: there,
    plugins: [jwtClient()],
    fetchOptions: {
      auth: { type: 'Bearer', token: () => opaque },
      onSuccess: ({ response }) => {
        along = response.headers.get('set-auth-jwt') ?? along
      },
    },
  })
  t.match(await client.token(), { data: null, error: { status: 401, code: 'UNAUTHORIZED' } }, 'signed out')
  const up = await client.signUp.email({ name: 'Ada', email: newEmail(), password })
  opaque = up.data?.token ?? ''

  const { data } = await client.token()
  const keys = await client.jwks()
  t.equal(keys.error, null)
  const { payload } = await jwtVerify(data?.token ?? '', createLocalJWKSet(keys.data as never), {
    algorithms: ['EdDSA'],
    issuer: service.config.issuer,
  })
  t.equal(payload.sub, up.data?.user.id)
  await client.getSession()
  t.equal(along, data?.token, 'getSession brings it along')
})
