/** Who waits for whom, for what, and for how long. The numbers are those of docs/failures.md. */
import { HttpLayerRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, identity, Layer, Scope, TestClock } from "effect"
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
import * as Http from "node:http"
import {
  type Ask,
  client,
  counted,
  countsOf,
  eventually,
  FaultyServer,
  isRunning,
  type Logged,
  logged,
  QuietServer,
  routes,
  serve,
  still
} from "./harness.js"

const Request = HttpServerRequest.HttpServerRequest

/** So many clients of their own ask at once; the handlers that run are let go on once all of them wait or run. */
const crowd = (
  handler: (
    run: number
  ) => Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest>,
  asks: ReadonlyArray<Ask>,
  options: HttpCache.Options = { expiry: 60 }
) =>
  Effect.gen(function*() {
    let runs = 0
    let open = 0
    const gates: Array<Deferred.Deferred<void>> = []
    const gated = Effect.suspend(() => {
      const run = ++runs
      const gate = Effect.runSync(Deferred.make<void>())
      gates.push(gate)
      return Effect.zipRight(Deferred.await(gate), handler(run))
    })
    const storage = yield* CacheStorage.CacheStorage
    const ask = yield* serve(gated.pipe(withCache(options)))
    const clients = []
    const settled = still(() => runs + activity(storage).waiters, 200)
    for (const each of asks) {
      clients.push(yield* Effect.fork((yield* ask.another)("/", each)))
      yield* eventually(() => runs > 0)
    }
    // Once nobody comes any more, one handler after the other.
    while (clients.some((client) => isRunning(client))) {
      yield* settled
      while (open < gates.length) yield* Deferred.succeed(gates[open++]!, undefined)
    }
    const replies = yield* Effect.forEach(clients, Fiber.join)
    return { runs, replies }
  })

describe("86: who may wait", () => {
  const many = (ask: Ask) => Array.from({ length: 20 }, () => ask)
  const page = () => Effect.succeed(HttpServerResponse.text("page"))

  it.scoped("a server that was started within a span: its trace is nobody's own", () =>
    Effect.gen(function*() {
      const { replies, runs } = yield* crowd(page, many({}))
      expect([runs, new Set(replies.map(({ text }) => text))]).toEqual([1, new Set(["page"])])
    }).pipe(Effect.withSpan("main"), Effect.provide(QuietServer)))

  it.scoped("one traceparent for all, as a proxy in front may send it", () =>
    Effect.gen(function*() {
      const traceparent = `00-${"1".repeat(32)}-${"2".repeat(16)}-01`
      const { runs } = yield* crowd(page, many({ headers: { traceparent } }))
      expect(runs).toBe(1)
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("a leader with Authorization costs the others one run more", () =>
    Effect.gen(function*() {
      const { replies, runs } = yield* crowd(page, [{ headers: { authorization: "Bearer ada" } }, ...many({})])
      expect([runs, replies.every(({ status }) => status === 200)]).toEqual([2, true])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("one 406 does not make all others ask for themselves", () =>
    Effect.gen(function*() {
      const negotiated = () =>
        Effect.map(Request, ({ headers }) =>
          headers["accept"] === "x/y"
            ? HttpServerResponse.empty({ status: 406 })
            : HttpServerResponse.text("page"))
      const { replies, runs } = yield* crowd(negotiated, [{ headers: { accept: "x/y" } }, ...many({})])
      expect([runs, replies.filter(({ status }) => status === 200).length]).toEqual([2, 20])
    }).pipe(Effect.provide(QuietServer)))
})

describe("87: at SIGTERM requests in flight are answered", () => {
  type Handler = Effect.Effect<HttpServerResponse.HttpServerResponse>

  const slow = (gate: Deferred.Deferred<void>): Handler =>
    Effect.as(Deferred.await(gate), HttpServerResponse.text("whole"))

  const world = (region: (handler: Handler) => Handler = identity) =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      const storages = yield* Layer.buildWithScope(InMemoryCacheStorage.layerCollectable, scope)
      const ask = yield* Effect.provide(
        serve(region(slow(gate)).pipe(withCache({ expiry: 60, deadline: "1 day" }))),
        storages
      )
      const storage = Context.get(storages, CacheStorage.CacheStorage)
      const clients = [yield* Effect.fork(ask("/")), yield* Effect.fork((yield* ask.another)("/"))]
      yield* eventually(() => activity(storage).waiters === 2)
      return { clients, close: Scope.close(scope, Exit.void), gate, storage }
    })

  it.scoped("a run that somebody waits for ends, where the storage closes first", () =>
    Effect.gen(function*() {
      const { clients, close, gate } = yield* world()
      const closing = yield* Effect.fork(close)
      yield* TestClock.adjust("1 second")
      yield* Deferred.succeed(gate, undefined)
      for (const client of clients) expect((yield* Fiber.join(client)).status).toBe(200)
      yield* Fiber.join(closing)
    }).pipe(Effect.provide(Layer.merge(NodeHttpServer.layerTest, logged([])))))

  it.scoped("209: what can't be waited for is a 503, and no error of its handler", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const errors = countsOf("effect_http_cache_errors_hidden")
      const before = yield* errors
      const { clients, close } = yield* world()
      const closing = yield* Effect.fork(close)
      while (clients.some((client) => isRunning(client))) {
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        yield* TestClock.adjust("1 second")
      }
      for (const client of clients) expect((yield* Fiber.join(client)).status).toBe(503)
      yield* Fiber.join(closing)
      expect(log.filter(({ message }) => message.includes("the handler of"))).toEqual([])
      expect(yield* errors).toEqual(before)
    }).pipe(Effect.provide(Layer.merge(NodeHttpServer.layerTest, logged(log))))
  })

  it.scoped("113: what can't be interrupted either is a 503", () =>
    Effect.gen(function*() {
      const { clients, close, gate } = yield* world(Effect.uninterruptible)
      const closing = yield* Effect.fork(close)
      for (const client of clients) expect((yield* Fiber.join(client)).status).toBe(503)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(closing)
    }).pipe(Effect.provide(Layer.merge(NodeHttpServer.layerTest, logged([])))))

  const hanging = [["GET", "get"], ["HEAD", "begin"], ["PATCH", "collect"]] as const

  it.scoped.each(hanging)(
    "113: a %s that waits for %s of a storage that hangs goes on",
    ([method, hangs]) =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        let calls = 0
        const hang = Effect.suspend(() => (calls++, Effect.never))
        const storage = { ...InMemoryCacheStorage.make(), [hangs]: () => hang }
        const storages = yield* Layer.buildWithScope(CollectableCacheStorage.layer(Effect.succeed(storage)), scope)
        const app = method === "PATCH" ? counted().pipe(withCollect()) : counted().pipe(withCache({ expiry: 60 }))
        const ask = yield* Effect.provide(serve(app), storages)
        const client = yield* Effect.fork(ask("/", { method }))
        yield* eventually(() => calls > 0)
        yield* Scope.close(scope, Exit.void)
        while (isRunning(client)) yield* Effect.zipRight(still(() => 0), TestClock.adjust("1 second"))
        expect((yield* Fiber.join(client)).status).toBe(200)
      }).pipe(Effect.provide(Layer.merge(NodeHttpServer.layerTest, logged([]))))
  )

  it.scoped("a request that comes after the storage has closed is answered", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const storages = yield* Layer.buildWithScope(InMemoryCacheStorage.layerCollectable, scope)
      const ask = yield* Effect.provide(serve(counted().pipe(withCache({ expiry: 60 }))), storages)
      yield* Scope.close(scope, Exit.void)
      expect((yield* ask("/")).status).toBe(200)
    }).pipe(Effect.provide(NodeHttpServer.layerTest)))
})

