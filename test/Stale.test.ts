/** Stale answers and refreshes, over a real port, under the TestClock; the numbers are those of the list of failures. */
import { HttpApiSchema, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Schema, Scope, Stream, TestClock } from "effect"
import { InMemoryCacheStorage } from "effect-http-cache"
import { activity, Faults, type Faulty, layerFaulty, layerReadOnly } from "effect-http-cache/testing"
import * as Http from "node:http"
import { type Ask, eventually, FaultyServer, type Logged, logged, QuietServer, TestServer } from "./harness.js"
import { text, world } from "./runs.js"

describe("stale-while-revalidate", () => {
  it.scoped("is served at once and refreshed once, through every edge of its window", () =>
    Effect.gen(function*() {
      const { ask, ran, settled } = yield* world((run) => text(run), { expiry: 10, staleWhileRevalidate: 5 })
      yield* ask("/")
      yield* TestClock.adjust("9999 millis")
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=0")
      yield* TestClock.adjust("1 millis")
      const stale = yield* ask("/")
      expect([stale.text, stale.cacheStatus]).toEqual(["run 1", "hit; ttl=0"])
      yield* settled
      const refreshed = yield* ask("/")
      expect([refreshed.text, refreshed.cacheStatus, ran.times]).toEqual(["run 2", "hit; ttl=10", 2])
      yield* TestClock.adjust("14999 millis")
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=-5")
      yield* settled
      yield* TestClock.adjust("15 seconds")
      const late = yield* ask("/")
      expect([late.text, late.cacheStatus]).toEqual(["run 4", "fwd=stale; stored"])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("39: one refresh runs, with a scope of its own; stale answers do not wait for it", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const open = { connections: 0, wasClosed: false }
      const { ask, ran, settled } = yield* world((run) =>
        Effect.gen(function*() {
          yield* Effect.acquireRelease(
            Effect.sync(() => open.connections++),
            () => Effect.sync(() => open.connections--)
          )
          if (run > 1) yield* Deferred.await(gate)
          open.wasClosed ||= open.connections === 0
          return yield* text(run)
        }), { expiry: 10, staleWhileRevalidate: 60 })
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      for (let times = 0; times < 5; times++) expect((yield* ask("/")).text).toBe("run 1")
      yield* eventually(() => ran.times === 2)
      yield* Deferred.succeed(gate, undefined)
      yield* settled
      expect((yield* ask("/")).text).toBe("run 2")
      expect([ran.times, open.wasClosed]).toEqual([2, false])
      yield* eventually(() => open.connections === 0)
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("39: who comes after the window waits for the refresh that still runs, and does not end it by leaving", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { ask, ran, storage } = yield* world(
        (run) => Effect.andThen(run > 1 ? Deferred.await(gate) : Effect.void, text(run)),
        { expiry: 10, staleWhileRevalidate: 5 }
      )
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      yield* ask("/")
      yield* TestClock.adjust("5 seconds")
      const leaving = Http.get({ agent: false, host: "127.0.0.1", port: ask.port }).on("error", () => {})
      yield* eventually(() => activity(storage).waiters === 2)
      leaving.destroy()
      yield* eventually(() => activity(storage).waiters === 1)
      const staying = yield* Effect.fork(ask("/"))
      yield* eventually(() => activity(storage).waiters === 2)
      yield* Deferred.succeed(gate, undefined)
      const { cacheStatus, text: shown } = yield* Fiber.join(staying)
      expect([shown, cacheStatus, ran.times, log]).toEqual(["run 2", "fwd=stale; collapsed", 2, []])
    }).pipe(Effect.provide(Layer.merge(TestServer, logged(log))))
  })

  it.scoped("39: a refresh that fails keeps what is stale, and the next waits longer each time", () =>
    Effect.gen(function*() {
      const { ask, ran, settled } = yield* world(
        (run) => run === 1 ? text(run) : Effect.fail("down"),
        { expiry: 10, staleWhileRevalidate: 3600 }
      )
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      const after = (seconds: number) =>
        Effect.gen(function*() {
          yield* TestClock.adjust(`${seconds} seconds`)
          expect((yield* ask("/")).text).toBe("run 1")
          yield* settled
          return ran.times
        })
      expect(yield* Effect.forEach([0, 0, 1, 1, 1, 3, 1], after)).toEqual([2, 2, 3, 3, 4, 4, 5])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped.each([["stalls", Stream.never], ["fails", Stream.fail("disk")]] as const)(
    "39: a refresh whose stream %s ends, and the next one waits",
    ([what, rest]) =>
      Effect.gen(function*() {
        const { ask, ran, settled } = yield* world(
          (run) =>
            run === 1
              ? text(run)
              : Effect.succeed(HttpServerResponse.stream(Stream.concat(Stream.make(new Uint8Array(1)), rest))),
          { expiry: 10, staleWhileRevalidate: 3600, deadline: 5 }
        )
        yield* ask("/")
        yield* TestClock.adjust("10 seconds")
        yield* ask("/")
        yield* eventually(() => ran.times === 2)
        if (what === "stalls") yield* TestClock.adjust("5 seconds")
        yield* settled
        for (let times = 0; times < 3; times++) expect((yield* ask("/")).text).toBe("run 1")
        yield* settled
        expect(ran.times).toBe(2)
        yield* TestClock.adjust("1 second")
        expect((yield* ask("/")).text).toBe("run 1")
        yield* eventually(() => ran.times === 3)
      }).pipe(Effect.provide(QuietServer))
  )

  it.scoped("39: no more than a hundred refreshes run at once, which is logged once", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const most = 100
      const { ask, ran, settled } = yield* world(
        (run) => Effect.andThen(run > most + 2 ? Deferred.await(gate) : Effect.void, text(run)),
        { expiry: 10, staleWhileRevalidate: 60 }
      )
      const paths = Array.from({ length: most + 2 }, (_, at) => `/?page=${at}`)
      for (const path of paths) yield* ask(path)
      yield* TestClock.adjust("10 seconds")
      for (const path of paths) expect((yield* ask(path)).cacheStatus).toBe("hit; ttl=0")
      yield* eventually(() => ran.times === 2 * most + 2)
      expect(log.filter(({ message }) => message.includes("the limit on refreshes"))).toHaveLength(1)
      yield* Deferred.succeed(gate, undefined)
      yield* settled
      expect((yield* ask(paths.at(-1)!)).cacheStatus).toBe("hit; ttl=0")
      yield* eventually(() => ran.times === 2 * most + 3)
    }).pipe(Effect.provide(Layer.merge(TestServer, logged(log))))
  })

  it.scoped("31: a collect while a refresh runs is stronger than what the refresh brings", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { ask, ran, settled } = yield* world(
        (run) => run === 2 ? Effect.zipRight(Deferred.await(gate), text(run)) : text(run),
        { expiry: 10, staleWhileRevalidate: 60 }
      )
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      yield* ask("/")
      yield* eventually(() => ran.times === 2)
      yield* ask("/", { method: "PATCH" })
      yield* Deferred.succeed(gate, undefined)
      yield* settled
      expect((yield* ask("/")).text).toBe("run 3")
    }).pipe(Effect.provide(QuietServer)))

  it.scoped.each(["no-cache", "must-revalidate", "proxy-revalidate", "s-maxage=10"])(
    "48: %s in the response's own fields forbids it",
    (directive) =>
      Effect.gen(function*() {
        const own = `max-age=10, stale-while-revalidate=60, stale-if-error=60, ${directive}`
        const { ask } = yield* world(
          (run) => run === 1 ? text(run, { "cache-control": own }) : Effect.fail("down"),
          { expiry: 10, staleWhileRevalidate: 60, staleIfError: 60, requestDirectives: "honor" }
        )
        yield* ask("/")
        yield* TestClock.adjust("10 seconds")
        expect((yield* ask("/", { headers: { "cache-control": "max-stale" } })).status).toBe(500)
      }).pipe(Effect.provide(QuietServer))
  )

  it.scoped("48: the route's own sharedExpiry does not forbid it", () =>
    Effect.gen(function*() {
      const { ask, settled } = yield* world((run) => text(run), {
        expiry: 5,
        sharedExpiry: 10,
        staleWhileRevalidate: 60
      })
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=0")
      yield* settled
    }).pipe(Effect.provide(QuietServer)))

  const layers: { readonly [name: string]: typeof InMemoryCacheStorage.layerCollectable } = {
    "in memory": InMemoryCacheStorage.layerCollectable,
    "that fails when it is told to": layerFaulty,
    "whose bodies are read-only": layerReadOnly
  }

  it.scoped.each(Object.entries(layers))(
    "when the scope of a storage %s has closed no refresh runs",
    ([, layer]) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const storages = yield* Layer.buildWithScope(layer, scope)
        const interrupted = yield* Deferred.make<void>()
        const { ask, ran, storage } = yield* world(
          (run) =>
            run === 1 ? text(run) : Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined)),
          { expiry: 10, staleWhileRevalidate: 60 }
        ).pipe(Effect.provide(storages))
        yield* ask("/")
        yield* TestClock.adjust("10 seconds")
        yield* ask("/")
        yield* eventually(() => ran.times === 2)
        yield* Scope.close(scope, Exit.void)
        yield* Deferred.await(interrupted)
        expect([activity(storage).flights, (yield* ask("/")).text]).toEqual([0, "run 1"])
        yield* TestClock.adjust("30 seconds")
        yield* ask("/")
        expect(ran.times).toBe(2)
      }).pipe(Effect.provide(Layer.merge(NodeHttpServer.layerTest, logged([]))))
  )
})

