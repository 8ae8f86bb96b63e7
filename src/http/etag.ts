/** Answers that caches may keep, with a tag of their content (RFC 9110 section 8.8.3). */
import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** A handler that sends the content, which never changes, or 304 where the client has it already. `maxAge` in seconds. */
export function cacheable<Content extends object>(content: Content, maxAge: number) {
  const etag = tagOf(JSON.stringify(content))
  return async (request: FastifyRequest, reply: FastifyReply): Promise<Content> => {
    reply.headers({ etag, 'cache-control': `public, max-age=${maxAge}` })
    return isKnown(request, etag) ? reply.code(304).send() : content
  }
}

/** A strong tag of a text. */
export const tagOf = (text: string): string => `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"`

/** Whether If-None-Match names the tag. Compared weakly: proxies that compress make a tag a weak one. */
export function isKnown(request: FastifyRequest, etag: string): boolean {
  const known = request.headers['if-none-match']?.split(',').map(tag => tag.trim().replace(/^W\//, ''))
  return known !== undefined && (known.includes(etag) || known.includes('*'))
}
