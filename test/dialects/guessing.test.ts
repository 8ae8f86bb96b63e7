/** Guessing at a password, through every door: what it costs a guesser, and what it does not cost the owner. */
import { sql } from 'drizzle-orm'
import t from 'tap'
import { startApp } from '../helpers/app.js'
import {
  type Answer,
  bearer,
  createKnock,
  doorOf,
  type Headers,
  isErrorOf,
  logins,
  newPerson,
  type Person,
  pairOf,
  rowsOf,
  startSibling,
} from './doors.js'

const free = 10
const freeOfStrangers = 100

const mail = { SMTP_URL: 'smtp://127.0.0.1:9', MAIL_FROM: 'no-reply@acme.test' }
const service = await startApp(t, { GUESS_LIMIT: 'on', ...mail })
const { database } = service
const knock = createKnock(service.app)

const wrong = (person: Person): Person => ({ ...person, password: 'not the password' })

type Who = { from?: string; headers?: Headers; url?: string }

/** A sign-in at a door of one's choice, from an address of one's choice. */
const signIn = (person: Person, { from = '203.0.113.9', headers = {}, url = '/auth/login' }: Who = {}) => {
  const { ask } = logins.find(login => login.url === url) ?? logins[0] ?? {}
  const json = ask ? ask(person) : person
  return knock('POST', url, { json, headers, from })
}

async function fail(person: Person, times: number, who: Who = {}): Promise<number[]> {
  const statuses: number[] = []
  for (let count = 0; count < times; count += 1) statuses.push((await signIn(wrong(person), who)).status)
  return statuses
}

const register = async (headers: Headers = {}) => {
  const person = newPerson()
  const { body } = await knock('POST', '/auth/register', { json: person, headers })
  return { ...person, headers: bearer(body.access_token) }
}

const isRefused = ({ status }: Answer) => status === 429

/** As if so many seconds had passed since the last try at anything. */
const wait = (seconds: number) =>
  database.db.execute(sql`update password_tries set
    last_at = last_at - make_interval(secs => ${seconds}), expires_at = expires_at - make_interval(secs => ${seconds})`)

const fresh = () => database.db.execute(sql`delete from password_tries`)

let subnets = 0
/** An address of a network nobody has come from yet. */
function elsewhere(): string {
  subnets += 1
  return `198.18.${subnets >> 8}.${subnets & 255}`
}

t.test('L-03 R-21 every path that checks a password shares one count', async t => {
  for (const { url } of logins) {
    const person = await register()
    for (const other of logins) await fail(person, free / logins.length, { url: other.url })
    const refused = await signIn(person, { url })
    t.equal(refused.status, 429, `${url}: also the right password, once the tries are used up`)
    t.match(refused.headers, { 'retry-after': '10', 'cache-control': 'no-store' })
    t.ok(isErrorOf(doorOf(url) ?? 'auth', refused.body), refused.text)
    if (url.startsWith('/api/')) t.equal(refused.headers['x-retry-after'], '10', 'the name Better Auth’s client knows')
  }
})

t.test('L-03 a session that asks for the password again has a count of its own, at every door', async t => {
  const person = await register()
  const asked = (body: object): [string, string, object][] => [
    ['POST', '/auth/change-password', { current_password: 'not it', new_password: 'another long phrase', ...body }],
    ['DELETE', '/auth/me', { password: 'not it' }],
    ['POST', '/auth/change-email', { password: 'not it', new_email: 'new@example.com' }],
    ['POST', '/api/auth/change-password', { currentPassword: 'not it', newPassword: 'another long phrase' }],
    ['POST', '/api/auth/verify-password', { password: 'not it' }],
    ['POST', '/api/auth/delete-user', { password: 'not it' }],
  ]
  const requests = asked({})
  for (let count = 0; count < free; count += 1) {
    const [method, url, json] = requests[count % requests.length] ?? ['GET', '/', {}]
    t.equal((await knock(method, url, { json, headers: person.headers })).status, 400, `${method} ${url}`)
  }
  for (const [method, url, json] of requests)
    t.equal((await knock(method, url, { json, headers: person.headers })).status, 429, `${method} ${url}`)
  t.equal((await signIn(person)).status, 200, 'a sign-in elsewhere is another count')
})

