/** Opens an envelope: what its version and its data must be, and this door's sentence for each fault. */
import type { Static } from 'typebox'
import { InvalidRequest } from '../../http/problem.js'
import type { CodvidEnvelope } from './wire.js'

/** Marks an issue whose message is a whole sentence for the client. */
export const envelopeRule = 'envelope'

const fault = (sentence: string) => new InvalidRequest({ in: 'body', path: [], rule: envelopeRule, message: sentence })

const longestText = 1024

/** The e-mail address and password inside. Throws InvalidRequest with a sentence of this door. */
export function openEnvelope(envelope: Static<typeof CodvidEnvelope>): { email: string; password: string } {
  const { schema_version: version, data } = envelope
  if (version === undefined) throw fault('missing schema_version!')
  if (version !== '4.0') throw fault('unsupported schema_version!')
  if (data === undefined) throw fault('missing data!')
  if (data.auth_type === undefined) throw fault('missing auth_type!')
  if (data.auth_type !== 'email') throw fault('unsupported auth_type!')
  return { email: readText('email', data.email), password: readText('password', data.password) }
}

function readText(name: string, value: unknown): string {
  if (value === undefined || value === '') throw fault(`missing ${name}!`)
  if (typeof value !== 'string' || value.length > longestText) throw fault(`${name} is not valid.`)
  return value
}
