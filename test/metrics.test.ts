/** What operators count, and what spans say: each is made to come about, through the door. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, TestClock, type Tracer } from "effect"
import {
  CacheError,
  CollectableCacheStorage,
  HttpCache,
  InMemoryCacheStorage,
  withCache,
  withCollect
} from "effect-http-cache"
import { Faults, layerFaulty } from "effect-http-cache/testing"
import { caching, fresh, url } from "./client.js"
import { counted, countsOf, eventually, logged, routes, serve, TestServer } from "./harness.js"
import { layerWaiting } from "./waiting.js"

/** By how much what is measured under this name has changed since it was made, by tags. */
const changesOf = (name: string) =>
  Effect.map(
    countsOf(`effect_http_cache_${name}`),
    (before) =>
      Effect.map(countsOf(`effect_http_cache_${name}`), (after) =>
        Object.fromEntries(
          Object.entries(after).flatMap(([tags, count]) => {
            const change = count - (before[tags] ?? 0)
            return change === 0 ? [] : [[tags, change]]
          })
        ))
  )

const at = (path: string, outcome: string) => `${outcome === "" ? "" : `outcome=${outcome},`}route=${path}`

const forwarded = (path: string, reason: string, stored: boolean, { collapsed = false, detail = "" } = {}) =>
  `collapsed=${collapsed},detail=${detail},outcome=forwarded,reason=${reason},route=${path},stored=${stored}`

const down = Effect.fail("down")

