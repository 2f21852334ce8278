/** The shop with a typed client of it, both cached: the server by annotations, the client by what the server says. */
import { FetchHttpClient, HttpApiClient, HttpClient, HttpClientRequest, HttpServer } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import { HttpClientCache, InMemoryCacheStorage } from "effect-http-cache"
import { type App, appsOfApi, portOf, serve, TestServer } from "./harness.js"
import * as shop from "./shop.js"

const routers = appsOfApi(shop.api, shop.GroupsLive)

/** The shop over a port, and how often it is asked. */
const listening = (router: keyof typeof routers) =>
  Effect.gen(function*() {
    const asked = { count: 0 }
    const app = (yield* routers[router]) as App<unknown>
    yield* serve(Effect.suspend(() => {
      asked.count++
      return app
    }))
    return { asked, port: portOf(yield* HttpServer.HttpServer) }
  })

/** A client with a cache of its own, of a customer or of a visitor. */
const visitor = (port: number, name?: string) =>
  Effect.gen(function*() {
    const cached = yield* HttpClientCache.transform(yield* HttpClient.HttpClient)
    const httpClient = name === undefined
      ? cached
      : HttpClient.mapRequest(cached, HttpClientRequest.bearerToken(`token-of-${name}`))
    return yield* HttpApiClient.makeWith(shop.api, { httpClient, baseUrl: `http://127.0.0.1:${port}` })
  }).pipe(
    Effect.provide(Layer.fresh(InMemoryCacheStorage.layerCollectable)),
    Effect.provide(FetchHttpClient.layer)
  )

const Services = Layer.merge(TestServer, NodeHttpServer.layerContext)

it.scoped.each(Object.keys(routers) as Array<keyof typeof routers>)(
  "a typed client of a shop on %s asks once while it is fresh, and again after its own write",
  (router) =>
    Effect.gen(function*() {
      const { asked, port } = yield* listening(router)
      const api = yield* visitor(port)
      const product = api.products.product({ path: { id: 1 } })
      expect(yield* product).toEqual({ id: 1, name: "red chair", run: 1 })
      expect(yield* product).toEqual({ id: 1, name: "red chair", run: 1 })
      expect(asked.count).toBe(1)
      yield* api.products.rename({ path: { id: 1 }, payload: { name: "green chair" } })
      expect(yield* product).toEqual({ id: 1, name: "green chair", run: 3 })
      expect(asked.count).toBe(3)
      yield* TestClock.adjust("60 seconds")
      expect(yield* product).toMatchObject({ name: "green chair", run: 4 })
      expect(asked.count).toBe(4)
    }).pipe(Effect.provide(Services))
)

it.scoped("what is of one customer is validated by that one, and never another's", () =>
  Effect.gen(function*() {
    const { asked, port } = yield* listening("HttpLayerRouter")
    const [ada, bob] = [yield* visitor(port, "ada"), yield* visitor(port, "bob")]
    expect(yield* ada.orders.mine()).toEqual({ of: "ada", run: 1 })
    expect(yield* bob.orders.mine()).toEqual({ of: "bob", run: 2 })
    // Clients are told to ask each time: the server has it, and answers 304.
    expect(yield* ada.orders.mine()).toEqual({ of: "ada", run: 1 })
    expect(asked.count).toBe(3)
  }).pipe(Effect.provide(Services)))
