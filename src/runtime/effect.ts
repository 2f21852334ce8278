/** What differs between Effect 3 and Effect 4 and is more than a name: everything else calls these. */
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

/** The services and the clock of the present fiber, read in one step. */
export const withFiber = <A, E, R>(
  use: (context: Context.Context<R>, clock: Clock.Clock) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime((fiber) =>
    use(
      fiber.currentContext as Context.Context<R>,
      Context.get(fiber.currentDefaultServices as Context.Context<Clock.Clock>, Clock.Clock)
    )
  )

/** Runs an effect with these services, and no others. */
export const withServices = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  services: Map<string, unknown>
): Effect.Effect<A, E, R> =>
  Effect.locally(effect, FiberRef.currentContext, Context.unsafeMake(services) as Context.Context<never>)

/** Starts a fiber of nobody's with the services, references and clock of the present one. */
export const forkLikeCaller = <A, E>(
  effect: Effect.Effect<A, E>
): Effect.Effect<Fiber.RuntimeFiber<A, E>> =>
  Effect.withFiberRuntime((caller) =>
    Effect.succeed(
      Runtime.runFork(Runtime.make({
        context: caller.currentContext as Context.Context<never>,
        fiberRefs: caller.getFiberRefs(),
        runtimeFlags: Runtime.defaultRuntimeFlags
      }))(effect)
    )
  )

/** What a fiber left in references, such as a pre-response handler, and not its services: those are of its own scope. */
export const inheritReferences = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Effect.Effect<void> =>
  Effect.flatMap(
    FiberRef.get(FiberRef.currentContext),
    (context) => Effect.zipRight(Fiber.inheritAll(fiber), FiberRef.set(FiberRef.currentContext, context))
  )

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
