/** The revocation feed, followed from a real socket: how fast it is heard, what is believed, and what happens without it. */
import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'
import fastify from 'fastify'
import t, { type Test } from 'tap'
import { secretKey } from '../../src/core/keys.js'
import { createRevocations } from '../../src/core/revocations.js'
import { createSigners } from '../../src/http/signer.js'
import type { Revocation } from '../../src/store/revocations.js'
import { createVerifier, type RevocationOptions, type VerifierOptions } from '../../src/verifier/index.js'
import { goodToken, now, optionsOf, outcomeOf, pause, revocationVectors, sendJson, serve, vectors } from './vectors.js'

t.jobs = 6

const secret = vectors.verifiers.hs256?.secrets?.[0] ?? ''
const { token, claims } = goodToken('hs256-plain')
const other = '01936f2a-7c02-7000-8000-000000000002'
const event = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'

type Content = { iat?: number; exp?: number; sessions?: unknown[]; accounts?: unknown[]; before?: unknown }

function documentOf(content: Content): string {
  const { iat = vectors.now, exp = vectors.now + 300, sessions = [], accounts = [], before } = content
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const payload = { iss: vectors.issuer, iat, exp, jti: 'feed', events: { [event]: { sessions, accounts, before } } }
  const input = `${encode({ alg: 'HS256', typ: 'secevent+jwt', kid: 'hs256-1' })}.${encode(payload)}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

type Poll = { wait: string | null; condition: string | undefined; authorization: string | undefined; at: number }

/** An issuer of revocations: 200 with news, else 304 when the wait is over. `outage` answers instead. */
async function issuerOf(t: Test) {
  const issuer = {
    polls: [] as Poll[],
    document: documentOf({}),
    etag: 1,
    outage: undefined as ((response: ServerResponse) => void) | undefined,
    open: new Set<() => void>(),
    publish(content: Content | string) {
      issuer.document = typeof content === 'string' ? content : documentOf(content)
      issuer.etag += 1
      for (const answer of issuer.open) answer()
    },
    base: '',
  }
  issuer.base = await serve(t, (request, response) => {
    const url = new URL(request.url ?? '', 'http://issuer')
    if (url.pathname === '/jwks') return sendJson(response, vectors.jwks)
    const { authorization, 'if-none-match': condition } = request.headers
    issuer.polls.push({ wait: url.searchParams.get('wait'), condition, authorization, at: performance.now() })
    if (issuer.outage) return issuer.outage(response)
    const etag = () => `"${issuer.etag}"`
    const answer = () => {
      issuer.open.delete(answer)
      clearTimeout(timer)
      if (condition === etag()) return void response.writeHead(304, { etag: etag() }).end()
      response.writeHead(200, { 'content-type': 'application/jwt', etag: etag() }).end(issuer.document)
    }
    const timer = setTimeout(answer, condition === etag() ? Number(url.searchParams.get('wait')) * 1000 : 0)
    issuer.open.add(answer)
    response.on('close', () => {
      issuer.open.delete(answer)
      clearTimeout(timer)
    })
  })
  return issuer
}

type Followed = Partial<RevocationOptions> & { verifier?: string; options?: Partial<VerifierOptions> }

function follow(
  t: Test,
  issuer: { base: string },
  { verifier: name = 'hs256', options = {}, ...chosen }: Followed = {},
) {
  const problems: Error[] = []
  const verifier = createVerifier({
    ...optionsOf(name, issuer.base),
    revocations: {
      url: `${issuer.base}/oauth2/revocations`,
      clientId: 'api',
      clientSecret: 'client secret',
      whenStale: 'reject',
      ...chosen,
    },
    onProblem: problem => problems.push(problem),
    ...options,
  })
  t.teardown(() => verifier.close())
  return { problems, verifier, verify: (given = token) => outcomeOf(verifier.verify(given)) }
}

const causes = (problems: Error[]) => problems.map(problem => (problem.cause as Error).message)

async function until(holds: () => boolean | Promise<boolean>, milliseconds = 5000): Promise<boolean> {
  const end = performance.now() + milliseconds
  while (performance.now() < end) {
    if (await holds()) return true
    await pause(10)
  }
  return false
}

t.test('a session revoked while a poll waits is refused at once', { buffered: true }, async t => {
  const issuer = await issuerOf(t)
  const { verify, problems } = follow(t, issuer)
  t.equal(await verify(), 'accepted', 'waits for the first document')
  t.ok(await until(() => issuer.open.size === 1))
  const published = performance.now()
  issuer.publish({ sessions: [[claims.sid, claims.exp]] })
  t.ok(await until(async () => (await verify()) === 'token_revoked'))
  const took = performance.now() - published
  t.ok(took < 2000, `${took} ms`)
  t.strictSame(problems, [])
})

t.test('how it asks', { buffered: true }, async t => {
  const issuer = await issuerOf(t)
  const { verify } = follow(t, issuer, { clientId: 'a p:i', clientSecret: 'sécret+' })
  await verify()
  t.ok(await until(() => issuer.polls.length === 2))
  const credentials = Buffer.from('a%20p%3Ai:s%C3%A9cret%2B').toString('base64')
  t.match(issuer.polls, [
    { wait: null, condition: undefined, authorization: `Basic ${credentials}` },
    { wait: '5', condition: '"1"', authorization: `Basic ${credentials}` },
  ])
  const slow = await issuerOf(t)
  await follow(t, slow, { maxStaleSeconds: 600 }).verify()
  t.ok(await until(() => slow.polls.length === 2))
  t.equal(slow.polls[1]?.wait, '30', 'the longest there is')
})

t.test('the vectors', { buffered: true }, async t => {
  const issuer = await issuerOf(t)
  const setup = { verifier: 'every-algorithm', clientId: revocationVectors.client_id }
  for (const { id, document, also_revokes: more = [] } of revocationVectors.good) {
    issuer.publish(document)
    const { verifier, verify } = follow(t, issuer, setup)
    for (const each of revocationVectors.tokens) {
      const isRevoked = each.revoked || more.includes(each.id)
      t.equal(await verify(each.token), isRevoked ? 'token_revoked' : 'accepted', `${id}: ${each.id}`)
    }
    await verifier.close()
  }
  for (const { id, document } of revocationVectors.bad) {
    issuer.publish(document)
    const { verifier, verify, problems } = follow(t, issuer, setup)
    t.equal(await verify(), 'revocations_stale', id)
    t.ok(problems.length > 0, id)
    await verifier.close()
  }
})

t.test('a feed is no access token, though the same key signs it', { buffered: true }, async t => {
  const { verify } = follow(t, await issuerOf(t))
  t.equal(await verify(documentOf({})), 'header_invalid')
})

t.test('accounts: tokens from before the mark, of that account alone', { buffered: true }, async t => {
  const issuer = await issuerOf(t)
  issuer.document = documentOf({ accounts: [[claims.sub, claims.iat, claims.exp]] })
  t.equal(await follow(t, issuer).verify(), 'accepted', 'issued in the second of the mark')
  const later = await issuerOf(t)
  later.document = documentOf({
    accounts: [
      [claims.sub, claims.iat + 1, claims.exp],
      [claims.sub, 1, claims.exp],
      [other, claims.exp, claims.exp],
    ],
  })
  const { verify } = follow(t, later)
  t.equal(await verify(), 'token_revoked', 'the later of two marks')
  t.equal(await verify(goodToken('hs256-longest').token), 'accepted')
})

t.test('before: every token of an earlier second, whosever it is', { buffered: true }, async t => {
  const longest = goodToken('hs256-longest')
  const issuer = await issuerOf(t)
  issuer.document = documentOf({ before: claims.iat })
  t.equal(await follow(t, issuer).verify(), 'accepted', 'issued in that second')
  const later = await issuerOf(t)
  later.document = documentOf({ before: claims.iat + 1 })
  const { verify } = follow(t, later)
  t.equal(await verify(), 'token_revoked')
  t.equal(await verify(goodToken('hs256-nbf').token), 'token_revoked')
  t.equal(longest.claims.sub, claims.sub)
  t.equal(await verify(longest.token), 'accepted', 'issued later, of the same account')
})

t.test('before: what was said once stays, and the highest counts', { buffered: true }, async t => {
  const issuer = await issuerOf(t)
  let time = vectors.now
  const exp = vectors.now + 9999
  issuer.document = documentOf({ before: claims.iat + 1, exp })
  const { verify, problems } = follow(t, issuer, { options: { now: () => time * 1000 } })
  t.equal(await verify(), 'token_revoked')
  for (const before of [undefined, 0, claims.iat, claims.iat + 1]) {
    time += 1
    issuer.publish({ iat: time, exp, before })
    t.ok(await until(() => issuer.polls.at(-1)?.condition === `"${issuer.etag}"`), 'it has read it, and asks again')
    t.equal(await verify(), 'token_revoked', `then ${before}`)
  }
  const { token: youngest, claims: young } = goodToken('hs256-longest')
  t.equal(await verify(youngest), 'accepted')
  issuer.publish({ iat: time, exp, before: young.iat + 1 })
  t.ok(await until(async () => (await verify(youngest)) === 'token_revoked'), 'and it goes up')
  t.strictSame(problems, [])
})

t.test('before: anything but a second makes no document', { buffered: true }, async t => {
  for (const before of [null, '1', 1.5, -1, 2 ** 32, true, [], {}, [1]]) {
    const issuer = await issuerOf(t)
    issuer.document = documentOf({ before })
    const { verify, problems, verifier } = follow(t, issuer)
    t.equal(await verify(), 'revocations_stale', JSON.stringify(before))
    t.match(causes(problems)[0], /malformed/)
    await verifier.close()
  }
})

t.test('what our own server writes, also when more was revoked than it says', { buffered: true }, async t => {
  const scope = fastify()
  t.teardown(() => scope.close())
  const { signer } = await createSigners(scope, { signer: { current: secretKey(secret), others: [] } })
  const ended = (sessionId: string | null, second: number): Revocation => {
    const revokedAt = new Date(second * 1000)
    return { accountId: other, sessionId, revokedAt, sessionExpiresAt: null, sliding: true }
  }
  let rows = [ended(other, vectors.now - 1), ended(null, vectors.now - 2)]
  const store = { listRelevant: async (limit: number) => rows.slice(0, limit), deleteOver: async () => 0 }
  const settings = { issuer: vectors.issuer, audience: 'api', accessTtl: 1800, documentTtl: 300, mostEntries: 2 }
  const server = createRevocations({ store, signer, settings, now })
  const read = async (): Promise<string> => {
    server.tell()
    const answer = await server.read(() => false, 0)
    return 'document' in answer ? answer.document : ''
  }

  const issuer = await issuerOf(t)
  issuer.document = await read()
  const { verify, problems } = follow(t, issuer)
  t.equal(await verify(), 'accepted')
  rows = [...rows, ended(other, claims.iat)]
  issuer.publish(await read())
  t.ok(await until(async () => (await verify()) === 'token_revoked'), 'as old as what was left out')
  const young = goodToken('hs256-longest').token
  t.equal(await verify(young), 'accepted')
  rows = [ended(claims.sid, vectors.now), ...rows]
  issuer.publish(await read())
  t.ok(await until(async () => (await verify(young)) === 'token_revoked'), 'its session has ended')
  t.strictSame(problems, [])
})

t.test('whenStale: reject', { buffered: true }, async t => {
  const issuer = await issuerOf(t)
  const { verify, problems } = follow(t, issuer, { maxStaleSeconds: 2 })
  t.equal(await verify(), 'accepted')
  issuer.outage = response => response.writeHead(503).end()
  const began = performance.now()
  t.ok(await until(async () => (await verify()) === 'revocations_stale'))
  const took = performance.now() - began
  t.ok(took > 900 && took < 3500, `about two seconds after the last word: ${took}`)
  t.ok(causes(problems).every(cause => cause === 'status 503'))
  issuer.outage = undefined
  t.ok(await until(async () => (await verify()) === 'accepted'), 'and it recovers')
})

t.test('whenStale: accept', { buffered: true }, async t => {
  const issuer = await issuerOf(t)
  issuer.publish({ sessions: [[other, claims.exp]], accounts: [[other, claims.exp, claims.exp]] })
  const { verify, problems } = follow(t, issuer, {
    verifier: 'every-algorithm',
    maxStaleSeconds: 2,
    whenStale: 'accept',
  })
  t.equal(await verify(), 'accepted')
  issuer.outage = response => response.destroy()
  issuer.publish({ sessions: [[claims.sid, claims.exp]] })
  await pause(3500)
  t.ok(problems.length > 0)
  t.equal(await verify(), 'accepted', 'what was revoked meanwhile is not known')
  const revoked = revocationVectors.tokens.find(each => each.id === 'account-after')
  t.equal(await verify(revoked?.token), 'token_revoked', 'what was revoked before stays so')
})

t.test('an issuer that hangs is as good as gone', { buffered: true }, async t => {
  const issuer = await issuerOf(t)
  const { verify } = follow(t, issuer, { maxStaleSeconds: 2 })
  t.equal(await verify(), 'accepted')
  issuer.outage = () => {}
  t.ok(await until(async () => (await verify()) === 'revocations_stale'))
  issuer.outage = undefined
  t.ok(await until(async () => (await verify()) === 'accepted'))
})

t.test('an issuer that is not there at the start', { buffered: true }, async t => {
  const issuer = await issuerOf(t)
  issuer.outage = response => response.writeHead(401).end()
  t.equal(await follow(t, issuer).verify(), 'revocations_stale')
  const { verify, problems } = follow(t, issuer, { whenStale: 'accept' })
  t.equal(await verify(), 'accepted')
  t.match(problems[0]?.message, /^revocations could not be read from http:/)
  t.strictSame(causes(problems)[0], 'status 401')
  t.notMatch(JSON.stringify(problems.map(String)), /secret/)
})

t.test('a quiet issuer is no stale one', { buffered: true }, async t => {
  const issuer = await issuerOf(t)
  const { verify, problems } = follow(t, issuer, { maxStaleSeconds: 4 })
  const outcomes = new Set<string>()
  for (const end = performance.now() + 9000; performance.now() < end; await pause(20)) outcomes.add(await verify())
  t.strictSame([...outcomes], ['accepted'])
  t.strictSame(problems, [])
  t.ok(issuer.polls.length <= 8, `one poll in two seconds, or less: ${issuer.polls.length}`)
})

t.test(
  'a document that is not believed leaves everything as it was, and counts as silence',
  { buffered: true },
  async t => {
    const revoking = documentOf({ sessions: [[claims.sid, claims.exp]] })
    const forged = `${revoking.slice(0, -4)}AAAA`
    const issuer = await issuerOf(t)
    const { verify, problems } = follow(t, issuer, { maxStaleSeconds: 2 })
    t.equal(await verify(), 'accepted')
    issuer.publish(forged)
    t.ok(await until(() => problems.length > 0))
    t.equal(await verify(), 'accepted')
    t.ok(await until(async () => (await verify()) === 'revocations_stale'))
    t.ok(causes(problems).every(cause => /signature/.test(cause)))
    issuer.publish({})
    t.ok(await until(async () => (await verify()) === 'accepted'))
  },
)

t.test('an older document is a replay, and nobody is let in again', { buffered: true }, async t => {
  const issuer = await issuerOf(t)
  issuer.document = documentOf({ iat: vectors.now - 10, sessions: [[claims.sid, claims.exp]] })
  const { verify, problems } = follow(t, issuer, { maxStaleSeconds: 2 })
  t.equal(await verify(), 'token_revoked')
  issuer.publish({ iat: vectors.now - 11 })
  t.ok(await until(() => problems.length > 0))
  t.equal(await verify(), 'token_revoked')
  t.match(causes(problems)[0], /older/)
  const kept = goodToken('hs256-nbf').token
  t.equal(await verify(kept), 'token_revoked')
  for (const iat of [vectors.now - 10, vectors.now - 9, vectors.now]) {
    const before = issuer.polls.length
    issuer.publish({ iat })
    t.ok(await until(() => issuer.polls.length > before + 1 || issuer.open.size > 0))
    await pause(300)
    t.equal(await verify(), 'token_revoked', 'a newer document without the session: a replica that lags behind')
  }
})

t.test('what was revoked is forgotten once no token of it can live', { buffered: true }, async t => {
  const issuer = await issuerOf(t)
  let time = vectors.now
  issuer.document = documentOf({ sessions: [[claims.sid, vectors.now + 10]], exp: vectors.now + 9999 })
  const { verify } = follow(t, issuer, { options: { now: () => time * 1000 } })
  t.equal(await verify(), 'token_revoked')
  time += 16
  issuer.publish({ iat: time, exp: vectors.now + 9999 })
  t.ok(await until(async () => (await verify()) === 'accepted'), 'this one lives longer than its issuer said')
})

t.test('a document about to expire is asked for anew; an expired one is silence', { buffered: true }, async t => {
  const issuer = await issuerOf(t)
  let time = vectors.now
  issuer.document = documentOf({ exp: vectors.now + 30 })
  const { verify } = follow(t, issuer, { maxStaleSeconds: 2, options: { now: () => time * 1000 } })
  t.equal(await verify(), 'accepted')
  time += 29
  issuer.document = documentOf({ iat: time, exp: time + 30, sessions: [[other, claims.exp]] })
  const before = issuer.polls.length
  t.ok(await until(() => issuer.polls.slice(before).some(poll => poll.condition === undefined)))
  time += 29
  t.ok(await until(async () => (await verify()) === 'accepted'))
  issuer.outage = response => response.writeHead(304).end()
  time += 60
  t.ok(await until(async () => (await verify()) === 'revocations_stale'))
})

t.test('an expired document is silence at once, even while a poll waits', { buffered: true }, async t => {
  const issuer = await issuerOf(t)
  let time = vectors.now
  const { verify } = follow(t, issuer, { maxStaleSeconds: 60, options: { now: () => time * 1000 } })
  t.equal(await verify(), 'accepted')
  t.ok(await until(() => issuer.open.size === 1))
  time += 299
  t.equal(await verify(), 'accepted')
  time += 1
  t.equal(await verify(), 'revocations_stale')
})

t.test('how often it asks', { buffered: true }, async t => {
  const during = async (outage: (response: ServerResponse) => void) => {
    const issuer = await issuerOf(t)
    const { verify, verifier } = follow(t, issuer)
    await verify()
    issuer.outage = outage
    issuer.publish({})
    await pause(100)
    const before = issuer.polls.length
    await pause(3000)
    const polls = issuer.polls.length - before
    await verifier.close()
    return polls
  }
  const etag = { etag: '"9"' }
  const busy = { 'content-type': 'application/jwt', ...etag }
  const [grantsNoWait, alwaysNews, fails, asksForPatience] = await Promise.all([
    during(response => response.writeHead(304, etag).end()),
    during(response => response.writeHead(200, busy).end(documentOf({}))),
    during(response => response.writeHead(500).end()),
    during(response => response.writeHead(429, { 'retry-after': '60' }).end()),
  ])
  t.ok(grantsNoWait <= 4, `an issuer that grants no wait, in three seconds: ${grantsNoWait}`)
  t.ok(alwaysNews <= 16, `one that always has news: ${alwaysNews}`)
  t.ok(fails >= 2 && fails <= 8, `one that fails: ${fails}`)
  t.ok(asksForPatience <= 1, `one that asks for patience: ${asksForPatience}`)
})

t.test('answers that are no document', { buffered: true }, async t => {
  const answers: Record<string, (response: ServerResponse) => void> = {
    'another type': response => response.writeHead(200, { 'content-type': 'text/html' }).end(documentOf({})),
    'no type': response => response.writeHead(200).end(documentOf({})),
    'a redirect': response => response.writeHead(302, { location: '/elsewhere' }).end(),
    'not asked for 304': response => response.writeHead(304).end(),
    empty: response => response.writeHead(200, { 'content-type': 'application/jwt' }).end(),
    huge: response => response.writeHead(200, { 'content-type': 'application/jwt' }).end('a'.repeat(9 * 1024 * 1024)),
    unreadable: response => response.writeHead(200, { 'content-type': 'application/jwt' }).end('\xff\0'),
  }
  for (const [what, answer] of Object.entries(answers)) {
    const issuer = await issuerOf(t)
    issuer.outage = answer
    const { verify, problems, verifier } = follow(t, issuer)
    t.equal(await verify(), 'revocations_stale', what)
    t.equal(problems.length, 1, what)
    await verifier.close()
  }
})

t.test('a large document', { buffered: true }, async t => {
  const issuer = await issuerOf(t)
  const sessions = Array.from({ length: 50_000 }, (_, n) => [
    `01936f2a-7c02-7000-8000-${n.toString(16).padStart(12, '0')}`,
    claims.exp,
  ])
  issuer.document = documentOf({ sessions: [...sessions, [claims.sid, claims.exp]] })
  t.equal(await follow(t, issuer).verify(), 'token_revoked')
})

t.test('close ends it while a poll waits', { buffered: true }, async t => {
  const issuer = await issuerOf(t)
  const { verifier, verify, problems } = follow(t, issuer)
  await verify()
  t.ok(await until(() => issuer.open.size === 1))
  const began = performance.now()
  await verifier.close()
  t.ok(performance.now() - began < 500)
  t.ok(await until(() => issuer.open.size === 0), 'the issuer sees it go')
  const polls = issuer.polls.length
  await pause(500)
  t.equal(issuer.polls.length, polls)
  t.strictSame(problems, [])
  t.equal(await verify(), 'accepted', 'requests in flight are still answered')
  await verifier.close()
})

t.test('a process that has nothing else to do ends by itself', { buffered: true }, async t => {
  const issuer = await issuerOf(t)
  const kit = new URL('../../src/verifier/index.ts', import.meta.url).href
  const program = `
    import { createVerifier } from '${kit}'
    const verifier = createVerifier({
      issuer: '${vectors.issuer}', audience: '${claims.aud}', secret: '${secret}', now: () => ${now()},
      revocations: { url: '${issuer.base}/', clientId: 'api', clientSecret: 's', whenStale: 'reject', maxStaleSeconds: 4 },
    })
    console.log((await verifier.verify('${token}')).sub)
  `
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.on('data', chunk => {
    said += chunk
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000)
  const code = await new Promise(resolve => child.on('exit', resolve))
  clearTimeout(timer)
  t.equal(code, 0)
  t.equal(said.trim(), claims.sub)
})
