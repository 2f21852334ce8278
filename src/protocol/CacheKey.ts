/** The key of a stored response: its target URI (RFC 9111 §2), as the route reads its query. */
import { remembering } from "./Remembering.js"

/** An origin, a path and a query as one string that no other three give. */
export type CacheKey = string

/** A target URI, taken apart, not normalised: what a router tells apart stays apart. */
export interface Target {
  /** Scheme and host, lower-case, without the scheme's default port. */
  readonly origin: string
  /** Begins with `/`, or is `*`. */
  readonly path: string
  /** Without its `?`; `undefined` when there is none, `""` when it is empty. */
  readonly query: string | undefined
}

/**
 * Which search parameters are part of the key. A name reads as it does after decoding; one that ends with `*` stands for all
 * that begin so. They stay in the order in which they were sent, or are sorted by name, where those of one name stay in theirs.
 */
export type QuerySelection =
  | "all"
  | "none"
  | { readonly sort?: boolean | undefined; readonly only?: undefined; readonly except?: undefined }
  | { readonly sort?: boolean | undefined; readonly only: ReadonlyArray<string>; readonly except?: undefined }
  | { readonly sort?: boolean | undefined; readonly only?: undefined; readonly except: ReadonlyArray<string> }

/** A user and a password are no part of an origin (RFC 9110 §4.3.1). */
const absolute = /^([a-z][a-z0-9+.-]*):\/\/(?:[^/?#]*@)?([^/?#]*)([^#]*)/i

/** A longer name of a host is none (RFC 1035 §2.3.4), and is not remembered. */
const longestOrigin = 300
/** Origins by what requests say of scheme and host; there are few. */
const originBy = remembering(longestOrigin)

/** A host, lower-case, without the scheme's default port, or an empty one (RFC 9110 §4.2.3). */
export const host = (scheme: string, host: string): string =>
  host.toLowerCase().replace(scheme === "https" ? /:(443)?$/ : scheme === "http" ? /:(80)?$/ : /:$/, "")

export const origin = (scheme: string, authority: string): string =>
  originBy(`${scheme}://${authority}`, () => {
    const name = scheme.toLowerCase()
    return `${name}://${host(name, authority)}`
  })

/** The host of an origin; `""` when it has none. */
export const hostOf = (origin: string): string => origin.slice(origin.indexOf("://") + 3)

/**
 * The target of a request. Its scheme is that of the connection, whatever the target says. In absolute-form the target names the
 * host, as `authority` does over HTTP/2; a `Host` that names another one makes the request ambiguous, since a handler may believe
 * either (RFC 9112 §3.2.2). No `X-Forwarded-*` is read, so that nobody can poison the key of another host. A canonical origin
 * decides both. What is no path is ambiguous always: `*`, an authority, `ftp://…`.
 */
export const ofRequest = (
  requestTarget: string,
  scheme: string,
  host: string | undefined,
  canonicalOrigin: string | undefined,
  authority?: string
): { readonly target: Target; readonly ownOrigin: string; readonly isAmbiguous: boolean } => {
  const absolute = absoluteForm(requestTarget)
  const named = absolute?.[2] ?? authority
  const ownOrigin = origin(scheme, named ?? host ?? "")
  const here = canonicalOrigin ?? ownOrigin
  const isAnother = named !== undefined && host !== undefined && origin(scheme, host) !== here
  return {
    target: relative(absolute?.[3] ?? requestTarget, here),
    ownOrigin,
    isAmbiguous: !(requestTarget.startsWith("/") || /^https?:\/\//i.test(requestTarget)) ||
      (canonicalOrigin === undefined && isAnother)
  }
}

/** Scheme, authority, and path with query of a target in absolute-form. */
const absoluteForm = (requestTarget: string): RegExpExecArray | undefined =>
  requestTarget.startsWith("/") ? undefined : absolute.exec(requestTarget) ?? undefined

/** A target in origin-form, of this origin. */
const relative = (requestTarget: string, origin: string): Target => {
  const hash = requestTarget.indexOf("#")
  const text = hash === -1 ? requestTarget : requestTarget.slice(0, hash)
  const mark = text.indexOf("?")
  return {
    origin,
    path: (mark === -1 ? text : text.slice(0, mark)) || "/",
    query: mark === -1 ? undefined : text.slice(mark + 1)
  }
}

/** A request target in origin-form (`/path?query`) or in absolute-form, which has an origin of its own (RFC 9112 §3.2). */
export const target = (requestTarget: string, requestOrigin: string): Target => {
  const absolute = absoluteForm(requestTarget)
  return absolute === undefined
    ? relative(requestTarget, requestOrigin)
    : relative(absolute[3]!, origin(absolute[1]!, absolute[2]!))
}

/** As a router does, which leaves what can't be decoded as it is. To throw and catch an error for each would take longer than all else. */
const decode = (name: string): string => {
  const decoded = name.replaceAll("+", " ").replace(
    /(?:%[0-9a-f]{2})+/gi,
    (bytes) => Buffer.from(bytes.replaceAll("%", ""), "hex").toString()
  )
  return /%(?![0-9a-f]{2})/i.test(name) || decoded.includes("\ufffd") ? name : decoded
}

/** Whether a name stands for all that begin so. */
export const isPattern = (name: string): boolean => name.endsWith("*")

const isListed = (listed: ReadonlyArray<string>, name: string): boolean =>
  listed.some((each) => isPattern(each) ? name.startsWith(each.slice(0, -1)) : name === each)

/** Whether the parameters of this name are part of the key. */
export const isSelected = (name: string, selection: QuerySelection): boolean => {
  if (typeof selection === "string") return selection === "all"
  const { except = [], only } = selection
  return only === undefined ? !isListed(except, name) : isListed(only, name)
}

interface Parameter {
  readonly pair: string
  readonly name: string
}

const parameterOf = (pair: string): Parameter => ({ pair, name: decode(pair.split("=", 1)[0]!) })

/** By code units, as `URLSearchParams.sort` does. */
const byName = (one: Parameter, other: Parameter): number => one.name < other.name ? -1 : one.name > other.name ? 1 : 0

const select = (query: string | undefined, selection: QuerySelection): string | undefined => {
  if (query === undefined || selection === "none") return undefined
  if (selection === "all") return query
  const parameters = query.split("&").map(parameterOf).filter(({ name }) => isSelected(name, selection))
  if (selection.sort === true) parameters.sort(byName)
  return parameters.length === 0 ? undefined : parameters.map(({ pair }) => pair).join("&")
}

/** The path and query of a request target as far as they are part of the key: only the selected parameters, no fragment. */
export const narrow = (requestTarget: string, selection: QuerySelection): string => {
  if (selection === "all" && requestTarget.startsWith("/") && !requestTarget.includes("#")) return requestTarget
  const { path, query } = target(requestTarget, "")
  const selected = select(query, selection)
  return selected === undefined ? path : `${path}?${selected}`
}

/** The path and query of a target. */
export const pathOf = ({ path, query }: Target): string => query === undefined ? path : `${path}?${query}`

/** Leaves letters, digits and what a host is made of; the rest of UTF-16 becomes `%` and four hexadecimal digits. */
const escape = (text: string): string =>
  text.replace(/[^A-Za-z0-9.\-_:[\]]/g, (unit) => `%${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** The beginnings of keys by origin. */
const prefixBy = remembering(longestOrigin)

/** An origin as a key begins with it: without spaces and other slashes than the two. */
export const prefixOf = (origin: string): string =>
  prefixBy(origin, () => {
    const scheme = origin.slice(0, origin.indexOf("://"))
    return `${escape(scheme)}://${escape(hostOf(origin))}`
  })

export const make = ({ origin, path, query }: Target, selection: QuerySelection = "all"): CacheKey => {
  const selected = select(query, selection)
  const prefix = prefixOf(origin)
  // A slash ends the host, which holds none.
  return selected === undefined ? prefix + path : `${prefix}${path}?${selected}`
}

const withoutDots = (path: string): string => {
  const segments: Array<string> = []
  for (const segment of path.split("/")) {
    // The root has none above it.
    if (segment === "..") segments.length -= segments.length > 1 ? 1 : 0
    else if (segment !== ".") segments.push(segment)
  }
  return segments.join("/")
}

const withPlainEscapes = (text: string): string =>
  text.replace(/%[0-9a-f]{2}/gi, (escaped) => {
    const character = String.fromCharCode(parseInt(escaped.slice(1), 16))
    return /[A-Za-z0-9\-._~]/.test(character) ? character : escaped.toUpperCase()
  })

/** The spelling of a target that RFC 3986 §6.2.2 makes of all its equivalents; an empty query is none. */
const normal = ({ origin, path, query }: Target): Target => ({
  origin,
  path: withoutDots(withPlainEscapes(path)) || "/",
  query: query === "" ? undefined : query
})

/** What a router takes for the same by default: whatever the case, the slashes, and what follows a `;`. */
const lenient = (target: Target): Target => {
  const { origin, path, query } = normal({ ...target, path: target.path.split(";", 1)[0]! })
  return { origin, path: path.toLowerCase().replace(/\/{2,}/g, "/").replace(/(?<=.)\/$/, ""), query }
}

/**
 * A target, its spelling by RFC 3986 §6.2.2, and its spelling by the defaults of the platform's router: a write to it changes
 * them too. Targets that the router takes for the same have the same last spelling.
 */
export const spellings = (target: Target): readonly [Target, Target, Target] => [
  target,
  normal(target),
  lenient(target)
]

/** Whether a target is the one spelling that all of its spellings come to. */
export const isPlain = ({ path, query }: Target): boolean => query !== "" && /^(?:\/[a-z0-9\-_~]+)+$|^\/$/.test(path)

/** Stand for the host while a reference is resolved, for the real one may be missing, or none that a URL can have. */
const anyHosts = ["a.invalid", "b.invalid"] as const

/** A reference as in `Location`, resolved against a target (RFC 3986 §5.2); `undefined` when it can't be. */
export const resolve = (reference: string, base: Target | undefined): Target | undefined => {
  if (base === undefined) {
    const url = URL.canParse(reference) ? new URL(reference) : undefined
    return url === undefined || url.host === "" ? undefined : target(url.href, "")
  }
  const scheme = base.origin.slice(0, base.origin.indexOf("://"))
  const [url, other] = anyHosts.map((host) => {
    const from = `${scheme}://${host}${base.path}?${base.query ?? ""}`
    return URL.canParse(reference, from) ? new URL(reference, from) : undefined
  })
  if (url === undefined || other === undefined || url.host === "") return undefined
  const resolved = target(url.href, "")
  return url.host === other.host ? resolved : { ...resolved, origin: base.origin }
}

/**
 * The targets that a reference can mean: as it resolves, and, where it is a path, as it stands, since the targets of
 * requests are not normalised.
 */
export const resolveAll = (reference: string, base: Target | undefined): ReadonlyArray<Target> => {
  const resolved = resolve(reference, base)
  if (base === undefined || !/^\/(?!\/)/.test(reference)) return resolved === undefined ? [] : [resolved]
  const verbatim = target(reference, base.origin)
  const isSame = resolved?.path === verbatim.path && resolved.query === verbatim.query
  return resolved === undefined || isSame ? [verbatim] : [verbatim, resolved]
}
