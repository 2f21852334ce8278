/**
 * What a route, and a whole application, is cached by.
 *
 * @since 0.1.0
 */
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import type { HttpServerResponse } from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as checks from "./policy/checks.js"
import type { VaryField } from "./policy/varying.js"
import type { QuerySelection } from "./protocol/CacheKey.js"

export { acceptEncoding, acceptLanguage, type VaryField } from "./policy/varying.js"

/**
 * A duration. A bare number is seconds, the unit of `max-age`; also `"10 seconds"` and `Duration.seconds(10)`.
 *
 * @since 0.1.0
 * @category models
 */
export type Seconds = number | Duration.DurationInput

/**
 * The groups of a response, by which many are collected at once: each a text of at most 256 characters.
 *
 * @since 0.1.0
 * @category models
 */
export type GroupsOf = (request: HttpServerRequest, response: HttpServerResponse) => Iterable<string>

/**
 * What a route is cached by. Durations: a bare number is seconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<R = never> {
  /**
   * Tells apart the caches that answer for one URI, such as those of two parts of a page: each keeps responses of its own,
   * and one collect forgets them all. It is the same after a restart and in every process, so the same one is given to the
   * same handler. Default: none; of two caches without a name, neither is answered with what the other has kept.
   */
  readonly name?: string | undefined
  /** Freshness when the handler's response states none; `0` stores and validates each time. Default: none. */
  readonly expiry?: Seconds | undefined
  /** How long shared caches keep it, this one too: `s-maxage`; `expiry` is 0 where it isn't set. Default: as `expiry`. */
  readonly sharedExpiry?: Seconds | undefined
  /**
   * How long after its expiry a stale response is served at once, while one request, with nothing of the client's own, refreshes
   * it in the background (RFC 5861 §3). An error of the refresh is logged. That expiry may lie before the response came.
   * The response's own `no-cache`, `must-revalidate`, `proxy-revalidate` and `s-maxage` forbid it. Default: not at all.
   */
  readonly staleWhileRevalidate?: Seconds | undefined
  /**
   * How long a request that finds something stale waits for the refresh, before it is answered with what is stale; the refresh
   * goes on. Default 0: it does not wait.
   */
  readonly refreshWait?: Seconds | undefined
  /**
   * How long after its expiry a stale response stands in for a `500`, `502`, `503` or `504`, answered or from a failure or a
   * defect of the handler (RFC 5861 §4); the error is logged. What forbids it is the same. Default: not at all.
   */
  readonly staleIfError?: Seconds | undefined
  /**
   * For how long, after an error for which a stale response stood in, that response is answered at once and the handler is not
   * asked, even if it would now answer, as with a `404`. It is asked all the same for a response that must always be validated
   * or was collected. Default 0: each request asks.
   */
  readonly errorBackOff?: Seconds | undefined
  /**
   * How long a stale response is kept to be validated; never shorter than its windows. Default: the largest of the two
   * windows and of the lifetime up to a day; a day where all are 0.
   */
  readonly retain?: Seconds | undefined
  /**
   * From 0 to 1: the largest part of `expiry` that is taken off at random, by Effect's `Random`, so that what was stored at
   * once does not expire at once. Clients are told the whole. Default 0.
   */
  readonly jitter?: number | undefined
  /**
   * How long the handler may take for a request that others may wait for; then it is interrupted, and all get a `504`. A
   * streamed body that nobody has begun to read by then is given up, as is one that pauses for 30 seconds. Default 60
   * seconds.
   */
  readonly deadline?: Seconds | undefined
  /**
   * How many may wait for one run of the handler; further requests run it for themselves, or are answered with what is stale
   * where they would wait for a refresh. Default 10,000.
   */
  readonly maxWaiters?: number | undefined
  /**
   * Said to clients, and binding here: a private response is stored only with a `partition`, and then `"public"` is not said.
   * `"public"` does not outrank what the handler read; `public` in the response's own field does. Default: neither.
   */
  readonly cacheControl?: "public" | "private" | undefined
  /**
   * What clients are told where the handler says nothing: `"expiry"` (`max-age`), `"revalidate"` (`no-cache`: they ask
   * each time and get a quick `304`), or `"nothing"`. Default `"expiry"`.
   */
  readonly clients?: "expiry" | "revalidate" | "nothing" | undefined
  /**
   * Request fields that select the representation, added to those of `Defaults`: names, or fields with a function that
   * normalises their value, such as `acceptLanguage`. If both name a field, the route's way counts. Default: none.
   */
  readonly vary?: ReadonlyArray<string | VaryField> | undefined
  /**
   * When the handler reads a request field that nothing names: `"vary"` adds it to `Vary`, `"refuse"` does not store,
   * `"ignore"` refuses only what read `Cookie`, `Authorization`, all fields or the request's source; with neither `expiry` nor
   * `cacheControl: "public"`, nothing. Default `"vary"` with `expiry`, else `"ignore"`.
   */
  readonly unkeyed?: "vary" | "refuse" | "ignore" | undefined
  /**
   * Names whose response this is; with it, and only with it, private responses are stored, a copy per partition.
   * `undefined` and `""` are nobody: the copy is everybody's. When it fails, or answers no text, the request passes by.
   * Clients are told by `Vary` what it and the handler read of the request; where it reads nothing of it, as of a session
   * from elsewhere, they are told `no-cache`.
   */
  readonly partition?: Effect.Effect<string | undefined, unknown, R> | undefined
  /**
   * Which search parameters are part of the key; a handler does not see the others. A name is written as it reads after
   * decoding; `utm_*` is every name that begins with `utm_`. With `sort: true` they are sorted by name, for the handler too;
   * those of one name stay in their order. Default `"all"`, in the order they were sent.
   */
  readonly query?: QuerySelection | undefined
  /** The `ETag` where the handler sets none: a digest of body, type, coding. Default `"strong"` with `expiry`, else `"none"`. */
  readonly etag?: "strong" | "weak" | "none" | undefined
  /**
   * Statuses that `expiry` applies to; those about a single request, such as 429, are never among them. Default 200, 203, 204,
   * 300, 301, 308, and for negative caching 404 and 410. `{ 404: 5 }` keeps this list, and gives a status an expiry of its own, also for clients; if `expiry` isn't set
   * it is 0 then.
   */
  readonly statuses?: ReadonlyArray<number> | { readonly [status: number]: Seconds } | undefined
  /** A response that sets cookies: `"refuse"` to store it, `"strip"` the cookies, or `"store"` their lines. Default `"refuse"`. */
  readonly cookies?: "refuse" | "strip" | "store" | undefined
  /** A client's `Cache-Control`, such as `no-cache`. Default `"ignore"` with `expiry`, else `"honor"` (RFC 9111 §5.2.1). */
  readonly requestDirectives?: "honor" | "ignore" | undefined
  /**
   * The groups that the response is of, such as `["product:7"]`, in union with those of `Defaults`, of `HttpCache.group` and
   * of its `Cache-Groups` (RFC 9875): at most 256 in all. It is asked when the handler has answered, with the request as it
   * came. Where it throws, or answers what is no list of groups, that is logged and the response is not stored, since nothing
   * could collect it. Clients are not told. Default: none.
   */
  readonly groups?: GroupsOf | undefined
  /**
   * Targeted fields to obey instead of `Cache-Control`, such as `CDN-Cache-Control`, the first first (RFC 9213). Default:
   * none; those of a CDN do not bind an origin.
   */
  readonly targets?: ReadonlyArray<string> | undefined
  /** Requests that the cache passes by. Default: none. */
  readonly bypass?: ((request: HttpServerRequest) => boolean) | undefined
  /**
   * Fresh hits of this route may be answered by the lane of `effect-http-cache/node`, before the server and all that is around
   * the route have seen the request: authentication, rate limits, logs and whatever changes responses are passed by. It is
   * not for a route with a `partition` or with `cacheControl: "private"`. Default `false`.
   */
  readonly lane?: boolean | undefined
  /** A larger body is not stored. Bytes. Default 4 MiB. */
  readonly maxBodyBytes?: number | undefined
  /** Our member of `Cache-Status`: its name, whether it says `detail` and `key`; or `false`. Default: a name, neither. */
  readonly cacheStatus?:
    | false
    | {
      readonly name?: string | undefined
      readonly detail?: boolean | undefined
      readonly key?: boolean | undefined
    }
    | undefined
}

