/**
 * The programs of samples/verify, really run: each verifies the vectors of test/vectors/verifier with a library of its language, in
 * a folder of its own, with packages from the ordinary registries. Exits with 1 where a good token is refused, a bad one
 * taken, a toolchain missing or a lock file stale. With names of languages as arguments, only those.
 */
import { spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const vectors = join(root, 'test/vectors/verifier/tokens.json')
const deadline = 20 * 60_000

type Step = [command: string, ...args: string[]]
type Language = {
  name: string
  /** Run in a copy of the sample; the last one runs the vectors. */
  steps: Step[]
  environment?: Record<string, string>
  /** Files that the run must leave as they are checked in. */
  locks: string[]
}

const languages: Language[] = [
  {
    name: 'python',
    steps: [
      ['python3', '-m', 'venv', '.venv'],
      ['.venv/bin/python', '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', 'requirements.txt'],
      ['.venv/bin/python', '-m', 'pip', 'check'],
      ['.venv/bin/python', 'vectors.py', vectors],
    ],
    locks: ['requirements.txt'],
  },
  {
    name: 'go',
    steps: [
      ['go', 'vet', './...'],
      ['go', 'run', '.', vectors],
    ],
    environment: { GOFLAGS: '-mod=mod' },
    locks: ['go.mod', 'go.sum'],
  },
  {
    name: 'java',
    steps: [['mvn', '--quiet', '--batch-mode', 'compile', 'exec:java', `-Dexec.args=${vectors}`]],
    locks: ['pom.xml'],
  },
  {
    name: 'rust',
    steps: [['cargo', 'run', '--quiet', '--locked', '--', vectors]],
    environment: { CARGO_TARGET_DIR: 'target' },
    locks: ['Cargo.toml', 'Cargo.lock'],
  },
]

const asked = process.argv.slice(2)
const folder = await mkdtemp(join(tmpdir(), 'verifier-languages-'))
let failed = 0
try {
  for (const language of languages.filter(({ name }) => asked.length === 0 || asked.includes(name))) {
    const started = Date.now()
    const fault = await run(language).catch(error => String(error))
    const seconds = Math.round((Date.now() - started) / 1000)
    if (fault !== undefined) failed += 1
    console.log(`${fault === undefined ? 'ok  ' : 'FAIL'} ${language.name} (${seconds}s)${fault ? `: ${fault}` : ''}`)
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}
process.exitCode = failed === 0 ? 0 : 1

/** What went wrong, or undefined. */
async function run({ name, steps, environment, locks }: Language): Promise<string | undefined> {
  const sample = join(root, 'samples/verify', name)
  const copy = join(folder, name)
  await cp(sample, copy, { recursive: true })
  for (const step of steps) {
    const fault = await execute(step, copy, environment)
    if (fault !== undefined) return `${step.slice(0, 3).join(' ')}: ${fault}`
  }
  for (const lock of locks)
    if ((await readFile(join(sample, lock), 'utf8')) !== (await readFile(join(copy, lock), 'utf8')))
      return `${lock} is not what the run needs`
  return undefined
}

function execute([command, ...args]: Step, cwd: string, environment = {}): Promise<string | undefined> {
  return new Promise(resolve => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'inherit', 'inherit'],
      timeout: deadline,
      killSignal: 'SIGKILL',
    })
    child.on('error', error => resolve(error.message))
    child.on('exit', (code, signal) => resolve(code === 0 ? undefined : `ended with ${signal ?? code}`))
  })
}
