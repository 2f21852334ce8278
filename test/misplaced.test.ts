/** A cache around the sending instead of the app is told where it belongs, once, and does no harm there. */
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpLayerRouter,
  HttpMiddleware,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse
} from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, flow, Layer, Schema, Stream } from "effect"
import {
  CacheStorage,
  type CollectableCacheStorage,
  HttpCache,
  InMemoryCacheStorage,
  withCache,
  withCollect
} from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import {
  type App,
  counted,
  eventually,
  type Logged,
  logged,
  portOf,
  routes,
  serve,
  TestServer,
  webHandler
} from "./harness.js"

const sentence =
  "effect-http-cache: a response had been sent before the cache saw it: nothing is cached there, and a collect comes after " +
  "the answer; the middleware of HttpServer.serve and toWebHandler is around the sending: put the cache around the app, " +
  "as in HttpServer.serve(router.pipe(HttpCache.middleware()))"

const get = (url: string, init: RequestInit = {}) =>
  Effect.promise(async () => {
    const response = await fetch(url, init)
    return { status: response.status, text: await response.text(), said: response.headers.get("cache-status") }
  })

const urlOf = Effect.map(
  HttpServer.HttpServer,
  (server) => `http://127.0.0.1:${portOf(server)}`
)

type Collectable = CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage

type Middleware = (app: App) => App<never, Collectable>

/** As the platform takes it: for an app of any kind. */
const around = (cache: Middleware) => cache as unknown as <E, R>(app: App<E, R>) => App<E, R | Collectable>

const said = (log: ReadonlyArray<Logged>) =>
  log.map(({ message }) => message).filter((message) => message.startsWith("effect-http-cache"))

