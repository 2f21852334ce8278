/** RFC 9111 through the door, where the origin's fields decide: validation, parts, preferences, targeted fields. */
import { HttpApp, HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, TestClock } from "effect"
import {
  type CacheStorage,
  type CollectableCacheStorage,
  HttpCache,
  InMemoryCacheStorage,
  withCache
} from "effect-http-cache"
import { type Ask, serve, TestServer } from "./harness.js"

type Fields = { readonly [name: string]: string }

/** An origin: what each of its answers is, by the run and the request's fields; it keeps what it was asked. */
const origin = (
  answer: (
    run: number,
    headers: Fields,
    request: HttpServerRequest.HttpServerRequest
  ) => HttpServerResponse.HttpServerResponse,
  options: HttpCache.Options = {}
) =>
  Effect.gen(function*() {
    const asked: Array<Fields> = []
    const handler = Effect.map(HttpServerRequest.HttpServerRequest, (request) => {
      asked.push({ ...request.headers })
      return answer(asked.length, request.headers, request)
    })
    return Object.assign(yield* serve(handler.pipe(HttpCache.middleware(options))), { asked })
  })

const text = (body: string, headers: Fields, status = 200) => HttpServerResponse.text(body, { headers, status })
const empty = (status: number, headers: Fields = {}) => HttpServerResponse.empty({ status, headers })

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

describe("freshness where none is stated", () => {
  it.scoped("is a tenth of the time since the response was modified, at most a day, for statuses that permit it", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(100_000_000_000)
      const ago = (seconds: number) => new Date(100_000_000_000 - seconds * 1000).toUTCString()
      const ask = yield* origin((_, __, { url }) =>
        text("x", { "last-modified": ago(Number(url.slice(5))) }, Number(url.slice(1, 4)))
      )
      const lifetime = (path: string) => Effect.map(Effect.zipRight(ask(path), ask(path)), (reply) => reply.cacheStatus)
      expect(yield* lifetime("/200/100")).toBe("hit; ttl=10")
      expect(yield* lifetime("/404/100")).toBe("hit; ttl=10")
      expect(yield* lifetime("/200/90000000")).toBe("hit; ttl=86400")
      expect(yield* lifetime("/201/100")).toBe("fwd=uri-miss")
      expect(yield* lifetime("/503/100")).toBe("fwd=uri-miss")
    }).pipe(Effect.provide(TestServer)))
})

