/** The lane on connections of all kinds: it answers as the platform's server does. */
import { HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { InMemoryCacheStorage, withCache } from "effect-http-cache"
import { HttpCacheLane } from "effect-http-cache/node"
import { once } from "node:events"
import * as Http2 from "node:http2"
import * as Net from "node:net"
import { client, counted, eventually, logged, routes, send, serve } from "./harness.js"
import { laneServer } from "./lane.js"

const lane = withCache({ expiry: 10, lane: true })
const large = "x".repeat(3 * 1024 * 1024)

const app = () =>
  routes({
    "GET /page": counted().pipe(lane),
    "GET /large": Effect.succeed(HttpServerResponse.text(large)).pipe(lane),
    "GET /:other": counted().pipe(lane)
  })

/** Both targets are known to the lane. */
const laned = (limits: InMemoryCacheStorage.Limits = {}) =>
  Effect.gen(function*() {
    const hits: Array<HttpCacheLane.Hit> = []
    const context = yield* Layer.build(laneServer((hit) => hits.push(hit), InMemoryCacheStorage.layerWith(limits)))
    const ask = yield* Effect.provide(serve(app()), context)
    for (const path of ["/page", "/page", "/large", "/large"]) yield* ask(path)
    return { ask, hits }
  })

it.scoped("answers requests that come at once on one connection, in their order", () =>
  Effect.gen(function*() {
    const { ask, hits } = yield* laned()
    const get = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${ask.port}\r\n${more}\r\n`
    const all = [get("/page"), get("/new"), get("/page"), get("/page", "Connection: close\r\n")]
    const answers = (yield* send(ask.port, all.join(""))).split("HTTP/1.1 ").slice(1)
    expect(answers.map((answer) => /hit; ttl=10|fwd=[a-z-]+/.exec(answer)?.[0])).toEqual([
      "hit; ttl=10",
      "fwd=uri-miss",
      "hit; ttl=10",
      "hit; ttl=10"
    ])
    expect(hits.length).toBe(3)
  }))

it.scoped("answers all of a large response to a client that reads slowly, and goes on when another leaves", () =>
  Effect.gen(function*() {
    const { ask, hits } = yield* laned()
    const leaving = client(ask.port, "/large")
    yield* Effect.promise(() => once(leaving.request, "response"))
    leaving.request.destroy()
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => Net.connect(ask.port, "127.0.0.1")),
      (socket) => Effect.sync(() => socket.destroy())
    )
    let received = 0
    let pauses = 0
    socket.on("data", (chunk) => {
      received += chunk.length
      socket.pause()
      setImmediate(() => socket.resume())
      pauses++
    })
    socket.write(`GET /large HTTP/1.1\r\nHost: 127.0.0.1:${ask.port}\r\nConnection: close\r\n\r\n`)
    yield* Effect.promise(() => once(socket, "close"))
    expect(received).toBeGreaterThan(large.length)
    expect(pauses).toBeGreaterThan(10)
    yield* eventually(() => hits.length === 2)
    expect((yield* ask("/page")).cacheStatus).toBe("hit; ttl=10")
    expect(hits.length).toBe(3)
  }))

it.scoped("answers nothing that was evicted", () =>
  Effect.gen(function*() {
    const { ask, hits } = yield* laned({ maxItems: 2 })
    for (const path of ["/a", "/b", "/c"]) yield* ask(path)
    expect((yield* ask("/page")).cacheStatus).toContain("fwd=uri-miss")
    expect(hits.length).toBe(0)
  }))

it.scoped("answers over HTTP/2", () =>
  Effect.gen(function*() {
    const hits: Array<HttpCacheLane.Hit> = []
    const create = () => HttpCacheLane.createServer(() => Http2.createServer(), { onHit: (hit) => hits.push(hit) })
    const context = yield* Layer.build(NodeHttpServer.layer(create as never, { port: 0 }))
    const { port } = yield* Effect.provide(serve(app()), context)
    const session = yield* Effect.acquireRelease(
      Effect.sync(() => Http2.connect(`http://127.0.0.1:${port}`)),
      (session) => Effect.sync(() => session.destroy())
    )
    const ask = (fields: Http2.OutgoingHttpHeaders, content?: string) =>
      Effect.promise(async () => {
        const stream = session.request({ ":path": "/page", ...fields }, { endStream: content === undefined })
        if (content !== undefined) stream.end(content)
        const [{ ":status": status, "cache-status": told, date: _, ...others }] = await once(stream, "response") as [
          Http2.IncomingHttpHeaders
        ]
        let text = ""
        for await (const chunk of stream.setEncoding("utf8")) text += chunk
        return { status, told, text, fields: { ...others } }
      })
    yield* ask({})
    const usual = yield* ask({})
    expect([usual.told, usual.text, hits.length]).toEqual(["effect-http-cache; hit; ttl=10", "run 1", 0])
    expect(yield* ask({})).toEqual(usual)
    expect(hits.length).toBe(1)
    expect((yield* ask({ ":method": "GET" }, "content")).told).toContain("fwd=bypass")
    expect((yield* ask({ ":authority": "b.example" })).told).toContain("fwd=uri-miss")
    expect((yield* ask({ "if-none-match": "*" })).status).toBe(304)
    expect(hits.length).toBe(2)
  }).pipe(Effect.provide(Layer.merge(InMemoryCacheStorage.layerCollectable, logged([])))))
