/**
 * better-auth/react in a real Chromium, in a page of another origin of the same site: signs up, sees the session in every
 * tab and after a reload, signs out in one tab and sees it end in the other. Then the page behind a really mailed link, on
 * a phone, light and dark, without script. Exits with 1 where one is not so. Screenshots go to ARTIFACTS.
 */
import assert from 'node:assert/strict'
import { mkdtempSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import type { Test } from 'tap'
import { loadConfig } from '../../src/config.js'
import { startService } from '../../src/service.js'
import { openChromium } from '../helpers/chromium.js'
import { startSmtp } from '../helpers/smtp.js'

const email = 'ada@example.com'
const password = 'correct horse battery'
const newPassword = 'staple that horse twice'
const artifacts = process.env.ARTIFACTS ?? mkdtempSync(join(tmpdir(), 'gatehouse-react-'))
const say = (line: string) => process.stdout.write(`${line}\n`)

/** The whole app: a form where nobody is signed in, else who it is. */
const appSource = (baseURL: string) => `
import { createElement as h, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { createAuthClient } from 'better-auth/react'

const client = createAuthClient({ baseURL: ${JSON.stringify(baseURL)} })

function App() {
  const { data, isPending, error } = client.useSession()
  const [message, setMessage] = useState('')
  const say = ({ error }) => setMessage(error?.message ?? '')
  if (isPending) return h('p', null, 'One moment')
  if (data)
    return h('section', null,
      h('h1', null, 'Hello ' + data.user.name),
      h('p', { id: 'who' }, data.user.email),
      h('p', null, 'until ' + data.session.expiresAt.toDateString()),
      h('button', { onClick: async () => say(await client.signOut()) }, 'Sign out'))
  const enter = event => {
    event.preventDefault()
    const { email, password } = Object.fromEntries(new FormData(event.currentTarget))
    const isNew = event.nativeEvent.submitter.value === 'up'
    const call = isNew ? client.signUp.email({ name: 'Ada', email, password }) : client.signIn.email({ email, password })
    return call.then(say)
  }
  return h('form', { onSubmit: enter },
    h('h1', null, 'Signed out'),
    h('label', null, 'E-mail', h('input', { name: 'email', type: 'email' })),
    h('label', null, 'Password', h('input', { name: 'password', type: 'password' })),
    h('button', { value: 'in' }, 'Sign in'),
    h('button', { value: 'up' }, 'Sign up'),
    h('p', { role: 'alert' }, message || error?.message || ''))
}

createRoot(document.getElementById('app')).render(h(App))
`

/** Runs in the page, hence a text: types of the DOM are none of this project's. */
const measuring = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  const rgb = color => {
    canvas.clearRect(0, 0, 1, 1)
    canvas.fillStyle = color
    canvas.fillRect(0, 0, 1, 1)
    return [...canvas.getImageData(0, 0, 1, 1).data]
  }
  const linear = part => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4)
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
  const behind = element => {
    const color = rgb(getComputedStyle(element).backgroundColor)
    return color[3] === 255 || !element.parentElement ? color : behind(element.parentElement)
  }
  const contrast = (one, other) => {
    const [bright, dark] = [light(one), light(other)].sort((a, b) => b - a)
    return (bright + 0.05) / (dark + 0.05)
  }
  const all = selector => [...document.querySelectorAll(selector)]
  const texts = all('h1, p, label, small, button, footer, input:not([type=hidden])')
  const fields = all('input:not([type=hidden])')
  return {
    contrasts: [
      ...texts.map(each => [each.localName, contrast(rgb(getComputedStyle(each).color), behind(each)), 4.5]),
      ...fields.map(each => ['a border', contrast(rgb(getComputedStyle(each).borderTopColor), behind(each.parentElement)), 3]),
    ],
    heights: [...fields, ...all('button')].map(each => each.getBoundingClientRect().height),
    overflow: Math.max(0, document.documentElement.scrollWidth - innerWidth),
    headings: all('h1').length,
    language: document.documentElement.lang,
    unnamed: fields.filter(each => each.labels.length === 0).length,
  }
})()`

const listening: Server[] = []
const stops: (() => unknown)[] = []
const smtp = await startSmtp({ teardown: (stop: () => unknown) => void stops.push(stop) } as unknown as Test)
let script = ''
const appOrigin = await serveApp()
const port = await freePort()
const origin = `http://127.0.0.1:${port}`
const service = await startService(
  loadConfig(
    {
      DATA_DIR: 'memory://',
      BCRYPT_COST: '4',
      LOG_LEVEL: 'silent',
      HOST: '127.0.0.1',
      PORT: String(port),
      PUBLIC_URL: origin,
      PRODUCT_NAME: 'Acme',
      CORS_ORIGINS: appOrigin,
      TRUSTED_ORIGINS: appOrigin,
      SMTP_URL: smtp.url,
      MAIL_FROM: 'Acme <no-reply@acme.test>',
    },
    'no-such-file',
  ),
)
try {
  script = await bundle(appSource(origin))
  const browser = await openChromium()
  try {
    await testApp(await browser.newContext())
    for (const colorScheme of ['light', 'dark'] as const) await testResetPage(browser, colorScheme)
  } finally {
    await browser.close()
  }
} finally {
  await service.stop({ drain: false })
  for (const server of listening) server.close()
  for (const stop of stops) await stop()
}

