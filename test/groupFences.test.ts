/** Nothing old of a group after a collect of it, whatever happens at once. The numbers are those of docs/failures.md. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Stream, TestClock } from "effect"
import {
  CacheError,
  CacheStorage,
  CollectableCacheStorage,
  HttpCache,
  InMemoryCacheStorage,
  withCache,
  withCollect
} from "effect-http-cache"
import { activity, Faults } from "effect-http-cache/testing"
import { bytes, counted, eventually, FaultyServer, logged, routes, serve, still, TestServer } from "./harness.js"
import { answering, hows, layerWaiting } from "./waiting.js"

const Request = HttpServerRequest.HttpServerRequest
const origin = ({ port }: { readonly port: number }) => ({ origin: `http://127.0.0.1:${port}` })

type When = "first" | "last" | "in its field" | "before its body is sent" | "while its body is sent"

/**
 * `/` has a value, which its handler reads, and waits for its gate before it answers; a `PUT` to `/write` makes it a new one.
 * The handler names the group at one moment.
 */
const world = (when: When) =>
  Effect.gen(function*() {
    let value = 0
    let begun = 0
    const gates = [yield* Deferred.make<void>(), yield* Deferred.make<void>(), yield* Deferred.make<void>()]
    const name = (now: When) => when === now ? HttpCache.group("g") : Effect.void
    const read = Effect.gen(function*() {
      const text = `value ${value}`
      const gate = Deferred.await(gates[begun++]!)
      yield* Effect.zipRight(name("first"), name("before its body is sent"))
      if (when.endsWith("its body is sent")) {
        const end = Stream.fromEffect(Effect.as(Effect.zipRight(gate, name("while its body is sent")), bytes("")))
        return HttpServerResponse.stream(Stream.concat(Stream.make(bytes(text)), end))
      }
      yield* gate
      yield* name("last")
      const headers = when === "in its field" ? { "cache-groups": "\"g\"" } : {}
      return HttpServerResponse.text(text, { headers })
    })
    const write = Effect.sync(() => {
      value++
      return HttpServerResponse.empty()
    })
    const ask = yield* serve(routes({
      "GET /": read.pipe(withCache({ expiry: 60 })),
      "PUT /write": write.pipe(withCollect({ groups: () => ["g"] }))
    }))
    const begin = Effect.gen(function*() {
      const other = yield* ask.another
      const before = begun
      const asked = yield* Effect.fork(other("/"))
      yield* eventually(() => begun > before)
      return asked
    })
    const open = (gate: number) => Deferred.succeed(gates[gate]!, undefined)
    return { ask, begin, open, runs: () => begun }
  })

/** Of what is named last, nobody can know before. */
const early: ReadonlyArray<When> = ["first", "last", "in its field", "before its body is sent"]
const whens: ReadonlyArray<When> = [...early, "while its body is sent"]

describe.each(hows)("97: a group that a handler names, over a storage that answers %s", (how) => {
  const server = Layer.merge(NodeHttpServer.layerTest, layerWaiting(how))

  it.scoped.each(whens)(
    "%s: its response is not stored where the group was collected while it ran",
    (when) =>
      Effect.gen(function*() {
        const { ask, begin, open } = yield* world(when)
        const asked = yield* begin
        yield* ask("/write", { method: "PUT" })
        yield* open(0)
        expect((yield* Fiber.join(asked)).text).toBe("value 0")
        yield* open(1)
        const next = yield* ask("/")
        expect([next.text, next.cacheStatus.startsWith("hit")]).toEqual(["value 1", false])
        expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=60")
      }).pipe(Effect.provide(server))
  )

  it.scoped.each(early)(
    "%s: who asks after the collect does not get what was read before it",
    (when) =>
      Effect.gen(function*() {
        const { ask, begin, open, runs } = yield* world(when)
        const asked = yield* begin
        yield* ask("/write", { method: "PUT" })
        const other = yield* ask.another
        const later = yield* Effect.fork(other("/"))
        const storage = yield* CacheStorage.CacheStorage
        yield* eventually(() => activity(storage).waiters > 1 || runs() > 1)
        // It waits for the first run, or has begun one of its own.
        yield* open(0)
        expect((yield* Fiber.join(asked)).text).toBe("value 0")
        yield* open(1)
        yield* open(2)
        const { cacheStatus, text } = yield* Fiber.join(later)
        expect(text).toBe("value 1")
        // Where the group is known, it does not even wait.
        if (when === "before its body is sent") expect(cacheStatus).toBe("fwd=uri-miss")
        expect(runs()).toBeLessThanOrEqual(3)
      }).pipe(Effect.provide(server))
  )
})

