/**
 * A storage as the engine uses it: what fails or can't be believed counts as not there, and a key is not read while a collect
 * of it is not delivered.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import type { CacheMiss, CacheStorageError, ForwardReason } from "../CacheError.js"
import { CacheItem } from "../CacheItem.js"
import type * as CacheStorage from "../CacheStorage.js"
import type * as CollectableCacheStorage from "../CollectableCacheStorage.js"
import type { Detail } from "../protocol/CacheStatus.js"
import { errorOf, forkDetached, step, withFiber } from "../runtime/effect.js"
import { limitReached } from "../runtime/limits.js"
import { isAhead } from "../runtime/memory.js"
import type { Runtime } from "../runtime/runtime.js"
import { call } from "../runtime/storageCall.js"
import { retryAfter } from "../runtime/undeliveredCollects.js"
import { type Asked, now } from "./request.js"

/** What a request finds, or why it finds nothing. */
export type Found =
  | { readonly item: CacheItem; readonly reason?: undefined; readonly isUnread?: undefined }
  | {
    readonly item: undefined
    readonly reason: ForwardReason
    /** The cache at this URI that has kept what is there. */
    readonly anothers?: string
    /** The storage has failed, or is left alone since it did. */
    readonly isUnread?: boolean
  }

/** What an access needs of its request. */
export interface Access extends Pick<Asked, "storage" | "runtime" | "clock" | "lookup" | "policy"> {
  /** Which cache asks; `undefined`: what any cache has kept will do. */
  readonly cache: string | undefined
}

type Method = CacheStorageError["method"]

const callOf = (access: Omit<Access, "cache" | "lookup">, method: Method, key: string) => ({
  runtime: access.runtime,
  clock: access.clock,
  timeout: access.policy.storageTimeout,
  method,
  key
})

const canCollect = (storage: CacheStorage.Service): storage is CollectableCacheStorage.Service => "collect" in storage

const isItem = Schema.is(CacheItem)

/** Items that were found to be items: what is served again is not checked again. */
const sound = new WeakSet<CacheItem>()

const isBelievable = (item: CacheItem, lookup: CacheStorage.Lookup, { undelivered }: Runtime): boolean => {
  if (!sound.has(item)) {
    if (!isItem(item)) return false
    sound.add(item)
  }
  return item.key === lookup.key && item.partition === lookup.partition &&
    lookup.variantOf(item.vary) === item.variant && item.responseTime > undelivered.distrustedUntil
}

const missed = (reason: ForwardReason): Found => ({ item: undefined, reason })

const notFound = missed("miss")
const unread: Found = { item: undefined, reason: "miss", isUnread: true }

/** What another cache at the URI keeps is not this one's; nor are cookies that the route does not send any more. */
const accepts = ({ cache, policy }: Access, item: CacheItem): boolean =>
  cache === undefined ||
  ((item.cache === cache || item.cache === "") && (policy.cookies === "store" || item.cookies.length === 0))

/** What was found, where it is the asking cache's own. */
const ownOf = (access: Access, item: CacheItem): Found =>
  !isBelievable(item, access.lookup, access.runtime)
    ? notFound
    : accepts(access, item)
    ? { item }
    : { item: undefined, reason: "vary-miss", anothers: item.cache }

/** What is there for the request. A storage in memory answers in the same step. */
export const lookup = (access: Access): Effect.Effect<Found> =>
  step(isReadable(access), (isReadable) => isReadable ? read(access) : Exit.succeed(unread))

const read = (access: Access): Effect.Effect<Found> => {
  const { lookup, storage } = access
  return step(
    call(callOf(access, "get", lookup.key), () => foundOf(access, storage.get(lookup))),
    (found) => Exit.succeed(found ?? unread)
  )
}

