/** Parts of a complete response (RFC 9110 §14). */
import { seconds } from "./CacheControl.js"
import * as EntityTag from "./EntityTag.js"
import * as Fields from "./Fields.js"
import * as HttpDate from "./HttpDate.js"

/** Positions of bytes, both within the part. */
export interface Part {
  readonly first: number
  readonly last: number
}

/** More parts, or parts that overlap, cost more than the whole: they are answered with it (RFC 9110 §14.2). */
const maxParts = 16

/**
 * `undefined` when the field is no byte range, and is ignored, or when it asks for the end of nothing, which is all of it;
 * empty when no part can be satisfied (RFC 9110 §14.1.2).
 */
const parse = (range: string, size: number): ReadonlyArray<Part> | undefined => {
  const match = /^bytes=(.*)$/i.exec(range)
  if (match === null) return undefined
  const specs = Fields.members(match[1]!)
  if (specs.length === 0 || specs.length > maxParts) return undefined
  const parts: Array<Part> = []
  for (const spec of specs) {
    const numbers = /^(\d*)-(\d*)$/.exec(spec)
    if (numbers === null || spec === "-") return undefined
    const [first, last] = [numbers[1]!, numbers[2]!]
    if (first === "") {
      if (Number(last) > 0 && size === 0) return undefined
      if (Number(last) > 0) parts.push({ first: Math.max(0, size - Number(last)), last: size - 1 })
    } else {
      if (last !== "" && Number(last) < Number(first)) return undefined
      const end = last === "" ? size - 1 : Math.min(Number(last), size - 1)
      if (Number(first) < size) parts.push({ first: Number(first), last: end })
    }
  }
  const overlaps = parts.some((part, index) =>
    parts.some((o, i) => i > index && o.first <= part.last && part.first <= o.last)
  )
  return overlaps ? undefined : parts
}

/** A date counts when it was a second old at least when it was given (RFC 9110 §8.8.2.2, §13.1.5). */
const isUnchanged = (ifRange: string, response: Fields.Fields, now: number): boolean => {
  const tag = EntityTag.parse(ifRange)
  if (tag !== undefined) {
    const current = EntityTag.inFields(response)
    return current !== undefined && EntityTag.strongEquals(tag, current)
  }
  const modified = HttpDate.parse(Fields.get(response, "last-modified"), now)
  const date = HttpDate.parse(Fields.get(response, "date"), now)
  return modified !== undefined && date !== undefined && date - modified >= 1000 &&
    HttpDate.parse(ifRange, now) === modified
}

/**
 * The parts of a complete `200` that a `GET` asks for: `undefined` is the whole, an empty list is none that it has, a
 * `416`.
 */
export const select = (
  method: string,
  request: Fields.Fields,
  answer: { readonly status: number; readonly fields: Fields.Fields },
  size: number,
  now: number
): ReadonlyArray<Part> | undefined => {
  const range = Fields.get(request, "range")
  if (method !== "GET" || answer.status !== 200 || range === undefined) return undefined
  const ifRange = Fields.get(request, "if-range")
  if (ifRange !== undefined && !isUnchanged(ifRange, answer.fields, now)) return undefined
  return parse(range, size)
}

/** What is there of a representation. */
export interface Extent extends Part {
  /** Of the whole. */
  readonly size: number
}

/**
 * The extent that a `206` says it has; `undefined` when it says none that its content can have (RFC 9110 §14.4). How many
 * bytes a stream has is what it says.
 */
export const extentOf = (contentRange: string | undefined, bytes: number | undefined): Extent | undefined => {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(contentRange ?? "")
  if (match === null) return undefined
  const [first, last, size] = [Number(match[1]), Number(match[2]), Number(match[3])]
  const said = last - first + 1
  return first <= last && last < size && said === (bytes ?? said) ? { first, last, size } : undefined
}

export const lengthOf = ({ first, last }: Part): number => last - first + 1

/** It is no part: it has all there is. */
export const isWhole = (extent: Extent): boolean => lengthOf(extent) === extent.size

const holds = (extent: Extent, parts: ReadonlyArray<Part>): boolean =>
  parts.every(({ first, last }) => first >= extent.first && last <= extent.last)

/** Asks for what is missing at one end, of this representation only (RFC 9111 §3.3); `undefined` when both are, or none is. */
export const completing = (
  { first, last, size }: Extent,
  etag: string
): { readonly [name: string]: string } | undefined => {
  if (first === 0) return last < size - 1 ? { "range": `bytes=${last + 1}-`, "if-range": etag } : undefined
  return last === size - 1 ? { "range": `bytes=0-${first - 1}`, "if-range": etag } : undefined
}

/** Whether two extents are the whole, one after the other. */
export const meets = (stored: Extent, added: Extent): boolean => {
  const [head, tail] = stored.first === 0 ? [stored, added] : [added, stored]
  return stored.size === added.size && head.first === 0 && tail.first === head.last + 1 && tail.last === tail.size - 1
}

/** The whole of two extents that meet (RFC 9111 §3.4). */
export const join = (
  [stored, one]: readonly [Extent, Uint8Array],
  [added, other]: readonly [Extent, Uint8Array]
): Uint8Array | undefined => {
  const [head, tail] = stored.first === 0 ? [one, other] : [other, one]
  if (!meets(stored, added)) return undefined
  const whole = new Uint8Array(stored.size)
  whole.set(head)
  whole.set(tail, head.byteLength)
  return whole
}

/** `Content-Range` of a part, or of none (RFC 9110 §14.4). */
export const contentRange = (part: Part | undefined, size: number): string =>
  part === undefined ? `bytes */${size}` : `bytes ${part.first}-${part.last}/${size}`

/** Which bytes of the whole a `206` with so many bytes has. */
export const extentOfAnswer = (
  status: number,
  response: Fields.Fields,
  bytes: number | undefined
): Extent | undefined => status === 206 ? extentOf(Fields.get(response, "content-range"), bytes) : undefined

/** How many bytes the content of an answer has, as its fields say; `undefined` where only the end will tell. */
export const saidLength = (
  { fields, status }: { readonly status: number; readonly fields: Fields.Fields }
): number | undefined => {
  const extent = extentOfAnswer(status, fields, undefined)
  return seconds(Fields.get(fields, "content-length")) ?? (extent === undefined ? undefined : lengthOf(extent))
}

export const setLength = (response: { [name: string]: string }, bytes: number): void => {
  response["content-length"] = String(bytes)
}

/** The fields of a `206` that has all there is, as those of a `200` (RFC 9110 §15.3.7). */
export const fieldsOfWhole = (response: Fields.Fields, extent: Extent): { [name: string]: string } => {
  const fields = Fields.without(response, new Set(["content-range"]))
  setLength(fields, extent.size)
  return fields
}

/** Asks for a part of the whole. */
export const isAsked = (request: Fields.Fields): boolean => Fields.get(request, "range") !== undefined

/** Whether all that a request is for is stored: of a part, the ranges within it. */
export const isHeld = (
  stored: { readonly headers: Fields.Fields; readonly range?: Extent | undefined },
  request: { readonly method: string; readonly fields: Fields.Fields },
  now: number
): boolean => {
  if (stored.range === undefined) return true
  const parts = select(request.method, request.fields, { status: 200, fields: stored.headers }, stored.range.size, now)
  return parts !== undefined && parts.length > 0 && holds(stored.range, parts)
}