class Gone extends Schema.TaggedError<Gone>()("Gone", {}, HttpApiSchema.annotations({ status: 410 })) {}

describe("stale-if-error", () => {
  const failures: { readonly [what: string]: Effect.Effect<HttpServerResponse.HttpServerResponse, unknown> } = {
    "a typed failure": Effect.fail("down"),
    "a defect": Effect.die(new Error("bug")),
    "a failure that is a 503": Effect.fail(HttpServerResponse.empty({ status: 503 })),
    "an answered 502": Effect.succeed(HttpServerResponse.empty({ status: 502 }))
  }

  it.scoped.each(Object.keys(failures))(
    "56: %s: what is stale stands in, through the edge of the window",
    (what) =>
      Effect.gen(function*() {
        const { ask } = yield* world((run) => run === 1 ? text(run) : failures[what]!, { expiry: 10, staleIfError: 5 })
        yield* ask("/")
        yield* TestClock.adjust("10 seconds")
        const status = what.endsWith("503") ? 503 : what.endsWith("502") ? 502 : 500
        const stale = yield* ask("/")
        expect([stale.text, stale.cacheStatus]).toEqual(["run 1", `fwd=stale; fwd-status=${status}`])
        yield* TestClock.adjust("4999 millis")
        expect((yield* ask("/")).text).toBe("run 1")
        yield* TestClock.adjust("1 millis")
        expect((yield* ask("/")).status).toBe(status)
      }).pipe(Effect.provide(QuietServer))
  )

  it.scoped("56: with errorBackOff the handler is not asked again for a while, but by who wants it asked", () =>
    Effect.gen(function*() {
      const { ask, ran } = yield* world(
        (run) => run === 1 ? text(run) : Effect.fail("down"),
        { expiry: 10, staleIfError: 60, errorBackOff: 5, requestDirectives: "honor" }
      )
      const outcomes: Array<readonly [status: number, cacheStatus: string, runs: number]> = []
      const asks = (headers: Record<string, string> = {}) =>
        Effect.map(ask("/", { headers }), ({ cacheStatus, status }) => outcomes.push([status, cacheStatus, ran.times]))
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      yield* asks()
      yield* TestClock.adjust("4999 millis")
      yield* asks()
      yield* asks({ "cache-control": "no-cache" })
      yield* TestClock.adjust("1 millis")
      yield* asks()
      yield* asks()
      yield* ask("/", { method: "PATCH" })
      yield* asks()
      expect(outcomes).toEqual([
        [200, "fwd=stale; fwd-status=500", 2],
        [200, "hit; ttl=-5", 2],
        [500, "fwd=request", 3],
        [200, "fwd=stale; fwd-status=500", 4],
        [200, "hit; ttl=-5", 4],
        [500, "fwd=uri-miss", 5]
      ])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped.each<[string, Ask]>([
    ["a request that wants it asked", { headers: { "cache-control": "no-cache" } }],
    ["one after a collect", { method: "PATCH" }]
  ])("123: errorBackOff is over once the handler has answered %s", ([, first]) =>
    Effect.gen(function*() {
      const { ask } = yield* world(
        (run) => run === 2 ? Effect.fail("down") : text(run),
        { expiry: 1, staleIfError: 60, errorBackOff: 30, requestDirectives: "honor" }
      )
      yield* ask("/")
      yield* TestClock.adjust("2 seconds")
      expect((yield* ask("/")).cacheStatus).toBe("fwd=stale; fwd-status=500")
      yield* ask("/", first)
      expect((yield* ask("/")).text).toBe("run 3")
      yield* TestClock.adjust("2 seconds")
      const reply = yield* ask("/")
      expect([reply.text, reply.cacheStatus]).toEqual(["run 4", "fwd=stale; stored"])
    }).pipe(Effect.provide(QuietServer)))

  /** What the storage does when it is collected, and when the handler has failed. */
  const faults: ReadonlyArray<readonly [what: string, write: Partial<Faulty>, end: Partial<Faulty>]> = [
    ["", {}, {}],
    [", where the storage could not be told", { collect: "fail" }, {}],
    [", where the storage has failed since then", {}, { get: "fail" }]
  ]

  it.scoped.each(faults)(
    "31, 54: what was collected while the handler ran does not stand in for its error%s",
    ([, write, end]) =>
      Effect.gen(function*() {
        const { switch: to } = yield* Faults
        const gate = yield* Deferred.make<void>()
        const { ask, ran } = yield* world(
          (run) =>
            run === 1
              ? text(run)
              : Effect.as(Deferred.await(gate), HttpServerResponse.text("down", { status: 503 })),
          { expiry: 10, staleIfError: 60 }
        )
        yield* ask("/")
        yield* TestClock.adjust("10 seconds")
        const other = yield* ask.another
        const asked = yield* Effect.fork(ask("/"))
        yield* eventually(() => ran.times === 2)
        yield* to(write)
        expect((yield* other("/", { method: "PATCH" })).status).toBe(204)
        yield* to(end)
        yield* Deferred.succeed(gate, undefined)
        const { status, text: shown } = yield* Fiber.join(asked)
        expect([status, shown]).toEqual([503, "down"])
      }).pipe(Effect.provide(Layer.merge(FaultyServer, logged([]))))
  )

  it.scoped("56: what has been freshened while the handler ran stands in for its error", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { ask, ran } = yield* world(
        (run) =>
          run === 2
            ? Effect.as(Deferred.await(gate), HttpServerResponse.text("down", { status: 503 }))
            : text(run),
        { expiry: 10, staleIfError: 60, requestDirectives: "honor" }
      )
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      const other = yield* ask.another
      const asked = yield* Effect.fork(ask("/"))
      yield* eventually(() => ran.times === 2)
      expect((yield* other("/", { headers: { "cache-control": "no-cache" } })).text).toBe("run 3")
      yield* Deferred.succeed(gate, undefined)
      const { status, text: shown } = yield* Fiber.join(asked)
      expect([status, shown]).toEqual([200, "run 3"])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("56: a handler that hangs: what is stale stands in at the deadline", () =>
    Effect.gen(function*() {
      const { ask, ran } = yield* world(
        (run) => run === 1 ? text(run) : Effect.never,
        { expiry: 10, staleIfError: 60, deadline: 5 }
      )
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      const asked = yield* Effect.fork(ask("/"))
      yield* eventually(() => ran.times === 2)
      yield* TestClock.adjust("5 seconds")
      const stale = yield* Fiber.join(asked)
      expect([stale.text, stale.cacheStatus]).toEqual(["run 1", "fwd=stale; fwd-status=504"])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped.each<[number, string]>([[404, "forgets"], [410, "forgets"], [403, "keeps"]])(
    "56: a typed %s within the window is an answer, and %s what is stored",
    ([status, what]) =>
      Effect.gen(function*() {
        const { ask } = yield* world(
          (run) => run === 1 ? text(run) : Effect.fail(run === 2 ? HttpServerResponse.empty({ status }) : "down"),
          { expiry: 10, staleIfError: 60 }
        )
        yield* ask("/")
        yield* TestClock.adjust("10 seconds")
        expect((yield* ask("/")).status).toBe(status)
        const after = yield* ask("/")
        expect([after.status, after.text]).toEqual(what === "keeps" ? [200, "run 1"] : [500, ""])
      }).pipe(Effect.provide(QuietServer))
  )

  it.scoped("56: an error of an HttpApi has the status of its schema, and is an answer too", () =>
    Effect.gen(function*() {
      const { ask } = yield* world(
        (run) => run === 1 ? text(run) : Effect.fail(run === 2 ? new Gone() : "down"),
        { expiry: 10, staleIfError: 60 }
      )
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      // A plain route has no other answer to it than a 500; what is stale has not stood in, and is forgotten.
      expect([(yield* ask("/")).text, (yield* ask("/")).text]).toEqual(["", ""])
    }).pipe(Effect.provide(QuietServer)))
})
