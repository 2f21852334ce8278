/**
 * Single flight: requests for the same wait for one run, which belongs to none of them. What others call request coalescing,
 * or protection from a cache stampede (thundering herd, dog-pile), rests on it.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as HashSet from "effect/HashSet"
import * as Scope from "effect/Scope"
import { inheritReferences, withFiber } from "./effect.js"
import type { Timeouts } from "./timeouts.js"

/** What a run does with the flight that it is of. */
export interface Handle<A> {
  /** Tells all who wait what it came to. The run may go on, as for the rest of a streamed body. */
  readonly complete: (value: A) => Effect.Effect<void>
  /** Nobody joins it any more, and it is interrupted. */
  readonly end: Effect.Effect<void>
  /** Says from what the run began: who would join may ask whether that still holds. */
  readonly began: (from: unknown) => void
}

/** The trace that a request is of, and the span of the client's that it says it is beneath. */
export interface Trace {
  readonly traceId: string
  readonly spanId: string
}

export interface Plan<A, R> {
  /** What is asked for; requests with the same key join. */
  readonly key: string
  /** The trace of the span that the request runs in. */
  readonly ownTrace: string | undefined
  /** What the request says of itself. */
  readonly asker: Trace | undefined
  readonly run: (handle: Handle<A>) => Effect.Effect<void, never, R>
  /**
   * What is done with the value where no request that started the flight takes it: there is none, or it has left, `isGone`
   * if that was after the value came.
   */
  readonly untaken: (value: A, isGone: boolean) => Effect.Effect<void>
  /** Milliseconds, after which the run is interrupted, and comes to `late`. */
  readonly deadline: number
  readonly late: () => A
  /** Whether a request that was interrupted by these was left by its client. What a client that leaves ends, `wait` decides. */
  readonly isClientGone: (by: HashSet.HashSet<FiberId.FiberId>) => boolean
}

export interface Arrival<A> {
  /** A failure is an interruption: the storage's layer has closed. */
  readonly exit: Exit.Exit<A>
  /** It waited for the flight of another request. */
  readonly isJoined: boolean
}

/** A limit on flights or on their waiters is reached: the request runs by itself. */
export type Refused = "flights" | "waiters" | "own"

interface Flight<A> {
  readonly key: string
  waiters: number
  /** The request that started it waits for it. */
  isLed: boolean
  readonly arrival: Deferred.Deferred<Exit.Exit<A>>
  completed: { readonly value: A } | undefined
  /** From what the run began; `undefined` where it has not said that. */
  from: unknown
  readonly trace: string | undefined
  readonly asker: Trace | undefined
  /** `undefined` until it has started. */
  fiber: Fiber.RuntimeFiber<void> | undefined
  /** Run before the request that started it goes on without it. */
  hold: Effect.Effect<void>
}

/** Where flights get their fibers and timers. */
export interface Ground {
  readonly timeouts: Timeouts
  readonly lend: <A, E, R>(
    effect: Effect.Effect<A, E, R>
  ) => Effect.Effect<{ readonly fiber: Fiber.RuntimeFiber<A, E>; readonly hold: Effect.Effect<void> }, never, R>
  readonly waitFor: (fiber: Fiber.RuntimeFiber<unknown, unknown>) => void
}

const maxFlights = 10_000

export class SingleFlight {
  private readonly flights = new Map<string, Flight<unknown>>()
  /** How many flights run in the background, for nobody. */
  background = 0

  private readonly ground: Ground

  constructor(ground: Ground) {
    this.ground = ground
  }

  /** How many flights there are that requests can join. */
  get size(): number {
    return this.flights.size
  }

  /** How many requests wait for them. */
  get waiters(): number {
    let waiters = 0
    for (const flight of this.flights.values()) waiters += flight.waiters
    return waiters
  }

  has(key: string): boolean {
    return this.flights.has(key)
  }

  /** From what the run of the flight with this key began. */
  begunFrom(key: string): unknown {
    return this.flights.get(key)?.from
  }

  /** Nobody joins the flights of these keys any more; who waits for them goes on. */
  close(isClosed: (key: string) => boolean): void {
    for (const key of this.flights.keys()) if (isClosed(key)) this.flights.delete(key)
  }

  /** Joins the flight of this key, or starts one. */
  join<A, R>(plan: Plan<A, R>, maxWaiters: number): Effect.Effect<Arrival<A> | Refused, never, R> {
    return Effect.uninterruptible(Effect.suspend((): Effect.Effect<Arrival<A> | Refused, never, R> => {
      const running = this.flights.get(plan.key) as Flight<A> | undefined
      if (running !== undefined) {
        if (isOwn(running, plan.asker)) return Effect.succeed("own")
        if (running.waiters >= maxWaiters) return Effect.succeed("waiters")
        running.waiters++
        return Effect.map(this.wait(running), (exit) => ({ exit, isJoined: true }))
      }
      if (this.flights.size >= maxFlights) return Effect.succeed("flights")
      const flight = this.claim(plan, true)
      return Effect.flatMap(this.start(flight, plan), (fiber) => {
        this.ground.waitFor(fiber)
        return Effect.map(this.lead(flight, fiber, plan), (exit) => ({ exit, isJoined: false }))
      })
    }))
  }

  /**
   * Starts a flight in the background, unless one of this key is running or `most` are in the background. It ends at its
   * deadline or when the storage's layer closes.
   */
  startInBackground<A, R>(
    plan: Plan<A, R>,
    most: number
  ): Effect.Effect<"started" | "running" | "full", never, R> {
    return Effect.uninterruptible(Effect.suspend((): Effect.Effect<"started" | "running" | "full", never, R> => {
      if (this.flights.has(plan.key)) return Effect.succeed("running")
      if (this.background >= most) return Effect.succeed("full")
      this.background++
      return Effect.map(this.start(this.claim(plan, false), plan), (fiber) => {
        fiber.addObserver(() => this.background--)
        return "started"
      })
    }))
  }

