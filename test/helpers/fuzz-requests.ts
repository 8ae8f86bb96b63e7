/**
 * Requests as fast-check makes them out of the OpenAPI document: some as their schemas say, most of them wrong in one place
 * or another. `~~name~~` stands for what the person who sends it has: their address, their tokens, a new link.
 */
import fc, { type Arbitrary } from 'fast-check'
import type { Document, Operation, Parameter, Schema } from './openapi.js'

/** What a person has, or headers of nobody's. */
export type Credential = 'access' | 'session' | 'cookie' | 'signed' | 'client' | 'none' | Record<string, string>

export type Made = {
  /** Whose answer it must be; undefined: no operation has this method and path. */
  operation: Operation | undefined
  method: string
  path: string
  headers: Record<string, string>
  body: string | undefined
  /** The bytes of the body are those of its characters, and so no UTF-8. */
  isLatin1: boolean
  credential: Credential
}

const json = 'application/json'
const form = 'application/x-www-form-urlencoded'

/** All requests, every operation as often as any other, and one in twenty for no operation. */
export function requestsOf(document: Document): Arbitrary<Made> {
  const { operations } = document
  const toOperations = fc.constantFrom(...operations).chain(operation => requestTo(operation, document))
  return fc.oneof({ weight: 19, arbitrary: toOperations }, { weight: 1, arbitrary: strayRequest(operations) })
}

// ------------------------------------------------------------------------------------------------- To an operation

function requestTo(operation: Operation, document: Document): Arbitrary<Made> {
  const right = fc.record({
    path: addressOf(operation, parameterValue),
    headers: headersOf(operation, parameterValue),
    payload: payloadOf(operation, document),
    credential: fc.constantFrom(...ownCredential(operation)),
  })
  const wrong = fc.record({
    path: fc.oneof(
      { weight: 3, arbitrary: addressOf(operation, parameterValue) },
      { weight: 1, arbitrary: addressOf(operation, hostileParameter) },
    ),
    headers: fc
      .tuple(headersOf(operation, parameterValue), headersOf(operation, hostileParameter), hostileHeaders)
      .map(([own, hostile, others]) => ({ ...own, ...hostile, ...others })),
    payload: fc.oneof(
      { weight: 1, arbitrary: payloadOf(operation, document) },
      { weight: 4, arbitrary: hostilePayload(operation, document) },
    ),
    credential: fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...ownCredential(operation)) },
      { weight: 1, arbitrary: anyCredential },
    ),
  })
  return fc
    .oneof({ weight: 2, arbitrary: right }, { weight: 3, arbitrary: wrong })
    .map(({ path, headers, payload, credential }) => ({
      operation: isRoutable(path) ? operation : undefined,
      method: operation.method,
      path,
      headers: { ...(payload.type === undefined ? {} : { 'content-type': payload.type }), ...headers },
      body: payload.text,
      isLatin1: payload.isLatin1 ?? false,
      credential,
    }))
}

/** A part of the address that is longer than any of ours names nothing, at no door. */
const isRoutable = (path: string): boolean =>
  (path.split('?')[0] as string).split('/').every(part => decodeURIComponent(part).length <= 200)

function ownCredential({ security }: Operation): Credential[] {
  if (security.includes('client')) return ['client']
  return security.length === 0 ? ['none'] : ['access', 'session', 'cookie', 'signed']
}

// --------------------------------------------------------------------------------------------------------- Parameters

type ToValue = (operation: Operation, parameter: Parameter) => Arbitrary<string>

function addressOf(operation: Operation, toValue: ToValue): Arbitrary<string> {
  const named = operation.parameters.filter(parameter => parameter.in !== 'header')
  return fc.tuple(...named.map(parameter => maybe(parameter.required, toValue(operation, parameter)))).map(values => {
    const query: string[] = []
    let { path } = operation
    for (const [index, { name, in: place }] of named.entries()) {
      const value = values[index]
      if (place === 'path') path = path.replace(`{${name}}`, encode(value || 'x'))
      else if (value !== undefined) query.push(`${encode(name)}=${encode(value)}`)
    }
    return query.length === 0 ? path : `${path}?${query.join('&')}`
  })
}

