/** From a letter to a mail: its words, its one link, and templates of one's own. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Letter } from '../../src/core/courier.js'
import { createWriter, type LetterSettings } from '../../src/mail/letters.js'
import { templates } from '../../src/mail/templates.js'

const token = 'kT3v9QzX1rWm5yBc7nHs2LpFd8Gj4AeUiOo6TqRyWxE'
const settings: LetterSettings = {
  product: 'Acme & Co',
  publicUrl: 'https://auth.acme.test',
  linkTtl: 3600,
  folder: undefined,
}
const letter = (kind: Letter['kind'], details: Letter['details'] = {}): Letter => ({
  kind,
  recipient: 'ada@example.com',
  name: 'Ada',
  token,
  details,
})

const linkOf = (kind: Letter['kind'], details: Letter['details'] = {}) =>
  /https:\S+/.exec(createWriter(settings)(letter(kind, details)).text)?.[0]

t.test('every mail is whole in both forms, and says the same', async t => {
  const write = createWriter(settings)
  for (const kind of Object.keys(templates) as Letter['kind'][]) {
    const mail = write(letter(kind, { door: 'auth', userAgent: 'Phone', ipAddress: '203.0.113.7' }))
    t.equal(mail.to, 'ada@example.com')
    t.match(mail.subject, /Acme & Co/, 'a subject is no HTML')
    t.match(mail.text, /^Hello Ada,\n\n.+\n\nAcme & Co\n$/s)
    t.match(mail.html, /<p[^>]*>Hello Ada,<\/p>/)
    t.match(mail.html, /Acme &amp; Co/)
    t.notMatch(`${mail.subject}${mail.text}${mail.html}`, /undefined|<%|\[object/, kind)
    const links = [...mail.html.matchAll(/href="([^"]+)"/g)].map(match => match[1])
    t.equal(links.length, ['email_changed', 'password_reset', 'new_device'].includes(kind) ? 0 : 1, kind)
  }
})

t.test('where links lead', async t => {
  const own = 'https://auth.acme.test/auth/pages'
  t.equal(linkOf('verify_email'), `${own}/verify-email?token=${token}`)
  t.equal(linkOf('reset_password', { door: 'auth' }), `${own}/reset-password?token=${token}`)
  t.equal(linkOf('change_email', { door: 'better-auth' }), `${own}/change-email?token=${token}`, 'no page of the app')
  const app = { door: 'better-auth', callbackUrl: 'https://app.acme.test/in?x=1' } as const
  const escaped = 'https%3A%2F%2Fapp.acme.test%2Fin%3Fx%3D1'
  const there = 'https://auth.acme.test/api/auth'
  t.equal(linkOf('verify_email', app), `${there}/verify-email?token=${token}&callbackURL=${escaped}`)
  t.equal(linkOf('reset_password', app), `${there}/reset-password/${token}?callbackURL=${escaped}`)
  t.equal(linkOf('delete_account', app), `${there}/delete-user/callback?token=${token}&callbackURL=${escaped}`)
})

t.test('who has no name is greeted all the same', async t => {
  t.match(createWriter(settings)({ ...letter('verify_email'), name: ' \n ' }).text, /^Hello,\n/)
})

t.test('templates of one’s own take the place of ours, one by one', async t => {
  const folder = join(t.testdir(), 'mails')
  mkdirSync(folder)
  writeFileSync(join(folder, 'verify_email.subject.eta'), 'Welcome <%= it.name %>\r\nBcc: evil@example.com\n')
  writeFileSync(join(folder, 'verify_email.html.eta'), '<a href="<%= it.link %>"><%= it.name %></a>')
  const mail = createWriter({ ...settings, folder })({ ...letter('verify_email'), name: '<b>' })
  t.equal(mail.subject, 'Welcome <b> Bcc: evil@example.com', 'one line, whatever it says')
  t.equal(mail.html, `<a href="https://auth.acme.test/auth/pages/verify-email?token=${token}">&lt;b&gt;</a>`)
  t.match(mail.text, /please confirm that this address is yours/, 'what is not there stays ours')
  writeFileSync(join(folder, 'new_device.text.eta'), '<% if ( %>')
  t.throws(() => createWriter({ ...settings, folder }), 'a bad one is found at the start')
})
