/** What differs between the servers of Effect 3 and Effect 4 and is more than a name: the rest of this folder calls these. */
import * as Headers from "@effect/platform/Headers"
import * as HttpApiSchema from "@effect/platform/HttpApiSchema"
import * as HttpApp from "@effect/platform/HttpApp"
import { TypeId as messageTypeId } from "@effect/platform/HttpIncomingMessage"
import type * as HttpLayerRouter from "@effect/platform/HttpLayerRouter"
import * as HttpServerError from "@effect/platform/HttpServerError"
import { type HttpServerRequest, TypeId as requestTypeId } from "@effect/platform/HttpServerRequest"
import * as HttpServerRespondable from "@effect/platform/HttpServerRespondable"
import type { HttpServerResponse } from "@effect/platform/HttpServerResponse"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as HashSet from "effect/HashSet"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Caller } from "../runtime/effect.js"

/** What answers each request with a response. */
export type App<E, R> = HttpApp.Default<E, R>

/** What a middleware of a router leaves to others. */
export type Unhandled = HttpLayerRouter.unhandled

/** What a handler may answer with: a response, or what says how it is one. */
export type Respondable = HttpServerRespondable.Respondable

export const toResponse = (answer: Respondable): Effect.Effect<HttpServerResponse> =>
  HttpServerRespondable.toResponse(answer)

/** Whether the original URL of a request has a scheme and a host: on the web it does, and on Node it is a path. */
export const hasAbsoluteUrl = (source: unknown): boolean => source instanceof Request

/** The properties that the adapter to Node sets on a request, in the reverse of the order in which it sets them. */
export const latestFirst: ReadonlyArray<PropertyKey> = [
  "multipartEffect",
  "cachedCookies",
  requestTypeId,
  "headersOverride",
  "url",
  "upgradeEffect",
  "response",
  "textEffect",
  messageTypeId,
  "remoteAddressOverride",
  "onError",
  "source"
]

/** The platform marks the request whose response it sends. */
export const sentMark = Symbol.for("@effect/platform/HttpApp/handled")

/** Whether the handler has sent what it answers: what is marked then is the request that it was shown. */
export const isSent = (_: Caller, shown: HttpServerRequest): boolean => sentMark in shown

/** What is known to send: a handler, which is put around once. */
export const senderOf = (_: object, handler: object): object => handler

/** Whether a transaction of the application is open. The client of libSQL keeps its own in another place than all others. */
export const isWithinTransaction = ({ unsafeMap }: Context.Context<never>): boolean =>
  unsafeMap.has("@effect/sql/SqlClient/TransactionConnection") ||
  unsafeMap.has("@effect/sql-libsql/LibsqlClient/LibsqlTransaction")

/** Whether a request was interrupted since its client has left. */
export const isClientGone = (cause: Cause.Cause<unknown>): boolean =>
  HashSet.has(Cause.interruptors(cause), HttpServerError.clientAbortFiberId)

/** The status of an error of an `HttpApi`, which the platform answers further outside; `undefined`: it is none. */
export const statusOfApiError = (cause: Cause.Cause<unknown>): number | undefined => {
  const error = Option.getOrUndefined(Cause.failureOption(cause))
  const schema = typeof error === "object" && error !== null ? error.constructor : undefined
  return Schema.isSchema(schema) ? HttpApiSchema.getStatusError(schema) : undefined
}

/** Changes a response on its way out. */
export type PreResponseHandler = HttpApp.PreResponseHandler

/** What is going to change the response of the fiber's request. */
export const preResponseHandlerOf = (fiber: Caller): PreResponseHandler | undefined =>
  Option.getOrUndefined(fiber.getFiberRef(HttpApp.currentPreResponseHandlers))

/** Takes the place of what was set before. */
export const setPreResponseHandler = (
  _: Caller,
  handler: PreResponseHandler | undefined
): Effect.Effect<void> => FiberRef.set(HttpApp.currentPreResponseHandlers, Option.fromNullable(handler))

/** Whether the server waits for the client of an answer that is there as a whole. */
export const waitsForClient: boolean = true

/** The same error of a request, which names this one. */
export const failedAs = (request: HttpServerRequest, error: unknown): unknown => {
  if (!(error instanceof HttpServerError.RequestError)) return error
  const { cause, description, reason } = error
  return new HttpServerError.RequestError({
    request,
    reason,
    cause,
    ...(description === undefined ? {} : { description })
  })
}

/** The patterns of routes that are a path and all beneath it. */
export const patternsOf = (path: string): ReadonlyArray<HttpLayerRouter.PathInput> => {
  const own = path as HttpLayerRouter.PathInput
  return [own, `${own}/*` as HttpLayerRouter.PathInput]
}

/** The names of fields whose values are not shown. */
export const redactedNames = (fiber: Caller): ReadonlyArray<string | RegExp> =>
  fiber.getFiberRef(Headers.currentRedactedNames)
