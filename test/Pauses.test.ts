/** Streams that pause, and clients that leave or take their time; the numbers are those of the project's list of failures. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Queue, Stream, TestClock } from "effect"
import { CacheStorage, HttpCache, withCache } from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import { once } from "node:events"
import * as Http from "node:http"
import * as Net from "node:net"
import { Readable } from "node:stream"
import {
  bytes,
  counted,
  eventually,
  isRunning,
  mounted,
  QuietServer,
  routes,
  serve,
  traced,
  yieldingAfter
} from "./harness.js"

/** A handler whose bodies are written by the test, all by one hand. */
const written = (options: HttpServerResponse.Options.WithContentType = {}) =>
  Effect.gen(function*() {
    const queue = yield* Queue.unbounded<string | undefined>()
    const ran = { times: 0, ended: 0 }
    const stream = Stream.fromQueue(queue).pipe(
      Stream.takeWhile((part) => part !== undefined),
      Stream.map(bytes),
      Stream.ensuring(Effect.sync(() => ran.ended++))
    )
    const handler = Effect.sync(() => {
      ran.times++
      return HttpServerResponse.stream(stream, options)
    })
    return { handler, ran, write: (...parts: ReadonlyArray<string | undefined>) => Queue.offerAll(queue, parts) }
  })

/** A client that takes what comes, when it comes. */
const open = (port: number, path = "/") =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const request = Http.get({ agent: false, host: "127.0.0.1", port, path })
      request.on("error", () => {})
      const [response] = await once(request, "response") as [Http.IncomingMessage]
      response.on("error", () => {})
      let text = ""
      response.setEncoding("utf8")
      const has = (wanted: string) =>
        eventually(() => {
          for (let chunk = response.read(); chunk !== null; chunk = response.read()) text += chunk
          return text === wanted
        })
      const end = Effect.promise(async () => {
        try {
          for await (const chunk of response) text += chunk
        } catch {
          // What has come is not whole.
        }
        return { text, isWhole: response.complete }
      })
      const status = String(response.headers["cache-status"]).replace("effect-http-cache; ", "")
      return { request, response, has, end, status }
    }),
    ({ request }) => Effect.sync(() => request.destroy())
  )

