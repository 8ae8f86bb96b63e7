/** The OpenAPI document as the fuzz run reads it: every operation with its schemas, and the judgement of an answer by them. */
import { readFileSync } from 'node:fs'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { parse } from 'yaml'
import { doorOf, internals, isErrorOf, type Json } from '../dialects/doors.js'

export type Schema = {
  $ref?: string
  type?: string | string[]
  enum?: Json[]
  const?: Json
  format?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  items?: Schema
  maxItems?: number
  properties?: Record<string, Schema>
  required?: string[]
}
export type Parameter = { name: string; in: 'path' | 'query' | 'header'; required: boolean; schema: Schema }
type Response = { headers?: Record<string, unknown>; content?: Record<string, unknown> }
type Documented = { status: string; response: Response; pointer: string }

export type Operation = {
  id: string
  method: string
  path: string
  security: string[]
  parameters: Parameter[]
  /** Schemas of the body, by media type. */
  bodies: [type: string, schema: Schema][]
  responses: Map<number, Documented>
}

export type Given = { status: number; headers: Record<string, string | string[] | undefined>; text: string }

export type Document = ReturnType<typeof readDocument>

export function readDocument(file: string) {
  const document: Json = parse(readFileSync(file, 'utf8'))
  const ajv = new Ajv2020({ strict: false, allErrors: true, formats: { password: true } })
  addFormats.default(ajv)
  ajv.addSchema(document, 'document')
  const validators = new Map<string, ValidateFunction>()

  /** A schema, or the component that it names. */
  const resolve = (schema: Schema): Schema =>
    schema.$ref === undefined ? schema : document.components.schemas[schema.$ref.split('/').at(-1) as string]

  const validatorAt = (pointer: string): ValidateFunction => {
    const known = validators.get(pointer) ?? ajv.compile({ $ref: `document${pointer}` })
    validators.set(pointer, known)
    return known
  }

  const locate = (status: string, given: Json, at: string): Documented => ({
    status,
    response: given.$ref ? document.components.responses[given.$ref.split('/').at(-1)] : given,
    pointer: given.$ref ?? `${at}/responses/${status}`,
  })

  const operations: Operation[] = Object.entries<Json>(document.paths).flatMap(([path, item]) =>
    Object.entries<Json>(item).map(([method, operation]) => ({
      id: operation.operationId,
      method: method.toUpperCase(),
      path,
      security: operation.security.flatMap(Object.keys),
      parameters: operation.parameters ?? [],
      bodies: Object.entries<Json>(operation.requestBody?.content ?? {}).map(([type, media]): [string, Schema] => [
        type,
        resolve(media.schema),
      ]),
      responses: new Map(
        Object.entries<Json>(operation.responses).map(([status, given]) => [
          Number(status),
          locate(status, given, `#/paths/${toPointer(path)}/${method}`),
        ]),
      ),
    })),
  )

  /** What is wrong with an answer of the operation; undefined: nothing. */
  function faultOf(operation: Operation, { status, headers, text }: Given): string | undefined {
    const documented = operation.responses.get(status)
    if (!documented) return `${status} is not documented`
    const { content = {}, headers: promised = {} } = documented.response
    const type = mediaTypeOf(headers)
    if (type !== Object.keys(content).join()) return `its media type is ${type || 'none'}`
    const absent = Object.keys(promised).filter(name => !(name.toLowerCase() in headers))
    if (absent.length > 0) return `no ${absent.join(', ')}`
    if (type === '') return text === '' ? undefined : 'a body that is not documented'
    const body = type.endsWith('json') ? readJson(text) : text
    if (body === undefined) return 'its body is no JSON'
    const validate = validatorAt(`${documented.pointer}/content/${toPointer(type)}/schema`)
    return validate(body) ? undefined : `its body: ${ajv.errorsText(validate.errors)}`
  }

  return {
    operations,
    resolve,
    /** What is wrong with an answer to a request that the document tells of; undefined: nothing. */
    judge: (operation: Operation, given: Given): string | undefined => faultOfAny(given) ?? faultOf(operation, given),
  }
}

/** What is wrong with an answer to a request that no operation is for: it must be a refusal, and in the form of its door. */
export function judgeOutside(path: string, given: Given): string | undefined {
  const { status, headers, text } = given
  const fault = faultOfAny(given)
  if (fault) return fault
  if (status < 400) return `${status} to what nobody documents`
  const body = readJson(text)
  const door = doorOf(path)
  const type = mediaTypeOf(headers)
  if (type === 'application/problem+json') return isProblem(body, status) ? undefined : 'no problem details'
  if (type !== 'application/json') return `its media type is ${type || 'none'}`
  return door && isErrorOf(door, body) ? undefined : 'an error in no form of the door'
}

/** RFC 9457, as ours are. */
const isProblem = (body: Json, status: number): boolean =>
  body?.status === status && typeof body.title === 'string' && typeof body.code === 'string'

/** What holds of every answer, whatever was asked. */
function faultOfAny({ status, headers, text }: Given): string | undefined {
  if (status >= 500 && !(status === 503 && 'retry-after' in headers)) return `${status}`
  if (internals.test(text)) return 'it tells of what we are made of'
  return undefined
}

const mediaTypeOf = (headers: Given['headers']): string => String(headers['content-type'] ?? '').split(';')[0] as string

function readJson(text: string): Json {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const toPointer = (part: string): string =>
  encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')).replaceAll('%7E', '~')
