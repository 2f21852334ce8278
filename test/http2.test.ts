/** HTTP/2 by Node's compatibility API, with a lane around the server: what a client on a stream of a session is answered. */
import { Headers, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Stream } from "effect"
import { withCache, withCollect } from "effect-http-cache"
import { HttpCacheLane } from "effect-http-cache/node"
import { once } from "node:events"
import * as Http2 from "node:http2"
import { cert, key } from "./certificate.js"
import { type App, bytes, counted, QuietServer, routes, serve } from "./harness.js"

const expiry = 10

/** Serves the app over HTTP/2, and answers the way to ask it on one session. */
const asking = <E, R>(app: App<E, R>, scheme: "http" | "https" = "http") =>
  Effect.gen(function*() {
    const hits: Array<HttpCacheLane.Hit> = []
    const create = () => scheme === "http" ? Http2.createServer() : Http2.createSecureServer({ key, cert })
    const laned = () => HttpCacheLane.createServer(create, { onHit: (hit) => hits.push(hit) })
    // Its type says nothing of HTTP/2.
    const server = NodeHttpServer.layer(laned as never, { host: "127.0.0.1", port: 0 })
    const { port } = yield* Effect.provide(serve(app), yield* Layer.build(server))
    const session = yield* Effect.acquireRelease(
      Effect.sync(() => Http2.connect(`${scheme}://127.0.0.1:${port}`, { ca: cert })),
      (session) => Effect.sync(() => session.destroy())
    )
    const ask = (path: string, fields: Http2.OutgoingHttpHeaders = {}) =>
      Effect.promise(() => replyOf(session.request({ ":path": path, ...fields })))
    return { ask, hits, session }
  })

/** What has come of an answer until its stream was closed. `code`: that by which it was closed. */
const replyOf = (stream: Http2.ClientHttp2Stream) =>
  new Promise<{ readonly code: number; readonly text: string; readonly told: string }>((resolve) => {
    let text = ""
    let told = ""
    stream.on("response", ({ "cache-status": status }) => told = String(status).replace(/^.*effect-http-cache; /, ""))
    stream.setEncoding("utf8").on("data", (chunk: string) => text += chunk)
    // It says by its code that it was broken off.
    stream.on("error", () => {})
    stream.on("close", () => resolve({ code: stream.rstCode, text, told }))
  })

it.scoped("213: what fails while it is sent is broken off, and the session goes on", () =>
  Effect.gen(function*() {
    const failing = (headers: { readonly [name: string]: string }) =>
      Effect.sync(() =>
        HttpServerResponse.stream(Stream.concat(Stream.make(bytes("half")), Stream.fail("disk")), { headers })
      )
    const { ask } = yield* asking(routes({
      "GET /stored": failing({}).pipe(withCache({ expiry })),
      "GET /refused": failing({ "cache-control": "no-store" }).pipe(withCache({ expiry })),
      "GET /passed": failing({}).pipe(withCache({ expiry, bypass: () => true })),
      "GET /page": counted().pipe(withCache({ expiry }))
    }))
    for (const path of ["/stored", "/refused", "/passed"]) {
      const { code, told } = yield* ask(path)
      expect([path, told, code]).toEqual([
        path,
        expect.stringContaining("fwd="),
        Http2.constants.NGHTTP2_INTERNAL_ERROR
      ])
      expect((yield* ask("/page")).text).toBe("run 1")
    }
  }).pipe(Effect.provide(QuietServer)))

/** Answers with the host by each of its names. */
const hosts = Effect.map(
  HttpServerRequest.HttpServerRequest,
  ({ headers }) =>
    HttpServerResponse.text(`${headers[":authority"]}, ${headers["host"]}`, {
      headers: { "cache-control": "max-age=10" }
    })
)

it.scoped("214: a request whose target and Host name different hosts is answered by its own run, and for nobody else", () =>
  Effect.gen(function*() {
    const { ask, hits } = yield* asking(routes({ "GET /page": hosts.pipe(withCache({ lane: true })) }))
    const usual = { ":authority": "a.example" }
    const both = { ...usual, host: "A.example:80" }
    const others = [{ ":authority": "evil.example", host: "a.example" }, { ...usual, host: "evil.example" }]
    for (const fields of others) expect((yield* ask("/page", fields)).told).toBe("fwd=bypass")
    for (const fields of [usual, usual, usual, both, both]) {
      expect((yield* ask("/page", fields)).text).toBe("a.example, a.example")
    }
    expect(hits.length).toBe(2)
    for (const fields of others) expect((yield* ask("/page", fields)).told).toBe("fwd=bypass")
    expect((yield* ask("/page", { ":authority": "evil.example" })).told).toBe("fwd=uri-miss; stored")
    expect(hits.length).toBe(2)
  }).pipe(Effect.provide(QuietServer)))

it.scoped("231: a request whose host a middleware has set, as that of a proxy, is answered for that host", () =>
  Effect.gen(function*() {
    const app = hosts.pipe(withCache())
    const believing = Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
      const headers = Headers.set(request.headers, "host", String(request.headers["x-forwarded-host"]))
      return Effect.provideService(app, HttpServerRequest.HttpServerRequest, request.modify({ headers }))
    })
    const { ask } = yield* asking(believing)
    const [shop, other] = ["shop.example", "other.example"].map((host) => ({ "x-forwarded-host": host }))
    for (const usual of [{}, { host: "a.example" }]) {
      const proxy = { ":authority": "a.example", ...usual }
      expect((yield* ask("/", { ...proxy, ...shop })).text).toBe("shop.example, shop.example")
      expect((yield* ask("/", { ...proxy, ...shop })).told).toMatch(/^hit/)
      expect((yield* ask("/", { ...proxy, ...other })).text).toBe("other.example, other.example")
    }
  }).pipe(Effect.provide(QuietServer)))

it.scoped("215: a write over TLS is collected also where its client has left before it began", () =>
  Effect.gen(function*() {
    const arrived = yield* Deferred.make<void>()
    const hasLeft = yield* Deferred.make<void>()
    const written = yield* Deferred.make<void>()
    let version = 1
    const write = Effect.sync(() => {
      version++
      return HttpServerResponse.empty()
    })
    /** As middleware does that is not to be interrupted. */
    const late = <A, E, R>(app: Effect.Effect<A, E, R>) =>
      Deferred.succeed(arrived, undefined).pipe(
        Effect.zipRight(Deferred.await(hasLeft)),
        Effect.zipRight(app),
        Effect.ensuring(Deferred.succeed(written, undefined)),
        Effect.uninterruptible
      )
    const { ask, session } = yield* asking(
      routes({
        "GET /page": Effect.sync(() => HttpServerResponse.text(`version ${version}`)).pipe(withCache({ expiry })),
        "PATCH /page": write.pipe(withCollect(), late)
      }),
      "https"
    )
    expect((yield* ask("/page")).text).toBe("version 1")
    const stream = session.request({ ":method": "PATCH", ":path": "/page" })
    yield* Deferred.await(arrived)
    const closed = Effect.promise(() => once(stream, "close"))
    stream.close(Http2.constants.NGHTTP2_CANCEL)
    yield* closed
    // The server reads in order.
    yield* ask("/other")
    yield* Deferred.succeed(hasLeft, undefined)
    yield* Deferred.await(written)
    expect((yield* ask("/page")).text).toBe("version 2")
  }).pipe(Effect.provide(QuietServer)))
