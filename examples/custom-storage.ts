/** A storage of your own: `select` and `place` know the rules, a list per key and partition is all that it keeps. */
import { Effect } from "effect"
import { CacheError, type CacheItem, CacheStorage } from "effect-http-cache"

/** Everything in one `Map`: enough for a test, not bounded. */
export const layer = CacheStorage.layer(Effect.sync(() => {
  const places = new Map<string, ReadonlyArray<CacheItem.CacheItem>>()
  const placeOf = ({ key, partition }: CacheStorage.Lookup) => JSON.stringify([key, partition])
  return {
    get: (lookup) =>
      Effect.suspend(() => {
        const item = CacheStorage.select(places.get(placeOf(lookup)) ?? [], lookup)
        if (item !== undefined) return Effect.succeed(item)
        return new CacheError.CacheMiss({ key: lookup.key, reason: "uri-miss", fence: "" })
      }),
    set: (item, lookup) =>
      Effect.sync(() => {
        const placed = CacheStorage.place(places.get(placeOf(lookup)) ?? [], item, lookup)
        if (placed !== undefined) places.set(placeOf(lookup), placed)
        return placed?.includes(item) ?? false
      })
  }
}))
