/** Mailed links through both voices: a forgotten password, a proved address, a new address, the end of an account. */
import { sql } from 'drizzle-orm'
import t from 'tap'
import { bearer, createKnock, type Json, newPerson } from '../dialects/doors.js'
import { startApp } from '../helpers/app.js'
import { startSmtp } from '../helpers/smtp.js'

const smtp = await startSmtp(t)
const environment = {
  SMTP_URL: smtp.url,
  MAIL_FROM: 'Acme <no-reply@acme.test>',
  PUBLIC_URL: 'http://auth.acme.test',
  PRODUCT_NAME: 'Acme',
  TRUSTED_ORIGINS: 'https://app.acme.test',
}
const service = await startApp(t, environment)
const knock = createKnock(service.app)
const run = (statement: ReturnType<typeof sql>) => service.database.db.execute(statement)

const newPassword = 'staple that horse twice'
const linkIn = (text: string): URL => new URL(/https?:\/\/\S+/.exec(text)?.[0] ?? 'none:')
const tokenIn = (text: string): string => {
  const link = linkIn(text)
  return link.searchParams.get('token') ?? link.pathname.split('/').at(-1) ?? ''
}

async function signUp() {
  const person = newPerson()
  const { body } = await knock('POST', '/auth/register', { json: person })
  const verification = await smtp.next(person.email)
  return { ...person, access: body.access_token as string, refresh: body.refresh_token as string, verification }
}

const login = (email: string, password: string) => knock('POST', '/auth/login', { form: { username: email, password } })

t.test('signing up mails a link that proves the address', async t => {
  const person = await signUp()
  const { verification: mail } = person
  t.match(mail, { from: 'no-reply@acme.test', to: [person.email], subject: 'Confirm your address for Acme' })
  t.equal(linkIn(mail.text).href.split('?')[0], 'http://auth.acme.test/auth/pages/verify-email')
  t.match(tokenIn(mail.text), /^[\w-]{43}$/)
  t.ok(mail.html.includes(linkIn(mail.text).href.replaceAll('&', '&amp;')), 'the same in HTML')
  const isVerified = async () =>
    (await knock('GET', '/api/auth/user', { headers: bearer(person.access) })).body.emailVerified
  t.equal(await isVerified(), false)
  const verify = () => knock('POST', '/auth/verify-email', { json: { token: tokenIn(mail.text) } })
  t.match(await verify(), { status: 200, body: { email: person.email } })
  t.equal(await isVerified(), true)
  t.match(await verify(), { status: 400, body: { detail: 'Invalid or expired link' } }, 'once')
})

t.test('a forgotten password', async t => {
  const person = await signUp()
  const ask = (email: string) => knock('POST', '/auth/request-password-reset', { json: { email } })
  const [known, unknown, odd] = [
    await ask(person.email.toUpperCase()),
    await ask('nobody@example.com'),
    await ask('no address'),
  ]
  t.strictSame([known.status, known.body], [unknown.status, unknown.body])
  t.strictSame([known.status, known.body], [odd.status, odd.body])
  const mail = await smtp.next(person.email)
  t.equal(mail.subject, 'Set a new password for Acme')
  const token = tokenIn(mail.text)
  const reset = (token: string, password: string) =>
    knock('POST', '/auth/reset-password', { json: { token, new_password: password } })

  for (const bad of ['x', '', token.slice(1), `${token}x`, tokenIn(person.verification.text), person.access])
    t.equal((await reset(bad, newPassword)).status, bad === '' ? 422 : 400, `a bad token ${bad.slice(0, 8)}`)
  t.equal((await reset(token, 'short')).status, 422)
  t.equal((await login(person.email, person.password)).status, 200, 'nothing has changed yet')

  t.match(await reset(token, newPassword), { status: 200 })
  t.equal((await reset(token, `${newPassword} again`)).status, 400, 'once')
  t.equal((await login(person.email, person.password)).status, 401)
  t.equal((await login(person.email, newPassword)).status, 200)
  t.equal((await knock('GET', '/auth/me', { headers: bearer(person.access) })).status, 401, 'every session ended')
  t.equal((await knock('POST', '/auth/refresh', { json: { token: person.refresh } })).status, 401)
  t.equal((await smtp.next(person.email)).subject, 'Your password at Acme has been changed')
})

