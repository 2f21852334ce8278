/** How response caches fail: invalidation, over a real port; the numbers are those of docs/failures.md. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, TestClock } from "effect"
import {
  CacheStorage,
  CollectableCacheStorage,
  HttpCache,
  InMemoryCacheStorage,
  withCache,
  withCollect
} from "effect-http-cache"
import type { IncomingMessage } from "node:http"
import * as Net from "node:net"
import { type App, counted, type Logged, logged, routes, send, serve, TestServer } from "../harness.js"
import { answering, cachedRoute } from "./routes.js"

describe("invalidation", () => {
  const methods = ["POST", "PUT", "PATCH", "DELETE", "M-SEARCH", "LOCK"]

  it.scoped("30: a success of an unsafe method forgets its URI and every variant of it", () =>
    Effect.gen(function*() {
      const app = answering(({ method }, run) => HttpServerResponse.text(`${method} ${run}`)).pipe(
        HttpCache.middleware({ expiry: 10, vary: ["Accept-Language"] })
      )
      const ask = yield* serve(app)
      for (const method of methods) {
        for (const language of ["fr", "de"]) yield* ask("/", { headers: { "accept-language": language } })
        expect((yield* ask("/", { headers: { "accept-language": "fr" } })).cacheStatus).toBe("hit; ttl=10")
        expect((yield* ask("/", { method })).cacheStatus).toBe("fwd=method")
        for (const language of ["fr", "de"]) {
          const reply = yield* ask("/", { headers: { "accept-language": language } })
          expect(`${method}: ${reply.cacheStatus}`).toMatch(/: fwd=(uri|vary)-miss; stored$/)
        }
      }
      for (const method of ["OPTIONS", "PROPFIND", "REPORT", "SEARCH", "TRACE"]) {
        yield* ask("/", { method })
        expect([method, (yield* ask("/", { headers: { "accept-language": "fr" } })).cacheStatus]).toEqual([
          method,
          "hit; ttl=10"
        ])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("30: Location and Content-Location of the same origin are forgotten, another origin's never", () =>
    Effect.gen(function*() {
      const router = routes([
        cachedRoute("/items/1", { expiry: 10 }),
        cachedRoute("/items/2", { expiry: 10 }),
        cachedRoute("/list", { expiry: 10 }),
        [
          "POST /made",
          Effect.succeed(
            HttpServerResponse.empty({ status: 201, headers: { location: "/items/1", "content-location": "items/2" } })
          )
            .pipe(withCollect())
        ] as const,
        [
          "POST /elsewhere",
          Effect.succeed(HttpServerResponse.empty({ status: 303, headers: { location: "http://b.example/items/1" } }))
            .pipe(
              withCollect()
            )
        ] as const,
        [
          "POST /also",
          Effect.succeed(HttpServerResponse.empty()).pipe(withCollect({ also: () => ["/list", "/items/1?x"] }))
        ] as const,
        [
          "POST /broken",
          Effect.succeed(HttpServerResponse.empty()).pipe(withCollect({ also: () => ["http://", "/list"] }))
        ] as const
      ])
      const log: Array<Logged> = []
      const ask = yield* serve(router).pipe(Effect.provide(logged(log)))
      const a = { host: "a.example" }
      const status = (path: string, host: string) =>
        Effect.map(ask(path, { headers: { host } }), ({ cacheStatus }) => cacheStatus.slice(0, 3))
      const paths = ["/items/1", "/items/2", "/list"]
      const all = (host: string) => Effect.forEach(paths, (path) => status(path, host))
      yield* all("a.example")
      yield* all("b.example")
      yield* ask("/made", { method: "POST", headers: a })
      expect(yield* all("a.example")).toEqual(["fwd", "fwd", "hit"])
      yield* ask("/elsewhere", { method: "POST", headers: a })
      expect(yield* all("b.example")).toEqual(["hit", "hit", "hit"])
      yield* ask("/also", { method: "POST", headers: a })
      expect(yield* all("a.example")).toEqual(["hit", "hit", "fwd"])
      expect((yield* ask("/broken", { method: "POST", headers: a })).status).toBe(204)
      expect(log.map(({ message }) => message)).toEqual([
        expect.stringContaining("withCollect: also: \"http://\" is no URI")
      ])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("34: a collect removes stale copies too", () =>
    Effect.gen(function*() {
      const ask = yield* serve(routes([
        cachedRoute("/", { retain: 3600 }, { headers: { "cache-control": "max-age=10", "etag": "\"1\"" } }),
        ["POST /", Effect.succeed(HttpServerResponse.empty()).pipe(withCollect())] as const
      ]))
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      yield* ask("/", { method: "POST" })
      const after = yield* ask("/", { headers: { "cache-control": "max-stale" } })
      expect([after.text, after.cacheStatus]).toEqual(["run 2", "fwd=uri-miss; stored"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("30: a URI is forgotten under the key that its route gives it, and as it was sent", () =>
    Effect.gen(function*() {
      const ask = yield* serve(routes({
        "GET /none": counted().pipe(withCache({ expiry: 10, query: "none" })),
        "POST /none": Effect.succeed(HttpServerResponse.empty()).pipe(withCollect({ query: "none" })),
        "GET /raw/*": counted().pipe(withCache({ expiry: 10 })),
        "POST /raw": Effect.succeed(HttpServerResponse.empty({ headers: { location: "/raw/a'?b='" } })).pipe(
          withCollect({ also: () => ["/raw/{1}", "/raw/x/../y", "/raw/ü"] })
        )
      }))
      yield* ask("/none?a=1")
      yield* ask("/none?a=1", { method: "POST" })
      expect((yield* ask("/none?a=1")).cacheStatus).toBe("fwd=uri-miss; stored")
      const paths = ["/raw/a'?b='", "/raw/{1}", "/raw/x/../y", "/raw/%C3%BC"]
      for (const path of paths) yield* ask(path)
      yield* ask("/raw", { method: "POST" })
      for (const path of paths) expect([path, (yield* ask(path)).cacheStatus]).toEqual([path, "fwd=uri-miss; stored"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("30: a request without Host forgets what Location names", () =>
    Effect.gen(function*() {
      const app = routes([
        cachedRoute("/u/1", { expiry: 10 }),
        [
          "POST /u",
          Effect.succeed(HttpServerResponse.empty({ status: 201, headers: { location: "/u/1" } })).pipe(withCollect())
        ] as const
      ])
      const { port } = yield* serve(app)
      expect(yield* send(port, "GET /u/1 HTTP/1.0\r\n\r\n")).toContain("run 1")
      expect(yield* send(port, "GET /u/1 HTTP/1.0\r\n\r\n")).toContain("run 1")
      yield* send(port, "POST /u HTTP/1.0\r\n\r\n")
      expect(yield* send(port, "GET /u/1 HTTP/1.0\r\n\r\n")).toContain("run 2")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("30: a 4xx, a 5xx, a typed failure and a defect forget nothing; a typed failure that is a redirect forgets", () =>
    Effect.gen(function*() {
      const answers: { readonly [path: `/${string}`]: App<unknown> } = {
        "/400": Effect.succeed(HttpServerResponse.empty({ status: 400 })),
        "/500": Effect.succeed(HttpServerResponse.empty({ status: 500 })),
        "/fail": Effect.fail("typed"),
        "/die": Effect.die("defect"),
        "/redirect": Effect.fail(HttpServerResponse.empty({ status: 303 }))
      }
      const router = routes(
        Object.entries(answers).flatMap(([path, answer]) => [
          cachedRoute(path as `/${string}`, { expiry: 10 }),
          cachedRoute(`${path as `/${string}`}/also`, { expiry: 10 }),
          [`POST ${path}`, answer.pipe(withCollect({ also: () => [`${path}/also`] }))] as const
        ])
      )
      const ask = yield* serve(router)
      for (const path of Object.keys(answers)) {
        const both = [path, `${path}/also`]
        yield* Effect.forEach(both, (path) => ask(path))
        yield* ask(path, { method: "POST" })
        const then = yield* Effect.forEach(
          both,
          (path) => Effect.map(ask(path), ({ cacheStatus }) => cacheStatus.slice(0, 3))
        )
        const expected = path === "/redirect" ? "fwd" : "hit"
        expect([path, ...then]).toEqual([path, expected, expected])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("31: a fill that began before a collect does not store what the collect made stale", () =>
    Effect.gen(function*() {
      const started = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      let value = "old"
      const slow = Effect.gen(function*() {
        const read = value
        yield* Deferred.succeed(started, undefined)
        if (read === "old") yield* Deferred.await(go)
        return HttpServerResponse.text(read)
      })
      const app = routes({
        "GET /": slow.pipe(withCache({ expiry: 10 })),
        "PUT /": Effect.sync(() => {
          value = "new"
          return HttpServerResponse.empty()
        }).pipe(withCollect())
      })
      const ask = yield* serve(app)
      const other = yield* ask.another
      const filling = yield* Effect.fork(ask("/"))
      yield* Deferred.await(started)
      yield* other("/", { method: "PUT" })
      yield* Deferred.succeed(go, undefined)
      const late = yield* Fiber.join(filling)
      expect([late.text, late.cacheStatus]).toEqual(["old", "fwd=uri-miss"])
      expect((yield* ask("/")).text).toBe("new")
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=10")
    }).pipe(Effect.provide(TestServer)))

  it.effect("52: a handler that was interrupted may have written: its URI and what else it names are forgotten", () =>
    Effect.gen(function*() {
      let value = "old"
      const write = Effect.sync(() => {
        value = "new"
        return HttpServerResponse.empty()
      })
      const shown = Effect.sync(() => HttpServerResponse.text(value))
      const app = routes({
        "GET /": shown.pipe(withCache({ expiry: 10 })),
        "GET /list": shown.pipe(withCache({ expiry: 10 })),
        "GET /grouped": Effect.zipRight(HttpCache.group("g"), shown).pipe(withCache({ expiry: 10 })),
        "PUT /": Effect.uninterruptible(Effect.delay(write, "1 second")).pipe(
          withCollect({ also: (_, { status }) => status === 204 ? ["/list"] : [], groups: () => ["g"] })
        )
      })
      const ask = (method: string, path: string) =>
        Effect.scoped(app).pipe(
          Effect.provideService(
            HttpServerRequest.HttpServerRequest,
            HttpServerRequest.fromWeb(new Request(`http://localhost${path}`, { method }))
          ),
          Effect.map((response) =>
            response.body._tag === "Uint8Array" ? new TextDecoder().decode(response.body.body) : ""
          )
        )
      const texts = Effect.forEach(["/", "/list", "/grouped"], (path) => ask("GET", path))
      expect(yield* texts).toEqual(["old", "old", "old"])
      const writing = yield* Effect.fork(ask("PUT", "/"))
      yield* Effect.yieldNow()
      yield* Effect.fork(Fiber.interrupt(writing))
      yield* TestClock.adjust("1 second")
      yield* Fiber.await(writing)
      expect(yield* texts).toEqual(["new", "new", "new"])
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.scoped("52: the client of a PATCH leaves after the handler's success: the collect still happens", () =>
    Effect.gen(function*() {
      const collecting = yield* Deferred.make<void>()
      const left = yield* Deferred.make<void>()
      const collected = yield* Deferred.make<void>()
      const order: Array<string> = []
      const storage = yield* CollectableCacheStorage.CollectableCacheStorage
      const slow: CollectableCacheStorage.Service = {
        ...storage,
        collect: (key) =>
          Deferred.succeed(collecting, undefined).pipe(
            Effect.zipRight(Deferred.await(left)),
            Effect.zipRight(storage.collect(key)),
            Effect.tap(() => Effect.sync(() => order.push("collected"))),
            Effect.tap(() => Deferred.succeed(collected, undefined))
          )
      }
      const patch = Effect.map(HttpServerRequest.HttpServerRequest, ({ source }) => {
        const { socket } = source as IncomingMessage
        socket.on("close", () => Effect.runSync(Deferred.succeed(left, undefined)))
        return HttpServerResponse.empty()
      })
      const router = routes([
        cachedRoute("/", { expiry: 10 }),
        ["PATCH /", patch.pipe(withCollect(), Effect.tap(() => Effect.sync(() => order.push("answered"))))] as const
      ])
      const ask = yield* serve(router.pipe(
        Effect.provideService(CacheStorage.CacheStorage, slow),
        Effect.provideService(CollectableCacheStorage.CollectableCacheStorage, slow)
      ))
      yield* ask("/")
      yield* patchAndLeave(ask.port, Deferred.await(collecting))
      yield* Deferred.await(collected)
      expect((yield* ask("/")).text).toBe("run 2")
      expect(order).toEqual(["collected"])
      yield* ask("/", { method: "PATCH" })
      expect(order).toEqual(["collected", "collected", "answered"])
    }).pipe(Effect.provide(TestServer)))
})

/** Sends a PATCH and destroys the connection once `when` is done. */
const patchAndLeave = (port: number, when: Effect.Effect<void>) =>
  Effect.gen(function*() {
    const socket = yield* Effect.async<Net.Socket>((resume) => {
      const socket = Net.connect(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
    })
    socket.write("PATCH / HTTP/1.1\r\nHost: 127.0.0.1:" + port + "\r\nContent-Length: 0\r\n\r\n")
    yield* when
    socket.destroy()
  })
