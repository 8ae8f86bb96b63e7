/** Secrets and keys from the environment: refused where they are weak, made where nobody set them, gathered into rings. */
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { asymmetricKey, asymmetricKeys, BadKey, type Key, type KeyRing, secretKey } from './core/keys.js'

type Given = Readonly<Record<string, string>>

export type Secrets = {
  access: KeyRing
  refresh: KeyRing
  /** Signs cookies: never shared with verifiers, as JWT_SECRET may be. The current one first, then those that still verify. */
  cookies: readonly string[]
  /** Names of the secrets that were made because nobody set them. */
  made: readonly string[]
}

const accessNames = ['JWT_SECRET', 'BETTER_AUTH_SECRET', 'JWT_SECRETS_PREVIOUS', 'JWT_SECRETS_NEXT']
const refreshNames = ['REFRESH_TOKEN_SECRET', 'REFRESH_TOKEN_SECRETS_PREVIOUS', 'REFRESH_TOKEN_SECRETS_NEXT']
/** Variables that hold several secrets, separated by commas. */
const isList = (name: string): boolean => /_(PREVIOUS|NEXT)$/.test(name)

/** What is wrong with the secrets and keys that are set. A sentence names its variable and never a value. */
export function secretFaults(given: Given): string[] {
  const faults = [...accessNames, ...refreshNames, 'PASSWORD_PEPPER'].flatMap(name => {
    const weakness = secretsIn(given, name)
      .map(secret => weaknessOf(secret) ?? (name === 'PASSWORD_PEPPER' ? undefined : oddityOf(secret)))
      .find(found => found !== undefined)
    return weakness === undefined ? [] : `${name} ${weakness}`
  })
  const access = new Set(accessNames.flatMap(name => secretsIn(given, name)))
  for (const name of refreshNames)
    if (secretsIn(given, name).some(secret => access.has(secret))) faults.push(`${name} must differ from JWT_SECRET`)
  const { JWT_SECRET: one, BETTER_AUTH_SECRET: other = one } = given
  if (one !== undefined && one !== other)
    faults.push('BETTER_AUTH_SECRET is another name of JWT_SECRET: set one of them')
  return [...faults, ...keyFaults(given)]
}

/** The rings of an environment that `secretFaults` finds nothing wrong with. */
export function gatherSecrets(given: Given, dataDir: string): Secrets {
  const refresh = given.REFRESH_TOKEN_SECRET
  const access = given.JWT_SECRET ?? given.BETTER_AUTH_SECRET
  const signing = given.JWT_PRIVATE_KEY === undefined ? undefined : asymmetricKey(given.JWT_PRIVATE_KEY)
  const made = [...(access || signing ? [] : ['JWT_SECRET']), ...(refresh ? [] : ['REFRESH_TOKEN_SECRET'])]
  const kept = made.length > 0 ? readOrMakeSecrets(dataDir) : undefined

  const accessSecret = access ?? (signing ? undefined : kept?.access)
  const refreshSecret = refresh ?? kept?.refresh ?? ''
  const accessKeys = [
    ...(signing ? [signing] : []),
    ...(accessSecret ? [secretKey(accessSecret)] : []),
    ...othersOf(given, 'JWT_SECRETS'),
    ...(given.JWT_PUBLIC_KEYS ? asymmetricKeys(given.JWT_PUBLIC_KEYS) : []),
  ]
  const refreshKeys = [secretKey(refreshSecret), ...othersOf(given, 'REFRESH_TOKEN_SECRETS')]
  return {
    access: toRing(accessKeys),
    refresh: toRing(refreshKeys),
    cookies: refreshKeys.map(key => key.verifying),
    made,
  }
}

const othersOf = (given: Given, name: 'JWT_SECRETS' | 'REFRESH_TOKEN_SECRETS'): Key[] =>
  [...secretsIn(given, `${name}_PREVIOUS`), ...secretsIn(given, `${name}_NEXT`)].map(secretKey)

