/** The stairwell: builds store, core, HTTP floor and doors, in that order. The only file that knows every floor. */
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import fastify, {
  type FastifyHttpOptions,
  type FastifyInstance,
  type FastifyRequest,
  type RawServerDefault,
} from 'fastify'
import type { Registry } from 'prom-client'
import type { Config } from './config.js'
import type { EventKind } from './core/events.js'
import { type Core, createCore } from './core/index.js'
import { publicKeysOf } from './core/keys.js'
import { auth, authComponents } from './dialects/auth/index.js'
import { betterAuth, betterAuthComponents } from './dialects/better-auth/index.js'
import { codvid, codvidComponents } from './dialects/codvid/index.js'
import { profile, profileComponents } from './dialects/profile/index.js'
import { discovery, oauth2, type VerifierSettings, verifierComponents } from './dialects/verifiers/index.js'
import { createCookies } from './http/cookies.js'
import { createCredentials, readVisit } from './http/credentials.js'
import { type Floor, mountDialect } from './http/dialect.js'
import { FlatFailure } from './http/flat-errors.js'
import { KeySet, PublicKey } from './http/key-set.js'
import type { LimitClass } from './http/limit-classes.js'
import { limitRequests } from './http/limits.js'
import { logging } from './http/logging.js'
import { createOriginCheck } from './http/origin.js'
import { addSecurityHeaders } from './http/security-headers.js'
import { createSigners } from './http/signer.js'
import { compileStrictly } from './http/validation.js'
import { createMailer } from './mail/index.js'
import { answerUnreadable, boundConnections, patience } from './operations/connections.js'
import { describeRoutes } from './operations/docs.js'
import { serveHealth } from './operations/health.js'
import { countEvents, countRequests, showNews } from './operations/metrics.js'
import { answerProblems, answerUnroutable, boundHeaders } from './operations/problems.js'
import { createReadiness, type Readiness } from './operations/readiness.js'
import type { Database } from './store/database.js'
import { pendingMigrations } from './store/migrate.js'

/** What the process gives the service. */
export type World = {
  database: Database
  /** The version that the documentation names. */
  version: string
  /** Where log lines go; standard output where nothing is said. */
  logStream?: { write(line: string): void } | undefined
}

/** A service ready to listen, and what its process turns. */
export type Service = { app: FastifyInstance; core: Core; readiness: Readiness; metrics: Registry }

const thirtyDays = 30 * 86_400
/** Somebody may have what is not theirs, or something of ours is lost. */
const alarming: ReadonlySet<EventKind> = new Set(['refresh_reused', 'sign_in_limited', 'events_lost'])

/** Builds the whole service over an open database. The caller migrates, listens and closes. */
export async function buildApp(config: Config, world: World): Promise<Service> {
  const app = fastify(serverOptions(config, world))
  boundConnections(app, config.maxConnections)
  app.decorateRequest('identity', null)
  app.decorateRequest('extended', null)
  app.decorateRequest('newDevice', null)
  answerProblems(app)
  const metrics = countRequests(app)
  await addBrowserRules(app, config)
  boundHeaders(app)
  const onLimited = (request: FastifyRequest, limitClass: LimitClass): void =>
    core.events.record({ kind: 'requests_limited', visit: readVisit(request), detail: { class: limitClass } })
  if (config.rateLimit) await limitRequests(app, { ...config, onLimited })
  else app.log.warn('RATE_LIMIT is off: nothing limits how often a password can be tried')

  if (!config.guessLimit)
    app.log.warn('GUESS_LIMIT is off: nothing limits how often the password of an account can be tried')
  const core = await buildCore(app, config, world.database, countEvents(metrics))
  // Before the listener waits for its last answers: a revocation feed would keep it waiting for half a minute.
  app.addHook('preClose', async () => core.revocations.close())
  app.addHook('onClose', () => core.close())
  showNews(metrics, core.isInformed)
  const floor = layFloor(core, config)

  compileStrictly(app, [
    FlatFailure,
    KeySet,
    PublicKey,
    ...authComponents,
    ...betterAuthComponents,
    ...profileComponents,
    ...codvidComponents,
    ...verifierComponents,
  ])
  await describeRoutes(app, { enabled: config.docs, version: world.version })
  const readiness = createReadiness(app, {
    ping: world.database.ping,
    pendingMigrations: () => pendingMigrations(world.database),
  })
  serveHealth(app, readiness)

  await mountDialect(app, auth({ product: config.productName }), floor)
  await mountDialect(
    app,
    betterAuth({ strictSession: config.strictSession, publicKeys: publicKeysOf(config.accessKeys) }),
    floor,
  )
  await mountDialect(app, profile, floor)
  await mountDialect(app, codvid({ getUuid: config.codvidGetUuid, uniformErrors: config.codvidUniformErrors }), floor)
  const verifiers = verifierSettings(core, config)
  await mountDialect(app, discovery(verifiers), floor)
  await mountDialect(app, oauth2(verifiers), floor)
  return { app, core, readiness, metrics }
}

