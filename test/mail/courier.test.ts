/** The courier on a real database and a real SMTP server: each mail arrives, whatever the server and the process do. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'drizzle-orm'
import t, { type Test } from 'tap'
import { type CourierEvent, createCourier, type Deliver, MailRefused } from '../../src/core/courier.js'
import { createLinkTokens } from '../../src/core/verifications.js'
import { createMailer } from '../../src/mail/index.js'
import { createMailStore } from '../../src/store/mails.js'
import { bearer, createKnock, newPerson, rowsOf } from '../dialects/doors.js'
import { startApp, type TestService, testSecrets } from '../helpers/app.js'
import { startSmtp } from '../helpers/smtp.js'

const mailSettings = (smtpUrl: string) => ({
  smtpUrl,
  from: 'Acme <no-reply@acme.test>',
  outbox: undefined,
  product: 'Acme',
  publicUrl: 'http://auth.acme.test',
  linkTtl: 3600,
  folder: undefined,
  onFile: () => {},
})

/** A service whose own courier never succeeds, so that the mails wait for ours. */
async function openMail(t: Test) {
  const service = await startApp(t, { SMTP_URL: 'smtp://127.0.0.1:9', MAIL_FROM: 'a@b.co', LOG_LEVEL: 'silent' })
  const knock = createKnock(service.app)
  const run = (statement: ReturnType<typeof sql>) => service.database.db.execute(statement)
  const waiting = async () => rowsOf(await run(sql`select * from mails order by created_at`))
  return {
    service,
    run,
    waiting,
    /** Writes a mail, and waits until the service's own courier has tried and failed. */
    write: async (email = newPerson().email) => {
      const { status, body } = await knock('POST', '/auth/register', { json: { ...newPerson(), email } })
      t.equal(status, 200, 'the request does not wait for it, nor fail by it')
      for (let tries = 0; tries < 200 && (await waiting()).every(({ attempts }) => attempts === 0); tries += 1)
        await sleep(20)
      await sleep(100)
      await run(sql`update mails set due_at = now(), attempts = 0`)
      return { email, access: body.access_token as string }
    },
  }
}

function courierOf({ database }: TestService, deliver: Deliver) {
  const events: CourierEvent[] = []
  const failures: unknown[] = []
  const courier = createCourier({
    store: createMailStore(database.db),
    links: createLinkTokens([testSecrets.REFRESH_TOKEN_SECRET]),
    deliver,
    onEvent: event => void events.push(event),
    onFailure: error => void failures.push(error),
  })
  t.teardown(() => courier.close())
  return { courier, events, failures }
}

t.test('a mail arrives whole, and its row goes', async t => {
  const smtp = await startSmtp(t)
  const { service, write, waiting } = await openMail(t)
  const { email } = await write()
  const mailer = createMailer(mailSettings(smtp.url))
  const { courier, events } = courierOf(service, async letter => mailer?.deliver(letter))
  courier.wake()
  const mail = await smtp.next(email)
  t.match(mail, { from: 'no-reply@acme.test', to: [email], subject: 'Confirm your address for Acme' })
  t.match(mail.text, /http:\/\/auth\.acme\.test\/auth\/pages\/verify-email\?token=[\w-]{43}\r\n\r\n/)
  await courier.close()
  mailer?.close()
  t.same(await waiting(), [])
  t.match(events, [{ event: 'mail_sent', kind: 'verify_email', attempts: 1 }])
  t.notMatch(JSON.stringify(events), email)
})

t.test('a server that is down, slow, or says later: the mail waits, longer each time, and arrives', async t => {
  const smtp = await startSmtp(t)
  const { service, write, run, waiting } = await openMail(t)
  const { email } = await write()
  const mailer = createMailer(mailSettings(smtp.url))
  t.teardown(() => mailer?.close())
  const attempt = async () => {
    const { courier, events } = courierOf(service, async letter => mailer?.deliver(letter))
    courier.wake()
    await courier.close()
    return events
  }
  await smtp.stop()
  t.match(await attempt(), [{ event: 'mail_postponed', attempts: 1 }], 'down')
  const [row] = await waiting()
  t.ok(new Date(row.due_at) > new Date(), 'not at once again')
  t.same(await attempt(), [], 'not before its time')
  await smtp.start()
  for (const at of ['MAIL', 'RCPT', 'DATA'] as const) {
    smtp.fault = { code: 451, at }
    await run(sql`update mails set due_at = now()`)
    const events = await attempt()
    t.match(events, [{ event: 'mail_postponed' }], `451 at ${at}`)
    t.notMatch(JSON.stringify(events, errors), /example\.com/, 'what the server says of addresses is not repeated')
  }
  smtp.fault = { delayMs: 800 }
  await run(sql`update mails set due_at = now()`)
  t.match(await attempt(), [{ event: 'mail_sent', attempts: 5 }], 'slow')
  t.equal(smtp.mails.filter(({ to }) => to.includes(email)).length, 1)
})

const errors = (_name: string, value: unknown) => (value instanceof Error ? `${value.message} ${value.stack}` : value)

t.test('a server that takes the connection and says nothing is given up within the lease', async t => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  t.teardown(() => silent.close())
  const mailer = createMailer(mailSettings(`smtp://127.0.0.1:${port}`))
  t.teardown(() => mailer?.close())
  const began = performance.now()
  const letter = {
    kind: 'password_reset',
    recipient: 'ada@example.com',
    name: '',
    token: undefined,
    details: {},
  } as const
  await t.rejects(mailer?.deliver(letter) ?? Promise.resolve(), { message: /^ETIMEDOUT/ })
  t.ok(performance.now() - began < 20_000, 'by our limit, which is below every limit of the courier')
})

