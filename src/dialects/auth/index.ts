/** The OAuth2-shaped bearer door under /auth. */
import type { Dialect } from '../../http/dialect.js'
import { accountRoutes } from './account-routes.js'
import { Failure, render } from './errors.js'
import { mailRoutes } from './mail-routes.js'
import { pageRoutes } from './pages.js'
import { tokenRoutes } from './token-routes.js'
import { components } from './wire.js'

export const authComponents = components

/** `product`: what the pages behind mailed links call the service. */
export const auth = (options: { product: string }): Dialect => ({
  name: 'auth',
  prefix: '/auth',
  takesForms: true,
  setsCookies: false,
  errorSchema: Failure,
  render,
  routes(door, floor) {
    tokenRoutes(door, floor)
    accountRoutes(door, floor)
    mailRoutes(door, floor)
    pageRoutes(door, floor, options.product)
  },
})
