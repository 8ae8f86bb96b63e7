/** Results as Markdown: a table of medians, and ratios beside what they should be. */
import type { Measurement, Throughput } from './load.js'

export type Result<Round extends Throughput = Throughput> = { name: string; rounds: Round[]; residentMb: number }

export type Bound = { atLeast: number } | { atMost: number }

export type Ratio = {
  what: string
  value: number
  /** The same by CPU time per answer, where that makes sense. */
  byCpu?: number
  unit?: string
  /** What this milestone asks for. */
  target?: Bound
  /** What is hoped for in the end. */
  aim?: Bound
}

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

const medianOf = <Name extends string>(result: { rounds: Record<Name, number>[] }, member: Name): number =>
  median(result.rounds.map(round => round[member]))

/** CPU time per answer when least disturbed: what else runs on the machine can only add to it. */
const leastCpu = (result: Result): number => Math.min(...result.rounds.map(round => round.cpuMicros))

/** How much faster one is than the other: by answers a second, and by the least CPU time per answer. */
export function compare(what: string, one: Result, other: Result, bounds: Pick<Ratio, 'target' | 'aim'> = {}): Ratio {
  return {
    what,
    value: medianOf(one, 'rate') / medianOf(other, 'rate'),
    byCpu: leastCpu(other) / leastCpu(one),
    ...bounds,
  }
}

/** Of servers that were asked. */
export function resultTable(results: Result<Measurement>[]): string {
  const rows = results.map(result => [
    result.name,
    ...ratesOf(result),
    number(medianOf(result, 'p50')),
    number(medianOf(result, 'p99')),
    ...costsOf(result),
  ])
  return table(
    ['', 'req/s', 'lowest to highest', 'p50 ms', 'p99 ms', 'server CPU µs/req', 'least', 'resident MB'],
    rows,
  )
}

/** Of processes that verified tokens. */
export function verificationTable(results: Result[]): string {
  const rows = results.map(result => [result.name, ...ratesOf(result), ...costsOf(result)])
  return table(['', 'tokens/s', 'lowest to highest', 'CPU µs/token', 'least', 'resident MB'], rows)
}

function ratesOf(result: Result): string[] {
  const rates = result.rounds.map(round => round.rate)
  return [number(medianOf(result, 'rate')), `${number(Math.min(...rates))} to ${number(Math.max(...rates))}`]
}

const costsOf = (result: Result): string[] => [
  number(medianOf(result, 'cpuMicros')),
  number(leastCpu(result)),
  number(result.residentMb),
]

export function ratioTable(ratios: Ratio[]): string {
  const rows = ratios.map(ratio => [
    ratio.what,
    `${number(ratio.value)}${ratio.unit ?? ''}`,
    ratio.byCpu === undefined ? '' : number(ratio.byCpu),
    judge(ratio.target, ratio.value),
    judge(ratio.aim, ratio.value),
  ])
  return table(['', 'measured', 'by CPU', 'target', 'aim'], rows)
}

function judge(bound: Bound | undefined, value: number): string {
  if (!bound) return ''
  const [word, limit, holds] =
    'atLeast' in bound
      ? ['at least', bound.atLeast, value >= bound.atLeast]
      : ['at most', bound.atMost, value <= bound.atMost]
  return `${word} ${limit}: ${holds ? 'reached' : '**not reached**'}`
}

export function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, index) => (index === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

/** Three significant figures, and whole numbers from 100 up: more would be noise. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return '?'
  if (value >= 1000) return Number(value.toPrecision(3)).toLocaleString('en')
  return value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(value >= 10 ? 3 : 2)))
}
