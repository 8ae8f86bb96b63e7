/** Entity tags of the profile: its version, and what If-Match and If-None-Match ask of it (RFC 9110 section 13.1). */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { AuthError } from '../../core/errors.js'
import type { Precondition } from '../../core/profiles.js'

export const toEtag = (version: number): string => `"${version}"`

/** What the request demands of the profile it writes. Throws version_mismatch for tags that no version can have. */
export function readPrecondition(request: FastifyRequest): Precondition | undefined {
  const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = request.headers
  if (ifNoneMatch?.trim() === '*') return { exists: false }
  if (ifMatch === undefined) return undefined
  if (ifMatch.trim() === '*') return { exists: true }
  // Strong comparison: a weak tag never matches.
  const version = /^"(\d{1,9})"$/.exec(ifMatch.trim())?.[1]
  if (version === undefined) throw new AuthError('version_mismatch')
  return { version: Number(version) }
}

/** Sets the tag; true where the client has this very version already, and the answer is 304. */
export function isUnchanged(request: FastifyRequest, reply: FastifyReply, version: number): boolean {
  const etag = toEtag(version)
  const vary = [reply.getHeader('vary') ?? [], 'Authorization', 'Cookie'].flat().join(', ')
  reply.headers({ etag, 'cache-control': 'private, no-cache', vary })
  const known = request.headers['if-none-match']?.split(',').map(tag => tag.trim().replace(/^W\//, ''))
  return known !== undefined && (known.includes(etag) || known.includes('*'))
}
