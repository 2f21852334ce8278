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
import * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import { fork, lend, perStorage, waitFor } from "../home/home.js"
import { limitReached } from "../home/limits.js"

/** What a flight is flown with. */
export interface Air<A> {
  /** Tells all who wait what it came to. The flight may go on, as for the rest of a streamed body. */
  readonly land: (landing: A) => Effect.Effect<void>
  /** Nobody joins it any more, and it is interrupted. */
  readonly end: Effect.Effect<void>
}

/** The span of the client's that a request says it is of. */
export interface Asker {
  readonly traceId: string
  readonly spanId: string
}

export interface Plan<A, R> {
  readonly asker?: Asker | undefined
  /** What is asked for, in which others join; `undefined` is flown alone. */
  readonly name: string | undefined
  readonly fly: (air: Air<A>) => Effect.Effect<void, never, R>
  /**
   * What is done with what it came to where no request that started it takes it: there is none, or it has left, `isGone`
   * if that was after the landing.
   */
  readonly untaken: (landing: A, isGone: boolean) => Effect.Effect<void>
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
  /** The request that started it waits for it. */
  isLed: boolean
  readonly landing: Deferred.Deferred<Exit.Exit<A>>
  landed: { readonly value: A } | undefined
  /** The trace that it is part of, and what the request that started it said of itself. */
  readonly trace: string | undefined
  readonly asker: Asker | undefined
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

const currentTrace = Effect.map(
  Effect.serviceOption(Tracer.ParentSpan),
  (span) => Option.isSome(span) ? span.value.traceId : undefined
)

/** Takes the name. What decides that nobody has it and this follow each other at once: a fiber may yield between two steps. */
const claim = <A>(
  storage: object,
  { asker, name }: Pick<Plan<A, never>, "asker" | "name">,
  trace: string | undefined,
  isLed: boolean
): Flight<A> => {
  const flights = tables.of(storage)
  const close = () => {
    if (name !== undefined && flights.get(name) === flight) flights.delete(name)
  }
  const flight: Flight<A> = {
    waiters: 1,
    isLed,
    landing: Deferred.unsafeMake(FiberId.none),
    landed: undefined,
    trace,
    asker,
    fiber: undefined,
    close
  }
  if (name !== undefined) flights.set(name, flight)
  return flight
}

const launch = <A, R>(
  storage: object,
  flight: Flight<A>,
  { deadline, fly, late, name, untaken }: Plan<A, R>,
  onEnd: () => void = () => {}
): Effect.Effect<Fiber.RuntimeFiber<void>, never, R> =>
  Effect.gen(function*() {
    const { close, landing } = flight
    const land = (value: A) =>
      Effect.suspend(() => {
        flight.landed = { value }
        Deferred.unsafeDone(landing, Effect.succeed(Exit.succeed(value)))
        return flight.isLed ? Effect.void : untaken(value, false)
      })
    const end = Effect.suspend(() => {
      close()
      return flight.fiber === undefined ? Effect.void : Fiber.interruptFork(flight.fiber)
    })
    const fiber = yield* lend(storage, fly({ land, end }))
    flight.fiber = fiber
    fiber.addObserver((exit) => {
      close()
      onEnd()
      const grounded = Exit.zipRight(exit, Exit.die("a flight ended before it landed"))
      Deferred.unsafeDone(landing, Effect.succeed(grounded))
    })
    if (name === undefined) return fiber
    const giveUp = Effect.suspend(() => {
      if (flight.landed !== undefined) return Effect.void
      flight.isLed = false
      Deferred.unsafeDone(landing, Effect.succeed(Exit.succeed(late())))
      return end
    })
    yield* fork(
      storage,
      Effect.flatMap(
        Effect.timeoutOption(Deferred.await(landing), deadline),
        (landed) => Option.isSome(landed) ? Effect.void : giveUp
      )
    )
    return fiber
  })

/** Whoever leaves ends nothing for the others; the last to leave before it has landed interrupts it. */
const wait = <A>(flight: Flight<A>): Effect.Effect<Exit.Exit<A>> =>
  Effect.interruptible(Deferred.await(flight.landing)).pipe(
    Effect.ensuring(Effect.sync(() => flight.waiters--)),
    Effect.onInterrupt(() =>
      Effect.suspend(() => {
        if (flight.landed !== undefined || flight.waiters > 0) return Effect.void
        flight.close()
        return flight.fiber === undefined ? Effect.void : Fiber.interruptFork(flight.fiber)
      })
    )
  )

/** What the handler left in fiber references, such as a pre-response handler; not its scope, while it goes on. */
const inherit = (fiber: Fiber.RuntimeFiber<void>): Effect.Effect<void> =>
  Effect.flatMap(
    FiberRef.get(FiberRef.currentContext),
    (context) => Effect.zipRight(Fiber.inheritAll(fiber), FiberRef.set(FiberRef.currentContext, context))
  )

/** The request that it started with holds what it uses, also when its client has left. */
const lead = <A>(
  flight: Flight<A>,
  fiber: Fiber.RuntimeFiber<void>,
  untaken: Plan<A, never>["untaken"]
): Effect.Effect<Exit.Exit<A>> =>
  wait(flight).pipe(
    Effect.onInterrupt((by) =>
      Effect.suspend(() => {
        flight.isLed = false
        const left = flight.landed === undefined ? Effect.void : untaken(flight.landed.value, true)
        const isGone = HashSet.has(by, HttpServerError.clientAbortFiberId)
        return isGone ? Effect.zipRight(left, Fiber.await(fiber)) : left
      })
    ),
    Effect.zipLeft(inherit(fiber)),
    Effect.tap((exit) => Exit.isSuccess(exit) ? ifUntaken(untaken(exit.value, true)) : Effect.void)
  )

/** A request that ends as a failure has not taken, or not all of, what it was answered with. */
const ifUntaken = (untaken: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.flatMap(Effect.serviceOption(Scope.Scope), (scope) =>
    Option.isNone(scope)
      ? Effect.void
      : Scope.addFinalizerExit(scope.value, (exit) => Exit.isFailure(exit) ? untaken : Effect.void))

const sent = perStorage("sent", () => ({ count: 0 }))

/** How many are under way for nobody. */
export const sentCount = (storage: object): number => sent.of(storage).count

/**
 * Starts it for nobody, as if somebody waited who never leaves, and answers what came of that: others may be under way
 * for the same, or `most` for nobody. Its deadline ends it, and the storage's layer.
 */
export const send = <A, R>(
  storage: object,
  most: number,
  plan: Plan<A, R> & { readonly name: string }
): Effect.Effect<"sent" | "flying" | "full", never, R> =>
  Effect.uninterruptible(Effect.flatMap(currentTrace, (trace) => {
    if (isFlying(storage, plan.name)) return Effect.succeed("flying")
    const running = sent.of(storage)
    if (running.count >= most) return Effect.succeed("full")
    running.count++
    const flight = claim<A>(storage, plan, trace, false)
    return Effect.as(launch(storage, flight, plan, () => running.count--), "sent")
  }))

/**
 * Whether a request is one of the flight's own handler, which must not wait for itself: `HttpClient` sends the trace along.
 * It is of the flight's trace, and not of the span that the flight's own request is of.
 */
const isOwn = ({ asker, trace }: Pick<Flight<unknown>, "asker" | "trace">, other: Asker | undefined): boolean =>
  other !== undefined && other.traceId === trace && other.spanId !== asker?.spanId

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
    const isAmongOthers = running !== undefined && !isOwn(running, plan.asker)
    if (isAmongOthers && running.waiters < maxWaiters) {
      running.waiters++
      return { exit: yield* wait(running), isJoined: true }
    }
    const limit = isAmongOthers
      ? "waiters"
      : plan.name !== undefined && flights.size >= maxFlights
      ? "flights"
      : undefined
    const name = running === undefined && limit === undefined ? plan.name : undefined
    const flight = claim<A>(storage, { asker: plan.asker, name }, trace, true)
    if (limit !== undefined) yield* limitReached(storage, limit, "and requests run the handler for themselves")
    const fiber = yield* launch(storage, flight, { ...plan, name })
    waitFor(storage, fiber)
    return { exit: yield* lead(flight, fiber, plan.untaken), isJoined: false }
  }))
