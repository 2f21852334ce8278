/**
 * A storage that can forget URIs.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { CacheStorageError } from "./CacheError.js"
import * as CacheStorage from "./CacheStorage.js"
import { runtimeOf } from "./runtime/runtime.js"

/**
 * What is collected: URIs, and groups that items are of, which others call surrogate keys or cache tags.
 *
 * @since 0.1.0
 * @category models
 */
export interface Names {
  readonly keys: ReadonlyArray<CacheStorage.CacheKey>
  readonly groups: ReadonlyArray<string>
}

/**
 * What `withCollect` needs of a storage, beside what `withCache` does.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service extends CacheStorage.Service {
  /**
   * Forgets, at once, every partition and variant of the URIs, and all items that are of the groups. Succeeds when there was
   * nothing. What is "collected" here others call purged or invalidated.
   */
  readonly collect: (names: Names) => Effect.Effect<void, CacheStorageError>
  /** Whether none of these was collected since the fill began. */
  readonly holds: (names: Names, fill: CacheStorage.Fill) => Effect.Effect<boolean, CacheStorageError>
}

/**
 * A layer that provides this tag provides `CacheStorage` too, from the same instance.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CollectableCacheStorage } from "effect-http-cache"
 *
 * const forgetGroup = (group: string) =>
 *   Effect.flatMap(
 *     CollectableCacheStorage.CollectableCacheStorage,
 *     (storage) => storage.collect({ keys: [], groups: [group] })
 *   )
 * ```
 *
 * @since 0.1.0
 * @category tags
 */
export class CollectableCacheStorage
  extends Context.Tag("effect-http-cache/CollectableCacheStorage")<CollectableCacheStorage, Service>()
{}

/**
 * A storage of your own that can collect, behind both tags. What `make` acquires is released as with
 * `CacheStorage.layer`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CacheStorage, CollectableCacheStorage } from "effect-http-cache"
 *
 * // A storage that keeps nothing, and has forgotten everything.
 * const layer = CollectableCacheStorage.layer(Effect.succeed({
 *   ...CacheStorage.make({ get: () => Effect.succeed([]), set: () => Effect.void }),
 *   collect: () => Effect.void,
 *   holds: () => Effect.succeed(true)
 * }))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <E, R>(
  make: Effect.Effect<Service, E, R>
): Layer.Layer<CacheStorage.CacheStorage | CollectableCacheStorage, E, Exclude<R, Scope.Scope>> =>
  Layer.scopedContext(
    Effect.map(
      Effect.tap(make, (service) => runtimeOf(service).endWithScope),
      (service) => Context.make(CollectableCacheStorage, service).pipe(Context.add(CacheStorage.CacheStorage, service))
    )
  )
