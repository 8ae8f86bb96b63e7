/** The profile door: the log of what was personalised. */
import { sql } from 'drizzle-orm'
import t from 'tap'
import { startApp } from '../../helpers/app.js'
import { bearer, createKnock, type Json, masked, newPerson, rowsOf } from '../doors.js'

const { app, database } = await startApp(t)
const knock = createKnock(app)

const url = '/api/personalization/interactions'
const failure = (code: string, message: string) => ({ success: false, code, message })
const levels = { software_level: 'beginner', hardware_background: 'robotics' }
const hardware = { embeddedSystemsExperience: 'Yes' }
const nothingTold = {
  software_level: null,
  hardware_background: null,
  softwareBackground: null,
  hardwareBackground: null,
}

async function newcomer() {
  const { body } = await knock('POST', '/auth/register', { json: newPerson() })
  const headers = bearer(body.access_token)
  const id: string = body.user.uuid
  return {
    id,
    record: (json: unknown) => knock('POST', url, { json, headers }),
    list: (query = '') => knock('GET', url + query, { headers }),
    summary: () => knock('GET', `${url}/summary`, { headers }),
    send: (method: string, path: string, json?: unknown) => knock(method, path, { json, headers }),
  }
}

const idsOf = (answer: { body: Json }): string[] => answer.body.interactions.map(({ id }: { id: string }) => id)

t.test('recording answers 201 with the entity of seed 1', async t => {
  const { id, record, list } = await newcomer()
  const answer = await record({ content_type: 'chat', personalization_effectiveness: 4 })
  t.equal(answer.status, 201)
  t.strictSame(masked(answer.body), {
    id: '(id)',
    user_id: '(id)',
    content_type: 'chat',
    background_used: nothingTold,
    timestamp: '(time)',
    personalization_effectiveness: 4,
  })
  t.equal(answer.body.user_id, id)
  t.strictSame((await list()).body, { interactions: [answer.body], next_cursor: null })
})

t.test('ratings go from 0 to 5, or are not given', async t => {
  const { record } = await newcomer()
  const rate = (rating: unknown) => record({ content_type: 'chat', personalization_effectiveness: rating })
  for (const rating of [0, 5, 2.5, 0.1, null])
    t.strictSame((await rate(rating)).body.personalization_effectiveness, rating)
  t.strictSame((await record({ content_type: 'chat' })).body.personalization_effectiveness, null)

  const fault = (text: string) =>
    failure('VALIDATION_ERROR', `[body.personalization_effectiveness] Invalid input: ${text}`)
  const cases: [unknown, object][] = [
    [-0.01, fault('must be >= 0')],
    [5.01, fault('must be <= 5')],
    ['4', fault('expected number,null, received string')],
    [true, fault('expected number,null, received boolean')],
    [[4], fault('expected number,null, received array')],
  ]
  for (const [rating, body] of cases) {
    const answer = await rate(rating)
    t.equal(answer.status, 400, String(rating))
    t.strictSame(answer.body, body)
  }
})

t.test('recording refuses what has no content type', async t => {
  const { record, list } = await newcomer()
  const fault = (text: string) => failure('VALIDATION_ERROR', `[body.content_type] Invalid input: ${text}`)
  const cases: [unknown, object][] = [
    [{}, fault('expected string, received undefined')],
    [{ content_type: '' }, fault('must NOT have fewer than 1 characters')],
    [{ content_type: 'x'.repeat(65) }, fault('must NOT have more than 64 characters')],
    [{ content_type: 1 }, fault('expected string, received number')],
    [undefined, failure('VALIDATION_ERROR', '[body] Invalid input: expected object, received undefined')],
  ]
  for (const [json, body] of cases) {
    const answer = await record(json)
    t.equal(answer.status, 400)
    t.strictSame(answer.body, body)
  }
  t.strictSame((await list()).body, { interactions: [], next_cursor: null })
})

t.test('the background is noted by the service, and stays as it was', async t => {
  const { id, record, send, list } = await newcomer()
  await send('PUT', '/api/user/profile', levels)
  await send('PUT', '/api/user/personalization', { hardwareBackground: hardware })
  const told = { ...levels, softwareBackground: null, hardwareBackground: hardware }
  const made = await record({
    content_type: 'translation',
    background_used: { software_level: 'advanced' },
    user_id: '00000000-0000-0000-0000-000000000000',
    id: '00000000-0000-0000-0000-000000000000',
    timestamp: '1970-01-01T00:00:00.000Z',
  })
  t.strictSame(masked(made.body), {
    id: '(id)',
    user_id: '(id)',
    content_type: 'translation',
    background_used: told,
    timestamp: '(time)',
    personalization_effectiveness: null,
  })
  t.equal(made.body.user_id, id)
  t.ok(Date.now() - Date.parse(made.body.timestamp) < 60_000)

  await send('PUT', '/api/user/profile', { software_level: 'advanced', hardware_background: 'none' })
  await send('PUT', '/api/user/personalization', { hardwareBackground: {} })
  t.strictSame((await list()).body.interactions, [made.body])
  await send('DELETE', '/api/user/profile')
  t.strictSame((await list()).body.interactions, [made.body], 'the log is not part of the profile')
  t.strictSame(
    (await record({ content_type: 'chat' })).body.background_used,
    nothingTold,
    'an archived one is not used',
  )
})

