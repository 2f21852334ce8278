/** `HttpApiCache` at single endpoints: what is answered, what selects it, and what is refused. */
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiError,
  HttpApiGroup,
  HttpApiSchema,
  type HttpServerRequest,
  HttpServerResponse
} from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Schema, TestClock } from "effect"
import { CachePolicy, HttpApiCache, HttpCache } from "effect-http-cache"
import { appOfApi, client, eventually, type Reply, serve, still, TestServer } from "./harness.js"

const Optional = Schema.optional(Schema.String)

/** They have other names on the wire. */
const Page = Schema.Struct({ page: Schema.propertySignature(Schema.NumberFromString).pipe(Schema.fromKey("p")) })
  .pipe(Schema.filter(({ page }) => page > 0))
const Language = Schema.Struct({
  language: Schema.optionalWith(Schema.String, { default: () => "en" }).pipe(Schema.fromKey("x-language"))
})

class Gone extends Schema.TaggedError<Gone>()("Gone", {}, HttpApiSchema.annotations({ status: 410 })) {}
class Full extends Schema.TaggedError<Full>()("Full", { left: Schema.NumberFromString }) {}

const Services = Layer.merge(TestServer, NodeHttpServer.layerContext)

const asking = <E, R>(api: Layer.Layer<HttpApi.Api, E, R>) => Effect.flatMap(appOfApi(api), serve)

const expiry = { expiry: 60 } as const