t.test('what is in the database lets nobody use a link', async t => {
  const person = await signUp()
  await knock('POST', '/auth/request-password-reset', { json: { email: person.email } })
  const token = tokenIn((await smtp.next(person.email)).text)
  const rows = JSON.stringify([await run(sql`select * from verifications`), await run(sql`select * from mails`)])
  t.notOk(rows.includes(token))
  t.notOk(
    service.logs.some(line => line.includes(token) || line.includes(person.email)),
    'nor what is in the log',
  )
})

t.test('links expire, and belong to the address they were mailed to', async t => {
  const person = await signUp()
  await run(sql`update verifications set expires_at = now() - interval '1 second'`)
  t.equal(
    (await knock('POST', '/auth/verify-email', { json: { token: tokenIn(person.verification.text) } })).status,
    400,
  )

  const other = await signUp()
  await knock('POST', '/auth/request-password-reset', { json: { email: other.email } })
  const token = tokenIn((await smtp.next(other.email)).text)
  await run(sql`update accounts set email = 'moved@example.com' where email = ${other.email}`)
  t.equal((await knock('POST', '/auth/reset-password', { json: { token, new_password: newPassword } })).status, 400)
})

t.test('R-15 a link that was cut short is none', async t => {
  const person = await signUp()
  await knock('POST', '/auth/request-password-reset', { json: { email: person.email } })
  const tokens = {
    '/auth/reset-password': tokenIn((await smtp.next(person.email)).text),
    '/auth/verify-email': tokenIn(person.verification.text),
  }
  for (const [url, token] of Object.entries(tokens)) {
    const use = (token: string) => knock('POST', url, { json: { token, new_password: newPassword } })
    for (let cut = 1; cut <= 40; cut += 1)
      for (const part of [token.slice(0, -cut), token.slice(cut)])
        t.ok([400, 422].includes((await use(part)).status), `${cut} characters off at ${url}`)
    t.equal((await use(token)).status, 200, `all of it at ${url}`)
  }
})

t.test('R-26 links are made of the configuration, whatever host a request names', async t => {
  const person = await signUp()
  const lies = [
    { host: 'evil.example' },
    { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'gopher' },
    { forwarded: 'host=evil.example' },
  ]
  for (const headers of lies)
    for (const url of ['/auth/request-password-reset', '/api/auth/request-password-reset']) {
      await run(sql`delete from verifications`)
      await knock('POST', url, { json: { email: person.email }, headers })
      const mail = await smtp.next(person.email)
      t.equal(linkIn(mail.text).origin, environment.PUBLIC_URL, `${url} ${JSON.stringify(headers)}`)
      t.notMatch(JSON.stringify(mail), /evil/)
    }
})

t.test('at most three links of a kind in ten minutes', async t => {
  const person = await signUp()
  const before = smtp.mails.length
  for (let count = 0; count < 6; count += 1)
    t.equal((await knock('POST', '/auth/request-password-reset', { json: { email: person.email } })).status, 200)
  for (let count = 0; count < 3; count += 1) await smtp.next(person.email)
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal(smtp.mails.length - before, 3)
})

