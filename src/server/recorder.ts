/** What a handler sees of its request while it answers, and what it read of it. */
import type * as Headers from "@effect/platform/Headers"
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as UrlParams from "@effect/platform/UrlParams"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as CacheKey from "../protocol/CacheKey.js"
import * as Fields from "../protocol/Fields.js"
import type * as Vary from "../protocol/Vary.js"
import * as Body from "../engine/body.js"
import type { View } from "../engine/origin.js"
import type { Policy } from "../policy/policy.js"
import { Reads } from "../protocol/Reads.js"
import { Shown } from "./handOver.js"
import { isStandIn, isWeb, original, originalUrlOf, readersOf, sourceWith, standIn, withFields } from "./request.js"

type Recording = Pick<Policy, "cacheControl" | "expiry" | "origin" | "query" | "unkeyed" | "vary">

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

/** Whoever holds one of these can see the whole request. */
const sources: ReadonlySet<PropertyKey> = new Set([
  "response",
  "resolvedResponse",
  "headersOverride",
  "remoteAddressOverride",
  "peerAddressOverride"
])

const fieldsOf = (fields: Headers.Headers, reads: Reads): Headers.Headers =>
  recorded(fields, (name) => reads.field(name), () => reads.unnameable.add("all fields"))

const cookiesOf = (cookies: HttpServerRequest["cookies"], reads: Reads): HttpServerRequest["cookies"] => {
  const note = (name?: PropertyKey) => {
    if (typeof name !== "symbol") reads.credentials.add("cookie")
  }
  return recorded(cookies, note, note)
}

const nothing = readersOf(Body.none)

/** The request as a handler sees it: the view, and of its target what the key has. `reads` is told what is read of it. */
const shownAs = (
  request: HttpServerRequest,
  view: View,
  query: Recording["query"],
  reads: Reads | undefined
): HttpServerRequest => {
  // Somebody may have read Node's message to its end.
  const content = view.hasBody || isWeb(original(request).source) ? undefined : nothing
  return standIn(request, (name, target) => {
    const read = content?.(name, target)
    if (read !== undefined) return read
    if (name === "originalUrl") return originalUrlOf(target, view, query)
    if (name === "source") {
      reads?.unnameable.add("the request's source")
      // A source with content can't be copied: the handler gets it as it is.
      if (view.hasBody) return undefined
      const url = isWeb(target.source) ? originalUrlOf(target, view, query) : CacheKey.narrow(target.url, query)
      return sourceWith(target.source, view.method, url, target.headers)
    }
    if (reads === undefined) return undefined
    if (name === "headers") return fieldsOf(target.headers, reads)
    if (name === "cookies") return cookiesOf(target.cookies, reads)
    if (name === "remoteAddress" || name === "peerAddress") reads.unnameable.add("the remote address")
    if (sources.has(name)) reads.unnameable.add("the request's source")
    return undefined
  })
}

/** What an effect answers, and what it reads of the request. */
export const recording = <A, E, R>(
  effect: Effect.Effect<A, E, R | HttpServerRequest>,
  request: HttpServerRequest,
  view: View
): Effect.Effect<{ readonly exit: Exit.Exit<A, E>; readonly reads: Reads }, never, R> =>
  Effect.suspend(() => {
    const reads = new Reads()
    const shown = shownAs(withFields(request, view, view.fields), view, "all", reads)
    const read = Effect.mapInputContext(effect, (context: Context.Context<R>) =>
      Context.add(context, HttpServerRequest, shown))
    return Effect.map(Effect.exit(read), (exit) => ({ exit, reads }))
  })

const searchParams = (url: string): Shown["searchParams"] => {
  const mark = url.indexOf("?")
  return UrlParams.toRecord(UrlParams.fromInput(new URLSearchParams(mark === -1 ? "" : url.slice(mark + 1))))
}

/** The request with these fields, and of its target what the key has; what is read of it is recorded where the policy needs that. */
export const show = (request: HttpServerRequest, view: View, fields: Fields.Fields, policy: Recording): Shown => {
  const { cacheControl, expiry, query, unkeyed } = policy
  const reads = expiry === undefined && unkeyed === "ignore" && cacheControl !== "public" ? undefined : new Reads()
  const url = CacheKey.narrow(view.url, query)
  const shown = shownAs(withFields(request, { url }, fields), view, query, reads)
  return new Shown(shown, url === request.url ? undefined : searchParams(url), reads)
}

/** Records these fields as read, for a cache above: the handler that is not run would have read them. */
export const countAsRead = (request: HttpServerRequest, names: Vary.Vary): void => {
  if (isStandIn(request)) { for (const name of names) Fields.get(request.headers, name) }
}
