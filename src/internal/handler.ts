/** The handler, run on behalf of a cache: what it answered, and what it looked at. */
import { currentPreResponseHandlers } from "@effect/platform/HttpApp"
import type { HttpBody } from "@effect/platform/HttpBody"
import { HttpServerRequest, ParsedSearchParams } from "@effect/platform/HttpServerRequest"
import * as Respondable from "@effect/platform/HttpServerRespondable"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as Stream from "effect/Stream"
import * as CacheControl from "../protocol/CacheControl.js"
import type { ByteStream } from "./body.js"
import type { Policy } from "./options.js"
import * as recorder from "./recorder.js"

/**
 * The cache above. The one beneath leaves the body here that it answered with, and the one above steps aside for it: a
 * body stays the same through `setHeader` and `setStatus`; a handler that only calls a cached effect makes another.
 */
class CacheAbove extends Context.Reference<CacheAbove>()("effect-http-cache/CacheAbove", {
  defaultValue: (): Cell => ({ depth: -1 })
}) {}

interface Cell extends CacheControl.Said {
  readonly depth: number
  readonly above?: Cell
  body?: HttpBody
  isRefused?: boolean
  expiry?: number
}

/** How many caches are above this one. */
export const depth: Effect.Effect<number> = Effect.map(CacheAbove, (above) => above.depth + 1)

export interface Answered {
  readonly response: HttpServerResponse.HttpServerResponse
  readonly isFromBeneath: boolean
  /** Goes on for as long as the handler says more. */
  readonly said: Cell
  /** Goes on for as long as the handler reads. */
  readonly reads: recorder.Reads | undefined
  readonly setsPreResponseHandler: boolean
  /** Epoch milliseconds. */
  readonly responseTime: number
}

/** `policy`: what the handler is to see, and whether it is told what it read; without one it gets the request itself. */
export const run = <A extends Respondable.Respondable, E, R>(
  handler: Effect.Effect<A, E, R>,
  request: HttpServerRequest,
  policy?: Policy<unknown>
): Effect.Effect<Answered, E, R> =>
  Effect.gen(function*() {
    const shown = policy === undefined
      ? { request, searchParams: undefined, reads: undefined }
      : recorder.show(request, policy)
    const above = yield* CacheAbove
    const here: Cell = { depth: above.depth + 1, above }
    const before = yield* FiberRef.get(currentPreResponseHandlers)
    const answered = yield* Effect.mapInputContext(
      Effect.flatMap(handler, Respondable.toResponse),
      (context: Context.Context<R>) => {
        const inner = Context.add(Context.add(context, CacheAbove, here), HttpServerRequest, shown.request)
        return shown.searchParams === undefined || !inner.unsafeMap.has(ParsedSearchParams.key)
          ? inner
          : Context.add(inner, ParsedSearchParams, shown.searchParams)
      }
    )
    // What a 304 says would take the place of what is stored.
    const said = answered.status === 304 ? { isRefused: here.isRefused === true } : here
    return {
      response: HttpServerResponse.setHeaders(
        answered,
        CacheControl.annotated(answered.headers, said, policy?.targets ?? [])
      ),
      isFromBeneath: here.body === answered.body,
      reads: shown.reads,
      said: here,
      setsPreResponseHandler: before !== (yield* FiberRef.get(currentPreResponseHandlers)),
      responseTime: yield* Clock.currentTimeMillis
    }
  })

/** A body that is still made is part of the handler: what is said while it is goes to the same cache. */
export const goingOn = (stream: ByteStream, { said }: Answered): ByteStream =>
  Stream.provideService(stream, CacheAbove, said)

/** Tells a cache above us that this response has been dealt with. */
export const sign = (
  response: HttpServerResponse.HttpServerResponse
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.map(CacheAbove, (above) => {
    if (above.depth >= 0) above.body = response.body
    return response
  })

/** For all caches above: what one beneath does not keep is part of what the others would. */
export const refuse: Effect.Effect<void> = Effect.map(CacheAbove, (nearest) => {
  for (let cell: Cell | undefined = nearest; cell !== undefined && cell.depth >= 0; cell = cell.above) {
    cell.isRefused = true
  }
})

/** Milliseconds. */
export const annotate = (expiry: number): Effect.Effect<void> =>
  Effect.map(CacheAbove, (nearest) => {
    if (nearest.depth >= 0) nearest.expiry = expiry
  })
