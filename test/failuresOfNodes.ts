/** Failures of the list, each where two processes share one storage. The numbers are those of docs/failures.md. */
import { expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, type Scope, TestClock } from "effect"
import { eventually } from "./harness.js"
import { around, Greeter, said, type World } from "./nodes.js"

/** `world`: two processes whose storage is empty. */
export const failuresOfNodes = <E>(world: Effect.Effect<World, E, Scope.Scope | Greeter>): void => {
  const check = <E>(title: string, test: Effect.Effect<void, E, Scope.Scope | Greeter>) =>
    it.scoped(title, () => Effect.provide(test, around))

  check(
    "what one stores the other serves, and what one collects the other asks for again",
    Effect.gen(function*() {
      const { a, b } = yield* world
      expect(said(yield* a("/1"))).toEqual(["value 0", "fwd=uri-miss; stored"])
      expect(said(yield* b("/1"))).toEqual(["value 0", "hit; ttl=60"])
      yield* b("/1", { method: "PATCH" })
      expect(said(yield* a("/1"))).toEqual(["value 1", "fwd=uri-miss; stored"])
      yield* a("/group/1")
      expect(said(yield* b("/group/1"))).toEqual(["value 1", "hit; ttl=60"])
      yield* b("/group", { method: "POST" })
      expect(said(yield* a("/group/1"))).toEqual(["value 2", "fwd=uri-miss; stored"])
    })
  )

  check(
    "31: a fill of one that began before a collect by the other stores nothing, for a URI and for a group",
    Effect.gen(function*() {
      const { a, b, late } = yield* world
      for (const [path, write, method] of [["/1", "/1", "PATCH"], ["/group/1", "/group", "POST"]] as const) {
        const { open, reply } = yield* late(path)
        yield* b(write, { method })
        yield* open
        yield* reply
        const fresh = yield* b(path)
        expect(fresh.cacheStatus).toBe("fwd=uri-miss; stored")
        expect((yield* a(path)).text).toBe(fresh.text)
      }
    })
  )

  check(
    "53: who comes after a collect by the other does not join a flight that began before it",
    Effect.gen(function*() {
      const { a, b, late } = yield* world
      const { open, reply } = yield* late("/1")
      yield* b("/1", { method: "PATCH" })
      expect((yield* a("/1")).text).toBe("value 1")
      yield* open
      expect((yield* reply).text).toBe("value 0")
      expect((yield* a("/1")).text).toBe("value 1")
    })
  )

  check(
    "55: a late 304 to one doesn't put an old response in the place of a newer one of the other",
    Effect.gen(function*() {
      const { a, b, database } = yield* world
      yield* a("/validated")
      yield* TestClock.adjust("10 seconds")
      const open = yield* Deferred.make<void>()
      const started = yield* Deferred.make<void>()
      a.gate.wait = Effect.zipRight(Deferred.succeed(started, undefined), Deferred.await(open))
      const late = yield* Effect.fork((yield* a.another)("/validated"))
      yield* Deferred.await(started)
      database.value++
      expect((yield* b("/validated")).text).toBe("value 1")
      yield* Deferred.succeed(open, undefined)
      expect((yield* Fiber.join(late)).text).toBe("value 0")
      a.gate.wait = Effect.void
      expect(said(yield* a("/validated"))).toEqual(["value 1", "hit; ttl=10"])
    })
  )

  check(
    "59: the caller's services are as they were, after a miss and after a hit",
    Effect.gen(function*() {
      const { a, b } = yield* world
      expect([said(yield* a("/context")), said(yield* b("/context")), yield* Greeter]).toEqual([
        ["hello", "fwd=uri-miss; stored"],
        ["hello", "hit; ttl=60"],
        "hello"
      ])
    })
  )

  check(
    "70: what a POST to one answered for a later GET is not stored when the other was written to meanwhile",
    Effect.gen(function*() {
      const { a, b, database } = yield* world
      const open = yield* Deferred.make<void>()
      a.gate.wait = Deferred.await(open)
      const posted = yield* Effect.fork((yield* a.another)("/posted", { method: "POST" }))
      yield* eventually(() => database.value === 1)
      yield* b("/posted", { method: "PUT" })
      yield* Deferred.succeed(open, undefined)
      expect((yield* Fiber.join(posted)).text).toBe("value 1")
      a.gate.wait = Effect.void
      expect((yield* b("/posted")).text).not.toBe("value 1")
    })
  )

  check(
    "73: a flood of collects by one costs the other neither its stores nor its single runs",
    Effect.gen(function*() {
      const { a, b, database, late } = yield* world
      const { open, reply } = yield* late("/page")
      const others = []
      for (let round = 0; round < 3; round++) {
        for (let id = 0; id < 50; id++) yield* b(`/${round}-${id}`, { method: "PATCH" })
        others.push(Fiber.join(yield* Effect.fork((yield* a.another)("/page"))))
      }
      yield* open
      for (const other of [reply, ...others]) expect((yield* other).text).toBe("value 0")
      expect([database.reads, (yield* b("/page")).cacheStatus]).toEqual([1, "hit; ttl=60"])
    })
  )
}
