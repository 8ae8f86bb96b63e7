/** From a letter of the core to a mail: subject, text, HTML, and the one address its link names. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Eta } from 'eta'
import type { Letter } from '../core/courier.js'
import { type Template, type TemplateName, templates } from './templates.js'

export type LetterSettings = {
  /** What the mails call the service. */
  product: string
  /** Where links lead, without a trailing slash: from configuration, never from a request (CVE class of poisoned Host headers). */
  publicUrl: string
  /** Seconds a link lives. */
  linkTtl: number
  /** A folder with templates that take the place of ours, `<kind>.subject.eta`, `.text.eta` and `.html.eta`. */
  folder: string | undefined
}

export type Mail = { to: string; subject: string; text: string; html: string }

/** Throws at once for a template that cannot be read or compiled. */
export function createWriter(settings: LetterSettings): (letter: Letter) => Mail {
  // A line break after a tag is meant: in a mail it ends a line.
  const eta = new Eta({ autoEscape: true, autoTrim: false })
  const plain = new Eta({ autoEscape: false, autoTrim: false })
  const parts = Object.fromEntries(
    Object.entries(templates).map(([name, template]) => {
      const { subject, text, html } = overridden(name, template, settings.folder)
      return [name, { subject: plain.compile(subject), text: plain.compile(text), html: eta.compile(html) }]
    }),
  )

  return letter => {
    const template = parts[letter.kind]
    if (!template) throw new Error(`there is no template for ${letter.kind}`)
    const data = {
      product: settings.product,
      name: oneLine(letter.name),
      recipient: letter.recipient,
      link: linkOf(letter, settings.publicUrl),
      hours: Math.max(1, Math.round(settings.linkTtl / 3600)),
      device: oneLine(letter.details.userAgent ?? 'an unknown device'),
      address: oneLine(letter.details.ipAddress ?? 'an unknown address'),
    }
    const subject = oneLine(template.subject.call(plain, data, {}))
    return {
      to: letter.recipient,
      subject,
      text: template.text.call(plain, { ...data, subject }, {}),
      html: template.html.call(eta, { ...data, subject }, {}),
    }
  }
}

function overridden(name: string, template: Template, folder: string | undefined): Template {
  if (folder === undefined) return template
  const read = (part: keyof Template): string => {
    try {
      return readFileSync(join(folder, `${name}.${part}.eta`), 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return template[part]
      throw error
    }
  }
  return { subject: read('subject'), text: read('text'), html: read('html') }
}

/** The paths of each dialect's links; a page of ours where the dialect has no address of its own for it. */
const paths: Partial<Record<TemplateName, { auth: string; 'better-auth': string }>> = {
  verify_email: { auth: '/auth/pages/verify-email', 'better-auth': '/api/auth/verify-email' },
  change_email: { auth: '/auth/pages/change-email', 'better-auth': '/api/auth/verify-email' },
  reset_password: { auth: '/auth/pages/reset-password', 'better-auth': '/api/auth/reset-password' },
  delete_account: { auth: '/api/auth/delete-user/callback', 'better-auth': '/api/auth/delete-user/callback' },
}

function linkOf({ kind, token, details }: Letter, publicUrl: string): string {
  const path = paths[kind]
  if (!path || token === undefined) return ''
  // Without a place to go to afterwards, Better Auth's addresses would end in a line of JSON.
  const door = details.door === 'better-auth' && details.callbackUrl !== undefined ? 'better-auth' : 'auth'
  const isReset = kind === 'reset_password' && door === 'better-auth'
  const link = new URL(isReset ? `${path[door]}/${token}` : path[door], publicUrl)
  if (!isReset) link.searchParams.set('token', token)
  if (details.callbackUrl !== undefined) link.searchParams.set('callbackURL', details.callbackUrl)
  return link.href
}

/** A name with a line break in it would begin a header, or a paragraph, of its own. */
const oneLine = (text: string): string =>
  text
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim()
    .slice(0, 200)
