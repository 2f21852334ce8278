/** One run of a handler for several processes that share a storage. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, TestClock } from "effect"
import { CacheError, CollectableCacheStorage, InMemoryCacheStorage, SharedFlights, withCache } from "effect-http-cache"
import { logged } from "./harness.js"

/** Leases in memory, as a server has them: taken by a text, and over after five seconds. */
const makeLeases = () => {
  const taken = new Set<string>()
  const trouble: { take: Effect.Effect<void, unknown> | "throw" } = { take: Effect.void }
  const take: SharedFlights.Service["take"] = (flight) => {
    if (trouble.take === "throw") throw new Error("no leases at all")
    return Effect.andThen(
      trouble.take,
      Effect.sync(() => {
        if (taken.has(flight)) return "taken"
        taken.add(flight)
        return Effect.sync(() => void taken.delete(flight))
      })
    )
  }
  return { service: { take }, taken, trouble }
}

/** Processes over one storage in memory, each with flights of its own. */
const world = (status = 200) =>
  Effect.gen(function*() {
    const shared = Context.get(
      yield* Layer.build(InMemoryCacheStorage.layerCollectable),
      CollectableCacheStorage.CollectableCacheStorage
    )
    const leases = makeLeases()
    const storage: { trouble: Effect.Effect<void, CacheError.CacheStorageError>; asked: number } = {
      trouble: Effect.void,
      asked: 0
    }
    const own = (): CollectableCacheStorage.Service => {
      const troubled = <A, E>(effect: Effect.Effect<A, E>) =>
        Effect.suspend(() => {
          if (storage.trouble !== Effect.void) storage.asked++
          return Effect.andThen(storage.trouble, effect)
        })
      const { begin, get } = shared
      return { ...shared, begin: (lookup) => troubled(begin(lookup)), get: (lookup) => troubled(get(lookup)) }
    }
    const gate: { wait: Effect.Effect<void> } = { wait: Effect.void }
    let runs = 0
    const handler = Effect.suspend(() => {
      const run = ++runs
      return Effect.map(gate.wait, () => HttpServerResponse.text(`run ${run}`, { status }))
    })
    const app = withCache(handler, { name: "page", expiry: 60, statuses: [200] })
    const node = Effect.map(
      Layer.build(CollectableCacheStorage.layer(Effect.sync(own))),
      (storage) => {
        const context = Context.add(storage, SharedFlights.SharedFlights, leases.service)
        return (path = "/") =>
          app.pipe(
            Effect.provideService(
              HttpServerRequest.HttpServerRequest,
              HttpServerRequest.fromWeb(new Request(`http://shop.example${path}`))
            ),
            Effect.map(({ body, headers }) => [
              body._tag === "Uint8Array" ? Buffer.from(body.body).toString() : "",
              headers["cache-status"]?.replace("effect-http-cache; ", "")
            ]),
            Effect.provide(context),
            Effect.scoped
          )
      }
    )
    const hold = Effect.map(Deferred.make<void>(), (open) => {
      gate.wait = Deferred.await(open)
      return Effect.andThen(Effect.sync(() => gate.wait = Effect.void), Deferred.succeed(open, undefined))
    })
    return { a: yield* node, b: yield* node, hold, leases, runs: () => runs, storage }
  })

const forked = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.tap(Effect.fork(effect), () => TestClock.adjust(0))

