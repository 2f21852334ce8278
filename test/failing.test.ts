/** A failure says in `Cache-Status` what was done, by whatever it is made a response of. */
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiSchema,
  HttpApp,
  HttpMiddleware,
  HttpServerRespondable,
  HttpServerResponse
} from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Data, Effect, Layer, Schema } from "effect"
import { CacheStorage, HttpCache, InMemoryCacheStorage, withCache, withCollect } from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import {
  type App,
  appOfApi,
  counted,
  eventually,
  type Logged,
  logged,
  routes,
  serve,
  TestServer,
  webHandler
} from "./harness.js"

class Refused extends Data.TaggedError("Refused")<{ readonly status: number; readonly upstream?: string }> {
  [HttpServerRespondable.symbol]() {
    const headers = this.upstream === undefined ? {} : { "cache-status": this.upstream }
    return Effect.succeed(HttpServerResponse.text(`refused ${this.status}`, { status: this.status, headers }))
  }
}

const fails = (status = 404, upstream?: string) =>
  Effect.suspend((): Effect.Effect<HttpServerResponse.HttpServerResponse, Refused> =>
    new Refused(upstream === undefined ? { status } : { status, upstream })
  )
const defect = Effect.suspend((): Effect.Effect<HttpServerResponse.HttpServerResponse> => Effect.die(new Error("no")))

const cached = withCache({ expiry: 10 })
const edge = withCache({ expiry: 10, cacheStatus: { name: "edge" } })

const miss = "effect-http-cache; fwd=uri-miss"

