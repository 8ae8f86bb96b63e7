/** The environment, read once into one frozen, typed Config, or refused with one error that names every bad variable. */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { envSchema } from 'env-schema'
import { type Static, Type } from 'typebox'
import { BadKey } from './core/keys.js'
import { longestAccessToken, tokenLimit } from './core/tokens.js'
import { defaultLimits, limitClasses, toLimits } from './http/limit-classes.js'
import { createOriginCheck } from './http/origin.js'
import { gatherSecrets, missingSecrets, type Secrets, secretFaults } from './secrets.js'

const Duration = (fallback: string) => Type.String({ pattern: '^[1-9][0-9]{0,8}[smhd]?$', default: fallback })
const Switch = (fallback: 'on' | 'off') => Type.Enum(['on', 'off', 'true', 'false'], { default: fallback })
const Optional = () => Type.Optional(Type.String())

/** Every variable, its form and its default. `.env.example` explains each. */
const Environment = Type.Object({
  NODE_ENV: Type.String({ default: 'development' }),
  HOST: Type.String({ default: '127.0.0.1' }),
  PORT: Type.Integer({ minimum: 0, maximum: 65535, default: 3000 }),
  MAX_CONNECTIONS: Type.Integer({ minimum: 1, maximum: 1_000_000, default: 10_000 }),
  METRICS_PORT: Type.Optional(Type.Integer({ minimum: 0, maximum: 65535 })),
  PUBLIC_URL: Optional(),
  DATABASE_URL: Type.Optional(Type.String({ pattern: '^postgres(ql)?://' })),
  DATABASE_POOL: Type.Integer({ minimum: 1, maximum: 100, default: 4 }),
  DATA_DIR: Type.String({ default: './.data' }),
  MIGRATE_ON_START: Switch('on'),
  JWT_SECRET: Optional(),
  BETTER_AUTH_SECRET: Optional(),
  JWT_SECRETS_PREVIOUS: Type.String({ default: '' }),
  JWT_SECRETS_NEXT: Type.String({ default: '' }),
  JWT_PRIVATE_KEY: Optional(),
  JWT_PUBLIC_KEYS: Optional(),
  REFRESH_TOKEN_SECRET: Optional(),
  REFRESH_TOKEN_SECRETS_PREVIOUS: Type.String({ default: '' }),
  REFRESH_TOKEN_SECRETS_NEXT: Type.String({ default: '' }),
  JWT_ISSUER: Optional(),
  JWT_AUDIENCE: Optional(),
  ACCESS_TOKEN_TTL: Duration('30m'),
  REFRESH_TOKEN_TTL: Duration('7d'),
  REFRESH_LEEWAY: Type.Integer({ minimum: 0, maximum: 60, default: 30 }),
  SESSION_MAX_AGE: Duration('90d'),
  BCRYPT_COST: Type.Integer({ minimum: 4, maximum: 15, default: 12 }),
  HASHING_CONCURRENCY: Type.Optional(Type.Integer({ minimum: 1, maximum: 128 })),
  PASSWORD_MIN_LENGTH: Type.Integer({ minimum: 8, maximum: 64, default: 8 }),
  PASSWORD_PEPPER: Optional(),
  CORS_ORIGINS: Type.String({ default: '' }),
  TRUSTED_ORIGINS: Type.String({ default: '' }),
  TRUST_PROXY: Type.String({ default: '' }),
  COOKIE_DOMAIN: Type.Optional(Type.String({ pattern: '^\\.?[a-z0-9-]+(\\.[a-z0-9-]+)*$' })),
  COOKIE_SECURE: Type.Optional(Type.Enum(['true', 'false'])),
  LOG_LEVEL: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], { default: 'info' }),
  RATE_LIMIT: Switch('on'),
  RATE_LIMITS: Type.String({ default: '' }),
  REDIS_URL: Optional(),
  GUESS_LIMIT: Switch('on'),
  AUDIT_RETENTION: Duration('365d'),
  DOCS: Switch('on'),
  CODVID_GET_UUID: Type.Optional(Type.Enum(['on', 'off', 'true', 'false'])),
  ACCESS_TOKEN_CLAIMS: Type.Optional(Type.Enum(['profile'])),
  SERVICE_CLIENTS: Type.String({ default: '' }),
  SESSION_CACHE: Switch('on'),
  SMTP_URL: Optional(),
  MAIL_FROM: Optional(),
  MAIL_TEMPLATES: Optional(),
  PRODUCT_NAME: Type.String({ default: 'Gatehouse', maxLength: 100 }),
  LINK_TTL: Duration('1h'),
  REQUIRE_EMAIL_VERIFICATION: Switch('off'),
  RESET_ENDS_SESSIONS: Switch('on'),
  NEW_DEVICE_MAIL: Switch('off'),
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
  const config = toConfig(variables, gather(given, variables.DATA_DIR))
  const longest = longestAccessToken(config.accessKeys.current, config)
  if (longest > tokenLimit) throw new ConfigError([tooLong(longest)])
  return Object.freeze(config)
}

