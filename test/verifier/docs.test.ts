/** What is said about the kit: the page's examples compile, its tables are complete, and the kit depends on nothing. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'
import * as kit from '../../src/verifier/index.js'
import { vectors } from './vectors.js'

const top = new URL('../../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, top), 'utf8')
const page = read('docs/verifying.md')

t.test('the kit depends on node:crypto and on nothing else', async t => {
  const folder = new URL('src/verifier/', top)
  for (const name of readdirSync(folder)) {
    const imported = [...read(`src/verifier/${name}`).matchAll(/(?:from|import)\s*\(?'([^']+)'/g)].map(
      ([, from]) => from,
    )
    t.strictSame(
      imported.filter(from => !/^(\.\/[\w-]+\.js|node:crypto)$/.test(String(from))),
      [],
      name,
    )
  }
})

t.test('what the package exports', async t => {
  const { exports } = JSON.parse(read('package.json'))
  const entry = { types: './dist/verifier/index.d.ts', default: './dist/verifier/index.js' }
  t.strictSame(exports, { './verifier': entry })
  t.strictSame(
    Object.keys(kit).sort(),
    ['BearerRejected', 'TokenRefused', 'connectBearer', 'createVerifier', 'fastifyBearer', 'refusalReasons'].sort(),
  )
})

t.test('the examples in TypeScript compile', async t => {
  const examples = [...page.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => String(code))
  t.equal(examples.length, 3)
  const sources = new Map(
    examples.map((code, n) => [
      fileURLToPath(new URL(`test/verifier/example-${n}.ts`, top)),
      code.replaceAll("'gatehouse/verifier'", "'../../src/verifier/index.js'"),
    ]),
  )
  const { config } = ts.readConfigFile(fileURLToPath(new URL('tsconfig.json', top)), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, fileURLToPath(top))
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile, getSourceFile } = host
  host.fileExists = name => sources.has(name) || fileExists(name)
  host.readFile = name => sources.get(name) ?? readFile(name)
  host.getSourceFile = (name, ...rest) => {
    const source = sources.get(name)
    return source === undefined
      ? getSourceFile(name, ...rest)
      : ts.createSourceFile(name, source, ts.ScriptTarget.ES2023)
  }
  const program = ts.createProgram([...sources.keys()], options, host)
  const faults = [...sources.keys()].flatMap(name => {
    const file = program.getSourceFile(name)
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
  })
  t.strictSame(
    faults.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n')),
    [],
  )
})

t.test('every option and every reason is on the page', async t => {
  for (const reason of kit.refusalReasons) t.ok(page.includes(`\`${reason}\``), reason)
  const type = /export type VerifierOptions = \{(.*?)\n\}/s.exec(read('src/verifier/verifier.ts'))?.[1] ?? ''
  const options = [...type.matchAll(/^ {2}(\w+)\??:/gm)].map(([, name]) => String(name))
  t.ok(options.length > 5)
  for (const option of options) t.match(page, new RegExp(`^\\| \`${option}\``, 'm'), option)
})

t.test('every vector a sample lets through is on the page', async t => {
  const cases = new Set(vectors.bad.map(({ id }) => id.replace(/^[he]s256-/, '')))
  const table = page.slice(page.indexOf('What is left, and why'), page.indexOf('## HS256'))
  const listed = new Set([...table.matchAll(/`([\w-]+)`/g)].map(([, name]) => String(name)))
  const named = new Set<string>()
  for (const path of ['python/vectors.py', 'go/vectors.go', 'java/src/main/java/Vectors.java', 'rust/src/main.rs'])
    for (const [, name] of read(`samples/verify/${path}`).matchAll(/"(?:[he]s256)?-?([a-z][\w-]+)"/g))
      if (cases.has(String(name))) named.add(String(name))
  t.strictSame([...named].sort(), [...listed].sort())
  for (const name of listed) t.ok(cases.has(name), `${name} is a vector`)
})

t.test('packages are pinned, and no lock file names a place', async t => {
  const locks = {
    'python/requirements.txt': /^(?:[\w-]+==[\d.]+\n)+$/,
    'go/go.sum': /^(?:github\.com\/golang-jwt\/jwt\/v5 v[\d.]+(?:\/go\.mod)? h1:[\w+/=]+\n)+$/,
    'go/go.mod': /require github\.com\/golang-jwt\/jwt\/v5 v[\d.]+\n$/,
  }
  for (const [path, form] of Object.entries(locks)) t.match(read(`samples/verify/${path}`), form, path)
  const sources = [...read('samples/verify/rust/Cargo.lock').matchAll(/^source = "(.*)"$/gm)].map(
    ([, source]) => source,
  )
  t.strictSame([...new Set(sources)], ['registry+https://github.com/rust-lang/crates.io-index'])
  t.notMatch(read('samples/verify/java/pom.xml'), /repositor|SNAPSHOT|LATEST|\[/)
  for (const line of read('samples/verify/rust/Cargo.toml').match(/^\w+ = .*\d\.\d.*$/gm) ?? [])
    if (!line.startsWith('version')) t.match(line, /"=\d/)
})
