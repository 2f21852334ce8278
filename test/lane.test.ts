/** The lane: it answers fresh hits of routes that ask for it, and leaves all else to the server. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Option, Scope, TestClock, type Tracer } from "effect"
import {
  CacheError,
  type CacheStorage,
  CollectableCacheStorage,
  HttpCache,
  InMemoryCacheStorage,
  withCache,
  withCollect
} from "effect-http-cache"
import type { HttpCacheLane } from "effect-http-cache/node"
import { Faults, layerFaulty } from "effect-http-cache/testing"
import { type App, type Ask, client, counted, countsOf, mounted, routes, send, serve } from "./harness.js"
import { laneServer } from "./lane.js"
import { layerWaiting } from "./waiting.js"

/** Serves the app, and counts what the lane answers. */
const laned = <E, R>(app: App<E, R>, storage?: typeof InMemoryCacheStorage.layerCollectable) =>
  Effect.gen(function*() {
    const hits: Array<HttpCacheLane.Hit> = []
    const context = yield* Layer.build(laneServer((hit) => hits.push(hit), storage))
    return { ask: yield* Effect.provide(serve(app), context), hits, context }
  })

const lane = { expiry: 10, lane: true } as const

/** The route is known to the lane once it has answered a hit. */
const known = <E, R>(
  app: App<E, R>,
  path = "/page",
  headers = {},
  storage?: typeof InMemoryCacheStorage.layerCollectable
) =>
  Effect.gen(function*() {
    const served = yield* laned(app, storage)
    for (const _ of [1, 2]) yield* served.ask(path, { headers })
    expect(served.hits).toEqual([])
    return served
  })

const page = (options: HttpCache.Options = {}, content: HttpServerResponse.Options.WithContent = {}) =>
  routes({ "* /page": counted(content).pipe(withCache({ ...lane, ...options })) })

describe("the lane", () => {
  it.scoped("answers a hit with the bytes that the route answers it with, and tells of it", () =>
    Effect.gen(function*() {
      const { ask, hits } = yield* laned(page())
      const request = "GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
      yield* send(ask.port, request)
      const usual = yield* send(ask.port, request)
      expect(hits.length).toBe(0)
      expect(yield* send(ask.port, request)).toBe(usual)
      expect(usual).toMatch(/^HTTP\/1.1 200 OK\r\n[\s\S]*cache-status: effect-http-cache; hit; ttl=10\r\n[\s\S]*run 1$/)
      expect(hits.map(({ request: { url }, status, ttl }) => [url, status, ttl])).toEqual([["/page", 200, 10_000]])
    }))

  it.scoped("answers HEAD, and a client that has it already, and counts them", () =>
    Effect.gen(function*() {
      const { ask, hits } = yield* known(page())
      const answered = Effect.map(countsOf("effect_http_cache_lane_hits"), ({ [""]: count = 0 }) => count)
      const before = yield* answered
      const { ["outcome=hit,route=/page"]: asked = 0 } = yield* countsOf("effect_http_cache_requests")
      const { headers: { etag } } = yield* ask("/page")
      yield* ask("/page", { method: "HEAD" })
      const head = yield* ask("/page", { method: "HEAD" })
      expect([head.status, head.text, head.headers["content-length"]]).toEqual([200, "", "5"])
      expect((yield* ask("/page", { headers: { "if-none-match": etag } })).status).toBe(304)
      expect(hits.map(({ status }) => status)).toEqual([200, 200, 304])
      expect((yield* answered) - before).toBe(3)
      // With those that the route has answered first.
      const { ["outcome=hit,route=/page"]: requests = 0 } = yield* countsOf("effect_http_cache_requests")
      expect(requests - asked).toBe(4)
    }))

  it.scoped("counts Age, and leaves a stale response to the route", () =>
    Effect.gen(function*() {
      const { ask, hits } = yield* known(page())
      yield* TestClock.adjust("4 seconds")
      const { cacheStatus, headers: { age } } = yield* ask("/page")
      expect([age, cacheStatus, hits.length]).toEqual(["4", "hit; ttl=6", 1])
      yield* TestClock.adjust("7 seconds")
      expect((yield* ask("/page")).text).toBe("run 2")
      expect(hits.length).toBe(1)
    }))

  it.scoped("keeps hosts and queries apart", () =>
    Effect.gen(function*() {
      const { ask, hits } = yield* known(page(), "/page", { host: "a.example" })
      for (const [path, host] of [["/page", "b.example"], ["/page?b", "a.example"]]) {
        expect((yield* ask(path!, { headers: { host } })).cacheStatus).toContain("fwd=uri-miss")
      }
      expect(hits.length).toBe(0)
      expect((yield* ask("/page", { headers: { host: "a.example" } })).text).toBe("run 1")
      expect(hits.length).toBe(1)
    }))

  it.scoped("selects by the fields that the route varies by, and leaves those that it does not name to the route", () =>
    Effect.gen(function*() {
      const speaks = Effect.map(
        HttpServerRequest.HttpServerRequest,
        ({ headers }) => HttpServerResponse.text(String(headers["x-lang"]))
      )
      const app = routes({
        "GET /named": speaks.pipe(withCache({ ...lane, vary: ["X-Lang"] })),
        "GET /read": speaks.pipe(withCache(lane))
      })
      const { ask, hits } = yield* laned(app)
      for (const path of ["/named", "/read"]) {
        for (const lang of ["fr", "fr", "fr", "de", "de", "fr"]) {
          expect((yield* ask(path, { headers: { "x-lang": lang } })).text).toBe(lang)
        }
      }
      expect(hits.map(({ request: { headers, url } }) => [url, headers["x-lang"]])).toEqual([
        ["/named", "fr"],
        ["/named", "de"],
        ["/named", "fr"]
      ])
    }))
})

