/** The list of what was revoked, by itself: bounded, shared by those who ask together, and never older than the news. */
import t from 'tap'
import { createRevocations } from '../../src/core/revocations.js'
import type { Revocation } from '../../src/store/revocations.js'

const sessionRevoked = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'
const start = Date.UTC(2026, 10, 21)
const idOf = (number: number) => `01936f2a-7c01-7000-8000-${String(number).padStart(12, '0')}`

const revocation = (number: number, more: Partial<Revocation> = {}): Revocation => ({
  accountId: idOf(1000 + number),
  sessionId: idOf(number),
  revokedAt: new Date(start - number * 1000),
  sessionExpiresAt: new Date(start + 86_400_000),
  sliding: true,
  ...more,
})

/** Of a store that answers when it is told to; a document is the claims themselves. */
function open(mostEntries = 10) {
  let rows: Revocation[] = []
  let asked = 0
  let gate: Promise<void> | undefined
  const revocations = createRevocations({
    store: {
      listRelevant: async limit => {
        asked += 1
        const found = rows.slice(0, limit)
        await gate
        return found
      },
      deleteOver: async () => 0,
    },
    signer: { sign: (claims, typ) => JSON.stringify({ typ, ...claims }), verify: () => ({}) },
    settings: { issuer: 'us', audience: 'them', accessTtl: 1800, documentTtl: 300, mostEntries },
    now: () => start,
  })
  return {
    revocations,
    hold: (next: Revocation[]) => {
      rows = next
    },
    shut: (until: Promise<void> | undefined) => {
      gate = until
    },
    asked: () => asked,
    read: async () => {
      const answer = await revocations.read(() => false, 0)
      if (!('document' in answer)) throw new Error('nothing new')
      const { events, ...claims } = JSON.parse(answer.document)
      return { etag: answer.etag, claims, ...events[sessionRevoked] }
    },
  }
}

t.test('what is in a document', async t => {
  const { hold, read } = open()
  hold([
    revocation(1),
    revocation(2, { sliding: false }),
    revocation(3, { sessionId: null, sessionExpiresAt: null }),
    revocation(4, { sessionId: null, sliding: false }),
  ])
  const { claims, sessions, accounts, etag, ...rest } = await read()
  const seconds = start / 1000
  t.strictSame(claims, {
    typ: 'secevent+jwt',
    iss: 'us',
    aud: 'them',
    iat: seconds,
    exp: seconds + 300,
    jti: `${etag.slice(1, -1)}.${seconds}`,
  })
  t.strictSame(sessions, [
    [idOf(1), seconds - 1 + 1 + 1800],
    [idOf(2), seconds + 86_400 + 1],
  ])
  t.strictSame(accounts, [
    [idOf(1003), seconds - 2, seconds - 2 + 1800],
    [idOf(1004), seconds - 3, seconds + 86_400 + 1],
  ])
  t.strictSame(rest, {}, 'as long as all of it fits')
})

t.test('more than it can hold: the oldest become one moment, before which everything is void', async t => {
  const { hold, read } = open(3)
  hold([1, 2, 3].map(number => revocation(number)))
  t.equal((await read()).before, undefined)
  const full = open(3)
  full.hold([1, 2, 3, 4, 5, 6].map(number => revocation(number)))
  const { sessions, before } = await full.read()
  t.strictSame(
    sessions.map(([sid]: [string]) => sid),
    [1, 2, 3].map(idOf),
    'the newest stay by name',
  )
  t.equal(before, start / 1000 - 4 + 1, 'the newest of those left out')
})

t.test('who asks together is answered by one statement', async t => {
  const { hold, read, asked } = open()
  hold([revocation(1)])
  await Promise.all([read(), read(), read()])
  await read()
  t.equal(asked(), 1)
})

t.test('an answer from before the news is not taken for one from after it', async t => {
  const { revocations, hold, shut, read, asked } = open()
  let release = () => {}
  shut(
    new Promise(resolve => {
      release = resolve
    }),
  )
  const early = read()
  hold([revocation(1)])
  revocations.tell()
  shut(undefined)
  const late = read()
  release()
  t.strictSame((await early).sessions, [])
  t.strictSame((await late).sessions.length, 1)
  t.equal(asked(), 2)
  t.strictSame((await read()).sessions.length, 1, 'and the late one is what is remembered')
})

t.test('a follower waits until there is news, or for as long as it asked', async t => {
  const { revocations, hold, read } = open()
  const { etag } = await read()
  const isKnown = (each: string) => each === etag
  t.strictSame(await revocations.read(isKnown, 20), { unchanged: etag })
  const waiting = revocations.read(isKnown, 10_000)
  hold([revocation(1)])
  revocations.tell()
  t.match(await waiting, { document: String })
  const again = open()
  const known = await again.read()
  const unheard = again.revocations.read(each => each === known.etag, 10_000)
  again.hold([revocation(1)])
  t.match(await unheard, { document: String }, 'without news, within a second or so')
})

t.test('closing lets everybody go', async t => {
  const { revocations, read } = open()
  const { etag } = await read()
  const waiting = [1, 2].map(() => revocations.read(each => each === etag, 60_000))
  revocations.close()
  t.strictSame(await Promise.all(waiting), [{ unchanged: etag }, { unchanged: etag }])
})

t.test('a statement that failed is asked again', async t => {
  const { revocations, shut, read } = open()
  const failure = Promise.reject(new Error('away'))
  failure.catch(() => {})
  shut(failure)
  await t.rejects(
    revocations.read(() => false, 0),
    { message: 'away' },
  )
  shut(undefined)
  t.strictSame((await read()).sessions, [])
})
