/** Makes the engine's view of a request, and the request that the handler is shown. */
import * as Headers from "@effect/platform/Headers"
import { fromWeb, type HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Body from "../engine/body.js"
import type { View } from "../engine/origin.js"
import type { Policy } from "../policy/policy.js"
import * as CacheKey from "../protocol/CacheKey.js"
import * as Fields from "../protocol/Fields.js"
import * as Preconditions from "../protocol/Preconditions.js"
import * as Vary from "../protocol/Vary.js"
import { HandOvers, handOvers, handOversOf, link, ownCopy, shownTo } from "./handOver.js"
import { failedAs, hasAbsoluteUrl } from "./platform.js"

/** What a stand-in stands for. */
export const original = (request: HttpServerRequest): HttpServerRequest => handOversOf(request)?.original ?? request

export const isStandIn = (request: HttpServerRequest): boolean => handOversOf(request)?.original !== undefined

/** `undefined` where the property is as it is. */
type Properties = (name: PropertyKey, target: HttpServerRequest) => unknown

/** These and no others. */
const propertiesOf = (own: { readonly [name: PropertyKey]: unknown }): Properties => (name) =>
  Object.hasOwn(own, name) ? own[name] : undefined

/** What reads the content as a whole. */
const reading: ReadonlySet<PropertyKey> = new Set(["arrayBuffer", "json", "stream", "text", "urlParamsBody"])

/** What may fail with an error that names the request. */
const failing: ReadonlySet<PropertyKey> = new Set([
  ...reading,
  "multipart",
  "multipartStream",
  "upgrade",
  "upgradeWith"
])

/** The error names the request that was asked, and none beneath that shows more. */
const failingAs = (request: HttpServerRequest, value: unknown): unknown => {
  const named = (error: unknown) => failedAs(request, error)
  if (typeof value === "function") {
    return (...options: ReadonlyArray<unknown>) => failingAs(request, Reflect.apply(value, undefined, options))
  }
  if (Effect.isEffect(value)) return Effect.mapError(value, named)
  // Of those that may fail, what is no effect is a stream.
  return Stream.mapError(value as Stream.Stream<unknown, unknown, unknown>, named)
}

/** A request with properties of its own, which stay when it is modified. */
class Modified implements ProxyHandler<HttpServerRequest> {
  private readonly own: Properties
  private readonly known: HandOvers

  constructor(own: Properties, original: HttpServerRequest | undefined) {
    this.own = own
    this.known = new HandOvers(original)
  }

  get(target: HttpServerRequest, name: PropertyKey, other: HttpServerRequest): unknown {
    if (name === handOvers) return this.known
    const shown = shownTo(other, name)
    if (shown !== undefined) return Reflect.get(shown, name, shown) as unknown
    if (name === "modify") {
      return (options: Parameters<HttpServerRequest["modify"]>[0]) => {
        const copy = withProperties(ownCopy(target, options), this.own, this.known.original !== undefined)
        link(copy, other)
        return copy
      }
    }
    const value = this.own(name, target) ?? Reflect.get(target, name, target) as unknown
    if (name === "onError") return (cause: unknown) => failedAs(other, (value as (cause: unknown) => unknown)(cause))
    if (!failing.has(name)) return value
    return failingAs(other, typeof value === "function" ? value.bind(target) : value)
  }

  getOwnPropertyDescriptor(target: HttpServerRequest, name: PropertyKey): PropertyDescriptor | undefined {
    const present = Reflect.getOwnPropertyDescriptor(target, name)
    const value = this.own(name, target)
    return present === undefined || value === undefined ? present : { ...present, value }
  }
}

const withProperties = (request: HttpServerRequest, own: Properties, standsIn: boolean): HttpServerRequest =>
  new Proxy(request, new Modified(own, standsIn ? original(request) : undefined))

/** What a handler is shown; a cache beneath sees the request itself. */
export const standIn = (request: HttpServerRequest, own: Properties): HttpServerRequest =>
  withProperties(request, own, true)

export const isWeb = (source: unknown): source is Request => source instanceof Request

/** Node's request knows whether its connection is encrypted. Over HTTP/2, where the client has left, only the scheme that it named is known. */
export const isEncrypted = (source: unknown): boolean => {
  const { scheme, socket, stream } = source as {
    readonly scheme?: string
    readonly socket?: { readonly encrypted?: boolean }
    readonly stream?: { readonly destroyed?: boolean }
  }
  return socket?.encrypted === true || (stream?.destroyed === true && scheme === "https")
}

/** There is content, and how much is not said: HTTP/2 needs no field for that. */
export const isLengthUnsaid = (headers: Fields.Fields, source: unknown): boolean => {
  const { stream } = source as { readonly stream?: { readonly endAfterHeaders?: boolean } }
  return Fields.get(headers, "transfer-encoding") !== undefined ||
    (stream?.endAfterHeaders === false && Fields.get(headers, "content-length") === undefined)
}

/** What Node has of a request. */
export interface Breakable {
  /** Of HTTP/2. */
  readonly stream?: { readonly close?: (code: number) => void }
  readonly destroy?: () => void
}

/** The client is to notice that not all of the answer has come. Over HTTP/2 an INTERNAL_ERROR says so of one stream (RFC 9113 §7). */
export const breakOff = (source: Breakable): void => {
  source.stream?.close?.(2)
  source.destroy?.()
}

const schemeOf = ({ originalUrl, source }: HttpServerRequest): string =>
  isWeb(source) ? originalUrl.split(":", 1)[0]! : isEncrypted(source) ? "https" : "http"

/** The end-to-end fields in their one spelling. `host`: as the key has it. */
export const fieldsOf = (headers: Fields.Fields, host: string): Fields.Fields => {
  const fields = Fields.endToEnd(headers)
  // The target may name the host in the place of the field, and no `Connection` takes it away (RFC 9112 §3.2.2).
  fields["host"] = host
  if (host === "") delete fields["host"]
  return Vary.spelled(fields)
}

/** A middleware may have set the host that a proxy was asked for: over HTTP/2 that is the authority too. */
const withOneHost = ({ headers, source }: HttpServerRequest): Fields.Fields => {
  const host = Fields.get(headers, "host")
  if (host === undefined || Fields.get(headers, ":authority") === undefined) return headers
  // Node's message has what the client has said.
  const { headers: said } = source as { readonly headers?: Fields.Fields }
  return host === said?.["host"] ? headers : Fields.merged(headers, { ":authority": host })
}

const asTheyAre: Policy["normalising"] = new Map()

/** `origin` replaces what the request says of scheme and host. */
export const view = (
  given: HttpServerRequest,
  origin: string | undefined,
  normalising: Policy["normalising"] = asTheyAre
): View => {
  const request = original(given)
  const headers = withOneHost(request)
  const { originalUrl } = given
  const scheme = schemeOf(request)
  // The target of HTTP/2 names the host by it (RFC 9113 §8.3.1).
  const authority = Fields.get(headers, ":authority")
  const host = Fields.get(headers, "host") ?? authority
  const keyed = CacheKey.ofRequest(originalUrl, scheme, host, origin, authority)
  const hostInKey = CacheKey.hostOf(origin === undefined ? keyed.target.origin : CacheKey.origin(scheme, host ?? ""))
  const url = CacheKey.narrow(request.url, "all")
  const { isAmbiguous, ownOrigin, target } = keyed
  const fields = fieldsOf(headers, hostInKey)
  const normalised = Vary.normalised(fields, normalising)
  return {
    method: request.method,
    fields: normalised ?? fields,
    condition: Preconditions.condition(fields),
    isUnnormalised: normalised === undefined,
    target,
    ownOrigin,
    url,
    isRewritten: url !== CacheKey.pathOf(target),
    hasBody: (Fields.get(headers, "content-length") ?? "0") !== "0" || isLengthUnsaid(headers, request.source),
    isAmbiguous,
    asksToUpgrade: Fields.asksToUpgrade(headers)
  }
}

/** What the key has of the target, in the form that the adapter has it in. */
export const originalUrlOf = (
  { source }: HttpServerRequest,
  { target }: Pick<View, "target">,
  selection: CacheKey.QuerySelection
): string => {
  const { origin, path, query } = target
  const narrowed = CacheKey.narrow(query === undefined ? path : `${path}?${query}`, selection)
  return hasAbsoluteUrl(source) ? `${origin}${narrowed}` : narrowed
}

/** The request with the view's target, and with these fields. */
export const withFields = (request: HttpServerRequest, { url }: Pick<View, "url">, fields: Fields.Fields) =>
  ownCopy(request, { url, headers: Headers.unsafeFromRecord(Fields.copy(fields)) })

/** What the adapters' readers look at, a web `Request` or Node's message: without content, with this target and these fields. */
export const sourceWith = (source: unknown, method: string, url: string, fields: Fields.Fields): object =>
  isWeb(source)
    ? new Request(url, { method, headers: fields })
    : Object.create(source as object, {
      method: { value: method },
      url: { value: url },
      headers: { value: fields },
      rawHeaders: { value: Object.entries(fields).flat() },
      headersDistinct: { value: Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, [value]])) }
    }) as object

