/** The stores with a memory: the same functions, answering from the session cache where they can and telling it what they change. */
import type { AccountStore } from '../store/accounts.js'
import type { SessionStore } from '../store/sessions.js'
import type { VerificationStore } from '../store/verifications.js'
import type { SessionCache } from './session-cache.js'

/** What ends a session makes the cache forget it after the statement, before anybody is answered. */
export function cacheSessions(store: SessionStore, cache: SessionCache): SessionStore {
  return {
    ...store,

    findLiveById: async id => cache.find(id) ?? cache.load(id, () => store.findLiveById(id)),

    findLiveByTokenHash: async hash => cache.find(hash) ?? cache.load(hash, () => store.findLiveByTokenHash(hash)),

    async rotate(input) {
      const rotated = await store.rotate(input)
      if (rotated?.session.endedAt) cache.forgetSession(rotated.session.id)
      else if (rotated) cache.replace(rotated.session)
      return rotated
    },

    async touch(id, slide) {
      const touched = await store.touch(id, slide)
      if (touched) cache.replace(touched)
      else cache.forgetSession(id)
      return touched
    },

    async endOne(accountId, name, reason) {
      const ended = await store.endOne(accountId, name, reason)
      if ('id' in name) cache.forgetSession(name.id)
      else cache.forget(name.tokenHash)
      return ended
    },

    async endByTokenHash(tokenHash, reason) {
      const ended = await store.endByTokenHash(tokenHash, reason)
      cache.forget(tokenHash)
      return ended
    },

    async endAll(accountId, reason, except) {
      await store.endAll(accountId, reason, except)
      cache.forgetAccount(accountId)
    },
  }
}

/** What a mailed link does to an account is forgotten here before anybody is answered. */
export function cacheVerifications(store: VerificationStore, cache: SessionCache): VerificationStore {
  const forgetting =
    <Given extends unknown[]>(act: (...given: Given) => Promise<{ id: string } | undefined>) =>
    async (...given: Given) => {
      const changed = await act(...given)
      if (changed) cache.forgetAccount(changed.id)
      return changed
    }
  return {
    ...store,
    verifyEmail: forgetting(store.verifyEmail) as VerificationStore['verifyEmail'],
    resetPassword: forgetting(store.resetPassword) as VerificationStore['resetPassword'],
    changeEmail: forgetting(store.changeEmail) as VerificationStore['changeEmail'],
    async deleteAccount(tokenHash, accountId) {
      const deleted = await store.deleteAccount(tokenHash, accountId)
      cache.forgetAccount(accountId)
      return deleted
    },
  }
}

/** The account stands in the cache beside each of its sessions, so whatever changes it makes the cache forget them. */
export function cacheAccounts(store: AccountStore, cache: SessionCache): AccountStore {
  const forgetting =
    <Rest extends unknown[], Result>(act: (id: string, ...rest: Rest) => Promise<Result>) =>
    async (id: string, ...rest: Rest): Promise<Result> => {
      const result = await act(id, ...rest)
      cache.forgetAccount(id)
      return result
    }
  return {
    ...store,
    update: forgetting(store.update),
    delete: forgetting(store.delete),

    async changePasswordKeeping(change, ...rest) {
      const changed = await store.changePasswordKeeping(change, ...rest)
      cache.forgetAccount(change.accountId)
      return changed
    },

    async changePasswordReplacing(change, ...rest) {
      const changed = await store.changePasswordReplacing(change, ...rest)
      cache.forgetAccount(change.accountId)
      return changed
    },
  }
}
