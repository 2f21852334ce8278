/** The twin of `src/runtime/effect.ts` for Effect 4: it has the same names, and a comment where the two differ in more than those. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"

export const step = <A, E, R, B, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  next: (value: A) => Effect.Effect<B, E2, R2>
): Effect.Effect<B, E | E2, R | R2> => {
  if (!Exit.isExit(effect)) return Effect.flatMap(effect, next)
  const exit = effect as Exit.Exit<A, E>
  return Exit.isSuccess(exit) ? next(exit.value) : Exit.failCause(exit.cause)
}

export type Yielded = Effect.Effect<unknown, unknown, unknown>

export type Running<A, E = never> = Fiber.Fiber<A, E>

export type Caller = Running<unknown, unknown>

export const exitOf = <A, E>(fiber: Running<A, E>): Exit.Exit<A, E> | undefined => fiber.pollUnsafe()

export const interruptLater = (fiber: Running<unknown, unknown>): Effect.Effect<void> =>
  Effect.asVoid(Effect.forkDetach(Fiber.interrupt(fiber)))

export const forkChild = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Running<A, E>, never, R> =>
  Effect.forkChild(effect, { uninterruptible: "inherit" })

export const forkDetached = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Running<A, E>, never, R> =>
  Effect.forkDetach(effect, { uninterruptible: "inherit" })

export const millisOf = (clock: Clock.Clock): number => clock.currentTimeMillisUnsafe()

/** The clock of the day goes back in Effect 4, also in nanoseconds. */
export const secondsOf = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e9

export const byClock = <A, E, R>(effect: Effect.Effect<A, E, R>, clock: Clock.Clock): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, Clock.Clock, clock)

export const catchCause = <A, E, R, B, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  next: (cause: Cause.Cause<E>) => Effect.Effect<B, E2, R2>
): Effect.Effect<A | B, E2, R | R2> => Effect.catchCause(effect, next)

export const isInterrupted = (cause: Cause.Cause<unknown>): boolean => Cause.hasInterrupts(cause)

export const isInterruptedOnly = (cause: Cause.Cause<unknown>): boolean => Cause.hasInterruptsOnly(cause)

export const errorOf = <E>(cause: Cause.Cause<E>): E | undefined => {
  const [reason, ...others] = cause.reasons
  return reason?._tag === "Fail" && others.length === 0 ? reason.error : undefined
}

/** A fiber of Effect 4 keeps them by itself. */
export const keepingStores = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => effect

export const deferred = <A>(): Deferred.Deferred<A> => Deferred.makeUnsafe()

/** Effect 4 would run who waits at once, in the midst of what ends the wait. */
export const ended = <A>(deferred: Deferred.Deferred<A>): Effect.Effect<A> =>
  Effect.flatMap(Deferred.await(deferred), (value) => Effect.as(Effect.yieldNow, value))

export const end = <A>(deferred: Deferred.Deferred<A>, exit: Exit.Exit<A>): void =>
  void Deferred.doneUnsafe(deferred, exit)

export const tracerOf = (caller: Caller): Tracer.Tracer => caller.getRef(Tracer.Tracer)

export const spanned = <A>(
  tracer: Tracer.Tracer,
  clock: Clock.Clock,
  name: string,
  parent: Tracer.AnySpan | undefined,
  answer: (span: Tracer.Span) => A
): A => {
  const now = () => clock.currentTimeNanosUnsafe()
  const span = tracer.span({
    name,
    parent: Option.fromNullishOr(parent),
    annotations: Context.empty(),
    links: [],
    startTime: now(),
    kind: "server",
    root: false,
    sampled: true
  })
  const answered = answer(span)
  span.end(now(), Exit.void)
  return answered
}

export const link = (span: Tracer.AnySpan | undefined, to: Tracer.AnySpan | undefined): void => {
  if (span?._tag === "Span" && to !== undefined) span.addLinks([{ span: to, attributes: {} }])
}

export const streamOf = <A, E>(next: Effect.Effect<A | undefined, E>): Stream.Stream<A, E> =>
  Stream.fromPull(
    Effect.succeed(
      Effect.flatMap(next, (value) => value === undefined ? Cause.done() : Effect.succeed([value] as const))
    )
  )

export const pushed = <A, E = never, R = never>(
  listen: (push: (value: A) => void, fail: (error: E) => void) => Effect.Effect<void, E, R>
): Stream.Stream<A, E, Exclude<R, Scope.Scope>> =>
  Stream.callback<A, E, R>((queue) =>
    listen(
      (value) => void Queue.offerUnsafe(queue, value),
      (error) => void Queue.failCauseUnsafe(queue, Cause.fail(error))
    ), { bufferSize: Number.POSITIVE_INFINITY })

export const onStreamFailure = <A, E, R>(
  stream: Stream.Stream<A, E, R>,
  told: Effect.Effect<void>
): Stream.Stream<A, E, R> => Stream.tapCause(stream, () => told)

export interface Reference<A> extends Context.Reference<A> {}

export const reference = <A>(key: string, defaultValue: () => A): Reference<A> =>
  Context.Reference<A>(key, { defaultValue })

export const serviceIn = <I, A>(context: Context.Context<never>, tag: Context.Key<I, A>): A | undefined =>
  Context.getOrUndefined(context, tag)

