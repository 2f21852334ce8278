/** A storage of your own: a dictionary of lists is all that it takes; `CacheStorage.make` knows the rules. */
import { Effect } from "effect"
import { type CacheItem, CacheStorage } from "effect-http-cache"

/** Everything in one `Map`: enough for a test, not bounded. */
export const layer = CacheStorage.layer(Effect.sync(() => {
  const places = new Map<string, ReadonlyArray<CacheItem.CacheItem>>()
  const nameOf = ({ key, partition }: CacheStorage.Place) => JSON.stringify([key, partition])
  return CacheStorage.make({
    get: (place) => Effect.sync(() => places.get(nameOf(place)) ?? []),
    set: (place, items) => Effect.sync(() => void places.set(nameOf(place), items))
  })
}))
