/** Soft collects: what is collected is validated before it is used, and may stand in for an error where that is said. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import { type CollectableCacheStorage, HttpCache, withCache, withCollect } from "effect-http-cache"
import { logged, routes, serve } from "./harness.js"
import { hows, layerWaiting } from "./waiting.js"

type Soft = CollectableCacheStorage.CollectStyle["soft"]

/** `/` has a value and its tag; `PUT /write` makes it a new one, `PUT /touch` leaves it as it is, and both collect it. */
const world = (soft: Soft, options: HttpCache.Options = {}) =>
  Effect.gen(function*() {
    const state = { value: 0, fails: false, runs: 0, validated: 0 }
    const read = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
      Effect.gen(function*() {
        state.runs++
        if (state.fails) return HttpServerResponse.empty({ status: 503 })
        yield* HttpCache.group("g")
        const etag = `"${state.value}"`
        if (headers["if-none-match"] !== etag) {
          return HttpServerResponse.text(`value ${state.value}`, { headers: { etag } })
        }
        state.validated++
        return HttpServerResponse.empty({ status: 304, headers: { etag } })
      }))
    const collects = withCollect({ soft, groups: () => ["g"], also: () => ["/none"] })
    const change = (by: number) =>
      Effect.sync(() => {
        state.value += by
        return HttpServerResponse.empty()
      }).pipe(collects)
    const ask = yield* serve(routes({
      "GET /": read.pipe(withCache({ expiry: 60, ...options })),
      "PUT /": change(0),
      "PUT /write": change(1),
      "PUT /touch": change(0)
    }))
    const told = Effect.map(ask("/"), ({ cacheStatus, status, text }) => [status, text, cacheStatus])
    return { ask, state, told, origin: `http://127.0.0.1:${ask.port}` }
  })

describe.each(hows)("over a storage that answers %s", (how) => {
  const server = Layer.mergeAll(NodeHttpServer.layerTest, layerWaiting(how), logged([]))
  const both: ReadonlyArray<Soft> = [true, "unless-error"]

  it.scoped.each(both)("soft: %j asks the handler, by the tag of what is stored", (soft) =>
    Effect.gen(function*() {
      const { ask, state, told } = yield* world(soft)
      yield* told
      for (const path of ["/", "/touch"]) {
        yield* ask(path, { method: "PUT" })
        expect(yield* told).toEqual([200, "value 0", "fwd=stale; fwd-status=304; stored"])
        expect(yield* told).toEqual([200, "value 0", "hit; ttl=60"])
      }
      expect(state.validated).toBe(2)
      yield* ask("/write", { method: "PUT" })
      expect(yield* told).toEqual([200, "value 1", "fwd=stale; stored"])
      expect(yield* told).toEqual([200, "value 1", "hit; ttl=60"])
    }).pipe(Effect.provide(server)))

  it.scoped("without soft nothing is left to ask by", () =>
    Effect.gen(function*() {
      const { ask, state, told } = yield* world(false)
      yield* told
      yield* ask("/touch", { method: "PUT" })
      expect(yield* told).toEqual([200, "value 0", "fwd=uri-miss; stored"])
      expect(state.validated).toBe(0)
    }).pipe(Effect.provide(server)))

  it.scoped.each([
    [true, {}, [503, ""]],
    [true, { staleIfError: 600, staleWhileRevalidate: 600 }, [503, ""]],
    ["unless-error", {}, [200, "value 0"]],
    [false, { staleIfError: 600 }, [503, ""]]
  ] as ReadonlyArray<[Soft, HttpCache.Options, ReadonlyArray<unknown>]>)(
    "soft: %j with %j, and the handler fails: %j",
    ([soft, options, expected]) =>
      Effect.gen(function*() {
        const { ask, state, told } = yield* world(soft, options)
        yield* told
        yield* ask("/touch", { method: "PUT" })
        state.fails = true
        expect((yield* told).slice(0, 2)).toEqual(expected)
        expect(state.runs).toBe(2)
        state.fails = false
        expect((yield* told)[1]).toBe("value 0")
        expect((yield* told)[2]).toBe("hit; ttl=60")
      }).pipe(Effect.provide(server))
  )

  it.scoped.each([["it was fresh", 0, 60], ["the route says", 600, 660]] as const)(
    "unless-error lets it stand in for as long as %s",
    ([, staleIfError, until]) =>
      Effect.gen(function*() {
        const { ask, state, told } = yield* world("unless-error", { staleIfError, retain: 3600 })
        yield* told
        yield* ask("/touch", { method: "PUT" })
        state.fails = true
        yield* TestClock.adjust(`${until - 1} seconds`)
        expect((yield* told).slice(0, 2)).toEqual([200, "value 0"])
        yield* TestClock.adjust("1 second")
        expect((yield* told)[0]).toBe(503)
      }).pipe(Effect.provide(server))
  )
})

describe("by hand", () => {
  const server = Layer.mergeAll(NodeHttpServer.layerTest, layerWaiting("at once"))
  const collects: {
    readonly [by: string]: (origin: string, soft: Soft) => Effect.Effect<
      void,
      unknown,
      CollectableCacheStorage.CollectableCacheStorage
    >
  } = {
    "collect": (origin, soft) => HttpCache.collect(`${origin}/`, { soft }),
    "collectAll": (origin, soft) => HttpCache.collectAll([`${origin}/`, `${origin}/2`], { soft }),
    "collectGroup": (origin, soft) => HttpCache.collectGroup("g", { origin, soft }),
    "collectEverything": (_, soft) => HttpCache.collectEverything({ soft })
  }

  it.scoped.each(Object.keys(collects))("HttpCache.%s takes soft", (by) =>
    Effect.gen(function*() {
      const { origin, told } = yield* world(true)
      yield* told
      yield* collects[by]!(origin, true)
      expect((yield* told)[2]).toBe("fwd=stale; fwd-status=304; stored")
      yield* collects[by]!(origin, false)
      yield* collects[by]!(origin, true)
      expect((yield* told)[2]).toBe("fwd=uri-miss; stored")
    }).pipe(Effect.provide(server)))
})
