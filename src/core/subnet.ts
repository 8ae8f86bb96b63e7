/** Which network an address belongs to, one text for each: what limits count by, and what tells one place from another. */
import { isIPv4, isIPv6 } from 'node:net'

/** `1.2.3.4:5678`, `[2001:db8::1]` and `[2001:db8::1]:5678`, as some proxies forward them. */
const dressed = /^(?:\[([^\]]+)\](?::\d+)?|([\d.]+):\d+)$/

/** An IPv4 address as IPv6 writes it: mapped (RFC 4291 section 2.5.5.2), or translated on its way here (RFC 6052). */
const embedded = /^(?:::ffff:|64:ff9b::)([0-9a-f]{1,4}):([0-9a-f]{1,4})$/

/**
 * An IPv4 address itself, also where it comes as IPv6; of any other IPv6 address its /64, since whoever has one address of
 * that has all of them: `2001:db8:1:2::/64`. Case, spelling, zone and port make no difference. What is no address is
 * `unknown`, so that made-up ones are all the same place.
 */
export function subnetOf(ip: string): string {
  const [, ipv6, ipv4] = dressed.exec(ip) ?? []
  const address = (ipv6 ?? ipv4 ?? ip).replace(/%.*$/s, '')
  if (isIPv4(address)) return address
  if (!isIPv6(address)) return 'unknown'
  const canonical = canonicalIpv6(address)
  const [, high, low] = embedded.exec(canonical) ?? []
  return high !== undefined && low !== undefined ? toIpv4(high, low) : toSubnet(canonical)
}

/** RFC 5952, which is how URLs spell it: lower case, no leading zeros, the longest run of zeros left out. */
const canonicalIpv6 = (address: string): string => new URL(`http://[${address}]`).hostname.slice(1, -1)

const toIpv4 = (...groups: string[]): string =>
  groups
    .map(group => Number.parseInt(group, 16))
    .flatMap(value => [value >> 8, value & 255])
    .join('.')

function toSubnet(canonical: string): string {
  const [left = [], right = []] = canonical.split('::').map(half => half.split(':').filter(group => group !== ''))
  const zeros = Array<string>(8 - left.length - right.length).fill('0')
  return `${canonicalIpv6(`${[...left, ...zeros, ...right].slice(0, 4).join(':')}::`)}/64`
}
