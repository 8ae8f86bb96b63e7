/** The environment becomes a Config, or one error that names every bad variable and no value. */
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import fastify from 'fastify'
import t, { type Test } from 'tap'
import { type Config, ConfigError, loadConfig } from '../src/config.js'
import { asymmetricKey, secretKey } from '../src/core/keys.js'
import { defaultLimits } from '../src/http/limit-classes.js'
import { createOriginCheck } from '../src/http/origin.js'

const access = 'zK3vQ8wLr1Yt6Np4Xb9Hs2Dm7Gf5Jc0AeUiOoTqRyWx'
const refresh = 'Bn5Vc8Xz1Lk4Jh7Gf0Ds3Aq6We9Rt2Yu5Io8Pa1Sd4F'
const secrets = { JWT_SECRET: access, REFRESH_TOKEN_SECRET: refresh }
const production = { ...secrets, NODE_ENV: 'production', DATABASE_URL: 'postgres://gatehouse@db/gatehouse' }

const [older, oldest, next] = [
  'Vq8Zt3Lm6Xc1Rb9Nw4Ks7Hd2Gj5Fp0AyUeIiOoTzQrE',
  'Mn2Bv7Cx4Zl9Kj1Hg6Fd3Sa8Po5Iu0YtReWwQqAaSsD',
  'Lp4Ok9Ij2Uh7Yg1Tf6Rd3Es8Wa5Qz0XcVvBbNnMmKkJ',
]
const makeKey = (type: 'ec' | 'ed25519' | 'rsa', options: object = {}): string =>
  generateKeyPairSync(type as 'rsa', options as { modulusLength: number })
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString()
const publicHalf = (pem: string): string => createPublicKey(pem).export({ type: 'spki', format: 'pem' }).toString()
const ec = makeKey('ec', { namedCurve: 'prime256v1' })
const ed = makeKey('ed25519')
const rsa = makeKey('rsa', { modulusLength: 2048 })

type Variables = Record<string, string | undefined>

const load = (variables: Variables = {}): Config => loadConfig({ ...secrets, ...variables }, 'no-such-file')

