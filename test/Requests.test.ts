/** Which requests are left alone, what a request can ask of the cache, and what is not stored; over a real port. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Stream, TestClock } from "effect"
import { HttpCache, withCache } from "effect-http-cache"
import { counted, routes, serve, TestServer } from "./harness.js"

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
        const ask = yield* serve(routes({
          "GET /honors": counted({ headers: { "cache-control": "max-age=10" } }).pipe(withCache()),
          "GET /ignores": counted().pipe(withCache({ expiry: 10 }))
        }))
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
      const ask = yield* serve(routes({
        "GET /": counted({ headers: { "cache-control": "max-age=10" } }).pipe(withCache()),
        "GET /must": counted({ headers: { "cache-control": "max-age=10, must-revalidate" } }).pipe(withCache())
      }))
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
      const ask = yield* serve(routes(
        Object.entries(answers).map(([word, answer]) =>
          [
            `GET /${word}`,
            Effect.succeed(answer).pipe(withCache({ expiry: 10, maxBodyBytes: 100, cacheStatus: { detail: true } }))
          ] as const
        )
      ))
      const opaque = Effect.succeed(HttpServerResponse.raw({ nothing: "that can be sent" })).pipe(
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
      const ask = yield* serve(routes({
        "GET /fails": Effect.fail(HttpServerResponse.text("gone", { status: 404 })).pipe(withCache({ expiry: 10 })),
        "GET /answers": Effect.succeed(HttpServerResponse.text("gone", { status: 404 })).pipe(withCache({ expiry: 10 }))
      }))
      for (const [path, hit] of [["/fails", "fwd=uri-miss"], ["/answers", "hit; ttl=10"]] as const) {
        yield* ask(path)
        const again = yield* ask(path)
        expect([path, again.status, again.text, again.cacheStatus]).toEqual([path, 404, "gone", hit])
      }
    }).pipe(Effect.provide(TestServer)))
})
