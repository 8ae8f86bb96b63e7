/**
 * Swagger UI in a real Chromium, over plain http, by loopback and by an address of the network: it shows every operation,
 * signs in with e-mail address and password, calls, and is still signed in after a reload. Exits with 1 where one is not so.
 */
import assert from 'node:assert/strict'
import { mkdtempSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { loadConfig } from '../../src/config.js'
import { startService } from '../../src/service.js'
import { openChromium } from '../helpers/chromium.js'

const password = 'correct horse battery'
const artifacts = process.env.ARTIFACTS ?? mkdtempSync(join(tmpdir(), 'gatehouse-docs-'))
const say = (line: string) => process.stdout.write(`${line}\n`)

const environment = { DATA_DIR: 'memory://', BCRYPT_COST: '4', LOG_LEVEL: 'silent', HOST: '0.0.0.0', PORT: '0' }
const service = await startService(loadConfig(environment, 'no-such-file'))
const { port } = new URL(service.address)
try {
  const browser = await openChromium()
  try {
    for (const [index, host] of hosts().entries()) await testDocs(browser, `http://${host}:${port}`, index)
  } finally {
    await browser.close()
  }
} finally {
  await service.stop({ drain: false })
}

/** Browsers trust loopback even without https, and so hide what fails anywhere else. */
function hosts(): string[] {
  const network = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? [])
  const outside = network.find(({ family, internal }) => family === 'IPv4' && !internal)
  if (!outside) say('This machine has no address but loopback: the other half is left out.')
  return ['127.0.0.1', ...(outside ? [outside.address] : [])]
}

async function testDocs(browser: Browser, origin: string, index: number): Promise<void> {
  const email = `reader${index}@example.com`
  await makeReader(origin, email)
  const page = await browser.newPage({ viewport: { width: 1280, height: 1000 } })
  const faults = listenForFaults(page)
  const started = performance.now()

  await page.goto(`${origin}/docs`)
  const operations = await countOperations(origin)
  await page
    .locator('.opblock')
    .nth(operations - 1)
    .waitFor()
  assert.equal(await page.locator('.opblock').count(), operations, 'every operation is shown')
  say(`measured: ${origin} shows ${operations} operations after ${Math.round(performance.now() - started)} ms`)
  await shoot(page, `${index}-open`)

  assert.match(await signIn(page, email, 'not the password'), /invalid_grant.*Incorrect email or password/s)
  await shoot(page, `${index}-refused`)
  assert.deepEqual(faults.splice(0), [
    `console: Failed to load resource: the server responded with a status of 401 (Unauthorized) ${origin}/auth/login`,
  ])

  assert.equal(await signIn(page, email, password), 'Logout')
  await page.locator('.close-modal').click()
  await page.locator('#operations-profile-getProfile .opblock-summary-control').click()
  assert.deepEqual(await tryProfile(page), { status: '200', level: 'beginner' })
  await shoot(page, `${index}-answered`)

  // The address names the operation by now, so it comes back opened.
  await page.reload()
  assert.deepEqual(await tryProfile(page), { status: '200', level: 'beginner' }, 'signed in still')
  assert.deepEqual(faults, [])
  await page.close()
  say(`${origin}: opened, refused, signed in, answered, and signed in still after a reload`)
}

/** Somebody with a background profile, for the page to read. */
async function makeReader(origin: string, email: string): Promise<void> {
  const json = { 'content-type': 'application/json' }
  const registered = await fetch(`${origin}/auth/register`, {
    method: 'POST',
    headers: json,
    body: JSON.stringify({ email, password }),
  })
  const { access_token: token } = (await registered.json()) as { access_token: string }
  const written = await fetch(`${origin}/api/user/profile`, {
    method: 'PUT',
    headers: { ...json, authorization: `Bearer ${token}` },
    body: JSON.stringify({ software_level: 'beginner', hardware_background: 'robotics' }),
  })
  assert.equal(written.status, 200)
}

async function countOperations(origin: string): Promise<number> {
  const { paths } = (await (await fetch(`${origin}/openapi.json`)).json()) as { paths: Record<string, object> }
  return Object.values(paths).flatMap(path => Object.keys(path)).length
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

/** Fills in the OAuth2 password form. What the dialog says then: its error, or the button that would sign out again. */
async function signIn(page: Page, email: string, password: string): Promise<string> {
  const form = page.locator('.auth-container', { has: page.locator('#oauth_username') })
  const done = page.locator('.auth-container', { hasText: 'OAuth2, password' })
  if (!(await form.isVisible())) await page.locator('.auth-wrapper > .authorize').click()
  await form.locator('#oauth_username').fill(email)
  await form.locator('#oauth_password').fill(password)
  await form.getByRole('button', { name: 'Apply given OAuth2 credentials' }).click()
  const outcome = done.locator('.errors, button:text("Logout")')
  await outcome.waitFor()
  return (await outcome.textContent()) ?? ''
}

/** Tries GET /api/user/profile out, and reads the answer off the page. */
async function tryProfile(page: Page): Promise<{ status: string; level: string }> {
  const block = page.locator('#operations-profile-getProfile')
  await block.getByRole('button', { name: 'Try it out' }).click()
  await block.getByRole('button', { name: 'Execute' }).click()
  const live = block.locator('.live-responses-table .response')
  await live.scrollIntoViewIfNeeded()
  const status = (await live.locator('.response-col_status').textContent()) ?? ''
  const body = (await live.locator('.highlight-code code').first().textContent()) ?? ''
  return { status: status.trim(), level: (JSON.parse(body) as { software_level: string }).software_level }
}

async function shoot(page: Page, name: string): Promise<void> {
  const path = join(artifacts, `docs-${name}.png`)
  await page.screenshot({ path })
  say(path)
}
