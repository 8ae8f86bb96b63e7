/** Hostile bodies against a small app that registers and logs in as our doors do: strict schemas, one per route. */

import { readFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify'
import t from 'tap'
import { acceptBodies, parseForm, parseJson } from '../../src/http/bodies.js'
import { Rejection } from '../../src/http/rejection.js'

const json = 'application/json'
const form = 'application/x-www-form-urlencoded'
const malformed = { code: 'malformed_body' }

function build(kinds = { forms: true }): FastifyInstance {
  const app = Fastify({ bodyLimit: 16 * 1024, ajv: { customOptions: { coerceTypes: false } } })
  app.setErrorHandler((error: FastifyError, _request, reply) => {
    const status = error instanceof Rejection ? 400 : (error.statusCode ?? 500)
    return reply.code(status).send({ code: error.code })
  })
  acceptBodies(app, kinds)
  const password = { type: 'string', minLength: 1, maxLength: 128 }
  const credentials = { email: { type: 'string' }, username: { type: 'string' }, password }
  app.post<{ Body: object }>(
    '/register',
    {
      schema: {
        body: {
          type: 'object',
          required: ['email', 'password'],
          properties: { ...credentials, password: { ...password, minLength: 8 } },
        },
      },
    },
    (request, reply) => reply.code(201).send({ seen: request.body }),
  )
  app.post<{ Body: { grant_type?: string } }>(
    '/login',
    {
      schema: {
        body: {
          type: 'object',
          required: ['username', 'password'],
          properties: { ...credentials, grant_type: { type: 'string' } },
        },
      },
    },
    (request, reply) =>
      reply.code((request.body.grant_type ?? 'password') === 'password' ? 401 : 400).send(request.body),
  )
  app.post('/echo', request => ({ body: request.body ?? null }))
  app.post('/sign-out', { config: { emptyBody: true }, schema: { body: { type: 'object' } } }, request => ({
    body: request.body,
  }))
  return app
}

function post(app: FastifyInstance, url: string, type: string | undefined, body?: string | Buffer) {
  const headers = type === undefined ? {} : { 'content-type': type }
  return app.inject({ method: 'POST', url, headers, ...(body === undefined ? {} : { payload: body }) })
}

type Vector = { id: string; content_type: string; body_latin1: string; expect: number[] }

t.test('L-15 F-20 every hostile body vector is answered as listed', async t => {
  const file = new URL('../vectors/hostile_bodies.json', import.meta.url)
  const { vectors } = JSON.parse(await readFile(file, 'utf8')) as { vectors: Vector[] }
  const app = build()
  t.ok(vectors.length >= 26)
  for (const vector of vectors) {
    const url = vector.id.startsWith('form-') ? '/login' : '/register'
    const answer = await post(app, url, vector.content_type, Buffer.from(vector.body_latin1, 'latin1'))
    t.ok(vector.expect.includes(answer.statusCode), `${vector.id}: ${answer.statusCode} ${answer.body}`)
  }
  t.equal(Reflect.get({}, 'isAdmin'), undefined, 'no prototype was polluted')
})

t.test('a leading byte order mark changes nothing', async t => {
  const app = build()
  const body = '{"email":"u@example.com","password":"hunter22hunter22"}'
  const [plain, marked] = await Promise.all([
    post(app, '/register', json, body),
    post(app, '/register', json, `\uFEFF${body}`),
  ])
  t.equal(plain.statusCode, 201)
  t.same([marked.statusCode, marked.body], [plain.statusCode, plain.body])
  t.match((await post(app, '/register', json, `\uFEFF\uFEFF${body}`)).json(), malformed, 'a second one is no JSON')
})

t.test('F-20 F-22 F-23 parseJson', async t => {
  const accepted: [string, string][] = [
    ['the same name in different objects', '{"a":{"b":1},"c":{"b":2},"b":[{"b":3},{"b":4}]}'],
    ['forbidden names as values', '["__proto__","constructor"]'],
    ['names that only begin like forbidden ones', '{"__proto__s":1,"constructors":1,"prototype":1,"toString":1}'],
    ['a surrogate pair', '"\\ud83d\\ude00 😀"'],
    ['nesting at the limit', '['.repeat(32) + ']'.repeat(32)],
    ['null', 'null'],
  ]
  for (const [what, text] of accepted) t.same(parseJson(text), JSON.parse(text), what)

  const refused: [string, string][] = [
    ['a repeated name', '{"password":"a","password":"b"}'],
    ['a repeated name, once escaped', '{"a":1,"\\u0061":2}'],
    ['a repeated name deep down', '[{"x":{"a":1,"b":[],"a":1}}]'],
    ['__proto__', '{"__proto__":{}}'],
    ['__proto__ escaped', '{"\\u005f_proto__":null}'],
    ['constructor deep down', '{"a":[{"constructor":1}]}'],
    ['NUL in a value', '{"a":"x\\u0000"}'],
    ['NUL in a name', '{"x\\u0000":1}'],
    ['half a surrogate pair in a value', '{"a":"\\ud800"}'],
    ['half a surrogate pair in a name', '{"\\udc00":1}'],
    ['a number beyond all numbers', '{"a":-1e999}'],
    ['arrays nested too deep', '['.repeat(33) + ']'.repeat(33)],
    ['objects nested too deep', `${'{"a":'.repeat(33)}1${'}'.repeat(33)}`],
    ['nesting as deep as a body can be', '['.repeat(8192) + ']'.repeat(8192)],
    ['a comment', '{"a":1 /* no */}'],
    ['a trailing comma', '{"a":1,}'],
    ['nothing but a mark', '\uFEFF'],
  ]
  for (const [what, text] of refused) t.throws(() => parseJson(text), malformed, what)
})

t.test('F-20 F-22 L-17 parseForm', async t => {
  const accepted: [string, string, object][] = [
    [
      'plus and percent',
      'username=a%2Bb%40example.com&password=p%2Bq+r',
      { username: 'a+b@example.com', password: 'p+q r' },
    ],
    ['UTF-8', 'a=%C3%A9&%C3%A9=b', { a: 'é', é: 'b' }],
    ['the first = divides', 'a=b=c&d==', { a: 'b=c', d: '=' }],
    ['empty values are absent', 'a=&b&c=1', { c: '1' }],
    ['empty pairs are nothing', '&&a=1&', { a: '1' }],
    ['brackets mean nothing', 'a[b]=1&a[]=2&__proto__[x]=3', { 'a[b]': '1', 'a[]': '2', '__proto__[x]': '3' }],
    ['names of inherited members', 'toString=1&hasOwnProperty=2', { toString: '1', hasOwnProperty: '2' }],
    [
      'fifty parameters',
      parameters(50),
      Object.fromEntries(
        parameters(50)
          .split('&')
          .map(pair => pair.split('=')),
      ),
    ],
    ['nothing', '', {}],
  ]
  for (const [what, text, expected] of accepted) t.strictSame(parseForm(text), expected, what)

  const refused: [string, string][] = [
    ['a repeated parameter', 'password=x&password=y'],
    ['a repeated parameter, once encoded', 'password=x&p%61ssword=y'],
    ['a repeated parameter, once empty', 'password=&password=y'],
    ['__proto__', '__proto__=1'],
    ['__proto__ encoded', '%5F_proto__=1'],
    ['constructor', 'constructor=1'],
    ['bytes that are no UTF-8', 'a=%ff'],
    ['an encoded surrogate', 'a=%ED%A0%80'],
    ['an overlong encoding', 'a=%C0%AF'],
    ['a stray percent', 'a=100%'],
    ['NUL', 'a=x%00'],
    ['fifty-one parameters', parameters(51)],
  ]
  for (const [what, text] of refused) t.throws(() => parseForm(text), malformed, what)
})

function parameters(count: number): string {
  return Array.from({ length: count }, (_, index) => `p${index}=${index}`).join('&')
}

t.test('an empty body is refused where one is needed', async t => {
  const app = build()
  t.match((await post(app, '/echo', json, '')).json(), malformed)
  t.same((await post(app, '/echo', undefined)).json(), { body: null }, 'none is none')
  t.match(await post(app, '/register', undefined), { statusCode: 400 }, 'without a content type the schema misses it')
})

t.test('an empty body stands for {} where the route says so', async t => {
  const app = build()
  for (const [type, body] of [
    [undefined, undefined],
    [json, ''],
    [json, '{}'],
    [form, ''],
  ] as const) {
    const answer = await post(app, '/sign-out', type, body)
    t.same([answer.statusCode, answer.json()], [200, { body: {} }], `${type} ${body}`)
  }
  t.match((await post(app, '/sign-out', json, ' ')).json(), malformed, 'blanks are no body, and no JSON')
  t.equal((await post(app, '/sign-out', json, 'null')).statusCode, 400)
})

t.test('other media types are refused, whatever they hold', async t => {
  const app = build()
  const types = [
    'text/plain',
    'text/json',
    'application/jsonp',
    'application/json\ta',
    'application/json, text/plain',
    'multipart/form-data; boundary=x',
    '*/*',
  ]
  for (const type of types) {
    for (const url of ['/echo', '/sign-out']) {
      const answer = await post(app, url, type, '{}')
      t.same([answer.statusCode, answer.json().code], [415, 'FST_ERR_CTP_INVALID_MEDIA_TYPE'], `${type} at ${url}`)
    }
  }
  t.equal((await post(app, '/echo', undefined, '{}')).statusCode, 415, 'none at all')
  t.equal((await post(build({ forms: false }), '/echo', form, 'a=1')).statusCode, 415, 'forms where they are off')
})

t.test('R-25 JSON by any of its names goes through the same schema', async t => {
  const app = build()
  for (const type of [
    json,
    'ApPlIcAtIoN/JsOn',
    'application/json;',
    'application/json ; charset=utf-8',
    'application/json; charset=utf-16',
  ]) {
    t.equal((await post(app, '/register', type, '{"email":1,"password":1}')).json().code, 'FST_ERR_VALIDATION', type)
  }
})

t.test('F-16 bodies over 16 KiB are 413, announced or not', async t => {
  const app = build()
  const large = JSON.stringify({ email: 'u@example.com', password: 'x'.repeat(17 * 1024) })
  t.match(await post(app, '/register', json, large), { statusCode: 413 })
  t.match((await post(app, '/login', form, `a=${large}`)).json(), { code: 'FST_ERR_CTP_BODY_TOO_LARGE' })

  t.teardown(() => app.close())
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const status = await new Promise((resolve, reject) => {
    const sending = httpRequest(`${address}/echo`, { method: 'POST', headers: { 'content-type': json } })
    sending.on('response', response => resolve(response.statusCode)).on('error', reject)
    sending.write(large.slice(0, 9_000))
    sending.end(large.slice(9_000))
  })
  t.equal(status, 413, 'chunked')
})

t.test('an unknown path is 404, whatever its body is like', async t => {
  const app = build()
  for (const [type, body] of [
    [json, '{'],
    [json, ''],
    [form, '%'],
    ['text/plain', 'x'],
  ] as const) {
    t.equal((await post(app, '/nowhere', type, body)).statusCode, 404, `${type} ${body}`)
  }
})

t.test('a scope below may accept forms where the app does not', async t => {
  const app = build({ forms: false })
  app.register(async scope => {
    acceptBodies(scope, { forms: true })
    scope.post('/token', request => request.body)
  })
  t.same((await post(app, '/token', form, 'a=1')).json(), { a: '1' })
  t.equal((await post(app, '/echo', form, 'a=1')).statusCode, 415)
})