describe("89: one key that a storage can't bear", () => {
  /** Every key but one works. */
  const picky = (method: "get" | "collect") =>
    CollectableCacheStorage.layer(
      Effect.map(Layer.build(Layer.fresh(InMemoryCacheStorage.layerCollectable)), (context) => {
        const memory = Context.get(context, CollectableCacheStorage.CollectableCacheStorage)
        const fails = (key: string) =>
          new CacheError.CacheStorageError({ storage: "picky", method, key, cause: "this one not" })
        return {
          ...memory,
          get: (lookup) => method === "get" && lookup.key.includes("/bad") ? fails(lookup.key) : memory.get(lookup),
          collect: (names) => {
            const bad = names.keys.find((key) => key.includes("/bad"))
            return method === "collect" && bad !== undefined ? fails(bad) : memory.collect(names)
          }
        }
      })
    )

  const app = routes({
    "GET /:id": counted().pipe(withCache({ expiry: 3600 })),
    "PATCH /:id": Effect.succeed(HttpServerResponse.empty()).pipe(withCollect())
  })

  it.scoped("that it can't get: the others hit, also a minute later", () =>
    Effect.gen(function*() {
      const ask = yield* serve(app)
      yield* ask("/good")
      for (let second = 0; second < 60; second++) {
        expect((yield* ask("/bad")).cacheStatus).toBe("fwd=miss")
        if (second % 10 === 9) expect((yield* ask("/good")).cacheStatus).toMatch(/^hit/)
        yield* TestClock.adjust("1 second")
      }
    }).pipe(Effect.provide(picky("get")), Effect.provide(QuietServer)))

  it.scoped("that it can't get: after one who tries it again has left, it takes one failure to leave it alone", () => {
    const memory = InMemoryCacheStorage.make()
    const bad = { calls: 0, hangs: false, left: false }
    const storage: CollectableCacheStorage.Service = {
      ...memory,
      get: (lookup) => {
        if (!lookup.key.endsWith("/bad")) return memory.get(lookup)
        bad.calls++
        return bad.hangs
          ? Effect.onInterrupt(Effect.never, () => Effect.sync(() => bad.left = true))
          : Effect.fail(
            new CacheError.CacheStorageError({
              storage: "picky",
              method: "get",
              key: lookup.key,
              cause: "this one not"
            })
          )
      }
    }
    return Effect.gen(function*() {
      yield* TestClock.setTime(Date.parse("2026-01-01T00:00:00Z"))
      const ask = yield* serve(app)
      for (const _ of [1, 2, 3, 4]) yield* ask("/bad")
      expect(bad.calls).toBe(3)
      yield* TestClock.adjust("10 seconds")
      bad.hangs = true
      const leaving = Http.get({ port: ask.port, host: "127.0.0.1", path: "/bad" }).on("error", () => {})
      yield* eventually(() => bad.calls === 4)
      leaving.destroy()
      yield* eventually(() => bad.left)
      bad.hangs = false
      yield* ask("/good")
      for (const _ of [1, 2, 3]) yield* ask("/bad")
      expect(bad.calls).toBe(5)
    }).pipe(Effect.provide(CollectableCacheStorage.layer(Effect.succeed(storage))), Effect.provide(QuietServer))
  })

  it.scoped("that it can't collect: the others hit and are collected, that one is not served", () =>
    Effect.gen(function*() {
      const ask = yield* serve(app)
      for (const path of ["/good", "/bad"]) yield* ask(path)
      for (let second = 0; second < 40; second++) {
        yield* ask("/bad", { method: "PATCH" })
        expect((yield* ask("/bad")).cacheStatus).toBe("fwd=miss")
        if (second % 10 === 5) {
          yield* ask("/good", { method: "PATCH" })
          expect((yield* ask("/good")).cacheStatus).toBe("fwd=uri-miss; stored")
          expect((yield* ask("/good")).cacheStatus).toMatch(/^hit/)
        }
        yield* TestClock.adjust("1 second")
      }
    }).pipe(Effect.provide(picky("collect")), Effect.provide(QuietServer)))

  it.scoped("two thousand undelivered collects are delivered beside the requests", () =>
    Effect.gen(function*() {
      const faults = yield* Faults
      const ask = yield* serve(app)
      yield* ask("/good")
      yield* faults.switch({ collect: "fail" })
      const uris = Array.from({ length: 2000 }, (_, at) => `http://127.0.0.1:${ask.port}/${at}`)
      yield* Effect.flip(HttpCache.collectAll(uris))
      yield* faults.switch({ collect: { delay: 20 } })
      yield* TestClock.adjust("10 seconds")
      // Nobody has to wait for a clock that stands still.
      expect((yield* ask("/good")).cacheStatus).toMatch(/^hit/)
      const before = (yield* faults.calls).collect
      yield* TestClock.adjust("1 second")
      yield* eventually(() => Effect.runSync(faults.calls).collect > before)
    }).pipe(Effect.provide(Layer.merge(FaultyServer, logged([])))))

  it.scoped("who tries a broken storage again and leaves costs the next one nothing", () =>
    Effect.gen(function*() {
      const faults = yield* Faults
      const ask = yield* serve(app)
      yield* faults.switch({ get: "fail" })
      for (const path of ["/a", "/b", "/c"]) yield* ask(path)
      yield* TestClock.adjust("10 seconds")
      yield* faults.switch({ get: "hang" })
      const { get } = yield* faults.calls
      const leaving = Http.get({ port: ask.port, host: "127.0.0.1", path: "/d" }).on("error", () => {})
      yield* eventually(() => Effect.runSync(faults.calls).get > get)
      leaving.destroy()
      yield* Effect.promise(() => new Promise((resolve) => leaving.on("close", resolve)))
      yield* faults.switch({ get: "work" })
      // The server learns a while later that the client has left.
      const seen: Array<string> = []
      while (!seen.includes("stored")) {
        seen.push((yield* ask("/e")).cacheStatus.includes("stored") ? "stored" : "missed")
        expect(seen.length).toBeLessThan(100)
      }
      expect((yield* ask("/e")).cacheStatus).toMatch(/^hit/)
    }).pipe(Effect.provide(Layer.merge(FaultyServer, logged([])))))
})

it.scoped("223: a route that is not to be interrupted goes on when its client has left", () =>
  Effect.gen(function*() {
    const [begun, goesOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
    let ended = ""
    const handler = Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(goesOn)).pipe(
      Effect.as(HttpServerResponse.text("done")),
      Effect.onExit(({ _tag }) => Effect.sync(() => ended = _tag))
    )
    const cached = handler.pipe(withCache({ expiry: 10 }))
    const route = HttpLayerRouter.add("GET", "/", cached, { uninterruptible: true })
    const ask = yield* serve(yield* HttpLayerRouter.toHttpEffect(route))
    const { request } = client(ask.port)
    yield* Deferred.await(begun)
    request.destroy()
    // The server has time to see that.
    yield* still(() => ended.length)
    yield* Deferred.succeed(goesOn, undefined)
    yield* eventually(() => ended !== "")
    expect(ended).toBe("Success")
  }).pipe(Effect.provide(QuietServer)))