const trouble = (method: CacheError.CacheStorageError["method"]) =>
  new CacheError.CacheStorageError({ storage: "unanswered", method, key: "", cause: "trouble" })

/** A storage in memory with other methods. */
const changed = (
  change: (memory: CollectableCacheStorage.Service) => Partial<CollectableCacheStorage.Service>
) => {
  const storage = CollectableCacheStorage.layer(
    Effect.map(Layer.build(Layer.fresh(InMemoryCacheStorage.layerCollectable)), (context) => {
      const memory = answering("at once", Context.get(context, CollectableCacheStorage.CollectableCacheStorage))
      return { ...memory, ...change(memory) }
    })
  )
  return Layer.mergeAll(NodeHttpServer.layerTest, storage, logged([]))
}

it.scoped("97: nor does it share what was read before, where the storage could not be read for it", () =>
  Effect.gen(function*() {
    const faults = yield* Faults
    const { ask, begin, open, runs } = yield* world("first")
    yield* faults.switch({ get: "fail" })
    const asked = yield* begin
    yield* faults.switch({ get: "work" })
    yield* TestClock.adjust("10 seconds")
    yield* ask("/write", { method: "PUT" })
    yield* TestClock.adjust("1 second")
    const other = yield* ask.another
    const later = yield* Effect.fork(other("/"))
    const storage = yield* CacheStorage.CacheStorage
    yield* eventually(() => activity(storage).waiters > 1 || runs() > 1)
    yield* open(0)
    const first = yield* Fiber.join(asked)
    expect([first.text, first.cacheStatus]).toEqual(["value 0", "fwd=miss"])
    yield* open(1)
    expect((yield* Fiber.join(later)).text).toBe("value 1")
  }).pipe(Effect.provide(Layer.merge(FaultyServer, logged([])))))

describe("97: a collect of a group that can't be delivered", () => {
  const app = routes({
    "GET /g/:id": Effect.zipRight(HttpCache.group("g"), counted()).pipe(withCache({ expiry: 3600 })),
    "GET /other": counted().pipe(withCache({ expiry: 3600 })),
    "PUT /write": Effect.succeed(HttpServerResponse.empty()).pipe(withCollect({ groups: () => ["g"] }))
  })
  const server = Layer.merge(FaultyServer, logged([]))
  const isHit = ({ cacheStatus }: { readonly cacheStatus: string }) => cacheStatus.startsWith("hit")

  it.scoped("is kept: what is of it is neither served nor stored until it is, and then collected", () =>
    Effect.gen(function*() {
      const faults = yield* Faults
      const ask = yield* serve(app)
      const paths = ["/g/1", "/g/2", "/other"]
      for (const path of paths) yield* ask(path)
      yield* faults.switch({ collect: "fail" })
      yield* ask("/write", { method: "PUT" })
      for (const _ of [1, 2]) {
        const replies = yield* Effect.forEach(paths, (path) => ask(path))
        expect(replies.map(isHit)).toEqual([false, false, true])
      }
      yield* faults.switch({ collect: "work" })
      yield* TestClock.adjust("10 seconds")
      // Tried a second after it failed, beside the requests.
      let before = (yield* faults.calls).collect
      while (isHit(yield* ask("/g/1")) === false) {
        yield* TestClock.adjust("1 second")
        expect((yield* faults.calls).collect - before).toBeLessThan(10)
      }
      before = (yield* faults.calls).collect
      expect(isHit(yield* ask("/g/2"))).toBe(false)
      expect(isHit(yield* ask("/g/2"))).toBe(true)
      expect((yield* faults.calls).collect).toBe(before)
    }).pipe(Effect.provide(server)))

  it.scoped("of everything: nothing is served until it is delivered", () =>
    Effect.gen(function*() {
      const faults = yield* Faults
      const ask = yield* serve(app)
      for (const path of ["/g/1", "/other"]) yield* ask(path)
      yield* faults.switch({ collect: "fail" })
      const failure = yield* Effect.flip(HttpCache.collectEverything())
      expect(failure.message).toContain("collect failed for everything")
      for (const path of ["/g/1", "/other", "/other"]) expect(isHit(yield* ask(path))).toBe(false)
      yield* faults.switch({ collect: "work" })
      yield* TestClock.adjust("10 seconds")
      expect(isHit(yield* ask("/other"))).toBe(false)
      expect(isHit(yield* ask("/other"))).toBe(true)
    }).pipe(Effect.provide(server)))

  it.scoped("softly forgets when it is delivered", () =>
    Effect.gen(function*() {
      const faults = yield* Faults
      const ask = yield* serve(app)
      yield* ask("/g/1")
      yield* faults.switch({ collect: "fail" })
      yield* Effect.flip(HttpCache.collectGroup("g", { ...origin(ask), soft: "unless-error" }))
      yield* faults.switch({ collect: "work" })
      yield* TestClock.adjust("10 seconds")
      yield* ask("/other")
      yield* eventually(() => Effect.runSync(faults.calls).collect > 1)
      expect((yield* ask("/g/1")).cacheStatus).toBe("fwd=uri-miss; stored")
    }).pipe(Effect.provide(server)))

  it.scoped("what was read before it was delivered is not believed when it arrives afterwards", () => {
    const read = Effect.runSync(Deferred.make<void>())
    const gate = Effect.runSync(Deferred.make<void>())
    let isLate = false
    let collects: "fail" | "work" | "worked" = "fail"
    const server = changed((memory) => ({
      get: (lookup) =>
        isLate
          ? Effect.tap(memory.get(lookup), Effect.zipRight(Deferred.succeed(read, undefined), Deferred.await(gate)))
          : memory.get(lookup),
      collect: (names, style, own) =>
        Effect.tap(
          Effect.suspend(() => collects === "fail" ? trouble("collect") : memory.collect(names, style, own)),
          Effect.sync(() => {
            collects = "worked"
          })
        )
    }))
    return Effect.gen(function*() {
      const ask = yield* serve(app)
      const other = yield* ask.another
      for (const path of ["/g/1", "/other"]) yield* ask(path)
      yield* ask("/write", { method: "PUT" })
      isLate = true
      const asked = yield* Effect.fork(other("/g/1"))
      yield* Deferred.await(read)
      isLate = false
      collects = "work"
      yield* TestClock.adjust("10 seconds")
      // Which delivers it beside itself.
      yield* ask("/other")
      yield* eventually(() => collects === "worked")
      yield* Deferred.succeed(gate, undefined)
      expect(isHit(yield* Fiber.join(asked))).toBe(false)
    }).pipe(Effect.provideService(HttpCache.Defaults, { storageTimeout: 60 }), Effect.provide(server))
  })
})

