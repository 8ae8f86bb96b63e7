/** The ceiling of a sign-in: node:http, and one comparison by bcrypt; no account, no session. */
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import bcrypt from 'bcrypt'

const stored = await bcrypt.hash(process.env.PASSWORD ?? '', 10)

createServer(async (request, response) => {
  if (request.url === '/ready') return response.end('{}')
  const { password } = JSON.parse(await text(request))
  const matches = await bcrypt.compare(password, stored)
  return response
    .writeHead(matches ? 200 : 401, { 'content-type': 'application/json' })
    .end(JSON.stringify({ matches }))
}).listen(Number(process.env.PORT), '127.0.0.1')
