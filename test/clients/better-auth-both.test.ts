/**
 * The same scenarios, with the same assertions, against a genuine Better Auth and against us, through its own client and
 * over the wire. Where the two differ on purpose a scenario says so by name, and the README of the door says why.
 */
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, request as httpRequest } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { createAuthClient } from 'better-auth/client'
import { jwtClient } from 'better-auth/client/plugins'
import { getSessionCookie } from 'better-auth/cookies'
import { sql } from 'drizzle-orm'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import t, { type Test } from 'tap'
import { startApp } from '../helpers/app.js'
import { startSmtp } from '../helpers/smtp.js'
import { type Server, type ServerOptions, startGenuine } from './genuine.js'

/** What differs on purpose, and why: the first and the last cell of a row in the README of our door. */
const differences = {
  token: ['`token` is 43 characters, and only its hash is stored', 'a stolen table signs nobody in'],
  'access-token': [
    '`accessToken`, `accessTokenExpiresAt`, `refreshToken:null` in get-session',
    'for other services to verify; the same JWT until it nears its expiry, so that `useSession` does not render anew',
  ],
  'list-tokens': [
    "`list-sessions` shows the caller's own token, and ids for the others",
    'a device should not be able to become another. `revokeSession` takes both',
  ],
  'jwt-bearer': [
    'access tokens are credentials too; a real but dead one is 401 at get-session, and beside a live cookie (sign-out succeeds all the same)',
    '"signed out" would be the wrong word for a client that has to refresh',
  ],
  'jwt-payload': ['the JWT names the account and its session', 'it travels in headers, and ends up in logs'],
  'bearer-fallback': ['a bearer of another kind falls back to the cookie', 'proxies add bearers of their own'],
  fresh: ['`list-sessions` never says `SESSION_NOT_FRESH`', 'it surprised its users; nothing secret is listed'],
  'no-origin': [
    "a cookie without any Origin passes, and so does Node's own fetch at sign-in; the plain `session_token` counts as well; other cookies do not trigger the check",
    'browsers name an origin on every unsafe request across sites; apps and servers do not',
  ],
  expires: ['`Expires` beside `Max-Age=0` on expired cookies', 'for clients that know no Max-Age'],
  replaces: [
    'signing in with a session cookie ends the session it names',
    'no session stays behind that nobody can end any more',
  ],
  'long-password': ['too long a password at sign-in is 401', 'it is a wrong one like any other'],
  common: ["common passwords, and one's own address, are 400 `PASSWORD_TOO_COMMON`", 'they are what is tried first'],
  codes: [
    'errors say `success:false` too; 404 has a body; 429, "No fields to update" and "Email is the same" have a code',
    'one form for all errors',
  ],
  wording: [
    'a value too long or too short, and a content type, are refused in other words, with the same code',
    'another validator; the code is what to test for',
  ],
  name: ['`update-user` refuses a `name` that is no text', 'its own types say `name` is a string'],
  'hosted-pages': [
    'a mailed link without `callbackURL` or `redirectTo` leads to a page of ours, which asks before it acts',
    'a line of JSON is no place to end up at',
  ],
  once: [
    'a mailed link works once, and is `INVALID_TOKEN` once it is over',
    'it can be taken back, and nobody finds it again in an old mailbox',
  ],
  'link-first': [
    'of a bad link and a bad password the link is told',
    'whether a password will do depends on whose it is to be',
  ],
  'reset-ends': ['a password reset by mail ends every session', 'whoever knew the old one may be signed in'],
  'link-signs-in': ['a link to a new address signs nobody in', 'opening a link is not signing in'],
  'change-fresh': [
    '`change-email` wants a session of a day at most, else 400 `SESSION_EXPIRED`',
    'an old session that was stolen should not take the account along',
  ],
  'delete-mail': [
    '`delete-user` by password or from a fresh session ends the account at once, and mails a link from an older one',
    'a link is for who has no other proof',
  ],
  'delete-out': ['signed out, the link that ends an account is 401', 'one word for signed out'],
} as const

type Difference = keyof typeof differences

const password = 'correct horse battery'
const newPassword = 'staple that horse twice'
const friend = 'https://app.friend.test'
const foe = 'https://evil.test'

// --- the two servers

const smtp = await startSmtp(t)
const signing = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

async function startOurs(t: Test, options: ServerOptions): Promise<Server> {
  const port = await freePort()
  const address = `http://127.0.0.1:${port}`
  const origin = options.publicUrl ?? address
  const { app, database } = await startApp(t, {
    SMTP_URL: smtp.url,
    MAIL_FROM: 'Acme <no-reply@acme.test>',
    PUBLIC_URL: origin,
    JWT_PRIVATE_KEY: signing,
    TRUSTED_ORIGINS: (options.trusted ?? []).join(','),
    ...(options.limited ? { RATE_LIMIT: 'on' } : {}),
  })
  await app.listen({ host: '127.0.0.1', port })
  const nextLink = async (to: string): Promise<URL> => {
    // Of what is mailed for information alone there is no link to follow.
    const [link] = /https?:\/\/\S+/.exec((await smtp.next(to)).text) ?? []
    return link ? new URL(link) : nextLink(to)
  }
  return {
    kind: 'ours',
    address,
    origin,
    nextLink,
    age: async (userId, hours) => {
      const past = sql`make_interval(hours => ${hours})`
      await database.db.execute(
        sql`update sessions set created_at = created_at - ${past}, last_used_at = last_used_at - ${past},
          rotated_at = rotated_at - ${past}, expires_at = expires_at - ${past} where account_id = ${userId}`,
      )
    },
  }
}

/** PUBLIC_URL has to be known before the service listens. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

// --- a browser and a phone

const agent = new Agent({ keepAlive: false })

/** HTTP and nothing more: Node's own fetch adds `sec-fetch-mode`, which phones do not. Follows no redirect. */
function send(url: string, init: RequestInit = {}): Promise<Response> {
  const headers = Object.fromEntries(new Headers(init.headers))
  const body = typeof init.body === 'string' ? init.body : undefined
  return new Promise((resolve, reject) => {
    const sending = httpRequest(url, { agent, method: init.method ?? 'GET', headers }, async answer => {
      const chunks: Buffer[] = []
      for await (const chunk of answer) chunks.push(chunk as Buffer)
      const pairs = Object.entries(answer.headersDistinct).flatMap(([name, values = []]) =>
        values.map((value): [string, string] => [name, value]),
      )
      const text = Buffer.concat(chunks).toString()
      resolve(new Response(text || null, { status: answer.statusCode ?? 0, headers: pairs }))
    })
    sending.on('error', reject)
    sending.end(body)
  })
}

