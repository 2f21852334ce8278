/** Streamed bodies, over a real port; the numbers are those of the project's list of failures. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer, NodeStream } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Layer, Stream, TestClock } from "effect"
import { CacheStorage, HttpCache, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import * as Http from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Readable } from "node:stream"
import { bytes, eventually, type Logged, logged, QuietServer, routes, serve, still, TestServer } from "./harness.js"
import { app, produced } from "./streamed.js"

/** A client that takes what comes, when it comes. Node sends the head with the first part. */
const open = (port: number, headers: Http.OutgoingHttpHeaders = {}) =>
  Effect.promise(async () => {
    const request = Http.get({ agent: false, host: "127.0.0.1", port, headers })
    request.on("error", () => {})
    const [response] = await once(request, "response") as [Http.IncomingMessage]
    let text = ""
    response.setEncoding("utf8")
    const has = (wanted: string) =>
      eventually(() => {
        for (let chunk = response.read(); chunk !== null; chunk = response.read()) text += chunk
        return text === wanted
      })
    const end = Effect.promise(async () => {
      for await (const chunk of response) text += chunk
      return text
    })
    /** What a client sees of a body that breaks off. */
    const breaks = Effect.promise(() => Effect.runPromise(Effect.exit(end)).then(() => response.complete))
    response.on("error", () => {})
    const status = String(response.headers["cache-status"]).replace("effect-http-cache; ", "")
    return { request, response, has, end, breaks, status }
  })

