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
import { createCipheriv, timingSafeEqual } from 'node:crypto'
import type { HashingThreads } from './hashing.js'

export type ForeignHash = {
  /** The work of one comparison, measured in rounds of bcrypt: those of cost 12 are 4096. */
  rounds: number
  matches(password: string, threads: HashingThreads): Promise<boolean>
}

/** Salt, hash and parameters as they are written; what they may be is each scheme's own affair. */
type Written = { salt: Buffer; hash: Buffer; parameters: ReadonlyMap<string, string> }
type Derive = (password: string, threads: HashingThreads) => Promise<Uint8Array>
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
    matches: async (password, threads) => {
      const derived = await derive(password, threads)
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

/** OpenSSL counts a little more than the table that the work is done on. */
const scryptBy =
  (salt: Uint8Array, length: number, cost: ScryptCost): Derive =>
  (password, threads) =>
    threads.run('scrypt', { password, salt, length, options: { ...cost, maxmem: 2 * mostMemory } })

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
  const derive = scryptBy(written.salt, written.hash.length, cost)
  return {
    rounds: scryptRounds(cost),
    derive: (password, threads) => derive(password.normalize('NFKC'), threads),
  }
}

/** Firebase stores the project's signer key, encrypted with what scrypt makes of the password (github.com/firebase/scrypt). */
const firebaseScrypt: Scheme = written => {
  const cost = scryptCost(written, 1)
  if (!cost || !hasOnly(written, 'ln', 'r', 'key', 'sep')) return undefined
  const signerKey = decode(written.parameters.get('key'))
  const salt = Buffer.concat([written.salt, decode(written.parameters.get('sep'))])
  if (signerKey.length !== written.hash.length) return undefined
  const deriveKey = scryptBy(salt, 32, cost)
  return {
    rounds: scryptRounds(cost),
    derive: async (password, threads) => {
      const key = await deriveKey(password, threads)
      return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(signerKey)
    },
  }
}

// --------------------------------------------------------------------------------------------------------- PBKDF2

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
      derive: (password, threads) => threads.run('pbkdf2', { password, salt, iterations, length: hash.length, digest }),
    }
  }

// --------------------------------------------------------------------------------------------------------- argon2

type ArgonName = 'argon2id' | 'argon2i' | 'argon2d'

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
      derive: async (password, threads) =>
        password === '' ? Buffer.alloc(0) : threads.run('argon2', { name, options: { password, ...cost } }),
    }
  }

const schemes: ReadonlyMap<string, Scheme> = new Map([
  ['better-auth-scrypt', betterAuthScrypt],
  ['firebase-scrypt', firebaseScrypt],
  ['pbkdf2-sha256', pbkdf2By('sha256')],
  ['pbkdf2-sha1', pbkdf2By('sha1')],
  ...(['argon2id', 'argon2i', 'argon2d'] as const).map(name => [name, argon2By(name)] as const),
])