describe("92: a cache around the sending", () => {
  let opened = 0
  const streamed = Stream.suspend(() => {
    opened++
    return Stream.make(new TextEncoder().encode("streamed"))
  })
  const router = () =>
    routes({
      "GET /": counted(),
      "GET /stream": HttpServerResponse.stream(streamed),
      "GET /tagged": counted({ headers: { etag: "\"1\"" } }),
      "GET /own": counted({ headers: { "cache-control": "max-age=60" } }),
      "GET /head": counted(),
      "POST /": counted()
    })

  const caches: ReadonlyArray<
    readonly [string, Middleware]
  > = [
    ["HttpCache.middleware", HttpCache.middleware({ expiry: 10 })],
    ["HttpCache.middleware, without expiry", HttpCache.middleware()],
    ["withCache", withCache({ expiry: 10 })],
    ["with others around it", flow(HttpCache.middleware({ expiry: 10 }), HttpMiddleware.logger)]
  ]

  it.scoped.each(caches)("says so once on Node, and answers as without it: %s", ([, cache]) => {
    const log: Array<Logged> = []
    opened = 0
    return Effect.gen(function*() {
      yield* HttpServer.serveEffect(router(), around(cache))
      const url = yield* urlOf
      for (const run of [1, 2, 3]) {
        expect(yield* get(`${url}/`)).toEqual({ status: 200, text: `run ${run}`, said: null })
        expect(yield* get(`${url}/own`)).toEqual({ status: 200, text: `run ${run}`, said: null })
        expect((yield* get(`${url}/stream`)).text).toBe("streamed")
        expect(opened).toBe(run)
        expect((yield* get(`${url}/tagged`, { headers: { "if-none-match": "\"1\"" } })).text).toBe(`run ${run}`)
        expect((yield* get(`${url}/nowhere`)).status).toBe(404)
        expect((yield* get(`${url}/`, { method: "POST" })).text).toBe(`run ${run}`)
        expect((yield* get(`${url}/head`, { method: "HEAD" })).status).toBe(200)
      }
      expect(said(log)).toEqual([sentence])
    }).pipe(Effect.provide(Layer.merge(TestServer, logged(log))))
  })

  it.scoped.each(["answers", "fails"])(
    "156: a page that %s where its part is less than whole is run once",
    (what) =>
      Effect.gen(function*() {
        let runs = 0
        const part = counted().pipe(withCache({ expiry: 10, name: "part" }))
        const page = Effect.map(part, () => {
          runs++
          if (what === "fails") throw new Error("less than the whole")
          return HttpServerResponse.text("page")
        })
        yield* HttpServer.serveEffect(routes({ "GET /": page }), around(HttpCache.middleware({ expiry: 10 })))
        const { status } = yield* get(yield* urlOf, { headers: { range: "bytes=0-1" } })
        expect([status, runs]).toEqual([what === "fails" ? 500 : 200, 1])
      }).pipe(Effect.provide(Layer.merge(TestServer, logged([]))))
  )

  it.scoped("says so once by a web handler", () => {
    const log: Array<Logged> = []
    opened = 0
    return Effect.gen(function*() {
      const handle = yield* webHandler(router(), HttpCache.middleware({ expiry: 10 }))
      const headers = { "if-none-match": "\"1\"" }
      for (const run of [1, 2, 3]) {
        for (const [path, text] of [["/tagged", `run ${run}`], ["/", `run ${run}`], ["/stream", "streamed"]] as const) {
          const response = yield* Effect.promise(() => handle(new Request(`http://localhost${path}`, { headers })))
          expect(response.headers.get("cache-status")).toBeNull()
          expect(yield* Effect.promise(() => response.text())).toBe(text)
        }
        expect(opened).toBe(run)
      }
      expect(said(log)).toEqual([sentence])
    }).pipe(Effect.provide(Layer.merge(InMemoryCacheStorage.layerCollectable, logged(log))))
  })

  it.scoped("says so of a collect, which is to come before the answer", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      yield* HttpServer.serveEffect(router(), around(withCollect()))
      const url = yield* urlOf
      for (const run of [1, 2]) expect((yield* get(`${url}/`, { method: "POST" })).text).toBe(`run ${run}`)
      expect(said(log)).toEqual([sentence])
    }).pipe(Effect.provide(Layer.merge(TestServer, logged(log))))
  })

  it.scoped("says so of an HttpApi and of an HttpLayerRouter, which take middleware for the sending too", () => {
    const log: Array<Logged> = []
    const api = HttpApi.make("api").add(
      HttpApiGroup.make("group").add(HttpApiEndpoint.get("page", "/page").addSuccess(Schema.String))
    )
    const group = HttpApiBuilder.group(
      api,
      "group",
      (handlers) => handlers.handle("page", () => Effect.succeed("page"))
    )
    const served = HttpApiBuilder.serve(HttpCache.middleware({ expiry: 10 })).pipe(
      Layer.provide(HttpApiBuilder.api(api)),
      Layer.provide(group)
    )
    const page = HttpLayerRouter.add("GET", "/page", HttpServerResponse.text("page"))
    const routed = HttpLayerRouter.serve(page, { middleware: around(HttpCache.middleware({ expiry: 10 })) })
    return Effect.gen(function*() {
      for (const [times, layer] of [[1, served], [2, routed]] as const) {
        yield* Effect.scoped(Effect.gen(function*() {
          const context = yield* Layer.build(Layer.provideMerge(layer, TestServer))
          const url = yield* Effect.provide(urlOf, context)
          for (const _ of [1, 2]) expect((yield* get(`${url}/page`)).text).toContain("page")
        }))
        expect(said(log)).toEqual(Array.from({ length: times }, () => sentence))
      }
    }).pipe(Effect.provide(logged(log)))
  })

  it.scoped("no word where it is around the app, also when the client was answered something else meanwhile", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const open = yield* Deferred.make<void>()
      let runs = 0
      const slow = Effect.suspend(() => {
        runs++
        return Effect.as(Deferred.await(open), HttpServerResponse.text("slow"))
      })
      const storage = yield* CacheStorage.CacheStorage
      const patience = Effect.raceFirst(
        Effect.as(eventually(() => activity(storage).waiters === 2), HttpServerResponse.empty({ status: 504 }))
      )
      const first = (app: App<never, CacheStorage.CacheStorage>) =>
        Effect.flatMap(
          HttpServerRequest.HttpServerRequest,
          ({ headers }) => headers["x-first"] === "1" ? patience(app) : app
        )
      const cached = slow.pipe(withCache({ expiry: 10, unkeyed: "ignore" }))
      const ask = yield* serve(routes({ "GET /": first(cached) }))
      const another = yield* ask.another
      const leader = yield* Effect.fork(ask("/", { headers: { "x-first": "1" } }))
      yield* eventually(() => runs === 1)
      const joined = yield* Effect.fork(another("/"))
      expect((yield* Fiber.join(leader)).status).toBe(504)
      yield* Deferred.succeed(open, undefined)
      expect([(yield* Fiber.join(joined)).text, (yield* Fiber.join(joined)).cacheStatus]).toEqual([
        "slow",
        "fwd=uri-miss; collapsed"
      ])
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=10")
      expect(runs).toBe(1)
      expect(log).toEqual([])
    }).pipe(Effect.provide(Layer.merge(TestServer, logged(log))))
  })
})
