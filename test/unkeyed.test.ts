/** What a handler reads and what the key tells apart: the recorder, `unkeyed` and `query`, through the door. */
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
import { NodeHttpServer, NodeHttpServerRequest } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Inspectable, Layer, Schema, TestClock } from "effect"
import { HttpCache, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { once } from "node:events"
import * as Http2 from "node:http2"
import { inspect } from "node:util"
import { counted, type Logged, logged, serve, TestServer } from "./harness.js"

const Request = HttpServerRequest.HttpServerRequest
type Request = HttpServerRequest.HttpServerRequest

/** Reads, and says which run it is. */
const reading = <E, R>(read: (request: Request) => Effect.Effect<unknown, E, R>, response = {}) =>
  Effect.zipRight(Effect.orDie(Effect.flatMap(Request, read)), counted(response))

const looking = (read: (request: Request) => unknown, response = {}) =>
  reading((request) => Effect.sync(() => read(request)), response)

const detailed = Effect.provideService(HttpCache.Defaults, { cacheStatus: { detail: true } })

const fields = {
  "accept-language": "en",
  "authorization": "Bearer ada",
  "cookie": "sid=1",
  "traceparent": `00-${"1".repeat(32)}-${"2".repeat(16)}-01`,
  "x-a": "1",
  "x-b": "2"
}
const { authorization: _, ...anonymous } = fields

const refused = "fwd=uri-miss; detail=unkeyed"
const credentials = "fwd=uri-miss; detail=credentials"
const stored = "fwd=uri-miss; stored"

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
        HttpRouter.empty.pipe(HttpRouter.get("/", handler.pipe(withCache({ expiry: 10 }))), detailed)
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
      const inner = HttpRouter.empty.pipe(HttpRouter.get("/r", targets))
      const cached = HttpRouter.empty.pipe(
        HttpRouter.get("/r", targets.pipe(withCache(query === undefined ? {} : { query })))
      )
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/r", targets.pipe(withCache({ expiry: 10, query }))),
        HttpRouter.mount("/mounted", cached),
        HttpRouter.mountApp("/around", inner.pipe(HttpCache.middleware({ expiry: 10, query })))
      ))
      const json = (path: string) => Effect.map(ask(path), ({ text }) => JSON.parse(text) as unknown)
      expect(yield* json(target)).toEqual(seen(shown, shown, params))
      expect(yield* json(`/mounted${target}`)).toEqual(seen(shown, `/mounted${shown}`, params))
      expect(yield* json(`/around${target}`)).toEqual(seen(shown, `/around${shown}`, params))
    }).pipe(Effect.provide(TestServer)))

  it.effect("of the web adapter, where targets are absolute", () =>
    Effect.gen(function*() {
      const app = HttpRouter.empty.pipe(
        HttpRouter.get("/r", targets.pipe(withCache({ expiry: 10, query: { only: ["q"] } })))
      )
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
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.all("/", targets.pipe(withCache({ query: "none", bypass: ({ url }) => url.includes("alone") })))
      ))
      expect((yield* ask("/?alone")).text).toContain("/?alone")
      expect((yield* ask("/?a=1", { method: "POST" })).text).toContain("/?a=1")
      expect((yield* ask("/?a=1")).text).not.toContain("a=1")
    }).pipe(Effect.provide(TestServer)))
})

