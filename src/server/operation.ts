/** What is asked of a storage by URI or by group: within a request of the platform's server, or outside of any. */
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { CacheMiss, CacheStorageError } from "../CacheError.js"
import type { CacheItem } from "../CacheItem.js"
import { Defaults } from "../CachePolicy.js"
import { CacheStorage } from "../CacheStorage.js"
import { CollectableCacheStorage, type Collected, type CollectStyle } from "../CollectableCacheStorage.js"
import * as collecting from "../engine/collecting.js"
import * as operations from "../engine/operations.js"
import * as policies from "../policy/policy.js"
import * as CacheKey from "../protocol/CacheKey.js"
import { serviceIn, withFiber } from "../runtime/effect.js"
import * as requests from "./request.js"

const ofNoRoute = policies.resolve<never>("HttpCache", {})

/** A path is of the present request's origin, or of the one in `Defaults`. */
export const operation = <A, E, R>(
  use: (operation: operations.Operation, context: Context.Context<R>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  withFiber<A, E, R>((context, clock) => {
    const policy = ofNoRoute(Context.get(context, Defaults))
    const request = serviceIn(context, HttpServerRequest)
    const base = request !== undefined
      ? requests.view(request, policy.origin).target
      : policy.origin === undefined
      ? undefined
      : CacheKey.target("/", policy.origin)
    return use({ policy, clock, base }, context)
  })

/**
 * The fresh item that a `GET` for a URI would be answered with: everybody's, unless `partition` says whose. `headers` are the
 * request fields that select a variant, as the route normalises them; `name` is that of the cache, if it has one. Fails with
 * `CacheMiss` where nothing fresh is stored, and with `CacheStorageError` where the storage fails. Dies when a path is given and
 * the origin isn't known.
 *
 * @example
 * ```ts
 * import { HttpCache } from "effect-http-cache"
 * const french = HttpCache.lookup("https://api.example.com/users/1", { headers: { "accept-language": "fr" } })
 * ```
 *
 * @since 0.1.0
 * @category storage
 */
export const lookup = (
  uri: string,
  wanted: operations.Wanted = {}
): Effect.Effect<CacheItem, CacheMiss | CacheStorageError, CacheStorage> =>
  operation((operation, context: Context.Context<CacheStorage>) =>
    operations.lookup(Context.get(context, CacheStorage), uri, wanted, operation)
  )

/**
 * Forgets every partition and variant of a URI; others call that to purge or to invalidate it. Within a request, or with
 * `origin` in `Defaults`, a path is enough; else it dies with a sentence that says so. It fails as `collectAll` does.
 *
 * @example
 * ```ts
 * import { HttpCache } from "effect-http-cache"
 * const forget = HttpCache.collect("https://api.example.com/users/1")
 * ```
 *
 * @since 0.1.0
 * @category storage
 */
export const collect = (
  uri: string,
  style: CollectStyle = {}
): Effect.Effect<void, CacheStorageError, CollectableCacheStorage> => collectAll([uri], style)

/**
 * `collect` for many, in order. It fails when a collect could not be delivered to the storage. Such a collect is kept and
 * delivered later: until then this process does not serve its URI, though others that share the storage may.
 *
 * @example
 * ```ts
 * import { HttpCache } from "effect-http-cache"
 * const forget = HttpCache.collectAll([1, 2, 3].map((page) => `https://api.example.com/users?page=${page}`))
 * ```
 *
 * @since 0.1.0
 * @category storage
 */
export const collectAll = (
  uris: Iterable<string>,
  style: CollectStyle = {}
): Effect.Effect<void, CacheStorageError, CollectableCacheStorage> =>
  operation((operation, context: Context.Context<CollectableCacheStorage>) =>
    operations.collectAll(Context.get(context, CollectableCacheStorage), uris, style, operation)
  )

/**
 * How the collect of a group is done.
 *
 * @since 0.1.0
 * @category models
 */
export interface GroupCollectStyle extends CollectStyle {
  /** The origin that the group belongs to, such as `"https://api.example.com"`. Default: that of the request, or of `Defaults`. */
  readonly origin?: string | undefined
}

/**
 * Forgets all that is of a group, wherever it is: every URI, partition and variant. Its cost is always the same. Outside of a
 * request, and without `origin` here or in `Defaults`, it dies with a sentence that says so; also where the group is none. It
 * fails as `collectAll` does.
 *
 * @example
 * ```ts
 * import { HttpCache } from "effect-http-cache"
 * const forget = HttpCache.collectGroup("product:7", { origin: "https://api.example.com" })
 * ```
 *
 * @since 0.1.0
 * @category storage
 */
export const collectGroup = (
  group: string,
  { origin, ...style }: GroupCollectStyle = {}
): Effect.Effect<void, CacheStorageError, CollectableCacheStorage> =>
  operation((operation, context: Context.Context<CollectableCacheStorage>) =>
    operations.collectGroup(Context.get(context, CollectableCacheStorage), group, origin, style, operation)
  )

/**
 * Forgets all that the storage has, of every origin; with `soft` all of it is validated before it is used. It fails as
 * `collectAll` does, and then nothing that was stored is served before it is delivered.
 *
 * @example
 * ```ts
 * import { HttpCache } from "effect-http-cache"
 * const afterAnImport = HttpCache.collectEverything({ soft: true })
 * ```
 *
 * @since 0.1.0
 * @category storage
 */
export const collectEverything = (
  style: CollectStyle = {}
): Effect.Effect<void, CacheStorageError, CollectableCacheStorage> =>
  operation((operation, context: Context.Context<CollectableCacheStorage>) =>
    operations.collectEverything(Context.get(context, CollectableCacheStorage), style, operation)
  )

/**
 * What this process collects by the storage, in order, from when the stream runs: each once the storage has forgotten it, and as
 * `CollectableCacheStorage.Service` names it. So it can be carried elsewhere, such as to a CDN. Nothing is dropped: who is slow
 * keeps what is waiting in memory.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { HttpCache } from "effect-http-cache"
 *
 * const purge = (uris: ReadonlyArray<string>) => Effect.log(`the CDN forgets ${uris.join(" and ")}`)
 * const carried = Stream.runForEach(HttpCache.collects, ({ keys }) => purge(keys))
 * ```
 *
 * @since 0.2.0
 * @category storage
 */
export const collects: Stream.Stream<Collected, never, CollectableCacheStorage> = Stream.unwrap(
  Effect.map(CollectableCacheStorage, collecting.collects)
)
