/** What this process collects, for who carries it elsewhere, and when it is delivered. */
import { HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Stream, TestClock } from "effect"
import { type CollectableCacheStorage, HttpCache, withCache, withCollect } from "effect-http-cache"
import { Faults } from "effect-http-cache/testing"
import { counted, eventually, FaultyServer, type Logged, logged, routes, serve, TestServer } from "./harness.js"

const app = routes({
  "GET /users/:id": counted().pipe(withCache({ expiry: 60 })),
  "PATCH /users/:id": Effect.succeed(HttpServerResponse.empty()).pipe(
    withCollect({ also: () => ["/users"], groups: () => ["users"], soft: true })
  )
})
const server = Layer.merge(FaultyServer, logged([]))

describe("193: what is no text is no URI", () => {
  it.scoped.each<[unknown, string | undefined]>([
    [undefined, "undefined"],
    [null, "null"],
    [5, "5"],
    [{}, "{}"],
    [["/u/5"], "[\"/u/5\"]"]
  ])("%j is said to be none, and collects nothing", ([uri, shown]) => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const given = uri as string
      const ask = yield* serve(routes({
        "GET /u/:name": counted().pipe(withCache({ expiry: 60 })),
        "POST /u/also": Effect.succeed(HttpServerResponse.empty()).pipe(
          withCollect({ also: () => [given, "/u/other"] })
        ),
        "POST /u/collect": Effect.as(HttpCache.collect(given), HttpServerResponse.empty()),
        "POST /u/lookup": Effect.as(HttpCache.lookup(given), HttpServerResponse.empty())
      }))
      const paths = [`/u/${typeof uri === "object" ? "5" : String(uri)}`, "/u/other"]
      for (const path of paths) yield* ask(path)
      const statuses = yield* Effect.forEach(
        ["collect", "lookup", "also"],
        (name) => ask(`/u/${name}`, { method: "POST" })
      )
      expect(statuses.map(({ status }) => status)).toEqual([500, 500, 204])
      const [kept, collected] = yield* Effect.forEach(paths, (path) => ask(path))
      expect([kept?.cacheStatus, collected?.cacheStatus]).toEqual(["hit; ttl=60", "fwd=uri-miss; stored"])
      expect(log.map(({ message }) => message).join()).toContain(
        `withCollect: also: ${shown} is no URI of a known origin`
      )
    }).pipe(Effect.provide(TestServer), Effect.provide(logged(log)))
  })

  it.scoped("but a URL is one", () =>
    Effect.gen(function*() {
      const collect = Effect.suspend(() => HttpCache.collect(new URL("/u/1", `http://127.0.0.1:${ask.port}`) as never))
      const ask: Effect.Effect.Success<ReturnType<typeof serve>> = yield* serve(routes({
        "GET /u/:name": counted().pipe(withCache({ expiry: 60 })),
        "POST /collect": Effect.as(collect, HttpServerResponse.empty())
      }))
      yield* ask("/u/1")
      yield* ask("/collect", { method: "POST" })
      expect((yield* ask("/u/1")).cacheStatus).toBe("fwd=uri-miss; stored")
    }).pipe(Effect.provide(TestServer)))
})

