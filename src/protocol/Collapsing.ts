/** May a request wait for another's response, and share it? (RFC 9111 §4, RFC 9211 §2.6) */
import type { RequestDirectives } from "./CacheControl.js"
import type { ForwardReason } from "./CacheStatus.js"
import * as Fields from "./Fields.js"
import * as Preconditions from "./Preconditions.js"
import * as Reuse from "./Reuse.js"

/** Whether a request asks for no more than what may be stored for others. Where we are the origin, a part is cut from that. */
export const mayWait = (
  request: { readonly method: string; readonly fields: Fields.Fields },
  asks: RequestDirectives,
  reason: ForwardReason,
  isOrigin: boolean
): boolean =>
  request.method === "GET" && reason !== "request" && !asks.noStore && !asks.noCache &&
  !Preconditions.isForOrigin(request.fields) &&
  (isOrigin || Fields.get(request.fields, "range") === undefined)

/** Whether the response that another request got answers this one too, as what is stored would. */
export const mayShare = <
  Stored extends Reuse.Terms & { readonly variant: string; readonly vary: ReadonlyArray<string> }
>(
  stored: Stored,
  variantOf: (vary: ReadonlyArray<string>) => string,
  request: Reuse.Request,
  now: number
): boolean => variantOf(stored.vary) === stored.variant && Reuse.decide(stored, request, now)._tag === "Serve"

const maxAttempts = 3

/** How often a request has looked up, and since when it waits. Epoch milliseconds. */
export interface Attempt {
  readonly count: number
  readonly since: number
}

export const again = ({ count, since }: Attempt): Attempt => ({ count: count + 1, since })

/** After a few attempts with others a request runs the handler alone. */
export const isLast = ({ count }: Attempt): boolean => count >= maxAttempts

/** `false` where another request's response was not its own (RFC 9211 §2.6). */
export const collapsedOf = ({ count }: Attempt): false | undefined => count === 0 ? undefined : false

/** The next attempt after an error of another request's handler: a few, and not for longer than the deadline. */
export const afterError = (attempt: Attempt, now: number, deadline: number): Attempt | undefined =>
  attempt.count + 1 < maxAttempts && now - attempt.since < deadline ? again(attempt) : undefined

/** A request with one of these says nothing of requests without it. */
const apart = ["authorization", "range"]

/** Which of these a request has. If its response can't be shared, only requests with the same ones don't wait. */
export const apartBy = (request: Fields.Fields): string =>
  apart.filter((name) => Fields.get(request, name) !== undefined).join()
