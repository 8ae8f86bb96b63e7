/** The environment, read once into one frozen, typed Config, or refused with one error that names every bad variable. */
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { envSchema } from 'env-schema'
import { type Static, Type } from 'typebox'
import { createOriginCheck } from './http/origin.js'

const Duration = (fallback: string) => Type.String({ pattern: '^[1-9][0-9]{0,8}[smhd]?$', default: fallback })
const Switch = (fallback: 'on' | 'off') => Type.Enum(['on', 'off', 'true', 'false'], { default: fallback })
const Optional = () => Type.Optional(Type.String())

/** Every variable, its form and its default. `.env.example` explains each. */
const Environment = Type.Object({
  NODE_ENV: Type.String({ default: 'development' }),
  HOST: Type.String({ default: '127.0.0.1' }),
  PORT: Type.Integer({ minimum: 0, maximum: 65535, default: 3000 }),
  METRICS_PORT: Type.Optional(Type.Integer({ minimum: 0, maximum: 65535 })),
  PUBLIC_URL: Optional(),
  DATABASE_URL: Type.Optional(Type.String({ pattern: '^postgres(ql)?://' })),
  DATABASE_POOL: Type.Integer({ minimum: 1, maximum: 100, default: 4 }),
  DATA_DIR: Type.String({ default: './.data' }),
  MIGRATE_ON_START: Switch('on'),
  JWT_SECRET: Optional(),
  BETTER_AUTH_SECRET: Optional(),
  REFRESH_TOKEN_SECRET: Optional(),
  JWT_ISSUER: Optional(),
  JWT_AUDIENCE: Optional(),
  ACCESS_TOKEN_TTL: Duration('30m'),
  REFRESH_TOKEN_TTL: Duration('7d'),
  REFRESH_LEEWAY: Type.Integer({ minimum: 0, maximum: 60, default: 30 }),
  SESSION_MAX_AGE: Duration('90d'),
  BCRYPT_COST: Type.Integer({ minimum: 4, maximum: 15, default: 12 }),
  PASSWORD_MIN_LENGTH: Type.Integer({ minimum: 8, maximum: 64, default: 8 }),
  PASSWORD_PEPPER: Optional(),
  CORS_ORIGINS: Type.String({ default: '' }),
  TRUSTED_ORIGINS: Type.String({ default: '' }),
  TRUST_PROXY: Type.String({ default: '' }),
  COOKIE_DOMAIN: Type.Optional(Type.String({ pattern: '^\\.?[a-z0-9-]+(\\.[a-z0-9-]+)*$' })),
  COOKIE_SECURE: Type.Optional(Type.Enum(['true', 'false'])),
  LOG_LEVEL: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], { default: 'info' }),
  RATE_LIMIT: Switch('on'),
  DOCS: Switch('on'),
  CODVID_GET_UUID: Type.Optional(Type.Enum(['on', 'off', 'true', 'false'])),
  CODVID_UNIFORM_ERRORS: Switch('off'),
  BETTER_AUTH_STRICT_SESSION: Switch('off'),
  DRAIN_DELAY: Type.Integer({ minimum: 0, maximum: 60, default: 2 }),
})

type Environment = Static<typeof Environment>

export type Config = Readonly<ReturnType<typeof toConfig>>

/** Names every variable that is missing or bad, and never a value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(`The configuration cannot be used:\n${faults.map(fault => `  - ${fault}`).join('\n')}`)
    this.faults = faults
  }
}

/**
 * Reads the given environment over the `.env` file of the working directory. Outside production, secrets that are not set
 * are made once and kept in DATA_DIR. Throws ConfigError.
 */
export function loadConfig(environment: Record<string, string | undefined> = process.env, envFile = '.env'): Config {
  const given = { ...withoutBlanks(readEnvFile(envFile)), ...withoutBlanks(environment) }
  const { variables, faults } = check(given)
  faults.push(...secretFaults(given), ...addressFaults(given))
  if (given.NODE_ENV === 'production') faults.push(...productionFaults(given))
  if (variables && toSeconds(variables.ACCESS_TOKEN_TTL) > toSeconds(variables.SESSION_MAX_AGE))
    faults.push('ACCESS_TOKEN_TTL must not be longer than SESSION_MAX_AGE')
  if (!variables || faults.length > 0) throw new ConfigError(faults)
  return Object.freeze(toConfig(variables, keepSecrets(variables)))
}

