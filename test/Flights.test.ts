/** Many clients at once, over a real port; the numbers are those of the project's list of failures. */
import {
  type HttpApp,
  HttpClient,
  HttpRouter,
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse
} from "@effect/platform"
import { NodeHttpClient } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Data, Deferred, Effect, Fiber, Layer, Supervisor, TestClock } from "effect"
import { CacheStorage, type HttpCache, InMemoryCacheStorage, withCache, withCollect } from "effect-http-cache"
import { once } from "node:events"
import * as Http from "node:http"
import * as flights from "../src/internal/flights.js"
import { eventually, type Logged, logged, QuietServer, serve, TestServer } from "./harness.js"

interface Client {
  readonly request: Http.ClientRequest
  /** Rejects when the connection breaks. */
  readonly reply: Promise<{ readonly status: number; readonly text: string; readonly cacheStatus: string }>
}

/** A client with a connection of its own. */
const client = (port: number, path = "/", headers: Http.OutgoingHttpHeaders = {}): Client => {
  const request = Http.get({ agent: false, host: "127.0.0.1", port, path, headers })
  const reply = once(request, "response").then(async ([response]: Array<Http.IncomingMessage>) => {
    const chunks: Array<Buffer> = []
    for await (const chunk of response!) chunks.push(chunk as Buffer)
    return {
      status: response!.statusCode ?? 0,
      text: Buffer.concat(chunks).toString(),
      cacheStatus: String(response!.headers["cache-status"] ?? "").replace(/^.*effect-http-cache(; )?/, "")
    }
  })
  reply.catch(() => {})
  return { request, reply }
}

/** A resource that outer middleware holds for each request, and whether a handler ever ran without it. */
const resource = () => {
  const open = { now: 0, wasMissed: false }
  class Connection extends Effect.Service<Connection>()("Connection", { succeed: { isOpen: () => true as boolean } }) {}
  const around = <E, R>(app: HttpApp.Default<E, R | Connection>): HttpApp.Default<E, Exclude<R, Connection>> =>
    Effect.flatMap(
      Effect.acquireRelease(
        Effect.sync(() => {
          open.now++
          let isOpen = true
          return { isOpen: () => isOpen, close: () => isOpen = false }
        }),
        (connection) =>
          Effect.sync(() => {
            open.now--
            connection.close()
          })
      ),
      (connection) => Effect.provideService(app, Connection, Connection.make(connection))
    ) as HttpApp.Default<E, Exclude<R, Connection>>
  const check = Effect.flatMap(Connection, (connection) =>
    Effect.sync(() => {
      if (!connection.isOpen()) open.wasMissed = true
    }))
  return { open, around, check }
}

const shapes = {
  "in a route": <E, R>(handler: HttpApp.Default<E, R>, options: HttpCache.Options) =>
    HttpRouter.empty.pipe(HttpRouter.get("/", handler.pipe(withCache(options)))),
  "around a router": <E, R>(handler: HttpApp.Default<E, R>, options: HttpCache.Options) =>
    HttpRouter.empty.pipe(HttpRouter.get("/", handler), withCache(options))
}

const crowd = 1000

