/** The judgement of the timing run by itself: that it alarms where there is something, and how often where there is nothing. */
import t from 'tap'
import { isBeyond, noticeable, type Pair, quantileOf, shiftOf, shuffled } from '../helpers/timing.js'

/** The same numbers in every run (mulberry32). */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** What a hash takes on a shared machine: 55 ms, a slow drift, some noise, and every other time a long wait for the core. */
function createClock(random: () => number) {
  let tries = 0
  return (): number => {
    tries += 1
    const drift = 4 * Math.sin(tries / 300)
    const noise = -0.5 * Math.log(1 - random())
    return 55 + drift + noise + (random() < 0.5 ? 50 * random() : 0)
  }
}

const pairsOf = (clock: () => number, count: number, extra = 0): Pair[] =>
  Array.from({ length: count }, () => [clock() + extra, clock()])

t.test('the interval is that of fair coins', async t => {
  // Ten pairs far apart: with ten tosses only ten heads are as rare as one in a thousand, and these are ten heads.
  const apart = Array.from({ length: 10 }, (_, index): Pair => [100 + index, index])
  const rare = shiftOf(apart, 0.5, 2 / 1024)
  t.equal(rare.shift, 100)
  t.ok(rare.low > 85 && rare.low < 100, `${rare.low}`)
  const rarer = shiftOf(apart, 0.5, 1.9 / 1024)
  t.ok(rarer.low < 0, 'ten tosses cannot show anything rarer')
  t.notOk(isBeyond(rarer, 1))
  t.equal(quantileOf([5, 1, 9], 0.5), 5)
  t.equal(quantileOf([5, 1, 9, 3], 0.25), 1)
})

t.test('a shift of 3 ms alarms, either way, and none does not', async t => {
  const alpha = 1e-4 / 150
  const random = createRandom(1)
  for (const tries of [70, 350]) {
    for (const extra of [3, -3, 55, -55, 0]) {
      const found = shiftOf(pairsOf(createClock(random), tries, extra), 0.25, alpha)
      const told = `${tries} tries, ${extra} ms: ${JSON.stringify(found)}`
      if (tries === 350 || Math.abs(extra) !== 3) t.equal(isBeyond(found, 1), extra !== 0, told)
      t.ok(found.low <= extra && extra <= found.high, `the interval holds the truth: ${told}`)
      if (tries === 350) t.ok(noticeable(found, 1) < 3, `${noticeable(found, 1)} ms would have been noticed`)
    }
  }
})

t.test('false alarms are as rare as is said, in noise of any shape', async t => {
  const alpha = 0.05
  const random = createRandom(3)
  const runs = 2000
  const shapes: [string, () => number][] = [
    ['a shared machine', createClock(random)],
    ['even', random],
    ['no mean at all', () => Math.tan(Math.PI * (random() - 0.5))],
  ]
  for (const [name, noise] of shapes) {
    for (const quantile of [0.25, 0.5]) {
      let alarms = 0
      for (let run = 0; run < runs; run += 1) if (isBeyond(shiftOf(pairsOf(noise, 40), quantile, alpha), 0)) alarms += 1
      // Of 2000 runs 100 may alarm, give or take three times ten; fewer do, for so few coins have no fall of just that chance.
      t.ok(alarms / runs < alpha + 0.015, `${name}: ${alarms} of ${runs}`)
      t.ok(alarms / runs > alpha / 5, `${name}: ${alarms} of ${runs}, and the interval is not wide for nothing`)
    }
  }
})

t.test('an order of chance holds everything once', async t => {
  const random = createRandom(4)
  const firsts = new Map<string, number>()
  for (let run = 0; run < 3000; run += 1) {
    const order = shuffled(['a', 'b', 'c'], random)
    t.strictSame([...order].sort(), ['a', 'b', 'c'])
    firsts.set(order[0] as string, (firsts.get(order[0] as string) ?? 0) + 1)
  }
  for (const [item, count] of firsts) t.ok(count > 900 && count < 1100, `${item} came first ${count} times`)
})