describe("streams", () => {
  it.scoped("41: a body reaches the first client as it is produced, and is stored with length and tag when it ends whole", () =>
    Effect.gen(function*() {
      const { handler, ran, write } = yield* produced()
      const ask = yield* serve(app(handler))
      yield* write("a")
      const first = yield* open(ask.port)
      expect(first.status).toBe("fwd=uri-miss")
      yield* first.has("a")
      yield* write("b", undefined)
      expect(yield* first.end).toBe("ab")
      const hit = yield* ask("/")
      expect([hit.text, hit.cacheStatus, hit.headers["content-length"], ran.times]).toEqual([
        "ab",
        "hit; ttl=10",
        "2",
        1
      ])
      expect((yield* ask("/", { headers: { "if-none-match": hit.headers.etag! } })).status).toBe(304)
      expect((yield* ask("/", { headers: { range: "bytes=1-1" } })).text).toBe("b")
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("35: who comes while it streams gets the bytes so far and follows, also when the first client leaves", () =>
    Effect.gen(function*() {
      const { handler, ran, write } = yield* produced()
      const ask = yield* serve(app(handler))
      yield* write("a")
      const first = yield* open(ask.port)
      yield* first.has("a")
      const second = yield* open(ask.port)
      expect(second.status).toBe("fwd=uri-miss; collapsed")
      yield* second.has("a")
      first.request.destroy()
      yield* write("b", undefined)
      expect(yield* second.end).toBe("ab")
      expect([(yield* ask("/")).cacheStatus, ran]).toEqual(["hit; ttl=10", { times: 1, ended: 1 }])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("41: when all have left the source is interrupted, and nothing is stored", () =>
    Effect.gen(function*() {
      const { handler, ran, write } = yield* produced()
      const storage = yield* CacheStorage.CacheStorage
      const ask = yield* serve(app(handler))
      yield* write("a")
      const clients = [yield* open(ask.port), yield* open(ask.port)]
      for (const client of clients) yield* client.has("a")
      for (const { request } of clients) request.destroy()
      yield* eventually(() => ran.ended === 1 && activity(storage).flights === 0)
      yield* write("whole", undefined)
      expect((yield* ask("/")).cacheStatus).toBe("fwd=uri-miss")
    }).pipe(Effect.provide(QuietServer)))

  it.scoped.each<[string, ReadonlyArray<string | Error | undefined>, number | undefined]>([
    ["fails", [new Error("disk")], undefined],
    ["fails, with a length", [new Error("disk")], 2],
    ["is shorter than its Content-Length", [undefined], 2],
    ["is longer than its Content-Length", ["bc"], 2]
  ])(
    "41: a stream that %s breaks every client's connection, and nothing is stored",
    ([, parts, contentLength]) =>
      Effect.gen(function*() {
        const { handler, ran, write } = yield* produced(
          contentLength === undefined ? {} : { headers: { "content-length": String(contentLength) } }
        )
        const ask = yield* serve(app(handler))
        yield* write("a")
        const clients = [yield* open(ask.port), yield* open(ask.port)]
        yield* write(...parts)
        for (const client of clients) expect(yield* client.breaks).toBe(false)
        expect(ran.times).toBe(1)
        yield* write(...(contentLength === undefined ? ["whole"] : ["ab"]), undefined)
        expect((yield* ask("/")).cacheStatus).toBe("fwd=uri-miss")
      }).pipe(Effect.provide(QuietServer))
  )

  it.scoped("41: a response that is not stored breaks off as well", () =>
    Effect.gen(function*() {
      const { handler, write } = yield* produced({ headers: { "cache-control": "no-store" } })
      const ask = yield* serve(app(handler))
      yield* write("a")
      const client = yield* open(ask.port)
      yield* write(new Error("disk"))
      expect(yield* client.breaks).toBe(false)
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("41: a client that takes nothing holds up neither the fill nor the others", () =>
    Effect.gen(function*() {
      const chunk = new Uint8Array(64 * 1024)
      const size = 32 * 1024 * 1024
      let pulled = 0
      const stream = Stream.repeatEffect(Effect.sync(() => (pulled += chunk.byteLength, chunk))).pipe(
        Stream.take(size / chunk.byteLength)
      )
      const ask = yield* serve(app(Effect.succeed(HttpServerResponse.stream(stream)), { maxBodyBytes: size }))
      const slow = yield* open(ask.port)
      yield* eventually(() => pulled === size)
      const hit = yield* ask("/")
      expect([hit.cacheStatus, hit.text.length]).toEqual(["hit; ttl=10", size])
      slow.request.destroy()
    }).pipe(Effect.provide(
      Layer.merge(
        NodeHttpServer.layerTest,
        InMemoryCacheStorage.layerWith({ maxBytes: 2 ** 27, maxItemBytes: 2 ** 26 })
      )
    )))

  it.scoped("21, 51: a stream that reads who is asking breaks off for all, and then is for nobody else", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      let runs = 0
      const handler = Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
        runs++
        return HttpServerResponse.stream(
          Stream.concat(
            Stream.make(bytes("hello ")),
            Stream.fromEffect(Effect.map(Deferred.await(gate), () => bytes(String(request.cookies["name"]))))
          )
        )
      })
      const ask = yield* serve(app(handler))
      const ada = yield* open(ask.port, { cookie: "name=ada" })
      const bob = yield* open(ask.port, { cookie: "name=bob" })
      expect([bob.status, runs]).toEqual(["fwd=uri-miss; collapsed", 1])
      yield* Deferred.succeed(gate, undefined)
      for (const client of [ada, bob]) expect(yield* client.breaks).toBe(false)
      for (const name of ["ada", "bob"]) {
        const reply = yield* ask("/", { headers: { cookie: `name=${name}` } })
        expect([reply.text, reply.headers["cache-control"], reply.cacheStatus]).toEqual([
          `hello ${name}`,
          "private",
          "fwd=uri-miss"
        ])
      }
      expect(log.map(({ message }) => message)).toEqual([
        expect.stringContaining("the handler read more while its body was sent")
      ])
    }).pipe(Effect.provide(Layer.merge(TestServer, logged(log))))
  })

  it.scoped("20: so does one that refuses while it is sent", () =>
    Effect.gen(function*() {
      const body = Stream.concat(
        Stream.make(bytes("form ")),
        Stream.fromEffect(Effect.as(HttpCache.noStore, bytes("token")))
      )
      const ask = yield* serve(app(Effect.succeed(HttpServerResponse.stream(body))))
      const first = yield* Effect.exit(
        Effect.tryPromise(() => fetch(`http://127.0.0.1:${ask.port}/`).then((r) => r.text()))
      )
      expect(Exit.isFailure(first)).toBe(true)
      for (let times = 0; times < 2; times++) {
        const reply = yield* ask("/")
        expect([reply.text, reply.headers["cache-control"], reply.cacheStatus]).toEqual([
          "form token",
          "private",
          "fwd=uri-miss"
        ])
      }
    }).pipe(Effect.provide(QuietServer)))

  it.scoped.each(["ignore", "refuse", "vary"] as const)(
    "41: a stream is stored as bytes are, with unkeyed: %s",
    (unkeyed) =>
      Effect.gen(function*() {
        const headers = { "cache-control": "public, max-age=10" }
        const handler = Effect.map(HttpServerRequest.HttpServerRequest, (request) =>
          HttpServerResponse.stream(Stream.make(bytes(`for ${request.headers["x-a"]}`)), { headers }))
        const ask = yield* serve(app(handler, { unkeyed }))
        yield* ask("/", { headers: { "x-a": "1" } })
        expect((yield* ask("/", { headers: { "x-a": "1" } })).cacheStatus).toBe("hit; ttl=10")
      }).pipe(Effect.provide(QuietServer))
  )

  it.effect("22: a source that goes on writing into its buffer does not write into what is stored", () =>
    Effect.gen(function*() {
      const buffer = bytes("...")
      const source = Stream.map(Stream.rechunk(Stream.make("aaa", "bbb", "ccc"), 1), (text) => {
        buffer.set(bytes(text))
        return buffer
      })
      const route = Effect.succeed(HttpServerResponse.stream(source)).pipe(withCache({ expiry: 10 }))
      const ask = Effect.flatMap(route, ({ body }) =>
        body._tag === "Stream"
          ? Stream.mkString(Stream.decodeText(body.stream))
          : Effect.succeed(body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : body._tag)).pipe(
          Effect.scoped,
          Effect.provideService(
            HttpServerRequest.HttpServerRequest,
            HttpServerRequest.fromWeb(new Request("http://localhost/"))
          )
        )
      expect([yield* ask, yield* ask]).toEqual(["aaabbbccc", "aaabbbccc"])
    }).pipe(Effect.provide(InMemoryCacheStorage.layer)))

  it.scoped("42: past the limit the body goes on to its client, at its client's pace, and is not stored", () =>
    Effect.gen(function*() {
      const chunk = new Uint8Array(64 * 1024)
      let pulled = 0
      const endless = Stream.repeatEffect(Effect.sync(() => (pulled += chunk.byteLength, chunk)))
      const ask = yield* serve(app(Effect.succeed(HttpServerResponse.stream(endless)), { maxBodyBytes: 2 ** 20 }))
      const slow = yield* open(ask.port)
      // What the sockets hold is the platform's.
      const held = yield* still(() => pulled)
      expect(held).toBeLessThan(32 * 2 ** 20)
      let taken = 0
      slow.response.on("data", (text: string) => taken += text.length)
      yield* eventually(() => taken > 2 * held)
      slow.request.destroy()
      const storage = yield* CacheStorage.CacheStorage
      yield* eventually(() => activity(storage).flights === 0)
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("42: past the limit a client that takes nothing for 30 seconds is cut off, and the others go on", () =>
    Effect.gen(function*() {
      const chunk = new Uint8Array(64 * 1024)
      const gate = yield* Deferred.make<void>()
      let pulled = 0
      const endless = Stream.concat(
        Stream.make(bytes("a")),
        Stream.repeatEffect(Effect.as(Deferred.await(gate), chunk))
      ).pipe(Stream.tap(({ byteLength }) => Effect.sync(() => pulled += byteLength)))
      const ask = yield* serve(app(Effect.succeed(HttpServerResponse.stream(endless)), { maxBodyBytes: 2 ** 20 }))
      const slow = yield* open(ask.port)
      const other = yield* open(ask.port)
      let taken = 0
      other.response.on("data", (text: string) => taken += text.length)
      yield* Deferred.succeed(gate, undefined)
      const held = yield* still(() => pulled)
      yield* TestClock.adjust("29999 millis")
      expect(yield* still(() => pulled)).toBe(held)
      yield* TestClock.adjust("1 millis")
      yield* eventually(() => taken > 2 * held)
      expect(yield* slow.breaks).toBe(false)
      other.request.destroy()
      const storage = yield* CacheStorage.CacheStorage
      yield* eventually(() => activity(storage).flights === 0)
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("42: events reach each client at once, from a run of its own", () =>
    Effect.gen(function*() {
      const { handler, ran, write } = yield* produced({ contentType: "text/event-stream" })
      const ask = yield* serve(app(handler))
      yield* write("data: 1\n\n")
      const first = yield* open(ask.port)
      yield* first.has("data: 1\n\n")
      first.request.destroy()
      yield* eventually(() => ran.ended === 1)
      yield* write("data: 2\n\n")
      const second = yield* open(ask.port)
      yield* second.has("data: 2\n\n")
      expect([second.status, ran.times]).toEqual(["fwd=uri-miss", 2])
      second.request.destroy()
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("41, 172, 189: bodies of every kind are read whole, and answered again from what is stored", () =>
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "streams-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
      )
      const path = join(folder, "file.txt")
      writeFileSync(path, "content")
      const storage = yield* CacheStorage.CacheStorage
      const form = new FormData()
      form.set("field", "content")
      const bodies: { readonly [name: string]: () => Effect.Effect<HttpServerResponse.HttpServerResponse, unknown> } = {
        text: () => Effect.succeed(HttpServerResponse.raw("content")),
        bytes: () => Effect.succeed(HttpServerResponse.raw(bytes("content"))),
        buffer: () => Effect.succeed(HttpServerResponse.raw(bytes("content").buffer)),
        blob: () => Effect.succeed(HttpServerResponse.raw(new Blob(["content"]))),
        web: () => Effect.succeed(HttpServerResponse.raw(new Blob(["content"]).stream())),
        node: () => Effect.succeed(HttpServerResponse.raw(Readable.from(["con", Buffer.from("tent")]))),
        stream: () =>
          Effect.succeed(
            HttpServerResponse.stream(NodeStream.fromReadable(() => Readable.from([Buffer.from("content")]), (e) => e))
          ),
        file: () => HttpServerResponse.file(path).pipe(Effect.provide(NodeHttpServer.layerContext)),
        form: () => Effect.succeed(HttpServerResponse.formData(form)),
        // As they are made in JavaScript.
        texts: () => Effect.succeed(HttpServerResponse.stream(Stream.make("con", "tent") as never)),
        numbers: () =>
          Effect.succeed(HttpServerResponse.stream(Stream.make(new Uint16Array(bytes(" content").buffer)) as never)),
        views: () =>
          Effect.succeed(HttpServerResponse.stream(Stream.make(new DataView(bytes("content").buffer)) as never)),
        buffers: () =>
          Effect.succeed(HttpServerResponse.stream(Stream.make(bytes("con").buffer, bytes("tent").buffer) as never))
      }
      const ask = yield* serve(routes(
        Object.entries(bodies).map(([name, make]) =>
          [`GET /${name}`, Effect.suspend(make).pipe(withCache({ expiry: 10 }))] as const
        )
      ))
      for (const name of Object.keys(bodies)) {
        const miss = yield* ask(`/${name}`)
        // Who knows the length has the whole before it is stored.
        yield* eventually(() => activity(storage).flights === 0)
        const hit = yield* ask(`/${name}`)
        expect([name, miss.text, hit.cacheStatus]).toEqual([name, hit.text, "hit; ttl=10"])
        expect(hit.headers["content-type"]).toBe(miss.headers["content-type"])
        expect((yield* ask(`/${name}`, { method: "HEAD" })).text).toBe("")
        if (name === "form") expect(miss.headers["content-type"]).toMatch(/^multipart\/form-data; boundary=./)
        expect(miss.text).toContain("content")
      }
    }).pipe(Effect.provide(QuietServer)))
})