function headersOf(operation: Operation, toValue: ToValue): Arbitrary<Record<string, string>> {
  const named = operation.parameters.filter(parameter => parameter.in === 'header')
  return fc
    .tuple(...named.map(parameter => maybe(false, toValue(operation, parameter))))
    .map(values =>
      Object.fromEntries(
        named.flatMap(({ name }, index) => (values[index] === undefined ? [] : [[name, headerText(values[index])]])),
      ),
    )
}

const maybe = <Value>(isSure: boolean, arbitrary: Arbitrary<Value>): Arbitrary<Value | undefined> =>
  isSure ? arbitrary : fc.option(arbitrary, { nil: undefined })

/** What a parameter is for, where its schema cannot say it. */
const parameterWords: Record<string, string[]> = {
  id: ['~~sid~~'],
  email: ['~~email~~'],
  callbackURL: ['/welcome', 'https://app.example.com/x?y=z#w'],
  'if-match': ['*', '"1"', '"2"', 'W/"1"'],
  'if-none-match': ['*', '"1"', 'W/"2"', '"x", "y"'],
  // Whoever waits is answered late on purpose.
  wait: ['0', '0', '1'],
  limit: ['1', '100', '20'],
}

function parameterValue(operation: Operation, { name, schema }: Parameter): Arbitrary<string> {
  if (name === 'token') return fc.constant(linkOf(operation))
  const words = parameterWords[name]
  return words ? fc.constantFrom(...words) : fc.string({ maxLength: schema.maxLength ?? 20 })
}

const hostileParameter: ToValue = (_operation, { schema }) =>
  fc.oneof(hostileText, lengthsOf(schema), fc.constantFrom('-1', '31', '1e3', '0x1', 'NaN', '1.5', '', '~~other~~'))

// -------------------------------------------------------------------------------------------------------------- Bodies

type Payload = { type: string | undefined; text: string | undefined; isLatin1?: boolean }
type Members = Record<string, unknown>

const noPayload: Payload = { type: undefined, text: undefined }

function payloadOf(operation: Operation, document: Document): Arbitrary<Payload> {
  if (operation.bodies.length === 0) return fc.constant(noPayload)
  return fc
    .constantFrom(...operation.bodies)
    .chain(([type, schema]) => membersOf(operation, schema, document).map(members => written(type, members)))
}

const written = (type: string, members: Members): Payload => ({
  type,
  text: type === form ? toForm(members) : toJson(members),
})

const toForm = (members: Members): string =>
  Object.entries(members)
    .map(([name, value]) => `${encode(name)}=${encode(typeof value === 'string' ? value : toJson(value))}`)
    .join('&')

const asItIs = Symbol('as it is')
/** Text that JSON.stringify would not write. */
type Raw = { [asItIs]: string }

const isRaw = (value: unknown): value is Raw => typeof value === 'object' && value !== null && asItIs in value

