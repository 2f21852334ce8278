/** A storage as the hub uses it: what fails or can't be believed is logged once and passed by. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { CacheStorageError, type ForwardReason } from "../CacheError.js"
import { CacheItem } from "../CacheItem.js"
import type * as CacheStorage from "../CacheStorage.js"
import type * as CollectableCacheStorage from "../CollectableCacheStorage.js"
import type { Detail } from "../protocol/CacheStatus.js"

/** `fence` is `undefined` when the storage failed: nothing can be stored then. */
export type Found =
  | { readonly item: CacheItem; readonly fence: string }
  | { readonly item: undefined; readonly reason: ForwardReason; readonly fence: string | undefined }

/** Where the response to a request is kept, and what is there. */
export interface Place {
  readonly storage: CacheStorage.Service
  readonly lookup: CacheStorage.Lookup
  readonly found: Found
}

const warn = (method: CacheStorageError["method"], key: CacheStorage.CacheKey, cause: Cause.Cause<unknown>) => {
  const failure = Cause.squash(cause)
  const error = failure instanceof CacheStorageError
    ? failure
    : new CacheStorageError({ storage: "CacheStorage", method, key, cause: failure })
  return Effect.logWarning(`effect-http-cache: ${error.message}; the handler answers`, error.cause).pipe(
    Effect.annotateLogs({ storage: error.storage, method: error.method, key: error.key })
  )
}

const isItem = Schema.is(Schema.typeSchema(CacheItem))

/** Items that were found to be items: what is served again is not looked through again. */
const sound = new WeakSet<CacheItem>()

const canBeBelieved = (item: CacheItem, lookup: CacheStorage.Lookup): boolean => {
  if (!sound.has(item)) {
    if (!isItem(item)) return false
    sound.add(item)
  }
  return item.key === lookup.key && item.partition === lookup.partition && lookup.variantOf(item.vary) === item.variant
}

const failed: Found = { item: undefined, reason: "miss", fence: undefined }

export const look = (storage: CacheStorage.Service, lookup: CacheStorage.Lookup): Effect.Effect<Place> =>
  Effect.map(read(storage, lookup), (found) => ({ storage, lookup, found }))

const read = (storage: CacheStorage.Service, lookup: CacheStorage.Lookup): Effect.Effect<Found> =>
  Effect.suspend(() => storage.get(lookup)).pipe(
    Effect.map((item): Found =>
      canBeBelieved(item, lookup)
        ? { item, fence: item.fence }
        : { item: undefined, reason: "miss", fence: item.fence }
    ),
    Effect.catchTag("CacheMiss", ({ fence, reason }) => Effect.succeed<Found>({ item: undefined, reason, fence })),
    Effect.catchAllCause((cause) => Effect.as(warn("get", lookup.key, cause), failed))
  )

/** Why it was not kept; `undefined` when it was. */
export const write = (
  storage: CacheStorage.Service,
  item: CacheItem,
  lookup: CacheStorage.Lookup
): Effect.Effect<Detail | undefined> =>
  Effect.suspend(() => storage.set(item, lookup)).pipe(
    Effect.map((isKept): Detail | undefined => isKept ? undefined : "not-kept"),
    Effect.catchAllCause((cause) => Effect.as(warn("set", lookup.key, cause), "storage" as const))
  )

export const forget = (
  storage: CollectableCacheStorage.Service,
  key: CacheStorage.CacheKey
): Effect.Effect<void> =>
  Effect.catchAllCause(Effect.suspend(() => storage.collect(key)), (cause) => warn("collect", key, cause))
