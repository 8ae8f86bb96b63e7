/** The bodies nobody should send, at every route of every door that reads one: refused as listed, in the door's own words. */
import { readFileSync } from 'node:fs'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { sql } from 'drizzle-orm'
import t, { type Test } from 'tap'
import { startApp } from '../helpers/app.js'
import {
  type Answer,
  bearer,
  createKnock,
  doorOf,
  type Entrance,
  entrances,
  type Headers,
  type Json,
  newPerson,
  type Sent,
  send as sendBy,
} from './doors.js'

const client = 'api:zK3vQ8wLr1Yt6Np4Xb9Hs2Dm7Gf5Jc0AeUiOoTqRyWx'
// Nobody listens there: mails are written, and wait.
const mail = { SMTP_URL: 'smtp://127.0.0.1:9', MAIL_FROM: 'no-reply@acme.test' }
const { app, database } = await startApp(t, { SERVICE_CLIENTS: client, LOG_LEVEL: 'warn', ...mail })
const knock = createKnock(app)
await app.ready()
const send = (t: Test, method: string, url: string, sent: Sent): Promise<Answer> => sendBy(t, knock, method, url, sent)

type Vector = { id: string; content_type: string; body_latin1: string; expect: number[]; note: string }

const vectors: Vector[] = JSON.parse(
  readFileSync(new URL('../vectors/hostile_bodies.json', import.meta.url), 'utf8'),
).vectors

const rawOf = ({ content_type: type, body_latin1 }: Vector, text = body_latin1): Sent => ({
  ...(text === '' ? {} : { raw: Buffer.from(text, 'latin1') }),
  headers: { 'content-type': type },
})

const noPrototypeHasGotAnything = (t: Test) =>
  t.equal(({} as { isAdmin?: boolean }).isAdmin, undefined, 'no prototype has got anything')

// --------------------------------------------------------------------------------------------------------- The ways in

/** The same as the data of an envelope: bare, no vector would get further than that. */
const enveloped = (text: string): string =>
  text.startsWith('{') ? `{"schema_version":"4.0","data":{"auth_type":"email",${text.slice(1)}}` : text

/** What the vector allows; where a door's own rule says otherwise, that. */
function allowedToEnter({ id, expect }: Vector, { url, way }: Entrance): number[] {
  // `username` and `grant_type` belong to the OAuth form: elsewhere a form has no address, or is no body at all (415).
  if (id.startsWith('form-') && url !== '/auth/login') return [400, 415, 422]
  // Nobody has this address and password: a login cannot be accepted, as a registration can.
  if (id === 'json-mass-assign' && way === 'login') return [400, 401]
  return expect
}

t.test('F-20 F-22 L-15 every hostile body at every way in', async t => {
  for (const entrance of entrances) {
    for (const vector of vectors) {
      await database.db.execute(sql`delete from accounts`)
      const texts =
        entrance.door === 'codvid' ? [vector.body_latin1, enveloped(vector.body_latin1)] : [vector.body_latin1]
      for (const text of texts) {
        const { status } = await send(t, 'POST', entrance.url, rawOf(vector, text))
        t.ok(allowedToEnter(vector, entrance).includes(status), `${vector.id} at ${entrance.url}: ${status}`)
      }
    }
  }
  noPrototypeHasGotAnything(t)
})

t.test('F-20 a byte order mark changes nothing', async t => {
  for (const { url, ask } of entrances) {
    const text = JSON.stringify(ask({ email: 'marked@example.com', password: 'x' }))
    const headers = { 'content-type': 'application/json' }
    const plain = await send(t, 'POST', url, { raw: text, headers })
    const marked = await send(t, 'POST', url, { raw: `\ufeff${text}`, headers })
    t.equal(marked.status, plain.status)
    t.equal(marked.text, plain.text)
  }
})

// --------------------------------------------------------------------------------------------------- Every other route

type Operation = {
  id: string
  method: string
  url: string
  /** Nobody but somebody signed in, or a service, is heard at all; `either`: it answers both, each in its way. */
  asks: 'person' | 'client' | 'either' | 'nobody'
  takesForms: boolean
  example: Record<string, Json> | undefined
  accepts: ValidateFunction | undefined
}

const served = (await knock('GET', '/openapi.json')).body
const ajv = new Ajv2020({ strict: false, formats: { password: true } })
addFormats.default(ajv)
ajv.addSchema(served, 'document')

/** Every operation that reads a body, whether or not it has a use for one. */
const operations: Operation[] = Object.entries<Json>(served.paths).flatMap(([path, item]) =>
  Object.entries<Json>(item)
    .filter(([method]) => method !== 'get')
    .map(([method, operation]) => toOperation(path, method, operation)),
)
const otherOperations = operations.filter(operation => !entrances.some(({ url }) => url === operation.url))

function toOperation(path: string, method: string, { operationId, security, requestBody }: Json): Operation {
  const ways: string[] = security.flatMap(Object.keys)
  const isForAnybody = ways.length === 0 || security.some((way: object) => Object.keys(way).length === 0)
  const person = isForAnybody ? 'either' : 'person'
  const media = requestBody?.content['application/json']
  const pointer = `document#/paths/${path.replaceAll('/', '~1')}/${method}/requestBody/content/application~1json/schema`
  const named = media?.schema.$ref && served.components.schemas[media.schema.$ref.split('/').at(-1)]
  return {
    id: operationId,
    method: method.toUpperCase(),
    url: path.replace(/\{\w+\}/g, 'x'),
    asks: ways.includes('client') ? 'client' : ways.length === 0 ? 'nobody' : person,
    takesForms: !['profile', 'codvid'].includes(doorOf(path) ?? ''),
    example: media && (media.example ?? (media.schema.examples ?? named?.examples)?.[0]),
    accepts: media && ajv.getSchema(pointer),
  }
}

