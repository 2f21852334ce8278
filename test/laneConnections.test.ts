/** The lane on connections of all kinds: it answers as the platform's server does. */
import { HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { InMemoryCacheStorage, withCache } from "effect-http-cache"
import { HttpCacheLane } from "effect-http-cache/node"
import { once } from "node:events"
import { type ChannelListener, subscribe, unsubscribe } from "node:diagnostics_channel"
import { Agent, createServer, get, IncomingMessage, ServerResponse } from "node:http"
import * as Http2 from "node:http2"
import * as Https from "node:https"
import * as Net from "node:net"
import { cert, key } from "./certificate.js"
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

/** Serves the app on what `create` makes, and counts what the lane answers. */
const served = (create: (options: HttpCacheLane.Options) => unknown) =>
  Effect.gen(function*() {
    const hits: Array<HttpCacheLane.Hit> = []
    const server = NodeHttpServer.layer(() => create({ onHit: (hit) => hits.push(hit) }) as never, { port: 0 })
    const { port } = yield* Effect.provide(serve(app()), yield* Layer.build(server))
    return { hits, port }
  })

/** A client that speaks HTTP/2, without the time by Node's clock. */
const overHttp2 = (url: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => Http2.connect(url, { ca: cert })),
      (session) => Effect.sync(() => session.destroy())
    ),
    (session) => (fields: Http2.OutgoingHttpHeaders, content?: string) =>
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
  )

/** A client that speaks HTTP/1.1 over TLS, on one connection. */
const overTls = (port: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Https.Agent({ ca: cert, keepAlive: true, maxSockets: 1 })),
      (agent) => Effect.sync(() => agent.destroy())
    ),
    (agent) => (path: string, headers: Https.RequestOptions["headers"] & {} = {}) =>
      Effect.promise(async () => {
        const request = Https.get({ agent, host: "localhost", port, path, headers })
        const [response] = await once(request, "response") as [IncomingMessage]
        let text = ""
        for await (const chunk of response.setEncoding("utf8")) text += chunk
        return { status: response.statusCode, fields: response.rawHeaders, text }
      })
  )

const Services = Layer.merge(InMemoryCacheStorage.layerCollectable, logged([]))

it.scoped("answers over HTTP/2", () =>
  Effect.gen(function*() {
    const { hits, port } = yield* served((options) => HttpCacheLane.createServer(() => Http2.createServer(), options))
    const ask = yield* overHttp2(`http://127.0.0.1:${port}`)
    yield* ask({})
    const usual = yield* ask({})
    expect([usual.told, usual.text, hits.length]).toEqual(["effect-http-cache; hit; ttl=10", "run 1", 0])
    expect(yield* ask({})).toEqual(usual)
    expect(hits.length).toBe(1)
    expect((yield* ask({ ":method": "GET" }, "content")).told).toContain("fwd=bypass")
    expect((yield* ask({ ":authority": "b.example" })).told).toContain("fwd=uri-miss")
    expect((yield* ask({ "if-none-match": "*" })).status).toBe(304)
    expect(hits.length).toBe(2)
  }).pipe(Effect.provide(Services)))

it.scoped("answers over TLS, with the bytes that the route answers with", () =>
  Effect.gen(function*() {
    const { hits, port } = yield* served((options) =>
      HttpCacheLane.createServer(() => Https.createServer({ key, cert }), options)
    )
    const ask = yield* overTls(port)
    for (const path of ["/page", "/large"]) {
      yield* ask(path)
      const usual = yield* ask(path)
      expect(usual.fields).toContain("effect-http-cache; hit; ttl=10")
      const before = hits.length
      for (const _ of [1, 2, 3]) expect(yield* ask(path)).toEqual(usual)
      expect(hits.length).toBe(before + 3)
    }
    const statuses = []
    for (const _ of [1, 2, 3]) statuses.push((yield* ask("/page", { "if-none-match": "*" })).status)
    expect([statuses, hits.length]).toEqual([[304, 304, 304], 9])
  }).pipe(Effect.provide(Services)))

it.scoped("answers over TLS whoever speaks HTTP/2, and whoever does not", () =>
  Effect.gen(function*() {
    const { hits, port } = yield* served((options) =>
      HttpCacheLane.createServer(() => Http2.createSecureServer({ key, cert, allowHTTP1: true }), options)
    )
    const modern = yield* overHttp2(`https://localhost:${port}`)
    const usual = yield* overTls(port)
    expect((yield* modern({})).told).toBe("effect-http-cache; fwd=uri-miss; stored")
    const [first, second, third] = [yield* modern({}), yield* modern({}), yield* modern({})]
    expect([first.text, first.told, hits.length]).toEqual(["run 1", "effect-http-cache; hit; ttl=10", 2])
    expect([second, third]).toEqual([first, first])
    // It is the same target, which the lane knows by now.
    const own = yield* usual("/page")
    expect([own.text, hits.length]).toEqual(["run 1", 3])
    for (const _ of [1, 2]) expect(yield* usual("/page")).toEqual(own)
    expect((yield* modern({ "if-none-match": "*" })).status).toBe(304)
    expect(hits.length).toBe(6)
  }).pipe(Effect.provide(Services)))

