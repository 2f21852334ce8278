/** Runs the handler, and stores its response if it may be stored. */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { CacheItem } from "../CacheItem.js"
import * as Reuse from "../protocol/Reuse.js"
import * as Validation from "../protocol/Validation.js"
import * as Vary from "../protocol/Vary.js"
import { step } from "../runtime/effect.js"
import * as metrics from "../runtime/metrics.js"
import type { Handle } from "../runtime/flight.js"
import { ask, type HandlerAnswer } from "./ask.js"
import * as Body from "./body.js"
import * as alike from "./alike.js"
import type { Answer, Handled } from "./origin.js"
import { routeOf } from "./report.js"
import { type CacheRequest, now } from "./request.js"
import type { SharedBody } from "./sharedBody.js"
import * as spellings from "./spellings.js"
import { begin, type Begun, type Found } from "./storageAccess.js"
import { Destination, drop, freshenByHead, type HandlerExchange, judge, type Judged, store } from "./store.js"
import { type Pumped, share } from "./streamedBody.js"
import * as varyingWarning from "./varyingWarning.js"
import * as warnings from "./warnings.js"

export class FetchPlan<Res, E, R> {
  readonly request: CacheRequest<Res, E, R>
  /** What the request found at first. */
  readonly found: Found
  /** What the request asks of what is stored. */
  readonly wanted: Reuse.Request
  /** The answer may be stored, so the handler is asked for it whole. */
  readonly mayKeep: boolean
  /** Others could wait for it. If they can't share, that is remembered. */
  readonly mayWait: boolean
  /** Requests with the same key wait for one run; `undefined`: it runs the handler alone. */
  readonly flight: string | undefined
  /** A fill that has begun for it already. */
  readonly begun: Begun | undefined = undefined

  constructor(
    request: CacheRequest<Res, E, R>,
    found: Found,
    wanted: Reuse.Request,
    { flight, mayKeep, mayWait }: Pick<FetchPlan<Res, E, R>, "mayKeep" | "mayWait" | "flight">
  ) {
    this.request = request
    this.found = found
    this.wanted = wanted
    this.mayKeep = mayKeep
    this.mayWait = mayWait
    this.flight = flight
  }
}

export class Answered<Res> {
  readonly _tag = "Answered"
  /** What the handler said. */
  readonly status: number
  readonly handled: Handled<Res>
  /** What it comes to: the same, or the whole that a `304` or a `206` stands for. */
  readonly answer: Answer
  /** Where it is kept. */
  readonly destination: Destination
  /** `undefined` for an error that a stored response may replace, and for what is sent already. No item: a cache beneath answered. */
  readonly judged: Judged | undefined
  /** The content, where it is a stream that may be kept. */
  readonly shared: SharedBody | undefined
  /** Pulls that stream, if there is one, to its end, and stores it. */
  readonly pump: Effect.Effect<void>

  constructor(destination: Destination, { answer, handled }: HandlerAnswer<Res>, judged?: Judged, streamed?: Pumped) {
    this.status = handled.answer.status
    this.handled = handled
    this.answer = answer
    this.destination = destination
    this.judged = judged
    this.shared = streamed?.shared
    this.pump = streamed?.pump ?? Effect.void
  }
}

export interface Failed<E> {
  readonly _tag: "Failed"
  /** What the binding answers. */
  readonly status: number
  /** There is none where the handler took too long, or the storage's layer has closed. */
  readonly cause: Cause.Cause<E> | undefined
}

/** What a run of the handler came to. */
export type RunResult<Res, E> = Answered<Res> | Failed<E>

/** What a request that has asked for a run gets: the handler does not run where somebody else has stored a response meanwhile. */
export type Fetched<Res, E> = RunResult<Res, E> | { readonly _tag: "StoredMeanwhile" }

export const failedLate = (): Failed<never> => ({ _tag: "Failed", status: 504, cause: undefined })

/** The storage's layer has closed before it had ended. */
export const closed: Failed<never> = { _tag: "Failed", status: 503, cause: undefined }

/** Gives up the content, which its request is not sent; `isGone`: the request has been left, and is sent nothing. */
export const discard = <Res, E>(fetched: Fetched<Res, E>, isGone = false): Effect.Effect<void> => {
  if (fetched._tag !== "Answered" || fetched.handled.isSent) return Effect.void
  const { handled, shared } = fetched
  if (shared === undefined) return Body.discard(handled.answer.body)
  return isGone ? shared.first.leave : shared.first.decline
}

/** Remembers of one answer whether requests of its kind can share their responses. An error says nothing of the next answer. */
const learn = <Res, E, R>(
  { mayWait, request }: FetchPlan<Res, E, R>,
  destination: Destination,
  { fields, status }: Pick<Answer, "status" | "fields">,
  time: number,
  kept?: CacheItem
): void => {
  if (!mayWait) return
  const vary = Vary.inFields(fields)
  if (vary !== "*" && vary.length > 0) alike.nominate(request, kept?.vary ?? vary)
  if (kept !== undefined && Reuse.decide(kept, Reuse.anybody, time)._tag === "Serve") {
    alike.share(request, destination.item)
  } else if (!Reuse.isError(status)) {
    alike.unshare(request, destination.item, time)
  }
}

/**
 * Ends when the handler has answered and what may be stored is stored; a stream is stored by its `pump`. `handle`: of the
 * flight that it is for.
 */
