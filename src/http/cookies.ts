/** The two credential cookies, seed 0's plain `session_token` and Better Auth's signed `better-auth.session_token`, and the one that tells a device. */

import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { CookieSerializeOptions } from '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Identity } from '../core/index.js'

export type CookieSettings = {
  /** COOKIE_SECURE. Undefined leaves it to the public URL for the signed cookie; the plain one is then Secure. */
  readonly secure: boolean | undefined
  readonly publicUrlIsHttps: boolean
  /** Undefined keeps the cookies to the host that set them. */
  readonly domain?: string | undefined
  /** The first signs; the others, of before and after a rotation, still verify. */
  readonly secrets: readonly string[]
}

export type CookieKind = 'plain' | 'signed'

/** A session token that came in a credential cookie. */
export type CarriedToken = { kind: CookieKind; token: string }

export type Cookies = ReturnType<typeof createCookies>

const plainName = 'session_token'
const securePrefix = '__Secure-'
const signedNames = [`${securePrefix}better-auth.session_token`, 'better-auth.session_token'] as const
/** Seconds: browsers keep no cookie for longer. */
const deviceLife = 400 * 86_400
const credentialNames = [...signedNames, plainName] as const
/** Max-Age alone would do; the Expires of the source document is for clients that know no Max-Age. */
const expired = { maxAge: 0, expires: new Date(0) }

export function createCookies(settings: CookieSettings) {
  const keys = settings.secrets.map(secret =>
    Buffer.from(hkdfSync('sha256', secret, '', 'gatehouse better-auth cookie', 32)),
  )
  const signedIsSecure = settings.secure ?? settings.publicUrlIsHttps
  const prefix = signedIsSecure ? securePrefix : ''
  /** With that prefix a browser takes it from this very host alone: nobody can plant one of theirs. */
  const deviceName = `${signedIsSecure ? '__Host-' : ''}gatehouse.device`
  const signedName = `${prefix}better-auth.session_token`
  const signedFamily = [signedName, `${prefix}better-auth.session_data`, `${prefix}better-auth.dont_remember`]
  const hostOnly = { path: '/', httpOnly: true, sameSite: 'lax' } as const
  const shared = { ...hostOnly, ...(settings.domain ? { domain: settings.domain } : {}) }
  const plainAttributes = { ...shared, secure: settings.secure !== false }
  /** A browser drops a `__Secure-` cookie without Secure, also when it is to be expired. */
  const signedAttributes = (name: string) => ({ ...shared, secure: name.startsWith(securePrefix) })

  /** Better Auth's signed form, `token.signature`: what `set-auth-token` carries as it is, and its cookie URL-encoded. */
  function sign(token: string): string {
    return `${token}.${signatures(token)[0]}`
  }

  /** The token inside a signed form, plain or URL-encoded, cookie or bearer; undefined if the signature is not ours. */
  function unsign(value: string): string | undefined {
    const signed = decodePercent(value)
    const dot = signed?.lastIndexOf('.') ?? -1
    if (signed === undefined || dot === -1) return undefined
    const token = signed.slice(0, dot)
    const given = signed.slice(dot + 1)
    return isToken(token) && signatures(token).some(expected => isSame(given, expected)) ? token : undefined
  }

  /** By every key there is, the current one first. */
  function signatures(text: string): string[] {
    return keys.map(key => createHmac('sha256', key).update(text).digest('base64'))
  }

  /** The session tokens the request's cookies name, the signed one first. Whatever cannot be one of ours is passed over. */
  function readTokens(request: FastifyRequest): CarriedToken[] {
    const sent = readCredentialCookies(request)
    const signed = signedNames.map(name => unsign(soleValue(sent.get(name)))).filter(token => token !== undefined)
    const plain = soleValue(sent.get(plainName))
    return [
      ...[...new Set(signed)].map((token): CarriedToken => ({ kind: 'signed', token })),
      ...(isToken(plain) ? [{ kind: 'plain', token: plain } as const] : []),
    ]
  }

  /** What the browser calls itself; undefined: nothing yet. */
  function readDevice(request: FastifyRequest): string | undefined {
    const value = soleValue(readCookies(request, [deviceName]).get(deviceName))
    return isToken(value) ? value : undefined
  }

  /** Lets the browser call itself so: a stranger who guesses passwords is then told from it. It signs nobody in. */
  function setDevice(reply: FastifyReply, deviceId: string): void {
    reply.setCookie(deviceName, deviceId, { ...hostOnly, secure: signedIsSecure, maxAge: deviceLife })
  }

  /** Undefined as `maxAge` ends the cookie with the browser. */
  function setPlain(reply: FastifyReply, token: string, maxAge: number | undefined): void {
    reply.setCookie(plainName, token, { ...plainAttributes, ...life(maxAge) })
  }

  /** Undefined as `maxAge` ends the cookie with the browser, and says so in `dont_remember`, as `rememberMe: false` does. */
  function setSigned(reply: FastifyReply, token: string, maxAge: number | undefined): void {
    reply.setCookie(signedName, sign(token), { ...signedAttributes(signedName), ...life(maxAge) })
    if (maxAge === undefined) {
      const name = `${prefix}better-auth.dont_remember`
      reply.setCookie(name, sign('true'), signedAttributes(name))
    }
  }

  /** Sends the cookie that named the caller's session again, so that it lives as long as the session that has just been extended. */
  function renew(reply: FastifyReply, request: FastifyRequest, { session, sessionToken, at }: Identity): void {
    const maxAge = Math.floor((session.expiresAt.getTime() - at.getTime()) / 1000)
    for (const { kind, token } of readTokens(request)) {
      if (token !== sessionToken) continue
      if (kind === 'signed') setSigned(reply, token, maxAge)
      else setPlain(reply, token, maxAge)
    }
  }

  /** Expires the cookies of a door's own kind, sent or not, and any other credential cookie that did come along. */
  function clear(reply: FastifyReply, request: FastifyRequest, own?: CookieKind): void {
    const sent = readCredentialCookies(request)
    if (own === 'plain' || sent.has(plainName)) expire(reply, plainName, plainAttributes)
    const family = own === 'signed' || signedNames.some(name => sent.has(name)) ? signedFamily : []
    for (const name of new Set([...family, ...signedNames.filter(name => sent.has(name))]))
      expire(reply, name, signedAttributes(name))
  }

  return { signedName, sign, unsign, readTokens, readDevice, setDevice, setPlain, setSigned, renew, clear }
}

