/** The words of every mail, as eta templates in text and HTML; a folder of MAIL_TEMPLATES may hold others in their place. */

export type TemplateName =
  | 'verify_email'
  | 'reset_password'
  | 'change_email'
  | 'delete_account'
  | 'email_changed'
  | 'password_reset'
  | 'new_device'

export type Template = { subject: string; text: string; html: string }

/**
 * What a template can say: `it.product`, `it.name` (may be empty), `it.recipient`, `it.link` (where there is one),
 * `it.hours` it is good for, `it.device` and `it.address` of a new device.
 */
export type TemplateData = {
  product: string
  name: string
  recipient: string
  link: string
  hours: number
  device: string
  address: string
}

const greeting = '<% if (it.name) { %>Hello <%= it.name %>,<% } else { %>Hello,<% } %>'

/** The frame of all HTML mails: tables and inline styles, since that is what mail programs read. */
const page = (body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title><%= it.subject %></title>
</head>
<body style="margin:0;padding:24px;font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;color:#1a1a1a;background:#f4f4f5">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr><td align="center">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:480px;background:#ffffff;border-radius:8px"><tr><td style="padding:32px;color:#1a1a1a">
<p style="margin:0 0 16px">${greeting}</p>
${body}
<p style="margin:24px 0 0;color:#52525b"><%= it.product %></p>
</td></tr></table>
</td></tr></table>
</body>
</html>
`

const paragraph = (text: string): string => `<p style="margin:0 0 16px">${text}</p>`

const button = (text: string): string =>
  `<p style="margin:0 0 16px"><a href="<%= it.link %>" style="display:inline-block;padding:12px 20px;border-radius:6px;background:#1d4ed8;color:#ffffff;text-decoration:none">${text}</a></p>
<p style="margin:0 0 16px;font-size:14px;color:#52525b;word-break:break-all">Or open this address: <%= it.link %></p>`

const validity =
  'The link is good for <%= it.hours %> <% if (it.hours === 1) { %>hour<% } else { %>hours<% } %> and can be used once.'

const withLink = (subject: string, asked: string, action: string, otherwise: string): Template => ({
  subject,
  text: `${greeting}\n\n${asked}\n\n<%= it.link %>\n\n${validity}\n\n${otherwise}\n\n<%= it.product %>\n`,
  html: page([paragraph(asked), button(action), paragraph(validity), paragraph(otherwise)].join('\n')),
})

const withoutLink = (subject: string, ...sentences: string[]): Template => ({
  subject,
  text: `${greeting}\n\n${sentences.join('\n\n')}\n\n<%= it.product %>\n`,
  html: page(sentences.map(paragraph).join('\n')),
})

export const templates: Record<TemplateName, Template> = {
  verify_email: withLink(
    'Confirm your address for <%= it.product %>',
    'please confirm that this address is yours.',
    'Confirm address',
    'If you did not sign up, you need do nothing.',
  ),
  reset_password: withLink(
    'Set a new password for <%= it.product %>',
    'somebody, we hope you, asked to set a new password for your account.',
    'Set a new password',
    'If it was not you, you need do nothing: your password stays as it is.',
  ),
  change_email: withLink(
    'Confirm your new address for <%= it.product %>',
    'please confirm that your account shall use this address from now on.',
    'Use this address',
    'If you did not ask for that, you need do nothing.',
  ),
  delete_account: withLink(
    'Delete your account at <%= it.product %>',
    'you asked to delete your account. This cannot be undone.',
    'Delete my account',
    'If it was not you, do not open the link, and set a new password.',
  ),
  email_changed: withoutLink(
    'Your address at <%= it.product %> has changed',
    'your account uses another address now; this one can no longer be used to sign in.',
    'If it was not you, write to us at once.',
  ),
  password_reset: withoutLink(
    'Your password at <%= it.product %> has been changed',
    'a new password has been set for your account by a link that was mailed to this address.',
    'If it was not you, set another one at once, and look after your mailbox.',
  ),
  new_device: withoutLink(
    'A new sign-in at <%= it.product %>',
    'your account has been signed in to from a device we have not seen before: <%= it.device %>, <%= it.address %>.',
    'If it was not you, set a new password; that signs every device out.',
  ),
}
