/** Servers with a lane, and what they answered by it. */
import { NodeHttpServer } from "@effect/platform-node"
import { Layer } from "effect"
import { InMemoryCacheStorage } from "effect-http-cache"
import { HttpCacheLane } from "effect-http-cache/node"
import { createServer } from "node:http"
import { logged } from "./harness.js"

/** A port whose server has a lane, and a storage of its own. */
export const laneServer = (
  onHit: (hit: HttpCacheLane.Hit) => void,
  storage = Layer.fresh(InMemoryCacheStorage.layerCollectable),
  options: HttpCacheLane.Options = {}
) =>
  Layer.mergeAll(
    NodeHttpServer.layer(() => HttpCacheLane.createServer(createServer, { onHit, ...options }), {
      host: "127.0.0.1",
      port: 0
    }),
    storage,
    logged([])
  )

/** The same without a lane. */
export const usualServer = (storage = Layer.fresh(InMemoryCacheStorage.layerCollectable)) =>
  Layer.mergeAll(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 0 }), storage, logged([]))
