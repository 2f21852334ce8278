/**
 * Caching for `@effect/platform`, around a route, a router or an app.
 *
 * The way of a request through the cache is in `engine/handle.ts`.
 *
 * @since 0.1.0
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import type { HttpServerResponse } from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { GroupsOf, Options, Seconds } from "./CachePolicy.js"
import type { CacheStorage } from "./CacheStorage.js"
import type { CollectableCacheStorage, CollectStyle } from "./CollectableCacheStorage.js"
import { callSite } from "./engine/callSite.js"
import * as enclosing from "./engine/enclosing.js"
import * as checks from "./policy/checks.js"
import * as policies from "./policy/policy.js"
import { cached, collecting } from "./server/cached.js"
import type { App, Respondable, Unhandled } from "./server/platform.js"

export { type DefaultOptions, Defaults, defaults, type Options } from "./CachePolicy.js"
export type { Explanation } from "./engine/explain.js"

/**
 * Caches a route: `handler.pipe(withCache({ expiry: 10 }))`. It goes innermost: authentication, `cors` and what else must run
 * for each request go outside. So a handler that answers by who is asking needs a `partition`. Without `expiry` the response's
 * own fields decide. It keeps the response to the whole request; caches of several parts of a page need a `name` each.
 *
 * Only `GET`, `HEAD` and `QUERY` are answered; `HttpRouter` routes no `QUERY`, a bare app does. A typed failure is not stored.
 * It follows RFC 9111; a bare number is seconds. Throws a `TypeError` when an option is wrong.
 *
 * @example
 * ```ts
 * import { HttpServerResponse } from "@effect/platform"
 * import { withCache } from "effect-http-cache"
 * const hello = HttpServerResponse.text("hello").pipe(withCache({ expiry: 10 }))
 * ```
 *
 * @since 0.1.0
 * @category middleware
 */
export const withCache: {
  <RP = never>(options?: Options<RP>): <A extends Respondable, E, R>(
    handler: Effect.Effect<A, E, R>
  ) => App<E, R | RP | CacheStorage>
  <A extends Respondable, E, R, RP = never>(
    handler: Effect.Effect<A, E, R>,
    options?: Options<RP>
  ): App<E, R | RP | CacheStorage>
} = <A extends Respondable, E, R, RP>(
  first: Effect.Effect<A, E, R> | Options<RP> = {},
  second: Options<RP> = {}
): never =>
  (isHandler(first)
    ? cached(policies.resolve("withCache", second))(first)
    : cached(policies.resolve("withCache", first))) as never

/** Tells a handler from options. TypeScript can't follow that into the callers' overloads: these cast. */
const isHandler = <A, E, R>(given: Effect.Effect<A, E, R> | object): given is Effect.Effect<A, E, R> =>
  Effect.isEffect(given)

/**
 * What a collect forgets, and by which key.
 *
 * @since 0.1.0
 * @category models
 */
export interface CollectOptions extends CollectStyle {
  /** Which search parameters are part of the key: the same as at the cached route. Default: that of `Defaults`. */
  readonly query?: Options["query"]
  /**
   * More to forget, such as the list pages that show what was changed: paths, or absolute URIs. It is asked when the
   * handler has answered `2xx` or `3xx`. A handler that was interrupted may have written: it is asked with an empty `204` then.
   */
  readonly also?:
    | ((request: HttpServerRequest, response: HttpServerResponse) => Iterable<string>)
    | undefined
  /**
   * The groups to forget, of the request's origin, such as `["product:7"]`, beside those of the response's
   * `Cache-Group-Invalidation` (RFC 9875). It is asked when `also` is. If one of the two throws, or names what is no URI or no
   * group, that is logged, and the rest is collected. Default: none.
   */
  readonly groups?: GroupsOf | undefined
}

