/** Processes that share one storage outside of them, for the failures of the list that need two. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Context, Deferred, Effect, Fiber, Layer } from "effect"
import { type CacheStorage, type CollectableCacheStorage, HttpCache, withCache, withCollect } from "effect-http-cache"
import { eventually, logged, routes, serve } from "./harness.js"

export const origin = "http://shop.example"

export class Greeter extends Context.Tag("Greeter")<Greeter, string>() {}

/** What handlers read, and how often they did. */
export interface Database {
  value: number
  reads: number
}

/** One process: a server with a storage and flights of its own. */
export const nodeOver = <E>(
  storage: Layer.Layer<CacheStorage.CacheStorage | CollectableCacheStorage.CollectableCacheStorage, E>,
  database: Database
) =>
  Effect.gen(function*() {
    const gate: { wait: Effect.Effect<void> } = { wait: Effect.void }
    const text = (headers = {}) => HttpServerResponse.text(`value ${database.value}`, { headers })
    const read = Effect.suspend(() => {
      const response = text()
      database.reads++
      return Effect.as(gate.wait, response)
    })
    const write = Effect.sync(() => {
      database.value++
      return HttpServerResponse.empty()
    })
    const post = Effect.suspend(() => {
      database.value++
      const response = text({ "cache-control": "max-age=60", "content-location": "/posted" })
      return Effect.as(gate.wait, response)
    })
    const validated = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
      const etag = `"${database.value}"`
      const fields = { etag, "cache-control": "max-age=10" }
      const response = headers["if-none-match"] === etag
        ? HttpServerResponse.empty({ status: 304, headers: fields })
        : text(fields)
      return Effect.as(gate.wait, response)
    })
    const app = routes({
      "GET /validated": validated.pipe(withCache()),
      "* /posted": post.pipe(HttpCache.middleware()),
      "GET /context": Effect.map(Greeter, HttpServerResponse.text).pipe(withCache({ expiry: 60 })),
      "GET /group/:id": read.pipe(withCache({ expiry: 60, groups: () => ["all"] })),
      "POST /group": write.pipe(withCollect({ groups: () => ["all"] })),
      "GET /:id": read.pipe(withCache({ expiry: 60, staleIfError: 3600 })),
      "PATCH /:id": write.pipe(withCollect())
    })
    const context = yield* Layer.build(Layer.fresh(Layer.merge(NodeHttpServer.layerTest, storage)))
    const ask = yield* Effect.provide(serve(app), context)
    return Object.assign(ask, { gate })
  })

/** One process, as it is asked. */
export type Node = Effect.Effect.Success<ReturnType<typeof nodeOver>>

/** Two processes over one storage. */
export interface World {
  readonly a: Node
  readonly b: Node
  readonly database: Database
  /** `late` of the first one. */
  readonly late: (path: string) => ReturnType<typeof late>
}

/** Asks a node, and goes on when its handler has read what it answers. */
export const late = (
  node: Node,
  database: Database,
  path: string
) =>
  Effect.gen(function*() {
    const { reads } = database
    const open = yield* Deferred.make<void>()
    node.gate.wait = Deferred.await(open)
    const reply = yield* Effect.fork((yield* node.another)(path))
    yield* eventually(() => database.reads > reads)
    node.gate.wait = Effect.void
    return { reply: Fiber.join(reply), open: Deferred.succeed(open, undefined) }
  })

export const said = (reply: { readonly text: string; readonly cacheStatus: string }) => [reply.text, reply.cacheStatus]

export const around = Layer.mergeAll(
  Layer.succeed(HttpCache.Defaults, { origin, storageTimeout: 5 }),
  Layer.succeed(Greeter, "hello"),
  logged([])
)