describe("the span of what the lane answers", () => {
  /** Keeps the spans that it makes, in the order of their ends. */
  const keeping = (spans: Array<Tracer.Span>): Tracer.Tracer => {
    const native = Effect.runSync(Effect.tracer)
    return {
      ...native,
      span: (...options) => {
        const span = native.span(...options)
        const end = span.end.bind(span)
        span.end = (time, exit) => {
          end(time, exit)
          spans.push(span)
        }
        return span
      }
    }
  }

  const ofLane = (options: HttpCacheLane.Options) =>
    Effect.gen(function*() {
      const spans: Array<Tracer.Span> = []
      const context = yield* Layer.build(laneServer(() => {}, undefined, options))
      const traced = page({ cacheStatus: { key: true } }).pipe(Effect.withTracer(keeping(spans)))
      const ask = yield* Effect.provide(serve(traced), context)
      for (const _ of [1, 2]) yield* ask("/page")
      yield* TestClock.adjust("3 seconds")
      spans.length = 0
      const headers = { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` }
      expect((yield* ask("/page", { headers })).status).toBe(200)
      expect((yield* ask("/page", { headers: { "if-none-match": "*" } })).status).toBe(304)
      return spans
    })

  it.scoped("is like that of the platform, and says what the cache did", () =>
    Effect.gen(function*() {
      const spans = yield* ofLane({ span: true })
      const attributes = {
        "http.request.method": "GET",
        "url.path": "/page",
        "http.route": "/page",
        "cache.hit": true,
        "cache.ttl": 7,
        "cache.age": 3,
        "cache.key": expect.stringMatching(/\/page$/)
      }
      expect(spans.map(({ attributes, kind, name, status: { _tag } }) => [
        name,
        kind,
        _tag,
        Object.fromEntries(attributes)
      ])).toEqual([
        ["http.server GET", "server", "Ended", { ...attributes, "http.response.status_code": 200 }],
        ["http.server GET", "server", "Ended", { ...attributes, "http.response.status_code": 304 }]
      ])
      expect(
        spans.map(({ parent, traceId }) => [traceId.startsWith("aaaa"), Option.map(parent, ({ spanId }) => spanId)])
      )
        .toEqual([[true, Option.some("b".repeat(16))], [false, Option.none()]])
    }))

  it.scoped("is not there, where nobody has asked for it", () =>
    Effect.gen(function*() {
      expect(yield* ofLane({})).toEqual([])
    }))
})

describe("what the lane leaves to the route", () => {
  it.scoped.each<[string, Ask]>([
    ["another method", { method: "OPTIONS" }],
    ["content", { headers: { "content-length": "1" }, body: "x" }],
    ["content of a length that is not said", { headers: { "transfer-encoding": "chunked" }, body: "x" }],
    ["a part", { headers: { range: "bytes=0-1" } }],
    ["a part if it is the same", { headers: { "if-range": "\"x\"" } }],
    ["a precondition", { headers: { "if-match": "\"x\"" } }],
    ["a precondition by time", { headers: { "if-unmodified-since": "Thu, 01 Jan 1970 00:00:00 GMT" } }],
    ["credentials", { headers: { authorization: "Basic eA==" } }]
  ])("%s", ([, request]) =>
    Effect.gen(function*() {
      const { ask, hits } = yield* known(page())
      yield* ask("/page", request)
      expect(hits.length).toBe(0)
      yield* ask("/page")
      expect(hits.length).toBe(1)
    }))

  it.scoped.each(["cache-control", "pragma"])(
    "what a client asks of caches in %s, where the route honors it",
    (field) =>
      Effect.gen(function*() {
        const { ask, hits } = yield* known(page({ requestDirectives: "honor" }))
        yield* ask("/page", { headers: { [field]: "no-cache" } })
        expect(hits.length).toBe(0)
      })
  )

  it.scoped.each<[string, App<never, never>]>([
    ["a route that does not ask for it", counted().pipe(withCache({ expiry: 10 })) as never],
    ["a route with a bypass", page({ bypass: () => false }) as never],
    [
      "an app that has a switch",
      page().pipe(Effect.provideService(HttpCache.Defaults, { enabled: Effect.succeed(true) })) as never
    ],
    [
      "an app that has a partition",
      page().pipe(Effect.provideService(HttpCache.Defaults, { partition: Effect.succeed("") })) as never
    ],
    ["a response that sets cookies", page({ cookies: "store" }, { headers: { "set-cookie": "a=b" } }) as never],
    ["a response for one user", page({}, { headers: { "cache-control": "private, max-age=9" } }) as never],
    ["a cache above", page().pipe(HttpCache.middleware({ expiry: 10 })) as never],
    ["a target that is rewritten", mounted({ "/sub": page() as never }) as never]
  ])("%s", ([what, app]) =>
    Effect.gen(function*() {
      const path = what === "a target that is rewritten" ? "/sub/page" : "/page"
      const { ask, hits } = yield* laned(app)
      for (const _ of [1, 2, 3, 4]) yield* ask(path)
      expect(hits.length).toBe(0)
    }))

  it.scoped("a storage that has to be waited for", () =>
    Effect.gen(function*() {
      const { ask, hits } = yield* known(page(), "/page", {}, layerWaiting("after a yield"))
      expect((yield* ask("/page")).cacheStatus).toBe("hit; ttl=10")
      expect(hits.length).toBe(0)
    }))

  it.scoped("105: a storage that has failed, which is tried again for what the lane knows, too", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(Layer.merge(laneServer(() => {}, layerFaulty), layerFaulty))
      const ask = yield* Effect.provide(serve(page({ expiry: 60 })), context)
      const { switchAll } = Context.get(context, Faults)
      yield* ask("/page")
      expect((yield* ask("/page")).cacheStatus).toBe("hit; ttl=60")
      yield* switchAll("fail")
      for (const _ of [1, 2, 3]) expect((yield* ask("/page")).cacheStatus).toBe("fwd=miss")
      yield* switchAll("work")
      expect((yield* ask("/page")).cacheStatus).toBe("fwd=miss")
      yield* TestClock.adjust("10 seconds")
      expect((yield* ask("/page")).cacheStatus).toBe("hit; ttl=50")
    }))

  it.scoped("106: nothing, a minute after the storage has failed for what nobody asks for any more", () =>
    Effect.gen(function*() {
      const memory = InMemoryCacheStorage.make()
      const down = ({ key }: CacheStorage.Lookup) =>
        new CacheError.CacheStorageError({ storage: "memory", method: "get", key, cause: "down" })
      const storage: CollectableCacheStorage.Service = {
        ...memory,
        get: (lookup) => lookup.key.endsWith("?rare") ? Effect.fail(down(lookup)) : memory.get(lookup)
      }
      const { ask, hits } = yield* known(
        page({ expiry: 600 }),
        "/page",
        {},
        CollectableCacheStorage.layer(Effect.succeed(storage))
      )
      yield* ask("/page?rare")
      for (const _ of [1, 2]) expect((yield* ask("/page")).cacheStatus).toBe("hit; ttl=600")
      expect(hits.length).toBe(0)
      yield* TestClock.adjust("70 seconds")
      for (const _ of [1, 2]) expect((yield* ask("/page")).cacheStatus).toBe("hit; ttl=530")
      expect(hits.length).toBe(1)
    }))

  it.scoped("what was collected, by a route or by a group", () =>
    Effect.gen(function*() {
      const value = counted()
      const { ask, context, hits } = yield* known(routes({
        "GET /page": value.pipe(withCache({ ...lane, groups: () => ["pages"] })),
        "PATCH /page": Effect.succeed(HttpServerResponse.empty()).pipe(withCollect())
      }))
      yield* ask("/page", { method: "PATCH" })
      expect((yield* ask("/page")).text).toBe("run 2")
      expect((yield* ask("/page")).text).toBe("run 2")
      expect(hits.length).toBe(1)
      const origin = `http://127.0.0.1:${ask.port}`
      yield* Effect.provide(HttpCache.collectGroup("pages", { origin }), context)
      expect((yield* ask("/page")).text).toBe("run 3")
      expect(hits.length).toBe(1)
    }))

  it.scoped("what another app has answered on the same server", () =>
    Effect.gen(function*() {
      const hits: Array<unknown> = []
      const context = yield* Layer.build(laneServer((hit) => hits.push(hit)))
      const during = (app: App<never, never>, asks: number) =>
        Effect.scoped(Effect.gen(function*() {
          const ask = yield* Effect.provide(serve(app), context)
          return yield* Effect.forEach(Array.from({ length: asks }), () => ask("/page"))
        }))
      yield* during(page() as never, 3)
      expect(hits.length).toBe(1)
      const [reply] = yield* during(Effect.succeed(HttpServerResponse.text("another")) as never, 1)
      expect([reply!.text, hits.length]).toEqual(["another", 1])
    }))

  it.scoped("127: what an app answers that is not served any more", () =>
    Effect.gen(function*() {
      const hits: Array<unknown> = []
      const context = yield* Layer.build(laneServer((hit) => hits.push(hit)))
      const begun = yield* Deferred.make<void>()
      const goesOn = yield* Deferred.make<void>()
      let isHeld = false
      const held = Effect.suspend(() =>
        isHeld ? Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(goesOn)) : Effect.void
      )
      const waiting = Effect.uninterruptible(Effect.zipRight(held, page()))
      const old = yield* Scope.make()
      const { port } = yield* Effect.provide(serve(waiting), context).pipe(Scope.extend(old))
      const headers = { host: `127.0.0.1:${port}` }
      yield* Effect.promise(() => client(port, "/page", headers).reply)
      isHeld = true
      const { reply } = client(port, "/page", headers)
      yield* Deferred.await(begun)
      const closing = yield* Effect.fork(Scope.close(old, Exit.void))
      yield* Effect.yieldNow()
      yield* Deferred.succeed(goesOn, undefined)
      expect((yield* Effect.promise(() => reply)).cacheStatus).toBe("hit; ttl=10")
      yield* Fiber.join(closing)
      const ask = yield* Effect.provide(serve(Effect.succeed(HttpServerResponse.text("another"))), context)
      expect([(yield* ask("/page", { headers })).text, hits.length]).toEqual(["another", 0])
    }))
})

