/** A storage, asked as the tests of storages ask it. */
import { Effect } from "effect"
import type { CacheItem, CacheStorage, CollectableCacheStorage } from "effect-http-cache"
import { lookupOf } from "effect-http-cache/testing"

type Storage = CollectableCacheStorage.Service

/** As after a handler that takes no time. */
export const keep = (storage: Storage, item: CacheItem.CacheItem, lookup: CacheStorage.Lookup = lookupOf()) =>
  Effect.flatMap(storage.begin(lookup), (fill) => storage.set(item, fill))

/** What is stored, or why there is nothing. */
export const read = (storage: Storage, lookup: CacheStorage.Lookup = lookupOf()) =>
  storage.get(lookup).pipe(
    Effect.map(({ body }) => Buffer.from(body).toString()),
    Effect.catchTag("CacheMiss", ({ reason }) => Effect.succeed(reason))
  )
