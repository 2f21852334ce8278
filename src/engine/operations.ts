/** The storage, asked by URI: look up and collect. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { CacheMiss, CacheStorageError } from "../CacheError.js"
import type { CacheItem } from "../CacheItem.js"
import type { Lookup, Service } from "../CacheStorage.js"
import type * as CollectableCacheStorage from "../CollectableCacheStorage.js"
import type { Policy } from "../policy/policy.js"
import * as CacheKey from "../protocol/CacheKey.js"
import * as Fields from "../protocol/Fields.js"
import * as Reuse from "../protocol/Reuse.js"
import * as Vary from "../protocol/Vary.js"
import { millisOf } from "../runtime/effect.js"
import { runtimeOf } from "../runtime/runtime.js"
import * as spellings from "./spellings.js"
import * as storageAccess from "./storageAccess.js"

/** What an operation is asked with. */
export interface Operation {
  readonly policy: Policy
  readonly clock: Clock.Clock
  /** A path is relative to it; `undefined`: only absolute URIs are known. */
  readonly base: CacheKey.Target | undefined
}

/** The targets that a URI can mean. Throws a `TypeError` when it is none, or its origin isn't known. */
export const resolve = (
  where: string,
  uri: string,
  base: CacheKey.Target | undefined
): ReadonlyArray<CacheKey.Target> => {
  const targets = CacheKey.resolveAll(uri, base)
  if (targets.length > 0) return targets
  throw new TypeError(
    `${where}: ${
      JSON.stringify(uri)
    } is no URI of a known origin; give a path such as "/users/1" within a request or ` +
      `with origin in HttpCache.Defaults, or an absolute URI such as "https://api.example.com/users/1"`
  )
}

const failed = (method: CacheStorageError["method"], key: CacheKey.CacheKey, cause: string) =>
  new CacheStorageError({ storage: "CacheStorage", method, key, cause })

/**
 * What keeps an item can't be known: a route within a cached router is one deeper, and a mount goes by the end of the path.
 */
const selectionsOf = (
  key: CacheKey.CacheKey,
  name: string | undefined,
  version: string | undefined
): ReadonlyArray<Vary.Selection> => {
  const path = key.slice(key.indexOf("/", key.indexOf("://") + 3))
  const mounted = [...path.matchAll(/(?<=[^?]*)\//g)].slice(1).map(({ index }) => path.slice(index))
  return [undefined, ...mounted].flatMap((rewritten) => [0, 1].map((depth) => ({ depth, name, version, rewritten })))
}

/** What is looked up: fields that select a variant, whose response, and of which cache. */
export interface Wanted {
  readonly headers?: { readonly [name: string]: string } | undefined
  readonly partition?: string | undefined
  readonly name?: string | undefined
}

const find = (
  storage: Service,
  lookup: Lookup,
  clock: Clock.Clock,
  policy: Policy
): Effect.Effect<CacheItem, CacheMiss | CacheStorageError> =>
  Effect.flatMap(
    storageAccess.lookup({ storage, runtime: runtimeOf(storage), clock, policy, lookup, cache: undefined }),
    (found): Effect.Effect<CacheItem, CacheMiss | CacheStorageError> => {
      if (found.item !== undefined) return Effect.succeed(found.item)
      return found.isUnread === true
        ? failed("get", lookup.key, "the storage has failed, or is left alone since it did")
        : new CacheMiss({ key: lookup.key, reason: found.reason })
    }
  )

/** The fresh item that a `GET` for a URI would be answered with. */
export const lookup = (
  storage: Service,
  uri: string,
  { headers, name, partition = "" }: Wanted,
  { base, clock, policy }: Operation
): Effect.Effect<CacheItem, CacheMiss | CacheStorageError> =>
  Effect.suspend(() => {
    const fields = Fields.from(Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]))
    const targets = resolve("HttpCache.lookup", uri, base)
    const keys = new Set(targets.map((target) => CacheKey.make(target, policy.query)))
    const lookups = [...keys].flatMap((key) =>
      selectionsOf(key, name, policy.version).map((selection): Lookup => ({
        key,
        partition,
        variantOf: (vary) => Vary.variant(vary, fields, selection)
      }))
    )
    return Effect.flatMap(
      Effect.firstSuccessOf(lookups.map((lookup) => find(storage, lookup, clock, policy))),
      (item) => {
        const reuse = Reuse.decide(
          item,
          { ...Reuse.anybody, isHeld: item.range === undefined },
          millisOf(clock)
        )
        return reuse._tag === "Forward"
          ? Effect.fail(new CacheMiss({ key: item.key, reason: reuse.reason }))
          : Effect.succeed({ ...item, headers: { ...item.headers }, body: new Uint8Array(item.body) })
      }
    )
  })

/** Forgets all partitions and variants of these URIs. It fails when one could not be delivered to the storage. */
export const collectAll = (
  storage: CollectableCacheStorage.Service,
  uris: Iterable<string>,
  { base, clock, policy }: Operation
): Effect.Effect<void, CacheStorageError> =>
  Effect.suspend(() => {
    const targets = Array.from(uris).flatMap((uri) => resolve("HttpCache.collect", uri, base))
    const runtime = runtimeOf(storage)
    const keys = spellings.keysOf(runtime, targets, policy.query)
    const undelivered = Effect.filter(
      keys,
      (key) =>
        Effect.map(storageAccess.collect({ runtime, clock, policy }, storage, key), (isDelivered) => !isDelivered)
    )
    return Effect.flatMap(undelivered, ([key, ...more]) =>
      key === undefined ? Effect.void : Effect.fail(failed("collect", key, `${more.length + 1} not delivered yet`)))
  })
