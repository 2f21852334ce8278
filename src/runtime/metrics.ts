/** What operators count, measure and watch, of all storages of the process together; `docs/operations.md` has the table. */
import type * as CacheStatus from "../protocol/CacheStatus.js"
import { counter, gauge, histogram, type Instrument } from "./instruments.js"

/** Seconds. */
const durations = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
/** Seconds, up to a week. */
const ages = [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 21_600, 86_400, 604_800]

/** What is in a map, or is made and put there. */
const entryOf = <K, A>(map: Map<K, A>, key: K, make: () => A): A => {
  let one = map.get(key)
  if (one === undefined) map.set(key, one = make())
  return one
}

/** Makes one for each name, when it is first asked for. */
const named = <A>(make: (name: string) => A) => {
  const made = new Map<string, A>()
  return (name: string): A => entryOf(made, name, () => make(name))
}

/** What is recorded of one route. */
class OfRoute {
  private readonly route: string
  private readonly fresh: Instrument
  private readonly stale: Instrument
  private readonly age: Instrument
  private readonly forwarded = new Map<
    CacheStatus.ForwardReason,
    Map<CacheStatus.Detail | undefined, Array<Instrument>>
  >()
  private readonly handled: Instrument

  constructor(route: string) {
    this.route = route
    this.fresh = this.requests({ outcome: "hit" })
    this.stale = this.requests({ outcome: "stale" })
    this.age = histogram("effect_http_cache_age_seconds", "How old stored responses are that are served", ages, {
      route
    })
    this.handled = histogram("effect_http_cache_handler_seconds", "How long handlers take to answer", durations, {
      route
    })
  }

  /** Milliseconds. */
  handlerAnswered(after: number): void {
    this.handled(after / 1000)
  }

  private requests(tags: { readonly [name: string]: string }): Instrument {
    return counter("effect_http_cache_requests", "Requests that were answered, by what the cache did", {
      route: this.route,
      ...tags
    })
  }

  answered(outcome: CacheStatus.Outcome | CacheStatus.NotCached): void {
    if (outcome._tag === "Hit") {
      ;(outcome.ttl > 0 ? this.fresh : this.stale)(1)
      this.age(outcome.age / 1000)
    } else if (outcome._tag === "Forwarded") this.ofForwarded(outcome)(1)
    else this.requests({ outcome: "not-cached" })(1)
  }

  private ofForwarded({ collapsed = false, detail, reason, stored }: CacheStatus.Forwarded): Instrument {
    const byDetail = entryOf(this.forwarded, reason, () => new Map<CacheStatus.Detail | undefined, Array<Instrument>>())
    const each = entryOf(byDetail, detail, () => [])
    return each[(stored ? 2 : 0) + (collapsed ? 1 : 0)] ??= this.requests({
      outcome: "forwarded",
      reason,
      detail: detail ?? "",
      stored: `${stored}`,
      collapsed: `${collapsed}`
    })
  }
}

export const ofRoute = named((route) => new OfRoute(route))

/** Seconds. */
export const storageSeconds = named((method) =>
  histogram("effect_http_cache_storage_seconds", "How long a storage takes that does not answer at once", durations, {
    method
  })
)

export const storageFailures = named((method) =>
  counter("effect_http_cache_storage_failures", "Calls of a storage that failed or took too long", { method })
)

export const collects = named((kind) =>
  counter("effect_http_cache_collects", "What was collected, by URI, by group or everything", { kind })
)

export const errorsHidden = named((by) =>
  counter(
    "effect_http_cache_errors_hidden",
    "Errors of handlers, by what was answered instead",
    { by }
  )
)

export const limitsReached = named((limit) =>
  counter("effect_http_cache_limits_reached", "Limits that were reached, by limit", { limit })
)

export const laneHits = counter("effect_http_cache_lane_hits", "Requests that the lane has answered")

export const evictions = counter(
  "effect_http_cache_evictions",
  "Items that storages in memory dropped for their bounds"
)

/** These go up and down: they are told by how much. */
export const items = gauge("effect_http_cache_items", "Items in the storages in memory")
export const bytes = gauge("effect_http_cache_bytes", "Bytes that these take")
export const flights = gauge("effect_http_cache_flights", "Runs of handlers that requests wait for or may join")
export const waiters = gauge("effect_http_cache_waiters", "Requests that wait for another request's run")
export const refreshes = gauge("effect_http_cache_refreshes", "Refreshes in the background")
export const undelivered = gauge("effect_http_cache_undelivered_collects", "Collects that a storage is not told of yet")
