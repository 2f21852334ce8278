/** The handler, run on behalf of a cache: what it answered, and what it looked at. */
import { currentPreResponseHandlers } from "@effect/platform/HttpApp"
import type { HttpBody } from "@effect/platform/HttpBody"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Respondable from "@effect/platform/HttpServerRespondable"
import type { HttpServerResponse } from "@effect/platform/HttpServerResponse"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import { watchCredentials } from "./serverRequest.js"

/**
 * The cache above. The one beneath leaves the body here that it answered with, and the one above steps aside for it: a
 * body stays the same through `setHeader` and `setStatus`; a handler that only calls a cached effect makes another.
 */
class CacheAbove extends Context.Reference<CacheAbove>()("effect-http-cache/CacheAbove", {
  defaultValue: (): { readonly depth: number; body: HttpBody | undefined } => ({ depth: -1, body: undefined })
}) {}

/** How many caches are above this one. */
export const depth: Effect.Effect<number> = Effect.map(CacheAbove, (above) => above.depth + 1)

export interface Answered {
  readonly response: HttpServerResponse
  readonly isFromBeneath: boolean
  readonly readsCredentials: boolean
  readonly setsPreResponseHandler: boolean
  /** Epoch milliseconds. */
  readonly responseTime: number
}

/** `watches`: whether it is of interest that the handler reads `Cookie` or `Authorization`. */
export const run = <A extends Respondable.Respondable, E, R>(
  handler: Effect.Effect<A, E, R>,
  request: HttpServerRequest,
  watches: boolean
): Effect.Effect<Answered, E, R> =>
  Effect.gen(function*() {
    const watched = watches ? watchCredentials(request) : { request, wereRead: () => false }
    const here = { depth: yield* depth, body: undefined as HttpBody | undefined }
    const before = yield* FiberRef.get(currentPreResponseHandlers)
    const response = yield* Effect.mapInputContext(
      Effect.flatMap(handler, Respondable.toResponse),
      (context: Context.Context<R>) =>
        Context.add(Context.add(context, CacheAbove, here), HttpServerRequest, watched.request)
    )
    return {
      response,
      isFromBeneath: here.body === response.body,
      readsCredentials: watched.wereRead(),
      setsPreResponseHandler: before !== (yield* FiberRef.get(currentPreResponseHandlers)),
      responseTime: yield* Clock.currentTimeMillis
    }
  })

/** Tells a cache above us that this response has been dealt with. */
export const sign = (response: HttpServerResponse): Effect.Effect<HttpServerResponse> =>
  Effect.map(CacheAbove, (above) => {
    if (above.depth >= 0) above.body = response.body
    return response
  })

const warned = new WeakSet<object>()

/** Once per route. */
export const warnOfPreResponseHandler = (handler: object, key: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (warned.has(handler)) return Effect.void
    warned.add(handler)
    return Effect.logWarning(
      `effect-http-cache: ${key} is not stored, since a pre-response handler (cors, a cookie) was set inside the cache; ` +
        "put it outside: handler.pipe(withCache(), HttpMiddleware.cors())"
    )
  })
