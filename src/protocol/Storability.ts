/** May I keep what the handler answered? (RFC 9111 §3) */
import * as CacheControl from "./CacheControl.js"
import * as CacheKey from "./CacheKey.js"
import type { Detail } from "./CacheStatus.js"
import * as EntityTag from "./EntityTag.js"
import * as Fields from "./Fields.js"
import * as Freshness from "./Freshness.js"
import { isLive } from "./Live.js"
import * as Range from "./Range.js"
import type { Terms } from "./Reuse.js"
import * as Vary from "./Vary.js"

/** What a route allows. Milliseconds. */
export interface Policy {
  /** Whether several users are answered; the cache of one user is bound by less. */
  readonly shared: boolean
  readonly expiry: number | undefined
  readonly sharedExpiry: number | undefined
  /** With an expiry of their own, in milliseconds, where they have one. */
  readonly statuses: ReadonlyMap<number, number | undefined>
  readonly cacheControl: "public" | "private" | undefined
  readonly maxBodyBytes: number
  readonly vary: Vary.Vary
  /** Targeted fields that are obeyed (RFC 9213), lower-case, the first first. */
  readonly targets: ReadonlyArray<string>
  readonly staleWhileRevalidate: number | undefined
  readonly staleIfError: number | undefined
  /** The largest part of `expiry` that is taken off by chance. */
  readonly jitter: number
  readonly retain: number | undefined
}

export interface Exchange extends Freshness.Times {
  readonly method: string
  readonly request: Fields.Fields
  readonly requestNoStore: boolean
  /** Whose response it is; `""` when nobody's. */
  readonly partition: string
  readonly status: number
  readonly response: Fields.Fields
  readonly setsCookies: boolean
  /** It adds to the response later what can't be seen now: a cookie, the fields of CORS. */
  readonly setsPreResponseHandler: boolean
  readonly readsCredentials: boolean
  /** It was made of what a cache beneath answered with for one user, or for another partition. */
  readonly isOfPersonal: boolean
  /** It was made of what neither the key nor `Vary` tells apart. */
  readonly readsUnkeyed: boolean
  /** `undefined` when it isn't known before the stream has ended. */
  readonly bodyBytes: number | undefined
  /** The content is neither bytes nor a stream of them. */
  readonly isOpaque: boolean
  /** From 0 to 1. */
  readonly chance: number
  /** A complete response is stored, which no part takes the place of. */
  readonly hasWhole: boolean
}

/** What is stored of a response beside its content. */
export interface ItemHead extends Terms, Freshness.Times {
  readonly range?: Range.Extent
  readonly status: number
  readonly headers: { readonly [name: string]: string }
  /** The cookies that it sets are not for others. */
  readonly withholdsCookies: boolean
  readonly vary: Vary.Vary
  readonly date: number
}

export type Storability =
  & {
    readonly told: CacheControl.Told
    /** It is for one user, or for nobody to keep; so is what else is made of it. */
    readonly isPersonal: boolean
  }
  & ({ readonly _tag: "Keep"; readonly kept: ItemHead } | { readonly _tag: "Refuse"; readonly detail: Detail })

const day = 86_400_000

/** What fields may take, in UTF-16 units. */
const maxFields = 65_536

/** Statuses whose caching requirements are implemented (RFC 9111 §5.2.2.3). */
const understood = new Set([200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 451, 501])

/**
 * Answers to a condition, a range or an expectation of this request, not to the next one's; and to what is wrong with this
 * client or its network (RFC 6585 §3 to §6).
 */
const ofThisRequest = new Set([412, 416, 417, 428, 429, 431, 511])

/** Whose eyes it is for: a `Set-Cookie` is refused here. What is refused is told to be private, so no other cache stores it. */
const personal = (
  exchange: Exchange,
  policy: Policy,
  directives: CacheControl.ResponseDirectives,
  vary: Vary.Vary,
  shareable: boolean
): Detail | undefined => {
  if (!policy.shared) return undefined
  if (exchange.setsCookies) return "cookies"
  if (exchange.setsPreResponseHandler) return "pre-response-handler"
  const isPrivate = directives.private === "all" || policy.cacheControl === "private" || Vary.isPersonal(vary)
  if (isPrivate && exchange.partition === "") return "private"
  if (shareable) return undefined
  if (exchange.readsUnkeyed) return "unkeyed"
  if (exchange.isOfPersonal) return "private"
  if (exchange.partition !== "") return undefined
  if (exchange.readsCredentials) return "credentials"
  // A route that says so permits it for what was made without a look at the credentials (RFC 9111 §3.5).
  const isAuthorized = Fields.get(exchange.request, "authorization") !== undefined
  return isAuthorized && !directives.permitsAuthorization && policy.cacheControl !== "public"
    ? "authorization"
    : undefined
}

