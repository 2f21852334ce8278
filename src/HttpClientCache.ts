/**
 * A cache around a client of `@effect/platform`: a private one (RFC 9111), as a browser has it.
 *
 * @since 0.2.0
 */
import * as HttpClient from "@effect/platform/HttpClient"
import type { HttpClientError } from "@effect/platform/HttpClientError"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import type { Seconds } from "./CachePolicy.js"
import { CacheStorage } from "./CacheStorage.js"
import { cached } from "./client/cached.js"
import * as modes from "./client/modes.js"
import type { ClientError } from "./client/platform.js"
import { CollectableCacheStorage } from "./CollectableCacheStorage.js"
import * as policies from "./policy/policy.js"

/**
 * What a client is cached by. Responses say themselves how long they are fresh.
 *
 * @since 0.2.0
 * @category models
 */
export interface Options {
  /**
   * Whether one copy answers all users, by the rules for a shared cache: nothing private, nothing that sets cookies, and what was
   * asked for with `Authorization` only where the response permits it (RFC 9111 §3.5). Default `false`: each user, by a digest of
   * `Authorization` and `Cookie` as they are sent, has copies of their own.
   */
  readonly shared?: boolean | undefined
  /**
   * How long after its expiry a stale response is served at once, while one request for it runs in the background (RFC 5861 §3);
   * where that fails, it is logged. The response's own `no-cache` and `must-revalidate` forbid it, and its own
   * `stale-while-revalidate` may make it longer. Default: as the response says.
   */
  readonly staleWhileRevalidate?: Seconds | undefined
  /**
   * How long after its expiry a stale response stands in for a `500`, `502`, `503` or `504`, and for a request that failed, as
   * where there is no connection (RFC 5861 §4); the error is logged. What forbids it is the same. Default: as the response says.
   */
  readonly staleIfError?: Seconds | undefined
  /** A larger body is not stored, and what is read of it as a stream can't be read again. Bytes. Default 4 MiB. */
  readonly maxBodyBytes?: number | undefined
}

/**
 * What a request wants of the cache, as in Fetch: `"default"` goes by RFC 9111; `"no-store"` neither looks nor stores; `"reload"` asks
 * the origin for all of it, and stores that; `"no-cache"` asks the origin whether what is stored is current; `"only-if-cached"`
 * answers with what is stored, also where it is stale and its response does not forbid that, and else with a `504`.
 *
 * @since 0.2.0
 * @category models
 */
export type Mode = modes.Mode

/**
 * The client with a cache around it. What was put around the client before is beneath the cache and runs for misses only, as
 * `HttpClient.retry` does; what is put around it later runs for each request. Requests are seen as they are sent, wherever
 * `HttpClient.mapRequest` adds to them.
 *
 * `GET` and `HEAD` are answered. An unsafe method forgets what it has changed before its response is there. Who waits for
 * another request that fails, fails with a `RequestError`. Throws a `TypeError` when an option is wrong.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpClientCache } from "effect-http-cache"
 * const cached = Effect.flatMap(HttpClient.HttpClient, (client) => HttpClientCache.transform(client, { staleIfError: "1 day" }))
 * ```
 *
 * @since 0.2.0
 * @category combinators
 */
export const transform = <E, R>(
  client: HttpClient.HttpClient.With<E, R>,
  options: Options = {}
): Effect.Effect<HttpClient.HttpClient.With<E | ClientError, R>, never, CacheStorage | CollectableCacheStorage> => {
  const policy = policies.resolveClient("HttpClientCache", options)
  return Effect.flatMap(
    Effect.zip(CacheStorage, CollectableCacheStorage),
    ([storage, collectable]) =>
      storage === collectable
        ? Effect.succeed(cached(client, policy, collectable))
        : Effect.die(
          new Error(
            "HttpClientCache: CacheStorage and CollectableCacheStorage are two storages, so that nothing would be forgotten; " +
              "provide both from one layer, such as InMemoryCacheStorage.layerCollectable"
          )
        )
  )
}

/**
 * A layer around that of the client. Throws a `TypeError` when an option is wrong.
 *
 * @example
 * ```ts
 * import { FetchHttpClient, HttpClient } from "@effect/platform"
 * import { Effect, Layer } from "effect"
 * import { HttpClientCache, InMemoryCacheStorage } from "effect-http-cache"
 *
 * const client = HttpClientCache.layer().pipe(
 *   Layer.provide([FetchHttpClient.layer, InMemoryCacheStorage.layerCollectable])
 * )
 * const user = HttpClient.get("https://api.example.com/users/1").pipe(
 *   Effect.flatMap((response) => response.json),
 *   Effect.provide(client)
 * )
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<HttpClient.HttpClient, never, HttpClient.HttpClient | CacheStorage | CollectableCacheStorage> => {
  policies.resolveClient("HttpClientCache", options)
  return Layer.effect(
    HttpClient.HttpClient,
    Effect.flatMap(
      HttpClient.HttpClient,
      (client) => transform<HttpClientError, never>(client, options)
    )
  )
}

/**
 * The requests of an effect in this mode; an inner one wins. Throws a `TypeError` for any other mode.
 *
 * @example
 * ```ts
 * import { HttpClient } from "@effect/platform"
 * import { HttpClientCache } from "effect-http-cache"
 * const again = HttpClient.get("https://api.example.com/users/1").pipe(HttpClientCache.withMode("reload"))
 * ```
 *
 * @since 0.2.0
 * @category combinators
 */
export const withMode: {
  (mode: Mode): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, mode: Mode): Effect.Effect<A, E, R>
} = dual(
  2,
  <A, E, R>(effect: Effect.Effect<A, E, R>, mode: Mode): Effect.Effect<A, E, R> =>
    Effect.provideService(effect, modes.CurrentMode, modes.modeOf("HttpClientCache.withMode", mode))
)
