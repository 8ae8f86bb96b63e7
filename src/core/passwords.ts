/** Which passwords may be chosen, how they are hashed and compared, and the bounded lane in which that work is done. */
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { AuthError } from './errors.js'
import { type ForeignHash, readForeign } from './foreign-passwords.js'
import { createHashingThreads, type HashingThreads } from './hashing.js'

export type PasswordOptions = {
  /** bcrypt's work factor, 4 to 15. */
  cost: number
  /** In characters, that is code points. */
  minLength: number
  /** A secret kept outside the database, so that a stolen table is of no use. Losing it loses every password. */
  pepper?: string | undefined
  /** How many hashes are computed at a time. */
  concurrency: number
  /** How long a password may expect to wait for its turn; longer, and it is refused at once. */
  maxWaitMs?: number
}

export type Verdict = {
  matches: boolean
  /** It matches, but `hash` would store it otherwise today: time to store it anew. */
  outdated: boolean
}

export type Passwords = {
  /**
   * Lets pass what may be chosen as a password, by the holder of `email`.
   * Throws password_invalid, password_too_short, password_too_long, password_common.
   */
  check(password: string, email?: string): void
  /**
   * The form to store. Asks less than `check`, since a password from an older policy is stored anew too; only what
   * `verify` could never match is refused. Throws password_invalid, password_too_long, hashing_busy.
   */
  hash(password: string): Promise<string>
  /**
   * Whether this is the stored password. No stored hash, or one nothing can match, takes the same path through the
   * lane and the same work as a wrong password. Throws hashing_busy.
   */
  verify(password: string, stored: string | null | undefined): Promise<Verdict>
  /**
   * `verify`, and where it matches `hash` of the next password, as one job of the lane: whoever was let in is not refused
   * half way. Undefined: it does not match. Throws what both throw.
   */
  exchange(password: string, stored: string | null | undefined, next: string): Promise<string | undefined>
  /** For what is not worth beginning when there is no turn to be had. Throws hashing_busy. */
  demandTurn(): void
  /** Ends the threads that hash. */
  close(): Promise<void>
}

const maxLength = 128
/** In UTF-16 units. Nothing longer can have 128 characters, however decomposed, and composing it would take long. */
const longestSpelling = 8 * maxLength
/** bcrypt ignores every byte after these, without a word. */
const bcryptBytes = 72

type Key = { id: string; secret: string }
/** For passwords over 72 bytes where no pepper is set. It hides nothing; it keeps our hashes apart from anyone else's. */
const publicKey: Key = { id: '0', secret: 'gatehouse: password pre-hash, no pepper' }

/** Throws RangeError for options nothing could be hashed with. Takes the time of two hashes, to learn how long one is. */
export async function createPasswords(options: PasswordOptions): Promise<Passwords> {
  refuseUnusable(options)
  const { cost, minLength, pepper, concurrency, maxWaitMs = 2000 } = options
  const common = await commonPasswords()
  // For each that runs in the lane two: a hash of another scheme is computed beside the decoy.
  const threads = createHashingThreads(2 * concurrency)
  const scheme = createScheme(cost, pepper)
  const { decoy, hashMs } = await makeDecoy(cost, threads)
  const lane = createLane(concurrency, (maxWaitMs * concurrency) / hashMs)
  const bcryptMatches = (material: string, crypt: string) => threads.run('bcryptCompare', { material, crypt })

  const hashed = async (password: string): Promise<string> => {
    const spelling = password.normalize('NFC')
    const key = scheme.keyFor(spelling)
    return scheme.write(await threads.run('bcryptHash', { material: toMaterial(spelling, key), cost }), key)
  }

  const compare = async (spelling: string, row: Row | undefined): Promise<boolean> => {
    if (row && (row.key || fitsBcrypt(spelling))) {
      const matches = await bcryptMatches(toMaterial(spelling, row.key), row.crypt)
      await makeUpFor(row.cost)
      return matches
    }
    await bcryptMatches(toMaterial(spelling, scheme.keyFor(spelling)), decoy)
    return false
  }

  /**
   * A row of a smaller cost than today's is made up for by decoys of its cost and of each up to today's: their rounds add
   * up to those of one hash of today's. Whether or not it matches, or a disabled account would tell that it does.
   */
  const makeUpFor = async (rowCost: number): Promise<void> => {
    for (let next = rowCost; next < cost; next += 1) await bcryptMatches('', ofCost(decoy, next))
  }

  /**
   * A row of another system's scheme is compared beside the decoy, so that one that is cheaper than ours takes the time of an
   * unknown account, where there is a second core. What stays visible: one that is dearer takes its own time, and under
   * load both make others wait. It ends with the first sign-in, which stores the row anew.
   */
  const compareForeign = async (spelling: string, foreign: ForeignHash): Promise<boolean> => {
    const [matches] = await Promise.all([foreign.matches(spelling, threads), compare(spelling, undefined)])
    return matches
  }

  /** How much work the comparison is, and the comparison. */
  const comparison = (password: string, stored: string | null | undefined) => {
    const matchable = isWellFormed(password) && lengthOf(password) <= maxLength
    const row = matchable ? scheme.read(stored) : undefined
    const foreign = matchable && !row ? readForeign(stored) : undefined
    const spellings = matchable ? spellingsOf(password) : [password]
    const run = async (): Promise<Verdict> => {
      // Every account goes through every spelling: a row that ended this early would tell that it is there.
      for (const spelling of spellings) {
        const matches = foreign ? await compareForeign(spelling, foreign) : await compare(spelling, row)
        if (matches) return { matches, outdated: !row || !scheme.wouldStore(row, spelling) }
      }
      return { matches: false, outdated: false }
    }
    // A row of a greater cost, or of another scheme, is that much more work for the lane.
    const units = foreign ? 1 + foreign.rounds / 2 ** cost : 2 ** Math.max(0, (row?.cost ?? cost) - cost)
    return { units: spellings.length * units, run }
  }

  return {
    check(password, email) {
      if (!isWellFormed(password) || password.includes('\0')) throw new AuthError('password_invalid')
      const length = lengthOf(password)
      if (length < minLength) throw new AuthError('password_too_short')
      if (length > maxLength) throw new AuthError('password_too_long')
      const folded = fold(password)
      if (common.has(folded) || isOwnAddress(folded, email)) throw new AuthError('password_common')
    },

    async hash(password) {
      refuseUnmatchable(password)
      return lane.run(1, () => hashed(password))
    },

    async verify(password, stored) {
      const { units, run } = comparison(password, stored)
      return lane.run(units, run)
    },

    async exchange(password, stored, next) {
      refuseUnmatchable(next)
      const { units, run } = comparison(password, stored)
      return lane.run(units + 1, async () => ((await run()).matches ? hashed(next) : undefined))
    },

    demandTurn: lane.demandTurn,
    close: threads.close,
  }
}

