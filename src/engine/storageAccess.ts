/**
 * A storage as the engine uses it: what fails or can't be believed counts as not there, and a key is not read while a collect
 * of it is not delivered.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { CacheMiss, CacheStorageError } from "../CacheError.js"
import { type CacheItem, isItem } from "../CacheItem.js"
import type * as CacheStorage from "../CacheStorage.js"
import type { Detail, ForwardReason } from "../protocol/CacheStatus.js"
import { errorOf, step } from "../runtime/effect.js"
import { type Call, call, type Waited } from "../runtime/storageCall.js"
import { canCollect, deliverPending, isUndelivered } from "./collecting.js"
import type { Asked } from "./request.js"

/** What a request finds, or why it finds nothing. */
export type Found =
  | { readonly item: CacheItem; readonly reason?: undefined; readonly isUnread?: undefined }
  | {
    readonly item: undefined
    readonly reason: ForwardReason
    /** The cache at this URI that has kept what is there. */
    readonly keptBy?: string
    /** The storage has failed, or is left alone since it did. */
    readonly isUnread?: boolean
  }

/** What an access needs of its request. */
export interface Access extends Pick<Asked, "storage" | "runtime" | "clock" | "lookup" | "policy"> {
  /** How long its request has waited for the storage; `undefined`: it makes one call. */
  readonly waited?: Waited | undefined
  /** Which cache asks; `undefined`: what any cache has kept will do. */
  readonly cache: string | undefined
}

const callOf = (access: Access, method: Call["method"]): Call => ({
  runtime: access.runtime,
  clock: access.clock,
  timeout: access.policy.storageTimeout,
  waited: access.waited,
  method,
  key: access.lookup.key
})

/** Items that were found to be items: what is served again is not checked again. */
const sound = new WeakSet<CacheItem>()

/** `delivered`: how many undelivered collects had been delivered before the storage was asked. */
const isBelievable = (item: CacheItem, access: Access, delivered: number): boolean => {
  const { lookup, runtime: { undelivered } } = access
  if (!sound.has(item)) {
    if (!isItem(item)) return false
    sound.add(item)
  }
  return item.key === lookup.key && item.partition === lookup.partition &&
    lookup.variantOf(item.vary) === item.variant &&
    (item.groups.length === 0 || (delivered === undelivered.delivered && !isUndelivered(access, item.groups)))
}

const missed = (reason: ForwardReason): Found => ({ item: undefined, reason })

const notFound = missed("miss")
const unread: Found = { item: undefined, reason: "miss", isUnread: true }

/** What another cache at the URI keeps is not this one's; nor are cookies that the route does not send any more. */
const accepts = ({ cache, policy }: Access, item: CacheItem): boolean =>
  cache === undefined ||
  ((item.cache === cache || item.cache === "") && (policy.cookies === "store" || item.cookies.length === 0))

/** What was found, where it is the asking cache's own. */
const ownOf = (access: Access, item: CacheItem, delivered: number): Found =>
  !isBelievable(item, access, delivered)
    ? notFound
    : accepts(access, item)
    ? { item }
    : { item: undefined, reason: "vary-miss", keptBy: item.cache }

/** What is there for the request. A storage in memory answers in the same step. */
export const lookup = (access: Access): Effect.Effect<Found> =>
  step(deliverPending(access), (isReadable) => isReadable ? read(access) : Exit.succeed(unread))

const read = (access: Access): Effect.Effect<Found> => {
  const { lookup, runtime: { undelivered: { delivered } }, storage } = access
  return step(
    call(callOf(access, "get"), () => foundOf(access, storage.get(lookup), delivered)),
    (found) => Exit.succeed(found ?? unread)
  )
}

const foundOf = (
  access: Access,
  answer: ReturnType<CacheStorage.Service["get"]>,
  delivered: number
): Effect.Effect<Found, CacheStorageError> => {
  if (!Exit.isExit(answer)) {
    return Effect.matchEffect(answer as Effect.Effect<CacheItem, CacheMiss | CacheStorageError>, {
      onSuccess: (item) => Effect.succeed(ownOf(access, item, delivered)),
      onFailure: (error) => error._tag === "CacheMiss" ? Effect.succeed(missed(error.reason)) : Effect.fail(error)
    })
  }
  const exit = answer as Exit.Exit<CacheItem, CacheMiss | CacheStorageError>
  if (Exit.isSuccess(exit)) return Exit.succeed(ownOf(access, exit.value, delivered))
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
  step(
    before.isUnread === true ? Exit.succeed(false) : deliverPending(access),
    (isReadable) => isReadable ? beginNow(access) : Exit.succeed(unreadable)
  )

const beginNow = (access: Access): Effect.Effect<Begun> => {
  const { lookup, runtime: { undelivered: { delivered } }, storage } = access
  return step(
    call(callOf(access, "begin"), () => storage.begin(lookup)),
    (fill) => Exit.succeed(begunOf(access, fill, delivered))
  )
}

const unreadable: Begun = { found: unread, fill: undefined }

const begunOf = (access: Access, fill: CacheStorage.Fill | undefined, delivered: number): Begun => {
  // A storage may answer `null`, whatever its type says.
  if (!fill) return unreadable
  if (fill.item === undefined) return { found: notFound, fill }
  const found = ownOf(access, fill.item, delivered)
  // An item that can't be believed can't be replaced.
  return { found, fill: found === notFound ? { ...fill, item: undefined } : fill }
}

/**
 * What is stored now, since what was found may have been collected or replaced. While the storage fails it is what was found,
 * unless this process has collected since. `collectsBegun`: how many collects had begun when it was found.
 */
export const lookupAgain = (
  access: Access,
  found: CacheItem,
  collectsBegun: number
): Effect.Effect<CacheItem | undefined> =>
  step(deliverPending(access, found.groups), (isReadable) =>
    isReadable
      ? step(beginNow(access), ({ fill, found: { item } }) => {
        const isCurrent = access.runtime.collectsBegun === collectsBegun
        return Exit.succeed(fill !== undefined ? item : isCurrent ? found : undefined)
      })
      : Exit.succeed(undefined))

/** Why it was not kept; `undefined` when it was. Without an item, what the fill found is dropped. */
export const store = (
  access: Access,
  fill: CacheStorage.Fill | undefined,
  item: CacheItem | undefined
): Effect.Effect<Detail | undefined> => {
  if (fill === undefined) return Exit.succeed("storage")
  const { runtime, storage } = access
  return step(deliverPending(access, item?.groups), (isReadable) =>
    isReadable
      ? step(
        call(callOf(access, "set"), () => storage.set(item, fill)),
        (kept) => {
          if (kept !== "kept") return Exit.succeed(kept === undefined ? "storage" : "not-kept")
          if (item !== undefined) runtime.observer?.saw(item)
          return Exit.succeed(undefined)
        }
      )
      : Exit.succeed("storage"))
}

/** Whether none of the groups, nor the key, was collected since the fill began; `undefined` where the storage doesn't answer. */
export const holds = (
  access: Access,
  fill: CacheStorage.Fill,
  groups: ReadonlyArray<string>,
  keys: ReadonlyArray<CacheStorage.CacheKey> = [access.lookup.key]
): Effect.Effect<boolean | undefined> => {
  const { storage } = access
  if (!canCollect(storage)) return Exit.succeed(true)
  if (isUndelivered(access, groups)) return Exit.succeed(false)
  return call(callOf(access, "holds"), () => storage.holds({ keys, groups }, fill))
}
