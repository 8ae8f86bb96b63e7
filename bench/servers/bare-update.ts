/** The ceiling of a refresh: Fastify, and one prepared UPDATE … RETURNING through postgres.js; no token, no rule. */
import { randomUUID } from 'node:crypto'
import fastify from 'fastify'
import postgres from 'postgres'

const { PORT, DATABASE_URL = '' } = process.env
const app = fastify({ logger: { level: 'warn' } })
const sql = postgres(DATABASE_URL, { max: 4 })
await sql`create table chains (id uuid primary key, generation integer not null, rotated_at timestamptz not null)`

app.get('/ready', async () => ({}))
app.post('/chains', async () => {
  const [row] = await sql`insert into chains values (${randomUUID()}, 0, now()) returning id`
  return row
})
app.post<{ Body: { id: string } }>('/refresh', async (request, reply) => {
  const [row] = await sql`
    update chains set generation = generation + 1, rotated_at = now() where id = ${request.body.id}
    returning id, generation, rotated_at`
  return row ?? reply.code(401).send({})
})

await app.listen({ host: '127.0.0.1', port: Number(PORT) })
