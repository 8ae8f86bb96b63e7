/** The threads that hash: what they leave alone, and what becomes of them. */
import { lookup } from 'node:dns/promises'
import { readdirSync, readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { createHashingThreads } from '../../src/core/hashing.js'

const material = 'correct horse battery staple'

t.test('events, files and names do not wait for hashing', async t => {
  const threads = createHashingThreads(4)
  t.teardown(threads.close)
  await threads.run('bcryptHash', { material, cost: 4 })
  const order: string[] = []
  const note = (name: string) => () => void order.push(name)
  // As many as libuv's pool has threads, and each some hundred milliseconds.
  const hashes = Array.from({ length: 4 }, () => threads.run('bcryptHash', { material, cost: 13 }).then(note('hash')))
  const others = [
    ...Array.from({ length: 20 }, () => stat('package.json').then(note('other'))),
    lookup('localhost').then(note('other')),
    ...Array.from({ length: 20 }, () => turn().then(note('other'))),
  ]
  await Promise.all([...hashes, ...others])
  t.strictSame(order, [...others.map(() => 'other'), ...hashes.map(() => 'hash')])
})

t.test(
  'hashing takes what the others leave',
  { skip: process.platform !== 'linux' && 'priorities are threads’ on Linux alone' },
  async t => {
    const threads = createHashingThreads(1)
    t.teardown(threads.close)
    await threads.run('bcryptHash', { material, cost: 4 })
    const nices = readdirSync('/proc/self/task').map(task =>
      niceOf(readFileSync(`/proc/self/task/${task}/stat`, 'utf8')),
    )
    t.equal(nices.filter(nice => nice === 10).length, 1, 'one thread has a lower priority')
    t.equal(niceOf(readFileSync('/proc/self/stat', 'utf8')), 0, 'the process has its own still')
  },
)

t.test('what the threads compute', async t => {
  const threads = createHashingThreads(1)
  t.teardown(threads.close)
  const crypt = await threads.run('bcryptHash', { material, cost: 4 })
  t.match(crypt, /^\$2b\$04\$/)
  t.equal(await threads.run('bcryptCompare', { material, crypt }), true)
  t.equal(await threads.run('bcryptCompare', { material: `${material}!`, crypt }), false)
})

t.test('a job that cannot be computed fails without its input, and the thread goes on', async t => {
  const threads = createHashingThreads(1)
  t.teardown(threads.close)
  const impossible = { password: material, salt: Buffer.alloc(8), length: 32, options: { N: 3 } }
  const failure = await threads.run('scrypt', impossible).catch((error: Error) => error)
  t.type(failure, Error)
  t.notMatch(String((failure as Error).stack), material)
  t.match(await threads.run('bcryptHash', { material, cost: 4 }), /^\$2b\$/)
})

t.test('closing fails what is being computed, and nothing waits for ever', async t => {
  const threads = createHashingThreads(1)
  const running = t.rejects(threads.run('bcryptHash', { material, cost: 15 }), /ended without an answer/)
  await threads.close()
  await running
})

/** The nineteenth field of proc(5)'s stat, counted after the name, which may hold spaces. */
const niceOf = (line: string): number => Number(line.slice(line.lastIndexOf(')') + 2).split(' ')[16])
