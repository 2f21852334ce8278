/** A place filled: the handler asked, what may be kept of its answer kept, once for all who wait for it. */
import type * as Respondable from "@effect/platform/HttpServerRespondable"
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { CacheItem } from "../CacheItem.js"
import * as notes from "../home/notes.js"
import * as Fields from "../protocol/Fields.js"
import * as Reuse from "../protocol/Reuse.js"
import * as Validation from "../protocol/Validation.js"
import * as Vary from "../protocol/Vary.js"
import { ask, type Asked } from "./asking.js"
import { isOfThisProcess } from "./callSite.js"
import * as Body from "./body.js"
import { statusOf } from "./failing.js"
import type { Fill } from "./fill.js"
import type { Air } from "./flights.js"
import { groupOf } from "./group.js"
import { forget, freshenByHead, judge, type Judged, store } from "./keeping.js"
import * as recorder from "./recorder.js"
import * as spellings from "./spellings.js"
import * as storages from "./storages.js"
import { streamed } from "./streamed.js"
import * as varying from "./varying.js"
import type { Visit } from "./visit.js"
import { isKnownToReadLate, placeOf, warn, warnOfAnother, warnOfTag } from "./warning.js"

/** What became of it. */
export type Filled<E> =
  /** Somebody else has filled it meanwhile. */
  | { readonly _tag: "Found" }
  | {
    readonly _tag: "Answered"
    readonly status: number
    readonly asked: Asked
    /** `undefined` where what is stored answers instead; there is no item where a cache beneath has answered. */
    readonly judged?: Judged | undefined
    /** The content, where it is a stream that may be kept. */
    readonly fill?: Fill | undefined
  }
  /** `status` is what the platform answers; there is no cause where the handler took too long. */
  | { readonly _tag: "Failed"; readonly status: number; readonly cause: Cause.Cause<E> | undefined }

const late = (): Extract<Filled<never>, { readonly _tag: "Failed" }> => ({
  _tag: "Failed",
  status: 504,
  cause: undefined
})

/** The request that it was asked for is not sent the content; `isGone`: it is sent nothing. */
export const discard = <E>(filled: Filled<E>, isGone = false): Effect.Effect<void> => {
  if (filled._tag !== "Answered" || filled.asked.isSent) return Effect.void
  const { asked, fill } = filled
  if (fill === undefined) return Body.discard(asked.own.body)
  return isGone ? fill.first.leave : fill.first.decline
}

/** The storage's layer has closed before it had ended. */
export const closed: Filled<never> = { _tag: "Failed", status: 503, cause: undefined }

/** For those flights that take too long, or whose outcome nobody takes. */
export const otherwise = { late, untaken: discard }

export interface Order<RP> {
  readonly here: Visit<RP>
  readonly place: storages.Place
  /** What the request asks of what is stored. */
  readonly wanted: Reuse.Request
  /** The handler's answer is wanted whole. */
  readonly mayKeep: boolean
  /** Others could join it, and it is remembered where that was for nothing. */
  readonly mayJoin: boolean
  /** Others may join it, and may have filled the place since it was looked at. */
  readonly isJoined: boolean
}

/**
 * What is known of a group from one answer. An error says nothing of the next answer. `vary` is what the answer nominated:
 * who asks otherwise is of another group.
 */
const remember = (
  { here, mayJoin, place }: Pick<Order<unknown>, "here" | "mayJoin" | "place">,
  item: CacheItem | undefined,
  status: number,
  vary: string | undefined,
  now: number
): void => {
  if (!mayJoin) return
  const { lookup, storage } = place
  const named = Vary.parse(vary)
  if (named !== "*" && named.length > 0) notes.nominate(storage, lookup, item?.vary ?? named)
  if (item !== undefined && Reuse.decide(item, Reuse.anybody, now)._tag === "Fresh") {
    notes.join(storage, groupOf(here, place))
  } else if (!Reuse.isError(status)) {
    notes.unjoin(storage, groupOf(here, place), now)
  }
}

