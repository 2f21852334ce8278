/** May I answer without the handler? (RFC 9111 §4) */
import { noRequestDirectives, type RequestDirectives } from "./CacheControl.js"
import type { ForwardReason } from "./CacheStatus.js"
import * as Freshness from "./Freshness.js"

/** What binds a stored response, resolved once when it was stored. Milliseconds. */
export interface Terms extends Freshness.Aged {
  readonly lifetime: number
  /** Never served before it has been validated: `no-cache`. */
  readonly alwaysValidate: boolean
  /** Never served once it is stale, whatever the client accepts. */
  readonly staleForbidden: boolean
  /** Until then it is served stale while it is validated; 0 when it never is. */
  readonly staleWhileRevalidateUntil: number
  /** Until then it stands in for an answer that is an error; 0 when it never does. */
  readonly staleIfErrorUntil: number
  readonly retainUntil: number
}

/** It is fresh, or the request accepts that it is stale. */
export interface Serve<Stored extends Terms> {
  readonly _tag: "Serve"
  readonly stored: Stored
  readonly age: number
  readonly ttl: number
}

export type Reuse<Stored extends Terms> =
  | Serve<Stored>
  /** It answers, and is to be validated in the background. */
  | { readonly _tag: "Revalidate"; readonly stored: Stored; readonly age: number; readonly ttl: number }
  | Forward

export interface Forward {
  readonly _tag: "Forward"
  readonly reason: ForwardReason
}

export const forward = (reason: ForwardReason): Forward => ({ _tag: "Forward", reason })

export interface Request extends RequestDirectives {
  /** It has a precondition that only the origin may judge. */
  readonly forOrigin: boolean
  /** All that it is for is stored (RFC 9111 §3.3). */
  readonly isHeld: boolean
  /** It can be asked again without its client: it has no content. */
  readonly isRepeatable: boolean
  /** The handler has failed a moment ago, and is not asked yet for what may stand in for its errors. */
  readonly isBackedOff: boolean
}

/** A request with nothing of its own, and no client who could have it asked again. */
export const anybody: Request = {
  ...noRequestDirectives,
  forOrigin: false,
  isHeld: true,
  isRepeatable: false,
  isBackedOff: false
}

export const decide = <Stored extends Terms>(
  stored: Stored,
  request: Request,
  now: number
): Reuse<Stored> => {
  const age = Freshness.currentAge(stored, now)
  const ttl = stored.lifetime - age
  if (now >= stored.retainUntil) return forward("uri-miss")
  if (!request.isHeld) return forward("partial")
  if (stored.alwaysValidate || Freshness.isFromAhead(stored, now)) return forward("stale")
  const isStale = ttl <= 0
  // stale-while-revalidate (RFC 5861 §3)
  const isInWindow = isStale && request.isRepeatable && now < stored.staleWhileRevalidateUntil
  // RFC 9111 §5.2.1.2, §4.2.4
  const isAccepted = request.maxStale !== undefined && -ttl <= request.maxStale * 1000
  const standsIn = request.isBackedOff && now < stored.staleIfErrorUntil
  if (isStale && (!(isAccepted || isInWindow || standsIn) || stored.staleForbidden)) return forward("stale")
  // RFC 9111 §4.3.2, §5.2.1: what the client asks of it
  if (request.forOrigin || request.noCache) return forward("request")
  if (request.maxAge !== undefined && age > request.maxAge * 1000) return forward("request")
  if (request.minFresh !== undefined && ttl < request.minFresh * 1000) return forward("request")
  // For a client that accepts it stale and says only-if-cached, nothing is refreshed.
  const isLeft = isAccepted && request.onlyIfCached
  return { _tag: isInWindow && !isLeft ? "Revalidate" : "Serve", stored, age, ttl }
}

/** Errors that a stale response may stand in for; another status is an answer (RFC 5861 §4). */
const errors = new Set([500, 502, 503, 504])

export const isError = (status: number): boolean => errors.has(status)

/**
 * May I answer with what is stale, now that the handler has failed? (stale-if-error, RFC 9111 §4.2.4, RFC 5861 §4) What says
 * `must-revalidate` was stored with a `staleIfErrorUntil` of 0.
 */
export const insteadOfError = (stored: Terms, status: number, request: Request, now: number): boolean =>
  isError(status) && now < stored.staleIfErrorUntil && !Freshness.isFromAhead(stored, now) &&
  !request.noCache && !request.forOrigin && request.isHeld

/** How a collect leaves what it keeps: `"unless-error"` lets that stand in for an error as long as it could have been used. */
export type Soft = boolean | "unless-error"

/** What binds a stored response after a soft collect: it is validated before it is used. */
export const softened = <Stored extends Terms>(stored: Stored, soft: Exclude<Soft, false>): Stored => {
  const freshUntil = stored.alwaysValidate ? 0 : stored.responseTime + stored.lifetime - stored.initialAge
  return {
    ...stored,
    alwaysValidate: true,
    staleWhileRevalidateUntil: 0,
    staleIfErrorUntil: soft === true ? 0 : Math.max(stored.staleIfErrorUntil, freshUntil)
  }
}

/** How old what is stored is, and how long it may be used yet, for each use. Milliseconds; 0: not at all. */
export interface Remaining {
  readonly old: number
  readonly fresh: number
  /** Served stale, while it is validated. */
  readonly whileValidated: number
  readonly insteadOfErrors: number
  readonly kept: number
}

export const remaining = (stored: Terms, now: number): Remaining => {
  const age = Freshness.currentAge(stored, now)
  const until = (time: number): number => Math.max(0, time - now)
  return {
    old: age,
    fresh: stored.alwaysValidate ? 0 : Math.max(0, stored.lifetime - age),
    whileValidated: stored.alwaysValidate || stored.staleForbidden ? 0 : until(stored.staleWhileRevalidateUntil),
    insteadOfErrors: until(stored.staleIfErrorUntil),
    kept: until(stored.retainUntil)
  }
}
