/** What does this client need of a response: all of it, parts, or a `304`, `412` or `416`? (RFC 9110 §13, §14, §15) */
import { inSeconds } from "./CacheControl.js"
import * as Fields from "./Fields.js"
import * as Preconditions from "./Preconditions.js"
import * as Range from "./Range.js"

/** A response as far as it decides what is sent of it. */
export interface Response {
  readonly status: number
  readonly fields: Fields.Fields
  /** It comes from a storage. */
  readonly isStored: boolean
  /** Bytes of the whole; `undefined` where only the end will tell. */
  readonly size: number | undefined
  /** It is the whole, of which a client may be sent a part. */
  readonly isDivisible: boolean
  /** It comes while it is sent: several parts of it would have to be put in order first. */
  readonly isComing: boolean
}

type Needed =
  | { readonly _tag: "All" }
  | { readonly _tag: "NotModified" }
  | { readonly _tag: "Failed" }
  /** Without a part: none of those that were asked for is there. */
  | { readonly _tag: "Parts"; readonly parts: ReadonlyArray<Range.Part>; readonly size: number }

const all: Needed = { _tag: "All" }
const notModified: Needed = { _tag: "NotModified" }
const failed: Needed = { _tag: "Failed" }

/** `isOrigin`: the route is the origin of its responses. */
export const needed = (
  response: Response,
  request: { readonly method: string; readonly fields: Fields.Fields },
  isOrigin: boolean,
  now: number
): Needed => {
  const { isStored, size } = response
  const verdict = Preconditions.evaluateResponse(request.method, request.fields, response, {
    now,
    isOrigin: isOrigin && !isStored,
    isCache: isStored && !isOrigin
  })
  if (verdict === "not-modified") return notModified
  if (verdict === "failed") return failed
  if (!response.isDivisible || size === undefined) return all
  const parts = Range.select(request.method, request.fields, response, size, now)
  if (parts === undefined || (response.isComing && parts.length > 1)) return all
  return { _tag: "Parts", parts, size }
}

// RFC 9110 §15.3.5, §15.3.6, §15.4.5
export const hasNoContent = (status: number): boolean => status === 204 || status === 205 || status === 304

// RFC 9110 §15.4.5: what describes the content that isn't sent. An ETag makes Last-Modified unnecessary.
const aboutContent = new Set([
  "content-digest",
  "content-encoding",
  "content-language",
  "content-length",
  "content-md5",
  "content-range",
  "content-type",
  "repr-digest",
  "transfer-encoding"
])
const aboutContentAndDate = new Set([...aboutContent, "last-modified"])

/** The fields of a `304`. */
export const fieldsOfNotModified = (response: Fields.Fields): { [name: string]: string } =>
  Fields.without(response, Fields.get(response, "etag") === undefined ? aboutContent : aboutContentAndDate)

/** The fields of a `412` or a `416`: none that has another cache keep it for who asks without a condition or a range. */
export const fieldsOfFailed = (response: Fields.Fields): { [name: string]: string } =>
  Fields.only(response, ["cache-status", "date", "etag", "vary"])

/** The fields of a `206` with this part, or of a `416` when there is none (RFC 9110 §15.3.7, §15.5.17). */
export const fieldsOfPart = (
  response: Fields.Fields,
  part: Range.Part | undefined,
  size: number
): { [name: string]: string } => {
  const fields = part === undefined ? fieldsOfFailed(response) : Fields.copy(response)
  fields["content-range"] = Range.contentRange(part, size)
  if (part !== undefined) Range.setLength(fields, Range.lengthOf(part))
  return fields
}

/** The fields of a `206` with several parts, each of which has its own `Content-Range` (RFC 9110 §15.3.7.2). */
export const fieldsOfParts = (
  response: Fields.Fields,
  boundary: string,
  length: number
): { [name: string]: string } => {
  const fields = Fields.without(response, new Set(["content-range"]))
  fields["content-type"] = `multipart/byteranges; boundary=${boundary}`
  Range.setLength(fields, length)
  return fields
}

/** What stands before a part among several. */
export const headOfPart = (response: Fields.Fields, part: Range.Part, size: number, boundary: string): string => {
  const type = Fields.get(response, "content-type")
  return `\r\n--${boundary}\r\n${type === undefined ? "" : `content-type: ${type}\r\n`}` +
    `content-range: ${Range.contentRange(part, size)}\r\n\r\n`
}

export const endOfParts = (boundary: string): string => `\r\n--${boundary}--\r\n`

/** The fields of a stored response that are this moment's: `Age`, in seconds (RFC 9111 §5.1). */
export const ageOf = (age: number): { [name: string]: string } => ({ age: String(inSeconds(age)) })

/** The freshness that is ours counts from now. */
export const withoutAge = (fields: { [name: string]: string }): void => {
  delete fields["age"]
}

/** A response of the cache's own that no other is to keep. */
export const fieldsOfNotStored: Fields.Fields = { "cache-control": "no-store" }
