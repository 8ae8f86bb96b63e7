/** How a mail leaves: over SMTP, or, where no server is named and this is no production, as a file somebody can open. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTransport } from 'nodemailer'
import type SMTPPool from 'nodemailer/lib/smtp-pool/index.js'
import { MailRefused } from '../core/courier.js'
import type { Mail } from './letters.js'

export type Transport = {
  send(mail: Mail): Promise<void>
  close(): void
}

/** Milliseconds: for a connection, for its greeting, and for any silence of the server. All within the courier's lease. */
const timeouts = { connectionTimeout: 10_000, greetingTimeout: 10_000, socketTimeout: 30_000 }

const maxConnections = 5

/** `url`: smtp://user:password@host:587 or smtps://…; STARTTLS is used wherever the server offers it. */
export function openSmtp(url: string, from: string): Transport {
  // Beside a URL given as a text, these would be taken for members of each mail, and the limits be nodemailer's own.
  const settings = { url, pool: true, maxConnections, disableFileAccess: true, disableUrlAccess: true, ...timeouts }
  const transport = createTransport(settings as SMTPPool.Options, { from })
  return {
    async send({ to, ...mail }) {
      try {
        // An object, since a text is split at its commas.
        await transport.sendMail({ ...mail, to: { name: '', address: to } })
      } catch (error) {
        throw isRefusal(error) ? new MailRefused(describe(error)) : new Error(describe(error))
      }
    },
    close: () => transport.close(),
  }
}

type SmtpError = { code?: string; responseCode?: number; command?: string }

/** RFC 5321 section 4.2.1: 5yz to the recipient or the content is for good. To a greeting or a log-in it is our own trouble. */
function isRefusal(error: unknown): boolean {
  const { responseCode = 0, command = '' } = (error ?? {}) as SmtpError
  return responseCode >= 500 && /^(RCPT|DATA)/i.test(command)
}

/** Servers repeat addresses in their answers: only codes are taken from them. */
function describe(error: unknown): string {
  const { code, responseCode, command } = (error ?? {}) as SmtpError
  return [code, command?.split(' ', 1)[0], responseCode].filter(part => part !== undefined).join(' ') || 'unknown'
}

/** `told` is called with the path of each mail, for the log. */
export function openOutbox(folder: string, told: (file: string) => void): Transport {
  let count = 0
  return {
    async send({ to, subject, text, html }) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      count += 1
      const stamp = new Date().toISOString().replaceAll(/[:.]/g, '-')
      const name = join(folder, `${stamp}-${String(count).padStart(4, '0')}`)
      await writeFile(`${name}.html`, html, { mode: 0o600 })
      await writeFile(`${name}.txt`, `To: ${to}\nSubject: ${subject}\n\n${text}`, { mode: 0o600 })
      told(`${name}.txt`)
    },
    close: () => {},
  }
}
