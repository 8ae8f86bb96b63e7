/** The profile door: the background in both its forms, its versions, its archive, and what a chatbot reads of it. */
import { sql } from 'drizzle-orm'
import t from 'tap'
import { startApp } from '../../helpers/app.js'
import { bearer, createKnock, type Headers, masked, newPerson, pairOf, password, rowsOf } from '../doors.js'

const page = 'https://app.example.com'
const { app, database } = await startApp(t, { CORS_ORIGINS: page })
const knock = createKnock(app)

const failure = (code: string, message: string) => ({ success: false, code, message })
const noProfile = failure('PROFILE_NOT_FOUND', 'Profile not found')
const noBackground = failure('BACKGROUND_NOT_FOUND', 'Background not found')
const changed = failure('PRECONDITION_FAILED', 'The profile has been changed meanwhile')

const profileUrl = '/api/user/profile'
const detailsUrl = '/api/user/personalization'
const contextUrl = '/api/personalization/context'

const levels = { software_level: 'beginner', hardware_background: 'robotics' }
const otherLevels = { software_level: 'intermediate', hardware_background: 'embedded systems' }
const seedSentence =
  'User is a beginner in software development with robotics experience. Provide simplified explanations with robotics examples where applicable.'
const software = {
  primaryLanguages: ['Python', 'JavaScript/TypeScript'],
  cloudFamiliarity: 'Intermediate',
  preferredOs: 'Linux',
  databaseExperience: ['SQL', 'NoSQL'],
}
const hardware = { embeddedSystemsExperience: 'No', gpuFamiliarity: 'Basic' }

/** Somebody with no background, and what they can do. */
async function newcomer() {
  const person = newPerson()
  const { body } = await knock('POST', '/auth/register', { json: person })
  const headers = bearer(body.access_token)
  const id: string = body.user.uuid
  return {
    ...person,
    id,
    headers,
    get: (url: string, more: Headers = {}) => knock('GET', url, { headers: { ...headers, ...more } }),
    send: (method: string, url: string, json?: unknown, more: Headers = {}) =>
      knock(method, url, { json, headers: { ...headers, ...more } }),
    signin: async () => {
      const answer = await knock('POST', '/api/auth/signin', { json: { email: person.email, password } })
      return answer.body.background_profile
    },
    status: async () => {
      const found = await database.db.execute(sql`select status from profiles where account_id = ${id}`)
      return rowsOf(found)[0]?.status
    },
  }
}

t.test('without a credential everything is 401', async t => {
  for (const [method, url] of [
    ['GET', profileUrl],
    ['PUT', profileUrl],
    ['PATCH', profileUrl],
    ['DELETE', profileUrl],
    ['GET', detailsUrl],
    ['PUT', detailsUrl],
    ['GET', contextUrl],
    ['GET', '/api/personalization/interactions'],
    ['POST', '/api/personalization/interactions'],
    ['GET', '/api/personalization/interactions/summary'],
  ] as const) {
    for (const [headers, challenge] of [
      [{}, 'Bearer'],
      [bearer('x'), 'Bearer error="invalid_token"'],
    ] as const) {
      const answer = await knock(method, url, { headers })
      t.equal(answer.status, 401, `${method} ${url}`)
      t.strictSame(answer.body, failure('UNAUTHORIZED', 'Unauthorized'))
      t.match(answer.headers, { 'cache-control': 'no-store', pragma: 'no-cache' })
      t.equal(answer.headers['www-authenticate'], challenge)
    }
  }
})

t.test('an account without a background', async t => {
  const { id, get, send, signin } = await newcomer()
  for (const [answer, body] of [
    [await get(profileUrl), noProfile],
    [await send('PATCH', profileUrl, levels), noProfile],
    [await send('DELETE', profileUrl), noProfile],
    [await get(contextUrl), noBackground],
  ] as const) {
    t.equal(answer.status, 404)
    t.strictSame(answer.body, body)
    t.notOk('etag' in answer.headers)
  }
  const details = await get(detailsUrl)
  t.equal(details.status, 200)
  t.strictSame(details.body, { betterAuthUserId: id, softwareBackground: null, hardwareBackground: null })
  t.equal(await signin(), null)
})

t.test('PUT makes a profile, and writes it again', async t => {
  const { id, get, send, signin, status } = await newcomer()
  for (const [given, expected] of [
    [levels, 'created'],
    [otherLevels, 'updated'],
  ] as const) {
    const answer = await send('PUT', profileUrl, { ...given, user_id: 'x', status: 'archived', version: 9 })
    t.equal(answer.status, 200)
    t.strictSame(answer.body, { success: true, user_id: id, ...given })
    t.equal(await status(), expected)
    const read = await get(profileUrl)
    t.equal(read.status, 200)
    t.strictSame(masked(read.body), { user_id: '(id)', ...given, created_at: '(time)', updated_at: '(time)' })
    t.equal(read.body.user_id, id)
    t.strictSame(await signin(), given)
  }
})

