/** One run that requests wait for, and how they are told what it came to. */
import type * as Deferred from "effect/Deferred"
import type * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Tracer from "effect/Tracer"
import { end, type Running } from "./effect.js"
import type { Trace } from "./trace.js"

export interface Flight<A> {
  readonly key: string
  waiters: number
  /** The request that started it waits for it. */
  isLed: boolean
  /** What it came to, for all who wait. */
  arrived: Exit.Exit<A> | undefined
  /** There is one where somebody waits. */
  arrival: Deferred.Deferred<Exit.Exit<A>> | undefined
  completed: { readonly value: A } | undefined
  /** From what the run began; `undefined` where it has not said that. */
  from: unknown
  readonly span: Tracer.AnySpan | undefined
  readonly asker: Trace | undefined
  /** `undefined` until it has started. */
  fiber: Running<void> | undefined
  /** Run before the request that started it goes on without it. */
  hold: Effect.Effect<void>
}

/** Tells all who wait, once. */
export const arrive = <A>(flight: Flight<A>, exit: Exit.Exit<A>): void => {
  if (flight.arrived !== undefined) return
  flight.arrived = exit
  if (flight.arrival !== undefined) end(flight.arrival, Exit.succeed(exit))
}