function toConfig(env: Environment, secrets: { access: string; refresh: string; made: readonly string[] }) {
  const production = env.NODE_ENV === 'production'
  return {
    production,
    host: env.HOST,
    port: env.PORT,
    metricsPort: env.METRICS_PORT,
    publicUrl: env.PUBLIC_URL,
    databaseUrl: env.DATABASE_URL,
    databasePool: env.DATABASE_POOL,
    dataDir: env.DATA_DIR,
    migrateOnStart: isOn(env.MIGRATE_ON_START),
    accessSecret: secrets.access,
    refreshSecret: secrets.refresh,
    /** Names of the secrets that were made because nobody set them; kept in `dataDir`. */
    madeSecrets: secrets.made,
    issuer: env.JWT_ISSUER ?? env.PUBLIC_URL ?? 'gatehouse',
    audience: env.JWT_AUDIENCE,
    accessTtl: toSeconds(env.ACCESS_TOKEN_TTL),
    refreshTtl: toSeconds(env.REFRESH_TOKEN_TTL),
    refreshLeeway: env.REFRESH_LEEWAY,
    sessionMaxAge: toSeconds(env.SESSION_MAX_AGE),
    bcryptCost: env.BCRYPT_COST,
    /** How many passwords are hashed at a time: one core is left for everything else. */
    hashingLanes: Math.max(1, availableParallelism() - 1),
    passwordMinLength: env.PASSWORD_MIN_LENGTH,
    passwordPepper: env.PASSWORD_PEPPER,
    corsOrigins: toList(env.CORS_ORIGINS),
    trustedOrigins: toList(env.TRUSTED_ORIGINS),
    trustProxy: toList(env.TRUST_PROXY),
    cookieDomain: env.COOKIE_DOMAIN,
    cookieSecure: env.COOKIE_SECURE === undefined ? undefined : env.COOKIE_SECURE === 'true',
    logLevel: env.LOG_LEVEL,
    rateLimit: isOn(env.RATE_LIMIT),
    docs: isOn(env.DOCS),
    codvidGetUuid: env.CODVID_GET_UUID === undefined ? !production : isOn(env.CODVID_GET_UUID),
    codvidUniformErrors: isOn(env.CODVID_UNIFORM_ERRORS),
    strictSession: isOn(env.BETTER_AUTH_STRICT_SESSION),
    /** Seconds between a SIGTERM and the closing of the listener, for load balancers to notice. */
    drainDelay: env.DRAIN_DELAY,
  }
}

function check(given: Record<string, string>): { variables: Environment | undefined; faults: string[] } {
  try {
    return { variables: envSchema<Environment>({ schema: Environment, data: given, env: false }), faults: [] }
  } catch (error) {
    const errors = (
      error as { errors?: { instancePath: string; message?: string; params?: { allowedValues?: string[] } }[] }
    ).errors
    if (!errors) throw error
    return { variables: undefined, faults: errors.map(fault => `${fault.instancePath.slice(1)} ${explain(fault)}`) }
  }
}

const explain = (fault: { message?: string; params?: { allowedValues?: string[] } }): string =>
  fault.params?.allowedValues
    ? `must be one of ${fault.params.allowedValues.join(', ')}`
    : (fault.message ?? 'is not valid')

/** A secret that somebody set is never weak, production or not: a weak one signs tokens anybody can make. */
function secretFaults(given: Record<string, string>): string[] {
  const faults = ['JWT_SECRET', 'BETTER_AUTH_SECRET', 'REFRESH_TOKEN_SECRET', 'PASSWORD_PEPPER'].flatMap(name => {
    const secret = given[name]
    const weakness = secret === undefined ? undefined : weaknessOf(secret)
    return weakness ? [`${name} ${weakness}`] : []
  })
  const access = given.JWT_SECRET ?? given.BETTER_AUTH_SECRET
  if (access !== undefined && access === given.REFRESH_TOKEN_SECRET)
    faults.push('REFRESH_TOKEN_SECRET must differ from JWT_SECRET')
  if (given.JWT_SECRET && given.BETTER_AUTH_SECRET && given.JWT_SECRET !== given.BETTER_AUTH_SECRET)
    faults.push('BETTER_AUTH_SECRET is another name of JWT_SECRET: set one of them')
  return faults
}

