/** A limit that was reached is counted, and logged once. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { perStorage } from "./home.js"

const reached = perStorage("limits", () => new Set<string>())

const counter = Metric.counter("effect_http_cache_limits_reached", {
  description: "How often a limit of effect-http-cache was reached, by limit",
  incremental: true
})

/** `consequence`: what is done instead, for the log. */
export const limitReached = (storage: object, limit: string, consequence: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    const logged = reached.of(storage)
    const isNew = !logged.has(limit)
    logged.add(limit)
    return Effect.zipRight(
      Metric.increment(Metric.tagged(counter, "limit", limit)),
      isNew
        ? Effect.logWarning(`effect-http-cache: the limit on ${limit} is reached, ${consequence}; this is logged once`)
        : Effect.void
    )
  })
