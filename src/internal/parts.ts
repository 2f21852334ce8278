/** A part of content that is still coming, cut out of it. */
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Fields from "../protocol/Fields.js"
import * as Range from "../protocol/Range.js"
import * as Body from "./body.js"
import type { Fill } from "./fill.js"
import * as serverResponse from "./serverResponse.js"

/** Content that is still coming, and is read only where it is sent. */
export interface Coming {
  readonly stream: Effect.Effect<Body.ByteStream>
  /** It is stored to its end, also where its client reads only a part. */
  readonly goOn: Effect.Effect<unknown>
}

export const ofStream = (stream: Body.ByteStream): Coming => ({ stream: Effect.succeed(stream), goOn: Effect.void })

/** Milliseconds that what no client reads may take. */
export const ofFill = (fill: Fill, deadline: number): Coming => ({
  stream: fill.reader,
  goOn: Effect.flatMap(
    fill.reader,
    (rest) =>
      Effect.forkDaemon(Effect.interruptible(Effect.timeoutOption(Effect.exit(Stream.runDrain(rest)), deadline)))
  )
})

const cut = (stream: Body.ByteStream, { first, last }: Range.Part): Body.ByteStream =>
  stream.pipe(
    Stream.mapAccum(0, (at, chunk) => {
      const end = at + chunk.byteLength
      const bytes = chunk.subarray(Math.max(0, first - at), Math.max(0, last + 1 - at))
      return [end, { bytes, isLast: end > last }]
    }),
    Stream.takeUntil(({ isLast }) => isLast),
    Stream.map(({ bytes }) => bytes),
    Stream.filter((bytes) => bytes.byteLength > 0)
  )

/** A `206` with the part, or a `416` when there is none. */
export const render = (
  answer: serverResponse.Answer,
  part: Range.Part | undefined,
  size: number,
  coming: Coming,
  request: HttpServerRequest
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const head = serverResponse.headOfPart(answer, part, size)
  if (part === undefined) {
    Body.discard(answer.body)
    return Effect.succeed(head)
  }
  const start = answer.range?.first ?? 0
  const within = { first: part.first - start, last: part.last - start }
  return Effect.map(Effect.zipLeft(coming.stream, coming.goOn), (stream) => {
    const sent = Body.breaking(cut(stream, within), request)
    const contentType = Fields.get(answer.fields, "content-type")
    return HttpServerResponse.setBody(head, Body.ofStream(sent, contentType, Range.lengthOf(part)))
  })
}
