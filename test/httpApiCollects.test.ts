/** What `HttpApiCache.Collects` forgets at a path that is not spelled as that of the endpoint which is cached there. */
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { HttpApiCache } from "effect-http-cache"
import { appOfApi, serve, TestServer } from "./harness.js"

const Services = Layer.merge(TestServer, NodeHttpServer.layerContext)

const Optional = Schema.optional(Schema.String)

it.scoped.each<[`/${string}`, `/${string}`, string]>([
  ["/things/:id?", "/things/:id", "/things/1"],
  ["/things/:id?", "/things", "/things"],
  ["/things/:id(^\\d+)", "/things/:id", "/things/1"],
  ["/things/:from-:to", "/things/a-b", "/things/a-b"],
  ["/things/*", "/things/:id/parts/:part", "/things/1/parts/2"]
])(
  "205: what is read at %s and written at %s is forgotten, whatever search parameters the write has",
  ([read, written, path]) => {
    const one = HttpApiEndpoint.get("one", read).setUrlParams(Schema.Struct({ q: Optional }))
      .annotate(HttpApiCache.Policy, { expiry: 60 })
    const remove = HttpApiEndpoint.del("remove", written).annotate(HttpApiCache.Collects, true)
    const api = HttpApi.make("api").add(HttpApiGroup.make("group").add(one).add(remove))
    const group = HttpApiBuilder.group(
      api,
      "group",
      (handlers) =>
        handlers.handle("one", () => Effect.void).handle("remove", () => Effect.void).pipe(HttpApiCache.cached(api))
    )
    return Effect.gen(function*() {
      const ask = yield* Effect.flatMap(appOfApi(Layer.provide(HttpApiBuilder.api(api), group)), serve)
      yield* ask(path)
      expect((yield* ask(path)).cacheStatus).toBe("hit; ttl=60")
      yield* ask(`${path}?reason=sold`, { method: "DELETE" })
      expect((yield* ask(path)).cacheStatus).toBe("fwd=uri-miss; stored")
    }).pipe(Effect.provide(Services))
  }
)
