/** What a simulation that is a function of a seed is made of. */
import { Duration, Effect } from "effect"
import { OwnClock } from "./stepping.js"

export class Dice {
  private state: number
  constructor(seed: number) {
    this.state = seed >>> 0
  }
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  below(bound: number): number {
    return Math.floor(this.next() * bound)
  }
  is(chance: number): boolean {
    return this.next() < chance
  }
  one<A>(list: ReadonlyArray<A>): A {
    return list[this.below(list.length)]!
  }
  some<A>(list: ReadonlyArray<A>, most: number): Array<A> {
    return Array.from({ length: this.below(most + 1) }, () => this.one(list))
  }
}

interface Sleep {
  readonly at: number
  readonly wake: () => void
}

/** Not the TestClock, which waits for a real timer at each step. */
export class Hands extends OwnClock {
  private readonly sleeps = new Set<Sleep>()
  now = Date.UTC(2026, 0, 1)
  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.async<void>((resume) =>
      Effect.sync(this.after(Duration.toMillis(duration), () => resume(Effect.void)))
    )
  }
  /** Calls `wake` in so many milliseconds, unless the function that it returns is called before. */
  after(millis: number, wake: () => void): () => void {
    const sleep = { at: this.now + millis, wake }
    this.sleeps.add(sleep)
    return () => void this.sleeps.delete(sleep)
  }
  /** Wakes who sleeps shortest; false when nobody does until then. */
  step(until = Infinity): boolean {
    let next = Infinity
    for (const { at } of this.sleeps) next = Math.min(next, at)
    if (next === Infinity || next > until) return false
    this.now = Math.max(this.now, next)
    for (const sleep of this.sleeps) {
      if (sleep.at > this.now) continue
      this.sleeps.delete(sleep)
      sleep.wake()
    }
    return true
  }
}