t.test('an address that is refused for good is given up; our own trouble is not', async t => {
  const smtp = await startSmtp(t)
  const { service, write, waiting } = await openMail(t)
  const mailer = createMailer(mailSettings(smtp.url))
  t.teardown(() => mailer?.close())
  for (const [at, event, left] of [
    ['MAIL', 'mail_postponed', 1],
    ['RCPT', 'mail_given_up', 0],
    ['DATA', 'mail_given_up', 0],
  ] as const) {
    await service.database.db.execute(sql`delete from mails`)
    await write()
    smtp.fault = { code: 550, at }
    const { courier, events } = courierOf(service, async letter => mailer?.deliver(letter))
    courier.wake()
    await courier.close()
    t.match(events, [{ event }], `550 at ${at}`)
    t.equal((await waiting()).length, left)
  }
})

t.test('a process that dies while it sends: somebody else sends it again, after the lease', async t => {
  const { service, write, run } = await openMail(t)
  const { email } = await write()
  let bury = () => {}
  const grave = new Promise<void>(resolve => {
    bury = resolve
  })
  const dying = courierOf(service, () => grave)
  dying.courier.wake()
  await sleep(200)
  const sent: string[] = []
  const other = courierOf(service, async ({ recipient }) => void sent.push(recipient))
  other.courier.wake()
  await sleep(200)
  t.same(sent, [], 'as long as the first may still be at it, nobody else is')
  await run(sql`update mails set due_at = now() - interval '1 second'`)
  other.courier.wake()
  await other.courier.close()
  t.same(sent, [email])
  bury()
})

t.test('two couriers at once: each mail once', async t => {
  const { service, write, waiting } = await openMail(t)
  for (let count = 0; count < 45; count += 1)
    await service.app.inject({
      method: 'POST',
      url: '/auth/register',
      payload: newPerson(),
    })
  await write()
  const sent: string[] = []
  const deliver: Deliver = async ({ recipient }) => {
    await sleep(Math.random() * 20)
    sent.push(recipient)
  }
  const couriers = [courierOf(service, deliver), courierOf(service, deliver)]
  for (const { courier } of couriers) courier.wake()
  for (let tries = 0; tries < 500 && (await waiting()).length > 0; tries += 1) await sleep(20)
  for (const { courier } of couriers) await courier.close()
  t.equal(sent.length, 46)
  t.equal(new Set(sent).size, 46)
})

t.test('links whose secret is gone, and links already used, are not mailed', async t => {
  const { service, write, waiting } = await openMail(t)
  await write()
  const sent: string[] = []
  const courier = createCourier({
    store: createMailStore(service.database.db),
    links: createLinkTokens(['another secret of at least thirty-two characters']),
    deliver: async ({ recipient }) => void sent.push(recipient),
    onEvent: () => {},
    onFailure: error => t.fail(String(error)),
  })
  courier.wake()
  await courier.close()
  t.same([sent, await waiting()], [[], []])
})

t.test('a mail nobody could send for a day is given up', async t => {
  const { service, write, run, waiting } = await openMail(t)
  await write()
  await run(sql`update mails set created_at = created_at - interval '25 hours'`)
  const { courier, events } = courierOf(service, async () => {
    throw new Error('down')
  })
  courier.wake()
  await courier.close()
  t.match(events, [{ event: 'mail_given_up' }])
  t.same(await waiting(), [])
})

t.test('a database that is away is waited for', async t => {
  const { service } = await openMail(t)
  await service.database.close()
  const { courier, failures } = courierOf(service, async () => {})
  courier.wake()
  await courier.close()
  t.equal(failures.length, 1)
  t.ok(new MailRefused('x') instanceof Error)
})

t.test('nobody’s name or device can write a header', async t => {
  const smtp = await startSmtp(t)
  const service = await startApp(t, {
    SMTP_URL: smtp.url,
    MAIL_FROM: 'Acme <no-reply@acme.test>',
    NEW_DEVICE_MAIL: 'on',
  })
  const knock = createKnock(service.app)
  const person = newPerson()
  const name = 'Ada\r\nBcc: evil@example.com\r\n\r\n<b onclick="x">&'
  await knock('POST', '/auth/register', { json: { ...person, name } })
  const mail = await smtp.next(person.email)
  t.same([mail.to, mail.headers.bcc], [[person.email], undefined])
  t.match(mail.text, /^Hello Ada Bcc: evil@example\.com <b onclick="x">&,/)
  t.match(mail.html, /Hello Ada Bcc: evil@example\.com &lt;b onclick=&quot;x&quot;&gt;&amp;,/)

  const login = (userAgent: string) =>
    knock('POST', '/auth/login', {
      form: { username: person.email, password: person.password },
      headers: { 'user-agent': userAgent },
    })
  const { body } = await login('<script>new phone</script>')
  const notice = await smtp.next(person.email)
  t.match(notice, { subject: 'A new sign-in at Gatehouse', text: /<script>new phone<\/script>, 127\.0\.0\.1/ })
  t.notMatch(notice.html, /<script>/)
  const before = smtp.mails.length
  await login('<script>new phone</script>')
  await sleep(300)
  t.equal(smtp.mails.length, before, 'a device that is known is not worth a mail')
  t.equal((await knock('GET', '/auth/me', { headers: bearer(body.access_token) })).status, 200)
})
