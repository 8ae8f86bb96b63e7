/** How this service writes to people: over SMTP, into a folder where that is good enough, or not at all. */
import type { Deliver } from '../core/courier.js'
import { createWriter, type LetterSettings } from './letters.js'
import { openOutbox, openSmtp } from './transport.js'

export type MailSettings = LetterSettings & {
  /** smtp:// or smtps://; undefined: none is named. */
  smtpUrl: string | undefined
  from: string
  /** Where mails go as files when no server is named; undefined: nowhere. */
  outbox: string | undefined
  /** Told of each mail that became a file. */
  onFile(file: string): void
}

export type Mailer = { deliver: Deliver; close(): void }

/** Undefined where nobody could send a mail. Throws for a template that cannot be read or compiled. */
export function createMailer(settings: MailSettings): Mailer | undefined {
  const { smtpUrl, from, outbox, onFile } = settings
  if (smtpUrl === undefined && outbox === undefined) return undefined
  const write = createWriter(settings)
  const transport = smtpUrl === undefined ? openOutbox(outbox as string, onFile) : openSmtp(smtpUrl, from)
  return { deliver: letter => transport.send(write(letter)), close: transport.close }
}