describe("stale responses in place of errors", () => {
  it.scoped("48: stand in within the window, of the route or of the response; nothing else is an error", () =>
    Effect.gen(function*() {
      const ask = yield* origin((run, _, { url }) => {
        const [, control, status] = decodeURIComponent(url).split("/")
        return run % 2 === 1 ? text("stale", { "cache-control": control! }) : empty(Number(status))
      }, { staleIfError: "20 seconds", retain: "1 hour" })
      const later = (path: string, wait: number) =>
        Effect.zipRight(ask(path), TestClock.adjust(wait)).pipe(
          Effect.zipRight(ask(path)),
          Effect.map(({ cacheStatus, headers, status, text }) => [status, text, headers["age"], cacheStatus])
        )
      for (const status of [500, 502, 503, 504]) {
        expect(yield* later(`/max-age=10/${status}`, 29_999)).toEqual([
          200,
          "stale",
          "29",
          `fwd=stale; fwd-status=${status}`
        ])
      }
      expect(yield* later("/max-age=11/503", 31_000)).toEqual([503, "", undefined, "fwd=stale"])
      expect(yield* later("/max-age=10,stale-if-error=60/503", 69_999)).toEqual([
        200,
        "stale",
        "69",
        "fwd=stale; fwd-status=503"
      ])
      for (const control of ["must-revalidate", "proxy-revalidate", "s-maxage=10", "no-cache"]) {
        expect((yield* later(`/max-age=10,${control}/503`, 10_000))[0]).toBe(503)
      }
      for (const status of [403, 404, 410, 501]) expect((yield* later(`/max-age=12/${status}`, 12_000))[0]).toBe(status)
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

describe("preferences", () => {
  const hits = (options: HttpCache.Options, name: string, values: ReadonlyArray<string>) =>
    Effect.gen(function*() {
      const answer = text("x", { "cache-control": "max-age=60", "vary": name })
      const ask = yield* serve(Effect.succeed(answer).pipe(HttpCache.middleware(options)))
      const headers = (value: string): Ask => ({ headers: { [name]: value } })
      yield* ask("/", headers(values[0]!))
      return yield* Effect.forEach(values.slice(1), (value) =>
        Effect.map(ask("/", headers(value)), (reply) => reply.cacheStatus.startsWith("hit")))
    }).pipe(Effect.scoped, Effect.provide(TestServer))

  it.effect("81: that say the same select the same; of one weight, the first one may be taken", () =>
    Effect.gen(function*() {
      const languages = ["en, de;q=0.5", "EN,de; Q=0.50", "de;q=0.5, en", "en;q=1, de;q=.5", "en, de"]
      for (const options of [{}, { expiry: 60 }]) {
        expect(yield* hits(options, "accept-language", languages)).toEqual([true, true, false, false])
        expect(yield* hits(options, "accept-language", ["fr, en", "en, fr", "fr,EN"])).toEqual([false, true])
      }
      expect(yield* hits({}, "accept-encoding", ["gzip, br", "GZIP,br", "br, gzip"])).toEqual([true, false])
      expect(yield* hits({}, "accept", ["text/html;level=1", "Text/HTML; Level=1", "text/html"])).toEqual([true, false])
      expect(yield* hits({}, "x-list", ["a, b", "a,b", "b, a", "A, b"])).toEqual([true, false, false])
    }))
})

describe("targeted fields", () => {
  it.scoped("of the list replace Cache-Control and Expires, where they can be read; others say nothing here", () =>
    Effect.gen(function*() {
      const ask = yield* origin((_, asked) => text("x", JSON.parse(asked["x-fields"]!) as Fields), {
        targets: ["Example-Cache-Control", "CDN-Cache-Control"]
      })
      let path = 0
      const second = (fields: Fields) => {
        const request = { headers: { "x-fields": JSON.stringify(fields) } }
        path++
        return Effect.map(
          Effect.zipRight(ask(`/${path}`, request), ask(`/${path}`, request)),
          (reply) => reply.cacheStatus
        )
      }
      expect(yield* second({ "cdn-cache-control": "max-age=20", "cache-control": "no-store", "expires": "0" })).toBe(
        "hit; ttl=20"
      )
      expect(yield* second({ "cdn-cache-control": "no-store", "cache-control": "max-age=10" })).toBe("fwd=uri-miss")
      expect(yield* second({ "cdn-cache-control": "private", "cache-control": "max-age=10" })).toBe("fwd=uri-miss")
      expect(yield* second({ "example-cache-control": "max-age=30", "cdn-cache-control": "max-age=20" })).toBe(
        "hit; ttl=30"
      )
      expect(yield* second({ "example-cache-control": "", "cdn-cache-control": "max-age=20" })).toBe("hit; ttl=20")
      expect(yield* second({ "cdn-cache-control": "max-age=20;x", "cache-control": "max-age=10" })).toBe("hit; ttl=20")
      expect(yield* second({ "cdn-cache-control": "Max-Age = 20", "cache-control": "max-age=10" })).toBe("hit; ttl=10")
      expect(yield* second({ "cdn-cache-control": "max-age=\"20\"", "cache-control": "max-age=10" })).toBe(
        "fwd=stale; stored"
      )
      expect(yield* second({ "other-cache-control": "no-store", "cache-control": "max-age=10" })).toBe("hit; ttl=10")
    }).pipe(Effect.provide(TestServer)))
})

describe("POST", () => {
  it.scoped("answers later requests with GET, where it says how long and that it is of the URI", () =>
    Effect.gen(function*() {
      const ask = yield* origin((run, _, { method, url }) =>
        text(
          `${method} ${run}`,
          method === "POST"
            ? { "cache-control": "max-age=60", "content-location": url.startsWith("/other") ? "/" : url }
            : {}
        )
      )
      yield* ask("/a", { method: "POST" })
      expect((yield* ask("/a")).text).toBe("POST 1")
      yield* ask("/a", { method: "POST" })
      expect((yield* ask("/a")).text).toBe("POST 2")
      yield* ask("/other", { method: "POST" })
      expect((yield* ask("/other")).cacheStatus).toBe("fwd=uri-miss")
      expect((yield* ask("/a")).headers["cache-status"]).toBe("effect-http-cache; hit; ttl=60")
    }).pipe(Effect.provide(TestServer)))
})

describe("clocks and dates", () => {
  it.scoped("45: a clock that goes back, an Age beyond 2^31, a missing Date and broken Expires are all safe", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(1_000_000)
      const expires = [
        "0",
        "-1",
        "",
        "never",
        "Thu, 32 Jan 1970 00:00:00 GMT",
        "Thu, 01 Jan 2070",
        "1e9",
        "Thu, 01 Jan 2070 00:00:00 PST",
        "Fri, 01 Jan 2100 00:00:00"
      ]
      const ask = yield* origin((_, asked) => text("x", JSON.parse(asked["x-fields"]!) as Fields))
      const request = (fields: Fields): Ask => ({ headers: { "x-fields": JSON.stringify(fields) } })
      for (const [index, value] of expires.entries()) {
        yield* ask(`/${index}`, request({ expires: value, etag: "\"1\"" }))
        expect([value, (yield* ask(`/${index}`, request({}))).cacheStatus]).toEqual([value, "fwd=stale"])
      }
      yield* ask("/age", request({ "age": "99999999999", "cache-control": "max-age=99999999999" }))
      expect((yield* ask("/age", request({}))).cacheStatus).toBe("fwd=stale")
      yield* ask("/back", request({ "cache-control": "max-age=60" }))
      yield* TestClock.setTime(900_000)
      const back = yield* ask("/back", request({}))
      expect([back.headers["age"], back.cacheStatus]).toEqual(["0", "hit; ttl=60"])
    }).pipe(Effect.provide(TestServer)))
})

describe("QUERY", () => {
  it.scoped("is answered by its content and type, which the handler reads as if the cache had not", () =>
    Effect.gen(function*() {
      let runs = 0
      const handler = Effect.flatMap(
        HttpServerRequest.HttpServerRequest,
        (request) =>
          Effect.map(
            Effect.all([request.text, request.json]),
            ([body, parsed]) =>
              HttpServerResponse.text(`${++runs} ${body} ${JSON.stringify(parsed)}`, {
                headers: { "cache-control": "max-age=60" }
              })
          )
      )
      const app = Effect.orDie(handler).pipe(HttpCache.middleware())
      const handle = HttpApp.toWebHandlerRuntime(
        yield* Effect.runtime<CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage>()
      )(app)
      const query = (
        method: string,
        body: string,
        type = "application/json",
        length: object = { "content-length": String(body.length) }
      ) =>
        Effect.promise(async () => {
          const init = { method, body, headers: { "content-type": type, ...length } }
          const response = await handle(new Request("http://localhost/", init))
          return [await response.text(), response.headers.get("cache-status")?.slice(19)]
        })
      expect(yield* query("QUERY", "[1]")).toEqual(["1 [1] [1]", "fwd=uri-miss; stored"])
      expect(yield* query("QUERY", "[1]")).toEqual(["1 [1] [1]", "hit; ttl=60"])
      expect(yield* query("QUERY", "[2]")).toEqual(["2 [2] [2]", "fwd=vary-miss; stored"])
      expect(yield* query("QUERY", "[1]", "application/x-json")).toEqual(["3 [1] [1]", "fwd=vary-miss; stored"])
      expect((yield* query("POST", "[1]"))[1]).toBe("fwd=method")
      expect(yield* query("QUERY", "[1]")).toEqual(["5 [1] [1]", "fwd=uri-miss; stored"])
      expect(yield* query("QUERY", "[1]", "application/json", {})).toEqual(["6 [1] [1]", "fwd=bypass"])
      const long = JSON.stringify("x".repeat(70_000))
      expect((yield* query("QUERY", long))[1]).toBe("fwd=bypass")
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))
})

describe("No-Vary-Search", () => {
  it.scoped("tells clients which search parameters say nothing", () =>
    Effect.gen(function*() {
      const told: ReadonlyArray<readonly [HttpCache.Options["query"], string | undefined]> = [
        ["all", undefined],
        ["none", "params"],
        [{ except: ["utm", "ü"] }, "params=(\"utm\" \"%C3%BC\")"],
        [{ only: ["q"] }, "params, except=(\"q\")"],
        [{ except: [] }, undefined]
      ]
      const ask = yield* serve(HttpRouter.fromIterable(told.map(([query], index) =>
        HttpRouter.makeRoute("GET", `/${index}`, HttpServerResponse.text("x").pipe(withCache({ expiry: 10, query })))
      )))
      for (const [index, [, expected]] of told.entries()) {
        for (const asked of ["miss", "hit"]) {
          expect([asked, (yield* ask(`/${index}`)).headers["no-vary-search"]]).toEqual([asked, expected])
        }
      }
    }).pipe(Effect.provide(TestServer)))
})

describe("a route in front of an origin's handler", () => {
  it.scoped("under expiry a handler may answer our question with 304 as well", () =>
    Effect.gen(function*() {
      const handler = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) =>
        headers["if-none-match"] === "\"1\"" ? empty(304) : text("whole", { etag: "\"1\"" }))
      const ask = yield* serve(HttpRouter.empty.pipe(HttpRouter.get("/", handler.pipe(withCache({ expiry: 10 })))))
      yield* ask("/")
      yield* TestClock.adjust("10 seconds")
      const reply = yield* ask("/")
      expect([reply.status, reply.text, reply.headers["cache-control"], reply.cacheStatus])
        .toEqual([200, "whole", "max-age=10", "fwd=stale; fwd-status=304; stored"])
    }).pipe(Effect.provide(TestServer)))
})
