/** How long a response is fresh, stale and kept, and which is kept at all, over a real port, under the TestClock. */
import { HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, TestClock } from "effect"
import { CacheStorage, HttpCache, withCache } from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import { type Ask, eventually, serve, TestServer } from "./harness.js"

type Answer = { readonly [name: string]: string | number | undefined }

/** An app that answers with the fields and the status that it is told to; each body says which run it is. */
const told = (options: HttpCache.Options = {}) =>
  Effect.gen(function*() {
    const storage = yield* CacheStorage.CacheStorage
    const ran = { times: 0 }
    let answer: Answer = {}
    const handler = Effect.sync(() => {
      const { status, ...fields } = answer
      const headers = Object.fromEntries(
        Object.entries(fields).flatMap(([name, value]) => value === undefined ? [] : [[name, String(value)]])
      )
      const body = `run ${++ran.times}`
      return status === 304
        ? HttpServerResponse.empty({ status, headers })
        : HttpServerResponse.text(body, { status: Number(status ?? 200), headers })
    })
    const ask = yield* serve(handler.pipe(HttpCache.middleware(options)))
    const answering = (path: string, next: Answer, more: Ask = {}) =>
      Effect.suspend(() => {
        answer = next
        return ask(path, more)
      })
    const settled = eventually(() => activity(storage).flights === 0)
    return { answering, ran, settled }
  })

const date = (millis: number) => new Date(millis).toUTCString()
const start = Date.UTC(2026, 6, 1)

