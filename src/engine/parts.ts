/** Parts of the content of a response (RFC 9110 §14). */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import * as Answers from "../protocol/Answer.js"
import * as Range from "../protocol/Range.js"
import * as Body from "./body.js"
import type { Answer, Outgoing } from "./origin.js"
import type { Reader } from "./sharedBody.js"

/** What is divided: `fields` are those that its client is told. */
interface Divided extends Omit<Answer, "fields" | "isStored"> {
  readonly fields: Outgoing["fields"]
  /** Of a body that others read too. */
  readonly reader: Reader | undefined
}

/** One part of it, also where it is still coming. */
export const partOf = (
  answer: Divided,
  coming: Body.Streamed | undefined,
  bytes: Uint8Array | undefined,
  part: Range.Part,
  breakConnection: () => void
): Body.Body => {
  const { reader } = answer
  const start = answer.range?.first ?? 0
  const within = { first: part.first - start, last: part.last - start }
  if (coming === undefined) return Body.ofBytes((bytes ?? Body.none).subarray(within.first, within.last + 1))
  const whole = reader === undefined
    ? coming
    : Body.closable(Body.measured(reader.partial, Range.saidLength(answer)), undefined, reader.decline)
  return Body.through(
    whole,
    (stream) => Body.breaking(Body.cut(stream, within), breakConnection),
    part.last + 1 - part.first
  )
}

/** Several parts in one body. */
export const several = (answer: Divided, bytes: Uint8Array, parts: ReadonlyArray<Range.Part>, size: number) => {
  const start = answer.range?.first ?? 0
  const boundary = randomUUID()
  const chunks = parts.flatMap((part) => [
    Buffer.from(Answers.headOfPart(answer.fields, part, size, boundary)),
    bytes.subarray(part.first - start, part.last + 1 - start)
  ])
  chunks.push(Buffer.from(Answers.endOfParts(boundary)))
  const length = chunks.reduce((sum, { byteLength }) => sum + byteLength, 0)
  return {
    fields: Answers.fieldsOfParts(answer.fields, boundary, length),
    body: Body.closable(Stream.fromIterable(chunks), length, Effect.void)
  }
}
