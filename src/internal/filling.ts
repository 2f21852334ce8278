/** A place filled: the handler asked, what may be kept of its answer kept, once for all who wait for it. */
import type * as Respondable from "@effect/platform/HttpServerRespondable"
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { CacheItem } from "../CacheItem.js"
import * as notes from "../home/notes.js"
import * as Fields from "../protocol/Fields.js"
import * as Reuse from "../protocol/Reuse.js"
import * as Validation from "../protocol/Validation.js"
import { ask, type Asked } from "./asking.js"
import { isOfThisProcess } from "./callSite.js"
import * as Body from "./body.js"
import { statusOf } from "./failing.js"
import { Fill } from "./fill.js"
import type { Land } from "./flights.js"
import { goingOn } from "./handler.js"
import { forget, freshenByHead, judge, type Judged, store, tooLarge } from "./keeping.js"
import * as recorder from "./recorder.js"
import { entityTag, lengthOf } from "./serverResponse.js"
import * as spellings from "./spellings.js"
import * as storages from "./storages.js"
import * as varying from "./varying.js"
import type { Visit } from "./visit.js"
import { routeOf, warn, warnOfAnother, warnOfTag } from "./warning.js"

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

export const late = (): Extract<Filled<never>, { readonly _tag: "Failed" }> => ({
  _tag: "Failed",
  status: 504,
  cause: undefined
})

/** Nobody is sent the content. */
export const discard = <E>(filled: Filled<E>): void => {
  if (filled._tag === "Answered" && filled.fill === undefined) Body.discard(filled.asked.own.body)
}

export interface Order<RP> {
  readonly here: Visit<RP>
  readonly place: storages.Place
  /** What the request asks of what is stored. */
  readonly wanted: Reuse.Request
  /** The handler's answer is wanted whole. */
  readonly mayKeep: boolean
  /** Of requests that may be joined: it is remembered where that was for nothing. */
  readonly group: string | undefined
  /** Others may join it, and may have filled the place since it was looked at. */
  readonly isJoined: boolean
}

/** What is known of a group from one answer. An error says nothing of the next answer. */
const remember = (
  { group, place }: Pick<Order<unknown>, "group" | "place">,
  item: CacheItem | undefined,
  status: number,
  now: number
): void => {
  if (group === undefined) return
  const { lookup, storage } = place
  if (item !== undefined && Reuse.decide(item, Reuse.anybody, now)._tag === "Fresh") {
    notes.join(storage, group)
    notes.nominate(storage, lookup, item.vary)
  } else if (!Reuse.isError(status)) {
    notes.unjoin(storage, group, now)
  }
}

/** Routes whose streams read what selects them while they are sent. */
const latecomers = new WeakSet<object>()

/** A stored stream has the length and the tag that it could not have while it was one. */
const withContent = (item: CacheItem, body: Uint8Array, etag: "strong" | "weak" | "none"): CacheItem => {
  const headers = { ...item.headers, "content-length": String(body.byteLength) }
  const isTagged = item.status !== 200 || etag === "none" || Fields.get(headers, "etag") !== undefined
  return { ...item, body, headers: isTagged ? headers : { ...headers, etag: entityTag(headers, body, etag) } }
}

