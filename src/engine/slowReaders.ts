/** For how long have some readers of a stream kept its source waiting, and with it the others? */

interface Positions {
  /** The numbers of the chunks that the readers take next. */
  readonly readers: ReadonlyArray<number>
  /** The number of the chunk that comes next. */
  readonly end: number
}

const slowestOf = ({ readers }: Positions): number => Math.min(...readers)

/** Only a reader that keeps others waiting has to catch up, with all the chunks that were held when that began. */
export class HoldUp {
  private since = 0
  private slowest = 0
  private end = 0

  /** Steady milliseconds. */
  begunAt(positions: Positions, now: number): number {
    const slowest = slowestOf(positions)
    if (slowest >= this.end) {
      this.since = now
      this.slowest = slowest
      this.end = positions.end
    } else if (slowest > this.slowest && !this.isSharedBy(positions)) {
      this.since = now
      this.slowest = slowest
    }
    return this.since
  }

  /** Those that are to be given up are before this chunk. */
  limit(positions: Positions): number {
    return this.isSharedBy(positions) ? this.end : slowestOf(positions) + 1
  }

  /** Somebody has all that was held when the others began to be waited for. */
  private isSharedBy({ readers }: Positions): boolean {
    return readers.some((at) => at >= this.end)
  }
}
