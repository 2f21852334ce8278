/** The table: a ratio, what it is held against, and how far the windows lie apart. */

/** `about`: the control, which says how far the machine can be believed. */
export type Limit = { readonly most: number } | { readonly least: number } | { readonly about: number }

export interface Row {
  readonly name: string
  readonly limit: Limit
  /** One for each round. */
  readonly ratios: ReadonlyArray<number>
}

/** How far the control may be from 1. */
export const tolerance = 0.1

const width = 58
/** Of ratio, limit, holds, middle half and rounds. */
const widths = [8, 16, 7, 20, 8]

export const quantile = (values: ReadonlyArray<number>, part: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (sorted.length - 1) * part
  const below = sorted[Math.floor(at)]!
  return below + (sorted[Math.ceil(at)]! - below) * (at - Math.floor(at))
}

export const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5)

const textOf = (limit: Limit): string =>
  "most" in limit
    ? `at most ${limit.most}`
    : "least" in limit
    ? `at least ${limit.least}`
    : `about ${limit.about.toFixed(1)}`

const holds = (limit: Limit, ratio: number): boolean =>
  "most" in limit
    ? ratio <= limit.most
    : "least" in limit
    ? ratio >= limit.least
    : Math.abs(ratio - limit.about) <= tolerance

const line = (name: string, ...cells: ReadonlyArray<string>): string =>
  `${name.padEnd(width)}${cells.map((cell, at) => cell.padStart(widths[at]!)).join("")}`.trimEnd()

export const head = (title: string): void => {
  console.log(`\n${line(title, "ratio", "limit", "holds", "middle half", "rounds")}`)
}

/** Prints the row, and answers whether its limit holds. */
export const print = ({ limit, name, ratios }: Row): boolean => {
  const isMet = holds(limit, median(ratios))
  const middle = [0.25, 0.75].map((part) => quantile(ratios, part).toFixed(2)).join(" to ")
  console.log(line(name, median(ratios).toFixed(2), textOf(limit), isMet ? "yes" : "NO", middle, `${ratios.length}`))
  return isMet
}

export const skip = (name: string, reason: string): void => {
  console.log(`${name.padEnd(width)}  skipped: ${reason}`)
}

/** Measures and prints one row after the other. A case that isn't what it says it is has no ratio, and fails the run. */
export class Results {
  missed = 0
  failed = 0
  /** A control was not what it must be. */
  isDisturbed = false

  async row(name: string, limit: Limit, measure: () => Promise<ReadonlyArray<number>>): Promise<void> {
    try {
      if (print({ name, limit, ratios: await measure() })) return
      this.missed++
      if ("about" in limit) this.isDisturbed = true
    } catch (error) {
      this.failed++
      console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}
