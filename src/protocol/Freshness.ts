/** How long a response is fresh and how old it is (RFC 9111 §4.2). Milliseconds. */
import { type ResponseDirectives, seconds } from "./CacheControl.js"
import * as Fields from "./Fields.js"
import * as HttpDate from "./HttpDate.js"

/** When the handler was asked and when it had answered, in milliseconds since the epoch. */
export interface Times {
  readonly requestTime: number
  readonly responseTime: number
}

/** The `Date` of a response; the time it was received where there is none (RFC 9110 §6.6.1). */
export const date = (response: Fields.Fields, { responseTime }: Times): number =>
  HttpDate.parse(Fields.get(response, "date"), responseTime) ?? responseTime

/**
 * The lifetime that the response itself states; `undefined` when it states none (RFC 9111 §4.2.1). A targeted field
 * states it without `Expires` (RFC 9213 §2.2).
 */
export const explicitLifetime = (
  response: Fields.Fields,
  directives: ResponseDirectives,
  isTargeted: boolean,
  times: Times
): number | undefined => {
  const stated = directives.sMaxAge ?? directives.maxAge
  if (stated !== undefined) return stated * 1000
  const expires = isTargeted ? undefined : Fields.get(response, "expires")
  if (expires === undefined) return undefined
  // An invalid date is in the past (RFC 9111 §5.3).
  const time = HttpDate.parse(expires, times.responseTime)
  return time === undefined ? 0 : Math.max(0, time - date(response, times))
}

/** How long it had been stale at its `Date`, where it has an `Expires` before that which counts. */
export const overdue = (
  response: Fields.Fields,
  directives: ResponseDirectives,
  isTargeted: boolean,
  times: Times
): number => {
  if (isTargeted || directives.sMaxAge !== undefined || directives.maxAge !== undefined) return 0
  const expires = HttpDate.parse(Fields.get(response, "expires"), times.responseTime)
  return expires === undefined ? 0 : Math.max(0, date(response, times) - expires)
}

// RFC 9110 §15.1
const heuristicallyCacheable = new Set([200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501])
const day = 86_400_000

/** Builds that are to be the same each time date their files before it; a clock before it is a test's. */
const firstWeb = Date.UTC(1990, 0)

/**
 * The lifetime of a response that states none (RFC 9111 §4.2.2): a tenth of the time since it was modified, at most a
 * day; 0 for a date that no web page can have, and 0 when it can only be kept to be validated; `undefined` when it can't be kept.
 */
export const heuristicLifetime = (
  status: number,
  response: Fields.Fields,
  directives: ResponseDirectives,
  times: Times
): number | undefined => {
  if (!heuristicallyCacheable.has(status) && !directives.public) return undefined
  const modified = HttpDate.parse(Fields.get(response, "last-modified"), times.responseTime)
  if (modified !== undefined) {
    const dated = date(response, times)
    return modified < firstWeb && dated >= firstWeb ? 0 : Math.min(day, Math.max(0, dated - modified) / 10)
  }
  return Fields.get(response, "etag") === undefined ? undefined : 0
}

/** The first member of `Age`; 0 when it isn't a number of seconds (RFC 9111 §5.1). */
const ageValue = (response: Fields.Fields): number =>
  (seconds(Fields.members(Fields.get(response, "age") ?? "")[0]) ?? 0) * 1000

/** `corrected_initial_age` (RFC 9111 §4.2.3). */
export const initialAge = (response: Fields.Fields, times: Times): number => {
  const apparentAge = Math.max(0, times.responseTime - date(response, times))
  const correctedAgeValue = ageValue(response) + Math.max(0, times.responseTime - times.requestTime)
  // A `Date` has whole seconds: what is younger than one says nothing.
  return Math.max(apparentAge < 1000 ? 0 : apparentAge, correctedAgeValue)
}

export interface Aged {
  readonly initialAge: number
  readonly responseTime: number
}

/** By how much the clocks of two machines, or one that is set, may differ. */
const skew = 300_000

/** The clock went back since it came, by more than a skew: how old it is can't be told. */
export const isFromAhead = ({ responseTime }: Aged, now: number): boolean => responseTime - now > skew

/** `current_age` (RFC 9111 §4.2.3); a clock that went back a little makes nothing younger than it came. */
export const currentAge = (stored: Aged, now: number): number =>
  stored.initialAge + Math.max(0, now - stored.responseTime)
