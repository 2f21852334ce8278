/** The `Cache-Control` field (RFC 9111 §5.2): read, told apart from what can't be read, and written for clients. */
import { type Dictionary, parseDictionary } from "structured-headers"
import * as Fields from "./Fields.js"

export interface Directive {
  /** Lower-case. */
  readonly name: string
  readonly value?: string
  /** False for a member that isn't `token [ "=" ( token / quoted-string ) ]`. */
  readonly valid: boolean
}

const member = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:=(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)|"((?:[^"\\]|\\.)*)"))?$/s
const tokens = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/g

/** In order. Of a member that can't be read, each token is a directive, since it may be a restriction. */
export const parse = (value: string): ReadonlyArray<Directive> =>
  Fields.members(value).flatMap((text): ReadonlyArray<Directive> => {
    const match = member.exec(text)
    if (match === null) {
      return (text.match(tokens) ?? []).map((name) => ({ name: name.toLowerCase(), valid: false }))
    }
    const name = match[1]!.toLowerCase()
    const argument = match[2] ?? match[3]?.replace(/\\(.)/gs, "$1")
    return [argument === undefined ? { name, valid: true } : { name, value: argument, valid: true }]
  })

const formatValue = (value: string): string => Fields.isToken(value) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`

export const format = (directives: ReadonlyArray<Directive>): string =>
  directives.map(({ name, value }) => value === undefined ? name : `${name}=${formatValue(value)}`).join(", ")

/** The largest number of seconds: 2^31 (RFC 9111 §1.2.2). */
export const maxSeconds = 2_147_483_648

/** `undefined` when the text isn't delta-seconds. */
export const seconds = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+$/.test(text) ? Math.min(Number(text), maxSeconds) : undefined

/** Milliseconds as delta-seconds. */
export const inSeconds = (millis: number): number => Math.min(Math.floor(millis / 1000), maxSeconds)

/** A directive that may name fields: all of the response, only these fields, or absent. */
type Restriction = "all" | ReadonlyArray<string> | undefined

/** What binds a cache. Numbers are seconds; freshness that can't be read is 0. */
export interface ResponseDirectives {
  readonly noStore: boolean
  readonly noCache: Restriction
  readonly private: Restriction
  readonly public: boolean
  /** `public`, or an `s-maxage` that can be read: it may be shared. */
  readonly shareable: boolean
  /** What permits to share the response to a request with `Authorization` (RFC 9111 §3.5). */
  readonly permitsAuthorization: boolean
  readonly mustRevalidate: boolean
  readonly proxyRevalidate: boolean
  readonly mustUnderstand: boolean
  readonly maxAge: number | undefined
  readonly sMaxAge: number | undefined
  /** RFC 5861 §3; `undefined` when it can't be read. */
  readonly staleWhileRevalidate: number | undefined
  /** RFC 5861 §4; `undefined` when it can't be read. */
  readonly staleIfError: number | undefined
}

const has = (directives: ReadonlyArray<Directive>, name: string): boolean => directives.some((d) => d.name === name)

/** For a permission: one that can't be read permits nothing. */
const says = (directives: ReadonlyArray<Directive>, name: string): boolean =>
  directives.some((d) => d.name === name && d.valid && d.value === undefined)

// RFC 9111 §5.2.2.4, §5.2.2.7: only a list of names that can be read is the qualified form.
const restriction = (directives: ReadonlyArray<Directive>, name: string): Restriction => {
  const named = directives.filter((d) => d.name === name)
  if (named.length === 0) return undefined
  const fields: Array<string> = []
  for (const { valid, value } of named) {
    const names = value === undefined ? [] : Fields.members(value)
    if (!valid || names.length === 0 || !names.every(Fields.isToken)) return "all"
    for (const field of names) fields.push(field.toLowerCase())
    // Without them what is stored would be another response to the next cache.
    if (fields.includes("vary") || fields.includes("cache-control") || fields.includes("expires")) return "all"
  }
  return fields
}

// RFC 9111 §4.2.1: values that conflict or can't be read make the response stale.
const freshness = (directives: ReadonlyArray<Directive>, name: string): number | undefined => {
  const values = directives.filter((d) => d.name === name).map((d) => d.valid ? seconds(d.value) ?? 0 : 0)
  return values.every((value) => value === values[0]) ? values[0] : 0
}

/** The first counts. */
const secondsOf = (directives: ReadonlyArray<Directive>, name: string): number | undefined =>
  seconds(directives.find((d) => d.name === name)?.value)

export const response = (value: string | undefined): ResponseDirectives =>
  value === undefined ? none : bindingOf(parse(value))

/**
 * The directives of the first of the targeted fields that has any, in place of those of `Cache-Control` and of `Expires`
 * (RFC 9213 §2.2); `undefined` when none has.
 */
export const targeted = (fields: Fields.Fields, targets: ReadonlyArray<string>): ResponseDirectives | undefined => {
  for (const target of targets) {
    const value = Fields.get(fields, target)
    const directives = value === undefined ? undefined : readDictionary(value)
    if (directives !== undefined) return bindingOf(directives)
  }
  return undefined
}

const deltas = new Set(["max-age", "s-maxage", "stale-if-error", "stale-while-revalidate"])

/**
 * `undefined` when it is empty, or no dictionary. A value of a type that a directive doesn't have is unreadable
 * (RFC 9213 §2.1); what is false isn't said.
 */
const readDictionary = (value: string): ReadonlyArray<Directive> | undefined => {
  let dictionary: Dictionary
  try {
    // The parser reads the Decimal 60.0 as the Integer 60. It is made 60.5 here, which is no Integer either.
    dictionary = parseDictionary(value.replace(/(?<==\d+\.)0/g, "5"))
  } catch {
    return undefined
  }
  if (dictionary.size === 0) return undefined
  return Array.from(dictionary).flatMap(([name, [item]]): ReadonlyArray<Directive> => {
    if (item === false) return []
    if (item === true) return [{ name, valid: true }]
    if (typeof item === "string" && !deltas.has(name)) return [{ name, value: item, valid: true }]
    if (typeof item === "number" && Number.isInteger(item)) return [{ name, value: String(item), valid: true }]
    return [{ name, valid: false }]
  })
}

const bindingOf = (directives: ReadonlyArray<Directive>): ResponseDirectives => {
  const shareable = says(directives, "public") ||
    directives.some((d) => d.name === "s-maxage" && d.valid && seconds(d.value) !== undefined)
  return {
    noStore: has(directives, "no-store"),
    noCache: restriction(directives, "no-cache"),
    private: restriction(directives, "private"),
    public: says(directives, "public"),
    shareable,
    permitsAuthorization: shareable || says(directives, "must-revalidate"),
    mustRevalidate: has(directives, "must-revalidate"),
    proxyRevalidate: has(directives, "proxy-revalidate"),
    mustUnderstand: says(directives, "must-understand"),
    maxAge: freshness(directives, "max-age"),
    sMaxAge: freshness(directives, "s-maxage"),
    staleWhileRevalidate: secondsOf(directives, "stale-while-revalidate"),
    staleIfError: secondsOf(directives, "stale-if-error")
  }
}

/** Of a response without `Cache-Control`. */
const none = bindingOf([])

/** Without what is for shared caches only (RFC 9111 §5.2.2.7, §5.2.2.8, §5.2.2.10). A `private` one may always be kept. */
export const forOneUser = (directives: ResponseDirectives): ResponseDirectives => ({
  ...directives,
  private: undefined,
  public: directives.public || directives.private !== undefined,
  proxyRevalidate: false,
  sMaxAge: undefined
})

/** Seconds; `maxStale` is `Infinity` when no number was given. */
export interface RequestDirectives {
  readonly noStore: boolean
  readonly noCache: boolean
  readonly onlyIfCached: boolean
  readonly maxAge: number | undefined
  readonly minFresh: number | undefined
  readonly maxStale: number | undefined
}

export const noRequestDirectives: RequestDirectives = {
  noStore: false,
  noCache: false,
  onlyIfCached: false,
  maxAge: undefined,
  minFresh: undefined,
  maxStale: undefined
}

/** `Pragma: no-cache` counts where there is no `Cache-Control` (RFC 9111 §5.4). */
export const request = (fields: Fields.Fields): RequestDirectives => {
  const value = Fields.get(fields, "cache-control") ?? Fields.get(fields, "pragma")
  if (value === undefined) return noRequestDirectives
  const directives = parse(value)
  const pragma = Fields.get(fields, "cache-control") === undefined
  if (pragma) return { ...noRequestDirectives, noCache: has(directives, "no-cache") }
  const maxStale = directives.find((d) => d.name === "max-stale")
  return {
    noStore: has(directives, "no-store"),
    noCache: has(directives, "no-cache"),
    onlyIfCached: directives.some((d) => d.name === "only-if-cached" && d.valid),
    maxAge: freshness(directives, "max-age"),
    minFresh: secondsOf(directives, "min-fresh"),
    maxStale: maxStale === undefined || !maxStale.valid
      ? undefined
      : maxStale.value === undefined
      ? Infinity
      : seconds(maxStale.value)
  }
}

/** What a handler says of its response, beside its fields. Milliseconds. */
export interface Said {
  readonly isRefused?: boolean
  readonly expiry?: number
}

/** `CDN-Cache-Control` and its kin, by which a cache may go instead (RFC 9213 §2.1). */
const isTargeted = (name: string): boolean => name.endsWith("-cache-control") || name === "surrogate-control"

/**
 * The fields that change, as if the response said it itself. What is refused says nothing else to any cache; freshness that
 * the response states is left alone.
 */
export const annotated = (
  fields: Fields.Fields,
  { expiry, isRefused }: Said,
  targets: ReadonlyArray<string>
): Fields.Fields => {
  if (isRefused === true) {
    const others = Object.keys(fields).filter((name) => isTargeted(name) || targets.includes(name))
    return Fields.from(["cache-control", ...others].map((name) => [name, "no-store"]))
  }
  if (expiry === undefined || Fields.get(fields, "expires") !== undefined) return {}
  const own = Fields.get(fields, "cache-control")
  const directives = own === undefined ? [] : parse(own)
  if (has(directives, "max-age") || has(directives, "s-maxage")) return {}
  const maxAge = format([{ name: "max-age", value: String(inSeconds(expiry)), valid: true }])
  return { "cache-control": own === undefined ? maxAge : `${own}, ${maxAge}` }
}

/** What a route says to clients where the handler says nothing. Milliseconds. */
export interface Advice {
  readonly expiry: number | undefined
  readonly sharedExpiry: number | undefined
  readonly cacheControl: "public" | "private" | undefined
  readonly clients: "expiry" | "revalidate" | "nothing"
}

/** What clients are told of one response, beside the advice of its route. */
export interface Told {
  /** The route's `expiry` is its freshness. */
  readonly expires: boolean
  /** That of its status, in place of the route's. Milliseconds. */
  readonly ownExpiry?: number | undefined
  /** It must not be offered to shared caches. */
  readonly private: boolean
}

/** The `Cache-Control` that clients are told: the route's directives, then the handler's own. */
export const forClients = (
  own: string | undefined,
  advice: Advice,
  told: Told
): string | undefined => {
  const directives = own === undefined ? [] : parse(own)
  const isPrivate = says(directives, "private")
  // A cache that understands the status does not heed it then (RFC 9111 §5.2.2.3).
  const noStore = says(directives, "no-store") && !says(directives, "must-understand")
  const added: Array<Directive> = []
  const say = (name: string, value?: number) => {
    added.push(value === undefined ? { name, valid: true } : { name, value: String(value), valid: true })
  }

  if (told.private && !isPrivate && !noStore) say("private")
  const mayBePublic = !told.private && restriction(directives, "private") !== "all" && !noStore
  if (mayBePublic && advice.cacheControl === "public" && !has(directives, "public")) say("public")
  const isFresh = has(directives, "max-age") || has(directives, "s-maxage")
  if (told.expires && !isFresh && advice.expiry !== undefined && !noStore && !has(directives, "no-cache")) {
    if (advice.clients === "revalidate") say("no-cache")
    if (advice.clients === "expiry") {
      say("max-age", inSeconds(told.ownExpiry ?? advice.expiry))
      if (mayBePublic && advice.sharedExpiry !== undefined && told.ownExpiry === undefined) {
        say("s-maxage", inSeconds(advice.sharedExpiry))
      }
    }
  }
  if (told.private && !isPrivate) {
    const shared = new Set(["public", "private", "s-maxage"])
    const kept = directives.filter(({ name }) => !shared.has(name))
    if (kept.length < directives.length) return format([...added, ...kept])
  }
  if (added.length === 0) return own
  return own === undefined || own === "" ? format(added) : `${format(added)}, ${own}`
}