function toJson(value: unknown): string {
  if (isRaw(value)) return value[asItIs]
  if (Array.isArray(value)) return `[${value.map(toJson).join()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return `{${Object.entries(value)
    .map(([name, member]) => `${JSON.stringify(name)}:${toJson(member)}`)
    .join()}}`
}

/** Unreserved characters stay, and with them what stands for a person's own. */
const encode = (text: string): string => encodeURIComponent(text.replaceAll(/\p{Surrogate}/gu, '\ufffd'))

/** The members without which nothing succeeds, beyond those that the schema requires. */
const needed: Record<string, string[]> = {
  login: ['username', 'password'],
  refresh: ['token'],
  betterAuthRevokeSession: ['token'],
  betterAuthResetPassword: ['token'],
  introspect: ['token'],
  revoke: ['token'],
  codvidSignup: ['schema_version', 'data', 'auth_type', 'email', 'password'],
  codvidLogin: ['schema_version', 'data', 'auth_type', 'email', 'password'],
}
/** Those that no request succeeds with. */
const never: Record<string, string[]> = {
  betterAuthUpdateUser: ['email'],
  login: ['email'],
  refresh: ['refresh_token'],
}

function membersOf(operation: Operation, schema: Schema, document: Document): Arbitrary<Members> {
  const { properties = {}, required = [] } = document.resolve(schema)
  const sure = [...required, ...(needed[operation.id] ?? [])]
  const likely = Object.entries(properties).filter(([name]) => !never[operation.id]?.includes(name))
  const arbitraries = Object.fromEntries(
    likely.map(([name, member]) => [name, memberOf(operation, name, document.resolve(member), document)]),
  )
  return fc.record(arbitraries, { requiredKeys: likely.map(([name]) => name).filter(name => sure.includes(name)) })
}

const newcomers = /^(register|betterAuthSignUp|apiRegister|apiSignup|codvidSignup)$/

const linkPurposes: Record<string, string> = {
  resetPassword: 'reset_password',
  betterAuthResetPassword: 'reset_password',
  verifyEmail: 'verify_email',
  betterAuthVerifyEmail: 'verify_email',
  betterAuthDeleteUser: 'delete_account',
  betterAuthDeleteUserCallback: 'delete_account',
}

const linkOf = ({ id }: Operation): string => `~~link.${linkPurposes[id] ?? 'verify_email'}~~`

/** What a member is for, where its schema cannot say it. */
function meaningOf(operation: Operation, name: string): string[] | undefined {
  const { id } = operation
  const isNew = newcomers.test(id)
  const tokens: Record<string, string[]> = {
    refresh: ['~~refresh~~'],
    betterAuthRevokeSession: ['~~session~~'],
    introspect: ['~~access~~', '~~refresh~~', '~~session~~'],
    revoke: ['~~access~~', '~~refresh~~', '~~session~~', 'x'],
  }
  const words: Record<string, string[]> = {
    email: isNew ? ['~~fresh~~'] : ['~~email~~'],
    username: ['~~email~~'],
    password: isNew ? ['a passphrase nobody guesses'] : ['~~password~~'],
    current_password: ['~~password~~'],
    currentPassword: ['~~password~~'],
    new_password: ['another passphrase of theirs'],
    newPassword: ['another passphrase of theirs'],
    new_email: ['~~fresh~~'],
    newEmail: ['~~fresh~~'],
    refresh_token: ['~~refresh~~'],
    sessionId: ['~~sid~~'],
    callbackURL: ['/welcome'],
    redirectTo: ['/reset'],
    redirectUrl: ['/'],
    image: ['https://example.com/a.png'],
    schema_version: ['4.0'],
    auth_type: ['email'],
    grant_type: [id === 'refresh' ? 'refresh_token' : 'password'],
    client_id: ['~~client~~'],
    client_secret: ['~~secret~~'],
    token: tokens[id] ?? [linkOf(operation)],
  }
  return words[name]
}

function memberOf(operation: Operation, name: string, schema: Schema, document: Document): Arbitrary<unknown> {
  const words = meaningOf(operation, name)
  return words ? fc.constantFrom(...words) : rightValue(operation, schema, document)
}

/** A value that is as its schema says. */
function rightValue(operation: Operation, schema: Schema, document: Document): Arbitrary<unknown> {
  const { type, minLength = 0, maxLength = 50, minimum = -1e6, maximum = 1e6, items, maxItems = 5 } = schema
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (Array.isArray(type))
    return fc.oneof(...type.map(one => rightValue(operation, { ...schema, type: one }, document)))
  if (type === 'object' && !schema.properties) return fc.dictionary(fc.string({ maxLength: 8 }), plainText)
  if (type === 'object') return membersOf(operation, schema, document)
  if (type === 'array' && items)
    return fc.array(rightValue(operation, document.resolve(items), document), { maxLength: Math.min(maxItems, 5) })
  if (type === 'integer') return fc.integer({ min: Math.ceil(minimum), max: Math.floor(maximum) })
  if (type === 'number') return fc.double({ min: minimum, max: maximum, noNaN: true })
  if (type === 'boolean') return fc.boolean()
  if (type === 'null') return fc.constant(null)
  return fc.string({ unit: 'grapheme', minLength, maxLength: Math.min(maxLength, 50) })
}

const plainText = fc.string({ maxLength: 20 })

// ------------------------------------------------------------------------------------------------------------- Hostility

const hostileText: Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.constantFrom(
    '\u202etxt.exe',
    '\ufeffmarked',
    'e\u0301'.repeat(30),
    '\u0130\u212a\u1e9e',
    '👩‍👩‍👧‍👦'.repeat(20),
    'a\r\nset-cookie: x=y',
    "' or 1=1; --",
    '{{7*7}}<script>',
    '../../../../etc/passwd',
    '%00%ff%zz',
    '\u2028\u2029\u0085',
    '__proto__',
    'constructor',
  ),
)

const lengthsOf = ({ minLength = 0, maxLength = 1024 }: Schema): Arbitrary<string> =>
  fc.constantFrom(minLength - 1, minLength, maxLength, maxLength + 1).map(length => 'x'.repeat(Math.max(0, length)))

const raw = (...texts: string[]): Arbitrary<unknown> =>
  fc.constantFrom(...texts.map((text): Raw => ({ [asItIs]: text })))
const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`

/** Text that no column can hold, or that is no text: what gets past the reading of a body fails in the database. */
const brokenText = raw('"a\\u0000b"', '"\\u0000"', '"\\ud800"', '"x\\udc00\\ud800"', '"\\x"', '"\\u00"')

const otherValue: Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, 0, -1, 1.5, 5.0001, 2 ** 53, -(2 ** 63), '', [], {}, [[]], { $ne: '' }),
  raw('1e308', '1e999', '-0', '00', '1e-999', 'NaN', '-1e-7', '2147483648', '0.1e1'),
  raw(nested(5), nested(29), nested(30), nested(31), nested(32), nested(33), nested(2000)),
  raw('{"__proto__":{"isAdmin":true}}', '{"constructor":{"prototype":1}}', '{"a":1,"a":2}', '{"":""}'),
  fc.dictionary(hostileText, brokenText, { minKeys: 1, maxKeys: 2 }),
  fc.jsonValue({ maxDepth: 3 }),
)

