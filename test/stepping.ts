/** What simulations need of Effect's runtime: a clock and a scheduler of their own, and what a cause is made of. */
import { Cause, Clock, Effect, type Fiber, FiberId, Logger, Random, Scheduler } from "effect"

/** A clock that goes by a number. */
export abstract class OwnClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  abstract now: number
  abstract sleep(duration: Parameters<Clock.Clock["sleep"]>[0]): Effect.Effect<void>
  readonly currentTimeMillis = Effect.sync(() => this.now)
  readonly currentTimeNanos = Effect.sync(() => BigInt(this.now) * 1_000_000n)
  readonly scheduler: Effect.Effect<Clock.ClockScheduler> = Effect.die(new Error("no scheduler"))
  unsafeCurrentTimeMillis(): number {
    return this.now
  }
  unsafeCurrentTimeNanos(): bigint {
    return BigInt(this.now) * 1_000_000n
  }
}

export const byClock = (clock: Clock.Clock) => Effect.withClock(clock)

export const bySeed = (seed: number) => Effect.withRandom(Random.make(seed))

/** Nothing is logged. */
export const quiet = Logger.remove(Logger.defaultLogger)

/** A scheduler whose tasks wait until they are stepped through. */
export class Steps {
  readonly scheduler = new Scheduler.ControlledScheduler()
  get areLeft(): boolean {
    return this.scheduler.tasks.buckets.length > 0
  }
  step(): void {
    this.scheduler.step()
  }
}

/** Interrupts a fiber, and does not wait. */
export const interrupt = (fiber: Fiber.RuntimeFiber<unknown, unknown>): void =>
  fiber.unsafeInterruptAsFork(FiberId.none)

export const failuresIn = (cause: Cause.Cause<unknown>): ReadonlyArray<unknown> => [...Cause.failures(cause)]

export const defectsIn = (cause: Cause.Cause<unknown>): ReadonlyArray<unknown> => [...Cause.defects(cause)]

export const isInterruption = (cause: Cause.Cause<unknown>): boolean => Cause.isInterruptedOnly(cause)