describe("requests are counted", () => {
  it.scoped("by route and by what was done", () =>
    Effect.gen(function*() {
      const changes = yield* changesOf("requests")
      const ages = yield* changesOf("age_seconds")
      const ask = yield* serve(routes({
        "GET /users/:id": counted().pipe(withCache({ expiry: 10, staleWhileRevalidate: 10 })),
        "POST /users/:id": counted().pipe(withCache({ expiry: 10 })),
        "GET /private": counted({ headers: { "cache-control": "private" } }).pipe(withCache({ expiry: 10 }))
      }))
      yield* ask("/users/1")
      const { headers } = yield* ask("/users/1")
      yield* ask("/users/1", { headers: { "if-none-match": headers.etag! } })
      yield* TestClock.adjust("11 seconds")
      yield* ask("/users/1")
      yield* ask("/users/2", { headers: { "cache-control": "only-if-cached" } })
      yield* ask("/users/1", { method: "POST" })
      yield* ask("/private")
      expect(yield* changes).toEqual({
        [at("/users/:id", "hit")]: 2,
        [at("/users/:id", "stale")]: 1,
        [forwarded("/users/:id", "uri-miss", true)]: 2,
        [forwarded("/users/:id", "method", false)]: 1,
        [forwarded("/private", "uri-miss", false, { detail: "private" })]: 1
      })
      expect(yield* ages).toEqual({ "route=/users/:id": 3 })
    }).pipe(Effect.provide(TestServer)))

  it.scoped("where a client asks only-if-cached, and the route honors it", () =>
    Effect.gen(function*() {
      const changes = yield* changesOf("requests")
      const ask = yield* serve(counted().pipe(withCache({ expiry: 10, requestDirectives: "honor", name: "users" })))
      expect((yield* ask("/", { headers: { "cache-control": "only-if-cached" } })).status).toBe(504)
      expect(yield* changes).toEqual({ [at("users", "not-cached")]: 1 })
    }).pipe(Effect.provide(TestServer)))

  it.scoped("once, where one waits for another's run", () =>
    Effect.gen(function*() {
      const [requests, handlers] = [yield* changesOf("requests"), yield* changesOf("handler_seconds")]
      const [waiters, flights] = [yield* changesOf("waiters"), yield* changesOf("flights")]
      const gate = yield* Deferred.make<void>()
      const slow = Effect.zipRight(Deferred.await(gate), counted()).pipe(withCache({ expiry: 10 }))
      const { another } = yield* serve(slow)
      const [one, two] = [yield* another, yield* another]
      const asked = yield* Effect.fork(Effect.all([one("/"), two("/")], { concurrency: 2 }))
      const isWaiting = () => Effect.runSync(waiters)[""] === 1
      yield* eventually(isWaiting)
      expect(yield* flights).toEqual({ "": 1 })
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(asked)
      expect(yield* requests).toEqual({
        [forwarded("*", "uri-miss", true)]: 1,
        [forwarded("*", "uri-miss", false, { collapsed: true })]: 1
      })
      expect(yield* handlers).toEqual({ "route=*": 1 })
      expect([yield* waiters, yield* flights]).toEqual([{}, {}])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("of a client too, also where there is no answer", () =>
    Effect.gen(function*() {
      const changes = yield* changesOf("requests")
      const { client } = yield* caching(({ path }) => path === "/down" ? "no connection" : fresh("one"))
      const read = Effect.flatMap(client.get(url("/a")), ({ text }) => text)
      yield* read
      yield* read
      yield* client.post(url("/a"))
      yield* Effect.flip(client.get(url("/down")))
      expect(yield* changes).toEqual({
        [forwarded("HttpClientCache", "uri-miss", false)]: 2,
        [at("HttpClientCache", "hit")]: 1,
        [forwarded("HttpClientCache", "method", false)]: 1
      })
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each(
    [
      ["that fails", down, 500],
      ["that dies", Effect.die("down"), 500],
      ["that answers", counted(), 200]
    ] as const
  )("once, through caches within each other: a handler %s", ([, handler, status]) =>
    Effect.gen(function*() {
      const changes = yield* changesOf("requests")
      const route = (handler as typeof down).pipe(withCache({ name: "route" }))
      const ask = yield* serve(routes({ "GET /": route }).pipe(HttpCache.middleware({ name: "router" })))
      expect((yield* ask("/")).status).toBe(status)
      const [[tags, count] = [], ...more] = Object.entries(yield* changes)
      expect(more).toEqual([])
      expect(count).toBe(1)
      expect(tags).toContain("route=/,")
    }).pipe(Effect.provide(TestServer)))
})

describe("a storage is measured", () => {
  it.scoped("by what it keeps and drops", () =>
    Effect.gen(function*() {
      const [items, bytes, evictions] = [
        yield* changesOf("items"),
        yield* changesOf("bytes"),
        yield* changesOf("evictions")
      ]
      yield* Effect.gen(function*() {
        const ask = yield* serve(counted().pipe(withCache({ expiry: 10 })))
        yield* ask("/1")
        yield* ask("/2")
        const { [""]: kept } = yield* bytes
        expect(kept).toBeGreaterThan(100)
        expect([yield* items, yield* evictions]).toEqual([{ "": 2 }, {}])
        yield* ask("/3")
        expect([yield* items, yield* evictions]).toEqual([{ "": 2 }, { "": 1 }])
        yield* HttpCache.collect("http://localhost/3")
      }).pipe(Effect.provide(InMemoryCacheStorage.layerWith({ maxItems: 2 })))
      expect([yield* items, yield* bytes]).toEqual([{}, {}])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("by how long it takes, where it does not answer at once", () =>
    Effect.gen(function*() {
      const seconds = yield* changesOf("storage_seconds")
      const ask = yield* serve(counted().pipe(withCache({ expiry: 10 })))
      yield* ask("/")
      yield* ask("/")
      expect(yield* seconds).toEqual({ "method=get": 2, "method=begin": 1, "method=set": 1 })
    }).pipe(Effect.provide(layerWaiting("after a yield")), Effect.provide(TestServer)))

  it.scoped("by its failures", () =>
    Effect.gen(function*() {
      const failures = yield* changesOf("storage_failures")
      const faults = yield* Faults
      const ask = yield* serve(counted().pipe(withCache({ expiry: 10 })))
      yield* faults.switch({ get: "fail" })
      yield* ask("/")
      expect(yield* failures).toEqual({ "method=get": 1 })
    }).pipe(Effect.provide(layerFaulty), Effect.provide(TestServer)))

  it.scoped("by what is collected, and by what it could not be told of", () =>
    Effect.gen(function*() {
      const [collects, undelivered] = [yield* changesOf("collects"), yield* changesOf("undelivered_collects")]
      const faults = yield* Faults
      const ask = yield* serve(counted().pipe(withCollect({ groups: () => ["users"] })))
      yield* ask("/1", { method: "PATCH" })
      yield* HttpCache.collectEverything()
      expect([yield* collects, yield* undelivered]).toEqual([
        { "kind=uri": 1, "kind=group": 1, "kind=everything": 1 },
        {}
      ])
      yield* faults.switch({ collect: "fail" })
      yield* ask("/1", { method: "PATCH" })
      expect(yield* undelivered).toEqual({ "": 2 })
      yield* faults.switchAll("work")
      yield* TestClock.adjust("10 seconds")
      yield* eventually(() => Object.keys(Effect.runSync(undelivered)).length === 0)
    }).pipe(Effect.provide(layerFaulty), Effect.provide(TestServer)))

  it.scoped("115: by what it could not be told of, until its layer closes", () =>
    Effect.gen(function*() {
      const undelivered = yield* changesOf("undelivered_collects")
      const collect = () => new CacheError.CacheStorageError({ storage: "", method: "collect", key: "", cause: "down" })
      const storage = { ...InMemoryCacheStorage.make(), collect }
      yield* Effect.gen(function*() {
        yield* Effect.flip(HttpCache.collect("http://localhost/1"))
        expect(yield* undelivered).toEqual({ "": 1 })
      }).pipe(Effect.provide(CollectableCacheStorage.layer(Effect.succeed(storage))))
      expect(yield* undelivered).toEqual({})
    }).pipe(Effect.provide(logged([]))))

  it.scoped("by what it could not be told of, also where two tell it of the same", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const memory = InMemoryCacheStorage.make()
      let isDown = true
      const told: Array<string> = []
      const storage: CollectableCacheStorage.Service = {
        ...memory,
        collect: (names) => {
          if (isDown) {
            return new CacheError.CacheStorageError({ storage: "", method: "collect", key: "", cause: "down" })
          }
          told.push(...names.keys)
          return Effect.andThen(told.length === 1 ? Deferred.await(gate) : Effect.void, memory.collect(names))
        }
      }
      yield* Effect.gen(function*() {
        const undelivered = yield* changesOf("undelivered_collects")
        const ask = yield* serve(counted().pipe(withCache({ expiry: 10 })))
        yield* Effect.flip(HttpCache.collectAll(["/1", "/2"].map((path) => `http://127.0.0.1:${ask.port}${path}`)))
        expect(yield* undelivered).toEqual({ "": 2 })
        isDown = false
        yield* TestClock.adjust("1 second")
        yield* eventually(() => told.length === 1)
        yield* ask(told[0]?.endsWith("/1") ? "/2" : "/1")
        expect([told.length, yield* undelivered]).toEqual([2, { "": 1 }])
        yield* Deferred.succeed(gate, undefined)
        yield* eventually(() => told.length === 3)
        expect(yield* undelivered).toEqual({})
      }).pipe(Effect.provide(CollectableCacheStorage.layer(Effect.succeed(storage))), Effect.provide(TestServer))
    }).pipe(Effect.provide(logged([]))))
})

describe("the span of a request", () => {
  /** The app, within a span for each request, which are kept in order of their start. */
  const traced = <E, R>(
    app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
    spans: Array<Tracer.Span>
  ) =>
    Effect.currentSpan.pipe(
      Effect.tap((span) => Effect.sync(() => spans.push(span))),
      Effect.zipRight(app),
      Effect.withSpan("request", { root: true })
    )

  it.scoped("says what was done", () =>
    Effect.gen(function*() {
      const spans: Array<Tracer.Span> = []
      const route = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) =>
        Effect.succeed(HttpServerResponse.text("", { headers: url === "/2" ? { "cache-control": "no-store" } : {} })))
      const options = { expiry: 10, staleWhileRevalidate: 10, cacheStatus: { key: true } }
      const ask = yield* serve(traced(route.pipe(withCache(options)), spans))
      yield* ask("/1")
      yield* TestClock.adjust("4 seconds")
      yield* ask("/1")
      yield* TestClock.adjust("8 seconds")
      yield* ask("/1")
      yield* ask("/2")
      const key = expect.stringMatching(/\/1$/)
      const miss = { "cache.hit": false, "cache.reason": "uri-miss", "cache.collapsed": false }
      expect(spans.map(({ attributes }) =>
        Object.fromEntries(attributes)
      )).toEqual([
        { ...miss, "cache.stored": true, "cache.key": key },
        { "cache.hit": true, "cache.ttl": 6, "cache.age": 4, "cache.key": key },
        { "cache.hit": true, "cache.ttl": -2, "cache.age": 12, "cache.key": key },
        { ...miss, "cache.stored": false, "cache.detail": "no-store", "cache.key": expect.stringMatching(/\/2$/) }
      ])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("has a link to the one of the request whose run it waits for", () =>
    Effect.gen(function*() {
      const waiters = yield* changesOf("waiters")
      const spans: Array<Tracer.Span> = []
      const gate = yield* Deferred.make<void>()
      const slow = Effect.zipRight(Deferred.await(gate), counted()).pipe(withCache({ expiry: 10 }))
      const { another } = yield* serve(traced(slow, spans))
      const [one, two] = [yield* another, yield* another]
      const asked = yield* Effect.fork(Effect.all([one("/"), two("/")], { concurrency: 2 }))
      yield* eventually(() => Effect.runSync(waiters)[""] === 1)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(asked)
      const [leader, waiter] = spans
      expect(waiter!.links.map(({ span }) => span.spanId)).toEqual([leader!.spanId])
      expect(leader!.links).toEqual([])
      expect(waiter!.attributes.get("cache.collapsed")).toBe(true)
    }).pipe(Effect.provide(TestServer)))
})
