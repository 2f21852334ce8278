/** Requests that ask for the same at the same time, joined into one: a flight, which belongs to none of them. */
import * as HttpServerError from "@effect/platform/HttpServerError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as HashSet from "effect/HashSet"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { fork, lend, perStorage } from "../home/home.js"
import { limitReached } from "../home/limits.js"

/** Tells all who wait what it came to. The flight may go on, as for the rest of a streamed body. */
export type Land<A> = (landing: A) => Effect.Effect<void>

export interface Plan<A, R> {
  /** What is asked for, in which others join; `undefined` is flown alone. */
  readonly name: string | undefined
  readonly fly: (land: Land<A>) => Effect.Effect<void, never, R>
  /** A flight that others may join is interrupted after so many milliseconds, and lands with `late`. */
  readonly deadline: number
  readonly late: () => A
}

export interface Arrival<A> {
  /** A failure is an interruption: the storage's layer has closed. */
  readonly exit: Exit.Exit<A>
  /** It waited for the flight of another request. */
  readonly isJoined: boolean
}

interface Flight<A> {
  waiters: number
  readonly landing: Deferred.Deferred<Exit.Exit<A>>
  readonly trace: string | undefined
  /** `undefined` until it has started. */
  fiber: Fiber.RuntimeFiber<void> | undefined
  /** Nobody else joins it. */
  readonly close: () => void
}

/** What lands under a name is what was asked for under it. */
const tables = perStorage("flights", () => new Map<string, Pick<Flight<unknown>, "waiters">>())

const maxFlights = 10_000

/** How many are under way. */
export const count = (storage: object): number => tables.of(storage).size

/** How many requests wait for them. */
export const waiting = (storage: object): number => {
  let waiters = 0
  for (const flight of tables.of(storage).values()) waiters += flight.waiters
  return waiters
}

export const isFlying = (storage: object, name: string): boolean => tables.of(storage).has(name)

/** `HttpClient` sends the trace along: a handler that asks for its own URL does not wait for itself. */
const currentTrace = Effect.map(
  Effect.serviceOption(Tracer.ParentSpan),
  (span) => Option.isSome(span) ? span.value.traceId : undefined
)

/** Takes the name. What decides that nobody has it and this follow each other at once: a fiber may yield between two steps. */
const claim = <A>(storage: object, name: string | undefined, trace: string | undefined): Flight<A> => {
  const flights = tables.of(storage)
  const close = () => {
    if (name !== undefined && flights.get(name) === flight) flights.delete(name)
  }
  const flight: Flight<A> = { waiters: 1, landing: Deferred.unsafeMake(FiberId.none), trace, fiber: undefined, close }
  if (name !== undefined) flights.set(name, flight)
  return flight
}

const launch = <A, R>(
  storage: object,
  flight: Flight<A>,
  { deadline, fly, late, name }: Plan<A, R>
): Effect.Effect<Fiber.RuntimeFiber<void>, never, R> =>
  Effect.gen(function*() {
    const { close, landing } = flight
    const fiber = yield* lend(storage, fly((value) => Deferred.succeed(landing, Exit.succeed(value))))
    flight.fiber = fiber
    fiber.addObserver((exit) => {
      close()
      const grounded = Exit.zipRight(exit, Exit.die("a flight ended before it landed"))
      Deferred.unsafeDone(landing, Effect.succeed(grounded))
    })
    if (name === undefined) return fiber
    const end = Effect.suspend(() => {
      close()
      return Effect.zipRight(Deferred.succeed(landing, Exit.succeed(late())), Fiber.interruptFork(fiber))
    })
    yield* fork(
      storage,
      Effect.flatMap(
        Effect.timeoutOption(Deferred.await(landing), deadline),
        (landed) => Option.isSome(landed) ? Effect.void : end
      )
    )
    return fiber
  })

/** Whoever leaves ends nothing for the others; the last to leave before it has landed interrupts it. */
const wait = <A>(flight: Flight<A>): Effect.Effect<Exit.Exit<A>> =>
  Effect.interruptible(Deferred.await(flight.landing)).pipe(
    Effect.ensuring(Effect.sync(() => flight.waiters--)),
    Effect.onInterrupt(() =>
      Effect.flatMap(
        Deferred.isDone(flight.landing),
        (isDone) => {
          if (isDone || flight.waiters > 0) return Effect.void
          flight.close()
          return flight.fiber === undefined ? Effect.void : Fiber.interruptFork(flight.fiber)
        }
      )
    )
  )

/** What the handler left in fiber references, such as a pre-response handler; not its scope, while it goes on. */
const inherit = (fiber: Fiber.RuntimeFiber<void>): Effect.Effect<void> =>
  Effect.flatMap(
    FiberRef.get(FiberRef.currentContext),
    (context) => Effect.zipRight(Fiber.inheritAll(fiber), FiberRef.set(FiberRef.currentContext, context))
  )

/** The request that it started with holds what it uses, also when its client has left. */
const lead = <A>(flight: Flight<A>, fiber: Fiber.RuntimeFiber<void>): Effect.Effect<Exit.Exit<A>> =>
  Effect.onInterrupt(
    wait(flight),
    (by) => HashSet.has(by, HttpServerError.clientAbortFiberId) ? Fiber.await(fiber) : Effect.void
  ).pipe(
    Effect.zipLeft(inherit(fiber))
  )

/**
 * Starts it for nobody, as if somebody waited who never leaves, and answers whether nobody else had: its deadline ends it,
 * and the storage's layer.
 */
export const send = <A, R>(
  storage: object,
  plan: Plan<A, R> & { readonly name: string }
): Effect.Effect<boolean, never, R> =>
  Effect.uninterruptible(Effect.flatMap(currentTrace, (trace) => {
    if (tables.of(storage).has(plan.name)) return Effect.succeed(false)
    return Effect.as(launch(storage, claim<A>(storage, plan.name, trace), plan), true)
  }))

/** Joins the flight of this name, or starts one. */
export const board = <A, R>(
  storage: object,
  maxWaiters: number,
  plan: Plan<A, R>
): Effect.Effect<Arrival<A>, never, R> =>
  Effect.uninterruptible(Effect.gen(function*() {
    const flights = tables.of(storage)
    const trace = yield* currentTrace
    const running = plan.name === undefined ? undefined : flights.get(plan.name) as Flight<A> | undefined
    const isOwn = running?.trace !== undefined && running.trace === trace
    if (running !== undefined && !isOwn && running.waiters < maxWaiters) {
      running.waiters++
      return { exit: yield* wait(running), isJoined: true }
    }
    const limit = running !== undefined && !isOwn
      ? "waiters"
      : plan.name !== undefined && flights.size >= maxFlights
      ? "flights"
      : undefined
    const name = running === undefined && limit === undefined ? plan.name : undefined
    const flight = claim<A>(storage, name, trace)
    if (limit !== undefined) yield* limitReached(storage, limit, "and requests run the handler for themselves")
    const fiber = yield* launch(storage, flight, { ...plan, name })
    return { exit: yield* lead(flight, fiber), isJoined: false }
  }))
