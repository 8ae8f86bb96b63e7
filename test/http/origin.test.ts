/** Who may use a visitor's cookies: requests as browsers, apps and attackers send them, against one route of each kind. */

import Fastify from 'fastify'
import t from 'tap'
import { createOriginCheck } from '../../src/http/origin.js'
import { Rejection } from '../../src/http/rejection.js'

const settings = {
  trusted: ['https://good.example', 'https://*.acme.com', '*.wild.example', 'myapp://', 'chrome-extension://abc'],
  publicOrigin: 'https://auth.example.com',
}

type Sent = {
  headers?: Record<string, string>
  method?: 'GET' | 'HEAD' | 'OPTIONS' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
}

function build({ trustProxy = false } = {}) {
  const app = Fastify({ trustProxy })
  const origins = createOriginCheck(settings)
  app.addHook('onRequest', async request => {
    const hasCredentialCookie = request.headers.cookie?.includes('session_token=') ?? false
    origins.check(request, { hasCredentialCookie, loginRoute: request.routeOptions.config.opensSession ?? false })
  })
  app.setErrorHandler((error, _request, reply) =>
    reply.code(403).send(error instanceof Rejection ? { code: error.code, ...error.detail } : { code: String(error) }),
  )
  const method = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE']
  app.route({ method, url: '/act', handler: () => ({ code: 'passed' }) })
  app.route({ method, url: '/login', config: { opensSession: true }, handler: () => ({ code: 'passed' }) })
  return async (url: '/act' | '/login', { headers = {}, method = 'POST' }: Sent = {}) => {
    const answer = await app.inject({ url, method, headers: { host: 'auth.internal', ...headers } })
    return answer.body === '' ? { code: 'passed' } : answer.json<{ code: string; origin?: string }>()
  }
}

const cookie = { cookie: 'session_token=x' }
const evil = { origin: 'https://evil.example' }
const navigation = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }

t.test('safe methods are never checked', async t => {
  const send = build()
  for (const method of ['GET', 'HEAD', 'OPTIONS'] as const)
    for (const url of ['/act', '/login'] as const)
      t.equal(
        (await send(url, { method, headers: { ...cookie, ...evil, ...navigation } })).code,
        'passed',
        `${method} ${url}`,
      )
})

t.test('C-04 every unsafe method with a credential cookie is', async t => {
  const send = build()
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const)
    t.same(
      await send('/act', { method, headers: { ...cookie, ...evil } }),
      { code: 'origin_untrusted', ...evil },
      method,
    )
})

t.test('C-04 with a credential cookie, at any route', async t => {
  const send = build()
  const cases: [string, Record<string, string>, string][] = [
    ['a trusted origin', { origin: 'https://good.example' }, 'passed'],
    ['a trusted origin on another site', { origin: 'https://good.example', ...navigation }, 'passed'],
    ['the public origin', { origin: 'https://auth.example.com' }, 'passed'],
    ['its own origin', { origin: 'http://auth.internal' }, 'passed'],
    ['its own host, other scheme', { origin: 'https://auth.internal' }, 'origin_untrusted'],
    ['its own host, other port', { origin: 'http://auth.internal:8080' }, 'origin_untrusted'],
    ['null', { origin: 'null' }, 'origin_missing'],
    ['null beside a trusted referer', { origin: 'null', referer: 'https://good.example/' }, 'origin_missing'],
    ['a foreign origin beside a trusted referer', { ...evil, referer: 'https://good.example/' }, 'origin_untrusted'],
    ['a foreign origin beside a trusted expo-origin', { ...evil, 'expo-origin': 'myapp://' }, 'origin_untrusted'],
    ['an expo-origin', { 'expo-origin': 'myapp://' }, 'passed'],
    ['an expo-origin with a path', { 'expo-origin': 'myapp://home/--/' }, 'passed'],
    ['a foreign expo-origin', { 'expo-origin': 'otherapp://' }, 'origin_untrusted'],
    ['a trusted referer', { referer: 'https://good.example/a?b' }, 'passed'],
    ['a foreign referer', { referer: 'https://evil.example/https://good.example/' }, 'origin_untrusted'],
    ['a referer with a misleading user', { referer: 'https://good.example@evil.example/' }, 'origin_untrusted'],
    ['a referer that is no address', { referer: 'good.example' }, 'origin_missing'],
    ['an origin with a slash', { origin: 'https://good.example/' }, 'origin_untrusted'],
    ['an origin in capitals', { origin: 'https://GOOD.example' }, 'origin_untrusted'],
    ['two origins', { origin: 'https://good.example, https://evil.example' }, 'origin_untrusted'],
    ['neither', {}, 'passed'],
    ['neither, from Node', { 'sec-fetch-mode': 'cors' }, 'passed'],
    ['neither, from the same origin', { 'sec-fetch-site': 'same-origin' }, 'passed'],
    ['neither, from another site', { 'sec-fetch-site': 'cross-site' }, 'origin_missing'],
    ['empty ones', { origin: '', referer: '' }, 'passed'],
  ]
  for (const [what, headers, expected] of cases)
    for (const url of ['/act', '/login'] as const)
      t.equal((await send(url, { headers: { ...cookie, ...headers } })).code, expected, `${what} at ${url}`)
})

