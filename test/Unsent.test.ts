/** Bodies that are not sent, at an origin that counts what is open; the numbers are those of the project's list of failures. */
import { HttpBody, HttpClient, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpClient, NodeHttpServer } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Stream, TestClock } from "effect"
import { HttpCache, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { once } from "node:events"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { type Ask, eventually, type Logged, logged, type Reply, routes, serve } from "./harness.js"

interface Answer {
  readonly status?: number
  readonly headers?: Http.OutgoingHttpHeaders
  /** Ends after its first bytes. */
  readonly isWhole?: boolean
  /** What is answered instead where no range is asked for. */
  readonly toAll?: Answer
}

/** It answers what it is told to, begins the body, and counts what nobody has ended or closed. */
const origin = Effect.acquireRelease(
  Effect.promise(async () => {
    const state = { asked: 0, open: 0, answer: {} as Answer }
    const server = Http.createServer((request, response) => {
      const { answer } = state
      const { headers, isWhole = false, status = 200 } = request.headers.range === undefined
        ? answer.toAll ?? answer
        : answer
      state.asked++
      state.open++
      response.on("close", () => state.open--)
      response.writeHead(status, { "cache-control": "max-age=10", ...headers })
      response.write("begun")
      if (isWhole) response.end()
    })
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    return { server, state, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
  }),
  ({ server }) =>
    Effect.sync(() => {
      server.closeAllConnections()
      server.close()
    })
)

type Shape = (stream: Stream.Stream<Uint8Array, unknown>) => Stream.Stream<Uint8Array, unknown>

/** A handler that passes on what an origin answers, whatever the method. */
const forward = (url: string, shape: Shape = (stream) => stream) =>
  Effect.gen(function*() {
    const client = yield* HttpClient.HttpClient
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    const { headers: fields, status, stream } = yield* client.get(url, {
      headers: Object.fromEntries(Object.entries(headers).filter(([name]) => name === "range"))
    })
    const { connection: _, date: _d, "keep-alive": _k, "transfer-encoding": _t, ...own } = fields
    return HttpServerResponse.setBody(
      HttpServerResponse.empty({ status, headers: own }),
      HttpBody.stream(shape(stream), "text/plain")
    )
  }).pipe(Effect.orDie)

interface Case {
  readonly options: HttpCache.Options
  /** Stored before, ten seconds ago. */
  readonly before?: Answer
  readonly answer: Answer
  readonly ask?: Ask
  readonly is: Partial<Reply>
  readonly asked?: number
}

const tagged = { etag: "\"1\"" }
const noStore = { ...tagged, "cache-control": "no-store" }
const part = { etag: "\"1\"", "content-range": "bytes 0-4/10", "content-length": "5" }

const cases: { readonly [title: string]: Case } = {
  "a 304 to a client, of what may not be stored": {
    options: {},
    answer: { headers: noStore },
    ask: { headers: { "if-none-match": "\"1\"" } },
    is: { status: 304 }
  },
  "HEAD, of a handler that has content": { options: {}, answer: {}, ask: { method: "HEAD" }, is: { status: 200 } },
  "HEAD that passes by": {
    options: { bypass: () => true },
    answer: { headers: { "x-a": "1" } },
    ask: { method: "HEAD" },
    is: { status: 200, cacheStatus: "fwd=bypass" }
  },
  "a 412": {
    options: { expiry: 10 },
    answer: { headers: noStore },
    ask: { headers: { "if-match": "\"2\"" } },
    is: { status: 412 }
  },
  "an error for which something stale stands in": {
    options: { staleIfError: 60 },
    before: { isWhole: true },
    answer: { status: 503 },
    is: { status: 200, text: "begun", cacheStatus: "fwd=stale; fwd-status=503" }
  },
  "a refresh that may not be kept": {
    options: { staleWhileRevalidate: 60 },
    before: { isWhole: true },
    answer: { headers: noStore },
    is: { status: 200, text: "begun", cacheStatus: "hit; ttl=0" }
  },
  "an error of a refresh": {
    options: { staleWhileRevalidate: 60, staleIfError: 60 },
    before: { isWhole: true },
    answer: { status: 500 },
    is: { status: 200, text: "begun", cacheStatus: "hit; ttl=0" }
  },
  "a 204 that has content": { options: {}, answer: { status: 203, headers: tagged }, is: { status: 204 } },
  "what is asked for only where it is cached": {
    options: {},
    answer: {},
    ask: { headers: { "cache-control": "only-if-cached" } },
    is: { status: 504 },
    asked: 0
  }
}

const shapes: { readonly [name: string]: Shape } = {
  "as it is": (stream) => stream,
  "mapped": Stream.map((chunk) => new Uint8Array(chunk)),
  "buffered": Stream.buffer({ capacity: 4 }),
  "after a part of its own": (stream) => Stream.concat(Stream.make(new TextEncoder().encode("own")), stream)
}

const clients = { undici: NodeHttpClient.layerUndici, node: NodeHttpClient.layer }

const log: Array<Logged> = []
const layers = (client: keyof typeof clients) =>
  Layer.mergeAll(NodeHttpServer.layerTest, InMemoryCacheStorage.layerCollectable, logged(log), clients[client])

describe.each(["undici", "node"] as const)("bodies that are not sent, from %s", (client) => {
  const world = (options: HttpCache.Options, shape?: Shape) =>
    Effect.gen(function*() {
      const { state, url } = yield* origin
      const status = (response: HttpServerResponse.HttpServerResponse) =>
        response.status === 203 ? HttpServerResponse.setStatus(response, 204) : response
      const app = Effect.map(forward(url, shape), status).pipe(HttpCache.middleware(options))
      return { state, ask: yield* serve(app) }
    })

  it.scoped.each(Object.keys(cases))("82: are closed at once: %s", (title) =>
    Effect.gen(function*() {
      const { answer, ask: how, asked = 1, before, is, options } = cases[title]!
      const { ask, state } = yield* world(options)
      if (before !== undefined) {
        state.answer = before
        yield* ask("/")
        yield* TestClock.adjust("10 seconds")
      }
      const askedBefore = state.asked
      state.answer = answer
      expect(yield* ask("/", how)).toMatchObject(is)
      yield* eventually(() => state.asked === askedBefore + asked && state.open === 0)
    }).pipe(Effect.provide(layers(client))))

  it.scoped.each(Object.keys(shapes))("82: so is a stream %s", (name) =>
    Effect.gen(function*() {
      const { ask, state } = yield* world({}, shapes[name])
      state.answer = { headers: noStore }
      expect((yield* ask("/", { headers: { "if-none-match": "\"1\"" } })).status).toBe(304)
      yield* eventually(() => state.open === 0)
    }).pipe(Effect.provide(layers(client))))

  it.scoped("82: so is a 206 that completes nothing", () =>
    Effect.gen(function*() {
      const { ask, state } = yield* world({})
      state.answer = { status: 206, headers: part, isWhole: true }
      yield* ask("/", { headers: { range: "bytes=0-4" } })
      const another = { etag: "\"2\"", "content-range": "bytes 5-9/10", "content-length": "6" }
      state.answer = { status: 206, headers: another, toAll: { headers: { etag: "\"2\"" }, isWhole: true } }
      expect((yield* ask("/")).text).toBe("begun")
      expect(state.asked).toBe(3)
      yield* eventually(() => state.open === 0)
    }).pipe(Effect.provide(layers(client))))

  it.scoped("82: what was answered to a client that has left is closed, while another waits in vain", () =>
    Effect.gen(function*() {
      const { state, url } = yield* origin
      let release = () => {}
      const released = new Promise<void>((resolve) => release = resolve)
      const handler = Effect.tap(forward(url), () => Effect.promise(() => released))
      const ask = yield* serve(routes({ "GET /": handler.pipe(withCache()) }))
      state.answer = { headers: noStore }
      const leader = Http.get({ agent: false, host: "127.0.0.1", port: ask.port })
      leader.on("error", () => {})
      yield* eventually(() => state.open === 1)
      const other = Http.get({ agent: false, host: "127.0.0.1", port: ask.port })
      other.on("error", () => {})
      const answered = Effect.promise(() => once(other, "response"))
      for (let turn = 0; turn < 50; turn++) {
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      leader.destroy()
      for (let turn = 0; turn < 50; turn++) {
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      release()
      yield* answered
      // That of the other one is being sent.
      yield* eventually(() => state.asked === 2 && state.open === 1)
      other.destroy()
      yield* eventually(() => state.open === 0)
    }).pipe(Effect.provide(layers(client))))
})
