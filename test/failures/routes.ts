/** Routes whose handlers say which run they are. */
import type { HttpServerResponse } from "@effect/platform"
import { HttpServerRequest } from "@effect/platform"
import { Effect } from "effect"
import type { HttpCache } from "effect-http-cache"
import { withCache } from "effect-http-cache"
import { counted } from "../harness.js"

/** For `routes`. */
export const cachedRoute = (
  path: `/${string}`,
  options: HttpCache.Options,
  response?: HttpServerResponse.Options.WithContent
) => [`GET ${path}`, counted(response).pipe(withCache(options))] as const

/** A handler that answers by the request, and says which run it is. */
export const answering = (
  answer: (request: HttpServerRequest.HttpServerRequest, run: number) => HttpServerResponse.HttpServerResponse
) => {
  let runs = 0
  return Effect.map(HttpServerRequest.HttpServerRequest, (request) => answer(request, ++runs))
}
