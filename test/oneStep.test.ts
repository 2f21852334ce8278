/** A hit in memory is one step: no fiber, no timer, no generator. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, RuntimeFlags, RuntimeFlagsPatch, Supervisor, TestClock } from "effect"
import { InMemoryCacheStorage, withCache } from "effect-http-cache"
import { layerWaiting } from "./waiting.js"

/** Counts the steps that fibers take, and the fibers that are started. */
class Counter extends Supervisor.AbstractSupervisor<void> {
  override readonly value = Effect.void
  readonly steps: Array<string> = []
  fibers = 0

  override onStart(): void {
    this.fibers++
  }

  override onEffect(_: unknown, effect: Effect.Effect<unknown, unknown, unknown>): void {
    this.steps.push((effect as unknown as { readonly _op: string })._op)
  }
}

/** The steps of an effect without those of counting them. */
const stepsOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const run = <A, E, R>(effect: Effect.Effect<A, E, R>, counter: Counter) =>
      effect.pipe(
        Effect.withRuntimeFlagsPatch(RuntimeFlagsPatch.enable(RuntimeFlags.OpSupervision)),
        Effect.supervised(counter)
      )
    const [nothing, counter] = [new Counter(), new Counter()]
    yield* run(Effect.succeed(undefined), nothing)
    const answer = yield* run(effect, counter)
    return { answer, steps: counter.steps.length - nothing.steps.length, fibers: counter.fibers }
  })

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
      const sleeps = Chunk.size(yield* TestClock.sleeps())
      const { answer, fibers, steps } = yield* ask(stepsOf(cached), headers)
      expect(answer.status).toBe(status)
      expect(answer.headers["cache-status"]).toContain("; hit")
      expect([steps, fibers]).toEqual([1, 0])
      expect(Chunk.size(yield* TestClock.sleeps())).toBe(sleeps)
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.scoped("in a storage that waits takes more: the count can fail", () =>
    Effect.gen(function*() {
      const cached = makeApp()
      yield* ask(cached)
      expect((yield* ask(stepsOf(cached))).steps).toBeGreaterThan(1)
    }).pipe(Effect.provide(layerWaiting("after a yield"))))
})