function refuseUnmatchable(password: string): void {
  if (!isWellFormed(password)) throw new AuthError('password_invalid')
  if (lengthOf(password) > maxLength) throw new AuthError('password_too_long')
}

function refuseUnusable({ cost, concurrency, pepper }: PasswordOptions): void {
  if (!Number.isInteger(cost) || cost < 4 || cost > 15) throw new RangeError('The bcrypt cost must be 4 to 15')
  if (!Number.isInteger(concurrency) || concurrency < 1) throw new RangeError('At least one hash must run at a time')
  if (pepper === '') throw new RangeError('The pepper must not be empty')
}

/** A stored hash taken apart. With a key it is the bcrypt of an HMAC, without one that of the password itself. */
type Row = { version: string; cost: number; crypt: string; key: Key | undefined }

// Of bcrypt's versions $2x$ and $2$ are broken ones; a cost above 15 would hold the lane for seconds, or for days.
const storedForm = /^(?:\$h1\$([\w-]+)(?=\$2b\$))?\$2([aby])\$(0[4-9]|1[0-5])\$([./A-Za-z0-9]{53})$/

/**
 * What a row looks like: `$2b$…` of the password, or `$h1$<key id>$2b$…` of its HMAC, where bcrypt would not see all of
 * the password or where there is a pepper. The id tells which pepper, so that one can be recognised as not today's.
 */
function createScheme(cost: number, pepper: string | undefined) {
  const today = pepper === undefined ? undefined : { id: pepperId(pepper), secret: pepper }
  const known = today ? [publicKey, today] : [publicKey]
  const keyFor = (spelling: string): Key | undefined => today ?? (fitsBcrypt(spelling) ? undefined : publicKey)

  return {
    keyFor,

    write: (crypt: string, key: Key | undefined): string => (key ? `$h1$${key.id}${crypt}` : crypt),

    /** Undefined when no password can match: an unusable form, or a pepper we do not have. */
    read(stored: string | null | undefined): Row | undefined {
      const [, keyId, version, rowCost, digest] = storedForm.exec(stored ?? '') ?? []
      if (version === undefined) return undefined
      const key = known.find(({ id }) => id === keyId)
      if (keyId !== undefined && !key) return undefined
      // PHP's $2y$ is $2b$ by another name, one that bcrypt@6 answers with false.
      const crypt = `$2${version === 'a' ? 'a' : 'b'}$${rowCost}$${digest}`
      return { version, cost: Number(rowCost), crypt, key }
    },

    /** Whether such a row would be made today of the spelling that matched. */
    wouldStore(row: Row, spelling: string): boolean {
      const isOurs = row.version === 'b' && spelling === spelling.normalize('NFC')
      return isOurs && row.cost === cost && row.key === keyFor(spelling)
    },
  }
}