describe("what a cached endpoint answers", () => {
  const endpoints = HttpApiGroup.make("group")
    .add(HttpApiEndpoint.get("json", "/json").addSuccess(Schema.Struct({ at: Schema.Date })))
    .add(HttpApiEndpoint.get("text", "/text").addSuccess(HttpApiSchema.Text({ contentType: "text/csv" })))
    .add(HttpApiEndpoint.get("bytes", "/bytes").addSuccess(HttpApiSchema.Uint8Array()))
    .add(
      HttpApiEndpoint.get("form", "/form").addSuccess(
        Schema.Struct({ a: Schema.String }).pipe(HttpApiSchema.withEncoding({ kind: "UrlParams" }))
      )
    )
    .add(HttpApiEndpoint.get("nothing", "/nothing").addSuccess(Schema.Void))
    .add(HttpApiEndpoint.get("empty", "/empty").addSuccess(HttpApiSchema.Empty(203)))
    .add(
      HttpApiEndpoint.get("either", "/either").addSuccess(Schema.Struct({ a: Schema.String }))
        .addSuccess(Schema.Struct({ b: Schema.String }), { status: 203 })
    )
    .add(HttpApiEndpoint.get("response", "/response").addSuccess(Schema.String))
    .add(HttpApiEndpoint.get("wrong", "/wrong").addSuccess(Schema.NonEmptyString))
    .add(HttpApiEndpoint.get("gone", "/gone").addError(Gone))
    .add(HttpApiEndpoint.get("full", "/full").addError(Full, { status: 409 }))
    .add(HttpApiEndpoint.get("died", "/died").addError(Gone))
    .add(HttpApiEndpoint.get("defect", "/defect"))
    .add(HttpApiEndpoint.get("raw", "/raw").addSuccess(Schema.String))
  const plain = HttpApi.make("api").add(endpoints)
  const cached = HttpApi.make("api").add(endpoints.annotate(HttpApiCache.Policy, expiry))

  const handle = (
    handlers: HttpApiBuilder.Handlers.FromGroup<HttpApiError.HttpApiDecodeError, never, typeof endpoints>
  ) =>
    handlers
      .handle("json", () => Effect.succeed({ at: new Date(0) }))
      .handle("text", () => Effect.succeed("a,b"))
      .handle("bytes", () => Effect.succeed(new Uint8Array([1, 2])))
      .handle("form", () => Effect.succeed({ a: "1 2" }))
      .handle("nothing", () => Effect.void)
      .handle("empty", () => Effect.void)
      .handle("either", () => Effect.succeed({ b: "b" }))
      .handle("response", () => Effect.succeed(HttpServerResponse.text("own", { status: 203 })))
      .handle("wrong", () => Effect.succeed(""))
      .handle("gone", () => new Gone())
      .handle("full", () => new Full({ left: 1 }))
      .handle("died", () => Effect.die(new Gone()))
      .handle("defect", () => Effect.die(new Error("a defect")))
      .handleRaw("raw", () => Effect.succeed("raw"))
  const lives = [
    HttpApiBuilder.api(plain).pipe(Layer.provide(HttpApiBuilder.group(plain, "group", handle))),
    HttpApiBuilder.api(cached).pipe(
      Layer.provide(
        HttpApiBuilder.group(cached, "group", (handlers) => handle(handlers).pipe(HttpApiCache.cached(cached)))
      )
    )
  ] as const
  const statuses = [200, 200, 200, 200, 204, 203, 203, 203, 400, 410, 409, 410, 500, 200]
  const paths = Object.values(endpoints.endpoints).map(({ path }) => path)

  it.effect("is what it answers without a cache, at first and from what is stored", () =>
    Effect.gen(function*() {
      const [bare, first, then] = yield* Effect.forEach([lives[0], lives[1], lives[1]], (live, run) =>
        Effect.gen(function*() {
          const ask = yield* asking(live)
          if (run === 2) {
            yield* Effect.forEach(paths, (path) =>
              ask(path))
          }
          return yield* Effect.forEach(paths, (path) => ask(path))
        }).pipe(Effect.scoped, Effect.provide(Services)))
      expect(bare!.map(({ status }) =>
        status
      )).toEqual(statuses)
      const shown = ({ headers, status, text }: Reply) => [status, text, headers["content-type"]]
      expect(first!.map(shown)).toEqual(bare!.map(shown))
      expect(then!.map(shown)).toEqual(bare!.map(shown))
      expect(then!.map(({ cacheStatus }) => cacheStatus)).toEqual(
        bare!.map(({ status }) => status < 300 ? "hit; ttl=60" : "fwd=uri-miss")
      )
    }))

  it.scoped.each<[string, HttpCache.Options, number]>([
    ["in a list", { ...expiry, statuses: [200, 404] }, 60],
    ["with an expiry of its own", { ...expiry, statuses: { 404: 5 } }, 5]
  ])("an error is stored where statuses names its status %s, and no other one is", ([, policy, ttl]) => {
    const endpoint = HttpApiEndpoint.get("get", "/").addError(HttpApiError.NotFound).addError(Full, { status: 409 })
      .setUrlParams(Schema.Struct({ full: Optional }))
    const api = HttpApi.make("api").add(
      HttpApiGroup.make("group").add(endpoint.annotate(HttpApiCache.Policy, policy))
    )
    const group = HttpApiBuilder.group(
      api,
      "group",
      (handlers) =>
        handlers.handle(
          "get",
          ({ urlParams }) => urlParams.full === undefined ? new HttpApiError.NotFound() : new Full({ left: 0 })
        ).pipe(HttpApiCache.cached(api))
    )
    return Effect.gen(function*() {
      const ask = yield* asking(HttpApiBuilder.api(api).pipe(Layer.provide(group)))
      for (const outcome of ["fwd=uri-miss; stored", `hit; ttl=${ttl}`]) {
        const { cacheStatus, status } = yield* ask("/")
        expect([status, cacheStatus]).toEqual([404, outcome])
      }
      for (let i = 0; i < 2; i++) {
        const { cacheStatus, status } = yield* ask("/?full=")
        expect([status, cacheStatus]).toEqual([409, "fwd=uri-miss"])
      }
    }).pipe(Effect.provide(Services))
  })
})

