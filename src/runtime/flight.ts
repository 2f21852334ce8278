/** One run that requests wait for, and how they are told what it came to. */
import type * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type * as Tracer from "effect/Tracer"
import { end, interruptLater, type Running, serviceIn, withFiber } from "./effect.js"
import type { Plan } from "./singleFlight.js"
import type { Trace } from "./trace.js"

/** What a run does with the flight that it is of. */
export interface Handle<A> {
  /** Tells all who wait what it came to. The run may go on, as for the rest of a streamed body. */
  readonly complete: (value: A) => Effect.Effect<void>
  /** Nobody joins it any more, and it is interrupted. */
  readonly end: Effect.Effect<void>
  /** Says from what the run began: who would join may ask whether that still holds. */
  readonly began: (from: unknown) => void
}

export class Flight<A> implements Handle<A> {
  readonly span: Tracer.AnySpan | undefined
  readonly asker: Trace | undefined
  private readonly untaken: Plan<A, never>["untaken"]
  /** Nobody joins it any more. */
  readonly leave: () => void
  /** The request that started it waits for it. */
  isLed: boolean
  /** The request that started it is the first. In the background one is counted too, so that the run goes on when others leave. */
  waiters = 1
  /** What those who wait are told. */
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
  /** Takes back what ends its run at the deadline. */
  cancel: (() => void) | undefined = undefined

  constructor(
    { asker, span, untaken }: Pick<Plan<A, never>, "span" | "asker" | "untaken">,
    isLed: boolean,
    leave: () => void
  ) {
    this.span = span
    this.asker = asker
    this.untaken = untaken
    this.isLed = isLed
    this.leave = leave
  }

  /** Tells all who wait, once. */
  arrive(exit: Exit.Exit<A>): void {
    if (this.arrived !== undefined) return
    this.arrived = exit
    if (this.arrival !== undefined) end(this.arrival, Exit.succeed(exit))
  }

  get end(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.leave()
      return this.fiber === undefined ? Exit.void : interruptLater(this.fiber)
    })
  }

  complete(value: A): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.cancel?.()
      const completed = Exit.succeed(value) as Exit.Success<A, never>
      this.completed = completed
      this.arrive(completed)
      return this.isLed ? Exit.void : this.untaken(value, false)
    })
  }

  began(from: unknown): void {
    this.from = from
  }
}

/** A request that ends as a failure has not taken, or not all of, what it was answered with. */
export const ifNotSent = (untaken: Effect.Effect<void>): Effect.Effect<void> =>
  untaken === Effect.void ? Effect.void : withFiber((context) => {
    const scope = serviceIn(context, Scope.Scope)
    return scope === undefined
      ? Effect.void
      : Scope.addFinalizerExit(scope, (exit) => Exit.isFailure(exit) ? untaken : Effect.void)
  })
