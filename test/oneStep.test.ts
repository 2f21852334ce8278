/** A hit in memory is one step: no fiber, no timer, no generator. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { InMemoryCacheStorage, withCache } from "effect-http-cache"
import { stepsOf } from "./steps.js"
import { layerWaiting } from "./waiting.js"

const request = (headers: Record<string, string> = {}) =>
  HttpServerRequest.fromWeb(new Request("http://localhost/users/1", { headers }))

const makeApp = () => Effect.sync(() => HttpServerResponse.text("Ada")).pipe(withCache({ expiry: 10 }))

const ask = <A, E, R>(app: Effect.Effect<A, E, R>, headers: Record<string, string> = {}) =>
  Effect.provideService(app, HttpServerRequest.HttpServerRequest, request(headers))

describe("a hit", () => {
  it.scoped.each(
    [
      ["in full", {}, 200],
      ["that the client has already", { "if-none-match": "*" }, 304],
      ["of a part", { range: "bytes=0-1" }, 206]
    ] as const
  )("%s is one step, and starts no fiber and no timer", ([, headers, status]) =>
    Effect.gen(function*() {
      const cached = makeApp()
      yield* ask(cached)
      const { answer, fibers, steps, timers } = yield* ask(stepsOf(cached), headers)
      expect(answer.status).toBe(status)
      expect(answer.headers["cache-status"]).toContain("; hit")
      expect([steps, fibers, timers]).toEqual([1, 0, 0])
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.scoped("in a storage that waits takes more: the count can fail", () =>
    Effect.gen(function*() {
      const cached = makeApp()
      yield* ask(cached)
      expect((yield* ask(stepsOf(cached))).steps).toBeGreaterThan(1)
    }).pipe(Effect.provide(layerWaiting("after a yield"))))
})
