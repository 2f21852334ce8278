/** A near storage before a far one that others share. */
import { type HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Stream, TestClock } from "effect"
import {
  type CacheStorage,
  CollectableCacheStorage,
  HttpCache,
  InMemoryCacheStorage,
  TieredCacheStorage,
  withCache,
  withCollect
} from "effect-http-cache"
import { collectableLaws, itemOf, lookupOf } from "effect-http-cache/testing"
import { type App, bytes, eventually, logged, routes, serve, still } from "./harness.js"
import { away, process, Shared } from "./nearAndFar.js"
import { hows } from "./waiting.js"

const tiers = (shared: Shared) => CollectableCacheStorage.layer(process(shared.service))

describe.each(hows)("over a far storage that answers %s", (how) => {
  it.effect.each(collectableLaws().map(({ test, title }) => [title, test] as const))(
    "law: %s",
    ([, test]) => Effect.scoped(Effect.suspend(() => Effect.provide(test, tiers(new Shared(how)))))
  )
})

describe("two processes that share a far storage", () => {
  const lookup = lookupOf()

  const processes = Effect.gen(function*() {
    const shared = new Shared()
    return { a: yield* process(shared.service), b: yield* process(shared.service), shared }
  })

  const store = (storage: CacheStorage.Service, text: string, terms = {}) =>
    Effect.flatMap(storage.begin(lookup), (fill) => storage.set(itemOf(text, lookup, terms), fill))

  const read = (storage: CacheStorage.Service) =>
    Effect.match(storage.get(lookup), {
      onSuccess: ({ body }) => new TextDecoder().decode(body),
      onFailure: ({ _tag }) => _tag
    })

  it.scoped("what one has stored, the other reads far once, and then near", () =>
    Effect.gen(function*() {
      const { a, b, shared } = yield* processes
      expect(yield* store(a, "hello")).toBe("kept")
      expect([yield* read(b), yield* read(b), yield* read(b)]).toEqual(["hello", "hello", "hello"])
      expect(shared.calls.get).toBe(1)
      expect([yield* read(a), shared.calls.get]).toEqual(["hello", 1])
    }))

  it.scoped.each(
    [
      ["a URI", { keys: [lookup.key], groups: [] }],
      ["a group", { keys: [], groups: ["g"] }],
      ["everything", { keys: [], groups: [], everything: true }]
    ] as const
  )("a collect of %s reaches what is near to the other", ([, names]) =>
    Effect.gen(function*() {
      const { a, b } = yield* processes
      yield* store(a, "hello", { groups: ["g"] })
      yield* read(b)
      yield* a.collect(names)
      expect(yield* read(a)).toBe("CacheMiss")
      yield* eventually(() => Effect.runSync(read(b)) === "CacheMiss")
    }))

  it.scoped("what is collected softly is validated by both", () =>
    Effect.gen(function*() {
      const { a, b } = yield* processes
      yield* store(a, "hello")
      yield* read(b)
      yield* a.collect({ keys: [lookup.key], groups: [] }, { soft: true })
      const isValidated = (storage: CacheStorage.Service) =>
        Effect.map(storage.get(lookup), ({ alwaysValidate }) => alwaysValidate)
      expect(yield* isValidated(a)).toBe(true)
      yield* eventually(() => Effect.runSync(isValidated(b)))
    }))

  it.scoped("a read far that a collect overtakes is not kept near", () =>
    Effect.gen(function*() {
      const { a, shared } = yield* processes
      const [isRead, goesOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const slow = {
        ...shared.service,
        get: (lookup: CacheStorage.Lookup) =>
          Effect.tap(
            shared.service.get(lookup),
            Effect.zipRight(Deferred.succeed(isRead, undefined), Deferred.await(goesOn))
          )
      }
      const b = yield* process(slow)
      yield* store(a, "old")
      const reading = yield* Effect.fork(read(b))
      yield* Deferred.await(isRead)
      yield* b.collect({ keys: [lookup.key], groups: [] })
      yield* Deferred.succeed(goesOn, undefined)
      yield* Fiber.join(reading)
      expect(yield* read(b)).toBe("CacheMiss")
    }))

  it.scoped("near it is served for no longer than it is fresh", () =>
    Effect.gen(function*() {
      const { a, b, shared } = yield* processes
      yield* store(a, "old", { lifetime: 10_000 })
      yield* read(b)
      yield* TestClock.adjust("11 seconds")
      yield* store(a, "new", { lifetime: 10_000, responseTime: 11_000, date: 11_000 })
      expect([yield* read(b), shared.calls.get]).toEqual(["new", 2])
    }))

  it.scoped("what was collected while a process did not hear is forgotten near when it hears again", () =>
    Effect.gen(function*() {
      const { a, b, shared } = yield* processes
      yield* store(a, "hello")
      yield* read(b)
      shared.disconnect()
      yield* a.collect({ keys: [lookup.key], groups: [] })
      expect(yield* read(b)).toBe("hello")
      yield* TestClock.adjust("1 second")
      yield* eventually(() => shared.listening === 2)
      yield* eventually(() => Effect.runSync(read(b)) === "CacheMiss")
    }))

  it.scoped("186: who tells what is collected may die, and is listened to again", () =>
    Effect.gen(function*() {
      const shared = new Shared()
      let isAlive = true
      const dying = Stream.merge(
        shared.service.collects,
        Stream.fromEffect(Effect.sleep("1 second")).pipe(Stream.drain, Stream.concat(Stream.die("it dies")))
      )
      const collects = Stream.suspend(() => {
        const next = isAlive ? dying : shared.service.collects
        isAlive = false
        return next
      })
      const [a, b] = [yield* process(shared.service), yield* process({ ...shared.service, collects })]
      yield* store(a, "hello")
      yield* read(b)
      yield* TestClock.adjust("2 seconds")
      yield* a.collect({ keys: [lookup.key], groups: [] })
      yield* eventually(() => Effect.runSync(read(b)) === "CacheMiss")
    }))

  it.scoped("without the far storage each goes on as one process would", () =>
    Effect.gen(function*() {
      const { a, b, shared } = yield* processes
      yield* store(a, "hello")
      shared.isAway = true
      expect([yield* read(a), yield* read(b)]).toEqual(["hello", "CacheMiss"])
      expect([yield* store(b, "own"), yield* read(b)]).toEqual(["kept", "own"])
      // It is left alone after a few failures.
      const { get } = shared.calls
      for (let at = 0; at < 20; at++) yield* b.get(lookupOf({}, { key: `http://localhost/${at}` })).pipe(Effect.ignore)
      expect(shared.calls.get - get).toBeLessThan(5)
    }).pipe(Effect.provide(logged([]))))

  it.effect("a time limit that is none is refused", () =>
    Effect.sync(() => {
      const make = () => TieredCacheStorage.make(InMemoryCacheStorage.make(), new Shared().service, { farTimeout: 0 })
      expect(make).toThrow("farTimeout is 0; it must be a positive number of seconds")
    }))
})

describe("through the door", () => {
  it.scoped("a PATCH whose far collect fails is answered, and nothing old is served after it", () =>
    Effect.gen(function*() {
      const shared = new Shared()
      let value = 0
      const app = routes({
        "GET /value": Effect.sync(() => HttpServerResponse.text(`value ${value}`)).pipe(withCache({ expiry: 60 })),
        "PATCH /value": Effect.sync(() => HttpServerResponse.text(`value ${++value}`)).pipe(withCollect())
      })
      yield* Effect.gen(function*() {
        const ask = yield* serve(app)
        yield* ask("/value")
        expect((yield* ask("/value")).cacheStatus).toMatch(/^hit/)
        shared.isAway = true
        yield* ask("/value", { method: "PATCH" })
        expect((yield* ask("/value")).text).toBe("value 1")
        shared.isAway = false
        yield* TestClock.adjust("30 seconds")
        expect((yield* ask("/value")).text).toBe("value 1")
        expect((yield* ask("/value")).cacheStatus).toMatch(/^hit/)
      }).pipe(Effect.provide(Layer.mergeAll(NodeHttpServer.layerTest, tiers(shared), logged([]))))
    }))

  /** Its values are fresh for so many seconds; each of its runs waits for the gate. */
  const valuesFor = (seconds: ReadonlyArray<number>) => {
    const state = { value: 0, gate: Effect.void as Effect.Effect<void> }
    const app = routes({
      "GET /value": Effect.gen(function*() {
        const value = ++state.value
        yield* state.gate
        return HttpServerResponse.text(`value ${value}`, {
          headers: { "cache-control": `max-age=${seconds[value - 1] ?? 60}` }
        })
      }).pipe(withCache())
    })
    return Object.assign(state, { app })
  }

  const doorOf = <E, R>(app: App<E, R>, storage: CollectableCacheStorage.Service) =>
    Effect.flatMap(
      Layer.build(
        Layer.mergeAll(NodeHttpServer.layerTest, CollectableCacheStorage.layer(Effect.succeed(storage)), logged([]))
      ),
      (context) => Effect.provide(serve(app), context)
    )

  const anew = { headers: { "cache-control": "no-cache" } }

  it.scoped("104: after a value that could be stored near only, the older one that is far is not served", () =>
    Effect.gen(function*() {
      const shared = new Shared()
      const values = valuesFor([100, 10])
      const near = InMemoryCacheStorage.make()
      const ask = yield* doorOf(values.app, yield* process(shared.service, near))
      expect((yield* ask("/value")).text).toBe("value 1")
      yield* TestClock.adjust("1 second")
      shared.isFull = true
      expect((yield* ask("/value", anew)).text).toBe("value 2")
      shared.isFull = false
      yield* TestClock.adjust("20 seconds")
      const { get } = shared.calls
      expect([(yield* ask("/value")).text, shared.calls.get - get]).toEqual(["value 3", 1])
      // It has replaced the first one far, too.
      yield* near.collect({ keys: [], groups: [], everything: true })
      expect((yield* ask("/value")).text).toBe("value 3")
    }))

  it.scoped("104: a read far that a later value overtakes does not replace that near", () =>
    Effect.gen(function*() {
      const shared = new Shared()
      const [isRead, goesOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let isSlow = false
      const slow = {
        ...shared.service,
        get: (lookup: CacheStorage.Lookup) => {
          const answer = shared.service.get(lookup)
          if (!isSlow) return answer
          isSlow = false
          return Effect.tap(answer, Effect.zipRight(Deferred.succeed(isRead, undefined), Deferred.await(goesOn)))
        }
      }
      const values = valuesFor([])
      const near = InMemoryCacheStorage.make()
      const ask = yield* doorOf(values.app, yield* process(slow, near))
      yield* ask("/value")
      yield* near.collect({ keys: [], groups: [], everything: true })
      yield* TestClock.adjust("1 second")
      isSlow = true
      const another = yield* ask.another
      const reading = yield* Effect.fork(another("/value"))
      yield* Deferred.await(isRead)
      expect((yield* ask("/value", anew)).text).toBe("value 2")
      yield* Deferred.succeed(goesOn, undefined)
      yield* Fiber.join(reading)
      const last = yield* ask("/value")
      expect([last.text, last.cacheStatus]).toEqual(["value 2", expect.stringMatching(/^hit/)])
    }))

  // Its doors are of one host, so that they share their keys.
  const shop = { headers: { host: "shop" } }

  it.scoped("104: what was read far while a handler ran does not stay near once its answer has replaced that", () =>
    Effect.gen(function*() {
      const shared = new Shared()
      const values = valuesFor([1])
      let fails = false
      const failing = {
        ...shared.service,
        get: (lookup: CacheStorage.Lookup) =>
          fails ? Effect.zipRight(Effect.sync(() => fails = false), away("get")) : shared.service.get(lookup)
      }
      const a = yield* doorOf(values.app, yield* process(failing))
      const b = yield* doorOf(values.app, yield* process(shared.service))
      yield* a("/value", shop)
      yield* TestClock.adjust("2 seconds")
      expect((yield* b("/value", shop)).text).toBe("value 2")
      yield* TestClock.adjust("1 second")
      // It does not see the second one when it begins.
      fails = true
      const [isAsked, goesOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      values.gate = Effect.zipRight(Deferred.succeed(isAsked, undefined), Deferred.await(goesOn))
      const another = yield* a.another
      const asking = yield* Effect.fork(another("/value", { headers: { ...shop.headers, ...anew.headers } }))
      yield* Deferred.await(isAsked)
      expect((yield* a("/value", shop)).text).toBe("value 2")
      yield* Deferred.succeed(goesOn, undefined)
      expect((yield* Fiber.join(asking)).text).toBe("value 3")
      expect((yield* a("/value", shop)).text).toBe("value 3")
    }))

  it.scoped("what is near from before the clock was set back is looked for far", () =>
    Effect.gen(function*() {
      const shared = new Shared()
      const values = valuesFor([7200])
      const a = yield* doorOf(values.app, yield* process(shared.service))
      const b = yield* doorOf(values.app, yield* process(shared.service))
      yield* TestClock.setTime(3_600_000)
      yield* a("/value", shop)
      yield* TestClock.setTime(0)
      expect((yield* b("/value", shop)).text).toBe("value 2")
      const reply = yield* a("/value", shop)
      expect([reply.text, reply.cacheStatus]).toEqual(["value 2", expect.stringMatching(/^hit/)])
    }))

  it.scoped("228: what a body says after the last byte of its length is heard near to others, too", () =>
    Effect.gen(function*() {
      const shared = new Shared()
      const gate = yield* Deferred.make<void>()
      const end = Stream.drain(Stream.fromEffect(Effect.zipRight(Deferred.await(gate), HttpCache.noStore)))
      let runs = 0
      const handler = Effect.map(
        Effect.context<HttpServerRequest.HttpServerRequest>(),
        (context) =>
          HttpServerResponse.stream(
            Stream.provideContext(Stream.concat(Stream.make(bytes(`run ${++runs}`)), end), context),
            { contentLength: 5 }
          )
      )
      const app = handler.pipe(withCache({ expiry: 60 }))
      const a = yield* doorOf(app, yield* process(shared.service))
      const b = yield* doorOf(app, yield* process(shared.service))
      expect((yield* a("/", shop)).text).toBe("run 1")
      expect((yield* b("/", shop)).text).toBe("run 1")
      yield* Deferred.succeed(gate, undefined)
      yield* still(() => 0)
      expect((yield* a("/", shop)).text).toBe("run 2")
      expect((yield* b("/", shop)).text).toBe("run 3")
    }))
})
