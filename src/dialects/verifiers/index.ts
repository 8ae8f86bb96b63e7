/** The doors for services that verify our tokens: /.well-known and /oauth2. */

import type { PublicJwk } from '../../core/keys.js'
import type { Revocations } from '../../core/revocations.js'
import type { ServiceClients } from '../../http/client-auth.js'
import type { Dialect } from '../../http/dialect.js'
import { discoveryRoutes } from './discovery-routes.js'
import { Failure, render } from './errors.js'
import { forwardAuthRoutes } from './forward-auth-routes.js'
import { revocationFeedRoute } from './revocation-feed-route.js'
import { tokenRoutes } from './token-routes.js'
import { components } from './wire.js'

export const verifierComponents = components

export type VerifierSettings = {
  issuer: string
  audience: string | undefined
  /** Where the service is reached, without a trailing slash. */
  publicUrl: string
  publicKeys: readonly PublicJwk[]
  clients: ServiceClients
  revocations: Revocations
}

const door = { name: 'verifiers', setsCookies: false, errorSchema: Failure, render }

/** `/.well-known`: the keys, and what there is. */
export const discovery = (settings: VerifierSettings): Dialect => ({
  ...door,
  prefix: '/.well-known',
  takesForms: false,
  routes: scope => discoveryRoutes(scope, settings),
})

/** `/oauth2`: introspection, revocation, the feed of what was revoked, and the check that proxies ask for. */
export const oauth2 = (settings: VerifierSettings): Dialect => ({
  ...door,
  prefix: '/oauth2',
  takesForms: true,
  routes(scope, floor) {
    tokenRoutes(scope, floor, settings)
    revocationFeedRoute(scope, settings)
    forwardAuthRoutes(scope, floor)
  },
})
