/**
 * One call of a storage. What fails is logged; what hangs is waited for so long; what fails again and again is left alone for
 * a while (circuit breaker).
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { CacheStorageError } from "../CacheError.js"
import { type CircuitBreaker, pause } from "./circuitBreaker.js"
import { exitOf, fork, interruptLater, isInterruptedOnly, millisOf, secondsOf, withFiber } from "./effect.js"
import * as metrics from "./metrics.js"
import type { Runtime } from "./runtime.js"

type Method = CacheStorageError["method"]

/** A call: of which storage and method, about which key, and by which clock. */
export interface Call {
  readonly runtime: Runtime
  readonly clock: Clock.Clock
  /** Milliseconds. */
  readonly timeout: number
  readonly method: Method
  readonly key: string
}

const breakerOf = ({ method, runtime: { breakers } }: Call): CircuitBreaker =>
  method === "begin" || method === "holds" ? breakers.get : breakers[method]

const warn = ({ key, method }: Call, cause: Cause.Cause<unknown>) => {
  const failure = Cause.squash(cause)
  const error = failure instanceof CacheStorageError
    ? failure
    : new CacheStorageError({ storage: "CacheStorage", method, key, cause: failure })
  const instead = method === "collect"
    ? "it is tried again, and what it is of is not read before"
    : "the handler answers"
  return Effect.logWarning(`effect-http-cache: ${error.message}; ${instead}`, error.cause).pipe(
    Effect.annotateLogs({ storage: error.storage, method: error.method, key: error.key })
  )
}

const slow = (timeout: number) => new Error(`no answer within ${timeout} ms (storageTimeout of HttpCache.Defaults)`)

/**
 * At most so long, also for what can't be interrupted. What answers before it waits for something starts no timer, which
 * would cost ten times as much as the answer.
 */
const within = <A, E>(
  effect: Effect.Effect<A, E>,
  { clock, method, runtime, timeout }: Call
): Effect.Effect<A, E | Error> =>
  withFiber((context: Context.Context<never>, _, caller) => {
    const fiber = fork(caller, effect, context, true)
    const exit = exitOf(fiber)
    if (exit !== undefined) return exit
    const began = secondsOf(clock)
    // Joined, it would leave its context behind in place of the caller's.
    return Effect.interruptible(Effect.async<A, E | Error>((resume) => {
      const cancel = runtime.timeouts.after(clock, timeout, () => {
        resume(Effect.andThen(interruptLater(fiber), Effect.fail(slow(timeout))))
      })
      fiber.addObserver((exit) => {
        cancel()
        metrics.storageSeconds(method)(secondsOf(clock) - began)
        resume(exit)
      })
      return Effect.andThen(Effect.sync(cancel), interruptLater(fiber))
    }))
  })

const unanswered = Exit.succeed(undefined)

/**
 * `undefined` when it failed, or is not made since others have failed. What has ended already, as an `Exit` has, is answered
 * in the same step.
 */
export const call = <A extends {}>(
  made: Call,
  evaluate: () => Effect.Effect<A, CacheStorageError>
): Effect.Effect<A | undefined> => {
  const { clock, key } = made
  const breaker = breakerOf(made)
  const { isQuiet } = breaker
  if (!isQuiet && !breaker.admits(key, millisOf(clock))) return unanswered
  const answer = evaluated(evaluate)
  if (isQuiet && Exit.isExit(answer) && Exit.isSuccess(answer as Exit.Exit<A, unknown>)) {
    return answer as Exit.Exit<A>
  }
  return within(answer, made).pipe(
    Effect.onInterrupt(() => Effect.sync(() => breaker.abandon(key))),
    Effect.matchCauseEffect({
      onSuccess: (answer) => {
        breaker.succeed(key)
        return Effect.succeed(answer)
      },
      onFailure: (cause) => failed(made, breaker, cause)
    })
  )
}

const evaluated = <A>(evaluate: () => Effect.Effect<A, CacheStorageError>): Effect.Effect<A, CacheStorageError> => {
  try {
    return evaluate()
  } catch (defect) {
    return Exit.die(defect)
  }
}

const failed = (made: Call, breaker: CircuitBreaker, cause: Cause.Cause<unknown>): Effect.Effect<undefined> => {
  if (isInterruptedOnly(cause)) return unanswered
  const { clock, key, method } = made
  metrics.storageFailures(method)(1)
  return Effect.flatMap(warn(made, cause), () => {
    const leftAlone = breaker.fail(key, millisOf(clock))
    if (leftAlone === undefined) return unanswered
    const what = leftAlone === "all" ? `${method} of the storage` : `${method} of ${key}`
    return Effect.as(
      Effect.logWarning(`effect-http-cache: ${what} is left alone for ${pause / 1000} seconds`),
      undefined
    )
  })
}
