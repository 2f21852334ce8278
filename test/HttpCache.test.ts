/** What a cached route does, through the door: a request in, a response and its `Cache-Status` out. */
import {
  HttpApp,
  HttpLayerRouter,
  HttpRouter,
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse
} from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Random, Stream, TestClock } from "effect"
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
import { counted, FaultyServer, type Logged, logged, serve, TestServer } from "./harness.js"

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
      const ask = yield* serve(Effect.delay(counted(), "15 seconds").pipe(withCache({ expiry: 10 })))
      const asking = yield* Effect.fork(ask("/"))
      while (asking.unsafePoll() === null) {
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        if (yield* sleeps) yield* TestClock.adjust("15 seconds")
      }
      expect((yield* Fiber.join(asking)).headers["date"]).toBe("Thu, 01 Jan 1970 00:00:15 GMT")
      yield* TestClock.adjust("9999 millis")
      expect((yield* ask("/")).headers["age"]).toBe("9")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("with the clock standing still GET, PATCH, GET, GET is miss, collect, miss, hit", () =>
    Effect.gen(function*() {
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/users/:id", counted().pipe(withCache({ expiry: 10 }))),
        HttpRouter.patch("/users/:id", HttpServerResponse.empty().pipe(withCollect()))
      ))
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
      }).pipe(Effect.withRandom(Random.fixed([chance])), Effect.provide(TestServer))
  )

  it.scoped("without expiry the response's own freshness decides, and only Age, Cache-Status and a Date are added", () =>
    Effect.gen(function*() {
      const fields = { "cache-control": "max-age=5", "x-a": "1" }
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/says", counted({ headers: fields }).pipe(withCache())),
        HttpRouter.get("/silent", counted().pipe(withCache({ cacheStatus: { detail: true } })))
      ))
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
      const ask = yield* serve(HttpRouter.fromIterable(
        Object.entries(own).map(([path, headers]) =>
          HttpRouter.makeRoute("GET", path as `/${string}`, counted({ headers }).pipe(withCache({ expiry: 10 })))
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
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/both", counted().pipe(withCache({ expiry: 5, sharedExpiry: 60 }))),
        HttpRouter.get("/shared", counted().pipe(withCache({ sharedExpiry: 60 })))
      ))
      expect((yield* ask("/both")).headers["cache-control"]).toBe("max-age=5, s-maxage=60")
      expect((yield* ask("/shared")).headers["cache-control"]).toBe("max-age=0, s-maxage=60")
      yield* TestClock.adjust("59 seconds")
      expect((yield* ask("/both")).cacheStatus).toBe("hit; ttl=1")
      expect((yield* ask("/shared")).cacheStatus).toBe("hit; ttl=1")
    }).pipe(Effect.provide(TestServer)))
})

/** Whether somebody waits for the TestClock. */
const sleeps = Effect.map(TestClock.sleeps(), (sleeping) => [...sleeping].length > 0)

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
        HttpServerResponse.text("same", options).pipe(withCache({ expiry: 10, etag }))
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/plain", answer({})),
        HttpRouter.get("/again", answer({})),
        HttpRouter.get("/html", answer({ contentType: "text/html" })),
        HttpRouter.get("/gzip", answer({ headers: { "content-encoding": "gzip" } })),
        HttpRouter.get("/weak", answer({}, "weak")),
        HttpRouter.get("/none", answer({}, "none")),
        HttpRouter.get("/404", answer({ status: 404 }))
      ))
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
      const handler = HttpServerResponse.text("mine").pipe(withCache({ expiry: 10, cacheControl: "private" }))
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
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/", handler.pipe(withCache({ expiry: 10, partition: user, cacheControl: "private" }))),
        HttpRouter.get("/plain", handler.pipe(withCache({ expiry: 10, partition: user })))
      ))
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
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/fails", counted().pipe(withCache({ expiry: 10, partition: Effect.fail("no session") }))),
        HttpRouter.get("/dies", counted().pipe(withCache({ expiry: 10, partition: Effect.die("no session") }))),
        HttpRouter.get("/number", counted().pipe(withCache({ expiry: 10, partition: Effect.succeed(7 as never) }))),
        HttpRouter.get("/null", counted().pipe(withCache({ expiry: 10, partition: Effect.succeed(null as never) }))),
        HttpRouter.get("/object", counted().pipe(withCache({ expiry: 10, partition: Effect.succeed({} as never) })))
      ))
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

