/** One run that requests wait for, and how they are told what it came to. */
import type * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Tracer from "effect/Tracer"
import { end, interruptLater, type Running } from "./effect.js"
import type { Trace } from "./trace.js"

export class Flight<A> {
  readonly key: string
  readonly span: Tracer.AnySpan | undefined
  readonly asker: Trace | undefined
  /** The request that started it waits for it. */
  isLed: boolean
  waiters = 1
  /** What it came to, for all who wait. */
  arrived: Exit.Exit<A> | undefined = undefined
  /** There is one where somebody waits. */
  arrival: Deferred.Deferred<Exit.Exit<A>> | undefined = undefined
  /** What its run came to. */
  completed: Exit.Success<A, never> | undefined = undefined
  /** From what the run began; `undefined` where it has not said that. */
  from: unknown = undefined
  /** `undefined` until it has started. */
  fiber: Running<void> | undefined = undefined
  /** Run before the request that started it goes on without it. */
  hold: Effect.Effect<void> = Effect.void

  constructor({ asker, key, span }: Pick<Flight<A>, "key" | "span" | "asker">, isLed: boolean) {
    this.key = key
    this.span = span
    this.asker = asker
    this.isLed = isLed
  }
}

/** Tells all who wait, once. */
export const arrive = <A>(flight: Flight<A>, exit: Exit.Exit<A>): void => {
  if (flight.arrived !== undefined) return
  flight.arrived = exit
  if (flight.arrival !== undefined) end(flight.arrival, Exit.succeed(exit))
}

/** What a run does with the flight that it is of. */
export interface Handle<A> {
  /** Tells all who wait what it came to. The run may go on, as for the rest of a streamed body. */
  readonly complete: (value: A) => Effect.Effect<void>
  /** Nobody joins it any more, and it is interrupted. */
  readonly end: Effect.Effect<void>
  /** Says from what the run began: who would join may ask whether that still holds. */
  readonly began: (from: unknown) => void
}

/** What is done with a value that the request which started the flight does not take. */
type Untaken<A> = (value: A, isGone: boolean) => Effect.Effect<void>

/** What the run of a flight does with it, and what ends the run at its deadline. */
export class RunOf<A> implements Handle<A> {
  private readonly flight: Flight<A>
  private readonly untaken: Untaken<A>
  private readonly leave: () => void
  /** Takes back what ends it at its deadline. */
  cancel: (() => void) | undefined = undefined

  constructor(flight: Flight<A>, untaken: Untaken<A>, leave: () => void) {
    this.flight = flight
    this.untaken = untaken
    this.leave = leave
  }

  get end(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.leave()
      return this.flight.fiber === undefined ? Exit.void : interruptLater(this.flight.fiber)
    })
  }

  complete(value: A): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.cancel?.()
      const completed = Exit.succeed(value) as Exit.Success<A, never>
      this.flight.completed = completed
      arrive(this.flight, completed)
      return this.flight.isLed ? Exit.void : this.untaken(value, false)
    })
  }

  began(from: unknown): void {
    this.flight.from = from
  }
}