describe("processes with shared flights", () => {
  it.scoped("run the handler once, and the others answer what the first has stored", () =>
    Effect.gen(function*() {
      const { a, b, hold, leases, runs } = yield* world()
      const open = yield* hold
      const first = yield* forked(a())
      const others = [yield* forked(b()), yield* forked(b())]
      yield* TestClock.adjust("2 seconds")
      expect(runs()).toBe(1)
      yield* open
      expect(yield* Fiber.join(first)).toEqual(["run 1", "fwd=uri-miss; stored"])
      yield* TestClock.adjust("50 millis")
      for (const other of others) expect(yield* Fiber.join(other)).toEqual(["run 1", "hit; ttl=59"])
      expect([runs(), leases.taken.size]).toEqual([1, 0])
    }))

  it.scoped("do not wait for a run of another URI", () =>
    Effect.gen(function*() {
      const { a, b, hold } = yield* world()
      const open = yield* hold
      const first = yield* forked(a("/1"))
      yield* open
      const held = yield* hold
      const second = yield* forked(a("/2"))
      expect(yield* b("/1")).toEqual(["run 1", "hit; ttl=60"])
      yield* held
      expect((yield* Fiber.join(first))[0]).toBe("run 1")
      expect((yield* Fiber.join(second))[0]).toBe("run 2")
    }))

  it.scoped("run the handler themselves once the other has stored nothing", () =>
    Effect.gen(function*() {
      const { a, b, hold, runs } = yield* world(503)
      const open = yield* hold
      const first = yield* forked(a())
      const other = yield* forked(b())
      yield* open
      yield* TestClock.adjust("50 millis")
      expect((yield* Fiber.join(first))[0]).toBe("run 1")
      expect((yield* Fiber.join(other))[0]).toBe("run 2")
      expect(runs()).toBe(2)
    }))

  it.scoped("go on when the lease of a process that has crashed is over", () =>
    Effect.gen(function*() {
      const { a, b, hold, leases, runs } = yield* world()
      const open = yield* hold
      yield* forked(a())
      const waiting = yield* forked(b())
      yield* TestClock.adjust("4 seconds")
      expect(runs()).toBe(1)
      leases.taken.clear()
      yield* TestClock.adjust("50 millis")
      expect(runs()).toBe(2)
      yield* open
      expect((yield* Fiber.join(waiting))[0]).toBe("run 2")
    }))

  it.scoped("give the lease back when nobody waits for the run any more", () =>
    Effect.gen(function*() {
      const { a, hold, leases } = yield* world()
      yield* hold
      const first = yield* forked(a())
      expect(leases.taken.size).toBe(1)
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust(0)
      expect(leases.taken.size).toBe(0)
    }))

  it.scoped.each(
    [
      ["has been left by its client", (first: Fiber.RuntimeFiber<unknown>) => Fiber.interrupt(first)],
      ["does not wait for it any more", () => TestClock.adjust("250 millis")]
    ] as const
  )("101: give a lease back that comes when the request %s", ([, leave]) =>
    Effect.gen(function*() {
      const { a, hold, leases } = yield* world()
      const open = yield* hold
      const late = yield* Deferred.make<void>()
      leases.trouble.take = Deferred.await(late)
      yield* leave(yield* forked(a()))
      yield* Deferred.succeed(late, undefined)
      yield* TestClock.adjust(0)
      expect(leases.taken.size).toBe(0)
      yield* open
    }).pipe(Effect.provide(logged([]))))

  it.scoped("101: ask the storage less while it fails, whatever the leases do, and store while the leases fail", () =>
    Effect.gen(function*() {
      const { a, leases, storage } = yield* world()
      leases.trouble.take = Effect.fail("no leases today")
      for (const path of ["/1", "/2", "/3", "/4", "/5"]) {
        expect(yield* a(path)).toEqual([expect.any(String), "fwd=uri-miss; stored"])
      }
      leases.trouble.take = Effect.void
      yield* TestClock.adjust("1 minute")
      storage.trouble = Effect.fail(
        new CacheError.CacheStorageError({ storage: "far", method: "get", key: "", cause: 0 })
      )
      for (let i = 0; i < 10; i++) yield* a(`/again/${i}`)
      expect(storage.asked).toBeLessThan(6)
    }).pipe(Effect.provide(logged([]))))

  it.scoped.each(
    [
      ["fail", Effect.fail("no leases today")],
      ["die", Effect.die(new Error("no leases at all"))],
      ["throw", "throw"],
      ["hang", Effect.never]
    ] as const
  )("run the handler each where the leases %s", ([, trouble]) =>
    Effect.gen(function*() {
      const { a, b, hold, leases, runs } = yield* world()
      leases.trouble.take = trouble
      const open = yield* hold
      const asked = [yield* forked(a()), yield* forked(b())]
      yield* TestClock.adjust("250 millis")
      expect(runs()).toBe(2)
      yield* open
      for (const reply of asked) expect((yield* Fiber.join(reply))[1]).toContain("fwd=uri-miss")
    }).pipe(Effect.provide(logged([]))))
})