t.test('L-12 R-36 a new address', async t => {
  const person = await signUp()
  const taken = await signUp()
  const newEmail = `new-${person.email}`
  const change = (json: object) => knock('POST', '/auth/change-email', { json, headers: bearer(person.access) })
  t.equal((await change({ new_email: newEmail, password: 'wrong horse' })).status, 400)
  t.equal((await change({ new_email: person.email, password: person.password })).status, 422)
  t.equal((await change({ new_email: 'no address', password: person.password })).status, 422)
  const [free, used] = [
    await change({ new_email: newEmail, password: person.password }),
    await change({ new_email: taken.email, password: person.password }),
  ]
  t.strictSame([free.status, free.body], [used.status, used.body], 'nobody is told who exists')
  const mail = await smtp.next(newEmail)
  t.equal(linkIn(mail.text).pathname, '/auth/pages/change-email')
  t.equal((await login(newEmail, person.password)).status, 401, 'not before the link is used')

  const page = await knock('POST', '/auth/pages/change-email', { form: { token: tokenIn(mail.text) } })
  t.match(page, { status: 200, text: /Your address has changed/ })
  t.equal((await login(newEmail, person.password)).status, 200)
  t.equal((await login(person.email, person.password)).status, 401)
  t.match(await knock('GET', '/api/auth/user', { headers: bearer(person.access) }), {
    body: { email: newEmail, emailVerified: true },
  })
  t.equal((await smtp.next(person.email)).subject, 'Your address at Acme has changed', 'the old one is told')
})

t.test('Better Auth: reset by the app’s own page', async t => {
  const person = await signUp()
  const ask = (redirectTo?: string) =>
    knock('POST', '/api/auth/request-password-reset', {
      json: { email: person.email, ...(redirectTo ? { redirectTo } : {}) },
    })
  t.match(await ask('https://evil.example/x'), { status: 403, body: { code: 'INVALID_REDIRECT_URL' } })
  t.strictSame((await ask('https://app.acme.test/reset?x=1#y')).body, {
    status: true,
    message: 'If this email exists in our system, check your email for the reset link',
  })
  const link = linkIn((await smtp.next(person.email)).text)
  t.match(link.pathname, /^\/api\/auth\/reset-password\/[\w-]{43}$/)
  const token = link.pathname.split('/').at(-1) ?? ''
  const follow = (path: string) => knock('GET', path)
  for (let times = 0; times < 2; times += 1) {
    const { status, headers } = await follow(`${link.pathname}${link.search}`)
    t.strictSame([status, headers.location], [302, `https://app.acme.test/reset?x=1&token=${token}#y`])
  }
  t.match(await follow(`/api/auth/reset-password/${token.slice(1)}x?callbackURL=/reset`), {
    status: 302,
    headers: { location: '/reset?error=INVALID_TOKEN' },
  })
  t.match(await follow(`/api/auth/reset-password/${token}?callbackURL=https%3A%2F%2Fevil.example`), { status: 403 })
  const reset = (json: object, query = '') => knock('POST', `/api/auth/reset-password${query}`, { json })
  t.match(await reset({ newPassword }), { status: 400, body: { code: 'INVALID_TOKEN' } })
  t.match(await reset({ newPassword: 'short', token }), { status: 400, body: { code: 'PASSWORD_TOO_SHORT' } })
  t.strictSame((await reset({ newPassword }, `?token=${token}`)).body, { status: true })
  t.match(await reset({ newPassword, token }), { status: 400, body: { code: 'INVALID_TOKEN' } })
  t.equal((await login(person.email, newPassword)).status, 200)
})

t.test('L-12 R-36 Better Auth: a proved address, and a new one', async t => {
  const person = newPerson()
  const up = await knock('POST', '/api/auth/sign-up/email', {
    json: { ...person, name: 'Ada', callbackURL: 'https://app.acme.test/welcome' },
  })
  const headers = bearer(up.body.token)
  const link = linkIn((await smtp.next(person.email)).text)
  t.equal(link.pathname, '/api/auth/verify-email')
  const send = (json: object, signedIn = headers) =>
    knock('POST', '/api/auth/send-verification-email', { json, headers: signedIn })
  t.match(await send({ email: 'other@example.com' }), { status: 400, body: { code: 'EMAIL_MISMATCH' } })
  t.match(await send({ email: 'other@example.com' }, {} as never), { status: 200, body: { status: true } })
  t.match(await knock('GET', `${link.pathname}${link.search}`), {
    status: 302,
    headers: { location: 'https://app.acme.test/welcome' },
  })
  t.match(await knock('GET', `${link.pathname}${link.search}`), {
    status: 302,
    headers: { location: 'https://app.acme.test/welcome?error=INVALID_TOKEN' },
  })
  t.match(await knock('GET', '/api/auth/verify-email?token=x'), { status: 401, body: { code: 'INVALID_TOKEN' } })
  t.match(await send({ email: person.email }), { status: 400, body: { code: 'EMAIL_ALREADY_VERIFIED' } })

  const newEmail = `new-${person.email}`
  const change = (json: object) => knock('POST', '/api/auth/change-email', { json, headers })
  t.match(await change({ newEmail: person.email }), { status: 400, body: { message: 'Email is the same' } })
  t.strictSame((await change({ newEmail })).body, { status: true })
  const token = tokenIn((await smtp.next(newEmail)).text)
  t.match(await knock('GET', `/api/auth/verify-email?token=${token}`), {
    status: 200,
    body: { status: true, user: { email: newEmail, emailVerified: true } },
  })
  t.equal((await smtp.next(person.email)).subject, 'Your address at Acme has changed')
})

