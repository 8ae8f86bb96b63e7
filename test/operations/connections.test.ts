/** What comes before any request is one: framing, dawdling, floods of connections. Over sockets, as an attacker would. */
import { request as httpRequest } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { bearer, createKnock, internals, newPerson } from '../dialects/doors.js'
import { startApp } from '../helpers/app.js'

const { app, logs } = await startApp(t)
await app.listen({ host: '127.0.0.1', port: 0 })
const { port } = app.server.address() as AddressInfo
const knock = createKnock(app)
const { body: tokens } = await knock('POST', '/auth/register', { json: newPerson() })

type Heard = { text: string; closed: boolean; after: number }

/** What a socket is told, until it is closed or the patience of the test is over. */
function listen(socket: Socket, patience: number): Promise<Heard> {
  const started = performance.now()
  let text = ''
  return new Promise(resolve => {
    const end = (closed: boolean) => resolve({ text, closed, after: performance.now() - started })
    socket.on('data', data => {
      text += data.toString('latin1')
    })
    socket.on('error', () => {})
    socket.on('close', () => end(true))
    setTimeout(() => end(false), patience).unref()
  })
}

async function say(text: string, at = port): Promise<Heard> {
  const socket = connect(at, '127.0.0.1')
  const heard = listen(socket, 10_000)
  socket.write(text, 'latin1')
  return heard.finally(() => socket.destroy())
}

/** The error-level lines since. */
const errorsSince = (at: number) => logs.slice(at).filter(line => /"level":[56]0/.test(line))

t.test('A-04 what two readers could cut into requests differently is 400, and the connection is closed', async t => {
  const host = 'Host: x\r\n'
  const login = `POST /auth/login HTTP/1.1\r\n${host}`
  const json = 'Content-Type: application/json\r\n'
  const get = `GET /livez HTTP/1.1\r\n${host}`
  const ambiguous: Record<string, string> = {
    'a length and chunks': `${login}${json}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'chunks and a length': `${login}${json}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
    'two lengths': `${login}${json}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
    'the same length twice': `${login}${json}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}`,
    'two lengths in one': `${login}${json}Content-Length: 2, 2\r\n\r\n{}`,
    'a length below nothing': `${login}${json}Content-Length: -1\r\n\r\n`,
    'a length with a sign': `${login}${json}Content-Length: +2\r\n\r\n{}`,
    'a length in hexadecimal': `${login}${json}Content-Length: 0x2\r\n\r\n{}`,
    'chunks that are not last': `${login}${json}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
    'chunks by another name': `${login}${json}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
    'chunks before a blank': `${login}${json}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
    'a chunk without a size': `${login}${json}Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n`,
    'a chunk longer than it says': `${login}${json}Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n`,
    'a chunk with endless extensions': `${login}${json}Transfer-Encoding: chunked\r\n\r\n2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`,
    'lines that end in LF alone': 'GET /livez HTTP/1.1\nHost: x\n\n',
    'one line that ends in LF alone': `${get}X-A: b\nX-C: d\r\n\r\n`,
    'lines that end in CR alone': 'GET /livez HTTP/1.1\rHost: x\r\r',
    'a folded line': `${get}X-A: b\r\n c\r\n\r\n`,
    'a blank before the colon': `${get}X-A : b\r\n\r\n`,
    'a name with a blank': `${get}X A: b\r\n\r\n`,
    'a line without a colon': `${get}X-A\r\n\r\n`,
    'a NUL in a value': `${get}X-A: b\0c\r\n\r\n`,
    'no host': 'GET /livez HTTP/1.1\r\n\r\n',
    'two hosts': `${get}Host: y\r\n\r\n`,
    'the same host twice, in another case': `${get}hOST: x\r\n\r\n`,
    'a method that is none': `FOO /livez HTTP/1.1\r\n${host}\r\n`,
    'a version that is none': `GET /livez HTTP/1.2\r\n${host}\r\n`,
    'bytes beyond ASCII in the address': `GET /auth/\u00c3\u00a9 HTTP/1.1\r\n${host}\r\n`,
    'HTTP/2 without leave': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'TLS where there is none': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'a request behind one that cannot be read': `${login}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n${get}\r\n`,
  }
  const before = logs.length
  for (const [name, text] of Object.entries(ambiguous)) {
    const heard = await say(text)
    t.match(heard.text, /^HTTP\/1\.1 400 /, name)
    t.ok(heard.closed, `${name}: closed`)
    t.equal(heard.text.match(/HTTP\/1\.1 /g)?.length, 1, `${name}: one answer`)
    t.notMatch(heard.text, internals, name)
    t.notMatch(heard.text, /HPE_|Client Error|Parse Error/, name)
  }
  t.strictSame(errorsSince(before), [])
  t.match(await say(`${get}Connection: close\r\n\r\n`), { text: /^HTTP\/1\.1 200 / }, 'what is well-formed is served')
})

t.test('A-01 what the parser gives up on is a problem of RFC 9457 as well', async t => {
  const cases: [string, number, string, string][] = [
    ['GET /livez HTTP/1.1\r\nHost: x\r\nX A: b\r\n\r\n', 400, 'Bad Request', 'malformed_request'],
    ['GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n', 400, 'Bad Request', 'malformed_request'],
    [
      `GET /livez HTTP/1.1\r\nHost: x\r\nX-A: ${'b'.repeat(9000)}\r\n\r\n`,
      431,
      'Request Header Fields Too Large',
      'header_too_large',
    ],
  ]
  for (const [text, status, title, code] of cases) {
    const [head = '', body = ''] = (await say(text)).text.split('\r\n\r\n')
    t.match(head, new RegExp(`^HTTP/1\\.1 ${status} ${title}\r\n`))
    for (const header of [
      /^content-type: application\/problem\+json; charset=utf-8$/im,
      /^x-content-type-options: nosniff$/im,
      /^connection: close$/im,
    ])
      t.match(head.replaceAll('\r', ''), header)
    const { request_id: id, ...problem } = JSON.parse(body)
    t.match(head, `x-request-id: ${id}`)
    t.strictSame(problem, { type: 'about:blank', title, status, code })
  }
})

