/** The collects that a storage could not be told of yet: what they are of is not read before. */

const maxKeys = 10_000
/** How long after undelivered collects were tried they are tried again. Milliseconds. */
export const retryAfter = 1000

export class UndeliveredCollects {
  /** By key: the number of its latest collect. */
  private readonly byKey = new Map<string, number>()
  private readonly delivering = new Set<string>()
  private count = 0
  /** The others are delivered beside the requests. */
  isDeliveringOthers = false
  /** Epoch milliseconds. */
  retriesAt = 0
  /** What was stored until then may have been collected by more than could be remembered. Epoch milliseconds. */
  distrustedUntil = -Infinity

  get isEmpty(): boolean {
    return this.byKey.size === 0
  }

  get keys(): ReadonlyArray<string> {
    return [...this.byKey.keys()]
  }

  has(key: string): boolean {
    return this.byKey.has(key)
  }

  /** `false` where there are too many: nothing that was stored until `now` is believed any more. */
  add(key: string, now: number): boolean {
    if (this.byKey.size < maxKeys || this.byKey.has(key)) {
      this.byKey.set(key, ++this.count)
      return true
    }
    this.distrustedUntil = now
    return false
  }

  /** `undefined` where somebody else tries it. The function that it answers is told what came of it. */
  begin(key: string): ((isDelivered: boolean) => void) | undefined {
    if (this.delivering.has(key)) return undefined
    this.delivering.add(key)
    const count = this.byKey.get(key)
    return (isDelivered) => {
      this.delivering.delete(key)
      // Another one may have failed meanwhile.
      if (isDelivered && this.byKey.get(key) === count) this.byKey.delete(key)
    }
  }
}
