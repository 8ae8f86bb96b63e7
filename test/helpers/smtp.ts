/** A real SMTP server on loopback, for what the service sends: it keeps every mail, and can be made to refuse, to wait and to go. */
import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'
import type { Test } from 'tap'

export type Received = {
  from: string
  to: string[]
  subject: string
  headers: Record<string, string>
  text: string
  html: string
  raw: string
}

export type SmtpFault = { code: number; at: 'MAIL' | 'RCPT' | 'DATA' } | { delayMs: number } | undefined

export type Smtp = {
  url: string
  mails: Received[]
  /** From now on; undefined: none. */
  fault: SmtpFault
  /** The next mail to somebody that has not been asked for yet. */
  next(to: string): Promise<Received>
  stop(): Promise<void>
  start(): Promise<void>
}

export async function startSmtp(t: Test): Promise<Smtp> {
  const seen = new Set<Received>()
  let port = 0
  let server: SMTPServer | undefined

  const refusal = (at: string) => {
    const { fault } = smtp
    return fault && 'code' in fault && fault.at === at
      ? Object.assign(new Error(`no ${at} here for secret@example.com`), { responseCode: fault.code })
      : null
  }

  const smtp: Smtp = {
    get url() {
      return `smtp://127.0.0.1:${port}`
    },
    mails: [],
    fault: undefined,

    async next(to) {
      for (let tries = 0; tries < 1000; tries += 1) {
        const mail = smtp.mails.find(mail => !seen.has(mail) && mail.to.includes(to))
        if (mail) {
          seen.add(mail)
          return mail
        }
        await new Promise(resolve => setTimeout(resolve, 20))
      }
      throw new Error(`no mail to ${to}`)
    },

    async start() {
      server = new SMTPServer({
        authOptional: true,
        disabledCommands: ['STARTTLS', 'AUTH'],
        onMailFrom: (_address, _session, done) => done(refusal('MAIL')),
        onRcptTo: (_address, _session, done) => done(refusal('RCPT')),
        onData(stream, session, done) {
          const parts: Buffer[] = []
          stream.on('data', part => parts.push(part))
          stream.on('end', () => {
            const error = refusal('DATA')
            const from = session.envelope.mailFrom ? session.envelope.mailFrom.address : ''
            const to = session.envelope.rcptTo.map(({ address }) => address)
            if (!error) smtp.mails.push({ from, to, ...parse(Buffer.concat(parts).toString('utf8')) })
            const delay = smtp.fault && 'delayMs' in smtp.fault ? smtp.fault.delayMs : 0
            setTimeout(() => done(error), delay)
          })
        },
      })
      server.on('error', () => {})
      await new Promise<void>(resolve => server?.listen(port, '127.0.0.1', resolve))
      port = (server.server.address() as AddressInfo).port
    },

    stop: () => new Promise(resolve => (server ? server.close(() => resolve()) : resolve())),
  }
  await smtp.start()
  t.teardown(() => smtp.stop())
  return smtp
}

/** Enough of RFC 5322 and MIME to read what nodemailer writes. */
function parse(raw: string): Omit<Received, 'from' | 'to'> {
  const [head = '', ...rest] = raw.split('\r\n\r\n')
  const headers = Object.fromEntries(
    head
      .replaceAll(/\r\n[ \t]+/g, ' ')
      .split('\r\n')
      .map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  )
  const boundary = /boundary="([^"]+)"/.exec(headers['content-type'] ?? '')?.[1] ?? ''
  const parts = rest.join('\r\n\r\n').split(`--${boundary}`)
  const part = (type: string) => decode(parts.find(each => new RegExp(`content-type: ${type}`, 'i').test(each)) ?? '')
  return {
    subject: decodeWords(headers.subject ?? ''),
    headers,
    text: part('text/plain'),
    html: part('text/html'),
    raw,
  }
}

function decode(part: string): string {
  const [head = '', ...body] = part.split('\r\n\r\n')
  const text = body.join('\r\n\r\n')
  if (/quoted-printable/i.test(head)) return decodeQuoted(text.replaceAll('=\r\n', ''))
  if (/base64/i.test(head)) return Buffer.from(text, 'base64').toString('utf8')
  return text
}

const decodeQuoted = (text: string): string =>
  Buffer.from(
    text.replaceAll(/=([0-9A-F]{2})/g, (_match, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString('utf8')

const decodeWords = (text: string): string =>
  text.replaceAll(/=\?utf-8\?([qb])\?([^?]*)\?=/gi, (_match, form: string, word: string) =>
    form.toLowerCase() === 'b' ? Buffer.from(word, 'base64').toString('utf8') : decodeQuoted(word.replaceAll('_', ' ')),
  )