t.test('a profile told at registration is there at once, in both forms', async t => {
  const ann = newPerson()
  const bob = newPerson()
  const signup = await knock('POST', '/api/auth/signup', { json: { ...ann, ...levels } })
  const read = (url: string, token: string) => knock('GET', url, { headers: bearer(token) })
  t.match((await read(profileUrl, signup.body.session_token)).body, { user_id: signup.body.user_id, ...levels })

  const register = await knock('POST', '/api/auth/register', {
    json: { ...bob, background_data: { softwareBackground: software, hardwareBackground: hardware } },
  })
  const { token, userId } = register.body
  t.strictSame((await read(detailsUrl, token)).body, {
    betterAuthUserId: userId,
    softwareBackground: software,
    hardwareBackground: hardware,
  })
  t.match((await read(profileUrl, token)).body, { software_level: null, hardware_background: null })
})

t.test('PATCH writes what it is given', async t => {
  const { id, get, send, status } = await newcomer()
  await send('PUT', profileUrl, levels)
  let known: object = levels
  for (const json of [{ software_level: 'advanced' }, { hardware_background: 'none' }, {}, otherLevels]) {
    const answer = await send('PATCH', profileUrl, json)
    known = { ...known, ...json }
    t.equal(answer.status, 200)
    t.strictSame(answer.body, { success: true, user_id: id, ...known })
    t.match((await get(profileUrl)).body, known)
  }
  t.equal(await status(), 'updated')
})

t.test('values nobody knows are refused', async t => {
  const { id, get, send } = await newcomer()
  await send('PUT', profileUrl, levels)
  await send('PUT', detailsUrl, { softwareBackground: software, hardwareBackground: hardware })
  const levelFault = '[body.software_level] Invalid input: must be one of beginner, intermediate, advanced'
  const hardwareFault =
    '[body.hardware_background] Invalid input: must be one of robotics, embedded systems, none, other'
  const half = (path: string, rule: string) => `[body.${path}] Invalid input: ${rule}`
  const cases: [string, string, unknown, string][] = [
    ['PUT', profileUrl, { ...levels, software_level: 'expert' }, levelFault],
    ['PUT', profileUrl, { ...levels, software_level: 'Beginner' }, levelFault],
    ['PUT', profileUrl, { ...levels, hardware_background: 'embedded_systems' }, hardwareFault],
    ['PUT', profileUrl, { software_level: '', hardware_background: '' }, `${levelFault}; ${hardwareFault}`],
    [
      'PUT',
      profileUrl,
      { software_level: 'beginner' },
      half('hardware_background', 'expected string, received undefined'),
    ],
    ['PUT', profileUrl, undefined, '[body] Invalid input: expected object, received undefined'],
    ['PATCH', profileUrl, { hardware_background: 'x' }, hardwareFault],
    [
      'PUT',
      detailsUrl,
      { softwareBackground: { cloudFamiliarity: 'beginner' } },
      half('softwareBackground.cloudFamiliarity', 'must be one of None, Beginner, Intermediate, Advanced'),
    ],
    [
      'PUT',
      detailsUrl,
      { softwareBackground: { preferredOs: 'BeOS' } },
      half('softwareBackground.preferredOs', 'must be one of Linux, macOS, Windows, Hybrid'),
    ],
    [
      'PUT',
      detailsUrl,
      { softwareBackground: { primaryLanguages: 'Python' } },
      half('softwareBackground.primaryLanguages', 'expected array, received string'),
    ],
    [
      'PUT',
      detailsUrl,
      { softwareBackground: { databaseExperience: [1] } },
      half('softwareBackground.databaseExperience.0', 'expected string, received number'),
    ],
    [
      'PUT',
      detailsUrl,
      { hardwareBackground: { embeddedSystemsExperience: 'Some' } },
      half('hardwareBackground.embeddedSystemsExperience', 'must be one of Yes, No, Some C/Assembly'),
    ],
    [
      'PUT',
      detailsUrl,
      { hardwareBackground: { gpuFamiliarity: 'Expert' } },
      half('hardwareBackground.gpuFamiliarity', 'must be one of None, Basic, Advanced'),
    ],
    ['PUT', detailsUrl, { hardwareBackground: 'none' }, half('hardwareBackground', 'expected object, received string')],
  ]
  for (const [method, url, json, message] of cases) {
    const answer = await send(method, url, json)
    t.equal(answer.status, 400, message)
    t.strictSame(answer.body, failure('VALIDATION_ERROR', message))
  }
  t.match((await get(profileUrl)).body, levels, 'nothing of it was written')
  t.strictSame((await get(detailsUrl)).body, {
    betterAuthUserId: id,
    softwareBackground: software,
    hardwareBackground: hardware,
  })
})

