/** Every secret that a test sends or is given is a canary: none may turn up in a log line, an event, or an answer that is not its own. */
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'

export type Canaries = {
  /** What is found of them in texts that should hold none; empty: nothing. */
  findIn(texts: readonly string[]): string[]
  /** Answers that told a secret, each in words. */
  told: readonly string[]
}

/** Secrets by their form, whoever they are of: a JWT, a password's hash, a mailed link's or a session's token as a cookie. */
const forms = [/eyJ[\w-]{8,}\.[\w-]+\.[\w-]+/, /\$2[aby]\$\d\d\$/, /\$h1\$/, /session_token=[\w%.-]{20,}/]
/** What a member called token may hold else: the id of a session, an address in the OpenAPI document. */
const tokenForm = /^[\w.%+=-]{16,}$/
const idForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const secretMember = /password|token|secret/i
/** Shorter ones, as tests of short passwords send them, are part of ordinary words. */
const shortest = 8
/** A common password too, and a word of many answers. */
const ordinary = /^passwords?$/i

/** Listens to what is asked of the service through `inject`, and to what it answers. `secrets`: those it was configured with. */
export function watchForCanaries(app: FastifyInstance, secrets: readonly string[]): Canaries {
  const passwords = new Set<string>()
  const tokens = new Set<string>()
  const told: string[] = []
  const inject = app.inject.bind(app)

  const note = (name: string, value: string): void => {
    if (value.length < shortest || ordinary.test(value)) return
    if (/password/i.test(name)) passwords.add(value)
    else if (tokenForm.test(value) && !idForm.test(value)) tokens.add(value)
  }

  const hear = (asked: InjectOptions, answer: LightMyRequestResponse): void => {
    const own: string[] = []
    eachSecret(readBody(asked.payload), (name, value) => {
      note(name, value)
      if (/password/i.test(name) && value.length >= shortest && !ordinary.test(value)) own.push(value)
    })
    eachSecret(readBody(answer.body), note)
    for (const line of [answer.headers['set-cookie'] ?? []].flat()) noteCookie(line, note)
    const text = `${answer.body}\n${JSON.stringify(answer.headers)}`
    const leaked = [...secrets, ...own].some(secret => text.includes(secret)) || /\$2[aby]\$\d\d\$|\$h1\$/.test(text)
    if (leaked) told.push(`${asked.method ?? 'GET'} ${String(asked.url)} answered with a secret`)
  }

  const listening = async (asked: InjectOptions): Promise<LightMyRequestResponse> => {
    const answer = await inject(asked)
    hear(asked, answer)
    return answer
  }
  app.inject = ((asked?: InjectOptions | string) =>
    asked === undefined ? inject() : listening(typeof asked === 'string' ? { url: asked } : asked)) as typeof app.inject

  return {
    told,
    findIn(texts) {
      const text = texts.join('\n')
      const words = new Set(text.split(/[^\w.%+/=-]+/))
      return [
        ...forms.flatMap(form => form.exec(text)?.[0] ?? []),
        ...[...passwords, ...secrets].filter(secret => text.includes(secret)),
        ...[...tokens].filter(token => words.has(token)),
      ]
    },
  }
}

/** An object of JSON or of a form; nothing where it is neither. */
function readBody(body: unknown): unknown {
  if (typeof body !== 'string') return body
  try {
    return JSON.parse(body)
  } catch {
    return Object.fromEntries(new URLSearchParams(body))
  }
}

function eachSecret(value: unknown, note: (name: string, value: string) => void, name = ''): void {
  if (typeof value === 'string') {
    if (secretMember.test(name)) note(name, value)
  } else if (typeof value === 'object' && value !== null && !Buffer.isBuffer(value)) {
    for (const [member, inner] of Object.entries(value)) eachSecret(inner, note, Array.isArray(value) ? name : member)
  }
}

function noteCookie(line: string, note: (name: string, value: string) => void): void {
  const [pair = ''] = line.split(';', 1)
  const equals = pair.indexOf('=')
  note('token', decodeURIComponent(pair.slice(equals + 1)))
}
