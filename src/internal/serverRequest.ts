/** `HttpServerRequest` to the protocol's view of a request, and the request that the handler gets. */
import * as Headers from "@effect/platform/Headers"
import { RequestError } from "@effect/platform/HttpServerError"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as CacheKey from "../protocol/CacheKey.js"
import * as Fields from "../protocol/Fields.js"

export interface View {
  readonly method: string
  readonly fields: Fields.Fields
  readonly target: CacheKey.Target
  readonly hasBody: boolean
  /** The target names another host than `Host`, which a handler may believe (RFC 9112 §3.2.2). */
  readonly isAmbiguous: boolean
}

/** What a handler is shown instead of: the cache's own reads are not the handler's. */
const originals = new WeakMap<HttpServerRequest, HttpServerRequest>()

const original = (request: HttpServerRequest): HttpServerRequest => originals.get(request) ?? request

export const isStandIn = (request: HttpServerRequest): boolean => originals.has(request)

/** `undefined` where the property is as it is. */
type Properties = (name: PropertyKey, target: HttpServerRequest) => unknown

/** The request with properties of its own, which stay when it is modified. */
const withProperties = (request: HttpServerRequest, own: Properties, standsIn: boolean): HttpServerRequest => {
  const other = new Proxy(request, {
    get: (target, name) => {
      if (name === "modify") {
        return (options: Parameters<HttpServerRequest["modify"]>[0]) =>
          withProperties(target.modify(options), own, standsIn)
      }
      const value = own(name, target)
      return value === undefined ? Reflect.get(target, name, target) : value
    },
    getOwnPropertyDescriptor: (target, name) => {
      const present = Reflect.getOwnPropertyDescriptor(target, name)
      const value = own(name, target)
      return present === undefined || value === undefined ? present : { ...present, value }
    }
  })
  if (standsIn) originals.set(other, original(request))
  return other
}

/** What a handler is shown; a cache beneath sees the request itself. */
export const standIn = (request: HttpServerRequest, own: Properties): HttpServerRequest =>
  withProperties(request, own, true)

/** Node's request knows whether its connection is encrypted; the web adapter's target is absolute. */
const isEncrypted = (request: HttpServerRequest): boolean => {
  const { socket } = request.source as { readonly socket?: { readonly encrypted?: boolean } }
  return socket?.encrypted === true
}

/** There is content, and how much is not said: HTTP/2 needs no field for that. */
const isLengthUnsaid = ({ headers, source }: HttpServerRequest): boolean => {
  const { stream } = source as { readonly stream?: { readonly endAfterHeaders?: boolean } }
  return Fields.get(headers, "transfer-encoding") !== undefined ||
    (stream?.endAfterHeaders === false && Fields.get(headers, "content-length") === undefined)
}

/** `origin` replaces what the request says of scheme and host. */
export const view = (given: HttpServerRequest, origin: string | undefined): View => {
  const request = original(given)
  const fields = request.headers
  const host = Fields.get(fields, "host") ?? Fields.get(fields, ":authority")
  const target = CacheKey.target(
    request.originalUrl,
    CacheKey.origin(isEncrypted(request) ? "https" : "http", host ?? "")
  )
  const scheme = target.origin.slice(0, target.origin.indexOf("://"))
  return {
    method: request.method,
    fields,
    target: origin === undefined ? target : { ...target, origin },
    isAmbiguous: host !== undefined && CacheKey.origin(scheme, host) !== target.origin,
    hasBody: (Fields.get(fields, "content-length") ?? "0") !== "0" || isLengthUnsaid(request)
  }
}

/** The request without what the client has, and with what the cache asks for itself. */
export const asking = (
  request: HttpServerRequest,
  clientCopy: ReadonlySet<string>,
  conditions: Fields.Fields | undefined
): HttpServerRequest => {
  const own = original(request).headers
  const present = [...clientCopy].filter((name) => Fields.get(own, name) !== undefined)
  if (present.length === 0 && conditions === undefined) return request
  const headers = Headers.remove(own, present)
  return request.modify({ headers: conditions === undefined ? headers : Headers.setAll(headers, conditions) })
}

/** What the adapters' readers look at: a web `Request`, or Node's message. */
const sourceWith = (source: HttpServerRequest["source"], fields: Fields.Fields): object =>
  source instanceof Request
    ? new Request(source.url, { headers: fields })
    : Object.create(source as object, {
      method: { value: "GET" },
      headers: { value: fields },
      rawHeaders: { value: Object.entries(fields).flat() },
      headersDistinct: { value: Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, [value]])) }
    }) as object

/** A `GET` of the same target with these fields and no others, from nowhere. It is nobody's, so no cache above sees it read. */
export const withOnly = (request: HttpServerRequest, fields: Fields.Fields): HttpServerRequest => {
  const own = original(request)
  const others: { readonly [name: PropertyKey]: unknown } = {
    method: "GET",
    source: sourceWith(own.source, fields),
    remoteAddress: Option.none()
  }
  const modified = own.modify({ headers: Headers.fromInput(fields) })
  return withProperties(modified, (name) => Object.hasOwn(others, name) ? others[name] : undefined, false)
}

/** A longer query is no part of a variant. Bytes. */
const maxQueryBytes = 64 * 1024

/** The request with its content read, for a handler to read again; `undefined` when it is long, or its length isn't said. */
export const readContent = (
  request: HttpServerRequest
): Effect.Effect<{ readonly request: HttpServerRequest; readonly content: Uint8Array } | undefined, RequestError> => {
  const own = original(request)
  const { headers } = own
  const { body } = own.source as { readonly body?: unknown }
  const isUnsaid = isLengthUnsaid(own) || (body !== undefined && body !== null)
  const length = Number(Fields.get(headers, "content-length") ?? (isUnsaid ? NaN : 0))
  if (!(length <= maxQueryBytes)) return Effect.succeed(undefined)
  const content = length === 0 ? Effect.succeed(new ArrayBuffer(0)) : request.arrayBuffer
  return Effect.map(content, (buffer) => ({ request: withContent(request, buffer), content: new Uint8Array(buffer) }))
}

const withContent = (request: HttpServerRequest, content: ArrayBuffer): HttpServerRequest => {
  const text = Effect.sync(() => new TextDecoder().decode(content))
  const unreadable = (cause: unknown) => new RequestError({ request, reason: "Decode", cause })
  const readers: { readonly [name: PropertyKey]: unknown } = {
    arrayBuffer: Effect.sync(() => content.slice()),
    text,
    json: Effect.tryMap(text, { try: (text) => text === "" ? null : JSON.parse(text) as unknown, catch: unreadable }),
    urlParamsBody: Effect.map(text, (text) => UrlParams.fromInput(new URLSearchParams(text))),
    stream: Stream.sync(() => new Uint8Array(content.slice()))
  }
  return standIn(request, (name) => Object.hasOwn(readers, name) ? readers[name] : undefined)
}