/** Lands when the handler has answered; ends when a streamed body has, and is kept. */
export const fill =
  <A extends Respondable.Respondable, E, R, RP>(handler: Effect.Effect<A, E, R>, order: Order<RP>) =>
  (air: Air<Filled<E>>): Effect.Effect<void, never, R> =>
    Effect.gen(function*() {
      const { here, mayKeep, wanted } = order
      const { lookup, storage, timeout } = order.place
      const looksAgain = order.isJoined && order.place.found.fence !== undefined
      const place = looksAgain ? yield* storages.look(storage, lookup, timeout, order.place.accepts) : order.place
      const { item } = place.found
      spellings.remember(storage, here.view.target, here.policy.query)
      const requestTime = yield* Clock.currentTimeMillis
      if (looksAgain && item !== undefined && Reuse.decide(item, wanted, requestTime)._tag === "Fresh") {
        return yield* air.land({ _tag: "Found" })
      }

      const exit = yield* Effect.exit(ask(handler, here, place, mayKeep))
      if (Exit.isFailure(exit)) {
        const status = yield* statusOf(exit.cause)
        remember(order, undefined, status, undefined, yield* Clock.currentTimeMillis)
        if (Validation.supersedes(here.view.method, status)) yield* forget(place)
        return yield* air.land({ _tag: "Failed", status, cause: exit.cause })
      }
      yield* Effect.onInterrupt(
        keep(handler, { ...order, place }, exit.value, requestTime, air),
        () => discard({ _tag: "Answered", status: exit.value.own.status, asked: exit.value })
      )
    })

const keep = <A extends Respondable.Respondable, E, R, RP>(
  handler: Effect.Effect<A, E, R>,
  order: Order<RP>,
  asked: Asked,
  requestTime: number,
  { end, land }: Air<Filled<E>>
): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { here, place, wanted } = order
    const { method } = here.view
    const { lookup } = place
    const { item } = place.found
    const { answer, own, responseTime } = asked
    const answered = { _tag: "Answered", status: own.status, asked } as const
    if (asked.isSent) {
      remember(order, undefined, own.status, Fields.get(own.fields, "vary"), responseTime)
      return yield* land(answered)
    }
    if (item !== undefined && Reuse.insteadOfError(item, own.status, wanted, responseTime)) {
      return yield* land(answered)
    }

    const route = yield* placeOf(handler, lookup.key)
    const { anothers } = place.found
    if (anothers !== undefined && anothers !== here.cache && isOfThisProcess(anothers)) {
      yield* warnOfAnother(route.handler, lookup.key)
    }
    const exchange = {
      ...asked,
      method,
      requestTime,
      readsLate: answer.body._tag === "Stream" && isKnownToReadLate(route)
    }
    const judged = yield* judge(here, place, exchange, answer)
    if (asked.isFromBeneath) {
      remember(order, undefined, own.status, Fields.get(own.fields, "vary"), responseTime)
      return yield* land({ ...answered, judged: { ...judged, item: undefined } })
    }
    remember(order, judged.item, answer.status, Fields.get(answer.fields, "vary"), responseTime)
    yield* warn(route.handler, lookup.key, judged.detail, judged.unkeyed)
    if (here.policy.expiry !== undefined) {
      yield* warnOfTag(route.handler, lookup.key, Fields.get(own.fields, "etag"))
    }
    if (judged.item === undefined) {
      if (Validation.supersedes(method, answer.status)) yield* forget(place)
      if (method === "HEAD") yield* freshenByHead(here, place, exchange, own)
      return yield* land({ ...answered, judged })
    }
    if (item === undefined && place.found.reason === "vary-miss" && here.policy.unkeyed === "vary") {
      yield* varying.missed(route.handler, here, recorder.unkeyedFields(asked.reads, here.policy))
    }
    if (answer.body._tag !== "Stream") {
      const detail = yield* store(place, judged.item)
      return yield* land({ ...answered, judged: { ...judged, detail } })
    }
    const { stream } = answer.body
    const unshare = () => remember(order, undefined, answer.status, undefined, responseTime)
    yield* streamed({
      here,
      place,
      asked,
      exchange,
      item: judged.item,
      stream,
      route,
      land: (fill) => land({ ...answered, judged, fill }),
      end,
      unshare
    })
  })
