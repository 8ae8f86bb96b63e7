/** Which addresses and ids a file has had so far, and on which line: sixteen to thirty-two bytes each, however long they are. */
import { createHash } from 'node:crypto'

export type Seen = {
  /** The line that had it before; undefined: none had, and from now on this one has. */
  add(text: string, line: number): number | undefined
}

/**
 * A table of open addressing with 64 bits of SHA-256 for a key: of a hundred million texts, two are taken for the same by
 * chance in one of some 3000 files.
 */
export function createSeen(): Seen {
  let keys = new BigUint64Array(1024)
  let lines = new Uint32Array(1024)
  let count = 0

  const slotOf = (key: bigint): number => {
    const mask = keys.length - 1
    let slot = Number(key & BigInt(mask))
    while (lines[slot] !== 0 && keys[slot] !== key) slot = (slot + 1) & mask
    return slot
  }

  const grow = (): void => {
    const [oldKeys, oldLines] = [keys, lines]
    keys = new BigUint64Array(2 * oldKeys.length)
    lines = new Uint32Array(2 * oldLines.length)
    for (const [index, line] of oldLines.entries()) if (line !== 0) put(oldKeys[index] ?? 0n, line)
  }

  const put = (key: bigint, line: number): void => {
    const slot = slotOf(key)
    keys[slot] = key
    lines[slot] = line
  }

  return {
    add(text, line) {
      const key = createHash('sha256').update(text).digest().readBigUInt64LE()
      const before = lines[slotOf(key)]
      if (before) return before
      put(key, line)
      count += 1
      if (4 * count > 3 * keys.length) grow()
      return undefined
    },
  }
}
