/** What is annotated at endpoints, groups and the api: what is refused, what has no effect, and what takes effect. */
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  type HttpApiError,
  HttpApiGroup,
  HttpServerResponse
} from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Schema } from "effect"
import { HttpApiCache, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { Bearer, BearerLive, Customer } from "./bearer.js"
import { appOfApi, type Logged, logged, serve, TestServer } from "./harness.js"

const Services = Layer.merge(TestServer, NodeHttpServer.layerContext)

const asking = <E, R>(api: Layer.Layer<HttpApi.Api, E, R>) => Effect.flatMap(appOfApi(api), serve)

type Api<Groups extends HttpApiGroup.HttpApiGroup.Any> = HttpApi.HttpApi<"api", Groups, HttpApiError.HttpApiDecodeError>

const get = HttpApiEndpoint.get("get", "/").addSuccess(Schema.String)
const post = HttpApiEndpoint.post("post", "/").addSuccess(Schema.String)
const found = HttpApiEndpoint.get("found", "/found").setUrlParams(
  Schema.Struct({ q: Schema.String, page: Schema.String })
)

const of = (endpoint: HttpApiEndpoint.HttpApiEndpoint.Any) => HttpApiGroup.make("group").add(endpoint as typeof get)

describe("an annotation that is wrong", () => {
  const { Collects, Policy } = HttpApiCache
  // As for withCache: their types let them pass.
  const perUser = { expiry: 10, partition: Effect.succeed("ada") }
  const named = { expiry: 10, name: "get" }
  const wrong: ReadonlyArray<readonly [what: string, group: ReturnType<typeof of>, message: string]> = [
    [
      "a policy at an endpoint that is no GET",
      of(post.annotate(Policy, { expiry: 10 })),
      "HttpApiCache.Policy of group.post: the endpoint is a POST; Policy is for GET"
    ],
    [
      "a collect at an endpoint that is safe",
      of(get.annotate(Collects, true)),
      "HttpApiCache.Collects of group.get: the endpoint is a GET; Collects is for methods that write, such as POST"
    ],
    [
      "an option that there isn't",
      of(get).annotate(Policy, { expires: 10 } as never),
      "HttpApiCache.Policy of group.get: there is no option expires; there are"
    ],
    [
      "no options",
      of(get).annotate(Policy, true as never),
      "HttpApiCache.Policy of group.get: the options are true; they must be an object"
    ],
    [
      "166: whose response it is",
      of(get).annotate(Policy, perUser),
      "HttpApiCache.Policy of group.get: partition is no option here: it is given to cached, as in HttpApiCache.cached(api, { partition })"
    ],
    [
      "166: a name",
      of(get.annotate(Policy, named)),
      "HttpApiCache.Policy of group.get: name is no option here: it is made of the names of group and endpoint; leave it out"
    ],
    [
      "an option of a collect",
      of(post).annotate(Collects, { soft: "very" as never }),
      "HttpApiCache.Collects of group.post: soft is \"very\"; it must be one of true, false, \"unless-error\""
    ],
    [
      "a query that leaves out what is declared",
      of(found).annotate(Policy, { expiry: 10, query: { only: ["q"] } }),
      "HttpApiCache.Policy of group.found: query is {\"only\":[\"q\"]}, which leaves out search parameters that the endpoint " +
      "declares; its handler gets {\"only\":[\"q\",\"page\"]}"
    ],
    [
      "a query that excepts what is declared",
      of(found).annotate(Policy, { query: { except: ["page"] } }),
      "HttpApiCache.Policy of group.found: query is {\"except\":[\"page\"]}, which leaves out"
    ],
    [
      "no query where something is declared",
      of(found).annotate(Policy, { query: "none" }),
      "HttpApiCache.Policy of group.found: query is \"none\", which leaves out"
    ],
    [
      "a lane where there is security",
      of(get).annotate(Policy, { expiry: 10, lane: true }).middleware(Bearer) as never,
      "HttpApiCache.Policy of group.get: lane is true, and the endpoint has security, which the lane passes by"
    ]
  ]

  const messageOf = (api: Api<ReturnType<typeof of>>, given: typeof api = api) =>
    HttpApiBuilder.group(api, "group", (handlers) =>
      handlers.handle(
        Object.keys(api.groups["group"]!.endpoints)[0] as "get",
        () => Effect.succeed("")
      ).pipe(HttpApiCache.cached(given))).pipe(
        Layer.provide([InMemoryCacheStorage.layerCollectable, BearerLive]),
        Layer.build,
        Effect.exit,
        Effect.map((exit) => Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : "it is none")
      )

  it.scoped.each(wrong)("%s does not start", ([, group, message]) =>
    Effect.gen(function*() {
      expect(yield* messageOf(HttpApi.make("api").add(group))).toContain(`TypeError: ${message}`)
    }))

  it.scoped("162: a getter is asked once", () =>
    Effect.gen(function*() {
      let reads = 0
      const policy = {
        get name() {
          return void reads++
        }
      }
      const group = of(get).annotate(Policy, policy as object)
      expect(yield* messageOf(HttpApi.make("api").add(group))).toBe("it is none")
      expect(reads).toBe(1)
    }))

  it.scoped("what stands before the handlers does not start either", () =>
    Effect.gen(function*() {
      const api = HttpApi.make("api").add(of(get))
      const layer = HttpApiBuilder.group(api, "group", (handlers) =>
        handlers.pipe(HttpApiCache.cached(api)).handle("get", () =>
          Effect.succeed("")))
      const exit = yield* Effect.exit(Layer.build(Layer.provide(layer, InMemoryCacheStorage.layerCollectable)))
      expect(Exit.isFailure(exit) && String(Cause.squash(exit.cause))).toBe(
        "TypeError: HttpApiCache.cached: no handler of the group group is before it; put it after the last handle"
      )
    }))

  it.scoped.each(
    [
      [{ partion: Customer }, "there is no option partion; there are partition"],
      [{ partition: "ada" }, "partition is \"ada\"; it must be an Effect that names whose response it is"]
    ] as const
  )("164: nor does cached with %j", ([options, sentence]) =>
    Effect.gen(function*() {
      const api = HttpApi.make("api").add(of(get))
      const layer = HttpApiBuilder.group(api, "group", (handlers) =>
        handlers.handle("get", () =>
          Effect.succeed("")).pipe(HttpApiCache.cached(api, options as object)))
      const exit = yield* Effect.exit(Layer.build(Layer.provide(layer, InMemoryCacheStorage.layerCollectable)))
      expect(Exit.isFailure(exit) && String(Cause.squash(exit.cause))).toBe(
        `TypeError: HttpApiCache.cached: ${sentence}`
      )
    }))

  it.scoped("another api does not start either", () =>
    Effect.gen(function*() {
      const api = HttpApi.make("api").add(of(get))
      expect(yield* messageOf(api, api.prefix("/v1"))).toContain("this api has another group group; give the api")
      expect(yield* messageOf(api)).toBe("it is none")
    }))
})

describe("what is annotated where nothing takes note of it", () => {
  const cachedGroup = HttpApiGroup.make("one").add(get).annotate(HttpApiCache.Policy, { expiry: 10 })
  const others = HttpApiGroup.make("two")
    .add(HttpApiEndpoint.get("a", "/a").annotate(HttpApiCache.Policy, { expiry: 1 }))
    .add(HttpApiEndpoint.get("b", "/b"))
    .add(HttpApiEndpoint.post("c", "/c").annotate(HttpApiCache.Collects, true))

  const said = (api: Api<typeof cachedGroup | typeof others>) =>
    Effect.gen(function*() {
      const list: Array<Logged> = []
      const one = HttpApiBuilder.group(api, "one", (handlers) =>
        handlers.handle("get", () =>
          Effect.succeed("")).pipe(HttpApiCache.cached(api)))
      const two = HttpApiBuilder.group(api, "two", (handlers) =>
        handlers.handle("a", () =>
          Effect.void).handle("b", () =>
            Effect.void).handle("c", () =>
            Effect.void))
      yield* Effect.gen(function*() {
        const ask = yield* asking(HttpApiBuilder.api(api).pipe(Layer.provide([one, two])))
        yield* ask("/")
        yield* ask("/")
      }).pipe(Effect.provide([Services, logged(list)]))
      return list.filter(({ level }) =>
        level === "WARN"
      ).map(({ message }) => message)
    })

  it.scoped("is warned of once", () =>
    Effect.gen(function*() {
      expect(yield* said(HttpApi.make("api").add(cachedGroup).add(others))).toEqual([
        "effect-http-cache: what is annotated has no effect at two.a, two.c; pipe the handlers of the group through " +
        "HttpApiCache.cached, or annotate it with false"
      ])
    }))

  it.scoped("is not warned of where it is switched off", () =>
    Effect.gen(function*() {
      const off = others.annotateEndpoints(HttpApiCache.Policy, false).annotateEndpoints(HttpApiCache.Collects, false)
      expect(yield* said(HttpApi.make("api").add(cachedGroup).add(off as typeof others))).toEqual([])
    }))
})

describe("what takes effect", () => {
  it.scoped("the first cached that a handler comes by", () => {
    let collects = 0
    const api = HttpApi.make("api").add(
      HttpApiGroup.make("group").add(get)
        .add(HttpApiEndpoint.get("mine", "/mine").addSuccess(Schema.String).middleware(Bearer))
        .add(HttpApiEndpoint.get("own", "/own").addSuccess(Schema.String))
        .add(post.annotate(HttpApiCache.Collects, { also: () => [`/${++collects}`] }))
        .annotate(HttpApiCache.Policy, { expiry: 60 })
    )
    const group = HttpApiBuilder.group(
      api,
      "group",
      (handlers) =>
        handlers.handle("get", () => Effect.succeed("for all")).handle("post", () => Effect.succeed(""))
          .handleRaw("own", () => Effect.succeed(HttpServerResponse.text("own")).pipe(withCache({ expiry: 5 })))
          .pipe(HttpApiCache.cached(api))
          .handle("mine", () => Customer)
          .pipe(HttpApiCache.cached(api, { partition: Customer }))
    )
    return Effect.gen(function*() {
      const ask = yield* asking(HttpApiBuilder.api(api).pipe(Layer.provide(group), Layer.provide(BearerLive)))
      const as = (path: string, authorization: string) =>
        Effect.map(ask(path, { headers: { authorization } }), ({ cacheStatus, text }) => [text, cacheStatus])
      yield* ask("/")
      expect((yield* ask("/")).cacheStatus).toBe("hit; ttl=60")
      yield* ask("/own")
      expect((yield* ask("/own")).cacheStatus).toBe("hit; ttl=5")
      expect(yield* as("/mine", "Bearer token-of-a")).toEqual(["\"a\"", "fwd=uri-miss; stored"])
      expect(yield* as("/mine", "Bearer token-of-b")).toEqual(["\"b\"", "fwd=uri-miss; stored"])
      expect(yield* as("/mine", "Bearer token-of-a")).toEqual(["\"a\"", "hit; ttl=60"])
      yield* ask("/", { method: "POST" })
      expect(collects).toBe(1)
    }).pipe(Effect.provide(Services))
  })

  it.scoped("a bearer's response is stored for all only where the policy says public", () => {
    const api = HttpApi.make("api").add(
      HttpApiGroup.make("group").add(get)
        .add(
          HttpApiEndpoint.get("public", "/public").addSuccess(Schema.String)
            .annotate(HttpApiCache.Policy, { expiry: 60, cacheControl: "public" })
        )
        .middleware(Bearer).annotate(HttpApiCache.Policy, { expiry: 60 })
    )
    const group = HttpApiBuilder.group(
      api,
      "group",
      (handlers) =>
        handlers.handle("get", () => Effect.succeed("")).handle("public", () => Effect.succeed(""))
          .pipe(HttpApiCache.cached(api))
    )
    return Effect.gen(function*() {
      const ask = yield* asking(HttpApiBuilder.api(api).pipe(Layer.provide(group), Layer.provide(BearerLive)))
      for (
        const [path, first, second] of [
          ["/", "fwd=uri-miss", "fwd=uri-miss"],
          ["/public", "fwd=uri-miss; stored", "hit; ttl=60"]
        ] as const
      ) {
        const said = yield* Effect.forEach(
          ["a", "b"],
          (name) =>
            Effect.map(
              ask(path, { headers: { authorization: `Bearer token-of-${name}` } }),
              ({ cacheStatus }) => cacheStatus
            )
        )
        expect([path, ...said]).toEqual([path, first, second])
      }
    }).pipe(Effect.provide(Services))
  })

  it.scoped("a partition that needs what the security doesn't provide passes by", () => {
    const api = HttpApi.make("api").add(
      HttpApiGroup.make("group").add(get).add(HttpApiEndpoint.get("mine", "/mine").middleware(Bearer))
        .annotate(HttpApiCache.Policy, { expiry: 60 })
    )
    const group = HttpApiBuilder.group(
      api,
      "group",
      (handlers) =>
        handlers.handle("get", () => Effect.succeed("")).handle("mine", () => Effect.void)
          .pipe(HttpApiCache.cached(api, { partition: Customer }))
    )
    return Effect.gen(function*() {
      const ask = yield* asking(HttpApiBuilder.api(api).pipe(Layer.provide(group), Layer.provide(BearerLive)))
      const { cacheStatus, status } = yield* ask("/")
      expect([status, cacheStatus]).toEqual([200, "fwd=bypass"])
    }).pipe(Effect.provide(Services))
  })

  it.scoped("a collect by the key of the endpoint that is cached at its path", () => {
    const id = Schema.Struct({ id: Schema.String })
    const api = HttpApi.make("api").add(
      HttpApiGroup.make("group")
        .add(
          HttpApiEndpoint.get("get", "/things/:id").setPath(id).setUrlParams(
            Schema.Struct({ q: Schema.optional(Schema.String) })
          )
            .annotate(HttpApiCache.Policy, { expiry: 60 })
        )
        .add(
          HttpApiEndpoint.del("remove", "/things/:thing").setPath(Schema.Struct({ thing: Schema.String }))
            .annotate(HttpApiCache.Collects, true)
        )
    )
    const group = HttpApiBuilder.group(
      api,
      "group",
      (handlers) =>
        handlers.handle("get", () => Effect.void).handle("remove", () => Effect.void).pipe(HttpApiCache.cached(api))
    )
    return Effect.gen(function*() {
      const ask = yield* asking(HttpApiBuilder.api(api).pipe(Layer.provide(group)))
      yield* ask("/things/1?utm=1")
      expect((yield* ask("/things/1")).cacheStatus).toBe("hit; ttl=60")
      yield* ask("/things/1?reason=sold", { method: "DELETE" })
      expect((yield* ask("/things/1")).cacheStatus).toBe("fwd=uri-miss; stored")
    }).pipe(Effect.provide(Services))
  })

  it.scoped("134: a collect by the key of the endpoint that is cached where a parameter stands for its path", () => {
    const id = Schema.Struct({ id: Schema.String })
    const one = HttpApiEndpoint.get("one", "/things/:id").setPath(id)
      .setUrlParams(Schema.Struct({ q: Schema.optional(Schema.String) })).annotate(HttpApiCache.Policy, { expiry: 60 })
    const remove = HttpApiEndpoint.del("remove", "/things/first").annotate(HttpApiCache.Collects, true)
    const api = HttpApi.make("api").add(HttpApiGroup.make("group").add(one).add(remove))
    const group = HttpApiBuilder.group(
      api,
      "group",
      (handlers) =>
        handlers.handle("one", () => Effect.void).handle("remove", () => Effect.void).pipe(HttpApiCache.cached(api))
    )
    return Effect.gen(function*() {
      const ask = yield* asking(HttpApiBuilder.api(api).pipe(Layer.provide(group)))
      yield* ask("/things/first")
      yield* ask("/things/first?reason=sold", { method: "DELETE" })
      expect((yield* ask("/things/first?reason=sold")).cacheStatus).toBe("fwd=uri-miss; stored")
    }).pipe(Effect.provide(Services))
  })

  it.scoped("a collect of all that it names, also where what the handler answers can't be encoded", () => {
    const Broken = Schema.transform(Schema.String, Schema.String, {
      decode: (text) => text,
      encode: () => {
        throw new Error("a defect")
      }
    })
    const write = <Name extends string>(name: Name, success: Schema.Schema<string>) =>
      HttpApiEndpoint.put(name, `/things/${name}`).addSuccess(success)
        .annotate(HttpApiCache.Collects, { also: () => ["/things/list"], groups: () => ["things"] })
    const read = HttpApiEndpoint.get("read", "/things/:id").setPath(Schema.Struct({ id: Schema.String }))
      .annotate(HttpApiCache.Policy, { expiry: 60, groups: ({ url }) => url.endsWith("member") ? ["things"] : [] })
    const api = HttpApi.make("api").add(
      HttpApiGroup.make("group").add(read).add(write("empty", Schema.NonEmptyString)).add(write("broken", Broken))
        .add(write("refused", Schema.String))
    )
    const group = HttpApiBuilder.group(api, "group", (handlers) =>
      handlers.handle("read", () => Effect.void)
        .handle("empty", () => Effect.succeed(""))
        .handle("broken", () => Effect.succeed(""))
        .handle("refused", () => Effect.orDie(Schema.decode(Schema.NonEmptyString)("")))
        .pipe(HttpApiCache.cached(api)))
    return Effect.gen(function*() {
      const ask = yield* asking(HttpApiBuilder.api(api).pipe(Layer.provide(group)))
      const outcomes: Array<unknown> = []
      for (const name of ["refused", "empty", "broken"]) {
        const paths = [`/things/${name}`, "/things/list", "/things/member"]
        yield* Effect.forEach(paths, (path) => ask(path))
        const { cacheStatus, status } = yield* ask(`/things/${name}`, { method: "PUT" })
        const then = yield* Effect.forEach(paths, (path) => Effect.map(ask(path), ({ cacheStatus }) => cacheStatus))
        outcomes.push([name, status, cacheStatus, new Set(then)])
      }
      expect(outcomes).toEqual([
        ["refused", 500, "fwd=method", new Set(["hit; ttl=60"])],
        ["empty", 400, "fwd=method", new Set(["fwd=uri-miss; stored"])],
        ["broken", 500, "fwd=method", new Set(["fwd=uri-miss; stored"])]
      ])
    }).pipe(Effect.provide(Layer.merge(Services, logged([]))))
  })
})
