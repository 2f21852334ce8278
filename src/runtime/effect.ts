/** What differs between Effect 3 and Effect 4 and is more than a name: everything else calls these. */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import { pipeArguments } from "effect/Pipeable"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"

/** Goes on at once with what an effect has already ended with. An `Exit` is an Effect that has ended. */
export const step = <A, E, R, B, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  next: (value: A) => Effect.Effect<B, E2, R2>
): Effect.Effect<B, E | E2, R | R2> => {
  if (!Exit.isExit(effect)) return Effect.flatMap(effect, next)
  const exit = effect as Exit.Exit<A, E>
  return Exit.isSuccess(exit) ? next(exit.value) : Exit.failCause(exit.cause)
}

/** The fiber that asks for something. */
export type Caller = Fiber.RuntimeFiber<unknown, unknown>

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
  services: Map<string, unknown>,
  { onFailure, onSuccess }: Next<A, E, B, E2, R>
): Effect.Effect<B, E2, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiberRuntime(({ currentContext: before }) => {
      const ended = Effect.matchCauseEffect(restore(effect), {
        onSuccess: (value) => Effect.flatMap(FiberRef.set(FiberRef.currentContext, before), () => onSuccess(value)),
        onFailure: (cause) => Effect.flatMap(FiberRef.set(FiberRef.currentContext, before), () => onFailure(cause))
      })
      const context = Context.unsafeMake(services) as Context.Context<never>
      return Effect.flatMap(FiberRef.set(FiberRef.currentContext, context), () => ended)
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

/** What each fiber has of its own. */
const ownReferences: ReadonlySet<unknown> = new Set([FiberRef.currentContext, FiberRef.currentRuntimeFlags])

/** Whether a fiber has set a reference. */
const leavesReferences = (fiber: Fiber.RuntimeFiber<unknown, unknown>): boolean => {
  const own = fiber.id().id
  for (const [reference, [[{ id }]]] of fiber.getFiberRefs().locals) {
    if (id === own && !ownReferences.has(reference)) return true
  }
  return false
}

/** What a fiber left in references, such as a pre-response handler, and not its services: those are of its own scope. */
export const inheritReferences = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Effect.Effect<void> =>
  leavesReferences(fiber)
    ? Effect.flatMap(
      FiberRef.get(FiberRef.currentContext),
      (context) => Effect.andThen(Fiber.inheritAll(fiber), FiberRef.set(FiberRef.currentContext, context))
    )
    : Effect.void

/** A request that ends as a failure has not taken, or not all of, what it was answered with. */
export const ifNotSent = (untaken: Effect.Effect<void>): Effect.Effect<void> =>
  untaken === Effect.void ? Effect.void : withFiber((context) => {
    const scope = context.unsafeMap.get(Scope.Scope.key) as Scope.Scope | undefined
    return scope === undefined
      ? Effect.void
      : Scope.addFinalizerExit(scope, (exit) => Exit.isFailure(exit) ? untaken : Effect.void)
  })

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
  private readonly made: Effect.Effect<Scope.CloseableScope> = Effect.suspend(() => {
    if (this.own !== undefined) return Effect.succeed(this.own)
    this.own = Effect.runSync(Scope.fork(this.lender, ExecutionStrategy.sequential))
    const ended = Effect.suspend(() => this.fiber === undefined ? Effect.void : Fiber.await(this.fiber))
    return Effect.as(Scope.addFinalizer(this.lender, ended), this.own)
  })

  /** From now on the lender closes after the fiber has ended. */
  readonly hold: Effect.Effect<void> = Effect.suspend(() => Effect.asVoid(this.made))

  startedAs(fiber: Fiber.RuntimeFiber<unknown, unknown>): void {
    this.fiber = fiber
  }

  readonly addFinalizer = (finalizer: Scope.Scope.Finalizer): Effect.Effect<void> =>
    Effect.flatMap(this.made, (own) => Scope.addFinalizerExit(own, finalizer))

  readonly fork = (strategy: ExecutionStrategy.ExecutionStrategy): Effect.Effect<Scope.CloseableScope> =>
    Effect.flatMap(this.made, (own) => Scope.fork(own, strategy))

  pipe() {
    // eslint-disable-next-line prefer-rest-params
    return pipeArguments(this, arguments)
  }
}