t.test('pages go from new to old, and stand still while new ones arrive', async t => {
  const { record, list } = await newcomer()
  const made: string[] = []
  for (let count = 0; count < 25; count += 1) made.unshift((await record({ content_type: `type ${count}` })).body.id)

  const first = await list()
  t.equal(first.status, 200)
  t.equal(first.headers['cache-control'], 'no-store')
  t.strictSame(idsOf(first), made.slice(0, 20), 'twenty where nothing is said')
  t.type(first.body.next_cursor, 'string')

  const seen: string[] = []
  let cursor: string | null = ''
  let pages = 0
  while (cursor !== null) {
    const answer = await list(`?limit=10${cursor && `&cursor=${cursor}`}`)
    seen.push(...idsOf(answer))
    cursor = answer.body.next_cursor
    pages += 1
    await record({ content_type: 'meanwhile' })
  }
  t.equal(pages, 3)
  t.strictSame(seen, made)
  t.strictSame(idsOf(await list('?limit=100')).slice(3), made)
  t.equal((await list('?limit=28')).body.next_cursor, null, 'a full last page is the last')
})

t.test('rows of one moment are told apart', async t => {
  const { id, record, list } = await newcomer()
  for (let count = 0; count < 5; count += 1) await record({ content_type: 'chat' })
  await database.db.execute(sql`update interactions set created_at = now() where account_id = ${id}`)
  const all = idsOf(await list())
  const seen: string[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const answer = await list(`?limit=1${cursor && `&cursor=${cursor}`}`)
    seen.push(...idsOf(answer))
    cursor = answer.body.next_cursor
  }
  t.equal(new Set(seen).size, 5)
  t.strictSame(seen, all)
})

t.test('a cursor that is none of ours is 400, whatever it holds', async t => {
  const { record, list } = await newcomer()
  const { id } = (await record({ content_type: 'chat' })).body
  const times = [
    '2026-11-21T10:00:00.000Z',
    '2026-11-21 10:00:00',
    '2026-02-30T10:00:00.000Z',
    '+275760-09-13T00:00:00.000Z',
    '-000001-01-01T00:00:00.000Z',
    '0000-01-01T00:00:00.000Z',
    'infinity',
    '',
  ]
  const made = (text: string) => Buffer.from(text).toString('base64url')
  const cursors = [
    'x',
    '%00',
    `${made(`${times[0]} x`)}`,
    made(`${times[0]} ${id}'`),
    made(`${times[0]}`),
    ...times.slice(1).map(time => made(`${time} ${id}`)),
  ]
  for (const cursor of cursors) {
    const answer = await list(`?cursor=${cursor}`)
    t.equal(answer.status, 400, cursor)
    t.strictSame(answer.body, failure('INVALID_CURSOR', 'Invalid cursor'), cursor)
  }
  for (const [query, text] of [
    ['limit=0', 'limit] Invalid input: must be >= 1'],
    ['limit=101', 'limit] Invalid input: must be <= 100'],
    ['limit=1.5', 'limit] Invalid input: expected integer'],
    ['limit=many', 'limit] Invalid input: expected integer'],
    [`cursor=${'x'.repeat(201)}`, 'cursor] Invalid input: must NOT have more than 200 characters'],
  ] as const) {
    const answer = await list(`?${query}`)
    t.equal(answer.status, 400, query)
    t.strictSame(answer.body, failure('VALIDATION_ERROR', `[query.${text}`))
  }
})

t.test('the summary gives a mean for every content type', async t => {
  const { record, summary } = await newcomer()
  t.strictSame((await summary()).body, { content_types: [] })
  const ratings: [string, number | null][] = [
    ['translation', null],
    ['chat', 5],
    ['chat', 2.5],
    ['chat', null],
    ['quiz', 1],
    ['quiz', 2],
    ['quiz', 2],
    ['video', 0],
  ]
  for (const [content_type, personalization_effectiveness] of ratings)
    await record({ content_type, personalization_effectiveness })
  const answer = await summary()
  t.equal(answer.status, 200)
  t.strictSame(answer.body, {
    content_types: [
      { content_type: 'chat', count: 3, average_effectiveness: 3.75 },
      { content_type: 'quiz', count: 3, average_effectiveness: 5 / 3 },
      { content_type: 'translation', count: 1, average_effectiveness: null },
      { content_type: 'video', count: 1, average_effectiveness: 0 },
    ],
  })
})

t.test('nobody sees another’s', async t => {
  const [ann, bob] = [await newcomer(), await newcomer()]
  await ann.record({ content_type: 'chat', personalization_effectiveness: 5 })
  await ann.record({ content_type: 'chat', personalization_effectiveness: 5 })
  const { next_cursor: cursor } = (await ann.list('?limit=1')).body
  for (const query of ['', `?user_id=${ann.id}`, `?cursor=${cursor}`])
    t.strictSame((await bob.list(query)).body, { interactions: [], next_cursor: null })
  t.strictSame((await bob.summary()).body, { content_types: [] })
})

t.test('deleting the account deletes its log', async t => {
  const { id, record, send } = await newcomer()
  await record({ content_type: 'chat' })
  t.equal((await send('DELETE', '/auth/me', { password: newPerson().password })).status, 204)
  const left = await database.db.execute(sql`select id from interactions where account_id = ${id}`)
  t.equal(rowsOf(left).length, 0)
})
