/** `HttpApiCache` with what an `HttpApi` has only in Effect 4. */
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, ErrorReporter, Exit, Layer, Schema, Stream } from "effect"
import { HttpApiCache, InMemoryCacheStorage } from "effect-http-cache"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema
} from "effect/http-api"
import { TestClock } from "effect/testing"
import { appOfApi, serve, TestServer } from "../harness.js"

const Services = Layer.merge(TestServer, NodeHttpServer.layerHttpServices)

const asking = <E, R>(api: Layer.Layer<never, E, R>) => Effect.flatMap(appOfApi(api), serve)

const [miss, hit] = ["fwd=uri-miss; stored", "hit; ttl=60"]

class Busy extends Schema.TaggedError<Busy>()("Busy", {}) {}

describe("what a cached endpoint answers", () => {
  it.effect("fields of its own beside the body, and a stream", () => {
    const Counted = HttpApiSchema.WithHeaders(Schema.Array(Schema.String), { "x-total": Schema.FiniteFromString })
    const api = HttpApi.make("api").add(
      HttpApiGroup.make("group")
        .add(HttpApiEndpoint.get("counted", "/counted", { success: Counted }))
        .add(HttpApiEndpoint.get("bytes", "/bytes", { success: HttpApiSchema.StreamUint8Array() }))
        .annotate(HttpApiCache.Policy, { expiry: 60 })
    )
    const group = HttpApiBuilder.group(api, "group", (handlers) =>
      handlers
        .handle("counted", () => Effect.succeed(HttpApiSchema.withHeaders({ body: ["a"], headers: { "x-total": 1 } })))
        .handle("bytes", () => Effect.succeed(Stream.make("1", "2").pipe(Stream.encodeText)))
        .pipe(HttpApiCache.cached(api)))
    return Effect.gen(function*() {
      const ask = yield* asking(HttpApiBuilder.layer(api).pipe(Layer.provide(group)))
      for (const outcome of [miss, hit]) {
        const counted = yield* ask("/counted")
        expect([counted.text, counted.headers["x-total"], counted.cacheStatus]).toEqual(["[\"a\"]", "1", outcome])
        const bytes = yield* ask("/bytes")
        // What is not sent yet is not stored yet.
        expect([bytes.text, bytes.cacheStatus]).toEqual(["12", outcome.replace("; stored", "")])
      }
    }).pipe(Effect.provide(Services))
  })

  it.effect("an error that a middleware declares, as the platform reports it: once", () => {
    class Guard extends HttpApiMiddleware.Service<Guard>()("Guard", {
      error: Busy.pipe(HttpApiSchema.status(503))
    }) {}
    let runs = 0
    const GuardLive = Layer.succeed(Guard, (endpoint) => Effect.andThen(Effect.sync(() => ++runs), endpoint))
    const api = HttpApi.make("api").add(
      HttpApiGroup.make("group")
        .add(HttpApiEndpoint.get("get", "/", { success: Schema.Number }).middleware(Guard))
        .annotate(HttpApiCache.Policy, { expiry: 60, staleIfError: 600 })
    )
    let isBusy = false
    const group = HttpApiBuilder.group(
      api,
      "group",
      (handlers) => handlers.handle("get", () => isBusy ? new Busy() : Effect.succeed(1)).pipe(HttpApiCache.cached(api))
    )
    const reported: Array<string> = []
    const reporter = ErrorReporter.make(({ error }) => {
      reported.push(error.message)
    })
    return Effect.gen(function*() {
      const ask = yield* asking(HttpApiBuilder.layer(api).pipe(Layer.provide(group), Layer.provide(GuardLive)))
      yield* ask("/")
      expect([(yield* ask("/")).cacheStatus, runs]).toEqual([hit, 2])
      isBusy = true
      yield* TestClock.adjust("61 seconds")
      expect((yield* ask("/")).cacheStatus).toBe("fwd=stale; fwd-status=503")
      expect(reported).toEqual([])
      const late = yield* ask("/?other")
      expect([late.status, late.cacheStatus, reported.length]).toEqual([503, "fwd=uri-miss", 1])
    }).pipe(Effect.provide([Services, ErrorReporter.layer([reporter])]))
  })
})

describe("an endpoint that upgrades", () => {
  const upgrade = HttpApiEndpoint.get("attach", "/attach", { success: HttpApiSchema.Upgrade({ protocol: "tcp" }) })

  it.effect("is left as it is by the policy of its group", () => {
    const api = HttpApi.make("api").add(
      HttpApiGroup.make("group").add(upgrade).add(HttpApiEndpoint.get("get", "/", { success: Schema.Number }))
        .annotate(HttpApiCache.Policy, { expiry: 60 })
    )
    const group = HttpApiBuilder.group(
      api,
      "group",
      (handlers) =>
        handlers.handle("attach", () => Effect.void).handle("get", () => Effect.succeed(1)).pipe(
          HttpApiCache.cached(api)
        )
    )
    return Effect.gen(function*() {
      const ask = yield* asking(HttpApiBuilder.layer(api).pipe(Layer.provide(group)))
      const { cacheStatus, status } = yield* ask("/attach")
      expect([status, cacheStatus]).toEqual([426, ""])
      expect((yield* ask("/")).cacheStatus).toBe(miss)
    }).pipe(Effect.provide(Services))
  })

  it.effect("has no policy of its own", () => {
    const api = HttpApi.make("api").add(
      HttpApiGroup.make("group").add(upgrade.annotate(HttpApiCache.Policy, { expiry: 60 }))
    )
    const group = HttpApiBuilder.group(
      api,
      "group",
      (handlers) => handlers.handle("attach", () => Effect.void).pipe(HttpApiCache.cached(api))
    )
    return Effect.gen(function*() {
      const exit = yield* Effect.exit(Layer.build(Layer.provide(group, InMemoryCacheStorage.layerCollectable)))
      expect(Exit.isFailure(exit) && String(Cause.squash(exit.cause))).toBe(
        "TypeError: HttpApiCache.Policy of group.attach: the endpoint is a GET that upgrades; Policy is for GET"
      )
    }).pipe(Effect.scoped)
  })
})

describe("the request", () => {
  it.effect("is decoded by the options that the api has for it", () => {
    const api = HttpApi.make("api").add(
      HttpApiGroup.make("group").add(
        HttpApiEndpoint.get("get", "/", { headers: { "x-a": Schema.String }, success: Schema.String })
      ).annotate(HttpApiCache.Policy, { expiry: 60 })
    ).annotate(HttpApi.ParseOptions, { onExcessProperty: "error" }).annotate(HttpApi.HeadersParseOptions, {})
    const group = HttpApiBuilder.group(
      api,
      "group",
      (handlers) =>
        handlers.handle("get", ({ headers }) => Effect.succeed(headers["x-a"])).pipe(HttpApiCache.cached(api))
    )
    return Effect.gen(function*() {
      const ask = yield* asking(HttpApiBuilder.layer(api).pipe(Layer.provide(group)))
      const { cacheStatus, text } = yield* ask("/", { headers: { "x-a": "1", "x-b": "2" } })
      expect([text, cacheStatus]).toEqual(["\"1\"", miss])
    }).pipe(Effect.provide(Services))
  })
})
