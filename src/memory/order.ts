/** All entries in the order of storing, and which of them goes next. */
import type { Entry } from "./entry.js"

export class Order {
  bytes = 0
  size = 0
  private oldest: Entry | undefined
  private newest: Entry | undefined
  /** Where the search for what goes next goes on. */
  private hand: Entry | undefined

  enter(entry: Entry): void {
    entry.older = this.newest
    if (this.newest !== undefined) this.newest.newer = entry
    this.newest = entry
    this.oldest ??= entry
    this.bytes += entry.bytes
    this.size++
  }

  leave(entry: Entry): void {
    if (this.hand === entry) this.hand = entry.newer
    if (entry.older === undefined) this.oldest = entry.newer
    else entry.older.newer = entry.newer
    if (entry.newer === undefined) this.newest = entry.older
    else entry.newer.older = entry.older
    this.bytes -= entry.bytes
    this.size--
  }

  /**
   * From the oldest to the newest, and round: what was asked for since the hand came by stays, so what is asked for once doesn't
   * take the place of what is asked for again (SIEVE, Zhang et al., NSDI 2024). Must not be empty.
   */
  next(): Entry {
    let entry = this.hand ?? this.oldest!
    while (entry.isAskedFor) {
      entry.isAskedFor = false
      entry = entry.newer ?? this.oldest!
    }
    return this.hand = entry
  }
}
