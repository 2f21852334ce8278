/** Another process collects while a handler runs: who asks after it is shown nothing older. The numbers are those of docs/failures.md. */
import { HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, TestClock } from "effect"
import {
  CacheError,
  CacheStorage,
  CollectableCacheStorage,
  HttpCache,
  InMemoryCacheStorage,
  withCache
} from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import { eventually, forkAll, logged, serve, still } from "./harness.js"

const origin = ({ port }: { readonly port: number }) => ({ origin: `http://127.0.0.1:${port}` })

const trouble = (method: CacheError.CacheStorageError["method"]) =>
  new CacheError.CacheStorageError({ storage: "unanswered", method, key: "", cause: "trouble" })

const serverOver = (storage: CollectableCacheStorage.Service) =>
  Layer.mergeAll(NodeHttpServer.layerTest, CollectableCacheStorage.layer(Effect.succeed(storage)), logged([]))

it.scoped("140: more collects than are kept for later reach another process, too, once they can", () => {
  const memory = InMemoryCacheStorage.make()
  let fails = true
  let delivered = 0
  const failing = CollectableCacheStorage.layer(Effect.succeed({
    ...memory,
    collect: (names: CollectableCacheStorage.Names) => {
      if (fails) return trouble("collect")
      delivered++
      return memory.collect(names)
    }
  }))
  return Effect.gen(function*() {
    let runs = 0
    const ask = yield* serve(
      Effect.sync(() => HttpServerResponse.text(`run ${++runs}`)).pipe(withCache({ expiry: 60 }))
    )
    const asked = Effect.forEach(["/0", "/10000"], (path) => Effect.map(ask(path), ({ text }) => text))
    expect(yield* asked).toEqual(["run 1", "run 2"])
    const uris = Array.from({ length: 10_001 }, (_, at) => `/${at}`)
    const collected = HttpCache.collectAll(uris.map((uri) => `http://127.0.0.1:${ask.port}${uri}`))
    yield* Effect.provide(
      Effect.gen(function*() {
        yield* Effect.flip(collected)
        expect(yield* asked).toEqual(["run 1", "run 2"])
        fails = false
        yield* TestClock.adjust("12 seconds")
        yield* eventually(() => delivered > 0)
      }),
      failing
    )
    expect(yield* asked).toEqual(["run 3", "run 4"])
  }).pipe(Effect.provide(serverOver(memory)))
})

describe("a collect of another process while a handler runs", () => {
  const service = CollectableCacheStorage.CollectableCacheStorage

  type Method = "begin" | "holds"

  /** The handler waits. Who comes later goes on once all of them have asked the storage, whose `failing` is told how often. */
  const world = (
    what: string,
    count: number,
    failing: (method: Method, asked: number) => boolean = () => false
  ) => {
    const memory = InMemoryCacheStorage.make()
    const all = Effect.runSync(Deferred.make<void>())
    let begun = 0
    let asked = 0
    const asking = <A>(method: Method, work: Effect.Effect<A, CacheError.CacheStorageError>) => {
      if (++asked === count) Effect.runSync(Deferred.succeed(all, undefined))
      return Effect.zipRight(Deferred.await(all), failing(method, asked) ? trouble(method) : work)
    }
    const storage: CollectableCacheStorage.Service = {
      ...memory,
      begin: (lookup) => {
        if (++begun > 1) return asking("begin", memory.begin(lookup))
        return failing("begin", 0) ? trouble("begin") : memory.begin(lookup)
      },
      holds: (names, fill) => asking("holds", memory.holds(names, fill))
    }
    return Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let runs = 0
      const read = Effect.suspend(() => {
        const response = HttpServerResponse.text(`run ${++runs}`, { headers: { "cache-groups": "\"g\"" } })
        return Effect.as(Deferred.await(gate), response)
      })
      const ask = yield* serve(read.pipe(withCache({ expiry: 60 })))
      const first = yield* Effect.fork((yield* ask.another)("/"))
      yield* eventually(() => runs === 1)
      const collect = what === "the URI"
        ? HttpCache.collect(`${origin(ask).origin}/`)
        : HttpCache.collectGroup("g", origin(ask))
      yield* Effect.provideService(collect, service, { ...memory })
      const later = yield* forkAll(Array.from({ length: count }, () => Effect.flatMap(ask.another, (ask) => ask("/"))))
      yield* Deferred.await(all)
      yield* still(() => runs)
      yield* Deferred.succeed(gate, undefined)
      expect((yield* Fiber.join(first)).text).toBe("run 1")
      const texts = (yield* Fiber.join(later)).map(({ text }) => text)
      return { asked: () => asked, runs: () => runs, texts }
    }).pipe(Effect.provide(serverOver(storage)))
  }

  // Who leaves a run that the storage did not see begin has asked for its own fill by that.
  it.scoped.each([["", -1, 6], [", also where the storage did not answer when the first run began", 0, 5]] as const)(
    "53, 73: who come together after it wait for one run%s",
    ([, failing, times]) =>
      Effect.gen(function*() {
        const found = yield* world("the URI", 5, (method, asked) => method === "begin" && asked <= failing)
        expect(found.texts).toEqual(Array.from({ length: 5 }, () => "run 2"))
        expect([found.runs(), found.asked()]).toEqual([2, times])
      })
  )

  it.scoped("40: while the storage lets no run begin, who come together wait for the one that runs", () =>
    Effect.gen(function*() {
      const { runs, texts } = yield* world("the URI", 5, (method) => method === "begin")
      expect([runs(), texts]).toEqual([1, Array.from({ length: 5 }, () => "run 1")])
    }))

  it.scoped.each([["the URI", 0], ["a group", 0], ["a group", 1]] as const)(
    "53: who asks after a collect of %s gets nothing older, where the storage says %s times what holds, and then fails",
    ([what, answers]) =>
      Effect.gen(function*() {
        const { texts } = yield* world(what, 1, (method, asked) => method === "holds" && asked > answers)
        expect(texts).toEqual(["run 2"])
      })
  )

  it.scoped("53: while the storage does not answer, who asks a second after a run began waits for another one", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let runs = 0
      const read = Effect.suspend(() => {
        const response = HttpServerResponse.text(`run ${++runs}`)
        return Effect.as(Deferred.await(gate), response)
      })
      const storage = yield* CacheStorage.CacheStorage
      const ask = yield* serve(read.pipe(withCache({ expiry: 60 })))
      const asking = (waiters: number) =>
        Effect.gen(function*() {
          const asked = yield* Effect.fork((yield* ask.another)("/"))
          yield* eventually(() => activity(storage).waiters === waiters)
          return asked
        })
      const first = yield* asking(1)
      yield* TestClock.adjust("999 millis")
      const second = yield* asking(2)
      yield* TestClock.adjust("1 millis")
      const third = yield* asking(1)
      const fourth = yield* asking(2)
      yield* Deferred.succeed(gate, undefined)
      const texts = yield* Effect.forEach([first, second, third, fourth], (asked) => Fiber.join(asked))
      expect(texts.map(({ text }) => text)).toEqual(["run 1", "run 1", "run 2", "run 2"])
    }).pipe(Effect.provide(serverOver({ ...InMemoryCacheStorage.make(), begin: () => trouble("begin") }))))
})
