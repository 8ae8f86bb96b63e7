/** Authenticates services: HTTP Basic, or client_id and client_secret in the form (RFC 6749 section 2.3.1). */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { Rejection } from './rejection.js'

export type ServiceClients = ReadonlyMap<string, string>

type Given = { id: string; secret: string }

/** The id of the client behind a request. Throws client_invalid. */
export function identifyClient(request: FastifyRequest, clients: ServiceClients): string {
  const given = readBasic(request.headers.authorization) ?? readForm(request.body)
  const secret = given && clients.get(given.id)
  // An unknown client costs the same comparison as a known one.
  const matches = isSame(given?.secret ?? '', secret ?? '')
  if (!given || secret === undefined || !matches) throw new Rejection('client_invalid')
  return given.id
}

/** Both parts are form-encoded before they are joined (RFC 6749 section 2.3.1), which for ours changes nothing. */
function readBasic(header: string | undefined): Given | undefined {
  const encoded = /^basic +([\w+/=-]+)$/i.exec(header ?? '')?.[1]
  if (encoded === undefined) return undefined
  const decoded = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = decoded.indexOf(':')
  return colon === -1 ? undefined : { id: decode(decoded.slice(0, colon)), secret: decode(decoded.slice(colon + 1)) }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function readForm(body: unknown): Given | undefined {
  const { client_id: id, client_secret: secret } = (body ?? {}) as Record<string, unknown>
  return typeof id === 'string' && typeof secret === 'string' ? { id, secret } : undefined
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

const isSame = (given: string, expected: string): boolean => timingSafeEqual(digest(given), digest(expected))
