/** Accounts in and out by file: who is taken, who is refused and why, what a second run does, and that everybody can sign in. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import bcrypt from 'bcrypt'
import { hashPassword } from 'better-auth/crypto'
import { isNull } from 'drizzle-orm'
import t, { type Test } from 'tap'
import { createHashCheck } from '../../src/core/passwords.js'
import { DatabaseUnavailable } from '../../src/store/database.js'
import { createImportStore } from '../../src/store/imports.js'
import { profiles } from '../../src/store/schema.js'
import { exportUsers } from '../../src/users/export.js'
import { parseFirebaseProject } from '../../src/users/hashes.js'
import { type ImportOptions, importUsers, type Refused } from '../../src/users/import.js'
import { createProgress } from '../../src/users/progress.js'
import type { Format } from '../../src/users/read.js'
import { startApp, type TestService, testEnvironment } from '../helpers/app.js'

// It starts many services and processes, and starting takes seconds where there is little to compute with.
t.setTimeout(300_000)

const password = 'correct horse battery'
const hash = await bcrypt.hash(password, 4)
const id = '0197a0b4-6c1e-7cc3-9d7a-2f6a1f0c9a11'

/** What the other password schemes are asked is in test/core/foreign-passwords.test.ts. */
const rules = { isUsable: createHashCheck(undefined) }

type Given = Partial<Omit<ImportOptions, 'source' | 'format'>> & { format?: Format; chunk?: number }

/** Imports the text, or bytes, in pieces of a size that cuts lines and characters. */
async function take(service: TestService, content: string | Buffer, given: Given = {}) {
  const refused: Refused[] = []
  const { format = 'ndjson', chunk = 7, ...rest } = given
  const counts = await importUsers({
    source: inPieces(Buffer.from(content as string), chunk),
    format,
    store: createImportStore(service.database.db),
    rules,
    onRefused: line => void refused.push(line),
    ...rest,
  })
  return { counts, refused, reasons: refused.map(({ line, reason }) => `${line}: ${reason}`) }
}

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

const lines = (...records: unknown[]) =>
  records.map(record => `${typeof record === 'string' ? record : JSON.stringify(record)}\n`).join('')

async function exported(service: TestService, format: Format = 'ndjson', withHashes = true): Promise<string> {
  let text = ''
  const store = createImportStore(service.database.db)
  for await (const part of exportUsers({ store, format, withHashes })) text += part
  return text
}

const recordsOf = async (service: TestService) =>
  (await exported(service))
    .trim()
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))

async function login(service: TestService, username: string, word = password) {
  const payload = new URLSearchParams({ username, password: word }).toString()
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  return service.app.inject({ method: 'POST', url: '/auth/login', headers, payload })
}

const whole = {
  id,
  email: 'Ada@B\u00fccher.example',
  email_verified: true,
  name: 'Ada "the first", L\u00f6velace',
  image: 'https://example.com/a.png',
  hash,
  created: '2020-02-29 10:00:00.123456+01',
  personal_info: { city: 'Z\u00fcrich', pets: [{ name: 'Tux' }] },
  software_level: 'advanced',
  hardware_background: 'embedded systems',
  software_details: { primaryLanguages: ['C', 'Ada'], preferredOs: 'Linux' },
  hardware_details: { gpuFamiliarity: 'Basic' },
}
const stored = { ...whole, email: 'ada@xn--bcher-kva.example', created: '2020-02-29T09:00:00.123Z' }

t.test('every column, in NDJSON and in CSV', async t => {
  const service = await startApp(t)
  const { counts } = await take(service, lines(whole, { email: 'bare@example.com' }))
  t.same(counts, { read: 2, made: 2, there: 0, refused: 0 })
  const [first, second, ...none] = await recordsOf(service)
  t.same(first, stored)
  t.match(second, { email: 'bare@example.com', email_verified: false, id: /^[0-9a-f-]{36}$/ })
  t.notOk('hash' in second)
  t.same(none, [])

  await take(service, lines({ email: 'level@example.com', software_level: 'beginner' }))
  const untold = service.database.db.select().from(profiles).where(isNull(profiles.softwareDetails))
  t.equal((await untold).length, 1, 'what is not told is NULL, no JSON null')

  const other = await startApp(t)
  const quoted = (value: unknown) =>
    `"${(typeof value === 'object' ? JSON.stringify(value) : String(value)).replaceAll('"', '""')}"`
  const csv = `\ufeff${Object.keys(whole).join(',')}\r\n${Object.values(whole).map(quoted).join(',')}\r\n`
  t.same((await take(other, csv, { format: 'csv' })).reasons, [])
  t.same(await recordsOf(other), [stored])
})

