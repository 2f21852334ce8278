/** Testing a cached route with the `TestClock`: no port, no sleeping. `npx vitest run --dir examples` */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { expect, it } from "@effect/vitest"
import { Effect, Ref, TestClock } from "effect"
import { InMemoryCacheStorage, withCache } from "effect-http-cache"

const getReport = (runs: Ref.Ref<number>) =>
  Effect.map(Ref.updateAndGet(runs, (n) => n + 1), (run) => HttpServerResponse.text(`run ${run}`)).pipe(
    withCache({ expiry: "10 seconds" })
  )

/** A handler run as an effect is the fastest way to test it, and follows the `TestClock`. */
const get = <E, R>(handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>, path: string) =>
  Effect.scoped(handler).pipe(
    Effect.provideService(
      HttpServerRequest.HttpServerRequest,
      HttpServerRequest.fromWeb(new Request(`http://localhost${path}`))
    ),
    Effect.map(({ headers }) => headers["cache-status"])
  )

it.effect("a report is fresh for ten seconds", () =>
  Effect.gen(function*() {
    const runs = yield* Ref.make(0)
    const report = get(getReport(runs), "/report")
    expect(yield* report).toBe("effect-http-cache; fwd=uri-miss; stored")
    yield* TestClock.adjust("9 seconds")
    expect(yield* report).toBe("effect-http-cache; hit; ttl=1")
    yield* TestClock.adjust("1 second")
    expect(yield* report).toBe("effect-http-cache; fwd=stale; stored")
    expect(yield* Ref.get(runs)).toBe(2)
  }).pipe(Effect.provide(InMemoryCacheStorage.layer)))
