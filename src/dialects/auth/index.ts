/** The OAuth2-shaped bearer door under /auth. */
import type { Dialect } from '../../http/dialect.js'
import { accountRoutes } from './account-routes.js'
import { render } from './errors.js'
import { tokenRoutes } from './token-routes.js'
import { AuthFailure, components } from './wire.js'

export const authComponents = components

export const auth: Dialect = {
  name: 'auth',
  prefix: '/auth',
  takesForms: true,
  setsCookies: false,
  errorSchema: AuthFailure,
  render,
  routes(door, floor) {
    tokenRoutes(door, floor)
    accountRoutes(door, floor)
  },
}