t.test('R-20 parallel tries are all counted: no more are compared than are free', async t => {
  await fresh()
  const person = await register()
  const answers = await Promise.all(Array.from({ length: 200 }, () => signIn(wrong(person))))
  const statuses = answers.map(({ status }) => status)
  t.equal(statuses.filter(status => status === 401).length, free)
  t.equal(statuses.filter(status => status === 429).length, 200 - free)
})

t.test('L-03 R-20 also at two replicas, and with more than the row that is there', async t => {
  const other = createKnock(await startSibling(t, service, { GUESS_LIMIT: 'on' }))
  const person = await register()
  await fail(person, 4)
  const json = wrong(person)
  const tries = Array.from({ length: 60 }, (_, index) =>
    (index % 2 ? knock : other)('POST', '/auth/login', { json, from: '203.0.113.9' }),
  )
  const statuses = (await Promise.all(tries)).map(({ status }) => status)
  t.equal(statuses.filter(status => status === 401).length, free - 4)
})

t.test('a success begins the count anew, and a wait grows', async t => {
  const person = await register()
  await fail(person, free - 1)
  t.equal((await signIn(person)).status, 200)
  t.strictSame(await fail(person, free), Array(free).fill(401), 'all tries are there again')

  for (const expected of [10, 20, 40, 80, 160, 320, 640]) {
    t.equal((await signIn(person)).headers['retry-after'], String(expected))
    await wait(expected - 5)
    t.equal((await signIn(person)).status, 429, 'not yet')
    await wait(5)
    t.equal((await signIn(wrong(person))).status, 401, 'one try')
  }
  for (let count = 0; count < 3; count += 1) {
    await wait(900)
    t.equal((await signIn(wrong(person))).status, 401)
  }
  t.equal((await signIn(person)).headers['retry-after'], '900', 'a quarter of an hour at most')
  await wait(900)
  t.equal((await signIn(person)).status, 200)
  t.equal((await signIn(wrong(person))).status, 401, 'and anew')
})

t.test('after a quiet day the count begins anew', async t => {
  const person = await register()
  await fail(person, free)
  await wait(86_401)
  t.strictSame(await fail(person, free), Array(free).fill(401))
  t.equal((await signIn(person)).status, 429)
})

t.test('L-03 strangers from anywhere have a hundred tries together', async t => {
  const person = await register()
  const statuses: number[] = []
  for (let count = 0; count < freeOfStrangers + 20; count += 1) {
    statuses.push(...(await fail(person, 1, { from: elsewhere() })))
  }
  t.strictSame(statuses, [...Array(freeOfStrangers).fill(401), ...Array(20).fill(429)])
  const refused = await signIn(person, { from: elsewhere() })
  t.equal(refused.headers['retry-after'], '60')
  await wait(86_400)
  t.equal((await fail(person, 1, { from: elsewhere() }))[0], 401, 'one more, a day later')
  t.equal((await signIn(person, { from: elsewhere() })).status, 429, 'a quiet day is no success: the wait has doubled')
})

t.test('L-03 one of them, slowed down by itself, does not use up what the others have', async t => {
  const person = await register()
  t.strictSame(await fail(person, 120), [...Array(free).fill(401), ...Array(120 - free).fill(429)])
  t.equal((await signIn(person, { from: elsewhere() })).status, 200)
})

const ownDevices: [string, (person: Person) => Promise<Headers>][] = [
  [
    'an app that names its device',
    async person => {
      const headers = { 'x-device-id': `device-of-${person.email}` }
      t.equal((await signIn(person, { headers })).status, 200)
      return headers
    },
  ],
  ['an app that has named it at its registration', async person => ({ 'x-device-id': `device-of-${person.email}` })],
  [
    'a browser at Better Auth’s door',
    async person => {
      const { cookies } = await signIn(person, { url: '/api/auth/sign-in/email' })
      return { cookie: cookies.map(pairOf).find(pair => pair.startsWith('gatehouse.device=')) ?? '' }
    },
  ],
  [
    'a browser with the plain cookie',
    async person => {
      const { cookies } = await signIn(person, { url: '/api/auth/login' })
      return { cookie: cookies.map(pairOf).find(pair => pair.startsWith('gatehouse.device=')) ?? '' }
    },
  ],
]

