/** A response that is a handler by itself, as Effect 3 has it: in Effect 4 it is no Effect. */
import { HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { withCache, withCollect } from "effect-http-cache"
import { routes, serve, TestServer } from "./harness.js"

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
