/** A real Chromium: the one of CHROMIUM_PATH, or the first that PATH knows. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** It neither looks for updates nor phones home, and runs as root in a container. */
const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Throws where there is none: a browser test that passes without a browser says nothing. */
export async function openChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: findChromium(), args: flags })
}

function findChromium(): string {
  const { CHROMIUM_PATH: named, PATH: folders = '' } = process.env
  const places = named ? [named] : folders.split(delimiter).flatMap(folder => names.map(name => join(folder, name)))
  const found = places.find(isExecutable)
  if (!found) throw new Error(`no Chromium ${named ? `at ${named}` : 'in PATH'}: install it, or set CHROMIUM_PATH`)
  return found
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