const tooLong = (length: number): string =>
  `JWT_ISSUER, JWT_AUDIENCE, ACCESS_TOKEN_CLAIMS and the signing key make access tokens of up to ${length} characters, and ${tokenLimit} is the limit`

function gather(given: Record<string, string>, dataDir: string): Secrets {
  try {
    return gatherSecrets(given, dataDir)
  } catch (error) {
    throw error instanceof BadKey ? new ConfigError([error.message]) : error
  }
}

function toConfig(env: Environment, secrets: Secrets) {
  const production = env.NODE_ENV === 'production'
  return {
    production,
    host: env.HOST,
    port: env.PORT,
    maxConnections: env.MAX_CONNECTIONS,
    metricsPort: env.METRICS_PORT,
    publicUrl: env.PUBLIC_URL,
    /** The same, or what it is on this machine: what links and services are told. */
    ownUrl: env.PUBLIC_URL ?? `http://localhost:${env.PORT}`,
    databaseUrl: env.DATABASE_URL,
    databasePool: env.DATABASE_POOL,
    dataDir: env.DATA_DIR,
    migrateOnStart: isOn(env.MIGRATE_ON_START),
    accessKeys: secrets.access,
    refreshKeys: secrets.refresh,
    /** Secrets of the signed cookie, the current one first. */
    cookieSecrets: secrets.cookies,
    /** Names of the secrets that were made because nobody set them; kept in `dataDir`. */
    madeSecrets: secrets.made,
    issuer: env.JWT_ISSUER ?? env.PUBLIC_URL ?? `http://localhost:${env.PORT}`,
    audience: env.JWT_AUDIENCE,
    accessTtl: toSeconds(env.ACCESS_TOKEN_TTL),
    refreshTtl: toSeconds(env.REFRESH_TOKEN_TTL),
    refreshLeeway: env.REFRESH_LEEWAY,
    sessionMaxAge: toSeconds(env.SESSION_MAX_AGE),
    bcryptCost: env.BCRYPT_COST,
    /** How many passwords are hashed at a time: one core is left for everything else. */
    hashingConcurrency: env.HASHING_CONCURRENCY ?? Math.max(1, availableParallelism() - 1),
    passwordMinLength: env.PASSWORD_MIN_LENGTH,
    passwordPepper: env.PASSWORD_PEPPER,
    corsOrigins: toList(env.CORS_ORIGINS),
    trustedOrigins: toList(env.TRUSTED_ORIGINS),
    trustProxy: toList(env.TRUST_PROXY),
    cookieDomain: env.COOKIE_DOMAIN,
    cookieSecure: env.COOKIE_SECURE === undefined ? undefined : env.COOKIE_SECURE === 'true',
    logLevel: env.LOG_LEVEL,
    rateLimit: isOn(env.RATE_LIMIT),
    limits: toLimits(env.RATE_LIMITS) ?? defaultLimits,
    redisUrl: env.REDIS_URL,
    guessLimit: isOn(env.GUESS_LIMIT),
    /** Seconds an event is kept. */
    auditRetention: toSeconds(env.AUDIT_RETENTION),
    docs: isOn(env.DOCS),
    /** Whether access tokens tell the background profile. */
    profileClaims: env.ACCESS_TOKEN_CLAIMS === 'profile',
    serviceClients: toClients(env.SERVICE_CLIENTS),
    sessionCache: isOn(env.SESSION_CACHE),
    smtpUrl: env.SMTP_URL,
    mailFrom: env.MAIL_FROM ?? `${env.PRODUCT_NAME.replaceAll(/[^\w .-]/g, '')} <no-reply@localhost>`,
    mailTemplates: env.MAIL_TEMPLATES,
    /** Mails become files there while no server is named; in production, and in memory, there are none. */
    mailOutbox: production || env.DATA_DIR === 'memory://' ? undefined : join(env.DATA_DIR, 'outbox'),
    productName: env.PRODUCT_NAME,
    linkTtl: toSeconds(env.LINK_TTL),
    requireEmailVerification: isOn(env.REQUIRE_EMAIL_VERIFICATION),
    resetEndsSessions: isOn(env.RESET_ENDS_SESSIONS),
    newDeviceMail: isOn(env.NEW_DEVICE_MAIL),
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

function productionFaults(given: Record<string, string>): string[] {
  const faults: string[] = []
  if (!given.DATABASE_URL) faults.push('DATABASE_URL is required in production')
  faults.push(...missingSecrets(given))
  if (given.SMTP_URL && !given.PUBLIC_URL)
    faults.push('PUBLIC_URL is required with SMTP_URL in production: links name it')
  if (isOn(given.REQUIRE_EMAIL_VERIFICATION ?? 'off') && !given.SMTP_URL)
    faults.push('SMTP_URL is required with REQUIRE_EMAIL_VERIFICATION in production')
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
    SERVICE_CLIENTS: clients = '',
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
  if (toLimits(given.RATE_LIMITS ?? '') === undefined)
    faults.push(`RATE_LIMITS must list limits such as password=60/m or register=100/h, of ${limitClasses.join(', ')}`)
  if (given.REDIS_URL !== undefined && !isRedis(given.REDIS_URL))
    faults.push('REDIS_URL must be an address such as redis://:password@redis.example.com:6379/0, or rediss://')
  if (given.SMTP_URL !== undefined && !(/^smtps?:\/\/\S+$/.test(given.SMTP_URL) && URL.canParse(given.SMTP_URL)))
    faults.push('SMTP_URL must be an address such as smtps://user:password@mail.example.com')
  if (given.MAIL_FROM !== undefined && !/^([^<>\r\n"]* )?<?[^<>@\s]+@[^<>@\s]+>?$/.test(given.MAIL_FROM))
    faults.push('MAIL_FROM must be an address such as Acme <no-reply@acme.com>')
  if (given.SMTP_URL !== undefined && given.MAIL_FROM === undefined) faults.push('MAIL_FROM is required with SMTP_URL')
  if (toList(clients).some(pair => !/^[\w.-]{1,64}:[!-~]{32,}$/.test(pair)))
    faults.push('SERVICE_CLIENTS must list id:secret pairs, each secret of 32 characters or more')
  else if (toClients(clients).size < toList(clients).length) faults.push('SERVICE_CLIENTS must name each client once')
  return faults
}

const isSite = (url: string): boolean =>
  /^https?:\/\/[^/?#@\s]+$/i.test(url) && URL.canParse(url) && isTrustable(new URL(url).origin)

function isRedis(url: string): boolean {
  try {
    // Name and password are decoded by whoever connects.
    decodeURIComponent(url)
    return /^rediss?:\/\/[^/?#\s]+(\/\d{0,4})?$/.test(url) && new URL(url).hostname !== ''
  } catch {
    return false
  }
}

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

/** `id:secret` pairs by id. A secret may hold colons. */
const toClients = (value: string): ReadonlyMap<string, string> =>
  new Map(toList(value).map(pair => [pair.slice(0, pair.indexOf(':')), pair.slice(pair.indexOf(':') + 1)]))

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
