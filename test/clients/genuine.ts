/**
 * A genuine Better Auth, to hold ours against: e-mail and password with the bearer and jwt plugins, and everything it does
 * by mail switched on. It keeps its rows in memory and its mails in a list; its hash is cheap, for tests are about the wire.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import bcrypt from 'bcrypt'
import { type BetterAuthOptions, betterAuth } from 'better-auth'
import { memoryAdapter } from 'better-auth/adapters/memory'
import { toNodeHandler } from 'better-auth/node'
import { bearer, jwt } from 'better-auth/plugins'
import type { Test } from 'tap'

/** What the scenarios need of a server, whichever it is. */
export type Server = {
  kind: 'genuine' | 'ours'
  /** Where it listens. */
  address: string
  /** Where it says it is, which makes its cookies secure or not. */
  origin: string
  /** The link of the next mail to somebody, as it was mailed. */
  nextLink(to: string): Promise<URL>
  /** Makes every session of somebody older by so many hours. */
  age(userId: string, hours: number): Promise<void>
}

export type ServerOptions = {
  /** In the place of the address it listens at. */
  publicUrl?: string
  trusted?: string[]
  /** Refuses the thirty-first try at a password in a minute. */
  limited?: boolean
  /** Genuine alone: a link ends an account, and a password no more; ours does without a configuration for it. */
  deletesByMail?: boolean
}

type Mail = { to: string; url: string }
type Row = Record<string, unknown>

export async function startGenuine(t: Test, options: ServerOptions = {}): Promise<Server> {
  const mails: Mail[] = []
  const tables: Record<string, Row[]> = {
    user: [],
    session: [],
    account: [],
    verification: [],
    jwks: [],
    rateLimit: [],
  }
  const server = createServer((request, response) => void handle(request, response))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const origin = options.publicUrl ?? address
  const handle = toNodeHandler(
    betterAuth({ ...toSettings(options, mails), baseURL: origin, database: memoryAdapter(tables) }),
  )
  t.teardown(() => void server.close())

  return {
    kind: 'genuine',
    address,
    origin,
    nextLink: async to => {
      const index = mails.findIndex(mail => mail.to === to)
      const [mail] = index === -1 ? [] : mails.splice(index, 1)
      if (!mail) throw new Error(`no mail to ${to}`)
      return new URL(mail.url)
    },
    age: async (userId, hours) => {
      for (const row of (tables.session ?? []).filter(row => row.userId === userId))
        for (const moment of ['createdAt', 'updatedAt', 'expiresAt'])
          row[moment] = new Date((row[moment] as Date).getTime() - hours * 3_600_000)
    },
  }
}

function toSettings({ trusted = [], limited = false, deletesByMail = false }: ServerOptions, mails: Mail[]) {
  const deliver = async ({ user, url }: { user: { email: string }; url: string }) =>
    void mails.push({ to: user.email, url })
  return {
    secret: 'a secret of the tests, and of nothing else in the world',
    trustedOrigins: trusted,
    emailAndPassword: {
      enabled: true,
      sendResetPassword: deliver,
      password: {
        hash: password => bcrypt.hash(password, 4),
        verify: ({ password, hash }) => bcrypt.compare(password, hash),
      },
    },
    emailVerification: { sendVerificationEmail: deliver, sendOnSignUp: true },
    user: {
      changeEmail: { enabled: true },
      deleteUser: { enabled: true, ...(deletesByMail ? { sendDeleteAccountVerification: deliver } : {}) },
    },
    rateLimit: {
      enabled: limited,
      window: 60,
      max: 1200,
      customRules: { '/sign-in/email': { window: 60, max: 30 } },
    },
    plugins: [bearer(), jwt()],
    telemetry: { enabled: false },
    logger: { disabled: true },
  } satisfies BetterAuthOptions
}
