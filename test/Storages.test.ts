/** Storages that hang, fail, or answer garbage, over a real port; the numbers are those of the list of failures. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { beforeEach, describe, expect, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, Layer, TestClock } from "effect"
import { CacheStorage, HttpCache, InMemoryCacheStorage, withCache, withCollect } from "effect-http-cache"
import { activity, corruptions, Faults } from "effect-http-cache/testing"
import * as Http from "node:http"
import {
  counted,
  countsOf,
  eventually,
  FaultyServer,
  forkAll,
  isRunning,
  type Logged,
  logged,
  routes,
  serve,
  still,
  TestServer
} from "./harness.js"

const world = (handler: Effect.Effect<HttpServerResponse.HttpServerResponse> = counted()) =>
  Effect.gen(function*() {
    const ask = yield* serve(
      routes({
        "GET /:id": handler.pipe(withCache({ expiry: 3600 })),
        "PATCH /:id": Effect.succeed(HttpServerResponse.empty()).pipe(withCollect())
      })
    )
    const faults = yield* Faults
    return { ask, ...faults, gets: () => Effect.runSync(faults.calls).get }
  })

const log: Array<Logged> = []
const quiet = Layer.merge(FaultyServer, logged(log))

beforeEach(() => {
  log.length = 0
})

describe("a storage in trouble", () => {
  it.scoped.each(["hang", "hang uninterruptibly"] as const)(
    "44: told to %s: a call costs the time-out and no more, then it is left alone, and tried again",
    (fault) =>
      Effect.gen(function*() {
        const { ask, gets, switchAll } = yield* world()
        yield* ask("/a")
        yield* switchAll(fault)
        for (const run of [2, 3, 4]) {
          const asked = yield* Effect.fork(ask("/a"))
          yield* eventually(() => gets() === run + 1)
          yield* TestClock.adjust("249 millis")
          expect(isRunning(asked)).toBe(true)
          yield* TestClock.adjust("1 millis")
          const reply = yield* Fiber.join(asked)
          expect([reply.text, reply.cacheStatus]).toEqual([`run ${run}`, "fwd=miss"])
        }
        // Three times is enough.
        expect([(yield* ask("/a")).text, gets()]).toEqual(["run 5", 5])
        yield* switchAll("work")
        yield* TestClock.adjust("9999 millis")
        expect([(yield* ask("/a")).text, gets()]).toEqual(["run 6", 5])
        yield* TestClock.adjust("1 millis")
        expect((yield* ask("/b")).cacheStatus).toContain("stored")
        expect((yield* ask("/b")).cacheStatus).toBe("hit; ttl=3600")
      }).pipe(Effect.provide(quiet))
  )

  it.scoped.each(["fail", "die"] as const)(
    "44: told to %s: every request is answered at once",
    (fault) =>
      Effect.gen(function*() {
        const { ask, switchAll } = yield* world()
        yield* switchAll(fault)
        for (let run = 1; run <= 5; run++) expect((yield* ask("/a")).text).toBe(`run ${run}`)
        yield* switchAll("work")
        yield* TestClock.adjust("10 seconds")
        yield* ask("/a")
        expect((yield* ask("/a")).cacheStatus).toBe("hit; ttl=3600")
      }).pipe(Effect.provide(quiet))
  )

  it.scoped.each(Object.entries(corruptions))(
    "44: a record with %s is a miss and goes away",
    ([, corrupt]) =>
      Effect.gen(function*() {
        const { ask, switch: to } = yield* world()
        yield* ask("/a")
        yield* to({ get: { corrupt } })
        for (const run of [2, 3]) {
          const { headers, text } = yield* ask("/a")
          expect([text, headers["x-injected"]]).toEqual([`run ${run}`, undefined])
        }
        yield* to({ get: "work" })
        expect([(yield* ask("/a")).text, (yield* ask("/b")).cacheStatus]).toEqual(["run 3", "fwd=uri-miss; stored"])
      }).pipe(Effect.provide(quiet))
  )

  it.scoped("44: a storage that can only be read is read, and costs one time-out after the other no more", () =>
    Effect.gen(function*() {
      const { ask, calls, switch: to } = yield* world()
      yield* ask("/kept")
      yield* to({ set: "fail" })
      for (const path of ["/1", "/2", "/3", "/4"]) yield* ask(path)
      expect([(yield* calls).set, (yield* ask("/kept")).cacheStatus]).toEqual([4, "hit; ttl=3600"])
    }).pipe(Effect.provide(quiet)))

  it.scoped("44: a clock that goes back does not leave the storage alone for longer", () =>
    Effect.gen(function*() {
      const { ask, switchAll } = yield* world()
      yield* TestClock.adjust("1 day")
      yield* switchAll("fail")
      for (const path of ["/1", "/2", "/3"]) yield* ask(path)
      yield* switchAll("work")
      yield* TestClock.setTime(0)
      expect((yield* ask("/a")).cacheStatus).toBe("fwd=uri-miss; stored")
    }).pipe(Effect.provide(quiet)))

  it.scoped("44: clients that leave say nothing of the storage, also where a router is cached", () =>
    Effect.gen(function*() {
      const { calls, switchAll } = yield* Faults
      const ask = yield* serve(
        routes({ "GET /": counted() }).pipe(HttpCache.middleware({ expiry: 10 }))
      )
      yield* switchAll("hang")
      for (const times of [1, 2, 3]) {
        const leaving = Http.get({ agent: false, host: "127.0.0.1", port: ask.port }).on("error", () => {})
        yield* eventually(() => Effect.runSync(calls).get === times)
        leaving.destroy()
        yield* still(() => Effect.runSync(calls).get, 50)
      }
      yield* switchAll("work")
      expect((yield* ask("/")).cacheStatus).toBe("fwd=uri-miss; stored")
    }).pipe(Effect.provide(quiet)))

  it.scoped("54: a collect that was not delivered is delivered before the storage is read again", () =>
    Effect.gen(function*() {
      const { ask, switchAll } = yield* world()
      yield* ask("/a")
      yield* switchAll("fail")
      expect((yield* ask("/a", { method: "PATCH" })).status).toBe(204)
      // The storage can be read again, and still has what was collected.
      yield* switchAll("work")
      const reply = yield* ask("/a")
      expect([reply.text, reply.cacheStatus]).toEqual(["run 2", "fwd=uri-miss; stored"])
      expect((yield* ask("/a")).text).toBe("run 2")
    }).pipe(Effect.provide(quiet)))

  it.scoped("54: until it is delivered the key is not served, nor is anything else read", () =>
    Effect.gen(function*() {
      const { ask, gets, switchAll } = yield* world()
      yield* ask("/a")
      yield* switchAll("fail")
      yield* ask("/a", { method: "PATCH" })
      for (const run of [2, 3, 4]) expect((yield* ask("/a")).text).toBe(`run ${run}`)
      const before = gets()
      const found = yield* Effect.flip(HttpCache.lookup(`http://127.0.0.1:${ask.port}/a`))
      expect(found._tag).toBe("CacheStorageError")
      yield* switchAll("work")
      expect([(yield* ask("/a")).text, gets()]).toEqual(["run 5", before])
      yield* TestClock.adjust("10 seconds")
      expect((yield* ask("/a")).cacheStatus).toBe("fwd=uri-miss; stored")
    }).pipe(Effect.provide(quiet)))

  it.scoped("54: a collect that fails while an earlier one of the URI is delivered is not taken for that one", () =>
    Effect.gen(function*() {
      const { ask, calls, switch: to } = yield* world()
      const other = yield* ask.another
      yield* to({ collect: "fail" })
      yield* ask("/a", { method: "PATCH" })
      yield* to({ collect: { delay: 100 } })
      const delivering = yield* Effect.fork(ask("/a"))
      yield* eventually(() => Effect.runSync(calls).collect === 2)
      yield* to({ collect: "fail" })
      yield* other("/a", { method: "PATCH" })
      yield* TestClock.adjust("100 millis")
      yield* Fiber.join(delivering)
      expect((yield* calls).collect).toBe(3)
      yield* to({ collect: "work" })
      yield* ask("/a")
      expect((yield* calls).collect).toBe(4)
    }).pipe(Effect.provide(quiet)))

  it.scoped("54: after more collects than are kept for later, a run that began before stores nothing", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let runs = 0
      const { ask, switchAll } = yield* world(Effect.suspend(() => {
        const response = HttpServerResponse.text(`run ${++runs}`)
        return Effect.as(runs === 1 ? Deferred.await(gate) : Effect.void, response)
      }))
      const early = yield* Effect.fork(ask("/a"))
      yield* eventually(() => runs === 1)
      yield* switchAll("fail")
      const others = Array.from({ length: 10_000 }, (_, at) => `http://localhost/${at}`)
      yield* Effect.flip(HttpCache.collectAll([...others, `http://127.0.0.1:${ask.port}/a`]))
      yield* switchAll("work")
      yield* TestClock.adjust("10 seconds")
      yield* Deferred.succeed(gate, undefined)
      expect((yield* Fiber.join(early)).text).toBe("run 1")
      expect((yield* ask("/a")).text).toBe("run 2")
    }).pipe(Effect.provide(quiet)))

  it.scoped("54: after more collects than are kept for later, nothing older is served, which is logged once", () =>
    Effect.gen(function*() {
      const { ask, switchAll } = yield* world()
      for (const path of ["/collected", "/other"]) yield* ask(path)
      yield* TestClock.adjust("1 seconds")
      yield* switchAll("fail")
      const before = Array.from({ length: 10_000 }, (_, at) => `http://localhost/${at}`)
      const error = yield* Effect.flip(
        HttpCache.collectAll([...before, `http://127.0.0.1:${ask.port}/collected`, "http://localhost/one-more"])
      )
      expect(String(error.cause)).toBe("10002 not delivered yet")
      yield* switchAll("work")
      yield* TestClock.adjust("10 seconds")
      for (const [path, run] of [["/collected", 3], ["/other", 4]] as const) {
        expect([(yield* ask(path)).text, (yield* ask(path)).text]).toEqual([`run ${run}`, `run ${run}`])
      }
      expect(log.filter(({ message }) => message.includes("undelivered collects"))).toHaveLength(1)
    }).pipe(Effect.provide(quiet)))

  it.scoped("concurrent misses are joined while the storage is down", () =>
    Effect.gen(function*() {
      const { ask, gets, switchAll } = yield* world(Effect.delay(counted(), "1 second"))
      const storage = yield* CacheStorage.CacheStorage
      yield* switchAll("hang")
      const clients = yield* Effect.replicateEffect(ask.another, 5)
      const asked = yield* forkAll(clients.map((ask) => ask("/a")))
      yield* eventually(() => gets() === 5)
      yield* TestClock.adjust("250 millis")
      yield* eventually(() => activity(storage).waiters === 5)
      yield* TestClock.adjust("1 seconds")
      expect(new Set((yield* Fiber.join(asked)).map(({ text }) => text))).toEqual(new Set(["run 1"]))
    }).pipe(Effect.provide(quiet)))
})

describe("a storage that is slow", () => {
  it.scoped.each(
    [
      ["is waited for where its calls are done in time", 60, 180, "fwd=uri-miss; stored"],
      ["is waited for by a request no longer for all calls than for one", 100, 250, "fwd=uri-miss"]
    ] as const
  )("%s", ([, each, whole, cacheStatus]) =>
    Effect.gen(function*() {
      const { ask, switchAll } = yield* world(counted())
      yield* switchAll({ delay: `${each} millis` })
      const began = yield* Clock.currentTimeMillis
      const asked = yield* Effect.fork(ask("/a"))
      while (yield* Effect.as(still(() => 0), isRunning(asked))) yield* TestClock.adjust("10 millis")
      expect([(yield* Clock.currentTimeMillis) - began, (yield* Fiber.join(asked)).cacheStatus]).toEqual([
        whole,
        cacheStatus
      ])
      // A call that is not waited for any more goes on.
      yield* TestClock.adjust("1 second")
      yield* switchAll("work")
      expect((yield* ask("/a")).cacheStatus).toMatch(/^hit/)
    }).pipe(Effect.provide(quiet)))
})

describe("a limit that is reached", () => {
  const counts = countsOf("effect_http_cache_limits_reached")

  it.scoped("is counted each time, and logged once", () =>
    Effect.gen(function*() {
      const named = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) =>
        HttpServerResponse.text(String(headers[headers["x-name"] ?? ""])))
      const large = { "x-large": "x".repeat(65 * 1024) }
      const ask = (route: ReturnType<typeof counted>, fields: Record<string, string> = {}) =>
        Effect.scoped(route).pipe(
          Effect.provideService(
            HttpServerRequest.HttpServerRequest,
            HttpServerRequest.fromWeb(new Request("http://localhost/", { headers: fields }))
          )
        )
      const cached = <R>(handler: Effect.Effect<HttpServerResponse.HttpServerResponse, never, R>, options = {}) =>
        handler.pipe(withCache({ expiry: 10, ...options })) as ReturnType<typeof counted>
      const before = yield* counts
      for (const at of [1, 2, 3, 4]) {
        yield* ask(cached(counted(), { vary: ["x-a"] }), { "x-a": String(at) })
        yield* ask(cached(counted({ headers: large })))
      }
      for (let at = 0; at < 10; at++) {
        yield* ask(cached(named), { "x-name": `x-${at}`, [`x-${at}`]: "1" })
      }
      const after = yield* counts
      const grown = ["variants", "size", "lists of fields that were read"].map((limit) =>
        (after[`limit=${limit}`] ?? 0) - (before[`limit=${limit}`] ?? 0)
      )
      expect(grown).toEqual([expect.any(Number), 4, 2])
      expect(grown[0]).toBeGreaterThanOrEqual(2)
      const messages = log.map(({ message }) =>
        message
      ).filter((message) => message.includes("the limit on"))
      expect(messages.map((message) => /the limit on (.*) is reached/.exec(message)?.[1]).sort()).toEqual([
        "lists of fields that were read",
        "size",
        "variants"
      ])
    }).pipe(Effect.provide(Layer.merge(InMemoryCacheStorage.layerWith({ maxVariants: 2 }), logged(log)))))
})

describe("what a handler says of its response", () => {
  const served = (handler: Effect.Effect<HttpServerResponse.HttpServerResponse>, options: HttpCache.Options = {}) =>
    serve(routes({ "GET /": handler.pipe(withCache({ expiry: 10, ...options })) }))
  it.scoped("20: refuse, at any depth, keeps it out, here and elsewhere", () =>
    Effect.gen(function*() {
      const deep = Effect.zipRight(Effect.flatMap(Effect.fork(HttpCache.noStore), Fiber.join), counted())
      const ask = yield* served(deep, { cacheStatus: { detail: true } })
      const reply = yield* ask("/")
      expect([reply.cacheStatus, reply.headers["cache-control"]]).toEqual(["fwd=uri-miss; detail=no-store", "no-store"])
      expect((yield* ask("/")).text).toBe("run 2")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("20: refuse holds for a POST that would answer a later GET, and goes out with its response", () =>
    Effect.gen(function*() {
      const headers = { "cache-control": "max-age=60", "content-location": "/" }
      const refused = Effect.zipRight(HttpCache.noStore, counted({ headers }))
      const ask = yield* serve(routes({ "* /": refused.pipe(withCache()) }))
      const posted = yield* ask("/", { method: "POST" })
      expect([posted.text, posted.headers["cache-control"]]).toEqual(["run 1", "no-store"])
      expect((yield* ask("/")).text).toBe("run 2")
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each([{ "cache-control": "must-understand, max-age=60" }, { "cdn-cache-control": "max-age=60" }])(
    "20: refuse is stronger than %o, here and elsewhere",
    (headers) =>
      Effect.gen(function*() {
        const refused = Effect.zipRight(HttpCache.noStore, counted({ headers }))
        const ask = yield* served(refused, { targets: ["CDN-Cache-Control"] })
        const reply = yield* ask("/")
        for (const name of Object.keys(headers)) expect(reply.headers[name]).toBe("no-store")
        expect((yield* ask("/")).text).toBe("run 2")
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped("20: what a cached part refuses is not kept in the whole either", () =>
    Effect.gen(function*() {
      const part = Effect.zipRight(HttpCache.noStore, counted()).pipe(withCache({ expiry: 10 }))
      const whole = Effect.zipRight(part, counted()) as Effect.Effect<HttpServerResponse.HttpServerResponse>
      const ask = yield* served(whole)
      yield* ask("/")
      expect((yield* ask("/")).text).toBe("run 2")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("annotate gives it a freshness of its own, which clients are told; what it states itself is stronger", () =>
    Effect.gen(function*() {
      const annotated = Effect.zipRight(HttpCache.annotate({ expiry: "1 minute" }), counted())
      const ask = yield* served(annotated)
      expect((yield* ask("/")).headers["cache-control"]).toBe("max-age=60")
      yield* TestClock.adjust("59 seconds")
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=1")
      yield* TestClock.adjust("1 seconds")
      expect((yield* ask("/")).text).toBe("run 2")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("annotate leaves Expires alone, and what is stored says when a 304 is the answer", () =>
    Effect.gen(function*() {
      const expires = "Thu, 01 Jan 1970 00:00:10 GMT"
      const stored = { etag: "\"1\"", "cache-control": "no-cache, must-revalidate" }
      const annotated = <R>(handler: Effect.Effect<HttpServerResponse.HttpServerResponse, never, R>) =>
        Effect.zipRight(HttpCache.annotate({ expiry: 600 }), handler).pipe(withCache())
      const validated = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) =>
        "if-none-match" in headers
          ? HttpServerResponse.empty({ status: 304, headers: { etag: stored.etag } })
          : HttpServerResponse.text("whole", { headers: stored }))
      const ask = yield* serve(routes({
        "GET /expires": annotated(counted({ headers: { expires } })),
        "GET /validated": annotated(validated)
      }))
      yield* ask("/expires")
      expect((yield* ask("/expires")).cacheStatus).toBe("hit; ttl=10")
      for (
        const status of [
          "fwd=uri-miss; stored",
          "fwd=stale; fwd-status=304; stored",
          "fwd=stale; fwd-status=304; stored"
        ]
      ) {
        const reply = yield* ask("/validated")
        expect([reply.text, reply.cacheStatus]).toEqual(["whole", status])
        expect(reply.headers["cache-control"]).toContain("no-cache, must-revalidate")
      }
    }).pipe(Effect.provide(TestServer)))

  it.effect("annotate says what is wrong, and is nothing without a cache", () =>
    Effect.gen(function*() {
      yield* HttpCache.noStore
      yield* HttpCache.annotate({ expiry: 1 })
      const defect = yield* Effect.flip(Effect.catchAllDefect(HttpCache.annotate({ expiry: -1 }), Effect.fail))
      expect(String(defect)).toContain("TypeError: HttpCache.annotate: expiry is -1; it must be a number of seconds")
    }))
})