/** Where text is asked for, mostly text: another type is refused before anybody looks at it. */
const hostileValue = (schema: Schema): Arbitrary<unknown> =>
  fc.oneof(
    { weight: 3, arbitrary: brokenText },
    { weight: 3, arbitrary: hostileText },
    { weight: 2, arbitrary: lengthsOf(schema) },
    { weight: [schema.type].flat().includes('string') ? 3 : 12, arbitrary: otherValue },
  )

/** One member wrong, missing or too many, or the whole text. */
function hostilePayload(operation: Operation, document: Document): Arbitrary<Payload> {
  const { bodies } = operation
  if (bodies.length === 0) return fc.oneof(fc.constant(noPayload), garbage)
  const bent = fc.constantFrom(...bodies).chain(([type, schema]) =>
    membersOf(operation, schema, document)
      .chain(members => bend(members, schema, document))
      .map(members => written(type, members)),
  )
  const good = payloadOf(operation, document)
  return fc.oneof({ weight: 5, arbitrary: bent }, { weight: 2, arbitrary: good.chain(misshape) }, garbage)
}

function bend(members: Members, schema: Schema, document: Document): Arbitrary<Members> {
  const { properties = {} } = document.resolve(schema)
  const names = Object.keys(properties)
  const strange: Arbitrary<Members> = fc
    .tuple(hostileText, hostileValue({}))
    .map(([name, value]) => ({ ...members, [name]: value }))
  if (names.length === 0) return strange
  const name = fc.constantFrom(...names)
  const without = name.map(gone => Object.fromEntries(Object.entries(members).filter(([each]) => each !== gone)))
  const wrong = name.chain(each =>
    hostileValue(document.resolve(properties[each] ?? {})).map(value => ({ ...members, [each]: value })),
  )
  // An envelope is right outside, most of the time.
  const inside = properties.data && 'data' in members ? bendInside(members, properties.data, document) : wrong
  return fc.oneof(
    { weight: 6, arbitrary: inside },
    { weight: 3, arbitrary: wrong },
    { weight: 1, arbitrary: without },
    { weight: 1, arbitrary: strange },
  )
}

const bendInside = (members: Members, schema: Schema, document: Document): Arbitrary<Members> =>
  bend(members.data as Members, schema, document).map(data => ({ ...members, data }))

const mediaTypes = fc.constantFrom(
  json,
  form,
  'application/json; charset=utf-8',
  'application/json;charset=utf-16',
  'APPLICATION/JSON',
  'application/json\t;a',
  'application/json;',
  'text/plain',
  'text/json',
  'application/merge-patch+json',
  'multipart/form-data; boundary=x',
  'application/xml',
  '',
  ',',
  'application/json, text/plain',
)