function faultsOf(variables: Variables, envFile = 'no-such-file'): readonly string[] {
  try {
    loadConfig(variables, envFile)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

const accessSecretOf = (config: Config | undefined) => config?.accessKeys.current.signing
const refreshSecretOf = (config: Config) => config.refreshKeys.current.signing

/** The names that stand at the head of the faults. */
const namesOf = (faults: readonly string[]) => faults.map(fault => fault.split(' ', 1)[0]).sort()

/** With good secrets, exactly this variable is refused. */
function refused(t: Test, name: string, ...values: string[]): void {
  for (const value of values) {
    const faults = faultsOf({ ...secrets, [name]: value })
    t.strictSame(namesOf(faults), [name], `${name}=${JSON.stringify(value)}`)
    if (value.length > 8)
      t.notOk(
        faults.some(fault => fault.includes(value)),
        `${name}: its value is not repeated`,
      )
  }
}

t.test('defaults', async t => {
  t.strictSame(load(), {
    production: false,
    host: '127.0.0.1',
    port: 3000,
    maxConnections: 10_000,
    metricsPort: undefined,
    publicUrl: undefined,
    ownUrl: 'http://localhost:3000',
    databaseUrl: undefined,
    databasePool: 4,
    dataDir: './.data',
    migrateOnStart: true,
    accessKeys: { current: secretKey(access), others: [] },
    refreshKeys: { current: secretKey(refresh), others: [] },
    cookieSecrets: [refresh],
    madeSecrets: [],
    issuer: 'http://localhost:3000',
    audience: undefined,
    accessTtl: 1800,
    refreshTtl: 604_800,
    refreshLeeway: 30,
    sessionMaxAge: 7_776_000,
    bcryptCost: 12,
    hashingConcurrency: Math.max(1, availableParallelism() - 1),
    passwordMinLength: 8,
    passwordPepper: undefined,
    corsOrigins: [],
    trustedOrigins: [],
    trustProxy: [],
    cookieDomain: undefined,
    cookieSecure: undefined,
    logLevel: 'info',
    rateLimit: true,
    limits: defaultLimits,
    redisUrl: undefined,
    guessLimit: true,
    auditRetention: 31_536_000,
    docs: true,
    profileClaims: false,
    serviceClients: new Map(),
    sessionCache: true,
    smtpUrl: undefined,
    mailFrom: 'Gatehouse <no-reply@localhost>',
    mailTemplates: undefined,
    mailOutbox: '.data/outbox',
    productName: 'Gatehouse',
    linkTtl: 3600,
    requireEmailVerification: false,
    resetEndsSessions: true,
    newDeviceMail: false,
    codvidGetUuid: true,
    codvidUniformErrors: false,
    strictSession: false,
    drainDelay: 2,
  })
})

t.test('every variable', async t => {
  t.strictSame(
    load({
      ...production,
      HOST: '0.0.0.0',
      PORT: '8080',
      MAX_CONNECTIONS: '500',
      METRICS_PORT: '9464',
      PUBLIC_URL: 'https://auth.acme.test',
      DATABASE_POOL: '9',
      DATA_DIR: '/var/lib/gatehouse',
      MIGRATE_ON_START: 'off',
      JWT_AUDIENCE: 'acme-api',
      ACCESS_TOKEN_TTL: '5m',
      REFRESH_TOKEN_TTL: '12h',
      REFRESH_LEEWAY: '0',
      SESSION_MAX_AGE: '30d',
      BCRYPT_COST: '13',
      HASHING_CONCURRENCY: '6',
      PASSWORD_MIN_LENGTH: '15',
      PASSWORD_PEPPER: 'Qw2Er5Ty8Ui1Op4As7Df0Gh3Jk6Lz9Xc2Vb5Nm8',
      CORS_ORIGINS: 'https://app.acme.test, http://localhost:5173',
      TRUSTED_ORIGINS: 'https://*.acme.test,myapp://,chrome-extension://abcdef',
      TRUST_PROXY: 'loopback, 10.0.0.0/8,fd00::/8',
      COOKIE_DOMAIN: '.acme.test',
      COOKIE_SECURE: 'true',
      LOG_LEVEL: 'warn',
      RATE_LIMIT: 'off',
      RATE_LIMITS: 'password=60/m, other=5/s ,mail=7/d,register=100/h,session=9999999/m,',
      REDIS_URL: 'rediss://user:pass%20word@redis.acme.test:6380/2',
      GUESS_LIMIT: 'off',
      AUDIT_RETENTION: '30d',
      DOCS: 'off',
      CODVID_GET_UUID: 'on',
      CODVID_UNIFORM_ERRORS: 'true',
      BETTER_AUTH_STRICT_SESSION: 'on',
      DRAIN_DELAY: '5',
      JWT_PRIVATE_KEY: ec,
      JWT_PUBLIC_KEYS: `${publicHalf(ed)}${publicHalf(rsa)}`,
      JWT_SECRETS_PREVIOUS: ` ${older}, ${oldest} ,`,
      JWT_SECRETS_NEXT: next,
      REFRESH_TOKEN_SECRETS_PREVIOUS: `${older}r`,
      REFRESH_TOKEN_SECRETS_NEXT: `${next}r`,
      ACCESS_TOKEN_CLAIMS: 'profile',
      SERVICE_CLIENTS: `api:${older}, chat.bot-1:with:colons:${next}`,
      SESSION_CACHE: 'off',
      SMTP_URL: 'smtps://user:pass%20word@mail.acme.test:465',
      MAIL_FROM: 'Acme <no-reply@acme.test>',
      MAIL_TEMPLATES: '/etc/gatehouse/mails',
      PRODUCT_NAME: 'Acme',
      LINK_TTL: '15m',
      REQUIRE_EMAIL_VERIFICATION: 'on',
      RESET_ENDS_SESSIONS: 'off',
      NEW_DEVICE_MAIL: 'on',
    }),
    {
      production: true,
      host: '0.0.0.0',
      port: 8080,
      maxConnections: 500,
      metricsPort: 9464,
      publicUrl: 'https://auth.acme.test',
      ownUrl: 'https://auth.acme.test',
      databaseUrl: 'postgres://gatehouse@db/gatehouse',
      databasePool: 9,
      dataDir: '/var/lib/gatehouse',
      migrateOnStart: false,
      accessKeys: {
        current: asymmetricKey(ec),
        others: [
          ...[access, older, oldest, next].map(secretKey),
          ...[ed, rsa].map(key => ({ ...asymmetricKey(key), signing: undefined })),
        ],
      },
      refreshKeys: { current: secretKey(refresh), others: [`${older}r`, `${next}r`].map(secretKey) },
      cookieSecrets: [refresh, `${older}r`, `${next}r`],
      madeSecrets: [],
      issuer: 'https://auth.acme.test',
      audience: 'acme-api',
      accessTtl: 300,
      refreshTtl: 43_200,
      refreshLeeway: 0,
      sessionMaxAge: 2_592_000,
      bcryptCost: 13,
      hashingConcurrency: 6,
      passwordMinLength: 15,
      passwordPepper: 'Qw2Er5Ty8Ui1Op4As7Df0Gh3Jk6Lz9Xc2Vb5Nm8',
      corsOrigins: ['https://app.acme.test', 'http://localhost:5173'],
      trustedOrigins: ['https://*.acme.test', 'myapp://', 'chrome-extension://abcdef'],
      trustProxy: ['loopback', '10.0.0.0/8', 'fd00::/8'],
      cookieDomain: '.acme.test',
      cookieSecure: true,
      logLevel: 'warn',
      rateLimit: false,
      limits: {
        password: { max: 60, seconds: 60 },
        register: { max: 100, seconds: 3600 },
        mail: { max: 7, seconds: 86_400 },
        session: { max: 9_999_999, seconds: 60 },
        other: { max: 5, seconds: 1 },
      },
      redisUrl: 'rediss://user:pass%20word@redis.acme.test:6380/2',
      guessLimit: false,
      auditRetention: 2_592_000,
      docs: false,
      profileClaims: true,
      serviceClients: new Map([
        ['api', older],
        ['chat.bot-1', `with:colons:${next}`],
      ]),
      sessionCache: false,
      smtpUrl: 'smtps://user:pass%20word@mail.acme.test:465',
      mailFrom: 'Acme <no-reply@acme.test>',
      mailTemplates: '/etc/gatehouse/mails',
      mailOutbox: undefined,
      productName: 'Acme',
      linkTtl: 900,
      requireEmailVerification: true,
      resetEndsSessions: false,
      newDeviceMail: true,
      codvidGetUuid: true,
      codvidUniformErrors: true,
      strictSession: true,
      drainDelay: 5,
    },
  )
})

t.test('the result cannot be changed', async t => {
  const config = load()
  t.ok(Object.isFrozen(config))
  t.throws(() => Object.assign(config, { port: 1 }), TypeError)
})

t.test('.env.example names every variable, and no other', async t => {
  const example = readFileSync(new URL('../.env.example', import.meta.url), 'utf8')
  const source = readFileSync(new URL('../src/config.ts', import.meta.url), 'utf8')
  const named = [...example.matchAll(/^#?([A-Z][A-Z_]+)=/gm)].map(match => match[1])
  const read = [...source.matchAll(/^ {2}([A-Z][A-Z_]+): /gm)].map(match => match[1])
  t.strictSame([...named, 'BETTER_AUTH_SECRET'].sort(), read.sort())
  for (const [, name = '', value = ''] of example.matchAll(/^#([A-Z][A-Z_]+)=(.+)$/gm))
    if (!['DATABASE_URL', 'METRICS_PORT'].includes(name))
      t.strictSame(load({ [name]: value }), load(), `${name}=${value} is the default`)
})

t.test('durations', async t => {
  const cases = { '1': 1, '90': 90, '90s': 90, '15m': 900, '12h': 43_200, '7d': 604_800 }
  for (const [text, seconds] of Object.entries(cases))
    t.equal(load({ ACCESS_TOKEN_TTL: text }).accessTtl, seconds, text)
  for (const name of ['ACCESS_TOKEN_TTL', 'REFRESH_TOKEN_TTL', 'SESSION_MAX_AGE'])
    refused(t, name, '0', '0m', '-5m', '5 minutes', '1.5h', '5w', 'm', '5mm', ' 5m', '1e3', '99999999999', 'forever')
})

t.test('numbers, switches and choices', async t => {
  t.equal(load({ PORT: '0' }).port, 0)
  refused(t, 'PORT', 'http', '65536', '-1', '80.5', '3000;')
  refused(t, 'MAX_CONNECTIONS', '0', '-1', '1000001', 'many')
  refused(t, 'METRICS_PORT', 'http', '65536')
  refused(t, 'DATABASE_POOL', '0', '101', 'many')
  refused(t, 'REFRESH_LEEWAY', '-1', '61', '30s')
  refused(t, 'BCRYPT_COST', '3', '16', 'high')
  refused(t, 'HASHING_CONCURRENCY', '0', '129', 'all')
  refused(t, 'PASSWORD_MIN_LENGTH', '7', '65')
  refused(t, 'DRAIN_DELAY', '-1', '61')
  refused(t, 'LOG_LEVEL', 'verbose', 'INFO')
  refused(t, 'COOKIE_SECURE', 'on', 'yes', '1')
  for (const name of [
    'MIGRATE_ON_START',
    'RATE_LIMIT',
    'GUESS_LIMIT',
    'DOCS',
    'CODVID_UNIFORM_ERRORS',
    'BETTER_AUTH_STRICT_SESSION',
    'CODVID_GET_UUID',
    'SESSION_CACHE',
    'REQUIRE_EMAIL_VERIFICATION',
    'RESET_ENDS_SESSIONS',
    'NEW_DEVICE_MAIL',
  ])
    refused(t, name, 'yes', '1', 'ON', 'disabled')
  for (const [text, isOn] of [
    ['on', true],
    ['true', true],
    ['off', false],
    ['false', false],
  ] as const) {
    t.equal(load({ DOCS: text }).docs, isOn, text)
    t.equal(load({ CODVID_GET_UUID: text }).codvidGetUuid, isOn, text)
  }
  t.equal(load({ COOKIE_SECURE: 'false' }).cookieSecure, false)
})

t.test('addresses', async t => {
  refused(
    t,
    'PUBLIC_URL',
    'auth.acme.test',
    'https://auth.acme.test/',
    'https://auth.acme.test/auth',
    'https://a?b',
    'ftp://a',
    'https://',
  )
  refused(t, 'PUBLIC_URL', 'https://a b', 'https://[', 'https://a:port')
  refused(t, 'DATABASE_URL', 'mysql://db/x', 'db.acme.test', 'sqlite:x.db')
  refused(t, 'COOKIE_DOMAIN', 'https://acme.test', 'acme.test/x', 'acme..test', 'a b')
  t.equal(load({ DATABASE_URL: 'postgresql://db/x' }).databaseUrl, 'postgresql://db/x')
  t.equal(
    load({ PUBLIC_URL: 'http://localhost:3000' }).issuer,
    'http://localhost:3000',
    'the issuer, where none is named',
  )
  t.equal(load({ PUBLIC_URL: 'http://localhost:3000', JWT_ISSUER: 'acme' }).issuer, 'acme')
})

t.test('request limits', async t => {
  t.strictSame(load().limits, {
    password: { max: 30, seconds: 60 },
    register: { max: 20, seconds: 3600 },
    mail: { max: 10, seconds: 3600 },
    session: { max: 6000, seconds: 60 },
    other: { max: 1200, seconds: 60 },
  })
  t.strictSame(load({ RATE_LIMITS: 'mail=3/h' }).limits, { ...defaultLimits, mail: { max: 3, seconds: 3600 } })
  refused(t, 'RATE_LIMITS', '60/m', 'password', 'password=61', 'password=61/w', 'password=0/m', 'password=-1/m')
  refused(t, 'RATE_LIMITS', 'passwords=60/m', 'password=60/m;mail=3/h', 'mail=3/h,mail=4/h', 'constructor=1/m')
  refused(t, 'RATE_LIMITS', 'Password=60/m', 'password = 60/m', 'password=60/1m', 'password=99999999/m', 'off')
})

t.test('Redis', async t => {
  for (const url of ['redis://localhost', 'redis://:pass@10.0.0.1:6379', 'rediss://[::1]:6379/0'])
    t.equal(load({ REDIS_URL: url }).redisUrl, url)
  refused(t, 'REDIS_URL', 'localhost:6379', 'http://localhost', 'redis://', 'redis://:6379', 'redis://a b')
  refused(
    t,
    'REDIS_URL',
    'redis://a/db',
    'redis://a:99999',
    'redis://a?password=x',
    'redis://a#0',
    'redis:///tmp/a',
    'redis://:%ff@a',
  )
})

t.test('lists', async t => {
  t.strictSame(load({ CORS_ORIGINS: ' https://a.test ,,https://b.test, ' }).corsOrigins, [
    'https://a.test',
    'https://b.test',
  ])
  refused(
    t,
    'CORS_ORIGINS',
    '*',
    'https://*.a.test',
    'https://a.test/',
    'https://a.test/x',
    'a.test',
    'null',
    'https://a.test, *',
    'https://A.test',
    'https://a.test:443',
  )
  refused(
    t,
    'TRUSTED_ORIGINS',
    '*',
    'https://a.test/',
    'https://a.test/x',
    'a.test',
    'https://*',
    '*.',
    'https://a.*.test',
  )
  refused(t, 'TRUST_PROXY', 'true', '*', 'all', 'proxy.acme.test', '10.0.0.0/8, everybody', '999.1.1.1', '10.0.0.0/99')
})

t.test('what is accepted as an origin can be used as one', async t => {
  const origins = [
    'https://a.test',
    'https://a.test:8443',
    'http://localhost:3000',
    'https://*.a.test',
    '*.a.test',
    'myapp://',
    'myapp://host',
    'exp://192.168.0.1:8081',
    'HTTPS://a.test',
    'https://A.test',
    'https://a.test:443',
    'javascript://',
    'data://x',
    '*.A.test',
    'https://*.a.test:8443',
    'https://[::1]:3000',
  ]
  for (const origin of origins) {
    if (faultsOf({ ...secrets, TRUSTED_ORIGINS: origin }).length > 0)
      t.throws(() => createOriginCheck({ trusted: [origin] }), origin)
    else t.doesNotThrow(() => createOriginCheck({ trusted: [origin] }), origin)
  }
})

t.test('A-05 what is accepted as a proxy can be used as one', async t => {
  const good = [
    'loopback',
    'linklocal',
    'uniquelocal',
    '10.0.0.1',
    '10.0.0.0/8',
    '::1',
    'fd00::/8',
    '::ffff:10.0.0.1',
    '10.0.0.1/32',
  ]
  for (const entry of good) {
    t.strictSame(load({ TRUST_PROXY: entry }).trustProxy, [entry])
    t.doesNotThrow(() => fastify({ trustProxy: [entry] }), entry)
  }
})

t.test('R-24 every fault is named at once, and no value', async t => {
  const variables = {
    PORT: 'value-1',
    LOG_LEVEL: 'value-2',
    ACCESS_TOKEN_TTL: 'value-3',
    CORS_ORIGINS: 'value-4',
    TRUSTED_ORIGINS: 'value-5',
    TRUST_PROXY: 'value-6',
    JWT_SECRET: 'value-7',
    REFRESH_TOKEN_SECRET: 'value-8',
    PASSWORD_PEPPER: 'value-9',
    DATABASE_URL: 'value-10:password@host',
    PUBLIC_URL: 'value-11',
    DOCS: 'value-12',
    NODE_ENV: 'production',
    BCRYPT_COST: '4',
  }
  const faults = faultsOf(variables)
  const { NODE_ENV: _good, ...bad } = variables
  t.strictSame([...new Set(namesOf(faults))], Object.keys(bad).sort())
  const error = new ConfigError(faults)
  t.equal(error.name, 'ConfigError')
  t.notMatch(error.message, /value-/)
  t.match(error.message, /^The configuration cannot be used:\n {2}- /)
  for (const fault of faults) t.match(error.message, `\n  - ${fault}`)
})

t.test('lifetimes that cannot be kept', async t => {
  t.strictSame(namesOf(faultsOf({ ...secrets, ACCESS_TOKEN_TTL: '2h', SESSION_MAX_AGE: '1h' })), ['ACCESS_TOKEN_TTL'])
  t.strictSame(faultsOf({ ...secrets, ACCESS_TOKEN_TTL: '1h', SESSION_MAX_AGE: '1h' }), [])
})

t.test('T-02 T-07 R-01 weak secrets', async t => {
  const pem = '-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----'
  const jwk = JSON.stringify({ kty: 'RSA', n: 'sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1Wl', e: 'AQAB' })
  const weak: Record<string, string> = {
    short: 'secret',
    '31 bytes': access.slice(0, 31),
    'one character, often': 'x'.repeat(64),
    'nine characters, often': 'abcdefghi'.repeat(8),
    'a PEM': pem,
    'a PEM after a blank': `  ${pem}`,
    'a PEM after a byte order mark': `\ufeff${pem}`,
    'a PEM after a comment': `Bag Attributes: 1\n# my key\n${pem}`,
    'a PEM on one line': pem.replaceAll('\n', '\\n'),
    'a private PEM': pem.replaceAll('PUBLIC', 'EC PRIVATE'),
    'a certificate': pem.replaceAll('PUBLIC KEY', 'CERTIFICATE'),
    'a JWK': jwk,
    'a JWK after a blank': `\n ${jwk}`,
    'a JWK after a byte order mark': `\ufeff${jwk}`,
    'a JWK set': `{"keys":[${jwk}]}`,
    'a list of JWKs': `[${jwk}]`,
  }
  for (const name of [
    'JWT_SECRET',
    'BETTER_AUTH_SECRET',
    'JWT_SECRETS_PREVIOUS',
    'JWT_SECRETS_NEXT',
    'REFRESH_TOKEN_SECRET',
    'REFRESH_TOKEN_SECRETS_PREVIOUS',
    'REFRESH_TOKEN_SECRETS_NEXT',
    'PASSWORD_PEPPER',
  ])
    for (const [what, secret] of Object.entries(weak)) {
      const { JWT_SECRET, ...rest } = secrets
      const variables = { ...rest, ...(name === 'BETTER_AUTH_SECRET' ? {} : { JWT_SECRET }), [name]: secret }
      const faults = faultsOf(variables)
      t.strictSame(namesOf(faults), [name], `${name}: ${what}`)
      t.notOk(
        faults.some(fault => fault.includes(secret.trim())),
        `${name}: ${what} is not repeated`,
      )
    }
  t.strictSame(faultsOf({ ...secrets, JWT_SECRET: access.slice(0, 32) }), [], '32 bytes')
  t.strictSame(faultsOf({ ...secrets, JWT_SECRET: 'ä'.repeat(3) + access.slice(0, 26) }), [], 'bytes, not characters')
})

t.test('one secret for two purposes', async t => {
  t.strictSame(namesOf(faultsOf({ JWT_SECRET: access, REFRESH_TOKEN_SECRET: access })), ['REFRESH_TOKEN_SECRET'])
  t.strictSame(namesOf(faultsOf({ BETTER_AUTH_SECRET: access, REFRESH_TOKEN_SECRET: access })), [
    'REFRESH_TOKEN_SECRET',
  ])
})

t.test('one secret for two purposes, before or after a rotation', async t => {
  for (const name of ['JWT_SECRETS_PREVIOUS', 'JWT_SECRETS_NEXT'])
    t.strictSame(namesOf(faultsOf({ ...secrets, [name]: `${older},${refresh}` })), ['REFRESH_TOKEN_SECRET'], name)
  for (const name of ['REFRESH_TOKEN_SECRETS_PREVIOUS', 'REFRESH_TOKEN_SECRETS_NEXT'])
    refused(t, name, `${older},${access}`)
})

t.test('a secret that would be another one in a list', async t => {
  for (const name of ['JWT_SECRET', 'REFRESH_TOKEN_SECRET'])
    refused(t, name, `${older}\n`, ` ${older}`, `${older},`, `${older.slice(0, 20)},${older.slice(20)}`)
})

t.test('private and public keys', async t => {
  for (const [key, alg] of [
    [ec, 'ES256'],
    [ed, 'EdDSA'],
    [rsa, 'RS256'],
  ] as const) {
    const { current, others } = load({ JWT_PRIVATE_KEY: key }).accessKeys
    t.equal(current.alg, alg)
    t.strictSame(others, [secretKey(access)], 'the secret verifies on')
  }
  const alone = loadConfig({ JWT_PRIVATE_KEY: ec, REFRESH_TOKEN_SECRET: refresh }, 'no-such-file')
  t.match(alone, { madeSecrets: [], accessKeys: { others: [] } })
  const { JWT_SECRET, ...rest } = production
  t.strictSame(faultsOf({ ...rest, JWT_PRIVATE_KEY: ec }), [], 'a key instead of a secret')
  const { accessKeys } = load({ JWT_PRIVATE_KEY: ec, JWT_PUBLIC_KEYS: `${publicHalf(ec)}${publicHalf(ed)}` })
  t.strictSame(accessKeys.current, asymmetricKey(ec), 'its own public half does not take its place')
  t.equal(accessKeys.others.length, 2)
  refused(
    t,
    'JWT_PRIVATE_KEY',
    'no key',
    access,
    publicHalf(ec),
    JSON.stringify({ kty: 'oct', k: access }),
    '{"kty":"EC"}',
    makeKey('ec', { namedCurve: 'secp384r1' }),
    makeKey('rsa', { modulusLength: 1024 }),
  )
  refused(t, 'JWT_PUBLIC_KEYS', 'no key', access, '{"keys":[{}]}', '{"keys":"x"}', `${publicHalf(ec)}-----BEGIN X`)
})

t.test('service clients', async t => {
  const weak = access.slice(0, 31)
  refused(t, 'SERVICE_CLIENTS', 'api', `api:${weak}`, `:${access}`, `a b:${access}`, `api:${access},x`, `api:${weak}é`)
  refused(t, 'SERVICE_CLIENTS', `api:${access},api:${refresh}`)
})

t.test('mail', async t => {
  const mail = { SMTP_URL: 'smtp://mail.acme.test', MAIL_FROM: 'no-reply@acme.test' }
  t.equal(load(mail).mailFrom, 'no-reply@acme.test')
  t.strictSame(namesOf(faultsOf({ ...secrets, ...mail, MAIL_FROM: '' })), ['MAIL_FROM'])
  refused(t, 'MAIL_FROM', 'nobody', 'a@b@c', 'Acme <no-reply>', 'Acme\nBcc: x <a@b.co>', '<a@b.co>, <c@d.co>')
  for (const url of ['mail.acme.test', 'http://mail.acme.test', 'smtp://a b'])
    t.strictSame(namesOf(faultsOf({ ...secrets, ...mail, SMTP_URL: url })), ['SMTP_URL'], url)
  t.strictSame(namesOf(faultsOf({ ...production, ...mail })), ['PUBLIC_URL'], 'links name it')
  t.strictSame(namesOf(faultsOf({ ...production, REQUIRE_EMAIL_VERIFICATION: 'on' })), ['SMTP_URL'])
  t.equal(load({ ...production }).mailOutbox, undefined, 'production writes no files')
  t.equal(load({ DATA_DIR: 'memory://' }).mailOutbox, undefined)
  t.equal(load({ PRODUCT_NAME: 'A, "B" <c>' }).mailFrom, 'A B c <no-reply@localhost>')
})

t.test('BETTER_AUTH_SECRET is another name of JWT_SECRET', async t => {
  const rest = { REFRESH_TOKEN_SECRET: refresh }
  t.equal(accessSecretOf(loadConfig({ ...rest, BETTER_AUTH_SECRET: access }, 'no-such-file')), access)
  t.equal(
    accessSecretOf(loadConfig({ ...rest, JWT_SECRET: access, BETTER_AUTH_SECRET: access }, 'no-such-file')),
    access,
  )
  const other = `${access}x`
  t.strictSame(namesOf(faultsOf({ ...rest, JWT_SECRET: access, BETTER_AUTH_SECRET: other })), ['BETTER_AUTH_SECRET'])
})

t.test('T-07 R-40 production asks for what must not be made up', async t => {
  t.strictSame(namesOf(faultsOf({ NODE_ENV: 'production' })), ['DATABASE_URL', 'JWT_SECRET', 'REFRESH_TOKEN_SECRET'])
  t.strictSame(namesOf(faultsOf({ ...production, BCRYPT_COST: '9' })), ['BCRYPT_COST'])
  t.strictSame(faultsOf({ ...production, BCRYPT_COST: '10' }), [])
  const { JWT_SECRET, ...rest } = production
  t.strictSame(faultsOf({ ...rest, BETTER_AUTH_SECRET: JWT_SECRET }), [])
  const config = load(production)
  t.match(config, { production: true, codvidGetUuid: false, madeSecrets: [] })
  for (const name of ['prod', 'PRODUCTION', 'staging', 'test'])
    t.equal(load({ NODE_ENV: name }).production, false, name)
  const folder = join(t.testdir(), 'data')
  t.not(faultsOf({ NODE_ENV: 'production', DATA_DIR: folder }).length, 0)
  t.notOk(existsSync(folder), 'no secrets are made on the way')
})

t.test('a blank counts as not set', async t => {
  const names = [
    'PORT',
    'DATABASE_URL',
    'PUBLIC_URL',
    'JWT_AUDIENCE',
    'LOG_LEVEL',
    'METRICS_PORT',
    'COOKIE_SECURE',
    'PASSWORD_PEPPER',
    'BETTER_AUTH_SECRET',
  ]
  for (const blank of ['', ' ', '\t\n', undefined])
    t.strictSame(load(Object.fromEntries(names.map(name => [name, blank]))), load())
  t.strictSame(namesOf(faultsOf({ ...production, JWT_SECRET: ' ', DATABASE_URL: '' })), ['DATABASE_URL', 'JWT_SECRET'])
})

t.test('what else stands in the environment does not matter', async t => {
  t.strictSame(load({ PATH: '/bin', HOME: '/', port: '1', toString: 'x', __proto__: 'x' }), load())
})

t.test('a .env file, and the environment over it', async t => {
  const folder = t.testdir({
    '.env': `PORT=4000\nLOG_LEVEL="debug" # comment\nJWT_SECRET=${access}\nREFRESH_TOKEN_SECRET=${refresh}\nHOST=\n`,
  })
  const file = join(folder, '.env')
  t.match(loadConfig({}, file), {
    port: 4000,
    logLevel: 'debug',
    accessKeys: { current: { signing: access } },
    host: '127.0.0.1',
  })
  t.match(loadConfig({ PORT: '5000', LOG_LEVEL: '' }, file), { port: 5000, logLevel: 'debug' })
  mkdirSync(join(folder, 'folder'))
  t.match(faultsOf(secrets, join(folder, 'folder')), [/cannot be read$/])
})

t.test('secrets nobody set are made once and kept', async t => {
  const folder = join(t.testdir(), 'deep', 'data')
  const file = join(folder, 'secrets.json')
  const first = loadConfig({ DATA_DIR: folder }, 'no-such-file')
  t.strictSame(first.madeSecrets, ['JWT_SECRET', 'REFRESH_TOKEN_SECRET'])
  for (const secret of [accessSecretOf(first), refreshSecretOf(first)]) t.match(secret, /^[\w-]{43}$/)
  t.not(accessSecretOf(first), refreshSecretOf(first))
  t.equal(statSync(file).mode & 0o777, 0o600, 'for its owner alone')
  t.strictSame(
    faultsOf({ JWT_SECRET: accessSecretOf(first), REFRESH_TOKEN_SECRET: refreshSecretOf(first) }),
    [],
    'they are good ones',
  )

  const second = loadConfig({ DATA_DIR: folder }, 'no-such-file')
  t.strictSame(second, first)
  const third = loadConfig({ DATA_DIR: folder, JWT_SECRET: access }, 'no-such-file')
  t.match(third, {
    accessKeys: { current: { signing: access } },
    refreshKeys: first.refreshKeys,
    madeSecrets: ['REFRESH_TOKEN_SECRET'],
  })
  const fourth = loadConfig({ DATA_DIR: folder, REFRESH_TOKEN_SECRET: refresh }, 'no-such-file')
  t.match(fourth, {
    accessKeys: first.accessKeys,
    refreshKeys: { current: { signing: refresh } },
    madeSecrets: ['JWT_SECRET'],
  })

  const other = loadConfig({ DATA_DIR: join(folder, 'other') }, 'no-such-file')
  t.not(accessSecretOf(other), accessSecretOf(first))
  const [one, two] = [{ DATA_DIR: 'memory://' }, { DATA_DIR: 'memory://' }].map(each =>
    loadConfig(each, 'no-such-file'),
  )
  t.not(accessSecretOf(one), accessSecretOf(two), 'in memory nothing is kept')
  t.notOk(existsSync('memory:'))
})

t.test('the file of an open umask is closed all the same', async t => {
  const before = process.umask(0)
  t.teardown(() => process.umask(before))
  const folder = join(t.testdir(), 'data')
  loadConfig({ DATA_DIR: folder }, 'no-such-file')
  t.equal(statSync(join(folder, 'secrets.json')).mode & 0o777, 0o600)
})

t.test('kept secrets that cannot be used', async t => {
  const contents = [
    '',
    'x',
    'null',
    '[]',
    '{}',
    '{"access":1,"refresh":2}',
    `{"access":"${access}"}`,
    `{"access":"x","refresh":"${refresh}"}`,
    `{"access":"${access}","refresh":"${access}"}`,
  ]
  for (const content of contents) {
    const folder = t.testdir({ 'secrets.json': content })
    t.strictSame(namesOf(faultsOf({ DATA_DIR: folder })), ['DATA_DIR'], content)
    t.equal(readFileSync(join(folder, 'secrets.json'), 'utf8'), content, 'it is left alone')
  }
  const blocked = t.testdir({ file: '' })
  t.strictSame(
    namesOf(faultsOf({ DATA_DIR: join(blocked, 'file') })),
    ['DATA_DIR'],
    'a file where the folder should be',
  )
  if (process.getuid?.() !== 0) {
    const closed = t.testdir({ data: {} })
    chmodSync(join(closed, 'data'), 0o500)
    t.strictSame(namesOf(faultsOf({ DATA_DIR: join(closed, 'data') })), ['DATA_DIR'], 'a folder that cannot be written')
  }
  writeFileSync(join(blocked, 'file'), 'x')
})
