/** Hashes of other systems: each scheme against what that system itself made, and what is refused before anything is computed. */
import { hashPassword } from 'better-auth/crypto'
import t from 'tap'
import { readForeign } from '../../src/core/foreign-passwords.js'
import { createHashingThreads } from '../../src/core/hashing.js'
import { createHashCheck, createPasswords } from '../../src/core/passwords.js'
import { toStoredHash } from '../../src/users/hashes.js'

/** The example of github.com/firebase/scrypt. */
const firebase = {
  signerKey: 'jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==',
  saltSeparator: 'Bw==',
  rounds: 8,
  memCost: 14,
}
const firebaseHash = 'lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=='
const spoken = 'p\u00e4ssword \u{1f600}'

/** Made by Better Auth 1.7.7, Django 5.2.19 and argon2-cffi 25.1.0, which is the reference implementation. */
const vectors = {
  'Better Auth': {
    password: `${spoken} \ufb01`,
    written:
      'fb19b9b3ad7781c5a9bcfa3ac9d9f1d6:20102a7e177dd47e8de039ba21fa09082aa925b2eafa94ab54254653f1579188370f90db454ecb39ecd59b20ba67f51fd9d025ded69eb13c41642ee55db227bd',
  },
  Firebase: { password: 'user1password', written: `firebase$42xEC+ixf3L2lw==$${firebaseHash}` },
  'Django, PBKDF2 of SHA-256': {
    password: spoken,
    written: 'pbkdf2_sha256$1000000$seasalt2$R/lWjMmRI7/ajQTBiyutR+Sm9RYbqORsAKKXg4fHfUE=',
  },
  'Django, PBKDF2 of SHA-1': { password: spoken, written: 'pbkdf2_sha1$1000$seasalt2$Z9imnKDmugwDFW+bzSm0X2WvWu4=' },
  'Django, argon2': {
    password: spoken,
    written: 'argon2$argon2id$v=19$m=102400,t=2,p=8$c2Vhc2FsdDI$sSUo3DKVCIikZyauL0JrLtEvc8c+0St9Xoxt7KrLv6A',
  },
  argon2id: {
    password: spoken,
    written: '$argon2id$v=19$m=1024,t=2,p=2$c29tZXNhbHQxMjM0NTY3OA$4qqFAX8MqyWSWoUUC1WhHPs+Y8OQgD5uqaRVCpTaVS4',
  },
  argon2i: {
    password: spoken,
    written: '$argon2i$v=19$m=1024,t=2,p=2$c29tZXNhbHQxMjM0NTY3OA$xBsiFYYjFqOWneXn7IkgXNrULnfqB6h+u62bllPiADM',
  },
  argon2d: {
    password: spoken,
    written: '$argon2d$v=19$m=1024,t=2,p=2$c29tZXNhbHQxMjM0NTY3OA$IQ8o54QXFV8gGB2AWfhHsHCH1WnIrPYdIHzDnZXUqcI',
  },
}

const rules = { firebase, isUsable: createHashCheck(undefined) }

function storedOf(written: string): string {
  const answer = toStoredHash(written, rules)
  if ('reason' in answer) throw new Error(answer.reason)
  return answer.stored
}

const reasonOf = (written: string, project: typeof firebase | null = firebase) => {
  const answer = toStoredHash(written, { ...rules, firebase: project ?? undefined })
  return 'reason' in answer ? answer.reason : undefined
}

const threads = createHashingThreads(1)
t.teardown(threads.close)

for (const [name, { password, written }] of Object.entries(vectors)) {
  t.test(name, async t => {
    const stored = storedOf(written)
    t.match(stored, /^\$[a-z0-9-]+\$[^$]*\$/, 'a PHC string')
    t.equal(storedOf(stored), stored, 'what we store may be imported again')
    const foreign = readForeign(stored)
    t.ok(foreign)
    t.equal(await foreign?.matches(password, threads), true)
    t.equal(await foreign?.matches(`${password} `, threads), false)
    t.equal(await foreign?.matches('', threads), false)
    t.ok(foreign && foreign.rounds > 1 && foreign.rounds <= 2 ** 15, `${foreign?.rounds} rounds`)
  })
}

