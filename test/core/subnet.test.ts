/** One text for each network, however its addresses are written. */
import fc from 'fast-check'
import t from 'tap'
import { subnetOf } from '../../src/core/subnet.js'

t.test('L-04 one text for each network (R-19)', async t => {
  const networks: Record<string, string[]> = {
    '1.2.3.4': [
      '1.2.3.4',
      '::ffff:1.2.3.4',
      '::FFFF:1.2.3.4',
      '::ffff:102:304',
      '0:0:0:0:0:ffff:1.2.3.4',
      '0000:0000:0000:0000:0000:ffff:0102:0304',
      '64:ff9b::1.2.3.4',
      '1.2.3.4:56789',
      '[::ffff:1.2.3.4]:56789',
    ],
    '0.0.0.0': ['0.0.0.0', '::ffff:0.0.0.0', '::ffff:0:0'],
    '2001:db8:1:2::/64': [
      '2001:db8:1:2::',
      '2001:db8:1:2::1',
      '2001:DB8:1:2:ffff:ffff:ffff:ffff',
      '2001:0db8:0001:0002:0003:0004:0005:0006',
      '2001:db8:1:2::1.2.3.4',
      '[2001:db8:1:2::9]',
      '[2001:db8:1:2::9]:443',
    ],
    '2001:db8:1:3::/64': ['2001:db8:1:3::1'],
    '2001:db8::/64': ['2001:db8::', '2001:db8::1', '2001:db8:0:0:1::'],
    '2001:db8:0:1::/64': ['2001:db8:0:1::1', '2001:db8:0:1:0:0:0:1'],
    '::/64': ['::', '::1', '::2:3:4:5'],
    '0:0:1::/64': ['0:0:1::'],
    'fe80::/64': ['fe80::1', 'fe80::1%eth0', 'fe80::2%3', '[fe80::1%eth0]:80'],
  }
  for (const [network, addresses] of Object.entries(networks))
    for (const address of addresses) t.equal(subnetOf(address), network, address)
})

t.test('what is no address is one place', async t => {
  for (const text of [
    '',
    'unknown',
    '_hidden',
    '1.2.3',
    '01.2.3.4',
    '256.1.1.1',
    '1.2.3.4, 5.6.7.8',
    ':::',
    '[1',
    '1::2::3',
    'fe80::1\n',
    'x'.repeat(10_000),
  ])
    t.equal(subnetOf(text), 'unknown', text.slice(0, 20))
})

t.test('every IPv6 address belongs to the network of its first four groups', async () => {
  const group = fc.integer({ min: 0, max: 0xffff })
  fc.assert(
    fc.property(fc.tuple(...Array.from({ length: 8 }, () => group)), groups => {
      const [first, second] = groups
      // Those are IPv4 addresses, which the table above is about.
      fc.pre(first !== 0 && !(first === 0x64 && second === 0xff9b))
      const network = `${groups
        .slice(0, 4)
        .map(value => value.toString(16))
        .join(':')}::`
      return subnetOf(groups.map(value => value.toString(16).padStart(4, '0')).join(':')) === subnetOf(network)
    }),
  )
})
