/** The door under /api/auth: Better Auth's wire, and the two JSON dialects that share its prefix. */
import type { PublicJwk } from '../../core/keys.js'
import type { Dialect } from '../../http/dialect.js'
import { accountRoutes } from './account-routes.js'
import { entryRoutes } from './entry-routes.js'
import { Failure, render } from './errors.js'
import { jsonRoutes } from './json-routes.js'
import { jsonComponents } from './json-wire.js'
import { jwtRoutes } from './jwt-routes.js'
import { mailRoutes } from './mail-routes.js'
import { sessionRoutes } from './session-routes.js'
import { components } from './wire.js'

export const betterAuthComponents = [...components, ...jsonComponents]

/** `strictSession`: signed out is 401 at get-session, as no client of Better Auth expects it. */
export const betterAuth = (options: { strictSession: boolean; publicKeys: readonly PublicJwk[] }): Dialect => ({
  name: 'better-auth',
  prefix: '/api/auth',
  takesForms: true,
  setsCookies: true,
  errorSchema: Failure,
  render,
  routes(door, floor) {
    entryRoutes(door, floor)
    sessionRoutes(door, floor, options)
    accountRoutes(door, floor)
    mailRoutes(door, floor)
    jwtRoutes(door, floor, options.publicKeys)
    jsonRoutes(door, floor)
  },
})
