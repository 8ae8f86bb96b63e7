/**
 * Whether two kinds of request take the same time: by how much a quantile of the one lies above that of the other, with an
 * interval that holds whatever the noise looks like, and however it drifts. Tries come in pairs, one of each kind in an order
 * of chance, and the one assumption is that the two of a pair change places freely where nothing tells them apart. So
 * whichever pairs fall on two sides of a threshold that does not know the kinds are as many tosses of a fair coin.
 *
 * A low quantile sees most: what else the machine does makes answers later and never sooner.
 */

export type Pair = readonly [tried: number, reference: number]

export type Shift = {
  /** How much later the first of the pairs are, at the quantile asked for. */
  shift: number
  low: number
  high: number
}

/** The shift, and the interval it lies in but for one time in 1/`alpha`. */
export function shiftOf(pairs: readonly Pair[], quantile: number, alpha: number): Shift {
  const [tried, reference] = [pairs.map(([one]) => one), pairs.map(([, other]) => other)]
  const shift = quantileOf(tried, quantile) - quantileOf(reference, quantile)
  const reach = Math.max(...tried, ...reference) - Math.min(...tried, ...reference) + 1
  const isLater = (than: number) => chanceOfLater(moved(pairs, than), quantile) <= alpha / 2
  const isSooner = (than: number) => chanceOfLater(moved(pairs, than).map(swapped), quantile) <= alpha / 2
  return { shift, low: lastWhere(isLater, -reach, shift), high: lastWhere(isSooner, reach, shift) }
}

/** Nothing between the two ends of the interval is small enough to be borne. */
export const isBeyond = ({ low, high }: Shift, tolerance: number): boolean => low > tolerance || high < -tolerance

/** The smallest shift that such noise would not have hidden. */
export const noticeable = ({ shift, low, high }: Shift, tolerance: number): number =>
  tolerance + Math.max(shift - low, high - shift)

export function quantileOf(values: readonly number[], quantile: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.ceil(quantile * sorted.length) - 1] ?? Number.NaN
}

/** In an order of chance, each as likely as any (Fisher and Yates). */
export function shuffled<Item>(items: readonly Item[], random: () => number = Math.random): Item[] {
  const order = [...items]
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1))
    ;[order[last], order[other]] = [order[other] as Item, order[last] as Item]
  }
  return order
}

const moved = (pairs: readonly Pair[], by: number): Pair[] => pairs.map(([tried, reference]) => [tried - by, reference])
const swapped = ([tried, reference]: Pair): Pair => [reference, tried]

/** How likely equal kinds would have so many of the first above the threshold that their seconds are below (McNemar, exactly). */
function chanceOfLater(pairs: readonly Pair[], quantile: number): number {
  const threshold = quantileOf(pairs.flat(), quantile)
  const later = pairs.filter(([tried, reference]) => tried > threshold && reference <= threshold).length
  const sooner = pairs.filter(([tried, reference]) => tried <= threshold && reference > threshold).length
  return chanceOfHeads(later, later + sooner)
}

/** How likely a fair coin shows so many heads or more. Beyond a thousand tosses a double no longer holds one fall's chance. */
function chanceOfHeads(heads: number, tosses: number): number {
  if (tosses > 1000) throw new RangeError('so many pairs cannot be judged')
  let exactly = 0.5 ** tosses
  let atLeast = 0
  for (let count = tosses; count >= heads; count -= 1) {
    atLeast += exactly
    exactly *= count / (tosses - count + 1)
  }
  return atLeast
}

/** The border between where it holds, `from` included, and where it no longer does; `from` itself where it never holds. */
function lastWhere(holds: (value: number) => boolean, from: number, to: number): number {
  let [inside, outside] = [from, to]
  while (Math.abs(outside - inside) > 0.001) {
    const middle = (inside + outside) / 2
    if (holds(middle)) inside = middle
    else outside = middle
  }
  return inside
}
