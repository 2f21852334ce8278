/** How response caches fail: methods, ranges and conditions, over a real port; the numbers are those of docs/failures.md. */
import { HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpCache, withCache, withCollect } from "effect-http-cache"
import { type Ask, routes, serve, TestServer } from "../harness.js"
import { answering, cachedRoute } from "./routes.js"

describe("methods, ranges, conditions", () => {
  it.scoped("23: HEAD then GET has the body; GET then HEAD has none, and the same fields", () =>
    Effect.gen(function*() {
      const ask = yield* serve(routes([
        cachedRoute("/", { expiry: 10 }, { headers: { "x-a": "1" } }),
        [
          "GET /empty",
          Effect.succeed(HttpServerResponse.empty({ status: 200 })).pipe(withCache({ expiry: 10 }))
        ] as const
      ]))
      for (const path of ["/", "/empty"]) {
        const cold = yield* ask(path, { method: "HEAD" })
        expect([path, cold.text, cold.cacheStatus]).toEqual([path, "", "fwd=uri-miss"])
        const { cacheStatus, headers: { age: _, "cache-status": __, ...whole } } = yield* ask(path)
        expect(cacheStatus).toBe("fwd=uri-miss; stored")
        const { cacheStatus: hit, headers: { age: _a, "cache-status": _b, ...head }, text } = yield* ask(path, {
          method: "HEAD"
        })
        expect([hit, text]).toEqual(["hit; ttl=10", ""])
        expect(head).toEqual(whole)
        expect((yield* ask(path)).headers["content-length"]).toBe(whole["content-length"])
      }
      expect((yield* ask("/")).text).toBe("run 2")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("25: a handler's 304 goes through and is not stored; a client's tag does not keep a miss from filling", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const handler = answering(({ headers }, run) => {
        seen.push([headers["if-none-match"], headers["if-modified-since"]])
        return headers["if-none-match"] === undefined
          ? HttpServerResponse.text(`run ${run}`, { headers: { etag: "\"1\"" } })
          : HttpServerResponse.empty({ status: 304, headers: { etag: "\"1\"" } })
      })
      const notModified = HttpServerResponse.empty({
        status: 304,
        headers: { etag: "\"1\"", "cache-control": "max-age=10" }
      })
      const ask = yield* serve(routes({
        "GET /": handler.pipe(withCache({ expiry: 10 })),
        "GET /honors": handler.pipe(withCache({ expiry: 10, requestDirectives: "honor" })),
        "GET /always": Effect.succeed(notModified).pipe(withCache({ expiry: 10 }))
      }))
      const headers = { "if-none-match": "\"1\"", "if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT" }
      const cold = yield* ask("/", { headers })
      expect([cold.status, cold.text, cold.cacheStatus]).toEqual([304, "", "fwd=uri-miss; fwd-status=200; stored"])
      expect((yield* ask("/")).text).toBe("run 1")
      expect(seen).toEqual([[undefined, undefined]])
      const kept = yield* ask("/honors", { headers: { ...headers, "cache-control": "no-store" } })
      expect([kept.status, kept.cacheStatus]).toEqual([304, "fwd=uri-miss"])
      expect(seen[1]).toEqual(Object.values(headers))
      expect((yield* ask("/honors", { method: "HEAD", headers })).status).toBe(304)
      for (let i = 0; i < 2; i++) {
        const always = yield* ask("/always", { headers })
        expect([always.status, always.cacheStatus]).toEqual([304, "fwd=uri-miss"])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("26: If-None-Match and If-Modified-Since are judged as RFC 9110 §13 says, from what is stored", () =>
    Effect.gen(function*() {
      const lastModified = "Wed, 01 Jul 2026 10:00:00 GMT"
      const ask = yield* serve(routes([
        cachedRoute("/", { expiry: 10 }, { headers: { etag: "\"a,b\"", "last-modified": lastModified } }),
        cachedRoute("/dated", { expiry: 10, etag: "none" }, { headers: { "last-modified": lastModified } })
      ]))
      yield* ask("/")
      yield* ask("/dated")
      const status = (path: string, headers: Ask["headers"] & {}) =>
        Effect.map(ask(path, { headers }), (reply) => reply.status)
      const expected: ReadonlyArray<readonly [string, Ask["headers"] & {}, number]> = [
        ["/", { "if-none-match": "\"a,b\"" }, 304],
        ["/", { "if-none-match": "W/\"a,b\"" }, 304],
        ["/", { "if-none-match": "\"x\", W/\"y\" , \"a,b\"" }, 304],
        ["/", { "if-none-match": "*" }, 304],
        ["/", { "if-none-match": "\"a\", \"b\"" }, 200],
        ["/", { "if-none-match": "a,b" }, 200],
        ["/", { "if-none-match": "\"x\"", "if-modified-since": lastModified }, 200],
        ["/", { "if-none-match": "\"a,b\"", "if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT" }, 304],
        ["/", { "if-modified-since": lastModified }, 304],
        ["/", { "if-modified-since": "Wed, 01 Jul 2026 09:59:59 GMT" }, 200],
        ["/", { "if-modified-since": "yesterday" }, 200],
        ["/dated", { "if-modified-since": lastModified }, 304],
        ["/dated", { "if-none-match": "\"x\"" }, 200]
      ]
      for (const [path, headers, wanted] of expected) {
        expect([headers, yield* status(path, headers)]).toEqual([headers, wanted])
      }
      expect((yield* ask("/")).text).toBe("run 1")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("26: If-Match is judged against what the handler answers now, strongly, and never from what is stored", () =>
    Effect.gen(function*() {
      const handler = answering((_, run) => HttpServerResponse.text(`run ${run}`, { headers: { etag: `"${run}"` } }))
      const ask = yield* serve(routes({ "GET /": handler.pipe(withCache({ expiry: 10 })) }))
      yield* ask("/")
      const old = yield* ask("/", { headers: { "if-match": "\"1\"" } })
      expect([old.status, old.text, old.headers["etag"], old.headers["cache-control"]]).toEqual([
        412,
        "",
        "\"2\"",
        undefined
      ])
      expect((yield* ask("/", { headers: { "if-match": "\"3\"" } })).text).toBe("run 3")
      expect((yield* ask("/", { headers: { "if-match": "W/\"4\"" } })).status).toBe(412)
      expect((yield* ask("/", { headers: { "if-unmodified-since": "Thu, 01 Jan 1970 00:00:00 GMT" } })).text).toBe(
        "run 5"
      )
      expect((yield* ask("/")).text).toBe("run 5")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("26: an unsafe method gets a 412 before any side effect, never a 304", () =>
    Effect.gen(function*() {
      let writes = 0
      const write = Effect.sync(() => HttpServerResponse.text(`write ${++writes}`))
      const exists = Effect.succeed({ etag: "\"2\"", lastModified: new Date(2000) })
      const ask = yield* serve(routes({
        "PUT /exists": write.pipe(HttpCache.withPreconditions(exists), withCollect()),
        "PUT /new": write.pipe(HttpCache.withPreconditions(Effect.succeed(undefined)), withCollect()),
        "PUT /unjudged": write.pipe(withCollect())
      }))
      const expected: ReadonlyArray<readonly [string, { readonly [name: string]: string }, number]> = [
        ["/exists", { "if-match": "\"1\"" }, 412],
        ["/exists", { "if-match": "W/\"2\"" }, 412],
        ["/exists", { "if-none-match": "*" }, 412],
        ["/exists", { "if-none-match": "W/\"2\"" }, 412],
        ["/exists", { "if-unmodified-since": "Thu, 01 Jan 1970 00:00:01 GMT" }, 412],
        ["/new", { "if-match": "*" }, 412],
        ["/exists", { "if-match": "\"1\", \"2\"" }, 200],
        ["/exists", { "if-match": "*" }, 200],
        ["/exists", { "if-match": "\"2\"", "if-unmodified-since": "Thu, 01 Jan 1970 00:00:01 GMT" }, 200],
        ["/exists", { "if-unmodified-since": "Thu, 01 Jan 1970 00:00:02 GMT" }, 200],
        ["/exists", { "if-modified-since": "Thu, 01 Jan 1970 00:00:02 GMT" }, 200],
        ["/new", { "if-none-match": "*" }, 200],
        ["/unjudged", { "if-match": "\"1\"" }, 200]
      ]
      for (const [path, headers, wanted] of expected) {
        const before = writes
        const { status } = yield* ask(path, { method: "PUT", headers })
        expect([path, headers, status, writes - before]).toEqual([path, headers, wanted, wanted === 200 ? 1 : 0])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("27: a 304 carries what updates the client's copy, and no length that it would wait for", () =>
    Effect.gen(function*() {
      const fields = {
        "content-language": "en",
        "content-location": "/whole",
        "expires": "Thu, 01 Jan 1970 01:00:00 GMT",
        "last-modified": "Thu, 01 Jan 1970 00:00:00 GMT",
        "vary": "accept",
        "x-frame-options": "DENY"
      }
      const ask = yield* serve(routes([
        cachedRoute("/", { expiry: 10 }, { headers: fields }),
        cachedRoute("/untagged", { expiry: 10, etag: "none" }, { headers: fields })
      ]))
      yield* ask("/")
      const { headers } = yield* ask("/", { headers: { "if-none-match": "*" } })
      const { connection: _, "keep-alive": __, etag, ...rest } = headers
      expect(etag).toMatch(/^"[\w-]{27}"$/)
      expect(rest).toEqual({
        "age": "0",
        "cache-status": "effect-http-cache; hit; ttl=3600",
        "content-location": "/whole",
        "date": "Thu, 01 Jan 1970 00:00:00 GMT",
        "expires": "Thu, 01 Jan 1970 01:00:00 GMT",
        "vary": "accept",
        "x-frame-options": "DENY"
      })
      yield* ask("/untagged")
      const untagged = yield* ask("/untagged", { headers: { "if-modified-since": fields["last-modified"] } })
      expect([untagged.status, untagged.headers["last-modified"]]).toEqual([304, fields["last-modified"]])
      expect((yield* ask("/")).text).toBe("run 1")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("28: an entity tag belongs to its URI", () =>
    Effect.gen(function*() {
      const ask = yield* serve(routes([
        cachedRoute("/1", { expiry: 10 }, { headers: { etag: "\"1\"" } }),
        cachedRoute("/2", { expiry: 10 }, { headers: { etag: "\"2\"" } })
      ]))
      yield* ask("/1")
      yield* ask("/2")
      expect((yield* ask("/2", { headers: { "if-none-match": "\"1\"" } })).status).toBe(200)
    }).pipe(Effect.provide(TestServer)))

  it.scoped("29: 204, 205 and 304 have no body and none is awaited; a redirect keeps its body", () =>
    Effect.gen(function*() {
      const statuses = [204, 205, 304, 301, 308]
      const ask = yield* serve(
        routes(statuses.map((status) =>
          cachedRoute(`/${status}`, {
            expiry: 10,
            statuses: statuses.filter((s) => s !== 304)
          }, { status, headers: { location: "/" } })
        ))
      )
      for (const status of statuses) {
        for (const asked of ["miss", "hit"]) {
          const reply = yield* ask(`/${status}`)
          expect([asked, reply.status, reply.text]).toEqual([
            asked,
            status,
            status === 301 || status === 308 ? "run 1" : ""
          ])
        }
      }
    }).pipe(Effect.provide(TestServer)))
})