/**
 * What a whole application is cached by: options of every route, and `origin`, `version`, `storageTimeout` and `enabled`.
 *
 * @since 0.1.0
 * @category models
 */
export interface DefaultOptions extends Omit<Options<HttpServerRequest>, "name" | "lane"> {
  /**
   * Scheme and host of the key, and what "same origin" means: those of the `"request"`, or the canonical ones where a
   * proxy in front ends TLS: `"https://api.example.com"`. Default `"request"`.
   */
  readonly origin?: string | undefined
  /**
   * A deploy with another version is not answered with the old responses, and its writes forget them. Default: none.
   */
  readonly version?: string | undefined
  /**
   * How long a request waits for the storage, for all its calls together; then it goes on without. Each call is also given up
   * after this time, counted from its own beginning. A collect has this time to itself. Default 0.25 seconds.
   */
  readonly storageTimeout?: Seconds | undefined
  /** A switch: where it says `false`, or fails, every request passes by the cache. Default: on. */
  readonly enabled?: Effect.Effect<boolean, unknown> | undefined
}

/**
 * What a whole application is cached by, see {@link DefaultOptions}. It needs no layer; `defaults` makes one.
 *
 * @example
 * ```ts
 * import { HttpServerResponse } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpCache, withCache } from "effect-http-cache"
 *
 * const hello = HttpServerResponse.text("hello").pipe(
 *   withCache({ expiry: 10 }),
 *   Effect.provideService(HttpCache.Defaults, { vary: ["Accept-Language"] })
 * )
 * ```
 *
 * @since 0.1.0
 * @category defaults
 */
export class Defaults extends Context.Reference<Defaults>()("effect-http-cache/HttpCache/Defaults", {
  defaultValue: (): DefaultOptions => ({})
}) {}

/**
 * A layer with options for the whole application: `HttpCache.defaults({ vary: ["Accept-Language"] })`. Throws a
 * `TypeError` when an option is wrong, so that the application does not start, where `Layer.succeed(HttpCache.Defaults, …)`
 * fails its first request.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { HttpCache, InMemoryCacheStorage } from "effect-http-cache"
 *
 * const caching = Layer.merge(
 *   InMemoryCacheStorage.layerCollectable,
 *   HttpCache.defaults({ origin: "https://api.example.com", storageTimeout: "100 millis" })
 * )
 * ```
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = (options: DefaultOptions): Layer.Layer<never> =>
  Layer.succeed(Defaults, checks.defaults("HttpCache.defaults", options))
