/** An app behind a real port, under the TestClock, and a client that sees what is on the wire. */
import { HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import type { CacheStorage, CollectableCacheStorage } from "effect-http-cache"
import { layerFaulty } from "effect-http-cache/testing"
import { once } from "node:events"
import * as Http from "node:http"
import * as Net from "node:net"
import { type App, logged, portOf } from "./platform.js"
import { layerRedis } from "./redisLayer.js"
import { layerSqlite } from "./sqliteLayer.js"
import { howOf, layerWaiting } from "./waiting.js"

export * from "./platform.js"

export interface Reply {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly text: string
  /** Our member of `Cache-Status` without its name. */
  readonly cacheStatus: string
}

export interface Ask {
  readonly method?: string
  readonly headers?: Http.OutgoingHttpHeaders
  readonly body?: string
}

/** Rejects when the connection breaks. */
const replyOf = (response: Http.IncomingMessage): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const chunks: Array<Buffer> = []
    response.on("data", (chunk: Buffer) => chunks.push(chunk))
    response.on("error", reject)
    response.on("end", () =>
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        text: Buffer.concat(chunks).toString(),
        cacheStatus: String(response.headers["cache-status"] ?? "").replace(/^.*effect-http-cache(; )?/, "")
      }))
  })

/** One agent, so that a response with wrong framing spoils the next one on the same connection. */
const exchange = (agent: Http.Agent, port: number, path: string, { body, headers, method }: Ask): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const request = Http.request(
      { agent, host: "127.0.0.1", port, path, method: method ?? "GET", headers: headers ?? {}, timeout: 10_000 },
      (response) => void replyOf(response).then(resolve, reject)
    )
    request.on("timeout", () => request.destroy(new Error(`no answer to ${method ?? "GET"} ${path}`)))
    request.on("error", reject)
    request.end(body)
  })

const serving = new WeakSet<object>()

/** A server that had two apps would have each request answered by both of them. */
const alone = (server: object) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      if (serving.has(server)) throw new Error("serve: the server has an app; close its scope, or make another server")
      serving.add(server)
    }),
    () => Effect.sync(() => serving.delete(server))
  )

/** Serves the app until the scope closes, and answers the way to ask it. `another` is a client of its own. */
export const serve = <E, R>(app: App<E, R>) =>
  Effect.gen(function*() {
    const server = yield* HttpServer.HttpServer
    yield* alone(server)
    yield* HttpServer.serveEffect(app)
    const port = portOf(server)
    const another = Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => new Http.Agent({ keepAlive: true, maxSockets: 1 })),
        (agent) => Effect.sync(() => agent.destroy())
      ),
      (agent) => (path: string, ask: Ask = {}) => Effect.promise(() => exchange(agent, port, path, ask))
    )
    return Object.assign(yield* another, { port, another })
  })

export interface Client {
  readonly request: Http.ClientRequest
  /** Rejects when the connection breaks. */
  readonly reply: Promise<Reply>
}

/** A client with a connection of its own, which it may leave. */
export const client = (port: number, path = "/", headers: Http.OutgoingHttpHeaders = {}): Client => {
  const request = Http.get({ agent: false, host: "127.0.0.1", port, path, headers })
  const reply = once(request, "response").then(([response]: Array<Http.IncomingMessage>) => replyOf(response!))
  reply.catch(() => {})
  return { request, reply }
}

/** Sends bytes that `node:http` would not, and answers all that comes until the connection is closed; bytes are characters. */
export const send = (port: number, text: string, localAddress = "127.0.0.1"): Effect.Effect<string> =>
  Effect.async((resume) => {
    let received = ""
    const socket = Net.connect({ host: "127.0.0.1", port, localAddress })
    socket.on("data", (chunk) => received += chunk.toString("latin1"))
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed(received)))
    socket.write(text, "latin1")
    return Effect.sync(() => socket.destroy())
  })

/** A handler that says in its body which run it is. */
export const counted = (options: HttpServerResponse.Options.WithContent = {}) => {
  let runs = 0
  return Effect.sync(() => HttpServerResponse.text(`run ${++runs}`, options))
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Gives real turns until it holds; a test's own time-out is its end. */
export const eventually = (holds: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() =>
    holds() ? Effect.void : Effect.zipRight(
      Effect.promise(() => new Promise((resolve) => setImmediate(resolve))),
      eventually(holds)
    )
  )

/** Gives real turns until it no longer changes, as what a socket takes. */
export const still = (value: () => number, turns = 500): Effect.Effect<number> =>
  Effect.suspend(() => {
    const before = value()
    let left = turns
    return Effect.zipRight(
      eventually(() => value() !== before || --left === 0),
      Effect.suspend(() => value() === before ? Effect.succeed(before) : still(value, turns))
    )
  })

const { REDIS_CLIENT, REDIS_PORT, SQLITE, STORAGE } = process.env

const storage = (): Layer.Layer<CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage> =>
  SQLITE !== undefined
    ? layerSqlite()
    : REDIS_PORT !== undefined
    ? layerRedis(Number(REDIS_PORT), REDIS_CLIENT === "redis" ? "redis" : "ioredis")
    : layerWaiting(howOf(STORAGE))

/**
 * A port, and a storage that can collect; `npm run check:waiting` runs the tests over storages that wait, and
 * `npm run check:redis` and `npm run check:sqlite` over Redis and over SQLite.
 */
export const TestServer = Layer.merge(NodeHttpServer.layerTest, storage())

/** The same, and nothing is logged. */
export const QuietServer = Layer.merge(TestServer, logged([]))

/** A port, and a storage that fails when it is told to. */
export const FaultyServer = Layer.merge(NodeHttpServer.layerTest, layerFaulty)