type Cookie = { name: string; value: string; attributes: string[] }

const toCookie = (line: string): Cookie => {
  const [pair = '', ...attributes] = line.split('; ')
  const equals = pair.indexOf('=')
  return { name: pair.slice(0, equals), value: pair.slice(equals + 1), attributes: attributes.sort() }
}

/** Keeps cookies and states its origin, as a page does. */
function openBrowser(server: Server, page: string | null = server.origin) {
  const jar = new Map<string, string>()
  const device = {
    jar,
    /** Of the last answer. */
    headers: new Headers(),
    status: 0,
    cookies: [] as Cookie[],
    get cookieHeader() {
      return [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    },
    async fetch(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
      const headers = new Headers(init.headers)
      if (jar.size > 0 && !headers.has('cookie')) headers.set('cookie', device.cookieHeader)
      if (page !== null && (init.method ?? 'GET') !== 'GET') headers.set('origin', page)
      const response = await send(String(input), { ...init, headers })
      device.headers = response.headers
      device.status = response.status
      device.cookies = response.headers.getSetCookie().map(toCookie)
      for (const { name, value, attributes } of device.cookies)
        if (attributes.includes('Max-Age=0')) jar.delete(name)
        else jar.set(name, value)
      return response
    },
    get: (path: string, headers: Record<string, string> = {}) =>
      device.fetch(`${server.address}/api/auth${path}`, { headers }),
    /** A link that was mailed, as the browser opens it. */
    open: (link: URL) => device.fetch(`${server.address}${link.pathname}${link.search}`),
  }
  const client = createAuthClient({
    baseURL: server.address,
    plugins: [jwtClient()],
    fetchOptions: { customFetchImpl: device.fetch },
  })
  return Object.assign(device, { client })
}

/** Keeps the token of `set-auth-token` and nothing else, and states no origin, as the bearer plugin's documentation has it. */
function openPhone(server: Server) {
  let token = ''
  const device = {
    get token() {
      return token
    },
    jwt: null as string | null,
  }
  const client = createAuthClient({
    baseURL: server.address,
    plugins: [jwtClient()],
    fetchOptions: {
      customFetchImpl: (input, init) => send(String(input), init),
      auth: { type: 'Bearer', token: () => token },
      onSuccess: ({ response }) => {
        token = response.headers.get('set-auth-token') ?? token
        device.jwt = response.headers.get('set-auth-jwt') ?? device.jwt
      },
    },
  })
  return Object.assign(device, { client })
}

type Browser = ReturnType<typeof openBrowser>

let people = 0
const newEmail = () => `both${++people}@example.com`

async function signUp<D extends Pick<Browser, 'client'>>(server: Server, device: D) {
  const email = newEmail()
  const { data, error } = await device.client.signUp.email({ name: 'Ada', email, password })
  if (!data) throw new Error(`no account: ${JSON.stringify(error)}`)
  const verification = await server.nextLink(email)
  return { device, email, id: data.user.id, token: data.token ?? '', verification }
}

async function signIn(server: Server, email: string, device = openBrowser(server), secret = password) {
  const { data } = await device.client.signIn.email({ email, password: secret })
  if (!data) throw new Error('not signed in')
  return device
}

const isIn = async ({ client }: Pick<Browser, 'client'>) => (await client.getSession()).data !== null

/** What a client is told of a refusal. */
const toRefusal = ({ error }: { error: unknown }) => {
  const { status, code, message } = error as { status: number; code?: string; message?: string }
  return [status, code, message]
}

const done = { data: { status: true }, error: null }

// --- the scenarios

type World = {
  t: Test
  server: Server
  start(options: ServerOptions): Promise<Server>
  /** What is expected where the two differ. */
  differs<T>(difference: Difference, there: T, here: T): T
}

const used = new Set<string>()

const scenarios: [string, (world: World) => Promise<void>][] = [
  [
    'signing up, in and out in a browser',
    async ({ t, server, differs }) => {
      const browser = openBrowser(server)
      const { client } = browser
      t.same(await client.getSession(), { data: null, error: null }, 'signed out is null, and no error')
      t.equal(await (await browser.get('/get-session')).text(), 'null')
      t.match(browser.headers.get('content-type'), /^application\/json/)
      t.match(browser.headers.get('cache-control'), /no-store/)

      const email = newEmail()
      const up = await client.signUp.email({ name: 'Ada', email: email.toUpperCase(), password })
      t.equal(up.error, null)
      t.match(up.data?.token, differs('token', /^[A-Za-z0-9]{32}$/, /^[\w-]{43}$/))
      // The memory adapter of the genuine one leaves out what a database has as null.
      t.same(Object.keys({ image: null, ...up.data?.user }).sort(), userKeys)
      t.match(up.data?.user, { email, name: 'Ada', emailVerified: false, image: null })
      t.ok(up.data?.user.createdAt instanceof Date && up.data.user.updatedAt instanceof Date, 'times are dates')
      t.match(browser.headers.get('set-auth-token'), new RegExp(`^${up.data?.token}\\.[A-Za-z0-9+/]{43}=$`))
      t.equal(
        decodeURIComponent(browser.jar.get('better-auth.session_token') ?? ''),
        browser.headers.get('set-auth-token'),
      )

      const session = await client.getSession()
      t.same(
        Object.keys(session.data ?? {}).sort(),
        differs(
          'access-token',
          ['session', 'user'],
          ['accessToken', 'accessTokenExpiresAt', 'refreshToken', 'session', 'user'],
        ),
      )
      t.same(Object.keys(session.data?.session ?? {}).sort(), sessionKeys)
      t.match(session.data, { session: { token: up.data?.token, userId: up.data?.user.id }, user: up.data?.user })
      t.ok(session.data?.session.expiresAt instanceof Date)
      const days = (Number(session.data?.session.expiresAt) - Date.now()) / 86_400_000
      t.ok(days > 6.9 && days <= 7.01, 'a week')
      t.same(await client.getSession({ query: { disableCookieCache: true } }), session, 'equal while nothing changes')

      const carried = browser.cookieHeader
      t.same(await client.signOut(), { data: { success: true }, error: null })
      t.equal(browser.jar.size, 0, 'no cookie is left')
      t.equal(await isIn(browser), false)
      const replayed = await send(`${server.address}/api/auth/get-session`, { headers: { cookie: carried } })
      t.same([replayed.status, await replayed.json()], [200, null], 'nor is the old one of any use')
      t.ok(
        replayed.headers.getSetCookie().every(line => line.includes('Max-Age=0')),
        'and it is taken back',
      )
      t.equal(replayed.headers.getSetCookie().length, 3)
      t.same(await client.signOut(), { data: { success: true }, error: null }, 'once more does no harm')

      const back = await client.signIn.email({ email, password })
      t.match(back, { error: null, data: { redirect: false, user: { email } } })
      t.equal(back.data?.token, (await client.getSession()).data?.session.token)
    },
  ],
  [
    'cookies',
    async ({ t, server, differs }) => {
      const { device: other, email } = await signUp(server, openBrowser(server))
      const attributes = ['HttpOnly', 'Path=/', 'SameSite=Lax']
      const stays = {
        name: 'better-auth.session_token',
        attributes: ['HttpOnly', 'Max-Age=604800', 'Path=/', 'SameSite=Lax'],
      }
      t.same(setCookies(other), [stays])
      const carried = other.cookieHeader
      await signIn(server, email, other)
      t.match(setCookies(other).at(-1), stays)
      const replayed = await send(`${server.address}/api/auth/get-session`, { headers: { cookie: carried } })
      t.equal((await replayed.json()) === null, differs('replaces', false, true), 'what was carried along')

      const browser = openBrowser(server)
      const { client } = browser
      await client.signIn.email({ email, password, rememberMe: false })
      t.same(
        setCookies(browser),
        ['dont_remember', 'session_token'].map(name => ({ name: `better-auth.${name}`, attributes })),
        'they end with the browser',
      )
      const hours = (Number((await client.getSession()).data?.session.expiresAt) - Date.now()) / 3_600_000
      t.ok(hours > 23.9 && hours < 24.1, 'and the session after a day')
      t.same(browser.cookies, [], 'which reading it does not change')

      await client.signOut()
      t.same(
        setCookies(browser),
        ['dont_remember', 'session_data', 'session_token'].map(name => ({
          name: `better-auth.${name}`,
          attributes: [
            ...differs('expires', [], ['Expires=Thu, 01 Jan 1970 00:00:00 GMT']),
            'HttpOnly',
            'Max-Age=0',
            'Path=/',
            'SameSite=Lax',
          ],
        })),
      )

      const forged = `better-auth.session_token=${'x'.repeat(43)}.${'y'.repeat(43)}%3D`
      t.equal(
        await (await browser.get('/get-session', { cookie: forged })).text(),
        'null',
        'a forged one is signed out',
      )
      t.same(browser.cookies, [], 'and not worth an answer')
    },
  ],
  [
    'cookies behind https, and getSessionCookie()',
    async ({ t, server: plain, start }) => {
      const server = await start({ publicUrl: 'https://auth.acme.test' })
      const { device: browser } = await signUp(server, openBrowser(server))
      t.same(setCookies(browser), [
        {
          name: '__Secure-better-auth.session_token',
          attributes: ['HttpOnly', 'Max-Age=604800', 'Path=/', 'SameSite=Lax', 'Secure'],
        },
      ])
      const page = new Request('https://app.acme.test/', { headers: { cookie: browser.cookieHeader } })
      t.equal(getSessionCookie(page), browser.headers.get('set-auth-token'))
      t.equal(getSessionCookie(new Request('https://app.acme.test/')), null)
      await browser.client.signOut()
      t.equal(browser.jar.size, 0)

      const { device } = await signUp(plain, openBrowser(plain))
      t.equal(getSessionCookie(new Headers({ cookie: device.cookieHeader })), device.headers.get('set-auth-token'))
    },
  ],
  [
    'a bearer without cookies and without an origin',
    async ({ t, server, differs }) => {
      const phone = openPhone(server)
      const { client } = phone
      const { email, id, token } = await signUp(server, phone)
      t.equal(phone.token.split('.')[0], token)
      t.match(await client.getSession(), { error: null, data: { user: { email } } })
      t.match(phone.jwt, /^[\w-]+\.[\w-]+\.[\w-]+$/, 'with a JWT for other services along')
      t.same(await client.updateUser({ name: 'Ada Lovelace' }), done)
      t.match(await client.listAccounts(), {
        error: null,
        data: [{ providerId: 'credential', accountId: id, userId: id }],
      })
      t.match(await client.changePassword({ currentPassword: password, newPassword }), {
        error: null,
        data: { token: null },
      })

      const read = async (bearer: string, headers: Record<string, string> = {}) => {
        const path = `${server.address}/api/auth/get-session`
        const answer = await send(path, { headers: { authorization: `Bearer ${bearer}`, ...headers } })
        return (((await answer.json()) as { user: { id: string } } | null) ?? { user: null }).user?.id ?? null
      }
      t.equal(await read(token), id, 'raw')
      t.equal(await read(phone.token), id, 'signed')
      t.equal(await read(encodeURIComponent(phone.token)), id, 'signed and encoded')
      t.equal(await read(`${token}.${'A'.repeat(43)}=`), null, 'badly signed')
      t.equal(await read('x'.repeat(token.length)), null, 'unknown')
      t.equal(await read(phone.jwt ?? ''), differs('jwt-bearer', null, id), 'a JWT')
      const cookie = `better-auth.session_token=${encodeURIComponent(phone.token)}`
      t.equal(await read(`${token}.${'A'.repeat(43)}=`, { cookie }), id, 'badly signed beside a good cookie')
      t.equal(
        await read('x'.repeat(token.length), { cookie }),
        differs('bearer-fallback', null, id),
        'unknown beside a good cookie',
      )

      t.same(await client.signOut(), { data: { success: true }, error: null })
      t.equal(await read(token), null, 'dead at once')
      t.match(toRefusal(await client.listSessions()), unauthorized)
    },
  ],
  [
    'origins',
    async ({ t, server, differs }) => {
      const { device: own, email } = await signUp(server, openBrowser(server))
      const from = async (page: string | null, cookie = own.cookieHeader) => {
        const browser = openBrowser(server, page)
        await browser.fetch(`${server.address}/api/auth/update-user`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...(cookie ? { cookie } : {}) },
          body: JSON.stringify({ name: 'Eve' }),
        })
        return browser.status
      }
      t.equal(await from(friend), 200)
      t.equal(await from(foe), 403)
      t.equal(await from('null'), 403)
      t.equal(await from(`${friend}.evil.test`), 403)
      t.equal(await from(null), differs('no-origin', 403, 200))
      t.equal(await from(foe, ''), 401, 'without a cookie an origin does not matter')

      const login = async (headers: Record<string, string>) => {
        const answer = await send(`${server.address}/api/auth/sign-in/email`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: JSON.stringify({ email, password }),
        })
        const { code } = (await answer.json()) as { code?: string }
        return [answer.status, code]
      }
      t.same(await login({}), [200, undefined], 'curl')
      t.same(await login({ origin: friend }), [200, undefined])
      t.same(await login({ origin: foe }), [403, 'INVALID_ORIGIN'])
      t.same(await login({ referer: `${foe}/page` }), [403, 'INVALID_ORIGIN'])
      t.same(await login({ referer: `${friend}/page` }), [200, undefined])
      t.same(await login({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }), [
        403,
        'CROSS_SITE_NAVIGATION_LOGIN_BLOCKED',
      ])
      t.same(
        await login({ 'sec-fetch-mode': 'cors' }),
        differs('no-origin', [403, 'MISSING_OR_NULL_ORIGIN'], [200, undefined]),
        'Node’s own fetch',
      )
      t.same(
        await login({ cookie: 'theme=dark' }),
        differs('no-origin', [403, 'MISSING_OR_NULL_ORIGIN'], [200, undefined]),
        'somebody else’s cookie',
      )
    },
  ],
  [
    'callbackURL and redirectTo',
    async ({ t, server }) => {
      const { device, email } = await signUp(server, openBrowser(server))
      const { client } = device
      const taken = ['/dashboard', '/a?next=%2Fb', '/a#b', `${server.origin}/a`, `${friend}/a?b=c`]
      for (const callbackURL of taken) {
        const { data } = await client.signIn.email({ email, password, callbackURL })
        t.match(data, { redirect: true, url: callbackURL }, callbackURL)
        t.equal(device.status, 200)
        t.equal(device.headers.get('location'), callbackURL)
        t.equal(
          await toStatus(client.requestPasswordReset({ email: 'nobody@example.com', redirectTo: callbackURL })),
          200,
        )
        await device.get(`/verify-email?token=x&callbackURL=${encodeURIComponent(callbackURL)}`)
        t.equal(device.status, 302)
      }
      const refused = [
        foe,
        '//evil.test',
        '/\\evil.test',
        '\\\\evil.test',
        '/%2fevil.test',
        '/%5cevil.test',
        '/\t/evil.test',
        '/a\n',
        'javascript:alert(1)',
        'data:text/html,x',
        `${friend}.evil.test`,
        `${friend}@evil.test/`,
        'evil.test',
        'https:evil.test',
        'https:///evil.test',
        'HTTPS://EVIL.TEST',
        ' /a',
      ]
      const wrong = [403, 'INVALID_CALLBACK_URL', 'Invalid callbackURL']
      for (const callbackURL of refused) {
        t.same(toRefusal(await client.signIn.email({ email, password, callbackURL })), wrong, `sign-in ${callbackURL}`)
        t.same(
          toRefusal(await client.signUp.email({ name: 'Eve', email: newEmail(), password, callbackURL })),
          wrong,
          `sign-up ${callbackURL}`,
        )
        t.same(
          toRefusal(await client.requestPasswordReset({ email, redirectTo: callbackURL })),
          [403, 'INVALID_REDIRECT_URL', 'Invalid redirectURL'],
          `reset ${callbackURL}`,
        )
        for (const path of ['/verify-email?token=x&', '/reset-password/x?', '/delete-user/callback?token=x&']) {
          const answer = await device.get(`${path}callbackURL=${encodeURIComponent(callbackURL)}`)
          t.match(
            [answer.status, await answer.json()],
            [403, { code: 'INVALID_CALLBACK_URL' }],
            `${path} ${callbackURL}`,
          )
        }
        t.same(toRefusal(await client.sendVerificationEmail({ email, callbackURL })), wrong, `verify ${callbackURL}`)
        t.same(
          toRefusal(await client.changeEmail({ newEmail: newEmail(), callbackURL })),
          wrong,
          `change ${callbackURL}`,
        )
        t.same(toRefusal(await client.deleteUser({ callbackURL })), wrong, `delete ${callbackURL}`)
      }
    },
  ],
  [
    'sessions of several devices',
    async ({ t, server, differs }) => {
      const { device: here, email, id } = await signUp(server, openBrowser(server))
      const [there, elsewhere] = [openBrowser(server), await signIn(server, email)]
      await there.client.signIn.email({ email, password, fetchOptions: { headers: { 'user-agent': 'Phone/1' } } })
      const stranger = (await signUp(server, openBrowser(server))).device
      const list = await here.client.listSessions()
      t.equal(list.data?.length, 3)
      for (const row of list.data ?? []) {
        t.same(Object.keys(row).sort(), sessionKeys)
        t.equal(row.userId, id)
        t.ok(row.expiresAt instanceof Date)
      }
      const mine = (await here.client.getSession()).data?.session
      const theirs = (await there.client.getSession()).data?.session
      t.ok(
        list.data?.some(({ token }) => token === mine?.token),
        'one’s own token is told',
      )
      const listed = list.data?.find(({ id }) => id === theirs?.id)
      t.same([listed?.userAgent, mine?.userAgent], ['Phone/1', ''])
      t.equal(listed?.token === theirs?.token, differs('list-tokens', true, false))

      t.same(await stranger.client.revokeSession({ token: listed?.token ?? '' }), done, 'a foreign one answers alike')
      t.same(await stranger.client.revokeSession({ token: 'unknown' }), done)
      t.equal(await isIn(there), true, 'and nothing has happened')
      t.same(await here.client.revokeSession({ token: listed?.token ?? '' }), done)
      t.equal(await isIn(there), false)
      t.equal(there.jar.size, 0, 'its cookies are taken back')
      t.same(
        await here.client.revokeSession({ token: (await elsewhere.client.getSession()).data?.session.token ?? '' }),
        done,
      )
      t.equal(await isIn(elsewhere), false, 'by its token too')

      const again = await signIn(server, email)
      t.same(await here.client.revokeOtherSessions(), done)
      t.same([await isIn(here), await isIn(again)], [true, false])
      const last = await signIn(server, email)
      t.same(await here.client.revokeSessions(), done)
      t.same([await isIn(here), await isIn(last)], [false, false])
      t.same(toRefusal(await here.client.revokeSessions()), unauthorized)

      const old = await signIn(server, email)
      await server.age(id, 25)
      t.same(
        toStatusAndCode(await old.client.listSessions()),
        differs('fresh', [403, 'SESSION_NOT_FRESH'], [200, undefined]),
      )
    },
  ],
  [
    'how long a session lasts',
    async ({ t, server }) => {
      const { device, email, id } = await signUp(server, openBrowser(server))
      const read = async (query = {}) => {
        const { data } = await device.client.getSession({ query })
        return data && Math.round((Number(data.session.expiresAt) - Date.now()) / 3_600_000)
      }
      await server.age(id, 2)
      t.equal(await read(), 166, 'within a day nothing moves')
      t.same(device.cookies, [])
      await server.age(id, 46)
      t.equal(await read({ disableRefresh: true }), 120)
      t.same(device.cookies, [])
      t.equal(await read(), 168, 'a week from the day it is used')
      t.match(setCookies(device), [{ name: 'better-auth.session_token' }])
      t.match(device.headers.get('set-auth-token'), /\./)
      await server.age(id, 169)
      t.equal(await read(), null)
      t.equal(device.jar.size, 0)

      await device.client.signIn.email({ email, password, rememberMe: false })
      await server.age(id, 23)
      t.equal(await read(), 1, 'one that ends with the browser does not move')
      await server.age(id, 2)
      t.equal(await read(), null)
    },
  ],
  [
    'the user',
    async ({ t, server, differs }) => {
      const { device, email } = await signUp(server, openBrowser(server))
      const { client } = device
      const user = async () => (await client.getSession()).data?.user
      t.same(await client.updateUser({ name: 'Ada Lovelace', image: 'https://example.com/ada.png' }), done)
      t.match(await user(), { name: 'Ada Lovelace', image: 'https://example.com/ada.png' })
      t.same(await client.updateUser({ image: null }), done)
      t.match(await user(), { name: 'Ada Lovelace', image: null })
      await client.updateUser({ name: 'Ada' })
      t.match(device.headers.get('set-auth-token'), /\./, 'the token is repeated')
      t.equal(device.jar.size, 1)

      const update = (body: object) => client.$fetch('/update-user', { method: 'POST', body })
      t.same(toRefusal(await update({ email: newEmail() })), [
        400,
        'EMAIL_CAN_NOT_BE_UPDATED',
        'Email can not be updated',
      ])
      t.same(toRefusal(await update({})), [
        400,
        differs('codes', undefined, 'NO_FIELDS_TO_UPDATE'),
        'No fields to update',
      ])
      t.same(
        toStatusAndCode(await update({ name: null })),
        differs('name', [200, undefined], [400, 'VALIDATION_ERROR']),
      )
      await update({ name: 'Ada', id: 'x', emailVerified: true, role: 'admin' })
      t.match(await user(), { name: 'Ada', email, emailVerified: false }, 'what is not theirs to set is passed over')
      t.same(toRefusal(await openBrowser(server).client.updateUser({ name: 'Eve' })), unauthorized)
    },
  ],
  [
    'a new password',
    async ({ t, server }) => {
      const { device: here, email, token } = await signUp(server, openBrowser(server))
      const there = await signIn(server, email)
      const change = (body: { currentPassword: string; newPassword: string; revokeOtherSessions?: boolean }) =>
        here.client.changePassword(body)
      t.same(toRefusal(await change({ currentPassword: 'wrong horse', newPassword })), [
        400,
        'INVALID_PASSWORD',
        'Invalid password',
      ])
      t.same(toRefusal(await change({ currentPassword: password, newPassword: 'short' })), [
        400,
        'PASSWORD_TOO_SHORT',
        'Password too short',
      ])
      t.same(toRefusal(await change({ currentPassword: password, newPassword: 'x'.repeat(129) })), [
        400,
        'PASSWORD_TOO_LONG',
        'Password too long',
      ])
      t.match(await change({ currentPassword: password, newPassword }), {
        error: null,
        data: { token: null, user: { email } },
      })
      t.same(here.cookies, [], 'nothing to set')
      t.same([await isIn(here), await isIn(there)], [true, true], 'all go on')

      const { data } = await change({ currentPassword: newPassword, newPassword: password, revokeOtherSessions: true })
      t.match(data, { token: String, user: { email } })
      t.not(data?.token, token)
      t.equal(here.headers.get('set-auth-token')?.split('.')[0], data?.token)
      t.equal((await here.client.getSession()).data?.session.token, data?.token, 'signed in still, anew')
      t.equal(await isIn(there), false)

      const verify = (body: object) => here.client.$fetch('/verify-password', { method: 'POST', body })
      t.same(await verify({ password }), done)
      t.same(toRefusal(await verify({ password: newPassword })), [400, 'INVALID_PASSWORD', 'Invalid password'])
    },
  ],
  [
    'an address that is proved by mail',
    async ({ t, server, differs }) => {
      const { device, email, verification } = await signUp(server, openBrowser(server))
      const { client } = device
      t.equal(
        verification.pathname,
        differs('hosted-pages', '/api/auth/verify-email', '/auth/pages/verify-email'),
        'without a callbackURL',
      )
      const verified = async () => (await client.getSession()).data?.user.emailVerified
      t.same(await client.sendVerificationEmail({ email, callbackURL: '/welcome' }), done)
      const link = await server.nextLink(email)
      t.equal(link.origin, server.origin)
      t.equal(link.pathname, '/api/auth/verify-email')
      t.equal(link.searchParams.get('callbackURL'), '/welcome')
      t.equal(await verified(), false)
      await device.open(link)
      t.same([device.status, whereTo(device, server)], [302, '/welcome'])
      t.same(device.cookies, [], 'it signs nobody in')
      t.equal(await verified(), true)
      await device.open(link)
      t.same(
        [device.status, whereTo(device, server)],
        [302, differs('once', '/welcome', '/welcome?error=INVALID_TOKEN')],
        'again',
      )

      t.same(toRefusal(await client.sendVerificationEmail({ email })), [
        400,
        'EMAIL_ALREADY_VERIFIED',
        'Email is already verified',
      ])
      t.same(toRefusal(await client.sendVerificationEmail({ email: newEmail() })), [
        400,
        'EMAIL_MISMATCH',
        'Email mismatch',
      ])
      const signedOut = openBrowser(server).client
      for (const address of [email, 'nobody@example.com'])
        t.same(await signedOut.sendVerificationEmail({ email: address }), done, 'signed out nobody is told')

      const third = newEmail()
      await openBrowser(server).client.signUp.email({ name: 'Ada', email: third, password, callbackURL: '/hello' })
      t.equal((await server.nextLink(third)).searchParams.get('callbackURL'), '/hello', 'of the sign-up')

      const other = await signUp(server, openBrowser(server))
      const token = other.verification.searchParams.get('token') ?? ''
      t.same(await signedOut.verifyEmail({ query: { token } }), { data: { status: true, user: null }, error: null })
      t.equal((await other.device.client.getSession()).data?.user.emailVerified, true)
      t.same(toRefusal(await signedOut.verifyEmail({ query: { token: 'x' } })), [401, 'INVALID_TOKEN', 'Invalid token'])
      await device.get('/verify-email?token=x&callbackURL=/welcome%3Fa=b')
      t.same([device.status, whereTo(device, server)], [302, '/welcome?a=b&error=INVALID_TOKEN'])
    },
  ],
  [
    'a forgotten password',
    async ({ t, server, differs }) => {
      const { device: here, email } = await signUp(server, openBrowser(server))
      const { client } = openBrowser(server)
      const told = {
        data: { status: true, message: 'If this email exists in our system, check your email for the reset link' },
        error: null,
      }
      t.same(await client.requestPasswordReset({ email: email.toUpperCase(), redirectTo: '/reset?a=b' }), told)
      t.same(await client.requestPasswordReset({ email: 'nobody@example.com', redirectTo: '/reset' }), told)
      const link = await server.nextLink(email)
      const token = link.pathname.split('/').at(-1) ?? ''
      t.equal(link.pathname, `/api/auth/reset-password/${token}`)
      const visitor = openBrowser(server)
      for (const _ of [1, 2]) {
        await visitor.open(link)
        t.same(
          [visitor.status, whereTo(visitor, server)],
          [302, `/reset?a=b&token=${token}`],
          'looking uses nothing up',
        )
      }
      await visitor.get('/reset-password/unknown?callbackURL=/reset')
      t.same([visitor.status, whereTo(visitor, server)], [302, '/reset?error=INVALID_TOKEN'])

      const invalid = [400, 'INVALID_TOKEN', 'Invalid token']
      t.same(toRefusal(await client.resetPassword({ newPassword, token: 'unknown' })), invalid)
      t.same(toRefusal(await client.resetPassword({ newPassword })), invalid)
      t.same(toStatusAndCode(await client.resetPassword({ newPassword: 'short', token: 'unknown' })), [
        400,
        differs('link-first', 'PASSWORD_TOO_SHORT', 'INVALID_TOKEN'),
      ])
      t.same(toStatusAndCode(await client.resetPassword({ newPassword: '', token })), [400, 'PASSWORD_TOO_SHORT'])
      t.same(toRefusal(await client.resetPassword({ newPassword: 'short', token })), [
        400,
        'PASSWORD_TOO_SHORT',
        'Password too short',
      ])
      t.same(toRefusal(await client.resetPassword({ newPassword: 'x'.repeat(129), token })), [
        400,
        'PASSWORD_TOO_LONG',
        'Password too long',
      ])
      t.same(await client.resetPassword({ newPassword, token }), done)
      t.same(toRefusal(await client.resetPassword({ newPassword, token })), invalid, 'once')
      t.equal(await isIn(here), differs('reset-ends', true, false), 'who was signed in')
      t.equal(await toStatus(client.signIn.email({ email, password })), 401)
      t.equal(await toStatus(client.signIn.email({ email, password: newPassword })), 200)

      await client.requestPasswordReset({ email })
      const bare = await server.nextLink(email)
      t.match(
        bare.pathname,
        differs('hosted-pages', /^\/api\/auth\/reset-password\/\w+$/, /^\/auth\/pages\/reset-password$/),
      )
    },
  ],
  [
    'a new address',
    async ({ t, server, differs }) => {
      const { device, email, id } = await signUp(server, openBrowser(server))
      const { client } = device
      const wanted = newEmail()
      t.same(toRefusal(await client.changeEmail({ newEmail: email.toUpperCase() })), [
        400,
        differs('codes', undefined, 'EMAIL_IS_THE_SAME'),
        'Email is the same',
      ])
      t.same(await client.changeEmail({ newEmail: wanted.toUpperCase(), callbackURL: '/settings' }), done)
      const link = await server.nextLink(wanted)
      t.equal(link.pathname, '/api/auth/verify-email')
      t.equal((await client.getSession()).data?.user.email, email, 'not yet')
      await device.open(link)
      t.same([device.status, whereTo(device, server)], [302, '/settings'])
      t.match((await client.getSession()).data?.user, { email: wanted, emailVerified: true })
      t.equal(await toStatus(openBrowser(server).client.signIn.email({ email, password })), 401)
      t.equal(await toStatus(openBrowser(server).client.signIn.email({ email: wanted, password })), 200)

      const taken = (await signUp(server, openBrowser(server))).email
      t.same(await client.changeEmail({ newEmail: taken }), done, 'a taken one answers alike')
      const third = newEmail()
      await client.changeEmail({ newEmail: third, callbackURL: '/settings' })
      const stranger = openBrowser(server)
      const token = (await server.nextLink(third)).searchParams.get('token') ?? ''
      t.match(await stranger.client.verifyEmail({ query: { token } }), {
        error: null,
        data: { status: true, user: { id, email: third, emailVerified: true } },
      })
      t.equal(await isIn(stranger), differs('link-signs-in', true, false), 'who opens the link elsewhere')

      await server.age(id, 25)
      t.same(
        toStatusAndCode(await client.changeEmail({ newEmail: newEmail() })),
        differs('change-fresh', [200, undefined], [400, 'SESSION_EXPIRED']),
      )
    },
  ],
  [
    'the end of an account',
    async ({ t, server }) => {
      const one = await signUp(server, openBrowser(server))
      t.same(toRefusal(await one.device.client.deleteUser({ password: 'wrong horse' })), [
        400,
        'INVALID_PASSWORD',
        'Invalid password',
      ])
      const deleted = { data: { success: true, message: 'User deleted' }, error: null }
      t.same(await one.device.client.deleteUser({ password }), deleted)
      t.equal(one.device.jar.size, 0)
      t.same(toRefusal(await one.device.client.deleteUser({ password })), unauthorized)
      t.equal(await toStatus(one.device.client.signIn.email({ email: one.email, password })), 401)

      const two = await signUp(server, openBrowser(server))
      t.same(await two.device.client.deleteUser(), deleted, 'from a fresh session without a password')
      const three = await signUp(server, openBrowser(server))
      t.same(toRefusal(await three.device.client.deleteUser({ token: 'unknown' })), [
        404,
        'INVALID_TOKEN',
        'Invalid token',
      ])
      const again = await three.device.client.signUp.email({ name: 'Ada', email: one.email, password })
      t.not(again.data?.user.id, one.id, 'the address is free')
    },
  ],
  [
    'the end of an account by mail',
    async ({ t, server: ours, start, differs }) => {
      const server = ours.kind === 'ours' ? ours : await start({ deletesByMail: true })
      const mailed = { data: { success: true, message: 'Verification email sent' }, error: null }
      const deleted = { data: { success: true, message: 'User deleted' }, error: null }
      const person = async () => {
        const { device, email, id } = await signUp(server, openBrowser(server))
        await server.age(id, 25)
        return { device, email }
      }
      const fresh = (await signUp(server, openBrowser(server))).device.client
      t.same(await fresh.deleteUser({ password }), differs('delete-mail', mailed, deleted))
      const one = await person()
      t.same(await one.device.client.deleteUser({ callbackURL: '/bye' }), mailed)
      t.equal(await isIn(one.device), true, 'nothing has happened yet')
      const link = await server.nextLink(one.email)
      t.equal(link.pathname, '/api/auth/delete-user/callback')
      const visitor = openBrowser(server)
      const refused = await (await visitor.open(link)).json()
      t.match(
        [visitor.status, refused],
        differs('delete-out', [404, { code: 'FAILED_TO_GET_USER_INFO' }], [401, { code: 'UNAUTHORIZED' }]),
        'signed out',
      )
      await one.device.open(link)
      t.same([one.device.status, whereTo(one.device, server)], [302, '/bye'])
      t.equal(one.device.jar.size, 0)
      t.equal(await toStatus(one.device.client.signIn.email({ email: one.email, password })), 401)

      const other = await person()
      t.same(await other.device.client.deleteUser(), mailed)
      const theirs = await server.nextLink(other.email)
      const stranger = await person()
      await stranger.device.open(theirs)
      t.equal(stranger.device.status, 404, 'somebody else')
      t.equal(await isIn(stranger.device), true)
      t.same(await other.device.client.deleteUser(), mailed)
      const token = (await server.nextLink(other.email)).searchParams.get('token') ?? ''
      t.same(await other.device.client.deleteUser({ token }), deleted)
      t.equal(await isIn(other.device), false)
      t.equal(other.device.jar.size, 0)
      t.equal(await toStatus(other.device.client.signIn.email({ email: other.email, password })), 401)
    },
  ],
  [
    'its jwt plugin',
    async ({ t, server, differs }) => {
      const { device, id } = await signUp(server, openBrowser(server))
      const { client } = device
      t.same(toRefusal(await openBrowser(server).client.token()), unauthorized)
      const { data } = await client.token()
      await client.getSession()
      const along = device.headers.get('set-auth-jwt')
      const keys = await client.jwks()
      t.equal(keys.error, null)
      t.match(keys.data, { keys: [{ alg: 'EdDSA', crv: 'Ed25519', kty: 'OKP', kid: String, x: String }] })
      for (const token of [data?.token, along]) {
        const { payload, protectedHeader } = await jwtVerify(
          token ?? '',
          createLocalJWKSet(keys.data as JSONWebKeySet),
          {
            issuer: server.origin,
          },
        )
        t.match(protectedHeader, { alg: 'EdDSA', kid: String })
        t.match(payload, { sub: id, iat: Number, exp: Number })
        t.equal('email' in payload, differs('jwt-payload', true, false))
        t.equal('sid' in payload, differs('jwt-payload', false, true))
      }
    },
  ],
  [
    'what is refused',
    async ({ t, server, differs }) => {
      const { device, email } = await signUp(server, openBrowser(server))
      const invalid = (message: string) => [400, 'VALIDATION_ERROR', message]
      const absent = (field: string) => invalid(`[body.${field}] Invalid input: expected string, received undefined`)
      const notAllowed = [404, differs('codes', undefined, 'NOT_FOUND'), differs('codes', undefined, 'Not found')]
      const wrong = [401, 'INVALID_EMAIL_OR_PASSWORD', 'Invalid email or password']
      const taken = [422, 'USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL', 'User already exists. Use another email.']
      const tooLong = [400, 'PASSWORD_TOO_LONG', 'Password too long']
      const newcomer = { name: 'Eve', email: newEmail(), password }
      const cases: [string, string, object, unknown][] = [
        ['a taken address', '/sign-up/email', { ...newcomer, email }, taken],
        ['in capitals', '/sign-up/email', { ...newcomer, email: email.toUpperCase() }, taken],
        [
          'a short password',
          '/sign-up/email',
          { ...newcomer, password: 'short' },
          [400, 'PASSWORD_TOO_SHORT', 'Password too short'],
        ],
        ['a long one', '/sign-up/email', { ...newcomer, password: 'x'.repeat(129) }, tooLong],
        [
          'an empty one',
          '/sign-up/email',
          { ...newcomer, password: '' },
          invalid(
            differs(
              'wording',
              '[body.password] Too small: expected string to have >=1 characters',
              '[body.password] Invalid input: must NOT have fewer than 1 characters',
            ),
          ),
        ],
        ['none', '/sign-up/email', { ...newcomer, password: undefined }, absent('password')],
        ['no name', '/sign-up/email', { ...newcomer, name: undefined }, absent('name')],
        [
          'nothing',
          '/sign-up/email',
          {},
          invalid(['name', 'email', 'password'].map(field => absent(field)[2]).join('; ')),
        ],
        [
          'no address',
          '/sign-up/email',
          { ...newcomer, email: 'nobody' },
          invalid('[body.email] Invalid email address'),
        ],
        [
          'a number for an address',
          '/sign-up/email',
          { ...newcomer, email: 1 },
          invalid('[body.email] Invalid input: expected string, received number'),
        ],
        [
          'a common password',
          '/sign-up/email',
          { ...newcomer, password: 'password1' },
          differs('common', null, [400, 'PASSWORD_TOO_COMMON', 'Password is too common, or the same as the email']),
        ],
        ['a wrong password', '/sign-in/email', { email, password: 'wrong horse' }, wrong],
        ['an unknown address', '/sign-in/email', { email: 'nobody@example.com', password }, wrong],
        [
          'no address at sign-in',
          '/sign-in/email',
          { email: 'nobody', password },
          [400, 'INVALID_EMAIL', 'Invalid email'],
        ],
        ['no password at sign-in', '/sign-in/email', { email }, absent('password')],
        ['an empty one at sign-in', '/sign-in/email', { email, password: '' }, wrong],
        [
          'a long one at sign-in',
          '/sign-in/email',
          { email, password: 'x'.repeat(129) },
          differs('long-password', tooLong, wrong),
        ],
        [
          'a text for rememberMe',
          '/sign-in/email',
          { email, password, rememberMe: 'yes' },
          invalid('[body.rememberMe] Invalid input: expected boolean, received string'),
        ],
        ['an array', '/sign-in/email', [], invalid('[body] Invalid input: expected object, received array')],
        ['nothing to revoke', '/revoke-session', {}, absent('token')],
        ['no new password', '/change-password', { currentPassword: password }, absent('newPassword')],
        ['no password to verify', '/verify-password', {}, absent('password')],
        ['no address to change to', '/change-email', {}, absent('newEmail')],
        ['a bad one', '/change-email', { newEmail: 'nobody' }, invalid('[body.newEmail] Invalid email address')],
        ['no address to reset', '/request-password-reset', {}, absent('email')],
        ['a bad one', '/request-password-reset', { email: 'nobody' }, invalid('[body.email] Invalid email address')],
        ['no address to verify', '/send-verification-email', {}, absent('email')],
        ['a bad one', '/send-verification-email', { email: 'nobody' }, invalid('[body.email] Invalid email address')],
        ['no password to reset to', '/reset-password', { token: 'x' }, absent('newPassword')],
        [
          'a number for a name',
          '/update-user',
          { name: 1 },
          differs('name', null, invalid('[body.name] Invalid input: expected string, received number')),
        ],
        ['the older name of a reset', '/forget-password', { email }, notAllowed],
        ['an unknown path', '/no-such-path', {}, notAllowed],
      ]
      for (const [name, path, body, refusal] of cases) {
        const answer = await device.client.$fetch(path, { method: 'POST', body })
        t.same(answer.error && toRefusal(answer), refusal, `${name}: ${path}`)
        if (answer.error && device.status !== 404)
          t.equal('success' in answer.error, differs('codes', false, true), 'success:false')
      }

      const post = async (path: string, body: string, type?: string) => {
        const headers = type === undefined ? {} : { 'content-type': type }
        const answer = await device.fetch(`${server.address}/api/auth${path}`, { method: 'POST', body, headers })
        const { code, message } = (await answer.json()) as { code?: string; message?: string }
        return [answer.status, code, message]
      }
      const json = 'application/json'
      t.same(await post('/sign-in/email', '{"email":', json), [400, 'BAD_REQUEST', 'Invalid JSON in request body'])
      t.match(await post('/sign-in/email', 'a: b', 'text/yaml'), [
        415,
        'UNSUPPORTED_MEDIA_TYPE',
        differs('wording', /^Content-Type "text\/yaml" is not allowed/, /^Unsupported media type$/),
      ])
      const form = new URLSearchParams({ email, password }).toString()
      const fine = [200, undefined, undefined]
      t.same(await post('/sign-in/email', form, 'application/x-www-form-urlencoded'), fine, 'a form')
      t.same(await post('/revoke-other-sessions', '', json), fine, 'an empty body that is said to be JSON')
      t.same(await post('/revoke-other-sessions', ''), fine, 'none')
      t.same(await post('/sign-out', '', json), fine)

      const get = async (path: string) => (await device.get(path)).json().catch(() => null)
      t.same(await get('/ok'), { ok: true })
      t.match(await get('/verify-email'), {
        code: 'VALIDATION_ERROR',
        message: '[query.token] Invalid input: expected string, received undefined',
      })
      for (const path of ['/ok/', '/sign-out', '/logout']) {
        await get(path)
        t.equal(device.status, 404, path)
      }
    },
  ],
  [
    'too many requests',
    async ({ t, start, differs }) => {
      const server = await start({ limited: true })
      const device = openBrowser(server)
      const attempt = () => device.client.signIn.email({ email: 'nobody@example.com', password })
      for (let tries = 0; tries < 30; tries += 1) t.equal(await toStatus(attempt()), 401)
      t.same(toRefusal(await attempt()), [
        429,
        differs('codes', undefined, 'TOO_MANY_REQUESTS'),
        'Too many requests. Please try again later.',
      ])
      const seconds = Number(device.headers.get('x-retry-after'))
      t.ok(seconds > 0 && seconds <= 60)
      t.same(await device.client.getSession(), { data: null, error: null }, 'reading the session goes on')
    },
  ],
]

