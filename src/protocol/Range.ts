/** Parts of a complete response (RFC 9110 §14). */
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

/** `undefined` when the field is no byte range, and is ignored; empty when no part can be satisfied. */
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
      if (Number(last) > 0 && size > 0) parts.push({ first: Math.max(0, size - Number(last)), last: size - 1 })
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
    const current = EntityTag.parse(Fields.get(response, "etag") ?? "")
    return current !== undefined && EntityTag.strongEquals(tag, current)
  }
  const modified = HttpDate.parse(Fields.get(response, "last-modified") ?? "", now)
  const date = HttpDate.parse(Fields.get(response, "date") ?? "", now)
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

/** `Content-Range` of a part, or of none (RFC 9110 §14.4). */
export const contentRange = (part: Part | undefined, size: number): string =>
  part === undefined ? `bytes */${size}` : `bytes ${part.first}-${part.last}/${size}`
