/** The stored items in the order of use, and what they take. */
import * as metrics from "../runtime/metrics.js"
import type { Entry } from "./entry.js"

export class UseOrder {
  /** The least recently used. */
  oldest: Entry | undefined
  private newest: Entry | undefined
  bytes = 0
  size = 0
  /** What the metrics know of; `undefined`: they are not told any more. */
  private measured: { readonly bytes: number; readonly size: number } | undefined = { bytes: 0, size: 0 }

  use(entry: Entry): void {
    if (entry === this.newest) return
    this.leave(entry)
    this.enter(entry)
  }

  enter(entry: Entry): void {
    entry.older = this.newest
    entry.newer = undefined
    if (this.newest !== undefined) this.newest.newer = entry
    this.newest = entry
    this.oldest ??= entry
    this.bytes += entry.bytes
    this.size++
  }

  leave(entry: Entry): void {
    if (entry.older === undefined) this.oldest = entry.newer
    else entry.older.newer = entry.newer
    if (entry.newer === undefined) this.newest = entry.older
    else entry.newer.older = entry.older
    this.bytes -= entry.bytes
    this.size--
  }

  clear(): void {
    this.oldest = this.newest = undefined
    this.bytes = this.size = 0
  }

  /** Tells the metrics what has changed since. */
  measure(): void {
    const { bytes, measured, size } = this
    if (measured === undefined) return
    if (bytes !== measured.bytes) metrics.bytes(bytes - measured.bytes)
    if (size !== measured.size) metrics.items(size - measured.size)
    this.measured = { bytes, size }
  }

  /** For the metrics there is nothing any more. */
  leaveMetrics(): void {
    if (this.measured === undefined) return
    metrics.bytes(-this.measured.bytes)
    metrics.items(-this.measured.size)
    this.measured = undefined
  }
}