it.scoped("207: an error that is declared as empty is told of, and stored where statuses names it, as any other is", () => {
  const empty = HttpApiEndpoint.get("get", "/").addError(HttpApiSchema.Empty(404))
    .annotate(HttpApiCache.Policy, { ...expiry, statuses: { 404: 5 } })
  const other = HttpApiEndpoint.get("other", "/other").addError(HttpApiSchema.Empty(404))
    .annotate(HttpApiCache.Policy, expiry)
  const api = HttpApi.make("api").add(HttpApiGroup.make("group").add(empty).add(other))
  const fails = () => Effect.fail(undefined)
  const group = HttpApiBuilder.group(
    api,
    "group",
    (handlers) => handlers.handle("get", fails).handle("other", fails).pipe(HttpApiCache.cached(api))
  )
  return Effect.gen(function*() {
    const ask = yield* asking(HttpApiBuilder.api(api).pipe(Layer.provide(group)))
    const said: Array<unknown> = []
    for (const path of ["/", "/", "/other", "/other"]) {
      const { cacheStatus, status } = yield* ask(path)
      said.push([status, cacheStatus])
    }
    expect(said).toEqual([
      [404, "fwd=uri-miss; stored"],
      [404, "hit; ttl=5"],
      [404, "fwd=uri-miss"],
      [404, "fwd=uri-miss"]
    ])
  }).pipe(Effect.provide(Services))
})

it.scoped("208: a handler that is not to be interrupted goes on when its client has left", () => {
  const get = HttpApiEndpoint.get("get", "/").addSuccess(Schema.String).annotate(HttpApiCache.Policy, expiry)
  const api = HttpApi.make("api").add(HttpApiGroup.make("group").add(get))
  return Effect.gen(function*() {
    const [begun, goesOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
    let ended = ""
    const handler = Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(goesOn)).pipe(
      Effect.as("done"),
      Effect.onExit(({ _tag }) => Effect.sync(() => ended = _tag))
    )
    const group = HttpApiBuilder.group(
      api,
      "group",
      (handlers) => handlers.handle("get", () => handler, { uninterruptible: true }).pipe(HttpApiCache.cached(api))
    )
    const app = yield* appOfApi(HttpApiBuilder.api(api).pipe(Layer.provide(group)))
    const ask = yield* serve(app)
    const { request } = client(ask.port)
    yield* Deferred.await(begun)
    request.destroy()
    // The server has time to see that.
    yield* still(() => ended.length)
    yield* Deferred.succeed(goesOn, undefined)
    yield* eventually(() => ended !== "")
    expect(ended).toBe("Success")
  }).pipe(Effect.provide(Services))
})

