/** The one place where an e-mail address becomes its canonical form, so that two spellings never make two accounts. */
import { domainToASCII, domainToUnicode } from 'node:url'

const longestAddress = 254
const longestLocalPart = 64
const longestLabel = 63
// A domain typed in Unicode may use more units than its A-labels have letters, though never this many.
const longestInput = 4 * longestAddress

// RFC 5322 dot-atom, after folding. Quoted local parts are legal there and refused here.
const dotAtom = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/

/**
 * `" Alice@Bücher.example "` → `"alice@xn--bcher-kva.example"`; undefined when it is no address we accept.
 * Nothing is folded beyond A-Z: the locale rules of other layers disagree (U+0130, U+212A), and dots or tags of a
 * provider are that provider's business.
 */
export function canonicalEmail(raw: string): string | undefined {
  const [local, domain, ...rest] = foldAscii(withoutOuterSpace(raw)).split('@')
  if (local === undefined || domain === undefined || rest.length > 0) return undefined
  if (local.length > longestLocalPart || !dotAtom.test(local)) return undefined

  const ascii = toAsciiDomain(domain)
  if (ascii === undefined) return undefined
  const address = `${local}@${ascii}`
  return address.length <= longestAddress ? address : undefined
}

/** Empty, hence no address, when there is a space inside or the text is longer than any address. */
function withoutOuterSpace(raw: string): string {
  const address = /^ *([^ ]+) *$/.exec(raw)?.[1] ?? ''
  return address.length <= longestInput ? address : ''
}

function foldAscii(text: string): string {
  return text.replace(/[A-Z]/g, letter => letter.toLowerCase())
}

/**
 * domainToASCII parses the host of a URL, which is kinder than a mailbox can be: it decodes %61, takes U+3002 for a dot
 * and "ａ" for "a", and drops what is invisible. So each label is first shown to be one that it keeps.
 */
function toAsciiDomain(domain: string): string | undefined {
  const labels = domain.split('.').map(toAsciiLabel)
  if (labels.length < 2 || labels.includes('')) return undefined
  const ascii = labels.join('.')
  // WHATWG URL reads a host that ends in a number as IPv4 ("0x7f.1" is 127.0.0.1); a mail domain never does.
  if (/\.(?:\d+|0x[\da-f]*)$/.test(ascii)) return undefined
  // An A-label that decodes to something else ("xn--abc-" is "abc") would be a second spelling of that domain.
  return ascii === domainToASCII(domainToUnicode(ascii)) ? ascii : undefined
}

/** Empty when the label is none. */
function toAsciiLabel(label: string): string {
  if (label.startsWith('-') || label.endsWith('-')) return ''
  const ascii = /^[a-z0-9-]+$/.test(label) ? label : toALabel(label)
  return ascii.length <= longestLabel ? ascii : ''
}

/** Empty when IDNA would make it another label than the one written, in more than its case or composition. */
function toALabel(label: string): string {
  if (![...label].every(character => /[a-z0-9-]/.test(character) || isPlainLetter(character))) return ''
  const ascii = domainToASCII(label)
  return caseless(domainToUnicode(ascii)) === caseless(label.normalize('NFC')) ? ascii : ''
}

/** A letter, mark or digit beyond ASCII with no compatibility form. A lone surrogate is none of these. */
function isPlainLetter(character: string): boolean {
  const isLetter = character > '\x7f' && /^[\p{L}\p{M}\p{Nd}]$/u.test(character)
  // U+0130 lowers to two characters, the first of them an ASCII i.
  return isLetter && character.normalize('NFKC') === character && [...caseless(character)].length === 1
}

function caseless(text: string): string {
  return text.toLowerCase()
}