t.test('the nested form: halves, and parts of halves', async t => {
  const { id, get, send } = await newcomer()
  let known: object = { betterAuthUserId: id, softwareBackground: null, hardwareBackground: null }
  for (const json of [
    { softwareBackground: { primaryLanguages: ['Go'] } },
    { hardwareBackground: { gpuFamiliarity: 'None' } },
    { softwareBackground: { preferredOs: 'Hybrid', databaseExperience: [] } },
    {},
    { hardwareBackground: {} },
    { softwareBackground: software, hardwareBackground: hardware },
  ]) {
    const answer = await send('PUT', detailsUrl, json)
    known = { ...known, ...json }
    t.equal(answer.status, 200)
    t.strictSame(answer.body, known, 'a half that is given is replaced as a whole')
    t.strictSame((await get(detailsUrl)).body, known)
  }
  const foreign = {
    betterAuthUserId: 'x',
    softwareBackground: { ...software, admin: true },
    hardwareBackground: { ...hardware, admin: true },
  }
  t.strictSame((await send('PUT', detailsUrl, foreign)).body, known, 'and nothing else is told')
  const found = sql`select software_details, hardware_details from profiles where account_id = ${id}`
  t.strictSame(
    rowsOf(await database.db.execute(found)),
    [{ software_details: software, hardware_details: hardware }],
    'or kept',
  )
})

t.test('details alone make a profile whose levels are null', async t => {
  const { id, get, send, signin } = await newcomer()
  await send('PUT', detailsUrl, { hardwareBackground: hardware })
  const read = await get(profileUrl)
  t.equal(read.status, 200)
  t.strictSame(masked(read.body), {
    user_id: '(id)',
    software_level: null,
    hardware_background: null,
    created_at: '(time)',
    updated_at: '(time)',
  })
  t.strictSame(await signin(), { software_level: null, hardware_background: null })
  t.strictSame((await send('PATCH', profileUrl, { software_level: 'advanced' })).body, {
    success: true,
    user_id: id,
    software_level: 'advanced',
    hardware_background: null,
  })
  t.strictSame((await get(detailsUrl)).body.hardwareBackground, hardware, 'one form does not touch the other')
})

t.test('DELETE archives; then it is gone everywhere, until a PUT of either form brings back both', async t => {
  const revivals: [string, object][] = [
    [profileUrl, otherLevels],
    [detailsUrl, { hardwareBackground: { gpuFamiliarity: 'Advanced' } }],
  ]
  for (const [url, json] of revivals) {
    const { id, get, send, signin, status } = await newcomer()
    await send('PUT', profileUrl, levels)
    await send('PUT', detailsUrl, { softwareBackground: software, hardwareBackground: hardware })

    const archived = await send('DELETE', profileUrl)
    t.equal(archived.status, 200)
    t.strictSame(archived.body, { success: true, user_id: id })
    t.equal(await status(), 'archived')
    for (const [answer, body] of [
      [await get(profileUrl), noProfile],
      [await get(profileUrl, { 'if-none-match': '"2"' }), noProfile],
      [await send('PATCH', profileUrl, { software_level: 'advanced' }), noProfile],
      [await send('DELETE', profileUrl), noProfile],
      [await get(detailsUrl), noProfile],
      [await get(contextUrl), noBackground],
    ] as const) {
      t.equal(answer.status, 404)
      t.strictSame(answer.body, body)
    }
    t.equal(await signin(), null)

    t.equal((await send('PUT', url, json)).status, 200)
    t.equal(await status(), 'updated')
    const isLevels = url === profileUrl
    t.match((await get(profileUrl)).body, isLevels ? otherLevels : levels)
    t.strictSame((await get(detailsUrl)).body, {
      betterAuthUserId: id,
      softwareBackground: software,
      hardwareBackground: isLevels ? hardware : { gpuFamiliarity: 'Advanced' },
    })
    t.strictSame(await signin(), isLevels ? otherLevels : levels)
  }
})