/** Cookies are kept apart, and the age is counted anew. */
const withheldAlways: ReadonlySet<string> = new Set(["age", "set-cookie"])

/** What a qualified `no-cache` or `private` names (RFC 9111 §3.1). */
const qualified = (directives: CacheControl.ResponseDirectives, partition: string): ReadonlyArray<string> => {
  const uncached = typeof directives.noCache === "object" ? directives.noCache : []
  const kept = typeof directives.private === "object" && partition === "" ? directives.private : []
  return [...uncached, ...kept]
}

/** A part keeps its range apart, since it is answered with others. */
const storedFields = (
  response: Fields.Fields,
  qualified: ReadonlyArray<string>,
  extent: Range.Extent | undefined
): { readonly [name: string]: string } => {
  const names = qualified.length === 0 ? withheldAlways : new Set([...withheldAlways, ...qualified])
  return Fields.endToEnd(response, extent === undefined ? names : new Set([...names, "content-range"]))
}

const sizeOf = (response: Fields.Fields): number => {
  let size = 0
  for (const name of Object.keys(response)) size += name.length + response[name]!.length
  return size
}

const hasStrongTag = (response: Fields.Fields): boolean => EntityTag.inFields(response)?.weak === false

/** The route's `expiry` is the freshness of a response that states none, where its status allows it (negative caching: `404`). */
const expiryApplies = (status: number, stated: number | undefined, policy: Policy): boolean =>
  stated === undefined && policy.expiry !== undefined && policy.statuses.has(status) && !ofThisRequest.has(status)

interface Binding {
  readonly directives: CacheControl.ResponseDirectives
  readonly isTargeted: boolean
}

const bindingOf = (response: Fields.Fields, { shared, targets }: Policy): Binding => {
  const targeted = CacheControl.targeted(response, targets)
  const directives = targeted ?? CacheControl.response(Fields.get(response, "cache-control"))
  return {
    directives: shared ? directives : CacheControl.forOneUser(directives),
    isTargeted: targeted !== undefined
  }
}

/** The response's own word; a route's `public` does not outrank what its handler read. */
const isShareable = (directives: CacheControl.ResponseDirectives, policy: Policy): boolean =>
  directives.shareable && policy.cacheControl !== "private"

/** What clients may be told of a stored response. */
export const toldOf = (
  stored: Pick<ItemHead, "status" | "headers" | "responseTime" | "requestTime"> & { readonly partition: string },
  policy: Policy
): CacheControl.Told => {
  const { directives, isTargeted } = bindingOf(stored.headers, policy)
  const stated = Freshness.explicitLifetime(stored.headers, directives, isTargeted, stored)
  return {
    private: policy.shared && stored.partition !== "" && !isShareable(directives, policy),
    expires: expiryApplies(stored.status, stated, policy),
    ownExpiry: policy.statuses.get(stored.status)
  }
}