/** The credential that makes the body what is judged; a new one after each success, for some of them end it. */
async function createCredentials() {
  const register = async () =>
    bearer((await knock('POST', '/auth/register', { json: newPerson() })).body.access_token as string)
  const service = { authorization: `Basic ${Buffer.from(client).toString('base64')}` }
  let person = await register()
  return {
    headers: ({ asks }: Operation): Headers => (asks === 'nobody' ? {} : asks === 'client' ? service : person),
    async note({ status }: Answer): Promise<void> {
      if (status < 300) person = await register()
    },
  }
}

/** Vectors whose one fault is a wrong value of `email`, `username` or `password`: elsewhere they are members nobody asks for. */
const aboutLogin =
  /^json-(number-pw|bool-pw|null|object|bom|mass-assign)$|^ct-(semi|case)$|^form-(bracket|proto|plus|grant)$/
/** The same, of those that have an address as it should be. */
const aboutPasswords = /^json-(number-pw|bool-pw|bom)$/

/** Where a route's own rule, and not the vector's list, says what may come of it. The first that fits counts. */
const exceptions: { why: string; vectors: RegExp; fits(operation: Operation): boolean; statuses: number[] }[] = [
  { why: 'it takes no forms', vectors: /^form-/, fits: ({ takesForms }) => !takesForms, statuses: [415] },
  {
    why: 'it asks for nothing, or for nothing of the kind, so that nothing asked for is wrong',
    vectors: aboutLogin,
    fits: ({ id }) =>
      /^(logout(All)?|updateMe|betterAuth(SignOut|Revoke(Other)?Sessions)|apiLogout|putPersonalization)$/.test(id),
    statuses: [200],
  },
  {
    why: 'it reads no body, beyond that it could be read',
    vectors: aboutLogin,
    fits: ({ id }) => /^(endOtherSessions|endSession|archiveProfile|patchProfile)$/.test(id),
    statuses: [204, 404],
  },
  {
    why: 'no body is how it is asked',
    vectors: /^json-empty$/,
    fits: ({ id }) =>
      /^(logout(All)?|betterAuth(SignOut|Revoke(Other)?Sessions|DeleteUser)|apiLogout|archiveProfile)$/.test(id),
    statuses: [200, 404],
  },
  {
    why: 'it asks for an address and no password, and answers alike whosever it is',
    vectors: aboutPasswords,
    fits: ({ id }) => /^(betterAuthR|r)equest(PasswordReset|EmailVerification)$|^betterAuthSendV/.test(id),
    // Signed in, Better Auth sends to one's own address alone.
    statuses: [200, 400],
  },
  {
    why: 'what a form can be refused for at the login, is here a form without what is asked for',
    vectors: /^form-(plus|grant)$/,
    fits: () => true,
    statuses: [400, 422],
  },
]

const allowed = (vector: Vector, operation: Operation): number[] =>
  exceptions.find(({ vectors, fits }) => vectors.test(vector.id) && fits(operation))?.statuses ?? vector.expect

t.test('F-20 F-22 L-15 every hostile body at every other route, with a credential and without', async t => {
  t.ok(otherOperations.length > 30, `${otherOperations.length} routes`)
  const credentials = await createCredentials()
  for (const operation of otherOperations) {
    const { method, url, asks } = operation
    for (const vector of vectors) {
      const name = `${vector.id} at ${method} ${url}`
      const { headers, ...raw } = rawOf(vector)
      const own = await send(t, method, url, { ...raw, headers: { ...headers, ...credentials.headers(operation) } })
      t.ok(allowed(vector, operation).includes(own.status), `${name}: ${own.status}`)
      await credentials.note(own)

      const { status } = await send(t, method, url, { ...raw, ...(headers ? { headers } : {}) })
      const statuses = asks === 'person' ? [401] : [...allowed(vector, operation), ...(asks === 'nobody' ? [] : [401])]
      t.ok(statuses.includes(status), `${name}, without a credential: ${status}`)
    }
  }
  noPrototypeHasGotAnything(t)
})

// ---------------------------------------------------------------------------- The same faults in the members of each route

/** What the vectors put in the place of a password, as JSON, and a name that no member may have. */
const wrongValues = ['12345678', 'true', 'null', '{"$ne":""}', '1e999', '"a\\u0000bcdefgh"', '"\\ud800"', '[[]]']
const unreadableValues = /1e999|\\u0000|\\ud800/

t.test('F-20 L-15 a wrong value in the place of every member that a route asks for', async t => {
  const credentials = await createCredentials()
  let tried = 0
  for (const operation of operations) {
    const { method, url, example, accepts } = operation
    t.equal(example === undefined, accepts === undefined, `${method} ${url} has an example of what it reads`)
    for (const member of Object.keys(example ?? {})) {
      for (const value of wrongValues) {
        const text = JSON.stringify({ ...example, [member]: '(value)' }).replace('"(value)"', () => value)
        if (!unreadableValues.test(value) && accepts?.(JSON.parse(text))) continue
        const headers = { 'content-type': 'application/json', ...credentials.headers(operation) }
        const answer = await send(t, method, url, { raw: text, headers })
        t.ok([400, 422].includes(answer.status), `${member} ${value} at ${method} ${url}: ${answer.status}`)
        await credentials.note(answer)
        tried += 1
      }
    }
  }
  t.ok(tried > 300, `${tried} wrong members`)
})