/** Asks for the page on one connection, for as long as that is kept. */
const kept = (port: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Agent({ keepAlive: true, maxSockets: 1 })),
      (agent) => Effect.sync(() => agent.destroy())
    ),
    (agent) =>
      Effect.promise(async () => {
        const [response] = await once(get({ agent, host: "127.0.0.1", port, path: "/page" }), "response") as [
          IncomingMessage
        ]
        await once(response.resume(), "end")
        return response
      })
  )

it.scoped("says of a connection that is limited what Node says of it", () =>
  Effect.gen(function*() {
    const { hits, port } = yield* served((options) =>
      Object.assign(HttpCacheLane.createServer(createServer, options), { maxRequestsPerSocket: 3 })
    )
    const ask = yield* kept(port)
    const told = []
    for (const _ of [1, 2, 3, 4, 5, 6, 7, 8, 9]) {
      const { headers } = yield* ask
      told.push(headers["keep-alive"] ?? headers.connection)
    }
    const each = ["timeout=5, max=3", "timeout=5, max=3", "close"]
    expect([told, hits.length]).toEqual([[...each, ...each, ...each], 7])
  }).pipe(Effect.provide(Services)))

it.scoped("125: says of the last response on a connection that it is, where the others don't say how many there are", () =>
  Effect.gen(function*() {
    const { hits, port } = yield* served((options) =>
      Object.assign(HttpCacheLane.createServer(createServer, options), { maxRequestsPerSocket: 3, keepAliveTimeout: 0 })
    )
    const ask = yield* kept(port)
    const told = []
    for (const _ of [1, 2, 3, 4, 5, 6, 7, 8, 9]) {
      const { headers, statusCode } = yield* ask
      told.push([statusCode, headers.connection])
    }
    const each = [[200, "keep-alive"], [200, "keep-alive"], [200, "close"]]
    expect([told, hits.length]).toEqual([[...each, ...each, ...each], 7])
  }).pipe(Effect.provide(Services)))

it.scoped("125: says nothing of a connection where somebody has taken that away", () =>
  Effect.gen(function*() {
    let isTaken = false
    const server = createServer((_, response) => {
      if (isTaken) response.removeHeader("Connection")
    })
    const context = yield* Layer.build(NodeHttpServer.layer(() => server, { port: 0 }))
    const { port } = yield* Effect.provide(serve(app()), context)
    const ask = yield* kept(port)
    for (const _ of [1, 2, 3]) expect((yield* ask).headers.connection).toBe("keep-alive")
    isTaken = true
    expect((yield* ask).headers.connection).toBe(undefined)
  }).pipe(Effect.provide(Services)))

it.scoped("writes by the responses of the server, where those are its own", () =>
  Effect.gen(function*() {
    let written = 0
    class Counting extends ServerResponse {
      override end(...values: ReadonlyArray<never>): this {
        written++
        return super.end(...values)
      }
    }
    const { hits, port } = yield* served((options) =>
      HttpCacheLane.createServer(() => createServer({ ServerResponse: Counting }), options)
    )
    const ask = yield* kept(port)
    for (const _ of [1, 2, 3, 4]) yield* ask
    expect([hits.length, written]).toEqual([2, 4])
  }).pipe(Effect.provide(Services)))

it.scoped("leaves a request without content unread, unless somebody listens to it", () =>
  Effect.gen(function*() {
    let isWatched = false
    let closed = 0
    class Watched extends IncomingMessage {
      constructor(socket: Net.Socket) {
        super(socket)
        if (isWatched) this.once("close", () => closed++)
      }
    }
    const { hits, port } = yield* served((options) =>
      HttpCacheLane.createServer(() => createServer({ IncomingMessage: Watched }), options)
    )
    const ask = yield* kept(port)
    for (const watched of [false, false, false, false, true, true, false]) {
      isWatched = watched
      yield* ask
    }
    // The first hit is written by Node.
    expect(hits.map(({ request }) => request.readableEnded)).toEqual([true, false, true, true, false])
    expect(closed).toBe(2)
  }).pipe(Effect.provide(Services)))