export const decide = (exchange: Exchange, policy: Policy): Storability => {
  const { responseTime, status } = exchange
  const { directives, isTargeted } = bindingOf(exchange.response, policy)
  const nominated = Fields.get(exchange.response, "vary")
  const named = Vary.parse(nominated)
  const vary = Vary.union(named === "*" ? Vary.of(Fields.members(nominated ?? "")) : named, policy.vary)

  // With `expiry` we are the origin: age counts from the moment the handler answered.
  const times = policy.expiry === undefined ? exchange : { requestTime: responseTime, responseTime }
  const stated = Freshness.explicitLifetime(exchange.response, directives, isTargeted, times)
  const applies = expiryApplies(status, stated, policy)
  const expiry = policy.statuses.get(status) ?? policy.sharedExpiry ?? policy.expiry ?? 0
  const lifetime = applies
    ? Math.ceil(expiry * (1 - policy.jitter * exchange.chance))
    : stated ?? (policy.expiry === undefined
      ? Freshness.heuristicLifetime(status, exchange.response, directives, times)
      : undefined)

  const shareable = isShareable(directives, policy)
  const detail = personal(exchange, policy, directives, vary, shareable)
  const isLiveNow = isLive(exchange.response, applies)
  const isNotStored = directives.noStore && !directives.mustUnderstand
  // The directives of an origin that is not us are passed on as they are (RFC 9111 §5.2).
  const isOurs = policy.expiry !== undefined || policy.cacheControl === "private"
  const told = {
    private: (detail !== undefined && isOurs) || (policy.shared && exchange.partition !== "" && !shareable),
    expires: applies && !isLiveNow && !isNotStored &&
      (detail === undefined || (detail === "private" && policy.cacheControl === "private")),
    ownExpiry: policy.statuses.get(status)
  }
  const isPersonal = detail !== undefined || isNotStored || named === "*" || (exchange.partition !== "" && !shareable)
  const refuse = (detail: Detail): Storability => ({ _tag: "Refuse", detail, told, isPersonal })

  // RFC 9111 §3
  if (exchange.method !== "GET" && exchange.method !== "QUERY") return refuse("head")
  if (status === 304) return refuse("not-modified")
  if (ofThisRequest.has(status) || status < 200 || status > 599) return refuse("status")
  if (directives.mustUnderstand && !understood.has(status)) return refuse("status")
  if (isNotStored) return refuse("no-store")
  if (exchange.requestNoStore) return refuse("request-no-store")
  if (detail !== undefined) return refuse(detail)
  if (named === "*") return refuse("vary")
  if (lifetime === undefined) return refuse("no-freshness")
  if (exchange.isOpaque) return refuse("not-bytes")
  if (isLiveNow) return refuse("live")
  if ((exchange.bodyBytes ?? 0) > policy.maxBodyBytes || sizeOf(exchange.response) > maxFields) {
    return refuse("too-large")
  }
  const extent = exchange.bodyBytes === undefined
    ? undefined
    : Range.extentOfAnswer(status, exchange.response, exchange.bodyBytes)
  // A part is of use only where others can be told to be of the same whole (RFC 9111 §3.4).
  if (status === 206 && (extent === undefined || exchange.hasWhole || !hasStrongTag(exchange.response))) {
    return refuse("partial")
  }

  const initialAge = applies ? 0 : Freshness.initialAge(exchange.response, times)
  // It may have come stale, and has been so for a while then.
  const overdue = applies ? 0 : Freshness.overdue(exchange.response, directives, isTargeted, times)
  const staleFrom = responseTime + lifetime - initialAge - overdue
  // RFC 9111 §4.2.4: the response's own restriction is stronger than the route's window.
  const staleForbidden = directives.mustRevalidate || directives.proxyRevalidate || directives.sMaxAge !== undefined
  const mayBeStale = !staleForbidden && directives.noCache !== "all"
  const window = (route: number | undefined, directive: number | undefined) =>
    mayBeStale ? Math.max(route ?? 0, (directive ?? 0) * 1000) : 0
  const whileRevalidate = window(policy.staleWhileRevalidate, directives.staleWhileRevalidate)
  const ifError = window(policy.staleIfError, directives.staleIfError)
  // RFC 5861 §3, §4: a window begins when the response becomes stale, or became so before it came.
  const staleWhileRevalidateUntil = whileRevalidate > 0 ? staleFrom + whileRevalidate : 0
  const staleIfErrorUntil = ifError > 0 ? staleFrom + ifError : 0
  // What is never fresh is there to be validated.
  const retain = policy.retain ?? (Math.max(Math.min(lifetime, day), whileRevalidate, ifError) || day)
  const names = qualified(directives, exchange.partition)
  // Written out, since a spread of so many properties costs more than all the rest.
  const kept: ItemHead = {
    status,
    headers: storedFields(exchange.response, names, extent),
    withholdsCookies: names.includes("set-cookie"),
    vary,
    date: Freshness.date(exchange.response, times),
    requestTime: times.requestTime,
    responseTime,
    initialAge,
    lifetime,
    alwaysValidate: directives.noCache === "all",
    staleForbidden,
    staleWhileRevalidateUntil,
    staleIfErrorUntil,
    retainUntil: Math.max(
      Math.max(responseTime, staleFrom) + retain,
      staleWhileRevalidateUntil,
      staleIfErrorUntil
    )
  }
  return { _tag: "Keep", told, isPersonal, kept: extent === undefined ? kept : { ...kept, range: extent } }
}

/** Whether a `POST` says that its answer is what a `GET` would have: how long, and of which URI (RFC 9110 §9.3.3). */
export const answersGet = (
  method: string,
  target: CacheKey.Target,
  status: number,
  response: Fields.Fields
): boolean => {
  if (method !== "POST" || status !== 200) return false
  const location = Fields.get(response, "content-location")
  const named = location === undefined ? [] : CacheKey.resolveAll(location, target)
  const directives = CacheControl.response(Fields.get(response, "cache-control"))
  const isExplicit = directives.maxAge !== undefined || directives.sMaxAge !== undefined ||
    Fields.get(response, "expires") !== undefined
  return isExplicit && named.some((other) => CacheKey.make(other) === CacheKey.make(target))
}