describe("what selects a response", () => {
  const payload = HttpApiEndpoint.get("payload", "/payload").setPayload(Schema.Struct({ q: Schema.String }))
  const any = HttpApiEndpoint.get("any", "/any").setUrlParams(
    Schema.Record({ key: Schema.String, value: Schema.String })
  )
  const either = HttpApiEndpoint.get("either", "/either").setUrlParams(
    Schema.Union(Schema.Struct({ a: Schema.String }), Schema.Struct({ b: Schema.String }))
  )
  const none = HttpApiEndpoint.get("none", "/none")
  const renamed = HttpApiEndpoint.get("renamed", "/renamed").setUrlParams(Page).setHeaders(Language)
  const more = HttpApiEndpoint.get("more", "/more").setUrlParams(Schema.Struct({ a: Optional }))
    .annotate(HttpApiCache.Policy, { ...expiry, query: { except: ["x"] } })
  const tenant = HttpApiEndpoint.get("tenant", "/tenant").setHeaders(Schema.Struct({ "x-tenant": Schema.String }))
    .annotate(HttpApiCache.Policy, { expiry: 10, staleWhileRevalidate: 100 })
  const traced = HttpApiEndpoint.get("traced", "/traced").setHeaders(
    Schema.Struct({ "x-a": Optional, "x-trace": Optional })
  )
    .annotate(HttpApiCache.Policy, { ...expiry, vary: ["x-a"], unkeyed: "ignore" })
  const token = HttpApiEndpoint.get("token", "/token").setHeaders(Schema.Struct({ authorization: Optional }))
  const tag = HttpApiEndpoint.get("tag", "/tag").setHeaders(
    Schema.Struct({ "if-none-match": Optional, "if-match": Optional })
  )
  const cookie = HttpApiEndpoint.get("cookie", "/cookie").setHeaders(Schema.Struct({ cookie: Optional }))
  const api = HttpApi.make("api").add(
    HttpApiGroup.make("group").add(payload).add(any).add(either).add(none).add(more).add(renamed).add(tenant).add(
      traced
    ).add(token).add(tag)
      .add(cookie).annotate(HttpApiCache.Policy, expiry)
  )
  let runs = 0
  /** Answers what it was given, and the URL that it sees. */
  const echo = ({ request, ...given }: { readonly request: HttpServerRequest.HttpServerRequest }) =>
    Effect.orDie(HttpServerResponse.json({ ...given, url: request.url, run: ++runs }))
  const group = HttpApiBuilder.group(
    api,
    "group",
    (handlers) =>
      handlers.handle("payload", echo).handle("any", echo).handle("either", echo).handle("none", echo).handle(
        "more",
        echo
      ).handle("renamed", echo)
        .handle("tenant", echo).handle("traced", echo).handle("token", echo).handle("tag", echo).handle("cookie", echo)
        .pipe(HttpApiCache.cached(api))
  )
  const live = HttpApiBuilder.api(api).pipe(Layer.provide(group))
  const [miss, hit] = ["fwd=uri-miss; stored", "hit; ttl=60"]

  it.scoped("declared search parameters, wherever they are declared", () =>
    Effect.gen(function*() {
      const ask = yield* asking(live)
      for (
        const [path, outcome] of [
          ["/payload?q=1&x=1", miss],
          ["/payload?q=1&x=2", hit],
          ["/payload?q=2", miss],
          ["/any?q=1&x=1", miss],
          ["/any?q=1&x=2", miss],
          ["/either?b=1&x=1", miss],
          ["/either?b=1&x=2", hit],
          ["/either?a=1", miss],
          ["/none?x=1", miss],
          ["/none?x=2", miss],
          ["/renamed?p=1&page=1", miss],
          ["/renamed?p=1&page=2", hit],
          ["/more?a=1&x=1&y=1", miss],
          ["/more?a=1&y=1", hit],
          ["/more?a=1&y=2", miss]
        ] as const
      ) {
        expect([path, (yield* ask(path)).cacheStatus]).toEqual([path, outcome])
      }
      const german = yield* ask("/renamed?p=2", { headers: { "x-language": "de" } })
      expect(german.headers["vary"]).toBe("x-language")
      expect(JSON.parse(german.text)).toMatchObject({ urlParams: { page: 2 }, headers: { language: "de" } })
      expect(JSON.parse((yield* ask("/payload?x=3&q=3&y=3")).text)).toMatchObject({
        url: "/payload?q=3",
        payload: { q: "3" }
      })
    }).pipe(Effect.provide(Services)))

  it.scoped("declared fields, also for a refresh in the background", () =>
    Effect.gen(function*() {
      const ask = yield* asking(live)
      const of = (tenant: string) => ask("/tenant", { headers: { "x-tenant": tenant, "x-other": tenant } })
      yield* of("a")
      const b = yield* of("b")
      expect([b.headers["vary"], b.cacheStatus]).toEqual(["x-tenant", "fwd=vary-miss; stored"])
      yield* TestClock.adjust("11 seconds")
      const before = runs
      const stale = yield* of("a")
      expect(stale.cacheStatus).toBe("hit; ttl=-1")
      yield* eventually(() => runs > before)
      const fresh = yield* of("a")
      expect([JSON.parse(fresh.text), fresh.cacheStatus]).toEqual([
        { headers: { "x-tenant": "a" }, url: "/tenant", run: before + 1 },
        "hit; ttl=10"
      ])
    }).pipe(Effect.provide(Services)))

  it.scoped("the policy's vary instead, and the rest is ignored where it says so", () =>
    Effect.gen(function*() {
      const ask = yield* asking(live)
      const of = (a: string, trace: string) => ask("/traced", { headers: { "x-a": a, "x-trace": trace } })
      const first = yield* of("1", "1")
      expect([first.headers["vary"], first.cacheStatus]).toEqual(["x-a", miss])
      expect((yield* of("1", "2")).cacheStatus).toBe(hit)
      expect((yield* of("2", "1")).cacheStatus).toBe("fwd=vary-miss; stored")
    }).pipe(Effect.provide(Services)))

  it.scoped("what is made of a declared Authorization or Cookie is for nobody else", () =>
    Effect.gen(function*() {
      const ask = yield* asking(live)
      for (const [path, field] of [["/token", "authorization"], ["/cookie", "cookie"]] as const) {
        for (const value of ["a=1", "a=2"]) {
          const { cacheStatus, headers, text } = yield* ask(path, { headers: { [field]: value } })
          expect(JSON.parse(text)).toMatchObject({ headers: { [field]: value } })
          expect([cacheStatus.split(";")[0], headers["cache-control"]]).toEqual(["fwd=uri-miss", "private"])
          expect(cacheStatus).not.toContain("stored")
        }
      }
    }).pipe(Effect.provide(Services)))

  it.scoped("a declared precondition selects nothing: it is evaluated", () =>
    Effect.gen(function*() {
      const ask = yield* asking(live)
      const { headers } = yield* ask("/tag")
      expect(headers["vary"]).toBeUndefined()
      const conditional = (field: string, value: string) =>
        Effect.map(ask("/tag", { headers: { [field]: value } }), ({ cacheStatus, status }) => [status, cacheStatus])
      expect(yield* conditional("if-none-match", "\"other\"")).toEqual([200, hit])
      expect(yield* conditional("if-none-match", String(headers["etag"]))).toEqual([304, hit])
      expect((yield* conditional("if-match", "\"other\""))[0]).toBe(412)
    }).pipe(Effect.provide(Services)))

  it.scoped("a name of its own in the storage, which stays through a deploy", () =>
    Effect.gen(function*() {
      const ask = yield* asking(live)
      yield* ask("/either?a=1")
      const uri = `http://127.0.0.1:${ask.port}/either?a=1`
      const { cache } = yield* HttpCache.lookup(uri, { name: "group.either" })
      expect(cache).toBe("group.either")
      expect(yield* Effect.flip(HttpCache.lookup(uri))).toMatchObject({ _tag: "CacheMiss" })
    }).pipe(Effect.provide(Services)))
})

