/** What is held for clients, and for how long; the numbers are those of the project's list of failures. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Queue, Stream, TestClock } from "effect"
import { CacheStorage, HttpCache, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import { type App, bytes, eventually, type Logged, logged, serve, still, TestServer } from "./harness.js"

const mebibyte = 2 ** 20
const log: Array<Logged> = []
const quiet = Layer.merge(TestServer, logged(log))

/** The response to a request that no socket carries: its content is what the cache hands out. */
const direct = <E, R>(
  app: App<E, R>,
  headers: Record<string, string> = {},
  url = "http://localhost/"
) =>
  Effect.provideService(
    app,
    HttpServerRequest.HttpServerRequest,
    HttpServerRequest.fromWeb(new Request(url, { headers }))
  )

const contentOf = ({ body }: HttpServerResponse.HttpServerResponse) =>
  body._tag === "Stream"
    ? Effect.map(Stream.runCollect(body.stream), (chunks) => Array.from(chunks))
    : Effect.succeed(body._tag === "Uint8Array" ? [body.body] : [])

describe("the bytes of a hit", () => {
  it.scoped("83: are those of the storage, of every hit, of its parts, and of a stream that was stored", () =>
    Effect.gen(function*() {
      const storage = yield* CacheStorage.CacheStorage
      const whole = Effect.succeed(HttpServerResponse.text("0123456789"))
      const streamed = Effect.succeed(HttpServerResponse.stream(Stream.make(bytes("01234"), bytes("56789"))))
      for (const handler of [whole, streamed]) {
        const app = handler.pipe(withCache({ expiry: 10, cacheControl: "public" }))
        const first = yield* contentOf(yield* direct(app))
        yield* eventually(() => activity(storage).flights === 0)
        const stored = yield* storage.get({ key: "http://localhost/", partition: "", variantOf: () => "" })
        const asks: Array<Record<string, string>> = [{}, {}, { range: "bytes=2-4" }, { range: "bytes=0-0,5-6,-1" }]
        for (const headers of asks) {
          const served = yield* contentOf(yield* direct(app, headers))
          const own = served.filter(({ buffer }) => buffer === stored.body.buffer)
          expect(own.length).toBe(headers["range"]?.includes(",") === true ? 3 : 1)
        }
        expect(Buffer.concat(first).toString()).toBe("0123456789")
        yield* HttpCache.collect("http://localhost/")
      }
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.scoped("83: are read by who comes while a stream is sent as well", () =>
    Effect.gen(function*() {
      const storage = yield* CacheStorage.CacheStorage
      const queue = yield* Queue.unbounded<Uint8Array | undefined>()
      const source = Stream.fromQueue(queue).pipe(
        Stream.takeWhile((chunk): chunk is Uint8Array => chunk !== undefined)
      )
      const app = Effect.succeed(HttpServerResponse.stream(source)).pipe(withCache({ expiry: 10 }))
      const clients = [yield* direct(app), yield* direct(app)]
      yield* Queue.offerAll(queue, [bytes("01234"), bytes("56789"), undefined])
      yield* eventually(() => activity(storage).flights === 0)
      const stored = yield* storage.get({ key: "http://localhost/", partition: "", variantOf: () => "" })
      for (const client of clients) {
        const served = yield* contentOf(client)
        expect(served.map(({ buffer }) => buffer === stored.body.buffer)).toEqual([true, true])
        expect(Buffer.concat(served).toString()).toBe("0123456789")
      }
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))
})

describe("streams that nobody reads", () => {
  const endless = (pulled: { bytes: number; open: number }) =>
    Stream.unwrapScoped(
      Effect.as(
        Effect.acquireRelease(
          Effect.sync(() => pulled.open++),
          () => Effect.sync(() => pulled.open--)
        ),
        Stream.repeatEffect(Effect.sync(() => {
          const chunk = new Uint8Array(64 * 1024)
          pulled.bytes += chunk.byteLength
          return chunk
        }))
      )
    )

  it.scoped("83: are given up at once when they are too long to be stored", () =>
    Effect.gen(function*() {
      const storage = yield* CacheStorage.CacheStorage
      const pulled = { bytes: 0, open: 0 }
      const handler = Effect.sync(() => HttpServerResponse.stream(endless(pulled), { headers: { etag: "\"1\"" } }))
      const ask = yield* serve(handler.pipe(withCache({ expiry: 10, maxBodyBytes: mebibyte })))
      for (const condition of ["*", "\"1\"", "W/\"1\", \"2\""]) {
        pulled.bytes = 0
        expect((yield* ask("/", { headers: { "if-none-match": condition } })).status).toBe(304)
        yield* eventually(() =>
          pulled.open === 0 && activity(storage).flights === 0 && activity(storage).heldBytes === 0
        )
        expect(pulled.bytes).toBeLessThan(4 * mebibyte)
      }
    }).pipe(Effect.provide(quiet)))

  it.scoped("83: so are those of a refresh", () =>
    Effect.gen(function*() {
      const storage = yield* CacheStorage.CacheStorage
      const pulled = { bytes: 0, open: 0 }
      let isLong = false
      const handler = Effect.sync(() =>
        isLong ? HttpServerResponse.stream(endless(pulled)) : HttpServerResponse.text("short")
      )
      const ask = yield* serve(
        handler.pipe(withCache({ expiry: 10, staleWhileRevalidate: 60, maxBodyBytes: mebibyte }))
      )
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      isLong = true
      expect((yield* ask("/")).text).toBe("short")
      yield* eventually(() => pulled.bytes > mebibyte && pulled.open === 0 && activity(storage).flights === 0)
      expect(activity(storage).heldBytes).toBe(0)
    }).pipe(Effect.provide(quiet)))

  it.scoped("83: hold no more than a bound together; what goes beyond is sent, and is not stored", () =>
    Effect.gen(function*() {
      log.length = 0
      const storage = yield* CacheStorage.CacheStorage
      const gate = yield* Deferred.make<void>()
      const chunk = new Uint8Array(64 * 1024)
      const body = Stream.take(Stream.repeatEffect(Effect.sync(() => chunk)), 64)
      const app = Effect.succeed(HttpServerResponse.stream(body)).pipe(withCache({ expiry: 10 }))
      /** It takes one chunk, and no other before it is told to. */
      const slow = (id: number) =>
        Effect.flatMap(direct(app, {}, `http://localhost/${id}`), (response) =>
          response.body._tag === "Stream"
            ? Effect.map(
              Stream.runCollect(Stream.tap(response.body.stream, () => Deferred.await(gate))),
              (chunks) => Array.from(chunks).reduce((size, { byteLength }) => size + byteLength, 0)
            )
            : Effect.succeed(0))
      const clients = yield* Effect.forEach(Array.from({ length: 40 }, (_, id) => id), (id) => Effect.fork(slow(id)))
      const most = yield* still(() => activity(storage).heldBytes)
      // What passes by holds a chunk that its client has not taken yet.
      expect(most).toBeLessThanOrEqual(64 * mebibyte + clients.length * chunk.byteLength)
      expect(most).toBeGreaterThan(32 * mebibyte)
      expect(log.map(({ message }) => message)).toEqual([
        "effect-http-cache: the limit on bytes of streams is reached, and other streams are not stored; this is logged once"
      ])
      yield* Deferred.succeed(gate, undefined)
      for (const client of clients) expect(yield* Fiber.join(client)).toBe(4 * mebibyte)
      yield* eventually(() => activity(storage).flights === 0)
      expect(activity(storage).heldBytes).toBe(0)
      const statusOf = (id: number) =>
        Effect.map(direct(app, {}, `http://localhost/${id}`), ({ headers }) => headers["cache-status"])
      expect(yield* statusOf(0)).toBe("effect-http-cache; hit; ttl=10")
      expect(yield* statusOf(39)).toBe("effect-http-cache; fwd=uri-miss")
    }).pipe(Effect.provide(
      Layer.mergeAll(NodeHttpServer.layerTest, InMemoryCacheStorage.layerWith({ maxBytes: 2 ** 28 }), logged(log))
    )))

  it.scoped("83: nor does a client that stalls after the end of what was stored hold it, where others need the room", () =>
    Effect.gen(function*() {
      const storage = yield* CacheStorage.CacheStorage
      const chunk = new Uint8Array(mebibyte)
      const body = Stream.take(Stream.repeatEffect(Effect.sync(() => chunk)), 4)
      const app = Effect.succeed(HttpServerResponse.stream(body)).pipe(withCache({ expiry: 600 }))
      const ask = (id: number) => direct(app, {}, `http://localhost/${id}`)
      /** It takes the first chunk, and no other. */
      const stalled = (id: number) =>
        Effect.flatMap(
          ask(id),
          ({ body }) => body._tag === "Stream" ? Stream.runForEach(body.stream, () => Effect.never) : Effect.void
        )
      for (let id = 0; id < 8; id++) {
        yield* Effect.fork(stalled(id))
        yield* eventually(() =>
          activity(storage).flights === 0 && activity(storage).heldBytes === (id + 1) * 4 * mebibyte
        )
      }
      const whole = (id: number) =>
        Effect.flatMap(ask(id), ({ body }) => body._tag === "Stream" ? Stream.runDrain(body.stream) : Effect.void)
      const statusOf = (id: number) => Effect.map(ask(id), ({ headers }) => headers["cache-status"])
      yield* whole(100)
      expect(yield* statusOf(100)).toBe("effect-http-cache; fwd=uri-miss")
      yield* TestClock.adjust("30 seconds")
      yield* whole(101)
      yield* eventually(() => activity(storage).flights === 0)
      expect(yield* statusOf(101)).toBe("effect-http-cache; hit; ttl=600")
      expect(activity(storage).heldBytes).toBe(0)
    }).pipe(Effect.provide(quiet)))
})
