/** A Fastify plugin: every route of the scope it is registered in asks for a bearer token. */
import { passageOf, type Rejection } from './bearer.js'
import type { Claims } from './claims.js'
import type { Verifier } from './verifier.js'

type Request = { headers: { authorization?: string | undefined } }
type Reply = { header(name: string, value: string): unknown }
type Scope = {
  decorateRequest(name: 'auth', value: null): unknown
  addHook(name: 'onRequest', hook: (request: Request, reply: Reply) => Promise<void>): unknown
}

export type FastifyBearerOptions = {
  verifier: Verifier
  /** Lets requests without a token through, with `request.auth` null; a bad token is refused all the same. */
  optional?: boolean
}

/** What the service's own error handler is given; the reason, for a log, is in `cause`. */
export class BearerRejected extends Error {
  override readonly name = 'BearerRejected'
  readonly statusCode: number
  readonly code: Rejection['error']

  constructor({ statusCode, error, refusal }: Rejection) {
    super(statusCode === 401 ? 'A valid access token is needed' : 'Access tokens cannot be verified now', {
      cause: refusal,
    })
    this.statusCode = statusCode
    this.code = error
  }
}

/** Decorates requests with `auth`: the claims of the bearer token. Throws BearerRejected to the scope's error handler. */
export async function fastifyBearer(scope: Scope, options: FastifyBearerOptions): Promise<void> {
  const { verifier, optional = false } = options
  scope.decorateRequest('auth', null)
  scope.addHook('onRequest', async (request, reply) => {
    const passage = await passageOf(verifier, request.headers.authorization)
    if ('claims' in passage) {
      ;(request as Request & { auth: Claims | null }).auth = passage.claims
      return
    }
    const { rejection } = passage
    if (optional && rejection.refusal === undefined) return
    for (const [name, value] of Object.entries(rejection.headers)) reply.header(name, value)
    throw new BearerRejected(rejection)
  })
}

// What fastify-plugin would set: the hook is for the scope that registers the plugin, not for one inside it.
Object.assign(fastifyBearer, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'gatehouse-verifier',
})