const foundOf = (
  access: Access,
  answer: ReturnType<CacheStorage.Service["get"]>
): Effect.Effect<Found, CacheStorageError> => {
  if (!Exit.isExit(answer)) {
    return Effect.matchEffect(answer as Effect.Effect<CacheItem, CacheMiss | CacheStorageError>, {
      onSuccess: (item) => Effect.succeed(ownOf(access, item)),
      onFailure: (error) => error._tag === "CacheMiss" ? Effect.succeed(missed(error.reason)) : Effect.fail(error)
    })
  }
  const exit = answer as Exit.Exit<CacheItem, CacheMiss | CacheStorageError>
  if (Exit.isSuccess(exit)) return Exit.succeed(ownOf(access, exit.value))
  const error = errorOf(exit.cause)
  return error?._tag === "CacheMiss"
    ? Exit.succeed(missed(error.reason))
    : exit as Exit.Exit<never, CacheStorageError>
}

/** What is there for a request that is about to ask the handler. */
export interface Begun {
  readonly found: Found
  /** `undefined` where the storage does not answer: nothing can be stored then. */
  readonly fill: CacheStorage.Fill | undefined
}

/** `before`: what was found a moment ago. A storage that could not be read then is not asked again. */
export const begin = (access: Access, before: Found = notFound): Effect.Effect<Begun> =>
  step(before.isUnread === true ? Exit.succeed(false) : isReadable(access), (isReadable) =>
    isReadable
      ? step(
        call(callOf(access, "begin", access.lookup.key), () => access.storage.begin(access.lookup)),
        (fill) => Exit.succeed(begunOf(access, fill))
      )
      : Exit.succeed(unreadable))

const unreadable: Begun = { found: unread, fill: undefined }

const begunOf = (access: Access, fill: CacheStorage.Fill | undefined): Begun => {
  if (fill === undefined) return unreadable
  if (fill.item === undefined) return { found: notFound, fill }
  // What is no item is not there to be replaced either.
  return isBelievable(fill.item, access.lookup, access.runtime)
    ? { found: ownOf(access, fill.item), fill }
    : { found: notFound, fill: { ...fill, item: undefined } }
}

/** What is there now: it may have been collected or replaced since. While the storage fails, what was found before. */
export const lookupAgain = (access: Access, found: CacheItem): Effect.Effect<CacheItem | undefined> =>
  step(begin(access), ({ fill, found: present }) => Exit.succeed(fill === undefined ? found : present.item))

/** Why it was not kept; `undefined` when it was. Without an item, what the fill found is dropped. */
export const store = (
  access: Access,
  fill: CacheStorage.Fill | undefined,
  item: CacheItem | undefined,
  since: number
): Effect.Effect<Detail | undefined> => {
  if (fill === undefined) return Exit.succeed("storage")
  const { lookup: { key }, runtime, storage } = access
  if (since <= runtime.undelivered.distrustedUntil) return Exit.succeed("not-kept")
  return step(isReadable(access), (isReadable) =>
    isReadable
      ? step(
        call(callOf(access, "set", key), () => storage.set(item, fill)),
        (kept) => Exit.succeed(kept === undefined ? "storage" : kept === "kept" ? undefined : "not-kept")
      )
      : Exit.succeed("storage"))
}

/** Whether the key was not collected since the fill began, as far as the storage says. */
export const holds = (access: Access, fill: CacheStorage.Fill): Effect.Effect<boolean> => {
  const { lookup: { key }, storage } = access
  if (!canCollect(storage)) return Exit.succeed(true)
  return step(
    call(callOf(access, "holds", key), () => storage.holds({ keys: [key], groups: fill.item?.groups ?? [] }, fill)),
    (holds) => Exit.succeed(holds ?? true)
  )
}

/** Whether the key may be asked for: not while a collect of it is not delivered. */
const isReadable = (access: Access): Effect.Effect<boolean> => {
  const { lookup: { key }, runtime: { undelivered }, storage } = access
  if (undelivered.isEmpty) return yes
  if (!canCollect(storage)) return Exit.succeed(!undelivered.has(key))
  return Effect.andThen(
    Effect.suspend(() => deliverOthers(access, storage, key)),
    Effect.suspend(() => undelivered.has(key) ? deliver(access, storage, key) : yes)
  )
}