export const fetch = <Res, E, R>(
  plan: FetchPlan<Res, E, R>,
  handle?: Pick<Handle<never>, "began">
): Effect.Effect<Fetched<Res, E>, never, R> => {
  const { mayKeep, request, wanted } = plan
  const begun = plan.begun === undefined ? begin(request, plan.found) : Exit.succeed(plan.begun)
  return step(begun, ({ fill, found }): Effect.Effect<Fetched<Res, E>, never, R> => {
    const { item } = found
    const destination = new Destination(request, fill, item)
    if (handle !== undefined && item !== undefined && Reuse.decide(item, wanted, destination.since)._tag === "Serve") {
      return Effect.succeed({ _tag: "StoredMeanwhile" })
    }
    handle?.began(destination)
    spellings.remember(request)
    return Effect.matchCauseEffect(ask(request, item, mayKeep), {
      onFailure: (cause) => failed(plan, destination, cause),
      onSuccess: (ofHandler) =>
        ofHandler.answer.body._tag === "Bytes"
          ? keep(plan, destination, ofHandler)
          : Effect.onInterrupt(keep(plan, destination, ofHandler), () => Body.discard(ofHandler.handled.answer.body))
    })
  })
}

const failed = <Res, E, R>(
  plan: FetchPlan<Res, E, R>,
  destination: Destination,
  cause: Cause.Cause<E>
): Effect.Effect<Failed<E>> =>
  Effect.flatMap(plan.request.origin.statusOf(cause), (status) => {
    const time = now(plan.request)
    metrics.ofRoute(routeOf(plan.request)).handlerAnswered(time - destination.since)
    learn(plan, destination, { status, fields: {} }, time)
    const isOver = Validation.supersedes(plan.request.view.method, status)
    return Effect.as(isOver ? drop(destination) : Effect.void, { _tag: "Failed", status, cause })
  })

/** Stores what the handler answered, where it may be stored. */
const keep = <Res, E, R>(
  plan: FetchPlan<Res, E, R>,
  destination: Destination,
  ofHandler: HandlerAnswer<Res>
): Effect.Effect<Answered<Res>> => {
  const { request, wanted } = plan
  const { item } = destination
  const { answer, handled } = ofHandler
  const { answer: own, responseTime } = handled
  metrics.ofRoute(routeOf(request)).handlerAnswered(responseTime - destination.since)
  if (handled.isSent) {
    learn(plan, destination, own, responseTime)
    return Exit.succeed(new Answered(destination, ofHandler))
  }
  if (item !== undefined && Reuse.insteadOfError(item, own.status, wanted, responseTime)) {
    return Exit.succeed(new Answered(destination, ofHandler))
  }
  const { route } = request.origin
  const exchange: HandlerExchange = {
    method: request.view.method,
    requestTime: destination.since,
    responseTime,
    setsPreResponseHandler: handled.setsPreResponseHandler,
    reads: handled.reads,
    shown: handled.shown,
    said: handled.said,
    readsLate: answer.body._tag === "Stream" && warnings.isKnownToReadLate(route)
  }
  return step(judge(destination, exchange, answer), (judged) => {
    if (handled.isFromBeneath) {
      learn(plan, destination, own, responseTime)
      return Exit.succeed(new Answered(destination, ofHandler, { ...judged, item: undefined }))
    }
    learn(plan, destination, answer, responseTime, judged.item)
    if (judged.item !== undefined && judged.item.groups.length > 0) destination.groups = judged.item.groups
    const warned = warnings.ofAnswer(plan.found, request, route, judged, own)
    return step(warned, () => stored(plan, exchange, new Answered(destination, ofHandler, judged), judged))
  })
}

/** Stores the item; without one, the answer may drop or freshen what is stored. */
const stored = <Res, E, R>(
  plan: FetchPlan<Res, E, R>,
  exchange: HandlerExchange,
  answered: Answered<Res>,
  judged: Judged
): Effect.Effect<Answered<Res>> => {
  const { answer, destination, handled } = answered
  const { body } = answer
  const { item } = judged
  if (item === undefined) return notStored(exchange, answered)
  const { found, request } = plan
  const { route } = request.origin
  return step(varyingWarning.missed(found, request, route, handled.reads), () => {
    if (body._tag !== "Stream") {
      return step(
        store(destination, item),
        (detail) =>
          Exit.succeed(detail === undefined ? answered : new Answered(destination, answered, { ...judged, detail }))
      )
    }
    const unshare = () => learn(plan, destination, { status: answer.status, fields: {} }, exchange.responseTime)
    const streamed = share({ destination, exchange, answer, stream: body, item, route, unshare })
    return Exit.succeed(new Answered(destination, answered, judged, streamed))
  })
}

/** What may not be stored may make what is stored out of date, or say that it is still current. */
const notStored = <Res>(exchange: HandlerExchange, answered: Answered<Res>): Effect.Effect<Answered<Res>> => {
  const { answer, handled, destination } = answered
  const { method } = exchange
  const isOver = Validation.supersedes(method, answer.status)
  const done = isOver
    ? drop(destination)
    : method === "HEAD"
    ? freshenByHead(destination, exchange, handled.answer)
    : Effect.void
  return step(done, () => Exit.succeed(answered))
}
