/** Whose request a refresh is, over a real port, under the TestClock; the numbers are those of the list of failures. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream, TestClock } from "effect"
import { CacheStorage, HttpCache, withCache } from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import { bytes, eventually, isRunning, QuietServer, routes, serve } from "./harness.js"
import { text, world } from "./runs.js"

describe("stale-while-revalidate", () => {
  it.scoped("57: a refresh is nobody's: target, nominated fields and our validators, and nothing of the client", () =>
    Effect.gen(function*() {
      const seen: Array<HttpServerRequest.HttpServerRequest> = []
      const { ask, settled } = yield* world((run, request) => {
        seen.push(request)
        return text(run, {
          "vary": "Accept-Language",
          "etag": `"${run}"`,
          "cache-control": "max-age=10, stale-while-revalidate=60"
        })
      }, { requestDirectives: "ignore" })
      const headers = {
        "accept-language": "fr",
        "cookie": "sid=1",
        "if-none-match": "\"x\"",
        "if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT",
        "range": "bytes=0-1",
        "cache-control": "no-cache, max-age=0",
        "pragma": "no-cache",
        "x-own": "1"
      }
      yield* ask("/?q=1", { headers: { "accept-language": "fr" } })
      yield* TestClock.adjust("10 seconds")
      expect((yield* ask("/?q=1", { method: "HEAD", headers })).cacheStatus).toContain("hit; ttl=0")
      yield* settled
      const { cookies, headers: fields, method, url } = seen[1]!
      expect([method, url, cookies]).toEqual(["GET", "/?q=1", {}])
      expect(Object.keys(fields).sort()).toEqual(["accept-language", "host", "if-none-match"])
      expect([fields["if-none-match"], fields["accept-language"]]).toEqual(["\"1\"", "fr"])
      expect((yield* ask("/?q=1", { headers: { "accept-language": "fr" } })).text).toBe("run 2")
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("57: what the handler reads in a refresh, and was not nominated, selects as absent", () =>
    Effect.gen(function*() {
      const { ask, settled } = yield* world(
        (run, { headers }) => run === 1 ? text(run) : text(run, { "x-saw": headers["x-a"] ?? "nothing" }),
        { expiry: 10, staleWhileRevalidate: 60 }
      )
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      yield* ask("/", { headers: { "x-a": "1" } })
      yield* settled
      expect((yield* ask("/")).headers["x-saw"]).toBe("nothing")
      expect((yield* ask("/", { headers: { "x-a": "1" } })).headers["x-saw"]).toBe("1")
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("57: the source of a refresh is nobody's either, nor is there an address that it comes from", () =>
    Effect.gen(function*() {
      const { ask, settled } = yield* world(
        (run, request) => {
          const source = NodeHttpServerRequest.toIncomingMessage(request)
          const names = source.rawHeaders.filter((_, index) => index % 2 === 0)
          const seen = [source.method, source.headers.cookie, names.join(), request.remoteAddress._tag]
          return text(run, { "x-seen": JSON.stringify(seen), "cache-control": "public" })
        },
        { expiry: 10, staleWhileRevalidate: 60 }
      )
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      yield* ask("/", { headers: { cookie: "sid=1" } })
      yield* settled
      const { headers, text: shown } = yield* ask("/")
      expect([shown, headers["x-seen"]]).toEqual([
        "run 2",
        JSON.stringify(["GET", null, "host,if-none-match", "None"])
      ])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("57: what another partition's response nominated is not taken into everybody's refresh", () =>
    Effect.gen(function*() {
      const partition = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => headers["x-user"]) as never
      const { ask, settled } = yield* world(
        (run, { headers }) =>
          headers["x-user"] === undefined
            ? text(run, { "cache-control": "max-age=10", "x-cart": headers["cookie"] ?? "none" })
            : text(run, { "cache-control": "private, max-age=10", vary: "cookie" }),
        { partition, staleWhileRevalidate: 60 }
      )
      yield* ask("/", { headers: { "x-user": "ada", "cookie": "sid=1" } })
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      yield* ask("/", { headers: { cookie: "cart=1" } })
      yield* settled
      const { headers, text: shown } = yield* ask("/")
      expect([shown, headers["x-cart"]]).toEqual(["run 3", "none"])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("57: a refresh has what names its partition, whatever that reads", () =>
    Effect.gen(function*() {
      const key = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => headers["x-api-key"])
      const { ask, settled } = yield* world(
        (run, { headers }) =>
          text(run, { "x-for": headers["x-api-key"] ?? "nobody", "x-also": headers["x-b"] ?? "none" }),
        { expiry: 10, staleWhileRevalidate: 60, unkeyed: "ignore", partition: key as never }
      )
      const ada = { headers: { "x-api-key": "ada", "x-b": "1" } }
      yield* ask("/", ada)
      yield* TestClock.adjust("10 seconds")
      yield* ask("/", ada)
      yield* settled
      const { headers, text: shown } = yield* ask("/", ada)
      expect([shown, headers["x-for"], headers["x-also"]]).toEqual(["run 2", "ada", "none"])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("57: a refresh beneath is nothing that the handler of a cache above has read", () =>
    Effect.gen(function*() {
      let runs = 0
      const beneath = Effect.suspend(() => text(++runs)).pipe(withCache({ expiry: 10, staleWhileRevalidate: 60 }))
      const above = Effect.map(beneath, ({ status }) => HttpServerResponse.text(`status ${status}`))
      const ask = yield* serve(
        routes({ "GET /": above.pipe(withCache({ expiry: 10, cacheStatus: { detail: true } })) })
      )
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      const { cacheStatus, headers } = yield* ask("/")
      expect([cacheStatus, headers["cache-control"]]).toEqual(["fwd=stale; stored", "max-age=10"])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("57: with a partition a refresh is that user's", () =>
    Effect.gen(function*() {
      const { ask, settled } = yield* world(
        (run, { headers }) => text(run, { "x-for": headers["authorization"] ?? "nobody" }),
        {
          expiry: 10,
          staleWhileRevalidate: 60,
          partition: Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => headers["authorization"]) as never
        }
      )
      const ada = { headers: { authorization: "ada" } }
      yield* ask("/", ada)
      yield* TestClock.adjust("10 seconds")
      yield* ask("/", ada)
      yield* settled
      const hit = yield* ask("/", ada)
      expect([hit.text, hit.headers["x-for"], hit.cacheStatus]).toEqual(["run 2", "ada", "hit; ttl=10"])
    }).pipe(Effect.provide(QuietServer)))
})

describe("a refresh whose body is too large to be stored", () => {
  const large = Stream.make(bytes("x".repeat(80)), bytes("y".repeat(80)))
  const bodies = {
    "a stream": HttpServerResponse.stream(large),
    "a stream that says its length": HttpServerResponse.stream(large, { contentLength: 160 }),
    "bytes": HttpServerResponse.text("x".repeat(160))
  }

  it.scoped.each(Object.entries(bodies))("117: drops what is stored: %s", ([, body]) =>
    Effect.gen(function*() {
      const { ask, ran, settled } = yield* world(
        (run) => run === 1 ? text(run) : Effect.succeed(body),
        { expiry: 10, maxBodyBytes: 100, staleWhileRevalidate: 600 }
      )
      yield* ask("/")
      yield* TestClock.adjust("20 seconds")
      expect((yield* ask("/")).text).toBe("run 1")
      yield* settled
      const reply = yield* ask("/")
      expect([reply.text.length, reply.cacheStatus, ran.times]).toEqual([160, "fwd=uri-miss", 3])
    }).pipe(Effect.provide(QuietServer)))
})

describe("refreshWait", () => {
  /** The first run answers, and later ones once they may; how a request is answered in the meantime. */
  const waitingWith = (options: HttpCache.Options) =>
    Effect.gen(function*() {
      const gates = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const { ask, ran, settled } = yield* world(
        (run) => Effect.zipRight(run === 1 ? Effect.void : Deferred.await(gates[run - 2]!), text(run)),
        { expiry: 10, staleWhileRevalidate: 60, refreshWait: 0.3, ...options }
      )
      yield* ask("/")
      yield* TestClock.adjust("11 seconds")
      const asked = yield* Effect.fork(ask("/"))
      yield* eventually(() => ran.times === 2)
      yield* TestClock.adjust("299 millis")
      expect(isRunning(asked)).toBe(true)
      return { ask, asked, gates, ran, settled }
    })
  const waiting = waitingWith({})

  it.scoped("is answered with what a quick refresh brings", () =>
    Effect.gen(function*() {
      const { ask, asked, gates, ran } = yield* waiting
      yield* Deferred.succeed(gates[0]!, undefined)
      const reply = yield* Fiber.join(asked)
      expect([reply.text, reply.cacheStatus]).toEqual(["run 2", "fwd=stale; collapsed"])
      expect([(yield* ask("/")).cacheStatus, ran.times]).toEqual(["hit; ttl=10", 2])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("is answered with what is stale where the refresh is slow, which goes on and stores", () =>
    Effect.gen(function*() {
      const { ask, asked, gates, ran, settled } = yield* waiting
      yield* TestClock.adjust("1 millis")
      const reply = yield* Fiber.join(asked)
      expect([reply.text, reply.cacheStatus, reply.headers["age"]]).toEqual(["run 1", "hit; ttl=-2", "11"])
      // The next one waits for the same refresh.
      const next = yield* Effect.fork(ask("/"))
      yield* TestClock.adjust("100 millis")
      yield* Deferred.succeed(gates[0]!, undefined)
      yield* settled
      expect([(yield* Fiber.join(next)).text, ran.times]).toEqual(["run 2", 2])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("is answered with nothing that was collected meanwhile", () =>
    Effect.gen(function*() {
      const { ask, asked, gates, ran } = yield* waiting
      yield* ask.another.pipe(Effect.flatMap((ask) => ask("/", { method: "PATCH" })))
      yield* TestClock.adjust("1 millis")
      yield* eventually(() => ran.times === 3)
      yield* Deferred.succeed(gates[1]!, undefined)
      expect((yield* Fiber.join(asked)).text).toBe("run 3")
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("is answered at once with what is stale where as many wait as may, until one of them leaves", () =>
    Effect.gen(function*() {
      // The refresh itself counts, as the request that leads a run does.
      const { ask, asked, gates } = yield* waitingWith({ maxWaiters: 2 })
      const another = yield* ask.another
      expect((yield* another("/")).text).toBe("run 1")
      yield* TestClock.adjust("1 millis")
      expect((yield* Fiber.join(asked)).text).toBe("run 1")
      const next = yield* Effect.fork(ask("/"))
      const storage = yield* CacheStorage.CacheStorage
      yield* eventually(() => activity(storage).waiters === 2)
      expect((yield* another("/")).text).toBe("run 1")
      yield* Deferred.succeed(gates[0]!, undefined)
      expect((yield* Fiber.join(next)).text).toBe("run 2")
    }).pipe(Effect.provide(QuietServer)))
})

describe("a refresh that goes on for itself", () => {
  it.scoped.each<[string, Effect.Effect<HttpServerResponse.HttpServerResponse>]>([
    [
      "has failed after 5 seconds",
      Effect.delay(Effect.succeed(HttpServerResponse.empty({ status: 503 })), "5 seconds")
    ],
    ["is ended at its deadline", Effect.never]
  ])("122: the next one waits after one that %s", ([, failing]) =>
    Effect.gen(function*() {
      const at: Array<readonly [begun: number, ended: number]> = []
      let hasFailed = false
      const now = Effect.clockWith((clock) => clock.currentTimeMillis)
      const run = Effect.gen(function*() {
        if (!hasFailed) return HttpServerResponse.text("run 1")
        const begun = yield* now
        return yield* Effect.ensuring(failing, Effect.map(now, (ended) => void at.push([begun, ended])))
      })
      const ask = yield* serve(
        routes({ "GET /": withCache({ expiry: 1, staleWhileRevalidate: 86400, deadline: 20 })(run) })
      )
      yield* ask("/")
      hasFailed = true
      yield* TestClock.adjust("2 seconds")
      for (let count = 0; count < 80; count++) {
        yield* ask("/")
        yield* TestClock.adjust("1 second")
      }
      const pauses = at.slice(1).map(([begun], count) => begun - at[count]![1])
      expect(pauses.length).toBeGreaterThan(1)
      expect(Math.min(...pauses)).toBeGreaterThanOrEqual(1000)
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("123: none waits for failures from before what it refreshes came, nor counts them", () =>
    Effect.gen(function*() {
      let isDown = false
      const { ask, ran, settled } = yield* world(
        (run) => isDown ? Effect.fail("down") : text(run),
        { expiry: 1, staleWhileRevalidate: 600 }
      )
      const stale = TestClock.adjust("2 seconds").pipe(Effect.andThen(ask("/")), Effect.andThen(settled))
      yield* ask("/")
      isDown = true
      for (let count = 0; count < 40; count++) yield* stale
      isDown = false
      yield* ask("/", { method: "PATCH" })
      yield* ask("/")
      const before = ran.times
      yield* stale
      expect(ran.times).toBe(before + 1)
      yield* ask("/", { method: "PATCH" })
      yield* ask("/")
      isDown = true
      for (let count = 0; count < 2; count++) yield* stale
      expect(ran.times).toBe(before + 4)
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("121: what is said in a refresh is said of no page that was made of the stale response", () =>
    Effect.gen(function*() {
      let runs = 0
      const gate = yield* Deferred.make<void>()
      const refreshed = yield* Deferred.make<void>()
      const part = Effect.gen(function*() {
        if (++runs === 1) return HttpServerResponse.text("run 1")
        yield* HttpCache.noStore
        yield* Deferred.succeed(refreshed, undefined)
        return HttpServerResponse.text("run 2")
      }).pipe(withCache({ expiry: 10, name: "part", staleWhileRevalidate: 600 }))
      const page = Effect.map(part, () =>
        HttpServerResponse.stream(
          Stream.concat(
            Stream.make(bytes("a page")),
            Stream.fromEffect(Effect.as(Deferred.await(gate), bytes(", whole")))
          )
        )).pipe(withCache({ expiry: 60 }))
      const ask = yield* serve(routes({ "GET /part": part, "GET /:id": page }))
      const first = yield* Effect.fork(ask("/1"))
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(first)
      yield* TestClock.adjust("70 seconds")
      const asking = yield* Effect.fork(ask("/1"))
      yield* Deferred.await(refreshed)
      expect((yield* Fiber.join(asking)).text).toBe("a page, whole")
    }).pipe(Effect.provide(QuietServer)))
})
