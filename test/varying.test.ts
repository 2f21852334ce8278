/** A route that varies by what is another one in each request is told so, once. */
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpServerRequest,
  HttpServerResponse
} from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { type HttpCache, withCache } from "effect-http-cache"
import { type App, appOfApi, counted, type Logged, logged, routes, serve, TestServer } from "./harness.js"

const request = HttpServerRequest.HttpServerRequest

describe("92: a field that is another one each time", () => {
  const logging = Effect.zipRight(
    Effect.flatMap(request, ({ headers }) => Effect.logDebug(headers["x-request-id"])),
    counted()
  )

  const asking = <E, R>(app: App<E, R>) =>
    Effect.map(
      serve(app),
      (ask) => (path: string, headers: { readonly [name: string]: string } = {}) =>
        Effect.map(ask(path, { headers }), ({ cacheStatus }) => cacheStatus)
    )

  const warnings = (log: ReadonlyArray<Logged>) => log.filter(({ level }) => ["WARN", "ERROR", "FATAL"].includes(level))

  it.scoped("is warned of once per route: thirty values, thirty runs", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const cached = routes({
        "GET /a": logging.pipe(withCache({ expiry: 60 })),
        "GET /b/:id": logging.pipe(withCache({ expiry: 60 }))
      })
      const ask = yield* asking(cached)
      for (let i = 0; i < 30; i++) yield* ask("/a", { "x-request-id": `${i}` })
      expect(warnings(log).map(({ message }) => message.replace(/http:\S+/, "…"))).toEqual([
        "effect-http-cache: … varies by x-request-id, since the handler reads it, and 16 values in a row had no hit: each " +
        "one is a run of the handler and a copy; let it be read outside the cache, or name what selects the response with " +
        "vary: [...] and set unkeyed: \"ignore\""
      ])
      for (let i = 0; i < 30; i++) yield* ask("/a", { "x-request-id": `more ${i}` })
      expect(warnings(log)).toHaveLength(1)
      for (let i = 0; i < 40; i++) yield* ask(`/b/${i % 2}`, { "x-request-id": `${i}` })
      expect(warnings(log)).toHaveLength(2)
    }).pipe(Effect.provide(Layer.merge(TestServer, logged(log))))
  })

  it.scoped("is told from one beside it that has few values", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const both = Effect.zipRight(Effect.map(request, ({ headers }) => headers["accept-language"]), logging)
      const ask = yield* asking(both.pipe(withCache({ expiry: 60 })))
      for (let i = 0; i < 30; i++) {
        yield* ask("/", { "accept-language": i % 2 === 0 ? "en" : "fr", "x-request-id": `${i}` })
      }
      expect(warnings(log).map(({ message }) => /varies by (.*?), since/.exec(message)?.[1])).toEqual(["x-request-id"])
    }).pipe(Effect.provide(Layer.merge(TestServer, logged(log))))
  })

  it.scoped("is told from a field with as many values that are asked for again", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const ask = yield* asking(logging.pipe(withCache({ expiry: 60 })))
      for (let i = 0; i < 50; i++) {
        expect(yield* ask("/", { "x-request-id": `${i}` })).toMatch(/stored/)
        if (i % 10 === 0) expect(yield* ask("/", { "x-request-id": `${i}` })).toMatch(/^hit/)
      }
      expect(warnings(log)).toEqual([])
    }).pipe(Effect.provide(Layer.merge(TestServer, logged(log))))
  })

  it.scoped("hits of requests without the field are no hits of it", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const ask = yield* asking(logging.pipe(withCache({ expiry: 60 })))
      yield* ask("/")
      for (let i = 0; i < 30; i++) {
        yield* ask("/", { "x-request-id": `${i}` })
        expect(yield* ask("/")).toMatch(/^hit/)
      }
      expect(warnings(log)).toHaveLength(1)
    }).pipe(Effect.provide(Layer.merge(TestServer, logged(log))))
  })

  const others: ReadonlyArray<readonly [string, HttpCache.Options, string | undefined]> = [
    ["ignored", { expiry: 60, unkeyed: "ignore" }, "/"],
    ["named by the route", { expiry: 60, vary: ["X-Request-Id"] }, "/"],
    ["of resources that are asked for once", { expiry: 60 }, undefined]
  ]

  it.scoped.each(others)("no word of one that is %s", ([, options, path]) => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const ask = yield* asking(logging.pipe(withCache(options)))
      for (let i = 0; i < 30; i++) yield* ask(path ?? `/${i}`, { "x-request-id": `${i}` })
      expect(warnings(log)).toEqual([])
    }).pipe(Effect.provide(Layer.merge(TestServer, logged(log))))
  })

  it.scoped("of an HttpApi, which makes its handlers anew for each request", () => {
    const log: Array<Logged> = []
    return Effect.gen(function*() {
      const api = HttpApi.make("api").add(
        HttpApiGroup.make("group").add(HttpApiEndpoint.get("page", "/page").addSuccess(Schema.String))
      )
      const group = HttpApiBuilder.group(api, "group", (handlers) =>
        handlers.handleRaw("page", () =>
          Effect.zipRight(
            Effect.map(request, ({ headers }) => headers["x-request-id"]),
            Effect.succeed(HttpServerResponse.text("x"))
          ).pipe(withCache({ expiry: 60 }))))
      const ask = yield* asking(yield* appOfApi(HttpApiBuilder.api(api).pipe(Layer.provide(group))))
      for (let i = 0; i < 30; i++) yield* ask("/page", { "x-request-id": `${i}` })
      expect(warnings(log)).toHaveLength(1)
    }).pipe(Effect.provide([TestServer, NodeHttpServer.layerContext, logged(log)]))
  })
})
