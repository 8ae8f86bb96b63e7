/** canonicalEmail: the shared vectors, then what URL parsing would have let through. */
import { readFileSync } from 'node:fs'
import { domainToUnicode } from 'node:url'
import fc from 'fast-check'
import t from 'tap'
import { canonicalEmail } from '../../src/core/emails.js'

type Vector = { id: string; a: string; b: string; expect: string }
const file = new URL('../vectors/identifier_vectors.json', import.meta.url)
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: Vector[] }

t.test('L-16 F-24 every identifier vector', async t => {
  for (const { id, a, b, expect } of vectors) {
    const first = canonicalEmail(a)
    const second = canonicalEmail(b)
    if (expect === 'same-account') t.ok(first !== undefined && first === second, id)
    else if (expect === 'different-accounts') t.ok(first && second && first !== second, id)
    else if (expect === 'reject-a') t.ok(first === undefined && (b === '' || second !== undefined), id)
    else if (expect === 'reject-both') t.ok(first === undefined && second === undefined, id)
    else t.fail(`${id} expects ${expect}, which this test does not know`)
  }
  t.equal(vectors.length, 19)
})

const label63 = 'a'.repeat(63)

const accepted: Record<string, string> = {
  'a@b.c': 'a@b.c',
  '   USER+Tag@EXAMPLE.Com  ': 'user+tag@example.com',
  "!#$%&'*+-/=?^_`{|}~@example.com": "!#$%&'*+-/=?^_`{|}~@example.com",
  'first.last@1and1.example': 'first.last@1and1.example',
  '1@2.example': '1@2.example',
  'ABCDEFGHIJKLMNOPQRSTUVWXYZ@Z.example': 'abcdefghijklmnopqrstuvwxyz@z.example',
  'a@b--c.example': 'a@b--c.example',
  'a@XN--BCHER-KVA.Example': 'a@xn--bcher-kva.example',
  'a@BÜCHER.example': 'a@xn--bcher-kva.example',
  'a@bu\u0308cher.example': 'a@xn--bcher-kva.example',
  'a@straße.example': 'a@xn--strae-oqa.example',
  'a@例え.テスト': 'a@xn--r8jz45g.xn--zckzah',
  'a@भारत.भारत': 'a@xn--h2brj9c.xn--h2brj9c',
  'a@bücher.xn--bcher-kva.example': 'a@xn--bcher-kva.xn--bcher-kva.example',
  [`${'l'.repeat(64)}@${label63}.example`]: `${'l'.repeat(64)}@${label63}.example`,
}

t.test('accepted, and what becomes of it', async t => {
  for (const [raw, canonical] of Object.entries(accepted)) t.equal(canonicalEmail(raw), canonical, raw)
})

const refused: Record<string, string> = {
  nothing: '',
  'only space': '   ',
  'no local part': '@example.com',
  'no domain': 'a@',
  'no at': 'example.com',
  'two at, adjacent': 'a@@example.com',
  'two at, each domain good': 'a@example.com@example.com',
  'inner space': 'a b@example.com',
  'space at the at': 'a @example.com',
  tab: '\ta@example.com',
  newline: 'a@example.com\n',
  'no-break space': '\u00a0a@example.com',
  nul: 'a\0@example.com',
  'nul in the domain': 'a@exa\0mple.com',
  comma: 'a@example.com,b@example.com',
  'comma in the local part': 'a,b@example.com',
  semicolon: 'a@example.com;b@example.com',
  'display name': 'Alice <a@example.com>',
  comment: 'a(comment)@example.com',
  'quoted local part': '"a"@example.com',
  backslash: 'a\\b@example.com',
  'leading dot': '.a@example.com',
  'trailing dot in the local part': 'a.@example.com',
  'double dot': 'a..b@example.com',
  'local part not ASCII': 'ä@example.com',
  'local part of 65': `${'l'.repeat(65)}@example.com`,
  'no dot in the domain': 'a@localhost',
  'empty label': 'a@example..com',
  'leading dot in the domain': 'a@.example.com',
  'label of 64': `a@a${label63}.example`,
  'A-label over 63': `a@${'ü'.repeat(60)}.example`,
  'leading hyphen': 'a@-example.com',
  'trailing hyphen': 'a@example-.com',
  'leading hyphen before a letter beyond ASCII': 'a@-ü.example',
  underscore: 'a@ex_ample.com',
  'underscore beside a letter beyond ASCII': 'a@ü_b.example',
  'IPv4 address': 'a@127.0.0.1',
  'IPv4 address in hexadecimal': 'a@0x7f.1',
  'last label a number': 'a@example.123',
  'last label a hexadecimal number': 'a@example.0x7f',
  'last label 0x': 'a@example.0x',
  'domain literal': 'a@[127.0.0.1]',
  'IPv6 literal': 'a@[::1]',
  'percent escape': 'a@ex%61mple.com',
  'percent escaped dot': 'a@example%2ecom',
  port: 'a@example.com:25',
  path: 'a@example.com/b',
  query: 'a@example.com?b',
  fragment: 'a@example.com#b',
  'fullwidth letter': 'a@\uff45xample.com',
  'fullwidth full stop': 'a@example\uff0ecom',
  'halfwidth ideographic full stop': 'a@example\uff61com',
  'fullwidth at': 'a\uff20example.com',
  'Kelvin sign': 'a@\u212aernel.example',
  'dotted capital I': 'a@\u0130stanbul.example',
  'long s': 'a@\u017fam.example',
  ligature: 'a@\ufb01sh.example',
  'circled digit': 'a@\u2460.example',
  'superscript digit': 'a@b\u00b2.example',
  'soft hyphen': 'a@exam\u00adple.com',
  'zero width space': 'a@exam\u200bple.com',
  'zero width joiner': 'a@\u0915\u094d\u200d\u0937.example',
  'variation selector': 'a@b\ufe0fü.example',
  'grapheme joiner': 'a@b\u034fü.example',
  'hangul filler': 'a@b\u115f\u1160ü.example',
  'byte order mark': '\ufeffa@example.com',
  'right-to-left override': 'a@\u202eexample.com',
  'mixed directions in a label': 'a@\u05d0a.example',
  emoji: 'a@\u{1f600}.example',
  'lone surrogate in the domain': 'a@exam\ud800ple.com',
  'A-label that is none': 'a@xn--a.example',
  'A-label of plain ASCII': 'a@xn--abc-.example',
  'label that starts with a mark': 'a@\u0308u.example',
  'whole over 254': `a@${`${label63}.`.repeat(3)}${'a'.repeat(61)}`,
}

