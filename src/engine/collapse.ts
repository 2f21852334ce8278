/** Runs the handler once for all requests that may wait for the same response. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import type { CacheItem } from "../CacheItem.js"
import type { ForwardReason } from "../protocol/CacheStatus.js"
import * as Collapsing from "../protocol/Collapsing.js"
import type * as Reuse from "../protocol/Reuse.js"
import { interruptLater, isInterrupted, step, withFiber } from "../runtime/effect.js"
import { limitReached } from "../runtime/limits.js"
import { isAhead } from "../runtime/memory.js"
import { type Handle, ifNotSent } from "../runtime/flight.js"
import type { Plan } from "../runtime/singleFlight.js"
import { type Answered, closed, discard, failedLate, fetch, type Fetched, FetchPlan } from "./fetch.js"
import * as alike from "./alike.js"
import type { ByteStream } from "./body.js"
import * as enclosing from "./enclosing.js"
import { leased } from "./lease.js"
import { type Asked, type CacheRequest, now } from "./request.js"
import type { Reader } from "./sharedBody.js"
import { type Access, begin, type Begun, type Found, holds } from "./storageAccess.js"
import { type Destination, groupsOf } from "./store.js"
import { wantedOf } from "./wanted.js"

/** What the handler is asked for, and whether with others. */
export const planOf = <Res, E, R>(
  request: CacheRequest<Res, E, R>,
  found: Found,
  reason: ForwardReason,
  wanted: Reuse.Request,
  attempt: Collapsing.Attempt
): FetchPlan<Res, E, R> => {
  const { asks, policy, view } = request
  const mayWait = Collapsing.mayWait(view, asks, reason, policy.expiry !== undefined)
  const isAlone = !mayWait || Collapsing.isLast(attempt) || alike.isUnshared(request, found.item, now(request))
  return new FetchPlan(request, found, wanted, {
    mayKeep: view.method !== "HEAD" && !asks.noStore,
    mayWait,
    flight: isAlone ? undefined : alike.flightOf(request, found.item)
  })
}

interface Arrived<Res, E> {
  readonly fetched: Fetched<Res, E>
  /** It is what another request's run of the handler came to. */
  readonly isJoined: boolean
}

/** How runs of the handler are shared. */
export class FlightPlan<Res, E, R> implements Plan<Fetched<Res, E>, R> {
  readonly key: string
  readonly span: Plan<never, never>["span"]
  readonly asker: Plan<never, never>["asker"]
  readonly deadline: number
  readonly late = failedLate
  readonly untaken = discard
  readonly isClientGone: Plan<never, never>["isClientGone"]
  readonly run: Plan<Fetched<Res, E>, R>["run"]

  constructor(
    { request: { origin, policy } }: FetchPlan<Res, E, R>,
    flight: string,
    run: Plan<Fetched<Res, E>, R>["run"]
  ) {
    this.key = flight
    this.span = origin.span
    this.asker = origin.asker
    this.deadline = policy.deadline
    this.isClientGone = origin.isClientGone
    this.run = run
  }
}

/** Runs the handler, of which other processes may have the lease. */
export const fetchInFlight = <Res, E, R>(
  plan: FetchPlan<Res, E, R>,
  handle: Handle<Fetched<Res, E>>
): Effect.Effect<void, never, R> =>
  leased(plan, fetchAndTell(plan, handle), () => handle.complete({ _tag: "StoredMeanwhile" }))

/** Runs the handler, tells all who wait, and then pulls a streamed body to its end. */
const fetchAndTell = <Res, E, R>(
  plan: FetchPlan<Res, E, R>,
  handle: Handle<Fetched<Res, E>>
): Effect.Effect<void, never, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(fetch(plan, handle)), (fetched) => {
      if (fetched._tag !== "Answered" || fetched.shared === undefined) return handle.complete(fetched)
      const { pump, shared } = fetched
      shared.end = handle.end
      const completed = Effect.onInterrupt(handle.complete(fetched), () => shared.first.decline)
      // Whoever waits for the body is told, also where it ends before it is pulled.
      return Effect.onExit(restore(Effect.andThen(completed, pump)), (exit) => shared.close(exit))
    })
  )

/** Runs the handler in the request's own fiber. */
const alone = <Res, E, R>(plan: FetchPlan<Res, E, R>): Effect.Effect<Arrived<Res, E>, never, R> =>
  Effect.uninterruptible(
    Effect.flatMap(Effect.interruptible(fetch(plan)), (fetched) => {
      const arrived = { fetched, isJoined: false }
      if (fetched._tag !== "Answered") return Effect.succeed(arrived)
      const untaken = discard(fetched, true)
      const taken = step(ifNotSent(untaken), () => Exit.succeed(arrived))
      const { pump, shared } = fetched
      if (shared === undefined) return taken
      const pumped = Effect.onExit(pump, (exit) => shared.close(exit))
      return withFiber((context: Context.Context<R>, _, caller) => {
        const start = { isAtOnce: false, isAwaited: true }
        const { fiber, hold } = plan.request.runtime.lend(caller, pumped, context, start)
        shared.end = interruptLater(fiber)
        return Effect.andThen(hold, taken)
      })
    })
  )

