/** Bytes to a JSON object, with one reading only: no broken UTF-8, no byte order mark, no member given twice. */

export type JsonObject = Record<string, unknown>

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Undefined where the bytes are anything but one JSON object. */
export function parseObject(bytes: Uint8Array): JsonObject | undefined {
  try {
    const text = utf8.decode(bytes)
    const value: unknown = JSON.parse(text)
    return isObject(value) && !hasRepeatedMember(text, value) ? value : undefined
  } catch {
    return undefined
  }
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * RFC 7515 section 4 and RFC 7519 section 4: member names are unique, and a reader may refuse repetition. It must, where
 * two readers of one token could each see another claim. Text that JSON.stringify would have written repeats none.
 */
function hasRepeatedMember(text: string, value: JsonObject): boolean {
  if (JSON.stringify(value) === text) return false
  const open: Set<string>[] = []
  for (const [token, name] of text.matchAll(/("(?:[^"\\]|\\.)*")\s*:|"(?:[^"\\]|\\.)*"|[{}]/g)) {
    if (token === '{') open.push(new Set())
    else if (token === '}') open.pop()
    else if (name !== undefined && !isNew(JSON.parse(name) as string, open.at(-1))) return true
  }
  return false
}

const isNew = (name: string, names: Set<string> | undefined): boolean =>
  names !== undefined && names.size !== names.add(name).size
