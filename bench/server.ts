/**
 * The servers that are measured over a port, in a process of their own: one with plain and cached routes, the plain routes once
 * more beneath a cache around the router, a lane, and a bare server of Node. Prints its ports as JSON, and ends with its
 * standard input.
 */
import { HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Context, Effect, Layer } from "effect"
import { HttpCache, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { HttpCacheLane } from "effect-http-cache/node"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { type App, logged, portOf, routes } from "../test/platform.js"

let runs = 0

/** The same response each time: a handler can't be faster. */
const answering = (kibibytes: number) => {
  const response = HttpServerResponse.uint8Array(new Uint8Array(kibibytes * 1024).fill(120))
  return Effect.sync(() => {
    runs++
    return response
  })
}

const cached = withCache({ expiry: 600 })

/** `again` is `small` once more, for the control. */
const plain = {
  "GET /small": answering(1),
  "GET /again": answering(1),
  "GET /large": answering(64),
  "GET /items/:id": answering(1)
}

const router = routes({
  ...plain,
  "GET /cached/small": answering(1).pipe(cached),
  "GET /cached/large": answering(64).pipe(cached),
  "GET /cached/items/:id": answering(1).pipe(cached),
  "GET /runs": Effect.sync(() => HttpServerResponse.text(`${runs}`))
})

const laned = withCache({ expiry: 600, lane: true })

const inLane = routes({
  "GET /small": answering(1).pipe(laned),
  "GET /large": answering(64).pipe(laned)
})

const content = { small: new Uint8Array(1024).fill(120), large: new Uint8Array(64 * 1024).fill(120) }

/** What it sends is as long, and nothing is decided. */
const bare = createServer(({ headers, url }, response) => {
  const body = url === "/large" ? content.large : content.small
  if (headers["if-none-match"] !== undefined) return void response.writeHead(304, { etag: "\"a\"" }).end()
  response.writeHead(200, { "content-type": "application/octet-stream", "content-length": body.byteLength }).end(body)
})

const listen = <E, R>(app: App<E, R>, server = createServer) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(NodeHttpServer.layer(server, { host: "127.0.0.1", port: 0 }))
    yield* Effect.provide(HttpServer.serveEffect(app), context)
    return portOf(Context.get(context, HttpServer.HttpServer))
  })

const ended = Effect.async<void>((resume) => {
  process.stdin.on("end", () => resume(Effect.void)).resume()
})

const main = Effect.gen(function*() {
  const own = yield* listen(router)
  const around = yield* listen(routes(plain).pipe(HttpCache.middleware({ expiry: 600 })))
  const lane = yield* listen(inLane, () => HttpCacheLane.createServer(createServer))
  yield* Effect.async<void>((resume) => void bare.listen(0, "127.0.0.1", () => resume(Effect.void)))
  const { port } = bare.address() as AddressInfo
  yield* Console.log(JSON.stringify({ routes: own, around, lane, bare: port }))
  yield* ended
  bare.close()
  bare.closeAllConnections()
})

NodeRuntime.runMain(
  Effect.scoped(main).pipe(
    Effect.provide(Layer.merge(InMemoryCacheStorage.layerCollectable, logged([])))
  )
)
