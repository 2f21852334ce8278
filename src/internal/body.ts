/** The content of a response: bytes, a stream of them, or what only the platform knows how to send. */
import * as HttpBody from "@effect/platform/HttpBody"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
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

/** Chunks as one, and as views of that. */
export const joined = (chunks: ReadonlyArray<Uint8Array>) => {
  const [only] = chunks
  const size = chunks.reduce((sum, { byteLength }) => sum + byteLength, 0)
  const whole = chunks.length === 1 && only !== undefined ? only : new Uint8Array(size)
  let at = 0
  const views = chunks.map((chunk) => {
    if (chunk !== whole) whole.set(chunk, at)
    return whole.subarray(at, at += chunk.byteLength)
  })
  return { whole, views }
}

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

/** How a body that is not sent is closed. */
const closings = new WeakMap<HttpBody.HttpBody, Effect.Effect<void>>()

/**
 * A stream that knows whether it was begun. Where it was not, `close` is run when it is discarded; without one it is
 * opened and closed, since what a stream holds may have been opened for it before, as a connection to an origin was.
 */
export const closable = (
  own: HttpBody.Stream,
  close: Effect.Effect<void> = openedAndClosed(own.stream)
): HttpBody.Stream => {
  if (closings.has(own)) return own
  let hasBegun = false
  const begun = Stream.suspend(() => {
    hasBegun = true
    return own.stream
  })
  const body = ofStream(begun, own.contentType, own.contentLength)
  closings.set(
    body,
    Effect.suspend(() => {
      if (hasBegun) return Effect.void
      hasBegun = true
      return close
    })
  )
  return body
}

/** The same body with its stream changed. */
export const through = (
  body: HttpBody.Stream,
  change: (stream: ByteStream) => ByteStream,
  contentType: string | undefined,
  length: number | undefined
): HttpBody.Stream => {
  const changed = ofStream(change(body.stream), contentType, length)
  const close = closings.get(body)
  if (close !== undefined) closings.set(changed, close)
  return changed
}

/** The body is not going to be sent: what is open for it is closed at once, before the request's scope is. */
export const discard = (body: HttpBody.HttpBody): Effect.Effect<void> =>
  Effect.suspend(() =>
    closings.get(body) ??
      (body._tag === "Stream" || body._tag === "Raw" ? closings.get(readable(body, {})) : undefined) ?? Effect.void
  )

/** Chunks that may come before the one that something was opened for. */
const maxFirstChunks = 8

/** The fibers of the stream have started by then. */
const nextTurn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** A finalizer runs only in a stream that has begun: it is run until it waits, and interrupted. */
const openedAndClosed = (stream: ByteStream): Effect.Effect<void> =>
  Effect.uninterruptible(Effect.gen(function*() {
    const opened = Effect.exit(Stream.runDrain(Stream.take(stream, maxFirstChunks)))
    const fiber = yield* Effect.forkDaemon(Effect.interruptible(Effect.raceFirst(opened, nextTurn)))
    const scope = yield* Effect.serviceOption(Scope.Scope)
    if (Option.isSome(scope)) yield* Scope.addFinalizer(scope.value, Fiber.await(fiber))
  }))

/**
 * A body as bytes or as a stream: texts, bytes, files, the streams of Node and of the web, forms. Anything else, such as a
 * web `Response`, stays what it is. The fields are given the type of a form.
 */
export const readable = (body: HttpBody.HttpBody, fields: { [name: string]: string }): HttpBody.HttpBody => {
  const contentType = fields["content-type"]
  const streamed = (stream: ByteStream, close?: () => unknown) =>
    closable(ofStream(stream, contentType, body.contentLength), Effect.sync(() => void close?.()))
  if (body._tag === "FormData") {
    const form = new Response(body.formData)
    fields["content-type"] = form.headers.get("content-type") ?? "multipart/form-data"
    return HttpBody.stream(fromWeb(() => form.body!), fields["content-type"])
  }
  if (body._tag === "Stream") return closable(body)
  if (body._tag !== "Raw" || body.body instanceof Uint8Array) return body
  const raw = body.body
  if (raw === null || raw === undefined) return HttpBody.empty
  if (typeof raw === "string") return of(asBytes(raw), contentType)
  if (raw instanceof ArrayBuffer) return of(new Uint8Array(raw), contentType)
  if (raw instanceof Blob) return streamed(fromWeb(() => raw.stream()))
  if (raw instanceof ReadableStream) return streamed(fromWeb(() => raw), cancel(raw))
  if (raw instanceof Response && raw.body !== null) closings.set(body, Effect.sync(cancel(raw.body)))
  if (!isAsyncIterable(raw)) return body
  return streamed(
    Stream.map(Stream.fromAsyncIterable(raw, (error) => error), asBytes),
    () => (raw as { readonly destroy?: () => unknown }).destroy?.()
  )
}

/** Who reads it already ends it. */
const cancel = (web: ReadableStream) => () => web.cancel().catch(() => {})

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
