/** The platform's bodies, as the engine has them and back. */
import * as HttpBody from "@effect/platform/HttpBody"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Body from "../engine/body.js"
import { EnclosingCache } from "../engine/enclosing.js"
import type { Run } from "../engine/origin.js"

/** A chunk may be of another realm, as in a test runner, a view of other numbers than bytes, or a buffer: its bytes are sent. */
const asBytes = (chunk: unknown): Uint8Array => {
  // What has a `byteLength` is a buffer, or a view of one.
  const { buffer = chunk as ArrayBuffer, byteLength, byteOffset } = Object(chunk) as Partial<Uint8Array>
  return byteLength === undefined
    ? new TextEncoder().encode(String(chunk))
    : new Uint8Array(buffer, byteOffset, byteLength)
}

const isAsyncIterable = (value: unknown): value is AsyncIterable<unknown> =>
  typeof value === "object" && value !== null && Symbol.asyncIterator in value

/** Its present reader ends it. */
const cancel = (web: ReadableStream) => () => web.cancel().catch(() => {})

const fromWeb = (evaluate: () => ReadableStream): Body.ByteStream =>
  Stream.map(Stream.fromReadableStream({ evaluate, onError: (error) => error }), asBytes)

/**
 * A body as bytes or as a stream: texts, bytes, files, the streams of Node and of the web, forms. Anything else, such as a
 * web `Response`, is opaque. The fields are given the type of a form.
 */
export const fromPlatform = (body: HttpBody.HttpBody, fields: { [name: string]: string }): Body.Body => {
  if (body._tag === "Empty") return Body.empty
  const streamed = (stream: Body.ByteStream, close?: () => unknown) =>
    Body.closable(stream, body.contentLength, Effect.sync(() => void close?.()))
  if (body._tag === "Uint8Array") return Body.ofBytes(body.body)
  if (body._tag === "Stream") {
    return Body.closable(Stream.map(body.stream, asBytes), body.contentLength, Body.openedAndClosed(body.stream))
  }
  if (body._tag === "FormData") {
    const form = new Response(body.formData)
    fields["content-type"] = form.headers.get("content-type") ?? "multipart/form-data"
    return streamed(fromWeb(() => form.body!))
  }
  const raw = body.body
  if (raw === null || raw === undefined) return Body.empty
  if (raw instanceof Uint8Array) return Body.ofBytes(raw)
  if (typeof raw === "string" || raw instanceof ArrayBuffer) return Body.ofBytes(asBytes(raw))
  if (raw instanceof Blob) return streamed(fromWeb(() => raw.stream()))
  if (raw instanceof ReadableStream) return streamed(fromWeb(() => raw), cancel(raw))
  if (isAsyncIterable(raw)) {
    return streamed(
      Stream.map(Stream.fromAsyncIterable(raw, (error) => error), asBytes),
      () => (raw as { readonly destroy?: () => unknown }).destroy?.()
    )
  }
  const close = raw instanceof Response && raw.body !== null ? Effect.sync(cancel(raw.body)) : Effect.void
  return { _tag: "Opaque", native: body, close }
}

/** A type that the handler did not state is not made up. */
export const toPlatform = (body: Body.Body, contentType: string | undefined): HttpBody.HttpBody => {
  if (body._tag === "Opaque") return body.native as HttpBody.HttpBody
  if (body._tag === "Stream") return HttpBody.stream(body.stream, contentType ?? "", body.length)
  const { bytes } = body
  if (bytes.byteLength === 0) return HttpBody.empty
  return contentType === undefined
    ? HttpBody.raw(bytes, { contentLength: bytes.byteLength })
    : HttpBody.uint8Array(bytes, contentType)
}

/** A streamed body is part of the handler's run: what it says goes to the same cache. */
export const goingOn = <Answer extends { readonly body: Body.Body }>(answer: Answer, said: Run): Answer =>
  answer.body._tag === "Stream"
    ? { ...answer, body: Body.through(answer.body, (stream) => Stream.provideService(stream, EnclosingCache, said)) }
    : answer