t.test('through the service: right, wrong, and always out of date', async t => {
  const passwords = await createPasswords({ cost: 4, minLength: 8, concurrency: 2 })
  for (const [name, { password, written }] of Object.entries(vectors)) {
    const stored = storedOf(written)
    t.same(await passwords.verify(password, stored), { matches: true, outdated: true }, name)
    t.same(await passwords.verify('not the password', stored), { matches: false, outdated: false }, name)
  }
  const stored = storedOf(vectors['Better Auth'].written)
  const next = await passwords.exchange(vectors['Better Auth'].password, stored, 'a passphrase of our own')
  t.match(next, /^\$2b\$04\$/)
  t.equal(await passwords.exchange('not the password', stored, 'a passphrase of our own'), undefined)
})

t.test('Better Auth composes by compatibility, whatever was typed', async t => {
  const foreign = readForeign(storedOf(await hashPassword('\ufb01ne caf\u00e9')))
  for (const typed of ['\ufb01ne caf\u00e9', 'fine cafe\u0301']) t.equal(await foreign?.matches(typed, threads), true)
})

t.test('what is composed otherwise than typed still matches', async t => {
  const passwords = await createPasswords({ cost: 4, minLength: 8, concurrency: 2 })
  // argon2id of 'cafe' with a combining accent, as somebody's keyboard sent it.
  const decomposed = await import('hash-wasm').then(({ argon2id }) =>
    argon2id({
      password: 'cafe\u0301',
      salt: 'somesalt',
      memorySize: 64,
      iterations: 1,
      parallelism: 1,
      hashLength: 32,
      outputType: 'encoded',
    }),
  )
  t.same(await passwords.verify('cafe\u0301', decomposed), { matches: true, outdated: true })
})

const salt = 'c29tZXNhbHQxMjM0NTY3OA'
const hash32 = '4qqFAX8MqyWSWoUUC1WhHPs+Y8OQgD5uqaRVCpTaVS4'

t.test('R-34 beyond the caps nothing is read, and a login takes the time of an unknown account', async t => {
  const passwords = await createPasswords({ cost: 4, minLength: 8, concurrency: 2 })
  const beyond = [
    `$argon2id$v=19$m=131073,t=1,p=1$${salt}$${hash32}`,
    `$argon2id$v=19$m=131072,t=5,p=1$${salt}$${hash32}`,
    `$argon2id$v=19$m=64,t=65,p=1$${salt}$${hash32}`,
    `$argon2id$v=19$m=1024,t=1,p=17$${salt}$${hash32}`,
    `$argon2id$v=19$m=4294967295,t=4294967295,p=1$${salt}$${hash32}`,
    `$pbkdf2-sha256$i=2000001$${salt}$${hash32}`,
    `$pbkdf2-sha256$i=99999999999$${salt}$${hash32}`,
    `$pbkdf2-sha256$i=1000$${salt}$${hash32}${hash32}`,
    `$better-auth-scrypt$ln=21,r=1,p=1$${salt}$${hash32}`,
    `$better-auth-scrypt$ln=17,r=9,p=1$${salt}$${hash32}`,
    `$better-auth-scrypt$ln=17,r=8,p=3$${salt}$${hash32}`,
    `$better-auth-scrypt$ln=10,r=8,p=17$${salt}$${hash32}`,
    `$firebase-scrypt$ln=18,r=8,key=${hash32},sep=Bw$${salt}$${hash32}`,
    '$2b$16$KwoRBIW7QCaUxn2uDOmUnuHqWLJv7mZXTCIPTy0UyGEr9HJ5S5N6q',
    '$2b$31$KwoRBIW7QCaUxn2uDOmUnuHqWLJv7mZXTCIPTy0UyGEr9HJ5S5N6q',
  ]
  for (const stored of beyond) {
    t.equal(readForeign(stored), undefined, stored)
    t.ok(reasonOf(stored), `${stored} is not imported`)
    const started = performance.now()
    t.same(await passwords.verify('any password', stored), { matches: false, outdated: false })
    t.ok(performance.now() - started < 500, 'and not computed')
  }
})

