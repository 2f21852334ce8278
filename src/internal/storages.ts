/**
 * A storage as the hub uses it: what fails or can't be believed is passed by, and a key is not read while a collect of it is
 * not delivered.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import type { CacheStorageError, ForwardReason } from "../CacheError.js"
import { CacheItem } from "../CacheItem.js"
import type * as CacheStorage from "../CacheStorage.js"
import type * as CollectableCacheStorage from "../CollectableCacheStorage.js"
import { fork, isAhead, perStorage } from "../home/home.js"
import { limitReached } from "../home/limits.js"
import type { Detail } from "../protocol/CacheStatus.js"
import { call } from "./storageCall.js"

/** `fence` is `undefined` when the storage failed: nothing can be stored then. */
export type Found =
  | { readonly item: CacheItem; readonly fence: string; readonly anothers?: undefined }
  | {
    readonly item: undefined
    readonly reason: ForwardReason
    readonly fence: string | undefined
    /** The cache at this URI that has kept what is there. */
    readonly anothers?: string
  }

/** Where the response to a request is kept, and what is there. */
export interface Place {
  readonly storage: CacheStorage.Service
  readonly lookup: CacheStorage.Lookup
  readonly found: Found
  /** Milliseconds that each call may take. */
  readonly timeout: number
  /** When it was looked up. Epoch milliseconds. */
  readonly since: number
  readonly accepts: Accepts
}

/** Whether an item is one of the cache that asks: others at the URI, and other settings, keep what it does not send. */
export type Accepts = (item: CacheItem) => boolean

const maxUndelivered = 10_000
/** How long after undelivered collects were tried they are tried again. Milliseconds. */
const retryAfter = 1000

/** What is known of the collects of a storage. */
class Collects {
  /** With the number of the latest collect. */
  readonly undelivered = new Map<CacheStorage.CacheKey, number>()
  readonly delivering = new Set<CacheStorage.CacheKey>()
  isDelivering = false
  /** Epoch milliseconds. */
  deliversAgainAt = 0
  /** What was stored until then may have been collected by more than could be remembered. Epoch milliseconds. */
  distrustedUntil = -Infinity
  /** How many there were. */
  count = 0
}

const collects = perStorage("collects", () => new Collects())

/** Distinguishes what was asked for before a collect from what was asked for after it, where the storage can't say. */
export const fenceWithout = (storage: object): string => `- ${collects.of(storage).count}`

/** Whether the collect of a key is delivered, which one at a time tries. */
const deliver = (storage: CollectableCacheStorage.Service, key: CacheStorage.CacheKey, timeout: number) =>
  Effect.suspend(() => {
    const { delivering, undelivered } = collects.of(storage)
    if (delivering.has(key)) return Effect.succeed(false)
    delivering.add(key)
    const count = undelivered.get(key)
    return Effect.map(call(storage, timeout, "collect", key, () => storage.collect(key)), (fence) => {
      // Another one may have failed meanwhile.
      if (fence !== undefined && undelivered.get(key) === count) undelivered.delete(key)
      return fence !== undefined && !undelivered.has(key)
    }).pipe(Effect.ensuring(Effect.sync(() => delivering.delete(key))))
  })

/** Delivers the collects of the other keys beside the requests, and a while later what could not be delivered. */
const deliverOthers = (
  storage: CollectableCacheStorage.Service,
  key: CacheStorage.CacheKey,
  timeout: number,
  now: number
): Effect.Effect<unknown> => {
  const own = collects.of(storage)
  if (own.isDelivering || isAhead(own.deliversAgainAt, now, retryAfter)) return Effect.void
  own.isDelivering = true
  own.deliversAgainAt = now + retryAfter
  const others = [...own.undelivered.keys()].filter((other) => other !== key)
  return fork(
    storage,
    Effect.forEach(others, (key) => deliver(storage, key, timeout), { discard: true }).pipe(
      Effect.ensuring(Effect.sync(() => own.isDelivering = false))
    )
  )
}

/** Whether the key may be asked for: not while a collect of it is not delivered. */
const isCurrent = (
  storage: CacheStorage.Service,
  key: CacheStorage.CacheKey,
  timeout: number
): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    const { undelivered } = collects.of(storage)
    if (undelivered.size === 0) return Effect.succeed(true)
    if (!canCollect(storage)) return Effect.succeed(!undelivered.has(key))
    return Effect.zipRight(
      Effect.flatMap(Clock.currentTimeMillis, (now) => deliverOthers(storage, key, timeout, now)),
      undelivered.has(key) ? deliver(storage, key, timeout) : Effect.succeed(true)
    )
  })

const canCollect = (storage: CacheStorage.Service): storage is CollectableCacheStorage.Service => "collect" in storage

const isItem = Schema.is(Schema.typeSchema(CacheItem))

/** Items that were found to be items: what is served again is not looked through again. */
const sound = new WeakSet<CacheItem>()

