/** The Outcome of a request, as clients and operators read it: `Cache-Status`, the metrics, and what the span says. */
import * as CacheStatus from "../protocol/CacheStatus.js"
import type * as Fields from "../protocol/Fields.js"
import * as metrics from "../runtime/metrics.js"
import type { Origin } from "./origin.js"
import { type Asked, now } from "./request.js"

/** What the cache answers and what it did for it: each log, span and metric is made of the outcome. */
export interface Served<Res> {
  readonly response: Res
  /** `undefined` where the response had been sent before the cache saw it, or a cache beneath has told of its own. */
  readonly outcome: CacheStatus.Outcome | CacheStatus.NotCached | undefined
}

/** Adds our member to the `Cache-Status` of `response`, in `fields`. */
export const tellStatus = (
  fields: { [name: string]: string },
  { key, policy: { cacheStatus } }: Pick<Asked, "key" | "policy">,
  outcome: CacheStatus.Outcome,
  response: Fields.Fields = fields
): void => {
  if (cacheStatus !== undefined) CacheStatus.add(fields, response, outcome, cacheStatus, key)
}

/** Of which request something is reported. */
export interface Reported extends Pick<Asked, "clock" | "key" | "policy" | "runtime"> {
  readonly origin: Pick<Origin<never, never, never>, "pattern" | "span">
}

/** By what its route is known to operators. */
export const routeOf = ({ origin, policy }: Reported): string => origin.pattern ?? policy.name ?? "*"

/** Counts a request that is answered, and tells its span and who looks on. Each binding calls it once for each answer. */
export const report = (request: Reported, outcome: Served<unknown>["outcome"]): void => {
  if (outcome === undefined) return
  metrics.ofRoute(routeOf(request)).answered(outcome)
  const { observer } = request.runtime
  if (observer !== undefined) observer.answered(request.key, routeOf(request), outcome, now(request))
  const { span } = request.origin
  if (span?._tag !== "Span") return
  const attributes = CacheStatus.attributes(outcome)
  for (const name of Object.keys(attributes)) span.attribute(name, attributes[name])
  if (request.policy.cacheStatus?.key === true) span.attribute("cache.key", request.key)
}