/**
 * Forgets what is stored for the URI when the handler succeeds with an unsafe method, and what `Location` and
 * `Content-Location` name within the same origin (RFC 9111 §4.4). The answer goes out after the collect, which nothing
 * interrupts. A `4xx`, a `5xx` or a failure forgets nothing; a handler that was interrupted may have written, and forgets.
 *
 * A collect can't reach a browser's copy: tell clients to ask each time, with `clients: "revalidate"`.
 *
 * @example
 * ```ts
 * import { HttpServerResponse } from "@effect/platform"
 * import { withCollect } from "effect-http-cache"
 * const rename = HttpServerResponse.text("renamed").pipe(withCollect({ also: () => ["/users"] }))
 * ```
 *
 * @since 0.1.0
 * @category middleware
 */
export const withCollect: {
  (options?: CollectOptions): <A extends Respondable, E, R>(
    handler: Effect.Effect<A, E, R>
  ) => App<E, R | CacheStorage | CollectableCacheStorage>
  <A extends Respondable, E, R>(
    handler: Effect.Effect<A, E, R>,
    options?: CollectOptions
  ): App<E, R | CacheStorage | CollectableCacheStorage>
} = <A extends Respondable, E, R>(
  first: Effect.Effect<A, E, R> | CollectOptions = {},
  second: CollectOptions = {}
): never => {
  const options = checks.collect("withCollect", isHandler(first) ? second : first)
  const collects = collecting(policies.resolve("withCollect", { query: options.query }), options, true)
  return (isHandler(first) ? collects(first) : collects) as never
}

/**
 * `withCache` and `withCollect` in one, for a router or an app. A cache beneath it, around a single route, wins there.
 * Throws a `TypeError` when an option is wrong, at once; so do `make` and `routerMiddleware`.
 *
 * @example
 * ```ts
 * import { HttpServerResponse } from "@effect/platform"
 * import { Clock, Effect } from "effect"
 * import { HttpCache } from "effect-http-cache"
 * const handler = Effect.map(Clock.currentTimeMillis, (now) => HttpServerResponse.text(`${now}`))
 * const app = handler.pipe(HttpCache.middleware({ expiry: "1 minute" }))
 * ```
 *
 * @since 0.1.0
 * @category middleware
 */
export const middleware = <RP = never>(
  options: Options<RP> = {}
): <E, R>(app: App<E, R>) => App<E, R | RP | CacheStorage | CollectableCacheStorage> => {
  if (!isHandler(options)) return both("HttpCache.middleware", options)
  throw new TypeError(
    "HttpCache.middleware: the options are an app; put it around that: app.pipe(HttpCache.middleware())"
  )
}

/** `site`: its place in the program, where the platform, not the program, puts it around the app. */
const both = <RP>(
  where: string,
  options: Options<RP>,
  site?: () => string
): <E, R>(app: App<E, R>) => App<E, R | RP | CacheStorage | CollectableCacheStorage> => {
  const resolved = policies.resolve(where, options)
  const cache = cached(resolved, site === undefined ? undefined : { made: site, isPlaced: true })
  const collect = collecting(resolved, {}, false)
  return (app) => cache(collect(app))
}

/**
 * For a handler, at any depth: "do not keep this response". It goes out with `Cache-Control: no-store` (RFC 9111 §5.2.2.5), so
 * that no other cache keeps it either. What was said once is not taken back; without a cache above nothing happens.
 *
 * @example
 * ```ts
 * import { HttpServerResponse } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpCache } from "effect-http-cache"
 * const once = Effect.as(HttpCache.noStore, HttpServerResponse.text("for this client, now"))
 * ```
 *
 * @since 0.1.0
 * @category handlers
 */
export const noStore: Effect.Effect<void> = enclosing.noStore

/**
 * For a handler, at any depth: what it knows late of its response. `expiry` is its freshness, in seconds where it is a bare
 * number, as if its `Cache-Control` said `max-age`; freshness that the response states itself is left alone. Of several calls
 * the last counts. Dies with a `TypeError` when it is no duration.
 *
 * @example
 * ```ts
 * import { HttpServerResponse } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpCache } from "effect-http-cache"
 * const rate = Effect.as(HttpCache.annotate({ expiry: "5 minutes" }), HttpServerResponse.text("1.08"))
 * ```
 *
 * @since 0.1.0
 * @category handlers
 */
