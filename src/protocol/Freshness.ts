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
export const date = (response: Fields.Fields, { responseTime }: Times): number => {
  const value = Fields.get(response, "date")
  return (value === undefined ? undefined : HttpDate.parse(value, responseTime)) ?? responseTime
}

/** The lifetime that the response itself states; `undefined` when it states none (RFC 9111 §4.2.1). */
export const explicitLifetime = (
  response: Fields.Fields,
  directives: ResponseDirectives,
  times: Times
): number | undefined => {
  const stated = directives.sMaxAge ?? directives.maxAge
  if (stated !== undefined) return stated * 1000
  const expires = Fields.get(response, "expires")
  if (expires === undefined) return undefined
  // An invalid date is in the past (RFC 9111 §5.3).
  const time = HttpDate.parse(expires, times.responseTime)
  return time === undefined ? 0 : Math.max(0, time - date(response, times))
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

/** `current_age` (RFC 9111 §4.2.3); a clock that went back makes nothing younger than it came. */
export const currentAge = (stored: Aged, now: number): number =>
  stored.initialAge + Math.max(0, now - stored.responseTime)