const userKeys = ['createdAt', 'email', 'emailVerified', 'id', 'image', 'name', 'updatedAt']
const sessionKeys = ['createdAt', 'expiresAt', 'id', 'ipAddress', 'token', 'updatedAt', 'userAgent', 'userId']
const unauthorized = [401, 'UNAUTHORIZED', 'Unauthorized']

const setCookies = ({ cookies }: Browser) =>
  cookies.map(({ name, attributes }) => ({ name, attributes })).sort((a, b) => a.name.localeCompare(b.name))

/** Where a redirect leads, by the path where it is one of the server's own. */
const whereTo = ({ headers }: Browser, { origin }: Server) => {
  const to = new URL(headers.get('location') ?? 'none:', origin)
  return to.href.replace(origin, '')
}

const toStatusAndCode = ({ error }: { error: unknown }) => {
  const { status, code } = (error ?? { status: 200 }) as { status: number; code?: string }
  return [status, code]
}

const toStatus = async (answer: Promise<{ error: unknown }>) => toStatusAndCode(await answer)[0]

for (const [kind, launch] of [
  ['genuine', startGenuine],
  ['ours', startOurs],
] as const)
  t.test(kind, async t => {
    const server = await launch(t, { trusted: [friend] })
    for (const [name, run] of scenarios)
      await t.test(name, t =>
        run({
          t,
          server,
          start: options => launch(t, options),
          differs: (difference, there, here) => {
            used.add(difference)
            return kind === 'genuine' ? there : here
          },
        }),
      )
  })

t.test('every difference is used, and is a row of the README with its reason', async t => {
  t.same([...used].sort(), Object.keys(differences).sort())
  const readme =
    readFileSync('src/dialects/better-auth/README.md', 'utf8').split('## What differs from Better Auth')[1] ?? ''
  const rows = readme.split('\n').map(line => line.split('|').map(cell => cell.trim()))
  for (const [name, [here, why]] of Object.entries(differences))
    t.ok(
      rows.some(([, first, , last]) => first === here && last === why),
      name,
    )
})