t.test('C-05 without one, only where a session opens', async t => {
  const send = build()
  const cases: [string, Record<string, string>, string][] = [
    ['no origin', {}, 'passed'],
    ['Node', { 'sec-fetch-mode': 'cors' }, 'passed'],
    ['a trusted origin', { origin: 'https://good.example' }, 'passed'],
    ['a foreign origin', evil, 'origin_untrusted'],
    ['somebody else’s cookie and a foreign origin', { cookie: '__cf_bm=1', ...evil }, 'origin_untrusted'],
    ['a foreign referer', { referer: 'https://evil.example/' }, 'origin_untrusted'],
    ['null', { origin: 'null' }, 'origin_missing'],
    ['a navigation from another site', navigation, 'cross_site_login'],
    ['a navigation from another site, with its origin', { ...navigation, ...evil }, 'cross_site_login'],
    [
      'a navigation from here',
      { ...navigation, 'sec-fetch-site': 'same-origin', origin: 'http://auth.internal' },
      'passed',
    ],
  ]
  for (const [what, headers, expected] of cases) {
    t.equal((await send('/login', { headers })).code, expected, what)
    t.equal((await send('/act', { headers })).code, 'passed', `${what}, elsewhere`)
  }
})

t.test('A-05 its own origin is the one a trusted proxy reports', async t => {
  const forwarded = {
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'Login.Example:443',
    origin: 'https://login.example',
    ...cookie,
  }
  t.equal((await build({ trustProxy: true })('/act', { headers: forwarded })).code, 'passed')
  t.equal((await build()('/act', { headers: forwarded })).code, 'origin_untrusted')
})

t.test('isTrusted compares whole origins', async t => {
  const { isTrusted } = createOriginCheck(settings)
  const trusted = [
    'https://good.example',
    'https://auth.example.com',
    'https://a.acme.com',
    'https://a.b.acme.com',
    'http://x.wild.example',
    'https://x.wild.example',
    'myapp://',
    'myapp://home',
    'chrome-extension://abc',
  ]
  for (const origin of trusted) t.ok(isTrusted(origin), origin)

  const foreign = [
    '',
    'null',
    'http://good.example',
    'https://good.example:444',
    'https://good.example/',
    'https://good.example.evil.tld',
    'https://evilgood.example',
    'https://good-example',
    'https://xgood.example',
    'https://acme.com',
    'https://.acme.com',
    'https://evilacme.com',
    'https://aXacme.com',
    'https://a.acmeXcom',
    'http://a.acme.com',
    'https://a.acme.com:8443',
    'https://a.acme.com.evil.tld',
    'https://evil.tld/.acme.com',
    'https://evil.tld#.acme.com',
    'https://evil.tld?.acme.com',
    'https://evil.tld@a.acme.com',
    'https://evil.tld, https://a.acme.com',
    'ftp://x.wild.example',
    'x.wild.example',
    'wild.example',
    'myapp:',
    'myapp2://',
    'myapp://, https://evil.tld',
    'chrome-extension://abcd',
    'chrome-extension://',
  ]
  for (const origin of foreign) t.notOk(isTrusted(origin), origin)
})

t.test('a configuration that could never match is refused', async t => {
  const wrong = [
    '',
    '*',
    'https://*',
    'good.example',
    'https://good.example/',
    'https://good.example/app',
    'https://GOOD.example',
    'https://good.example:443',
    'https://a.*.example',
    'https://(.*).example',
    'javascript://',
    'data://',
    'null',
  ]
  for (const entry of wrong) t.throws(() => createOriginCheck({ trusted: [entry] }), TypeError, entry)
  t.throws(() => createOriginCheck({ trusted: [], publicOrigin: 'https://auth.example.com/' }), TypeError)
})

t.test('safeRedirect', async t => {
  const { safeRedirect } = createOriginCheck(settings)
  const safe = [
    '/',
    '/home',
    '/home?next=%2Fa#b',
    '/a//b',
    'https://good.example',
    'https://good.example/deep?x=https://evil.example',
    'HTTPS://GOOD.example:443/x',
    'https://a.acme.com/x',
    'myapp://callback?x=1',
    'https://auth.example.com/done',
  ]
  for (const url of safe) t.ok(safeRedirect(url), url)

  const unsafe = [
    '',
    'home',
    './home',
    '//evil.example',
    '///evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    '/\t/evil.example',
    '/\n/evil.example',
    '/a\u0000',
    '/a\u0085',
    '/%2fevil.example',
    '/%2Fevil.example',
    '/%5cevil.example',
    ' https://good.example',
    'https:good.example',
    'https:/good.example',
    'https://evil.example',
    'https://good.example.evil.tld/',
    'https://good.example@evil.example/',
    'https://good.example\\@evil.example',
    'https://good.example\t.evil.tld',
    'http://good.example/',
    'javascript:alert(1)',
    'javascript://good.example/%0aalert(1)',
    'data:text/html,x',
    'otherapp://x',
    'https://',
  ]
  for (const url of unsafe) t.notOk(safeRedirect(url), JSON.stringify(url))
})