describe.each(Object.keys(shapes) as ReadonlyArray<keyof typeof shapes>)("a thousand clients, %s", (shape) => {
  /** What each handler does once it is let go, and what the clients that stayed get. */
  const world = (
    answer: Effect.Effect<HttpServerResponse.HttpServerResponse, Error>,
    options: HttpCache.Options = {}
  ) =>
    Effect.gen(function*() {
      const supervisor = yield* Supervisor.track
      const storage = yield* CacheStorage.CacheStorage
      const gate = yield* Deferred.make<void>()
      const { around, check, open } = resource()
      const ran = { times: 0, interrupted: 0 }
      const handler = Effect.gen(function*() {
        ran.times++
        yield* check
        yield* Deferred.await(gate)
        yield* check
        return yield* answer
      }).pipe(Effect.onInterrupt(() => Effect.sync(() => ran.interrupted++)))
      const app = around(shapes[shape](handler, { expiry: 10, ...options }))
      const { port } = yield* Effect.supervised(serve(app), supervisor)
      const fibersBefore = (yield* supervisor.value).length
      const clients: Array<Client> = []
      while (clients.length < crowd) {
        // As many as the system lets wait to be accepted.
        for (let times = 0; times < 250; times++) clients.push(client(port))
        yield* eventually(() => flights.waiting(storage) === clients.length)
      }
      expect([flights.count(storage), ran.times]).toEqual([1, 1])
      const nothingIsLeft = Effect.gen(function*() {
        yield* eventually(() => open.now === 0 && flights.count(storage) === 0)
        yield* eventually(() => Effect.runSync(supervisor.value).length === fibersBefore)
        expect(open.wasMissed).toBe(false)
      })
      return { clients, gate, ran, storage, nothingIsLeft }
    })

  it.scoped("35: half of them leave, the first too: the handler runs once, and all who stay have the whole", () =>
    Effect.gen(function*() {
      const body = "whole ".repeat(10_000)
      const { clients, gate, nothingIsLeft, ran, storage } = yield* world(HttpServerResponse.text(body))
      const stay = clients.filter((client, index) => index % 2 === 1 || void client.request.destroy())
      yield* eventually(() => flights.waiting(storage) === stay.length)
      yield* Deferred.succeed(gate, undefined)
      const replies = yield* Effect.promise(() => Promise.all(stay.map(({ reply }) => reply)))
      expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]))
      expect(replies.every(({ text }) => text === body)).toBe(true)
      expect(new Set(replies.map(({ cacheStatus }) => cacheStatus))).toEqual(new Set(["fwd=uri-miss; collapsed"]))
      expect(ran).toEqual({ times: 1, interrupted: 0 })
      yield* nothingIsLeft
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("35: all leave: the handler is interrupted, and the slot is free", () =>
    Effect.gen(function*() {
      const { clients, nothingIsLeft, ran } = yield* world(Effect.never)
      for (const { request } of clients) request.destroy()
      yield* nothingIsLeft
      expect(ran).toEqual({ times: 1, interrupted: 1 })
    }).pipe(Effect.provide(QuietServer)))

  it.scoped.each<[string, Effect.Effect<HttpServerResponse.HttpServerResponse, Error>]>([
    ["fails", Effect.fail(new Error("no database"))],
    ["dies", Effect.die("a defect")],
    ["interrupts itself", Effect.interrupt],
    ["answers 500", HttpServerResponse.text("own", { status: 500 })]
  ])(
    "36: the handler %s: a run and two retries, and no client has an empty success",
    ([what, answer]) =>
      Effect.gen(function*() {
        const { clients, gate, nothingIsLeft, ran } = yield* world(answer)
        yield* Deferred.succeed(gate, undefined)
        const replies = yield* Effect.promise(() => Promise.all(clients.map(({ reply }) => reply)))
        const expected = what === "interrupts itself" ? 503 : 500
        expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([expected]))
        // Three led; to the others nothing is told of what another request failed with.
        expect(ran.times).toBe(3)
        expect(replies.filter(({ text }) => text === "The request failed.\n")).toHaveLength(crowd - 3)
        yield* nothingIsLeft
      }).pipe(Effect.provide(QuietServer))
  )

  it.scoped("36: the handler hangs: it is interrupted at the deadline, and every client gets a 504", () =>
    Effect.gen(function*() {
      const { clients, nothingIsLeft, ran } = yield* world(Effect.void as never, { deadline: 5 })
      yield* TestClock.adjust("4999 millis")
      expect(ran.interrupted).toBe(0)
      yield* TestClock.adjust("1 millis")
      const replies = yield* Effect.promise(() => Promise.all(clients.map(({ reply }) => reply)))
      expect(new Set(replies.map(({ status, text }) => `${status} ${text}`))).toEqual(
        new Set(["504 The request took too long.\n"])
      )
      expect(ran).toEqual({ times: 1, interrupted: 1 })
      yield* nothingIsLeft
    }).pipe(Effect.provide(QuietServer)))
})

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
      const { port } = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/", handler.pipe(withCache({ expiry: 10, ...options }))),
        HttpRouter.patch("/", HttpServerResponse.empty().pipe(withCollect()))
      ))
      const waiting = (number: number) => eventually(() => flights.waiting(storage) === number)
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
      expect(flights.count(world.storage)).toBe(0)
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
      const ask = yield* serve(HttpRouter.empty.pipe(HttpRouter.get("/", handler.pipe(withCache({ expiry: 10 })))))
      port = ask.port
      expect((yield* ask("/")).text).toBe("outer of inner")
    }).pipe(Effect.provide(Layer.merge(QuietServer, NodeHttpClient.layer))))

  it.scoped("10: a request with a body neither joins nor is joined", () =>
    Effect.gen(function*() {
      const world = yield* gated((run) => HttpServerResponse.text(`run ${run}`))
      const clients = [client(world.port), client(world.port, "/", { "content-length": "0" })]
      const withBody = Http.request({ agent: false, host: "127.0.0.1", port: world.port, method: "GET" })
      withBody.setHeader("content-length", "1")
      withBody.end("x")
      yield* eventually(() => world.ran.times === 2 && flights.waiting(world.storage) === 2)
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
        Effect.repeatN(Effect.void, steps).pipe(
          Effect.zipRight(Effect.scoped(route)),
          Effect.provideService(
            HttpServerRequest.HttpServerRequest,
            HttpServerRequest.fromWeb(new Request(`http://localhost/?page=${page}`))
          ),
          Effect.withMaxOpsBeforeYield(64)
        )
      for (let steps = 0; steps < 200; steps++) {
        const storage = yield* CacheStorage.CacheStorage
        const asked = yield* Effect.forkAll(Array.from({ length: 4 }, () => ask(steps, steps)))
        yield* eventually(() => flights.waiting(storage) === 4)
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
        HttpRouter.empty.pipe(
          HttpRouter.get("/", handler.pipe(withCache({ expiry: 10 }))),
          withCache({ expiry: 10 })
        )
      )
      yield* Deferred.succeed(gate, undefined)
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      gate = yield* Deferred.make<void>()
      const clients = Array.from({ length: 5 }, () => client(ask.port))
      yield* eventually(() => flights.waiting(storage) >= 5)
      yield* Deferred.succeed(gate, undefined)
      for (const { reply } of clients) expect((yield* Effect.promise(() => reply)).text).toBe("run 2")
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("40: nor does a route that fails with a 4xx answer one by one", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let runs = 0
      class Forbidden extends Data.TaggedError("Forbidden") {
        [HttpServerRespondable.symbol]() {
          return HttpServerResponse.empty({ status: 403 })
        }
      }
      const handler = Effect.suspend(() =>
        Effect.zipRight(++runs === 1 ? Effect.void : Deferred.await(gate), new Forbidden())
      )
      const ask = yield* serve(HttpRouter.empty.pipe(HttpRouter.get("/", handler.pipe(withCache({ expiry: 10 })))))
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
      expect(flights.waiting(world.storage)).toBe(2)
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
      const asked = yield* Effect.forkAll(pages.map(ask))
      yield* eventually(() => runs === most + 3)
      expect([flights.count(storage), flights.waiting(storage)]).toEqual([most, most + 1])
      yield* Fiber.interrupt(asked)
      yield* eventually(() => flights.count(storage) === 0)
      expect(log.filter(({ message }) => message.includes("the limit on flights"))).toHaveLength(1)
    }).pipe(Effect.provide(Layer.merge(TestServer, logged(log))))
  })
})
