/** Timers of a storage: one sleeping fiber for all that wait equally long, however many they are. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { AsyncLocalStorage } from "node:async_hooks"
import { byClock, interruptLater, keepingStores, type Running, secondsOf, withFiber } from "./effect.js"

/** What sleeps for many is no part of the request that was the first. */
const ofNobody = AsyncLocalStorage.snapshot()

/** Milliseconds, to measure how long something takes: what sets the time of day back or forth doesn't change them. */
export const steadyMillisOf = (clock: Clock.Clock): number => Math.round(secondsOf(clock) * 1000)

/** The same by the clock of the present fiber. */
export const steadyMillis: Effect.Effect<number> = withFiber<number, never, never>((_, clock) =>
  Effect.succeed(steadyMillisOf(clock))
)

interface Timer {
  /** Steady milliseconds. */
  readonly at: number
  readonly fire: () => void
}

/** What waits equally long ends in the order in which it began. */
interface Queue {
  readonly timers: Set<Timer>
  sleeper: Running<void> | undefined
}

export class Timeouts {
  private readonly queues = new Map<Clock.Clock, Map<number, Queue>>()

  /** Calls `fire` in so many milliseconds, unless the function that it returns is called before. */
  after(clock: Clock.Clock, millis: number, fire: () => void): () => void {
    const queue = this.queueOf(clock, millis)
    const timer: Timer = { at: steadyMillisOf(clock) + millis, fire }
    queue.timers.add(timer)
    queue.sleeper ??= this.sleep(queue, clock, millis)
    return () => void queue.timers.delete(timer)
  }

  /** Ends in so many milliseconds. */
  passing(clock: Clock.Clock, millis: number): Effect.Effect<void> {
    return keepingStores(Effect.async((resume) => {
      const cancel = this.after(clock, millis, () => resume(Effect.void))
      return Effect.sync(cancel)
    }))
  }

  /** Nothing sleeps any more for timers that were cancelled. Who still waits goes on at its time. */
  close(): void {
    for (const queues of this.queues.values()) {
      for (const [millis, { sleeper, timers }] of queues) {
        if (timers.size > 0) continue
        queues.delete(millis)
        if (sleeper !== undefined) Effect.runFork(interruptLater(sleeper))
      }
    }
  }

  private queueOf(clock: Clock.Clock, millis: number): Queue {
    let queues = this.queues.get(clock)
    if (queues === undefined) this.queues.set(clock, queues = new Map())
    let queue = queues.get(millis)
    if (queue === undefined) queues.set(millis, queue = { timers: new Set(), sleeper: undefined })
    return queue
  }

  private sleep(queue: Queue, clock: Clock.Clock, millis: number): Running<void> {
    const sleepOn: Effect.Effect<void> = Effect.suspend(() => {
      const now = steadyMillisOf(clock)
      for (const timer of queue.timers) {
        if (timer.at > now) return Effect.andThen(Effect.sleep(timer.at - now), sleepOn)
        queue.timers.delete(timer)
        timer.fire()
      }
      this.queues.get(clock)?.delete(millis)
      if (this.queues.get(clock)?.size === 0) this.queues.delete(clock)
      return Effect.void
    })
    return ofNobody(() => Effect.runFork(byClock(Effect.andThen(Effect.sleep(millis), sleepOn), clock)))
  }
}
