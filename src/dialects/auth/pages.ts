/** Pages behind mailed links, for whoever has no app that would have them: no script, no cookie, one question each. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { AuthError, type AuthErrorCode } from '../../core/errors.js'
import type { Visit } from '../../core/index.js'
import { readVisit } from '../../http/credentials.js'
import type { Door, Floor } from '../../http/dialect.js'
import { anybody } from '../../http/openapi.js'
import { type PageContent, renderPage } from './page.js'

/** Nothing from anywhere but the styles of the page itself, forms to ourselves alone, and no address told to anybody. */
const headers = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  // With no-referrer, browsers would send the forms with `Origin: null`.
  'referrer-policy': 'same-origin',
}

const Query = Type.Object({ token: Type.Optional(Type.String({ maxLength: 4096 })) })
const Form = Type.Object({
  token: Type.Optional(Type.String({ maxLength: 4096 })),
  new_password: Type.Optional(Type.String()),
  repeated: Type.Optional(Type.String()),
})

type Sent = { token?: string; new_password?: string; repeated?: string }

type LinkPage = {
  path: string
  /** What is asked before anything happens: mail programs open links by themselves. */
  question: PageContent
  act(sent: Sent, visit: Visit): Promise<PageContent>
}

const deadLink: PageContent = {
  title: 'This link is no good any more',
  text: 'It was used already, or its time is over. Ask for a new one where you asked for this one.',
}

const passwordFaults: Partial<Record<AuthErrorCode, string>> = {
  password_too_short: 'That password is too short.',
  password_too_long: 'That password is too long.',
  password_common: 'That password is too common, or the same as your address.',
  password_invalid: 'That password holds characters that cannot be used.',
  hashing_busy: 'There is too much to do just now. Try again in a moment.',
}

export function pageRoutes(door: Door, { core }: Floor, product: string): void {
  const { verifications } = core
  const askPassword = (fault?: string): PageContent => ({
    title: 'Set a new password',
    text: 'You will be signed out wherever you are signed in.',
    form: { button: 'Set password', asksPassword: true, ...(fault ? { fault } : {}) },
  })

  const pages: LinkPage[] = [
    {
      path: '/pages/verify-email',
      question: {
        title: 'Confirm your address',
        text: 'One more step, and we know that it is yours.',
        form: { button: 'Confirm' },
      },
      act: async ({ token = '' }, visit) => {
        const { email } = await verifications.verifyEmail(token, visit)
        return { title: 'Your address is confirmed', text: `${email} is yours. You can close this page.` }
      },
    },
    {
      path: '/pages/change-email',
      question: {
        title: 'Use this address',
        text: 'Your account will have the address this link was mailed to.',
        form: { button: 'Use this address' },
      },
      act: async ({ token = '' }, visit) => {
        const { email } = await verifications.changeEmail(token, visit)
        return { title: 'Your address has changed', text: `Sign in with ${email} from now on.` }
      },
    },
    {
      path: '/pages/reset-password',
      question: askPassword(),
      act: async ({ token = '', new_password: password = '', repeated }, visit) => {
        if (password !== repeated) return askPassword('The two passwords are not the same.')
        try {
          await verifications.resetPassword(token, password, visit)
        } catch (error) {
          const fault = error instanceof AuthError ? passwordFaults[error.code] : undefined
          if (fault === undefined) throw error
          return askPassword(fault)
        }
        return { title: 'Your password is set', text: 'Sign in with it. You can close this page.' }
      },
    },
  ]
  for (const page of pages) servePage(door, page, product)
}

function servePage(door: Door, { path, question, act }: LinkPage, product: string): void {
  const show = (request: FastifyRequest, reply: FastifyReply, content: PageContent, token = '') =>
    reply
      .code(content.form?.fault ? 422 : content === deadLink ? 400 : 200)
      .headers(headers)
      .send(renderPage(content, { product, token, action: request.routeOptions.url ?? path }))

  door.get(path, { schema: { hide: true, security: anybody, querystring: Query } as never }, async (request, reply) => {
    const { token } = request.query as Sent
    return show(request, reply, token ? question : deadLink, token)
  })

  door.post(
    path,
    { config: { checksPassword: true }, schema: { hide: true, security: anybody, body: Form } as never },
    async (request, reply) => {
      const sent = request.body as Sent
      try {
        return show(request, reply, await act(sent, readVisit(request)), sent.token)
      } catch (error) {
        if (error instanceof AuthError && error.code === 'link_invalid') return show(request, reply, deadLink)
        throw error
      }
    },
  )
}
