/** What a cache is put around, and the storage and the `Defaults` that it is given; over a real port. */
import { HttpLayerRouter, HttpServerRespondable, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import {
  CacheError,
  CacheStorage,
  CollectableCacheStorage,
  HttpCache,
  InMemoryCacheStorage,
  withCache,
  withCollect
} from "effect-http-cache"
import { corruptions, Faults, type Faulty } from "effect-http-cache/testing"
import {
  counted,
  FaultyServer,
  type Logged,
  logged,
  mounted,
  routes,
  serve,
  TestServer,
  webHandler
} from "./harness.js"

describe("a storage that fails", () => {
  const throwing = () => {
    throw new Error("down")
  }
  const broken: ReadonlyArray<readonly [string, Partial<Faulty>, Partial<CacheStorage.Service>?]> = [
    ["get fails", { get: "fail" }],
    ["get dies", { get: "die" }],
    ["get throws", {}, { get: throwing }],
    ["get answers garbage", { get: { corrupt: corruptions.anotherShape } }],
    ["set fails", { set: "fail" }],
    ["set dies", { set: "die" }]
  ]

  it.scoped.each(broken)(
    "%s: the handler answers, and one warning names storage, method and key",
    ([title, faulty, part]) =>
      Effect.gen(function*() {
        const log: Array<Logged> = []
        yield* Effect.flatMap(Faults, (faults) => faults.switch(faulty))
        const storage = { ...(yield* CacheStorage.CacheStorage), ...part }
        const ask = yield* serve(
          counted().pipe(withCache({ expiry: 10 }), Effect.provideService(CacheStorage.CacheStorage, storage))
        ).pipe(Effect.provide(logged(log)))
        const reply = yield* ask("/path", { headers: { host: "a.example" } })
        expect([reply.status, reply.text]).toEqual([200, "run 1"])
        if (title === "get answers garbage") return expect(reply.cacheStatus).toBe("fwd=miss; stored")
        const method = title.slice(0, 3)
        expect(reply.cacheStatus).toBe(method === "get" ? "fwd=miss" : "fwd=uri-miss")
        expect(log).toEqual([expect.objectContaining({
          level: "WARN",
          message: expect.stringContaining(`.${method} failed for http://a.example/path; the handler answers`),
          annotations: {
            storage: title.endsWith("fails") ? "faulty" : "CacheStorage",
            method,
            key: "http://a.example/path"
          }
        })])
      }).pipe(Effect.provide(FaultyServer))
  )

  it.scoped("116: begin answers null: the handler answers, and nothing is stored", () =>
    Effect.gen(function*() {
      const begin = (): Effect.Effect<CacheStorage.Fill> => Effect.succeed(JSON.parse("null"))
      const storage = { ...InMemoryCacheStorage.make(), begin }
      const ask = yield* serve(
        counted().pipe(withCache({ expiry: 10 }), Effect.provideService(CacheStorage.CacheStorage, storage))
      )
      expect(yield* ask("/")).toMatchObject({ status: 200, text: "run 1" })
      expect(yield* ask("/")).toMatchObject({ status: 200, text: "run 2" })
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each(["get", "begin", "set", "collect", "holds"] as const)(
    "161: %s is null where it has to be an Effect: the handler answers",
    (method) =>
      Effect.gen(function*() {
        const nothing = () => JSON.parse("null")
        const storage = { ...InMemoryCacheStorage.make(), [method]: nothing }
        const ask = yield* serve(
          Effect.zipRight(HttpCache.group("late"), counted()).pipe(HttpCache.middleware({ expiry: 10 })).pipe(
            Effect.provideService(CollectableCacheStorage.CollectableCacheStorage, storage),
            Effect.provideService(CacheStorage.CacheStorage, storage)
          )
        )
        expect(yield* ask("/")).toMatchObject({ status: 200, text: "run 1" })
        expect(yield* ask("/", { method: "POST" })).toMatchObject({ status: 200, text: "run 2" })
      }).pipe(Effect.provide(Layer.merge(TestServer, logged([]))))
  )

  it.scoped("collect fails: the handler's answer goes out, with one warning", () =>
    Effect.gen(function*() {
      const log: Array<Logged> = []
      yield* Effect.flatMap(Faults, (faults) => faults.switch({ collect: "die" }))
      const ask = yield* serve(Effect.succeed(HttpServerResponse.text("patched")).pipe(withCollect())).pipe(
        Effect.provide(logged(log))
      )
      expect((yield* ask("/", { method: "PATCH" })).text).toBe("patched")
      expect(log.map(({ annotations }) => annotations["method"])).toEqual(["collect"])
    }).pipe(Effect.provide(FaultyServer)))
})

describe("around what", () => {
  it.scoped("a router, with mounts: HttpCache.middleware caches and collects; the innermost policy wins", () =>
    Effect.gen(function*() {
      const users = routes({
        "GET /:id": counted().pipe(withCache({ expiry: 5 })),
        "GET /:id/posts": counted(),
        "GET /:id/secret": counted().pipe(withCache({ bypass: () => true })),
        "PUT /:id/posts": HttpServerResponse.empty()
      })
      const app = mounted({ "/users": users }).pipe(HttpCache.middleware({ expiry: 60 }))
      const ask = yield* serve(app)
      const said = (path: string, method = "GET") =>
        Effect.map(ask(path, { method }), ({ headers }) => headers["cache-status"])
      expect(yield* said("/users/1")).toBe("effect-http-cache; fwd=uri-miss; stored")
      expect(yield* said("/users/1")).toBe("effect-http-cache; hit; ttl=5")
      expect(yield* said("/users/1/posts")).toBe("effect-http-cache; fwd=uri-miss; stored")
      expect(yield* said("/users/1/posts")).toBe("effect-http-cache; hit; ttl=60")
      expect(yield* said("/users/1/posts", "PUT")).toBe("effect-http-cache; fwd=method")
      expect(yield* said("/users/1/posts")).toBe("effect-http-cache; fwd=uri-miss; stored")
      expect(yield* said("/users/1/secret")).toBe("effect-http-cache; fwd=bypass")
      expect(yield* said("/users/1/secret")).toBe("effect-http-cache; fwd=bypass")
      const tag = (yield* ask("/users/1")).headers["etag"]
      yield* TestClock.adjust("5 seconds")
      expect((yield* ask("/users/1", { headers: { "if-none-match": tag } })).status).toBe(200)
    }).pipe(Effect.provide(TestServer)))

  it.scoped("HttpLayerRouter: a route with withCache, and routes provided with routerMiddleware", () =>
    Effect.gen(function*() {
      const routes = HttpLayerRouter.addAll([
        HttpLayerRouter.route("GET", "/items", counted()),
        HttpLayerRouter.route("POST", "/items", HttpServerResponse.empty())
      ]).pipe(Layer.provide(HttpCache.routerMiddleware({ expiry: 10 }).layer))
      const one = HttpLayerRouter.add("GET", "/one", counted().pipe(withCache({ expiry: 5 })))
      const app = yield* HttpLayerRouter.toHttpEffect(Layer.mergeAll(routes, one))
      const ask = yield* serve(app)
      const said: Array<string> = []
      for (const method of ["GET", "GET", "POST", "GET"]) said.push((yield* ask("/items", { method })).cacheStatus)
      expect(said).toEqual(["fwd=uri-miss; stored", "hit; ttl=10", "fwd=method", "fwd=uri-miss; stored"])
      yield* ask("/one")
      expect((yield* ask("/one")).cacheStatus).toBe("hit; ttl=5")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("the web adapter, whose targets are absolute", () =>
    Effect.gen(function*() {
      const app = routes({
        "GET /a": counted().pipe(withCache({ expiry: 10 })),
        "GET /empty": Effect.succeed(HttpServerResponse.empty({ status: 204 })).pipe(withCache({ expiry: 10 }))
      })
      const handle = yield* webHandler(app)
      const ask = (url: string, init: RequestInit = {}) => Effect.promise(() => handle(new Request(url, init)))
      yield* ask("https://a.example/a#x")
      const said = (response: Response) => response.headers.get("cache-status")
      const hit = yield* ask("https://A.example:443/a")
      expect([said(hit), yield* Effect.promise(() => hit.text())]).toEqual(["effect-http-cache; hit; ttl=10", "run 1"])
      expect(said(yield* ask("http://a.example/a"))).toBe("effect-http-cache; fwd=uri-miss; stored")
      const head = yield* ask("https://a.example/a", { method: "HEAD" })
      expect([said(head), head.headers.get("content-length")]).toEqual(["effect-http-cache; hit; ttl=10", "5"])
      yield* ask("https://a.example/empty")
      expect((yield* ask("https://a.example/empty")).status).toBe(204)
    }).pipe(Effect.provide(InMemoryCacheStorage.layer)))
})

describe("Defaults", () => {
  it.scoped("origin is the scheme and host of every key; a version forgets what another stored", () =>
    Effect.gen(function*() {
      let version = "1"
      const route = counted().pipe(withCache({ expiry: 10, cacheStatus: { key: true } }))
      const ask = yield* serve(
        Effect.suspend(() =>
          Effect.provideService(route, HttpCache.Defaults, { origin: "https://api.example.com", version })
        )
      )
      expect((yield* ask("/a", { headers: { host: "x.internal:8080" } })).cacheStatus)
        .toBe("fwd=uri-miss; stored; key=\"https://api.example.com/a\"")
      expect((yield* ask("/a", { headers: { host: "y.internal:8080" } })).cacheStatus).toMatch(/^hit/)
      version = "2"
      expect((yield* ask("/a")).cacheStatus).toMatch(/^fwd=vary-miss; stored/)
    }).pipe(Effect.provide(TestServer)))
})

describe("the storage, asked by URI", () => {
  const defaults = Layer.succeed(HttpCache.Defaults, { origin: "https://api.example.com" })

  it.scoped("lookup answers the fresh item or why there is none; collect and collectAll forget", () =>
    Effect.gen(function*() {
      const ask = yield* serve(routes({
        "GET /users/:id": counted().pipe(withCache({ expiry: 10, vary: ["Accept"] })),
        "POST /refresh": HttpCache.collect("/users/1").pipe(Effect.as(HttpServerResponse.empty()))
      }))
      const lookup = (uri: string, request = {}) =>
        HttpCache.lookup(uri, request).pipe(
          Effect.map(({ body }) => new TextDecoder().decode(body)),
          Effect.catchTag("CacheMiss", ({ reason }) => Effect.succeed(reason))
        )
      expect(yield* lookup("/users/1")).toBe("uri-miss")
      yield* ask("/users/1", { headers: { accept: "text/plain" } })
      yield* ask("/users/2")
      expect(yield* lookup("/users/1", { headers: { Accept: "text/plain" } })).toBe("run 1")
      expect(yield* lookup("https://api.example.com/users/1", { headers: { accept: "text/plain" } })).toBe("run 1")
      expect(yield* lookup("/users/1")).toBe("vary-miss")
      const given = yield* HttpCache.lookup("/users/2")
      given.body.fill(88)
      expect(yield* lookup("/users/2")).toBe("run 2")
      expect(yield* lookup("/users/2", { partition: "ada" })).toBe("uri-miss")
      yield* TestClock.adjust("10 seconds")
      expect(yield* lookup("/users/2")).toBe("stale")
      yield* ask("/users/1")
      yield* ask("/refresh", { method: "POST" })
      expect(yield* lookup("/users/1")).toBe("uri-miss")
      yield* ask("/users/1")
      yield* HttpCache.collectAll(["/users/1", "https://api.example.com/users/2"])
      expect([yield* lookup("/users/1"), yield* lookup("/users/2")]).toEqual(["uri-miss", "uri-miss"])
    }).pipe(Effect.provide([TestServer, defaults])))

  it.effect("a path without a known origin dies with a sentence that says what to give", () =>
    Effect.gen(function*() {
      const said = HttpCache.collect("/users/1").pipe(Effect.catchAllDefect((defect) => Effect.succeed(String(defect))))
      expect(yield* said).toBe(
        "TypeError: HttpCache.collect: \"/users/1\" is no URI of a known origin; give a path such as \"/users/1\" within " +
          "a request or with origin in HttpCache.Defaults, or an absolute URI such as \"https://api.example.com/users/1\""
      )
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.effect("a CacheMiss is built without a stack, and is a 504 as a response", () =>
    Effect.gen(function*() {
      const limit = Error.stackTraceLimit
      const miss = new CacheError.CacheMiss({ key: "k", reason: "stale" })
      expect(Error.stackTraceLimit).toBe(limit)
      expect(miss.stack ?? "").not.toContain("at ")
      expect(miss.message).toBe("nothing stored for k can answer: stale")
      expect((yield* HttpServerRespondable.toResponse(miss)).status).toBe(504)
    }))
})

describe("two storages behind the tags", () => {
  it.scoped("withCollect dies with one plain sentence", () =>
    Effect.gen(function*() {
      const log: Array<Logged> = []
      const app = Effect.succeed(HttpServerResponse.empty()).pipe(
        withCollect(),
        Effect.catchAllDefect((defect) => Effect.succeed(HttpServerResponse.text(String(defect))))
      )
      const ask = yield* serve(app).pipe(
        Effect.provide(Layer.merge(
          InMemoryCacheStorage.layer,
          Layer.effect(
            CollectableCacheStorage.CollectableCacheStorage,
            CollectableCacheStorage.CollectableCacheStorage
          ).pipe(Layer.provide(InMemoryCacheStorage.layerCollectable))
        )),
        Effect.provide(logged(log))
      )
      expect((yield* ask("/", { method: "PATCH" })).text).toContain(
        "withCollect: CacheStorage and CollectableCacheStorage are two storages, so that nothing would be collected"
      )
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))
})
