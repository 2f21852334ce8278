/** What goes on in a storage on behalf of requests. */
import { runtimeOf } from "../runtime/runtime.js"

/**
 * What goes on in a storage at one moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface Activity {
  /** Runs of handlers that requests can join. */
  readonly flights: number
  /** Requests that wait for them. */
  readonly waiters: number
  /** Runs of handlers in the background. */
  readonly refreshes: number
  /** Fibers that work for the storage: flights, streamed bodies, collects that are tried again. */
  readonly fibers: number
  /** What streamed bodies hold. Bytes. */
  readonly heldBytes: number
}

/**
 * What goes on in a storage at this moment; all is 0 when every request has been answered and nothing is refreshed.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CacheStorage } from "effect-http-cache"
 * import { activity } from "effect-http-cache/testing"
 *
 * const isIdle = Effect.map(CacheStorage.CacheStorage, (storage) => activity(storage).fibers === 0)
 * ```
 *
 * @since 0.1.0
 * @category observers
 */
export const activity = (storage: object): Activity => {
  const { fibers, heldBytes, singleFlight } = runtimeOf(storage)
  return {
    flights: singleFlight.size,
    waiters: singleFlight.waiters,
    refreshes: singleFlight.background,
    fibers,
    heldBytes: heldBytes.total
  }
}
