/**
 * A storage that can forget a URI.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { CacheStorageError } from "./CacheError.js"
import * as CacheStorage from "./CacheStorage.js"
import { adopt } from "./home/home.js"

/**
 * @since 0.1.0
 * @category models
 */
export interface Service extends CacheStorage.Service {
  /**
   * Forgets every partition and variant of a URI, and answers the key's new fence: `set` refuses items that carry an
   * older one. Succeeds when there was nothing.
   */
  readonly collect: (key: CacheStorage.CacheKey) => Effect.Effect<string, CacheStorageError>
}

/**
 * A layer that provides this tag provides `CacheStorage` too, from the same instance.
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
 * @since 0.1.0
 * @category layers
 */
export const layer = <E, R>(
  make: Effect.Effect<Service, E, R>
): Layer.Layer<CacheStorage.CacheStorage | CollectableCacheStorage, E, Exclude<R, Scope.Scope>> =>
  Layer.scopedContext(
    Effect.map(Effect.tap(make, adopt), (service) =>
      Context.make(CollectableCacheStorage, service).pipe(Context.add(CacheStorage.CacheStorage, service)))
  )
