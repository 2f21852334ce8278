/** What a handler reads of its request, and what it is shown: the recorder and `query`, through the door. */
import {
  Headers,
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSecurity,
  HttpApp,
  HttpMiddleware,
  HttpRouter,
  HttpServerRequest,
  HttpServerResponse,
  HttpTraceContext
} from "@effect/platform"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Inspectable, Layer, Schema, TestClock } from "effect"
import { HttpCache, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { appOfApi, counted, lettingIn, logged, mounted, originalUrlOf, routes, serve, TestServer } from "./harness.js"
import { anonymous, credentials, detailed, fields, looking, reading, refused, Request, stored } from "./reading.js"

const Optional = Schema.optional(Schema.String)

describe("what a handler reads", () => {
  /** The name, what is read, what is said of it, and what is told to vary by. */
  const readers: ReadonlyArray<
    readonly [
      string,
      Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpRouter.HttpRouter.Provided>,
      string,
      string | undefined
    ]
  > = [
    ["nothing", counted(), stored, undefined],
    ["method, url, originalUrl", looking((r) => [r.method, r.url, r.originalUrl, String(r)]), stored, undefined],
    ["headers.x", looking((r) => r.headers["x-a"]), stored, "x-a"],
    ["a field that is not there", looking((r) => r.headers["x-absent"]), stored, "x-absent"],
    ["two fields", looking((r) => [r.headers["x-b"], r.headers["x-a"]]), stored, "x-a, x-b"],
    [
      "a name that no field has",
      looking((r) => [r.headers["X-A"], r.headers["x a"], r.headers[""]]),
      stored,
      undefined
    ],
    ["in", looking((r) => "x-a" in r.headers), stored, "x-a"],
    ["hasOwn", looking((r) => Object.hasOwn(r.headers, "x-a")), stored, "x-a"],
    ["Headers.has", looking((r) => Headers.has(r.headers, "X-A")), stored, "x-a"],
    ["Headers.get", looking((r) => Headers.get(r.headers, "X-A")), stored, "x-a"],
    ["after modify", looking((r) => r.modify({ url: "/b" }).modify({}).headers["x-a"]), stored, "x-a"],
    [
      "schemaHeaders",
      reading(() => HttpServerRequest.schemaHeaders(Schema.Struct({ "x-a": Optional }))),
      stored,
      "x-a"
    ],
    [
      "schemaNoBody",
      reading(() => HttpRouter.schemaNoBody(Schema.Struct({ headers: Schema.Struct({ "x-b": Optional }) }))),
      stored,
      "x-b"
    ],
    ["the path", reading(() => HttpRouter.schemaPathParams(Schema.Struct({}))), stored, undefined],
    ["the trace", looking((r) => HttpTraceContext.fromHeaders(r.headers)), stored, "traceparent"],
    ["an absent trace", looking(({ headers }) => [headers["b3"], headers["x-b3-traceid"]]), stored, "b3, x-b3-traceid"],
    [
      "what HTTP evaluates",
      looking((
        { headers }
      ) => [headers["range"], headers["if-none-match"], headers["cache-control"], headers["pragma"]]),
      stored,
      undefined
    ],
    ["host", looking((r) => r.headers["host"]), stored, undefined],
    ["toURL", looking(HttpServerRequest.toURL), stored, "x-forwarded-proto"],
    ["spread", looking((r) => ({ ...r.headers })), refused, undefined],
    ["entries", looking((r) => Object.entries(r.headers)), refused, undefined],
    ["JSON.stringify", looking((r) => JSON.stringify(r.headers)), refused, undefined],
    ["JSON.stringify of the request", looking((r) => JSON.stringify(r)), refused, "content-type"],
    ["a log", looking((r) => Inspectable.toStringUnknown(r)), refused, "content-type"],
    ["Headers.set", looking((r) => Headers.set(r.headers, "x-c", "3")), refused, undefined],
    [
      "a Record schema",
      reading(() => HttpServerRequest.schemaHeaders(Schema.Record({ key: Schema.String, value: Schema.String }))),
      refused,
      undefined
    ],
    [
      "excess properties",
      reading(() =>
        HttpServerRequest.schemaHeaders(Schema.Struct({ "x-a": Optional }), { onExcessProperty: "preserve" })
      ),
      refused,
      undefined
    ],
    ["remoteAddress", looking((r) => r.remoteAddress), refused, undefined],
    ["source", looking((r) => r.source), refused, undefined],
    ["toIncomingMessage", looking(NodeHttpServerRequest.toIncomingMessage), refused, undefined],
    ["toWeb", reading((r) => HttpServerRequest.toWeb(r)), refused, "x-forwarded-proto"],
    [
      "fromWebHandler",
      Effect.orDie(HttpApp.fromWebHandler(async () => new Response("x"))),
      refused,
      "x-forwarded-proto"
    ],
    ["the cookie field", looking((r) => r.headers["cookie"]), credentials, undefined],
    ["Authorization", looking((r) => "authorization" in r.headers), credentials, undefined],
    ["cookies, none of them", looking((r) => Symbol.iterator in r.cookies), stored, undefined],
    ["cookies.sid", looking((r) => r.cookies["sid"]), credentials, undefined],
    ["cookies.sid, after modify", looking((r) => r.modify({}).cookies["sid"]), credentials, undefined],
    ["all cookies", looking((r) => Object.keys(r.cookies)), credentials, undefined],
    [
      "schemaCookies",
      reading(() => HttpServerRequest.schemaCookies(Schema.Struct({ sid: Optional }))),
      credentials,
      undefined
    ]
  ]

  it.scoped.each(readers)("%s", ([, handler, said, vary]) =>
    Effect.gen(function*() {
      const ask = yield* serve(
        routes({ "GET /": handler.pipe(withCache({ expiry: 10 })) }).pipe(detailed)
      )
        .pipe(Effect.provide(logged([])))
      const reply = yield* ask("/", { headers: anonymous })
      expect([reply.status, reply.cacheStatus, reply.headers["vary"]]).toEqual([200, said, vary])
      expect(reply.headers["cache-control"]).toBe(said === stored ? "max-age=10" : "private")
      const again = yield* ask("/", { headers: anonymous })
      expect(again.cacheStatus).toBe(said === stored ? "hit; ttl=10" : said)
      expect(again.headers["vary"]).toBe(vary)
    }).pipe(Effect.provide(TestServer)))
})

/** What a handler sees of its target. */
const targets = Effect.gen(function*() {
  const request = yield* Request
  const params = yield* HttpServerRequest.schemaSearchParams(Params)
  const all = yield* HttpRouter.schemaParams(Params)
  return HttpServerResponse.unsafeJson({
    url: request.url,
    originalUrl: request.originalUrl,
    modified: request.modify({ headers: Headers.empty }).originalUrl,
    params,
    all
  })
}).pipe(Effect.orDie)

const Params = Schema.Record({ key: Schema.String, value: Schema.Union(Schema.String, Schema.Array(Schema.String)) })

describe("what a handler sees of the query", () => {
  const seen = (url: string, originalUrl: string, params: object) => ({
    url,
    originalUrl,
    modified: originalUrl,
    params,
    all: params
  })

  it.scoped.each<readonly [HttpCache.Options["query"], string, string, object]>([
    ["all", "/r?q=1&utm=2", "/r?q=1&utm=2", { q: "1", utm: "2" }],
    ["none", "/r?q=1&utm=2", "/r", {}],
    ["none", "/r?", "/r", {}],
    [{ only: ["q"] }, "/r?utm=2&q=1&q=3", "/r?q=1&q=3", { q: ["1", "3"] }],
    [{ only: ["q"] }, "/r?%71=a+b%20c&Q=1", "/r?%71=a+b%20c", { q: "a b c" }],
    [{ only: ["q%"] }, "/r?%71%=1&q%=2", "/r?q%=2", { "q%": "2" }],
    [{ only: ["constructor"] }, "/r?constructor=1&a=2", "/r?constructor=1", { constructor: "1" }],
    [{ except: ["utm"] }, "/r?utm=2&q=1&u%74m=3", "/r?q=1", { q: "1" }],
    [{ except: ["utm"] }, "/r?q=1", "/r?q=1", { q: "1" }],
    // A fragment is no part of a target, but a router reads it as a query.
    ["all", "/r#q=evil", "/r", {}],
    ["all", "/r?q=1#x", "/r?q=1", { q: "1" }],
    [{ only: ["q"] }, "/r#q=evil", "/r", {}]
  ])("query %j of %s: %s", ([query, target, shown, params]) =>
    Effect.gen(function*() {
      const inner = routes({ "GET /r": targets })
      const cached = { "GET /r": targets.pipe(withCache(query === undefined ? {} : { query })) }
      const ask = yield* serve(
        mounted(
          { "/mounted": cached, "/around": inner.pipe(HttpCache.middleware({ expiry: 10, query })) },
          { "GET /r": targets.pipe(withCache({ expiry: 10, query })) }
        )
      )
      const json = (path: string) => Effect.map(ask(path), ({ text }) => JSON.parse(text) as unknown)
      const original = (path: string) => originalUrlOf(ask.port, path)
      expect(yield* json(target)).toEqual(seen(shown, original(shown), params))
      expect(yield* json(`/mounted${target}`)).toEqual(seen(shown, original(`/mounted${shown}`), params))
      expect(yield* json(`/around${target}`)).toEqual(seen(shown, original(`/around${shown}`), params))
    }).pipe(Effect.provide(TestServer)))

  it.effect("of the web adapter, where targets are absolute", () =>
    Effect.gen(function*() {
      const app = routes({ "GET /r": targets.pipe(withCache({ expiry: 10, query: { only: ["q"] } })) })
      const response = yield* Effect.scoped(app).pipe(
        Effect.provideService(
          Request,
          HttpServerRequest.fromWeb(new globalThis.Request("http://a.example/r?utm=1&q=2#x"))
        )
      )
      const text = response.body._tag === "Uint8Array" ? new TextDecoder().decode(response.body.body) : ""
      expect(JSON.parse(text)).toEqual(seen("/r?q=2", "http://a.example/r?q=2", { q: "2" }))
    }).pipe(Effect.provide(InMemoryCacheStorage.layer)))

  it.scoped("all of it, where the cache leaves a request alone", () =>
    Effect.gen(function*() {
      const ask = yield* serve(
        routes({ "* /": targets.pipe(withCache({ query: "none", bypass: ({ url }) => url.includes("alone") })) })
      )
      expect((yield* ask("/?alone")).text).toContain("/?alone")
      expect((yield* ask("/?a=1", { method: "POST" })).text).toContain("/?a=1")
      expect((yield* ask("/?a=1")).text).not.toContain("a=1")
    }).pipe(Effect.provide(TestServer)))
})

describe("routers beneath a cache", () => {
  const beneath = <E, R>(app: HttpApp.Default<E, R>) => app.pipe(HttpCache.middleware({ expiry: 10 }), detailed)

  it.scoped("HttpRouter, mounts and middleware between count what they read, and nothing else", () =>
    Effect.gen(function*() {
      const inner = { "GET /a": looking(({ headers }) => headers["x-a"]) }
      const between = <E, R>(app: HttpApp.Default<E, R>) =>
        Effect.tap(app, Effect.map(Request, (r) => r.headers["x-b"]))
      const ask = yield* serve(beneath(
        mounted({ "/mounted": inner }, {
          "GET /": counted(),
          "GET /between": counted().pipe(between, HttpMiddleware.logger)
        })
      )).pipe(Effect.provide(logged([])))
      const vary = (path: string) => Effect.map(ask(path), ({ cacheStatus, headers }) => [cacheStatus, headers["vary"]])
      expect(yield* vary("/")).toEqual([stored, undefined])
      expect(yield* vary("/between")).toEqual([stored, "x-b"])
      expect(yield* vary("/mounted/a")).toEqual([stored, "x-a"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("what a proxy in front says of the client is read where it is believed", () =>
    Effect.gen(function*() {
      const ask = yield* serve(beneath(routes({ "GET /": counted().pipe(HttpMiddleware.xForwardedHeaders) })))
      const first = yield* ask("/")
      expect([first.cacheStatus, first.headers["vary"]]).toEqual([stored, "x-forwarded-for, x-forwarded-host"])
      const forwarded = yield* ask("/", { headers: { "x-forwarded-host": "a.example" } })
      expect(forwarded.cacheStatus).toBe("fwd=vary-miss; detail=unkeyed")
    }).pipe(Effect.provide(TestServer)))

  class User extends HttpApiMiddleware.Tag<User>()("User", {
    security: { bearer: HttpApiSecurity.bearer }
  }) {}
  class Key extends HttpApiMiddleware.Tag<Key>()("Key", {
    security: { key: HttpApiSecurity.apiKey({ in: "header", key: "x-api-key" }) }
  }) {}
  class Session extends HttpApiMiddleware.Tag<Session>()("Session", {
    security: { session: HttpApiSecurity.apiKey({ in: "cookie", key: "sid" }) }
  }) {}
  const api = HttpApi.make("api").add(
    HttpApiGroup.make("group")
      .add(HttpApiEndpoint.get("plain", "/plain"))
      .add(HttpApiEndpoint.get("headers", "/headers").setHeaders(Schema.Struct({ "x-a": Optional })))
      .add(HttpApiEndpoint.get("params", "/params").setUrlParams(Schema.Struct({ q: Optional })))
      .add(HttpApiEndpoint.get("user", "/user").middleware(User))
      .add(HttpApiEndpoint.get("key", "/key").middleware(Key))
      .add(HttpApiEndpoint.get("session", "/session").middleware(Session))
  )
  const ApiLive = HttpApiBuilder.api(api).pipe(
    Layer.provide(HttpApiBuilder.group(api, "group", (handlers) =>
      handlers
        .handle("plain", () => Effect.void)
        .handle("headers", () => Effect.void)
        .handle("params", () => Effect.void)
        .handle("user", () => Effect.void)
        .handle("key", () => Effect.void)
        .handle("session", () => Effect.void))),
    Layer.provide([
      Layer.succeed(User, { bearer: lettingIn }),
      Layer.succeed(Key, { key: lettingIn }),
      Layer.succeed(Session, { session: lettingIn })
    ])
  )

  it.scoped("HttpApi counts its schemas and its security", () =>
    Effect.gen(function*() {
      const ask = yield* serve(beneath(yield* appOfApi(ApiLive)))
      const told = (path: string) =>
        Effect.map(ask(path, { headers: fields }), ({ cacheStatus, headers }) => [cacheStatus, headers["vary"]])
      for (const path of ["/plain", "/params?q=1"]) {
        const { headers, ...reply } = yield* ask(path, { headers: anonymous })
        expect([path, reply.cacheStatus, headers["vary"]]).toEqual([path, stored, undefined])
      }
      expect(yield* told("/headers")).toEqual(["fwd=uri-miss; detail=authorization", "x-a"])
      expect(yield* told("/user")).toEqual([credentials, undefined])
      expect(yield* told("/session")).toEqual([credentials, undefined])
      expect(yield* told("/key")).toEqual(["fwd=uri-miss; detail=authorization", "x-api-key"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("a cache beneath reads nothing itself, and what selects its hit is read by what is above", () =>
    Effect.gen(function*() {
      const greeting = Effect.map(Request, ({ headers }) => HttpServerResponse.text(`in ${headers["x-a"]}`))
      const exclaimed = Effect.map(
        greeting.pipe(withCache({ expiry: 60 })),
        (response) =>
          response.body._tag === "Uint8Array"
            ? HttpServerResponse.text(`${new TextDecoder().decode(response.body.body)}!`)
            : response
      )
      const ask = yield* serve(exclaimed.pipe(withCache({ expiry: 10, retain: 100 }), detailed))
      const asked = (a: string) => ask("/", { headers: { "x-a": a } })
      expect((yield* asked("1")).text).toBe("in 1!")
      yield* TestClock.adjust("11 seconds")
      // What is above has expired; what is beneath answers, and its handler is not run.
      const again = yield* asked("1")
      expect([again.text, again.cacheStatus, again.headers["vary"]]).toEqual(["in 1!", "fwd=stale; stored", "x-a"])
      expect((yield* asked("2")).text).toBe("in 2!")
      yield* TestClock.adjust("61 seconds")
      // Now both have expired, and what is beneath takes the question of what is above out of its own.
      const asking = yield* asked("1")
      expect([asking.cacheStatus, asking.headers["vary"]]).toEqual(["fwd=stale; stored", "x-a"])
      const query = yield* ask("/", { method: "QUERY", body: "q", headers: { "content-length": 1, "x-a": "1" } })
      expect([query.text, query.cacheStatus]).toEqual(["in 1!", "fwd=vary-miss; stored"])
    }).pipe(Effect.provide(TestServer)))
})
