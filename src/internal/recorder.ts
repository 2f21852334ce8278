/** What a handler sees of its request while it answers, and what it read of it. */
import type * as Headers from "@effect/platform/Headers"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as CacheKey from "../protocol/CacheKey.js"
import * as Fields from "../protocol/Fields.js"
import * as Vary from "../protocol/Vary.js"
import type { Policy } from "./options.js"
import { isStandIn, standIn } from "./serverRequest.js"

type Recording = Pick<Policy<unknown>, "expiry" | "origin" | "query" | "unkeyed" | "vary">

/**
 * Fields that may be read without being part of the key, since they say nothing of the representation, or are heeded
 * already. `Host` is counted all the same where `origin` replaces it in the key.
 */
export const uncounted: ReadonlySet<string> = new Set([
  // Part of the key.
  "host",
  // The platform reads them for its traces.
  "traceparent",
  "tracestate",
  "b3",
  "x-b3-traceid",
  "x-b3-spanid",
  "x-b3-parentspanid",
  "x-b3-sampled",
  "x-b3-flags",
  // HTTP evaluates them: what depends on them has a status or directives of its own (RFC 9110 §13, §14; RFC 9111 §5.2.1).
  "if-match",
  "if-none-match",
  "if-modified-since",
  "if-unmodified-since",
  "if-range",
  "range",
  "cache-control",
  "pragma",
  // Of the message and its connection, not of what is asked for.
  "content-length",
  "connection",
  "upgrade"
])

/** What no field name stands for. */
type Unnameable = "all fields" | "the remote address" | "the request's source"

/** What was read, in words, of a stream that reads after its head has gone out. */
export const late = "more while its body was sent"

/** What was read so far: a body that is still made may read more. */
export class Reads {
  readonly fields = new Set<string>()
  readonly unnameable = new Set<Unnameable>()
  credentials = false

  /** How much: it grows with each read of something else. */
  get count(): number {
    return this.fields.size + this.unnameable.size + Number(this.credentials)
  }

  /** After all fields there are no single ones. The names of fields are lower-case; another name reads nothing. */
  field(name: PropertyKey): void {
    if (typeof name !== "string" || this.unnameable.has("all fields")) return
    if (Vary.isPersonal([name])) this.credentials = true
    // Those of HTTP/2, which no `Vary` can name.
    else if (name.startsWith(":")) this.unnameable.add("the request's source")
    else if (Fields.isToken(name) && name === name.toLowerCase()) this.fields.add(name)
  }
}

/** Tells what is read of a record: by name, or as a whole. Its target is empty, since `util.inspect` looks through a proxy. */
const recorded = <A extends object>(record: A, one: (name: PropertyKey) => void, all: () => void): A =>
  new Proxy(Object.create(Object.getPrototypeOf(record) as object | null) as A, {
    get: (_, name) => {
      one(name)
      return Reflect.get(record, name)
    },
    has: (_, name) => {
      one(name)
      return Reflect.has(record, name)
    },
    getOwnPropertyDescriptor: (_, name) => {
      one(name)
      const own = Reflect.getOwnPropertyDescriptor(record, name)
      return own === undefined ? undefined : { ...own, configurable: true }
    },
    ownKeys: () => {
      all()
      return Reflect.ownKeys(record)
    }
  })

/** Whoever holds these can see everything, as of the source. */
const sources: ReadonlySet<PropertyKey> = new Set([
  "response",
  "resolvedResponse",
  "headersOverride",
  "remoteAddressOverride"
])

const fieldsOf = (fields: Headers.Headers, reads: Reads): Headers.Headers =>
  recorded(fields, (name) => reads.field(name), () => reads.unnameable.add("all fields"))

const cookiesOf = (cookies: HttpServerRequest["cookies"], reads: Reads): HttpServerRequest["cookies"] => {
  const note = (name?: PropertyKey) => {
    if (typeof name !== "symbol") reads.credentials = true
  }
  return recorded(cookies, note, note)
}

/** What the key has of a target, and no more. */
const targetOf = (url: string, { origin, query }: Pick<Recording, "origin" | "query">): string => {
  const narrowed = CacheKey.narrow(url, query)
  return origin === undefined ? narrowed : CacheKey.relocate(narrowed, origin)
}

const shownAs = (
  request: HttpServerRequest,
  policy: Pick<Recording, "origin" | "query">,
  reads: Reads | undefined
): HttpServerRequest =>
  standIn(request, (name, target) => {
    if (name === "originalUrl") return targetOf(target.originalUrl, policy)
    if (name === "source") return sourceOf(target, policy, reads)
    if (reads === undefined) return undefined
    if (name === "headers") return fieldsOf(target.headers, reads)
    if (name === "cookies") return cookiesOf(target.cookies, reads)
    if (name === "remoteAddress") reads.unnameable.add("the remote address")
    if (sources.has(name)) reads.unnameable.add("the request's source")
    return undefined
  })