t.test('refused', async t => {
  for (const [why, raw] of Object.entries(refused)) t.equal(canonicalEmail(raw), undefined, why)
})

t.test('A-06 254 characters are the most', async t => {
  const domain = `${`${label63}.`.repeat(3)}${'a'.repeat(60)}`
  t.equal(canonicalEmail(`a@${domain}`)?.length, 254)
  t.equal(canonicalEmail(`ab@${domain}`), undefined)
})

t.test('a canonical address is its own canonical form, and plain ASCII', async t => {
  const oddities = ['.', '-', '@', ' ', 'xn--', 'xn--bcher-kva', '\u3002', '%41', '0x1', '\u05d0', '\ud800', '\uff41']
  const letters = ['a', 'Z', '1', 'ü', 'Ü', 'u\u0308', '例', 'ß']
  const piece = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...letters) },
    { weight: 1, arbitrary: fc.constantFrom(...oddities) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }) },
  )
  const label = fc.array(piece, { minLength: 1, maxLength: 4 }).map(pieces => pieces.join(''))
  const address = fc.tuple(label, label).map(([domain, rest]) => ` A@${domain}.${rest}b`)
  let count = 0
  fc.assert(
    fc.property(address, raw => {
      const canonical = canonicalEmail(raw)
      if (canonical === undefined) return true
      count += 1
      return canonicalEmail(canonical) === canonical && /^[!-?^-~]{1,64}@[a-z0-9.-]+$/.test(canonical)
    }),
    { numRuns: 5_000 },
  )
  t.ok(count > 500, 'and it met enough of them')
})

t.test('L-16 F-24 no character beyond ASCII is taken for another, but for its case', async t => {
  const taken: string[] = []
  let count = 0
  for (let code = 0x80; code <= 0x10ffff; code += 1) {
    const domain = `a${String.fromCodePoint(code)}b.example`
    const canonical = canonicalEmail(`a@${domain}`)
    if (canonical === undefined) continue
    count += 1
    const back = domainToUnicode(canonical.slice(2)).toLowerCase()
    if (back !== domain.normalize('NFC').toLowerCase()) taken.push(code.toString(16))
  }
  t.same(taken, [])
  t.ok(count > 100_000, 'and most letters are accepted')
})

t.test('a hostile length costs nothing', async t => {
  for (const raw of [
    ' '.repeat(1e6),
    `a${' '.repeat(1e6)}b`,
    'a.'.repeat(1e6),
    '@'.repeat(1e6),
    `a@${'ü'.repeat(1e6)}.b`,
  ]) {
    t.equal(canonicalEmail(raw), undefined)
  }
  t.equal(canonicalEmail(`${' '.repeat(1e6)}a@b.c${' '.repeat(1e6)}`), 'a@b.c')
})