describe("routers beneath a cache", () => {
  const beneath = <E, R>(app: HttpApp.Default<E, R>) => app.pipe(HttpCache.middleware({ expiry: 10 }), detailed)

  it.scoped("HttpRouter, mounts and middleware between count what they read, and nothing else", () =>
    Effect.gen(function*() {
      const mounted = HttpRouter.empty.pipe(HttpRouter.get("/a", looking(({ headers }) => headers["x-a"])))
      const between = <E, R>(app: HttpApp.Default<E, R>) =>
        Effect.tap(app, Effect.map(Request, (r) => r.headers["x-b"]))
      const ask = yield* serve(beneath(HttpRouter.empty.pipe(
        HttpRouter.get("/", counted()),
        HttpRouter.get("/between", counted().pipe(between, HttpMiddleware.logger)),
        HttpRouter.get("/forwarded", counted().pipe(HttpMiddleware.xForwardedHeaders)),
        HttpRouter.mount("/mounted", mounted)
      ))).pipe(Effect.provide(logged([])))
      const vary = (path: string) => Effect.map(ask(path), ({ cacheStatus, headers }) => [cacheStatus, headers["vary"]])
      expect(yield* vary("/")).toEqual([stored, undefined])
      expect(yield* vary("/between")).toEqual([stored, "x-b"])
      expect(yield* vary("/forwarded")).toEqual([stored, "x-forwarded-for, x-forwarded-host"])
      expect(yield* vary("/mounted/a")).toEqual([stored, "x-a"])
      const forwarded = yield* ask("/forwarded", { headers: { "x-forwarded-host": "a.example" } })
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
      Layer.succeed(User, { bearer: () => Effect.void }),
      Layer.succeed(Key, { key: () => Effect.void }),
      Layer.succeed(Session, { session: () => Effect.void })
    ])
  )

  it.scoped("HttpApi counts its schemas and its security", () =>
    Effect.gen(function*() {
      const ask = yield* serve(beneath(yield* HttpApiBuilder.httpApp))
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
    }).pipe(
      Effect.provide(Layer.mergeAll(ApiLive, HttpApiBuilder.Router.Live, HttpApiBuilder.Middleware.layer)),
      Effect.provide(TestServer)
    ))

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

describe("what follows from it", () => {
  it.scoped("64: an explicit public or s-maxage outranks what was read, and a public route does not", () =>
    Effect.gen(function*() {
      const says = (value: string) => ({ headers: { "cache-control": value } })
      const all = (r: Request) => [r.remoteAddress, { ...r.headers }, r.cookies["sid"]]
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/public", looking(all, says("public")).pipe(withCache({ expiry: 10 }))),
        HttpRouter.get("/s-maxage", looking(all, says("s-maxage=10")).pipe(withCache({ expiry: 10 }))),
        HttpRouter.get("/route", looking(all).pipe(withCache({ expiry: 10, cacheControl: "public" }))),
        HttpRouter.get("/max-age", looking(all, says("max-age=10")).pipe(withCache({ expiry: 10 }))),
        HttpRouter.get("/private", looking(all, says("private")).pipe(withCache({ expiry: 10 }))),
        detailed
      )).pipe(Effect.provide(logged([])))
      for (const path of ["/public", "/s-maxage"]) {
        yield* ask(path, { headers: anonymous })
        expect([path, (yield* ask(path)).cacheStatus]).toEqual([path, "hit; ttl=10"])
      }
      const route = yield* ask("/route")
      expect([route.cacheStatus, route.headers["cache-control"]]).toEqual([refused, "private"])
      const refusal = yield* ask("/max-age")
      expect([refusal.cacheStatus, refusal.headers["cache-control"]]).toEqual([refused, "private, max-age=10"])
      expect((yield* ask("/private")).cacheStatus).toBe("fwd=uri-miss; detail=private")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("a partition is for credentials, not for what can't be keyed", () =>
    Effect.gen(function*() {
      const partition = Effect.map(Request, ({ cookies }) => cookies["sid"])
      const options = { expiry: 10, partition }
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/cookie", looking((r) => [r.cookies["sid"], r.headers["x-a"]]).pipe(withCache(options))),
        HttpRouter.get("/all", looking((r) => ({ ...r.headers })).pipe(withCache(options))),
        HttpRouter.get("/address", looking((r) => r.remoteAddress).pipe(withCache(options))),
        detailed
      )).pipe(Effect.provide(logged([])))
      const as = (sid: string, path: string) =>
        Effect.map(
          ask(path, { headers: { cookie: `sid=${sid}` } }),
          ({ cacheStatus, text }) => `${text}: ${cacheStatus}`
        )
      expect(yield* as("ada", "/cookie")).toBe(`run 1: ${stored}`)
      expect(yield* as("alan", "/cookie")).toBe(`run 2: ${stored}`)
      expect(yield* as("ada", "/cookie")).toBe("run 1: hit; ttl=10")
      for (const path of ["/all", "/address"]) expect(yield* as("ada", path)).toBe(`run 1: ${refused}`)
    }).pipe(Effect.provide(TestServer)))

  it.scoped("unkeyed: \"refuse\" stores what was made of keyed fields only", () =>
    Effect.gen(function*() {
      const read = (r: Request) => [r.headers["x-a"], r.headers["range"], r.headers["host"]]
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/unkeyed", looking(read).pipe(withCache({ expiry: 10, unkeyed: "refuse" }))),
        HttpRouter.get("/route", looking(read).pipe(withCache({ expiry: 10, unkeyed: "refuse", vary: ["X-A"] }))),
        HttpRouter.get("/all", looking((r) => ({ ...r.headers })).pipe(withCache({ expiry: 10, unkeyed: "refuse" }))),
        HttpRouter.get(
          "/own",
          looking(read, { headers: { vary: "X-A" } }).pipe(withCache({ expiry: 10, unkeyed: "refuse" }))
        ),
        HttpRouter.get(
          "/public",
          looking(read, { headers: { "cache-control": "public" } }).pipe(withCache({ expiry: 10, unkeyed: "refuse" }))
        ),
        HttpRouter.get(
          "/origin",
          looking(read, { headers: { "cache-control": "max-age=5" } }).pipe(withCache({ unkeyed: "refuse" }))
        ),
        detailed
      )).pipe(Effect.provide(logged([])))
      const unkeyed = yield* ask("/unkeyed")
      expect([unkeyed.cacheStatus, unkeyed.headers["cache-control"], unkeyed.headers["vary"]])
        .toEqual([refused, "private", undefined])
      for (const path of ["/route", "/own", "/public"]) {
        expect([path, (yield* ask(path)).cacheStatus]).toEqual([path, stored])
      }
      expect((yield* ask("/all")).cacheStatus).toBe(refused)
      // What an origin says is passed on as it is.
      const origin = yield* ask("/origin")
      expect([origin.cacheStatus, origin.headers["cache-control"]]).toEqual([refused, "max-age=5"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("unkeyed: \"ignore\" looks at credentials only", () =>
    Effect.gen(function*() {
      const ignoring = withCache({ expiry: 10, unkeyed: "ignore" })
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/field", looking(({ headers }) => headers["x-a"]).pipe(ignoring)),
        HttpRouter.get("/address", looking((r) => r.remoteAddress).pipe(ignoring)),
        HttpRouter.get("/cookie", looking((r) => r.cookies["sid"]).pipe(ignoring)),
        HttpRouter.get("/all", looking((r) => ({ ...r.headers })).pipe(ignoring)),
        HttpRouter.get("/source", looking((r) => r.source).pipe(ignoring)),
        detailed
      ))
      const told = (path: string) =>
        Effect.map(ask(path), ({ cacheStatus, headers }) => [cacheStatus, headers["cache-control"], headers["vary"]])
      for (const path of ["/field", "/address"]) expect(yield* told(path)).toEqual([stored, "max-age=10", undefined])
      for (const path of ["/cookie", "/all", "/source"]) {
        expect(yield* told(path)).toEqual([credentials, "private", undefined])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("without expiry nothing that the handler reads counts, unless unkeyed says otherwise", () =>
    Effect.gen(function*() {
      const own = { headers: { "cache-control": "max-age=10" } }
      const read = (r: Request) => r.headers["x-a"]
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/", looking(read, own).pipe(withCache())),
        HttpRouter.get("/vary", looking(read, own).pipe(withCache({ unkeyed: "vary" })))
      ))
      expect((yield* ask("/?q=1")).headers["vary"]).toBeUndefined()
      expect((yield* ask("/vary")).headers["vary"]).toBe("x-a")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("Host is counted where origin takes its place in the key", () =>
    Effect.gen(function*() {
      const links = Effect.map(Request, ({ headers }) => HttpServerResponse.text(`links to ${headers["host"]}`))
      const ask = yield* serve(links.pipe(
        withCache({ expiry: 10 }),
        Effect.provideService(HttpCache.Defaults, { origin: "https://a.example" })
      ))
      expect((yield* ask("/", { headers: { host: "evil.example" } })).headers["vary"]).toBe("host")
      expect((yield* ask("/", { headers: { host: "a.example" } })).text).toBe("links to a.example")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("19: what looks through the request is counted, or sees nothing", () =>
    Effect.gen(function*() {
      const shown = (look: (request: Request) => unknown) =>
        Effect.map(Request, (request) => HttpServerResponse.text(inspect(look(request)))).pipe(
          withCache({ expiry: 10 })
        )
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/headers", shown(({ headers }) => headers)),
        HttpRouter.get("/cookies", shown(({ cookies }) => cookies)),
        HttpRouter.get("/source", shown((request) => Object.getOwnPropertyDescriptor(request, "source")?.value)),
        HttpRouter.get("/override", shown((request) => Reflect.get(request, "headersOverride")))
      ))
      for (const path of ["/headers", "/cookies", "/source", "/override"]) {
        yield* ask(path, { headers: { cookie: "sid=ada" } })
        const { cacheStatus, text } = yield* ask(path)
        expect([path, cacheStatus.startsWith("hit") && text.includes("ada")]).toEqual([path, false])
      }
    }).pipe(Effect.provide(Layer.merge(TestServer, logged([])))))

  it.effect("what query leaves out is not in the source of the web adapter either", () =>
    Effect.gen(function*() {
      const app = Effect.flatMap(Effect.flatMap(Request, HttpServerRequest.toWeb), ({ url }) =>
        HttpServerResponse.text(url, { headers: { "cache-control": "max-age=10" } }))
      const { body } = yield* app.pipe(
        withCache({ query: { only: ["q"] } }),
        Effect.provideService(
          Request,
          HttpServerRequest.fromWeb(new globalThis.Request("http://localhost/x?q=1&evil=2"))
        )
      )
      expect(body._tag === "Uint8Array" && new TextDecoder().decode(body.body)).toBe("http://localhost/x?q=1")
    }).pipe(Effect.provide(InMemoryCacheStorage.layer)))

  it.scoped("60: a target in absolute form is shown as the path that is in the key", () =>
    Effect.gen(function*() {
      const app = Effect.map(Request, ({ originalUrl, url }) => HttpServerResponse.text(`${originalUrl} ${url}`)).pipe(
        withCache({ expiry: 10 }),
        Effect.provideService(HttpCache.Defaults, { origin: "https://api.example.com" })
      )
      const ask = yield* serve(app)
      const evil = yield* ask("http://evil.example/x", { headers: { host: "evil.example" } })
      expect(evil.text).toBe("/x /x")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("51: what was read between two caches is told as if there were one", () =>
    Effect.gen(function*() {
      const beneath = counted().pipe(withCache({ expiry: 10 }))
      const between = Effect.flatMap(Request, ({ cookies, headers, url }) =>
        Effect.map(beneath, (response) =>
          HttpServerResponse.setHeader(response, "x-for", String(url === "/cookie" ? cookies["sid"] : headers["x-a"]))))
      const ask = yield* serve(between.pipe(withCache({ expiry: 10 })))
      for (const cookie of ["sid=ada", "sid=bob"]) {
        const { headers } = yield* ask("/cookie", { headers: { cookie } })
        expect([headers["x-for"], headers["cache-control"]]).toEqual([cookie.slice(4), "private, max-age=10"])
      }
      const { headers } = yield* ask("/field", { headers: { "x-a": "1" } })
      expect([headers["vary"], headers["cache-control"]]).toEqual(["x-a", "max-age=10"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("51: public in Defaults does not offer the responses of a partition to everybody", () =>
    Effect.gen(function*() {
      const partition = Effect.map(Request, ({ headers }) => headers["x-user"])
      const ask = yield* serve(
        counted().pipe(
          withCache({ expiry: 10, partition }),
          Effect.provideService(HttpCache.Defaults, { cacheControl: "public" })
        )
      )
      const { headers } = yield* ask("/", { headers: { "x-user": "ada" } })
      expect(headers["cache-control"]).toBe("private, max-age=10")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("10: over HTTP/2, where content needs no length", () =>
    Effect.gen(function*() {
      const handler = Effect.map(Request, ({ headers }) => HttpServerResponse.text(`path ${headers[":path"]}`))
      const layer = NodeHttpServer.layer(() => Http2.createServer() as never, { port: 0 })
      yield* Effect.gen(function*() {
        const { port } = yield* serve(handler.pipe(withCache({ expiry: 10, query: "none" })))
        const session = yield* Effect.acquireRelease(
          Effect.sync(() => Http2.connect(`http://127.0.0.1:${port}`)),
          (session) => Effect.sync(() => session.destroy())
        )
        const ask = (path: string, content?: string) =>
          Effect.promise(async () => {
            const stream = session.request({ ":path": path }, { endStream: content === undefined })
            if (content !== undefined) stream.end(content)
            const [headers] = await once(stream, "response") as [Http2.IncomingHttpHeaders]
            let text = ""
            for await (const chunk of stream.setEncoding("utf8")) text += chunk
            return [text, String(headers["cache-status"]).replace("effect-http-cache; ", "")]
          })
        expect(yield* ask("/x", "content")).toEqual(["path /x", "fwd=bypass"])
        expect(yield* ask("/x")).toEqual(["path /x", "fwd=uri-miss"])
        expect(yield* ask("/x?q=1")).toEqual(["path /x?q=1", "fwd=uri-miss"])
      }).pipe(Effect.scoped, Effect.provide(layer))
    }).pipe(Effect.provide(Layer.merge(InMemoryCacheStorage.layerCollectable, logged([])))))

  it.scoped("an answer about what is stored takes nothing away from what that was made of", () =>
    Effect.gen(function*() {
      const handler = Effect.map(
        Request,
        ({ headers, method }) =>
          headers["if-none-match"] === "\"v1\"" || method === "HEAD"
            ? HttpServerResponse.empty({
              status: method === "HEAD" ? 200 : 304,
              headers: { "etag": "\"v1\"", "x-b": headers["x-b"] }
            })
            : HttpServerResponse.text(`in ${headers["x-a"]}`, { headers: { etag: "\"v1\"" } })
      )
      const ask = yield* serve(handler.pipe(withCache({ expiry: 10 })))
      const asked = (a: string, method = "GET") => ask("/", { method, headers: { "x-a": a } })
      yield* asked("1")
      yield* TestClock.adjust("11 seconds")
      const fresh = yield* asked("1")
      expect([fresh.text, fresh.cacheStatus, fresh.headers["vary"]])
        .toEqual(["in 1", "fwd=stale; fwd-status=304; stored", "x-a, x-b"])
      expect((yield* asked("2")).text).toBe("in 2")
      yield* TestClock.adjust("11 seconds")
      yield* asked("1", "HEAD")
      expect((yield* asked("1")).headers["vary"]).toBe("x-a, x-b")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("one warning for a route, with what was read and what to do", () =>
    Effect.gen(function*() {
      const log: Array<Logged> = []
      const read = (r: Request) => [r.headers["x-b"], r.headers["x-a"]]
      const all = (r: Request) => [r.remoteAddress, { ...r.headers }]
      const ask = yield* serve(HttpRouter.empty.pipe(
        HttpRouter.get("/all/:id", Effect.suspend(() => looking(all).pipe(withCache({ expiry: 10 })))),
        HttpRouter.get("/fields", looking(read).pipe(withCache({ expiry: 10, unkeyed: "refuse" }))),
        HttpRouter.get("/vary", looking(read).pipe(withCache({ expiry: 10 })))
      )).pipe(Effect.provide(logged(log)))
      for (const path of ["/all/1", "/all/2", "/fields", "/fields", "/vary"]) {
        yield* ask(path, { headers: { host: "a.example" } })
      }
      expect(log.map(({ level, message }) => `${level.label}: ${message}`)).toEqual([
        "WARN: effect-http-cache: http://a.example/all/1 is not stored, since the handler read the remote address, all " +
        "fields; let it read single fields, answer Cache-Control: public where the response is for everybody, or name " +
        "what selects it with vary: [...] or partition and set unkeyed: \"ignore\"",
        "WARN: effect-http-cache: http://a.example/fields is not stored, since the handler read x-a, x-b; name what " +
        "selects the response with vary: [\"x-a\",\"x-b\"], answer Cache-Control: public where it is for everybody, or " +
        "set unkeyed: \"ignore\" where it makes no difference"
      ])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("a hit makes no recorder", () =>
    Effect.gen(function*() {
      let made = 0
      const Own = globalThis.Proxy
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const construct = (target: object, args: Array<unknown>) => {
            made++
            return Reflect.construct(target as typeof Proxy, args) as object
          }
          globalThis.Proxy = new Own<ProxyConstructor>(Own, { construct })
        }),
        () => Effect.sync(() => globalThis.Proxy = Own)
      )
      const handler = looking((r) => [r.headers["x-a"], r.cookies])
      const options = { expiry: 10, query: { only: ["q"] } }
      const ask = yield* serve(HttpRouter.empty.pipe(HttpRouter.get("/", handler.pipe(withCache(options)))))
      const proxies = (path: string) =>
        Effect.suspend(() => {
          const before = made
          return Effect.map(ask(path), ({ cacheStatus, text }) => [text, cacheStatus, made > before])
        })
      expect(yield* proxies("/?utm=1")).toEqual(["run 1", stored, true])
      expect(yield* proxies("/?utm=2")).toEqual(["run 1", "hit; ttl=10", false])
    }).pipe(Effect.provide(TestServer)))
})
