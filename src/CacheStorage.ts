/**
 * Where responses are kept: a dictionary that knows nothing of HTTP. Key, then partition, then variant.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { CacheMiss, CacheStorageError } from "./CacheError.js"
import type { CacheItem } from "./CacheItem.js"
import { adopt } from "./home/home.js"
import type { CacheKey as Key } from "./protocol/CacheKey.js"
import { remembered } from "./protocol/Vary.js"

/**
 * A URI as text: origin, path and query. Different URIs have different keys.
 *
 * @since 0.1.0
 * @category models
 */
export type CacheKey = Key

/**
 * What the present request asks for.
 *
 * @since 0.1.0
 * @category models
 */
export interface Lookup {
  readonly key: CacheKey
  /** Whose response is wanted; `""` for everybody's. */
  readonly partition: string
  /**
   * The variant that the request selects, of an item whose `Vary` nominates these fields. It reads what may be long:
   * `select` and `place` ask it once for each distinct list.
   */
  readonly variantOf: (vary: ReadonlyArray<string>) => string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * The item that the request selects. Of several: one with a Vary before one without, then the latest `date`
   * (RFC 9111 §4.1); `select` does that. Hit and miss both carry `fence`: the present state of the key, opaque, `""`
   * where nothing can collect.
   *
   * A record that can't be read is a `CacheMiss`.
   */
  readonly get: (lookup: Lookup) => Effect.Effect<CacheItem, CacheMiss | CacheStorageError>
  /**
   * Keeps the item in place of the one with its key, partition and variant, and drops the other items that `lookup`
   * selects; `place` does that.
   *
   * Answers whether it is kept: not when the key was collected since `item.fence`, not when `item.replaces` names an
   * item that is no longer there, not when it is too large. An item whose `retainUntil` isn't after its `responseTime`
   * clears the place and is not kept.
   */
  readonly set: (item: CacheItem, lookup: Lookup) => Effect.Effect<boolean, CacheStorageError>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class CacheStorage extends Context.Tag("effect-http-cache/CacheStorage")<CacheStorage, Service>() {}

/**
 * A storage of your own. What `make` acquires is released with the layer, after what runs on behalf of the storage, such
 * as refreshes in the background, has ended; it is waited for at most 5 seconds.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <E, R>(
  make: Effect.Effect<Service, E, R>
): Layer.Layer<CacheStorage, E, Exclude<R, Scope.Scope>> => Layer.scoped(CacheStorage, Effect.tap(make, adopt))

/**
 * Of the items of one key and partition, the one that the request selects: one with a Vary before one without, then
 * the latest `date` (RFC 9111 §4, §4.1).
 *
 * @since 0.1.0
 * @category combinators
 */
export const select = (items: Iterable<CacheItem>, lookup: Lookup): CacheItem | undefined => {
  const variantOf = remembered(lookup.variantOf)
  let best: CacheItem | undefined
  for (const item of items) {
    if (variantOf(item.vary) !== item.variant) continue
    const varies = Number(item.vary.length > 0) - Number(best !== undefined && best.vary.length > 0)
    if (best === undefined || varies > 0 || (varies === 0 && item.date > best.date)) best = item
  }
  return best
}

/**
 * The items of one key and partition after `item` took its place among them, the newest last; `undefined` when it may
 * not, since it replaces what is no longer there. The others that the request selects are dropped; an item that is
 * dead (`retainUntil` not after `responseTime`) is left out itself.
 *
 * @since 0.1.0
 * @category combinators
 */
export const place = (
  items: ReadonlyArray<CacheItem>,
  item: CacheItem,
  lookup: Lookup
): ReadonlyArray<CacheItem> | undefined => {
  if (item.replaces !== undefined && !items.some(({ id }) => id === item.replaces)) return undefined
  const variantOf = remembered(lookup.variantOf)
  const others = items.filter((other) =>
    other.variant !== item.variant && other.id !== item.replaces && variantOf(other.vary) !== other.variant
  )
  return isDead(item) ? others : [...others, item]
}

/**
 * An item that only clears its place.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isDead = (item: CacheItem): boolean => item.retainUntil <= item.responseTime
