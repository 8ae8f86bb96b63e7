/** Everything that is kept of a person, for the person. */
import type { EventStore, StoredEvent } from '../store/events.js'
import type { Interaction, InteractionStore } from '../store/interactions.js'
import type { ProfileStore } from '../store/profiles.js'
import type { Account, Profile, Session } from '../store/rows.js'
import type { SessionStore } from '../store/sessions.js'
import type { PendingLink, VerificationStore } from '../store/verifications.js'
import { type EventRecord, readRecord } from './events.js'
import type { Identity } from './sessions.js'

/** All rows with the account's id, but for the hash of the password, hashes of tokens, and mails that have not gone yet. */
export type PersonalData = {
  exportedAt: Date
  account: Account
  /** Archived ones too; null where there has never been one. */
  profile: Profile | null
  /** Those that are over too, for as long as they are kept. */
  sessions: Session[]
  interactions: Interaction[]
  /** Links that have been mailed and not used yet. */
  links: PendingLink[]
  /** What has happened to the account, the newest first, for as long as it is kept. */
  events: EventRecord[]
}

const page = 500

export type PersonWorld = {
  profiles: ProfileStore
  sessions: SessionStore
  interactions: InteractionStore
  verifications: VerificationStore
  events: EventStore
}

export function createPerson({ profiles, sessions, interactions, verifications, events }: PersonWorld) {
  const everyInteraction = async (accountId: string): Promise<Interaction[]> => {
    const all: Interaction[] = []
    for (;;) {
      const found: Interaction[] = await interactions.list(accountId, page, all.at(-1))
      all.push(...found)
      if (found.length < page) return all
    }
  }

  const everyEvent = async (accountId: string): Promise<StoredEvent[]> => {
    const all: StoredEvent[] = []
    for (;;) {
      const found = await events.listOf(accountId, page, all.at(-1)?.seq)
      all.push(...found)
      if (found.length < page) return all
    }
  }

  return {
    /** What is kept of the caller. */
    async export({ account, at }: Identity): Promise<PersonalData> {
      const [profile, ownSessions, ownInteractions, links, ownEvents] = await Promise.all([
        profiles.find(account.id),
        sessions.listEvery(account.id),
        everyInteraction(account.id),
        verifications.listPending(account.id),
        everyEvent(account.id),
      ])
      return {
        exportedAt: at,
        account,
        profile: profile ?? null,
        sessions: ownSessions,
        interactions: ownInteractions,
        links,
        events: ownEvents.map(readRecord),
      }
    },
  }
}

export type Person = ReturnType<typeof createPerson>
