/** Validation and ranges through the door, where the origin's fields decide (RFC 9111 §3.3, §3.4, §4.3). */
import { HttpServerRequest } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, TestClock } from "effect"
import { withCache } from "effect-http-cache"
import { routes, serve, TestServer } from "./harness.js"
import { empty, type Fields, origin, text } from "./origin.js"

const modified = "Thu, 01 Jan 1970 00:00:00 GMT"

describe("validation", () => {
  it.scoped("a stale response is asked about with its validators; a 304 freshens it, and its fields count", () =>
    Effect.gen(function*() {
      const ask = yield* origin((run) =>
        run === 1
          ? text("whole", {
            "etag": "\"1\"",
            "last-modified": modified,
            "cache-control": "max-age=10",
            "x-a": "old",
            "x-b": "kept"
          })
          : empty(304, { "etag": "\"1\"", "cache-control": "max-age=20", "x-a": "new", "content-length": "9" })
      )
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      const validated = yield* ask("/")
      expect(ask.asked[1]).toMatchObject({ "if-none-match": "\"1\"", "if-modified-since": modified })
      expect([validated.status, validated.text, validated.cacheStatus]).toEqual([
        200,
        "whole",
        "fwd=stale; fwd-status=304; stored"
      ])
      expect(validated.headers).toMatchObject({
        "x-a": "new",
        "x-b": "kept",
        "content-length": "5",
        "cache-control": "max-age=20"
      })
      yield* TestClock.adjust("19 seconds")
      const hit = yield* ask("/")
      expect([hit.text, hit.headers["age"], hit.headers["x-a"], hit.cacheStatus]).toEqual([
        "whole",
        "19",
        "new",
        "hit; ttl=1"
      ])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("an answer in full replaces what is stored; one that may not be stored removes it; an error does neither", () =>
    Effect.gen(function*() {
      const fresh = { "etag": "\"1\"", "cache-control": "max-age=10" }
      const ask = yield* origin((run) =>
        [
          text("first", fresh),
          text("second", fresh),
          empty(503),
          text("secret", { "cache-control": "no-store" }),
          text("third", fresh)
        ][run - 1]!, { retain: "1 hour" })
      yield* ask("/")
      for (
        const [body, status, said] of [
          ["second", 200, "fwd=stale; stored"],
          ["", 503, "fwd=stale"],
          ["secret", 200, "fwd=stale"],
          ["third", 200, "fwd=uri-miss; stored"]
        ]
      ) {
        yield* TestClock.adjust("10 seconds")
        const reply = yield* ask("/")
        expect([reply.text, reply.status, reply.cacheStatus]).toEqual([body, status, said])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("55: a 304 about another response updates nothing, and the origin is asked again without conditions", () =>
    Effect.gen(function*() {
      const ask = yield* origin((_, headers) =>
        headers["if-none-match"] === undefined
          ? text("whole", { "etag": "\"1\"", "cache-control": "max-age=10" })
          : empty(304, { "etag": "\"2\"", "cache-control": "max-age=60" })
      )
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      const reply = yield* ask("/")
      expect([reply.text, reply.cacheStatus, ask.asked.length]).toEqual(["whole", "fwd=stale; stored", 3])
      expect(ask.asked[2]?.["if-none-match"]).toBeUndefined()
    }).pipe(Effect.provide(TestServer)))

  it.scoped("55: a late 304 doesn't put an old response in the place of a newer one", () =>
    Effect.gen(function*() {
      const started = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      let runs = 0
      const handler = Effect.gen(function*() {
        const run = ++runs
        if (run === 1) return text("old", { "etag": "\"1\"", "cache-control": "max-age=10" })
        if (run === 3) return text("new", { "etag": "\"2\"", "cache-control": "max-age=10" })
        yield* Deferred.succeed(started, undefined)
        yield* Deferred.await(go)
        return empty(304, { "etag": "\"1\"", "cache-control": "max-age=60" })
      })
      const ask = yield* serve(handler.pipe(withCache()))
      const other = yield* ask.another
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      const late = yield* Effect.fork(ask("/"))
      yield* Deferred.await(started)
      expect((yield* other("/", { headers: { "cache-control": "no-cache" } })).text).toBe("new")
      yield* Deferred.succeed(go, undefined)
      expect((yield* Fiber.join(late)).text).toBe("old")
      expect((yield* other("/")).text).toBe("new")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("a client's own condition is judged against what the validation made of it", () =>
    Effect.gen(function*() {
      const ask = yield* origin((run) =>
        run === 1 ? text("whole", { "etag": "\"1\"", "cache-control": "max-age=10" }) : empty(304, { "etag": "\"1\"" })
      )
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      const has = yield* ask("/", { headers: { "if-none-match": "\"1\", \"2\"" } })
      expect([has.status, has.cacheStatus, ask.asked[1]?.["if-none-match"]]).toEqual([
        304,
        "fwd=stale; fwd-status=304; stored",
        "\"1\""
      ])
      const hasNot = yield* ask("/", { headers: { "if-none-match": "\"2\"" } })
      expect([hasNot.status, hasNot.text]).toEqual([200, "whole"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("no-cache is kept, and asked about each time", () =>
    Effect.gen(function*() {
      const ask = yield* origin((run) =>
        run === 1 ? text("whole", { "etag": "\"1\"", "cache-control": "no-cache" }) : empty(304)
      )
      expect((yield* ask("/")).cacheStatus).toBe("fwd=uri-miss; stored")
      for (let i = 0; i < 2; i++) {
        const reply = yield* ask("/")
        expect([reply.text, reply.cacheStatus]).toEqual(["whole", "fwd=stale; fwd-status=304; stored"])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("a HEAD about what is stored freshens it; one about another removes it", () =>
    Effect.gen(function*() {
      const ask = yield* origin((run) =>
        [
          text("whole", { "etag": "\"1\"", "cache-control": "max-age=10" }),
          text("whole", { "etag": "\"1\"", "cache-control": "max-age=30", "x-a": "head" }),
          text("other", { "etag": "\"2\"", "cache-control": "max-age=30" }),
          text("other", { "etag": "\"2\"", "cache-control": "max-age=30" })
        ][run - 1]!
      )
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      yield* ask("/", { method: "HEAD" })
      const hit = yield* ask("/")
      expect([hit.text, hit.headers["x-a"], hit.cacheStatus]).toEqual(["whole", "head", "hit; ttl=30"])
      yield* TestClock.adjust("30 seconds")
      yield* ask("/", { method: "HEAD" })
      expect((yield* ask("/")).cacheStatus).toBe("fwd=uri-miss; stored")
    }).pipe(Effect.provide(TestServer)))
})

describe("ranges", () => {
  const whole = "0123456789"
  const headers = {
    "etag": "\"1\"",
    "last-modified": modified,
    "cache-control": "max-age=60",
    "content-type": "text/plain"
  }

  it.scoped("24: parts of what is stored, open, from the end and several; 416; a tag or date decides; the whole for nonsense", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(100_000)
      const ask = yield* origin(() => text(whole, headers))
      yield* ask("/")
      const range = (range: string, more: Fields = {}) =>
        Effect.map(
          ask("/", { headers: { range, ...more } }),
          ({ headers, status, text }) => [status, text, headers["content-range"]]
        )
      expect(yield* range("bytes=0-1")).toEqual([206, "01", "bytes 0-1/10"])
      expect(yield* range("BYTES=8-")).toEqual([206, "89", "bytes 8-9/10"])
      expect(yield* range("bytes=-3")).toEqual([206, "789", "bytes 7-9/10"])
      expect(yield* range("bytes=-30")).toEqual([206, whole, "bytes 0-9/10"])
      expect(yield* range("bytes=5-99")).toEqual([206, "56789", "bytes 5-9/10"])
      expect(yield* range("bytes=10-")).toEqual([416, "", "bytes */10"])
      expect(yield* range("bytes=-0")).toEqual([416, "", "bytes */10"])
      for (
        const ignored of [
          "bytes=2-1",
          "bytes=a-b",
          "bytes=",
          "lines=1-2",
          "bytes=-",
          "bytes=0-4,3-5",
          `bytes=${"0-0,".repeat(20)}`
        ]
      ) {
        expect([ignored, ...yield* range(ignored)]).toEqual([ignored, 200, whole, undefined])
      }
      expect((yield* range("bytes=0-1", { "if-range": "\"1\"" }))[0]).toBe(206)
      expect((yield* range("bytes=0-1", { "if-range": modified }))[0]).toBe(206)
      for (const other of ["\"2\"", "W/\"1\"", "Thu, 01 Jan 1970 00:00:01 GMT"]) {
        expect((yield* range("bytes=0-1", { "if-range": other }))[0]).toBe(200)
      }
      expect((yield* range("bytes=0-1", { "if-none-match": "\"1\"" }))[0]).toBe(304)
      const several = yield* ask("/", { headers: { range: "bytes=0-1, 4-5" } })
      const boundary = /^multipart\/byteranges; boundary=(.+)$/.exec(several.headers["content-type"] ?? "")![1]!
      expect(several.text.split(`--${boundary}`).map((part) => part.trim())).toEqual([
        "",
        "content-type: text/plain\r\ncontent-range: bytes 0-1/10\r\n\r\n01",
        "content-type: text/plain\r\ncontent-range: bytes 4-5/10\r\n\r\n45",
        "--"
      ])
      expect((yield* ask("/", { method: "HEAD", headers: { range: "bytes=0-1" } })).headers["content-length"]).toBe(
        "10"
      )
      expect(ask.asked).toHaveLength(1)
    }).pipe(Effect.provide(TestServer)))

  const partial = (first: number, last: number, more: Fields = {}) =>
    text(whole.slice(first, last + 1), { ...headers, ...more, "content-range": `bytes ${first}-${last}/10` }, 206)

  it.scoped("24: a part is stored as a part: it answers what is within it, and never as the whole", () =>
    Effect.gen(function*() {
      const ask = yield* origin((_, asked) => asked["range"] === "bytes=2-6" ? partial(2, 6) : text(whole, headers))
      const range = (range: string) =>
        Effect.map(
          ask("/", { headers: { range } }),
          ({ cacheStatus, headers, status, text }) => [status, text, headers["content-range"], cacheStatus]
        )
      expect(yield* range("bytes=2-6")).toEqual([206, "23456", "bytes 2-6/10", "fwd=uri-miss; stored"])
      expect(yield* range("bytes=3-4")).toEqual([206, "34", "bytes 3-4/10", "hit; ttl=60"])
      expect((yield* ask("/", { method: "HEAD" })).cacheStatus).toBe("fwd=partial")
      expect((yield* range("bytes=0-4"))[3]).toBe("fwd=partial; fwd-status=200; stored")
      expect((yield* ask("/")).text).toBe(whole)
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each([["bytes=0-3", "bytes=4-", 0, 3], ["bytes=6-9", "bytes=0-5", 6, 9]] as const)(
    "24: a part at one end (%s) is completed with what is missing, if that is of the same representation",
    ([first, missing, from, to]) =>
      Effect.gen(function*() {
        let tag = "\"1\""
        const ask = yield* origin((_, asked) => {
          if (asked["range"] === first) return partial(from, to)
          if (asked["range"] === missing && asked["if-range"] === tag) {
            return partial(from === 0 ? 4 : 0, from === 0 ? 9 : 5, { "x-a": "new" })
          }
          return text("changed", { ...headers, etag: tag })
        })
        yield* ask("/same", { headers: { range: first } })
        const completed = yield* ask("/same")
        expect([completed.status, completed.text, completed.headers["content-length"], completed.cacheStatus])
          .toEqual([200, whole, "10", "fwd=partial; fwd-status=206; stored"])
        expect(completed.headers["x-a"]).toBe("new")
        expect((yield* ask("/same")).cacheStatus).toBe("hit; ttl=60")
        yield* ask("/changed", { headers: { range: first } })
        tag = "\"2\""
        expect((yield* ask("/changed")).text).toBe("changed")
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped("24: a part without a strong tag, or that does not say which, is not stored", () =>
    Effect.gen(function*() {
      const parts = [
        partial(0, 3, { etag: "W/\"1\"" }),
        text("0123", { ...headers, "content-range": "bytes 0-9/10" }, 206),
        text("0123", headers, 206)
      ]
      const ask = yield* origin((_, __, { url }) => parts[Number(url.slice(1))]!)
      for (const index of parts.keys()) {
        yield* ask(`/${index}`, { headers: { range: "bytes=0-3" } })
        expect((yield* ask(`/${index}`, { headers: { range: "bytes=0-3" } })).cacheStatus).toBe("fwd=uri-miss")
      }
    }).pipe(Effect.provide(TestServer)))
})

describe("a route in front of an origin's handler", () => {
  it.scoped("under expiry a handler may answer our question with 304 as well", () =>
    Effect.gen(function*() {
      const handler = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) =>
        headers["if-none-match"] === "\"1\"" ? empty(304) : text("whole", { etag: "\"1\"" }))
      const ask = yield* serve(routes({ "GET /": handler.pipe(withCache({ expiry: 10 })) }))
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      const reply = yield* ask("/")
      expect([reply.status, reply.text, reply.headers["cache-control"], reply.cacheStatus])
        .toEqual([200, "whole", "max-age=10", "fwd=stale; fwd-status=304; stored"])
    }).pipe(Effect.provide(TestServer)))
})
