/** A limit that was reached is counted, and logged once for each storage. */
import * as Effect from "effect/Effect"
import * as metrics from "./metrics.js"

/** `consequence`: what is done instead, for the log. */
export const limitReached = (
  { reachedLimits }: { readonly reachedLimits: Set<string> },
  limit: string,
  consequence: string
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const isNew = !reachedLimits.has(limit)
    reachedLimits.add(limit)
    metrics.limitsReached(limit)(1)
    return isNew
      ? Effect.logWarning(`effect-http-cache: the limit on ${limit} is reached, ${consequence}; this is logged once`)
      : Effect.void
  })
