/** A typed `HttpApi` that is cached by annotations, on each router, through a web handler and over a port. */
import { HttpApiBuilder, HttpServer } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import { InMemoryCacheStorage } from "effect-http-cache"
import { type App, appsOfApi, type Ask, client, portOf, serve, TestServer, webHandler } from "./harness.js"
import * as shop from "./shop.js"

const routers = appsOfApi(shop.api, shop.GroupsLive)

interface Said {
  readonly status: number
  readonly text: string
  readonly cacheStatus: string
  readonly headers: { readonly [name: string]: unknown }
}

type Asking = (path: string, ask?: Ask) => Effect.Effect<Said>

const own = (cacheStatus: string | null) => (cacheStatus ?? "").replace(/^effect-http-cache(; )?/, "")

const throughWeb = <E, R>(app: App<E, R>) =>
  Effect.map(webHandler(app), (handle): Asking => (path, { body, headers, method } = {}) =>
    Effect.promise(async () => {
      const request = new Request(`http://localhost${path}`, {
        method: method ?? "GET",
        headers: headers as Record<string, string> ?? {},
        ...(body === undefined ? {} : { body })
      })
      const response = await handle(request)
      const cacheStatus = own(response.headers.get("cache-status"))
      const fields = Object.fromEntries(response.headers)
      return { status: response.status, headers: fields, text: await response.text(), cacheStatus }
    }))

const servers = { "a web handler": throughWeb, "a port": serve } as const

const as = (name: string) => ({ headers: { authorization: `Bearer token-of-${name}` } })

const json = (body: unknown): Ask => ({
  method: "PATCH",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body)
})

const Services = Layer.merge(TestServer, NodeHttpServer.layerContext)

