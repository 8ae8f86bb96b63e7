/** The OAuth2-shaped door under load: a full hashing lane, a database that is away. */
import t from 'tap'
import { startApp } from '../../helpers/app.js'
import { bearer, createKnock, newPerson, password, startSibling } from '../doors.js'

const service = await startApp(t)

const spoken = (error: string, text: string) => ({ detail: text, error, error_description: text })

t.test('a full hashing lane', async t => {
  const knock = createKnock(await startSibling(t, service, { BCRYPT_COST: '13' }))
  const busy = spoken('temporarily_unavailable', 'Service is busy, try again shortly')
  // More work than two seconds of every lane, however fast they are.
  const attempts = Array.from({ length: 40 * service.config.hashingConcurrency }, (_, count) =>
    count % 2 === 0
      ? knock('POST', '/auth/login', { form: { username: 'nobody@example.com', password } })
      : knock('POST', '/auth/register', { json: newPerson() }),
  )
  const answers = await Promise.all(attempts)
  const refused = answers.filter(({ status }) => status === 503)
  t.ok(refused.length > 0, `${refused.length} of ${answers.length} are refused`)
  t.ok(refused.length < answers.length, 'the others are served')
  for (const { body, headers } of refused) {
    t.strictSame(body, busy)
    t.match(headers, { 'retry-after': '2', 'cache-control': 'no-store' })
  }
  for (const [count, { status }] of answers.entries()) if (status !== 503) t.equal(status, count % 2 === 0 ? 401 : 200)
})

t.test('F-31 while passwords are hashed, no connection to the database waits with them', async t => {
  const { app } = await startApp(t, { DATABASE_POOL: '1', BCRYPT_COST: '13', HASHING_CONCURRENCY: '1' })
  const knock = createKnock(app)
  const person = newPerson()
  const { body } = await knock('POST', '/auth/register', { json: person })
  const order: string[] = []
  const logins = Array.from({ length: 3 }, () =>
    knock('POST', '/auth/login', { json: person }).then(({ status }) => order.push(`login ${status}`)),
  )
  for (let count = 0; count < 5; count += 1) {
    const { status } = await knock('GET', '/auth/sessions', { headers: bearer(body.access_token) })
    order.push(`read ${status}`)
  }
  await Promise.all(logins)
  t.strictSame(order, [...Array(5).fill('read 200'), ...Array(3).fill('login 200')])
})

t.test('a database that is away signs nobody out', async t => {
  const knock = createKnock(service.app)
  const person = newPerson()
  const { body } = await knock('POST', '/auth/register', { json: person })
  const headers = bearer(body.access_token)
  await service.database.close()

  const text = 'Service temporarily unavailable'
  const requests: [string, string, Parameters<typeof knock>[2], boolean][] = [
    ['POST', '/auth/register', { json: newPerson() }, true],
    ['POST', '/auth/login', { form: { username: person.email, password } }, true],
    ['POST', '/auth/refresh', { json: { token: body.refresh_token } }, true],
    ['POST', '/auth/refresh', { form: { refresh_token: body.refresh_token } }, true],
    ['POST', '/auth/logout', { headers }, false],
    ['POST', '/auth/logout', { json: { refresh_token: body.refresh_token } }, false],
    ['POST', '/auth/logout-all', { headers }, false],
    ['GET', '/auth/me', { headers }, false],
    ['PATCH', '/auth/me', { json: {}, headers }, false],
    ['DELETE', '/auth/me', { json: { password }, headers }, false],
    ['GET', '/auth/sessions', { headers }, false],
    ['DELETE', '/auth/sessions/x', { headers }, false],
    ['POST', '/auth/change-password', { json: {}, headers }, false],
  ]
  for (const [method, url, sent, isTokenEndpoint] of requests) {
    const answer = await knock(method, url, sent)
    t.equal(answer.status, 503, `${method} ${url}`)
    t.strictSame(answer.body, isTokenEndpoint ? spoken('temporarily_unavailable', text) : { detail: text })
    t.match(answer.headers, { 'retry-after': '2', 'cache-control': 'no-store' })
    t.notOk('www-authenticate' in answer.headers)
  }
})
