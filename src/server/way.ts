/** What a cache does with a request: it answers it, or says in a dry run what it would do. */
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import { type Bypass, pass } from "../engine/bypass.js"
import { handle } from "../engine/handle.js"
import type { Served } from "../engine/report.js"
import type { CacheRequest } from "../engine/request.js"
import { reference, serviceIn } from "../runtime/effect.js"

type Response = HttpServerResponse.HttpServerResponse

/** What is done with a request, once it is known whether the cache answers it. */
export interface Way {
  readonly pass: <E, R>(
    request: CacheRequest<Response, E, R>,
    bypass: Bypass
  ) => Effect.Effect<Served<Response>, E, R>
  readonly handle: <E, R>(request: CacheRequest<Response, E, R>) => Effect.Effect<Served<Response>, E, R>
}

const really: Way = { pass, handle }

/** The way of the requests of an effect: it stays the same where middleware makes another request. */
export const CurrentWay = reference("effect-http-cache/CurrentWay", (): Way => really)

export const wayOf = (context: Context.Context<never>): Way => serviceIn(context, CurrentWay) ?? really
