/** The ceiling of a session read without a query: Fastify, an HS256 token verified by @fastify/jwt, a constant answer. */
import jwt from '@fastify/jwt'
import fastify from 'fastify'

const app = fastify({ logger: { level: 'warn' } })
await app.register(jwt, { secret: 'a secret of the harness, and of nothing else' })

const me = {
  id: 1,
  uuid: '0197a0b4-6c1e-7cc3-9d7a-2f6a1f0c9a11',
  email: 'person@example.com',
  name: 'Ada',
  image: null,
  personal_info: null,
  created_at: '2026-11-21T10:00:00.000Z',
}

app.get('/ready', async () => ({}))
app.post('/people', async () => ({ token: app.jwt.sign({ sub: me.uuid }, { expiresIn: '30m' }) }))
app.get('/me', async request => {
  await request.jwtVerify()
  return me
})

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) })
