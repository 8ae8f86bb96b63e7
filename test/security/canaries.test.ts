/** no secret in any log, event or answer. Every test that starts the service looks for it; here it is shown that the look finds. */
import fastify from 'fastify'
import t from 'tap'
import { createKnock, entrances, newPerson } from '../dialects/doors.js'
import { startApp, testSecrets } from '../helpers/app.js'
import { watchForCanaries } from '../helpers/canaries.js'

const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl'
const opaque = 'dGhpcyBpcyBub3QgYSB0b2tlbiBvZiBhbnlib2R5ISE'

t.test('A-07 what was sent or given in secret is found where it should not be', async t => {
  const app = fastify()
  app.post('/quiet', async () => ({ token: opaque, refresh_token: 'another token of somebody' }))
  app.post('/echo', async request => request.body)
  app.post('/hash', async () => ({ stored: `$2b$12$${'a'.repeat(53)}` }))
  app.post('/key', async () => ({ key: testSecrets.JWT_SECRET }))
  const canaries = watchForCanaries(app, Object.values(testSecrets))
  const post = (url: string, payload: object) => app.inject({ method: 'POST', url, payload })

  await post('/quiet', { password: 'a secret phrase', nested: [{ newPassword: 'another phrase' }] })
  t.strictSame(canaries.told, [])
  const harmless = [
    JSON.stringify({ msg: 'a secret', path: '/auth/login', id: '0197a0b4-6c1e-7cc3-9d7a-2f6a1f0c9a11' }),
  ]
  t.strictSame(canaries.findIn(harmless), [])
  for (const secret of [
    'a secret phrase',
    'another phrase',
    opaque,
    jwt,
    `$2b$12$${'a'.repeat(53)}`,
    testSecrets.JWT_SECRET,
    testSecrets.REFRESH_TOKEN_SECRET,
  ])
    t.ok(canaries.findIn([...harmless, JSON.stringify({ msg: `it was ${secret}` })]).length > 0, secret)

  for (const url of ['/echo', '/hash', '/key']) {
    const before = canaries.told.length
    await post(url, { password: 'a secret phrase' })
    t.equal(canaries.told.length, before + 1, url)
  }
})

t.test('A-07 at the most talkative level, through every way in and many ways wrong', async t => {
  const { app, logs } = await startApp(t, {
    LOG_LEVEL: 'trace',
    GUESS_LIMIT: 'on',
    PASSWORD_PEPPER: 'Qw2Er5Ty8Ui1Op4As7Df0Gh3Jk6Lz9Xc2Vb5Nm8',
  })
  const knock = createKnock(app)
  for (const { url, ask } of entrances) {
    const person = newPerson()
    const json = ask({ ...person, password: `a canary of ${url}` })
    const { status, cookies, headers } = await knock('POST', url, { json })
    t.ok(status < 500)
    const cookie = cookies.map(line => line.split(';', 1)[0]).join('; ')
    const token = headers['set-auth-token'] ?? jwt
    for (const way of [
      '/api/auth/get-session',
      '/auth/me',
      `/auth/me?access_token=${token}`,
      `/auth/sessions/${opaque}`,
    ])
      await knock('GET', way, { headers: { cookie, authorization: `Bearer ${token}` } })
    await knock('POST', url, {
      raw: `{"password":"a canary of ${url}"`,
      headers: { 'content-type': 'application/json' },
    })
    await knock('POST', url, { json: { ...json, email: `a canary of ${url}` } })
  }
  t.ok(logs.length > 50)
  t.notMatch(logs.join(''), 'a canary of')
})
