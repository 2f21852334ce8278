/** The twin of `test/stepping.ts` for Effect 4. */
import { Cause, Clock, Effect, type Fiber, Logger, Random, type Scheduler } from "effect"

export abstract class OwnClock implements Clock.Clock {
  abstract now: number
  abstract sleep(duration: Parameters<Clock.Clock["sleep"]>[0]): Effect.Effect<void>
  readonly currentTimeMillis = Effect.sync(() => this.now)
  readonly currentTimeNanos = Effect.sync(() => BigInt(this.now) * 1_000_000n)
  readonly monotonicTimeNanos = this.currentTimeNanos
  currentTimeMillisUnsafe(): number {
    return this.now
  }
  currentTimeNanosUnsafe(): bigint {
    return BigInt(this.now) * 1_000_000n
  }
  monotonicTimeNanosUnsafe(): bigint {
    return this.currentTimeNanosUnsafe()
  }
}

export const byClock = (clock: Clock.Clock) => Effect.provideService(Clock.Clock, clock)

export const bySeed = (seed: number) => Random.withSeed(String(seed))

export const quiet = Logger.layer([])

export class Steps {
  private tasks: Array<() => void> = []
  readonly scheduler: Scheduler.Scheduler = {
    executionMode: "async",
    shouldYield: () => false,
    makeDispatcher: () => ({ scheduleTask: (task) => void this.tasks.push(task), flush: () => this.step() })
  }
  get areLeft(): boolean {
    return this.tasks.length > 0
  }
  step(): void {
    const { tasks } = this
    this.tasks = []
    for (const task of tasks) task()
  }
}

export const interrupt = (fiber: Fiber.Fiber<unknown, unknown>): void => fiber.interruptUnsafe()

export const failuresIn = (cause: Cause.Cause<unknown>): ReadonlyArray<unknown> =>
  cause.reasons.flatMap((reason) => reason._tag === "Fail" ? [reason.error] : [])

export const defectsIn = (cause: Cause.Cause<unknown>): ReadonlyArray<unknown> =>
  cause.reasons.flatMap((reason) => reason._tag === "Die" ? [reason.defect] : [])

export const isInterruption = (cause: Cause.Cause<unknown>): boolean => Cause.hasInterruptsOnly(cause)
