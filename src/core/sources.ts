/** Where ids and random bytes come from. Time is not here: what decides who is signed in is the database's clock. */
import { createHash, randomBytes } from 'node:crypto'
import { uuidv7 } from 'uuidv7'

export type Sources = {
  /** A UUIDv7 (RFC 9562 section 5.7): unique, and ordered by the time it was made. */
  id(): string
  /** 256 random bits as 43 base64url characters: an opaque session token. Holds no dot. */
  sessionToken(): string
}

export const systemSources: Sources = {
  id: uuidv7,
  sessionToken: () => randomBytes(32).toString('base64url'),
}

/** SHA-256 of an opaque token, base64url: what the store keeps instead of the token. */
export const hashToken = (token: string): string => createHash('sha256').update(token).digest('base64url')

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Whether Postgres would take the text as a uuid in canonical form: asked before any id of a client reaches a query. */
export const isUuid = (text: string): boolean => uuidForm.test(text)
