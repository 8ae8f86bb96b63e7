/** Sends the mails that wait in the database: each at least once, in no request's time, again and again until it goes. */
import type { DueMail, MailStore } from '../store/mails.js'
import type { MailDetails, MailKind } from '../store/schema.js'
import type { LinkTokens } from './verifications.js'

/** What a mail is about; who renders it chooses words and addresses. */
export type Letter = {
  kind: Exclude<MailKind, 'decoy'>
  recipient: string
  name: string
  /** The token of the link, where it has one. */
  token: string | undefined
  details: MailDetails
}

/** Takes a letter to the recipient's server. Throws where it could not; MailRefused where it never will. */
export type Deliver = (letter: Letter) => Promise<void>

/** The recipient's server does not want it, and would not tomorrow. */
export class MailRefused extends Error {
  override readonly name = 'MailRefused'
}

export type CourierEvent = {
  event: 'mail_sent' | 'mail_postponed' | 'mail_given_up'
  mail: string
  kind: MailKind
  attempts: number
  err?: unknown
}

export type CourierWorld = {
  store: MailStore
  links: LinkTokens
  deliver: Deliver
  /** Told what became of each mail: its kind and number, never its address or link. */
  onEvent(event: CourierEvent): void
  /** Told of a round that failed as a whole, the database being away for one. */
  onFailure(error: unknown): void
}

/** How many are on their way at once. More would wait for a connection while their lease runs. */
const batch = 5
/** Seconds. Longer than a server is given to take a mail, or somebody else would send it too. */
const lease = 120
/** Milliseconds between two looks, for mails of processes that died and for second tries. */
const lookEvery = 2000
const firstDelay = 5
const longestDelay = 3600
/** Seconds after which a mail says nothing to anybody any more: links have expired. */
const oldest = 86_400

export type Courier = ReturnType<typeof createCourier>

export function createCourier({ store, links, deliver, onEvent, onFailure }: CourierWorld) {
  let round: Promise<void> | undefined
  let again = false
  let isClosed = false
  let timer: NodeJS.Timeout | undefined

  const send = async (mail: DueMail): Promise<void> => {
    const letter = toLetter(mail, links)
    if (!letter) return store.remove(mail.id)
    const { id, kind, attempts } = mail
    try {
      await deliver(letter)
    } catch (err) {
      const isHopeless = err instanceof MailRefused || mail.age > oldest
      onEvent({ event: isHopeless ? 'mail_given_up' : 'mail_postponed', mail: id, kind, attempts, err })
      return isHopeless ? store.remove(id) : store.postpone(id, delayAfter(attempts))
    }
    onEvent({ event: 'mail_sent', mail: id, kind, attempts })
    await store.remove(id)
  }

  const run = async (): Promise<void> => {
    do {
      again = false
      const due = await store.take(batch, lease)
      await Promise.all(due.map(send))
      if (due.length === batch) again = true
    } while (again && !isClosed)
  }

  /** Looks for mails now; where somebody is looking already, they look once more. */
  const wake = (): void => {
    again = true
    if (round || isClosed) return
    round = run()
      .catch(onFailure)
      .finally(() => {
        round = undefined
      })
  }

  return {
    wake,

    /** Begins to look by itself. */
    start(): void {
      timer ??= setInterval(wake, lookEvery).unref()
    },

    /** Stops looking, and lets what is on its way arrive. */
    async close(): Promise<void> {
      isClosed = true
      clearInterval(timer)
      await round
    },
  }
}

/** Undefined: nobody is to be written to, or the link it would carry is no good any more. */
function toLetter(mail: DueMail, links: LinkTokens): Letter | undefined {
  const { kind, recipient, details, verificationId, tokenHash } = mail
  if (kind === 'decoy' || recipient === null) return undefined
  const token = verificationId && tokenHash ? links.find(verificationId, tokenHash) : undefined
  if (verificationId && token === undefined) return undefined
  return { kind, recipient, name: mail.name ?? '', token, details }
}

/** Seconds: doubling, with a share of chance, so that a server that comes back is not stormed. */
const delayAfter = (attempts: number): number =>
  Math.min(longestDelay, firstDelay * 2 ** (attempts - 1)) * (0.75 + Math.random() / 2)