t.test('Better Auth: the end of an account, by mail where the session is old', async t => {
  const person = await signUp()
  await run(
    sql`update sessions set created_at = created_at - interval '25 hours', expires_at = expires_at - interval '1 second'`,
  )
  const headers = bearer(person.access)
  t.strictSame((await knock('POST', '/api/auth/delete-user', { json: { callbackURL: '/bye' }, headers })).body, {
    success: true,
    message: 'Verification email sent',
  })
  const link = linkIn((await smtp.next(person.email)).text)
  const other = await signUp()
  t.equal((await knock('GET', `${link.pathname}${link.search}`, { headers: bearer(other.access) })).status, 404)
  t.equal((await knock('GET', '/auth/me', { headers: bearer(other.access) })).status, 200, 'nobody else is deleted')
  const deleted = await knock('POST', '/api/auth/delete-user', {
    json: { token: link.searchParams.get('token') },
    headers,
  })
  t.match(deleted, { status: 200, body: { message: 'User deleted' } })
  t.equal((await knock('GET', '/auth/me', { headers })).status, 401)
  const left = JSON.stringify([
    await run(sql`select * from mails`),
    await run(sql`select * from verifications`),
    await run(sql`select * from accounts`),
  ])
  t.notOk(left.includes(person.email), 'no row has their address')
})

t.test('a person takes along all that is kept of them', async t => {
  const person = await signUp()
  const headers = {
    ...bearer(person.access),
    'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0',
  }
  const levels = { software_level: 'advanced', hardware_background: 'none' }
  await knock('PUT', '/api/user/profile', { json: levels, headers })
  await knock('POST', '/api/personalization/interactions', {
    json: { content_type: 'chapter', effectiveness: 4 },
    headers,
  })
  await knock('POST', '/auth/login', {
    form: { username: person.email, password: person.password },
    headers: { 'user-agent': headers['user-agent'] },
  })
  const { body, headers: sent } = await knock('GET', '/auth/me/export', { headers })
  t.equal(sent['content-disposition'], 'attachment; filename="my-data.json"')
  t.match(body, {
    account: { email: person.email, email_verified: false },
    profile: { ...levels, version: 1, status: 'created' },
    sessions: [{ end_reason: null }, { end_reason: null }],
    links: [{ purpose: 'verify_email', email: person.email, new_email: null }],
  })
  t.notMatch(JSON.stringify(body), /\$2b\$|token_hash|password/)
  const { body: devices } = await knock('GET', '/auth/sessions', { headers })
  t.same(
    devices.map((device: Json) => [device.device, device.current]),
    [
      ['Firefox on Linux', false],
      ['lightMyRequest', true],
    ],
  )
  t.equal((await knock('DELETE', '/auth/sessions', { headers })).status, 204)
  t.equal((await knock('GET', '/auth/sessions', { headers })).body.length, 1, 'the others are signed out')
})

