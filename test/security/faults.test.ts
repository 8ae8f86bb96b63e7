/** What goes wrong inside: every fault is one plain answer, the process lives, and nobody is let in by it. */
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { bearer, createKnock, internals, newPerson, protectedRoutes, startSibling } from '../dialects/doors.js'
import { startApp } from '../helpers/app.js'

const service = await startApp(t)
const { app } = service

const secret = 'select * from accounts where password_hash = $2b$04$canary at Object.<anonymous> (/src/core/x.ts:1:1)'
const thrown: Record<string, () => unknown> = {
  error: () => new Error(secret),
  'type-error': () => new TypeError(secret),
  'of-a-driver': () => Object.assign(new Error(secret), { code: '22P02', severity: 'ERROR', detail: secret }),
  'of-a-library': () => Object.assign(new Error(secret), { code: 'FAST_JWT_MALFORMED', statusCode: 500 }),
  'with-a-status': () => Object.assign(new Error(secret), { statusCode: 404 }),
  'with-a-strange-status': () => Object.assign(new Error(secret), { statusCode: 200 }),
  'with-headers': () => Object.assign(new Error(secret), { headers: { 'x-canary': 'canary' }, statusCode: 418 }),
  text: () => secret,
  nothing: () => undefined,
  null: () => null,
}

const hooks = ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization', 'onSend'] as const
let late = 0

function addFaults(to: FastifyInstance): void {
  for (const [name, make] of Object.entries(thrown)) {
    to.get(`/fault/${name}`, async () => {
      throw make()
    })
    to.get(`/fault/sync-${name}`, () => {
      throw make()
    })
  }
  for (const hook of hooks)
    to.get(
      `/fault/in-${hook}`,
      {
        [hook]: async () => {
          throw new Error(secret)
        },
      },
      async () => ({ fine: true }),
    )
  to.get('/fault/in-onResponse', { onResponse: async () => Promise.reject(new Error(secret)) }, async () => ({
    fine: true,
  }))
  to.get('/fault/after-the-answer', async (_request, reply) => {
    reply.send({ fine: true })
    await new Promise(resolve => setImmediate(resolve))
    late += 1
    throw new Error(secret)
  })
  to.get('/fault/twice', async (_request, reply) => {
    reply.send({ fine: true })
    return { fine: false }
  })
  to.get('/fault/circular', async () => {
    const circle: Record<string, unknown> = {}
    circle.self = circle
    return circle
  })
  to.get('/fault/header', async (_request, reply) => reply.header('location', '/\u0100').code(302).send())
}

addFaults(app)
const origin = await app.listen({ host: '127.0.0.1', port: 0 })

/** Over a socket, where headers are really written. */
async function ask(path: string) {
  const answer = await fetch(origin + path, { redirect: 'manual' })
  const text = await answer.text()
  return { status: answer.status, headers: answer.headers, text, body: JSON.parse(text) }
}

const knock = createKnock(app)
const { body: tokens } = await knock('POST', '/auth/register', { json: newPerson() })

t.test('A-01 A-02 whatever is thrown, wherever, is one envelope without a word of what it was', async t => {
  const plain = [...Object.keys(thrown), ...Object.keys(thrown).map(name => `sync-${name}`)]
  for (const name of [...plain, ...hooks.map(hook => `in-${hook}`), 'circular', 'header']) {
    const answer = await ask(`/fault/${name}`)
    const isNotFound = name.endsWith('with-a-status')
    t.equal(answer.status, isNotFound ? 404 : 500, name)
    t.strictSame(
      answer.body,
      {
        type: 'about:blank',
        title: isNotFound ? 'Not Found' : 'Internal Server Error',
        status: answer.status,
        code: isNotFound ? 'not_found' : 'internal',
        request_id: answer.headers.get('x-request-id'),
      },
      name,
    )
    t.equal(answer.headers.get('x-content-type-options'), 'nosniff', name)
    t.notMatch(answer.text, internals, name)
    t.notOk(answer.headers.has('x-canary'), name)
  }
  t.notMatch(service.logs.join(''), /canary|password_hash/, 'nor is it in the log')
})

t.test('A-01 A-02 an address with letters beyond Latin-1 is somewhere to go, and no fault', async t => {
  for (const path of ['/%C4%80', '/%F0%9F%98%80?x=%E2%82%AC', '/a%20b', '/100%2525', '/x%23%C4%80'])
    for (const url of ['/api/auth/verify-email?token=x&', '/api/auth/reset-password/xyz?']) {
      const answer = await fetch(`${origin}${url}callbackURL=${path}`, { redirect: 'manual' })
      t.equal(answer.status, 302, `${url}${path}`)
      t.match(answer.headers.get('location'), /^\/[!-~]+\?[!-~]*error=INVALID_TOKEN|^\/x\?error=INVALID_TOKEN#[!-~]+$/)
    }
})

t.test('A-02 a fault after the answer changes nothing of it, and the process lives', async t => {
  for (const name of ['after-the-answer', 'twice', 'in-onResponse']) {
    const answer = await knock('GET', `/fault/${name}`)
    t.strictSame([answer.status, answer.body], [200, { fine: true }], name)
  }
  await new Promise(resolve => setTimeout(resolve, 50))
  t.equal(late, 1, 'it was thrown')
  t.equal((await knock('GET', '/auth/me', { headers: bearer(tokens.access_token) })).status, 200)
  t.notMatch(service.logs.join(''), /canary|password_hash/)
})

t.test('A-02 a check of the session that fails is 503, never nobody and never anybody', async t => {
  const away = createKnock(await startSibling(t, service, {}))
  await service.database.close()
  const { email } = newPerson()
  for (const { door, url } of protectedRoutes)
    for (const headers of [bearer(tokens.access_token), { cookie: `session_token=${'A'.repeat(43)}` }]) {
      const { status, text, headers: told } = await away('GET', url({ email, password: '' }), { headers })
      t.equal(status, door === 'codvid' ? 500 : 503, url({ email, password: '' }))
      t.not(text, 'null', 'get-session does not say signed out')
      t.match(told['retry-after'], /^\d+$/)
      t.notOk('www-authenticate' in told)
      t.notMatch(text, internals)
    }
})