describe("requests to leave alone", () => {
  it.scoped("10: are those with content, those that bypass names, and all where the switch says no or fails", () =>
    Effect.gen(function*() {
      let isEnabled = true
      const detail = { cacheStatus: { detail: true } }
      const bypass = ({ headers }: HttpServerRequest.HttpServerRequest) => {
        if (headers["x-preview"] === "throws") throw new Error("a bug")
        return headers["x-preview"] !== undefined
      }
      const ask = yield* serve(
        counted().pipe(
          withCache({ expiry: 10, bypass, ...detail }),
          Effect.provideService(HttpCache.Defaults, {
            enabled: Effect.suspend(() => isEnabled ? Effect.succeed(true) : Effect.fail("flags are down"))
          })
        )
      )
      yield* ask("/")
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=10")
      expect((yield* ask("/", { headers: { "x-preview": "1" } })).cacheStatus).toBe("fwd=bypass")
      expect((yield* ask("/", { headers: { "x-preview": "throws" } })).cacheStatus).toBe("fwd=bypass")
      expect((yield* ask("/", { body: "a body", headers: { "content-length": 6 } })).cacheStatus).toBe(
        "fwd=bypass; detail=body"
      )
      const overridden = yield* ask("/", { headers: { "x-http-method-override": "POST" } })
      expect(overridden.cacheStatus).toBe("hit; ttl=10")
      isEnabled = false
      const off = yield* ask("/")
      expect([off.text, off.cacheStatus, off.headers["cache-control"]]).toEqual([
        "run 5",
        "fwd=bypass; detail=disabled",
        undefined
      ])
    }).pipe(Effect.provide(TestServer)))
})

describe("request directives", () => {
  const asks: ReadonlyArray<readonly [string, string, string]> = [
    ["no-cache", "fwd=request; stored", "hit; ttl=7"],
    ["max-age=2", "fwd=request; stored", "hit; ttl=7"],
    ["max-age=3", "hit; ttl=7", "hit; ttl=7"],
    ["min-fresh=8", "fwd=request; stored", "hit; ttl=7"],
    ["min-fresh=7", "hit; ttl=7", "hit; ttl=7"],
    ["only-if-cached", "hit; ttl=7", "hit; ttl=7"],
    ["no-store", "hit; ttl=7", "hit; ttl=7"]
  ]

  it.scoped.each(asks)(
    "%s: without expiry it is honored, with expiry ignored",
    ([directive, honored, ignored]) =>
      Effect.gen(function*() {
        const ask = yield* serve(HttpRouter.empty.pipe(
          HttpRouter.get("/honors", counted({ headers: { "cache-control": "max-age=10" } }).pipe(withCache())),
          HttpRouter.get("/ignores", counted().pipe(withCache({ expiry: 10 })))
        ))
        yield* ask("/honors")
        yield* ask("/ignores")
        yield* TestClock.adjust("3 seconds")
        const headers = { "cache-control": directive }
        expect((yield* ask("/honors", { headers })).cacheStatus).toBe(honored)
        expect((yield* ask("/ignores", { headers })).cacheStatus).toBe(ignored)
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped("max-stale accepts what is stale, unless the response forbids it; only-if-cached never runs the handler", () =>
    Effect.gen(function*() {
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/", counted({ headers: { "cache-control": "max-age=10" } }).pipe(withCache())),
        HttpRouter.get(
          "/must",
          counted({ headers: { "cache-control": "max-age=10, must-revalidate" } }).pipe(withCache())
        )
      ))
      const only = { "cache-control": "only-if-cached" }
      expect((yield* ask("/", { headers: only })).status).toBe(504)
      expect((yield* ask("/")).text).toBe("run 1")
      yield* ask("/must")
      yield* TestClock.adjust("12 seconds")
      const status = (path: string, directive: string) =>
        Effect.map(ask(path, { headers: { "cache-control": directive } }), (reply) => reply.cacheStatus)
      expect(yield* status("/", "max-stale=2")).toBe("hit; ttl=-2")
      expect(yield* status("/must", "max-stale")).toBe("fwd=stale; stored")
      expect((yield* ask("/", { headers: only })).status).toBe(504)
      expect(yield* status("/", "max-stale=1")).toBe("fwd=stale; stored")
      expect(yield* status("/", "no-store, max-age=0")).toBe("hit; ttl=10")
    }).pipe(Effect.provide(TestServer)))
})

describe("what is not stored", () => {
  it.scoped("is named by a word of the documented list", () =>
    Effect.gen(function*() {
      const own = (headers: { readonly [name: string]: string }, status = 200) =>
        HttpServerResponse.text("x", { headers, status })
      const answers = {
        "no-store": own({ "cache-control": "no-store" }),
        "vary": own({ vary: "*" }),
        "partial": own({ "cache-control": "max-age=9" }, 206),
        "not-modified": own({ "cache-control": "max-age=9" }, 304),
        "live": HttpServerResponse.stream(Stream.make(new TextEncoder().encode("x")), {
          contentType: "text/event-stream"
        }),
        "too-large": HttpServerResponse.text("x".repeat(101)),
        "cookies": own({ "set-cookie": "a=1" }),
        "private": own({ "cache-control": "private" }),
        "no-freshness": own({}, 500),
        "status": own({ "cache-control": "must-understand, no-store, max-age=9" }, 299)
      }
      const ask = yield* serve(HttpRouter.fromIterable(
        Object.entries(answers).map(([word, answer]) =>
          HttpRouter.makeRoute(
            "GET",
            `/${word}`,
            answer.pipe(withCache({ expiry: 10, maxBodyBytes: 100, cacheStatus: { detail: true } }))
          )
        )
      ))
      const opaque = HttpServerResponse.raw({ nothing: "that can be sent" }).pipe(
        withCache({ expiry: 10, cacheStatus: { detail: true } }),
        Effect.provideService(
          HttpServerRequest.HttpServerRequest,
          HttpServerRequest.fromWeb(new Request("http://localhost/not-bytes"))
        )
      )
      expect((yield* opaque).headers["cache-status"]).toMatch(/; fwd=uri-miss; detail=not-bytes$/)
      for (const word of Object.keys(answers)) {
        yield* ask(`/${word}`)
        expect((yield* ask(`/${word}`)).cacheStatus).toBe(`fwd=uri-miss; detail=${word}`)
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("a typed failure is not stored; a handler that wants its 404 kept answers it", () =>
    Effect.gen(function*() {
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get(
          "/fails",
          Effect.fail(HttpServerResponse.text("gone", { status: 404 })).pipe(withCache({ expiry: 10 }))
        ),
        HttpRouter.get("/answers", HttpServerResponse.text("gone", { status: 404 }).pipe(withCache({ expiry: 10 })))
      ))
      for (const [path, hit] of [["/fails", "fwd=uri-miss"], ["/answers", "hit; ttl=10"]] as const) {
        yield* ask(path)
        const again = yield* ask(path)
        expect([path, again.status, again.text, again.cacheStatus]).toEqual([path, 404, "gone", hit])
      }
    }).pipe(Effect.provide(TestServer)))
})

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
        expect(log).toEqual([{
          level: expect.objectContaining({ label: "WARN" }),
          message: expect.stringContaining(`.${method} failed for http://a.example/path; the handler answers`),
          annotations: {
            storage: title.endsWith("fails") ? "faulty" : "CacheStorage",
            method,
            key: "http://a.example/path"
          }
        }])
      }).pipe(Effect.provide(FaultyServer))
  )

  it.scoped("collect fails: the handler's answer goes out, with one warning", () =>
    Effect.gen(function*() {
      const log: Array<Logged> = []
      yield* Effect.flatMap(Faults, (faults) => faults.switch({ collect: "die" }))
      const ask = yield* serve(HttpServerResponse.text("patched").pipe(withCollect())).pipe(
        Effect.provide(logged(log))
      )
      expect((yield* ask("/", { method: "PATCH" })).text).toBe("patched")
      expect(log.map(({ annotations }) => annotations["method"])).toEqual(["collect"])
    }).pipe(Effect.provide(FaultyServer)))
})

