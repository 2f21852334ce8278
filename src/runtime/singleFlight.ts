/**
 * Single flight: requests for the same wait for one run, which belongs to none of them. What others call request coalescing,
 * or protection from a cache stampede (thundering herd, dog-pile), rests on it.
 */
import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Tracer from "effect/Tracer"
import {
  type Caller,
  deferred,
  ended,
  exitOf,
  inheritReferences,
  keepingStores,
  link,
  type Running,
  step,
  withFiber
} from "./effect.js"
import { Flight, type Handle, ifNotSent } from "./flight.js"
import * as metrics from "./metrics.js"
import type { Runtime } from "./runtime.js"
import { isOwn, type Trace } from "./trace.js"

export interface Plan<A, R> {
  /** What is asked for; requests with the same key join. */
  readonly key: string
  /** The one that the request runs in. */
  readonly span: Tracer.AnySpan | undefined
  /** What the request says of itself. */
  readonly asker: Trace | undefined
  readonly run: (handle: Handle<A>) => Effect.Effect<void, never, R>
  /**
   * What is done with the value if the request that started the flight does not take it: there is no such request, or it has
   * left. `isGone`: it left after the value came.
   */
  readonly untaken: (value: A, isGone: boolean) => Effect.Effect<void>
  /** The time limit of the handler, after which its run is interrupted, and comes to `late`. Milliseconds. */
  readonly deadline: number
  readonly late: () => A
  /** Whether a request that was interrupted so was left by its client. */
  readonly isClientGone: (cause: Cause.Cause<unknown>) => boolean
}

interface Arrival<A> {
  /** A failure is an interruption: the storage's layer has closed. */
  readonly exit: Exit.Exit<A>
  /** It waited for the flight of another request. */
  readonly isJoined: boolean
}

/** The request runs by itself: a limit on flights or on their waiters is reached, or it is part of the flight's own run. */
type Refused = "flights" | "waiters" | "own"

/** Where flights get their fibers and timers. */
type Ground = Pick<Runtime, "lend" | "timeouts">

const maxFlights = 10_000

