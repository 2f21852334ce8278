/** The content of a response: bytes, a stream of them, or what only the binding knows how to send. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Range from "../protocol/Range.js"
import { forkDetached, onStreamFailure } from "../runtime/effect.js"

export type ByteStream = Stream.Stream<Uint8Array, unknown>

/** `length`: how many bytes it is said to have. `close` is run instead of the stream where that is not sent. */
export interface Streamed {
  readonly _tag: "Stream"
  readonly stream: ByteStream
  readonly length: number | undefined
  readonly close: Effect.Effect<void>
}

export type Body =
  | { readonly _tag: "Bytes"; readonly bytes: Uint8Array }
  | Streamed
  | { readonly _tag: "Opaque"; readonly native: unknown; readonly close: Effect.Effect<void> }

/** No content. */
export const none = new Uint8Array()

export const empty: Body = { _tag: "Bytes", bytes: none }

export const ofBytes = (bytes: Uint8Array): Body => ({ _tag: "Bytes", bytes })

export const bytesOf = (body: Body): Uint8Array | undefined => body._tag === "Bytes" ? body.bytes : undefined

/** Whether it is known to be empty. */
export const isEmpty = (body: Body): boolean => body._tag === "Bytes" && body.bytes.byteLength === 0

/** Not `slice`: that of a `Buffer` is a view. */
export const copy = (bytes: Uint8Array): Uint8Array => bytes.byteLength === 0 ? none : new Uint8Array(bytes)

/** A stream that knows whether it was begun: it is closed only where it was not. */
export const closable = (
  stream: ByteStream,
  length: number | undefined,
  close: Effect.Effect<void>
): Streamed => {
  let hasBegun = false
  return {
    _tag: "Stream",
    stream: Stream.suspend(() => {
      hasBegun = true
      return stream
    }),
    length,
    close: Effect.suspend(() => {
      if (hasBegun) return Effect.void
      hasBegun = true
      return close
    })
  }
}

/** How many chunks may come before a stream opens what it reads. */
const maxFirstChunks = 8

/** The fibers of the stream have started by then. */
const nextTurn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/**
 * Closes what was opened for a stream before it began, such as a connection to an origin. Finalizers run only in a stream that
 * has begun: so it is run until it first waits, and then interrupted.
 */
export const openedAndClosed = (stream: ByteStream): Effect.Effect<void> =>
  Effect.uninterruptible(Effect.gen(function*() {
    const opened = Effect.exit(Stream.runDrain(Stream.take(stream, maxFirstChunks)))
    const fiber = yield* forkDetached(Effect.interruptible(Effect.raceFirst(opened, nextTurn)))
    const scope = yield* Effect.serviceOption(Scope.Scope)
    if (Option.isSome(scope)) yield* Scope.addFinalizer(scope.value, Fiber.await(fiber))
  }))

/** The same body with its stream changed. */
export const through = (
  body: Streamed,
  change: (stream: ByteStream) => ByteStream,
  length: number | undefined = body.length
): Streamed => ({ ...body, stream: change(body.stream), length })

/** The body is not going to be sent: what is open for it is closed at once, before the request's scope is. */
export const discard = (body: Body): Effect.Effect<void> => body._tag === "Bytes" ? Effect.void : body.close

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
      Stream.concat(Stream.drain(Stream.fromEffect(Effect.suspend(() => size < length ? wrong(size) : Effect.void))))
    )
  })
}

/** Breaks the client's connection where the stream fails: else it would be ended as if it were whole. */
export const breaking = (stream: ByteStream, breakConnection: () => void): ByteStream =>
  onStreamFailure(stream, Effect.sync(breakConnection))

/** A part of a stream. */
export const cut = (stream: ByteStream, { first, last }: Range.Part): ByteStream =>
  Stream.suspend(() => {
    let end = 0
    return stream.pipe(
      Stream.map((chunk) => {
        const at = end
        end += chunk.byteLength
        return chunk.subarray(Math.max(0, first - at), Math.max(0, last + 1 - at))
      }),
      Stream.takeUntil(() => end > last),
      Stream.filter((bytes) => bytes.byteLength > 0)
    )
  })
