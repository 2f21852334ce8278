/** The handler asked, and whether what is stored is still current with it (RFC 9111 §4.3). */
import type * as Respondable from "@effect/platform/HttpServerRespondable"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { CacheItem } from "../CacheItem.js"
import * as notes from "../home/notes.js"
import * as CacheControl from "../protocol/CacheControl.js"
import * as Fields from "../protocol/Fields.js"
import * as Preconditions from "../protocol/Preconditions.js"
import * as Range from "../protocol/Range.js"
import * as Reuse from "../protocol/Reuse.js"
import * as Validation from "../protocol/Validation.js"
import * as Vary from "../protocol/Vary.js"
import * as Body from "./body.js"
import * as handlers from "./handler.js"
import * as recorder from "./recorder.js"
import * as serverResponse from "./serverResponse.js"
import type { Place } from "./storages.js"
import type { Visit } from "./visit.js"

export interface Asked extends handlers.Answered {
  /** The fields that the handler was shown. */
  readonly shown: Fields.Fields
  /** What the handler answered. */
  readonly own: serverResponse.Answer
  /** The same, or the whole that its `304` stands for, or that its `206` is or completes. */
  readonly answer: serverResponse.Answer
}

/** Is it still current, or, of a part, what is the rest of it? */
const question = (item: CacheItem, request: Fields.Fields): Fields.Fields | undefined => {
  if (Preconditions.isForOrigin(request)) return undefined
  if (item.range === undefined) return Validation.conditions(item.headers)
  if (Fields.get(request, "range") !== undefined) return undefined
  return Range.completing(item.range, Fields.get(item.headers, "etag") ?? "")
}

/** The whole that the answer completes a stored part to, as bytes or while it comes (RFC 9111 §3.4). */
const completed = (item: CacheItem, own: serverResponse.Answer): serverResponse.Answer | undefined => {
  const extent = serverResponse.extentOf(own)
  if (item.range === undefined || extent === undefined || !Range.meets(item.range, extent)) return undefined
  if (!Validation.isOfSame(item.headers, own.fields)) return undefined
  const rest = Body.bytes(own.body)
  if (rest !== undefined) {
    const whole = Range.join([item.range, item.body], [extent, rest])
    return whole === undefined ? undefined : serverResponse.freshened(item, own, (type) => Body.of(whole, type))
  }
  const { body } = own
  if (body._tag !== "Stream") return undefined
  const isFirst = item.range.first === 0
  const whole = (coming: Body.ByteStream) =>
    isFirst ? Stream.concat(Stream.succeed(item.body), coming) : Stream.concat(coming, Stream.succeed(item.body))
  return serverResponse.freshened(item, own, (type) => Body.through(body, whole, type, extent.size))
}

/**
 * What the answer to our question makes of what is stored; `undefined` where it answers nothing but the question. An error
 * is forwarded (RFC 9111 §4.3.3), unless a range that the client did not ask for may have caused it.
 */
const resolved = (item: CacheItem, { answer, own }: Asked): serverResponse.Answer | undefined => {
  const isPart = item.range !== undefined
  if (answer.status === 200 || (!isPart && answer.status === item.status)) return answer
  if (isPart) return completed(item, own)
  if (own.status === 304) {
    const isAbout = Validation.isAbout(item.headers, own.fields)
    return isAbout ? serverResponse.freshened(item, own) : undefined
  }
  return own.status === 206 || Reuse.isError(own.status) ? answer : undefined
}

/** An answer about what is stored: it may be made of less than that was. */
const isOfStored = (method: string, status: number): boolean => method === "HEAD" || status === 304 || status === 206

/**
 * `mayKeep`: the answer is wanted whole, whatever the client has already. An answer that is of use for our question only,
 * such as a `304` about another response or a `416`, is not the client's: the handler is asked once more without it.
 */
export const ask = <A extends Respondable.Respondable, E, R, RP>(
  handler: Effect.Effect<A, E, R>,
  { policy, request, view }: Visit<RP>,
  { found: { item }, lookup, storage }: Place,
  mayKeep: boolean
): Effect.Effect<Asked, E, R> => {
  const selecting = Vary.union(policy.vary, Vary.union(item?.vary ?? [], notes.nominated(storage, lookup)))
  const fields = Vary.spelled(mayKeep ? Fields.without(view.fields, Preconditions.clientCopy) : view.fields, selecting)
  const run = (conditions: Fields.Fields | undefined): Effect.Effect<Asked, E, R> => {
    const shown = recorder.show(request, view, { ...fields, ...conditions }, policy)
    // Who asks otherwise is not taken for like the one that was refused.
    const nominate = Effect.sync(() =>
      policy.unkeyed === "vary"
        ? notes.nominate(storage, lookup, recorder.unkeyedFields(shown.reads, policy))
        : undefined
    )
    const ran = Effect.tapErrorCause(handlers.run(handler, request, shown, policy.targets), () => nominate)
    return Effect.flatMap(ran, (answered) => {
      const own = serverResponse.fromHandler(answered.response, view.method, policy, answered.responseTime)
      if (policy.unkeyed === "vary") {
        const stored = isOfStored(view.method, own.status) ? item?.vary ?? [] : []
        serverResponse.nominate(own, Vary.union(recorder.unkeyedFields(answered.reads, policy), stored))
      }
      const answer = view.method === "GET" ? serverResponse.asWhole(own, policy.etag) : own
      const isDropped = own.body._tag === "Empty" && !answered.isFromBeneath && !answered.isSent
      const dropped = isDropped ? Body.discard(answered.response.body) : Effect.void
      return Effect.as(dropped, { ...answered, shown: fields, own, answer })
    })
  }
  const asks = item === undefined || !mayKeep ? undefined : question(item, view.fields)
  if (item === undefined || asks === undefined) return run(undefined)
  const hasFailed = (cause: Cause.Cause<E>) =>
    item.range === undefined || Cause.isInterrupted(cause) ? Effect.failCause(cause) : run(undefined)
  return Effect.flatMap(Effect.catchAllCause(run(asks), hasFailed), (asked) => {
    const answer = resolved(item, asked)
    if (answer === asked.answer) return Effect.succeed(asked)
    if (answer !== undefined) Object.assign(answer.fields, CacheControl.annotated(answer.fields, asked.said, []))
    // A cache beneath that answered our question did not answer the client.
    if (answer !== undefined) return Effect.succeed({ ...asked, isFromBeneath: false, answer })
    return Effect.zipRight(Body.discard(asked.own.body), run(undefined))
  })
}
