/** What a handler reads of the content of a request: the same as without a cache, whoever has read it before. */
import { HttpApp, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Stream, TestClock } from "effect"
import { HttpCache, withCache } from "effect-http-cache"
import { type App, QuietServer, serve, TestServer, webHandler } from "./harness.js"

const { text } = HttpServerResponse

type Request = HttpServerRequest.HttpServerRequest
type Read = (request: Request) => Effect.Effect<unknown, unknown>

const reads: ReadonlyArray<readonly [name: string, read: Read, nothing: unknown]> = [
  ["text", (request) => request.text, ""],
  ["json", (request) => request.json, null],
  ["urlParamsBody", (request) => Effect.map(request.urlParamsBody, (params) => Array.from(params)), []],
  ["arrayBuffer", (request) => Effect.map(request.arrayBuffer, ({ byteLength }) => byteLength), 0],
  [
    "stream",
    ({ stream }) => Effect.map(Stream.runCollect(stream), (chunks) => Buffer.concat([...chunks]).byteLength),
    0
  ]
]

const reading = (read: Read) =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => Effect.orDie(read(request)))

/** Answers with what it has read. */
const telling = (read: Read) => Effect.map(reading(read), (content) => text(JSON.stringify(content)))

/** A middleware that looks at the content first, as one that logs it does. */
const readBefore = <E, R>(app: App<E, R>): App<E, R> => Effect.zipRight(reading((request) => request.text), app)

describe("210: a request without content", () => {
  it.scoped.each(reads)(
    "is read by %s, also where somebody has read it before",
    ([, read, nothing]) =>
      Effect.gen(function*() {
        const part = telling(read).pipe(withCache({ expiry: 5 }))
        const page = Effect.zipRight(reading(read), part).pipe(withCache({ expiry: 5 }))
        const ask = yield* serve(readBefore(page))
        for (const method of ["GET", "HEAD"]) expect((yield* ask("/", { method })).status).toBe(200)
        expect((yield* ask("/")).text).toBe(JSON.stringify(nothing))
      }).pipe(Effect.provide(QuietServer))
  )

  it.scoped.each(reads)(
    "is read by %s in a refresh, when its client has been answered",
    ([, read, nothing]) =>
      Effect.gen(function*() {
        const answered = yield* Deferred.make<void>()
        let runs = 0
        const handler = Effect.suspend(() =>
          ++runs === 1
            ? Effect.succeed(text("first"))
            : Effect.zipRight(Deferred.await(answered), telling(read))
        )
        const ask = yield* serve(handler.pipe(withCache({ expiry: 10, staleWhileRevalidate: 100 })))
        yield* ask("/")
        yield* TestClock.adjust("11 seconds")
        expect((yield* ask("/")).text).toBe("first")
        yield* Deferred.succeed(answered, undefined)
        const again = Effect.repeat(ask("/"), { until: ({ text }) => text !== "first" })
        expect((yield* again).text).toBe(JSON.stringify(nothing))
      }).pipe(Effect.provide(QuietServer))
  )
})

describe("211: the content of a QUERY", () => {
  const kept = { headers: { "cache-control": "max-age=60" } }
  const headers = { "content-type": "text/plain", "content-length": 3 }

  it.scoped("is given to a handler of the web, which reads the request itself", () =>
    Effect.gen(function*() {
      const app = HttpApp.fromWebHandler(async (request) =>
        new Response(`${request.method} ${await request.text()}`, kept)
      )
      const handle = yield* webHandler(app.pipe(HttpCache.middleware()))
      const ask = () =>
        Effect.promise(async () => {
          const init = { method: "QUERY", body: "abc", headers: { ...headers, "content-length": "3" } }
          const response = await handle(new Request("http://localhost/", init))
          return [await response.text(), response.headers.get("cache-status")?.slice(19)]
        })
      expect(yield* ask()).toEqual(["QUERY abc", "fwd=uri-miss"])
      expect(yield* ask()).toEqual(["QUERY abc", "hit; ttl=60"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("passes by where somebody has read it before, and keeps nobody waiting", () =>
    Effect.gen(function*() {
      const app = Effect.map(reading((request) => request.text), (content) => text(String(content), kept))
      const ask = yield* serve(readBefore(app.pipe(HttpCache.middleware())))
      const reply = yield* ask("/", { method: "QUERY", body: "abc", headers })
      expect([reply.text, reply.cacheStatus]).toEqual(["abc", "fwd=bypass"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("230: is there for a cache within another, as of a route within that of the app", () =>
    Effect.gen(function*() {
      const part = telling(({ text }) => text).pipe(withCache({ expiry: 60 }))
      const ask = yield* serve(part.pipe(withCache({ expiry: 5 })))
      const query = { method: "QUERY", body: "abc", headers }
      expect((yield* ask("/", query)).text).toBe("\"abc\"")
      yield* TestClock.adjust("10 seconds")
      const reply = yield* ask("/", query)
      expect([reply.text, reply.cacheStatus]).toEqual(["\"abc\"", "hit; ttl=50"])
    }).pipe(Effect.provide(QuietServer)))
})