it.scoped("176: ends and closes a request to which somebody listens once it has a hit", () =>
  Effect.gen(function*() {
    let hits = 0
    let closed = 0
    const onHit = ({ request }: HttpCacheLane.Hit) => {
      hits++
      request.once("close", () => closed++)
    }
    const { port } = yield* served(() => HttpCacheLane.createServer(createServer, { onHit }))
    const ask = yield* kept(port)
    for (const _ of [1, 2, 3, 4, 5]) yield* ask
    yield* eventually(() => closed === 3)
    expect(hits).toBe(3)
  }).pipe(Effect.provide(Services)))

it.scoped("reads content to its end, also where somebody has hidden that there is some", () =>
  Effect.gen(function*() {
    const { ask, hits } = yield* laned()
    const hide: ChannelListener = (message) => {
      delete (message as { readonly request: IncomingMessage }).request.headers["content-length"]
    }
    subscribe("http.server.request.start", hide)
    yield* Effect.addFinalizer(() => Effect.sync(() => unsubscribe("http.server.request.start", hide)))
    const content = "x".repeat(1_000_000)
    const get = (more: string) => `GET /page HTTP/1.1\r\nHost: 127.0.0.1:${ask.port}\r\n${more}\r\n`
    const all = [1, 2, 3].map(() => `${get(`Content-Length: ${content.length}\r\n`)}${content}`)
    const answers = yield* send(ask.port, `${all.join("")}${get("Connection: close\r\n")}`)
    expect([answers.split("run 1").length - 1, hits.length]).toEqual([4, 4])
  }))

it.scoped("176: reads content to its end, also where it is named after more fields than Node keeps", () =>
  Effect.gen(function*() {
    const { ask, hits } = yield* laned()
    const content = "x".repeat(1_000_000)
    const get = (more: string) => `GET /page HTTP/1.1\r\nHost: 127.0.0.1:${ask.port}\r\n${more}\r\n`
    const long = `${get(`${"a:\r\n".repeat(1100)}Content-Length: ${content.length}\r\n`)}${content}`
    const answers = yield* send(ask.port, `${get("")}${long}${long}${get("Connection: close\r\n")}`)
    // Node 24 refuses it.
    const all = answers.includes("HTTP/1.1 431 ") ? 1 : 4
    expect([answers.split("run 1").length - 1, hits.length]).toEqual([all, all])
  }))

it.scoped("216: is seen by who watches responses as one that Node has written", () =>
  Effect.gen(function*() {
    const seen: Array<string> = []
    let isWatched = false
    const started: ChannelListener = (message) => {
      const { response } = message as { readonly response: ServerResponse }
      if (isWatched) response.once("prefinish", () => seen.push("prefinish"))
    }
    const finished: ChannelListener = (message) => {
      seen.push((message as { readonly response: ServerResponse }).response.statusMessage)
    }
    subscribe("http.server.request.start", started)
    subscribe("http.server.response.finish", finished)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        unsubscribe("http.server.request.start", started)
        unsubscribe("http.server.response.finish", finished)
      })
    )
    const { hits, port } = yield* served((options) => HttpCacheLane.createServer(createServer, options))
    const ask = yield* kept(port)
    for (const watched of [false, false, false, false, true]) {
      isWatched = watched
      yield* ask
    }
    yield* eventually(() => seen.length === 6)
    expect([seen, hits.length]).toEqual([["OK", "OK", "OK", "OK", "prefinish", "OK"], 3])
  }).pipe(Effect.provide(Services)))

it.scoped("217: goes by another listener of the server, which may add to each response", () =>
  Effect.gen(function*() {
    const adding = () => createServer((_, response) => response.setHeader("x-frame-options", "DENY"))
    const { hits, port } = yield* served((options) => HttpCacheLane.createServer(adding, options))
    const ask = yield* kept(port)
    for (const _ of [1, 2, 3, 4]) expect((yield* ask).headers["x-frame-options"]).toBe("DENY")
    expect(hits).toEqual([])
  }).pipe(Effect.provide(Services)))

it.scoped("218: leaves to the app a response that refuses to be written", () =>
  Effect.gen(function*() {
    let fails = 0
    class Refusing extends ServerResponse {
      override writeHead(...values: ReadonlyArray<never>): this {
        if (fails-- > 0) throw new Error("refused")
        return Reflect.apply(super.writeHead, this, values) as this
      }
    }
    const { hits, port } = yield* served((options) =>
      HttpCacheLane.createServer(() => createServer({ ServerResponse: Refusing }), options)
    )
    const ask = yield* kept(port)
    for (const _ of [1, 2, 3]) yield* ask
    fails = 1
    for (const _ of [1, 2]) expect((yield* ask).statusCode).toBe(200)
    expect(hits.length).toBe(2)
  }).pipe(Effect.provide(Services)))
