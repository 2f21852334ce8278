/**
 * A page to look at the cache: what it does, what it holds and why not, by route and by URI.
 *
 * What it shows is meant for those who run the server. Mind who may see it: URIs are shown as they are.
 *
 * @since 0.2.0
 */
import * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { CacheStorage } from "./CacheStorage.js"
import { answer, beneath } from "./inspector/inspector.js"
import { observationOf } from "./inspector/observation.js"
import { checked } from "./inspector/options.js"
import { millisOf, withFiber } from "./runtime/effect.js"
import { runtimeOf } from "./runtime/runtime.js"
import { explain } from "./server/explain.js"
import { type App, patternsOf } from "./server/platform.js"

interface Placed {
  /**
   * Where it is, such as `"/inspector"`: letters, digits, `-`, `_`, `.` and `~` between slashes, without a slash at its end.
   * There is no default.
   */
  readonly path: string
}

interface Guarded<R> extends Placed {
  /**
   * Whether a request may look and collect. It is asked for each, and what fails is refused, with a `403`, and logged.
   */
  readonly authorize: Effect.Effect<boolean, unknown, R>
  readonly unguarded?: undefined
}

interface Unguarded extends Placed {
  readonly authorize?: undefined
  /** Whoever reaches the server may look and collect. */
  readonly unguarded: true
}

/**
 * Where an inspector is and who may use it: either `authorize` or `unguarded: true`.
 *
 * @since 0.2.0
 * @category models
 */
export type Options<R = never> = Guarded<R> | Unguarded

/**
 * Routes of `HttpLayerRouter`. It sees what is done with the storage that it is provided with, from when the layer is built.
 * Throws a `TypeError` when an option is wrong or missing, at once.
 *
 * @example
 * ```ts
 * import { HttpServerRequest } from "@effect/platform"
 * import { Effect } from "effect"
 * import { HttpCacheInspector } from "effect-http-cache"
 *
 * const isOperator = Effect.map(
 *   HttpServerRequest.HttpServerRequest,
 *   ({ headers }) => headers["x-operator"] === "a secret of yours"
 * )
 * const inspector = HttpCacheInspector.layer({ path: "/inspector", authorize: isOperator })
 * ```
 *
 * @since 0.2.0
 * @category layers
 */
export const layer = <R = never>(options: Options<R>) => {
  const given = checked("HttpCacheInspector.layer", options)
  const { path } = given
  return HttpLayerRouter.use((router) =>
    Effect.gen(function*() {
      const storage = yield* CacheStorage
      observationOf(
        runtimeOf(storage),
        yield* withFiber<number, never, never>((_, clock) => Effect.succeed(millisOf(clock)))
      )
      const handler = Effect.flatMap(
        HttpServerRequest,
        ({ url }) =>
          answer(given, storage, (request) => explain(router.asHttpEffect(), request), beneath(path, url) ?? "")
      )
      for (const pattern of patternsOf(path)) yield* router.add("*", pattern, handler)
    })
  )
}

/** Takes requests of the server, as the router that mounts the app hands them over: it finds nothing elsewhere. */
const beneathMount = <E, R>(app: App<E, R>, mount: string): App<E, R> =>
  mount === "" ? app : Effect.flatMap(HttpServerRequest, (request) =>
    request.url.startsWith(`${mount}/`)
      ? Effect.provideService(app, HttpServerRequest, request.modify({ url: request.url.slice(mount.length) }))
      : Effect.succeed(HttpServerResponse.empty({ status: 404 })))

/**
 * The same around an `HttpRouter` or any app: what is beneath `path` is the inspector's, and never reaches the app. Put it outermost,
 * with the storage beneath it. It sees what is done from the first request that comes by. Throws as `layer` does.
 *
 * @example
 * ```ts
 * import { HttpServerResponse } from "@effect/platform"
 * import { HttpCache, HttpCacheInspector } from "effect-http-cache"
 *
 * const app = HttpServerResponse.text("hello").pipe(
 *   HttpCache.middleware({ expiry: 10 }),
 *   HttpCacheInspector.middleware({ path: "/inspector", unguarded: true })
 * )
 * ```
 *
 * @since 0.2.0
 * @category middleware
 */
export const middleware = <R = never>(options: Options<R>): <E, R2>(
  app: App<E, R2>
) => App<E, R | R2 | CacheStorage> => {
  const given = checked("HttpCacheInspector.middleware", options)
  return <E, R2>(app: App<E, R2>): App<E, R | R2 | CacheStorage> => {
    let seen: object | undefined
    return withFiber((context, clock) => {
      const storage = Context.unsafeGet(context, CacheStorage)
      if (seen !== storage) observationOf(runtimeOf(seen = storage), millisOf(clock))
      const sub = beneath(given.path, Context.unsafeGet(context, HttpServerRequest).url)
      return sub === undefined
        ? app
        : answer(given, storage, (request, mount) => explain(beneathMount(app, mount), request), sub)
    })
  }
}
