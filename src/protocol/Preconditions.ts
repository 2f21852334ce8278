/** Conditional requests: what does this client need of a response? (RFC 9110 §13) */
import * as EntityTag from "./EntityTag.js"
import * as Fields from "./Fields.js"
import * as HttpDate from "./HttpDate.js"

/** The current representation; its values as the fields `ETag`, `Last-Modified` and `Date` have them. */
export interface Validators {
  readonly etag: string | undefined
  readonly lastModified: string | undefined
  /** Stands in for `Last-Modified`, where that is a cache's to do (RFC 9111 §4.3.2). */
  readonly date?: string | undefined
}

export type Verdict = "proceed" | "not-modified" | "failed"

/** Fields that only an origin may judge (RFC 9110 §13.2.2, steps 1 and 2). */
export const isForOrigin = (request: Fields.Fields): boolean =>
  Fields.get(request, "if-match") !== undefined || Fields.get(request, "if-unmodified-since") !== undefined

/** Fields by which a client says what it already has. */
export const clientCopy: ReadonlySet<string> = new Set(["if-none-match", "if-modified-since"])

export const isConditional = (request: Fields.Fields): boolean => isForOrigin(request) || isForClientCopy(request)

/** Fields by which a client asks for something else than what most others are sent. */
const unusual: ReadonlyArray<string> = ["if-match", "if-unmodified-since", "if-range", "range"]

/**
 * What a request asks a stored response by: the `If-None-Match`, and `""` where it has no condition. `undefined`: it asks by another
 * condition, or for a range. A time is compared with the clock, unless there are tags (§13.1.3).
 */
export const condition = (request: Fields.Fields): string | undefined => {
  for (const name of unusual) if (Fields.get(request, name) !== undefined) return undefined
  const tags = Fields.get(request, "if-none-match")
  if (tags !== undefined) return tags === "" ? undefined : tags
  return Fields.get(request, "if-modified-since") === undefined ? "" : undefined
}

const names = (
  list: string,
  current: Validators | undefined,
  equals: (a: EntityTag.EntityTag, b: EntityTag.EntityTag) => boolean
): boolean => {
  if (current === undefined) return false
  const tags = EntityTag.parseList(list)
  if (tags === "*") return true
  const tag = EntityTag.parse(current.etag)
  return tag !== undefined && tags.some((candidate) => equals(candidate, tag))
}

/** `undefined` when either date is missing or can't be read: the condition is ignored then. */
const changedSince = (
  field: string | undefined,
  modified: string | undefined,
  now: number
): boolean | undefined => {
  const since = HttpDate.parse(field, now)
  const time = HttpDate.parse(modified, now)
  return since === undefined || time === undefined ? undefined : time > since
}

/** In the order of RFC 9110 §13.2.2. `current` is `undefined` when the resource has no representation. */
export const evaluate = (
  method: string,
  request: Fields.Fields,
  current: Validators | undefined,
  options: { readonly now: number; readonly isOrigin: boolean }
): Verdict => {
  // RFC 9110 §13.2.1
  if (method === "CONNECT" || method === "OPTIONS" || method === "TRACE") return "proceed"
  const readsOnly = method === "GET" || method === "HEAD" || method === "QUERY"
  const field = (name: string) => Fields.get(request, name)
  if (options.isOrigin) {
    const ifMatch = field("if-match")
    if (ifMatch !== undefined) {
      if (!names(ifMatch, current, EntityTag.strongEquals)) return "failed"
    } else if (changedSince(field("if-unmodified-since"), current?.lastModified, options.now) === true) {
      return "failed"
    }
  }
  const ifNoneMatch = field("if-none-match")
  if (ifNoneMatch !== undefined) {
    if (!names(ifNoneMatch, current, EntityTag.weakEquals)) return "proceed"
    return readsOnly ? "not-modified" : "failed"
  }
  const modified = current?.lastModified ?? current?.date
  return readsOnly && changedSince(field("if-modified-since"), modified, options.now) === false
    ? "not-modified"
    : "proceed"
}

/**
 * Of a response, only a `200` or a `206` can have been what the client meant. `isOrigin`: whoever answers made the response.
 * `isCache`: whoever answers has it from a storage, where a `Date` stands in for `Last-Modified`.
 */
export const evaluateResponse = (
  method: string,
  request: Fields.Fields,
  answer: { readonly status: number; readonly fields: Fields.Fields },
  judge: { readonly now: number; readonly isOrigin: boolean; readonly isCache: boolean }
): Verdict => {
  if (answer.status !== 200 && answer.status !== 206) return "proceed"
  const field = (name: string) => Fields.get(answer.fields, name)
  const current = {
    etag: field("etag"),
    lastModified: field("last-modified"),
    date: judge.isCache ? field("date") : undefined
  }
  return evaluate(method, request, current, judge)
}

/** The fields without what says what the client already has. */
export const withoutClientCopy = (request: Fields.Fields): Fields.Fields =>
  isForClientCopy(request) ? Fields.without(request, clientCopy) : request

const isForClientCopy = (request: Fields.Fields): boolean =>
  [...clientCopy].some((name) => Fields.get(request, name) !== undefined)
