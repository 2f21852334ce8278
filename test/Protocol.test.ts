/** RFC 9111 through the door, where the origin's fields decide: freshness, stale answers, preferences, targeted fields, methods. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { HttpCache, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { type Ask, routes, serve, TestServer, webHandler } from "./harness.js"
import { empty, type Fields, origin, text } from "./origin.js"

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

  it.scoped("187: say nothing of how long by a Decimal, whatever stands behind its point", () =>
    Effect.gen(function*() {
      const fields = (_: number, asked: Fields) =>
        text("x", { "cdn-cache-control": `max-age=${asked["x-age"]}`, "cache-control": "max-age=10", "etag": "\"1\"" })
      const ask = yield* origin(fields, { targets: ["CDN-Cache-Control"] })
      for (
        const [age, said] of [["60", "hit; ttl=60"], ["60.0", "fwd=stale; stored"], [
          "1.5",
          "fwd=stale; stored"
        ]] as const
      ) {
        yield* ask(`/${age}`, { headers: { "x-age": age } })
        expect((yield* ask(`/${age}`, { headers: { "x-age": age } })).cacheStatus).toBe(said)
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each<[string, Array<Fields>]>([["with a 200", []], ["with a 304", [{ "etag": "\"1\"" }]]])(
    "145: of any name give way to what the handler refuses %s",
    ([, before]) =>
      Effect.gen(function*() {
        let run = 0
        const fields = { "edge-control": "max-age=5", "cache-control": "max-age=5" }
        const refused = Effect.suspend(() => {
          const earlier = before[run++]
          if (earlier !== undefined) return Effect.succeed(text("before", { ...fields, ...earlier }))
          return Effect.as(HttpCache.noStore, before.length > 0 && run === 2 ? empty(304) : text(`run ${run}`, fields))
        })
        const ask = yield* serve(refused.pipe(HttpCache.middleware({ targets: ["Edge-Control"], retain: 60 })))
        for (const _ of before) yield* ask("/")
        yield* TestClock.adjust("5 seconds")
        const { cacheStatus, headers } = yield* ask("/")
        expect([cacheStatus.includes("stored"), headers["edge-control"]]).toEqual([false, "no-store"])
        expect((yield* ask("/")).text).toBe(`run ${before.length + 2}`)
      }).pipe(Effect.provide(TestServer))
  )
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
      const handle = yield* webHandler(app)
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

  it.scoped("152: is answered to content in one language by what was made of that", () =>
    Effect.gen(function*() {
      const app = Effect.map(
        HttpServerRequest.HttpServerRequest,
        ({ headers }) =>
          HttpServerResponse.text(String(headers["content-language"]), { headers: { "cache-control": "max-age=60" } })
      ).pipe(HttpCache.middleware())
      const ask = yield* serve(app)
      for (const language of ["de", "en"]) {
        const headers = { "content-type": "text/plain", "content-language": language }
        for (const said of [/miss; stored$/, /^hit/]) {
          const reply = yield* ask("/", { method: "QUERY", body: "gift", headers: { ...headers, "content-length": 4 } })
          expect([language, reply.text]).toEqual([language, language])
          expect(reply.cacheStatus).toMatch(said)
        }
      }
    }).pipe(Effect.provide(TestServer)))
})

describe("No-Vary-Search", () => {
  it.scoped("tells clients which search parameters say nothing", () =>
    Effect.gen(function*() {
      const told: ReadonlyArray<readonly [HttpCache.Options["query"], string | undefined]> = [
        ["all", undefined],
        ["none", "params"],
        [{ except: ["utm", "ü"] }, "params=(\"utm\" \"%C3%BC\")"],
        [{ only: ["q"] }, "params, except=(\"q\")"],
        [{ except: [] }, undefined],
        [{ sort: true }, "key-order"],
        [{ sort: true, except: ["utm_*", "q"] }, "key-order, params=(\"q\")"],
        // It has no word for patterns: what they let through would be left out too.
        [{ only: ["filter_*", "q"] }, undefined]
      ]
      const ask = yield* serve(routes(told.map(([query], index) =>
        [`GET /${index}`, Effect.succeed(HttpServerResponse.text("x")).pipe(withCache({ expiry: 10, query }))] as const
      )))
      for (const [index, [, expected]] of told.entries()) {
        for (const asked of ["miss", "hit"]) {
          expect([asked, (yield* ask(`/${index}`)).headers["no-vary-search"]]).toEqual([asked, expected])
        }
      }
    }).pipe(Effect.provide(TestServer)))
})
