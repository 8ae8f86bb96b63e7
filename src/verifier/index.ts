/** `gatehouse/verifier`: verifies Gatehouse's access tokens anywhere. Depends on node:crypto and fetch, and on nothing else of Gatehouse. */
export type { Rejection } from './bearer.js'
export type { Claims } from './claims.js'
export { type ConnectOptions, connectBearer } from './connect.js'
export { BearerRejected, type FastifyBearerOptions, fastifyBearer } from './fastify.js'
export type { Algorithm } from './keys.js'
export { type RefusalReason, refusalReasons, TokenRefused } from './refused.js'
export { createVerifier, type RevocationOptions, type Verifier, type VerifierOptions } from './verifier.js'
