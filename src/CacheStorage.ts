/**
 * Where responses are kept: a dictionary that knows nothing of HTTP. Key, then partition, then variant.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { CacheMiss, type CacheStorageError } from "./CacheError.js"
import type { CacheItem } from "./CacheItem.js"
import type { CacheKey as Key } from "./protocol/CacheKey.js"
import { remembered } from "./protocol/Vary.js"
import { runtimeOf } from "./runtime/runtime.js"

/**
 * A URI as text: origin, path and query. Different URIs have different keys.
 *
 * @since 0.1.0
 * @category models
 */
export type CacheKey = Key

/**
 * Where the responses for one URI are kept: everybody's, or those of one partition.
 *
 * @since 0.1.0
 * @category models
 */
export interface Place {
  readonly key: CacheKey
  /** Whose responses they are; `""` for everybody's. */
  readonly partition: string
}

/**
 * What the present request asks for.
 *
 * @since 0.1.0
 * @category models
 */
export interface Lookup extends Place {
  /**
   * The variant that the request selects by these fields of an item's `Vary`: the item matches if this is its `variant`. It
   * may read long values, so `select` and `place` ask it once for each distinct list.
   */
  readonly variantOf: (vary: ReadonlyArray<string>) => string
}

/**
 * One run of the handler, from before it is asked: what was there then, and where the storage stood.
 *
 * @since 0.1.0
 * @category models
 */
export interface Fill {
  readonly lookup: Lookup
  /** What the request selected. */
  readonly item: CacheItem | undefined
  /** What the storage knows the moment by. Nobody else reads it. */
  readonly since: unknown
}

/**
 * What became of an item: `"kept"`; `"overtaken"`, since what was found is no longer there or a name of the item was collected;
 * or `"refused"`, since it is too large or `undefined`.
 *
 * @since 0.1.0
 * @category models
 */
export type Kept = "kept" | "overtaken" | "refused"

/**
 * A storage that has the answer at once returns an `Exit`, which is an Effect that has ended: the request goes on in the
 * same step then. A call is made once for each Effect that is asked for, and each Effect is run once.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /**
   * The item that the request selects. Of several: one with a Vary before one without, then the latest `date`
   * (RFC 9111 §4.1); `select` does that. A record that can't be read is a `CacheMiss`.
   */
  readonly get: (lookup: Lookup) => Effect.Effect<CacheItem, CacheMiss | CacheStorageError>
  /** Begins a fill, before the handler is asked: what `get` would answer, if anything, and where the storage stands. */
  readonly begin: (lookup: Lookup) => Effect.Effect<Fill, CacheStorageError>
  /**
   * Stores the item. It replaces the one with its key, partition and variant, `fill.item`, and the others that the request
   * selects; `place` does that. `undefined`: `fill.item` is out of date, and is dropped.
   *
   * It is `"overtaken"`, and changes nothing, where `fill.item` is no longer there, or where the key or a group of the item
   * was collected since `begin`.
   */
  readonly set: (item: CacheItem | undefined, fill: Fill) => Effect.Effect<Kept, CacheStorageError>
}

/**
 * The storage that routes are cached in: `withCache` needs it.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CacheStorage } from "effect-http-cache"
 *
 * const isStored = (lookup: CacheStorage.Lookup) =>
 *   Effect.flatMap(CacheStorage.CacheStorage, (storage) => storage.get(lookup)).pipe(
 *     Effect.as(true),
 *     Effect.catchTag("CacheMiss", () => Effect.succeed(false))
 *   )
 * ```
 *
 * @since 0.1.0
 * @category tags
 */
export class CacheStorage extends Context.Tag("effect-http-cache/CacheStorage")<CacheStorage, Service>() {}

/**
 * A dictionary from a place to the items that are kept there.
 *
 * @since 0.1.0
 * @category models
 */
export interface Dictionary {
  /** The items as they were set, the newest last; an empty list where there are none. */
  readonly get: (place: Place) => Effect.Effect<ReadonlyArray<CacheItem>, CacheStorageError>
  /** Keeps these items, and no others, in the place; an empty list clears it. */
  readonly set: (place: Place, items: ReadonlyArray<CacheItem>) => Effect.Effect<void, CacheStorageError>
}

