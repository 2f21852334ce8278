/** What differs between Effect 3 and Effect 4 and is more than a name: everything else calls these. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import { pipeArguments } from "effect/Pipeable"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import type { YieldWrap } from "effect/Utils"
import { AsyncLocalStorage } from "node:async_hooks"

/** Goes on at once with what an effect has already ended with. An `Exit` is an Effect that has ended. */
export const step = <A, E, R, B, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  next: (value: A) => Effect.Effect<B, E2, R2>
): Effect.Effect<B, E | E2, R | R2> => {
  if (!Exit.isExit(effect)) return Effect.flatMap(effect, next)
  const exit = effect as Exit.Exit<A, E>
  return Exit.isSuccess(exit) ? next(exit.value) : Exit.failCause(exit.cause)
}

/** What an Effect that is written as a generator yields. */
export type Yielded = YieldWrap<Effect.Effect<unknown, unknown, unknown>>

/** A fiber that runs, or has run. */
export type Running<A, E = never> = Fiber.RuntimeFiber<A, E>

/** The fiber that asks for something. */
export type Caller = Running<unknown, unknown>

/** What a fiber has ended with; `undefined` while it runs. */
export const exitOf = <A, E>(fiber: Running<A, E>): Exit.Exit<A, E> | undefined => fiber.unsafePoll() ?? undefined

/** Interrupts a fiber, and doesn't wait for its end. */
export const interruptLater = (fiber: Running<unknown, unknown>): Effect.Effect<void> => Fiber.interruptFork(fiber)

/** A fiber that ends with the present one. */
export const forkChild = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Running<A, E>, never, R> =>
  Effect.fork(effect)

/** A fiber that may outlive the present one. */
export const forkDetached = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Running<A, E>, never, R> =>
  Effect.forkDaemon(effect)

/** Epoch milliseconds. */
export const millisOf = (clock: Clock.Clock): number => clock.unsafeCurrentTimeMillis()

/** A time to measure how long something takes. Seconds. */
export const secondsOf = (clock: Clock.Clock): number => Number(clock.unsafeCurrentTimeNanos()) / 1e9

/** Runs an effect by this clock. */
export const byClock = <A, E, R>(effect: Effect.Effect<A, E, R>, clock: Clock.Clock): Effect.Effect<A, E, R> =>
  Effect.withClock(effect, clock)

/** Goes on with what an effect has failed with, also where it has died or was interrupted. */
export const catchCause = <A, E, R, B, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  next: (cause: Cause.Cause<E>) => Effect.Effect<B, E2, R2>
): Effect.Effect<A | B, E2, R | R2> => Effect.catchAllCause(effect, next)

/** Whether an interruption is part of it. */
export const isInterrupted = (cause: Cause.Cause<unknown>): boolean => Cause.isInterrupted(cause)
export const isInterruptedOnly = (cause: Cause.Cause<unknown>): boolean => Cause.isInterruptedOnly(cause)

/** The error, where it is nothing but one. */
export const errorOf = <E>(cause: Cause.Cause<E>): E | undefined => cause._tag === "Fail" ? cause.error : undefined

/** Goes on with what `AsyncLocalStorage`s had before, whoever ends what it waits for. Effect 4 does that by itself. */
export const keepingStores = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime(({ currentScheduler: before }) => {
    const within = AsyncLocalStorage.snapshot()
    return Effect.withScheduler(effect, {
      shouldYield: (fiber) => before.shouldYield(fiber),
      scheduleTask: (task, ...how) => before.scheduleTask(() => within(task), ...how)
    })
  })

/** What fibers wait for by `ended`, until it is made to end by `end`. Who waits goes on in a step of its own. */
export const deferred = <A>(): Deferred.Deferred<A> => Deferred.unsafeMake(FiberId.none)
export const ended = <A>(deferred: Deferred.Deferred<A>): Effect.Effect<A> => keepingStores(Deferred.await(deferred))
export const end = <A>(deferred: Deferred.Deferred<A>, exit: Exit.Exit<A>): void => Deferred.unsafeDone(deferred, exit)

/** What spans are made by. */
export const tracerOf = ({ currentTracer }: Caller): Tracer.Tracer => currentTracer