/** Whether a credential cookie came at all, good or bad: what decides on the origin rules, and a stale logout from a bare one. */
export function hasCredentialCookie(request: FastifyRequest): boolean {
  return readCredentialCookies(request).size > 0
}

/** Whether a credential cookie came twice with different values. Neither counts then, and the door should clear them. */
export function hasAmbiguousCookie(request: FastifyRequest): boolean {
  return [...readCredentialCookies(request).values()].some(values => values.size > 1)
}

const readCredentialCookies = (request: FastifyRequest) => readCookies(request, credentialNames)

/** By name, the distinct values sent. Cookie libraries keep one value a name, and so hide a planted second one. */
function readCookies(request: FastifyRequest, names: readonly string[]): Map<string, Set<string>> {
  const sent = new Map<string, Set<string>>()
  for (const pair of (request.headers.cookie ?? '').split(';')) {
    const equals = pair.indexOf('=')
    const name = names.find(name => name === pair.slice(0, Math.max(equals, 0)).trim())
    const value = pair.slice(equals + 1).trim()
    if (name === undefined || value === '') continue
    sent.set(name, (sent.get(name) ?? new Set()).add(value))
  }
  return sent
}

function soleValue(values: Set<string> | undefined): string {
  const [value = '', another] = values ?? []
  return another === undefined ? value : ''
}

/** Opaque session tokens are 256 bits in base64url. */
function isToken(text: string): boolean {
  return /^[\w-]{43}$/.test(text)
}

function isSame(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function decodePercent(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

const life = (maxAge: number | undefined): CookieSerializeOptions =>
  maxAge === undefined ? {} : { maxAge: Math.floor(maxAge) }

/** A cookie set for a domain and one set for the host alone are two cookies: to be rid of one, expire both. */
function expire(reply: FastifyReply, name: string, attributes: CookieSerializeOptions): void {
  const { domain, ...hostOnly } = attributes
  if (domain !== undefined) reply.setCookie(name, '', { ...attributes, ...expired })
  reply.setCookie(name, '', { ...hostOnly, ...expired })
}
