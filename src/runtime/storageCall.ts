/**
 * One call of a storage. A failure is logged; a call that hangs is given up at its time limit; a storage that fails again and
 * again is left alone for a while (circuit breaker).
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { CacheStorageError } from "../CacheError.js"
import { type CircuitBreaker, pause } from "./circuitBreaker.js"
import {
  exitOf,
  fork,
  interruptLater,
  isInterruptedOnly,
  keepingStores,
  millisOf,
  secondsOf,
  withFiber
} from "./effect.js"
import * as metrics from "./metrics.js"
import type { Runtime } from "./runtime.js"
import { steadyMillisOf } from "./timeouts.js"

/** How long a request has waited for its storage. Milliseconds. */
export interface Waited {
  millis: number
}

/** A call: of which storage and method, about which key, and by which clock. */
export interface Call {
  readonly runtime: Runtime
  readonly clock: Clock.Clock
  /** Of this call, and of how long its request waits for all of its calls. Milliseconds. */
  readonly timeout: number
  readonly method: CacheStorageError["method"]
  readonly key: string
  /** How long its request has waited for its other calls; `undefined`: there are none. */
  readonly waited?: Waited | undefined
}

const breakerOf = ({ method, runtime: { breakers } }: Call): CircuitBreaker =>
  method === "begin" || method === "holds" ? breakers.get : breakers[method]

const warn = ({ key, method }: Call, cause: Cause.Cause<unknown>) => {
  const failure = Cause.squash(cause)
  const error = failure instanceof CacheStorageError
    ? failure
    : new CacheStorageError({ storage: "CacheStorage", method, key, cause: failure })
  const instead = method === "collect"
    ? "it is tried again, and what it names is not read before"
    : "the handler answers"
  return Effect.logWarning(`effect-http-cache: ${error.message}; ${instead}`, error.cause).pipe(
    Effect.annotateLogs({ storage: error.storage, method: error.method, key: error.key })
  )
}

const slow = (timeout: number) => new Error(`no answer within ${timeout} ms (storageTimeout of HttpCache.Defaults)`)

/** How long the request still waits. It is in fifths of the whole, so that many timers are of the same length. */
const leftOf = ({ timeout, waited }: Call): number =>
  waited === undefined ? timeout : Math.max(0, Math.floor(5 - 5 * waited.millis / timeout) * (timeout / 5))

const unanswered = Exit.succeed(undefined)

/**
 * Goes on with what `judge` makes of the answer. Once the request has waited for its calls long enough, it goes on without an
 * answer; the call still has the rest of its own time limit, and is judged when it ends. A call that answers before it waits
 * for something starts no timer, which would cost ten times as much as the answer.
 */
const waiting = <A, E>(
  effect: Effect.Effect<A, E>,
  made: Call,
  judge: (exit: Exit.Exit<A, E | Error>) => Effect.Effect<A | undefined>
): Effect.Effect<A | undefined> =>
  withFiber((context: Context.Context<never>, _, caller) => {
    const fiber = fork(caller, effect, context, true)
    const exit = exitOf(fiber)
    if (exit !== undefined) return judge(exit)
    const { clock, method, runtime: { timeouts }, timeout, waited = { millis: 0 } } = made
    const began = secondsOf(clock)
    const since = steadyMillisOf(clock)
    const left = leftOf(made)
    // Joined, the fiber would leave its context behind in place of the caller's.
    return keepingStores(Effect.interruptible(Effect.async<A | undefined>((resume) => {
      let isWaitedFor = true
      let isEnded = false
      const goOn = (next: Effect.Effect<A | undefined>) => {
        isWaitedFor = false
        waited.millis += steadyMillisOf(clock) - since
        resume(next)
      }
      const end = (exit: Exit.Exit<A, E | Error>) => {
        if (isEnded) return
        isEnded = true
        cancel()
        metrics.storageSeconds(method)(secondsOf(clock) - began)
        if (isWaitedFor) goOn(judge(exit))
        else fork(caller, judge(exit), context, true)
      }
      const ends = timeouts.after(clock, timeout, () => {
        Effect.runFork(interruptLater(fiber))
        end(Exit.fail(slow(timeout)))
      })
      const leaves = left < timeout ? timeouts.after(clock, left, () => goOn(unanswered)) : () => {}
      const cancel = () => {
        ends()
        leaves()
      }
      fiber.addObserver(end)
      return Effect.andThen(Effect.sync(cancel), interruptLater(fiber))
    })))
  })

/**
 * `undefined` when it failed, is not waited for any more, or is not made since others have failed. What has ended already, as
 * an `Exit` has, is answered in the same step. While calls have failed lately, the circuit breaker is asked when the effect
 * runs: a lane, which only looks whether the effect has ended already, takes nobody's turn to try the storage again.
 */
export const call = <A extends {}>(
  made: Call,
  evaluate: () => Effect.Effect<A, CacheStorageError>
): Effect.Effect<A | undefined> => {
  const { clock, key } = made
  const breaker = breakerOf(made)
  if (!breaker.isQuiet) {
    return Effect.suspend(() =>
      breaker.admits(key, millisOf(clock)) ? judged(made, breaker, evaluated(evaluate)) : unanswered
    )
  }
  const answer = evaluated(evaluate)
  return Exit.isExit(answer) && Exit.isSuccess(answer as Exit.Exit<A, unknown>)
    ? answer as Exit.Exit<A>
    : judged(made, breaker, answer)
}

/** Waits for a call, and tells the circuit breaker what came of it. */
const judged = <A>(
  made: Call,
  breaker: CircuitBreaker,
  answer: Effect.Effect<A, CacheStorageError>
): Effect.Effect<A | undefined> => {
  const { key } = made
  const judge = (exit: Exit.Exit<A, CacheStorageError | Error>) => {
    if (Exit.isFailure(exit)) return failed(made, breaker, exit.cause)
    breaker.succeed(key)
    return Exit.succeed(exit.value)
  }
  return Effect.onInterrupt(waiting(answer, made, judge), () => Effect.sync(() => breaker.abandon(key)))
}

const evaluated = <A>(evaluate: () => Effect.Effect<A, CacheStorageError>): Effect.Effect<A, CacheStorageError> => {
  try {
    // A method that answers `null`, whatever its type says, would run without an end.
    return evaluate() ?? Exit.die("no Effect")
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