/** Tells whether a stored hash is one that some password can match here, of our scheme or of another's. */
export function createHashCheck(pepper: string | undefined): (stored: string) => boolean {
  const scheme = createScheme(4, pepper)
  return stored => scheme.read(stored) !== undefined || readForeign(stored) !== undefined
}

/** Names a pepper in a row. Guessing the pepper from it is what makes a long random one necessary. */
function pepperId(pepper: string): string {
  return createHash('sha256').update(`gatehouse: pepper id\0${pepper}`).digest('base64url').slice(0, 8)
}

/**
 * What bcrypt is given. Base64, since the bytes of an HMAC may hold a NUL, and 64 characters of it fit whole. A keyed
 * hash, since an unkeyed one could be tried against digests leaked elsewhere (OWASP Password Storage, pre-hashing).
 */
function toMaterial(spelling: string, key: Key | undefined): string {
  return key ? createHmac('sha384', key.secret).update(spelling, 'utf8').digest('base64') : spelling
}

function fitsBcrypt(spelling: string): boolean {
  return Buffer.byteLength(spelling, 'utf8') <= bcryptBytes
}

/** Composed (NFC), as we hash it; then as received, since an imported hash may be of a password nobody composed. */
function spellingsOf(password: string): string[] {
  return [...new Set([password.normalize('NFC'), password])]
}

/** In characters of the shorter spelling: how a keyboard composes, or NFC does, makes no password too long. */
function lengthOf(password: string): number {
  if (password.length > longestSpelling) return Number.POSITIVE_INFINITY
  return Math.min(...spellingsOf(password).map(spelling => [...spelling].length))
}

/** Lone surrogates all become U+FFFD in UTF-8: different passwords would match each other. */
function isWellFormed(password: string): boolean {
  return !/\p{Surrogate}/u.test(password)
}

/**
 * The decoy is what unknown accounts are compared with: of today's cost, and of a password nobody has. The better time
 * of two counts, since the first hash shares its core with the rest of a starting process.
 */
async function makeDecoy(cost: number, threads: HashingThreads): Promise<{ decoy: string; hashMs: number }> {
  const timed = async (): Promise<{ hash: string; ms: number }> => {
    const started = performance.now()
    const hash = await threads.run('bcryptHash', { material: randomBytes(32).toString('base64'), cost })
    return { hash, ms: performance.now() - started }
  }
  const first = await timed()
  const second = await timed()
  return { decoy: second.hash, hashMs: Math.min(first.ms, second.ms) }
}

/** A hash that nothing matches stays one at any cost. */
function ofCost(decoy: string, cost: number): string {
  return decoy.replace(/^(\$2b\$)\d\d/, `$1${String(cost).padStart(2, '0')}`)
}

/** One unit of work is one hash of today's cost. `run` is called when its turn has come, or never: hashing_busy. */
type Lane = {
  run<Result>(units: number, run: () => Promise<Result>): Promise<Result>
  demandTurn(): void
}

/**
 * First come, first served. Refusing looks at the work ahead only, not at the caller's own, so that it tells nothing
 * of the account, and it happens on arrival: who was let in is served.
 */
function createLane(concurrency: number, capacity: number): Lane {
  const waiting: (() => void)[] = []
  let running = 0
  let ahead = 0

  const leave = (units: number): void => {
    ahead -= units
    // A slot is handed over, never set free in between, where a newcomer could overtake.
    const next = waiting.shift()
    if (next) next()
    else running -= 1
  }

  const demandTurn = (): void => {
    if (running >= concurrency && ahead > capacity) throw new AuthError('hashing_busy')
  }

  return {
    demandTurn,

    async run(units, run) {
      demandTurn()
      ahead += units
      if (running < concurrency) running += 1
      else await new Promise<void>(resolve => waiting.push(resolve))
      try {
        return await run()
      } finally {
        leave(units)
      }
    },
  }
}

let loading: Promise<ReadonlySet<string>> | undefined

/** Loaded once, and only where passwords are: unpacking 49,000 of them costs some 25 ms and a few megabytes. */
function commonPasswords(): Promise<ReadonlySet<string>> {
  loading ??= loadCommonPasswords()
  return loading
}

async function loadCommonPasswords(): Promise<ReadonlySet<string>> {
  const { dictionary } = await import('@zxcvbn-ts/language-common')
  const longEnough = dictionary['passwords-common'].filter(password => password.length >= 8)
  return new Set(longEnough.map(fold)).add('gatehouse')
}

/** Case and width do not make a common password less common. */
function fold(text: string): string {
  return text.normalize('NFKC').toLowerCase()
}

function isOwnAddress(folded: string, email: string | undefined): boolean {
  if (email === undefined) return false
  const address = fold(email)
  return folded === address || folded === address.split('@', 1)[0]
}
