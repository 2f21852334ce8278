/**
 * A storage that can forget URIs.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { CacheStorageError } from "./CacheError.js"
import type { CacheItem } from "./CacheItem.js"
import * as CacheStorage from "./CacheStorage.js"
import * as Reuse from "./protocol/Reuse.js"
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
  /** All that is stored, whatever its names are. Default `false`. */
  readonly everything?: boolean | undefined
}

/**
 * How a collect is done.
 *
 * @since 0.1.0
 * @category models
 */
export interface CollectStyle {
  /**
   * What is collected is kept, and the handler is asked before it is used again, by a conditional request where that is
   * possible. With `"unless-error"` it may also stand in for an error of the handler, for as long as it could have been
   * used without the collect. Default `false`: it is forgotten.
   */
  readonly soft?: boolean | "unless-error" | undefined
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
   * nothing. What is "collected" here others call purged or invalidated. A collect of `everything` overtakes every fill.
   *
   * With `soft` the items stay, and `get` and `begin` answer them as `softened` makes them. The strongest of several collects
   * counts: one that forgets, then `true`, then `"unless-error"`. Each of them overtakes the fills that began before.
   *
   * `own` is the fill of a run, such as of a `POST`, that itself causes this collect of its key. What its handler answers is
   * newer than the collect, so `collect` answers a fill to go on with. It answers nothing if another collect has overtaken
   * `own`, or if the storage can't tell: what the handler answers is not stored then.
   */
  readonly collect: (
    names: Names,
    style?: CollectStyle,
    own?: CacheStorage.Fill
  ) => Effect.Effect<CacheStorage.Fill | void, CacheStorageError>
  /** Whether none of these, nor everything, was collected since the fill began, softly or not. */
  readonly holds: (names: Names, fill: CacheStorage.Fill) => Effect.Effect<boolean, CacheStorageError>
}

/**
 * A collect, as those that listen are told it.
 *
 * @since 0.2.0
 * @category models
 */
export interface Collected extends Names, CollectStyle {}

/**
 * A storage that several processes share, and that tells each of them what the others collect.
 *
 * @since 0.2.0
 * @category models
 */
export interface SharedService extends Service {
  /**
   * What any of the processes collects, in order, from when the stream begins to listen. Its first element is `everything`,
   * since nobody tells what was collected before. It fails when the connection is lost; the next stream begins the same way.
   */
  readonly collects: Stream.Stream<Collected, CacheStorageError>
}

/**
 * An item as a storage answers it after a soft collect.
 *
 * @example
 * ```ts
 * import { CollectableCacheStorage } from "effect-http-cache"
 * import { itemOf } from "effect-http-cache/testing"
 *
 * const item = CollectableCacheStorage.softened(itemOf("hello"), "unless-error") // alwaysValidate: true
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const softened = (item: CacheItem, soft: true | "unless-error"): CacheItem => Reuse.softened(item, soft)

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