t.test('signing in: the hash becomes ours at the first, and the next one works', async t => {
  const service = await startApp(t)
  const records = {
    'better-auth@example.com': await hashPassword(password),
    'bcrypt-y@example.com': hash.replace('$2b$', '$2y$'),
    'bcrypt-dear@example.com': await bcrypt.hash(password, 6),
    'argon2@example.com':
      'argon2$argon2id$v=19$m=1024,t=1,p=1$c29tZXNhbHQxMjM0$Jc0jJxeZ+PEY6C1xUWIt9SDKCVvLdr1lS98CmBDyazA',
  }
  const file = lines(...Object.entries(records).map(([email, hash]) => ({ email, hash })))
  t.same((await take(service, file)).counts, { read: 4, made: 4, there: 0, refused: 0 })
  const hashes = async () => new Map((await recordsOf(service)).map(({ email, hash }) => [email, hash]))
  const before = await hashes()
  for (const email of Object.keys(records)) {
    t.notMatch(before.get(email), /^\$2b\$04\$/)
    t.equal((await login(service, email, 'not the password')).statusCode, 401, email)
    t.equal((await hashes()).get(email), before.get(email), 'a wrong password changes nothing')
    t.equal((await login(service, email)).statusCode, 200, email)
    t.match((await hashes()).get(email), /^\$2b\$04\$/, `${email} is ours now`)
    t.equal((await login(service, email)).statusCode, 200, `${email}, again`)
    t.equal((await login(service, email, 'not the password')).statusCode, 401)
  }
  t.match((await login(service, 'argon2@example.com')).json(), { user: { email: 'argon2@example.com' } })
})

t.test('an account without a password, and one that is disabled', async t => {
  const service = await startApp(t)
  const disabled = '2024-01-01T00:00:00.000Z'
  await take(service, lines({ email: 'none@example.com' }, { email: 'off@example.com', hash, disabled }))
  for (const email of ['none@example.com', 'off@example.com', 'nobody@example.com'])
    t.equal((await login(service, email)).statusCode, 401, email)
})

t.test('R-34 what is refused, with its line and why', async t => {
  const service = await startApp(t)
  const { counts, reasons, refused } = await take(
    service,
    lines(
      { email: 'good@example.com', hash },
      'no json',
      '[1]',
      '',
      { name: 'nobody' },
      { email: 'no address' },
      { email: 'GOOD@example.com', hash },
      { email: 'dear@example.com', hash: hash.replace('$04$', '$31$') },
      { email: 'md5@example.com', hash: '5f4dcc3b5aa765d61d8327deb882cf99' },
      { email: 'a@example.com', passwrod: 'x' },
      { email: 'a@example.com', software_level: 'wizard' },
      { email: 'a@example.com', software_details: { primaryLanguages: 'C' } },
      { email: 'a@example.com', hardware_details: { cpu: 'Z80' } },
      { email: 'a@example.com', created: '2023-02-30T00:00:00Z' },
      { email: 'a@example.com', created: '2023-02-28T00:00:00' },
      { email: 'a@example.com', created: '2199-01-01T00:00:00Z' },
      { email: 'a@example.com', created: 1_486_324_060 },
      { email: 'a@example.com', id: '17' },
      { email: 'a@example.com', name: 'nul \0' },
      { email: 'a@example.com', name: '\ud800' },
      { email: 'a@example.com', name: 'x'.repeat(201) },
      `{"email":"a@example.com","personal_info":{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}}`,
      { email: 'a@example.com', name: 'x'.repeat(70_000) },
      { email: 'a@example.com', email_verified: 'yes' },
      { email: 'last@example.com', created: 1_486_324_060_000, id },
      { email: 'same-id@example.com', id: id.toUpperCase() },
    ),
    { chunk: 1000 },
  )
  t.same(reasons, [
    '2: the line is no JSON',
    '3: the line is no JSON object',
    '5: email is missing',
    '6: email is no address that is accepted',
    '7: the address is that of line 1 too',
    "8: bcrypt's cost is 31, and 4 to 15 is allowed",
    '9: the hash is of no form that is known',
    '10: there is no column "passwrod"',
    '11: software_level must be one of beginner, intermediate, advanced',
    '12: software_details must be a JSON object with the members and values that the documentation lists',
    '13: hardware_details must be a JSON object with the members and values that the documentation lists',
    ...[14, 15, 16, 17].map(
      line =>
        `${line}: created must be a time with its zone, such as 2024-05-31T10:00:00Z, or milliseconds since 1970, and not in the future`,
    ),
    '18: id must be a UUID',
    '19: name holds a character that cannot be stored, or is nested too deeply',
    '20: name holds a character that cannot be stored, or is nested too deeply',
    '21: name must be text of at most 200 characters',
    '22: personal_info holds a character that cannot be stored, or is nested too deeply',
    '23: the line is longer than 65536 bytes',
    '24: email_verified must be true or false',
    '26: the id is that of line 25 too',
  ])
  t.same(counts, { read: 25, made: 2, there: 0, refused: 23 })
  t.equal(refused.find(({ line }) => line === 7)?.email, 'good@example.com')
  t.notMatch(JSON.stringify(refused), /\$2b\$|5f4dcc3b/, 'no hash is told')
  t.same(
    (await recordsOf(service)).map(({ email, created }) => [email, email.startsWith('last') && created]),
    [
      ['good@example.com', false],
      ['last@example.com', '2017-02-05T19:47:40.000Z'],
    ],
  )
})

