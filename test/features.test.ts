/** What the Python package `chocs-middleware.cache` does, each feature here, over a real port. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Layer, TestClock } from "effect"
import {
  CacheStorage,
  CollectableCacheStorage,
  HttpCache,
  InMemoryCacheStorage,
  withCache,
  withCollect
} from "effect-http-cache"
import * as customStorage from "../examples/custom-storage.js"
import { counted, routes, serve, TestServer } from "./harness.js"

describe("features", () => {
  it.scoped.each([[10], ["10 seconds"], [Duration.seconds(10)]] as const)(
    "cache_expiry=10: expiry %s",
    ([expiry]) =>
      Effect.gen(function*() {
        const ask = yield* serve(counted().pipe(withCache({ expiry })))
        yield* ask("/")
        yield* TestClock.adjust("9999 millis")
        expect((yield* ask("/")).text).toBe("run 1")
        yield* TestClock.adjust("1 millis")
        expect((yield* ask("/")).text).toBe("run 2")
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped("ICacheStorage: a storage of one's own, with get and set", () =>
    Effect.gen(function*() {
      const ask = yield* serve(counted().pipe(withCache({ expiry: 10 })))
      yield* ask("/")
      expect((yield* ask("/")).text).toBe("run 1")
      expect(Object.keys(yield* CacheStorage.CacheStorage)).toEqual(["get", "begin", "set"])
    }).pipe(Effect.provide([NodeHttpServer.layerTest, customStorage.layer])))

  it.scoped("ICollectableCacheStorage.collect: the storage forgets a URI", () =>
    Effect.gen(function*() {
      const ask = yield* serve(counted().pipe(withCache({ expiry: 10 })))
      const host = { headers: { host: "api.example.com" } }
      yield* ask("/users/1", host)
      const storage = yield* CollectableCacheStorage.CollectableCacheStorage
      yield* storage.collect({ keys: ["http://api.example.com/users/1"], groups: [] })
      expect((yield* ask("/users/1", host)).text).toBe("run 2")
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each(
    [
      ["layer", InMemoryCacheStorage.layer],
      ["layerCollectable", InMemoryCacheStorage.layerCollectable],
      ["layerWith", InMemoryCacheStorage.layerWith({ maxItems: 1 })]
    ] as const
  )("InMemoryCacheStorage: %s", ([, storage]) =>
    Effect.gen(function*() {
      const ask = yield* serve(counted().pipe(withCache({ expiry: 10 })))
      yield* ask("/")
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=10")
    }).pipe(Effect.provide(Layer.merge(NodeHttpServer.layerTest, storage))))

  it.scoped("CacheMiddleware(cache_vary=…) and cache_vary of a route: vary, in union with that of Defaults", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        counted().pipe(
          withCache({ expiry: 10, vary: ["Accept-Language"] }),
          Effect.provideService(HttpCache.Defaults, { vary: ["Accept"] })
        )
      )
      const as = (accept: string, language: string) =>
        Effect.map(ask("/", { headers: { accept, "accept-language": language } }), ({ text }) => text)
      const asked = [as("a", "fr"), as("a", "de"), as("b", "fr"), as("a", "fr"), as("b", "fr")]
      expect(yield* Effect.all(asked)).toEqual(["run 1", "run 2", "run 3", "run 1", "run 3"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("cache_control=\"private\": said to clients, and not shared", () =>
    Effect.gen(function*() {
      const ask = yield* serve(counted().pipe(withCache({ expiry: 10, cacheControl: "private" })))
      expect((yield* ask("/")).headers["cache-control"]).toBe("private, max-age=10")
      expect((yield* ask("/")).text).toBe("run 2")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("the handler's own ETag is used, and one is made where it sets none", () =>
    Effect.gen(function*() {
      const ask = yield* serve(routes({
        "GET /own": counted({ headers: { etag: "\"own\"" } }).pipe(withCache({ expiry: 10 })),
        "GET /made": counted().pipe(withCache({ expiry: 10 }))
      }))
      expect((yield* ask("/own")).headers["etag"]).toBe("\"own\"")
      expect((yield* ask("/made")).headers["etag"]).toMatch(/^"[\w-]{27}"$/)
    }).pipe(Effect.provide(TestServer)))

  it.scoped("If-None-Match and If-Match: lists, weak and strong comparison, *, dates and their order", () =>
    Effect.gen(function*() {
      const modified = "Thu, 01 Jan 1970 00:00:00 GMT"
      const fields = { etag: "\"1\"", "last-modified": modified }
      const ask = yield* serve(routes({
        "GET /": counted({ headers: fields }).pipe(withCache({ expiry: 10 })),
        "PUT /": counted().pipe(HttpCache.withPreconditions(Effect.succeed({ etag: "\"1\"" })), withCollect())
      }))
      const status = (method: string, headers: { readonly [name: string]: string }) =>
        Effect.map(ask("/", { method, headers }), (reply) => reply.status)
      expect(yield* status("GET", { "if-none-match": "\"0\", W/\"1\"" })).toBe(304)
      expect(yield* status("GET", { "if-none-match": "*" })).toBe(304)
      expect(yield* status("GET", { "if-modified-since": modified })).toBe(304)
      expect(yield* status("GET", { "if-none-match": "\"0\"", "if-modified-since": modified })).toBe(200)
      expect(yield* status("PUT", { "if-match": "\"0\", \"1\"" })).toBe(200)
      expect(yield* status("PUT", { "if-match": "W/\"1\"" })).toBe(412)
      expect(yield* status("PUT", { "if-match": "*" })).toBe(200)
    }).pipe(Effect.provide(TestServer)))

  it.scoped("cache=True on PATCH: what it changed is collected when it succeeds", () =>
    Effect.gen(function*() {
      const patch = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) =>
        HttpServerResponse.empty({ status: headers["x-fails"] === undefined ? 204 : 409 }))
      const ask = yield* serve(routes({
        "GET /users/:id": counted().pipe(withCache({ expiry: 10 })),
        "PATCH /users/:id": patch.pipe(withCollect())
      }))
      yield* ask("/users/1")
      yield* ask("/users/1", { method: "PATCH", headers: { "x-fails": "1" } })
      expect((yield* ask("/users/1")).text).toBe("run 1")
      yield* ask("/users/1", { method: "PATCH" })
      expect((yield* ask("/users/1")).text).toBe("run 2")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("a missing item raises: CacheMiss in the error channel, with the reason", () =>
    Effect.gen(function*() {
      const lookup = Effect.catchTag(HttpCache.lookup("/users/1"), "CacheMiss", ({ reason }) =>
        Effect.succeed(HttpServerResponse.text(reason)))
      const ask = yield* serve(routes({
        "GET /users/:id": counted().pipe(withCache({ expiry: 10 })),
        "GET /lookup": Effect.map(
          lookup,
          (found) =>
            "body" in found && "variant" in found ? HttpServerResponse.text("found") : found
        )
      }))
      expect((yield* ask("/lookup")).text).toBe("uri-miss")
      yield* ask("/users/1")
      expect((yield* ask("/lookup")).text).toBe("found")
    }).pipe(Effect.provide(TestServer)))
})