t.test('the pages: a question first, no script, no address told to anybody', async t => {
  const person = await signUp()
  await knock('POST', '/auth/request-password-reset', { json: { email: person.email } })
  const link = linkIn((await smtp.next(person.email)).text)
  const token = link.searchParams.get('token') ?? ''
  const page = await knock('GET', `${link.pathname}${link.search}`)
  t.match(page, {
    status: 200,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'referrer-policy': 'same-origin',
      'content-security-policy': /^default-src 'none'; style-src 'unsafe-inline'; form-action 'self'/,
    },
    text: /<h1>Set a new password<\/h1>/,
  })
  t.notMatch(page.text, /<script|javascript:|onload/i)
  const send = (form: Record<string, string>) => knock('POST', link.pathname, { form })
  t.match(await send({ token, new_password: newPassword, repeated: `${newPassword}x` }), {
    status: 422,
    text: /not the same/,
  })
  t.match(await send({ token, new_password: 'short', repeated: 'short' }), { status: 422, text: /too short/ })
  t.match(await send({ token, new_password: newPassword, repeated: newPassword }), {
    status: 200,
    text: /Your password is set/,
  })
  t.match(await send({ token, new_password: newPassword, repeated: newPassword }), {
    status: 400,
    text: /no good any more/,
  })
  t.match(await knock('GET', link.pathname), { status: 400, text: /no good any more/ })
  const hostile = await knock('GET', `${link.pathname}?token=${encodeURIComponent('"><script>alert(1)</script>')}`)
  t.notMatch(hostile.text, /<script/)
})

t.test('an address has to be proved first, where that is asked', async t => {
  const { app } = await startApp(t, { ...environment, REQUIRE_EMAIL_VERIFICATION: 'on' })
  const strict = createKnock(app)
  const person = newPerson()
  const up = await strict('POST', '/auth/register', { json: person })
  t.match(up, { status: 403, body: { detail: 'Email address is not verified' } })
  const again = await strict('POST', '/auth/register', { json: person })
  t.match(again, { status: 400, body: { detail: 'Email already registered' } })
  const enter = () => strict('POST', '/auth/login', { form: { username: person.email, password: person.password } })
  t.equal((await enter()).status, 403)
  t.equal(
    (await strict('POST', '/auth/login', { form: { username: person.email, password: 'wrong horse' } })).status,
    401,
  )
  const token = tokenIn((await smtp.next(person.email)).text)
  t.equal((await strict('POST', '/auth/verify-email', { json: { token } })).status, 200)
  t.equal((await enter()).status, 200)

  const signUpAs = (email: string) =>
    strict('POST', '/api/auth/sign-up/email', { json: { name: 'Ada', email, password: person.password } })
  const [fresh, taken] = [await signUpAs('fresh@example.com'), await signUpAs(person.email)]
  t.strictSame([fresh.status, taken.status, fresh.cookies, taken.cookies], [200, 200, [], []])
  t.match(fresh.body, { token: null, user: { email: 'fresh@example.com', name: 'Ada', emailVerified: false } })
  t.match(taken.body, { token: null, user: { email: person.email, name: 'Ada', emailVerified: false } })
  t.strictSame(Object.keys(fresh.body.user), Object.keys(taken.body.user), 'a taken address looks like a new one')
  const signIn = await strict('POST', '/api/auth/sign-in/email', {
    json: { email: 'fresh@example.com', password: person.password },
  })
  t.match(signIn, { status: 403, body: { code: 'EMAIL_NOT_VERIFIED' } })
})

t.test('without anybody to send mails', async t => {
  const { app } = await startApp(t)
  const silent = createKnock(app)
  const person = newPerson()
  t.equal((await silent('POST', '/auth/register', { json: person })).status, 200)
  t.match(await silent('POST', '/auth/request-password-reset', { json: { email: person.email } }), {
    status: 400,
    body: { detail: 'This service sends no mails' },
  })
  const ask = async (path: string, json: object): Promise<Json> => (await silent('POST', path, { json })).body.code
  t.equal(await ask('/api/auth/request-password-reset', { email: person.email }), 'RESET_PASSWORD_DISABLED')
  t.equal(await ask('/api/auth/send-verification-email', { email: person.email }), 'VERIFICATION_EMAIL_NOT_ENABLED')
})