t.test('bad encodings', async t => {
  const service = await startApp(t)
  const latin = Buffer.from('{"email":"latin@example.com","name":"L\u00f6we"}\n', 'latin1')
  const cut = Buffer.concat([
    Buffer.from('{"email":"cut@example.com","name":"'),
    Buffer.from([0xe2, 0x82]),
    Buffer.from('"}\n'),
  ])
  const good = Buffer.from('\ufeff{"email":"good@example.com","name":"L\u00f6we \u{1f600}"}\r\n')
  const { reasons, counts } = await take(
    service,
    Buffer.concat([good, latin, cut, Buffer.from('{"email":"end@example.com"}')]),
    { chunk: 1 },
  )
  t.same(reasons, ['2: the line is not UTF-8', '3: the line is not UTF-8'])
  t.equal(counts.made, 2)
  t.equal((await recordsOf(service))[0].name, 'L\u00f6we \u{1f600}')

  const csv = Buffer.concat([
    Buffer.from('email,name\n1@example.com,"two\n'),
    Buffer.from([0xff]),
    Buffer.from(' lines"\n2@example.com,fine\n'),
  ])
  const inCsv = await take(service, csv, { format: 'csv' })
  t.same(inCsv.reasons, ['2: the line is not UTF-8'])
  t.equal(inCsv.counts.made, 1)
  await t.rejects(take(service, Buffer.from('\ufeffemail\n', 'utf16le')), { name: 'UnreadableFile', message: /UTF-16/ })
})

t.test('CSV as RFC 4180 has it', async t => {
  const service = await startApp(t)
  const file = [
    'email,name,email_verified',
    'plain@example.com,Plain,true',
    '"quoted@example.com","a ""b"", c",FALSE',
    '"lines@example.com","one\r\ntwo\n""three""",',
    '',
    'few@example.com,x',
    'many@example.com,x,true,more',
    'inner@example.com,a "quote" inside,true',
    'after@example.com,"closed" and on,true',
    ',nobody,true',
    'end@example.com,,t',
  ].join('\r\n')
  const { reasons, counts } = await take(service, file, { format: 'csv' })
  t.same(reasons, [
    '8: the line has 2 fields, and 3 columns are named',
    '9: the line has 4 fields, and 3 columns are named',
    '10: there is a quote inside a field that does not begin with one',
    '11: a quoted field is followed by something else than a comma',
    '12: email is missing',
  ])
  t.equal(counts.made, 4)
  t.same(
    (await recordsOf(service)).map(({ email, name, email_verified }) => [email, name, email_verified]),
    [
      ['plain@example.com', 'Plain', true],
      ['quoted@example.com', 'a "b", c', false],
      ['lines@example.com', 'one\r\ntwo\n"three"', false],
      ['end@example.com', undefined, true],
    ],
  )
  const refusal = (content: string) =>
    take(service, content, { format: 'csv' }).then(
      () => 'taken',
      error => error.message,
    )
  t.match(await refusal('email,password\na@example.com,x\n'), /^Unknown columns: password\. Known: id, email/)
  t.match(await refusal('email,email\n'), /named twice/)
  t.match(await refusal(''), /empty/)
  t.match(
    await refusal('email,name\nu1@example.com,x\nu2@example.com,"open\nu3@example.com,x\n'),
    /on line 3 is never closed/,
  )
  t.ok(
    (await recordsOf(service)).some(({ email }) => email === 'u1@example.com'),
    'what was read before is kept',
  )
})

