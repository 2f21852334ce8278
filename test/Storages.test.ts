/** Storages that hang, fail, or answer garbage, over a real port; the numbers are those of the list of failures. */
import { HttpRouter, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Layer, TestClock } from "effect"
import {
  CacheError,
  CacheStorage,
  CollectableCacheStorage,
  HttpCache,
  InMemoryCacheStorage,
  withCache,
  withCollect
} from "effect-http-cache"
import * as flights from "../src/internal/flights.js"
import { counted, eventually, type Logged, logged, serve } from "./harness.js"

type Trouble = "none" | "hangs" | "hangs and can't be interrupted" | "fails" | "dies" | "answers garbage"

/** A storage in memory in front of which there is trouble, as long as a test says. */
const troubled = (given: CollectableCacheStorage.Service) => {
  const state = { trouble: "none" as Trouble, calls: { get: 0, set: 0, collect: 0 } }
  const call = <A>(
    method: keyof typeof state.calls,
    effect: Effect.Effect<A, CacheError.CacheMiss | CacheError.CacheStorageError>
  ) =>
    Effect.suspend((): typeof effect => {
      state.calls[method]++
      switch (state.trouble) {
        case "none":
          return effect
        case "hangs":
          return Effect.never
        case "hangs and can't be interrupted":
          return Effect.uninterruptible(Effect.never)
        case "fails":
          return new CacheError.CacheStorageError({ storage: "Troubled", method, key: "", cause: "down" })
        case "dies":
          return Effect.die("bug")
        case "answers garbage":
          return Effect.succeed({ key: 1, body: "no bytes" } as A)
      }
    })
  const storage = {
    get: (lookup: CacheStorage.Lookup) => call("get", given.get(lookup)),
    set: (item, lookup) => call("set", given.set(item, lookup)),
    collect: (key) => call("collect", given.collect(key))
  } as CollectableCacheStorage.Service
  return { state, storage }
}

const world = (handler: Effect.Effect<HttpServerResponse.HttpServerResponse> = counted()) =>
  Effect.gen(function*() {
    const memory = yield* Layer.build(InMemoryCacheStorage.layerCollectable)
    const { state, storage } = troubled(Context.get(memory, CollectableCacheStorage.CollectableCacheStorage))
    const ask = yield* serve(
      HttpRouter.empty.pipe(
        HttpRouter.get("/", handler.pipe(withCache({ expiry: 10 }))),
        HttpRouter.patch("/", HttpServerResponse.empty().pipe(withCollect()))
      ).pipe(
        Effect.provideService(CacheStorage.CacheStorage, storage),
        Effect.provideService(CollectableCacheStorage.CollectableCacheStorage, storage)
      )
    )
    return { ask, state, storage }
  })

const log: Array<Logged> = []
const quiet = Layer.merge(NodeHttpServer.layerTest, logged(log))

