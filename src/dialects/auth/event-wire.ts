/** What happened to an account, as its owner reads it. */
import { type Static, Type } from 'typebox'
import { type EventRecord, eventKinds } from '../../core/events.js'
import { deviceName } from '../../http/device-name.js'
import { ref } from '../../http/openapi.js'

const Nullable = (options: object = {}) => Type.Unsafe<string | null>({ type: ['string', 'null'], ...options })

const signIn = {
  id: '0197a0b4-8e40-7b21-a7d4-4c0e1f2a3b4d',
  kind: 'sign_in',
  at: '2026-11-21T10:00:00.000Z',
  reason: null,
  session_id: '0197a0b4-7d2f-7aa1-8c3e-5b9d0e6f1c22',
  door: 'auth',
  user_agent: 'Mozilla/5.0',
  device: 'Firefox on Linux',
  ip_address: '203.0.113.7',
}

export const AccountEvent = Type.Object(
  {
    id: Type.String({ format: 'uuid' }),
    kind: Type.String({ description: 'What happened; more kinds may come.', examples: [...eventKinds] }),
    at: Type.String({ format: 'date-time' }),
    reason: Nullable({ description: 'Why it failed, where it did.', examples: ['password_wrong'] }),
    session_id: Nullable({ format: 'uuid', description: 'The session concerned, where there is one.' }),
    door: Type.String({ description: 'The dialect it was spoken in.', examples: ['auth'] }),
    user_agent: Nullable({ examples: ['Mozilla/5.0'] }),
    device: Nullable({ description: 'The same in words, as far as it tells.', examples: ['Firefox on Linux'] }),
    ip_address: Nullable({ examples: ['203.0.113.7'] }),
  },
  { $id: 'AccountEvent', description: 'Something that happened to the account.', examples: [signIn] },
)

export const AccountEventList = Type.Array(ref(AccountEvent), {
  $id: 'AccountEventList',
  description: 'What happened to the account, the newest first.',
  examples: [[signIn]],
})

export const EventQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'How many at most.' })),
})

export const toAccountEvent = (event: EventRecord): Static<typeof AccountEvent> => ({
  id: event.id,
  kind: event.kind,
  at: event.at,
  reason: typeof event.detail?.reason === 'string' ? event.detail.reason : null,
  session_id: event.session ?? null,
  door: event.door,
  user_agent: event.agent ?? null,
  device: deviceName(event.agent ?? null),
  ip_address: event.ip ?? null,
})
