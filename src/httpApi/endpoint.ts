/** The handler of an endpoint of an `HttpApi`, as something that answers its request with a response. */
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Fields from "../protocol/Fields.js"
import { catchCause } from "../runtime/effect.js"
import type { App } from "../server/platform.js"
import * as platform from "./platform.js"

type Given = platform.Given

type Handler<E, R> = (given: Given) => Effect.Effect<unknown, E, R>

/** `handled` is told that the handler has succeeded, whatever becomes of what it answered. */
type Answer<E, R> = (given: Given, handled?: () => void) => App<E | platform.Refused, R>

/**
 * Answers with a response, as the platform would make it further outside. `isCached`: the handler is given the request and the
 * fields that the cache shows, in place of those that were read outside of it.
 */
export const answering = <E, R>(located: platform.Located, handler: Handler<E, R>, isCached: boolean): Answer<E, R> => {
  const success = platform.successOf(located)
  const showing = platform.showing(located)
  return (given, handled) =>
    HttpServerRequest.pipe(
      Effect.flatMap((request) => isCached ? showing(given, request) : Effect.succeed({ ...given, request })),
      Effect.flatMap(handler),
      Effect.flatMap((answer) => {
        handled?.()
        return platform.isResponse(answer) ? Effect.succeed(answer) : success(answer)
      }),
      platform.refusing
    )
}

/** Answers the errors of these statuses within the cache, so that they are stored as answers are. */
export const answeringErrors = <E, R>(
  located: platform.Located,
  answer: Answer<E, R>,
  errors: platform.Errors,
  statuses: ReadonlyArray<number>
): Answer<E, R> =>
(given) =>
  catchCause(answer(given), (cause) =>
    !platform.isError(cause) ? Effect.failCause(cause) : Effect.flatMap(
      errors(cause, located),
      (response) =>
        response !== undefined && statuses.includes(response.status)
          ? Effect.succeed(response)
          : Effect.failCause(cause)
    ))

/** Counts these request fields as read, since what is made outside of the cache, and given to the handler, was made of them. */
export const reading = <E, R>(fields: ReadonlyArray<string>, answer: Answer<E, R>): Answer<E, R> =>
  fields.length === 0
    ? answer
    : (given) =>
      Effect.flatMap(HttpServerRequest, ({ headers }) => {
        for (const name of fields) Fields.get(headers, name)
        return answer(given)
      })
