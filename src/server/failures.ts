/** A failure on its way out: the response that is made of it further outside says what was done, as any other does. */
import { currentPreResponseHandlers, type PreResponseHandler } from "@effect/platform/HttpApp"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import { causeResponse } from "@effect/platform/HttpServerError"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as CacheStatus from "../protocol/CacheStatus.js"
import * as Fields from "../protocol/Fields.js"

/** As the platform would answer it, also for the errors of an `HttpApi`, which it answers further outside. */
export const statusOf = <E>(cause: Cause.Cause<E>): Effect.Effect<number> =>
  Effect.map(causeResponse(cause), ([{ status }]) => {
    const error: unknown = Option.getOrUndefined(Cause.failureOption(cause))
    const schema = typeof error === "object" && error !== null ? error.constructor : undefined
    return status === 500 && Schema.isSchema(schema) ? HttpApiSchema.getStatusError(schema) : status
  })

/** Whether the response is that of the failure: a success is made by who caught it, of something else. */
const isOf = (status: number, response: HttpServerResponse.HttpServerResponse): boolean =>
  response.status === status || response.status >= 400

/** What a pre-response handler of ours says this error with, and what there was before it. */
interface Ours {
  readonly error: unknown
  readonly before: Option.Option<PreResponseHandler>
}

const ours = new WeakMap<PreResponseHandler, Ours>()

const oursOf = (handlers: Option.Option<PreResponseHandler>): Ours | undefined =>
  Option.isSome(handlers) ? ours.get(handlers.value) : undefined

const withoutOurs = (handlers: Option.Option<PreResponseHandler>): Option.Option<PreResponseHandler> =>
  oursOf(handlers)?.before ?? handlers

/** What others have set: ours is nothing that a handler answers. */
export const preResponseHandlers = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Option.Option<PreResponseHandler> =>
  withoutOurs(fiber.getFiberRef(currentPreResponseHandlers))

/** Who caught a failure has dealt with it, and a cache says what it did with that. */
export const recovered = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Effect.Effect<void> => {
  const handlers = fiber.getFiberRef(currentPreResponseHandlers)
  const others = withoutOurs(handlers)
  return others === handlers ? Effect.void : FiberRef.set(currentPreResponseHandlers, others)
}

/** The innermost cache that it came through says it. */
export const tell = <E>(
  cause: Cause.Cause<E>,
  style: CacheStatus.Style | undefined,
  say: (fields: { [name: string]: string }) => void
): Effect.Effect<void> =>
  Effect.flatMap(statusOf(cause), (status) => {
    const error = Cause.squash(cause)
    const said = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse => {
      const fields = Fields.from(Object.entries(response.headers))
      // Another cache may have answered instead.
      if (style === undefined || !isOf(status, response) || CacheStatus.says(fields, style)) return response
      say(fields)
      return HttpServerResponse.setHeaders(response, fields)
    }
    return FiberRef.update(currentPreResponseHandlers, (handlers) => {
      if (oursOf(handlers)?.error === error) return handlers
      const before = withoutOurs(handlers)
      const saying: PreResponseHandler = Option.isSome(before)
        ? (request, response) => Effect.map(before.value(request, response), said)
        : (_, response) => Effect.sync(() => said(response))
      ours.set(saying, { error, before })
      return Option.some(saying)
    })
  })
