/** What a cache says that it would do is what it then does. */
import { HttpMiddleware, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Stream, TestClock } from "effect"
import { HttpCache, InMemoryCacheStorage, withCache, withCollect } from "effect-http-cache"
import { Faults, layerFaulty } from "effect-http-cache/testing"
import { routes, serve, TestServer } from "./harness.js"
import { Dice } from "./simulation.js"

const origin = "http://shop.example"

/** What is sent: a text is the URL of a `GET`. */
const asked = (path: string, headers: Record<string, string> = {}, method = "GET"): Request =>
  new Request(`${origin}${path}`, { headers, method })

const ask = <E, R>(app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>, request: Request) =>
  Effect.scoped(Effect.provideService(app, HttpServerRequest.HttpServerRequest, HttpServerRequest.fromWeb(request)))

const hello = HttpServerResponse.text("hello")
const answering = Effect.succeed(hello)

describe("explain", () => {
  it.effect("says why the handler would run, and runs nothing", () =>
    Effect.gen(function*() {
      let runs = 0
      const app = routes({ "GET /": Effect.sync(() => (runs++, hello)).pipe(withCache({ expiry: 10 })) })
      const before = yield* HttpCache.explain(app, `${origin}/?page=1`)
      expect(before).toMatchObject({
        uri: `${origin}/?page=1`,
        key: `${origin}/?page=1`,
        cacheStatus: "effect-http-cache; fwd=uri-miss",
        status: undefined,
        item: undefined,
        sentences: [
          "The handler is asked: nothing is stored for the URI.",
          "What the handler answers is stored if its fields and the route permit that."
        ]
      })
      expect(runs).toBe(0)
      yield* ask(app, asked("/?page=1"))
      yield* TestClock.adjust("3 seconds")
      const after = yield* app.pipe(HttpCache.explain(asked("/?page=1")))
      expect(after).toMatchObject({
        outcome: { _tag: "Hit", ttl: 7000, age: 3000 },
        cacheStatus: "effect-http-cache; hit; ttl=7",
        status: 200,
        sentences: ["It is answered with what is stored, which is 3 seconds old and fresh for 7 seconds more."]
      })
      expect(after.item?.headers["etag"]).toBeDefined()
      expect(runs).toBe(1)
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.effect("says what the client is sent of what is stored", () =>
    Effect.gen(function*() {
      const app = withCache(answering, { expiry: 10 })
      const { headers } = yield* ask(app, asked("/"))
      const said = (fields: Record<string, string>) =>
        Effect.map(HttpCache.explain(app, asked("/", fields)), ({ sentences, status }) => [status, sentences.at(-1)])
      const query = new Request(origin, { method: "QUERY", body: "all of it", headers: { "content-length": "9" } })
      expect((yield* HttpCache.explain(app, query)).cacheStatus).toBe("effect-http-cache; fwd=vary-miss")
      expect(yield* said({ "if-none-match": headers["etag"]! })).toEqual([
        304,
        "The client has that response already: 304."
      ])
      expect(yield* said({ range: "bytes=0-1" })).toEqual([206, "The client is sent the part that it asks for: 206."])
      expect(yield* said({ range: "bytes=9-" })).toEqual([416, "The part that the client asks for is not there: 416."])
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.effect("133: says that the handler is left alone while it is, after a refresh that failed", () =>
    Effect.gen(function*() {
      let answer: Effect.Effect<HttpServerResponse.HttpServerResponse> = answering
      const app = withCache(Effect.suspend(() => answer), { expiry: 10, staleWhileRevalidate: 60 })
      const said = Effect.map(HttpCache.explain(app, `${origin}/`), ({ sentences }) => sentences.at(-1))
      const askedFor = "The handler is asked for a newer one in the background."
      yield* ask(app, asked("/"))
      yield* TestClock.adjust("11 seconds")
      expect(yield* said).toBe(askedFor)
      answer = Effect.as(Effect.sleep("5 seconds"), HttpServerResponse.empty({ status: 503 }))
      // Its scope closes after the refresh has ended.
      yield* Effect.fork(ask(app, asked("/")))
      yield* TestClock.adjust("4 seconds")
      expect(yield* said).toBe(askedFor)
      yield* TestClock.adjust("1 second")
      expect(yield* said).toMatch(/or the handler has failed a moment ago and is left alone\.$/)
      yield* TestClock.adjust("1 second")
      expect(yield* said).toBe(askedFor)
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.effect("204: says what is answered where a request waits for a refresh, and that comes in time", () =>
    Effect.gen(function*() {
      const app = withCache(answering, { expiry: 10, staleWhileRevalidate: 60, refreshWait: "100 millis" })
      yield* ask(app, asked("/"))
      yield* TestClock.adjust("11 seconds")
      const { sentences } = yield* HttpCache.explain(app, asked("/"))
      const { headers } = yield* ask(app, asked("/"))
      expect(headers["cache-status"]).toBe("effect-http-cache; fwd=stale; collapsed")
      expect(sentences.at(-1)).toBe(
        "The handler is asked for a newer one first, for 100 milliseconds at most (refreshWait): if that comes in time, it is " +
          "the answer, and Cache-Status says fwd=stale; collapsed."
      )
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.effect("tells a request that would wait for another's run", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const app = Effect.as(Deferred.await(gate), hello).pipe(withCache({ expiry: 10 }))
      yield* Effect.fork(ask(app, asked("/")))
      yield* TestClock.adjust(0)
      const { cacheStatus, sentences } = yield* HttpCache.explain(app, asked("/"))
      expect(cacheStatus).toBe("effect-http-cache; fwd=uri-miss; collapsed")
      expect(sentences).toContain("The request waits for the run of the handler that answers another one.")
      yield* Deferred.succeed(gate, undefined)
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.effect("goes through what stands before the cache, and says where no cache saw the request", () =>
    Effect.gen(function*() {
      const page = withCache(answering, { expiry: 10 })
      const app = Effect.flatMap(
        HttpServerRequest.HttpServerRequest,
        ({ headers }) =>
          headers["authorization"] === undefined ? Effect.succeed(HttpServerResponse.empty({ status: 401 })) : page
      )
      expect(yield* HttpCache.explain(app, asked("/"))).toMatchObject({
        uri: `${origin}/`,
        key: undefined,
        outcome: undefined,
        status: 401,
        sentences: ["No cache saw the request: what stands before it, or a route without one, answered 401."]
      })
      const { outcome } = yield* HttpCache.explain(app, asked("/", { authorization: "Basic eA==" }))
      expect(outcome).toMatchObject({ _tag: "Forwarded", reason: "uri-miss" })
      expect((yield* HttpCache.explain(routes({ "GET /": answering }), asked("/nowhere"))).status).toBe(404)
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.effect("102: runs nothing where a middleware makes another request of it", () =>
    Effect.gen(function*() {
      let runs = 0
      const page = Effect.sync(() => (runs++, hello)).pipe(withCache({ expiry: 10 }))
      const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers, url }) =>
        Effect.provideService(
          page,
          HttpServerRequest.HttpServerRequest,
          HttpServerRequest.fromWeb(new Request(new URL(url, origin), { headers }))
        ))
      for (const _ of [1, 2]) {
        expect((yield* HttpCache.explain(app, asked("/"))).cacheStatus).toBe("effect-http-cache; fwd=uri-miss")
      }
      expect(runs).toBe(0)
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.scoped("102: leaves the response of who asks as it is, whatever the app sets to change its own", () =>
    Effect.gen(function*() {
      const page = withCache(answering, { expiry: 10 })
      const app = HttpMiddleware.cors({ allowedOrigins: ["http://evil.example"], credentials: true })(page)
      const asking = Effect.map(
        HttpCache.explain(app, asked("/")),
        ({ sentences }) => HttpServerResponse.text(sentences.join("\n"))
      )
      const ask = yield* serve(asking)
      const { headers, text } = yield* ask("/", { headers: { origin: "http://evil.example" } })
      expect(text).toContain("nothing is stored for the URI")
      expect(Object.keys(headers).filter((name) => name.startsWith("access-control"))).toEqual([])
    }).pipe(Effect.provide(Layer.merge(InMemoryCacheStorage.layerCollectable, TestServer))))

  it.effect("sends no unsafe request anywhere", () =>
    Effect.gen(function*() {
      let runs = 0
      const app = Effect.sync(() => (runs++, hello)).pipe(withCollect())
      const { sentences } = yield* HttpCache.explain(app, asked("/", {}, "DELETE"))
      expect(sentences).toEqual(["The handler is asked: only GET, HEAD and QUERY are answered from a cache."])
      expect(runs).toBe(0)
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.effect("takes a path where the application has an origin, and says what is wrong elsewhere", () =>
    Effect.gen(function*() {
      const app = withCache(answering, { expiry: 10 })
      const within = HttpCache.explain(app, "/a").pipe(Effect.provide(HttpCache.defaults({ origin })))
      expect((yield* within).key).toBe(`${origin}/a`)
      const exit = yield* Effect.exit(HttpCache.explain(app, "/a"))
      expect(Exit.isFailure(exit) && String(exit.cause)).toContain("\"/a\" is no URL; give an absolute one")
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))
})

describe("10,000 random requests", () => {
  const exchanges = 10_000

  /** Of each kind of policy one route. What it answers is in the search parameters: its status, its fields. */
  const appOf = (seen: { fields: Record<string, string | undefined> | undefined }) => {
    const handler = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers, url }) => {
      seen.fields = { condition: headers["if-none-match"] }
      const search = new URL(url, origin).searchParams
      const control = search.get("control")
      const fields = { etag: "\"v\"", ...(control === null ? {} : { "cache-control": control }) }
      const status = Number(search.get("status") ?? 200)
      return search.has("stream")
        ? HttpServerResponse.stream(Stream.make(new TextEncoder().encode("streamed")), { status, headers: fields })
        : HttpServerResponse.text(`by ${headers["accept-language"] ?? "nobody"}`, { status, headers: fields })
    })
    return routes({
      "* /expiry": handler.pipe(withCache({ expiry: 5 })),
      "* /own": handler.pipe(withCache()),
      "* /stale": handler.pipe(withCache({ expiry: 3, staleWhileRevalidate: 4, staleIfError: 8, errorBackOff: 2 })),
      "* /honors": handler.pipe(withCache({ expiry: 5, requestDirectives: "honor" })),
      "* /partition": handler.pipe(withCache({
        expiry: 5,
        partition: Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => headers["x-user"])
      })),
      "* /bypass": handler.pipe(withCache({ expiry: 5, bypass: ({ headers }) => "x-user" in headers })),
      "* /writes": handler.pipe(withCache({ expiry: 5 }), withCollect())
    })
  }

  const requestOf = (dice: Dice): Request => {
    const path = `/${dice.one(["expiry", "own", "stale", "honors", "partition", "bypass", "writes"])}`
    const search = new URLSearchParams()
    if (dice.is(0.2)) search.set("status", dice.one(["404", "500", "204", "302"]))
    if (dice.is(0.4)) search.set("control", dice.one(["max-age=4", "no-store", "private", "no-cache", "max-age=0"]))
    if (dice.is(0.1)) search.set("stream", "")
    const headers = Object.fromEntries(dice.some(
      [
        ["accept-language", "en"],
        ["accept-language", "fr"],
        ["cache-control", "no-cache"],
        ["cache-control", "only-if-cached"],
        ["cache-control", "max-stale=2"],
        ["cache-control", "no-store"],
        ["if-none-match", "\"v\""],
        ["if-match", "\"w\""],
        ["range", "bytes=0-1"],
        ["range", "bytes=90-"],
        ["x-user", "ada"],
        ["x-user", "grace"],
        ["authorization", "Basic eA=="]
      ] as const,
      2
    ))
    return asked(`${path}?${search}`, headers, dice.one(["GET", "GET", "GET", "GET", "HEAD", "PATCH"]))
  }

  it.effect("are answered as was said", () =>
    Effect.gen(function*() {
      const faults = yield* Faults
      const dice = new Dice(20261126)
      const seen: { fields: Record<string, string | undefined> | undefined } = { fields: undefined }
      const app = appOf(seen)
      const tally: { [said: string]: number } = {}
      for (let exchange = 0; exchange < exchanges; exchange++) {
        const request = requestOf(dice)
        seen.fields = undefined
        yield* faults.switch({ get: dice.is(0.02) ? "fail" : "work" })
        const { cacheStatus, outcome, sentences, status } = yield* HttpCache.explain(app, request.clone())
        expect(seen.fields).toBe(undefined)
        const response = yield* ask(app, request)
        const said = response.headers["cache-status"]?.replace(/; (fwd-status=\d+|stored)/g, "")
        // A request that is sent nowhere finds no route, which has the name of the cache.
        const expected = request.method === "PATCH" ? "effect-http-cache; fwd=method" : cacheStatus
        expect([request.method, request.url, said]).toEqual([request.method, request.url, expected])
        if (status !== undefined) expect(response.status).toBe(status)
        if (sentences.includes("What the handler answers is not stored.")) {
          expect(response.headers["cache-status"]).not.toContain("; stored")
        }
        const word = outcome?._tag === "Forwarded" ? outcome.reason : outcome?._tag ?? "none"
        tally[word] = (tally[word] ?? 0) + 1
        if (dice.is(0.1)) yield* TestClock.adjust(dice.below(4000))
      }
      for (
        const word of ["Hit", "NotCached", "uri-miss", "vary-miss", "stale", "request", "bypass", "method", "miss"]
      ) {
        expect([word, (tally[word] ?? 0) > 20]).toEqual([word, true])
      }
    }).pipe(Effect.provide(layerFaulty)), 60_000)
})