export const annotate = ({ expiry }: { readonly expiry: Seconds }): Effect.Effect<void> =>
  Effect.suspend(() => enclosing.annotate(checks.durationOf("HttpCache.annotate", "expiry", expiry)))

/**
 * For a handler, at any depth: groups that its response is of, such as `HttpCache.group("product:7")`, so that it is collected
 * with all that is of one of them. A group is a text of at most 256 characters, and belongs to the request's origin. A response
 * with more than 256 groups, or with one that is no such text, is not stored, and that is logged. A group that is named while a
 * streamed body is sent counts too. Every cache above learns of it, clients do not; without a cache above nothing happens.
 *
 * @example
 * ```ts
 * import { HttpServerResponse } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpCache, withCache } from "effect-http-cache"
 * const product = Effect.as(HttpCache.group("product:7"), HttpServerResponse.text("a chair")).pipe(withCache({ expiry: 60 }))
 * ```
 *
 * @since 0.1.0
 * @category handlers
 */
export const group = (...groups: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.flatMap(enclosing.EnclosingCache, (nearest) => enclosing.giveGroups(nearest, "HttpCache.group", () => groups))

/**
 * `middleware` with its services resolved now, for `HttpApiBuilder.middleware`. It runs outside the security of the
 * endpoints: a hit skips it. Where there is any, use `HttpApiCache`, or `handleRaw` and `withCache`.
 *
 * @example
 * ```ts
 * import { HttpApiBuilder } from "@effect/platform"
 * import { HttpCache } from "effect-http-cache"
 * const cached = HttpApiBuilder.middleware(HttpCache.make({ expiry: 10 }))
 * ```
 *
 * @since 0.1.0
 * @category middleware
 */
export const make = <RP = never>(options: Options<RP> = {}) => made("HttpCache.make", options)

const made = <RP>(where: string, options: Options<RP>): Effect.Effect<
  <E, R>(app: App<E, R>) => App<E, R>,
  never,
  CacheStorage | CollectableCacheStorage | Exclude<RP, HttpServerRequest>
> => {
  const around = both(where, options, callSite(options))
  return Effect.map(
    Effect.context<CacheStorage | CollectableCacheStorage | Exclude<RP, HttpServerRequest>>(),
    (services) => <E, R>(app: App<E, R>) =>
      Effect.mapInputContext(
        around(app),
        // What RP needs is in `services`, or is the request itself.
        (context: Context.Context<R | HttpServerRequest>) =>
          Context.merge(services, context) as Context.Context<
            R | RP | HttpServerRequest | CacheStorage | CollectableCacheStorage
          >
      )
  )
}

/**
 * `middleware` for `HttpLayerRouter`: the routes that are provided with its `layer` are cached and collected.
 *
 * @example
 * ```ts
 * import { HttpLayerRouter, HttpServerResponse } from "@effect/platform"
 * import { Layer } from "effect"
 * import { HttpCache } from "effect-http-cache"
 * const hello = HttpLayerRouter.add("GET", "/hello", HttpServerResponse.text("hello"))
 * const routes = hello.pipe(Layer.provide(HttpCache.routerMiddleware({ expiry: 10 }).layer))
 * ```
 *
 * @since 0.1.0
 * @category middleware
 */
export const routerMiddleware = <RP = never>(options: Options<RP> = {}) =>
  HttpLayerRouter.middleware(
    Effect.map(made("HttpCache.routerMiddleware", options), (around) => (app: App<Unhandled, never>) => around(app))
  )

export { explain } from "./server/explain.js"
export {
  collect,
  collectAll,
  collectEverything,
  collectGroup,
  collects,
  type GroupCollectStyle,
  lookup
} from "./server/operation.js"
export { type Validators, withPreconditions } from "./server/preconditions.js"
