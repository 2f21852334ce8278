/** Stale answers and refreshes, over a real port, under the TestClock; the numbers are those of the list of failures. */
import { HttpApiSchema, HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer, NodeHttpServerRequest } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Schema, Scope, Stream, TestClock } from "effect"
import { CacheStorage, type HttpCache, InMemoryCacheStorage, withCache, withCollect } from "effect-http-cache"
import * as Http from "node:http"
import * as flights from "../src/internal/flights.js"
import { eventually, type Logged, logged, serve, TestServer } from "./harness.js"

const quiet = Layer.merge(TestServer, logged([]))

type Run = (run: number, request: HttpServerRequest.HttpServerRequest) => Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  unknown,
  Scope.Scope
>

/** A route, how often its handler ran, and a way to wait until nothing runs in the background. */
const world = (run: Run, options: HttpCache.Options) =>
  Effect.gen(function*() {
    const storage = yield* CacheStorage.CacheStorage
    const ran = { times: 0 }
    const handler = Effect.flatMap(
      HttpServerRequest.HttpServerRequest,
      (request) => Effect.suspend(() => run(++ran.times, request))
    )
    const ask = yield* serve(HttpRouter.empty.pipe(
      HttpRouter.get("/", handler.pipe(withCache(options))),
      HttpRouter.patch("/", HttpServerResponse.empty().pipe(withCollect()))
    ))
    const settled = eventually(() => flights.count(storage) === 0)
    return { ask, ran, settled, storage }
  })

const text = (run: number, headers: { readonly [name: string]: string } = {}) =>
  HttpServerResponse.text(`run ${run}`, { headers })

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
    }).pipe(Effect.provide(quiet)))

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
    }).pipe(Effect.provide(quiet)))

  it.scoped("39: who comes after the window waits for the refresh that still runs, and does not end it by leaving", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const { ask, ran, storage } = yield* world(
        (run) => Effect.as(run > 1 ? Deferred.await(gate) : Effect.void, text(run)),
        { expiry: 10, staleWhileRevalidate: 5 }
      )
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      yield* ask("/")
      yield* TestClock.adjust("5 seconds")
      const leaving = Http.get({ agent: false, host: "127.0.0.1", port: ask.port }).on("error", () => {})
      yield* eventually(() => flights.waiting(storage) === 2)
      leaving.destroy()
      yield* eventually(() => flights.waiting(storage) === 1)
      const staying = yield* Effect.fork(ask("/"))
      yield* eventually(() => flights.waiting(storage) === 2)
      yield* Deferred.succeed(gate, undefined)
      const { cacheStatus, text: shown } = yield* staying
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
    }).pipe(Effect.provide(quiet)))

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
        // After the deadline it is time for the next one; where the clock stands still it is not.
        yield* what === "stalls" ? eventually(() => ran.times === 3) : settled
        expect(ran.times).toBe(what === "stalls" ? 3 : 2)
      }).pipe(Effect.provide(quiet))
  )

  it.scoped("39: no more than a hundred refreshes run at once, which is logged once", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const most = 100
      const { ask, ran, settled } = yield* world(
        (run) => Effect.as(run > most + 2 ? Deferred.await(gate) : Effect.void, text(run)),
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
      const { cookies, headers: fields, method, originalUrl } = seen[1]!
      expect([method, originalUrl, cookies]).toEqual(["GET", "/?q=1", {}])
      expect(Object.keys(fields).sort()).toEqual(["accept-language", "host", "if-none-match"])
      expect([fields["if-none-match"], fields["accept-language"]]).toEqual(["\"1\"", "fr"])
      expect((yield* ask("/?q=1", { headers: { "accept-language": "fr" } })).text).toBe("run 2")
    }).pipe(Effect.provide(quiet)))

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
    }).pipe(Effect.provide(quiet)))

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
    }).pipe(Effect.provide(quiet)))

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
    }).pipe(Effect.provide(quiet)))

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
    }).pipe(Effect.provide(quiet)))

  it.scoped("57: a refresh beneath is nothing that the handler of a cache above has read", () =>
    Effect.gen(function*() {
      let runs = 0
      const beneath = Effect.sync(() => text(++runs)).pipe(withCache({ expiry: 10, staleWhileRevalidate: 60 }))
      const above = Effect.map(beneath, ({ status }) => HttpServerResponse.text(`status ${status}`))
      const ask = yield* serve(
        HttpRouter.empty.pipe(
          HttpRouter.get("/", above.pipe(withCache({ expiry: 10, cacheStatus: { detail: true } })))
        )
      )
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      const { cacheStatus, headers } = yield* ask("/")
      expect([cacheStatus, headers["cache-control"]]).toEqual(["fwd=stale; stored", "max-age=10"])
    }).pipe(Effect.provide(quiet)))

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
    }).pipe(Effect.provide(quiet)))

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
    }).pipe(Effect.provide(quiet)))

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
      }).pipe(Effect.provide(quiet))
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
    }).pipe(Effect.provide(quiet)))

  it.scoped("when the layer's scope has closed no refresh runs", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const storages = yield* Layer.buildWithScope(InMemoryCacheStorage.layerCollectable, scope)
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
      expect([flights.count(storage), (yield* ask("/")).text]).toEqual([0, "run 1"])
      yield* TestClock.adjust("30 seconds")
      yield* ask("/")
      expect(ran.times).toBe(2)
    }).pipe(Effect.provide(Layer.merge(NodeHttpServer.layerTest, logged([])))))
})

class Gone extends Schema.TaggedError<Gone>()("Gone", {}, HttpApiSchema.annotations({ status: 410 })) {}

describe("stale-if-error", () => {
  const failures: { readonly [what: string]: Effect.Effect<HttpServerResponse.HttpServerResponse, unknown> } = {
    "a typed failure": Effect.fail("down"),
    "a defect": Effect.die(new Error("bug")),
    "a failure that is a 503": Effect.fail(HttpServerResponse.empty({ status: 503 })),
    "an answered 502": HttpServerResponse.empty({ status: 502 })
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
      }).pipe(Effect.provide(quiet))
  )

  it.scoped("31: what was collected while the handler ran does not stand in for its error", () =>
    Effect.gen(function*() {
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
      expect((yield* other("/", { method: "PATCH" })).status).toBe(204)
      yield* Deferred.succeed(gate, undefined)
      const { status, text: shown } = yield* asked
      expect([status, shown]).toEqual([503, "down"])
    }).pipe(Effect.provide(quiet)))

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
      const { status, text: shown } = yield* asked
      expect([status, shown]).toEqual([200, "run 3"])
    }).pipe(Effect.provide(quiet)))

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
      const stale = yield* asked
      expect([stale.text, stale.cacheStatus]).toEqual(["run 1", "fwd=stale; fwd-status=504"])
    }).pipe(Effect.provide(quiet)))

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
      }).pipe(Effect.provide(quiet))
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
    }).pipe(Effect.provide(quiet)))
})
