/** The twin of `src/client/platform.ts` for Effect 4. */
import * as Effect from "effect/Effect"
import type { Headers } from "effect/http/Headers"
import type { HttpClient } from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import { pipeArguments } from "effect/Pipeable"
import { redact } from "effect/Redactable"
import type * as Schema from "effect/Schema"

type Request = HttpClientRequest.HttpClientRequest
type Response = HttpClientResponse.HttpClientResponse

export type ClientError = HttpClientError.HttpClientError
export type ReadError = HttpClientError.HttpClientError

export type Json = Schema.Json

export interface Parts<E, R> {
  readonly preprocess: HttpClient.Preprocess<E, R>
  readonly postprocess: HttpClient.Postprocess<E, R>
}

export const partsOf = <E, R>({ postprocess, preprocess }: HttpClient.With<E, R>): Parts<E, R> => ({
  preprocess,
  postprocess
})

const errorOf = (reason: HttpClientError.HttpClientErrorReason): ClientError =>
  new HttpClientError.HttpClientError({ reason })

export const failed = (request: Request, description: string): ClientError =>
  errorOf(new HttpClientError.TransportError({ request, description }))

export const unreadable = (response: Response, cause: unknown): ReadError =>
  errorOf(new HttpClientError.DecodeError({ request: response.request, response, cause }))

export const redacted = (headers: Headers): unknown => redact(headers)

const reasonOf = (error: unknown): HttpClientError.HttpClientErrorReason | undefined =>
  HttpClientError.isHttpClientError(error) ? error.reason : undefined

export const saysEmpty = (error: unknown): boolean => reasonOf(error)?._tag === "EmptyBodyError"

export const refusedOf = (error: unknown): Response | undefined => {
  const reason = reasonOf(error)
  return reason?._tag === "StatusCodeError" ? reason.response : undefined
}

export const isUnsent = (error: unknown): boolean => {
  const tag = reasonOf(error)?._tag
  return tag === "EncodeError" || tag === "InvalidUrlError"
}

const sourceOf = (response: Response): globalThis.Response | undefined => {
  const { original, source } = response as { readonly original?: Response; readonly source?: unknown }
  if (original !== undefined) return sourceOf(original)
  return source instanceof globalThis.Response ? source : undefined
}

export const isFetched = (response: Response): boolean => (sourceOf(response)?.url ?? "") !== ""

const hrefOf = (request: Request): string | undefined => {
  const url = Option.getOrUndefined(HttpClientRequest.toUrl(request))
  return url === undefined ? undefined : url.origin + url.pathname + url.search
}

export const redirectedTo = (response: Response, request: Request): string | undefined => {
  const source = sourceOf(response)
  const href = source?.redirected === true ? source.url : hrefOf(response.request)
  return source?.redirected === true || href !== hrefOf(request) ? href ?? "" : undefined
}

export abstract class BareResponse extends Inspectable.Class {
  readonly [HttpIncomingMessage.TypeId]: typeof HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly [HttpClientResponse.TypeId]: typeof HttpClientResponse.TypeId = HttpClientResponse.TypeId
  readonly request: Request
  readonly remoteAddress: Option.Option<string> = Option.none()

  constructor(request: Request) {
    super()
    this.request = request
  }

  get url(): string {
    return hrefOf(this.request) ?? ""
  }

  get upgrade() {
    return Effect.suspend(() =>
      Effect.fail(errorOf(
        new HttpClientError.StatusCodeError({
          request: this.request,
          response: this as never,
          description: "a response of a cache hands over no connection"
        })
      ))
    )
  }

  pipe() {
    // eslint-disable-next-line prefer-rest-params
    return pipeArguments(this, arguments)
  }
}
