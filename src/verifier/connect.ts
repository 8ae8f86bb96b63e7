/** A middleware for Connect, Express, and whatever else calls (request, response, next). */
import { type Passage, passageOf, type Rejection } from './bearer.js'
import type { Claims } from './claims.js'
import type { Verifier } from './verifier.js'

type Request = { headers: { authorization?: string | undefined }; auth?: Claims | undefined }
type Response = { statusCode: number; setHeader(name: string, value: string): unknown; end(body: string): unknown }
type Next = (error?: unknown) => void

export type ConnectOptions = {
  /** Lets requests without a token through, without `request.auth`; a bad token is refused all the same. */
  optional?: boolean
  /** Answers instead of the middleware, in the service's own words. Headers and status are set already. */
  onRejected?: (rejection: Rejection, request: Request, response: Response) => void
}

/** Sets `request.auth` to the claims of the bearer token, or answers 401 (RFC 6750 section 3), or 503 in an outage. */
export function connectBearer(verifier: Verifier, options: ConnectOptions = {}) {
  const { optional = false, onRejected = answer } = options
  return (request: Request, response: Response, next: Next): void => {
    const settle = (passage: Passage): void => {
      if ('claims' in passage) {
        request.auth = passage.claims
        next()
      } else if (optional && passage.rejection.refusal === undefined) next()
      else turnAway(passage.rejection, request, response)
    }
    passageOf(verifier, request.headers.authorization).then(settle, next)
  }

  function turnAway(rejection: Rejection, request: Request, response: Response): void {
    response.statusCode = rejection.statusCode
    for (const [name, value] of Object.entries(rejection.headers)) response.setHeader(name, value)
    onRejected(rejection, request, response)
  }
}

function answer({ error }: Rejection, _request: Request, response: Response): void {
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify({ error }))
}
