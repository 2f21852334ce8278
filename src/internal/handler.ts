/** The handler, run on behalf of a cache: what it answered, and what it looked at. */
import { HttpServerRequest, ParsedSearchParams } from "@effect/platform/HttpServerRequest"
import * as Respondable from "@effect/platform/HttpServerRespondable"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as CacheControl from "../protocol/CacheControl.js"
import type { ByteStream } from "./body.js"
import { EnclosingCache, newRun, type Run } from "./enclosing.js"
import { preResponseHandlers, recovered } from "./failing.js"
import { handOver } from "./handOver.js"
import * as misplaced from "./misplaced.js"
import type * as recorder from "./recorder.js"
import { isProxy } from "./serverRequest.js"

export interface Answered {
  readonly response: HttpServerResponse.HttpServerResponse
  readonly isFromBeneath: boolean
  /** The client has it already. */
  readonly isSent: boolean
  /** Goes on for as long as the handler says more. */
  readonly said: Run
  /** Goes on for as long as the handler reads. */
  readonly reads: recorder.Reads | undefined
  readonly setsPreResponseHandler: boolean
  /** Epoch milliseconds. */
  readonly responseTime: number
}

/** A request that is not shown as a cache sees it: it passes by. */
export const asItIs = (request: HttpServerRequest): recorder.Shown => ({
  request,
  searchParams: undefined,
  reads: undefined
})

/** Runs the handler with the request that it is to see, in the place of `request`. */
export const run = <A extends Respondable.Respondable, E, R>(
  handler: Effect.Effect<A, E, R>,
  request: HttpServerRequest,
  shown: recorder.Shown,
  targets: ReadonlyArray<string>,
  /** What it is made of, which is the same for each request. */
  given: object = handler
): Effect.Effect<Answered, E, R> =>
  Effect.gen(function*() {
    const above = yield* EnclosingCache
    const here = newRun(above)
    if (shown.request !== request) {
      misplaced.carry(request, shown.request)
      handOver(request, shown.request, here, isProxy(request))
    }
    const before = yield* preResponseHandlers
    const answered = yield* Effect.mapInputContext(
      Effect.flatMap(handler, Respondable.toResponse),
      (context: Context.Context<R>) => {
        const inner = Context.add(Context.add(context, EnclosingCache, here), HttpServerRequest, shown.request)
        return shown.searchParams === undefined || !inner.unsafeMap.has(ParsedSearchParams.key)
          ? inner
          : Context.add(inner, ParsedSearchParams, shown.searchParams)
      }
    ).pipe(Effect.tapErrorCause(() => misplaced.isSent(given, shown.request)))
    yield* recovered
    // What a 304 says would take the place of what is stored.
    const said = answered.status === 304 ? { isRefused: here.isRefused === true } : here
    return {
      response: HttpServerResponse.setHeaders(
        answered,
        CacheControl.annotated(answered.headers, said, targets)
      ),
      isFromBeneath: here.body === answered.body,
      isSent: yield* misplaced.isSent(given, shown.request),
      reads: shown.reads,
      said: here,
      setsPreResponseHandler: before !== (yield* preResponseHandlers),
      responseTime: yield* Clock.currentTimeMillis
    }
  })

/** A body that is still made is part of the handler: what is said while it is goes to the same cache. */
export const goingOn = (stream: ByteStream, { said }: Answered): ByteStream =>
  Stream.provideService(stream, EnclosingCache, said)
