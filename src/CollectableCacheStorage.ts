/**
 * A storage that can forget a URI.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { CacheStorageError } from "./CacheError.js"
import type * as CacheStorage from "./CacheStorage.js"

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