describe("around what", () => {
  it.scoped("a router, with mounts: HttpCache.middleware caches and collects; the innermost policy wins", () =>
    Effect.gen(function*() {
      const users = HttpRouter.empty.pipe(
        HttpRouter.get("/:id", counted().pipe(withCache({ expiry: 5 }))),
        HttpRouter.get("/:id/posts", counted()),
        HttpRouter.get("/:id/secret", counted().pipe(withCache({ bypass: () => true }))),
        HttpRouter.put("/:id/posts", HttpServerResponse.empty())
      )
      const app = HttpRouter.empty.pipe(HttpRouter.mount("/users", users), HttpCache.middleware({ expiry: 60 }))
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
      const app = HttpRouter.empty.pipe(
        HttpRouter.get("/a", counted().pipe(withCache({ expiry: 10 }))),
        HttpRouter.get("/empty", HttpServerResponse.empty({ status: 204 }).pipe(withCache({ expiry: 10 })))
      )
      const handle = HttpApp.toWebHandlerRuntime(yield* Effect.runtime<CacheStorage.CacheStorage>())(app)
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
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/users/:id", counted().pipe(withCache({ expiry: 10, vary: ["Accept"] }))),
        HttpRouter.post("/refresh", HttpCache.collect("/users/1").pipe(Effect.as(HttpServerResponse.empty())))
      ))
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
      const miss = new CacheError.CacheMiss({ key: "k", reason: "stale", fence: "" })
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
      const app = HttpServerResponse.empty().pipe(
        withCollect(),
        Effect.catchAllDefect((defect) => HttpServerResponse.text(String(defect)))
      )
      const ask = yield* serve(app).pipe(
        Effect.provide(Layer.merge(
          InMemoryCacheStorage.layer,
          Layer.project(
            InMemoryCacheStorage.layerCollectable,
            CollectableCacheStorage.CollectableCacheStorage,
            CollectableCacheStorage.CollectableCacheStorage,
            (storage) => storage
          )
        )),
        Effect.provide(logged(log))
      )
      expect((yield* ask("/", { method: "PATCH" })).text).toContain(
        "withCollect: CacheStorage and CollectableCacheStorage are two storages, so that nothing would be collected"
      )
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))
})
