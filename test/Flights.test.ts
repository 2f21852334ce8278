/** Who waits for whose run of a handler, over a real port; the numbers are those of the project's list of failures. */
import { HttpClient, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Data, Deferred, Effect, Fiber, Layer, TestClock } from "effect"
import { CacheStorage, type HttpCache, InMemoryCacheStorage, withCache, withCollect } from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import { once } from "node:events"
import * as Http from "node:http"
import {
  type Client,
  client,
  eventually,
  forkAll,
  type Logged,
  logged,
  QuietServer,
  routes,
  serve,
  TestServer,
  traced,
  yieldingAfter
} from "./harness.js"

describe("joined requests", () => {
  /** A route whose handler waits for the gate of its run. */
  const gated = (
    answer: (run: number, request: HttpServerRequest.HttpServerRequest) => HttpServerResponse.HttpServerResponse,
    options: HttpCache.Options = {}
  ) =>
    Effect.gen(function*() {
      const storage = yield* CacheStorage.CacheStorage
      const gates = yield* Effect.forEach(Array.from({ length: 20 }), () => Deferred.make<void>())
      const ran = { times: 0 }
      const handler = Effect.gen(function*() {
        const run = ++ran.times
        yield* Deferred.await(gates[run - 1]!)
        return answer(run, yield* HttpServerRequest.HttpServerRequest)
      })
      const { port } = yield* serve(routes({
        "GET /": handler.pipe(withCache({ expiry: 10, ...options })),
        "PATCH /": Effect.succeed(HttpServerResponse.empty()).pipe(withCollect())
      }))
      const waiting = (number: number) => eventually(() => activity(storage).waiters === number)
      const letGo = (run: number) => Deferred.succeed(gates[run - 1]!, undefined)
      const reply = ({ reply }: Client) => Effect.promise(() => reply)
      return { port, ran, reply, waiting, letGo, storage }
    })

  it.scoped.each([{ "cache-control": "private" }, { "set-cookie": "sid=1" }, { "cache-control": "no-store" }])(
    "21: what says %o is given to nobody who waited",
    (headers) =>
      Effect.gen(function*() {
        const world = yield* gated((run) => HttpServerResponse.text(`run ${run}`, { headers: { ...headers } }))
        const clients = [client(world.port), client(world.port), client(world.port)]
        yield* world.waiting(3)
        for (const run of [1, 2, 3]) yield* world.letGo(run)
        const replies = yield* Effect.forEach(clients, world.reply)
        expect(new Set(replies.map(({ text }) => text)).size).toBe(3)
        expect(replies.map(({ cacheStatus }) => cacheStatus).sort()).toEqual([
          "fwd=uri-miss",
          "fwd=uri-miss; collapsed=?0",
          "fwd=uri-miss; collapsed=?0"
        ])
      }).pipe(Effect.provide(QuietServer))
  )

  it.scoped("40: a route that can't be shared is not served one by one, until an answer can be stored again", () =>
    Effect.gen(function*() {
      const world = yield* gated((run) =>
        HttpServerResponse.text(`run ${run}`, { headers: run < 4 ? { "cache-control": "no-store" } : {} })
      )
      const first = client(world.port)
      yield* world.waiting(1)
      yield* world.letGo(1)
      yield* world.reply(first)
      const clients = [client(world.port), client(world.port), client(world.port)]
      yield* eventually(() => world.ran.times === 4)
      expect(activity(world.storage).flights).toBe(0)
      for (const run of [2, 3, 4]) yield* world.letGo(run)
      yield* Effect.forEach(clients, world.reply)
      yield* TestClock.adjust("10 seconds")
      const joined = [client(world.port), client(world.port)]
      yield* world.waiting(2)
      yield* world.letGo(5)
      expect((yield* Effect.forEach(joined, world.reply)).map(({ text }) => text)).toEqual(["run 5", "run 5"])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("13: who waited for another variant looks up again, and joins those of its own", () =>
    Effect.gen(function*() {
      const world = yield* gated((run, { headers }) =>
        HttpServerResponse.text(`run ${run} ${headers["accept-language"]}`, { headers: { vary: "Accept-Language" } })
      )
      const french = client(world.port, "/", { "accept-language": "fr" })
      yield* world.waiting(1)
      const others = ["fr", "de", "de", "it"].map((language) =>
        client(world.port, "/", { "accept-language": language })
      )
      yield* world.waiting(5)
      yield* world.letGo(1)
      yield* world.reply(french)
      yield* eventually(() => world.ran.times === 3)
      for (const run of [2, 3]) yield* world.letGo(run)
      const replies = yield* Effect.forEach(others, world.reply)
      expect(replies.map(({ text }) => text.slice(6))).toEqual(["fr", "de", "de", "it"])
      expect(world.ran.times).toBe(3)
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("53: who comes after a collect does not join a flight that began before it, and it stores nothing", () =>
    Effect.gen(function*() {
      const world = yield* gated((run) => HttpServerResponse.text(`run ${run}`))
      const before = client(world.port)
      yield* world.waiting(1)
      yield* Effect.promise(async () => {
        const request = Http.request({ agent: false, host: "127.0.0.1", port: world.port, method: "PATCH" }).end()
        const [response] = await once(request, "response") as [Http.IncomingMessage]
        response.resume()
      })
      const after = client(world.port)
      yield* eventually(() => world.ran.times === 2)
      yield* world.letGo(2)
      expect((yield* world.reply(after)).text).toBe("run 2")
      yield* world.letGo(1)
      expect((yield* world.reply(before)).text).toBe("run 1")
      expect(yield* world.reply(client(world.port))).toMatchObject({ text: "run 2", cacheStatus: "hit; ttl=10" })
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("38: what the storage has no room for reaches all who waited for it", () =>
    Effect.gen(function*() {
      const world = yield* gated(() => HttpServerResponse.text("large ".repeat(1000)))
      const clients = [client(world.port), client(world.port)]
      yield* world.waiting(2)
      yield* world.letGo(1)
      const replies = yield* Effect.forEach(clients, world.reply)
      expect(replies.map(({ text }) => text.length)).toEqual([6000, 6000])
      expect(world.ran.times).toBe(1)
    }).pipe(Effect.provide(Layer.provideMerge(InMemoryCacheStorage.layerWith({ maxItemBytes: 4096 }), QuietServer))))

  it.scoped("37: a handler that asks for its own URL does not wait for itself", () =>
    Effect.gen(function*() {
      let port = 0
      let runs = 0
      const handler = Effect.gen(function*() {
        const run = ++runs
        if (run > 1) return HttpServerResponse.text("inner")
        const inner = yield* HttpClient.get(`http://127.0.0.1:${port}/`)
        return HttpServerResponse.text(`outer of ${yield* inner.text}`)
      })
      const ask = yield* serve(routes({ "GET /": handler.pipe(withCache({ expiry: 10 })) }))
      port = ask.port
      expect((yield* ask("/")).text).toBe("outer of inner")
    }).pipe(Effect.provide(Layer.mergeAll(QuietServer, NodeHttpClient.layer, traced))))

  it.scoped("10: a request with a body neither joins nor is joined", () =>
    Effect.gen(function*() {
      const world = yield* gated((run) => HttpServerResponse.text(`run ${run}`))
      const clients = [client(world.port), client(world.port, "/", { "content-length": "0" })]
      const withBody = Http.request({ agent: false, host: "127.0.0.1", port: world.port, method: "GET" })
      withBody.setHeader("content-length", "1")
      withBody.end("x")
      yield* eventually(() => world.ran.times === 2 && activity(world.storage).waiters === 2)
      for (const run of [1, 2]) yield* world.letGo(run)
      yield* Effect.forEach(clients, world.reply)
      expect(world.ran.times).toBe(2)
    }).pipe(Effect.provide(QuietServer)))

  it.effect("35: one runs, wherever in the look-up the fibers yield", () =>
    Effect.gen(function*() {
      let runs = 0
      const gate = yield* Deferred.make<void>()
      const handler = Effect.zipRight(
        Effect.sync(() => runs++),
        Effect.as(Deferred.await(gate), HttpServerResponse.empty())
      )
      const route = handler.pipe(withCache({ expiry: 10 }))
      const ask = (page: number, steps: number) =>
        Effect.forEach(Array(steps), () => Effect.void).pipe(
          Effect.zipRight(Effect.scoped(route)),
          Effect.provideService(
            HttpServerRequest.HttpServerRequest,
            HttpServerRequest.fromWeb(new Request(`http://localhost/?page=${page}`))
          ),
          yieldingAfter(64)
        )
      for (let steps = 0; steps < 200; steps++) {
        const storage = yield* CacheStorage.CacheStorage
        const asked = yield* forkAll(Array.from({ length: 4 }, () => ask(steps, steps)))
        yield* eventually(() => activity(storage).waiters === 4)
        expect([steps, runs]).toEqual([steps, steps + 1])
        yield* Fiber.interrupt(asked)
      }
    }).pipe(Effect.provide(InMemoryCacheStorage.layer)))

  it.scoped("40: a cache around a cached route does not switch off that requests wait there", () =>
    Effect.gen(function*() {
      const storage = yield* CacheStorage.CacheStorage
      let gate = yield* Deferred.make<void>()
      let runs = 0
      const handler = Effect.suspend(() => {
        runs++
        return Effect.as(Deferred.await(gate), HttpServerResponse.text(`run ${runs}`))
      })
      const ask = yield* serve(
        routes({ "GET /": handler.pipe(withCache({ expiry: 10 })) }).pipe(withCache({ expiry: 10 }))
      )
      yield* Deferred.succeed(gate, undefined)
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      gate = yield* Deferred.make<void>()
      const clients = Array.from({ length: 5 }, () => client(ask.port))
      yield* eventually(() => activity(storage).waiters >= 5)
      yield* Deferred.succeed(gate, undefined)
      for (const { reply } of clients) expect((yield* Effect.promise(() => reply)).text).toBe("run 2")
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("40: nor does a route that fails with a 4xx answer one by one", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let runs = 0
      class Forbidden extends Data.TaggedError("Forbidden") {
        [HttpServerRespondable.symbol]() {
          return Effect.succeed(HttpServerResponse.empty({ status: 403 }))
        }
      }
      const handler = Effect.suspend(() =>
        Effect.zipRight(++runs === 1 ? Effect.void : Deferred.await(gate), new Forbidden())
      )
      const ask = yield* serve(routes({ "GET /": handler.pipe(withCache({ expiry: 10 })) }))
      expect((yield* ask("/")).status).toBe(403)
      const clients = Array.from({ length: 5 }, () => client(ask.port))
      yield* eventually(() => runs === 6)
      yield* Deferred.succeed(gate, undefined)
      for (const { reply } of clients) expect((yield* Effect.promise(() => reply)).status).toBe(403)
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("more than maxWaiters run the handler for themselves, which is logged once", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const world = yield* gated((run) => HttpServerResponse.text(`run ${run}`), { maxWaiters: 2 })
      const clients = Array.from({ length: 4 }, () => client(world.port))
      yield* eventually(() => world.ran.times === 3)
      expect(activity(world.storage).waiters).toBe(2)
      for (const run of [1, 2, 3]) yield* world.letGo(run)
      expect((yield* Effect.forEach(clients, world.reply)).every(({ status }) => status === 200)).toBe(true)
      expect(log.filter(({ message }) => message.includes("the limit on waiters"))).toHaveLength(1)
    }).pipe(Effect.provide(Layer.merge(TestServer, logged(log))))
  })

  it.scoped("more than ten thousand flights are not joined any more, which is logged once", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const storage = yield* CacheStorage.CacheStorage
      let runs = 0
      const route = Effect.zipRight(Effect.sync(() => runs++), Effect.never).pipe(withCache({ expiry: 10 }))
      const ask = (page: number) =>
        Effect.provideService(
          Effect.scoped(route),
          HttpServerRequest.HttpServerRequest,
          HttpServerRequest.fromWeb(new Request(`http://localhost/?page=${page}`))
        )
      const most = 10_000
      const pages = [...Array(most + 2).keys(), 0, most]
      const asked = yield* forkAll(pages.map(ask))
      yield* eventually(() => runs === most + 3)
      expect([activity(storage).flights, activity(storage).waiters]).toEqual([most, most + 1])
      yield* Fiber.interrupt(asked)
      yield* eventually(() => activity(storage).flights === 0)
      expect(log.filter(({ message }) => message.includes("the limit on flights"))).toHaveLength(1)
    }).pipe(Effect.provide(Layer.merge(TestServer, logged(log))))
  })
})
