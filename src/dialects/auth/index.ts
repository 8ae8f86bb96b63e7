/** The OAuth2-shaped bearer door under /auth. */
import type { Dialect } from '../../http/dialect.js'
import { accountRoutes } from './account-routes.js'
import { Failure, render } from './errors.js'
import { tokenRoutes } from './token-routes.js'
import { components } from './wire.js'

export const authComponents = components

export const auth: Dialect = {
  name: 'auth',
  prefix: '/auth',
  takesForms: true,
  setsCookies: false,
  errorSchema: Failure,
  render,
  routes(door, floor) {
    tokenRoutes(door, floor)
    accountRoutes(door, floor)
  },
}
