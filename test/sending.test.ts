/** What is sent over a port: the same bytes each time, unless somebody around the cache changes the response. */
import { HttpApp, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, TestClock } from "effect"
import { InMemoryCacheStorage, withCache } from "effect-http-cache"
import { type ChannelListener, subscribe, unsubscribe } from "node:diagnostics_channel"
import { once } from "node:events"
import { createServer, type RequestListener, ServerResponse } from "node:http"
import * as Net from "node:net"
import { type App, bytes, counted, eventually, routes, send, serve, TestServer } from "./harness.js"

const get = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: a.example\r\n${more}\r\n`
/** Asks on one connection, and waits for each answer. */
const connected = (port: number) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => Net.connect(port, "127.0.0.1").setEncoding("latin1")),
      (socket) => Effect.sync(() => socket.destroy())
    ),
    (socket) => (asked: string) =>
      Effect.promise(async () => {
        socket.write(asked)
        const [answer] = await once(socket, "data") as [string]
        return answer
      })
  )

const last = "Connection: close\r\n"

/** What is answered to these, on one connection. */
const answersTo = (port: number, ...all: ReadonlyArray<string>) =>
  Effect.map(send(port, all.join("")), (received) => received.split(/(?=HTTP\/1\.1 \d)/))

const changing = <E, R>(
  app: App<E, R>,
  change: (response: HttpServerResponse.HttpServerResponse) => HttpServerResponse.HttpServerResponse
) => Effect.map(app, change)

const cached = withCache({ expiry: 10 })

describe("a hit over a port", () => {
  it.scoped("is the same bytes each time, until its age is another", () =>
    Effect.gen(function*() {
      const ask = yield* serve(routes({ "GET /": counted().pipe(cached) }))
      yield* ask("/", { headers: { host: "a.example" } })
      for (const age of [0, 1, 2]) {
        const answers = yield* answersTo(ask.port, get("/"), get("/"), get("/"), get("/", last))
        expect(answers.length).toBe(4)
        expect(answers[0]).toMatch(
          new RegExp(`^HTTP/1.1 200 OK\r\n.*\r\nage: ${age}\r\n.*; hit; ttl=${10 - age}\r\n`, "s")
        )
        expect(answers[0]).toMatch(/\r\n\r\nrun 1$/)
        expect(answers.slice(1, 3)).toEqual([answers[0], answers[0]])
        expect(answers[3]).toBe(
          answers[0]!.replace(/Connection: keep-alive\r\nKeep-Alive: [^\r]*/, "Connection: close")
        )
        yield* TestClock.adjust(1000)
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("is for whoever has it already a 304, and for HEAD without content", () =>
    Effect.gen(function*() {
      const ask = yield* serve(routes({ "GET /": counted().pipe(cached) }))
      yield* ask("/")
      for (const _ of [1, 2, 3]) {
        const known = yield* ask("/", { headers: { "if-none-match": "*" } })
        expect([known.status, known.text, known.cacheStatus]).toEqual([304, "", "hit; ttl=10"])
        const other = yield* ask("/", { headers: { "if-none-match": "\"other\"" } })
        expect([other.status, other.text]).toEqual([200, "run 1"])
        const head = yield* ask("/", { method: "HEAD" })
        expect([head.status, head.text, head.headers["content-length"]]).toEqual([200, "", "5"])
        const since = yield* ask("/", { headers: { "if-modified-since": head.headers["date"] } })
        expect([since.status, since.text]).toEqual([200, "run 1"])
        const part = yield* ask("/", { headers: { range: "bytes=0-2" } })
        expect([part.status, part.text]).toEqual([206, "run"])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped.each([
    ["a field", "x-changed: 1\r\n", (response) => HttpServerResponse.setHeader(response, "x-changed", "1")],
    ["a field in place", "x-changed: 2\r\n", (response) => {
      Object.assign(response.headers, { "x-changed": "2" })
      return response
    }],
    ["a value in place", "; changed\r\n", (response) => {
      Object.assign(response.headers, { "cache-status": `${response.headers["cache-status"]}; changed` })
      return response
    }],
    ["the status", "HTTP/1.1 203 ", (response) => HttpServerResponse.setStatus(response, 203)],
    ["the status in place", "HTTP/1.1 203 ", (response) => Object.assign(response, { status: 203 })],
    ["a cookie", "set-cookie: a=1\r\n", (response) => HttpServerResponse.unsafeSetCookie(response, "a", "1")],
    ["the content", "\r\n\r\nchanged", (response) => HttpServerResponse.uint8Array(bytes("changed"), response)],
    ["all of it", "HTTP/1.1 204 ", () => HttpServerResponse.empty()]
  ] as ReadonlyArray<[string, string, Parameters<typeof changing>[1]]>)(
    "is sent as it is changed around the cache, and no other is: %s",
    ([, changed, change]) =>
      Effect.gen(function*() {
        const page = counted().pipe(cached)
        const ask = yield* serve(
          routes({ "GET /": page, "GET /changed": counted().pipe(cached, (app) => changing(app, change)) })
        )
        yield* answersTo(ask.port, get("/"), get("/changed"), get("/changed", last))
        const [first, second, third, fourth] = yield* answersTo(
          ask.port,
          get("/"),
          get("/changed"),
          get("/"),
          get("/changed", last)
        )
        expect([first, third]).toEqual([third, first])
        expect(first).not.toContain(changed)
        for (const answer of [second, fourth]) expect(answer).toContain(changed)
      }).pipe(Effect.provide(TestServer))
  )

  it.scoped("is sent as pre-response handlers change it, set before the cache or after it", () =>
    Effect.gen(function*() {
      const adding = (name: string) =>
        HttpApp.appendPreResponseHandler((_, response) =>
          Effect.succeed(HttpServerResponse.setHeader(response, name, "1"))
        )
      const ask = yield* serve(routes({
        "GET /before": Effect.zipRight(adding("x-before"), counted().pipe(cached)),
        "GET /after": Effect.zipLeft(counted().pipe(cached), adding("x-after"))
      }))
      for (const name of ["before", "after"]) {
        for (const told of ["fwd=uri-miss; stored", "hit; ttl=10", "hit; ttl=10"]) {
          const reply = yield* ask(`/${name}`)
          expect([reply.text, reply.cacheStatus, reply.headers[`x-${name}`]]).toEqual(["run 1", told, "1"])
        }
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("has the head of its own server, where two share a storage", () =>
    Effect.gen(function*() {
      const app = routes({ "GET /": counted().pipe(cached) })
      const served = (seconds: number) =>
        Effect.gen(function*() {
          const server = () => createServer({ keepAliveTimeout: 1000 * seconds })
          const context = yield* Layer.build(NodeHttpServer.layer(server, { host: "127.0.0.1", port: 0 }))
          return yield* serve(app).pipe(Effect.provide(context))
        })
      const servers = [yield* served(7), yield* served(9)]
      for (const _ of [1, 2, 3]) {
        for (const [index, timeout] of ["timeout=7", "timeout=9"].entries()) {
          const [answer] = yield* answersTo(servers[index]!.port, get("/"), get("/", last))
          expect(answer).toContain(timeout)
        }
      }
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.scoped("107: keeps nothing that its request has acquired until its client has taken it", () =>
    Effect.gen(function*() {
      let begun = 0
      let held = 0
      const acquired = Effect.acquireRelease(
        Effect.sync(() => {
          begun++
          held++
        }),
        () => Effect.sync(() => void held--)
      )
      const page = Effect.succeed(HttpServerResponse.uint8Array(new Uint8Array(1_000_000)))
      const ask = yield* serve(routes({ "GET /": Effect.zipRight(acquired, page.pipe(cached)) }))
      yield* ask("/")
      // Its client takes none of it.
      const socket = yield* Effect.acquireRelease(
        Effect.sync(() => Net.connect(ask.port, "127.0.0.1").pause()),
        (socket) => Effect.sync(() => socket.destroy())
      )
      socket.write(get("/").repeat(20))
      yield* eventually(() => begun > 1)
      yield* eventually(() => held === 0)
      socket.destroy()
      expect((yield* ask("/")).cacheStatus).toContain("hit")
    }).pipe(Effect.provide(TestServer)))

  it.scoped("108: has no content for a HEAD that is shown to the cache as a GET", () =>
    Effect.gen(function*() {
      const asGet = <E, R>(app: App<E, R>) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
          const shown = new Proxy(request, {
            get: (target, name) => name === "method" ? "GET" : Reflect.get(target, name, target) as unknown
          })
          return Effect.provideService(app, HttpServerRequest.HttpServerRequest, shown)
        })
      const ask = yield* serve(routes({ "GET /": counted().pipe(cached, asGet) }))
      const head = get("/").replace("GET", "HEAD")
      const socket = yield* connected(ask.port)
      for (const asked of [get("/"), get("/"), get("/"), head, get("/"), head, get("/")]) {
        const answer = yield* socket(asked)
        expect(answer).toMatch(asked === head ? /\r\ncontent-length: 5\r\n.*\r\n\r\n$/s : /\r\n\r\nrun 1$/)
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("108: does not take away what another fiber has set to change the response", () =>
    Effect.gen(function*() {
      const adding = HttpApp.appendPreResponseHandler((_, response) =>
        Effect.succeed(HttpServerResponse.setHeader(response, "x-added", "1"))
      )
      const page = counted().pipe(cached)
      const ask = yield* serve(routes({
        "GET /before": Effect.map(Effect.all([adding, page], { concurrency: "unbounded" }), ([, page]) => page),
        "GET /after": Effect.map(Effect.all([page, adding], { concurrency: "unbounded" }), ([page]) => page),
        "GET /joined": Effect.gen(function*() {
          const fiber = yield* Effect.fork(page)
          yield* adding
          return yield* Fiber.join(fiber)
        })
      }))
      for (const path of ["/before", "/after", "/joined"]) {
        for (const _ of [1, 2, 3]) expect([path, (yield* ask(path)).headers["x-added"]]).toEqual([path, "1"])
      }
    }).pipe(Effect.provide(TestServer)))

  it.scoped("108: is sent once by a response that somebody ends later, and says what somebody has set in it", () =>
    Effect.gen(function*() {
      let heads = 0
      const server = () =>
        createServer().on("request", (request, response) => {
          const writeHead = response.writeHead.bind(response)
          const end = response.end.bind(response) as (...given: ReadonlyArray<unknown>) => unknown
          if (request.url === "/late") {
            Object.assign(response, {
              writeHead: (...given: Parameters<typeof writeHead>) => {
                heads++
                return writeHead(...given)
              },
              end: (...given: ReadonlyArray<unknown>) => void setImmediate(() => end(...given))
            })
          }
          if (request.headers["x-fine"] !== undefined) response.statusMessage = "Fine"
        })
      const context = yield* Layer.build(NodeHttpServer.layer(server, { host: "127.0.0.1", port: 0 }))
      const app = routes({ "GET /late": counted().pipe(cached), "GET /fine": counted().pipe(cached) })
      const ask = yield* serve(app).pipe(Effect.provide(context))
      for (const _ of [1, 2, 3, 4]) expect((yield* ask("/late")).text).toBe("run 1")
      expect(heads).toBe(4)
      const socket = yield* connected(ask.port)
      const fine = get("/fine", "x-fine: 1\r\n")
      for (const asked of [fine, fine, fine, get("/fine"), fine, get("/fine"), get("/fine"), fine]) {
        const line = asked === fine ? "HTTP/1.1 200 Fine\r\n" : "HTTP/1.1 200 OK\r\n"
        expect((yield* socket(asked)).slice(0, line.length)).toBe(line)
      }
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  /** Asks again and again on one connection of a server to whose requests somebody listens after the app. */
  const listened = (listener: RequestListener) =>
    Effect.gen(function*() {
      const server = createServer()
      const context = yield* Layer.build(NodeHttpServer.layer(() => server, { host: "127.0.0.1", port: 0 }))
      const { port } = yield* serve(routes({ "GET /": counted().pipe(cached) })).pipe(Effect.provide(context))
      server.on("request", listener)
      return { ask: yield* connected(port), port, server }
    })

  it.scoped("176: ends and closes its request, to which somebody listens once it is written", () =>
    Effect.gen(function*() {
      let open = 0
      const { ask } = yield* listened((request) => {
        open++
        request.once("close", () => open--)
      })
      for (const _ of [1, 2, 3, 4]) expect(yield* ask(get("/"))).toContain("run 1")
      yield* eventually(() => open === 0)
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.scoped("177: is known to be written, so that nobody answers again or writes another head", () =>
    Effect.gen(function*() {
      const sent: Array<boolean> = []
      const { ask } = yield* listened((_, response) => {
        sent.push(response.headersSent)
        response.flushHeaders()
        if (!response.headersSent) response.writeHead(404).end("none")
      })
      for (const _ of [1, 2, 3, 4]) {
        expect((yield* ask(get("/"))).match(/HTTP\/1.1 \d+|run 1/g)).toEqual(["HTTP/1.1 200", "run 1"])
      }
      expect(sent).toEqual([true, true, true, true])
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.scoped("177: is followed by no other answer to what is no request, as the first one is", () =>
    Effect.gen(function*() {
      const { ask, port } = yield* listened(() => {})
      yield* ask(get("/"))
      for (const _ of [1, 2, 3]) {
        expect((yield* answersTo(port, get("/"), "none\r\n\r\n")).map((answer) => answer.slice(-5))).toEqual(["run 1"])
      }
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.scoped("178: has what somebody adds to each response by the class of all of them", () =>
    Effect.gen(function*() {
      const { ask } = yield* listened(() => {})
      const { writeHead } = ServerResponse.prototype
      let count = 0
      ServerResponse.prototype.writeHead = function(this: ServerResponse, ...given: ReadonlyArray<unknown>) {
        return Reflect.apply(writeHead, this.setHeader("x-id", String(++count)), given) as never
      }
      yield* Effect.addFinalizer(() => Effect.sync(() => ServerResponse.prototype.writeHead = writeHead))
      for (const id of [1, 2, 3, 4]) expect(yield* ask(get("/"))).toContain(`\r\nx-id: ${id}\r\n`)
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.scoped("179: closes the connection of who waits for a 100 and is answered without it", () =>
    Effect.gen(function*() {
      const { ask, port, server } = yield* listened(() => {})
      server.on("checkContinue", (request, response) => server.emit("request", request, response))
      for (const _ of [1, 2, 3]) yield* ask(get("/"))
      for (const _ of [1, 2]) {
        const [answer] = yield* answersTo(port, get("/", "Expect: 100-continue\r\n"))
        expect(answer).toMatch(/\r\nconnection: close\r\n.*run 1$/is)
        expect(yield* ask(get("/"))).toContain("\r\nConnection: keep-alive\r\n")
      }
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))

  it.scoped("180: is written to the end by a response that somebody has corked", () =>
    Effect.gen(function*() {
      const { ask } = yield* listened(() => {})
      const cork: ChannelListener = (message) => (message as { readonly response: ServerResponse }).response.cork()
      subscribe("http.server.request.start", cork)
      yield* Effect.addFinalizer(() => Effect.sync(() => unsubscribe("http.server.request.start", cork)))
      for (const _ of [1, 2, 3, 4]) expect(yield* ask(get("/"))).toContain("run 1")
    }).pipe(Effect.provide(InMemoryCacheStorage.layerCollectable)))
})
