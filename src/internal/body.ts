/** The content of a response: bytes, a stream of them, or what only the platform knows how to send. */
import * as HttpBody from "@effect/platform/HttpBody"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

export type ByteStream = Stream.Stream<Uint8Array, unknown>

/** A type that the handler did not state is not made up. */
export const of = (content: Uint8Array, contentType: string | undefined): HttpBody.HttpBody => {
  if (content.byteLength === 0) return HttpBody.empty
  return contentType === undefined
    ? HttpBody.raw(content, { contentLength: content.byteLength })
    : HttpBody.uint8Array(content, contentType)
}

export const ofStream = (
  stream: ByteStream,
  contentType: string | undefined,
  length: number | undefined
): HttpBody.Stream => HttpBody.stream(stream, contentType ?? "", length)

/** Not `slice`: that of a `Buffer` is a view. */
export const copy = (content: Uint8Array): Uint8Array => new Uint8Array(content)

/** Where it is bytes: not a copy. */
export const bytes = (body: HttpBody.HttpBody): Uint8Array | undefined => {
  if (body._tag === "Empty") return new Uint8Array()
  if (body._tag === "Uint8Array") return body.body
  return body._tag === "Raw" && body.body instanceof Uint8Array ? body.body : undefined
}

const asBytes = (chunk: unknown): Uint8Array =>
  chunk instanceof Uint8Array ? chunk : new TextEncoder().encode(String(chunk))

const isAsyncIterable = (value: unknown): value is AsyncIterable<unknown> =>
  typeof value === "object" && value !== null && Symbol.asyncIterator in value

/** What is open from the start, and isn't closed by not being read. */
const opened = new WeakMap<HttpBody.HttpBody, () => unknown>()

/** It is not going to be sent. */
export const discard = (body: HttpBody.HttpBody): void => void opened.get(body)?.()

/**
 * A body as bytes or as a stream: texts, bytes, files, the streams of Node and of the web, forms. Anything else, such as a
 * web `Response`, stays what it is. The fields are given the type of a form.
 */
export const readable = (body: HttpBody.HttpBody, fields: { [name: string]: string }): HttpBody.HttpBody => {
  const contentType = fields["content-type"]
  const streamed = (stream: ByteStream) => ofStream(stream, contentType, body.contentLength)
  if (body._tag === "FormData") {
    const form = new Response(body.formData)
    fields["content-type"] = form.headers.get("content-type") ?? "multipart/form-data"
    return HttpBody.stream(fromWeb(() => form.body!), fields["content-type"])
  }
  if (body._tag !== "Raw" || body.body instanceof Uint8Array) return body
  const raw = body.body
  if (raw === null || raw === undefined) return HttpBody.empty
  if (typeof raw === "string") return of(asBytes(raw), contentType)
  if (raw instanceof ArrayBuffer) return of(new Uint8Array(raw), contentType)
  if (raw instanceof Blob) return streamed(fromWeb(() => raw.stream()))
  if (raw instanceof ReadableStream) {
    // Who reads it already ends it.
    return closing(streamed(fromWeb(() => raw)), () => raw.cancel().catch(() => {}))
  }
  if (!isAsyncIterable(raw)) return body
  const readable = streamed(Stream.map(Stream.fromAsyncIterable(raw, (error) => error), asBytes))
  return closing(readable, () => (raw as { readonly destroy?: () => unknown }).destroy?.())
}

const closing = (body: HttpBody.HttpBody, close: () => unknown): HttpBody.HttpBody => {
  opened.set(body, close)
  return body
}

const fromWeb = (evaluate: () => ReadableStream): ByteStream =>
  Stream.map(Stream.fromReadableStream({ evaluate, onError: (error) => error }), asBytes)

/** A stream that is longer or shorter than it was said to be fails. */
export const measured = (stream: ByteStream, length: number | undefined): ByteStream => {
  if (length === undefined) return stream
  const wrong = (size: number) =>
    Effect.fail(new Error(`the body has ${size} bytes, and its Content-Length says ${length}`))
  return Stream.suspend(() => {
    let size = 0
    return stream.pipe(
      Stream.tap((chunk) => {
        size += chunk.byteLength
        return size > length ? wrong(size) : Effect.void
      }),
      Stream.concat(Stream.execute(Effect.suspend(() => size < length ? wrong(size) : Effect.void)))
    )
  })
}

/**
 * A stream that fails breaks the client's connection: Node's server would end the body as if it were whole, and take the
 * head of the next response for the rest of one whose length is known.
 */
export const breaking = (stream: ByteStream, { source }: HttpServerRequest): ByteStream =>
  Stream.tapErrorCause(stream, () => Effect.sync(() => (source as { destroy?: () => void }).destroy?.()))
