/** Parts, statuses and validators of messages as a client sees them, over a real port, under the TestClock. */
import { HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Stream, TestClock } from "effect"
import { HttpCache } from "effect-http-cache"
import { type Logged, logged, send, serve, TestServer } from "./harness.js"
import { type Fields, origin, text } from "./origin.js"

/** The head of what a server sends, as it stands on the wire, and what follows. */
const raw = (port: number, fields = "", method = "GET"): Effect.Effect<readonly [head: string, rest: string]> =>
  Effect.map(send(port, `${method} / HTTP/1.1\r\nhost: a\r\n${fields}connection: close\r\n\r\n`), (all) => {
    const end = all.indexOf("\r\n\r\n")
    return [all.slice(0, end), all.slice(end + 4)]
  })

const fresh = { "cache-control": "max-age=60", "etag": "\"1\"" }

describe("ranges and framing", () => {
  it.scoped.each<[string, number, string | undefined]>([
    ["bytes=-5", 200, undefined],
    ["bytes=0-,-5", 200, undefined],
    ["bytes=0-", 416, "bytes */0"],
    ["bytes=-0", 416, "bytes */0"]
  ])("78: of an empty response %s is answered with %s", ([range, status, contentRange]) =>
    Effect.gen(function*() {
      const ask = yield* origin(() => HttpServerResponse.empty({ status: 200, headers: fresh }))
      for (const said of ["fwd=uri-miss; stored", "hit; ttl=60"]) {
        const reply = yield* ask("/", { headers: { range } })
        expect([
          reply.status,
          reply.headers["content-range"],
          reply.text,
          reply.cacheStatus.replace(" fwd-status=200;", "")
        ])
          .toEqual([status, contentRange, "", said])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("78: several parts have no Content-Range in their head, whatever the handler says of the whole", () =>
    Effect.gen(function*() {
      const ask = yield* origin(() => text("0123456789", { ...fresh, "content-range": "bytes 0-9/10" }))
      for (const _ of ["miss", "hit"]) {
        const { headers, status } = yield* ask("/", { headers: { range: "bytes=0-1,4-5" } })
        expect([status, headers["content-range"]]).toEqual([206, undefined])
      }
      expect((yield* ask("/", { headers: { range: "bytes=0-1" } })).headers["content-range"]).toBe("bytes 0-1/10")
      expect((yield* ask("/", { headers: { range: "bytes=10-" } })).headers["content-range"]).toBe("bytes */10")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("78: nor has a handler's own answer in several parts, which is not stored", () =>
    Effect.gen(function*() {
      const headers = { ...fresh, "content-range": "bytes 0-5/10" }
      const parts = HttpServerResponse.uint8Array(Buffer.from("--x--\r\n"), {
        status: 206,
        headers,
        contentType: "multipart/byteranges; boundary=x"
      })
      const ask = yield* origin(() => parts)
      const reply = yield* ask("/", { headers: { range: "bytes=0-1,3-5" } })
      expect([reply.status, reply.headers["content-range"], reply.cacheStatus]).toEqual([
        206,
        undefined,
        "fwd=uri-miss"
      ])
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each<[string, () => HttpServerResponse.HttpServerResponse]>([
    ["text", () => HttpServerResponse.raw("0123", { headers: { ...fresh, "transfer-encoding": "chunked" } })],
    ["bytes", () => text("0123", { ...fresh, "transfer-encoding": "Chunked" })],
    [
      "a stream of known length",
      () => {
        const headers = { ...fresh, "transfer-encoding": "chunked" }
        return HttpServerResponse.stream(Stream.make(Buffer.from("0123")), { contentLength: 4, headers })
      }
    ]
  ])("78: no answer has Transfer-Encoding and Content-Length: %s", ([, answer]) =>
    Effect.gen(function*() {
      const { port } = yield* origin(answer)
      for (const method of ["HEAD", "GET", "GET", "HEAD"]) {
        const [head, body] = yield* raw(port, "", method)
        expect(head.toLowerCase()).not.toContain("transfer-encoding")
        if (method === "GET") expect([head.toLowerCase().includes("content-length: 4"), body]).toEqual([true, "0123"])
      }
    }).pipe(Effect.provide(TestServer)))
})

describe("what a 304 is about", () => {
  const stored = { ...fresh, "content-type": "text/plain", "content-encoding": "x-own" }

  it.scoped.each<[string, Fields, Fields]>([
    ["another coding", stored, { "content-encoding": "br" }],
    ["another type", stored, { "content-type": "application/json" }],
    ["another coding, without a tag", { ...stored, "last-modified": new Date(0).toUTCString() }, {
      "content-encoding": "gzip",
      "etag": ""
    }],
    ["another tag without quotes", { ...stored, etag: "v1" }, { etag: "v2" }],
    ["a tag with quotes", { ...stored, etag: "v1" }, { etag: "\"v1\"" }]
  ])(
    "79: %s is about another response: the origin is asked again without conditions",
    ([, first, other]) =>
      Effect.gen(function*() {
        const ask = yield* origin((run) => {
          if (run === 1) return text("old", first)
          if (run === 2) return HttpServerResponse.empty({ status: 304, headers: { ...first, ...other } })
          return text("new", fresh)
        })
        yield* ask("/")
        yield* TestClock.adjust("60 seconds")
        const reply = yield* ask("/")
        expect([reply.text, reply.cacheStatus, ask.asked.map((fields) => fields["if-none-match"])])
          .toEqual(["new", "fwd=stale; stored", [undefined, first["etag"], undefined]])
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped.each<[string, Fields, Fields]>([
    ["the same in another spelling", stored, { "content-type": "Text/Plain", "content-encoding": "X-OWN" }],
    ["a tag without quotes, as it is stored", { ...stored, etag: "v1" }, { etag: "v1" }],
    ["neither", stored, {}]
  ])("79: %s freshens what is stored", ([, first, same]) =>
    Effect.gen(function*() {
      const ask = yield* origin((run) =>
        run === 1 ? text("old", first) : HttpServerResponse.empty({ status: 304, headers: same })
      )
      yield* ask("/")
      yield* TestClock.adjust("60 seconds")
      const reply = yield* ask("/")
      expect([reply.text, reply.cacheStatus]).toEqual(["old", "fwd=stale; fwd-status=304; stored"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("79: a HEAD under the same tag that names another coding removes what is stored", () =>
    Effect.gen(function*() {
      const ask = yield* origin((run) =>
        run === 2
          ? HttpServerResponse.empty({ status: 200, headers: { ...stored, "content-encoding": "br" } })
          : text("whole", stored)
      )
      yield* ask("/")
      yield* TestClock.adjust("60 seconds")
      yield* ask("/", { method: "HEAD" })
      expect((yield* ask("/")).cacheStatus).toBe("fwd=uri-miss; stored")
    }).pipe(Effect.provide(TestServer)))

  it.effect("79: under expiry one warning per route says how a tag is written", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const warned = (etag: string, options: HttpCache.Options) =>
        Effect.gen(function*() {
          const ask = yield* serve(Effect.succeed(text("x", { ...fresh, etag })).pipe(HttpCache.middleware(options)))
          for (const path of ["/", "/", "/other"]) yield* ask(path)
          return log.splice(0).map(({ message }) => message)
        }).pipe(Effect.scoped, Effect.provide(Layer.fresh(TestServer)))
      const sentence = expect.stringMatching(/ETag v1, which is no entity tag.*with quotes, as in { etag: '"v1"' }/)
      expect(yield* warned("v1", { expiry: 10 })).toEqual([sentence])
      expect(yield* warned("W/v1", { expiry: 10 })).toHaveLength(1)
      for (const etag of ["\"v1\"", "W/\"v1\"", "\"\""]) expect(yield* warned(etag, { expiry: 10 })).toEqual([])
      expect(yield* warned("v1", {})).toEqual([])
    }).pipe(Effect.provide(logged(log)))
  })
})
