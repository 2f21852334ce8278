/** What differs between the clients of Effect 3 and Effect 4 and is more than a name: the rest of this room calls these. */
import type { Headers } from "@effect/platform/Headers"
import type { HttpClient } from "@effect/platform/HttpClient"
import { isHttpClientError, RequestError, ResponseError } from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"

type Request = HttpClientRequest.HttpClientRequest
type Response = HttpClientResponse.HttpClientResponse

/** With what a client fails by itself, and where content can't be read. */
export type ClientError = RequestError
export type ReadError = ResponseError

/** What content in JSON is read as. */
export type Json = unknown

/** What is done to a request before it is sent, such as adding credentials to it, and what sends it. */
export interface Parts<E, R> {
  readonly preprocess: HttpClient.Preprocess<E, R>
  readonly postprocess: HttpClient.Postprocess<E, R>
}

/** The platform makes each client of two parts, which no type says; one that somebody else has made has none. */
export const partsOf = <E, R>(client: HttpClient.With<E, R>): Parts<E, R> => {
  const { postprocess = Effect.flatMap(client.execute), preprocess = Effect.succeed } = client as Partial<Parts<E, R>>
  return { preprocess, postprocess: postprocess as HttpClient.Postprocess<E, R> }
}

/** The request was not answered. */
export const failed = (request: Request, description: string): ClientError =>
  new RequestError({ request, reason: "Transport", description })

/** The content can't be read as what it was asked for. */
export const unreadable = (response: Response, cause: unknown): ReadError =>
  new ResponseError({ request: response.request, response, reason: "Decode", cause })

/** The fields as they may be logged. */
export const redacted = (headers: Headers): unknown => Inspectable.redact(headers)

/** The platform's word for content of no bytes. */
export const saysEmpty = (error: unknown): boolean => error instanceof ResponseError && error.reason === "EmptyBody"

/** A response that a client beneath takes for a failure, as `HttpClient.filterStatusOk` does. */
export const refusedOf = (error: unknown): Response | undefined =>
  error instanceof ResponseError && error.reason === "StatusCode" ? error.response : undefined

/** Whether the request never left: what it asks for can't be asked. */
export const isUnsent = (error: unknown): boolean =>
  isHttpClientError(error) && error._tag === "RequestError" && error.reason !== "Transport"

/** What `fetch` answered with, within what the platform has put around it. */
const sourceOf = (response: Response): globalThis.Response | undefined => {
  const { original, source } = response as { readonly original?: Response; readonly source?: unknown }
  if (original !== undefined) return sourceOf(original)
  return source instanceof globalThis.Response ? source : undefined
}

/** Whether it came by `fetch`, which decodes content; a `Response` that a program makes has no URL. */
export const isFetched = (response: Response): boolean => (sourceOf(response)?.url ?? "") !== ""

const hrefOf = (request: Request): string | undefined => {
  const url = Option.getOrUndefined(HttpClientRequest.toUrl(request))
  return url === undefined ? undefined : url.origin + url.pathname + url.search
}

/** The URI that it is of, where that is another than was asked for: a redirection was followed beneath. */
export const redirectedTo = (response: Response, request: Request): string | undefined => {
  const source = sourceOf(response)
  const href = source?.redirected === true ? source.url : hrefOf(response.request)
  return source?.redirected === true || href !== hrefOf(request) ? href ?? "" : undefined
}

/** A response as far as it has no content. */
export abstract class BareResponse extends Inspectable.Class {
  readonly [HttpIncomingMessage.TypeId]: HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly [HttpClientResponse.TypeId]: HttpClientResponse.TypeId = HttpClientResponse.TypeId
  readonly request: Request
  readonly remoteAddress: Option.Option<string> = Option.none()

  constructor(request: Request) {
    super()
    this.request = request
  }
}