t.test('A-03 no tunnel, and no protocol but HTTP', async t => {
  const tunnel = await say('CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n')
  t.match(tunnel, { text: '', closed: true }, 'closed without a word')
  for (const protocol of ['h2c', 'websocket', 'TLS/1.0']) {
    const { text } = await say(
      `GET /auth/me HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: ${protocol}\r\n\r\n`,
    )
    t.match(text, /^HTTP\/1\.1 401 /, `${protocol} is not spoken`)
  }
})

t.test('F-17 headers are waited for 5 seconds, bodies 10, and nobody else waits', async t => {
  const before = logs.length
  const head = 'POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
  /** Says the start at once, and then something more every second until it is cut off. */
  const slowly = (start: string, more: string): Promise<Heard> => {
    const socket = connect(port, '127.0.0.1')
    socket.write(start)
    const timer = setInterval(() => socket.writable && socket.write(more), 1000)
    socket.on('close', () => clearInterval(timer))
    return listen(socket, 20_000).finally(() => clearInterval(timer))
  }
  const many = <T>(make: () => T): T[] => Array.from({ length: 20 }, make)
  const headers = Promise.all([
    ...many(() => slowly('GET /', 'x')),
    ...many(() => slowly(`${head}X-Slow: `, 'x')),
    ...many(() => slowly(head, 'X-More: x\r\n')),
    ...many(() => slowly('', '')),
  ])
  const bodies = Promise.all([
    ...many(() => slowly(`${head}Content-Length: 1000\r\n\r\n`, 'x')),
    ...many(() => slowly(`${head}Transfer-Encoding: chunked\r\n\r\n`, '1\r\nx\r\n')),
  ])
  let open = true
  void bodies.then(() => {
    open = false
  })
  const waits: number[] = []
  while (open) {
    const started = performance.now()
    const { status } = await fetch(`http://127.0.0.1:${port}/auth/me`, { headers: bearer(tokens.access_token) })
    if (status !== 200) t.fail(`a request beside them: ${status}`)
    waits.push(performance.now() - started)
    await sleep(20)
  }
  for (const { after, text, closed } of await headers) {
    t.ok(closed && after < 8000, `headers: cut after ${Math.round(after)} ms`)
    t.match(text, /^HTTP\/1\.1 408 Request Timeout\r\n/)
    t.match(text, /"code":"request_timeout"/)
  }
  for (const { after, text, closed } of await bodies) {
    t.ok(closed && after > 9000 && after < 13_500, `a body: cut after ${Math.round(after)} ms`)
    t.match(text, /^HTTP\/1\.1 408 Request Timeout\r\n/)
    t.match(text, /"code":"request_timeout"/)
  }
  waits.sort((one, other) => one - other)
  const middle = waits[Math.floor(waits.length / 2)] ?? 0
  t.ok(middle < 500, `${waits.length} requests beside them, in the middle ${Math.round(middle)} ms`)
  t.strictSame(errorsSince(before), [], 'a client that dawdles is no error of ours')
})

const keepAlive = async (t: Test, at: number): Promise<{ socket: Socket; ask(): Promise<string> }> => {
  const socket = connect(at, '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  const ask = () =>
    new Promise<string>(resolve => {
      socket.once('data', data => resolve(String(data)))
      socket.once('close', () => resolve('closed'))
      socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')
    })
  return { socket, ask }
}

t.test('F-19 beyond MAX_CONNECTIONS new ones are dropped at once, and those there are served', async t => {
  const { app, logs } = await startApp(t, { MAX_CONNECTIONS: '5' })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const clients = await Promise.all(Array.from({ length: 5 }, () => keepAlive(t, port)))
  for (const { ask } of clients) t.match(await ask(), /^HTTP\/1\.1 200 /)

  for (let count = 0; count < 50; count += 1) {
    const heard = await say('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n', port)
    t.match(heard, { text: '', closed: true })
    t.ok(heard.after < 4000, 'at once')
  }
  for (const { ask } of clients) t.match(await ask(), /^HTTP\/1\.1 200 /, 'who is there is served')
  const told = logs.filter(line => line.includes('MAX_CONNECTIONS'))
  t.equal(told.length, 1, 'one line a minute, however many')
  t.match(JSON.parse(told[0] ?? '{}'), { level: 40, most: 5, dropped: 1 })

  const [first] = clients
  first?.socket.destroy()
  await sleep(50)
  t.match(await (await keepAlive(t, port)).ask(), /^HTTP\/1\.1 200 /, 'a place that becomes free is taken')
})

t.test('F-16 a huge body is refused before it has come, and the connection closed', async t => {
  const status = await new Promise((resolve, reject) => {
    const sent = httpRequest({ host: '127.0.0.1', port, method: 'POST', path: '/auth/login', agent: false })
    sent.setHeader('content-type', 'application/json')
    sent.on('response', response => resolve(response.statusCode)).on('error', reject)
    // What is sent after the answer would make the system throw the answer away.
    sent.write(' '.repeat(20_000))
  }).catch(error => error.code)
  t.equal(status, 413, 'more than 16 KiB in chunks, and no end to it')
  const announced = await say(
    'POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10485760\r\n\r\n',
  )
  t.match(announced, { text: /^HTTP\/1\.1 413 /, closed: true }, 'ten megabytes, announced')
  t.ok(announced.after < 4000, 'at once')
})
