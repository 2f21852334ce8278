/** What the guides on compression, CORS, browsers and the end of a process claim, with the code that they show. */
import { HttpApp, HttpBody, HttpMiddleware, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Scope, TestClock } from "effect"
import { CachePolicy, CacheStorage, HttpCache, InMemoryCacheStorage, withCache, withCollect } from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import * as Http from "node:http"
import { gunzipSync, gzipSync } from "node:zlib"
import { type App, client, counted, eventually, logged, QuietServer, routes, serve } from "./harness.js"

const codings = CachePolicy.acceptEncoding(["gzip"])

/** As in docs/compression.md. */
const gzipped = <E, R>(app: App<E, R>) =>
  Effect.gen(function*() {
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    const response = yield* app
    const { body } = response
    if (codings.as(headers["accept-encoding"]) !== "gzip" || body._tag !== "Uint8Array") return response
    return response.pipe(
      HttpServerResponse.setBody(HttpBody.uint8Array(gzipSync(body.body), body.contentType)),
      HttpServerResponse.setHeader("content-encoding", "gzip")
    )
  })

const gzippedOutside = <E, R>(app: App<E, R>) =>
  Effect.gen(function*() {
    const response = yield* app
    const { "content-encoding": coding, etag, vary } = response.headers
    if (response.status !== 200 || coding !== undefined) return response
    const compressed = yield* gzipped(Effect.succeed(response))
    const told = { vary: vary === undefined ? "accept-encoding" : `${vary}, accept-encoding` }
    const isCompressed = compressed !== response && etag !== undefined && !etag.startsWith("W/")
    return HttpServerResponse.setHeaders(compressed, isCompressed ? { ...told, etag: `W/${etag}` } : told)
  })

/** The bytes that come, which `serve` would take for text. */
const fetched = (port: number, headers: Http.OutgoingHttpHeaders, path = "/") =>
  Effect.promise(() =>
    new Promise<{ readonly headers: Http.IncomingHttpHeaders; readonly status: number; readonly content: Buffer }>(
      (resolve, reject) => {
        Http.get({ agent: false, host: "127.0.0.1", port, path, headers }, (response) => {
          const chunks: Array<Buffer> = []
          response.on("data", (chunk: Buffer) => chunks.push(chunk))
          response.on("end", () =>
            resolve({
              headers: response.headers,
              status: response.statusCode ?? 0,
              content: Buffer.concat(chunks)
            }))
        }).on("error", reject)
      }
    )
  )