describe("a request field that the policy of an endpoint normalises", () => {
  const hello = HttpApiEndpoint.get("hello", "/")
    .setHeaders(Schema.Struct({ "accept-language": Schema.String, "x-a": Optional }))
    .addSuccess(Schema.String)
    .annotate(HttpApiCache.Policy, { ...expiry, vary: [CachePolicy.acceptLanguage(["en", "de"])] })
  const api = HttpApi.make("api").add(HttpApiGroup.make("group").add(hello))

  it.scoped("is given to its handler so, beside what it reads of the others", () =>
    Effect.gen(function*() {
      let runs = 0
      const live = HttpApiBuilder.group(api, "group", (handlers) =>
        handlers.handle("hello", ({ headers }) =>
          Effect.sync(() =>
            `${headers["accept-language"]} ${headers["x-a"]} ${++runs}`
          )).pipe(HttpApiCache.cached(api)))
      const ask = yield* asking(Layer.provide(HttpApiBuilder.api(api), live))
      const asks = (headers: Record<string, string>) =>
        Effect.map(ask("/", { headers }), ({ text }): unknown =>
          JSON.parse(text))
      expect(yield* asks({ "accept-language": "de-CH, en;q=0.5" })).toBe("de undefined 1")
      expect(yield* asks({ "accept-language": "de" })).toBe("de undefined 1")
      expect(yield* asks({ "accept-language": "de", "x-a": "1" })).toBe("de 1 2")
    }).pipe(Effect.provide(Services)))
})
