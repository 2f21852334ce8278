/** A part of content that is still coming, cut out of it. */
import type * as HttpBody from "@effect/platform/HttpBody"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Fields from "../protocol/Fields.js"
import * as Range from "../protocol/Range.js"
import * as Body from "./body.js"
import * as serverResponse from "./serverResponse.js"

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

/** A `206` with the part, or a `416` when there is none. `body`: all of it, of the answer. */
export const render = (
  answer: serverResponse.Answer,
  body: HttpBody.Stream,
  part: Range.Part | undefined,
  size: number,
  request: HttpServerRequest
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const head = serverResponse.headOfPart(answer, part, size)
  if (part === undefined) return Effect.as(Body.discard(body), head)
  const start = answer.range?.first ?? 0
  const within = { first: part.first - start, last: part.last - start }
  const sent = (stream: Body.ByteStream) => Body.breaking(cut(stream, within), request)
  const contentType = Fields.get(answer.fields, "content-type")
  return Effect.succeed(HttpServerResponse.setBody(head, Body.through(body, sent, contentType, Range.lengthOf(part))))
}
