/** A limit that was reached is counted, and logged once for each storage. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { count } from "./effect.js"

const counter = Metric.counter("effect_http_cache_limits_reached", {
  description: "How often a limit of effect-http-cache was reached, by limit",
  incremental: true
})

/** `consequence`: what is done instead, for the log. */
export const limitReached = (
  { reachedLimits }: { readonly reachedLimits: Set<string> },
  limit: string,
  consequence: string
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const isNew = !reachedLimits.has(limit)
    reachedLimits.add(limit)
    return Effect.andThen(
      count(counter, "limit", limit),
      isNew
        ? Effect.logWarning(`effect-http-cache: the limit on ${limit} is reached, ${consequence}; this is logged once`)
        : Effect.void
    )
  })