for (const [name, device] of ownDevices)
  t.test(`L-03 strangers never lock out ${name}`, async t => {
    const person = newPerson()
    const named = { 'x-device-id': `device-of-${person.email}` }
    await knock('POST', '/auth/register', { json: person, headers: named })
    const headers = await device(person)
    for (let count = 0; count < freeOfStrangers + 1; count += 1) await fail(person, 1, { from: elsewhere() })
    t.equal((await signIn(person, { from: elsewhere() })).status, 429, 'strangers have no tries left')
    for (const { url, status } of logins)
      t.equal(
        (await signIn(person, { headers, from: elsewhere(), url })).status,
        status,
        `the owner signs in at ${url}`,
      )
    t.equal((await signIn(person, { from: elsewhere() })).status, 429, 'which gives strangers nothing')
    t.strictSame(await fail(person, free, { headers }), Array(free).fill(401))
    t.equal((await signIn(person, { headers })).status, 429, 'and it has a count itself')
  })

t.test('a device is known to its own account alone', async t => {
  const [alice, bob] = [await register({ 'x-device-id': 'the-device-of-alice' }), await register()]
  const headers = { 'x-device-id': 'the-device-of-alice' }
  for (let count = 0; count < freeOfStrangers + 1; count += 1) await fail(bob, 1, { from: elsewhere() })
  t.equal((await signIn(bob, { headers, from: elsewhere() })).status, 429)
  t.equal((await signIn(alice, { headers, from: elsewhere() })).status, 200)
})

t.test('a device id that could be guessed is refused in the door’s words', async t => {
  const person = await register()
  for (const id of ['short', 'x'.repeat(129), 'has a space in its midst']) {
    const answer = await signIn(person, { headers: { 'x-device-id': id } })
    t.equal(answer.status, 422, id)
    t.ok(isErrorOf('auth', answer.body), answer.text)
  }
})

t.test('L-04 R-19 the count is of one address, however it is spelled, and of one network', async t => {
  const person = await register()
  const spellings = [person.email, person.email.toUpperCase(), ` ${person.email} `, person.email.replace('e', 'E')]
  for (let count = 0; count < free; count += 1)
    await fail({ ...person, email: spellings[count % spellings.length] ?? '' }, 1)
  for (const email of spellings) t.equal((await signIn({ ...person, email })).status, 429, email)

  const sames = [
    ['192.0.2.77', '::ffff:192.0.2.77', '::FFFF:C000:024D'],
    ['2001:db8:7:7::1', '2001:DB8:7:7:ffff::9', '2001:0db8:0007:0007:1:2:3:4'],
  ]
  for (const addresses of sames) {
    const { email } = await register()
    for (let count = 0; count < free; count += 1)
      await fail({ ...person, email }, 1, { from: addresses[count % addresses.length] ?? '' })
    for (const from of addresses) t.equal((await signIn({ ...person, email }, { from })).status, 429, from)
    t.equal(
      (await signIn({ ...person, email }, { from: '2001:db8:7:8::1' })).status,
      200,
      'the next network is another',
    )
  }
  const forwarded = await register()
  for (let count = 0; count < free; count += 1)
    await fail(forwarded, 1, { headers: { 'x-forwarded-for': `198.51.100.${count}` } })
  t.equal((await signIn(forwarded)).status, 429, 'what an untrusted sender forwards changes nothing')
})

t.test('L-01 an address nobody has behaves like any other', async t => {
  const [nobody, somebody] = [newPerson(), await register()]
  for (const person of [nobody, somebody]) {
    t.strictSame(await fail(person, free), Array(free).fill(401))
    const { status, body, headers } = await signIn(wrong(person))
    t.strictSame([status, headers['retry-after'], body.detail], [429, '10', 'Too many attempts, try again later'])
  }
})

t.test('whoever sets a new password by a mailed link may try it at once', async t => {
  const person = await register()
  await fail(person, free)
  for (let count = 0; count < freeOfStrangers; count += 1) await fail(person, 1, { from: elsewhere() })
  t.ok(isRefused(await signIn(person)))
  await knock('POST', '/auth/request-password-reset', { json: { email: person.email } })
  const [link] = rowsOf(
    await database.db.execute(
      sql`select id from verifications where email = ${person.email} and purpose = 'reset_password'`,
    ),
  )
  const { createLinkTokens } = await import('../../src/core/verifications.js')
  const token = createLinkTokens(service.config.cookieSecrets).tokenOf(link.id)
  const reset = { token, new_password: 'a phrase nobody guessed' }
  t.equal((await knock('POST', '/auth/reset-password', { json: reset, from: '203.0.113.9' })).status, 200)
  t.equal((await signIn({ ...person, password: reset.new_password })).status, 200)
})