t.test('a dry run tells the same and changes nothing', async t => {
  const service = await startApp(t)
  await take(service, lines({ email: 'there@example.com', id }))
  const before = await exported(service)
  const file = lines(
    { email: 'there@example.com' },
    { email: 'new@example.com' },
    { email: 'taken@example.com', id },
    'x',
  )
  const dry = await take(service, file, { dryRun: true })
  t.same(dry.counts, { read: 4, made: 1, there: 1, refused: 2 })
  t.equal(await exported(service), before)
  const wet = await take(service, file)
  t.same({ ...wet, refused: [] }, { ...dry, refused: [] })
  t.same(wet.reasons, ['4: the line is no JSON', '3: the id is that of another account'])
})

t.test('again, and after an interruption: nobody is lost, doubled or overwritten', async t => {
  const service = await startApp(t)
  await take(service, lines({ email: 'user700@example.com', name: 'Was here', hash, software_level: 'advanced' }))
  const file = lines(
    ...Array.from({ length: 1200 }, (_, index) => ({
      email: `user${index}@example.com`,
      name: `User ${index}`,
      software_level: 'beginner',
    })),
    { email: 'user3@example.com', name: 'A double' },
  )
  const controller = new AbortController()
  const first = await take(service, file, {
    chunk: 4096,
    signal: controller.signal,
    onProgress: () => controller.abort(),
  })
  t.equal(first.counts.made, 500, 'one batch')

  let failures = 2
  const store = createImportStore(service.database.db)
  const flaky: ImportOptions['store'] = {
    ...store,
    async insert(batch) {
      failures -= 1
      if (failures === 1) throw new DatabaseUnavailable('deadline')
      const fates = await store.insert(batch)
      // It was done, and the answer was lost.
      if (failures === 0) throw new DatabaseUnavailable('deadline')
      return fates
    },
  }
  const second = await take(service, file, { chunk: 4096, store: flaky })
  t.equal(second.counts.made + second.counts.there, 1200)
  t.same(second.reasons, ['1201: the address is that of line 4 too'])

  const third = await take(service, file, { chunk: 65_536 })
  t.same(third.counts, { read: 1201, made: 0, there: 1200, refused: 1 })
  const records = await recordsOf(service)
  t.equal(records.length, 1200)
  t.match(
    records.find(({ email }) => email === 'user700@example.com'),
    { name: 'Was here', hash, software_level: 'advanced' },
  )
  t.equal(records.find(({ email }) => email === 'user3@example.com').name, 'User 3')
})

t.test('what is no outage ends it at once', async t => {
  const service = await startApp(t)
  const store = createImportStore(service.database.db)
  const broken = { ...store, insert: () => Promise.reject(new TypeError('broken')) }
  await t.rejects(take(service, lines({ email: 'a@example.com' }), { store: broken }), { message: 'broken' })
})

t.test('export, and import into an empty database, in both formats', async t => {
  const service = await startApp(t)
  const awkward = { email: 'b@example.com', name: ' =1+1,"\r\n\u{1f600}', hash, software_details: {} }
  await take(service, lines(whole, awkward, { email: 'c@example.com', created: '2001-01-01T00:00:00Z' }))
  for (const format of ['ndjson', 'csv'] as const) {
    const file = await exported(service, format)
    const other = await startApp(t)
    t.same((await take(other, file, { format })).reasons, [])
    t.equal(await exported(other, format), file)
    t.equal((await login(other, whole.email)).statusCode, 200)
    t.notMatch(await exported(service, format, false), /\$2b\$|hash/, 'without hashes unless asked')
  }
  await service.database.db.update(profiles).set({ status: 'archived' })
  t.notMatch(await exported(service), /software_|hardware_/, 'an archived profile stays behind')
})

t.test('the parameters of a Firebase project, as the console shows them', async t => {
  const block = `hash_config {
  algorithm: SCRYPT,
  base64_signer_key: jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,
  base64_salt_separator: Bw==,
  rounds: 8,
  mem_cost: 14,
}`
  t.match(parseFirebaseProject(block), { saltSeparator: 'Bw==', rounds: 8, memCost: 14, signerKey: /^jxsp.*==$/ })
  t.equal(parseFirebaseProject(block.replace('rounds: 8', 'rounds: x')), undefined)
  t.equal(parseFirebaseProject(''), undefined)
})

