/**
 * Password hashes of other systems, as accounts bring them along when they are imported: recognised, capped, compared. The
 * first sign-in replaces them with a hash of ours; nothing here makes one.
 *
 * Each is stored in one self-describing form, a PHC string; base64 is the standard one without padding:
 *
 *     $better-auth-scrypt$ln=14,r=16,p=1$<salt>$<hash>
 *     $firebase-scrypt$ln=14,r=8,key=<signer key>,sep=<salt separator>$<salt>$<hash>
 *     $pbkdf2-sha256$i=600000$<salt>$<hash>              also pbkdf2-sha1
 *     $argon2id$v=19$m=65536,t=3,p=4$<salt>$<hash>       also argon2i and argon2d
 *
 * bcrypt is our own scheme, and read where that is.
 */
import { createCipheriv, pbkdf2, scrypt, timingSafeEqual } from 'node:crypto'
import { createRequire } from 'node:module'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'

export type ForeignHash = {
  /** The work of one comparison, measured in rounds of bcrypt: those of cost 12 are 4096. */
  rounds: number
  matches(password: string): Promise<boolean>
}

/** Salt, hash and parameters as they are written; what they may be is each scheme's own affair. */
type Written = { salt: Buffer; hash: Buffer; parameters: ReadonlyMap<string, string> }
type Derive = (password: string) => Promise<Buffer>
type Scheme = (written: Written) => { rounds: number; derive: Derive } | undefined

/**
 * Whoever may write a hash into the import file must not set our bill by it. The work allowed is about that of bcrypt's
 * cost 14, half of what our own rows may ask; the memory is per lane, of which there is one fewer than there are cores.
 */
const mostMemory = 128 * 1024 * 1024
const mostIterations = 2_000_000
const mostArgonWork = 2 ** 19
const mostScryptWork = 2 ** 21
const longestForm = 1024

/** What a round of bcrypt is in the units of the others, on the machines this was measured on; the lane needs no more. */
const scryptPerRound = 160
const iterationsPerRound = 200
const argonPerRound = 25

/** The stored hash as something to compare passwords with. Undefined: no form of ours, or one beyond the caps. */
export function readForeign(stored: string | null | undefined): ForeignHash | undefined {
  if (!stored || stored.length > longestForm) return undefined
  const [, name = '', pairs = '', salt, hash] = storedForm.exec(stored) ?? []
  const written = { salt: decode(salt), hash: decode(hash), parameters: toParameters(pairs) }
  const scheme = schemes.get(name)
  if (!scheme || !isSane(written)) return undefined
  const read = scheme(written)
  if (!read) return undefined
  const { rounds, derive } = read
  return {
    rounds,
    matches: async password => {
      const derived = await derive(password)
      return derived.length === written.hash.length && timingSafeEqual(derived, written.hash)
    },
  }
}

const storedForm =
  /^\$([a-z0-9-]{1,32})\$((?:v=19\$)?[a-z]+=[^$,]+(?:,[a-z]+=[^$,]+)*)\$([A-Za-z0-9+/]*)\$([A-Za-z0-9+/]+)$/

/** Shorter hashes are matched by chance, and longer ones are nobody's. */
function isSane({ salt, hash }: { salt: Buffer | undefined; hash: Buffer | undefined }): boolean {
  return !!salt && !!hash && salt.length <= 128 && hash.length >= 16 && hash.length <= 128
}

const decode = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64')

const toParameters = (pairs: string): ReadonlyMap<string, string> =>
  new Map(
    pairs.split(/[$,]/).map(pair => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)] as const),
  )

/** The whole number of that name, from 1 to the most that is allowed. */
function numberOf({ parameters }: Written, name: string, most: number): number | undefined {
  const text = parameters.get(name) ?? ''
  return /^[1-9][0-9]{0,9}$/.test(text) && Number(text) <= most ? Number(text) : undefined
}

const hasOnly = ({ parameters }: Written, ...names: string[]): boolean =>
  parameters.size === names.length && names.every(name => parameters.has(name))

// --------------------------------------------------------------------------------------------------------- scrypt

type ScryptCost = { N: number; r: number; p: number }

const runScrypt = promisify<string, Buffer, number, ScryptCost & { maxmem: number }, Buffer>(scrypt)

/** OpenSSL counts a little more than the table that the work is done on. */
const derivedByScrypt = (password: string, salt: Buffer, length: number, cost: ScryptCost): Promise<Buffer> =>
  runScrypt(password, salt, length, { ...cost, maxmem: 2 * mostMemory })

function scryptCost(written: Written, p: number | undefined): ScryptCost | undefined {
  const ln = numberOf(written, 'ln', 20)
  const r = numberOf(written, 'r', 64)
  if (ln === undefined || r === undefined || p === undefined) return undefined
  const N = 2 ** ln
  return 128 * N * r <= mostMemory && N * r * p <= mostScryptWork ? { N, r, p } : undefined
}

