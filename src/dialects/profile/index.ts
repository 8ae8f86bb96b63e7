/** The profile door: /api/user and /api/personalization. */
import type { Dialect } from '../../http/dialect.js'
import { flatAnswer } from '../../http/flat-errors.js'
import { contextRoutes } from './context-routes.js'
import { profileRoutes } from './profile-routes.js'
import { components, Failure } from './wire.js'

export const profileComponents = components

export const profile: Dialect = {
  name: 'profile',
  prefix: '/api',
  takesForms: false,
  setsCookies: false,
  errorSchema: Failure,
  render: flatAnswer,
  routes(door, floor) {
    profileRoutes(door, floor)
    contextRoutes(door, floor)
  },
}