async function serveApp(): Promise<string> {
  const html = '<!doctype html><html lang="en"><title>App</title><link rel="icon" href="data:,"><div id="app"></div>'
  const server = createServer((request, response) => {
    const isScript = request.url === '/app.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html; charset=utf-8')
    response.end(isScript ? script : `${html}<script src="/app.js"></script></html>`)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  listening.push(server)
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** The service has to be told where it is before it listens. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

async function bundle(contents: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: process.cwd() },
    bundle: true,
    write: false,
    format: 'iife',
    define: { 'process.env.NODE_ENV': '"production"' },
  })
  return outputFiles[0]?.text ?? ''
}

async function testApp(context: BrowserContext): Promise<void> {
  const first = await openTab(context)
  await first.page.getByRole('heading', { name: 'Signed out' }).waitFor()

  await enter(first.page, 'Sign up', password)
  await seen(first.page)
  await shoot(first.page, 'app-signed-up')
  await first.page.reload()
  await seen(first.page)
  say('signed up, and signed in still after a reload')

  const second = await openTab(context)
  await seen(second.page)
  await second.page.getByRole('button', { name: 'Sign out' }).click()
  await second.page.getByRole('heading', { name: 'Signed out' }).waitFor()
  // Nobody touches the first tab: the other one tells it.
  const started = performance.now()
  await first.page.getByRole('heading', { name: 'Signed out' }).waitFor()
  say(`measured: the other tab knows ${Math.round(performance.now() - started)} ms later`)
  const left = (await context.cookies()).map(({ name }) => name)
  assert.deepEqual(left, ['gatehouse.device'], 'no cookie is left but the one that tells the device')
  await shoot(first.page, 'app-ended')
  assert.deepEqual([...first.faults, ...second.faults], [])

  await enter(first.page, 'Sign in', 'not the password')
  await first.page.getByRole('alert').getByText('Invalid email or password').waitFor()
  assert.deepEqual(first.faults.splice(0), [
    `console: Failed to load resource: the server responded with a status of 401 (Unauthorized) ${origin}/api/auth/sign-in/email`,
  ])
  await shoot(first.page, 'app-refused')

  await enter(first.page, 'Sign in', password)
  await seen(first.page)
  // Of a sign-in the client tells no other tab: each looks when it is looked at.
  await second.page.reload()
  await seen(second.page)
  const along = await first.page.evaluate(`fetch('${origin}/api/auth/get-session', { credentials: 'include' })
    .then(({ headers }) => headers.get('set-auth-jwt'))`)
  assert.match(String(along), /^[\w-]+\.[\w-]+\.[\w-]+$/, 'a page of another origin can read it')
  assert.deepEqual([...first.faults, ...second.faults], [])
  await context.close()
  say('signed out in one tab and seen in the other; refused, and in again')
}

async function openTab(context: BrowserContext): Promise<{ page: Page; faults: string[] }> {
  const page = await context.newPage()
  const faults = listenForFaults(page)
  await page.goto(appOrigin)
  return { page, faults }
}

async function seen(page: Page): Promise<void> {
  await page.locator('#who', { hasText: email }).waitFor()
}

async function enter(page: Page, button: string, password: string): Promise<void> {
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: button }).click()
}