t.test('reading names a version, and is not sent again while that stands', async t => {
  const { get, send } = await newcomer()
  await send('PUT', profileUrl, levels)
  for (const url of [profileUrl, contextUrl]) {
    const first = await get(url, { origin: page })
    const { etag = '' } = first.headers
    t.match(etag, /^"\d+"$/)
    t.equal(first.headers['cache-control'], 'private, no-cache')
    t.equal(first.headers.vary, 'Origin, Authorization, Cookie')
    for (const known of [etag, `W/${etag}`, `"999", ${etag}`, '*']) {
      const again = await get(url, { 'if-none-match': known })
      t.equal(again.status, 304, known)
      t.equal(again.text, '')
      t.equal(again.headers.etag, etag)
    }
    t.equal((await get(url, { 'if-none-match': '"999"' })).status, 200)

    await send('PATCH', profileUrl, { software_level: 'advanced' })
    const later = await get(url, { 'if-none-match': etag })
    t.equal(later.status, 200)
    t.not(later.headers.etag, etag)
  }
})

t.test('details change the version of the context too', async t => {
  const { get, send } = await newcomer()
  await send('PUT', profileUrl, levels)
  const { etag = '' } = (await get(contextUrl)).headers
  await send('PUT', detailsUrl, { hardwareBackground: hardware })
  const later = await get(contextUrl, { 'if-none-match': etag })
  t.equal(later.status, 200)
  t.match(later.body.user_context.personalization_notes, /GPU computing\.$/)
})

t.test('writing can demand a version', async t => {
  const { get, send } = await newcomer()
  const refused = async (...request: Parameters<typeof send>) => {
    const answer = await send(...request)
    t.equal(answer.status, 412, `${request[0]} ${JSON.stringify(request[3])}`)
    t.strictSame(answer.body, changed)
  }
  await refused('PUT', profileUrl, levels, { 'if-match': '*' })
  await refused('PUT', profileUrl, levels, { 'if-match': '"1"' })
  t.equal((await get(profileUrl)).status, 404, 'nothing was made')

  const made = await send('PUT', profileUrl, levels, { 'if-none-match': '*' })
  t.equal(made.status, 200)
  t.equal(made.headers.etag, (await get(profileUrl)).headers.etag)
  await refused('PUT', profileUrl, otherLevels, { 'if-none-match': '*' })

  const { etag: first = '' } = made.headers
  const second = await send('PUT', profileUrl, otherLevels, { 'if-match': first })
  t.equal(second.status, 200)
  t.not(second.headers.etag, first)
  for (const stale of [first, `W/${second.headers.etag}`, '"x"', '"99999999999"', 'nonsense']) {
    await refused('PUT', profileUrl, levels, { 'if-match': stale })
    await refused('PATCH', profileUrl, { software_level: 'advanced' }, { 'if-match': stale })
    await refused('DELETE', profileUrl, undefined, { 'if-match': stale })
  }
  t.match((await get(profileUrl)).body, otherLevels)

  const third = await send('PATCH', profileUrl, levels, { 'if-match': second.headers.etag ?? '' })
  t.equal(third.status, 200)
  t.equal((await send('PUT', profileUrl, levels, { 'if-match': '*' })).status, 200)
  const { etag: last = '' } = (await get(profileUrl)).headers
  t.equal((await send('DELETE', profileUrl, undefined, { 'if-match': last })).status, 200)
  await refused('PUT', profileUrl, levels, { 'if-match': last })
  t.equal((await send('PUT', profileUrl, levels, { 'if-none-match': '*' })).status, 200, 'an archived one is absent')
  t.not((await get(profileUrl)).headers.etag, first, 'and no version comes twice')
})

t.test('of many who demand the same version, one writes', async t => {
  const { send } = await newcomer()
  const { etag = '' } = (await send('PUT', profileUrl, levels)).headers
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => send('PUT', profileUrl, otherLevels, { 'if-match': etag })),
  )
  t.strictSame(answers.map(({ status }) => status).sort(), [200, ...Array<number>(19).fill(412)])
})

t.test('the context, in seed 1’s own sentence', async t => {
  const { get, send } = await newcomer()
  await send('PUT', profileUrl, levels)
  const answer = await get(contextUrl)
  t.equal(answer.status, 200)
  t.strictSame(answer.body, { user_context: { ...levels, personalization_notes: seedSentence } })

  await send('PUT', detailsUrl, { hardwareBackground: hardware })
  t.strictSame((await get(contextUrl)).body, {
    user_context: {
      ...levels,
      personalization_notes: `${seedSentence} User has not worked with embedded systems. User has basic knowledge of GPU computing.`,
    },
  })
})