/** A span of a server that is over as soon as `answer` is: for what no fiber does. */
export const spanned = <A>(
  tracer: Tracer.Tracer,
  clock: Clock.Clock,
  name: string,
  parent: Tracer.AnySpan | undefined,
  answer: (span: Tracer.Span) => A
): A => {
  const now = () => clock.unsafeCurrentTimeNanos()
  const span = tracer.span(name, Option.fromNullable(parent), Context.empty(), [], now(), "server")
  const answered = answer(span)
  span.end(now(), Exit.void)
  return answered
}

/** Links a span to another one. */
export const link = (span: Tracer.AnySpan | undefined, to: Tracer.AnySpan | undefined): void => {
  if (span?._tag === "Span" && to !== undefined) span.addLinks([{ _tag: "SpanLink", span: to, attributes: {} }])
}

/** What `next` answers each time that it is asked, until that is `undefined`. */
export const streamOf = <A, E>(next: Effect.Effect<A | undefined, E>): Stream.Stream<A, E> =>
  Stream.repeatEffectOption(
    Effect.flatMap(Effect.mapError(next, Option.some), (value) =>
      value === undefined ? Effect.fail(Option.none()) : Effect.succeed(value))
  )

/** What is pushed outside of all fibers, in order, while `listen`'s scope is open. Nothing is dropped. */
export const pushed = <A, E = never, R = never>(
  listen: (push: (value: A) => void, fail: (error: E) => void) => Effect.Effect<void, E, R>
): Stream.Stream<A, E, Exclude<R, Scope.Scope>> =>
  Stream.asyncScoped<A, E, R>(
    (emit) => listen((value) => void emit.single(value), (error) => void emit.fail(error)),
    "unbounded"
  )

/** Runs an effect where a stream fails, and goes on failing. */
export const onStreamFailure = <A, E, R>(
  stream: Stream.Stream<A, E, R>,
  told: Effect.Effect<void>
): Stream.Stream<A, E, R> => Stream.tapErrorCause(stream, () => told)

/** What has a value in each context: a default where nobody has provided another. */
export interface Reference<A> extends Context.Reference<Given, A> {}

/** No effect requires a reference. */
interface Given {
  readonly _: unique symbol
}

export const reference = <A>(key: string, defaultValue: () => A): Reference<A> =>
  Context.Reference<Given>()(key, { defaultValue })

type Tag<I, A> = Context.Tag<I, A> | Context.Reference<I, A>
/** What a context has for a tag. */
export const serviceIn = <I, A>(context: Context.Context<never>, tag: Tag<I, A>): A | undefined =>
  context.unsafeMap.get(tag.key) as A | undefined

/** The context with these services too. */
export const adding = <R>(
  context: Context.Context<R>,
  ...services: ReadonlyArray<readonly [tag: { readonly key: string }, service: unknown]>
): Context.Context<R> => {
  const all = new Map<string, unknown>()
  // An iterator would make a pair of each.
  context.unsafeMap.forEach((service, key) => all.set(key, service))
  for (const [{ key }, service] of services) all.set(key, service)
  return Context.unsafeMake(all) as Context.Context<R>
}

/** The services of the fiber that runs now; `undefined` outside of all fibers. */
export const currentContext = (): Context.Context<never> | undefined =>
  Option.getOrUndefined(Fiber.getCurrentFiber())?.currentContext

/** The services and the clock of the present fiber, and the fiber itself, in one step. */
export const withFiber = <A, E, R>(
  use: (context: Context.Context<R>, clock: Clock.Clock, caller: Caller) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime((fiber) =>
    use(
      fiber.currentContext as Context.Context<R>,
      Context.get(fiber.currentDefaultServices as Context.Context<Clock.Clock>, Clock.Clock),
      fiber
    )
  )

/** How one goes on. */
export interface Next<A, E, B, E2, R> {
  readonly onSuccess: (value: A) => Effect.Effect<B, E2, R>
  readonly onFailure: (cause: Cause.Cause<E>) => Effect.Effect<B, E2, R>
}

/** Runs an effect with these services, and no others; goes on with those of before. What goes on can't be interrupted. */
export const withServices = <A, E, B, E2, R>(
  effect: Effect.Effect<A, E, R>,
  services: Context.Context<never>,
  { onFailure, onSuccess }: Next<A, E, B, E2, R>
): Effect.Effect<B, E2, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiberRuntime(({ currentContext: before }) => {
      const ended = Effect.matchCauseEffect(restore(effect), {
        onSuccess: (value) => Effect.flatMap(FiberRef.set(FiberRef.currentContext, before), () => onSuccess(value)),
        onFailure: (cause) => Effect.flatMap(FiberRef.set(FiberRef.currentContext, before), () => onFailure(cause))
      })
      return Effect.flatMap(FiberRef.set(FiberRef.currentContext, services), () => ended)
    })
  )