export const adding = <R>(
  context: Context.Context<R>,
  ...services: ReadonlyArray<readonly [tag: { readonly key: string }, service: unknown]>
): Context.Context<R> =>
  services.reduce((context, [{ key }, service]) => Context.addUnsafe(context, key, service), context)

export const currentContext = (): Context.Context<never> | undefined => Fiber.getCurrent()?.context

export const withFiber = <A, E, R>(
  use: (context: Context.Context<R>, clock: Clock.Clock, caller: Caller) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => use(fiber.context as Context.Context<R>, fiber.getRef(Clock.Clock), fiber))

export interface Next<A, E, B, E2, R> {
  readonly onSuccess: (value: A) => Effect.Effect<B, E2, R>
  readonly onFailure: (cause: Cause.Cause<E>) => Effect.Effect<B, E2, R>
}

export const withServices = <A, E, B, E2, R>(
  effect: Effect.Effect<A, E, R>,
  services: Context.Context<never>,
  { onFailure, onSuccess }: Next<A, E, B, E2, R>
): Effect.Effect<B, E2, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiber((fiber) => {
      const { context: before } = fiber
      fiber.setContext(services)
      return Effect.matchCauseEffect(restore(effect), {
        onSuccess: (value) => {
          fiber.setContext(before)
          return onSuccess(value)
        },
        onFailure: (cause) => {
          fiber.setContext(before)
          return onFailure(cause)
        }
      })
    })
  )

/**
 * What a request has beside its response: who has it may set a pre-response handler there. The platform makes one for each
 * request, and gives nobody but itself the tag.
 */
export interface RequestState {
  preResponseHandler: unknown
  readonly request?: object
  /** The fibers that wait for this one, and for each other; `undefined` where nobody does. */
  readonly waiters: ReadonlyArray<Caller> | undefined
}

const RequestState = Context.Service<RequestState>("effect/http/HttpEffect/CurrentRequestState")

export const requestStateOf = (context: Context.Context<never>): RequestState | undefined => {
  const state = Context.getOrUndefined(context, RequestState)
  return state === undefined || "waiters" in state ? state : Object.assign(state, { waiters: [] })
}

/** What each fiber that was forked has set there. */
const own = new WeakMap<Caller, RequestState>()

/** The references are part of the context. What is set for the response is the fiber's own, until that is inherited. */
export const fork = <A, E, R>(
  caller: Caller,
  effect: Effect.Effect<A, E, R>,
  context: Context.Context<R>,
  isAtOnce: boolean
): Running<A, E> => {
  const state = requestStateOf(context)
  // What is not started at once is in the background.
  const waiters = { value: isAtOnce && state?.waiters !== undefined ? [...state.waiters, caller] : undefined }
  const forked = state === undefined ? undefined : Object.create(state, { waiters }) as RequestState
  const fiber = Effect.runForkWith(
    forked === undefined ? context : Context.add(context, RequestState, forked)
  )(isAtOnce ? effect : Effect.andThen(Effect.yieldNow, effect))
  if (forked !== undefined) own.set(fiber, forked)
  return fiber
}

export const inheritReferences = (fiber: Running<unknown, unknown>): Effect.Effect<void> => {
  const forked = own.get(fiber)
  return forked === undefined || Object.keys(forked).length === 0
    ? Effect.void
    : Effect.withFiber(({ context }) => Effect.sync(() => void Object.assign(requestStateOf(context) ?? {}, forked)))
}

/** The machine's own clock, for what goes on where a `TestClock` stands still. */
export const machineClock = (): Clock.Clock => Clock.Clock.defaultValue()

/** With a `TestClock` a layer would never close that a reader keeps waiting. */
const patience = Effect.suspend(() => byClock(Effect.sleep("5 seconds"), machineClock()))

/** There is no `Effect.disconnect`: what can't be interrupted goes on in a fiber of its own. */
export const disconnected = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      Effect.forkDetach(restore(effect)),
      (fiber) => Effect.onInterrupt(restore(Effect.flatten(Fiber.await(fiber))), () => interruptLater(fiber))
    )
  )

export const patiently = <A>(effect: Effect.Effect<A>): Effect.Effect<A | void> =>
  Effect.raceFirst(Effect.interruptible(disconnected(effect)), Effect.interruptible(patience))

/** A scope is its state here: whoever looks at that acquires something. */
export class LentScope implements Scope.Scope {
  readonly "~effect/Scope" = "~effect/Scope" as const
  readonly strategy = "sequential"
  readonly parent: Scope.Scope
  private own: Scope.Closeable | undefined
  private fiber: Running<unknown, unknown> | undefined

  constructor(lender: Scope.Scope) {
    this.parent = lender
  }

  /** Finalizers run last in, first out: the fiber is waited for, and then its own scope closes. */
  private made(): Scope.Closeable {
    if (this.own === undefined) {
      this.own = Scope.forkUnsafe(this.parent)
      const ended = Effect.suspend(() =>
        this.fiber === undefined ? Effect.void : Effect.asVoid(Fiber.await(this.fiber))
      )
      Effect.runSync(Scope.addFinalizer(this.parent, ended))
    }
    return this.own
  }

  get state(): Scope.Scope["state"] {
    return this.made().state
  }

  set state(state: Scope.Scope["state"]) {
    this.made().state = state
  }

  readonly hold: Effect.Effect<void> = Effect.sync(() => void this.made())

  startedAs(fiber: Running<unknown, unknown>): void {
    this.fiber = fiber
  }
}
