/** The time of day is set back while something is waited for. The numbers are those of docs/failures.md. */
import type { HttpServerResponse } from "@effect/platform"
import { afterEach, describe, expect, it, vi } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { withCache, withCollect } from "effect-http-cache"
import { Faults } from "effect-http-cache/testing"
import { counted, eventually, FaultyServer, logged, routes, serve } from "./harness.js"

/** Further than the timers of JavaScript reach. */
const setBack = Effect.sync(() => {
  const now = Date.now
  vi.spyOn(Date, "now").mockImplementation(() => now() - 30 * 86_400_000)
})

afterEach(() => {
  vi.restoreAllMocks()
})

describe("114: where the clock is set back", () => {
  it.scopedLive.each([["GET", "get"], ["PATCH", "collect"]] as const)(
    "a %s waits no longer for %s",
    ([method, hangs]) =>
      Effect.gen(function*() {
        const faults = yield* Faults
        yield* faults.switch({ [hangs]: "hang" })
        const ask = yield* serve(routes({
          "GET /:id": counted().pipe(withCache({ expiry: 60 })),
          "PATCH /:id": counted().pipe(withCollect())
        }))
        const asked = yield* Effect.fork(ask("/a", { method }))
        yield* eventually(() => Effect.runSync(faults.calls)[hangs] > 0)
        yield* setBack
        expect((yield* Fiber.join(asked)).status).toBe(200)
        expect((yield* ask("/b", { method })).status).toBe(200)
      }).pipe(Effect.provide(Layer.merge(FaultyServer, logged([]))))
  )

  it.scopedLive("a handler has no more time", () =>
    Effect.gen(function*() {
      const isAsked = yield* Deferred.make<void>()
      const hanging: Effect.Effect<HttpServerResponse.HttpServerResponse> = Effect.zipRight(
        Deferred.succeed(isAsked, undefined),
        Effect.never
      )
      const ask = yield* serve(hanging.pipe(withCache({ expiry: 60, deadline: "200 millis" })))
      const asked = yield* Effect.fork(ask("/a"))
      yield* Deferred.await(isAsked)
      yield* setBack
      expect((yield* Fiber.join(asked)).status).toBe(504)
    }).pipe(Effect.provide(Layer.merge(FaultyServer, logged([])))))
})