describe.each(Object.keys(routers) as Array<keyof typeof routers>)("a shop on %s", (router) => {
  describe.each(Object.keys(servers) as Array<keyof typeof servers>)("through %s", (server) => {
    const visiting = <A, E>(visit: (ask: Asking) => Effect.Effect<A, E>) =>
      Effect.gen(function*() {
        const app = (yield* routers[router]) as App<unknown>
        const ask: Asking = yield* servers[server](app)
        return yield* visit(ask)
      }).pipe(Effect.provide(Services))

    it.scoped("the policy of an endpoint, of its group and of the api: the nearest counts", () =>
      visiting((ask) =>
        Effect.gen(function*() {
          for (
            const [path, ttl, told] of [
              ["/hours", 5, "max-age=5"],
              ["/products/1", 60, "max-age=60"]
            ] as const
          ) {
            expect((yield* ask(path)).cacheStatus).toBe("fwd=uri-miss; stored")
            const hit = yield* ask(path)
            expect([hit.cacheStatus, hit.headers["cache-control"]]).toEqual([`hit; ttl=${ttl}`, told])
          }
          expect((yield* ask("/products/1")).text).toBe("{\"id\":1,\"name\":\"red chair\",\"run\":2}")
          for (const run of ["3", "4"]) {
            const { cacheStatus, text } = yield* ask("/products/1/stock")
            expect([text, cacheStatus]).toEqual([run, ""])
          }
          yield* ask("/orders", as("ada"))
          const hit = yield* ask("/orders", as("ada"))
          expect([hit.cacheStatus, hit.headers["cache-control"]]).toEqual(["hit; ttl=10", "private, no-cache"])
          yield* TestClock.adjust("59 seconds")
          expect((yield* ask("/products/1")).cacheStatus).toBe("hit; ttl=1")
          expect((yield* ask("/hours")).cacheStatus).toBe("fwd=stale; stored")
        })
      ))

    it.scoped("a tag gets a 304, and HEAD a hit", () =>
      visiting((ask) =>
        Effect.gen(function*() {
          const { headers } = yield* ask("/products/2")
          const known = yield* ask("/products/2", { headers: { "if-none-match": String(headers["etag"]) } })
          expect([known.status, known.text, known.cacheStatus]).toEqual([304, "", "hit; ttl=60"])
          const head = yield* ask("/products/2", { method: "HEAD" })
          expect([head.status, head.cacheStatus]).toEqual([200, "hit; ttl=60"])
        })
      ))

    it.scoped("security is outside the cache, and each customer has a copy", () =>
      visiting((ask) =>
        Effect.gen(function*() {
          const said: Array<unknown> = []
          for (const name of ["ada", "alan", "ada", "alan"]) {
            const { cacheStatus, text } = yield* ask("/orders", as(name))
            said.push([text, cacheStatus])
          }
          expect(said).toEqual([
            ["{\"of\":\"ada\",\"run\":1}", "fwd=uri-miss; stored"],
            ["{\"of\":\"alan\",\"run\":2}", "fwd=uri-miss; stored"],
            ["{\"of\":\"ada\",\"run\":1}", "hit; ttl=10"],
            ["{\"of\":\"alan\",\"run\":2}", "hit; ttl=10"]
          ])
          for (const headers of [{}, { authorization: "Bearer wrong" }]) {
            const { cacheStatus, status } = yield* ask("/orders", { headers })
            expect([status, cacheStatus]).toEqual([401, ""])
          }
        })
      ))

    it.scoped("declared search parameters are the key, and declared fields the Vary", () =>
      visiting((ask) =>
        Effect.gen(function*() {
          const list = (query: string, language = "en") =>
            ask(`/products${query}`, { headers: { "accept-language": language } })
          const first = yield* list("?tag=chair&utm_source=mail")
          expect(JSON.parse(first.text)).toEqual({ found: ["red chair"], language: "en", run: 1 })
          expect([first.headers["vary"], first.cacheStatus]).toEqual(["accept-language", "fwd=uri-miss; stored"])
          expect((yield* list("?tag=chair")).cacheStatus).toBe("hit; ttl=60")
          expect((yield* list("?tag=chair&other=1", "EN;q=1.0")).cacheStatus).toBe("hit; ttl=60")
          expect((yield* list("?tag=table")).cacheStatus).toBe("fwd=uri-miss; stored")
          expect((yield* list("?tag=chair", "fr")).cacheStatus).toBe("fwd=vary-miss; stored")
          // What the handler is given has the one spelling that the copy is found by.
          expect(JSON.parse((yield* list("?page=2", "DE;q=1.0")).text)).toMatchObject({ language: "de" })
        })
      ))

    it.scoped("a success of a PATCH and of a POST collects, by path and by group, and a failure does not", () =>
      visiting((ask) =>
        Effect.gen(function*() {
          const paths = ["/products/1", "/products?tag=chair", "/products/2"]
          const outcomes = Effect.map(
            Effect.forEach(paths, (path) => ask(path)),
            (replies) => replies.map(({ cacheStatus }) => cacheStatus.split(";")[0])
          )
          yield* outcomes
          const failed = yield* ask("/products/9", json({ name: "none" }))
          expect([failed.status, failed.cacheStatus]).toEqual([404, "fwd=method"])
          const wrong = yield* ask("/products/1", json({ nome: "green chair" }))
          expect(wrong.status).toBe(400)
          expect(yield* outcomes).toEqual(["hit", "hit", "hit"])
          const renamed = yield* ask("/products/1?notify=yes", json({ name: "green chair" }))
          expect([renamed.status, renamed.cacheStatus]).toEqual([200, "fwd=method"])
          // No query is declared at /products/:id: that of the request names another URI, and the group is collected.
          expect(yield* outcomes).toEqual(["hit", "fwd=uri-miss", "hit"])
          yield* ask("/products/1", json({ name: "black chair" }))
          expect(yield* outcomes).toEqual(["fwd=uri-miss", "fwd=uri-miss", "hit"])
          yield* ask("/orders", as("ada"))
          const placed = yield* ask("/orders", { method: "POST", ...as("ada") })
          expect([placed.status, placed.cacheStatus]).toEqual([204, "fwd=method"])
          expect((yield* ask("/orders", as("ada"))).cacheStatus).toBe("fwd=uri-miss; stored")
        })
      ))

    it.scoped("an error keeps its status, also one that stands at the endpoint", () =>
      visiting((ask) =>
        Effect.gen(function*() {
          for (let i = 0; i < 2; i++) {
            const { cacheStatus, status, text } = yield* ask("/products/9")
            expect([status, cacheStatus, JSON.parse(text)]).toEqual([404, "fwd=uri-miss", { id: 9, _tag: "NoProduct" }])
          }
          yield* ask("/hours")
          yield* ask("/close", { method: "POST" })
          expect((yield* ask("/hours")).cacheStatus).toBe("hit; ttl=5")
          yield* TestClock.adjust("10 seconds")
          const stale = yield* ask("/hours")
          expect([stale.status, stale.text, stale.cacheStatus]).toEqual([200, "run 1", "fwd=stale; fwd-status=503"])
          yield* TestClock.adjust("200 seconds")
          const late = yield* ask("/hours")
          expect([late.status, late.cacheStatus]).toEqual([503, "fwd=uri-miss"])
        })
      ))
  })
})

describe("what the platform makes of an api", () => {
  it.scoped("HttpApiBuilder.serve", () =>
    Effect.gen(function*() {
      yield* Layer.build(
        HttpApiBuilder.serve().pipe(Layer.provide(HttpApiBuilder.api(shop.api)), Layer.provide(shop.GroupsLive))
      )
      const port = portOf(yield* HttpServer.HttpServer)
      for (const outcome of ["fwd=uri-miss; stored", "hit; ttl=60"]) {
        const { cacheStatus, status } = yield* Effect.promise(() => client(port, "/products/1").reply)
        expect([status, cacheStatus]).toEqual([200, outcome])
      }
    }).pipe(Effect.provide(Services)))

  it("HttpApiBuilder.toWebHandler", async () => {
    const { dispose, handler } = HttpApiBuilder.toWebHandler(
      Layer.provideMerge(
        Layer.provide(HttpApiBuilder.api(shop.api), shop.GroupsLive),
        InMemoryCacheStorage.layerCollectable
      ).pipe(
        Layer.provideMerge(NodeHttpServer.layerContext)
      )
    )
    const said: Array<string> = []
    for (let i = 0; i < 2; i++) {
      const response = await handler(new Request("http://localhost/products/1"))
      said.push(own(response.headers.get("cache-status")).split(";")[0]!)
    }
    await dispose()
    expect(said).toEqual(["fwd=uri-miss", "hit"])
  })
})
