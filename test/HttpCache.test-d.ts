/** What the types promise. */
import {
  type HttpApp,
  HttpLayerRouter,
  HttpRouter,
  type HttpServerError,
  HttpServerRequest,
  HttpServerResponse
} from "@effect/platform"
import { Context, Data, Effect, Layer } from "effect"
import {
  type CacheError,
  type CacheItem,
  type CacheStorage,
  type CollectableCacheStorage,
  HttpCache,
  InMemoryCacheStorage,
  withCache,
  withCollect
} from "effect-http-cache"
import { describe, expectTypeOf, it } from "vitest"

class Users extends Context.Tag("Users")<Users, { readonly find: Effect.Effect<string> }>() {}
class Session extends Context.Tag("Session")<Session, { readonly user: string }>() {}
class NotFound extends Data.TaggedError("NotFound")<{}> {}

declare const handler: Effect.Effect<HttpServerResponse.HttpServerResponse, NotFound, Users>

type Storage = CacheStorage.CacheStorage
type Collectable = CollectableCacheStorage.CollectableCacheStorage

describe("withCache", () => {
  it("adds the storage to what a router requires, and nothing else", () => {
    const router = HttpRouter.empty.pipe(HttpRouter.get("/users/:id", handler.pipe(withCache({ expiry: 10 }))))
    expectTypeOf(router).toEqualTypeOf<HttpRouter.HttpRouter<NotFound, Users | Storage>>()
    expectTypeOf(handler.pipe(withCache())).toEqualTypeOf<HttpApp.Default<NotFound, Users | Storage>>()
  })

  it("takes the handler first as well", () => {
    expectTypeOf(withCache(handler, { expiry: 10 })).toEqualTypeOf<HttpApp.Default<NotFound, Users | Storage>>()
    expectTypeOf(withCollect(handler)).toEqualTypeOf<HttpApp.Default<NotFound, Users | Storage | Collectable>>()
    // @ts-expect-error there is no such option
    withCache(handler, { expiri: 10 })
  })

  it("takes what answers a Respondable", () => {
    const respondable: Effect.Effect<CacheError.CacheMiss> = Effect.never
    expectTypeOf(respondable.pipe(withCache())).toEqualTypeOf<HttpApp.Default<never, Storage>>()
    // @ts-expect-error a text is no response
    withCache()(Effect.succeed("text"))
  })

  it("joins what partition requires", () => {
    const user = Effect.map(Session, ({ user }) => user)
    const router = HttpRouter.empty.pipe(HttpRouter.get("/", handler.pipe(withCache({ expiry: 10, partition: user }))))
    expectTypeOf(router).toEqualTypeOf<HttpRouter.HttpRouter<NotFound, Users | Storage | Session>>()
    const header = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => headers["x-user"])
    expectTypeOf(HttpRouter.empty.pipe(HttpRouter.get("/", handler.pipe(withCache({ partition: header })))))
      .toEqualTypeOf<HttpRouter.HttpRouter<NotFound, Users | Storage>>()
  })

  it("refuses what is no option", () => {
    // @ts-expect-error a text that is no Duration
    withCache({ expiry: "ten" })
    // @ts-expect-error not an option
    withCache({ expires: 10 })
    // @ts-expect-error not a word of cacheControl
    withCache({ cacheControl: "no-store" })
    // @ts-expect-error only the whole application has an origin
    withCache({ origin: "https://api.example.com" })
    withCache({ expiry: "10 seconds" })
  })
})

describe("withCollect", () => {
  it("adds both storages", () => {
    const router = HttpRouter.empty.pipe(HttpRouter.patch("/users/:id", handler.pipe(withCollect())))
    expectTypeOf(router).toEqualTypeOf<HttpRouter.HttpRouter<NotFound, Users | Storage | Collectable>>()
  })

  it("is not satisfied by a storage that can't collect", () => {
    const app = Effect.succeed(HttpServerResponse.empty()).pipe(withCollect())
    const served = (app: HttpApp.Default) => app
    served(Effect.provide(app, InMemoryCacheStorage.layerCollectable))
    served(Effect.provide(app, InMemoryCacheStorage.layerWith({ maxBytes: 1024 })))
    // @ts-expect-error CollectableCacheStorage is missing
    served(Effect.provide(app, InMemoryCacheStorage.layer))
    // @ts-expect-error both are missing
    served(app)
  })
})

describe("around a whole app", () => {
  it("middleware, make and routerMiddleware keep errors and requirements", () => {
    const app = handler as HttpApp.Default<NotFound | HttpServerError.RouteNotFound, Users>
    expectTypeOf(app.pipe(HttpCache.middleware({ expiry: 10 })))
      .toEqualTypeOf<HttpApp.Default<NotFound | HttpServerError.RouteNotFound, Users | Storage | Collectable>>()
    const made = HttpCache.make({ expiry: 10 })
    expectTypeOf<Effect.Effect.Context<typeof made>>().toEqualTypeOf<Storage | Collectable>()
    expectTypeOf(Effect.map(made, (around) => around(app)))
      .toEqualTypeOf<
        Effect.Effect<HttpApp.Default<NotFound | HttpServerError.RouteNotFound, Users>, never, Storage | Collectable>
      >()
    const layer = HttpLayerRouter.add("GET", "/", HttpServerResponse.empty()).pipe(
      Layer.provide(HttpCache.routerMiddleware({ expiry: 10 }).layer)
    )
    expectTypeOf(layer).toEqualTypeOf<Layer.Layer<never, never, HttpLayerRouter.HttpRouter | Storage | Collectable>>()
  })

  it("withPreconditions joins errors and requirements of the validators", () => {
    const validators = Effect.as(Effect.zipRight(Users, new NotFound()), { etag: "\"1\"" })
    expectTypeOf(Effect.succeed(HttpServerResponse.empty()).pipe(HttpCache.withPreconditions(validators)))
      .toEqualTypeOf<HttpApp.Default<NotFound, Users>>()
  })
})

describe("the storage, asked by URI", () => {
  it("says what can go wrong", () => {
    expectTypeOf(HttpCache.lookup("/"))
      .toEqualTypeOf<Effect.Effect<CacheItem.CacheItem, CacheError.CacheMiss | CacheError.CacheStorageError, Storage>>()
    expectTypeOf(HttpCache.collect("/")).toEqualTypeOf<Effect.Effect<void, CacheError.CacheStorageError, Collectable>>()
  })
})