describe("a storage in trouble", () => {
  it.scoped.each<Trouble>(["hangs", "hangs and can't be interrupted"])(
    "44: it %s: a call costs the time-out and no more, then it is left alone, and tried again",
    (trouble) =>
      Effect.gen(function*() {
        const { ask, state } = yield* world()
        yield* ask("/")
        state.trouble = trouble
        for (const run of [2, 3, 4]) {
          const asked = yield* Effect.fork(ask("/"))
          yield* eventually(() => state.calls.get === run + 1)
          yield* TestClock.adjust("249 millis")
          expect(asked.unsafePoll()).toBe(null)
          yield* TestClock.adjust("1 millis")
          const reply = yield* asked
          expect([reply.text, reply.cacheStatus]).toEqual([`run ${run}`, "fwd=miss"])
        }
        // Three times is enough.
        expect([(yield* ask("/")).text, state.calls.get]).toEqual(["run 5", 5])
        state.trouble = "none"
        yield* TestClock.adjust("9999 millis")
        expect([(yield* ask("/")).text, state.calls.get]).toEqual(["run 6", 5])
        yield* TestClock.adjust("1 millis")
        expect((yield* ask("/")).cacheStatus).toContain("stored")
        expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=10")
      }).pipe(Effect.provide(quiet))
  )

  it.scoped.each<Trouble>(["fails", "dies", "answers garbage"])(
    "44: it %s: every request is answered at once",
    (trouble) =>
      Effect.gen(function*() {
        const { ask, state } = yield* world()
        state.trouble = trouble
        for (let run = 1; run <= 5; run++) expect((yield* ask("/")).text).toBe(`run ${run}`)
        state.trouble = "none"
        yield* TestClock.adjust("10 seconds")
        yield* ask("/")
        expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=10")
      }).pipe(Effect.provide(quiet))
  )

  it.scoped("54: a collect that was not delivered is delivered before the storage is read again", () =>
    Effect.gen(function*() {
      const { ask, state } = yield* world()
      yield* ask("/")
      state.trouble = "fails"
      expect((yield* ask("/", { method: "PATCH" })).status).toBe(204)
      // The storage can be read again, and still has what was collected.
      state.trouble = "none"
      const reply = yield* ask("/")
      expect([reply.text, reply.cacheStatus]).toEqual(["run 2", "fwd=uri-miss; stored"])
      expect((yield* ask("/")).text).toBe("run 2")
    }).pipe(Effect.provide(quiet)))

  it.scoped("54: until it is delivered the key is not served, nor is anything else read", () =>
    Effect.gen(function*() {
      const { ask, state } = yield* world()
      yield* ask("/")
      state.trouble = "fails"
      yield* ask("/", { method: "PATCH" })
      for (const run of [2, 3, 4]) expect((yield* ask("/")).text).toBe(`run ${run}`)
      const { get } = state.calls
      state.trouble = "none"
      expect([(yield* ask("/")).text, state.calls.get]).toEqual(["run 5", get])
      yield* TestClock.adjust("10 seconds")
      expect((yield* ask("/")).cacheStatus).toBe("fwd=uri-miss; stored")
    }).pipe(Effect.provide(quiet)))

  it.scoped("concurrent misses are joined while the storage is down", () =>
    Effect.gen(function*() {
      const { ask, state, storage } = yield* world(Effect.delay(counted(), "1 second"))
      state.trouble = "hangs"
      const clients = yield* Effect.replicateEffect(ask.another, 5)
      const asked = yield* Effect.forkAll(clients.map((ask) => ask("/")))
      yield* eventually(() => state.calls.get === 5)
      yield* TestClock.adjust("250 millis")
      yield* eventually(() => flights.waiting(storage) === 5)
      yield* TestClock.adjust("1 seconds")
      expect(new Set((yield* asked).map(({ text }) => text))).toEqual(new Set(["run 1"]))
    }).pipe(Effect.provide(quiet)))
})

describe("what a handler says of its response", () => {
  const served = (handler: Effect.Effect<HttpServerResponse.HttpServerResponse>, options: HttpCache.Options = {}) =>
    serve(HttpRouter.empty.pipe(HttpRouter.get("/", handler.pipe(withCache({ expiry: 10, ...options })))))
  const world = Layer.merge(NodeHttpServer.layerTest, InMemoryCacheStorage.layerCollectable)

  it.scoped("20: refuse, at any depth, keeps it out, here and elsewhere", () =>
    Effect.gen(function*() {
      const deep = Effect.zipRight(Effect.fork(HttpCache.refuse).pipe(Effect.flatten), counted())
      const ask = yield* served(deep, { cacheStatus: { detail: true } })
      const reply = yield* ask("/")
      expect([reply.cacheStatus, reply.headers["cache-control"]]).toEqual(["fwd=uri-miss; detail=no-store", "no-store"])
      expect((yield* ask("/")).text).toBe("run 2")
    }).pipe(Effect.provide(world)))

  it.scoped("20: what a cached part refuses is not kept in the whole either", () =>
    Effect.gen(function*() {
      const part = Effect.zipRight(HttpCache.refuse, counted()).pipe(withCache({ expiry: 10 }))
      const whole = Effect.zipRight(part, counted()) as Effect.Effect<HttpServerResponse.HttpServerResponse>
      const ask = yield* served(whole)
      yield* ask("/")
      expect((yield* ask("/")).text).toBe("run 2")
    }).pipe(Effect.provide(world)))

  it.scoped("annotate gives it a freshness of its own, which clients are told; what it states itself is stronger", () =>
    Effect.gen(function*() {
      const annotated = Effect.zipRight(HttpCache.annotate({ expiry: "1 minute" }), counted())
      const ask = yield* served(annotated)
      expect((yield* ask("/")).headers["cache-control"]).toBe("max-age=60")
      yield* TestClock.adjust("59 seconds")
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=1")
      yield* TestClock.adjust("1 seconds")
      expect((yield* ask("/")).text).toBe("run 2")
    }).pipe(Effect.provide(world)))

  it.effect("annotate says what is wrong, and is nothing without a cache", () =>
    Effect.gen(function*() {
      yield* HttpCache.refuse
      yield* HttpCache.annotate({ expiry: 1 })
      const defect = yield* Effect.flip(Effect.catchAllDefect(HttpCache.annotate({ expiry: -1 }), Effect.fail))
      expect(String(defect)).toContain("TypeError: HttpCache.annotate: expiry is -1; it must be a number of seconds")
    }))
})