/** RFC 8725 section 3.5, and the algorithm confusions of CVE-2023-48223 and its successors: a key of another kind is no secret. */
function weaknessOf(secret: string): string | undefined {
  if (secret.includes('-----BEGIN')) return 'holds a PEM key; HS256 needs a random secret'
  if (/^\s*[{[]/.test(secret)) return 'holds a JSON key; HS256 needs a random secret'
  if (Buffer.byteLength(secret) < 32) return 'must have at least 32 bytes: openssl rand -base64 32'
  if (new Set(secret).size < 10) return 'repeats itself: openssl rand -base64 32'
  return undefined
}

function productionFaults(given: Record<string, string>): string[] {
  const faults: string[] = []
  if (!given.DATABASE_URL) faults.push('DATABASE_URL is required in production')
  if (!given.JWT_SECRET && !given.BETTER_AUTH_SECRET) faults.push('JWT_SECRET is required in production')
  if (!given.REFRESH_TOKEN_SECRET) faults.push('REFRESH_TOKEN_SECRET is required in production')
  if (given.BCRYPT_COST && Number(given.BCRYPT_COST) < 10) faults.push('BCRYPT_COST must be 10 or more in production')
  return faults
}

/** What a pattern cannot say; asked here, so that no part of the service finds out when it is built, or needed. */
function addressFaults(given: Record<string, string>): string[] {
  const {
    PUBLIC_URL: publicUrl,
    CORS_ORIGINS: cors = '',
    TRUSTED_ORIGINS: trusted = '',
    TRUST_PROXY: proxies = '',
  } = given
  const faults: string[] = []
  if (publicUrl !== undefined && !isSite(publicUrl))
    faults.push('PUBLIC_URL must be an address such as https://auth.example.com, without a path')
  if (!toList(cors).every(isExactOrigin))
    faults.push('CORS_ORIGINS must list exact origins such as https://app.example.com, without a path or *')
  if (!toList(trusted).every(isTrustable))
    faults.push('TRUSTED_ORIGINS must list origins such as https://app.example.com, without a path and never just *')
  if (!toList(proxies).every(isNetwork))
    faults.push('TRUST_PROXY must list addresses or networks such as 10.0.0.0/8, or loopback')
  return faults
}

const isSite = (url: string): boolean =>
  /^https?:\/\/[^/?#@\s]+$/i.test(url) && URL.canParse(url) && isTrustable(new URL(url).origin)

const isExactOrigin = (origin: string): boolean =>
  URL.canParse(origin) && new URL(origin).origin === origin && !origin.includes('*') && isTrustable(origin)

/** Asks whoever will be using it. */
function isTrustable(origin: string): boolean {
  try {
    createOriginCheck({ trusted: [origin] })
    return true
  } catch {
    return false
  }
}

function isNetwork(entry: string): boolean {
  if (/^(loopback|linklocal|uniquelocal)$/.test(entry)) return true
  const [, address = '', bits] = /^([0-9a-f.:]+)(?:\/([1-9][0-9]{0,2}))?$/i.exec(entry) ?? []
  const family = isIP(address)
  return family !== 0 && Number(bits ?? 1) <= (family === 4 ? 32 : 128)
}

/** Outside production, a secret nobody set is made once and kept beside the embedded database, readable by its owner alone. */
function keepSecrets(env: Environment): { access: string; refresh: string; made: string[] } {
  const access = env.JWT_SECRET ?? env.BETTER_AUTH_SECRET
  const refresh = env.REFRESH_TOKEN_SECRET
  if (access && refresh) return { access, refresh, made: [] }
  const made = [...(access ? [] : ['JWT_SECRET']), ...(refresh ? [] : ['REFRESH_TOKEN_SECRET'])]
  const kept = readOrMakeSecrets(env.DATA_DIR)
  return { access: access ?? kept.access, refresh: refresh ?? kept.refresh, made }
}

type Secrets = { access: string; refresh: string }

function readOrMakeSecrets(dataDir: string): Secrets {
  if (dataDir === 'memory://') return newSecrets()
  const file = join(dataDir, 'secrets.json')
  return readSecrets(file) ?? makeSecrets(dataDir, file)
}

function readSecrets(file: string): Secrets | undefined {
  try {
    const { access, refresh } = JSON.parse(readFileSync(file, 'utf8'))
    if ([access, refresh].some(weaknessOf) || access === refresh) throw new Error('not what was written')
    return { access, refresh }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new ConfigError(['DATA_DIR holds a secrets.json that cannot be read'])
  }
}

function makeSecrets(dataDir: string, file: string): Secrets {
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
    throw new ConfigError(['DATA_DIR cannot be written'])
  }
}

const newSecrets = () => ({
  access: randomBytes(32).toString('base64url'),
  refresh: randomBytes(32).toString('base64url'),
})

function readEnvFile(path: string): Record<string, string | undefined> {
  try {
    return parseEnv(readFileSync(path, 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw new ConfigError([`${path} cannot be read`])
  }
}

/** An empty variable counts as one that is not set: compose files and .env files leave such lines. */
const withoutBlanks = (variables: Record<string, string | undefined>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(variables).filter((entry): entry is [string, string] => (entry[1] ?? '').trim() !== ''),
  )

const isOn = (value: string): boolean => value === 'on' || value === 'true'

const toList = (value: string): string[] =>
  value
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')

const units = { s: 1, m: 60, h: 3600, d: 86_400 } as const

/** "90", "90s", "15m", "12h" or "7d" in seconds. */
function toSeconds(duration: string): number {
  const unit = duration.at(-1) as keyof typeof units
  return Number.parseInt(duration, 10) * (units[unit] ?? 1)
}
