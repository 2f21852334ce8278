/**
 * One call of a storage. What fails is logged; what hangs is waited for so long; what fails again and again is left alone for
 * a while.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"
import { CacheStorageError } from "../CacheError.js"
import type * as CacheStorage from "../CacheStorage.js"
import { CircuitBreaker, pause } from "../home/circuitBreaker.js"
import { perStorage } from "../home/home.js"

type Method = CacheStorageError["method"]

/** Of one method each: a storage that is full can still be read. */
const breakers = perStorage("breakers", (): { readonly [Name in Method]: CircuitBreaker } => ({
  get: new CircuitBreaker(),
  set: new CircuitBreaker(),
  collect: new CircuitBreaker()
}))

const warn = (method: Method, key: CacheStorage.CacheKey, cause: Cause.Cause<unknown>) => {
  const failure = Cause.squash(cause)
  const error = failure instanceof CacheStorageError
    ? failure
    : new CacheStorageError({ storage: "CacheStorage", method, key, cause: failure })
  const instead = method === "collect" ? "it is tried again before the storage is read" : "the handler answers"
  return Effect.logWarning(`effect-http-cache: ${error.message}; ${instead}`, error.cause).pipe(
    Effect.annotateLogs({ storage: error.storage, method: error.method, key: error.key })
  )
}

const slow = (timeout: number) => new Error(`no answer within ${timeout} ms (storageTimeout of HttpCache.Defaults)`)

/**
 * At most so long, also for what can't be interrupted. What answers at once, as memory does, starts no timer, which would
 * cost ten times as much as the answer.
 */
const within = <A, E>(effect: Effect.Effect<A, E>, timeout: number): Effect.Effect<A, E | Error> =>
  Effect.withFiberRuntime((caller) => {
    const fiber = Runtime.runFork(Runtime.make({
      context: caller.currentContext as Context.Context<never>,
      fiberRefs: caller.getFiberRefs(),
      runtimeFlags: Runtime.defaultRuntimeFlags
    }))(effect)
    const exit = fiber.unsafePoll()
    if (exit !== null) return exit
    // Joined, it would leave its context behind in place of the caller's.
    return Effect.interruptible(Effect.flatten(Fiber.await(fiber))).pipe(
      Effect.onInterrupt(() => Fiber.interruptFork(fiber)),
      Effect.timeoutFail({ duration: timeout, onTimeout: () => slow(timeout) }),
      Effect.interruptible
    )
  })

/** One call; `undefined` when it failed, or is not made since others have. */
export const call = <A extends {}>(
  storage: CacheStorage.Service,
  timeout: number,
  method: Method,
  key: CacheStorage.CacheKey,
  evaluate: () => Effect.Effect<A, CacheStorageError>
): Effect.Effect<A | undefined> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const breaker = breakers.of(storage)[method]
    if (!breaker.admits(key, now)) return Effect.succeed(undefined)
    return within(Effect.suspend(evaluate), timeout).pipe(
      Effect.onInterrupt(() => Effect.sync(() => breaker.abandon(key))),
      Effect.matchCauseEffect({
        onSuccess: (answer) => {
          breaker.succeed(key)
          return Effect.succeed(answer)
        },
        onFailure: (cause) =>
          Effect.gen(function*() {
            if (Cause.isInterruptedOnly(cause)) return undefined
            yield* warn(method, key, cause)
            const leftAlone = breaker.fail(key, yield* Clock.currentTimeMillis)
            if (leftAlone === undefined) return undefined
            const what = leftAlone === "all" ? `${method} of the storage` : `${method} of ${key}`
            yield* Effect.logWarning(`effect-http-cache: ${what} is left alone for ${pause / 1000} seconds`)
            return undefined
          })
      })
    )
  })
