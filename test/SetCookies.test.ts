/** `Set-Cookie` lines as they stand on the wire, and as they were given: stored, freshened and passed by. */
import { Cookies, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream, TestClock } from "effect"
import { CacheStorage, HttpCache, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import { eventually, send, serve, TestServer, webHandler } from "./harness.js"

type Response = HttpServerResponse.HttpServerResponse
type Fields = { readonly [name: string]: string }

const fresh = { "cache-control": "max-age=60", "etag": "\"1\"" }

/** As a proxy has it of its origin: the field is a list, which Node's server sends line by line. */
const withList = (response: Response, lines: ReadonlyArray<string>): Response => {
  Object.assign(response.headers, { "set-cookie": lines })
  return response
}

/** The lines of a response on the wire, its status, and what `Cache-Status` says. */
const raw = (port: number, fields: Fields = {}, method = "GET") => {
  const more = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`).join("")
  return Effect.map(send(port, `${method} / HTTP/1.1\r\nhost: a\r\n${more}connection: close\r\n\r\n`), (all) => {
    const head = all.slice(0, all.indexOf("\r\n\r\n")).split("\r\n")
    const valuesOf = (name: string) =>
      head.filter((line) => line.toLowerCase().startsWith(`${name}: `)).map((line) => line.slice(name.length + 2))
    const [said = ""] = valuesOf("cache-status")
    return {
      lines: valuesOf("set-cookie"),
      status: Number(all.slice(9, 12)),
      said: said.replace("effect-http-cache; ", "").replace(/; .*$/, "")
    }
  })
}

const listed: ReadonlyArray<readonly [what: string, lines: ReadonlyArray<string>]> = [
  ["of one name and different paths", ["sid=; Path=/; Max-Age=0", "sid=; Path=/admin; Max-Age=0", "sid=1; Path=/b"]],
  ["the same twice", ["a=1", "a=1"]],
  ["names that are numbers", ["b=1", "2=x", "1=y", "a=1"]],
  ["names of objects", ["__proto__=1; Path=/", "constructor=2", "toString=3"]],
  ["in a spelling of their own", [
    "a=1;path=/ ;  HTTPONLY",
    "B = 2; SameSite=Odd; Foo=bar",
    "c=\"x, y\"; expires=Thu, 01-Jan-70"
  ]],
  ["a value with = and %", ["a=b=c%20d; Path=/", "=x", "d="]],
  ["without =", ["flag"]],
  ["without =, among others", ["sid=1; Path=/", "flag", "flag", "sid=2; Path=/admin; Secure", "other"]]
]

describe("Set-Cookie", () => {
  it.scoped.each(listed)(
    "80: lines are stored and sent byte for byte, in order: %s",
    ([, lines]) =>
      Effect.gen(function*() {
        const answer = Effect.sync(() => withList(HttpServerResponse.text("0123", { headers: fresh }), lines))
        const { port } = yield* serve(answer.pipe(withCache({ cookies: "store" })))
        expect(yield* raw(port)).toEqual({ lines, status: 200, said: "fwd=uri-miss" })
        expect(yield* raw(port)).toEqual({ lines, status: 200, said: "hit" })
        expect(yield* raw(port, {}, "HEAD")).toEqual({ lines, status: 200, said: "hit" })
        expect(yield* raw(port, { range: "bytes=0-1" })).toEqual({ lines, status: 206, said: "hit" })
        expect(yield* raw(port, { range: "bytes=0-0,2-2" })).toEqual({ lines, status: 206, said: "hit" })
        expect(yield* raw(port, { range: "bytes=9-" })).toEqual({ lines, status: 416, said: "hit" })
        expect(yield* raw(port, { "if-none-match": "\"1\"" })).toEqual({ lines, status: 304, said: "hit" })
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped.each(["private=\"Set-Cookie\"", "no-cache=\"x-a, set-cookie\""])(
    "17: lines that the response withholds from others are not stored with it: %s",
    (withholding) =>
      Effect.gen(function*() {
        const headers = { "cache-control": `max-age=60, ${withholding}` }
        const answer = Effect.sync(() => withList(HttpServerResponse.text("x", { headers }), ["sid=1"]))
        const { port } = yield* serve(answer.pipe(withCache({ cookies: "store" })))
        expect(yield* raw(port)).toEqual({ lines: ["sid=1"], status: 200, said: "fwd=uri-miss" })
        expect(yield* raw(port)).toEqual({ lines: [], status: 200, said: "hit" })
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped.each(listed)("80: and as a stream, also to those who wait: %s", ([, lines]) =>
    Effect.gen(function*() {
      const storage = yield* CacheStorage.CacheStorage
      const gate = yield* Deferred.make<void>()
      const stream = Stream.make(new Uint8Array(Buffer.from("0123")))
      const answer = Effect.map(Deferred.await(gate), () =>
        withList(HttpServerResponse.stream(stream, { contentLength: 4, headers: fresh }), lines))
      const { port } = yield* serve(answer.pipe(withCache({ cookies: "store" })))
      const replies = yield* Effect.forEach([{}, {}], (fields) =>
        Effect.fork(raw(port, fields)))
      yield* eventually(() => activity(storage).waiters === 2)
      yield* Deferred.succeed(gate, undefined)
      expect((yield* Effect.forEach(replies, Fiber.join)).map((reply) => reply.lines)).toEqual([lines, lines])
      yield* eventually(() => activity(storage).flights === 0)
      expect(yield* raw(port)).toEqual({ lines, status: 200, said: "hit" })
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each(listed)("80: and where they pass by: %s", ([, lines]) =>
    Effect.gen(function*() {
      const respond = (headers: Fields) => withList(HttpServerResponse.text("x", { headers }), lines)
      const handler = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) =>
        respond(JSON.parse(headers["x-fields"] ?? "{}") as Fields))
      const bypass = ({ headers }: HttpServerRequest.HttpServerRequest) =>
        headers["x-bypass"] !== undefined
      const { port } = yield* serve(handler.pipe(HttpCache.middleware({ bypass })))
      const passing: ReadonlyArray<readonly [Fields, string]> = [
        [{ "x-fields": JSON.stringify(fresh) }, "GET"],
        [{ "x-fields": JSON.stringify({ "cache-control": "no-store" }) }, "GET"],
        [{ "x-bypass": "1" }, "GET"],
        [{}, "POST"],
        [{}, "HEAD"]
      ]
      for (const [fields, method] of passing) expect((yield* raw(port, fields, method)).lines).toEqual(lines)
    }).pipe(Effect.provide(TestServer)))

  it.scoped("80: what a handler puts among the cookies and into the field is sent and stored, in that order", () =>
    Effect.gen(function*() {
      const field = "b=2; path=/; Odd"
      const answer = HttpServerResponse.text("x", { headers: { ...fresh, "set-cookie": field } }).pipe(
        HttpServerResponse.unsafeSetCookie("a", "1 2", { path: "/", httpOnly: true })
      )
      const { port } = yield* serve(Effect.succeed(answer).pipe(withCache({ cookies: "store" })))
      const lines = ["a=1%202; Path=/; HttpOnly", field]
      for (const said of ["fwd=uri-miss", "hit"]) expect(yield* raw(port)).toEqual({ lines, status: 200, said })
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each<[string, (response: Response) => Response, ReadonlyArray<string>]>([
    ["of cookies", HttpServerResponse.unsafeSetCookie("a", "2"), ["a=2"]],
    ["of a field", HttpServerResponse.setHeader("set-cookie", "flag"), ["flag"]],
    ["of a list", (response) => withList(response, ["a=2; Path=/", "a=3; Path=/x"]), ["a=2; Path=/", "a=3; Path=/x"]],
    ["none", (response) => response, ["a=1; Path=/", "a=1; Path=/x"]]
  ])("80: a 304 that brings lines replaces those that are stored: %s", ([, bring, lines]) =>
    Effect.gen(function*() {
      let runs = 0
      const answer = Effect.sync(() =>
        ++runs === 1
          ? withList(HttpServerResponse.text("x", { headers: fresh }), ["a=1; Path=/", "a=1; Path=/x"])
          : bring(HttpServerResponse.empty({ status: 304, headers: fresh }))
      )
      const { port } = yield* serve(answer.pipe(withCache({ cookies: "store" })))
      yield* raw(port)
      yield* TestClock.adjust("60 seconds")
      expect(yield* raw(port)).toEqual({ lines, status: 200, said: "fwd=stale" })
      expect(yield* raw(port)).toEqual({ lines, status: 200, said: "hit" })
      expect(runs).toBe(2)
    }).pipe(Effect.provide(TestServer)))

  it.scoped("80: where cookies are refused, a 304 that brings them brings them to its client only", () =>
    Effect.gen(function*() {
      let runs = 0
      const lines = ["a=2; Path=/", "flag"]
      const answer = Effect.sync(() => {
        const response = HttpServerResponse.empty({ status: 304, headers: fresh })
        return ++runs === 2 ? withList(response, lines) : HttpServerResponse.text("x", { headers: fresh })
      })
      const { port } = yield* serve(answer.pipe(withCache()))
      yield* raw(port)
      yield* TestClock.adjust("60 seconds")
      expect(yield* raw(port)).toEqual({ lines, status: 200, said: "fwd=stale" })
      expect((yield* raw(port)).lines).toEqual([])
      expect((yield* raw(port)).lines).toEqual([])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("80: they are stripped, as a list too", () =>
    Effect.gen(function*() {
      const answer = Effect.sync(() => withList(HttpServerResponse.text("x", { headers: fresh }), ["a=1", "flag"]))
      const { port } = yield* serve(answer.pipe(withCache({ cookies: "strip" })))
      for (const said of ["fwd=uri-miss", "hit"]) expect(yield* raw(port)).toEqual({ lines: [], status: 200, said })
    }).pipe(Effect.provide(TestServer)))

  it.scoped("80: outside the cache they are found by their names, and one that is set goes beside them", () =>
    Effect.gen(function*() {
      const lines = ["sid=a%20b; Path=/; Odd", "sid=2; Path=/x"]
      const seen: Array<unknown> = []
      const answer = Effect.sync(() => withList(HttpServerResponse.text("x", { headers: fresh }), lines))
      const app = Effect.map(answer.pipe(withCache({ cookies: "store" })), (response) => {
        seen.push(Cookies.getValue(response.cookies, "sid"))
        return HttpServerResponse.unsafeSetCookie(response, "own", "1")
      })
      const { port } = yield* serve(app)
      for (const _ of ["miss", "hit"]) expect((yield* raw(port)).lines).toEqual([...lines, "own=1"])
      expect(seen).toMatchObject([{ value: "a b" }, { value: "a b" }])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("80: the web adapter sends each line, one without = among them", () =>
    Effect.gen(function*() {
      const lines = ["sid=1; Path=/", "sid=2; Path=/admin", "flag", "other"]
      const answer = Effect.sync(() => withList(HttpServerResponse.text("x", { headers: fresh }), lines))
      const handle = yield* webHandler(answer.pipe(withCache({ cookies: "store" })))
      for (const said of ["fwd=uri-miss; stored", "hit; ttl=60"]) {
        const { headers } = yield* Effect.promise(() => handle(new Request("http://localhost/")))
        expect(headers.get("cache-status")).toBe(`effect-http-cache; ${said}`)
        expect(headers.getSetCookie().sort()).toEqual(["=other", "flag", "sid=1; Path=/", "sid=2; Path=/admin"])
      }
    }).pipe(Effect.provide(InMemoryCacheStorage.layer)))
})
