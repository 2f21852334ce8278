/** What is said where nobody is answered with it: errors that a stale response hides, and what was done with a failure. */
import { HttpServerError, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Data, Deferred, Effect, Fiber, Layer, Stream, TestClock } from "effect"
import { CacheStorage, withCache } from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import { countsOf, eventually, forkAll, isRunning, type Logged, logged, serve, TestServer } from "./harness.js"

/** What is logged at warning level or above. */
const warnings = (list: Array<Logged>) =>
  logged({
    push: (...lines) => list.push(...lines.filter(({ level }) => ["WARN", "ERROR", "FATAL"].includes(level)))
  })

/** How often errors were hidden, by what hid them. */
const hidden = (by: string) =>
  Effect.map(countsOf("effect_http_cache_errors_hidden"), (counts) => counts[`by=${by}`] ?? 0)

class Down extends Data.TaggedError("Down")<{ readonly of: string }> {}

const ok = Effect.succeed(HttpServerResponse.text("fresh"))
const boom = Effect.sync((): HttpServerResponse.HttpServerResponse => {
  throw new Error("the pool is empty")
})

/** The first run answers, the others do what is given. */
const then = <E>(next: Effect.Effect<HttpServerResponse.HttpServerResponse, E>) => {
  let runs = 0
  return Effect.suspend((): Effect.Effect<HttpServerResponse.HttpServerResponse, E> => ++runs === 1 ? ok : next)
}

/** What a request comes to while the clock goes on. */
const answered = <A>(asking: Effect.Effect<A>, step: number) =>
  Effect.gen(function*() {
    const asked = yield* Effect.fork(asking)
    while (isRunning(asked)) {
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* TestClock.adjust(step)
    }
    return yield* Fiber.join(asked)
  })

const failures: ReadonlyArray<
  readonly [string, Effect.Effect<HttpServerResponse.HttpServerResponse, Down>, string, string]
> = [
  ["a defect", boom, "failed with 500", "the pool is empty"],
  ["a typed failure", new Down({ of: "database" }), "failed with 500", "Down"],
  ["an answer", Effect.succeed(HttpServerResponse.empty({ status: 503 })), "answered 503", ""],
  ["a hang", Effect.never, "took longer than its deadline", ""]
]

