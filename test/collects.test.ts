/** What this process collects, for who carries it elsewhere, and when it is delivered. */
import { HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Stream, TestClock } from "effect"
import { type CollectableCacheStorage, HttpCache, withCache, withCollect } from "effect-http-cache"
import { Faults } from "effect-http-cache/testing"
import { counted, eventually, FaultyServer, logged, routes, serve } from "./harness.js"

const app = routes({
  "GET /users/:id": counted().pipe(withCache({ expiry: 60 })),
  "PATCH /users/:id": Effect.succeed(HttpServerResponse.empty()).pipe(
    withCollect({ also: () => ["/users"], groups: () => ["users"], soft: true })
  )
})
const server = Layer.merge(FaultyServer, logged([]))

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