describe("91: a failure carries Cache-Status", () => {
  const failing: ReadonlyArray<
    readonly [string, App<Refused, CacheStorage.CacheStorage>, number, string | undefined]
  > = [
    ["a typed failure", cached(fails()), 404, miss],
    ["a redirect", cached(fails(303)), 303, miss],
    ["a failure that answers 200", cached(fails(200)), 200, miss],
    ["a defect", cached(defect), 500, miss],
    ["an interruption", cached(Effect.interrupt), 503, miss],
    ["a failure of an origin behind a cache", cached(fails(502, "origin; hit")), 502, `origin; hit, ${miss}`],
    [
      "with a name that is no token",
      withCache({ cacheStatus: { name: "my cache" } })(fails()),
      404,
      "\"my cache\"; fwd=uri-miss"
    ],
    ["told to nobody", withCache({ expiry: 10, cacheStatus: false })(fails()), 404, undefined],
    ["without a cache", fails(), 404, undefined],
    [
      "one that leaves the request alone",
      withCache({ bypass: () => true })(fails()),
      404,
      "effect-http-cache; fwd=bypass"
    ],
    ["cors around it", HttpMiddleware.cors()(cached(fails())), 404, miss],
    ["two caches: the inner one says it", cached(edge(fails())), 404, "edge; fwd=uri-miss"],
    ["three", cached(edge(cached(fails()))), 404, miss],
    ["the inner one tells nobody", cached(withCache({ cacheStatus: false })(fails())), 404, undefined],
    [
      "two caches, another failure between",
      cached(Effect.catchAll(edge(fails()), () => fails(410))),
      410,
      miss
    ],
    [
      "two caches, an answer between",
      cached(Effect.catchAll(edge(fails()), () => Effect.succeed(HttpServerResponse.text("none", { status: 404 })))),
      404,
      `${miss}; stored`
    ],
    [
      "caught further out, and answered as an error",
      Effect.catchAll(cached(fails()), () => Effect.succeed(HttpServerResponse.empty({ status: 400 }))),
      400,
      miss
    ],
    [
      "caught further out, and well",
      Effect.catchAll(cached(fails()), () => Effect.succeed(HttpServerResponse.empty())),
      204,
      undefined
    ],
    [
      "caught further out, and answered by another cached handler",
      Effect.catchAll(cached(fails()), () => cached(Effect.succeed(HttpServerResponse.text("none", { status: 404 })))),
      404,
      `${miss}; stored`
    ],
    [
      "caught further out, and another one fails",
      Effect.catchAll(cached(fails()), () => edge(fails(503))),
      503,
      "edge; fwd=uri-miss"
    ]
  ]

  it.scoped.each(failing)("on Node: %s", ([, route, status, said]) =>
    Effect.gen(function*() {
      const ask = yield* serve(routes({
        "GET /": route,
        "GET /fine": counted()
      }))
      const reply = yield* ask("/")
      expect([reply.status, reply.headers["cache-status"]]).toEqual([status, said])
      expect((yield* ask("/fine")).headers["cache-status"]).toBeUndefined()
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each(failing)("by a web handler: %s", ([, route, status, said]) =>
    Effect.gen(function*() {
      const handle = yield* webHandler(route)
      const { headers, status: answered } = yield* Effect.promise(() => handle(new Request("http://localhost/")))
      expect([answered, headers.get("cache-status") ?? undefined]).toEqual([status, said])
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.scoped("around a router that has no such route, and for what is not answered from a cache", () =>
    Effect.gen(function*() {
      const router = routes({
        "POST /collecting": fails(409).pipe(withCollect()),
        "POST /cached": fails(409),
        "GET /mine": fails().pipe(edge)
      })
      const ask = yield* serve(router.pipe(HttpCache.middleware({ expiry: 10 })))
      const said = (path: string, method = "GET") =>
        Effect.map(ask(path, { method }), ({ headers, status }) => [status, headers["cache-status"]])
      expect(yield* said("/nowhere")).toEqual([404, miss])
      expect(yield* said("/nowhere", "POST")).toEqual([404, "effect-http-cache; fwd=method"])
      expect(yield* said("/collecting", "POST")).toEqual([409, "effect-http-cache; fwd=method"])
      expect(yield* said("/cached", "POST")).toEqual([409, "effect-http-cache; fwd=method"])
      expect(yield* said("/mine")).toEqual([404, "edge; fwd=uri-miss"])
    }).pipe(Effect.provide(TestServer)))

  it.scoped("to all who waited for it", () =>
    Effect.gen(function*() {
      let runs = 0
      const storage = yield* CacheStorage.CacheStorage
      const handler = Effect.suspend(() => {
        runs++
        return Effect.zipRight(eventually(() => activity(storage).waiters === 3 || runs > 1), fails())
      })
      const ask = yield* serve(routes({ "GET /": handler.pipe(cached) }))
      const clients = yield* Effect.forEach([1, 2, 3], () => ask.another)
      const replies = yield* Effect.all(clients.map((client) => client("/")), { concurrency: "unbounded" })
      expect(replies.map(({ status }) => status)).toEqual([404, 404, 404])
      for (const { headers } of replies) expect(headers["cache-status"]).toMatch(/^effect-http-cache; fwd=uri-miss/)
    }).pipe(Effect.provide(TestServer)))

  it.scoped("a cache above stores what was made of it, as without", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const rescued = edge(fails()).pipe(Effect.catchAll(() => counted()))
      const setting = Effect.tap(rescued, HttpApp.appendPreResponseHandler((_, response) => Effect.succeed(response)))
      const before = Effect.zipRight(
        HttpApp.appendPreResponseHandler((_, response) => Effect.succeed(response)),
        rescued
      )
      const detailed = withCache({ expiry: 10, cacheStatus: { detail: true } })
      const ask = yield* serve(routes({
        "GET /rescued": detailed(rescued),
        "GET /setting": detailed(setting),
        "GET /before": detailed(before),
        "GET /around": detailed(rescued).pipe(HttpMiddleware.cors())
      }))
      for (const path of ["/rescued", "/around"]) {
        expect((yield* ask(path)).headers["cache-status"]).toBe(`${miss}; stored`)
        expect((yield* ask(path)).headers["cache-status"]).toBe("effect-http-cache; hit; ttl=10")
      }
      expect(log).toEqual([])
      for (const path of ["/setting", "/before"]) {
        expect((yield* ask(path)).headers["cache-status"]).toBe(`${miss}; detail=pre-response-handler`)
      }
      expect(log).toHaveLength(2)
    }).pipe(Effect.provide(Layer.merge(TestServer, logged(log))))
  })

  it.scoped("what was set outside still is: a cookie, cors", () =>
    Effect.gen(function*() {
      const cookie = HttpApp.appendPreResponseHandler((_, response) =>
        Effect.orDie(HttpServerResponse.setCookie(response, "seen", "1"))
      )
      const route = Effect.zipRight(cookie, cached(fails())).pipe(HttpMiddleware.cors())
      const ask = yield* serve(routes({ "GET /": route }))
      const { headers } = yield* ask("/", { headers: { origin: "http://b.example" } })
      expect(headers["set-cookie"]).toEqual(["seen=1"])
      expect(headers["access-control-allow-origin"]).toBe("*")
      expect(headers["cache-status"]).toBe(miss)
    }).pipe(Effect.provide(TestServer)))
})

it.scoped("207: a failure without an error, as of Effect.fail(undefined), is told as any other", () =>
  Effect.gen(function*() {
    const failing = Effect.suspend(() => Effect.fail(undefined)).pipe(cached)
    const ask = yield* serve(failing)
    const { headers, status } = yield* ask("/")
    expect([status, headers["cache-status"]]).toEqual([500, miss])
  }).pipe(Effect.provide([TestServer, logged([])])))

class NotThere extends Schema.TaggedError<NotThere>()("NotThere", {}, HttpApiSchema.annotations({ status: 404 })) {}
class Full extends Schema.TaggedError<Full>()("Full", {}) {}

const api = HttpApi.make("api").add(
  HttpApiGroup.make("group")
    .add(HttpApiEndpoint.get("class", "/class").addSuccess(Schema.String).addError(NotThere))
    .add(HttpApiEndpoint.get("endpoint", "/endpoint").addSuccess(Schema.String).addError(Full, { status: 409 }))
    .add(HttpApiEndpoint.get("defect", "/defect").addSuccess(Schema.String))
)

describe("91: an HttpApi", () => {
  const failing = <E>(error: () => E) =>
    Effect.suspend((): Effect.Effect<HttpServerResponse.HttpServerResponse, E> => Effect.fail(error())).pipe(cached)

  const groups = HttpApiBuilder.group(api, "group", (handlers) =>
    handlers
      .handleRaw("class", () => failing(() => new NotThere()))
      .handleRaw("endpoint", () => failing(() => new Full()))
      .handleRaw("defect", () => cached(defect)))

  it.scoped("says it for each error, wherever its status stands", () =>
    Effect.gen(function*() {
      const ask = yield* serve(yield* appOfApi(HttpApiBuilder.api(api).pipe(Layer.provide(groups))))
      for (const [path, status] of [["/class", 404], ["/endpoint", 409], ["/defect", 500]] as const) {
        const reply = yield* ask(path)
        expect([path, reply.status, reply.headers["cache-status"]]).toEqual([path, status, miss])
      }
    }).pipe(Effect.provide([TestServer, NodeHttpServer.layerContext])))
})
