/** How response caches fail: bodies and storages, by the fields of what is stored, over a real port; the numbers are those of docs/failures.md. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpCache, withCache, withCollect } from "effect-http-cache"
import { Faults } from "effect-http-cache/testing"
import { FaultyServer, QuietServer, routes, serve, TestServer } from "../harness.js"
import { cachedRoute } from "./routes.js"

const Request = HttpServerRequest.HttpServerRequest
const get = new globalThis.Request("http://a.example/")

describe("bodies and storages", () => {
  it.scoped("47: a CR or LF in a field from a shared storage, or another record that is none, never reaches a client", () =>
    Effect.gen(function*() {
      const poisons: ReadonlyArray<object> = [
        { headers: { "x-a": "1\r\nx-b: 2" } },
        { headers: { "x-a": "1\nx-b: 2" } },
        { cookies: ["a=1\r\nx-b: 2"] },
        { headers: { "x-a": "\u0100" } },
        { headers: { "bad name": "1" } },
        { headers: undefined },
        { status: 999 },
        { status: undefined },
        { body: [1, 2] },
        { lifetime: NaN },
        { retainUntil: undefined },
        { vary: "accept" }
      ]
      const faults = yield* Faults
      const ask = yield* serve(routes([cachedRoute("/", { expiry: 10 })]))
      for (const [index, poison] of poisons.entries()) {
        yield* faults.switch({ get: { corrupt: (item) => ({ ...item, ...poison }) } })
        const { headers, status, text } = yield* ask("/")
        expect([poison, status, text, headers["x-b"]]).toEqual([poison, 200, `run ${index + 1}`, undefined])
      }
      yield* faults.switch({ get: { corrupt: (item) => ({ ...item }) } })
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=10")
    }).pipe(Effect.provide(FaultyServer)))

  // As they are set in JavaScript.
  const odd: ReadonlyArray<readonly [name: string, value: unknown, text: string]> = [
    ["x-total", 5, "5"],
    ["x-total", 1234567890123, "1234567890123"],
    ["x-total", 5n, "5"],
    ["x-total", true, "true"],
    ["x-total", null, "null"],
    ["x-total", ["a", "b"], "a,b"],
    ["last-modified", new URL("http://a.example/"), "http://a.example/"],
    ["cache-control", ["max-age=60", "public"], "max-age=60,public"],
    ["vary", ["accept", "x-b"], "accept,x-b"]
  ]

  it.scoped.each(odd)(
    "169: a field that is no text is stored and answered as Node writes it: %s %s",
    ([name, value, text]) =>
      Effect.gen(function*() {
        const handler = Effect.sync(() =>
          HttpServerResponse.setHeader(HttpServerResponse.text("x"), name, value as string)
        )
        const ask = yield* serve(handler.pipe(withCache({ expiry: 60 })))
        const miss = yield* ask("/")
        const hit = yield* ask("/")
        expect([miss.cacheStatus, hit.cacheStatus]).toEqual(["fwd=uri-miss; stored", "hit; ttl=60"])
        for (const { headers } of [miss, hit]) expect([headers[name], headers.etag]).toEqual([text, miss.headers.etag])
      }).pipe(Effect.provide(QuietServer))
  )

  it.scoped.each<[string, unknown]>([
    ["location", ["/a"]],
    ["location", 5],
    ["content-location", ["/a"]],
    ["content-location", null],
    ["cache-control", ["no-cache", "x"]]
  ])(
    "190: a write whose answer has a field that is no text is answered, and collects: %s %j",
    ([name, value]) =>
      Effect.gen(function*() {
        const handler = Effect.sync(() =>
          HttpServerResponse.setHeader(HttpServerResponse.text("x"), name, value as string)
        )
        const annotated = Effect.zipRight(HttpCache.annotate({ expiry: 5 }), handler)
        const pass = handler.pipe(withCache({ expiry: 9, partition: Effect.fail("nobody") }))
        const ask = yield* serve(routes([
          ...(["/a", "/5", "/null"] as const).map((path) => cachedRoute(path, { expiry: 10 })),
          ["POST /written", handler.pipe(withCollect())],
          ["POST /a", handler.pipe(withCollect())],
          ["GET /passes", pass],
          ["GET /annotated", annotated.pipe(withCache())]
        ]))
        const paths = name.endsWith("location") ? ["/a", `/${String(value).replace("/", "")}`] : ["/a"]
        for (const path of paths) yield* ask(path)
        for (const path of name.endsWith("location") ? ["/written"] : ["/a"]) {
          expect((yield* ask(path, { method: "POST" })).status).toBe(200)
        }
        expect((yield* ask(paths.at(-1)!)).cacheStatus).toBe("fwd=uri-miss; stored")
        for (const path of ["/passes", "/annotated"]) expect((yield* ask(path)).status).toBe(200)
      }).pipe(Effect.provide(QuietServer))
  )

  it.scoped("49: hop-by-hop fields, and those that Connection names, are not stored", () =>
    Effect.gen(function*() {
      const headers = {
        connection: "x-hop",
        "x-hop": "1",
        "keep-alive": "timeout=9",
        "proxy-authenticate": "Basic",
        upgrade: "h2c",
        "x-end": "1"
      }
      const ask = yield* serve(routes([cachedRoute("/", { expiry: 10 }, { headers })]))
      yield* ask("/")
      const hit = yield* ask("/")
      expect(hit.cacheStatus).toBe("hit; ttl=10")
      expect(["x-hop", "proxy-authenticate", "upgrade", "x-end"].map((name) => hit.headers[name])).toEqual([
        undefined,
        undefined,
        undefined,
        "1"
      ])
      expect(hit.headers["keep-alive"]).not.toBe("timeout=9")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("50: Cache-Status is the operator's choice, and the key is in it only when asked for", () =>
    Effect.gen(function*() {
      const ask = yield* serve(routes([
        cachedRoute("/default", { expiry: 10 }, { headers: { "cache-control": "no-store" } }),
        cachedRoute("/silent", { expiry: 10, cacheStatus: false }),
        cachedRoute("/all", { expiry: 10, cacheStatus: { name: "My Cache", detail: true, key: true } }, {
          headers: { "cache-control": "no-store", "cache-status": "Origin; hit" }
        })
      ]))
      const said = (path: string) =>
        Effect.map(ask(path, { headers: { host: "a.example" } }), ({ headers }) => headers["cache-status"])
      expect(yield* said("/default")).toBe("effect-http-cache; fwd=uri-miss")
      expect(yield* said("/silent")).toBeUndefined()
      expect(yield* said("/all")).toBe(
        "Origin; hit, \"My Cache\"; fwd=uri-miss; key=\"http://a.example/all\"; detail=no-store"
      )
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each<readonly [what: string, fields: { readonly [name: string]: string }]>([
    ["a line break in a value", { "x-a": "1\r\nx-b: 2" }],
    ["a line feed in a value", { "x-a": "1\nx-b: 2" }],
    ["U+0000 in a value", { "x-a": "a\0" }],
    ["U+007F in a value", { "x-a": "a\u007f" }],
    ["U+0100 in a value", { "x-a": "\u0100" }],
    ["a name that is none", { "x a": "1" }],
    ["a line break in a cookie", { "set-cookie": "a=1\r\nx-b: 2" }]
  ])("103: what can't be sent is not stored: %s", ([, headers]) =>
    Effect.gen(function*() {
      let runs = 0
      const app = Effect.sync(() => HttpServerResponse.text("hello", ++runs === 1 ? { headers } : {})).pipe(
        withCache({ expiry: 60, cookies: "store", cacheStatus: { detail: true } })
      )
      const judged = yield* Effect.provideService(app, Request, HttpServerRequest.fromWeb(get))
      expect(judged.headers["cache-status"]).toBe("effect-http-cache; fwd=uri-miss; detail=unsendable")
      runs = 0
      const ask = yield* serve(app)
      const { headers: sent, status } = yield* ask("/")
      expect([status, sent["x-b"]]).toEqual([500, undefined])
      expect((yield* ask("/")).cacheStatus).toBe("fwd=uri-miss; stored")
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=60")
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("103: tabs, spaces and what is beyond ASCII in Latin-1 are sent and stored", () =>
    Effect.gen(function*() {
      const headers = { "x-a": "a\tb", "x-b": "caf\u00e9 \u0080", "x-c": "" }
      const ask = yield* serve(routes([cachedRoute("/", { expiry: 60 }, { headers })]))
      yield* ask("/")
      const again = yield* ask("/")
      expect(again.cacheStatus).toBe("hit; ttl=60")
      expect(again.headers).toMatchObject(headers)
    }).pipe(Effect.provide(TestServer)))

  it.scoped("51: what the cache refuses for privacy is never advertised as shareable", () =>
    Effect.gen(function*() {
      const cookie = { "set-cookie": "session=ada" }
      const ask = yield* serve(routes([
        cachedRoute("/route", { expiry: 10, sharedExpiry: 60 }, { headers: cookie }),
        cachedRoute("/handler", { expiry: 10 }, {
          headers: { ...cookie, "cache-control": "public, max-age=10, s-maxage=60" }
        }),
        cachedRoute("/private", { expiry: 10, sharedExpiry: 60, cacheControl: "private" }),
        cachedRoute("/says", { expiry: 10, sharedExpiry: 60 }, { headers: { "cache-control": "private" } })
      ]))
      const told = (path: string) => Effect.map(ask(path), ({ headers }) => headers["cache-control"])
      expect(yield* told("/route")).toBe("private")
      expect(yield* told("/handler")).toBe("private, max-age=10")
      expect(yield* told("/private")).toBe("private, max-age=10")
      expect(yield* told("/says")).toBe("private")
    }).pipe(Effect.provide(TestServer)))
})
