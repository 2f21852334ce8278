/** All entries in the order of storing, what they take together, and which of them goes next. */
import * as metrics from "../runtime/metrics.js"
import type { Entry } from "./entry.js"

/** So many entries are passed by at once, so that no `set` takes longer where there are many. */
const mostPassed = 256

/** The hand turns back once this many times `size` entries were stored. */
const longestRound = 10

export class Order {
  bytes = 0
  size = 0
  private isMeasured = true
  private oldest: Entry | undefined
  private newest: Entry | undefined
  /** Where the search for what goes next goes on. */
  private hand: Entry | undefined
  /** How many entries there have been, and how many there had been when the hand was last at the oldest. */
  private entered = 0
  private enteredBefore = 0

  enter(entry: Entry): void {
    entry.older = this.newest
    if (this.newest !== undefined) this.newest.newer = entry
    this.newest = entry
    this.oldest ??= entry
    this.entered++
    this.count(entry.bytes, 1)
  }

  leave(entry: Entry): void {
    if (this.hand === entry) this.hand = entry.newer
    if (entry.older === undefined) this.oldest = entry.newer
    else entry.older.newer = entry.newer
    if (entry.newer === undefined) this.newest = entry.older
    else entry.newer.older = entry.older
    this.count(-entry.bytes, -1)
  }

  clear(): void {
    this.oldest = this.newest = this.hand = undefined
    this.count(-this.bytes, -this.size)
  }

  /**
   * From the oldest to the newest, and round: what was asked for since the hand came by stays, so what is asked for once doesn't
   * take the place of what is asked for again (SIEVE, Zhang et al., NSDI 2024); what has expired does not. Must not be empty.
   * Near the newest the hand evicts each entry soon after it was stored, and could stay there: it turns back after a while.
   */
  next(now: number): Entry {
    const isLate = this.entered - this.enteredBefore > this.size * longestRound
    let entry = (isLate ? undefined : this.hand) ?? this.first()
    for (let passed = 0; entry.isAskedFor && entry.item.retainUntil > now && passed < mostPassed; passed++) {
      entry.isAskedFor = false
      entry = entry.newer ?? this.first()
    }
    return this.hand = entry
  }

  /** The hand begins once more. */
  private first(): Entry {
    this.enteredBefore = this.entered
    return this.oldest!
  }

  /** Takes all that it holds out of the metrics. */
  leaveMetrics(): void {
    metrics.bytes(-this.bytes)
    metrics.items(-this.size)
    this.isMeasured = false
  }

  private count(bytes: number, items: number): void {
    this.bytes += bytes
    this.size += items
    if (!this.isMeasured) return
    metrics.bytes(bytes)
    metrics.items(items)
  }
}