t.test('what the lane refuses is no try', async t => {
  await fresh()
  const limits = { GUESS_LIMIT: 'on', BCRYPT_COST: '14', HASHING_CONCURRENCY: '1' }
  const slow = createKnock(await startSibling(t, service, limits))
  const json = wrong(await register())
  const others = Array.from({ length: 10 }, () => slow('POST', '/auth/login', { json: newPerson() }))
  const tries = Array.from({ length: free }, () => slow('POST', '/auth/login', { json, from: '203.0.113.9' }))
  const statuses = (await Promise.all(tries)).map(({ status }) => status)
  await Promise.all(others)
  const compared = statuses.filter(status => status === 401).length
  t.ok(statuses.includes(503), `${compared} of ${statuses.length} are compared`)
  const left = await fail(json, free)
  t.equal(left.filter(status => status === 401).length, free - compared, 'what is left is what was not compared')
})

t.test('a try that could not be compared, for whatever reason, is not counted', async t => {
  const visit = { door: 'auth', requestId: '-', userAgent: null, ipAddress: elsewhere() }
  const attempt = (compare: () => Promise<undefined>) =>
    service.core.guessing.attempt({ email: 'uncompared@example.com', visit }, compare)
  const busy = async () => {
    throw new Error('busy')
  }
  for (let count = 0; count < 2 * free; count += 1) await t.rejects(attempt(busy), { message: 'busy' })
  for (let count = 0; count < free; count += 1) t.equal(await attempt(async () => undefined), undefined)
  await t.rejects(
    attempt(async () => undefined),
    { code: 'too_many_tries' },
  )
})

t.test('the counts tell nobody whose they are, and are swept', async t => {
  const person = await register({ 'x-device-id': 'the-secret-of-a-device' })
  await fail(person, 3)
  await signIn(person, { headers: { 'x-device-id': 'the-secret-of-a-device' } })
  await fail(person, 3)
  const everything = JSON.stringify([
    rowsOf(await database.db.execute(sql`select * from password_tries`)),
    rowsOf(await database.db.execute(sql`select * from known_devices`)),
  ])
  t.notMatch(everything, person.email)
  t.notMatch(everything, 'the-secret-of-a-device')
  t.ok((await countsOf('password_tries')) > 0)
  await wait(31 * 86_400)
  await service.core.guessing.sweep()
  t.equal(await countsOf('password_tries'), 0)
  t.ok((await countsOf('known_devices')) > 0)
  await database.db.execute(sql`update known_devices set last_seen_at = last_seen_at - interval '401 days'`)
  await service.core.guessing.sweep()
  t.equal(await countsOf('known_devices'), 0)
})

t.test('an account knows its last fifty devices, and they go with it', async t => {
  const person = await register()
  for (let count = 0; count < 55; count += 1)
    await signIn(person, { headers: { 'x-device-id': `a-device-number-${count}` } })
  t.equal(await countsOf('known_devices'), 50)
  await knock('DELETE', '/auth/me', { json: { password: person.password }, headers: person.headers })
  t.equal(await countsOf('known_devices'), 0)
})

t.test('when it is switched off, the service says so', async t => {
  const quiet = await startApp(t)
  t.match(
    quiet.logs.map(line => JSON.parse(line)).filter(({ level }) => level === 40),
    [{ msg: /^RATE_LIMIT is off/ }, { msg: /^GUESS_LIMIT is off/ }],
  )
  const off = createKnock(quiet.app)
  const answers = await Promise.all(Array.from({ length: 30 }, () => off('POST', '/auth/login', { json: newPerson() })))
  t.ok(answers.every(({ status }) => status === 401))
  t.notMatch(
    (await off('POST', '/api/auth/sign-up/email', { json: { name: 'Ada', ...newPerson() } })).cookies.join(),
    'device',
  )
})

async function countsOf(table: 'password_tries' | 'known_devices'): Promise<number> {
  const [row] = rowsOf(await database.db.execute(sql`select count(*)::int as count from ${sql.identifier(table)}`))
  return row.count
}
