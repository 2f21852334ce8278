/**
 * The servers that are measured over a port, in a process of their own: one with plain and cached routes, the plain routes once
 * more beneath a cache around the router, a lane, and a bare server of Node; with a port of Redis as its argument, also cached
 * routes over it, and over a near storage before it. Prints its ports as JSON, and ends with its standard input.
 */
import { HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Context, Effect, Layer } from "effect"
import {
  type CacheStorage,
  CollectableCacheStorage,
  HttpCache,
  InMemoryCacheStorage,
  TieredCacheStorage,
  withCache
} from "effect-http-cache"
import { HttpCacheLane } from "effect-http-cache/node"
import { RedisCacheStorage } from "effect-http-cache/redis"
import { createServer } from "node:http"
import { type App, logged, portOf, routes } from "../test/platform.js"
import { clients } from "../test/redisLayer.js"
import { startBare } from "./bare.js"

type Storage = CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage

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
  "GET /huge": answering(1024),
  "GET /items/:id": answering(1)
}

const router = routes({
  ...plain,
  "GET /cached/small": answering(1).pipe(cached),
  "GET /cached/large": answering(64).pipe(cached),
  "GET /cached/huge": answering(1024).pipe(cached),
  "GET /cached/items/:id": answering(1).pipe(cached),
  "GET /runs": Effect.sync(() => HttpServerResponse.text(`${runs}`))
})

const laned = withCache({ expiry: 600, lane: true })

const inLane = routes({
  "GET /small": answering(1).pipe(laned),
  "GET /large": answering(64).pipe(laned),
  "GET /huge": answering(1024).pipe(laned),
  "GET /items/:id": answering(1).pipe(laned)
})

const listen = <E, R>(app: App<E, R>, server = createServer) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(NodeHttpServer.layer(server, { host: "127.0.0.1", port: 0 }))
    yield* Effect.provide(HttpServer.serveEffect(app), context)
    return portOf(Context.get(context, HttpServer.HttpServer))
  })

const over = <E, R>(storage: Layer.Layer<Storage, E, R>) =>
  Effect.flatMap(Layer.build(storage), (context) => Effect.provide(listen(router), context))

/** The ports of the same routes over Redis, and over a near storage before it. */
const far = (redisPort: number) =>
  Effect.gen(function*() {
    const redis = yield* clients.ioredis(redisPort)
    const tiers = TieredCacheStorage.make(
      InMemoryCacheStorage.make(),
      RedisCacheStorage.make(redis, { prefix: "far:" })
    )
    return {
      redis: yield* over(RedisCacheStorage.layer(redis)),
      tiered: yield* over(CollectableCacheStorage.layer(tiers))
    }
  })

const ended = Effect.async<void>((resume) => {
  process.stdin.on("end", () => resume(Effect.void)).resume()
})

const main = Effect.gen(function*() {
  const own = yield* listen(router)
  const around = yield* listen(routes(plain).pipe(HttpCache.middleware({ expiry: 600 })))
  const lane = yield* listen(inLane, () => HttpCacheLane.createServer(createServer))
  const bare = yield* Effect.promise(startBare)
  const [redisPort] = process.argv.slice(2).map(Number)
  const distant = redisPort === undefined ? {} : yield* far(redisPort)
  yield* Console.log(JSON.stringify({ routes: own, around, lane, bare: bare.port, ...distant }))
  yield* ended
  bare.close()
})

NodeRuntime.runMain(
  Effect.scoped(main).pipe(
    Effect.provide(Layer.merge(InMemoryCacheStorage.layerCollectable, logged([])))
  )
)
