/** The background profile in both its forms, and the log of what was personalised with it. */
import type { Interaction, InteractionStore } from '../store/interactions.js'
import type { BackgroundPatch, ProfileStore } from '../store/profiles.js'
import type { Profile } from '../store/rows.js'
import { AuthError } from './errors.js'
import { type PersonalizationContext, personalize } from './personalization.js'
import type { Identity } from './sessions.js'
import { isUuid, type Sources } from './sources.js'

/** What a writer demands of the profile as it stands: a version, that there is one, or that there is none. */
export type Precondition = { version: number } | { exists: true } | { exists: false }

export type InteractionPage = { interactions: Interaction[]; nextCursor: string | null }

export type ContentTypeSummary = { contentType: string; count: number; averageEffectiveness: number | null }

export type ProfileWorld = { store: ProfileStore; interactions: InteractionStore; sources: Sources }

export type Profiles = ReturnType<typeof createProfiles>

export function createProfiles({ store, interactions, sources }: ProfileWorld) {
  const isArchived = (profile: Profile | undefined): boolean => profile?.status === 'archived'

  const findPresent = async (accountId: string): Promise<Profile | undefined> => {
    const profile = await store.find(accountId)
    return isArchived(profile) ? undefined : profile
  }

  /** Why a conditional write found no row: another version, or none at all. */
  const refusal = async (accountId: string): Promise<AuthError> =>
    new AuthError((await findPresent(accountId)) ? 'version_mismatch' : 'profile_absent')

  return {
    /** The caller's profile. Throws profile_absent, also while it is archived. */
    async read(identity: Identity): Promise<Profile> {
      const profile = await findPresent(identity.account.id)
      if (!profile) throw new AuthError('profile_absent')
      return profile
    },

    /** The caller's profile, or undefined where there has never been one. Throws profile_absent while it is archived. */
    async find(identity: Identity): Promise<Profile | undefined> {
      const profile = await store.find(identity.account.id)
      if (isArchived(profile)) throw new AuthError('profile_absent')
      return profile
    },

    /** The profile of an account that is just signing in, or undefined where there is none or it is archived. */
    findByAccount: findPresent,

    /** Writes the members given; makes the profile where there is none and revives an archived one. Throws version_mismatch. */
    async put(identity: Identity, patch: BackgroundPatch, precondition?: Precondition): Promise<Profile> {
      const written = await putIf(store, identity.account.id, patch, precondition)
      if (!written) throw new AuthError('version_mismatch')
      return written
    },

    /** Writes the members given of a profile that is there. Throws profile_absent, version_mismatch. */
    async patch(identity: Identity, patch: BackgroundPatch, precondition?: Precondition): Promise<Profile> {
      const written = await store.update(identity.account.id, patch, demandedVersion(precondition))
      if (!written) throw await refusal(identity.account.id)
      return written
    },

    /** Archives the profile; a later put brings it back whole. Throws profile_absent, version_mismatch. */
    async archive(identity: Identity, precondition?: Precondition): Promise<Profile> {
      const archived = await store.archive(identity.account.id, demandedVersion(precondition))
      if (!archived) throw await refusal(identity.account.id)
      return archived
    },

    /** What a chatbot should know about the caller, with the profile's version. Throws background_absent, also where nothing is told. */
    async context(identity: Identity): Promise<{ context: PersonalizationContext; version: number }> {
      const profile = await findPresent(identity.account.id)
      const context = profile && personalize(profile)
      if (!profile || !context?.notes) throw new AuthError('background_absent')
      return { context, version: profile.version }
    },

    /** Records an interaction with the background as it stands now. */
    async recordInteraction(
      identity: Identity,
      given: { contentType: string; effectiveness: number | null },
    ): Promise<Interaction> {
      const recorded = await interactions.insert({ id: sources.id(), accountId: identity.account.id, ...given })
      if (!recorded) throw new AuthError('credential_invalid')
      return recorded
    },

    /** A page of the caller's interactions, newest first. Throws cursor_invalid. */
    async listInteractions(
      identity: Identity,
      page: { limit: number; cursor?: string | undefined },
    ): Promise<InteractionPage> {
      const after = page.cursor === undefined ? undefined : readCursor(page.cursor)
      const rows = await interactions.list(identity.account.id, page.limit + 1, after)
      const shown = rows.slice(0, page.limit)
      const last = shown.at(-1)
      return { interactions: shown, nextCursor: rows.length > page.limit && last ? writeCursor(last) : null }
    },

    /** Per content type: how many interactions, and the mean of their ratings. */
    summarizeInteractions: (identity: Identity): Promise<ContentTypeSummary[]> =>
      interactions.summarise(identity.account.id),
  }
}

async function putIf(
  store: ProfileStore,
  accountId: string,
  patch: BackgroundPatch,
  precondition: Precondition | undefined,
) {
  if (precondition === undefined) return store.put(accountId, patch)
  if ('exists' in precondition && !precondition.exists) return store.put(accountId, patch, { absent: true })
  return store.update(accountId, patch, demandedVersion(precondition))
}

const demandedVersion = (precondition: Precondition | undefined): number | undefined =>
  precondition && 'version' in precondition ? precondition.version : undefined

const writeCursor = (row: Interaction): string =>
  Buffer.from(`${row.createdAt.toISOString()} ${row.id}`).toString('base64url')

/** Years that JavaScript and Postgres spell alike: not `+275760`, `-000001` or `0000`. */
const plainYear = /^[1-9]\d{3}-/

function readCursor(cursor: string) {
  const [time = '', id = ''] = Buffer.from(cursor, 'base64url').toString('latin1').split(' ')
  const createdAt = new Date(time)
  const isOurs = plainYear.test(time) && !Number.isNaN(createdAt.getTime()) && createdAt.toISOString() === time
  if (!isOurs || !isUuid(id)) throw new AuthError('cursor_invalid')
  return { createdAt, id }
}