describe("a POST that answers for a later GET", () => {
  const servers = {
    "answers": TestServer,
    "does not answer holds": changed(() => ({ holds: () => trouble("holds") })),
    "does not answer the first begin": changed((memory) => {
      let begun = 0
      return { begin: (lookup) => begun++ === 0 ? trouble("begin") : memory.begin(lookup) }
    })
  }

  it.scoped.each(
    [
      ["answers", false, "hit; ttl=60"],
      ["answers", true, "fwd=uri-miss; stored"],
      ["does not answer holds", true, "fwd=uri-miss; stored"],
      ["does not answer the first begin", true, "fwd=uri-miss; stored"]
    ] as const
  )(
    "is of its groups, where the storage %s; another's collect of one while it ran (%s) leaves it out",
    ([storage, isCollected, expected]) =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        let hasBegun = false
        const fields = { "cache-control": "max-age=60", "cache-groups": "\"g\"" }
        const app = Effect.flatMap(Request, ({ method }) =>
          Effect.gen(function*() {
            if (method === "GET") return HttpServerResponse.text("got", { headers: fields })
            hasBegun = true
            yield* Deferred.await(gate)
            return HttpServerResponse.text("posted", { headers: { ...fields, "content-location": "/doc" } })
          })).pipe(HttpCache.middleware())
        const ask = yield* serve(app)
        const other = yield* ask.another
        const posted = yield* Effect.fork(other("/doc", { method: "POST" }))
        yield* eventually(() => hasBegun)
        if (isCollected) yield* HttpCache.collectGroup("g", origin(ask))
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(posted)
        expect((yield* ask("/doc")).cacheStatus).toBe(expected)
        yield* HttpCache.collectGroup("g", origin(ask))
        expect((yield* ask("/doc")).cacheStatus).toBe("fwd=uri-miss; stored")
      }).pipe(Effect.provide(servers[storage]))
  )
})