function serverOptions(config: Config, world: World): FastifyHttpOptions<RawServerDefault> {
  return {
    ...logging(config.logLevel, world.logStream),
    bodyLimit: 16 * 1024,
    frameworkErrors: answerUnroutable,
    clientErrorHandler: answerUnreadable,
    ...patience,
    trustProxy: config.trustProxy.length > 0 ? [...config.trustProxy] : false,
    // While closing, a keep-alive client would be answered 503 for a request that can still be served.
    return503OnClosing: false,
    routerOptions: { maxParamLength: 200 },
  }
}

async function addBrowserRules(app: FastifyInstance, config: Config): Promise<void> {
  // Cookies are read by http/cookies.ts alone, which sees doubled ones; the plugin writes them. With `hook: false` it would
  // not write those that are set as late as a door's own onSend.
  await app.register(cookie)
  addSecurityHeaders(app)
  if (config.corsOrigins.length === 0) return
  await app.register(cors, {
    origin: [...config.corsOrigins],
    credentials: true,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: [
      'set-auth-token',
      'set-auth-jwt',
      'etag',
      'retry-after',
      'x-retry-after',
      'x-request-id',
      'www-authenticate',
      'ratelimit-limit',
      'ratelimit-remaining',
      'ratelimit-reset',
    ],
    // An OPTIONS that is no preflight would be answered by the plugin itself, in plain text, at every door.
    strictPreflight: false,
    maxAge: 600,
  })
}

async function buildCore(
  app: FastifyInstance,
  config: Config,
  database: Database,
  countEvent: (kind: EventKind) => void,
): Promise<Core> {
  const mailer = createMailer({
    smtpUrl: config.smtpUrl,
    from: config.mailFrom,
    outbox: config.mailOutbox,
    product: config.productName,
    publicUrl: config.ownUrl,
    linkTtl: config.linkTtl,
    folder: config.mailTemplates,
    onFile: file => app.log.info({ file }, 'SMTP_URL is not set: a mail was written to a file'),
  })
  app.addHook('onClose', async () => mailer?.close())
  const settings = {
    ...config,
    longTtl: thirtyDays,
    linkSecrets: config.cookieSecrets,
    maxReplays: 100,
    passwords: {
      cost: config.bcryptCost,
      minLength: config.passwordMinLength,
      pepper: config.passwordPepper,
      concurrency: config.hashingConcurrency,
    },
  }
  return createCore(settings, {
    database,
    databaseUrl: config.databaseUrl,
    signers: await createSigners(app, { access: config.accessKeys, refresh: config.refreshKeys }),
    deliver: mailer?.deliver,
    onMail: ({ event, ...mail }) =>
      event === 'mail_sent' ? app.log.info({ event, ...mail }, 'mail') : app.log.warn({ event, ...mail }, 'mail'),
    onEvent: ({ kind, ...rest }) => {
      countEvent(kind)
      app.log[alarming.has(kind) ? 'warn' : 'info']({ event: kind, ...rest }, 'event')
    },
    onSideFailure: (error, what) => app.log.warn({ err: error }, what),
    onHearing: isHeard =>
      isHeard
        ? app.log.info('news of ended sessions reaches this process: sessions are remembered')
        : app.log.warn('news of ended sessions does not reach this process: every request asks the database'),
  })
}

function layFloor(core: Core, config: Config): Floor {
  const cookies = createCookies({
    secure: config.cookieSecure,
    publicUrlIsHttps: config.publicUrl?.startsWith('https:') ?? config.production,
    domain: config.cookieDomain,
    secrets: config.cookieSecrets,
  })
  const origins = createOriginCheck({
    trusted: [...config.corsOrigins, ...config.trustedOrigins],
    publicOrigin: config.publicUrl && new URL(config.publicUrl).origin,
  })
  return { core, credentials: createCredentials(core, cookies), cookies, origins }
}

const verifierSettings = (core: Core, config: Config): VerifierSettings => ({
  issuer: config.issuer,
  audience: config.audience,
  publicUrl: config.ownUrl,
  publicKeys: publicKeysOf(config.accessKeys),
  clients: config.serviceClients,
  revocations: core.revocations,
})