t.test('every combination of levels has a context of whole sentences', async t => {
  const { get, send } = await newcomer()
  const seen = new Set<string>()
  for (const software_level of ['beginner', 'intermediate', 'advanced']) {
    for (const hardware_background of ['robotics', 'embedded systems', 'none', 'other']) {
      await send('PUT', profileUrl, { software_level, hardware_background })
      const { user_context: context } = (await get(contextUrl)).body
      t.strictSame(
        { ...context, personalization_notes: '' },
        { software_level, hardware_background, personalization_notes: '' },
      )
      t.match(context.personalization_notes, /^User is [^.]+\. Provide [^.]+\.$/)
      seen.add(context.personalization_notes)
    }
  }
  t.equal(seen.size, 12)
})

t.test('the context of a background that is told in part', async t => {
  const { get, send } = await newcomer()
  await send('PUT', detailsUrl, {})
  t.equal((await get(contextUrl)).status, 404, 'a profile that tells nothing is no background')
  await send('PUT', detailsUrl, { softwareBackground: {}, hardwareBackground: {} })
  t.strictSame((await get(contextUrl)).body, noBackground)

  await send('PUT', detailsUrl, { softwareBackground: { primaryLanguages: ['Go'] } })
  const context = async () => (await get(contextUrl)).body.user_context
  t.strictSame(await context(), {
    software_level: null,
    hardware_background: null,
    personalization_notes: "User's primary programming language is Go.",
  })
  await send('PATCH', profileUrl, { hardware_background: 'robotics' })
  t.strictSame(await context(), {
    software_level: null,
    hardware_background: 'robotics',
    personalization_notes:
      "User has robotics experience. Provide explanations with robotics examples where applicable. User's primary programming language is Go.",
  })
})

t.test('nobody sees another’s', async t => {
  const [ann, bob] = [await newcomer(), await newcomer()]
  await ann.send('PUT', profileUrl, levels)
  await ann.send('PUT', detailsUrl, { softwareBackground: software })
  for (const url of [profileUrl, contextUrl]) {
    for (const trick of ['', `?user_id=${ann.id}`, `?userId=${ann.id}&sub=${ann.id}&id=${ann.id}`])
      t.equal((await bob.get(url + trick)).status, 404)
  }
  t.strictSame((await bob.get(`${detailsUrl}?betterAuthUserId=${ann.id}`)).body.softwareBackground, null)
  t.equal((await bob.send('DELETE', profileUrl, { user_id: ann.id })).status, 404)
  await bob.send('PUT', profileUrl, { ...otherLevels, user_id: ann.id, account_id: ann.id })
  t.match((await ann.get(profileUrl)).body, levels)
  t.match((await bob.get(profileUrl)).body, { user_id: bob.id, ...otherLevels })
})

t.test('a cookie opens this door, but to no foreign page', async t => {
  const { email } = await newcomer()
  const entry = await knock('POST', '/api/auth/login', { json: { email, password } })
  const cookie = pairOf(entry.cookies[0])
  const put = (origin: string) => knock('PUT', profileUrl, { json: levels, headers: { cookie, origin } })
  const refused = await put('https://evil.example')
  t.equal(refused.status, 403)
  t.strictSame(refused.body, {
    ...failure('INVALID_ORIGIN', 'Invalid origin'),
    hint: 'If https://evil.example is yours, add it to TRUSTED_ORIGINS.',
  })
  t.equal((await put('null')).status, 403)
  t.equal((await put(page)).status, 200)
})

t.test('what cannot be read, or is not there', async t => {
  const { headers } = await newcomer()
  const cases: [string, string, string, number, object][] = [
    ['text/plain', '{}', profileUrl, 415, failure('UNSUPPORTED_MEDIA_TYPE', 'Unsupported media type')],
    [
      'application/x-www-form-urlencoded',
      'software_level=beginner',
      profileUrl,
      415,
      failure('UNSUPPORTED_MEDIA_TYPE', 'Unsupported media type'),
    ],
    ['application/json', '{', profileUrl, 400, failure('BAD_REQUEST', 'Invalid JSON in request body')],
    [
      'application/json',
      ' '.repeat(16_385),
      profileUrl,
      413,
      failure('PAYLOAD_TOO_LARGE', 'Request body is too large'),
    ],
    ['application/json', '{}', '/api/user/nothing', 404, failure('NOT_FOUND', 'Not found')],
  ]
  for (const [type, raw, url, status, body] of cases) {
    const answer = await knock('PUT', url, { raw, headers: { ...headers, 'content-type': type } })
    t.equal(answer.status, status)
    t.strictSame(answer.body, body)
  }
})