describe("163: what is no list of names", () => {
  const wrong: ReadonlyArray<readonly [string, () => unknown, string]> = [
    ["one text", () => "/users", "\"/users\""],
    ["a promise", () => Promise.resolve(["/users"]), "{}"],
    ["a number", () => 5, "5"],
    ["nothing", () => undefined, "undefined"],
    ["null", () => null, "null"]
  ]
  const page = counted().pipe(withCache({ expiry: 60, groups: () => ["users"] }))

  it.scoped.each(wrong)("%s is said to be none, and collects nothing", ([, names, shown]) => {
    const log: Array<Logged> = []
    const given = names as () => Iterable<string>
    return Effect.gen(function*() {
      const ask = yield* serve(routes({
        "GET /": page,
        "GET /u": page,
        "PATCH /none": Effect.succeed(HttpServerResponse.empty()).pipe(withCollect({ also: given, groups: given }))
      }))
      for (const path of ["/", "/u"]) yield* ask(path)
      expect((yield* ask("/none", { method: "PATCH" })).status).toBe(204)
      for (const path of ["/", "/u"]) expect((yield* ask(path)).cacheStatus).toBe("hit; ttl=60")
      expect(log.map(({ message }) => message)).toEqual([
        `effect-http-cache: TypeError: withCollect: also: ${shown} is no list of URIs`,
        `effect-http-cache: TypeError: withCollect: groups: ${shown} is no list of groups`
      ])
      const defect = yield* Effect.catchAllDefect(HttpCache.collectAll(given()), Effect.succeed)
      expect(defect).toEqual(new TypeError(`HttpCache.collectAll: ${shown} is no list of URIs`))
    }).pipe(Effect.provide(TestServer), Effect.provide(logged(log)))
  })

  it.scoped.each(wrong)("a response is not stored where its groups are %s", ([, names, shown]) => {
    const log: Array<Logged> = []
    const groups = names as () => Iterable<string>
    return Effect.gen(function*() {
      const ask = yield* serve(counted().pipe(withCache({ expiry: 60, groups, cacheStatus: { detail: true } })))
      expect((yield* ask("/")).cacheStatus).toBe("fwd=uri-miss; detail=groups")
      expect(log[0]?.message).toContain(`groups: ${shown} is no list of groups`)
    }).pipe(Effect.provide(TestServer), Effect.provide(logged(log)))
  })

  it.scoped("of a list, one that is no name is said, and the others are collected", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const long = "x".repeat(257)
      const ask = yield* serve(routes({
        "GET /": counted().pipe(withCache({ expiry: 60 })),
        "GET /u": page,
        "PATCH /none": Effect.succeed(HttpServerResponse.empty()).pipe(
          withCollect({ also: () => ["http://", "/"], groups: () => [long, "users"] })
        )
      }))
      for (const path of ["/", "/u"]) yield* ask(path)
      yield* ask("/none", { method: "PATCH" })
      for (const path of ["/", "/u"]) expect((yield* ask(path)).cacheStatus).toMatch(/^fwd=.*miss; stored$/)
      expect(log.map(({ message }) => message)).toEqual([
        expect.stringContaining("withCollect: also: \"http://\" is no URI"),
        expect.stringContaining("withCollect: groups: \"xxx")
      ])
    }).pipe(Effect.provide(TestServer), Effect.provide(logged(log)))
  })
})

describe("what is collected", () => {
  const probe = "http://probe.example/"

  /** All that is heard but for the probe: it has begun once that is heard. */
  const hearing = Effect.gen(function*() {
    const heard: Array<CollectableCacheStorage.Collected> = []
    yield* Effect.forkScoped(Stream.runForEach(HttpCache.collects, (one) => Effect.sync(() => heard.push(one))))
    const context = yield* Effect.context<CollectableCacheStorage.CollectableCacheStorage>()
    yield* eventually(() => {
      Effect.runSync(Effect.provide(HttpCache.collect(probe), context))
      return heard.length > 0
    })
    return () => heard.filter(({ keys }) => !keys.includes(probe))
  })

  it.scoped("is told, by URI and by group, once it was delivered", () =>
    Effect.gen(function*() {
      const faults = yield* Faults
      const ask = yield* serve(app)
      const own = yield* hearing
      yield* ask("/users/1", { method: "PATCH" })
      const origin = `http://127.0.0.1:${ask.port}`
      yield* eventually(() => own().length === 3)
      const none = { keys: [], groups: [], everything: false, soft: true }
      expect(own()).toEqual([
        { ...none, keys: [`${origin}/users/1`] },
        { ...none, keys: [`${origin}/users`] },
        { ...none, groups: [`${origin} users`] }
      ])

      yield* faults.switch({ collect: "fail" })
      yield* Effect.ignore(HttpCache.collectEverything({ soft: true }))
      expect(own().length).toBe(3)
      yield* faults.switch({ collect: "work" })
      yield* TestClock.adjust("11 seconds")
      yield* eventually(() => own().length === 4)
      // What is delivered late forgets.
      expect(own()[3]).toEqual({ ...none, everything: true, soft: false })
    }).pipe(Effect.provide(server)))

  it.scoped("is delivered as soon as the storage answers, and not when somebody reads", () =>
    Effect.gen(function*() {
      const faults = yield* Faults
      const ask = yield* serve(app)
      yield* faults.switch({ collect: "fail" })
      yield* ask("/users/1", { method: "PATCH" })
      yield* faults.switch({ collect: "work" })
      const before = (yield* faults.calls).collect
      // Within a second after the circuit breaker lets it be asked again.
      yield* TestClock.adjust("11 seconds")
      yield* eventually(() => Effect.runSync(faults.calls).collect >= before + 3)
      const after = (yield* faults.calls).collect
      yield* TestClock.adjust("1 minute")
      expect((yield* faults.calls).collect).toBe(after)
    }).pipe(Effect.provide(server)))
})
