/**
 * The circuit breaker: a method of a storage that has failed is not called for a while, for the one key for which it has failed,
 * or for all keys once it has failed for several. Then one call tries it again.
 */
import { LRUCache } from "lru-cache"
import { isAhead } from "./memory.js"

/** In a row. */
const maxFailures = 3
/** Milliseconds. */
export const pause = 10_000
/** Of how many keys it is known that they fail. */
const maxKeys = 1000
/** A key that has not failed for so long is forgotten: while one is known to fail, every call has to ask. Milliseconds. */
const forgottenAfter = 60_000

interface Failing {
  /** In a row. */
  failures: number
  /** Epoch milliseconds. */
  failedAt: number
  /** Epoch milliseconds. */
  leftAloneUntil: number
}

export class CircuitBreaker {
  /** Since the last call that did not fail. */
  private failures = 0
  /** Up to two of the keys that failed: one alone says nothing of the others. */
  private readonly failed = new Set<string>()
  /** Epoch milliseconds. */
  private leftAloneUntil = 0
  private readonly keys = new LRUCache<string, Failing>({ max: maxKeys })

  /** Nothing has failed lately: calls need not ask. */
  get isQuiet(): boolean {
    return this.failures === 0 && this.keys.size === 0
  }

  /** Whether a call may be made. Who makes it tells what came of it. */
  admits(key: string, now: number): boolean {
    this.forgetOldest(now)
    const own = this.keys.get(key)
    const isLeftAlone = this.isOpen && isAhead(this.leftAloneUntil, now, pause)
    if (isLeftAlone || (own !== undefined && own.failures >= maxFailures && isAhead(own.leftAloneUntil, now, pause))) {
      return false
    }
    // This one tries it again; the others go on leaving it alone.
    this.leaveAlone(own, now + pause)
    return true
  }

  succeed(key: string): void {
    this.keys.delete(key)
    this.failures = 0
    this.failed.clear()
  }

  /** What is left alone from now on: the `"key"`, or `"all"` of them; `undefined` where that isn't new. */
  fail(key: string, now: number): "key" | "all" | undefined {
    const own = this.keys.get(key) ?? { failures: 0, failedAt: now, leftAloneUntil: 0 }
    const wasOpen = this.isOpen
    this.keys.set(key, own)
    own.failures++
    own.failedAt = now
    this.failures++
    if (this.failed.size < 2) this.failed.add(key)
    this.leaveAlone(own, now + pause)
    if (this.isOpen) return wasOpen ? undefined : "all"
    return own.failures === maxFailures ? "key" : undefined
  }

  /** Whoever made the call has left, which says nothing of the storage: the next one tries it. */
  abandon(key: string): void {
    this.leaveAlone(this.keys.get(key), 0)
  }

  private forgetOldest(now: number): void {
    const [oldest] = this.keys.rkeys()
    if (oldest === undefined) return
    const { failedAt } = this.keys.peek(oldest)!
    if (!isAhead(failedAt + forgottenAfter, now, forgottenAfter)) this.keys.delete(oldest)
  }

  private get isOpen(): boolean {
    return this.failures >= maxFailures && this.failed.size > 1
  }

  private leaveAlone(own: Failing | undefined, until: number): void {
    this.leftAloneUntil = until
    if (own !== undefined) own.leftAloneUntil = until
  }
}