  /** Takes the key. What decides that nobody has it and this follow each other at once: a fiber may yield between two steps. */
  private claim<A, R>({ asker, key, ownTrace }: Plan<A, R>, isLed: boolean): Flight<A> {
    const flight: Flight<A> = {
      key,
      waiters: 1,
      isLed,
      arrival: Deferred.unsafeMake(FiberId.none),
      completed: undefined,
      from: undefined,
      trace: ownTrace,
      asker,
      fiber: undefined,
      hold: Effect.void
    }
    this.flights.set(key, flight as Flight<unknown>)
    return flight
  }

  private leave<A>(flight: Flight<A>): void {
    if ((this.flights.get(flight.key) as Flight<A> | undefined) === flight) this.flights.delete(flight.key)
  }

  private start<A, R>(
    flight: Flight<A>,
    { deadline, late, run, untaken }: Plan<A, R>
  ): Effect.Effect<Fiber.RuntimeFiber<void>, never, R> {
    return withFiber((_, clock: Clock.Clock) => {
      const end = Effect.suspend(() => {
        this.leave(flight)
        return flight.fiber === undefined ? Effect.void : Fiber.interruptFork(flight.fiber)
      })
      const cancel = this.ground.timeouts.after(clock, deadline, () => {
        flight.isLed = false
        Deferred.unsafeDone(flight.arrival, Effect.succeed(Exit.succeed(late())))
        Effect.runFork(end)
      })
      const complete = (value: A) =>
        Effect.suspend(() => {
          cancel()
          flight.completed = { value }
          Deferred.unsafeDone(flight.arrival, Effect.succeed(Exit.succeed(value)))
          return flight.isLed ? Effect.void : untaken(value, false)
        })
      const began = (from: unknown) => void (flight.from = from)
      const { isLed } = flight
      return Effect.flatMap(this.ground.lend(run({ began, complete, end })), ({ fiber, hold }) => {
        flight.fiber = fiber
        flight.hold = hold
        fiber.addObserver((exit) => {
          cancel()
          this.leave(flight)
          const ended = Exit.zipRight(exit, Exit.die("a flight ended before it had come to anything"))
          Deferred.unsafeDone(flight.arrival, Effect.succeed(ended))
        })
        return isLed ? Effect.succeed(fiber) : Effect.as(hold, fiber)
      })
    })
  }

  /**
   * Waits for the value. Whoever leaves ends nothing for the others; the last to leave before the value came interrupts the
   * run. `left` is run where this request leaves.
   */
  private wait<A>(
    flight: Flight<A>,
    left?: (by: Cause.Cause<never>) => Effect.Effect<unknown>
  ): Effect.Effect<Exit.Exit<A>> {
    return Effect.onExit(Effect.interruptible(Deferred.await(flight.arrival)), (exit) => {
      flight.waiters--
      if (Exit.isSuccess(exit)) return Effect.void
      const own = left === undefined ? Effect.void : left(exit.cause)
      if (flight.completed !== undefined || flight.waiters > 0) return own
      this.leave(flight)
      return flight.fiber === undefined ? own : Effect.zipRight(Fiber.interruptFork(flight.fiber), own)
    })
  }

  /** Waits as the request that started it. That one holds what the run uses, also when its client has left. */
  private lead<A, R>(
    flight: Flight<A>,
    fiber: Fiber.RuntimeFiber<void>,
    { isClientGone, untaken }: Plan<A, R>
  ): Effect.Effect<Exit.Exit<A>> {
    const left = (cause: Cause.Cause<never>) => {
      flight.isLed = false
      const untakenNow = flight.completed === undefined ? Effect.void : untaken(flight.completed.value, true)
      const ended = isClientGone(Cause.interruptors(cause)) ? Fiber.await(fiber) : Effect.void
      return Effect.zipRight(Effect.zipRight(flight.hold, untakenNow), ended)
    }
    return Effect.flatMap(this.wait(flight, left), (exit) => {
      const goesOn = fiber.unsafePoll() === null ? flight.hold : Effect.void
      const taken = Exit.isSuccess(exit) ? ifNotSent(untaken(exit.value, true)) : Effect.void
      const inherited = inheritReferences(fiber)
      return goesOn === Effect.void && taken === Effect.void
        ? Effect.as(inherited, exit)
        : Effect.as(Effect.zipRight(inherited, Effect.zipRight(goesOn, taken)), exit)
    })
  }
}

/** A request that ends as a failure has not taken, or not all of, what it was answered with. */
export const ifNotSent = (untaken: Effect.Effect<void>): Effect.Effect<void> =>
  untaken === Effect.void ? Effect.void : withFiber((context) => {
    const scope = context.unsafeMap.get(Scope.Scope.key) as Scope.Scope | undefined
    return scope === undefined
      ? Effect.void
      : Scope.addFinalizerExit(scope, (exit) => Exit.isFailure(exit) ? untaken : Effect.void)
  })

/**
 * Whether a request is one of the flight's own handler, which must not wait for itself: `HttpClient` sends the trace along.
 * It is of the flight's trace, and not of the span that the flight's own request is of.
 */
const isOwn = ({ asker, trace }: Pick<Flight<never>, "asker" | "trace">, other: Trace | undefined): boolean =>
  other !== undefined && other.traceId === trace && other.spanId !== asker?.spanId