/** How late a collect of another process is noticed while the storage does not answer. Milliseconds. */
const noticedWithin = 1000

/**
 * Leaves a flight that began before a collect, or of which the storage can't say that it did not. A flight without a fill is
 * left once the storage answers, or after a second; the fill that is begun here is for the next run.
 */
const leaveOvertaken = <Res, E, R>(
  { found, request }: FetchPlan<Res, E, R>,
  flight: string
): Effect.Effect<Begun | undefined> => {
  const { singleFlight } = request.runtime
  const destination = singleFlight.begunFrom(flight) as Destination | undefined
  if (destination === undefined) return Exit.succeed(undefined)
  // Meanwhile another one may have begun, for who came with this request.
  const leave = () => singleFlight.leave(flight, destination)
  if (destination.fill !== undefined) {
    return step(holds(request, destination.fill, destination.groups), (holds) => {
      if (holds !== true) leave()
      return Exit.succeed(undefined)
    })
  }
  return step(begin(request, found), (begun) => {
    const isRecent = isAhead(destination.since + noticedWithin, now(request), noticedWithin)
    if (begun.fill === undefined && isRecent) return Exit.succeed(undefined)
    leave()
    return Exit.succeed(begun)
  })
}

/** Runs the handler once for every request that waits for it, or alone where this one may not wait. */
export const fetchOnce = <Res, E, R>(plan: FetchPlan<Res, E, R>): Effect.Effect<Arrived<Res, E>, never, R> => {
  const { flight, request } = plan
  if (flight === undefined) return alone(plan)
  const { policy, runtime } = request
  return step(leaveOvertaken(plan, flight), (begun) =>
    Effect.flatMap(
      runtime.singleFlight.join(
        new FlightPlan(
          plan,
          flight,
          (handle) => fetchInFlight(begun === undefined ? plan : { ...plan, begun }, handle)
        ),
        policy.maxWaiters
      ),
      (arrival): Effect.Effect<Arrived<Res, E>, never, R> => {
        if (arrival === "own") return alone(plan)
        if (typeof arrival === "string") {
          const reached = limitReached(runtime, arrival, "and requests run the handler for themselves")
          return Effect.andThen(reached, alone(plan))
        }
        const { exit, isJoined } = arrival
        if (Exit.isSuccess(exit)) return Effect.succeed({ fetched: exit.value, isJoined })
        return isInterrupted(exit.cause)
          ? Effect.succeed({ fetched: closed, isJoined })
          : Exit.failCause(exit.cause)
      }
    ))
}

/** What a request gets of a response that another one fetched. */
interface Shared {
  readonly item: CacheItem
  /** Its content, where it is a stream. */
  readonly reader: Reader | undefined
}

/** What another request's run of the handler stored. */
export const storedBy = <Res, E>(fetched: Fetched<Res, E>): CacheItem | undefined =>
  fetched._tag === "Answered" ? fetched.judged?.item : undefined

/**
 * Whether a request that waited may be answered with the response: it may have come after a collect of a group that was not
 * known yet. What the storage has kept was not collected; of the rest it is asked, and no answer counts as collected.
 */
const holdsFor = <Res>(
  { judged, destination: { collectsBegun, fill }, shared }: Answered<Res>,
  { groups }: CacheItem,
  asked: Access
): Effect.Effect<boolean> => {
  const isKept = judged?.detail === undefined && shared === undefined
  if (groups.length === 0 || isKept) return Exit.succeed(true)
  if (fill === undefined) return Exit.succeed(asked.runtime.collectsBegun === collectsBegun)
  return step(holds(asked, fill, groups), (holds) => Exit.succeed(holds === true))
}

/** The response to another request, where it answers this one as what is stored would. */
export const sharedBy = <Res, E>(
  fetched: Fetched<Res, E>,
  asked: Asked,
  time: number
): Effect.Effect<Shared | undefined> => {
  const item = storedBy(fetched)
  if (item === undefined || !Collapsing.mayShare(item, asked.lookup.variantOf, wantedOf(asked, item, time), time)) {
    return Exit.succeed(undefined)
  }
  const answered = fetched as Answered<Res>
  const { shared } = answered
  return step(holdsFor(answered, item, asked), (holds): Effect.Effect<Shared | undefined> => {
    if (!holds) return Exit.succeed(undefined)
    if (shared === undefined) return Exit.succeed({ item, reader: undefined })
    return Effect.map(
      shared.join,
      (reader) => reader === undefined ? undefined : { item, reader: telling(reader, answered, asked) }
    )
  })
}

/** Tells the caches above this request what was said while the body was made: the run told only those above its own. */
const telling = <Res>(
  reader: Reader,
  { answer, handled: { said }, destination }: Answered<Res>,
  asked: Asked
): Reader => {
  const tell = Effect.sync(() =>
    enclosing.tell(asked, enclosing.isPersonal(said, asked.identity.partition), groupsOf(destination, { said }, answer))
  )
  // A page that knows its length is stored with its last chunk, so it is told at each; at the end it is told the rest.
  const told = (stream: ByteStream) => Stream.ensuring(Stream.tap(stream, () => tell), tell)
  return { ...reader, stream: told(reader.stream), partial: told(reader.partial) }
}