/** A `GET` of the same target with these fields and no others, from nowhere. It is nobody's, so no cache above sees it read. */
export const withOnly = (request: HttpServerRequest, view: View, fields: Fields.Fields): HttpServerRequest => {
  const own = original(request)
  const originalUrl = originalUrlOf(own, view, "all")
  const others = propertiesOf({
    method: "GET",
    source: sourceWith(own.source, "GET", isWeb(own.source) ? originalUrl : view.url, fields),
    originalUrl,
    remoteAddress: Option.none(),
    peerAddress: Option.none()
  })
  return withProperties(withFields(own, view, fields), others, false)
}

/** A longer query is no part of a variant. Bytes. */
const maxQueryBytes = 64 * 1024

/** Where a request has content that has come already. */
const held = Symbol("effect-http-cache/content")

/**
 * Reads content that has come already, as often as a handler asks, since what the adapters have can be read once. `web`: the
 * request that it is of, where that is one of the web. On Node `json` of no content is `null`.
 */
export const readersOf = (content: Uint8Array, web?: Request): Properties => (name) => {
  if (name === held) return content
  if (name === "source" ? web === undefined : !reading.has(name)) return undefined
  if (name === "json" && content === Body.none) return Effect.succeed(null)
  const made = new Request(web ?? "http://a", { method: "QUERY", body: content })
  return Reflect.get(fromWeb(made), name)
}

