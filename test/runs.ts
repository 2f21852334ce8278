/** A route whose runs are counted, and its answers. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Effect, type Scope } from "effect"
import { CacheStorage, type HttpCache, withCache, withCollect } from "effect-http-cache"
import { activity } from "effect-http-cache/testing"
import { eventually, routes, serve } from "./harness.js"

type Run = (run: number, request: HttpServerRequest.HttpServerRequest) => Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  unknown,
  Scope.Scope
>

/** A route, how often its handler ran, and a way to wait until nothing runs in the background. */
export const world = (run: Run, options: HttpCache.Options) =>
  Effect.gen(function*() {
    const storage = yield* CacheStorage.CacheStorage
    const ran = { times: 0 }
    const handler = Effect.flatMap(
      HttpServerRequest.HttpServerRequest,
      (request) => Effect.suspend(() => run(++ran.times, request))
    )
    const ask = yield* serve(routes({
      "GET /": handler.pipe(withCache(options)),
      "PATCH /": Effect.succeed(HttpServerResponse.empty()).pipe(withCollect())
    }))
    const settled = eventually(() => activity(storage).flights === 0)
    return { ask, ran, settled, storage }
  })

export const text = (run: number, headers: { readonly [name: string]: string } = {}) =>
  Effect.succeed(HttpServerResponse.text(`run ${run}`, { headers }))
