/** The cache by itself: it may forget too much, and must never remember what has ended. */
import t from 'tap'
import { createSessionCache, type KnownSession } from '../../src/core/session-cache.js'

const known = (id: string, accountId = 'account', expiresInMs = 60_000): KnownSession =>
  ({
    account: { id: accountId },
    session: { id, accountId, expiresAt: new Date(Date.now() + expiresInMs) },
    now: new Date(),
  }) as unknown as KnownSession

const open = (settings: { maxEntries?: number; maxAge?: number } = {}) => {
  let informed = true
  const cache = createSessionCache({ maxEntries: 10, maxAge: 30, isInformed: () => informed, ...settings })
  const load = (key: string, session: KnownSession) => cache.load(key, async () => session)
  return { cache, load, inform: (value: boolean) => (informed = value) }
}

t.test('it remembers by every key a session was asked with', async t => {
  const { cache, load } = open()
  const session = known('s1')
  await load('s1', session)
  await load('hash', session)
  t.equal(cache.find('s1')?.session.id, 's1')
  t.equal(cache.find('hash')?.session.id, 's1')
  cache.forgetSession('s1')
  t.equal(cache.find('s1'), undefined)
  t.equal(cache.find('hash'), undefined, 'the other key is forgotten too')
})

t.test('an account takes all its sessions along, and no others', async t => {
  const { cache, load } = open()
  await load('s1', known('s1', 'a'))
  await load('s2', known('s2', 'a'))
  await load('s3', known('s3', 'b'))
  cache.forgetAccount('a')
  t.same([cache.find('s1'), cache.find('s2')], [undefined, undefined])
  t.ok(cache.find('s3'))
})

t.test('an answer that was on its way when something ended is not remembered', async t => {
  const { cache } = open()
  const answer = await cache.load('s1', async () => {
    cache.forgetSession('s1')
    return known('s1')
  })
  t.ok(answer, 'the caller gets it')
  t.equal(cache.find('s1'), undefined, 'nobody else does')
  const ways: [string, () => void][] = [
    ['by another key', () => cache.forgetSession('s1')],
    ['by the account', () => cache.forgetAccount('account')],
    ['all', () => cache.forgetAll()],
    ['the key itself', () => cache.forget('hash')],
  ]
  for (const [name, forget] of ways) {
    await cache.load('hash', async () => {
      forget()
      return known('s1')
    })
    t.equal(cache.find('hash'), undefined, name)
  }
  await cache.load('hash', async () => {
    cache.forgetSession('s2')
    cache.forgetAccount('another')
    return known('s1')
  })
  t.ok(cache.find('hash'), 'what ended of others does not matter')
})

t.test('without news it knows nothing and learns nothing', async t => {
  const { cache, load, inform } = open()
  await load('s1', known('s1'))
  inform(false)
  t.equal(cache.find('s1'), undefined)
  await load('s2', known('s2'))
  inform(true)
  t.equal(cache.find('s2'), undefined)
})

t.test('sessions expire by the time that has passed since they were read', async t => {
  const { cache, load } = open()
  await load('s1', known('s1', 'a', 30))
  t.ok(cache.find('s1'))
  await new Promise(resolve => setTimeout(resolve, 50))
  t.equal(cache.find('s1'), undefined)
})

t.test('entries are asked for again after their time', async t => {
  const { cache, load } = open({ maxAge: 0.02 })
  await load('s1', known('s1'))
  await new Promise(resolve => setTimeout(resolve, 40))
  t.equal(cache.find('s1'), undefined)
})

t.test('it holds no more than it may, the oldest going first', async t => {
  const { cache, load } = open({ maxEntries: 2 })
  for (const id of ['s1', 's2', 's3']) await load(id, known(id))
  t.same(
    ['s1', 's2', 's3'].map(id => cache.find(id)?.session.id),
    [undefined, 's2', 's3'],
  )
})
