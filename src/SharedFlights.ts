/**
 * One flight for several processes that share a storage.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"

/**
 * Leases of flights, in a place that all of the processes reach.
 *
 * @since 0.2.0
 * @category models
 */
export interface Service {
  /**
   * Takes the lease of a flight, which is any text. Answers an Effect that gives it back, or `"taken"` if another process has
   * it. A lease ends by itself after a while, so that a process that has crashed keeps nobody waiting for longer.
   */
  readonly take: (flight: string) => Effect.Effect<Effect.Effect<void> | "taken", unknown>
}

/**
 * With this service in the context of a cache, requests of several processes share one run of the handler, as those of one
 * process do. A process that finds the lease taken looks every 50 ms whether the response is stored, or the lease is free
 * again. While the service fails or does not answer in time (`storageTimeout`), each process runs the handler by itself.
 *
 * It costs two calls for each run of a handler, and pays where four or more processes have handlers that take long.
 * `RedisSharedFlights` is one.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { SharedFlights } from "effect-http-cache"
 *
 * // For the caches of one process.
 * const taken = new Set<string>()
 * const layer = Layer.succeed(SharedFlights.SharedFlights, {
 *   take: (flight) =>
 *     Effect.sync(() => {
 *       if (taken.has(flight)) return "taken"
 *       taken.add(flight)
 *       return Effect.sync(() => void taken.delete(flight))
 *     })
 * })
 * ```
 *
 * @since 0.2.0
 * @category tags
 */
export class SharedFlights extends Context.Tag("effect-http-cache/SharedFlights")<SharedFlights, Service>() {}
