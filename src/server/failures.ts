/** A failure on its way out: the response that is made of it further outside says what was done, as any other does. */
import { causeResponse } from "@effect/platform/HttpServerError"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { ServerPolicy } from "../policy/policy.js"
import * as CacheStatus from "../protocol/CacheStatus.js"
import * as Fields from "../protocol/Fields.js"
import { type Caller, withFiber } from "../runtime/effect.js"
import { type PreResponseHandler, preResponseHandlerOf, setPreResponseHandler, statusOfApiError } from "./platform.js"

type StatusOfError = ServerPolicy<never>["statusOfError"]

/** As the platform would answer it, also for the errors of an `HttpApi`, which it answers further outside. */
export const statusOf = <E>(cause: Cause.Cause<E>, statusOfError: StatusOfError): Effect.Effect<number> =>
  statusOfError === undefined
    ? statusOfResponse(cause)
    : Effect.flatMap(
      statusOfError(cause),
      (status) => status === undefined ? statusOfResponse(cause) : Effect.succeed(status)
    )

/** Of an error of an `HttpApi` only its class is known here. */
const statusOfResponse = <E>(cause: Cause.Cause<E>): Effect.Effect<number> =>
  Effect.map(
    causeResponse(cause),
    ([{ status }]) => status === 500 ? statusOfApiError(cause) ?? status : status
  )

/** Whether the response is that of the failure: a success is made by who caught it, of something else. */
const isOf = (status: number, response: HttpServerResponse.HttpServerResponse): boolean =>
  response.status === status || response.status >= 400

/** The error that our pre-response handler tells of, and the handler that it wraps. */
interface Ours {
  readonly error: unknown
  readonly before: PreResponseHandler | undefined
}

const ours = new WeakMap<PreResponseHandler, Ours>()

const oursOf = (handler: PreResponseHandler | undefined): Ours | undefined =>
  handler === undefined ? undefined : ours.get(handler)

const withoutOurs = (handler: PreResponseHandler | undefined): PreResponseHandler | undefined => {
  const own = oursOf(handler)
  return own === undefined ? handler : own.before
}

/** What others have set: ours is nothing that a handler answers. */
export const preResponseHandlers = (fiber: Caller): PreResponseHandler | undefined =>
  withoutOurs(preResponseHandlerOf(fiber))

/** A caught failure is no response: takes our pre-response handler away. */
export const recovered = (fiber: Caller): Effect.Effect<void> => {
  const handler = preResponseHandlerOf(fiber)
  return oursOf(handler) === undefined ? Effect.void : setPreResponseHandler(fiber, withoutOurs(handler))
}

/** The innermost cache that it came through says and reports it. */
export const tell = <E>(
  cause: Cause.Cause<E>,
  { cacheStatus: style, statusOfError }: Pick<ServerPolicy<never>, "cacheStatus" | "statusOfError">,
  say: (fields: { [name: string]: string }) => void,
  report: () => void
): Effect.Effect<void> =>
  Effect.flatMap(statusOf(cause, statusOfError), (status) => {
    const error = Cause.squash(cause)
    const said = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse => {
      const fields = Fields.copy(response.headers)
      // Another cache may have answered instead.
      if (style === undefined || !isOf(status, response) || CacheStatus.says(fields, style)) return response
      say(fields)
      return HttpServerResponse.setHeaders(response, fields)
    }
    return withFiber((_, __, fiber) => {
      const handler = preResponseHandlerOf(fiber)
      const own = oursOf(handler)
      if (own !== undefined && own.error === error) return Effect.void
      report()
      const before = withoutOurs(handler)
      const saying: PreResponseHandler = before === undefined
        ? (_, response) => Effect.sync(() => said(response))
        : (request, response) => Effect.map(before(request, response), said)
      ours.set(saying, { error, before })
      return setPreResponseHandler(fiber, saying)
    })
  })
