/** The storage, asked by URI. */
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CacheMiss, CacheStorageError } from "../CacheError.js"
import type { CacheItem } from "../CacheItem.js"
import { CacheStorage, type Lookup } from "../CacheStorage.js"
import { CollectableCacheStorage } from "../CollectableCacheStorage.js"
import * as CacheKey from "../protocol/CacheKey.js"
import * as Fields from "../protocol/Fields.js"
import * as Reuse from "../protocol/Reuse.js"
import * as Vary from "../protocol/Vary.js"
import * as options from "./options.js"
import * as serverRequest from "./serverRequest.js"
import * as spellings from "./spellings.js"
import * as storages from "./storages.js"

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

/** The targets of a URI: a path is of the present request's origin, or of the one in `Defaults`. */
const targetsOf = (where: string, uri: string): Effect.Effect<ReadonlyArray<CacheKey.Target>> =>
  Effect.gen(function*() {
    const policy = policies(yield* options.Defaults)
    const request = Option.getOrUndefined(yield* Effect.serviceOption(HttpServerRequest))
    const base = request !== undefined
      ? serverRequest.view(request, policy.origin).target
      : policy.origin === undefined
      ? undefined
      : CacheKey.target("/", policy.origin)
    return resolve(where, uri, base)
  })

const policies = options.resolve<never>("HttpCache", {})

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

/**
 * The fresh item that a `GET` for a URI would be answered with: everybody's, unless `partition` says whose. `headers` are
 * the request fields that select a variant, and `name` is that of the cache, where it has one. Dies when a path is given and the origin isn't known.
 *
 * @since 0.1.0
 * @category storage
 */
export const lookup = (uri: string, request: {
  readonly headers?: { readonly [name: string]: string } | undefined
  readonly partition?: string | undefined
  readonly name?: string | undefined
} = {}): Effect.Effect<CacheItem, CacheMiss | CacheStorageError, CacheStorage> =>
  Effect.gen(function*() {
    const storage = yield* CacheStorage
    const { query, storageTimeout, version } = policies(yield* options.Defaults)
    const fields = Fields.from(
      Object.entries(request.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value])
    )
    const targets = yield* targetsOf("HttpCache.lookup", uri)
    const keys = new Set(targets.map((target) => CacheKey.make(target, query)))
    const lookups = [...keys].flatMap((key) =>
      selectionsOf(key, request.name, version).map((selection): Lookup => ({
        key,
        partition: request.partition ?? "",
        variantOf: (vary) => Vary.variant(vary, fields, selection)
      }))
    )
    const find = (wanted: Lookup) =>
      Effect.flatMap(
        storages.look(storage, wanted, storageTimeout, () => true),
        ({ found }): Effect.Effect<CacheItem, CacheMiss | CacheStorageError> => {
          if (found.item !== undefined) return Effect.succeed(found.item)
          const { fence, reason } = found
          return fence === undefined
            ? failed("get", wanted.key, "the storage has failed, or is left alone since it did")
            : new CacheMiss({ key: wanted.key, reason, fence })
        }
      )
    const item = yield* Effect.firstSuccessOf(lookups.map(find))
    const now = yield* Clock.currentTimeMillis
    const reuse = Reuse.decide(item, { ...Reuse.anybody, isHeld: item.range === undefined }, now)
    if (reuse._tag === "Forward") {
      return yield* new CacheMiss({ key: item.key, reason: reuse.reason, fence: item.fence })
    }
    return { ...item, headers: { ...item.headers }, body: new Uint8Array(item.body) }
  })

/**
 * Forgets every partition and variant of a URI. Within a request, or with `origin` in `Defaults`, a path is enough; else
 * it dies with a sentence that says so.
 *
 * @since 0.1.0
 * @category storage
 */
export const collect = (uri: string): Effect.Effect<void, CacheStorageError, CollectableCacheStorage> =>
  collectAll([uri])

/**
 * `collect` for many. It fails when one could not be delivered to the storage. That one is kept, and delivered before the
 * storage is read again: this process does not serve it, though others that share the storage may.
 *
 * @since 0.1.0
 * @category storage
 */
export const collectAll = (
  uris: Iterable<string>
): Effect.Effect<void, CacheStorageError, CollectableCacheStorage> =>
  Effect.gen(function*() {
    const storage = yield* CollectableCacheStorage
    const { query, storageTimeout } = policies(yield* options.Defaults)
    const targets = yield* Effect.forEach(uris, (uri) => targetsOf("HttpCache.collect", uri))
    const undelivered = yield* Effect.filter(
      spellings.keysOf(storage, targets.flat(), query),
      (key) => storages.forget(storage, key, storageTimeout),
      { negate: true }
    )
    const [key] = undelivered
    if (key === undefined) return
    return yield* failed("collect", key, `${undelivered.length} not delivered yet`)
  })