t.test('the most that is allowed is read', async t => {
  const within = [
    `$argon2id$v=19$m=131072,t=4,p=16$${salt}$${hash32}`,
    `$pbkdf2-sha256$i=2000000$${salt}$${hash32}`,
    `$better-auth-scrypt$ln=17,r=8,p=2$${salt}$${hash32}`,
  ]
  for (const stored of within) t.ok((readForeign(stored)?.rounds ?? 0) <= 2 ** 15, stored)
})

t.test('garbage is nothing', async t => {
  const garbage = [
    '',
    'secret',
    '$',
    '$$$$',
    `$argon2id$v=16$m=1024,t=2,p=2$${salt}$${hash32}`,
    `$argon2id$m=1024,t=2,p=2$${salt}$${hash32}`,
    `$argon2id$v=19$m=1024,t=2,p=2,keyid=1$${salt}$${hash32}`,
    `$argon2id$v=19$m=1024,t=2,p=2$${salt}$c2hvcnQ`,
    `$argon2id$v=19$m=1024,t=2,p=2$c2FsdA$${hash32}`,
    `$argon2id$v=19$m=0,t=2,p=2$${salt}$${hash32}`,
    `$argon2id$v=19$m=-1,t=2,p=2$${salt}$${hash32}`,
    `$argon2id$v=19$m=8,t=2,p=2$${salt}$${hash32}`,
    `$argon2id$v=19$m=1e3,t=2,p=2$${salt}$${hash32}`,
    `$argon2x$v=19$m=1024,t=2,p=2$${salt}$${hash32}`,
    `$constructor$m=1$${salt}$${hash32}`,
    `$pbkdf2-sha256$i=1000,x=1$${salt}$${hash32}`,
    `$pbkdf2-md5$i=1000$${salt}$${hash32}`,
    `$firebase-scrypt$ln=14,r=8,key=AAAA,sep=Bw$${salt}$${hash32}`,
    `$pbkdf2-sha256$i=1000$${salt}$${'A'.repeat(2000)}`,
  ]
  for (const stored of garbage) t.equal(readForeign(stored), undefined, stored.slice(0, 80))
  t.equal(readForeign(null), undefined)
  t.equal(readForeign(undefined), undefined)
})

t.test('R-34 why a hash is not imported', async t => {
  const bcrypt = 'KwoRBIW7QCaUxn2uDOmUnuHqWLJv7mZXTCIPTy0UyGEr9HJ5S5N6q'
  t.equal(reasonOf(`$2b$31$${bcrypt}`), "bcrypt's cost is 31, and 4 to 15 is allowed")
  t.equal(reasonOf(`$2a$03$${bcrypt}`), "bcrypt's cost is 03, and 4 to 15 is allowed")
  t.equal(reasonOf(`$2x$10$${bcrypt}`), "bcrypt's version 2x is a broken one")
  t.equal(reasonOf(`$2b$10$${bcrypt.slice(1)}`), 'the bcrypt hash is damaged')
  for (const version of ['a', 'b', 'y']) t.equal(storedOf(`$2${version}$10$${bcrypt}`), `$2${version}$10$${bcrypt}`)
  t.equal(storedOf(`bcrypt$$2b$12$${bcrypt}`), `$2b$12$${bcrypt}`, "Django's")
  t.match(reasonOf(`$h1$12345678$2b$10$${bcrypt}`), /PASSWORD_PEPPER/)
  t.match(reasonOf(vectors.Firebase.written, null), /--firebase-config/)
  for (const unknown of ['5f4dcc3b5aa765d61d8327deb882cf99', 'sha1$salt$abc', 'bcrypt_sha256$$2b$12$x', 'plain text'])
    t.equal(reasonOf(unknown), 'the hash is of no form that is known')
})
