/** The ceiling of a session read with a query: fastify-verify, and one select by primary key through postgres.js. */
import { randomUUID } from 'node:crypto'
import jwt from '@fastify/jwt'
import fastify from 'fastify'
import postgres from 'postgres'

const { PORT, DATABASE_URL = '' } = process.env
const app = fastify({ logger: { level: 'warn' } })
await app.register(jwt, { secret: 'a secret of the harness, and of nothing else' })
const sql = postgres(DATABASE_URL, { max: 4 })
await sql`create table people (id uuid primary key, email text not null, name text not null, created_at timestamptz not null)`

app.get('/ready', async () => ({}))
app.post<{ Body: { email: string } }>('/people', async request => {
  const id = randomUUID()
  await sql`insert into people values (${id}, ${request.body.email}, 'Ada', now())`
  return { token: app.jwt.sign({ sub: id }, { expiresIn: '30m' }) }
})
app.get('/me', async (request, reply) => {
  const { sub } = await request.jwtVerify<{ sub: string }>()
  const [row] = await sql`select id, email, name, created_at from people where id = ${sub}`
  return row ?? reply.code(401).send({})
})

await app.listen({ host: '127.0.0.1', port: Number(PORT) })
