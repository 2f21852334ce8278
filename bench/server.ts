/**
 * The servers that are measured over a port, in a process of their own: one with plain and cached routes, and the plain
 * routes once more beneath a cache around the router. Prints its ports as JSON, and ends with its standard input.
 */
import { HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Context, Effect, Layer } from "effect"
import { HttpCache, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { createServer } from "node:http"
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

const listen = <E, R>(app: App<E, R>) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }))
    yield* Effect.provide(HttpServer.serveEffect(app), context)
    return portOf(Context.get(context, HttpServer.HttpServer))
  })

const ended = Effect.async<void>((resume) => {
  process.stdin.on("end", () => resume(Effect.void)).resume()
})

const main = Effect.gen(function*() {
  const own = yield* listen(router)
  const around = yield* listen(routes(plain).pipe(HttpCache.middleware({ expiry: 600 })))
  yield* Console.log(JSON.stringify({ routes: own, around }))
  yield* ended
})

NodeRuntime.runMain(
  Effect.scoped(main).pipe(
    Effect.provide(Layer.merge(InMemoryCacheStorage.layerCollectable, logged([])))
  )
)
