/** The platform's responses to a client, as the engine has them and back. */
import * as Cookies from "@effect/platform/Cookies"
import * as Headers from "@effect/platform/Headers"
import type { HttpClientRequest } from "@effect/platform/HttpClientRequest"
import type { HttpClientResponse } from "@effect/platform/HttpClientResponse"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Body from "../engine/body.js"
import type { Answer, Outgoing, SetCookies } from "../engine/origin.js"
import * as Answers from "../protocol/Answer.js"
import * as Decoding from "../protocol/Decoding.js"
import * as Fields from "../protocol/Fields.js"
import * as HttpDate from "../protocol/HttpDate.js"
import {
  BareResponse,
  isFetched,
  type Json,
  type ReadError,
  redacted,
  redirectedTo,
  saysEmpty,
  unreadable
} from "./platform.js"

/** The content of a response as it comes; there may be none. */
export const contentOf = (response: HttpClientResponse): Body.Streamed => {
  const stream: Body.ByteStream = Stream.catchAll(
    response.stream as Body.ByteStream,
    (error) => saysEmpty(error) ? Stream.empty : Stream.fail(error)
  )
  return Body.closable(stream, undefined, Body.openedAndClosed(stream))
}

/** Taken out of the fields. What the platform can't read as a cookie is one nonetheless, to who stores responses. */
const cookiesOf = ({ cookies }: HttpClientResponse, fields: { [name: string]: string }): SetCookies => {
  const field = Fields.get(fields, "set-cookie")
  delete fields["set-cookie"]
  const lines = Cookies.toSetCookieHeaders(cookies)
  return { lines: lines.length === 0 && field !== undefined ? [field] : lines, native: cookies }
}

/**
 * With a `Date`, and the fields of the content as it is now. What can't be kept, since it is of another URI or nobody can tell
 * what it is, is handed on as it came.
 */
export const toAnswer = (response: HttpClientResponse, request: HttpClientRequest, now: number): Answer => {
  const { status } = response
  const own = isFetched(response) ? Decoding.decoded(status, response.headers) : Fields.copy(response.headers)
  const isHandedOn = own === undefined || redirectedTo(response, request) !== undefined
  const fields = own ?? Fields.copy(response.headers)
  if (Fields.get(fields, "date") === undefined) fields["date"] = HttpDate.format(now)
  const hasNoContent = request.method === "HEAD" || Answers.hasNoContent(status)
  const content = contentOf(response)
  return {
    status,
    statusText: undefined,
    fields,
    cookies: cookiesOf(response, fields),
    body: isHandedOn
      ? { _tag: "Opaque", native: response, close: content.close }
      : hasNoContent
      ? Body.empty
      : content,
    isStored: false
  }
}

/** The response with these fields too, and its content as it came. */
export const amend = (response: HttpClientResponse, fields: Fields.Fields): HttpClientResponse => {
  const headers = Headers.unsafeFromRecord(Fields.merged(response.headers, fields))
  return new Proxy(response, {
    get: (target, name) => {
      if (name === "headers") return headers
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === "function" ? value.bind(target) : value
    }
  })
}

/** What reads content, beside the stream. */
const reading: ReadonlySet<PropertyKey> = new Set(["text", "json", "urlParamsBody", "arrayBuffer", "formData"])

/** The same response; once its content was read, this is closed. */
export const ending = (response: HttpClientResponse, close: Effect.Effect<void>): HttpClientResponse => {
  // While it is read it is not forgotten.
  const end = Effect.suspend(() => {
    forgotten.unregister(ended)
    return close
  })
  const ended: HttpClientResponse = new Proxy(response, {
    get: (target, name) => {
      if (name === "stream") return Stream.ensuring(target.stream, end)
      const value: unknown = Reflect.get(target, name, target)
      if (reading.has(name)) return Effect.ensuring(value as HttpClientResponse["text"], end)
      return typeof value === "function" ? value.bind(target) : value
    }
  })
  forgotten.register(ended, close, ended)
  return ended
}

/** Closes what nobody reads once the response is forgotten, as the platform does. */
const forgotten = new FinalizationRegistry<Effect.Effect<void>>((close) => void Effect.runFork(close))

/** A response of the cache's. Its content may be read more than once, in each way. */
class CachedResponse extends BareResponse implements HttpClientResponse {
  readonly status: number
  readonly headers: Headers.Headers
  readonly cookies: Cookies.Cookies
  private readonly content: Exclude<Body.Body, { readonly _tag: "Opaque" }>
  /** As much of a stream is kept to be read again. Bytes. */
  private readonly keeps: number
  /** The whole content, once it has been read. */
  private whole: Uint8Array | undefined
  private hasBegun = false
  private gathered: Effect.Effect<Uint8Array, ReadError> | undefined