/** The members are right; what is around them is not. */
function misshape({ type, text = '' }: Payload): Arbitrary<Payload> {
  return fc.oneof(
    mediaTypes.map(type => ({ type, text })),
    fc.nat({ max: Math.max(0, text.length - 1) }).map(length => ({ type, text: text.slice(0, length) })),
    fc
      .constantFrom<(text: string) => string>(
        whole => `${whole} trailing`,
        whole => `\ufeff${whole}`,
        whole => `[${whole}]`,
        whole => whole.replace(/^\{("[^"]*":)/, '{$1null,$1'),
        whole => whole.replace(/^\{/, '{"__proto__":{"a":1},'),
        whole => `${whole}&${whole}`,
        whole => `${' '.repeat(16_384 - whole.length)}${whole}`,
        whole => `${' '.repeat(16_385)}${whole}`,
        whole => JSON.stringify(whole),
        () => '',
        () => 'null',
      )
      .map(shape => ({ type, text: shape(text) })),
    fc.constant({ type, text: text.replace(/[a-z](?=[^a-z~]*$)/, '\xff'), isLatin1: true }),
  )
}

const garbage: Arbitrary<Payload> = fc.record({
  type: mediaTypes,
  text: fc.oneof(hostileText, fc.json(), fc.constantFrom('{', '[', '"', '{}', '[]', '0', 'a=1&a=2', 'a[b]=1', '%zz=1')),
})

const headerText = (text: string): string => text.replaceAll(/[^\x20-\x7e\x80-\xff]/g, '?')
const headerValue: Arbitrary<string> = hostileText.map(headerText)

/** Content-Length and its like are for hostileFramings. */
const strangeHeaders: Record<string, Arbitrary<string>> = {
  origin: fc.oneof(headerValue, fc.constantFrom('null', 'https://evil.example', 'https://app.example.com', '')),
  referer: headerValue,
  'x-forwarded-for': fc.oneof(headerValue, fc.constantFrom('127.0.0.1', '::1, ::1', '999.1.1.1', ',,,')),
  'x-forwarded-proto': headerValue,
  'x-forwarded-host': headerValue,
  'x-request-id': headerValue,
  'user-agent': headerValue,
  accept: fc.oneof(headerValue, fc.constantFrom('text/html', 'image/*;q=0', '*/*;q=x')),
  'accept-encoding': fc.constantFrom('gzip', 'br;q=1.0, *;q=0', ''),
  'accept-language': headerValue,
  'if-match': fc.oneof(headerValue, fc.constantFrom('*', '"1"')),
  'if-none-match': fc.oneof(headerValue, fc.constantFrom('*', '"1"')),
  'if-modified-since': headerValue,
  range: fc.constantFrom('bytes=0-0', 'bytes=-1', 'x'),
  'sec-fetch-site': fc.constantFrom('cross-site', 'same-origin', 'none', 'x'),
  'sec-fetch-mode': fc.constantFrom('navigate', 'cors', 'no-cors'),
  'x-http-method-override': fc.constantFrom('DELETE', 'x'),
  'content-encoding': fc.constantFrom('gzip', 'identity', 'x'),
}

/** Up to three of them: more would mostly be refused for the first. */
const hostileHeaders: Arbitrary<Record<string, string>> = fc
  .subarray(Object.entries(strangeHeaders), { maxLength: 3 })
  .chain(chosen => fc.record(Object.fromEntries(chosen)))

/** Authorization and Cookie as nobody means them; `~~access~~` makes some of them nearly good. */
const hostileCredentials: readonly Record<string, string>[] = [
  ...['', 'Bearer', 'Bearer ', 'Bearer a.b.c', 'Bearer ~~access~~x', 'Bearer ~~refresh~~', 'Bearer ~~access~~ x'],
  ...['Basic', 'Basic !!!!', 'Basic Og==', 'Basic ~~access~~', 'Digest x', '\xff\xfe', `Bearer ${'x'.repeat(5000)}`],
  ...['Bearer %00', 'Bearer e30.e30.', 'bearer\t~~access~~'],
]
  .map((authorization): Record<string, string> => ({ authorization }))
  .concat(
    [
      'session_token=',
      'session_token=~~session~~; session_token=x',
      '=; ;;=',
      'session_token="~~session~~"',
      '\xff=\xff',
    ]
      .concat(['better-auth.session_token=%zz', '__proto__=x', `a=${'b'.repeat(6000)}`, 'session_token=~~access~~'])
      .map(cookie => ({ cookie })),
  )

const anyCredential: Arbitrary<Credential> = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom<Credential>('access', 'cookie', 'signed', 'client', 'none') },
  { weight: 2, arbitrary: fc.constantFrom<Credential>(...hostileCredentials) },
)

// -------------------------------------------------------------------------------------------------------- To no operation

const methods = fc.constantFrom(
  'GET',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'LOCK',
  'SEARCH',
)

const spellings: readonly ((path: string) => string)[] = [
  path => path,
  path => `${path}/`,
  path => `/${path}`,
  path => path.replace(/(.)\//, '$1//'),
  path => path.replace(/(.)\/(\w+)$/, '$1%2f$2'),
  path => path.replace(/[a-z]/, letter => letter.toUpperCase()),
  path => path.replace(/[a-z]/, letter => `%25${letter.charCodeAt(0).toString(16)}`),
  path => `${path}%00`,
  path => `${path};a=b`,
  path => `${path}/..`,
  path => `/public/..${path}`,
  path => `${path}.json`,
  path => path.replace('/', '/%zz'),
  path => path.replace('/', '/%c0%ae%c0%ae/'),
  path => `${path}/${'x'.repeat(300)}`,
]

function strayRequest(operations: readonly Operation[]): Arbitrary<Made> {
  const isReal = (method: string, path: string) =>
    operations.some(operation => {
      const pattern = new RegExp(`^${operation.path.replaceAll('.', '\\.').replace(/\{\w+\}/, '[^/]*')}$`)
      return operation.method === method && pattern.test(path)
    })
  return fc
    .record({
      method: methods,
      path: fc
        .tuple(
          fc.constantFrom(...operations.map(({ path }) => path.replace(/\{\w+\}/, 'x'))),
          fc.constantFrom(...spellings),
        )
        .map(([path, spell]) => spell(path)),
      headers: hostileHeaders,
      payload: fc.oneof(fc.constant(noPayload), garbage),
      credential: anyCredential,
    })
    .filter(({ method, path }) => !isReal(method, path))
    .map(({ payload: { type, text }, headers, ...rest }) => ({
      ...rest,
      operation: undefined,
      headers: { ...(type === undefined ? {} : { 'content-type': type }), ...headers },
      body: text,
      isLatin1: false,
    }))
}

/** Requests as bytes: what no client library would send. Each is answered, and then perhaps hung up on. */
export const hostileFramings: Arbitrary<string> = fc
  .tuple(
    fc.constantFrom(
      'GET /auth/me',
      'POST /auth/login',
      'DELETE /api/user/profile',
      'GET /nothing',
      'OPTIONS *',
      'get /',
    ),
    fc.constantFrom(...Array<string>(7).fill('HTTP/1.1'), 'HTTP/1.0', 'HTTP/2.0', 'HTTP/9', ''),
    fc.constantFrom('host: x', 'host: x', 'host: x', 'x: y'),
    fc.subarray(
      [
        'host: y',
        'content-length: 0',
        'content-length: 0',
        'content-length: -1',
        'content-length: 1e1',
        'content-length: 0x2',
        'content-length: 99999999999999999999',
        'content-length: 10485760',
        'transfer-encoding: chunked',
        'transfer-encoding: x',
        'transfer-encoding: chunked, chunked',
        'expect: 417',
        'upgrade: websocket',
        'no colon',
        ' folded: x',
        'a b: c',
        'nul: \0',
        'x: \x7f',
        `long: ${'x'.repeat(20_000)}`,
        Array.from({ length: 120 }, (_, index) => `x-${index}: 1`).join('\r\n'),
      ],
      { maxLength: 4 },
    ),
  )
  // Whatever was announced, nothing more comes than the end of chunks.
  .map(
    ([line, version, host, headers]) =>
      `${[`${line} ${version}`, host, ...headers, 'connection: close'].join('\r\n')}\r\n\r\n0\r\n\r\n`,
  )
