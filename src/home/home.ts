/** What belongs to a storage and to no request: where its fibers live, and what is remembered of it. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as ExecutionStrategy from "effect/ExecutionStrategy"
import * as Fiber from "effect/Fiber"
import * as GlobalValue from "effect/GlobalValue"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"

/** One value for each storage, made when it is first asked for. Two copies of this module share them. */
export const perStorage = <A>(name: string, make: () => A) => {
  const values = GlobalValue.globalValue(Symbol.for(`effect-http-cache/${name}`), () => new WeakMap<object, A>())
  return {
    of: (storage: object): A => {
      const known = values.get(storage)
      if (known !== undefined) return known
      const value = make()
      values.set(storage, value)
      return value
    },
    set: (storage: object, value: A): void => void values.set(storage, value)
  }
}

/** Whether `until` is to come; not when a clock that went back has left it behind. Milliseconds. */
export const isAhead = (until: number, now: number, most: number): boolean => now < until && until - now <= most

type Fork = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Fiber.RuntimeFiber<A, E>, never, R>

/** Of a storage that no layer of ours made nothing ends the fibers but their deadline. */
const forks = perStorage<Fork>("fork", () => Effect.forkDaemon)

/** Fibers that somebody waits for. */
const waitedFor = perStorage("waited-for", () => new Set<Fiber.RuntimeFiber<unknown, unknown>>())

/** Whoever closes the storage lets the fiber end, within a bound. */
export const waitFor = (storage: object, fiber: Fiber.RuntimeFiber<unknown, unknown>): void => {
  const fibers = waitedFor.of(storage)
  fibers.add(fiber)
  fiber.addObserver(() => fibers.delete(fiber))
}

const awaitAll = (storage: object): Effect.Effect<void> =>
  Effect.suspend(() => {
    const fibers = waitedFor.of(storage)
    return fibers.size === 0 ? Effect.void : Effect.zipRight(Fiber.awaitAll(fibers), awaitAll(storage))
  })

/** Seconds of the machine's own clock: with a `TestClock` a layer would never close that a reader keeps waiting. */
const patience = Effect.withClock(Effect.sleep("5 seconds"), Clock.make())

/** What can't be interrupted is left behind: in this order. */
const bounded = <A>(effect: Effect.Effect<A>) =>
  Effect.raceFirst(Effect.interruptible(Effect.disconnect(effect)), Effect.interruptible(patience))

const closed = new WeakSet<object>()

/** The layer of the storage has closed, or is about to: nothing new is begun for nobody. */
export const isClosed = (storage: object): boolean => closed.has(storage)

/**
 * The fibers of the storage end with the scope: those that somebody waits for have some time to, the others are
 * interrupted. Later ones, of requests that the server still answers, are nobody's.
 */
export const adopt = (storage: object): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Scope.make(ExecutionStrategy.parallel), (scope) => {
    forks.set(storage, Effect.forkIn(scope))
    return Effect.addFinalizer((exit) =>
      Effect.suspend(() => {
        closed.add(storage)
        forks.set(storage, Effect.forkDaemon)
        return Effect.zipRight(bounded(awaitAll(storage)), bounded(Scope.close(scope, exit)))
      })
    )
  })

/** A fork inherits that it can't be interrupted, as the fiber of a request outside a route can't. */
export const fork = <A, E, R>(storage: object, effect: Effect.Effect<A, E, R>) =>
  forks.of(storage)(Effect.interruptible(effect))

/**
 * Forks a fiber that may outlive its request, and lends it what the request holds: the request's scope closes after the
 * fiber has ended. Finalizers run last in, first out, so what the fiber acquires goes into a scope that is made first.
 */
export const lend = <A, E, R>(
  storage: object,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<Fiber.RuntimeFiber<A, E>, never, R> =>
  Effect.flatMap(
    Effect.serviceOption(Scope.Scope),
    Option.match({
      onNone: () => fork(storage, effect),
      onSome: (scope) =>
        Effect.flatMap(Scope.fork(scope, ExecutionStrategy.sequential), (own) =>
          Effect.tap(
            fork(
              storage,
              Effect.mapInputContext(
                effect,
                (context: Context.Context<R>) => Context.add(context, Scope.Scope, own) as Context.Context<R>
              )
            ),
            (fiber) => Scope.addFinalizer(scope, Fiber.await(fiber))
          ))
    })
  )
