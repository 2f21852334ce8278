/** What only Effect 3 has: a response that is a handler by itself, and a length that is no number, which it leaves out. */
import { HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { withCache, withCollect } from "effect-http-cache"
import { bytes, routes, serve, TestServer } from "./harness.js"

describe("a response as the handler", () => {
  it.scoped("is cached and collected, in a pipe and as the first argument", () =>
    Effect.gen(function*() {
      const response = HttpServerResponse.text("always")
      const ask = yield* serve(routes({
        "GET /piped": response.pipe(withCache({ expiry: 10 })),
        "GET /first": withCache(response, { expiry: 10 }),
        "PATCH /piped": response.pipe(withCollect()),
        "PATCH /first": withCollect(response)
      }))
      for (const path of ["/piped", "/first"]) {
        expect((yield* ask(path)).cacheStatus).toBe("fwd=uri-miss; stored")
        expect((yield* ask(path)).cacheStatus).toBe("hit; ttl=10")
        yield* ask(path, { method: "PATCH" })
        expect((yield* ask(path)).cacheStatus).toBe("fwd=uri-miss; stored")
      }
    }).pipe(Effect.provide(TestServer)))
})

describe("a stream", () => {
  it.scoped.each([60, undefined])(
    "173: a length that is no number is not said: expiry %s",
    (expiry) =>
      Effect.gen(function*() {
        // A proxy makes one of a field that its origin has not sent.
        const contentLength = Number(undefined)
        const handler = Effect.sync(() => HttpServerResponse.stream(Stream.make(bytes("content")), { contentLength }))
        const ask = yield* serve(handler.pipe(withCache({ expiry })))
        const { headers, text } = yield* ask("/")
        expect([text, headers["content-length"]]).toEqual(["content", undefined])
      }).pipe(Effect.provide(TestServer))
  )
})