  constructor(
    request: HttpClientRequest,
    { cookies, fields, own, status }: Outgoing,
    content: Exclude<Body.Body, { readonly _tag: "Opaque" }>,
    keeps: number
  ) {
    super(request)
    this.status = status
    const { lines } = cookies
    const told = lines.length === 0 ? own : { ...own, "set-cookie": lines.join(", ") }
    this.headers = Headers.unsafeFromRecord(Fields.merged(fields, told))
    this.cookies = (cookies.native as Cookies.Cookies | undefined) ?? Cookies.fromSetCookie(lines)
    this.content = content
    this.keeps = keeps
    if (content._tag === "Bytes") this.whole = content.bytes
    else forgotten.register(this, content.close)
  }

  /** Nobody writes into what a storage has, or what others read. */
  get stream(): Stream.Stream<Uint8Array, ReadError> {
    return Stream.suspend(() => {
      const { content, whole } = this
      if (whole !== undefined) return whole.byteLength === 0 ? Stream.empty : Stream.sync(() => Body.copy(whole))
      if (content._tag === "Bytes") return Stream.empty
      if (this.hasBegun) return Stream.fail(unreadable(this, new Error("the content was read, and was not kept")))
      this.hasBegun = true
      const chunks: Array<Uint8Array> = []
      let size = 0
      const keep = (chunk: Uint8Array) => {
        size += chunk.byteLength
        if (size <= this.keeps) chunks.push(chunk)
        else chunks.length = 0
        return Body.copy(chunk)
      }
      const end = Effect.sync(() => {
        if (size <= this.keeps) this.whole = Body.joined(chunks).whole
      })
      return Stream.mapError(
        Stream.concat(Stream.map(content.stream, keep), Stream.drain(Stream.fromEffect(end))),
        (error) => unreadable(this, error)
      )
    })
  }

  private get bytes(): Effect.Effect<Uint8Array, ReadError> {
    return Effect.suspend(() => {
      if (this.whole !== undefined) return Effect.succeed(this.whole)
      return this.gathered ??= Effect.runSync(Effect.cached(Effect.map(
        Stream.runCollect(this.stream),
        (chunks) => this.whole = Body.joined(Array.from(chunks)).whole
      )))
    })
  }

  private reading<A>(read: (bytes: Uint8Array) => A): Effect.Effect<A, ReadError> {
    return Effect.flatMap(
      this.bytes,
      (bytes) => Effect.try({ try: () => read(bytes), catch: (error) => unreadable(this, error) })
    )
  }

  get text(): Effect.Effect<string, ReadError> {
    return this.reading((bytes) => new TextDecoder().decode(bytes))
  }

  get json(): Effect.Effect<Json, ReadError> {
    return this.reading((bytes) => bytes.byteLength === 0 ? null : JSON.parse(new TextDecoder().decode(bytes)) as Json)
  }

  get urlParamsBody(): Effect.Effect<UrlParams.UrlParams, ReadError> {
    return this.reading((bytes) => UrlParams.fromInput(new URLSearchParams(new TextDecoder().decode(bytes))))
  }

  get arrayBuffer(): Effect.Effect<ArrayBuffer, ReadError> {
    return this.reading((bytes) => new Uint8Array(bytes).buffer)
  }

  get formData(): Effect.Effect<FormData, ReadError> {
    const type = Fields.get(this.headers, "content-type")
    return Effect.flatMap(this.bytes, (bytes) =>
      Effect.tryPromise({
        try: () =>
          new Response(new Uint8Array(bytes), { headers: type === undefined ? {} : { "content-type": type } })
            .formData(),
        catch: (error) => unreadable(this, error)
      }))
  }

  toJSON(): unknown {
    const { headers, request, status } = this
    return { _id: "HttpClientResponse", request: request.toJSON(), status, headers: redacted(headers) }
  }
}

/** A response of the platform's to this request. `keeps`: how much of a stream may be read again. Bytes. */
export const fromOutgoing = (outgoing: Outgoing, request: HttpClientRequest, keeps: number): HttpClientResponse => {
  const { body, fields, own } = outgoing
  return body._tag === "Opaque"
    ? amend(body.native as HttpClientResponse, Fields.merged(fields, own))
    : new CachedResponse(request, outgoing, body, keeps)
}
