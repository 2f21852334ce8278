/** Cached handlers that ask each other within the process, as pages that are made of parts do. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { type CacheStorage, InMemoryCacheStorage, withCache } from "effect-http-cache"
import { layerWaiting } from "./waiting.js"

const Request = HttpServerRequest.HttpServerRequest

type App = Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  never,
  HttpServerRequest.HttpServerRequest | CacheStorage.CacheStorage
>

const ask = (app: App, depth: number) =>
  Effect.provideService(app, Request, HttpServerRequest.fromWeb(new globalThis.Request(`http://localhost/${depth}`)))

describe.each([
  ["in memory", InMemoryCacheStorage.layerCollectable],
  ["that waits", layerWaiting("after a yield")]
])("a storage %s", (_, storage) => {
  it.scoped("99: each of 3,000 parts is answered, however deep they are in each other", () =>
    Effect.gen(function*() {
      let runs = 0
      const app: App = Effect.flatMap(
        Request,
        ({ url }) => {
          runs++
          const depth = Number(url.slice(1))
          return depth === 0 ? Effect.succeed(HttpServerResponse.text("the last one")) : ask(app, depth - 1)
        }
      ).pipe(withCache({ expiry: 10 }))
      const response = yield* ask(app, 3000)
      expect([response.status, runs]).toEqual([200, 3001])
    }).pipe(Effect.provide(storage)))
})