/**
 * Starts a fiber of nobody's with these services, and with the references and the clock of the caller. Where it is started at
 * once, it has run to its end, or to where it first waits, when this answers.
 */
export const fork = <A, E, R>(
  caller: Caller,
  effect: Effect.Effect<A, E, R>,
  context: Context.Context<R>,
  isAtOnce: boolean
): Fiber.RuntimeFiber<A, E> =>
  Runtime.runFork(
    Runtime.make({ context, fiberRefs: caller.getFiberRefs(), runtimeFlags: Runtime.defaultRuntimeFlags })
  )(effect, { immediate: isAtOnce })

const machine = Clock.make()
/** The machine's own clock, for what goes on where a `TestClock` stands still. */
export const machineClock = (): Clock.Clock => machine

/** With a `TestClock` a layer would never close that a reader keeps waiting. */
const patience = Effect.withClock(Effect.sleep("5 seconds"), machine)

/** An effect whose waiter can be interrupted at once, even while the effect itself can't. */
export const disconnected = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.disconnect(effect)

/** Waits for a few seconds, and leaves behind what can't be interrupted. */
export const patiently = <A>(effect: Effect.Effect<A>): Effect.Effect<A | void> =>
  Effect.raceFirst(Effect.interruptible(disconnected(effect)), Effect.interruptible(patience))

/** What each fiber has of its own. */
const ownReferences: ReadonlySet<unknown> = new Set([FiberRef.currentContext, FiberRef.currentRuntimeFlags])

/** Whether a fiber has set a reference. */
const leavesReferences = (fiber: Fiber.RuntimeFiber<unknown, unknown>): boolean => {
  let leaves = false
  // An iterator would make a pair of each.
  fiber.getFiberRefs().locals.forEach(([[{ id }]], reference) => {
    leaves ||= id === fiber.id().id && !ownReferences.has(reference)
  })
  return leaves
}

/** What a fiber left in references, such as a pre-response handler, and not its services: those are of its own scope. */
export const inheritReferences = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Effect.Effect<void> =>
  leavesReferences(fiber)
    ? Effect.flatMap(
      FiberRef.get(FiberRef.currentContext),
      (context) => Effect.andThen(Fiber.inheritAll(fiber), FiberRef.set(FiberRef.currentContext, context))
    )
    : Effect.void

/**
 * The scope of a request, for a fiber that may outlive the request. What the fiber acquires goes into a scope of its own,
 * which is made when it is first needed: most handlers acquire nothing, and a finalizer costs more than a fiber.
 */
export class LentScope implements Scope.Scope {
  readonly [Scope.ScopeTypeId]: Scope.ScopeTypeId = Scope.ScopeTypeId
  readonly strategy = ExecutionStrategy.sequential
  private readonly lender: Scope.Scope
  private own: Scope.CloseableScope | undefined
  private fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined

  constructor(lender: Scope.Scope) {
    this.lender = lender
  }

  /** Finalizers run last in, first out: the fiber is waited for, and then its own scope closes. */
  private get made(): Effect.Effect<Scope.CloseableScope> {
    return Effect.suspend(() => {
      if (this.own !== undefined) return Effect.succeed(this.own)
      this.own = Effect.runSync(Scope.fork(this.lender, ExecutionStrategy.sequential))
      const ended = Effect.suspend(() => this.fiber === undefined ? Effect.void : Fiber.await(this.fiber))
      return Effect.as(Scope.addFinalizer(this.lender, ended), this.own)
    })
  }

  /** From now on the lender closes after the fiber has ended. */
  get hold(): Effect.Effect<void> {
    return Effect.asVoid(this.made)
  }

  startedAs(fiber: Fiber.RuntimeFiber<unknown, unknown>): void {
    this.fiber = fiber
  }

  addFinalizer(finalizer: Scope.Scope.Finalizer): Effect.Effect<void> {
    return Effect.flatMap(this.made, (own) => Scope.addFinalizerExit(own, finalizer))
  }

  fork(strategy: ExecutionStrategy.ExecutionStrategy): Effect.Effect<Scope.CloseableScope> {
    return Effect.flatMap(this.made, (own) => Scope.fork(own, strategy))
  }

  pipe() {
    // eslint-disable-next-line prefer-rest-params
    return pipeArguments(this, arguments)
  }
}