const interrupted: Exit.Exit<never> = Effect.runSyncExit(Effect.interrupt)

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

  /** How many requests wait for them, with those that started them. One that runs in the background counts as waited for. */
  get waiters(): number {
    let waiters = 0
    for (const flight of this.flights.values()) waiters += flight.waiters
    return waiters
  }

  has(key: string): boolean {
    return this.flights.has(key)
  }

  /** Waits for what the flight of this key comes to, if there is one, for so many milliseconds at most, as one of its waiters. */
  watch(key: string, clock: Clock.Clock, millis: number, maxWaiters: number): Effect.Effect<"waiters" | undefined> {
    return Effect.suspend(() => {
      const flight = this.flights.get(key)
      if (flight === undefined || flight.arrived !== undefined) return Exit.succeed(undefined)
      if (flight.waiters >= maxWaiters) return Exit.succeed("waiters")
      const arrival = flight.arrival ??= deferred()
      return Effect.acquireUseRelease(
        Effect.sync(() => this.enter(flight)),
        () =>
          // What is slower ends at once, also where the app can't be interrupted.
          keepingStores(Effect.interruptible(
            Effect.as(Effect.raceFirst(ended(arrival), this.ground.timeouts.passing(clock, millis)), undefined)
          )),
        () => Effect.andThen(Effect.sync(() => metrics.waiters(-1)), this.left(flight))
      )
    })
  }

  /** From what the run of the flight with this key began. */
  begunFrom(key: string): unknown {
    return this.flights.get(key)?.from
  }

  /** Nobody joins the flight of this key any more, if its run began from this; who waits keeps waiting. */
  leave(key: string, from: unknown): void {
    const flight = this.flights.get(key)
    if (flight !== undefined && flight.from === from) flight.leave()
  }

  /** Nobody joins the flights of these keys any more; who waits keeps waiting. */
  close(isClosed: (key: string) => boolean): void {
    for (const key of this.flights.keys()) if (isClosed(key)) this.flights.delete(key)
  }

  /** The storage's layer closes: nobody waits for the runs any more, also where they can't be interrupted. */
  end(): void {
    for (const flight of this.flights.values()) {
      flight.isLed = false
      flight.arrive(interrupted)
    }
  }

  /** Joins the flight of this key, or starts one. */
  join<A, R>(plan: Plan<A, R>, maxWaiters: number): Effect.Effect<Arrival<A> | Refused, never, R> {
    return Effect.uninterruptible(
      withFiber((context: Context.Context<R>, clock, caller): Effect.Effect<Arrival<A> | Refused, never, R> => {
        const running = this.flights.get(plan.key) as Flight<A> | undefined
        if (running !== undefined) {
          if (isOwn(running, plan.asker)) return Exit.succeed("own")
          if (running.waiters >= maxWaiters) return Exit.succeed("waiters")
          this.enter(running)
          link(plan.span, running.span)
          const waited = Effect.onExit(this.wait(running), () => Effect.sync(() => metrics.waiters(-1)))
          return Effect.map(waited, (exit) => ({ exit, isJoined: true }))
        }
        if (this.flights.size >= maxFlights) return Exit.succeed("flights")
        const flight = this.claim(plan, true)
        const fiber = this.start(flight, plan, context, clock, caller)
        return step(this.lead(flight, fiber, plan), (exit) => Exit.succeed({ exit, isJoined: false }))
      })
    )
  }

  /**
   * Starts a flight in the background, unless one of this key is running. `"full"`: `most` are in the background already.
   * The flight ends at its deadline or when the storage's layer closes.
   */
  startInBackground<A, R>(plan: Plan<A, R>, most: number): Effect.Effect<"full" | undefined, never, R> {
    return Effect.uninterruptible(
      withFiber((context: Context.Context<R>, clock, caller): Effect.Effect<"full" | undefined, never, R> => {
        if (this.flights.has(plan.key)) return Exit.succeed(undefined)
        if (this.background >= most) return Exit.succeed("full")
        this.background++
        metrics.refreshes(1)
        const flight = this.claim(plan, false)
        this.start(flight, plan, context, clock, caller).addObserver(() => {
          this.background--
          metrics.refreshes(-1)
        })
        return Effect.as(flight.hold, undefined)
      })
    )
  }

  /** Takes the key, in the same step in which it was found free: a fiber may yield between two steps. */
  private claim<A, R>(plan: Plan<A, R>, isLed: boolean): Flight<A> {
    const { key } = plan
    const flight: Flight<A> = new Flight(plan, isLed, () => {
      if ((this.flights.get(key) as Flight<A> | undefined) === flight) this.flights.delete(key)
    })
    this.flights.set(key, flight as Flight<unknown>)
    return flight
  }

  private enter<A>(flight: Flight<A>): void {
    flight.waiters++
    metrics.waiters(1)
  }

  /** One who waited has left: the last to leave before the value came interrupts the run. */
  private left<A>(flight: Flight<A>): Effect.Effect<unknown> {
    flight.waiters--
    if (flight.completed !== undefined || flight.waiters > 0) return Effect.void
    flight.leave()
    return flight.end
  }

  /** A flight that a request leads runs to where it first waits before this answers. */
  private start<A, R>(
    flight: Flight<A>,
    { deadline, late, run }: Plan<A, R>,
    context: Context.Context<R>,
    clock: Clock.Clock,
    caller: Caller
  ): Running<void> {
    const { isLed } = flight
    const { fiber, hold } = this.ground.lend(caller, run(flight), context, {
      isAtOnce: isLed,
      isAwaited: isLed
    })
    flight.fiber = fiber
    flight.hold = hold
    const over = (exit: Exit.Exit<void>) => {
      flight.cancel?.()
      flight.leave()
      if (flight.arrived !== undefined) return
      flight.arrive(Exit.isSuccess(exit) ? Exit.die("the flight came to nothing") : Exit.failCause(exit.cause))
    }
    const exit = exitOf(fiber)
    if (exit !== undefined) {
      over(exit)
      return fiber
    }
    metrics.flights(1)
    fiber.addObserver((exit) => {
      metrics.flights(-1)
      over(exit)
    })
    if (flight.completed === undefined) {
      flight.cancel = this.ground.timeouts.after(clock, deadline, () => {
        flight.isLed = false
        flight.arrive(Exit.succeed(late()))
        Effect.runFork(flight.end)
      })
    }
    return fiber
  }

  /** Waits for the value. Whoever leaves ends nothing for the others. `leaving` is run where this request leaves. */
  private wait<A>(
    flight: Flight<A>,
    leaving?: (by: Cause.Cause<never>) => Effect.Effect<unknown>
  ): Effect.Effect<Exit.Exit<A>> {
    if (flight.arrived !== undefined) {
      flight.waiters--
      return Exit.succeed(flight.arrived)
    }
    flight.arrival ??= deferred()
    return Effect.onExit(Effect.interruptible(ended(flight.arrival)), (exit) => {
      if (Exit.isSuccess(exit)) return Effect.sync(() => flight.waiters--)
      const own = leaving === undefined ? Effect.void : leaving(exit.cause)
      return Effect.andThen(this.left(flight), own)
    })
  }

  /** Waits as the request that started it. That one holds what the run uses, also when its client has left. */
  private lead<A, R>(
    flight: Flight<A>,
    fiber: Running<void>,
    { isClientGone, untaken }: Plan<A, R>
  ): Effect.Effect<Exit.Exit<A>> {
    const leaving = (cause: Cause.Cause<never>) => {
      flight.isLed = false
      const untakenNow = flight.completed === undefined ? Effect.void : untaken(flight.completed.value, true)
      const held = Effect.andThen(flight.hold, untakenNow)
      return isClientGone(cause) ? Effect.andThen(held, Fiber.await(fiber)) : held
    }
    return step(this.wait(flight, leaving), (exit) => {
      const goesOn = exitOf(fiber) === undefined ? flight.hold : Effect.void
      const taken = Exit.isSuccess(exit) ? ifNotSent(untaken(exit.value, true)) : Effect.void
      const inherited = inheritReferences(fiber)
      const steps = [inherited, goesOn, taken].filter((effect) => effect !== Effect.void)
      return steps.length === 0 ? Exit.succeed(exit) : Effect.as(Effect.all(steps, { discard: true }), exit)
    })
  }
}
