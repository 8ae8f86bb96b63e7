/** Password hashes as other systems write them out, and the form in which we store each. */

/** What Firebase's console shows of a project as "password hash parameters". */
export type FirebaseProject = { signerKey: string; saltSeparator: string; rounds: number; memCost: number }

export type HashRules = {
  firebase?: FirebaseProject | undefined
  /** Whether some password can match the stored form here: one of a scheme we know, within the caps, with a pepper we have. */
  isUsable(stored: string): boolean
}

/** The form to store, or why there is none. Reasons never repeat the hash. */
export function toStoredHash(
  written: string,
  { firebase, isUsable }: HashRules,
): { stored: string } | { reason: string } {
  const form = forms.find(({ begins }) => begins.test(written))
  if (!form) return { reason: 'the hash is of no form that is known' }
  const stored = form.convert(written, firebase)
  if (stored === undefined) return { reason: form.fault(written, firebase) }
  return isUsable(stored) ? { stored } : { reason: form.fault(written, firebase) }
}

type Form = {
  begins: RegExp
  convert(written: string, firebase: FirebaseProject | undefined): string | undefined
  /** Why it is refused, once it is known that it is. */
  fault(written: string, firebase: FirebaseProject | undefined): string
}

const damagedOrDear = (name: string) => () =>
  `the ${name} hash is damaged, or its parameters are beyond what is allowed`

const asWritten = (written: string): string => written

const forms: readonly Form[] = [
  { begins: /^\$2/, convert: asWritten, fault: bcryptFault },
  // Ours, where the password went through HMAC before bcrypt.
  {
    begins: /^\$h1\$/,
    convert: asWritten,
    fault: () => 'the hash is damaged, or was made with another PASSWORD_PEPPER',
  },
  { begins: /^\$argon2(id|i|d)\$/, convert: asWritten, fault: damagedOrDear('argon2') },
  // Our own stored forms, as `users export` writes them.
  {
    begins: /^\$(better-auth-scrypt|firebase-scrypt|pbkdf2-sha256|pbkdf2-sha1)\$/,
    convert: asWritten,
    fault: damagedOrDear('stored'),
  },
  // Django puts the name of its hasher before the hash.
  {
    begins: /^argon2\$argon2/,
    convert: written => written.slice('argon2'.length),
    fault: damagedOrDear('argon2'),
  },
  {
    begins: /^bcrypt\$\$2/,
    convert: written => written.slice('bcrypt$'.length),
    fault: written => bcryptFault(written.slice('bcrypt$'.length)),
  },
  { begins: /^pbkdf2_sha(1|256)\$/, convert: fromDjango, fault: damagedOrDear('PBKDF2') },
  {
    begins: /^firebase\$/,
    convert: fromFirebase,
    fault: (_, firebase) =>
      firebase ? damagedOrDear('Firebase')() : 'a Firebase hash needs the parameters of its project: --firebase-config',
  },
  { begins: /^[0-9a-f]{32}:[0-9a-f]{128}$/, convert: fromBetterAuth, fault: damagedOrDear('scrypt') },
]

function bcryptFault(written: string): string {
  const [, version = '', cost] = /^\$2([a-z]?)\$(\d\d)\$/.exec(written) ?? []
  if (cost === undefined) return 'the bcrypt hash is damaged'
  if (!['a', 'b', 'y'].includes(version)) return `bcrypt's version 2${version} is a broken one`
  if (Number(cost) < 4 || Number(cost) > 15) return `bcrypt's cost is ${cost}, and 4 to 15 is allowed`
  return 'the bcrypt hash is damaged'
}

/** `pbkdf2_sha256$600000$salt$base64`; the salt is the text itself. */
function fromDjango(written: string): string | undefined {
  const [, digest, iterations, salt = '', hash = ''] =
    /^pbkdf2_(sha1|sha256)\$([1-9]\d{0,9})\$([!-~]+)\$([A-Za-z0-9+/]+={0,2})$/.exec(written) ?? []
  if (digest === undefined || salt.includes('$')) return undefined
  return `$pbkdf2-${digest}$i=${iterations}$${base64(Buffer.from(salt))}$${unpadded(hash)}`
}

/** `salt:key` in hex. scrypt was given the letters of the salt, not the bytes that they spell. */
function fromBetterAuth(written: string): string {
  const [salt = '', key = ''] = written.split(':')
  return `$better-auth-scrypt$ln=14,r=16,p=1$${base64(Buffer.from(salt))}$${base64(Buffer.from(key, 'hex'))}`
}

/** `firebase$salt$hash`, both in base64 of either alphabet. */
function fromFirebase(written: string, project: FirebaseProject | undefined): string | undefined {
  const [, salt = '', hash] = /^firebase\$([\w+/-]*={0,2})\$([\w+/-]+={0,2})$/.exec(written) ?? []
  if (hash === undefined || !project) return undefined
  const parameters = [
    `ln=${project.memCost}`,
    `r=${project.rounds}`,
    `key=${reencoded(project.signerKey)}`,
    `sep=${reencoded(project.saltSeparator)}`,
  ]
  return `$firebase-scrypt$${parameters.join(',')}$${reencoded(salt)}$${reencoded(hash)}`
}

const unpadded = (text: string): string => text.replace(/=+$/, '')

const base64 = (bytes: Buffer): string => unpadded(bytes.toString('base64'))

const reencoded = (text: string): string => base64(Buffer.from(text, 'base64'))

/** Reads the console's block as it is copied from there. Undefined: a member is missing or is none. */
export function parseFirebaseProject(text: string): FirebaseProject | undefined {
  const textOf = (name: string): string => new RegExp(`\\b${name}\\s*[:=]\\s*"?([\\w+/-]+={0,2})`).exec(text)?.[1] ?? ''
  const project = {
    signerKey: textOf('base64_signer_key'),
    saltSeparator: textOf('base64_salt_separator'),
    rounds: Number(textOf('rounds')),
    memCost: Number(textOf('mem_cost')),
  }
  const isWhole = project.signerKey !== '' && project.saltSeparator !== ''
  const areNumbers = Number.isInteger(project.rounds) && Number.isInteger(project.memCost)
  return isWhole && areNumbers && project.rounds > 0 && project.memCost > 0 ? project : undefined
}