/** Asks for a link by mail and follows it on a phone, where scripts are off as the page needs none. */
async function testResetPage(browser: Browser, colorScheme: 'light' | 'dark'): Promise<void> {
  const context = await browser.newContext({
    viewport: { width: 390, height: 844 },
    deviceScaleFactor: 2,
    isMobile: true,
    hasTouch: true,
    colorScheme,
    javaScriptEnabled: false,
  })
  const page = await context.newPage()
  const faults = listenForFaults(page)
  const { href: link } = await mailedLink()
  await page.goto(link)
  await inspect(page)
  await shoot(page, `reset-${colorScheme}-open`)

  for (const expected of ['new_password', 'repeated', 'Set password']) {
    await page.keyboard.press('Tab')
    const focused = page.locator(':focus')
    assert.equal((await focused.getAttribute('name')) ?? (await focused.textContent()), expected, 'the order of focus')
  }
  await shoot(page, `reset-${colorScheme}-focus`)

  await send(page, newPassword, `${newPassword}!`)
  await page.getByRole('alert').getByText('The two passwords are not the same.').waitFor()
  await send(page, 'password', 'password')
  await page.getByRole('alert').getByText('That password is too common').waitFor()
  const field = page.getByLabel('New password')
  assert.equal(await field.getAttribute('aria-invalid'), 'true')
  assert.equal(await field.inputValue(), '', 'what was typed is not sent back')
  assert.equal(await page.locator(':focus').getAttribute('name'), 'new_password', 'back where to mend it')
  assert.match(await page.title(), /^Not accepted: /)
  await inspect(page)
  await shoot(page, `reset-${colorScheme}-refused`)
  assert.equal(faults.splice(0).filter(fault => !fault.includes('422')).length, 0)

  await send(page, newPassword, newPassword)
  await page.getByRole('heading', { name: 'Your password is set' }).waitFor()
  await inspect(page)
  await shoot(page, `reset-${colorScheme}-done`)
  assert.equal(await canSignIn(newPassword), true)
  assert.equal(await canSignIn(password), false)

  await page.goto(link)
  await send(page, newPassword, newPassword)
  await page.getByRole('heading', { name: 'This link is no good any more' }).waitFor()
  await shoot(page, `reset-${colorScheme}-dead`)
  assert.deepEqual(await context.cookies(), [], 'no cookie is set')
  assert.equal(faults.filter(fault => !fault.includes('400')).length, 0)
  await context.close()
  say(`the page of a mailed link, ${colorScheme}: refused, set, and dead the second time`)
}

async function mailedLink(): Promise<URL> {
  const known = smtp.mails.length
  await post('/auth/request-password-reset', { email })
  for (let tries = 0; tries < 500; tries += 1) {
    const [, link] =
      /(https?:\/\/\S+reset-password\S+)/.exec(
        smtp.mails
          .slice(known)
          .map(({ text }) => text)
          .join(),
      ) ?? []
    if (link) return new URL(link)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  throw new Error('no mail came')
}

async function canSignIn(password: string): Promise<boolean> {
  return (await post('/api/auth/sign-in/email', { email, password })).ok
}

function post(path: string, body: object): Promise<Response> {
  return fetch(`${origin}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
}

async function send(page: Page, password: string, repeated: string): Promise<void> {
  await page.getByLabel('New password').fill(password)
  await page.getByLabel('Repeat the password').fill(repeated)
  await page.getByRole('button', { name: 'Set password' }).tap()
}

/** What WCAG 2.2 AA asks of so small a page: contrast, targets for a thumb, no scrolling sideways, one heading, a language. */
async function inspect(page: Page): Promise<void> {
  const found = (await page.evaluate(measuring)) as {
    contrasts: [string, number, number][]
    heights: number[]
    overflow: number
    headings: number
    language: string
    unnamed: number
  }
  for (const [what, contrast, least] of found.contrasts)
    assert.ok(contrast >= least, `contrast of ${what}: ${contrast.toFixed(2)}, wanted ${least}`)
  for (const height of found.heights) assert.ok(height >= 44, `a target of ${height} pixels`)
  const { overflow, headings, language, unnamed } = found
  assert.deepEqual({ overflow, headings, language, unnamed }, { overflow: 0, headings: 1, language: 'en', unnamed: 0 })
}

/** Whatever the browser complains of: in its console, by a failed request, or by an error no script caught. */
function listenForFaults(page: Page): string[] {
  const faults: string[] = []
  page.on('console', message => {
    if (['error', 'warning'].includes(message.type()))
      faults.push(`console: ${message.text()} ${message.location().url}`)
  })
  page.on('pageerror', error => faults.push(`page: ${error.message}`))
  page.on('requestfailed', request => faults.push(`request: ${request.url()} ${request.failure()?.errorText}`))
  return faults
}

async function shoot(page: Page, name: string): Promise<void> {
  const path = join(artifacts, `react-${name}.png`)
  await page.screenshot({ path })
  say(path)
}