describe("a lane that is asked for wrongly", () => {
  it("beside what makes responses one user's is a TypeError, at once", () => {
    expect(() => withCache({ lane: true, partition: Effect.succeed("ada") })).toThrow(
      "withCache: lane is true beside a partition; the lane answers everybody with the same response"
    )
    expect(() => HttpCache.middleware({ lane: true, cacheControl: "private" })).toThrow(
      "lane is true beside cacheControl"
    )
    expect(() => withCache({ lane: "yes" as never })).toThrow("lane")
    expect(() => HttpCache.defaults({ lane: true } as never)).toThrow("lane")
  })

  const fail = () => {
    throw new Error("not counted")
  }

  it.scoped.each<[string, () => void]>([
    ["throws", fail],
    ["181: rejects", () => Promise.resolve().then(fail)]
  ])("with an onHit that %s answers all the same, and the process is warned", ([, onHit]) =>
    Effect.gen(function*() {
      const warned: Array<Error> = []
      const listen = (warning: Error) => warned.push(warning)
      process.on("warning", listen)
      yield* Effect.addFinalizer(() => Effect.sync(() => process.off("warning", listen)))
      const ask = yield* Effect.provide(serve(page()), yield* Layer.build(laneServer(onHit)))
      for (const _ of [1, 2, 3]) expect((yield* ask("/page")).text).toBe("run 1")
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      expect(warned.map(({ message }) => message)).toEqual(["not counted"])
    }))
})
