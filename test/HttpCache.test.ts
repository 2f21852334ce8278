/** What a cached route does, through the door: a request in, a response and its `Cache-Status` out. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, TestClock } from "effect"
import { HttpCache, withCache, withCollect } from "effect-http-cache"
import { byRandom, counted, eventually, routes, serve, TestServer } from "./harness.js"

describe("the handler first", () => {
  it.scoped("is the same as in a pipe, for both", () =>
    Effect.gen(function*() {
      const ask = yield* serve(routes({
        "GET /": withCache(counted(), { expiry: 10 }),
        "PATCH /": withCollect(Effect.succeed(HttpServerResponse.empty()))
      }))
      for (const text of ["run 1", "run 1"]) expect((yield* ask("/")).text).toBe(text)
      yield* ask("/", { method: "PATCH" })
      expect((yield* ask("/")).text).toBe("run 2")
    }).pipe(Effect.provide(TestServer)))

  it("refuses a wrong option of either form at once", () => {
    expect(() => withCache(Effect.succeed(HttpServerResponse.empty()), { expiry: -1 })).toThrow(TypeError)
    expect(() => withCollect(Effect.succeed(HttpServerResponse.empty()), { query: "some" as "all" })).toThrow(TypeError)
  })
})

describe("freshness", () => {
  it.scoped.each([["10 seconds"], [Duration.seconds(10)], [10], [10_000_000_000n]] as const)(
    "expiry: %s is fresh at 9.999 s with Age: 9, and the handler runs again at 10 s",
    ([expiry]) =>
      Effect.gen(function*() {
        const ask = yield* serve(counted().pipe(withCache({ expiry })))
        const miss = yield* ask("/")
        expect([miss.text, miss.headers["age"], miss.headers["cache-control"]]).toEqual([
          "run 1",
          undefined,
          "max-age=10"
        ])
        yield* TestClock.adjust("9999 millis")
        const hit = yield* ask("/")
        expect([hit.text, hit.headers["age"], hit.cacheStatus]).toEqual(["run 1", "9", "hit; ttl=0"])
        yield* TestClock.adjust("1 millis")
        const stale = yield* ask("/")
        expect([stale.text, stale.headers["age"], stale.cacheStatus]).toEqual(["run 2", undefined, "fwd=stale; stored"])
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped("a handler that takes 15 s with expiry: 10 is hit for the 10 s after it answered", () =>
    Effect.gen(function*() {
      let hasBegun = false
      const handler = Effect.suspend(() => {
        hasBegun = true
        return Effect.delay(counted(), "15 seconds")
      })
      const ask = yield* serve(handler.pipe(withCache({ expiry: 10 })))
      const asking = yield* Effect.fork(ask("/"))
      // A storage that waits has a timer of its own before.
      yield* eventually(() => hasBegun)
      yield* TestClock.adjust("15 seconds")
      expect((yield* Fiber.join(asking)).headers["date"]).toBe("Thu, 01 Jan 1970 00:00:15 GMT")
      yield* TestClock.adjust("9999 millis")
      expect((yield* ask("/")).headers["age"]).toBe("9")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("with the clock standing still GET, PATCH, GET, GET is miss, collect, miss, hit", () =>
    Effect.gen(function*() {
      const ask = yield* serve(routes({
        "GET /users/:id": counted().pipe(withCache({ expiry: 10 })),
        "PATCH /users/:id": Effect.succeed(HttpServerResponse.empty()).pipe(withCollect())
      }))
      const said: Array<string> = []
      for (const method of ["GET", "PATCH", "GET", "GET"]) said.push((yield* ask("/users/1", { method })).cacheStatus)
      expect(said).toEqual(["fwd=uri-miss; stored", "fwd=method", "fwd=uri-miss; stored", "hit; ttl=10"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each([[0, 100], [0.5, 80], [1, 60]] as const)(
    "jitter: 0.4 and a chance of %s: of 100 seconds %s are left, and clients are told all of them",
    ([chance, left]) =>
      Effect.gen(function*() {
        const ask = yield* serve(counted().pipe(withCache({ expiry: 100, jitter: 0.4 })))
        expect((yield* ask("/")).headers["cache-control"]).toBe("max-age=100")
        yield* TestClock.adjust(`${left * 1000 - 1} millis`)
        expect((yield* ask("/")).text).toBe("run 1")
        yield* TestClock.adjust("1 millis")
        expect((yield* ask("/")).text).toBe("run 2")
      }).pipe(byRandom(chance), Effect.provide(TestServer))
  )

  it.scoped("without expiry the response's own freshness decides, and only Age, Cache-Status and a Date are added", () =>
    Effect.gen(function*() {
      const fields = { "cache-control": "max-age=5", "x-a": "1" }
      const ask = yield* serve(routes({
        "GET /says": counted({ headers: fields }).pipe(withCache()),
        "GET /silent": counted().pipe(withCache({ cacheStatus: { detail: true } }))
      }))
      const { connection: _, "keep-alive": __, ...miss } = (yield* ask("/says")).headers
      const date = "Thu, 01 Jan 1970 00:00:00 GMT"
      const whole = { ...fields, "content-length": "5", "content-type": "text/plain", date }
      expect(miss).toEqual({ ...whole, "cache-status": "effect-http-cache; fwd=uri-miss; stored" })
      yield* TestClock.adjust("4 seconds")
      const { connection: _c, "keep-alive": _k, ...hit } = (yield* ask("/says")).headers
      expect(hit).toEqual({ ...whole, age: "4", "cache-status": "effect-http-cache; hit; ttl=1" })
      yield* ask("/silent")
      expect((yield* ask("/silent")).cacheStatus).toBe("fwd=uri-miss; detail=no-freshness")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("the handler's own fields stand beside expiry", () =>
    Effect.gen(function*() {
      const own = {
        "/max-age": { "cache-control": "max-age=60" },
        "/expires": { expires: "Thu, 01 Jan 1970 00:01:00 GMT" },
        "/no-transform": { "cache-control": "no-transform" },
        "/etag": { etag: "\"mine\"", "last-modified": "Thu, 01 Jan 1970 00:00:00 GMT", vary: "accept" }
      }
      const ask = yield* serve(routes(
        Object.entries(own).map(([path, headers]) =>
          [`GET ${path}`, counted({ headers }).pipe(withCache({ expiry: 10 }))] as const
        )
      ))
      for (const asked of ["miss", "hit"]) {
        const told = yield* Effect.forEach(Object.keys(own), (path) => ask(path))
        expect([asked, ...told.map(({ headers }) => headers["cache-control"])])
          .toEqual([asked, "max-age=60", undefined, "max-age=10, no-transform", "max-age=10"])
        expect(told[3]?.headers).toMatchObject(own["/etag"])
      }
      expect((yield* ask("/max-age")).cacheStatus).toBe("hit; ttl=60")
      expect((yield* ask("/expires")).cacheStatus).toBe("hit; ttl=60")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("expiry: 0 stores, and asks the handler each time", () =>
    Effect.gen(function*() {
      const ask = yield* serve(counted().pipe(withCache({ expiry: 0 })))
      const first = yield* ask("/")
      expect([first.headers["cache-control"], first.cacheStatus]).toEqual(["max-age=0", "fwd=uri-miss; stored"])
      const second = yield* ask("/")
      expect([second.text, second.cacheStatus]).toEqual(["run 2", "fwd=stale; stored"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("sharedExpiry is for this cache and those between, expiry for the client", () =>
    Effect.gen(function*() {
      const ask = yield* serve(routes({
        "GET /both": counted().pipe(withCache({ expiry: 5, sharedExpiry: 60 })),
        "GET /shared": counted().pipe(withCache({ sharedExpiry: 60 }))
      }))
      expect((yield* ask("/both")).headers["cache-control"]).toBe("max-age=5, s-maxage=60")
      expect((yield* ask("/shared")).headers["cache-control"]).toBe("max-age=0, s-maxage=60")
      yield* TestClock.adjust("59 seconds")
      expect((yield* ask("/both")).cacheStatus).toBe("hit; ttl=1")
      expect((yield* ask("/shared")).cacheStatus).toBe("hit; ttl=1")
    }).pipe(Effect.provide(TestServer)))
})

describe("what clients are told", () => {
  const told = (options: HttpCache.Options, response?: HttpServerResponse.Options.WithContent) =>
    Effect.gen(function*() {
      const ask = yield* serve(counted(response).pipe(withCache(options)))
      const miss = yield* ask("/")
      const hit = yield* ask("/")
      expect(hit.headers["cache-control"]).toBe(miss.headers["cache-control"])
      return [miss.headers["cache-control"], hit.cacheStatus]
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(TestServer)))

  it.effect("is expiry, revalidate or nothing, and none of it forbids our own hits", () =>
    Effect.gen(function*() {
      expect(yield* told({ expiry: 10 })).toEqual(["max-age=10", "hit; ttl=10"])
      expect(yield* told({ expiry: 10, clients: "revalidate" })).toEqual(["no-cache", "hit; ttl=10"])
      expect(yield* told({ expiry: 10, clients: "nothing" })).toEqual([undefined, "hit; ttl=10"])
      expect(yield* told({ expiry: 10, cacheControl: "public" })).toEqual(["public, max-age=10", "hit; ttl=10"])
      expect(yield* told({ expiry: 10, cacheControl: "private" })).toEqual(["private, max-age=10", "fwd=uri-miss"])
      expect(yield* told({ cacheControl: "private" })).toEqual(["private", "fwd=uri-miss"])
      expect(yield* told({ expiry: 10, clients: "nothing", cacheControl: "private" })).toEqual([
        "private",
        "fwd=uri-miss"
      ])
    }))
})

describe("entity tags", () => {
  it.scoped("are made from body, type and coding where the handler sets none", () =>
    Effect.gen(function*() {
      const answer = (options: HttpServerResponse.Options.WithContentType, etag?: "strong" | "weak" | "none") =>
        Effect.succeed(HttpServerResponse.text("same", options)).pipe(withCache({ expiry: 10, etag }))
      const ask = yield* serve(routes({
        "GET /plain": answer({}),
        "GET /again": answer({}),
        "GET /html": answer({ contentType: "text/html" }),
        "GET /gzip": answer({ headers: { "content-encoding": "gzip" } }),
        "GET /weak": answer({}, "weak"),
        "GET /none": answer({}, "none"),
        "GET /404": answer({ status: 404 })
      }))
      const tag = (path: string) => Effect.map(ask(path), ({ headers }) => headers["etag"])
      const plain = yield* tag("/plain")
      expect(plain).toMatch(/^"[\w-]{27}"$/)
      expect(yield* tag("/again")).toBe(plain)
      expect(yield* tag("/weak")).toBe(`W/${plain}`)
      expect(new Set([plain, yield* tag("/html"), yield* tag("/gzip")]).size).toBe(3)
      expect([yield* tag("/none"), yield* tag("/404")]).toEqual([undefined, undefined])
      expect((yield* ask("/weak", { headers: { "if-none-match": plain } })).status).toBe(304)
    }).pipe(Effect.provide(TestServer)))

  it.scoped("answer 304 for what is not stored too, once the handler has run", () =>
    Effect.gen(function*() {
      const handler = Effect.succeed(HttpServerResponse.text("mine")).pipe(
        withCache({ expiry: 10, cacheControl: "private" })
      )
      const ask = yield* serve(handler)
      const { headers } = yield* ask("/")
      const again = yield* ask("/", { headers: { "if-none-match": headers["etag"] } })
      expect([again.status, again.cacheStatus, again.headers["cache-control"]])
        .toEqual([304, "fwd=uri-miss; fwd-status=200", "private, max-age=10"])
    }).pipe(Effect.provide(TestServer)))
})

describe("vary", () => {
  it.scoped("keeps a copy per value, says so, and takes Defaults in", () =>
    Effect.gen(function*() {
      const handler = Effect.map(
        HttpServerRequest.HttpServerRequest,
        ({ headers }) =>
          HttpServerResponse.text(`${headers["accept-language"]} ${headers["x-tenant"]}`, {
            headers: { vary: "Accept" }
          })
      )
      const ask = yield* serve(handler.pipe(
        withCache({ expiry: 10, vary: ["Accept-Language"] }),
        Effect.provideService(HttpCache.Defaults, { vary: ["X-Tenant"] })
      ))
      const texts = (headers: { readonly [name: string]: string }) =>
        Effect.map(
          ask("/", { headers }),
          ({ cacheStatus, headers, text }) => [text, headers["vary"], cacheStatus.slice(0, 8)]
        )
      const vary = "Accept, accept-language, x-tenant"
      expect(yield* texts({ "accept-language": "fr", "x-tenant": "a" })).toEqual(["fr a", vary, "fwd=uri-"])
      expect(yield* texts({ "accept-language": "de", "x-tenant": "a" })).toEqual(["de a", vary, "fwd=vary"])
      expect(yield* texts({ "accept-language": "de", "x-tenant": "b" })).toEqual(["de b", vary, "fwd=vary"])
      expect(yield* texts({ "accept-language": "fr", "x-tenant": "a" })).toEqual(["fr a", vary, "hit; ttl"])
    }).pipe(Effect.provide(TestServer)))
})

describe("partition", () => {
  const user = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => headers["x-user"])

  it.scoped("keeps a copy for each, private responses too, and tells clients that it is theirs", () =>
    Effect.gen(function*() {
      let runs = 0
      const handler = Effect.map(user, (name) => HttpServerResponse.text(`${name} ${++runs}`))
      const ask = yield* serve(routes({
        "GET /": handler.pipe(withCache({ expiry: 10, partition: user, cacheControl: "private" })),
        "GET /plain": handler.pipe(withCache({ expiry: 10, partition: user }))
      }))
      const as = (name: string, path = "/") =>
        Effect.map(
          ask(path, { headers: { "x-user": name, authorization: `Bearer ${name}` } }),
          ({ cacheStatus, headers, text }) => [text, headers["cache-control"], cacheStatus.slice(0, 3)]
        )
      expect(yield* as("ada")).toEqual(["ada 1", "private, max-age=10", "fwd"])
      expect(yield* as("alan")).toEqual(["alan 2", "private, max-age=10", "fwd"])
      expect(yield* as("ada")).toEqual(["ada 1", "private, max-age=10", "hit"])
      expect(yield* as("ada", "/plain")).toEqual(["ada 3", "private, max-age=10", "fwd"])
      expect(yield* as("ada", "/plain")).toEqual(["ada 3", "private, max-age=10", "hit"])
      const nobody = yield* ask("/plain")
      expect([nobody.text, nobody.headers["cache-control"]]).toEqual(["undefined 4", "max-age=10"])
      expect((yield* ask("/")).cacheStatus).toBe("fwd=uri-miss")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("68: passes by the cache, and says private, when it fails, dies or answers no text", () =>
    Effect.gen(function*() {
      const ask = yield* serve(routes({
        "GET /fails": counted().pipe(withCache({ expiry: 10, partition: Effect.fail("no session") })),
        "GET /dies": counted().pipe(withCache({ expiry: 10, partition: Effect.die("no session") })),
        "GET /number": counted().pipe(withCache({ expiry: 10, partition: Effect.succeed(7 as never) })),
        "GET /null": counted().pipe(withCache({ expiry: 10, partition: Effect.succeed(null as never) })),
        "GET /object": counted().pipe(withCache({ expiry: 10, partition: Effect.succeed({} as never) }))
      }))
      for (const path of ["/fails", "/dies", "/number", "/null", "/object"]) {
        yield* ask(path)
        const again = yield* ask(path)
        expect([again.text, again.headers["cache-control"], again.cacheStatus]).toEqual([
          "run 2",
          "private",
          "fwd=bypass"
        ])
      }
    }).pipe(Effect.provide(TestServer)))
})