/** Lands when the handler has answered; ends when a streamed body has, and is kept. */
export const fill = <A extends Respondable.Respondable, E, R, RP>(
  handler: Effect.Effect<A, E, R>,
  order: Order<RP>
) =>
(land: Land<Filled<E>>): Effect.Effect<void, never, R> =>
  Effect.gen(function*() {
    const { here, mayKeep, wanted } = order
    const { method } = here.view
    const { lookup, storage, timeout } = order.place
    const looksAgain = order.isJoined && order.place.found.fence !== undefined
    const place = looksAgain ? yield* storages.look(storage, lookup, timeout, here.cache) : order.place
    const { item } = place.found
    spellings.remember(storage, here.view.target, here.policy.query)
    const requestTime = yield* Clock.currentTimeMillis
    if (looksAgain && item !== undefined && Reuse.decide(item, wanted, requestTime)._tag === "Fresh") {
      return yield* land({ _tag: "Found" })
    }

    const exit = yield* Effect.exit(ask(handler, here, place, mayKeep))
    if (Exit.isFailure(exit)) {
      const status = yield* statusOf(exit.cause)
      remember(order, undefined, status, yield* Clock.currentTimeMillis)
      if (Validation.supersedes(method, status)) yield* forget(place)
      return yield* land({ _tag: "Failed", status, cause: exit.cause })
    }
    const asked = exit.value
    const { answer, own, responseTime } = asked
    const answered = { _tag: "Answered", status: own.status, asked } as const
    if (asked.isSent) {
      remember(order, undefined, own.status, responseTime)
      return yield* land(answered)
    }
    if (item !== undefined && Reuse.insteadOfError(item, own.status, wanted, responseTime)) {
      return yield* land(answered)
    }

    const route = yield* routeOf(handler)
    const { anothers } = place.found
    if (anothers !== undefined && isOfThisProcess(anothers)) yield* warnOfAnother(route, lookup.key)
    const isStream = answer.body._tag === "Stream"
    const exchange = { ...asked, method, requestTime, readsLate: isStream && latecomers.has(route) }
    const judged = yield* judge(here, place, exchange, answer)
    if (asked.isFromBeneath) {
      remember(order, undefined, own.status, responseTime)
      return yield* land({ ...answered, judged: { ...judged, item: undefined } })
    }
    remember(order, judged.item, answer.status, responseTime)
    yield* warn(route, lookup.key, judged.detail, judged.unkeyed)
    if (here.policy.expiry !== undefined) yield* warnOfTag(route, lookup.key, Fields.get(own.fields, "etag"))
    if (judged.item === undefined) {
      if (Validation.supersedes(method, answer.status)) yield* forget(place)
      if (method === "HEAD") yield* freshenByHead(here, place, exchange, own)
      return yield* land({ ...answered, judged })
    }
    const kept = judged.item
    if (item === undefined && place.found.reason === "vary-miss" && here.policy.unkeyed === "vary") {
      yield* varying.missed(route, here, recorder.unkeyedFields(asked.reads, here.policy))
    }
    if (answer.body._tag !== "Stream") {
      const detail = yield* store(place, kept)
      return yield* land({ ...answered, judged: { ...judged, detail } })
    }
    const { maxBodyBytes, etag } = here.policy
    const source = Body.measured(goingOn(answer.body.stream, asked), lengthOf(answer))
    const filled = new Fill(
      maxBodyBytes,
      yield* Effect.withFiberRuntime<Effect.Effect<void>>((self) => Effect.succeed(Fiber.interruptFork(self)))
    )
    const reads = asked.reads?.count
    // The head has gone out: what no longer holds breaks off, for all who get it, and this route's streams are for nobody else.
    const changed = Effect.gen(function*() {
      if (asked.said.isRefused !== true) {
        const { item } = yield* judge(here, place, exchange, answer)
        const isNamed = here.policy.unkeyed !== "vary" ||
          recorder.unkeyedFields(asked.reads, here.policy, kept.headers).length === 0
        if (item !== undefined && isNamed) return
      }
      latecomers.add(route)
      yield* warn(route, lookup.key, "unkeyed", [recorder.late])
      remember(order, undefined, answer.status, responseTime)
      yield* forget(place)
      return yield* Effect.fail(new Error("the body read what selects it, or was refused, after its head had gone out"))
    })
    const holds = Effect.suspend(() =>
      asked.said.isRefused !== true && asked.reads?.count === reads ? Effect.void : changed
    )
    yield* land({ ...answered, judged, fill: filled })
    yield* filled.pump(
      Stream.tap(source, () => holds),
      Effect.gen(function*() {
        yield* holds
        if (filled.isWhole) yield* store(place, withContent(kept, filled.bytes, etag))
        else {
          yield* tooLarge(storage)
          remember(order, undefined, answer.status, responseTime)
          yield* forget(place)
        }
      }),
      here.policy.deadline
    )
  })