describe("a body of a known length, after its last byte", () => {
  const after = (say: Effect.Effect<unknown, never, HttpServerRequest.HttpServerRequest>) =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const said = yield* Deferred.make<void>()
      const saying = Effect.ensuring(Effect.zipRight(Deferred.await(gate), say), Deferred.succeed(said, undefined))
      const chunks = Stream.concat(Stream.make(bytes("ab")), Stream.drain(Stream.fromEffect(saying)))
      const handler = Effect.map(
        Effect.context<HttpServerRequest.HttpServerRequest>(),
        (context) => HttpServerResponse.stream(Stream.provideContext(chunks, context), { contentLength: 2 })
      )
      const ask = yield* serve(handler.pipe(withCache({ expiry: 60 })))
      expect((yield* ask("/")).text).toBe("ab")
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=60")
      yield* Deferred.succeed(gate, undefined)
      yield* Deferred.await(said)
      yield* still(() => 0)
      return ask
    })

  it.scoped("224: is heard where it names a group", () =>
    Effect.gen(function*() {
      const ask = yield* after(HttpCache.group("late"))
      yield* HttpCache.collectGroup("late", origin(ask))
      expect((yield* ask("/")).cacheStatus).not.toMatch(/^hit/)
    }).pipe(Effect.provide(TestServer)))

  it.scoped("224: is heard where it says that it is not to be stored", () =>
    Effect.gen(function*() {
      const ask = yield* after(HttpCache.noStore)
      expect((yield* ask("/")).cacheStatus).not.toMatch(/^hit/)
    }).pipe(Effect.provide(TestServer)))

  it.scoped("225: stays stored where it reads a field, as a log does", () =>
    Effect.gen(function*() {
      const ask = yield* after(Effect.map(Request, ({ headers }) => headers["user-agent"]))
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=60")
    }).pipe(Effect.provide(TestServer)))

  const late = { "a group": HttpCache.group("late"), "that it is not to be stored": HttpCache.noStore }

  /** A call takes real time here, so the clock may pass its time limit: a collect is then delivered later. */
  const idle = (storage: CacheStorage.Service) =>
    Effect.gen(function*() {
      while (activity(storage).fibers > 0) {
        yield* still(() => 0)
        yield* TestClock.adjust("1 second")
      }
    })

  /** The body says it once it is told to, and then has no end. */
  const saying = (say: Effect.Effect<void>) =>
    Effect.gen(function*() {
      const [gate, said] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const told = Effect.zipRight(Deferred.await(gate), Effect.ensuring(say, Deferred.succeed(said, undefined)))
      const end = Stream.fromEffect(Effect.zipRight(told, Effect.never))
      const chunks = Stream.concat(Stream.make(bytes("ab")), Stream.drain(end))
      const handler = Effect.sync(() => HttpServerResponse.stream(chunks, { contentLength: 2 }))
      return {
        app: handler.pipe(withCache({ expiry: 60 })),
        saying: Effect.zipRight(Deferred.succeed(gate, undefined), Deferred.await(said))
      }
    })

  it.scoped.each(hows.flatMap((how) => Object.entries(late).map(([what, say]) => [how, what, say] as const)))(
    "226: is heard where the body then pauses for too long, by a storage that answers %s: %s",
    ([how, what, say]) =>
      Effect.gen(function*() {
        const { app, saying: says } = yield* saying(say)
        const ask = yield* serve(app)
        expect((yield* ask("/")).text).toBe("ab")
        yield* says
        expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=60")
        yield* TestClock.adjust("31 seconds")
        const storage = yield* CacheStorage.CacheStorage
        yield* idle(storage)
        if (what === "a group") yield* HttpCache.collectGroup("late", origin(ask))
        expect((yield* ask("/")).cacheStatus).not.toMatch(/^hit/)
        yield* TestClock.adjust("31 seconds")
        yield* idle(storage)
        expect(activity(storage)).toMatchObject({ flights: 0, heldBytes: 0 })
      }).pipe(Effect.provide(Layer.merge(NodeHttpServer.layerTest, layerWaiting(how))))
  )

  it.scoped("227: is heard though the storage has failed just then", () =>
    Effect.gen(function*() {
      const { app, saying: says } = yield* saying(HttpCache.noStore)
      const faults = yield* Faults
      const ask = yield* serve(app)
      yield* ask("/")
      yield* says
      yield* faults.switchAll("fail")
      yield* TestClock.adjust("31 seconds")
      yield* still(() => 0)
      yield* faults.switchAll("work")
      expect((yield* ask("/")).cacheStatus).not.toMatch(/^hit/)
      yield* idle(yield* CacheStorage.CacheStorage)
    }).pipe(Effect.provide(FaultyServer)))
})
