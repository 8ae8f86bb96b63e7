/** Which pages may use a visitor's cookies, sign a visitor in, or be redirected to. */

import type { FastifyRequest } from 'fastify'
import { Rejection } from './rejection.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Signs somebody in. At a door that sets cookies, a foreign page must not do that on a visitor's behalf. */
    opensSession?: boolean
  }
}

export type OriginSettings = {
  /** Exact origins (`https://app.acme.com`), wildcards (`https://*.acme.com`, `*.acme.com`), app schemes (`myapp://`). */
  readonly trusted: readonly string[]
  /** Where browsers reach this service, when that is not what it sees itself. */
  readonly publicOrigin?: string | undefined
}

export type OriginCheck = ReturnType<typeof createOriginCheck>

type Matcher = (origin: string) => boolean

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS'])
/** Schemes that run or read what follows them: no app of anybody's, however it is spelled in the configuration. */
const activeSchemes = new Set(['about', 'blob', 'data', 'file', 'javascript', 'vbscript'])

/** Throws a TypeError for an entry that could never match, or would match everything: a silent one is worse. */
export function createOriginCheck(settings: OriginSettings) {
  const { trusted, publicOrigin } = settings
  const matchers = [...trusted, ...(publicOrigin === undefined ? [] : [publicOrigin])].map(toMatcher)

  function isTrusted(origin: string): boolean {
    return matchers.some(matches => matches(origin))
  }

  /**
   * Throws `origin_untrusted`, `origin_missing` (also for `Origin: null`) or `cross_site_login`. Laxer than Better Auth
   * where its users suffer: only our cookies count, and a request that states no origin passes, for current browsers state
   * one on every unsafe request across sites. Apps, curl and Node do not.
   */
  function check(
    request: FastifyRequest,
    facts: { readonly hasCredentialCookie: boolean; readonly loginRoute: boolean },
  ): void {
    const isExposed = facts.hasCredentialCookie || facts.loginRoute
    if (safeMethods.has(request.method) || !isExposed) return

    const isCrossSite = request.headers['sec-fetch-site'] === 'cross-site'
    const isNavigation = request.headers['sec-fetch-mode'] === 'navigate'
    if (isCrossSite && isNavigation && !facts.hasCredentialCookie) throw new Rejection('cross_site_login')

    const origin = statedOrigin(request)
    if (origin === 'null' || (origin === undefined && isCrossSite)) throw new Rejection('origin_missing')
    if (origin === undefined || isTrusted(origin) || origin === ownOrigin(request)) return
    throw new Rejection('origin_untrusted', { origin })
  }

  /**
   * Whether we may send somebody to this address: a path of this site, or anything on a trusted origin. The request's own
   * origin does not count, for the Host header is the sender's to choose, and addresses end up in e-mails.
   */
  function safeRedirect(url: string): boolean {
    // Browsers read a backslash as a slash, and URL parsers drop some control characters without a word.
    if (/[\p{Control}\\]/u.test(url)) return false
    if (url.startsWith('/')) return isPlainPath(url)
    const origin = toOrigin(url)
    return origin !== undefined && isTrusted(origin)
  }

  return { isTrusted, check, safeRedirect }
}

function toMatcher(pattern: string): Matcher {
  const matcher = toWildcardMatcher(pattern) ?? toWebMatcher(pattern) ?? toAppMatcher(pattern)
  if (matcher === undefined) {
    throw new TypeError(
      `"${pattern}" is not an origin: expected https://app.example.com (no path, no trailing slash), https://*.example.com, *.example.com or myapp://`,
    )
  }
  return matcher
}

/** `https://*.acme.com` or, for either scheme, `*.acme.com`: any depth below the domain, never the domain itself. */
function toWildcardMatcher(pattern: string): Matcher | undefined {
  const [, scheme, domain] = /^(https?:\/\/)?\*(\.[a-z0-9.-]+(?::\d+)?)$/.exec(pattern) ?? []
  if (domain === undefined) return undefined
  return origin => {
    const [, itsScheme, host] = /^(https?:\/\/)(.+)$/.exec(origin) ?? []
    if (host === undefined || !host.endsWith(domain)) return false
    const below = host.slice(0, -domain.length)
    return (scheme === undefined || scheme === itsScheme) && /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(below)
  }
}

function toWebMatcher(pattern: string): Matcher | undefined {
  const isOrigin = /^https?:\/\/[\w.:[\]-]+$/.test(pattern) && toOrigin(pattern) === pattern
  return isOrigin ? origin => origin === pattern : undefined
}

/** `myapp://` trusts the scheme, `myapp://host` and `chrome-extension://id` that one alone. */
function toAppMatcher(pattern: string): Matcher | undefined {
  const [, scheme, host] = /^([a-z][a-z0-9+.-]*:\/\/)([a-z0-9._:-]*)$/.exec(pattern) ?? []
  if (scheme === undefined || isWebUrl(pattern) || activeSchemes.has(scheme.slice(0, -'://'.length))) return undefined
  return origin => appOrigin(origin) === origin && (host === '' ? origin.startsWith(scheme) : origin === pattern)
}

/** The page behind the request, by its own account: `null` is one that hides, undefined none. */
function statedOrigin(request: FastifyRequest): string | undefined {
  const { origin, referer, 'expo-origin': expoOrigin } = request.headers
  const stated = [origin || expoOrigin || []].flat().join(', ')
  // A web origin is compared as it was sent. Expo's client may append a path to its app's.
  if (stated !== '') return isWebUrl(stated) ? stated : (appOrigin(stated) ?? stated)
  return referer ? (toOrigin(referer) ?? 'null') : undefined
}

function ownOrigin(request: FastifyRequest): string | undefined {
  return toOrigin(`${request.protocol}://${request.host}`)
}

/** As browsers write it: host in lower case, no default port. Of an app's address, what stands before the path. */
function toOrigin(url: string): string | undefined {
  if (!isWebUrl(url)) return appOrigin(url)
  return URL.canParse(url) ? new URL(url).origin : undefined
}

function appOrigin(url: string): string | undefined {
  return /^([a-z][a-z0-9+.-]*:\/\/[a-z0-9._:-]*)(?:$|[/?#])/i.exec(url)?.[1]?.toLowerCase()
}

/** A slash encoded in the path turns into one at some proxies and routers; in the query it is ordinary. */
function isPlainPath(url: string): boolean {
  const [path = ''] = url.split(/[?#]/, 1)
  return !path.startsWith('//') && !/%2f|%5c/i.test(path)
}

function isWebUrl(url: string): boolean {
  return /^https?:\/\//i.test(url)
}
