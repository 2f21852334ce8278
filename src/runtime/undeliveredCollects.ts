/** The collects that a storage could not be told of yet: until then nothing is read that one of them names. */
import { reference } from "./effect.js"
import * as metrics from "./metrics.js"
import { everything } from "./names.js"

const maxNames = 10_000
/** How long after undelivered collects were tried they are tried again. */
export const retryAfter = "1 second"

/** Is true while an earlier request's collect is delivered, which must not join the present request's transaction. */
export const IsDelivery = reference("effect-http-cache/IsDelivery", () => false)

export class UndeliveredCollects {
  /** By name: the number of its latest collect. */
  private readonly byName = new Map<string, number>()
  private readonly delivering = new Set<string>()
  private count = 0
  private isMeasured = true
  /** How many were delivered late. A storage that was asked before the delivery may answer with something collected. */
  delivered = 0
  /** A fiber of the storage delivers them beside the requests. */
  isDelivering = false

  get isEmpty(): boolean {
    return this.byName.size === 0
  }

  get names(): ReadonlyArray<string> {
    return [...this.byName.keys()]
  }

  has(name: string): boolean {
    return this.byName.has(name)
  }

  /** `false` where there are too many: everything is collected in their place. */
  add(name: string): boolean {
    const isKept = this.byName.size < maxNames || this.byName.has(name)
    const before = this.byName.size
    if (!isKept) this.byName.clear()
    this.byName.set(isKept ? name : everything, ++this.count)
    this.measure(this.byName.size - before)
    return isKept
  }

  /** Begins to deliver: answers a function to call with the outcome; `undefined` where another request is trying. */
  begin(name: string): ((isDelivered: boolean) => void) | undefined {
    if (this.delivering.has(name)) return undefined
    this.delivering.add(name)
    const count = this.byName.get(name)
    return (isDelivered) => {
      this.delivering.delete(name)
      // Another one may have failed meanwhile, or it had been delivered before.
      if (!isDelivered || this.byName.get(name) !== count || !this.byName.delete(name)) return
      this.measure(-1)
      this.delivered++
    }
  }

  /** Leaves the gauges, and tells no more. */
  leaveMetrics(): void {
    this.measure(-this.byName.size)
    this.isMeasured = false
  }

  private measure(names: number): void {
    if (this.isMeasured) metrics.undelivered(names)
  }
}
