/** `HttpServerResponse` to and from what is stored: take the bytes; render `200`, `304`, `412` and `HEAD`. */
import * as Cookies from "@effect/platform/Cookies"
import * as HttpBody from "@effect/platform/HttpBody"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createHash, randomUUID } from "node:crypto"
import type { CacheItem } from "../CacheItem.js"
import { inSeconds, seconds } from "../protocol/CacheControl.js"
import * as EntityTag from "../protocol/EntityTag.js"
import * as Fields from "../protocol/Fields.js"
import * as HttpDate from "../protocol/HttpDate.js"
import type { Verdict } from "../protocol/Preconditions.js"
import * as Range from "../protocol/Range.js"
import * as Validation from "../protocol/Validation.js"
import * as Vary from "../protocol/Vary.js"
import * as Body from "./body.js"
import { linesOf } from "./setCookies.js"

/** A response on its way to the client. Its fields are its own and may be changed. */
export interface Answer {
  readonly status: number
  readonly statusText: string | undefined
  readonly fields: { [name: string]: string }
  readonly cookies: Cookies.Cookies
  /** The `Set-Cookie` lines to send instead of the cookies and the field. */
  readonly lines?: ReadonlyArray<string> | undefined
  readonly body: HttpBody.HttpBody
  /** The content is that of a storage: nobody writes into it. */
  readonly isStored: boolean
  /** Which bytes of the whole the content is, where a part is stored. */
  readonly range?: Range.Extent | undefined
}

// RFC 9110 §15.3.5, §15.3.6, §15.4.5
const hasNoContent = (status: number): boolean => status === 204 || status === 205 || status === 304

const hasSeveralParts = (status: number, fields: Fields.Fields): boolean =>
  status === 206 && /^multipart\/byteranges\b/i.test(Fields.get(fields, "content-type") ?? "")

const addTag = (
  fields: { [name: string]: string },
  content: Uint8Array | undefined,
  strength: "strong" | "weak" | "none"
): void => {
  if (content === undefined || strength === "none" || Fields.get(fields, "etag") !== undefined) return
  fields["etag"] = entityTag(fields, content, strength)
}

/**
 * With a `Date`, the length of its content as it is, and the entity tag that the route wants; what a handler put into a
 * `204` is dropped. How the content is framed is for the server to say (RFC 9112 §6).
 */
export const fromHandler = (
  response: HttpServerResponse.HttpServerResponse,
  method: string,
  options: { readonly etag: "strong" | "weak" | "none"; readonly cookies: "refuse" | "strip" | "store" },
  now: number
): Answer => {
  const { status, statusText } = response
  const fields = Fields.from(Object.entries(response.headers))
  const body = hasNoContent(status) ? HttpBody.empty : Body.readable(response.body, fields)
  const content = Body.bytes(body)
  if (status === 204 || status === 304) delete fields["content-length"]
  else if (status === 205) fields["content-length"] = "0"
  else if (method === "GET" && content !== undefined) fields["content-length"] = String(content.byteLength)
  delete fields["transfer-encoding"]
  if (hasSeveralParts(status, fields)) delete fields["content-range"]
  if (Fields.get(fields, "date") === undefined) fields["date"] = HttpDate.format(now)
  // A handler may answer HEAD without the content that a tag would be made from.
  const isWhole = content !== undefined && (method === "GET" || content.byteLength > 0)
  if (status === 200 && isWhole) addTag(fields, content, options.etag)
  const own = { status, statusText, fields, body, isStored: false }
  if (options.cookies !== "strip" && !Array.isArray(fields["set-cookie"])) return { ...own, cookies: response.cookies }
  const lines = options.cookies === "strip" ? undefined : linesOf(response.cookies, fields["set-cookie"])
  delete fields["set-cookie"]
  return { ...own, cookies: Cookies.empty, lines }
}

