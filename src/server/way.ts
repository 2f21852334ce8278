/** What a cache does with a request: it answers it, or says on paper what it would do. */
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as Effect from "effect/Effect"
import { type Bypass, pass } from "../engine/bypass.js"
import { handle } from "../engine/handle.js"
import type { Run } from "../engine/origin.js"
import type { Answered } from "../engine/report.js"
import type { CacheRequest } from "../engine/request.js"

type Response = HttpServerResponse.HttpServerResponse

/** What is done with a request, once it is known whether the cache answers it. */
export interface Way {
  readonly pass: <E, R>(
    request: CacheRequest<Response, E, R>,
    bypass: Bypass
  ) => Effect.Effect<Answered<Response>, E, R>
  readonly handle: <E, R>(request: CacheRequest<Response, E, R>) => Effect.Effect<Answered<Response>, E, R>
}

const really: Way = { pass, handle: (request) => handle(request) }

const way = Symbol.for("effect-http-cache/way")

/**
 * The source of a request stays the same through what middleware makes of it. That of a request beneath would be something
 * that its handler has read.
 */
export const wayOf = (request: { readonly source: unknown }, { depth }: Run): Way =>
  depth >= 0 ? really : (request.source as { readonly [way]?: Way } | undefined)?.[way] ?? really

/** A request with this source goes this way. */
export const goes = (source: object, by: Way): void => void Object.assign(source, { [way]: by })
