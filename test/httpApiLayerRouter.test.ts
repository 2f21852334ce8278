/** A whole `HttpApi` on `HttpLayerRouter` that is cached by one line around it. */
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSecurity,
  HttpLayerRouter
} from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import { HttpCache, InMemoryCacheStorage } from "effect-http-cache"
import { type App, type Ask, logged, serve, TestServer } from "./harness.js"

const as = (user: string): Ask => ({ headers: { authorization: `Bearer ${user}` } })

describe("HttpCache.routerMiddleware around addHttpApi, as in docs/layer-router.md", () => {
  class Account extends Context.Tag("Account")<Account, string>() {}
  class Bearer extends HttpApiMiddleware.Tag<Bearer>()("Bearer", {
    provides: Account,
    security: { bearer: HttpApiSecurity.bearer }
  }) {}
  const BearerLive = Layer.succeed(Bearer, { bearer: (token) => Effect.succeed(Redacted.value(token)) })
  const products = HttpApiGroup.make("products")
    .add(HttpApiEndpoint.get("list", "/products").addSuccess(Schema.String))
    .add(HttpApiEndpoint.post("add", "/products"))
    .add(HttpApiEndpoint.get("mine", "/mine").addSuccess(Schema.String).middleware(Bearer))
  const api = HttpApi.make("api").add(products)
  let runs = 0
  const run = Effect.sync(() => `run ${++runs}`)
  const ProductsLive = HttpApiBuilder.group(
    api,
    "products",
    (handlers) => handlers.handle("list", () => run).handle("add", () => Effect.void).handle("mine", () => run)
  )
  const routes = HttpLayerRouter.addHttpApi(api).pipe(
    Layer.provide(ProductsLive),
    Layer.provide(BearerLive),
    Layer.provide(HttpCache.routerMiddleware({ expiry: 60 }).layer)
  )

  it.scoped("caches what is for everybody at once, and collects; what security has read is stored for nobody", () =>
    Effect.gen(function*() {
      const ask = yield* serve((yield* HttpLayerRouter.toHttpEffect(routes)) as App<unknown>)
      const said = (path: string, how: Ask = {}) =>
        Effect.map(ask(path, how), ({ cacheStatus, headers, text }) => [text, headers["cache-control"], cacheStatus])
      expect(yield* said("/products")).toEqual(["\"run 1\"", "max-age=60", "fwd=uri-miss; stored"])
      expect(yield* said("/products?utm=1")).toEqual(["\"run 2\"", "max-age=60", "fwd=uri-miss; stored"])
      expect(yield* said("/products")).toEqual(["\"run 1\"", "max-age=60", "hit; ttl=60"])
      yield* ask("/products", { method: "POST" })
      expect(yield* said("/products")).toEqual(["\"run 3\"", "max-age=60", "fwd=uri-miss; stored"])
      expect(yield* said("/mine", as("a"))).toEqual(["\"run 4\"", "private", "fwd=uri-miss"])
      expect(yield* said("/mine", as("b"))).toEqual(["\"run 5\"", "private", "fwd=uri-miss"])
    }).pipe(Effect.provide(Layer.mergeAll(TestServer, InMemoryCacheStorage.layerCollectable, logged([])))))
})
