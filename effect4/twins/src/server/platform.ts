/** The twin of `src/server/platform.ts` for Effect 4. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import type { PreResponseHandler } from "effect/http/HttpEffect"
import type { PathInput } from "effect/http/HttpRouter"
import { TypeId as messageTypeId } from "effect/http/HttpIncomingMessage"
import * as HttpServerError from "effect/http/HttpServerError"
import { type HttpServerRequest, TypeId as requestTypeId } from "effect/http/HttpServerRequest"
import * as HttpServerRespondable from "effect/http/HttpServerRespondable"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import type * as Types from "effect/Types"
import { type Caller, exitOf, requestStateOf } from "../runtime/effect.js"

export type App<E, R> = Effect.Effect<HttpServerResponse, E, R | HttpServerRequest>

export type Unhandled = Types.unhandled

/** A response is no `Respondable` by its type, though the platform takes it for one. */
export type Respondable = HttpServerRespondable.Respondable | HttpServerResponse

export const toResponse = (answer: Respondable): Effect.Effect<HttpServerResponse> =>
  HttpServerRespondable.toResponse(answer as HttpServerRespondable.Respondable)

export const hasAbsoluteUrl = (_: unknown): boolean => true

export const latestFirst: ReadonlyArray<PropertyKey> = [
  "multipartEffect",
  "cachedMethod",
  "cachedCookies",
  "protocol",
  "peerAddressOverride",
  "headersOverride",
  "url",
  "upgradeState",
  "response",
  requestTypeId,
  "arrayBufferEffect",
  "textEffect",
  "closeOnDone",
  "destroyOnOverflow",
  "remoteAddressOverride",
  "onError",
  "source",
  messageTypeId
]

export const sentMark = Symbol.for("effect/http/HttpEffect/handled")

/**
 * What is marked is the request that the platform was given, and not the one that is shown to a handler. While all that wait
 * for the handler still do, nobody else has answered it.
 */
export const isSent = ({ context }: Caller, _: HttpServerRequest): boolean => {
  const state = requestStateOf(context)
  if (state?.request === undefined || state.waiters === undefined) return false
  return sentMark in state.request && state.waiters.every(isWaiting)
}

const isWaiting = (fiber: Caller): boolean => exitOf(fiber) === undefined

/** The server makes the handler of a middleware anew for each request: the cache is what stays. */
export const senderOf = (cache: object, _: object): object => cache

/** Each client of SQL keeps its transactions in a place of its own, and libSQL names that in its own way. */
const transaction =
  /^(?:effect\/sql\/SqlClient\/TransactionConnection\/|@effect\/sql-libsql\/LibsqlClient\/LibsqlTransaction$)/

export const isWithinTransaction = ({ mapUnsafe }: Context.Context<never>): boolean => {
  for (const key of mapUnsafe.keys()) if (transaction.test(key)) return true
  return false
}

/** It is said by an annotation of the interruption, and not by who interrupts. */
export const isClientGone = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) => reason._tag === "Interrupt" && reason.annotations.has(HttpServerError.ClientAbort.key))

/** The platform finds it by this annotation, and 500 where there is none. */
export const statusOfApiError = (cause: Cause.Cause<unknown>): number | undefined => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  const schema = typeof error === "object" && error !== null ? error.constructor : undefined
  return Schema.isSchema(schema) ? SchemaAST.resolveAt<number>("httpApiStatus")(schema.ast) ?? 500 : undefined
}

export type { PreResponseHandler }

/** It is part of what the context has of the request, and no reference of the fiber's. */
export const preResponseHandlerOf = ({ context }: Caller): PreResponseHandler | undefined =>
  requestStateOf(context)?.preResponseHandler as PreResponseHandler | undefined

export const setPreResponseHandler = (
  { context }: Caller,
  handler: PreResponseHandler | undefined
): Effect.Effect<void> =>
  Effect.sync(() => {
    const state = requestStateOf(context)
    if (state !== undefined) state.preResponseHandler = handler
  })

/** Whether the server waits for the client of an answer that is there as a whole: for none below 1 MiB. */
export const waitsForClient: boolean = false

/** The request is named by the error's reason. */
export const failedAs = (request: HttpServerRequest, error: unknown): unknown => {
  if (!HttpServerError.isHttpServerError(error)) return error
  const { reason } = error
  const Reason = reason.constructor as new(reason: object) => HttpServerError.HttpServerErrorReason
  return new HttpServerError.HttpServerError({ reason: new Reason({ ...reason, request }) })
}

/** A wildcard is also what it stands behind. */
export const patternsOf = (path: string): ReadonlyArray<PathInput> => [`${path}/*` as PathInput]

export const redactedNames = ({ context }: Caller): ReadonlyArray<string | RegExp> =>
  Context.get(context, Headers.CurrentRedactedNames)
