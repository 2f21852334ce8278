/** Runs the handler once for several processes: a process runs it only while it holds the lease of the flight. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { CacheStorageError } from "../CacheError.js"
import * as Reuse from "../protocol/Reuse.js"
import { type Service, SharedFlights } from "../SharedFlights.js"
import { serviceIn, withFiber } from "../runtime/effect.js"
import { call } from "../runtime/storageCall.js"
import type { FetchPlan } from "./fetch.js"
import { now } from "./request.js"
import { lookup } from "./storageAccess.js"

/** The pause between two looks at whether the response is stored or the lease is free. Milliseconds. */
const pause = 50

/**
 * Runs `run` where no other process holds the lease of this flight. Otherwise it waits, and runs `found` once that process has
 * stored a fresh response. Where the service fails or is too slow, it runs `run` without a lease. Nothing here bounds the
 * waiting: the end of the lease and the deadline of the flight do.
 */
export const leased = <Res, E, R>(
  plan: FetchPlan<Res, E, R>,
  run: Effect.Effect<void, never, R>,
  found: () => Effect.Effect<void>
): Effect.Effect<void, never, R> =>
  withFiber((context: Context.Context<R>) => {
    const flights = serviceIn(context, SharedFlights)
    return flights === undefined || plan.flight === undefined
      ? run
      : waiting(plan, flights.take(plan.flight), run, found)
  })

const waiting = <Res, E, R>(
  plan: FetchPlan<Res, E, R>,
  take: ReturnType<Service["take"]>,
  run: Effect.Effect<void, never, R>,
  found: () => Effect.Effect<void>
): Effect.Effect<void, never, R> => {
  const { request, wanted } = plan
  const { clock, key, policy: { storageTimeout: timeout }, runtime } = request
  const calling = <A extends {}>(effect: Effect.Effect<A, unknown>) =>
    call({ runtime, clock, timeout, method: "begin", key }, () =>
      Effect.mapError(
        effect,
        (cause) => new CacheStorageError({ storage: "SharedFlights", method: "begin", key, cause })
      ))
  const isStored = Effect.map(
    lookup({ ...request, waited: undefined }),
    ({ item }) => item !== undefined && Reuse.decide(item, wanted, now(request))._tag === "Fresh"
  )
  return Effect.uninterruptibleMask((restore) => {
    const attempt: Effect.Effect<void, never, R> = Effect.flatMap(calling(take), (lease) => {
      if (lease === undefined) return restore(run)
      if (lease !== "taken") return Effect.ensuring(restore(run), calling(Effect.as(lease, true)))
      return Effect.flatMap(
        restore(Effect.andThen(runtime.timeouts.passing(clock, pause), isStored)),
        (isStored) => isStored ? found() : attempt
      )
    })
    return attempt
  })
}