const yes = Exit.succeed(true)

type Collecting = Pick<Access, "runtime" | "clock" | "policy">

/** Whether the collect of a key is delivered, which one at a time tries. */
const deliver = (
  access: Collecting,
  storage: CollectableCacheStorage.Service,
  key: CacheStorage.CacheKey
): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    const { undelivered } = access.runtime
    const end = undelivered.begin(key)
    if (end === undefined) return Effect.succeed(false)
    let isDelivered = false
    return Effect.map(collectNow(access, storage, key), (delivered) => {
      isDelivered = delivered
      return delivered
    }).pipe(
      Effect.ensuring(Effect.sync(() => end(isDelivered))),
      Effect.map((delivered) => delivered && !undelivered.has(key))
    )
  })

/** Delivers the collects of the other keys beside the requests, and a while later what could not be delivered. */
const deliverOthers = (
  access: Collecting,
  storage: CollectableCacheStorage.Service,
  key: CacheStorage.CacheKey
): Effect.Effect<unknown> => {
  const { undelivered } = access.runtime
  const time = now(access)
  if (undelivered.isDeliveringOthers || isAhead(undelivered.retriesAt, time, retryAfter)) return Effect.void
  undelivered.isDeliveringOthers = true
  undelivered.retriesAt = time + retryAfter
  const others = undelivered.keys.filter((other) => other !== key)
  const delivered = Effect.forEach(others, (key) => deliver(access, storage, key), { discard: true }).pipe(
    Effect.ensuring(Effect.sync(() => undelivered.isDeliveringOthers = false))
  )
  return withFiber((context: Context.Context<never>, _, caller) => {
    access.runtime.fork(caller, delivered, context, { isAtOnce: false, isAwaited: false })
    return Exit.void
  })
}

const collectNow = (
  access: Collecting,
  storage: CollectableCacheStorage.Service,
  key: CacheStorage.CacheKey
): Effect.Effect<boolean> =>
  step(
    call(
      callOf({ ...access, storage }, "collect", key),
      () => step(storage.collect({ keys: [key], groups: [] }), () => yes)
    ),
    (isDelivered) => Exit.succeed(isDelivered === true)
  )

/**
 * Whether it is delivered. Who comes later joins no flight that began before. A collect that can't be delivered is kept until
 * it can be; the key is not served before.
 */
export const collect = (
  access: Collecting,
  storage: CollectableCacheStorage.Service,
  key: CacheStorage.CacheKey
): Effect.Effect<boolean> =>
  Effect.suspend(() => {
    const { runtime } = access
    runtime.collectBegins(key)
    const ended = step(collectNow(access, storage, key), (isDelivered) => {
      const isKept = isDelivered || runtime.undelivered.add(key, now(access))
      runtime.singleFlight.close((flight) => keyOfFlight(flight) === key)
      return Exit.succeed({ isDelivered, isKept })
    })
    // A client that leaves does not end it: only its own fiber waits in a way that can be interrupted.
    const collected = Exit.isExit(ended) ? ended : Effect.uninterruptible(
      Effect.flatMap(forkDetached(Effect.interruptible(ended)), (fiber) => Effect.flatten(Fiber.await(fiber)))
    )
    return Effect.flatMap(collected, ({ isDelivered, isKept }) =>
      isKept
        ? Effect.succeed(isDelivered)
        : Effect.as(
          limitReached(runtime, "undelivered collects", "and nothing that was stored until now is served any more"),
          false
        ))
  })

/** A flight's key begins with the key of what it fetches; the length of each text stands before it. */
export const flightKeyOf = (
  ...texts: readonly [key: CacheStorage.CacheKey, ...rest: ReadonlyArray<string>]
): string => {
  let name = ""
  for (const text of texts) name += `${text.length} ${text}`
  return name
}

const keyOfFlight = (flight: string): CacheStorage.CacheKey => {
  const space = flight.indexOf(" ")
  return flight.substr(space + 1, Number(flight.slice(0, space)))
}
