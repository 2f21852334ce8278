/** Every door of the library over every kind of storage: what passes on memory passes on a storage that waits. */
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  type HttpApp,
  HttpLayerRouter,
  HttpRouter,
  type HttpServer,
  HttpServerRequest,
  HttpServerResponse
} from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { afterAll, describe, expect, it } from "@effect/vitest"
import { Context, Effect, Layer, Option, Schema, type Scope, Tracer } from "effect"
import { type CacheStorage, type CollectableCacheStorage, HttpCache, withCache, withCollect } from "effect-http-cache"
import { appOfApi, routes, serve, webHandler } from "./harness.js"
import { hows, layerWaiting } from "./waiting.js"

type Storages = CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage

/** What a handler needs, and what comes after the cache needs once more. */
class Greeter extends Context.Tag("Greeter")<Greeter, { readonly name: string }>() {}

const parentName = Effect.map(
  Effect.serviceOption(Tracer.ParentSpan),
  (span) => Option.match(span, { onNone: () => "nobody", onSome: (span) => span._tag === "Span" ? span.name : "" })
)

const greet = Effect.gen(function*() {
  const { name } = yield* Greeter
  const parent = yield* parentName
  return HttpServerResponse.text(`${name} within ${parent}`)
})

const empty = Effect.succeed(HttpServerResponse.empty())

/** Outside the cache, after it: the caller's services and its span are there as before. */
const after = <E, R>(app: HttpApp.Default<E, R>) =>
  Effect.gen(function*() {
    const response = yield* app
    const { name } = yield* Greeter
    return HttpServerResponse.setHeader(response, "x-after", `${name} within ${yield* parentName}`)
  }).pipe(Effect.withSpan("outer"))

const withParams = Effect.flatMap(HttpRouter.params, ({ id }) => id === "1" ? greet : empty)

type Services = Greeter | Storages | HttpServer.HttpServer | HttpRouter.HttpRouter.DefaultServices | Scope.Scope

type App = HttpApp.Default<unknown, Services>

type Ask = (path: string, ask?: { readonly method?: string }) => Effect.Effect<{
  readonly status: number
  readonly headers: { readonly [name: string]: unknown }
  readonly text: string
}>

const byMethod = (get: App, other: App): App =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ method }) => method === "GET" ? get : other)

const api = HttpApi.make("api").add(
  HttpApiGroup.make("users")
    .add(HttpApiEndpoint.get("get", "/users/1").addSuccess(Schema.String))
    .add(HttpApiEndpoint.patch("patch", "/users/1").addSuccess(Schema.Void))
)

const apiOf = (
  get: App,
  patch: App,
  cache?: Effect.Effect<(app: HttpApp.Default) => HttpApp.Default, never, Storages>
) => {
  const group = HttpApiBuilder.group(
    api,
    "users",
    (handlers) => handlers.handleRaw("get", () => Effect.orDie(get)).handleRaw("patch", () => Effect.orDie(patch))
  )
  return appOfApi(HttpApiBuilder.api(api).pipe(Layer.provide(group)), cache)
}

/** What the routes require, in types of its own, is among `Services`. */
const layerRouterOf = <R>(routes: Layer.Layer<never, never, R>) =>
  HttpLayerRouter.toHttpEffect(routes) as Effect.Effect<App, never, Services>

const cache = HttpCache.middleware({ expiry: 60 })

/** Each serves `GET` and `PATCH` of `/users/1`; where the door allows it, the handler asks for the route's parameters. */
const doors: { readonly [door: string]: Effect.Effect<App, unknown, Services> } = {
  "a route": Effect.succeed(
    routes({
      "GET /users/:id": after(withParams.pipe(withCache({ expiry: 60 }))),
      "PATCH /users/:id": after(empty.pipe(withCollect()))
    })
  ),
  "around a router": Effect.succeed(
    routes({
      "GET /users/:id": withParams,
      "PATCH /users/:id": empty
    }).pipe(cache, after)
  ),
  "around a bare app": Effect.succeed(after(cache(byMethod(greet, empty)))),
  "HttpLayerRouter, a route": layerRouterOf(Layer.mergeAll(
    HttpLayerRouter.add("GET", "/users/:id", after(withParams.pipe(withCache({ expiry: 60 })))),
    HttpLayerRouter.add("PATCH", "/users/:id", after(empty.pipe(withCollect())))
  )),
  "HttpLayerRouter, routerMiddleware": layerRouterOf(
    HttpLayerRouter.addAll([
      HttpLayerRouter.route("GET", "/users/:id", withParams),
      HttpLayerRouter.route("PATCH", "/users/:id", empty)
    ]).pipe(Layer.provide(HttpCache.routerMiddleware({ expiry: 60 }).layer))
  ).pipe(Effect.map(after)),
  "HttpApi, handleRaw": apiOf(
    after(greet.pipe(withCache({ expiry: 60 }))),
    after(empty.pipe(withCollect()))
  ),
  "HttpApi, HttpCache.make": Effect.map(apiOf(greet, empty, HttpCache.make({ expiry: 60 })), after),
  "HttpCache.make": Effect.map(HttpCache.make({ expiry: 60 }), (cache) => after(cache(byMethod(greet, empty))))
}

const serving: { readonly [how: string]: (app: App) => Effect.Effect<Ask, never, Services> } = {
  "a port": (app) => serve(app),
  "a web handler": (app) =>
    Effect.map(webHandler(app), (handle) => (path, { method = "GET" } = {}) =>
      Effect.promise(async () => {
        const response = await handle(new Request(`http://localhost${path}`, { method }))
        const headers = Object.fromEntries(response.headers)
        return { status: response.status, headers, text: await response.text() }
      }))
}

/** By door and server, the storages that it passed on. */
const passed = new Map<string, Array<string>>()

describe("59: a storage that waits keeps the caller's context", () => {
  for (const [door, make] of Object.entries(doors)) {
    for (const [server, serveBy] of Object.entries(serving)) {
      it.scoped.each(hows)(`${door}, ${server}, a storage that answers %s`, (how) =>
        Effect.gen(function*() {
          const ask = yield* serveBy(yield* make)
          const told: Array<string> = []
          for (const method of ["GET", "GET", "PATCH", "GET"]) {
            const { headers, status, text } = yield* ask("/users/1", { method })
            const outcome = String(headers["cache-status"]).replace("effect-http-cache; ", "").replace("; stored", "")
            told.push(outcome)
            expect([status, text, headers["x-after"]]).toEqual(
              method === "GET" ? [200, "Ada within outer", "Ada within outer"] : [204, "", "Ada within outer"]
            )
          }
          expect(told).toEqual(["fwd=uri-miss", "hit; ttl=60", "fwd=method", "fwd=uri-miss"])
          const name = `${door}, ${server}`
          passed.set(name, [...passed.get(name) ?? [], how])
        }).pipe(Effect.provide(Layer.mergeAll(
          layerWaiting(how),
          NodeHttpServer.layerTest,
          Layer.succeed(Greeter, { name: "Ada" })
        ))))
    }
  }

  afterAll(() => {
    for (const [name, storages] of passed) {
      process.stdout.write(`${name}: ${storages.join(", ")}
`)
    }
  })
})
