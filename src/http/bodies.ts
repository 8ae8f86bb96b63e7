/** Request bodies: JSON and forms, read so strictly that one text has one meaning, here and at whoever reads it next. */

import type { FastifyInstance } from 'fastify'
import { visit } from 'jsonc-parser'
import { Rejection } from './rejection.js'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A missing or empty body stands for `{}`, as clients send it to routes without arguments. */
    emptyBody?: boolean
  }
}

const deepestNesting = 32
const mostParameters = 50
const forbiddenNames = new Set(['__proto__', 'constructor'])

/**
 * Replaces Fastify's parsers by ours, for this scope and those below it. Any other media type stays a 415. Every breach
 * throws `malformed_body`. Call it before the routes: the hook it adds holds for routes that come later.
 */
export function acceptBodies(app: FastifyInstance, kinds: { readonly forms: boolean }): void {
  app.removeAllContentTypeParsers()
  accept(app, 'application/json', parseJson)
  if (kinds.forms) accept(app, 'application/x-www-form-urlencoded', parseForm)

  app.addHook('preValidation', (request, _reply, done) => {
    if (request.body === undefined && request.routeOptions.config.emptyBody) request.body = {}
    done()
  })
}

function accept(app: FastifyInstance, mediaType: string, parse: (text: string) => unknown): void {
  app.addContentTypeParser(mediaType, { parseAs: 'buffer' }, (request, bytes: Buffer, done) => {
    // Fastify parses before it answers 404; there, the body is nobody's, and its faults must not hide the 404.
    if (request.is404) return done(null)
    if (bytes.length === 0 && request.routeOptions.config.emptyBody) return done(null)
    try {
      done(null, parse(decodeUtf8(bytes)))
    } catch (error) {
      done(error as Error)
    }
  })
}

/** Without `fatal`, broken bytes become U+FFFD, and different passwords become the same one. Drops one leading byte order mark. */
function decodeUtf8(bytes: Buffer): string {
  return orMalformed(() => new TextDecoder('utf-8', { fatal: true }).decode(bytes))
}

/** Exported for its tests: the body as a value, or `malformed_body`. */
export function parseJson(text: string): unknown {
  const value: unknown = orMalformed(() => JSON.parse(text))
  inspectJson(text)
  return value
}

/**
 * Looks for what JSON.parse lets pass: repeated names (it keeps the last, others keep the first), names that reach for
 * prototypes, strings Postgres cannot store, numbers that overflow. Throwing at the limit keeps the visitor's recursion shallow.
 */
function inspectJson(text: string): void {
  const enclosing: Set<string>[] = []
  const enter = () => {
    demand(enclosing.length < deepestNesting)
    enclosing.push(new Set())
  }
  const leave = () => {
    enclosing.pop()
  }
  visit(text, {
    onObjectBegin: enter,
    onObjectEnd: leave,
    onArrayBegin: enter,
    onArrayEnd: leave,
    onObjectProperty: name => {
      const names = enclosing.at(-1)
      demand(isName(name) && names?.has(name) === false)
      names?.add(name)
    },
    onLiteralValue: (value: unknown) => {
      if (typeof value === 'string') demand(isText(value))
      if (typeof value === 'number') demand(Number.isFinite(value))
    },
  })
}

/** Exported for its tests: parameters by name. A parameter without a value counts as absent (RFC 6749, section 3.2). */
export function parseForm(text: string): Record<string, string> {
  const pairs = text.split('&').filter(pair => pair !== '')
  demand(pairs.length <= mostParameters)

  const parameters = new Map<string, string>()
  for (const pair of pairs) {
    const equals = pair.includes('=') ? pair.indexOf('=') : pair.length
    const name = decodeFormText(pair.slice(0, equals))
    demand(isName(name) && !parameters.has(name))
    parameters.set(name, decodeFormText(pair.slice(equals + 1)))
  }
  return Object.fromEntries([...parameters].filter(([, value]) => value !== ''))
}

function decodeFormText(encoded: string): string {
  const text = orMalformed(() => decodeURIComponent(encoded.replaceAll('+', ' ')))
  demand(isText(text))
  return text
}

function isName(name: string): boolean {
  return isText(name) && !forbiddenNames.has(name)
}

/** What Postgres can hold and every encoder writes alike: no NUL, no half of a surrogate pair. */
function isText(text: string): boolean {
  return !text.includes('\0') && !/\p{Surrogate}/u.test(text)
}

function demand(holds: boolean): void {
  if (!holds) throw new Rejection('malformed_body')
}

function orMalformed<T>(read: () => T): T {
  try {
    return read()
  } catch {
    throw new Rejection('malformed_body')
  }
}