/**
 * The request with its content read, for a handler to read again; `undefined` when it is long, its length isn't said, somebody has
 * read it before, or it is of several parts, which only the platform takes apart.
 */
export const readContent = (
  request: HttpServerRequest
): Effect.Effect<{ readonly request: HttpServerRequest; readonly content: Uint8Array } | undefined, unknown> => {
  const { [held]: known } = request as { readonly [held]?: Uint8Array }
  // A cache above has read it.
  if (known !== undefined) return Effect.succeed({ request, content: known })
  const { headers, source } = original(request)
  const { body, readableDidRead } = source as { readonly body?: unknown; readonly readableDidRead?: boolean }
  const hasBody = body !== undefined && body !== null
  const length = Number(Fields.get(headers, "content-length") ?? (hasBody || isLengthUnsaid(headers, source) ? NaN : 0))
  const isOfParts = /^\s*multipart\//i.test(Fields.get(headers, "content-type") ?? "")
  if (length === 0 && !hasBody) return Effect.succeed({ request, content: Body.none })
  if (!(length <= maxQueryBytes) || isOfParts || readableDidRead === true) return Effect.succeed(undefined)
  return Effect.map(request.arrayBuffer, (buffer) => {
    const content = new Uint8Array(buffer)
    return { request: standIn(request, readersOf(content, isWeb(source) ? source : undefined)), content }
  })
}
