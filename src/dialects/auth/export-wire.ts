/** A person's data as they take it along: every column we keep of them, under names like those of the other routes. */
import { type Static, Type } from 'typebox'
import type { PersonalData } from '../../core/person.js'
import { ref } from '../../http/openapi.js'
import { AccountEvent, toAccountEvent } from './event-wire.js'

const Nullable = (options: object = {}) => Type.Unsafe<string | null>({ type: ['string', 'null'], ...options })
const AnyObject = Type.Unsafe<object | null>({ type: ['object', 'null'], additionalProperties: true })
const Moment = Type.String({ format: 'date-time' })
const MaybeMoment = Nullable({ format: 'date-time' })
const Uuid = Type.String({ format: 'uuid' })

const moment = '2026-11-21T10:00:00.000Z'
const sessionId = '0197a0b4-7d2f-7aa1-8c3e-5b9d0e6f1c22'

export const Export = Type.Object(
  {
    exported_at: Moment,
    account: Type.Object({
      id: Type.Integer(),
      uuid: Uuid,
      email: Type.String(),
      email_verified: Type.Boolean(),
      name: Type.String(),
      image: Nullable(),
      personal_info: AnyObject,
      created_at: Moment,
      updated_at: Moment,
    }),
    profile: Type.Union([
      Type.Object({
        software_level: Nullable(),
        hardware_background: Nullable(),
        software_details: AnyObject,
        hardware_details: AnyObject,
        status: Type.String(),
        version: Type.Integer(),
        created_at: Moment,
        updated_at: Moment,
      }),
      Type.Null(),
    ]),
    sessions: Type.Array(
      Type.Object({
        id: Uuid,
        created_at: Moment,
        last_used_at: Moment,
        expires_at: Moment,
        ended_at: MaybeMoment,
        end_reason: Nullable(),
        user_agent: Nullable(),
        ip_address: Nullable(),
      }),
    ),
    interactions: Type.Array(
      Type.Object({
        id: Uuid,
        content_type: Type.String(),
        background_used: AnyObject,
        effectiveness: Type.Unsafe<number | null>({ type: ['number', 'null'] }),
        created_at: Moment,
      }),
    ),
    links: Type.Array(
      Type.Object({
        purpose: Type.String(),
        email: Type.String(),
        new_email: Nullable(),
        created_at: Moment,
        expires_at: Moment,
      }),
    ),
    events: Type.Array(ref(AccountEvent)),
  },
  {
    $id: 'Export',
    description:
      'Everything that is kept of the caller, but for the hash of the password and the hashes of tokens, which let nobody read anything.',
    examples: [
      {
        exported_at: moment,
        account: {
          id: 1,
          uuid: '0197a0b4-6c1e-7cc3-9d7a-2f6a1f0c9a11',
          email: 'user@example.com',
          email_verified: true,
          name: 'Ada',
          image: null,
          personal_info: null,
          created_at: moment,
          updated_at: moment,
        },
        profile: null,
        sessions: [
          {
            id: sessionId,
            created_at: moment,
            last_used_at: moment,
            expires_at: '2026-11-28T10:00:00.000Z',
            ended_at: null,
            end_reason: null,
            user_agent: 'Mozilla/5.0',
            ip_address: '203.0.113.7',
          },
        ],
        interactions: [],
        links: [],
        events: [],
      },
    ],
  },
)

const iso = (time: Date): string => time.toISOString()

export const toExport = ({
  exportedAt,
  account,
  profile,
  sessions,
  interactions,
  links,
  events,
}: PersonalData): Static<typeof Export> => ({
  exported_at: iso(exportedAt),
  account: {
    id: account.number,
    uuid: account.id,
    email: account.email,
    email_verified: account.emailVerified,
    name: account.name,
    image: account.image,
    personal_info: account.personalInfo,
    created_at: iso(account.createdAt),
    updated_at: iso(account.updatedAt),
  },
  profile: profile && {
    software_level: profile.softwareLevel,
    hardware_background: profile.hardwareBackground,
    software_details: profile.softwareDetails,
    hardware_details: profile.hardwareDetails,
    status: profile.status,
    version: profile.version,
    created_at: iso(profile.createdAt),
    updated_at: iso(profile.updatedAt),
  },
  sessions: sessions.map(session => ({
    id: session.id,
    created_at: iso(session.createdAt),
    last_used_at: iso(session.lastUsedAt),
    expires_at: iso(session.expiresAt),
    ended_at: session.endedAt && iso(session.endedAt),
    end_reason: session.endReason,
    user_agent: session.userAgent,
    ip_address: session.ipAddress,
  })),
  interactions: interactions.map(interaction => ({
    id: interaction.id,
    content_type: interaction.contentType,
    background_used: interaction.backgroundUsed,
    effectiveness: interaction.effectiveness,
    created_at: iso(interaction.createdAt),
  })),
  links: links.map(link => ({
    purpose: link.purpose,
    email: link.email,
    new_email: link.newEmail,
    created_at: iso(link.createdAt),
    expires_at: iso(link.expiresAt),
  })),
  events: events.map(toAccountEvent),
})
