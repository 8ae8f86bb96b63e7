/** A browser and a system by the names people know them by, from what a User-Agent header says. */
import Bowser from 'bowser'

/** "Firefox on Linux", "Chrome on Android", or the first word of what an app calls itself; null where nothing is known. */
export function deviceName(userAgent: string | null): string | null {
  if (userAgent === null || userAgent.trim() === '') return null
  const { browser, os } = Bowser.parse(userAgent)
  const names = [browser.name, os.name].filter((name): name is string => Boolean(name))
  if (names.length > 0) return names.join(' on ')
  return userAgent.split(/[\s/]/, 1)[0]?.slice(0, 64) || null
}