/** The request fields that an effect reads: of what reads all or the source, all but the uncounted ones. */
export const readBy = <A, E, R>(
  effect: Effect.Effect<A, E, R | HttpServerRequest>,
  request: HttpServerRequest
): Effect.Effect<Vary.Vary, never, R> =>
  Effect.suspend(() => {
    const reads = new Reads()
    const shown = shownAs(request, { origin: undefined, query: "all" }, reads)
    const read = Effect.mapInputContext(effect, (context: Context.Context<R>) =>
      Context.add(context, HttpServerRequest, shown))
    return Effect.map(Effect.exit(read), () =>
      reads.unnameable.size > 0
        ? Object.keys(request.headers).filter((name) =>
          !uncounted.has(name)
        )
        : [...reads.fields])
  })

/** Of the web adapter it has the target as the handler sees it; Node's is what it is. */
const sourceOf = (
  { source }: HttpServerRequest,
  policy: Pick<Recording, "origin" | "query">,
  reads: Reads | undefined
): object | undefined => {
  reads?.unnameable.add("the request's source")
  if (!(source instanceof Request) || source.body !== null) return undefined
  const url = targetOf(source.url, policy)
  return url === source.url ? undefined : new Request(url, source)
}

export interface Shown {
  readonly request: HttpServerRequest
  /** What a router made of the query, where the handler sees less of it. */
  readonly searchParams: { readonly [name: string]: string | Array<string> } | undefined
  readonly reads: Reads | undefined
}

const searchParams = (url: string): Shown["searchParams"] => {
  const mark = url.indexOf("?")
  return UrlParams.toRecord(UrlParams.fromInput(new URLSearchParams(mark === -1 ? "" : url.slice(mark + 1))))
}

/** The request without what the key leaves out of its target; what is read of it is told where the route wants to know. */
export const show = (request: HttpServerRequest, policy: Recording): Shown => {
  const { expiry, unkeyed } = policy
  const reads = expiry === undefined && unkeyed === "ignore" ? undefined : new Reads()
  const url = targetOf(request.url, policy)
  const isNarrowed = url !== request.url
  if (reads === undefined && !isNarrowed && targetOf(request.originalUrl, policy) === request.originalUrl) {
    return { request, searchParams: undefined, reads }
  }
  return {
    request: shownAs(isNarrowed ? request.modify({ url }) : request, policy, reads),
    searchParams: isNarrowed ? searchParams(url) : undefined,
    reads
  }
}

/** For a cache above: a handler that is not run has read what selects the response that stands for its answer. */
export const countAsRead = (request: HttpServerRequest, names: Vary.Vary): void => {
  if (isStandIn(request)) { for (const name of names) Fields.get(request.headers, name) }
}

/** The fields that were read and that neither the route's `vary` nor the response's `Vary` names. */
export const unkeyedFields = (
  reads: Reads | undefined,
  { origin, vary }: Recording,
  response: Fields.Fields = {}
): Vary.Vary => {
  if (reads === undefined) return []
  const named = Vary.parse(Fields.get(response, "vary"))
  const isKeyed = (name: string) => vary.includes(name) || named.includes(name)
  const isCounted = (name: string) => !uncounted.has(name) || (name === "host" && origin !== undefined)
  return Vary.of([...reads.fields].filter((name) => isCounted(name) && !isKeyed(name)))
}

export interface Verdict {
  /** It read who is asking. */
  readonly credentials: boolean
  /** What else it read that nothing tells apart: field names, or in words. */
  readonly unkeyed: ReadonlyArray<string>
  /** What it read that is added to `Vary`. */
  readonly added: Vary.Vary
}

export const judge = (reads: Reads | undefined, policy: Recording, response: Fields.Fields): Verdict => {
  if (reads === undefined) return { credentials: false, unkeyed: [], added: [] }
  const { credentials, unnameable } = reads
  if (policy.unkeyed === "ignore") {
    const seesAll = unnameable.has("all fields") || unnameable.has("the request's source")
    return { credentials: credentials || seesAll, unkeyed: [], added: [] }
  }
  return policy.unkeyed === "vary"
    ? { credentials, unkeyed: [...unnameable], added: unkeyedFields(reads, policy) }
    : { credentials, unkeyed: [...unnameable, ...unkeyedFields(reads, policy, response)], added: [] }
}