/** The response with other fields, and with all lines of its cookies, which may be a list. */
export const withFields = (
  response: HttpServerResponse.HttpServerResponse,
  fields: Fields.Fields
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.setHeaders(response, Fields.without(fields, new Set(["set-cookie"])))

/** A response that passes by: a streamed body breaks off where it fails, and is closed where it is not sent. */
export const guarded = (
  response: HttpServerResponse.HttpServerResponse,
  request: HttpServerRequest
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const { body, headers } = response
  if (request.method === "HEAD") {
    return Effect.as(Body.discard(body), withFields(HttpServerResponse.setBody(response, HttpBody.empty), headers))
  }
  if (body._tag !== "Stream") return Effect.succeed(response)
  const length = body.contentLength ?? seconds(headers["content-length"])
  const guard = (stream: Body.ByteStream) => Body.breaking(Body.measured(stream, length), request)
  const guarded = Body.through(Body.closable(body), guard, headers["content-type"], body.contentLength)
  return Effect.succeed(HttpServerResponse.setBody(response, guarded))
}

/** How many bytes its content has, as it says itself; `undefined` where only the end will tell. */
export const lengthOf = ({ fields, status }: Answer): number | undefined => {
  const extent = status === 206 ? Range.extentOf(Fields.get(fields, "content-range"), undefined) : undefined
  return seconds(Fields.get(fields, "content-length")) ?? (extent === undefined ? undefined : Range.lengthOf(extent))
}

/** Which bytes of the whole a `206` has. */
export const extentOf = (answer: Answer): Range.Extent | undefined => {
  if (answer.status !== 206) return undefined
  const bytes = Body.bytes(answer.body)?.byteLength ?? lengthOf(answer)
  return Range.extentOf(Fields.get(answer.fields, "content-range"), bytes)
}

/** A `206` that has all there is, as the `200` that it is (RFC 9110 §15.3.7). */
export const asWhole = (own: Answer, etag: "strong" | "weak" | "none"): Answer => {
  const extent = extentOf(own)
  if (extent === undefined || !Range.isWhole(extent)) return own
  const fields = Fields.without(own.fields, new Set(["content-range"]))
  fields["content-length"] = String(extent.size)
  addTag(fields, Body.bytes(own.body), etag)
  return { ...own, status: 200, statusText: undefined, fields }
}

/** Adds to the `Vary` of an answer. */
export const nominate = ({ fields }: Answer, names: Vary.Vary): void => {
  const vary = Vary.told(Fields.get(fields, "vary"), names)
  if (vary !== undefined) fields["vary"] = vary
}

/** `age` in milliseconds; a stored response says how old it is (RFC 9111 §5.1). */
export const fromItem = (item: CacheItem, age: number): Answer => {
  const fields = Fields.from(Object.entries(item.headers))
  fields["age"] = String(inSeconds(age))
  return {
    // A part is of a 200, and rendered as what is asked of it.
    status: item.range === undefined ? item.status : 200,
    statusText: undefined,
    fields,
    cookies: Cookies.empty,
    lines: item.cookies.length === 0 ? undefined : item.cookies,
    body: Body.of(item.body, Fields.get(item.headers, "content-type")),
    isStored: true,
    range: item.range
  }
}

/** Whether all that a request is for is stored: of a part, the ranges within it. */
export const isHeld = (
  item: CacheItem,
  request: { readonly method: string; readonly fields: Fields.Fields },
  now: number
): boolean => {
  if (item.range === undefined) return true
  const answer = { status: 200, fields: item.headers }
  const parts = Range.select(request.method, request.fields, answer, item.range.size, now)
  return parts !== undefined && parts.length > 0 && Range.holds(item.range, parts)
}

/**
 * What is stored, with the fields of a newer answer about it: the whole that a `304` stands for, or `completed`, of its
 * type, that a `206` completes it to.
 */
export const freshened = (
  item: CacheItem,
  newer: Answer,
  completed?: (contentType: string | undefined) => HttpBody.HttpBody
): Answer => {
  const fields = Validation.update(item.headers, newer.fields)
  delete fields["set-cookie"]
  const newLines = cookieLines(newer)
  const contentType = Fields.get(fields, "content-type")
  const body = completed === undefined ? Body.of(item.body, contentType) : completed(contentType)
  if (completed !== undefined && item.range !== undefined) fields["content-length"] = String(item.range.size)
  return {
    status: completed === undefined ? item.status : 200,
    statusText: undefined,
    fields,
    cookies: Cookies.empty,
    lines: newLines.length === 0 ? item.cookies : newLines,
    body,
    isStored: true
  }
}

export const cookieLines = ({ cookies, fields, lines }: Answer): ReadonlyArray<string> =>
  lines ?? linesOf(cookies, Fields.get(fields, "set-cookie"))

/** The same bytes under another type or coding are another representation (RFC 9110 §8.8.3.3). */
export const entityTag = (fields: Fields.Fields, content: Uint8Array, strength: "strong" | "weak"): string => {
  const digest = createHash("sha256")
  for (const name of ["content-type", "content-encoding", "content-language"]) {
    digest.update(`${Fields.get(fields, name) ?? ""}\n`)
  }
  const opaque = digest.update(content).digest("base64url").slice(0, 27)
  return EntityTag.format({ weak: strength === "weak", opaque })
}

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
const ofFailure = ["cache-status", "date", "etag", "vary"]

const headersOf = ({ fields }: Answer, verdict: Verdict): Fields.Fields => {
  if (verdict === "proceed") return fields
  if (verdict === "failed") return Fields.from(Object.entries(fields).filter(([name]) => ofFailure.includes(name)))
  const hasTag = Fields.get(fields, "etag") !== undefined
  return Fields.without(fields, hasTag ? new Set([...aboutContent, "last-modified"]) : aboutContent)
}

const statuses = { "failed": 412, "not-modified": 304 } as const

/** What a client gets: the answer as it is, as a `304` or as a `412`; without content for `HEAD`. */
export const render = (
  answer: Answer,
  method: string,
  verdict: Verdict
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const response = HttpServerResponse.empty({
    status: verdict === "proceed" ? answer.status : statuses[verdict],
    statusText: verdict === "proceed" ? answer.statusText : undefined,
    headers: headersOf(answer, verdict),
    cookies: answer.cookies
  })
  if (verdict !== "proceed" || method === "HEAD" || answer.body._tag === "Empty") {
    return Effect.as(Body.discard(answer.body), response)
  }
  return Effect.succeed(HttpServerResponse.setBody(response, answer.body))
}

/** The head of a `206` with this part, or of a `416` when there is none (RFC 9110 §15.3.7, §15.5.17). */
export const headOfPart = (
  { cookies, fields }: Answer,
  part: Range.Part | undefined,
  size: number
): HttpServerResponse.HttpServerResponse => {
  const range = { "content-range": Range.contentRange(part, size) }
  return part === undefined
    ? HttpServerResponse.empty({ status: 416, headers: { ...Fields.without(fields, aboutContent), ...range }, cookies })
    : HttpServerResponse.empty({ status: 206, headers: { ...fields, ...range }, cookies })
}

/** One part, several in `multipart/byteranges`, or none. */
export const renderParts = (
  answer: Answer,
  content: Uint8Array,
  parts: ReadonlyArray<Range.Part>
): HttpServerResponse.HttpServerResponse => {
  const { cookies, fields, range } = answer
  const size = range?.size ?? content.byteLength
  const start = range?.first ?? 0
  const contentType = Fields.get(fields, "content-type")
  const slice = ({ first, last }: Range.Part) => content.subarray(first - start, last + 1 - start)
  const [part, ...more] = parts
  if (part === undefined) return headOfPart(answer, undefined, size)
  if (more.length === 0) {
    return HttpServerResponse.setBody(headOfPart(answer, part, size), Body.of(slice(part), contentType))
  }
  const boundary = randomUUID()
  const chunks = parts.flatMap((part) => [
    Buffer.from(
      `\r\n--${boundary}\r\n${contentType === undefined ? "" : `content-type: ${contentType}\r\n`}` +
        `content-range: ${Range.contentRange(part, size)}\r\n\r\n`
    ),
    slice(part)
  ])
  // Each part has its own (RFC 9110 §15.3.7.2).
  const headers = Fields.without(fields, new Set(["content-range"]))
  chunks.push(Buffer.from(`\r\n--${boundary}--\r\n`))
  const length = chunks.reduce((sum, { byteLength }) => sum + byteLength, 0)
  return HttpServerResponse.setBody(
    HttpServerResponse.empty({ status: 206, headers, cookies }),
    Body.ofStream(Stream.fromIterable(chunks), `multipart/byteranges; boundary=${boundary}`, length)
  )
}
