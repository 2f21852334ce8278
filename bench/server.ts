/**
 * The servers that are measured over a port, in a process of their own: one with plain and cached routes, and the plain
 * routes once more beneath a cache around the router. Prints its ports as JSON, and ends with its standard input.
 */
import { HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Logger } from "effect"
import { HttpCache, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { createServer } from "node:http"

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
const plain = HttpRouter.empty.pipe(
  HttpRouter.get("/small", answering(1)),
  HttpRouter.get("/again", answering(1)),
  HttpRouter.get("/large", answering(64)),
  HttpRouter.get("/items/:id", answering(1))
)

const router = plain.pipe(
  HttpRouter.get("/cached/small", answering(1).pipe(cached)),
  HttpRouter.get("/cached/large", answering(64).pipe(cached)),
  HttpRouter.get("/cached/items/:id", answering(1).pipe(cached)),
  HttpRouter.get("/runs", Effect.sync(() => HttpServerResponse.text(`${runs}`)))
)

const listen = <E, R>(app: Parameters<typeof HttpServer.serveEffect<E, R>>[0]) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }))
    yield* Effect.provide(HttpServer.serveEffect(app), context)
    return yield* Effect.provide(
      HttpServer.addressWith((address) => Effect.succeed(address._tag === "TcpAddress" ? address.port : 0)),
      context
    )
  })

const ended = Effect.async<void>((resume) => {
  process.stdin.on("end", () => resume(Effect.void)).resume()
})

const main = Effect.gen(function*() {
  const routes = yield* listen(router)
  const around = yield* listen(plain.pipe(HttpCache.middleware({ expiry: 600 })))
  yield* Console.log(JSON.stringify({ routes, around }))
  yield* ended
})

NodeRuntime.runMain(
  Effect.scoped(main).pipe(
    Effect.provide(Layer.merge(InMemoryCacheStorage.layerCollectable, Logger.remove(Logger.defaultLogger)))
  )
)
