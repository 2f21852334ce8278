/** Handlers that read of their request what they are told to, and what is said of their responses. */
import { HttpServerRequest } from "@effect/platform"
import { Effect } from "effect"
import { HttpCache } from "effect-http-cache"
import { counted } from "./harness.js"

export const Request = HttpServerRequest.HttpServerRequest
export type Request = HttpServerRequest.HttpServerRequest

/** Reads, and says which run it is. */
export const reading = <E, R>(read: (request: Request) => Effect.Effect<unknown, E, R>, response = {}) =>
  Effect.zipRight(Effect.orDie(Effect.flatMap(Request, read)), counted(response))

export const looking = (read: (request: Request) => unknown, response = {}) =>
  reading((request) => Effect.sync(() => read(request)), response)

export const detailed = Effect.provideService(HttpCache.Defaults, { cacheStatus: { detail: true } })

export const anonymous = {
  "accept-language": "en",
  "cookie": "sid=1",
  "traceparent": `00-${"1".repeat(32)}-${"2".repeat(16)}-01`,
  "x-a": "1",
  "x-b": "2"
}
export const fields = { ...anonymous, authorization: "Bearer ada" }

export const refused = "fwd=uri-miss; detail=unkeyed"
export const credentials = "fwd=uri-miss; detail=credentials"
export const stored = "fwd=uri-miss; stored"