describe("windows", () => {
  const old: ReadonlyArray<readonly [what: string, answer: Answer, age: number]> = [
    ["Age", { "age": 160, "cache-control": "max-age=60" }, 259],
    ["Date", { "date": date(start - 160_000), "cache-control": "max-age=60" }, 259],
    ["Expires", { "date": date(start - 160_000), "expires": date(start - 100_000) }, 259],
    // It came new, and expired.
    ["Expires without Date", { expires: date(start - 100_000) }, 99]
  ]
  const windows = [["stale-while-revalidate", "staleWhileRevalidate"], ["stale-if-error", "staleIfError"]] as const
  const cases = windows.flatMap(([directive, option]) =>
    old.flatMap(([what, answer, age]) => {
      const control = answer["cache-control"] === undefined ? "" : `${answer["cache-control"]}, `
      return [
        [`${directive} by ${what}`, { ...answer, "cache-control": `${control}${directive}=200` }, {}, age],
        [`${option} by ${what}`, answer, { [option]: 200 }, age]
      ] as const
    })
  )

  it.scoped.each(cases)(
    "74: begin at staleness, not at receipt: %s",
    ([title, answer, options, age]) =>
      Effect.gen(function*() {
        yield* TestClock.setTime(start)
        const { answering, settled } = yield* told({ retain: "1 day", ...options })
        yield* answering("/", { etag: "\"1\"", ...answer })
        // It had been stale for 100 seconds when it came.
        yield* TestClock.adjust("99 seconds")
        const stale = yield* answering("/", { status: 503 })
        const said = title.includes("rror") ? "fwd=stale; fwd-status=503" : `hit; ttl=${age === 99 ? -99 : -199}`
        expect([stale.text, stale.headers["age"], stale.cacheStatus]).toEqual(["run 1", String(age), said])
        yield* settled
        yield* TestClock.adjust("1 seconds")
        const after = yield* answering("/", { status: 503 })
        expect([after.status, after.cacheStatus]).toEqual([503, "fwd=stale"])
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped("74: what came past its windows is asked for in the foreground, and is not there for an error", () =>
    Effect.gen(function*() {
      const { answering } = yield* told()
      const control = "max-age=60, stale-while-revalidate=200, stale-if-error=200"
      const past = { "age": "260", "cache-control": control, "etag": "\"1\"" }
      expect((yield* answering("/", past)).cacheStatus).toBe("fwd=uri-miss; stored")
      expect((yield* answering("/", { status: 503 })).status).toBe(503)
      const validated = yield* answering("/", { ...past, status: 304 })
      expect([validated.text, validated.cacheStatus]).toEqual(["run 1", "fwd=stale; fwd-status=304; stored"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("74: a 304 that brings an Age brings what is left of the window", () =>
    Effect.gen(function*() {
      const { answering, settled } = yield* told({ retain: "1 day" })
      const own = { "cache-control": "max-age=60, stale-while-revalidate=200", "etag": "\"1\"" }
      yield* answering("/", own)
      yield* TestClock.adjust("260 seconds")
      const validated = yield* answering("/", { ...own, status: 304, age: "160" })
      expect([validated.text, validated.cacheStatus]).toEqual(["run 1", "fwd=stale; fwd-status=304; stored"])
      yield* TestClock.adjust("99 seconds")
      expect((yield* answering("/", { status: 503 })).cacheStatus).toBe("hit; ttl=-199")
      yield* settled
      yield* TestClock.adjust("1 seconds")
      expect((yield* answering("/", { status: 503 })).status).toBe(503)
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each([
    ["fresh for ten seconds", "max-age=10", 503, "fwd=stale"],
    ["with windows", "max-age=10, stale-while-revalidate=60, stale-if-error=60", 503, "fwd=stale"],
    [
      "with windows, and an answer",
      "max-age=10, stale-while-revalidate=60, stale-if-error=60",
      200,
      "fwd=stale; stored"
    ]
  ])(
    "74: after a clock went back by an hour nothing is fresh that came before: %s",
    ([, control, status, said]) =>
      Effect.gen(function*() {
        yield* TestClock.setTime(start)
        const { answering } = yield* told()
        yield* answering("/", { "cache-control": control })
        yield* TestClock.setTime(start - 5000)
        expect((yield* answering("/", {})).cacheStatus).toBe("hit; ttl=10")
        yield* TestClock.setTime(start - 3_600_000)
        const again = yield* answering("/", { status, "cache-control": status === 200 ? control : undefined })
        expect([again.status, again.cacheStatus]).toEqual([status, said])
        if (status === 200) expect((yield* answering("/", {})).cacheStatus).toBe("hit; ttl=10")
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped.each(
    [
      ["while it is validated", { staleWhileRevalidate: "7 days" }, `hit; ttl=-${25 * 3600 - 60}`],
      ["for an error", { staleIfError: "7 days" }, "fwd=stale; fwd-status=503"],
      ["for an error, kept for less", { staleIfError: "7 days", retain: 1 }, "fwd=stale; fwd-status=503"]
    ] as const
  )("75: a window of the route is not cut at a day: %s", ([, options, said]) =>
    Effect.gen(function*() {
      const { answering } = yield* told({ expiry: 60, ...options })
      yield* answering("/", {})
      yield* TestClock.adjust("25 hours")
      const stale = yield* answering("/", { status: 503 })
      expect([stale.text, stale.headers["age"], stale.cacheStatus]).toEqual(["run 1", String(25 * 3600), said])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("75: nor is one of the response, which `retain` doesn't cut either", () =>
    Effect.gen(function*() {
      const { answering } = yield* told({ retain: 0 })
      yield* answering("/", { "cache-control": "max-age=60, stale-if-error=604800" })
      yield* TestClock.adjust("6 days")
      expect((yield* answering("/", { status: 502 })).cacheStatus).toBe("fwd=stale; fwd-status=502")
      yield* TestClock.adjust("25 hours")
      expect((yield* answering("/", { status: 502 })).cacheStatus).toBe("fwd=uri-miss")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("75: a stale answer in place of an error says how old it is, under expiry too; a new one does not", () =>
    Effect.gen(function*() {
      const { answering } = yield* told({ expiry: 10, staleIfError: 60 })
      expect((yield* answering("/", { age: "7" })).headers["age"]).toBeUndefined()
      yield* TestClock.adjust("25 seconds")
      const instead = yield* answering("/", { status: 500 })
      expect([instead.text, instead.headers["age"], instead.headers["cache-control"]])
        .toEqual(["run 1", "25", "max-age=10"])
      const has = yield* answering("/", { status: 500 }, { headers: { "if-none-match": instead.headers["etag"]! } })
      expect([has.status, has.headers["age"]]).toEqual([304, "25"])
      expect((yield* answering("/", { status: 304, age: "3" })).headers["age"]).toBeUndefined()
    }).pipe(Effect.provide(TestServer)))
})

describe("statuses", () => {
  it.scoped.each([428, 429, 431, 511])(
    "76: a %s is never stored, whatever it or the route says",
    (status) =>
      Effect.gen(function*() {
        const { answering } = yield* told({ statuses: [200, status], cacheStatus: { detail: true } })
        const said = ["max-age=60", "s-maxage=60, public", "max-age=60, must-understand", "immutable, max-age=9"]
        for (const control of said) {
          yield* answering("/", { status, "cache-control": control })
          expect((yield* answering("/", { status })).cacheStatus).toBe("fwd=uri-miss; detail=status")
        }
        yield* answering("/expires", { status, "expires": date(60_000), "last-modified": date(0), "etag": "\"1\"" })
        expect((yield* answering("/expires", { status })).cacheStatus).toBe("fwd=uri-miss; detail=status")
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped("76: nor under expiry, which clients are not told of then", () =>
    Effect.gen(function*() {
      const { answering } = yield* told({ expiry: 60, statuses: [200, 429, 511] })
      for (const status of [429, 511]) {
        const first = yield* answering("/", { status })
        expect([first.headers["cache-control"], first.cacheStatus]).toEqual([undefined, "fwd=uri-miss"])
      }
      yield* answering("/", {})
      yield* TestClock.adjust("60 seconds")
      expect((yield* answering("/", { status: 429 })).status).toBe(429)
      expect((yield* answering("/", { status: 304 })).text).toBe("run 3")
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each<[HttpCache.Options, number, string | undefined, string]>([
    [{ expiry: 60 }, 404, "max-age=5", "hit; ttl=5"],
    [{ expiry: 60 }, 410, "max-age=86400", "hit; ttl=86400"],
    [{ expiry: 60 }, 503, "max-age=1", "hit; ttl=1"],
    [{ expiry: 60 }, 200, "max-age=60", "hit; ttl=60"],
    [{ expiry: 60 }, 500, undefined, "fwd=uri-miss"],
    [{ expiry: 60, sharedExpiry: 600 }, 404, "max-age=5", "hit; ttl=5"],
    [{ expiry: 60, sharedExpiry: 600 }, 301, "max-age=60, s-maxage=600", "hit; ttl=600"],
    [{ expiry: 60, cacheControl: "public" }, 404, "public, max-age=5", "hit; ttl=5"],
    [{}, 404, "max-age=5", "hit; ttl=5"],
    [{}, 301, "max-age=0", "fwd=stale; stored"]
  ])("may have an expiry of their own: %j, %s", ([options, status, control, again]) =>
    Effect.gen(function*() {
      const { answering } = yield* told({ ...options, statuses: { 404: 5, 410: "1 day", 503: 1, 429: 9 } })
      yield* answering("/", { status })
      const reply = yield* answering("/", { status })
      expect([reply.headers["cache-control"], reply.cacheStatus]).toEqual([control, again])
      // The handler's own word comes before.
      const own = { status, "cache-control": "max-age=30" }
      yield* answering("/own", own)
      expect((yield* answering("/own", own)).cacheStatus).toBe("hit; ttl=30")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("76: those who waited for one are not given it", () =>
    Effect.gen(function*() {
      const storage = yield* CacheStorage.CacheStorage
      const gate = yield* Deferred.make<void>()
      let runs = 0
      const handler = Effect.suspend(() => {
        const limited = HttpServerResponse.empty({ status: 429, headers: { "cache-control": "max-age=60" } })
        return runs++ === 0
          ? Effect.as(Deferred.await(gate), limited)
          : Effect.succeed(HttpServerResponse.text("yours"))
      })
      const ask = yield* serve(handler.pipe(withCache({ expiry: 10 })))
      const other = yield* ask.another
      const first = yield* Effect.fork(ask("/"))
      yield* eventually(() => activity(storage).waiters === 1)
      const second = yield* Effect.fork(other("/"))
      yield* eventually(() => activity(storage).waiters === 2)
      yield* Deferred.succeed(gate, undefined)
      expect([(yield* Fiber.join(first)).status, (yield* Fiber.join(second)).text]).toEqual([429, "yours"])
    }).pipe(Effect.provide(TestServer)))
})

describe("live responses", () => {
  const types = [
    "text/event-stream",
    "multipart/x-mixed-replace; boundary=x",
    "Multipart/X-Mixed-Replace",
    "application/x-ndjson",
    "application/x-ndjson; charset=utf-8",
    "application/jsonl"
  ]

  it.scoped.each(types)(
    "81: %s is for whoever listens now, and goes out without freshness",
    (type) =>
      Effect.gen(function*() {
        const { answering, ran } = yield* told({ expiry: 60, sharedExpiry: 30, cacheStatus: { detail: true } })
        for (const method of ["GET", "GET", "HEAD"]) {
          const { cacheStatus, headers } = yield* answering("/", { "content-type": type }, { method })
          expect([method, headers["cache-control"], cacheStatus])
            .toEqual([method, undefined, `fwd=uri-miss; detail=${method === "HEAD" ? "head" : "live"}`])
        }
        expect(ran.times).toBe(3)
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped("81: lines that say themselves how long they are fresh are kept; pictures that replace each other are not", () =>
    Effect.gen(function*() {
      const { answering } = yield* told({ expiry: 60 })
      const fresh = { "cache-control": "max-age=20" }
      const second = (path: string, type: string) =>
        Effect.map(
          Effect.zipRight(answering(path, { ...fresh, "content-type": type }), answering(path, {})),
          ({ cacheStatus }) => cacheStatus
        )
      expect(yield* second("/lines", "application/x-ndjson")).toBe("hit; ttl=20")
      expect(yield* second("/like", "text/event-streams")).toBe("hit; ttl=20")
      expect(yield* second("/pictures", "multipart/x-mixed-replace")).toBe("fwd=uri-miss; stored")
    }).pipe(Effect.provide(TestServer)))
})

describe("freshness where none is stated", () => {
  it.scoped.each([
    ["Tue, 01 Jan 1980 00:00:00 GMT", "fwd=stale; fwd-status=304; stored"],
    ["Thu, 01 Jan 1970 00:00:01 GMT", "fwd=stale; fwd-status=304; stored"],
    ["Mon, 01 Jan 1990 00:00:01 GMT", "hit; ttl=86400"]
  ])("81: Last-Modified: %s is followed by %s", ([modified, said]) =>
    Effect.gen(function*() {
      yield* TestClock.setTime(start)
      const { answering } = yield* told()
      expect((yield* answering("/", { "last-modified": modified })).cacheStatus).toBe("fwd=uri-miss; stored")
      expect((yield* answering("/", { status: 304 })).cacheStatus).toBe(said)
    }).pipe(Effect.provide(TestServer)))
})

describe("languages", () => {
  it.scoped.each([["without", {}], ["with", { expiry: 60 }]] as const)(
    "81: of one weight are wished for in their order, %s expiry",
    ([, options]) =>
      Effect.gen(function*() {
        const { answering } = yield* told(options)
        const wish = (list: string) => {
          const fields = { "cache-control": "max-age=60", "vary": "Accept-Language" }
          return Effect.map(answering("/", fields, { headers: { "accept-language": list } }), ({ cacheStatus }) =>
            cacheStatus)
        }
        expect([yield* wish("fr, en"), yield* wish("en, fr"), yield* wish("FR,en")])
          .toEqual([expect.stringMatching(/stored/), expect.stringMatching(/stored/), "hit; ttl=60"])
      }).pipe(Effect.provide(TestServer))
  )
})
