/**
 * How often a password may be tried, whatever door, process or address the tries come to: counted in the database, before
 * anything is compared.
 *
 * A device that has signed in to the account before (OWASP's device cookie), and a session that proves itself again, have a
 * count of their own: strangers who guess never lock their owner out. Strangers are counted by subnet, so that one of them
 * is slowed down long before the others, and all together, so that many subnets have a hundred tries between them (NIST SP
 * 800-63B-4, section 3.2.2). A count that is used up makes the next try wait, longer each time; it never locks for good.
 */
import { createHmac, hkdfSync } from 'node:crypto'
import type { Count, PasswordTryStore } from '../store/password-tries.js'
import { createAside, type OnSideFailure } from './aside.js'
import { AuthError } from './errors.js'
import { hashToken, type Sources } from './sources.js'
import { subnetOf } from './subnet.js'
import type { Visit } from './visit.js'

/** Whose password is tried, and by whom. */
export type Try = {
  /** In canonical form, or as it was typed where it has none. */
  email: string
  visit: Visit
  /** The session that asks its owner for the password once more; undefined: somebody signs in. */
  sessionId?: string | undefined
}

type Rule = Omit<Count, 'key'>

const minute = 60
const day = 86_400

/** One device, or one subnet: a person who mistypes is not held up, and who guesses has four tries an hour in the end. */
const oneself: Rule = { free: 10, wait: 10, longest: 15 * minute, memory: day }
/** All strangers together. Their count is kept for so long, since no quiet of theirs says that the owner was there. */
const strangers: Rule = { free: 100, wait: minute, longest: 60 * minute, memory: 30 * day }

const batch = 1000

export type Guessing = ReturnType<typeof createGuessing>

export type GuessingWorld = {
  store: PasswordTryStore
  sources: Sources
  /** The current one names the counts; after it has changed they begin anew. */
  secrets: readonly string[]
  /** False: nothing is counted, nor known. */
  isOn: boolean
  onSideFailure: OnSideFailure
}

export function createGuessing({ store, sources, secrets, isOn, onSideFailure }: GuessingWorld) {
  const key = Buffer.from(hkdfSync('sha256', secrets[0] ?? '', '', 'gatehouse password tries', 32))

  /** Each name with its length before it, so that no two lists of names are one text. */
  const nameOf = (...names: string[]): string =>
    createHmac('sha256', key)
      .update(names.map(name => `${name.length}:${name}`).join(''))
      .digest('base64url')

  const countsOf = ({ email, visit, sessionId }: Try) => {
    const device = sessionId === undefined ? (visit.deviceId ?? '') : `session ${sessionId}`
    const subnet = subnetOf(visit.ipAddress ?? '')
    return {
      known: [{ key: nameOf('device', email, device), ...oneself }],
      strange: [
        { key: nameOf('subnet', email, subnet), ...oneself },
        { key: nameOf('strangers', email), ...strangers },
      ],
    }
  }

  const aside = createAside(onSideFailure)

  return {
    /**
     * Compares a password as one counted try: `compare` answers with what it found, or undefined where it does not fit. One
     * that fits begins the counts anew; one that could not be compared, as in a full lane, is not counted. Throws
     * too_many_tries before anything is compared, and what `compare` throws.
     */
    async attempt<Found>(attempt: Try, compare: () => Promise<Found | undefined>): Promise<Found | undefined> {
      if (!isOn) return compare()
      const { known, strange } = countsOf(attempt)
      // A session has its own count, whatever the device is.
      const counts = { known, strange: attempt.sessionId === undefined ? strange : known }
      const deviceHash = attempt.visit.deviceId === undefined ? undefined : hashToken(attempt.visit.deviceId)
      const { keys, wait } = await store.charge({ email: attempt.email, deviceHash }, counts)
      if (wait > 0) throw new AuthError('too_many_tries', { retryAfter: Math.ceil(wait) })
      try {
        const found = await compare()
        if (found !== undefined) await aside('tries could not be forgotten', () => store.forget(keys))
        return found
      } catch (error) {
        await aside('a try could not be taken back', () => store.takeBack(keys))
        throw error
      }
    },

    /** A name for a device that has none: 256 random bits in 43 characters. Undefined: devices are not told apart. */
    nameDevice: (): string | undefined => (isOn ? sources.sessionToken() : undefined),

    /** Knows the device of a sign-in from now on, if it says what it is. */
    async know(accountId: string, { deviceId }: Visit): Promise<void> {
      if (isOn && deviceId !== undefined)
        await aside('a device could not be remembered', () => store.know(accountId, hashToken(deviceId)))
    },

    /** Lets the owner, who has shown by a mailed link to be the one, try again at once from where they are. */
    async forgive(email: string, visit: Visit): Promise<void> {
      const { known, strange } = countsOf({ email, visit })
      const keys = [...known, ...strange].map(({ key }) => key)
      if (isOn) await aside('tries could not be forgotten', () => store.forget(keys))
    },

    /** Deletes what counts no longer. Returns how many rows. */
    async sweep(): Promise<number> {
      let deleted = 0
      for (;;) {
        const gone = await store.deleteOver(batch)
        deleted += gone
        if (gone < batch) return deleted
      }
    },
  }
}
