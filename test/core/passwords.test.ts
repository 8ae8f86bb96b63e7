/** Passwords: what may be chosen, what matches, and that no answer and no full lane tells who has an account. */
import { createHash, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import bcrypt from 'bcrypt'
import t, { type Test } from 'tap'
import { createHashingThreads, type HashingThreads } from '../../src/core/hashing.js'
import { createPasswords, type PasswordOptions, type Passwords } from '../../src/core/passwords.js'

type Vector = { id: string; password?: string; hash: string; expect: string }
const readVectors = (name: string) => readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8')
const { vectors } = JSON.parse(readVectors('bcrypt_vectors.json')) as { vectors: Vector[] }

const cheap: PasswordOptions = { cost: 4, minLength: 8, concurrency: 2 }
const pepper = 'a pepper of at least thirty-two characters'
const right = { matches: true, outdated: false }
const stale = { matches: true, outdated: true }
const wrong = { matches: false, outdated: false }

const phrase = 'correct horse battery staple'
const long = 'a'.repeat(72)
const composed = 'caf\u00e9-passphrase'
const decomposed = 'cafe\u0301-passphrase'
const loneSurrogate = 'a lone \ud800 surrogate'

/** The code an action was refused with; undefined when it was not. The message must hold nothing but that code. */
async function codeOf(t: Test, action: () => unknown): Promise<string | undefined> {
  try {
    await action()
  } catch (error) {
    const { name, code, message, stack } = error as Error & { code: string }
    t.equal(name, 'AuthError')
    t.equal(message, code)
    t.notOk(stack?.includes(phrase), 'no password in the stack')
    return code
  }
  return undefined
}

t.test('F-21 R-30 every bcrypt vector', async t => {
  const passwords = await createPasswords(cheap)
  for (const { id, password = phrase, hash, expect } of vectors) {
    const verdict = await passwords.verify(password, hash)
    if (expect === 'match') t.same(verdict, { matches: true, outdated: !hash.startsWith('$2b$') }, id)
    else if (expect === 'match-after-rewrite') t.same(verdict, stale, id)
    else if (expect === 'policy') t.same(verdict, right, `${id}: we compose before we hash`)
    else if (expect === 'nomatch') t.same(verdict, wrong, id)
    else if (expect === 'import-refused-and-login-401-in-normal-time') t.same(verdict, wrong, id)
    else if (expect === 'library-match-service-reject') {
      t.ok(await bcrypt.compare(password, hash), `${id}: the library sees 72 bytes only`)
      t.same(verdict, wrong, id)
    } else t.fail(`${id} expects ${expect}, which this test does not know`)
  }
  t.equal(vectors.length, 18)
})

t.test('L-07 R-30 a password over 72 bytes is kept whole', async t => {
  const passwords = await createPasswords(cheap)
  const stored = await passwords.hash(`${long}b`)
  t.match(stored, /^\$h1\$0\$2b\$04\$[./A-Za-z0-9]{53}$/)
  passwords.check(`${long}b`)
  t.same(await passwords.verify(`${long}b`, stored), right)
  for (const other of [long, `${long}c`, `${long}bb`]) t.same(await passwords.verify(other, stored), wrong)

  const whole = await passwords.hash(long)
  t.match(whole, /^\$2b\$04\$/, '72 bytes still fit')
  t.same(await passwords.verify(long, whole), right)
  t.same(await passwords.verify(`${long}b`, whole), wrong)
})

t.test('128 characters of any script are kept exactly', async t => {
  const passwords = await createPasswords(cheap)
  const scripts = {
    latin: 'a',
    emoji: '\u{1f600}',
    han: '漢',
    'hangul, decomposed': '\u1112\u1161\u11ab',
    'latin, decomposed': 'e\u0301',
    // NFC takes this one letter apart.
    'devanagari qa': '\u0958',
    'kirat rai, decomposed': '\u{16d63}\u{16d67}\u{16d67}',
    'four marks deep': '\u03b1\u0313\u0300\u0345',
  }
  for (const [script, character] of Object.entries(scripts)) {
    const password = `${character.repeat(127)}b`
    passwords.check(password)
    const stored = await passwords.hash(password)
    t.same(await passwords.verify(password, stored), right, script)
    t.same(await passwords.verify(`${character.repeat(127)}c`, stored), wrong, `${script}: the last one counts`)
    t.same(await passwords.verify(character.repeat(127), stored), wrong, `${script}: and is not optional`)
    t.equal(await codeOf(t, () => passwords.check(`${password}b`)), 'password_too_long', script)
    t.equal(await codeOf(t, () => passwords.hash(`${password}b`)), 'password_too_long', script)
    t.same(await passwords.verify(`${password}b`, await bcrypt.hash(`${password}b`, 4)), wrong, `${script}: 129`)
  }
})

t.test('what may be chosen', async t => {
  const passwords = await createPasswords(cheap)
  const codeFor = (password: string, email?: string) => codeOf(t, () => passwords.check(password, email))

  t.test('L-05 L-06 length, in characters', async t => {
    for (const seven of ['', 'abcdefg', '\u{1f600}'.repeat(7), 'e\u0301'.repeat(7)]) {
      t.equal(await codeFor(seven), 'password_too_short')
    }
    for (const eight of ['abcdefgz', '\u{1f600}'.repeat(8), ' '.repeat(8)]) t.equal(await codeFor(eight), undefined)
    t.equal(await codeFor('a'.repeat(1e6)), 'password_too_long')

    const strict = await createPasswords({ ...cheap, minLength: 15 })
    t.equal(await codeOf(t, () => strict.check('fourteen chars')), 'password_too_short')
    t.equal(await codeOf(t, () => strict.check('fifteen letters')), undefined)
  })

  t.test('L-08 no rules of composition', async t => {
    for (const password of ['aaaaaaaaaaaaaaab', 'onlylowercaseletters', '4719364028']) {
      t.equal(await codeFor(password), undefined)
    }
  })

  t.test('well-formed Unicode without NUL', async t => {
    for (const password of ['nul \0 inside', loneSurrogate, '\udc00 first', 'last, long ago \ud83d']) {
      t.equal(await codeFor(password), 'password_invalid')
    }
    t.equal(await codeOf(t, () => passwords.hash(loneSurrogate)), 'password_invalid')
    t.same(await passwords.verify('a lone \udfff surrogate', await bcrypt.hash(loneSurrogate, 4)), wrong)
  })

  t.test('L-09 common ones are refused', async t => {
    const lines = readVectors('common-passwords-min8.txt').trimEnd().split('\n')
    t.equal(lines.length, 17_950)
    const accepted: string[] = []
    for (const line of lines) {
      for (const password of [line, line.toUpperCase()]) {
        try {
          passwords.check(password)
          accepted.push(password)
        } catch (error) {
          if ((error as { code: string }).code !== 'password_common') throw error
        }
      }
    }
    t.same(accepted, [])
    t.equal(await codeFor('PassWord'), 'password_common')
    t.equal(await codeFor('ｐａｓｓｗｏｒｄ'), 'password_common', 'in fullwidth letters')
    t.equal(await codeFor('Gatehouse'), 'password_common', 'the name of the service')
  })

  t.test('uncommon ones are not', async t => {
    const real = ['secure_password', 'securepassword123', 'SecurePassword123!', 'userpassword', 'hunter22hunter22']
    for (const password of real) t.equal(await codeFor(password, 'alice@example.com'), undefined, password)
  })

  t.test('L-09 the address of the account is refused, whole or up to the @', async t => {
    t.equal(await codeFor('alice.liddell', 'alice.liddell@example.com'), 'password_common')
    t.equal(await codeFor('Alice.Liddell@Example.com', 'alice.liddell@example.com'), 'password_common')
    t.equal(await codeFor('alice.liddell', 'Alice.Liddell@example.com'), 'password_common')
    t.equal(await codeFor('alice.liddell2', 'alice.liddell@example.com'), undefined)
    t.equal(await codeFor('example.com', 'alice.liddell@example.com'), undefined)
    t.equal(await codeFor('alice.liddell'), undefined)
  })
})

t.test('what is stored', async t => {
  const passwords = await createPasswords(cheap)
  t.match(await passwords.hash(phrase), /^\$2b\$04\$[./A-Za-z0-9]{53}$/)
  t.not(await passwords.hash(phrase), await passwords.hash(phrase), 'salted')
  t.ok(await bcrypt.compare(phrase, await passwords.hash(phrase)), 'plain bcrypt, which any other service can read')
  t.ok(await bcrypt.compare(composed, await passwords.hash(decomposed)), 'composed')
  const short = await passwords.hash('short')
  t.same(await passwords.verify('short', short), right, 'an older policy’s password can be stored anew')
  const withNul = await passwords.hash('nul \0 inside')
  t.same(await passwords.verify('nul \0 inside', withNul), right, 'one with a NUL too')
  t.same(await passwords.verify('nul \0 outside', withNul), wrong, 'and not only up to it')
})

t.test('spellings', async t => {
  const passwords = await createPasswords(cheap)
  const ours = await passwords.hash(decomposed)
  t.same(await passwords.verify(composed, ours), right)
  t.same(await passwords.verify(decomposed, ours), right)

  const imported = await bcrypt.hash(decomposed, 4)
  t.same(await passwords.verify(decomposed, imported), stale, 'as it was received elsewhere')
  t.same(await passwords.verify(composed, imported), wrong)

  t.same(await passwords.verify(` ${phrase}`, await passwords.hash(phrase)), wrong, 'no trimming')
  t.same(await passwords.verify('ﬁne passphrase', await passwords.hash('fine passphrase')), wrong, 'NFC, not NFKC')

  // 36 letters: 72 bytes composed, 108 as received. Cut, the latter would match any 24 letters.
  const many = 'e\u0301'.repeat(36)
  t.same(await passwords.verify(many, await bcrypt.hash(many, 4)), wrong, 'a spelling that is cut never matches')
  t.same(await passwords.verify(many, await passwords.hash(many)), right)
  // And the other way round: 36 bytes as received, 72 and more composed.
  const few = '\u0958'.repeat(13)
  t.same(await passwords.verify(few, await bcrypt.hash(few, 4)), stale, 'a spelling that fits may match')
})

t.test('pepper', async t => {
  const plain = await createPasswords(cheap)
  const peppered = await createPasswords({ ...cheap, pepper })
  const rotated = await createPasswords({ ...cheap, pepper: `${pepper}!` })
  const stored = await peppered.hash(phrase)

  t.match(stored, /^\$h1\$[\w-]{8}\$2b\$04\$[./A-Za-z0-9]{53}$/)
  t.notOk(stored.includes(pepper.slice(0, 8)))
  t.same(await peppered.verify(phrase, stored), right)
  t.same(await peppered.verify(`${phrase}r`, stored), wrong)
  t.same(await (await createPasswords({ ...cheap, pepper })).verify(phrase, stored), right, 'another replica')

  t.same(await plain.verify(phrase, stored), wrong, 'switched off')
  t.same(await rotated.verify(phrase, stored), wrong, 'another one')
  const foreign = stored.replace(/^\$h1\$[\w-]{8}/, (await rotated.hash(phrase)).slice(0, 12))
  t.same(await rotated.verify(phrase, foreign), wrong, 'the id alone opens nothing')
  t.same(await plain.verify(phrase, stored.replace(/^\$h1\$[\w-]{8}/, '$h1$0')), wrong)
  t.same(await plain.verify(phrase, stored.replace(/^\$h1\$[\w-]{8}/, '')), wrong)

  t.same(await peppered.verify(phrase, await plain.hash(phrase)), stale, 'a plain row from before')
  t.same(await peppered.verify(`${long}b`, await plain.hash(`${long}b`)), stale, 'a long one from before')
  t.same(await peppered.verify(`${long}b`, await peppered.hash(`${long}b`)), right)
  t.same(await peppered.verify(`${long}c`, await peppered.hash(`${long}b`)), wrong)
})

t.test('the pre-hash, step by step: rows outlive the code that made them', async t => {
  const preHash = (key: string, password: string) =>
    bcrypt.hash(createHmac('sha384', key).update(password).digest('base64'), 4)
  const id = createHash('sha256').update(`gatehouse: pepper id\0${pepper}`).digest('base64url').slice(0, 8)
  const peppered = await createPasswords({ ...cheap, pepper })
  t.equal((await peppered.hash(phrase)).slice(0, 13), `$h1$${id}$`)
  t.same(await peppered.verify(phrase, `$h1$${id}${await preHash(pepper, phrase)}`), right)
  t.same(await peppered.verify(decomposed, `$h1$${id}${await preHash(pepper, composed)}`), right)
  const tooLong = 'a'.repeat(129)
  t.same(await peppered.verify(tooLong, `$h1$${id}${await preHash(pepper, tooLong)}`), wrong)

  const plain = await createPasswords(cheap)
  const publicKey = 'gatehouse: password pre-hash, no pepper'
  t.same(await plain.verify(`${long}b`, `$h1$0${await preHash(publicKey, `${long}b`)}`), right)
  t.same(await plain.verify(phrase, `$h1$0${await preHash(publicKey, phrase)}`), stale, 'which needed none')
})

t.test('outdated', async t => {
  const today = await createPasswords({ ...cheap, cost: 5 })
  const four = await bcrypt.hash(phrase, 4)
  const five = await bcrypt.hash(phrase, 5)
  const six = await bcrypt.hash(phrase, 6)
  t.same(await today.verify(phrase, five), right)
  t.same(await today.verify(phrase, four), stale, 'cheaper')
  t.same(await today.verify(phrase, six), stale, 'dearer')
  t.same(await today.verify(phrase, five.replace('$2b$', '$2a$')), stale, '2a')
  t.same(await today.verify(phrase, five.replace('$2b$', '$2y$')), stale, '2y')
  t.same(await today.verify('another phrase', four), wrong, 'never without a match')

  const prehashed = await (await createPasswords({ ...cheap, cost: 5, pepper })).hash(phrase)
  t.same(await today.verify(phrase, prehashed), wrong)
  const longToday = await today.hash(`${long}b`)
  const longBefore = await (await createPasswords(cheap)).hash(`${long}b`)
  t.same(await today.verify(`${long}b`, longToday), right)
  t.same(await today.verify(`${long}b`, longBefore), stale)

  const again = await today.hash(phrase)
  t.same(await today.verify(phrase, again), right, 'and once stored anew it is not')
})

t.test('options nothing could be hashed with', async t => {
  const broken = [{ cost: 3 }, { cost: 16 }, { cost: 10.5 }, { cost: Number.NaN }, { concurrency: 0 }, { pepper: '' }]
  for (const options of broken) await t.rejects(createPasswords({ ...cheap, ...options }), RangeError)
})

type Module = typeof import('../../src/core/passwords.js')
type Work = Record<'bcryptHash' | 'bcryptCompare', (ask: { material: string; crypt: string }) => unknown>

/** The module, with threads that do as they are told. */
const load = (t: Test, work: Partial<Work>) => {
  const threads: HashingThreads = createHashingThreads(1)
  t.teardown(threads.close)
  const run = (job: keyof Work, ask: never) => work[job]?.(ask) ?? threads.run(job, ask)
  const hashing = { createHashingThreads: () => ({ run, close: threads.close }) }
  return t.mockImport<Module>('../../src/core/passwords.js', { '../../src/core/hashing.js': hashing })
}

const current = '$2b$05$GfH8AYQ8/MEhwuF6kJxpieItQRIXWPw8lIc5bXpevHdlTWJUgPB8S'
const unusable: Record<string, string | null | undefined> = {
  'no account': undefined,
  'no password': null,
  empty: '',
  marker: '!',
  'argon2, version 16': '$argon2id$v=16$m=65536,t=3,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG',
  '2x': current.replace('$2b$', '$2x$'),
  '2': current.replace('$2b$', '$2$'),
  'cost 3': current.replace('$05$', '$03$'),
  'cost 0': current.replace('$05$', '$00$'),
  'cost 16': current.replace('$05$', '$16$'),
  'cost 31': current.replace('$05$', '$31$'),
  'cost of one digit': current.replace('$05$', '$5$'),
  short: current.slice(0, -1),
  longer: `${current}x`,
  newline: `${current}\n`,
  'another alphabet': `${current.slice(0, -1)}+`,
  'another pepper': `$h1$AAAAAAAA${current}`,
  'no pepper id': `$h1$${current}`,
  'pre-hash in 2a': `$h1$0${current.replace('$2b$', '$2a$')}`,
  'another scheme': `$h2$0${current}`,
}

t.test('R-32 an account that is not there costs what a wrong password costs', async t => {
  const compared: string[] = []
  const bcryptCompare = ({ material, crypt }: { material: string; crypt: string }) => {
    compared.push(crypt)
    return bcrypt.compare(material, crypt)
  }
  const passwords = await (await load(t, { bcryptCompare })).createPasswords({ ...cheap, cost: 5 })
  const comparedFor = async (password: string, stored: string | null | undefined) => {
    compared.length = 0
    t.same(await passwords.verify(password, stored), wrong)
    return [...compared]
  }

  const [decoy = ''] = await comparedFor(phrase, undefined)
  t.match(decoy, /^\$2b\$05\$/, 'one hash of today’s cost')
  const tries = {
    ascii: phrase,
    empty: '',
    'in two spellings': decomposed,
    long: `${long}b`,
    loneSurrogate,
    129: 'é'.repeat(129),
  }
  for (const [what, password] of Object.entries(tries)) {
    const expected = what === 'in two spellings' ? [decoy, decoy] : [decoy]
    for (const [why, stored] of Object.entries(unusable)) {
      t.same(await comparedFor(password, stored), expected, `${what} against ${why}`)
    }
    const known = await comparedFor(password, current)
    t.same(
      known.map(hash => hash.slice(0, 7)),
      expected.map(() => '$2b$05$'),
      `${what} against an account`,
    )
  }
  t.same(await comparedFor(`${long}b`, await bcrypt.hash(`${long}b`, 5)), [decoy], 'nothing is cut to fit')
  t.same(await comparedFor(loneSurrogate, await bcrypt.hash(loneSurrogate, 5)), [decoy])
})

t.test(
  'a row of a smaller cost is as much work as an account that is not there, whether or not it matches',
  async t => {
    const rounds: number[] = []
    const bcryptCompare = ({ material, crypt }: { material: string; crypt: string }) => {
      rounds.push(2 ** Number(crypt.slice(4, 6)))
      return bcrypt.compare(material, crypt)
    }
    const passwords = await (await load(t, { bcryptCompare })).createPasswords({ ...cheap, cost: 8 })
    for (const cost of [4, 5, 7, 8]) {
      const stored = await bcrypt.hash(phrase, cost)
      for (const password of [phrase, `${phrase}!`]) {
        rounds.length = 0
        const { matches } = await passwords.verify(password, stored)
        t.equal(matches, password === phrase)
        t.equal(
          rounds.reduce((sum, each) => sum + each, 0),
          2 ** 8,
          `cost ${cost}: ${rounds}`,
        )
      }
    }
  },
)

/** bcrypt with its hands tied: a hash takes 100 ms by the clock, and a compare until the test ends it. */
async function openLane(t: Test, options: Partial<PasswordOptions>) {
  let clock = 0
  const ends: ((error?: Error) => void)[] = []
  const wait = () =>
    new Promise<void>((resolve, reject) => {
      ends.push(error => (error ? reject(error) : resolve()))
    })
  const seen = { started: 0, running: 0, most: 0 }
  const job = async <Result>(result: Result) => {
    seen.started += 1
    seen.running += 1
    seen.most = Math.max(seen.most, seen.running)
    await wait().finally(() => {
      seen.running -= 1
    })
    return result
  }
  let isOpen = false
  const tied = {
    bcryptHash: async () => {
      clock += 100
      return isOpen ? job(current) : current
    },
    bcryptCompare: () => job(true),
  }
  const { createPasswords } = await load(t, tied)
  const intercepted = t.intercept(performance, 'now', { value: () => clock })
  const passwords: Passwords = await createPasswords({ cost: 5, minLength: 8, concurrency: 1, ...options })
  intercepted.restore()
  isOpen = true

  const tick = () => new Promise(resolve => setImmediate(resolve))
  return {
    passwords,
    seen,
    tick,
    async end(error?: Error) {
      ends.shift()?.(error)
      await tick()
    },
    async endAll() {
      while (seen.running > 0) await this.end()
    },
  }
}

/** What became of each promise so far. */
function watch<Result>(promises: Promise<Result>[]): string[] {
  const states = promises.map(() => 'waiting')
  promises.forEach((promise, index) => {
    promise.then(
      () => {
        states[index] = 'served'
      },
      error => {
        states[index] = error.code ?? 'failed'
      },
    )
  })
  return states
}

const count = (states: string[], state: string) => states.filter(each => each === state).length

t.test('the lane runs so many at a time, first come, first served', async t => {
  const lane = await openLane(t, { concurrency: 3, maxWaitMs: 10_000 })
  const states = watch([...Array(10).keys()].map(() => lane.passwords.verify(phrase, current)))
  await lane.tick()
  t.equal(lane.seen.started, 3)
  for (let served = 1; served <= 10; served += 1) {
    await lane.end()
    t.same(
      states,
      [...Array(10).keys()].map(index => (index < served ? 'served' : 'waiting')),
    )
    t.equal(lane.seen.started, Math.min(10, served + 3))
  }
  t.equal(lane.seen.most, 3)
  t.equal(lane.seen.running, 0)
})

t.test('the lane is bounded, and who was let in is served', async t => {
  const lane = await openLane(t, { concurrency: 2, maxWaitMs: 1000 })
  const arrivals = [...Array(30).keys()].map(index =>
    index % 2 ? lane.passwords.hash(phrase) : lane.passwords.verify(phrase, current),
  )
  const states = watch<unknown>(arrivals)
  await lane.tick()
  // The 22nd would have 21 ahead of it, at two at a time and 100 ms each: more than a second.
  t.same(
    states,
    [...Array(30).keys()].map(index => (index < 21 ? 'waiting' : 'hashing_busy')),
  )
  t.equal(lane.seen.started, 2, 'refused before anything was hashed')

  await lane.end()
  const next = watch([lane.passwords.verify(phrase, current), lane.passwords.verify(phrase, current)])
  await lane.tick()
  t.same(next, ['waiting', 'hashing_busy'], 'one place was left')

  await lane.endAll()
  t.equal(count(states, 'served'), 21)
  t.same(next, ['served', 'hashing_busy'])
  t.equal(lane.seen.most, 2)

  const later = watch([lane.passwords.verify(phrase, current)])
  await lane.endAll()
  t.same(later, ['served'], 'and it is open again')
})

t.test('whoever asks waits in the same lane, and is refused by it alike', async t => {
  for (const [why, stored] of [['an account', current] as const, ...Object.entries(unusable)]) {
    for (const password of [phrase, decomposed, loneSurrogate, 'a'.repeat(129)]) {
      const lane = await openLane(t, { maxWaitMs: 150 })
      const first = watch([lane.passwords.hash(phrase)])
      await lane.tick()
      const states = watch([lane.passwords.verify(password, stored), lane.passwords.verify(password, stored)])
      await lane.tick()
      t.same(states.slice(0, 1), ['waiting'], why)
      t.equal(states[1], 'hashing_busy', why)
      t.equal(lane.seen.started, 1, `${why}: not before its turn`)
      await lane.endAll()
      t.same([...first, ...states], ['served', 'served', 'hashing_busy'], why)
    }
  }
})

t.test(
  'a refusal looks at what is ahead, not at the account: a dear row is let in and counts for those behind',
  async t => {
    const lane = await openLane(t, { maxWaitMs: 1000 })
    const dear = current.replace('$05$', '$12$')
    const states = watch([
      lane.passwords.verify(phrase, current),
      lane.passwords.verify(phrase, dear),
      lane.passwords.verify(phrase, current),
    ])
    await lane.tick()
    t.same(states, ['waiting', 'waiting', 'hashing_busy'])
    await lane.endAll()
    t.same(states, ['served', 'served', 'hashing_busy'])
  },
)

t.test('without patience only a free place is taken', async t => {
  const lane = await openLane(t, { maxWaitMs: 0 })
  const states = watch([lane.passwords.verify(phrase, current), lane.passwords.verify(phrase, current)])
  await lane.tick()
  t.same(states, ['waiting', 'hashing_busy'])
  await lane.endAll()
  t.same(states, ['served', 'hashing_busy'])
})

t.test('a hash that fails gives its place back', async t => {
  const lane = await openLane(t, { maxWaitMs: 1000 })
  const states = watch([lane.passwords.verify(phrase, current), lane.passwords.verify(phrase, current)])
  await lane.tick()
  await lane.end(new Error('out of memory'))
  await lane.endAll()
  t.same(states, ['failed', 'served'])
})

t.test('real hashes in a full lane', async t => {
  const passwords = await createPasswords({ ...cheap, concurrency: 2, maxWaitMs: 100 })
  const stored = await passwords.hash(phrase)
  const arrivals = [...Array(3000).keys()].map(index => passwords.verify(phrase, index % 2 ? stored : null))
  const settled = await Promise.allSettled(arrivals)
  const refused = settled.filter(each => each.status === 'rejected')
  t.ok(refused.length > 0, 'some were refused')
  t.ok(refused.every(each => each.reason.code === 'hashing_busy'))
  const served = settled.flatMap((each, index) => (each.status === 'fulfilled' ? [{ index, ...each.value }] : []))
  t.ok(served.length >= 2)
  t.ok(
    served.every(({ index, matches }) => matches === (index % 2 === 1)),
    'the others were answered rightly',
  )
  t.same(await passwords.verify(phrase, stored), right)
})