describe("91: an error that something stale hides", () => {
  it.scoped.each(failures)("in the foreground, each time: %s", ([, next, words, cause]) => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const before = yield* hidden("stale-if-error")
      const ask = yield* serve(then(next).pipe(withCache({ expiry: 10, staleIfError: 600, deadline: 5 })))
      yield* ask("/users/1")
      yield* TestClock.adjust("11 seconds")
      for (const times of [1, 2, 3]) {
        const reply = yield* answered(ask("/users/1"), 100)
        expect([reply.status, reply.text]).toEqual([200, "fresh"])
        expect(log).toHaveLength(times)
        const { level, message: text } = log[times - 1]!
        expect(level).toBe("WARN")
        expect(text).toMatch(/^effect-http-cache: the handler of http:\/\/127.0.0.1:\d+\/users\/1 .*\(staleIfError\)$/)
        expect(text).toContain(` ${words}; `)
        expect(log[times - 1]!.cause).toContain(cause)
        expect((yield* hidden("stale-if-error")) - before).toBe(times)
      }
      if (next === boom) expect(log[0]!.cause).toContain("said.test.ts")
    }).pipe(Effect.provide(Layer.merge(TestServer, warnings(log))))
  })

  it.scoped("by all who waited for it: one line, and each is counted", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const before = yield* hidden("stale-if-error")
      const open = yield* Deferred.make<void>()
      const handler = then(Effect.zipRight(Deferred.await(open), boom))
      const ask = yield* serve(handler.pipe(withCache({ expiry: 10, staleIfError: 600 })))
      yield* ask("/")
      yield* TestClock.adjust("11 seconds")
      const storage = yield* CacheStorage.CacheStorage
      const asked = yield* forkAll(
        yield* Effect.forEach([1, 2, 3, 4], () => Effect.map(ask.another, (another) => another("/")))
      )
      yield* eventually(() => activity(storage).waiters === 4)
      yield* Deferred.succeed(open, undefined)
      expect((yield* Fiber.join(asked)).map(({ status, text }) => [status, text])).toEqual(
        [1, 2, 3, 4].map(() => [200, "fresh"])
      )
      expect(log.map(({ cause }) => cause.includes("the pool is empty"))).toEqual([true])
      expect((yield* hidden("stale-if-error")) - before).toBe(4)
    }).pipe(Effect.provide(Layer.merge(TestServer, warnings(log))))
  })

  it.scoped("by an answer without the cause to those who waited: one line for the run", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const before = yield* hidden("waiting")
      let runs = 0
      const handler = Effect.suspend(() => {
        runs++
        return Effect.zipRight(Effect.sleep("1 second"), boom)
      })
      const ask = yield* serve(handler.pipe(withCache({ expiry: 10 })))
      const storage = yield* CacheStorage.CacheStorage
      const clients = yield* Effect.forEach([1, 2, 3, 4, 5], () => Effect.map(ask.another, (another) => another("/")))
      const asked = yield* forkAll(clients)
      yield* eventually(() => activity(storage).waiters === 5)
      const replies = yield* answered(Fiber.join(asked), 100)
      expect(replies.map(({ status }) => status)).toEqual(Array(5).fill(500))
      expect(runs).toBe(3)
      expect(log.map(({ cause, message }) => [message.replace(/http:\S+/, "/"), cause.includes("the pool is empty")]))
        .toEqual([
          ["effect-http-cache: the handler of / failed with 500; who waited for it is answered without the cause", true]
        ])
      expect((yield* hidden("waiting")) - before).toBe(replies.filter(({ text }) => text !== "").length)
    }).pipe(Effect.provide(Layer.merge(TestServer, warnings(log))))
  })

  const late = Stream.fail(new Error("the disk is gone"))
  const streamed = HttpServerResponse.stream(Stream.concat(Stream.make(new Uint8Array(3)), late))

  it.scoped.each([
    ...failures,
    ["a stream", Effect.sync(() => streamed), "answered with a body that failed", "the disk is gone"] as const,
    ["a refusal", Effect.succeed(HttpServerResponse.empty({ status: 401 })), "answered 401", ""] as const
  ])("in the background, as often as it is tried: %s", ([, next, words, cause]) => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const before = yield* hidden("refresh")
      const ask = yield* serve(
        then<Down>(next).pipe(withCache({ expiry: 10, staleWhileRevalidate: 3600, deadline: 1 }))
      )
      yield* ask("/users/1")
      yield* TestClock.adjust("11 seconds")
      for (const times of [1, 2, 3]) {
        expect((yield* ask("/users/1")).text).toBe("fresh")
        yield* answered(eventually(() => log.length === times), 500)
        expect(log[times - 1]!.message).toMatch(
          /^effect-http-cache: the handler of \S+\/users\/1 .*\(staleWhileRevalidate\)$/
        )
        expect(log[times - 1]!.message).toContain(` ${words}; `)
        expect(log[times - 1]!.cause).toContain(cause)
        // It backs off: for some seconds nobody asks.
        for (let i = 0; i < 5; i++) expect((yield* ask("/users/1")).text).toBe("fresh")
        expect(log).toHaveLength(times)
        expect((yield* hidden("refresh")) - before).toBe(times)
        yield* TestClock.adjust("20 seconds")
      }
    }).pipe(Effect.provide(Layer.merge(TestServer, warnings(log))))
  })

  const answers: ReadonlyArray<
    readonly [string, Effect.Effect<HttpServerResponse.HttpServerResponse, HttpServerError.RouteNotFound>]
  > = [
    ["fresh again", ok],
    ["gone", Effect.succeed(HttpServerResponse.empty({ status: 410 }))],
    ["not found", new HttpServerError.RouteNotFound({ request: HttpServerRequest.fromWeb(new Request("http://a/")) })],
    ["too large", Effect.succeed(HttpServerResponse.stream(Stream.make(new Uint8Array(100))))]
  ]

  it.scoped.each(answers)("and nothing where none is: %s", ([, next]) => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      let runs = 0
      const handler = Effect.ensuring(then(next), Effect.sync(() => runs++))
      const ask = yield* serve(
        handler.pipe(withCache({ expiry: 10, staleWhileRevalidate: 10, staleIfError: 600, maxBodyBytes: 10 }))
      )
      yield* ask("/")
      yield* TestClock.adjust("11 seconds")
      yield* ask("/")
      yield* eventually(() => runs >= 2)
      yield* TestClock.adjust("11 seconds")
      yield* ask("/")
      expect(log.filter(({ message }) => !message.includes("the limit on size"))).toEqual([])
    }).pipe(Effect.provide(Layer.merge(TestServer, warnings(log))))
  })
})
