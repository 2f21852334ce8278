/** What the types of `HttpApiCache` promise. */
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "@effect/platform"
import { Context, Effect, Layer, Schema } from "effect"
import { type CacheStorage, type CollectableCacheStorage, HttpApiCache, InMemoryCacheStorage } from "effect-http-cache"
import { describe, expectTypeOf, it } from "vitest"
import { Bearer, Customer } from "./bearer.js"
import type { Asked, ServedApi } from "./platform.js"

class Session extends Context.Tag("Session")<Session, string>() {}
class Users extends Context.Tag("Users")<Users, { readonly find: Effect.Effect<string> }>() {}

const get = HttpApiEndpoint.get("get", "/").addSuccess(Schema.String)
const post = HttpApiEndpoint.post("post", "/")

type Storages = CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage

type Group = HttpApiGroup.ApiGroup<"api", "group">

describe("cached", () => {
  const api = HttpApi.make("api").add(HttpApiGroup.make("group").add(get).add(post))
  const find = Effect.flatMap(Users, ({ find }) => find)

  it("adds both storages to what the layer of the group requires, and nothing else", () => {
    const layer = HttpApiBuilder.group(
      api,
      "group",
      (handlers) => handlers.handle("get", () => find).handle("post", () => Effect.void).pipe(HttpApiCache.cached(api))
    )
    expectTypeOf(layer).toEqualTypeOf<Layer.Layer<Group, never, Asked<Users> | Storages>>()
    const served = (api: ServedApi) => api
    const live = HttpApiBuilder.api(api).pipe(Layer.provide(HttpApiBuilder.group(
      api,
      "group",
      (handlers) =>
        handlers.handle("get", () => Effect.succeed("Ada")).handle("post", () => Effect.void)
          .pipe(HttpApiCache.cached(api))
    )))
    // @ts-expect-error the storages are missing
    served(live)
    // @ts-expect-error CollectableCacheStorage is missing
    served(Layer.provide(live, InMemoryCacheStorage.layer))
    served(Layer.provide(live, InMemoryCacheStorage.layerCollectable))
  })

  it("leaves open which endpoints are not handled yet", () => {
    // @ts-expect-error post is not handled
    HttpApiBuilder.group(api, "group", (handlers) => handlers.handle("get", () => find).pipe(HttpApiCache.cached(api)))
    HttpApiBuilder.group(
      api,
      "group",
      (handlers) => handlers.handle("get", () => find).pipe(HttpApiCache.cached(api)).handle("post", () => Effect.void)
    )
  })

  it("joins what partition requires, but for what security provides", () => {
    const session = Effect.map(Session, (name) => name)
    const layer = HttpApiBuilder.group(
      api,
      "group",
      (handlers) =>
        handlers.handle("get", () => Effect.succeed("")).handle("post", () => Effect.void)
          .pipe(HttpApiCache.cached(api, { partition: session }))
    )
    expectTypeOf(layer).toEqualTypeOf<Layer.Layer<Group, never, Asked<Session> | Storages>>()
    const secured = [
      HttpApi.make("api").add(HttpApiGroup.make("group").add(get.middleware(Bearer))),
      HttpApi.make("api").add(HttpApiGroup.make("group").add(get).middleware(Bearer)),
      HttpApi.make("api").add(HttpApiGroup.make("group").add(get)).middleware(Bearer)
    ] as const
    const handler = () => Effect.succeed("")
    const partition = Effect.map(Customer, (name) => name)
    const atEndpoint = HttpApiBuilder.group(
      secured[0],
      "group",
      (handlers) => handlers.handle("get", handler).pipe(HttpApiCache.cached(secured[0], { partition }))
    )
    expectTypeOf(atEndpoint).toEqualTypeOf<Layer.Layer<Group, never, Bearer | Storages>>()
    const atGroup = HttpApiBuilder.group(
      secured[1],
      "group",
      (handlers) => handlers.handle("get", handler).pipe(HttpApiCache.cached(secured[1], { partition }))
    )
    expectTypeOf(atGroup).toEqualTypeOf<Layer.Layer<Group, never, Bearer | Storages>>()
    const atApi = HttpApiBuilder.group(
      secured[2],
      "group",
      (handlers) => handlers.handle("get", handler).pipe(HttpApiCache.cached(secured[2], { partition }))
    )
    expectTypeOf(atApi).toEqualTypeOf<Layer.Layer<Group, never, Storages>>()
  })

  it("refuses what is no option", () => {
    // @ts-expect-error a policy is annotated
    HttpApiCache.cached(api, { expiry: 10 })
    // @ts-expect-error no text
    HttpApiCache.cached(api, { partition: Effect.succeed(1) })
    // @ts-expect-error the api is missing
    HttpApiCache.cached({ partition: Effect.succeed("a") })
  })
})

describe("the annotations", () => {
  it("are of endpoints, groups and apis", () => {
    const group = HttpApiGroup.make("group").add(get)
    expectTypeOf(get.annotate(HttpApiCache.Policy, { expiry: "10 seconds" })).toEqualTypeOf(get)
    expectTypeOf(group.annotate(HttpApiCache.Policy, false)).toEqualTypeOf(group)
    const api = HttpApi.make("api").add(group)
    expectTypeOf(api.annotate(HttpApiCache.Policy, { expiry: 10, query: "all" })).toEqualTypeOf(api)
    expectTypeOf(api.pipe(HttpApiCache.openApi)).toEqualTypeOf(api)
    post.annotate(HttpApiCache.Collects, true)
    post.annotate(HttpApiCache.Collects, { also: () => ["/"], groups: () => ["a"], soft: "unless-error" })
  })

  it("refuse what is no option", () => {
    // @ts-expect-error not an option
    get.annotate(HttpApiCache.Policy, { expires: 10 })
    // @ts-expect-error a text that is no Duration
    get.annotate(HttpApiCache.Policy, { expiry: "ten" })
    // @ts-expect-error the name is made of those of group and endpoint
    get.annotate(HttpApiCache.Policy, { name: "get" })
    // @ts-expect-error a partition is given to cached
    get.annotate(HttpApiCache.Policy, { partition: Effect.succeed("a") })
    // @ts-expect-error a policy is no switch
    get.annotate(HttpApiCache.Policy, true)
    // @ts-expect-error not an option of a collect
    post.annotate(HttpApiCache.Collects, { expiry: 10 })
  })
})
