/** How far an import is: a bar that is drawn over on a terminal, a plain line now and then anywhere else. */
import type { Counts } from './import.js'

export type ProgressOptions = {
  out: { isTTY?: boolean; columns?: number; write(text: string): unknown }
  /** Of the file, in bytes. */
  size: number
  /** How much of it has been read. */
  bytesRead(): number
  now?(): number
}

export type Progress = {
  show(counts: Counts): void
  /** Draws nothing more, and leaves the cursor on a line of its own. */
  end(): void
}

const barWidth = 24
const barEveryMs = 100
const lineEveryMs = 10_000

export function createProgress({ out, size, bytesRead, now = () => performance.now() }: ProgressOptions): Progress {
  const started = now()
  const isTerminal = out.isTTY === true
  let shownAt = isTerminal ? Number.NEGATIVE_INFINITY : started
  let isDrawn = false

  return {
    show(counts) {
      const at = now()
      if (at - shownAt < (isTerminal ? barEveryMs : lineEveryMs)) return
      shownAt = at
      const share = size === 0 ? 1 : Math.min(1, bytesRead() / size)
      const rate = Math.round((counts.read * 1000) / Math.max(1, at - started))
      const told = `${Math.floor(100 * share)} % ${sentence(counts)}, ${rate} a second`
      if (!isTerminal) out.write(`${told}\n`)
      // Cut to the terminal's width: what wraps cannot be drawn over.
      else out.write(`\r\x1b[K${`${bar(share)} ${told}`.slice(0, (out.columns ?? 80) - 1)}`)
      isDrawn = isTerminal
    },
    end() {
      if (isDrawn) out.write('\n')
      isDrawn = false
    },
  }
}

const bar = (share: number): string => {
  const full = Math.round(barWidth * share)
  return `[${'#'.repeat(full)}${'.'.repeat(barWidth - full)}]`
}

const sentence = ({ read, made, there, refused }: Counts): string =>
  `${read} read, ${made} taken, ${there} already there, ${refused} refused`