function toRing([current, ...rest]: Key[]): KeyRing {
  if (!current) throw new Error('a ring needs a key')
  const others = new Map(rest.map(key => [key.kid, key]))
  others.delete(current.kid)
  return { current, others: [...others.values()] }
}

/** One secret, or where the variable is a list, several separated by commas. */
const secretsIn = (given: Given, name: string): string[] => {
  const value = given[name]
  if (value === undefined) return []
  return isList(name)
    ? value
        .split(',')
        .map(secret => secret.trim())
        .filter(secret => secret !== '')
    : [value]
}

/** RFC 8725 section 3.5, and the algorithm confusions of CVE-2023-48223 and its successors: a key of another kind is no secret. */
function weaknessOf(secret: string): string | undefined {
  if (secret.includes('-----BEGIN')) return 'holds a PEM key; HS256 needs a random secret'
  if (/^\s*[{[]/.test(secret)) return 'holds a JSON key; HS256 needs a random secret'
  if (Buffer.byteLength(secret) < 32) return 'must have at least 32 bytes: openssl rand -base64 32'
  if (new Set(secret).size < 10) return 'repeats itself: openssl rand -base64 32'
  return undefined
}

/** What would make another secret of it when it moves to a list. */
const oddityOf = (secret: string): string | undefined =>
  /^\s|,|\s$/.test(secret) ? 'must not begin or end with a blank, or hold a comma' : undefined

function keyFaults(given: Given): string[] {
  const faults: string[] = []
  const attempt = (name: string, read: (text: string) => unknown) => {
    const text = given[name]
    try {
      if (text !== undefined) read(text)
    } catch (error) {
      faults.push(`${name} ${error instanceof BadKey ? error.message : 'cannot be read'}`)
    }
  }
  attempt('JWT_PRIVATE_KEY', text => {
    if (asymmetricKey(text).signing === undefined) throw new BadKey('is a public key; signing needs the private one')
  })
  attempt('JWT_PUBLIC_KEYS', asymmetricKeys)
  return faults
}

/** Secrets that production asks for and nobody set. */
export function missingSecrets(given: Given): string[] {
  const faults: string[] = []
  if (!given.JWT_SECRET && !given.BETTER_AUTH_SECRET && !given.JWT_PRIVATE_KEY)
    faults.push('JWT_SECRET is required in production')
  if (!given.REFRESH_TOKEN_SECRET) faults.push('REFRESH_TOKEN_SECRET is required in production')
  return faults
}

type Kept = { access: string; refresh: string }

/** Made once, and kept beside the embedded database, readable by its owner alone. */
function readOrMakeSecrets(dataDir: string): Kept {
  if (dataDir === 'memory://') return newSecrets()
  const file = join(dataDir, 'secrets.json')
  return readSecrets(file) ?? makeSecrets(dataDir, file)
}

function readSecrets(file: string): Kept | undefined {
  try {
    const { access, refresh } = JSON.parse(readFileSync(file, 'utf8'))
    if ([access, refresh].some(weaknessOf) || access === refresh) throw new Error('not what was written')
    return { access, refresh }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new BadKey('DATA_DIR holds a secrets.json that cannot be read')
  }
}

function makeSecrets(dataDir: string, file: string): Kept {
  const secrets = newSecrets()
  try {
    mkdirSync(dataDir, { recursive: true })
    // Of two processes that start at once, the second keeps to what the first has made.
    writeFileSync(file, JSON.stringify(secrets, null, 2), { mode: 0o600, flag: 'wx' })
    chmodSync(file, 0o600)
    return secrets
  } catch (error) {
    const theirs = (error as NodeJS.ErrnoException).code === 'EEXIST' ? readSecrets(file) : undefined
    if (theirs) return theirs
    throw new BadKey('DATA_DIR cannot be written')
  }
}

const newSecrets = (): Kept => ({
  access: randomBytes(32).toString('base64url'),
  refresh: randomBytes(32).toString('base64url'),
})
