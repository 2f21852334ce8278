/** The platform's responses, as the engine has them and back. */
import * as Cookies from "@effect/platform/Cookies"
import type * as Headers from "@effect/platform/Headers"
import type * as HttpBody from "@effect/platform/HttpBody"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import { addTag } from "../engine/answers.js"
import * as Body from "../engine/body.js"
import { tellForThisClient } from "../engine/enclosing.js"
import { type Answer, noCookies, type Outgoing, type Run, type SetCookies } from "../engine/origin.js"
import type { Policy } from "../policy/policy.js"
import * as Answers from "../protocol/Answer.js"
import * as CacheControl from "../protocol/CacheControl.js"
import * as Fields from "../protocol/Fields.js"
import * as HttpDate from "../protocol/HttpDate.js"
import * as ServerBody from "./body.js"
import { isStandIn } from "./request.js"
import { linesOf, withLines } from "./setCookies.js"
import { fieldsOf, type Message, messageOf } from "./write.js"

type Response = HttpServerResponse.HttpServerResponse

/** The cookies of a response, taken out of the fields where those hold several lines. */
const cookiesOf = (response: Response, fields: { [name: string]: string }, keeps: Policy["cookies"]): SetCookies => {
  const field: unknown = response.headers["set-cookie"]
  if (keeps === "strip") {
    delete fields["set-cookie"]
    return noCookies
  }
  if (field === undefined && Cookies.isEmpty(response.cookies)) return noCookies
  if (Array.isArray(field)) {
    delete fields["set-cookie"]
    return { lines: linesOf(response.cookies, field) }
  }
  return { lines: linesOf(response.cookies, field), native: response.cookies }
}

/**
 * With a `Date`, the length of its content as it is, and the entity tag that the route wants; what a handler put into a
 * `204` is dropped. How the content is framed is for the server to say (RFC 9112 §6).
 */
export const toAnswer = (response: Response, method: string, policy: Policy, now: number): Answer => {
  const { status, statusText } = response
  const fields = Fields.texts(response.headers)
  const body = Answers.hasNoContent(status) ? Body.empty : ServerBody.fromPlatform(response.body, fields)
  const content = Body.bytesOf(body)
  if (status === 204 || status === 304) delete fields["content-length"]
  else if (status === 205) fields["content-length"] = "0"
  else if (method === "GET" && content !== undefined) fields["content-length"] = String(content.byteLength)
  delete fields["transfer-encoding"]
  // Each of several parts has its own.
  if (status === 206 && /^multipart\/byteranges\b/i.test(fields["content-type"] ?? "")) delete fields["content-range"]
  if (Fields.get(fields, "date") === undefined) fields["date"] = HttpDate.format(now)
  // A handler may answer HEAD without the content that a tag would be made from.
  const isWhole = content !== undefined && (method === "GET" || content.byteLength > 0)
  if (status === 200 && isWhole) addTag(fields, body, policy.etag)
  const cookies = cookiesOf(response, fields, policy.cookies)
  return { status, statusText, fields, cookies, body, isStored: false }
}

/** How the platform makes responses, without what it does to the fields of each. */
const responsePrototype: object = HttpServerResponse.empty()

type Mutable = { -readonly [Name in keyof Response]: Response[Name] }

const make = (
  status: number,
  statusText: string | undefined,
  headers: { readonly [name: string]: string },
  cookies: Cookies.Cookies,
  body: HttpBody.HttpBody
): Response => {
  const response = Object.create(responsePrototype) as Mutable
  response.status = status
  if (statusText !== undefined) response.statusText = statusText
  response.headers = headers as Headers.Headers
  response.cookies = cookies
  response.body = body
  return response
}

const madeOf = Symbol("effect-http-cache/madeOf")

/** A response that says what it was made of, of which the platform's type knows nothing. */
interface Marked {
  [madeOf]?: Outgoing
}