const scryptRounds = ({ N, r, p }: ScryptCost): number => (N * r * p) / scryptPerRound

/** Better Auth composes by compatibility (NFKC) before it hashes, and salts with the letters that spell its salt. */
const betterAuthScrypt: Scheme = written => {
  const cost = scryptCost(written, numberOf(written, 'p', 16))
  if (!cost || !hasOnly(written, 'ln', 'r', 'p')) return undefined
  const { salt, hash } = written
  return {
    rounds: scryptRounds(cost),
    derive: password => derivedByScrypt(password.normalize('NFKC'), salt, hash.length, cost),
  }
}

/** Firebase stores the project's signer key, encrypted with what scrypt makes of the password (github.com/firebase/scrypt). */
const firebaseScrypt: Scheme = written => {
  const cost = scryptCost(written, 1)
  if (!cost || !hasOnly(written, 'ln', 'r', 'key', 'sep')) return undefined
  const signerKey = decode(written.parameters.get('key'))
  const salt = Buffer.concat([written.salt, decode(written.parameters.get('sep'))])
  if (signerKey.length !== written.hash.length) return undefined
  return {
    rounds: scryptRounds(cost),
    derive: async password => {
      const key = await derivedByScrypt(password, salt, 32, cost)
      return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(signerKey)
    },
  }
}

// --------------------------------------------------------------------------------------------------------- PBKDF2

const runPbkdf2 = promisify(pbkdf2)

const pbkdf2By =
  (digest: 'sha1' | 'sha256'): Scheme =>
  written => {
    const iterations = numberOf(written, 'i', mostIterations)
    if (iterations === undefined || !hasOnly(written, 'i')) return undefined
    const { salt, hash } = written
    // Beyond the digest's own length every block would be as much work again.
    if (hash.length > (digest === 'sha1' ? 20 : 32)) return undefined
    return {
      rounds: iterations / iterationsPerRound,
      derive: password => runPbkdf2(password, salt, iterations, hash.length, digest),
    }
  }

// --------------------------------------------------------------------------------------------------------- argon2

type ArgonName = 'argon2id' | 'argon2i' | 'argon2d'
type ArgonOptions = {
  password: string
  salt: Uint8Array
  memorySize: number
  iterations: number
  parallelism: number
  hashLength: number
  outputType: 'binary'
}

const argon2By =
  (name: ArgonName): Scheme =>
  written => {
    const memorySize = numberOf(written, 'm', mostMemory / 1024)
    const iterations = numberOf(written, 't', 64)
    const parallelism = numberOf(written, 'p', 16)
    if (memorySize === undefined || iterations === undefined || parallelism === undefined) return undefined
    const isPossible = memorySize >= 8 * parallelism && written.salt.length >= 8 && written.parameters.get('v') === '19'
    if (!isPossible || memorySize * iterations > mostArgonWork || !hasOnly(written, 'v', 'm', 't', 'p'))
      return undefined
    const { salt, hash } = written
    const cost = { salt, memorySize, iterations, parallelism, hashLength: hash.length, outputType: 'binary' } as const
    return {
      rounds: (memorySize * iterations) / argonPerRound,
      // The library refuses the empty password, which nobody has.
      derive: async password => (password === '' ? Buffer.alloc(0) : runArgon2(name, { password, ...cost })),
    }
  }

const libraryPath = createRequire(import.meta.url).resolve('hash-wasm')

/** As text, since there is no file that is the same for source and build; a worker's `require` would start at its folder. */
const workerSource = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { library, name, options } = workerData
  require(library)[name](options).then(hash => parentPort.postMessage(hash))
`

/** WebAssembly computes where it is called, so it is called in a thread of its own, which gives its memory back when it ends. */
function runArgon2(name: ArgonName, options: ArgonOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const workerData = { library: libraryPath, name, options }
    const worker = new Worker(workerSource, { eval: true, workerData, execArgv: [], env: {} })
    worker.once('message', (hash: Uint8Array) => resolve(Buffer.from(hash)))
    // What the library says may repeat its input.
    worker.once('error', () => reject(new Error('argon2 could not be computed')))
    worker.once('exit', () => reject(new Error('argon2 ended without an answer')))
  })
}

const schemes: ReadonlyMap<string, Scheme> = new Map([
  ['better-auth-scrypt', betterAuthScrypt],
  ['firebase-scrypt', firebaseScrypt],
  ['pbkdf2-sha256', pbkdf2By('sha256')],
  ['pbkdf2-sha1', pbkdf2By('sha1')],
  ...(['argon2id', 'argon2i', 'argon2d'] as const).map(name => [name, argon2By(name)] as const),
])