describe("docs/compression.md", () => {
  it.scoped("inside: one copy for each coding, however clients ask, each with a tag of its own", () =>
    Effect.gen(function*() {
      const { port } = yield* serve(counted().pipe(gzipped, withCache({ expiry: 60, vary: [codings] })))
      const accepts = ["gzip", "gzip, deflate, br", "GZIP;q=0.5", "br, *;q=0.1", "identity", "br", undefined]
      const replies = yield* Effect.forEach(
        accepts,
        (accept) => fetched(port, accept === undefined ? {} : { "accept-encoding": accept })
      )
      const texts = replies.map(({ content, headers }) =>
        headers["content-encoding"] === "gzip" ? `gzip: ${gunzipSync(content)}` : String(content)
      )
      expect(texts).toEqual([...Array(4).fill("gzip: run 1"), ...Array(3).fill("run 2")])
      expect(new Set(replies.map(({ headers: { etag } }) => etag)).size).toBe(2)
      const [{ content, headers: { etag = "", vary } }] = replies as [typeof replies[0]]
      expect([etag.startsWith("W/"), vary]).toEqual([false, "accept-encoding"])
      const asks = (headers: Http.OutgoingHttpHeaders) => fetched(port, { "accept-encoding": "gzip", ...headers })
      expect((yield* asks({ "if-none-match": etag })).status).toBe(304)
      expect((yield* asks({ range: "bytes=0-9", "if-range": etag })).content).toEqual(content.subarray(0, 10))
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("outside: one copy for all, weak tags, and what those can't do", () =>
    Effect.gen(function*() {
      const current = Effect.succeed({ etag: "\"v1\"" })
      const { port, ...ask } = yield* Effect.map(
        serve(gzippedOutside(routes({
          "GET /": counted({ headers: { etag: "\"v1\"" } }).pipe(withCache({ expiry: 60, vary: ["x-a"] })),
          "PATCH /": Effect.succeed(HttpServerResponse.empty()).pipe(
            HttpCache.withPreconditions(current),
            withCollect()
          )
        }))),
        (ask) => ({ port: ask.port, send: ask })
      )
      const asks = (headers: Http.OutgoingHttpHeaders) => fetched(port, { "accept-encoding": "gzip", ...headers })
      const first = yield* asks({})
      const { etag, vary } = first.headers
      expect([String(gunzipSync(first.content)), etag, vary]).toEqual(["run 1", "W/\"v1\"", "x-a, accept-encoding"])
      const plain = yield* fetched(port, {})
      expect([String(plain.content), plain.headers["etag"], plain.headers["vary"]])
        .toEqual(["run 1", "\"v1\"", "x-a, accept-encoding"])
      expect((yield* asks({ "if-none-match": etag })).status).toBe(304)
      // Of what was compressed no part can be joined to another.
      expect((yield* asks({ "range": "bytes=0-1", "if-range": etag })).status).toBe(200)
      const patch = (tag: string) => ask.send("/", { method: "PATCH", headers: { "if-match": tag } })
      expect([(yield* patch(String(etag))).status, (yield* patch("\"v1\"")).status]).toEqual([412, 204])
    }).pipe(Effect.provide(QuietServer)))
})

describe("docs/cors.md", () => {
  /** As in docs/cors.md. */
  const keepingVary = <E, R>(app: App<E, R>) =>
    Effect.tap(
      app,
      ({ headers: { vary } }) =>
        vary === undefined ? Effect.void : HttpApp.appendPreResponseHandler((_, response) => {
          const own = response.headers["vary"]
          const both = own === undefined || own === vary ? vary : `${vary}, ${own}`
          return Effect.succeed(HttpServerResponse.setHeader(response, "vary", both))
        })
    )

  const page = () => counted().pipe(withCache({ expiry: 60, vary: ["Accept-Language"] }))

  const asking = (app: App<never, CacheStorage.CacheStorage>) =>
    Effect.map(
      serve(app),
      (ask) => (origin: string) =>
        Effect.map(ask("/", { headers: { origin } }), ({ cacheStatus, headers }) => [
          headers["access-control-allow-origin"],
          headers["vary"],
          cacheStatus.slice(0, 3)
        ])
    )

  const [a, b] = ["https://a.example", "https://b.example"] as const
  const several = HttpMiddleware.cors({ allowedOrigins: [a, b] })

  it.scoped("cors goes outside: one copy for all origins, and where it allows all it leaves Vary alone", () =>
    Effect.gen(function*() {
      const from = yield* asking(page().pipe(HttpMiddleware.cors()))
      expect(yield* Effect.forEach([a, b], from))
        .toEqual([["*", "accept-language", "fwd"], ["*", "accept-language", "hit"]])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("cors for several origins takes the Vary of a response away", () =>
    Effect.gen(function*() {
      const from = yield* asking(page().pipe(several))
      expect(yield* Effect.forEach([a, b], from)).toEqual([[a, "Origin", "fwd"], [b, "Origin", "hit"]])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("cors for several origins leaves it there with what the guide puts beneath", () =>
    Effect.gen(function*() {
      const from = yield* asking(page().pipe(keepingVary, several))
      expect(yield* Effect.forEach([a, b, "https://c.example"], from)).toEqual([
        [a, "accept-language, Origin", "fwd"],
        [b, "accept-language, Origin", "hit"],
        [undefined, "accept-language", "hit"]
      ])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("a preflight is answered by cors itself, and a handler that reads Origin has a copy for each", () =>
    Effect.gen(function*() {
      const reading = Effect.flatMap(
        HttpServerRequest.HttpServerRequest,
        ({ headers }) => HttpServerResponse.json(headers["origin"] ?? null)
      )
      const ask = yield* serve(reading.pipe(withCache({ expiry: 60 }), HttpMiddleware.cors()))
      const preflight = yield* ask("/", { method: "OPTIONS", headers: { origin: a } })
      expect([preflight.status, preflight.headers["cache-status"]]).toEqual([204, undefined])
      const from = (origin: string) => Effect.map(ask("/", { headers: { origin } }), ({ cacheStatus }) => cacheStatus)
      expect(yield* Effect.forEach([a, b, a], from))
        .toEqual(["fwd=uri-miss; stored", "fwd=vary-miss; stored", "hit; ttl=60"])
    }).pipe(Effect.provide(QuietServer)))
})

describe("docs/browsers.md", () => {
  it.scoped("what clients are told, and a reload", () =>
    Effect.gen(function*() {
      const ask = yield* serve(routes({
        "GET /both": counted().pipe(withCache({ expiry: 10, sharedExpiry: "1 hour" })),
        "GET /asking": counted().pipe(withCache({ expiry: 60, clients: "revalidate" })),
        "GET /private": counted().pipe(withCache({ expiry: 60, cacheControl: "private" })),
        "GET /honored": counted().pipe(withCache({ expiry: 60, requestDirectives: "honor" }))
      }))
      const told = yield* Effect.forEach(
        ["/both", "/asking", "/private", "/honored"],
        (path) => Effect.map(ask(path), ({ headers }) => headers["cache-control"])
      )
      expect(told).toEqual(["max-age=10, s-maxage=3600", "no-cache", "private, max-age=60", "max-age=60"])
      const reload = { "cache-control": "max-age=0" }
      const { headers: { etag = "" } } = yield* ask("/asking")
      const reloaded = yield* ask("/asking", { headers: { ...reload, "if-none-match": etag } })
      expect([reloaded.status, reloaded.cacheStatus]).toEqual([304, "hit; ttl=60"])
      yield* TestClock.adjust("1 second")
      expect((yield* ask("/asking", { headers: reload })).cacheStatus).toBe("hit; ttl=59")
      expect((yield* ask("/honored", { headers: reload })).cacheStatus).toBe("fwd=request; stored")
      // Nothing private is here without a partition.
      expect((yield* ask("/private")).text).toBe("run 2")
    }).pipe(Effect.provide(QuietServer)))
})

describe("docs/shutdown.md", () => {
  it.effect("with the storage outermost the server answers what it has begun, and then the storage closes", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const order: Array<string> = []
      const handler = Effect.sync(() => {
        order.push("answered")
        return HttpServerResponse.text("whole")
      })
      const scope = yield* Scope.make()
      const storages = yield* Layer.buildWithScope(InMemoryCacheStorage.layerCollectable, scope)
      yield* Scope.addFinalizer(scope, Effect.sync(() => order.push("the storage closes")))
      const server = yield* Layer.buildWithScope(NodeHttpServer.layerTest, scope)
      const app = Effect.andThen(Deferred.await(gate), handler).pipe(withCache({ expiry: 60 }))
      const { port } = yield* serve(app).pipe(Effect.provide(Context.merge(server, storages)), Scope.extend(scope))
      const { reply } = client(port)
      yield* eventually(() => activity(Context.get(storages, CacheStorage.CacheStorage)).waiters === 1)
      const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("10 seconds")
      yield* Deferred.succeed(gate, undefined)
      expect((yield* Effect.promise(() => reply)).text).toBe("whole")
      yield* Fiber.join(closing)
      expect(order).toEqual(["answered", "the storage closes"])
    }).pipe(Effect.provide(logged([]))))
})
