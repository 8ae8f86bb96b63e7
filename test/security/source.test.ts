/** What no request can show: how SQL is written, how tokens are verified, and what we are built from. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter(path => path.endsWith('.ts'))
  .map(path => join('src', path))

/** Every line of src that matches, as `path: line`. */
const linesWith = (pattern: RegExp): string[] =>
  sources.flatMap(path =>
    read(path)
      .split('\n')
      .filter(line => pattern.test(line))
      .map(line => `${path}: ${line.trim()}`),
  )

t.test('A-10 R-29 no SQL is put together from anything but constants of ours', async t => {
  // Each of these is a name or a number of this code base. A line that is added here has to be shown to be one as well.
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: these are lines of source.
  const known = [
    "src/store/schema.ts: sql`${column} in (${sql.raw(values.map(value => `'${value}'`).join(', '))})`",
    'src/store/imports.ts: columns.map(column => sql.identifier(column.name)),',
    "src/store/imports.ts: const member = (name: string) => sql`nullif(given.background -> ${sql.raw(`'${name}'`)}, 'null'::jsonb)`",
  ]
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: these were lines of source.
  t.strictSame(linesWith(/sql\.(raw|identifier)\b|StringChunk/).sort(), known.sort())

  // The driver takes a text and its parameters apart; the rest are the pool's and the migrator's own statements.
  const driver = linesWith(/\bunsafe\(/)
  for (const line of driver) t.match(line, /^src\/store\/(database|changes|migrate)\.ts: /)
  for (const line of driver.filter(line => /\$\{/.test(line)))
    t.match(line, /\.unsafe\(`(listen \$\{channel\}|select pg_advisory_lock\(\$\{lockId\}\))`\)/)
  t.match(read('src/store/changes.ts'), /^const channel = '\w+'$/m)
  t.match(read('src/store/migrate.ts'), /^const lockId = [\d_]+n?$/m)

  const outside = linesWith(/from '(drizzle-orm|postgres|@electric-sql)/).filter(line => !line.startsWith('src/store/'))
  t.strictSame(outside, [], 'no other floor speaks to the database')
})

t.test('R-04 R-05 tokens are verified without a cache and without regular expressions in options', async t => {
  const options = /verify: \{[^}]*\}/.exec(read('src/http/signer.ts'))?.[0] ?? ''
  t.match(options, /cache: false/)
  t.match(options, /algorithms: \[key\.alg\]/)
  t.strictSame(linesWith(/allowed(Iss|Aud|Sub|Jti|Nonce)|\bcache: (true|\d)/), [])
  t.strictSame(linesWith(/jwtVerify|jwtDecode|\.jwt\.decode/), [], 'nor by the decorators that answer 500')
})

t.test('A-04 the lenient parser is nowhere', async t => {
  t.strictSame(linesWith(/insecureHTTPParser|insecure-http-parser/), [])
  for (const path of ['package.json', 'Dockerfile', 'compose.yaml', '.env.example'])
    t.notMatch(read(path), /insecure-http-parser|NODE_TLS_REJECT_UNAUTHORIZED/, path)
})

type Lock = { packages: Record<string, { version?: string; integrity?: string; resolved?: string }> }
const lock: Lock = JSON.parse(read('package-lock.json'))

/** Every version that is installed of a package, at any depth. */
const versionsOf = (name: string): string[] =>
  Object.entries(lock.packages)
    .filter(([path]) => path.endsWith(`node_modules/${name}`))
    .map(([, { version = '' }]) => version)

const isAtLeast = (version: string, least: string): boolean => {
  const [have, need] = [version, least].map(text => text.split('.').map(Number))
  const index = need?.findIndex((part, at) => part !== have?.[at]) ?? -1
  return index === -1 || (have?.[index] ?? 0) > (need?.[index] ?? 0)
}

t.test('A-11 R-25 R-26 R-29 nothing older than the releases that fixed what is known', async t => {
  const least = {
    'fast-jwt': '6.3.2',
    '@fastify/jwt': '10.2.8',
    fastify: '5.8.5',
    'drizzle-orm': '0.45.2',
    cookie: '1.0.0',
    bcrypt: '5.0.0',
  }
  for (const [name, version] of Object.entries(least)) {
    const installed = versionsOf(name)
    t.ok(installed.length > 0, `${name} is there`)
    for (const each of installed) t.ok(isAtLeast(each, version), `${name} ${each} is ${version} or later`)
  }
  t.ok(isAtLeast('1.10.0', '1.9.9') && !isAtLeast('1.9.9', '1.10.0'), 'by number, not by letter')
})

t.test('A-11 what is installed is what is written, and runs no script on the way', async t => {
  const { dependencies, devDependencies } = JSON.parse(read('package.json'))
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies }))
    t.match(version, /^\d+\.\d+\.\d+$/, `${name} is pinned`)
  for (const [path, { integrity, resolved }] of Object.entries(lock.packages)) {
    if (path === '' || resolved === undefined) continue
    t.match(integrity, /^sha512-/, `${path} has a checksum`)
    t.match(resolved, /^https:\/\/registry\.npmjs\.org\//, path)
  }
  t.match(read('.npmrc'), /^ignore-scripts=true$/m)
  t.match(read('Dockerfile'), /npm ci/)
})