const canBeBelieved = (item: CacheItem, lookup: CacheStorage.Lookup, own: Collects): boolean => {
  if (!sound.has(item)) {
    if (!isItem(item)) return false
    sound.add(item)
  }
  return item.key === lookup.key && item.partition === lookup.partition &&
    lookup.variantOf(item.vary) === item.variant && item.responseTime > own.distrustedUntil
}

/** Of what may be no item, and not even a record: that of a key which was never collected, so that it can be replaced. */
const fenceOf = (answer: { readonly fence?: unknown } | null | undefined): string =>
  typeof answer?.fence === "string" ? answer.fence : ""

const missed = (reason: ForwardReason, fence: string | undefined) => ({ item: undefined, reason, fence })

export const look = (
  storage: CacheStorage.Service,
  lookup: CacheStorage.Lookup,
  timeout: number,
  accepts: Accepts
): Effect.Effect<Place> =>
  Effect.flatMap(Clock.currentTimeMillis, (since) =>
    Effect.map(
      Effect.flatMap(isCurrent(storage, lookup.key, timeout), (isCurrent) =>
        isCurrent
          ? call(storage, timeout, "get", lookup.key, () => read(storage, lookup))
          : Effect.succeed(undefined)),
      (found = missed("miss", undefined)) => {
        const { fence, item } = found
        const isAnothers = item !== undefined && !accepts(item)
        const own = isAnothers ? { ...missed("vary-miss", fence), anothers: item.cache } : found
        return { storage, lookup, timeout, since, accepts, found: own }
      }
    ))

/** What is there now: it may have been collected or replaced since. While the storage fails, what was found before. */
export const present = ({ accepts, found, lookup, storage, timeout }: Place): Effect.Effect<CacheItem | undefined> =>
  Effect.map(
    look(storage, lookup, timeout, accepts),
    (now) => now.found.fence === undefined ? found.item : now.found.item
  )

const read = (storage: CacheStorage.Service, lookup: CacheStorage.Lookup): Effect.Effect<Found, CacheStorageError> =>
  Effect.matchEffect(storage.get(lookup), {
    onSuccess: (item) =>
      Effect.succeed<Found>(
        canBeBelieved(item, lookup, collects.of(storage)) ? { item, fence: item.fence } : missed("miss", fenceOf(item))
      ),
    onFailure: (error) =>
      error._tag === "CacheMiss" ? Effect.succeed(missed(error.reason, error.fence)) : Effect.fail(error)
  })

/** Why it was not kept; `undefined` when it was. */
export const write = (
  { lookup, since, storage, timeout }: Place,
  item: CacheItem
): Effect.Effect<Detail | undefined> =>
  Effect.gen(function*() {
    if (since <= collects.of(storage).distrustedUntil) return "not-kept"
    if (!(yield* isCurrent(storage, lookup.key, timeout))) return "storage"
    const isKept = yield* call(storage, timeout, "set", lookup.key, () => storage.set(item, lookup))
    return isKept === undefined ? "storage" : isKept ? undefined : "not-kept"
  })

/** How often a key has been collected since it is watched. */
export interface Watch {
  readonly key: CacheStorage.CacheKey
  collects: number
}

const watches = perStorage("watches", () => new Set<Watch>())

/** Counts the collects of a key while `use` runs. */
export const watching = <A, E, R>(
  storage: object,
  key: CacheStorage.CacheKey,
  use: (watch: Watch) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.suspend(() => {
    const watch = { key, collects: 0 }
    watches.of(storage).add(watch)
    return Effect.ensuring(use(watch), Effect.sync(() => watches.of(storage).delete(watch)))
  })

/** Whether it is delivered. A collect that is not is kept until it can be; the key is not served before. */
export const forget = (
  storage: CollectableCacheStorage.Service,
  key: CacheStorage.CacheKey,
  timeout: number
): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    collects.of(storage).count++
    for (const watch of watches.of(storage)) if (watch.key === key) watch.collects++
    const collect = Effect.flatMap(
      call(storage, timeout, "collect", key, () => storage.collect(key)),
      (fence) => fence === undefined ? Effect.as(keepForLater(storage, key), false) : Effect.succeed(true)
    )
    // A client that leaves does not end it: only its own fiber waits in a way that can be interrupted.
    return Effect.uninterruptible(
      Effect.flatMap(Effect.forkDaemon(Effect.interruptible(collect)), (fiber) => Effect.flatten(Fiber.await(fiber)))
    )
  })

const keepForLater = (storage: object, key: CacheStorage.CacheKey): Effect.Effect<void> =>
  Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const own = collects.of(storage)
    if (own.undelivered.size < maxUndelivered || own.undelivered.has(key)) {
      own.undelivered.set(key, own.count)
      return Effect.void
    }
    own.distrustedUntil = now
    return limitReached(storage, "undelivered collects", "and nothing that was stored until now is served any more")
  })
