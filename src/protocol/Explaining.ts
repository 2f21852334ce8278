/** Says in sentences what a cache would do with a request, and why. */
import { details, type Forwarded, type ForwardReason, type Hit, type NotCached, type Outcome } from "./CacheStatus.js"
import type * as Fields from "./Fields.js"

/** What would be done. */
export interface Would {
  readonly outcome: Outcome | NotCached
  /** What the client would be sent of what is stored; `undefined`: the handler decides. */
  readonly status?: number | undefined
  /** The fields that what is stored is selected by. */
  readonly vary?: ReadonlyArray<string> | undefined
  /** What is stored is stale and asked for anew, and the request waits for that so long. Milliseconds; 0: in the background. */
  readonly refreshed?: number | undefined
  /** The fields that ask the handler whether what is stored is current. */
  readonly question?: Fields.Fields | undefined
  /** What is stored may stand in for an error of the handler. */
  readonly standsIn?: boolean
  /** The response of the handler may be stored. */
  readonly mayKeep?: boolean
}

/** Why a request goes to the handler, word by word of `fwd` (RFC 9211 §2.2). */
export const reasons: { readonly [Reason in ForwardReason]: string } = {
  "uri-miss": "nothing is stored for the URI",
  "vary-miss": "something is stored for the URI, but not for these request fields, this partition or this cache",
  "stale": "what is stored is no longer fresh, or must be validated",
  "partial": "only a part is stored, and more is asked for",
  "request": "something fresh is stored, but the request asks for more, as no-cache or If-Match do",
  "method": "only GET, HEAD and QUERY are answered from a cache",
  "bypass": "the route, or a switch, leaves this request alone",
  "miss": "the storage has failed, or what it has can't be used now"
}

/** What the client is sent of a stored response, where that is not all of it. */
const sent = new Map([
  [206, "The client is sent the part that it asks for: 206."],
  [304, "The client has that response already: 304."],
  [412, "A precondition of the client's fails: 412."],
  [416, "The part that the client asks for is not there: 416."]
])

const seconds = (millis: number): string => {
  const whole = Math.floor(Math.abs(millis) / 1000)
  return whole === 1 ? "1 second" : `${whole} seconds`
}

const hit = ({ refreshed, status = 0 }: Would, { age, ttl }: Hit): ReadonlyArray<string> => {
  const freshness = ttl > 0
    ? `is ${seconds(age)} old and fresh for ${seconds(ttl)} more`
    : `is ${seconds(age)} old and has been stale for ${seconds(ttl)}`
  const stale = refreshed === 0
    ? "The handler is asked for a newer one in the background."
    : refreshed !== undefined
    ? `The handler is asked for a newer one first, for ${refreshed} milliseconds at most (refreshWait): if that comes in time, ` +
      "it is the answer, and Cache-Status says fwd=stale; collapsed."
    : "It may be used stale, since the client accepts that (max-stale), or the handler has failed a moment ago and is left alone."
  return [
    `It is answered with what is stored, which ${freshness}.`,
    ...(ttl > 0 ? [] : [stale]),
    ...[sent.get(status) ?? []].flat()
  ]
}

const forwarded = (would: Would, { collapsed, detail, reason }: Forwarded): ReadonlyArray<string> => {
  const { mayKeep, question, standsIn } = would
  return [
    `The handler is asked: ${detail === undefined ? reasons[reason] : details[detail]}.`,
    ...(question === undefined
      ? []
      : [`It is asked whether what is stored is current, by ${Object.keys(question).join(" and ")}.`]),
    ...(collapsed === true ? ["The request waits for the run of the handler that answers another one."] : []),
    ...(standsIn === true ? ["What is stored may stand in for an error of the handler."] : []),
    mayKeep === true
      ? "What the handler answers is stored if its fields and the route permit that."
      : "What the handler answers is not stored."
  ]
}

/** In the order in which they are to be read. */
export const sentences = (would: Would): ReadonlyArray<string> => {
  const { outcome, vary = [] } = would
  if (outcome._tag === "NotCached") {
    return [
      "It is answered with 504: the client wants only what is stored (only-if-cached), and none of it can be used."
    ]
  }
  return [
    ...(outcome._tag === "Hit" ? hit(would, outcome) : forwarded(would, outcome)),
    ...(vary.length === 0 ? [] : [`What is stored is selected by ${vary.join(", ")}.`])
  ]
}

/** What is said where no cache has seen the request. */
export const noCache = (status: number): ReadonlyArray<string> => [
  `No cache saw the request: what stands before it, or a route without one, answered ${status}.`
]