/** The message for many, if the response still equals it. */
export const messageIn = (response: Response): Message | undefined => {
  const outgoing = (response as Marked)[madeOf]
  if (outgoing === undefined) return undefined
  const message = messageOf(outgoing)
  const { body, cookies, headers, status } = response
  const bytes = body._tag === "Uint8Array" ? body.body : undefined
  const isSame = status === message.status && Cookies.isEmpty(cookies) &&
    (bytes === undefined
      ? body._tag === "Empty" && message.content === undefined
      : bytes === Body.bytesOf(outgoing.body)) &&
    Fields.areSame(headers, message.fields)
  return isSame ? message : undefined
}

/** A response of the platform's. */
export const fromOutgoing = (outgoing: Outgoing, request: HttpServerRequest): Response => {
  const { body, cookies, isForMany, status, statusText } = outgoing
  const own = ServerBody.toPlatform(body, Fields.get(outgoing.fields, "content-type"))
  const headers = isForMany === true
    ? { ...messageOf(outgoing).fields }
    : fieldsOf(outgoing, own._tag === "Empty" ? undefined : own.contentLength)
  const native = (cookies.native as Cookies.Cookies | undefined) ?? Cookies.empty
  const response = make(status, statusText, headers, native, own)
  if (isForMany === true) (response as Marked)[madeOf] = outgoing
  return cookies.native === undefined && cookies.lines.length > 0
    ? withLines(response, cookies.lines, request)
    : response
}

/** The response with what its handler said late. What a 304 says would take the place of what is stored. */
export const annotated = (response: Response, said: Run, targets: ReadonlyArray<string>): Response => {
  if (said.isRefused !== true && (said.expiry === undefined || response.status === 304)) return response
  const fields = CacheControl.annotated(
    Fields.texts(response.headers),
    response.status === 304 ? { isRefused: true } : said,
    targets
  )
  return amend(response, fields)
}

/** The response with these fields too, and with all lines of its cookies, which may be a list. */
export const amend = (response: Response, fields: Fields.Fields): Response => {
  const { body, cookies, headers, status, statusText } = response
  const { "set-cookie": _, ...own } = fields
  return make(status, statusText, Fields.merged(headers, own), cookies, body)
}

/** A response that passes by: a streamed body breaks off where it fails, and is dropped for `HEAD`. */
export const guarded = (
  response: Response,
  body: Body.Body | undefined,
  isDropped: boolean,
  breakConnection: () => void
): Response => {
  const { headers } = response
  if (isDropped) return withBody(response, ServerBody.toPlatform(Body.empty, undefined))
  if (body?._tag !== "Stream") return response
  const length = body.length ?? CacheControl.seconds(headers["content-length"])
  const guard = (stream: Body.ByteStream) => Body.breaking(Body.measured(stream, length), breakConnection)
  return withBody(response, ServerBody.toPlatform(Body.through(body, guard), headers["content-type"]))
}

/** Another body, with the fields as they are. */
const withBody = ({ cookies, headers, status, statusText }: Response, body: HttpBody.HttpBody): Response =>
  make(status, statusText, headers, cookies, body)

/** The platform has one empty body, which tells nothing of who answered with it. */
const withOwnBody = (response: Response): Response => {
  const { body } = response
  if (body._tag !== "Empty") return response
  const own = Object.create(Object.getPrototypeOf(body) as object, Object.getOwnPropertyDescriptors(body))
  return withBody(response, own as HttpBody.HttpBody)
}

/** What is not the whole of a response, as a client has asked for it. */
const partial: ReadonlySet<number> = new Set([206, 304, 412, 416])

/**
 * Tells the cache above that a cache beneath has made this response. It is known by its body, which `setHeader` and `setStatus`
 * keep. `request`: what it answers, the client's as the cache above shows it, or one that the handler has made itself.
 */
export const sign = (response: Response, above: Run, request: HttpServerRequest, isAsAsked = false): Response => {
  if (above.depth < 0) return response
  if ((isAsAsked || partial.has(response.status)) && isStandIn(request)) tellForThisClient(above)
  const signed = withOwnBody(response)
  above.answeredWith = signed.body
  return signed
}
