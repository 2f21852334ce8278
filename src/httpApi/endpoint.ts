/** The handler of an endpoint of an `HttpApi`, as something that answers its request with a response. */
import type * as HttpApiEndpoint from "@effect/platform/HttpApiEndpoint"
import { HttpApiDecodeError } from "@effect/platform/HttpApiError"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { catchCause, errorOf } from "../runtime/effect.js"
import * as encoded from "./encoded.js"
import type { App } from "../server/platform.js"

/** What the platform has made of the request, and the request itself. */
export type Given = { readonly request: HttpServerRequest }

type Handler<E, R> = (given: Given) => Effect.Effect<unknown, E, R>

/** `handled` is told that the handler has succeeded, whatever becomes of what it answered. */
type Answer<E, R> = (given: Given, handled?: () => void) => App<E | HttpApiDecodeError, R>

/**
 * Answers with a response, as the platform would make it further outside. `isCached`: the handler is given the request and the
 * fields that the cache shows, in place of those that were read outside of it.
 */
export const answering = <E, R>(
  endpoint: HttpApiEndpoint.HttpApiEndpoint.AnyWithProps,
  handler: Handler<E, R>,
  isCached: boolean
): Answer<E, R> => {
  const success = encoded.successOf(endpoint)
  const fields = isCached
    ? Option.map(endpoint.headersSchema, (schema) => Schema.decodeUnknown(schema as Schema.Schema<unknown, unknown>))
    : Option.none()
  const shown = (given: Given, request: HttpServerRequest): Effect.Effect<Given, ParseResult.ParseError> =>
    Option.match(fields, {
      onNone: () => Effect.succeed({ ...given, request }),
      onSome: (decode) => Effect.map(decode(request.headers), (headers) => ({ ...given, request, headers }))
    })
  return (given, handled) =>
    HttpServerRequest.pipe(
      Effect.flatMap((request) => shown(given, request)),
      Effect.flatMap(handler),
      Effect.flatMap((answer) => {
        handled?.()
        return HttpServerResponse.isServerResponse(answer) ? Effect.succeed(answer) : success(answer)
      }),
      Effect.catchIf(ParseResult.isParseError, HttpApiDecodeError.refailParseError)
    )
}

/** Answers the errors of these statuses within the cache, so that they are stored as answers are. */
export const answeringErrors = <E, R>(
  answer: Answer<E, R>,
  errors: encoded.Errors,
  statuses: ReadonlyArray<number>
): Answer<E, R> =>
(given) =>
  catchCause(answer(given), (cause) =>
    errorOf(cause) === undefined ? Effect.failCause(cause) : Effect.flatMap(
      errors(cause),
      (response) =>
        response !== undefined && statuses.includes(response.status)
          ? Effect.succeed(response)
          : Effect.failCause(cause)
    ))
