/** Runs the handler once for several processes: a process runs it only while it holds the lease of the flight. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { CacheStorageError } from "../CacheError.js"
import * as Reuse from "../protocol/Reuse.js"
import { type Service, SharedFlights } from "../SharedFlights.js"
import { forkDetached, serviceIn, withFiber } from "../runtime/effect.js"
import { type Call, call } from "../runtime/storageCall.js"
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
    const { flight } = plan
    if (flights === undefined || flight === undefined) return run
    return waiting(plan, Effect.suspend(() => flights.take(flight)), run, found)
  })

type Lease = Effect.Effect<void>

/**
 * Asks for the lease once. A lease that comes when nobody waits for it any more, since the request has left or the time is over,
 * is given back when it comes: the service is asked to the end. `undefined`: the service has failed, or is too slow.
 */
const asking = (take: ReturnType<Service["take"]>, made: Omit<Call, "method">) =>
  Effect.suspend(() => {
    let lease: Lease | undefined
    let isOver = false
    const back = Effect.suspend(() => lease === undefined ? Effect.void : forkDetached(lease))
    const taken = Effect.flatMap(take, (answer): Effect.Effect<Lease | "taken"> => {
      if (answer === "taken") return Effect.succeed(answer)
      lease = answer
      return Effect.as(isOver ? back : Effect.void, answer)
    })
    const named = Effect.mapError(
      taken,
      (cause) => new CacheStorageError({ storage: "SharedFlights", method: "take", key: made.key, cause })
    )
    return Effect.onExit(call({ ...made, method: "take" }, () => Effect.uninterruptible(named)), (exit) => {
      isOver = true
      return exit._tag === "Success" && exit.value !== undefined ? Effect.void : back
    })
  })

const waiting = <Res, E, R>(
  plan: FetchPlan<Res, E, R>,
  take: ReturnType<Service["take"]>,
  run: Effect.Effect<void, never, R>,
  found: () => Effect.Effect<void>
): Effect.Effect<void, never, R> => {
  const { request, wanted } = plan
  const { clock, key, policy: { storageTimeout: timeout }, runtime } = request
  const asked = asking(take, { runtime, clock, timeout, key })
  const isStored = Effect.map(
    lookup({ ...request, waited: undefined }),
    ({ item }) => item !== undefined && Reuse.decide(item, wanted, now(request))._tag === "Serve"
  )
  return Effect.uninterruptibleMask((restore) => {
    const attempt: Effect.Effect<void, never, R> = Effect.flatMap(asked, (lease) => {
      if (lease === undefined) return restore(run)
      if (lease !== "taken") return Effect.ensuring(restore(run), forkDetached(lease))
      return Effect.flatMap(
        restore(Effect.andThen(runtime.timeouts.passing(clock, pause), isStored)),
        (isStored) => isStored ? found() : attempt
      )
    })
    return attempt
  })
}
