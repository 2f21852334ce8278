/** The storage, asked by URI: look up and collect. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { CacheMiss, CacheStorageError } from "../CacheError.js"
import type { CacheItem } from "../CacheItem.js"
import type { Lookup, Service } from "../CacheStorage.js"
import type * as CollectableCacheStorage from "../CollectableCacheStorage.js"
import { groupsOf, listFrom, originOf } from "../policy/checks.js"
import type { Policy } from "../policy/policy.js"
import * as CacheGroups from "../protocol/CacheGroups.js"
import * as CacheKey from "../protocol/CacheKey.js"
import * as Fields from "../protocol/Fields.js"
import * as Reuse from "../protocol/Reuse.js"
import * as Vary from "../protocol/Vary.js"
import { millisOf } from "../runtime/effect.js"
import { everything, nameOfGroup, nameOfKey, textOf } from "../runtime/names.js"
import { runtimeOf } from "../runtime/runtime.js"
import * as collecting from "./collecting.js"
import * as spellings from "./spellings.js"
import * as storageAccess from "./storageAccess.js"

type CollectStyle = CollectableCacheStorage.CollectStyle

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
  // Made a text, `undefined` would name a path. A `URL` is a URI too.
  const isUri = typeof uri === "string" || (uri as unknown) instanceof URL
  const targets = isUri ? CacheKey.resolveAll(uri, base) : []
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

/** All selections of a cache that may have stored it: within a cached router, one deeper; in a mount, by the path's end. */
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

/** It fails when one could not be delivered to the storage. */
const collect = (
  storage: CollectableCacheStorage.Service,
  names: ReadonlyArray<string>,
  style: CollectStyle,
  { clock, policy }: Operation
): Effect.Effect<void, CacheStorageError> => {
  const access = { runtime: runtimeOf(storage), clock, policy }
  const undelivered = Effect.filter(
    names,
    (name) => Effect.map(collecting.collect(access, storage, name, style), (isDelivered) => !isDelivered)
  )
  return Effect.flatMap(undelivered, ([name, ...more]) =>
    name === undefined
      ? Effect.void
      : Effect.fail(failed("collect", textOf(name), `${more.length + 1} not delivered yet`)))
}

/** Forgets all partitions and variants of these URIs, and of these keys as they stand. */
export const collectAll = (
  storage: CollectableCacheStorage.Service,
  uris: Iterable<string>,
  style: CollectStyle,
  operation: Operation,
  known: ReadonlyArray<CacheKey.CacheKey> = []
): Effect.Effect<void, CacheStorageError> =>
  Effect.suspend(() => {
    const targets = listFrom("HttpCache.collectAll", "URIs", uris)
      .flatMap((uri) => resolve("HttpCache.collect", uri, operation.base))
    const keys = new Set([...known, ...spellings.keysOf(runtimeOf(storage), targets, operation.policy.query)])
    return collect(storage, [...keys].map(nameOfKey), style, operation)
  })

/** Forgets what is of a group within an origin: the one that is given, or else that of the base. */
export const collectGroup = (
  storage: CollectableCacheStorage.Service,
  group: string,
  origin: string | undefined,
  style: CollectStyle,
  operation: Operation
): Effect.Effect<void, CacheStorageError> =>
  Effect.suspend(() => {
    const where = "HttpCache.collectGroup"
    const [known] = groupsOf(where, [group])
    const within = origin === undefined ? operation.base?.origin : originOf(where, origin)
    if (within === undefined) {
      throw new TypeError(
        `${where}: the origin of the group ${JSON.stringify(group)} isn't known; give it as in ` +
          `{ origin: "https://api.example.com" }, or in HttpCache.Defaults`
      )
    }
    return collect(storage, [nameOfGroup(CacheGroups.nameOf(within, known!))], style, operation)
  })

export const collectEverything = (
  storage: CollectableCacheStorage.Service,
  style: CollectStyle,
  operation: Operation
): Effect.Effect<void, CacheStorageError> => Effect.suspend(() => collect(storage, [everything], style, operation))