/**
 * A storage made of a dictionary. It can't collect. Reading and writing a place is not one step: of two responses that are
 * stored for one place at the same time, one may be lost.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { type CacheItem, CacheStorage } from "effect-http-cache"
 *
 * const layer = CacheStorage.layer(Effect.sync(() => {
 *   const places = new Map<string, ReadonlyArray<CacheItem.CacheItem>>()
 *   const nameOf = ({ key, partition }: CacheStorage.Place) => JSON.stringify([key, partition])
 *   return CacheStorage.make({
 *     get: (place) => Effect.sync(() => places.get(nameOf(place)) ?? []),
 *     set: (place, items) => Effect.sync(() => void places.set(nameOf(place), items))
 *   })
 * }))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (dictionary: Dictionary): Service => ({
  get: (lookup) =>
    Effect.flatMap(dictionary.get(lookup), (items) => {
      const item = select(items, lookup)
      if (item !== undefined) return Effect.succeed(item)
      return new CacheMiss({ key: lookup.key, reason: items.length === 0 ? "uri-miss" : "vary-miss" })
    }),
  begin: (lookup) =>
    Effect.map(dictionary.get(lookup), (items) => ({ lookup, item: select(items, lookup), since: undefined })),
  set: (item, fill) =>
    Effect.flatMap(dictionary.get(fill.lookup), (items) => {
      const placed = place(items, item, fill)
      if (placed === undefined) return Effect.succeed<Kept>("overtaken")
      return Effect.as(dictionary.set(fill.lookup, placed), item === undefined ? "refused" : "kept")
    })
})

/**
 * A storage of your own. What `make` acquires is released with the layer, after what runs on behalf of the storage, such
 * as refreshes in the background, has ended; it is waited for at most 5 seconds.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { CacheStorage } from "effect-http-cache"
 *
 * // A storage that keeps nothing.
 * const layer = CacheStorage.layer(
 *   Effect.succeed(CacheStorage.make({ get: () => Effect.succeed([]), set: () => Effect.void }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <E, R>(
  make: Effect.Effect<Service, E, R>
): Layer.Layer<CacheStorage, E, Exclude<R, Scope.Scope>> =>
  Layer.scoped(CacheStorage, Effect.tap(make, (service) => runtimeOf(service).endWithScope))

/**
 * What an item is selected by: a storage may know that of its items without reading them whole.
 *
 * @since 0.2.0
 * @category models
 */
export interface Selectable extends Pick<CacheItem, "id" | "vary" | "variant" | "date"> {}

/**
 * Of the items of one key and partition, the one that the request selects: one with a Vary before one without, then
 * the latest `date` (RFC 9111 §4, §4.1).
 *
 * @example
 * ```ts
 * import { CacheStorage } from "effect-http-cache"
 * import { itemOf, lookupOf } from "effect-http-cache/testing"
 *
 * const french = lookupOf({ "accept-language": "fr" })
 * const item = itemOf("bonjour", french, { vary: ["accept-language"] })
 * const found = CacheStorage.select([item, itemOf("hello")], french) // item
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const select = <Item extends Selectable = CacheItem>(
  items: Iterable<Item>,
  lookup: Lookup
): Item | undefined => {
  const variantOf = remembered(lookup.variantOf)
  let best: Item | undefined
  for (const item of items) {
    if (variantOf(item.vary) !== item.variant) continue
    const varies = Number(item.vary.length > 0) - Number(best !== undefined && best.vary.length > 0)
    if (best === undefined || varies > 0 || (varies === 0 && item.date > best.date)) best = item
  }
  return best
}

/**
 * The items of one key and partition after `item` took its place among them, the newest last; `undefined` when it is
 * overtaken, since what the fill found is no longer there. What was found, and the others that the request selects, are
 * dropped. Without an item only what was found is dropped.
 *
 * @example
 * ```ts
 * import { CacheStorage } from "effect-http-cache"
 * import { itemOf, lookupOf } from "effect-http-cache/testing"
 *
 * const [old, item] = [itemOf("old"), itemOf("new")]
 * const fill: CacheStorage.Fill = { lookup: lookupOf(), item: old, since: undefined }
 * const after = CacheStorage.place([old], item, fill) // [item]
 * const overtaken = CacheStorage.place([], item, fill) // undefined: old is no longer there
 * ```
 *
 * @since 0.1.0
 * @category combinators
 */
export const place = <Item extends Selectable = CacheItem>(
  items: ReadonlyArray<Item>,
  item: Item | undefined,
  { item: found, lookup }: Fill
): ReadonlyArray<Item> | undefined => {
  if (found !== undefined && !items.some(({ id }) => id === found.id)) return undefined
  const others = items.filter(({ id }) => id !== found?.id)
  if (item === undefined) return others
  const variantOf = remembered(lookup.variantOf)
  return [
    ...others.filter((other) => other.variant !== item.variant && variantOf(other.vary) !== other.variant),
    item
  ]
}
