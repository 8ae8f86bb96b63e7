/**
 * Better Auth behind node:http, with its defaults. The hash is bcrypt of cost 10, as everywhere here, and its rate limit
 * is off, as its own default is outside production. MODE: `defaults`; `renewing` writes the session at every read;
 * `oauth` adds its OAuth provider, a package of its own.
 */
import { createServer } from 'node:http'
import bcrypt from 'bcrypt'
import { type BetterAuthOptions, betterAuth } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import { toNodeHandler } from 'better-auth/node'
import pg from 'pg'

const { PORT, ORIGIN = '', DATABASE_URL = '', MODE } = process.env
const cost = 10

const options: BetterAuthOptions = {
  baseURL: ORIGIN,
  secret: 'a secret of the harness, and of nothing else',
  database: new pg.Pool({ connectionString: DATABASE_URL }),
  emailAndPassword: {
    enabled: true,
    password: {
      hash: password => bcrypt.hash(password, cost),
      verify: ({ password, hash }) => bcrypt.compare(password, hash),
    },
  },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  ...(MODE === 'renewing' && { session: { updateAge: 0 } }),
  ...(MODE === 'oauth' && { plugins: await oauthPlugins() }),
}

await (await getMigrations(options)).runMigrations()
const auth = betterAuth(options)
if (MODE === 'oauth') await addClient()
createServer(toNodeHandler(auth)).listen(Number(PORT), '127.0.0.1')

/** With opaque access tokens and no ID token, the least work it can have. */
async function oauthPlugins() {
  const { oauthProvider } = await import('@better-auth/oauth-provider' as string)
  return [
    oauthProvider({
      loginPage: '/login',
      consentPage: '/consent',
      disableJwtPlugin: true,
      generateClientId: () => 'bench',
    }),
  ]
}

/** A public client that asks nobody for consent; somebody signed in has to register it. */
async function addClient(): Promise<void> {
  const { headers: sent } = await auth.api.signUpEmail({
    body: { name: 'Operator', email: 'operator@example.com', password: 'correct horse battery staple' },
    returnHeaders: true,
  })
  const cookie = sent
    .getSetCookie()
    .map(text => text.split(';', 1)[0])
    .join('; ')
  const api = auth.api as unknown as { adminCreateOAuthClient(call: object): Promise<unknown> }
  await api.adminCreateOAuthClient({
    headers: new Headers({ cookie }),
    body: {
      client_name: 'bench',
      redirect_uris: ['http://127.0.0.1/callback'],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      application_type: 'native',
      scope: 'offline_access',
      skip_consent: true,
    },
  })
}
