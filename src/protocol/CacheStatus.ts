/** What was done with a request and why, and how `Cache-Status` says it (RFC 9211). */
import * as Fields from "./Fields.js"

/** Why the request went to the handler (RFC 9211 §2.2). */
export type ForwardReason =
  | "bypass"
  | "method"
  | "uri-miss"
  | "vary-miss"
  | "miss"
  | "request"
  | "stale"
  | "partial"

/** Every word that `detail` can be, with what it says. */
export const details = {
  "authorization": "made for a request with Authorization, and nothing permits to share it (RFC 9111 §3.5)",
  "body": "the request has content",
  "cookies": "the response sets cookies",
  "credentials": "the handler read Cookie or Authorization",
  "disabled": "Defaults.enabled says no",
  "field": "what vary makes of a field failed, or is no value of a field",
  "groups": "it is of more than 256 groups, or of one that has no name: what can't be named can't be collected",
  "head": "a response to HEAD has no content to store",
  "live": "a stream of events is for whoever listens now: text/event-stream and its kin",
  "no-freshness": "the response states no freshness, and no expiry applies to its status",
  "no-store": "Cache-Control: no-store",
  "not-bytes": "the content is neither bytes nor a stream of them, such as a web Response as a raw body",
  "not-kept": "the storage did not keep it: collected or replaced meanwhile, or too large for the storage",
  "not-modified": "a 304 that answers the client, not the cache",
  "partial": "a 206 that is no one part of a known size with a strong tag, or where the whole is stored",
  "partition": "the route's partition failed",
  "pre-response-handler": "a pre-response handler (cors, a cookie) was set inside withCache; it belongs outside",
  "private": "the response is private, and the route has no partition",
  "request-no-store": "the client's Cache-Control: no-store, or an open transaction of SQL",
  "spelling":
    "a field that selects was sent in a spelling of its own, and the handler saw that; the next one is shown ours",
  "status":
    "412, 416, 417, 428, 429, 431 or 511, which are for this client only; none that is final; or not understood",
  "storage": "the storage failed",
  "too-large": "the content is larger than maxBodyBytes, or the fields than 64 KiB",
  "unkeyed":
    "the handler read all fields, the remote address or the source; other fields each time; or (refuse) an unnamed one",
  "unsendable": "a field has a name or a value that can't be sent, such as one with a line break (RFC 9110 §5)",
  "vary": "Vary: *"
} as const

export type Detail = keyof typeof details

/** `only-if-cached`, and nothing that is stored can be reused: the request went nowhere. */
export interface NotCached {
  readonly _tag: "NotCached"
}

/** It was answered with what is stored. Milliseconds; what is stale has no `ttl` left. */
export interface Hit {
  readonly _tag: "Hit"
  readonly ttl: number
  readonly age: number
}

export const hit = ({ age, ttl }: Pick<Hit, "age" | "ttl">): Hit => ({ _tag: "Hit", ttl, age })

export interface Forwarded {
  readonly _tag: "Forwarded"
  readonly reason: ForwardReason
  readonly stored: boolean
  /** The handler's status, where another one is sent. */
  readonly status?: number | undefined
  readonly detail?: Detail | undefined
  /** It waited for another request; whether that one's response answers it (RFC 9211 §2.6). */
  readonly collapsed?: boolean | undefined
}

/** What left the cache for one request. */
export type Outcome = Hit | Forwarded

export interface Style {
  readonly name: string
  readonly detail: boolean
  readonly key: boolean
}

// RFC 8941 §3.3.4, §3.3.3
const isToken = (text: string): boolean => /^[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*$/.test(text)

const string = (text: string): string =>
  `"${text.replace(/[^\x20-\x7e]/g, (c) => `%${c.charCodeAt(0).toString(16)}`).replace(/["\\]/g, "\\$&")}"`

const names = new WeakMap<Style, string>()

const nameOf = (style: Style): string => {
  let name = names.get(style)
  if (name === undefined) names.set(style, name = isToken(style.name) ? style.name : string(style.name))
  return name
}

const member = (outcome: Outcome, style: Style, key: string): string => {
  const name = nameOf(style)
  if (outcome._tag === "Hit") {
    const hit = `${name}; hit; ttl=${Math.floor(outcome.ttl / 1000)}`
    return style.key ? `${hit}; key=${string(key)}` : hit
  }
  const parts = [name]
  parts.push(`fwd=${outcome.reason}`)
  if (outcome.status !== undefined) parts.push(`fwd-status=${outcome.status}`)
  if (outcome.stored) parts.push("stored")
  if (outcome.collapsed !== undefined) parts.push(outcome.collapsed ? "collapsed" : "collapsed=?0")
  if (style.key) parts.push(`key=${string(key)}`)
  if (style.detail && outcome.detail !== undefined) {
    parts.push(`detail=${outcome.detail}`)
  }
  return parts.join("; ")
}

/** What a span says of it. A time is in seconds. */
export const attributes = (outcome: Outcome | NotCached): { readonly [name: string]: string | number | boolean } => {
  if (outcome._tag === "NotCached") return { "cache.hit": false }
  if (outcome._tag === "Hit") {
    const { age, ttl } = outcome
    return { "cache.hit": true, "cache.ttl": Math.floor(ttl / 1000), "cache.age": Math.floor(age / 1000) }
  }
  const { collapsed = false, detail, reason, stored } = outcome
  const said = { "cache.hit": false, "cache.reason": reason, "cache.stored": stored, "cache.collapsed": collapsed }
  return detail === undefined ? said : { ...said, "cache.detail": detail }
}

/** Whether a cache of this name has said what it did. */
export const says = (response: Fields.Fields, style: Style): boolean => {
  const name = nameOf(style)
  return Fields.members(Fields.get(response, "cache-status") ?? "").some((member) =>
    member.startsWith(name) && /^[ \t]*(;|$)/.test(member.slice(name.length))
  )
}

/** Our member behind those of the caches before us (RFC 9211 §2). */
export const append = (response: Fields.Fields, outcome: Outcome, style: Style, key: string): string => {
  const upstream = Fields.get(response, "cache-status")
  const ours = member(outcome, style, key)
  return upstream === undefined || upstream === "" ? ours : `${upstream}, ${ours}`
}

/** Adds our member to the field in `fields`, behind what `response` has of it. */
export const add = (
  fields: { [name: string]: string },
  response: Fields.Fields,
  outcome: Outcome,
  style: Style,
  key: string
): void => {
  fields["cache-status"] = append(response, outcome, style, key)
}
