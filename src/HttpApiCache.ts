/**
 * Caching for the endpoints of an `HttpApi`, by annotations. The cache stands inside the security of each endpoint.
 *
 * @since 0.1.0
 */
import * as OpenApi from "@effect/platform/OpenApi"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { apiOf, endpointsOf, settingsOf } from "./httpApi/annotations.js"
import { wrapped } from "./httpApi/handlers.js"
import { documented } from "./httpApi/openApi.js"
import {
  type AnyApi,
  type AnyHandlers,
  type Asked,
  builtOf,
  type Provided,
  type Requiring,
  withItems
} from "./httpApi/platform.js"
import { type Check, check, unless } from "./runtime/givenValues.js"
import type { Options } from "./CachePolicy.js"
import type { CacheStorage } from "./CacheStorage.js"
import type { CollectableCacheStorage } from "./CollectableCacheStorage.js"

export { Collects, Policy, type PolicyOptions } from "./httpApi/annotations.js"

/**
 * What `cached` takes beside the annotations, since it requires services.
 *
 * @since 0.1.0
 * @category models
 */
export interface CachedOptions<R = never> {
  /**
   * As `partition` of `withCache`, for each endpoint that has a `Policy`: it may ask for what the security of the endpoint
   * provides. Where that is not provided, the request passes by the cache. Default: none.
   */
  readonly partition?: Options<R>["partition"]
}

const ofCached: { readonly [Option in keyof CachedOptions]-?: Check } = {
  partition: unless(Effect.isEffect, "an Effect that names whose response it is")
}

/**
 * Has the annotations of the api take effect for the handlers before it, each within the security of its endpoint. Handlers
 * that come later, or that another `cached` has had before, are left as they are.
 *
 * Throws a `TypeError`, so that the application does not start, where an annotation is wrong: an option, a `Policy` at an
 * endpoint that is no `GET`, `Collects` at one that is safe, a `query` that leaves out a declared search parameter, a `lane`
 * where there is security; where no handler is before it; and where an option of its own is wrong.
 *
 * @example
 * ```ts
 * import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "@effect/platform"
 * import { Effect, Layer, Schema } from "effect"
 * import { HttpApiCache, InMemoryCacheStorage } from "effect-http-cache"
 *
 * const list = HttpApiEndpoint.get("list", "/products").addSuccess(Schema.Array(Schema.String))
 * const products = HttpApiGroup.make("products").add(list.annotate(HttpApiCache.Policy, { expiry: 60 }))
 * const api = HttpApi.make("shop").add(products)
 *
 * const ProductsLive = HttpApiBuilder.group(api, "products", (handlers) =>
 *   handlers.handle("list", () => Effect.succeed(["chair"])).pipe(HttpApiCache.cached(api))
 * ).pipe(Layer.provide(InMemoryCacheStorage.layerCollectable))
 * ```
 *
 * @since 0.1.0
 * @category handlers
 */
export const cached =
  <Api extends AnyApi, RP = never>(api: Api, options: CachedOptions<RP> = {}) =>
  <Handlers extends AnyHandlers>(
    handlers: Handlers
  ): Requiring<Handlers, CacheStorage | CollectableCacheStorage | Asked<Exclude<RP, Provided<Api>>>> => {
    const all = apiOf(api)
    const { partition } = check("HttpApiCache.cached", "option", options, ofCached)
    const { group, items } = builtOf(handlers)
    if (all.groups[group.identifier] !== group) {
      throw new TypeError(
        `HttpApiCache.cached: this api has another group ${group.identifier}; give the api that HttpApiBuilder.group has`
      )
    }
    if (items.length === 0) {
      throw new TypeError(
        `HttpApiCache.cached: no handler of the group ${group.identifier} is before it; put it after the last handle`
      )
    }
    const made = wrapped(all, group, items, partition as Options<never>["partition"])
    // Handlers of the same endpoints, and what is around them requires the storages.
    return withItems(handlers, made) as never
  }

/**
 * Has the OpenAPI document of the api tell what clients see of the cache: response fields, `304` and `If-None-Match` of
 * endpoints that have a `Policy`, `Cache-Status` of those that collect, and `412` of either where `If-Match` or
 * `If-Unmodified-Since` is declared. It is the last that is done to the api; the api's own `OpenApi.Transform` gets what this
 * makes. Throws a `TypeError` where an annotation stands at an endpoint of the wrong method.
 *
 * @example
 * ```ts
 * import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "@effect/platform"
 * import { HttpApiCache } from "effect-http-cache"
 *
 * const products = HttpApiGroup.make("products").add(HttpApiEndpoint.get("list", "/products"))
 * const api = HttpApi.make("shop").add(products).annotate(HttpApiCache.Policy, { expiry: 60 }).pipe(HttpApiCache.openApi)
 * ```
 *
 * @since 0.1.0
 * @category OpenAPI
 */
export const openApi = <A extends AnyApi>(api: A): A => {
  const all = apiOf(api)
  const own = Option.getOrUndefined(Context.getOption(all.annotations, OpenApi.Transform))
  const endpoints = endpointsOf(all).flatMap((located) => {
    const { collects, policy } = settingsOf(located)
    if (policy === undefined && collects === undefined) return []
    return [{ endpoint: located.endpoint, isCached: policy !== undefined, saysStatus: policy?.cacheStatus !== false }]
  })
  return all.annotate(OpenApi.Transform, (document) => {
    const made = documented(document, endpoints)
    return own === undefined ? made : own(made)
  }) as never
}
