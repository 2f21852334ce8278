/** `HttpLayerRouter`: one route with a policy of its own, and a middleware for all the others. */
import { HttpLayerRouter, HttpServerResponse } from "@effect/platform"
import { DateTime, Effect, Layer } from "effect"
import { HttpCache, withCache } from "effect-http-cache"

const time = Effect.map(DateTime.now, (now) => HttpServerResponse.text(DateTime.formatIso(now)))

/** Cached for a minute; a `POST` to the same path forgets it. */
const entries = HttpLayerRouter.addAll([
  HttpLayerRouter.route("GET", "/entries", time),
  HttpLayerRouter.route("POST", "/entries", HttpServerResponse.empty({ status: 201 }))
]).pipe(Layer.provide(HttpCache.routerMiddleware({ expiry: "1 minute" }).layer))

const fast = HttpLayerRouter.add("GET", "/fast", time.pipe(withCache({ expiry: 1 })))

/** `HttpLayerRouter.serve(routes)` asks for the storage: provide `InMemoryCacheStorage.layerCollectable`. */
export const routes = Layer.mergeAll(entries, fast)
