/** How response caches fail: privacy, over a real port; the numbers are those of docs/failures.md. */
import { HttpApp, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpCache, withCache } from "effect-http-cache"
import { type App, counted, logged, routes, serve, TestServer } from "../harness.js"
import { answering, cachedRoute } from "./routes.js"

describe("privacy", () => {
  it.scoped("16: a response to a request with Authorization is not shared without a permission", () =>
    Effect.gen(function*() {
      const permissions = ["public", "s-maxage=10", "must-revalidate, max-age=10"]
      const unreadable = ["max-age=10, must-revalidate \"x\"", "max-age=10, s-maxage=junk", "max-age=10, public;"]
      const ask = yield* serve(routes([
        cachedRoute("/none", { expiry: 10 }),
        cachedRoute("/max-age", { expiry: 10 }, { headers: { "cache-control": "max-age=10" } }),
        cachedRoute("/route", { expiry: 10, cacheControl: "public" }),
        ...permissions.map((permission, index) =>
          cachedRoute(`/permitted/${index}`, { expiry: 10 }, { headers: { "cache-control": permission } })
        ),
        ...unreadable.map((permission, index) =>
          cachedRoute(`/unreadable/${index}`, {}, { headers: { "cache-control": permission } })
        )
      ]))
      const headers = { authorization: "Bearer ada" }
      for (const path of ["/none", "/max-age"]) {
        expect((yield* ask(path, { headers })).headers["cache-control"]).toMatch(/^private/)
        expect((yield* ask(path)).cacheStatus).toBe("fwd=uri-miss; stored")
      }
      for (const index of unreadable.keys()) {
        expect((yield* ask(`/unreadable/${index}`, { headers })).cacheStatus).toBe("fwd=uri-miss")
      }
      for (const path of ["/route", ...permissions.map((_, index) => `/permitted/${index}`)]) {
        yield* ask(path, { headers })
        expect([path, (yield* ask(path)).cacheStatus]).toEqual([path, "hit; ttl=10"])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each<[string, HttpServerResponse.Options.WithContent["headers"], string]>([
    ["no comma before it", { "cache-control": "must-revalidate no-store" }, "must-revalidate no-store"],
    ["a value that can't be read", { "cache-control": "no-store=a b" }, "no-store=a b"],
    [
      "no comma, and a cookie",
      { "cache-control": "public, max-age=5 no-store", "set-cookie": "a=1" },
      "private, max-age, 5, no-store"
    ]
  ])(
    "192: clients are told no freshness where no-store is obeyed, nor without it: %s",
    ([, headers, told]) =>
      Effect.gen(function*() {
        const ask = yield* serve(routes([cachedRoute("/", { expiry: 10 }, { headers: headers! })]))
        for (const run of [1, 2]) {
          const { cacheStatus, headers, text } = yield* ask("/")
          expect([text, cacheStatus, headers["cache-control"]]).toEqual([`run ${run}`, "fwd=uri-miss", told])
        }
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped("17: a restriction in any spelling restricts, and never throws", () =>
    Effect.gen(function*() {
      const refusing = [
        "private, max-age=10",
        "PRIVATE, max-age=10",
        "private=\"\", max-age=10",
        "private, private=\"x\", max-age=10",
        "max-age=10,\tprivate\t",
        "max-age=10 private",
        "max-age=10; private",
        "max-age=10, foo=\"a, private",
        "NO-STORE, max-age=10",
        "no-store=1, max-age=10",
        "public, no-store",
        "max-age=10, no-cache=\"a",
        "no-cache, max-age=10",
        "no-cache=, max-age=10"
      ]
      const ask = yield* serve(routes(refusing.map((value, index) =>
        cachedRoute(`/${index}`, { expiry: 10 }, { headers: { "cache-control": value } })
      )))
      for (const [index, value] of refusing.entries()) {
        yield* ask(`/${index}`)
        expect([value, (yield* ask(`/${index}`)).text]).toEqual([value, "run 2"])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("17: a field that a qualified private or no-cache names is not given to others", () =>
    Effect.gen(function*() {
      const headers = {
        "x-user": "ada",
        "x-token": "1",
        "x-page": "2",
        "cache-control": "max-age=10, private=\" X-User\", no-cache=\"x-token\""
      }
      const ask = yield* serve(routes([cachedRoute("/", {}, { headers })]))
      expect((yield* ask("/")).headers).toMatchObject({ "x-user": "ada", "x-token": "1" })
      const hit = yield* ask("/")
      expect([hit.cacheStatus, hit.headers["x-page"], hit.headers["x-user"], hit.headers["x-token"]])
        .toEqual(["hit; ttl=10", "2", undefined, undefined])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("18: Vary: Cookie and Vary: Authorization mean private", () =>
    Effect.gen(function*() {
      const ask = yield* serve(routes([
        cachedRoute("/cookie", { expiry: 10 }, { headers: { vary: "Accept, Cookie" } }),
        cachedRoute("/authorization", { expiry: 10 }, { headers: { vary: "authorization" } }),
        cachedRoute("/unreadable", { expiry: 10, cacheControl: "public" }, { headers: { vary: "Cookie, @" } })
      ]))
      for (const path of ["/cookie", "/authorization", "/unreadable"]) {
        yield* ask(path)
        const again = yield* ask(path)
        expect([again.text, again.headers["cache-control"]]).toEqual(["run 2", "private"])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("19: a cookie is never replayed: not from the field, the response's cookies or a pre-response handler", () =>
    Effect.gen(function*() {
      const withCookie = Effect.flatMap(counted(), HttpServerResponse.setCookie("session", "ada"))
      const later = HttpApp.appendPreResponseHandler((_, response) =>
        Effect.orDie(HttpServerResponse.setCookie(response, "session", "ada"))
      )
      const ask = yield* serve(routes([
        cachedRoute("/field", { expiry: 10 }, { headers: { "set-cookie": "session=ada" } }),
        ["GET /cookies", Effect.orDie(withCookie).pipe(withCache({ expiry: 10 }))] as const,
        ["GET /later", Effect.zipRight(later, counted()).pipe(withCache({ expiry: 10 }))] as const,
        ["GET /strip", Effect.orDie(withCookie).pipe(withCache({ expiry: 10, cookies: "strip" }))] as const,
        ["GET /store", Effect.orDie(withCookie).pipe(withCache({ expiry: 10, cookies: "store" }))] as const
      ])).pipe(Effect.provide(logged([])))
      for (const path of ["/field", "/cookies", "/later"]) {
        const first = yield* ask(path)
        expect([path, first.headers["set-cookie"]?.length, first.headers["cache-control"]]).toEqual([
          path,
          1,
          "private"
        ])
        expect((yield* ask(path)).cacheStatus).toBe("fwd=uri-miss")
      }
      expect((yield* ask("/strip")).headers["set-cookie"]).toBeUndefined()
      expect((yield* ask("/strip")).cacheStatus).toBe("hit; ttl=10")
      yield* ask("/store")
      expect((yield* ask("/store")).headers["set-cookie"]).toEqual(["session=ada"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("19, 51: a handler under expiry that reads a cookie or Authorization makes its response private", () =>
    Effect.gen(function*() {
      const reading = (read: (request: HttpServerRequest.HttpServerRequest) => unknown) =>
        answering((request, run) => {
          read(request)
          return HttpServerResponse.text(`run ${run}`)
        })
      const reads = {
        field: (request: HttpServerRequest.HttpServerRequest) => request.headers["cookie"],
        cookies: (request: HttpServerRequest.HttpServerRequest) => request.cookies["session"],
        authorization: (request: HttpServerRequest.HttpServerRequest) => "authorization" in request.headers,
        all: (request: HttpServerRequest.HttpServerRequest) => ({ ...request.headers }),
        modified: (request: HttpServerRequest.HttpServerRequest) => request.modify({ url: "/" }).headers["cookie"],
        source: (request: HttpServerRequest.HttpServerRequest) => request.source
      }
      const ask = yield* serve(routes([
        ...Object.entries(reads).map(([name, read]) =>
          [`GET /${name}`, reading(read).pipe(withCache({ expiry: 10 }))] as const
        ),
        ["GET /other", reading((request) => request.headers["accept"]).pipe(withCache({ expiry: 10 }))] as const,
        [
          "GET /says-public",
          Effect.map(reading(reads.cookies), HttpServerResponse.setHeader("cache-control", "public")).pipe(
            withCache({ expiry: 10 })
          )
        ] as const
      ]))
      for (const name of Object.keys(reads)) {
        yield* ask(`/${name}`)
        const again = yield* ask(`/${name}`)
        expect([name, again.text, again.headers["cache-control"]]).toEqual([name, "run 2", "private"])
      }
      for (const name of ["other", "says-public"]) {
        yield* ask(`/${name}`)
        expect((yield* ask(`/${name}`)).cacheStatus).toBe("hit; ttl=10")
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("19: what a cache itself reads is not what the handler read", () =>
    Effect.gen(function*() {
      const looking = Effect.flatMap(Effect.exit(HttpCache.lookup("/elsewhere")), () => counted())
      const exclaimed = Effect.map(counted().pipe(withCache({ expiry: 5 })), (response) =>
        response.body._tag === "Uint8Array"
          ? HttpServerResponse.text(`${new TextDecoder().decode(response.body.body)}!`)
          : response)
      const ask = yield* serve(routes({
        "GET /looking": looking.pipe(withCache({ expiry: 10 })),
        "GET /exclaimed": exclaimed.pipe(withCache({ expiry: 10 }))
      }))
      for (const path of ["/looking", "/exclaimed"]) {
        const miss = yield* ask(path)
        expect([path, miss.headers["cache-control"]]).toEqual([path, "max-age=10"])
        const hit = yield* ask(path)
        expect([hit.text, hit.cacheStatus]).toEqual([miss.text, "hit; ttl=10"])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("20: one line in its handler keeps a page with a nonce out", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        routes([cachedRoute("/", { expiry: 10 }, { headers: { "cache-control": "no-store" } })])
      )
      yield* ask("/")
      const again = yield* ask("/")
      expect([again.text, again.headers["cache-control"]]).toEqual(["run 2", "no-store"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("22: changing the fields of what was served, or what the handler made, changes nothing that is stored", () =>
    Effect.gen(function*() {
      const made = new TextEncoder().encode("untouched")
      const handler = Effect.sync(() => HttpServerResponse.uint8Array(made, { headers: { "x-a": "1" } }))
      const spoil = <E, R>(app: App<E, R>) =>
        Effect.zipWith(HttpServerRequest.HttpServerRequest, app, ({ headers }, response) => {
          if (headers["x-spoil"] === undefined) return response
          // What is served of a miss is what the handler made.
          made.fill(33)
          return Object.assign(response, { headers: Object.assign(response.headers, { "x-a": "spoilt" }) })
        })
      const ask = yield* serve(
        routes({ "GET /": handler.pipe(withCache({ expiry: 10 }), spoil) })
      )
      for (const text of ["!!!!!!!!!", "untouched"]) {
        const spoilt = yield* ask("/", { headers: { "x-spoil": "1" } })
        expect([spoilt.text, spoilt.headers["x-a"]]).toEqual([text, "spoilt"])
      }
      const hit = yield* ask("/")
      expect([hit.text, hit.headers["x-a"], hit.cacheStatus]).toEqual(["untouched", "1", "hit; ttl=10"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("22: a Buffer that the handler goes on writing to is not what is stored", () =>
    Effect.gen(function*() {
      const scratch = Buffer.from("untouched")
      const ask = yield* serve(Effect.succeed(HttpServerResponse.uint8Array(scratch)).pipe(withCache({ expiry: 10 })))
      yield* ask("/")
      scratch.write("EVIL")
      expect((yield* ask("/")).text).toBe("untouched")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("58: what a route keeps inside its authentication is nothing for a cache around the router to answer with", () =>
    Effect.gen(function*() {
      const authenticated = <E, R>(app: App<E, R>) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
          headers["x-api-key"] === "right"
            ? app
            : Effect.succeed(HttpServerResponse.empty({ status: 401, headers: { "cache-control": "no-store" } })))
      const secret = counted().pipe(withCache({ expiry: 10 }), authenticated)
      const ask = yield* serve(routes({ "GET /": secret }).pipe(HttpCache.middleware()))
      const right = { headers: { "x-api-key": "right" } }
      expect((yield* ask("/", right)).cacheStatus).toBe("fwd=uri-miss; stored")
      expect((yield* ask("/")).status).toBe(401)
      expect((yield* ask("/", right)).cacheStatus).toBe("hit; ttl=10")
      yield* ask("/", { ...right, method: "POST" })
      expect((yield* ask("/", { method: "DELETE" })).status).toBe(404)
    }).pipe(Effect.provide(TestServer)))
})
