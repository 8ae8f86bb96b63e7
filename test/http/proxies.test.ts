/** Whom the service believes about addresses, hosts and protocols: proxies on its list, and nobody else. */
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { addressOf } from '../../src/http/client-address.js'
import { bearer, createKnock, newPerson, startSibling } from '../dialects/doors.js'
import { startApp } from '../helpers/app.js'

const service = await startApp(t, { LOG_LEVEL: 'info' })
await service.app.ready()

const peers = { proxy: '10.1.2.3', outside: '203.0.113.66' }
const spoofed = {
  'x-forwarded-for': '198.51.100.1',
  'x-forwarded-host': 'app.example.com',
  'x-forwarded-proto': 'https',
  'x-forwarded-port': '443',
  'x-real-ip': '198.51.100.2',
  'x-client-ip': '198.51.100.3',
  'cf-connecting-ip': '198.51.100.4',
  'true-client-ip': '198.51.100.5',
  forwarded: 'for=198.51.100.6;host=app.example.com;proto=https',
}

/** What a session remembers as the address that opened it. */
async function addressSeen(app: FastifyInstance, remoteAddress: string, headers: Record<string, string>) {
  const answer = await app.inject({
    method: 'POST',
    url: '/auth/register',
    payload: newPerson(),
    headers,
    remoteAddress,
  })
  const sessions = await createKnock(app)('GET', '/auth/sessions', { headers: bearer(answer.json().access_token) })
  return sessions.body[0].ip_address
}

t.test('A-05 R-26 forwarding headers count from proxies on the list alone', async t => {
  const untrusting = await startSibling(t, service, {})
  const trusting = await startSibling(t, service, { TRUST_PROXY: '10.0.0.0/8' })
  t.equal(await addressSeen(untrusting, peers.proxy, spoofed), peers.proxy, 'nobody is on the list')
  t.equal(await addressSeen(trusting, peers.outside, spoofed), peers.outside, 'somebody who is not')
  t.equal(await addressSeen(trusting, peers.proxy, spoofed), '198.51.100.1', 'a proxy that is')

  const chains: [string, string][] = [
    ['198.51.100.1, 203.0.113.9', '203.0.113.9'],
    ['198.51.100.1, 203.0.113.9, 10.9.9.9', '203.0.113.9'],
    ['10.9.9.8, 10.9.9.9', '10.9.9.8'],
    ['evil, 203.0.113.9', '203.0.113.9'],
  ]
  for (const [chain, expected] of chains)
    t.equal(await addressSeen(trusting, peers.proxy, { 'x-forwarded-for': chain }), expected, chain)
})

t.test('A-05 what a trusted proxy passes on counts as an address only if it is one', async t => {
  const trusting = await startSibling(t, service, { TRUST_PROXY: '10.0.0.0/8' })
  const cases: [string, string][] = [
    ['203.0.113.9:5678', '203.0.113.9'],
    ['[2001:db8::9]:5678', '2001:db8::9'],
    ['[2001:db8::9]', '2001:db8::9'],
    ['::ffff:203.0.113.9', '203.0.113.9'],
    ['2001:db8::9', '2001:db8::9'],
    ...[
      'unknown',
      '_hidden',
      '<script>',
      'x'.repeat(7000),
      '1.2.3',
      '1.2.3.4.5',
      '203.0.113.9, x',
      '1.2.3.4\u00e9',
    ].map((text): [string, string] => [text, peers.proxy]),
    [`fe80::1%${'x'.repeat(7000)}`, peers.proxy],
    ['', peers.proxy],
    [' , ', peers.proxy],
  ]
  for (const [text, expected] of cases)
    t.equal(await addressSeen(trusting, peers.proxy, { 'x-forwarded-for': text }), expected, text.slice(0, 40))
})

t.test('a connection that is gone has no address, and that is no fault', async t => {
  const gone = { ip: undefined, socket: { remoteAddress: undefined } } as never
  t.equal(addressOf(gone), '')
})

t.test('A-05 a spoofed host or protocol changes neither origins, nor cookies, nor addresses in answers', async t => {
  const untrusting = await startSibling(t, service, {
    CORS_ORIGINS: 'https://page.example.com',
    TRUST_PROXY: '10.0.0.0/8',
  })
  const ask = (headers: Record<string, string>, remoteAddress: string, url = '/api/auth/sign-up/email') =>
    untrusting.inject({ method: 'POST', url, payload: { ...newPerson(), name: 'Ada' }, headers, remoteAddress })
  const origin = 'https://app.example.com'
  t.equal((await ask({ ...spoofed, origin }, peers.outside)).statusCode, 403, 'from outside it is not our own origin')
  t.equal((await ask({ ...spoofed, origin }, peers.proxy)).statusCode, 200, 'a proxy on the list may say so')

  const plain = await ask({}, peers.outside)
  const lied = await ask(spoofed, peers.outside)
  const flags = (answer: typeof plain) => answer.cookies.map(({ value: _value, ...rest }) => rest)
  t.strictSame(flags(lied), flags(plain), 'cookies')
  const told = async (headers: Record<string, string>) =>
    (await untrusting.inject({ url: '/.well-known/oauth-authorization-server', headers, remoteAddress: peers.proxy }))
      .body
  t.equal(await told({ ...spoofed, host: 'evil.example' }), await told({}), 'metadata')
  t.notMatch(await told({ ...spoofed, host: 'evil.example' }), /evil|app\.example/)
})

t.test('A-05 the log names the address that counts', async t => {
  const before = service.logs.length
  await service.app.inject({ url: '/auth/me', headers: spoofed, remoteAddress: peers.outside })
  const [line = '{}'] = service.logs.slice(before)
  t.equal(JSON.parse(line).req.ip, peers.outside)
  t.notMatch(service.logs.slice(before).join(''), /198\.51\.100/)
})