describe("a stream that pauses", () => {
  it.scoped("84: for 30 seconds ends, for all who get it, and nobody joins it any more", () =>
    Effect.gen(function*() {
      const storage = yield* CacheStorage.CacheStorage
      const { handler, ran, write } = yield* written()
      const ask = yield* serve(handler.pipe(withCache({ expiry: 600 })))
      yield* write("a")
      const first = yield* open(ask.port)
      yield* first.has("a")
      yield* TestClock.adjust("29 seconds")
      const second = yield* open(ask.port)
      expect(second.status).toBe("fwd=uri-miss; collapsed")
      yield* second.has("a")
      yield* write("b")
      for (const client of [first, second]) yield* client.has("ab")
      // It counts from the last chunk.
      yield* TestClock.adjust("29999 millis")
      expect([ran, activity(storage).flights]).toEqual([{ times: 1, ended: 0 }, 1])
      yield* TestClock.adjust("1 millis")
      for (const client of [first, second]) expect(yield* client.end).toEqual({ text: "ab", isWhole: false })
      yield* eventually(() => ran.ended === 1 && activity(storage).flights === 0)
      expect(activity(storage).heldBytes).toBe(0)
      yield* write("c", undefined)
      const third = yield* ask("/")
      expect([third.text, third.cacheStatus, ran.times]).toEqual(["c", "fwd=uri-miss", 2])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("84: so does one that pauses after its head, and one that can't be interrupted takes nobody with it", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let runs = 0
      const stuck = Stream.fromEffect(Effect.uninterruptible(Effect.as(Deferred.await(gate), bytes("late"))))
      const handler = Effect.sync(() => {
        runs++
        return HttpServerResponse.stream(
          runs === 1 ? Stream.concat(Stream.make(bytes("a")), stuck) : Stream.make(bytes("b"))
        )
      })
      const ask = yield* serve(handler.pipe(withCache({ expiry: 600 })))
      const first = yield* open(ask.port)
      yield* first.has("a")
      yield* TestClock.adjust("30 seconds")
      expect(yield* first.end).toEqual({ text: "a", isWhole: false })
      expect((yield* ask("/")).text).toBe("b")
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=600")
      yield* Deferred.succeed(gate, undefined)
    }).pipe(Effect.provide(QuietServer)))
})

describe("a slow reader", () => {
  const chunk = new Uint8Array(64 * 1024)

  /** The streams that as many clients get of a body of so many chunks, of which 16 may be held. */
  const streams = (chunks: number, clients: number) =>
    Effect.gen(function*() {
      const haveAllJoined = yield* Deferred.make<void>()
      const whole = Stream.take(Stream.repeatEffect(Effect.sync(() => chunk)), chunks)
      const app = Effect.succeed(
        HttpServerResponse.stream(Stream.concat(Stream.drain(Stream.fromEffect(Deferred.await(haveAllJoined))), whole))
      ).pipe(withCache({ expiry: 10, maxBodyBytes: 16 * chunk.byteLength }))
      const read = Effect.provideService(
        app,
        HttpServerRequest.HttpServerRequest,
        HttpServerRequest.fromWeb(new Request("http://localhost/"))
      )
      const bodies = yield* Effect.all(Array.from({ length: clients }, () => read))
      yield* Deferred.succeed(haveAllJoined, undefined)
      return bodies.map(({ body }) => body._tag === "Stream" ? body.stream : Stream.empty)
    })

  /** Takes a chunk each so many milliseconds, in a fiber of its own. */
  const take = (stream: Stream.Stream<Uint8Array, unknown>, pace: number) => {
    const taken = { chunks: 0 }
    return Effect.map(
      Effect.fork(Effect.exit(Stream.runForEach(stream, () => Effect.delay(Effect.sync(() => taken.chunks++), pace)))),
      (fiber) => Object.assign(taken, { fiber })
    )
  }

  it.scoped("84: that takes a chunk each 29 seconds keeps the others waiting for 30 seconds, not for 435", () =>
    Effect.gen(function*() {
      const [first, second, third] = yield* streams(200, 3)
      const slow = yield* take(first!, 29_000)
      const others = [yield* take(second!, 0), yield* take(third!, 0)]
      yield* TestClock.adjust("29 seconds")
      for (const { chunks } of others) expect(chunks).toBeLessThan(20)
      yield* TestClock.adjust("1 seconds")
      for (const { chunks } of others) expect(chunks).toBe(200)
      // A storage that waits ends the others a turn later, and the slow one sleeps from then on.
      while (isRunning(slow.fiber)) {
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        yield* TestClock.adjust("1 seconds")
      }
      expect((yield* Fiber.join(slow.fiber))._tag).toBe("Failure")
      for (const { fiber } of others) expect((yield* Fiber.join(fiber))._tag).toBe("Success")
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("84: that keeps no other waiting may take its time, and is not taken for a pause of the source", () =>
    Effect.gen(function*() {
      const [only] = yield* streams(40, 1)
      const slow = yield* take(only!, 29_000)
      yield* TestClock.adjust(40 * 29_000)
      expect((yield* Fiber.join(slow.fiber))._tag).toBe("Success")
      expect(slow.chunks).toBe(40)
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("84: that takes in 30 seconds what was held when the others began to wait is waited for", () =>
    Effect.gen(function*() {
      const [first, second] = yield* streams(100, 2)
      const slow = yield* take(first!, 1500)
      const fast = yield* take(second!, 0)
      yield* TestClock.adjust(101 * 1500)
      expect([slow.chunks, fast.chunks]).toEqual([100, 100])
      for (const { fiber } of [slow, fast]) expect((yield* Fiber.join(fiber))._tag).toBe("Success")
    }).pipe(Effect.provide(QuietServer)))
})

/** Whether the connection breaks before the whole has come. */
const breaks = (port: number, path: string) =>
  Effect.promise(() =>
    fetch(`http://127.0.0.1:${port}${path}`).then((reply) => reply.text()).then(() => false, () => true)
  )

describe("a stream that reads what selects it while it is sent", () => {
  const reading = (name: string) =>
    Effect.map(HttpServerRequest.HttpServerRequest, (request) =>
      HttpServerResponse.stream(
        Stream.concat(
          Stream.make(bytes("hello ")),
          Stream.fromEffect(Effect.sync(() => bytes(String(request.cookies[name]))))
        )
      ))
  const fine = Effect.sync(() => HttpServerResponse.stream(Stream.make(bytes("for "), bytes("all"))))
  const router = routes({
    "GET /late/:id": reading("name"),
    "GET /fine": fine,
    "GET /fine/:id": fine
  })

  it.scoped.each(
    [
      ["", router.pipe(HttpCache.middleware({ expiry: 10 }))],
      [
        " that is mounted",
        mounted({ "/mounted": router.pipe(HttpCache.middleware({ expiry: 10 })) })
      ]
    ] as const
  )(
    "84: makes its own route's streams private, not those of all routes of a cached router%s",
    ([prefix, app]) =>
      Effect.gen(function*() {
        const at = prefix === "" ? "" : "/mounted"
        const ask = yield* serve(app)
        expect(yield* breaks(ask.port, `${at}/late/1`)).toBe(true)
        for (const path of ["/late/1", "/late/2"]) {
          const reply = yield* ask(`${at}${path}`, { headers: { cookie: "name=ada" } })
          expect([reply.text, reply.headers["cache-control"], reply.cacheStatus]).toEqual([
            "hello ada",
            "private",
            "fwd=uri-miss"
          ])
        }
        for (const path of ["/fine", "/fine/1"]) {
          const reply = yield* ask(`${at}${path}`)
          expect([reply.text, reply.headers["cache-control"]]).toEqual(["for all", "max-age=10"])
          expect((yield* ask(`${at}${path}`)).cacheStatus).toBe("hit; ttl=10")
        }
      }).pipe(Effect.provide(Layer.merge(QuietServer, traced)))
  )

  it.scoped("84: where nobody tells which route it was, it is that URI's streams", () =>
    Effect.gen(function*() {
      const app = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ url }) =>
        url.startsWith("/late") ? reading("name") : fine).pipe(withCache({ expiry: 10 }))
      const ask = yield* serve(app)
      expect(yield* breaks(ask.port, "/late")).toBe(true)
      expect((yield* ask("/late")).headers["cache-control"]).toBe("private")
      expect((yield* ask("/fine")).headers["cache-control"]).toBe("max-age=10")
      expect((yield* ask("/fine")).cacheStatus).toBe("hit; ttl=10")
    }).pipe(Effect.provide(QuietServer)))
})

/** It hangs up as soon as it has the last byte of the body, as curl does. */
const hangUp = (port: number, path: string) =>
  Effect.promise(() =>
    new Promise<string>((resolve, reject) => {
      const socket = Net.connect(
        port,
        "127.0.0.1",
        () => socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`)
      )
      let text = ""
      socket.on("data", (data) => {
        text += data.toString("latin1")
        const [head = "", body] = text.split("\r\n\r\n")
        if (body?.length !== Number(/content-length: (\d+)/i.exec(head)?.[1])) return
        socket.destroy()
        resolve(body)
      })
      socket.on("error", reject)
    })
  )

describe("a client that hangs up with the last byte", () => {
  const content = "x".repeat(300_000)
  const headers = { "content-length": String(content.length) }
  const parts = () => [content.slice(0, 100_000), content.slice(100_000)].map((text) => Buffer.from(text))
  const sources = {
    "a stream of Effect's": () => HttpServerResponse.stream(Stream.fromIterable(parts()), { headers }),
    "one that has not ended": () =>
      HttpServerResponse.stream(Stream.concat(Stream.fromIterable(parts()), Stream.never), { headers }),
    "a stream of Node's": () => HttpServerResponse.raw(Readable.from(parts()), { headers }),
    "a stream of the web's": () => HttpServerResponse.raw(new Blob(parts()).stream(), { headers })
  }

  it.scoped.each(Object.keys(sources) as ReadonlyArray<keyof typeof sources>)(
    "90: leaves the whole to be stored: %s",
    (name) =>
      Effect.gen(function*() {
        const handler = Effect.sync(() => sources[name]())
        const ask = yield* serve(routes({ "GET /:id": handler.pipe(withCache({ expiry: 10 })) }))
        for (let id = 0; id < 20; id++) {
          expect(yield* hangUp(ask.port, `/${id}`)).toBe(content)
          const hit = yield* ask(`/${id}`)
          expect([hit.text === content, hit.cacheStatus]).toEqual([true, "hit; ttl=10"])
        }
        // What has given all of it and does not end is ended as a pause.
        const storage = yield* CacheStorage.CacheStorage
        while (activity(storage).flights > 0) {
          yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
          yield* TestClock.adjust("1 second")
        }
      }).pipe(Effect.provide(QuietServer))
  )

  it.scoped("90: with less than the whole nothing is stored", () =>
    Effect.gen(function*() {
      const { handler, ran, write } = yield* written({ headers: { "content-length": "2" } })
      const ask = yield* serve(handler.pipe(withCache({ expiry: 10 })))
      yield* write("a")
      const client = yield* open(ask.port)
      yield* client.has("a")
      client.request.destroy()
      yield* eventually(() => ran.ended === 1)
      yield* write("bc", undefined)
      expect((yield* ask("/")).cacheStatus).toBe("fwd=uri-miss")
    }).pipe(Effect.provide(QuietServer)))
})

describe.each([16, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 64])("%i operations before each yield", (operations) => {
  const fewer = yieldingAfter(operations)

  it.scoped("90: no body begins in the middle, whoever joins while it grows past the limit", () =>
    Effect.gen(function*() {
      const size = 64
      const lines = () =>
        Stream.range(0, size - 1).pipe(Stream.rechunk(1), Stream.map((line) => bytes(`${line}\n`.padStart(64))))
      const handler = Effect.sync(() => HttpServerResponse.stream(lines()))
      const app = handler.pipe(withCache({ expiry: 10, maxBodyBytes: 1024 }))
      const read = Effect.provideService(
        app,
        HttpServerRequest.HttpServerRequest,
        HttpServerRequest.fromWeb(new Request("http://localhost/"))
      ).pipe(
        Effect.flatMap(({ body }) =>
          body._tag === "Stream"
            ? Stream.mkString(Stream.decodeText(body.stream))
            : Effect.succeed("")
        ),
        Effect.scoped,
        fewer
      )
      const fibers: Array<Fiber.RuntimeFiber<string, unknown>> = []
      for (let reader = 0; reader < 40; reader++) {
        fibers.push(yield* Effect.fork(read))
        for (let turn = 0; turn < reader % 5; turn++) yield* Effect.yieldNow()
      }
      const whole = yield* Stream.mkString(Stream.decodeText(lines()))
      for (const fiber of fibers) expect(yield* Fiber.join(fiber)).toBe(whole)
      const storage = yield* CacheStorage.CacheStorage
      yield* eventually(() => activity(storage).flights === 0 && activity(storage).heldBytes === 0)
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("90: the slots of refreshes come free, whoever leaves while one begins", () =>
    Effect.gen(function*() {
      const storage = yield* CacheStorage.CacheStorage
      const app = counted().pipe(withCache({ expiry: 1, staleWhileRevalidate: 1_000_000 }))
      const at = (id: number) =>
        Effect.provideService(
          app,
          HttpServerRequest.HttpServerRequest,
          HttpServerRequest.fromWeb(new Request(`http://localhost/${id}`))
        ).pipe(Effect.scoped, fewer)
      for (let id = 0; id < 150; id++) yield* at(id)
      yield* TestClock.adjust("2 seconds")
      for (let id = 0; id < 150; id++) {
        const fiber = yield* Effect.fork(at(id))
        for (let turn = 0; turn < id; turn++) yield* Effect.yieldNow()
        yield* Fiber.interrupt(fiber)
      }
      yield* eventually(() => activity(storage).flights === 0)
      expect(activity(storage).refreshes).toBe(0)
    }).pipe(Effect.provide(QuietServer)))
})