t.test('progress: a bar on a terminal, plain lines elsewhere', async t => {
  const counts = { read: 500, made: 400, there: 90, refused: 10 }
  const draw = (isTTY: boolean, times: number[]) => {
    let written = ''
    let at = 0
    const out = { isTTY, columns: 60, write: (text: string) => (written += text) }
    const progress = createProgress({ out, size: 1000, bytesRead: () => 500, now: () => at })
    for (at of times) progress.show(counts)
    progress.end()
    return written
  }
  t.equal(
    draw(true, [1000, 1050]),
    `\r\x1b[K${'[############............] 50 % 500 read, 400 taken, 90 already there'.slice(0, 59)}\n`,
  )
  t.equal(draw(false, [1000, 9999]), '', 'seldom')
  t.equal(
    draw(false, [10_000, 15_000, 20_000]),
    [50, 25].map(rate => `50 % 500 read, 400 taken, 90 already there, 10 refused, ${rate} a second\n`).join(''),
  )
})

// ---------------------------------------------------------------------------------------------------------- The process

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const tsx = import.meta.resolve('tsx')

function start(cwd: string, args: string[], variables: Record<string, string> = {}): ChildProcess {
  const { DATA_DIR: _memory, ...environment } = testEnvironment
  return spawn(process.execPath, ['--import', tsx, cli, ...args], {
    cwd,
    env: { PATH: process.env.PATH, ...environment, ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function run(t: Test, args: string[], variables?: Record<string, string>) {
  const child = start(t.testdirName, args, variables)
  const told = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const)
    child[name]?.setEncoding('utf8').on('data', chunk => {
      told[name] += chunk
    })
  const [code] = await once(child, 'close')
  return { code, ...told }
}

t.test('the command line', async t => {
  const folder = t.testdir({
    'users.ndjson': lines({ email: 'a@example.com', hash }, { email: 'b@example.com' }),
    'bad.csv': `email,hash\nc@example.com,${hash}\nd@example.com,${hash.replace('$04$', '$31$')}\nc@example.com,\n`,
  })
  t.match(await run(t, ['--help']), { code: 0, stdout: /^Usage:/ })
  t.match(await run(t, ['users', 'import', 'users.ndjson', '--wet-run']), { code: 2, stderr: /--wet-run/ })
  t.match(await run(t, ['users', 'import', 'nowhere.csv']), {
    code: 2,
    stderr: 'nowhere.csv cannot be read (ENOENT).\n',
  })
  t.match(await run(t, ['users', 'import', 'users.ndjson', '--report', './users.ndjson']), {
    code: 2,
    stderr: /overwrite/,
  })
  t.match(await run(t, ['users', 'import', 'users.ndjson'], { BCRYPT_COST: '31' }), { code: 2, stderr: /BCRYPT_COST/ })

  t.same(await run(t, ['users', 'import', 'users.ndjson']), {
    code: 0,
    stdout: '2 read: 2 taken, 0 already there, 0 refused.\n',
    stderr: '',
  })
  t.same(await run(t, ['users', 'import', 'users.ndjson', '--dry-run']), {
    code: 0,
    stdout: 'Dry run, nothing written: of 2 read, 0 would be taken, 2 are already there, 0 would be refused.\n',
    stderr: '',
  })
  t.same(await run(t, ['users', 'import', 'bad.csv']), {
    code: 1,
    stdout: '3 read: 1 taken, 0 already there, 2 refused.\n',
    stderr:
      "line 3 (d@example.com): bcrypt's cost is 31, and 4 to 15 is allowed\nline 4 (c@example.com): the address is that of line 2 too\n",
  })
  const reported = await run(t, ['users', 'import', 'bad.csv', '--report', 'refused.ndjson'])
  t.same([reported.code, reported.stderr], [1, ''])
  t.same(
    readFileSync(join(folder, 'refused.ndjson'), 'utf8')
      .split('\n')
      .map(line => line && JSON.parse(line).line),
    [3, 4, ''],
  )

  const out = await run(t, ['users', 'export', '--with-hashes'])
  t.equal(out.code, 0)
  writeFileSync(join(folder, 'out.ndjson'), out.stdout)
  t.match(await run(t, ['users', 'import', 'out.ndjson'], { DATA_DIR: 'other' }), {
    code: 0,
    stdout: /^3 read: 3 taken/,
  })
  t.equal((await run(t, ['users', 'export', '--with-hashes'], { DATA_DIR: 'other' })).stdout, out.stdout)
})

t.test('the embedded database belongs to one process', async t => {
  t.testdir({ 'users.ndjson': lines({ email: 'a@example.com' }), '.data': { 'pglite.lock': String(process.pid) } })
  const { code, stderr } = await run(t, ['users', 'import', 'users.ndjson'])
  t.equal(code, 2)
  t.match(stderr, /is in use by process \d+.*stop the service first/s)
})
