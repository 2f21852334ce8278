/** Asks the handler, and whether what is stored is still current with it (RFC 9111 §4.3). */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import type { CacheItem } from "../CacheItem.js"
import * as CacheControl from "../protocol/CacheControl.js"
import * as Fields from "../protocol/Fields.js"
import * as Preconditions from "../protocol/Preconditions.js"
import * as Range from "../protocol/Range.js"
import * as Reads from "../protocol/Reads.js"
import * as Validation from "../protocol/Validation.js"
import * as Vary from "../protocol/Vary.js"
import { catchCause, isInterruptedOnly } from "../runtime/effect.js"
import * as answers from "./answers.js"
import * as Body from "./body.js"
import * as alike from "./alike.js"
import type { Answer, Handled, Run } from "./origin.js"
import type { CacheRequest } from "./request.js"

export interface HandlerAnswer<Res> {
  readonly handled: Handled<Res>
  /** What the handler answered, or the whole that its `304` stands for, or that its `206` is or completes. */
  readonly answer: Answer
}

/** The whole that the answer completes a stored part to, as bytes or while it comes (RFC 9111 §3.4). */
const completed = (item: CacheItem, own: Answer): Answer | undefined => {
  const extent = answers.extentOf(own)
  if (item.range === undefined || extent === undefined || !Range.meets(item.range, extent)) return undefined
  if (!Validation.isOfSame(item.headers, own.fields)) return undefined
  const { body } = own
  if (body._tag === "Bytes") {
    const whole = Range.join([item.range, item.body], [extent, body.bytes])
    return whole === undefined ? undefined : answers.freshened(item, own, Body.ofBytes(whole))
  }
  if (body._tag !== "Stream") return undefined
  const isFirst = item.range.first === 0
  const whole = (coming: Body.ByteStream) =>
    isFirst ? Stream.concat(Stream.succeed(item.body), coming) : Stream.concat(coming, Stream.succeed(item.body))
  return answers.freshened(item, own, Body.through(body, whole, extent.size))
}

/** The response to our question; `undefined` where it answers nothing but the question. */
const resolved = (
  item: CacheItem,
  { answer, handled: { answer: own } }: HandlerAnswer<unknown>
): Answer | undefined => {
  const verdict = Validation.resolve(item, own, answer.status)
  if (verdict === "answer") return answer
  if (verdict === "completed") return completed(item, own)
  // What is handed on as it came may be of another URI.
  return verdict === "freshened" && own.body._tag !== "Opaque" ? answers.freshened(item, own) : undefined
}

/**
 * `mayKeep`: the answer may be stored, so it is asked for whole, whatever the client has already. One that only answers our question,
 * such as a `304` about another response or a `416`, is not the client's: the handler is asked once more without it.
 */
export const ask = <Res, E, R>(
  request: CacheRequest<Res, E, R>,
  item: CacheItem | undefined,
  mayKeep: boolean
): Effect.Effect<HandlerAnswer<Res>, E, R> => {
  const { policy, view } = request
  const selecting = Vary.union(policy.vary, Vary.union(item?.vary ?? [], alike.nominatedOf(request)))
  const fields = Vary.spelled(mayKeep ? Preconditions.withoutClientCopy(view.fields) : view.fields, selecting)
  const asks = item === undefined || !mayKeep ? undefined : Validation.question(item, view.fields)
  if (item === undefined || asks === undefined) return run(request, item, fields)
  const hasFailed = (cause: Cause.Cause<E>) =>
    item.range === undefined || isInterruptedOnly(cause) ? Effect.failCause(cause) : run(request, item, fields)
  return Effect.flatMap(
    catchCause(run(request, item, Fields.merged(fields, asks), asks), hasFailed),
    (ofHandler) => {
      const answer = resolved(item, ofHandler)
      if (answer === ofHandler.answer) return Effect.succeed(ofHandler)
      if (answer === undefined) {
        return Effect.andThen(Body.discard(ofHandler.handled.answer.body), run(request, item, fields))
      }
      Object.assign(answer.fields, CacheControl.annotated(answer.fields, ofHandler.handled.said, policy.targets))
      // A cache beneath that answered our question did not answer the client.
      return Effect.succeed({ ...ofHandler, handled: { ...ofHandler.handled, isFromBeneath: false }, answer })
    }
  )
}

/** For `HEAD`, `304` and `206` the handler may read fewer fields than for the stored response, so its `Vary` counts too. */
const isAboutStored = (method: string, status: number): boolean => method === "HEAD" || status === 304 || status === 206

/** Conditions, ranges, directives and `Content-Length`: they say nothing of what a page is made of. */
const ofClients = [...Reads.uncounted].filter((name) => name !== "host")

/**
 * Runs the handler. The fields that it read are added to the `Vary` of its answer, where the route says so. If a cache beneath
 * followed the page's range, conditions or directives, the handler runs once more with these hidden from it, even where it
 * failed.
 */
const run = <Res, E, R>(
  request: CacheRequest<Res, E, R>,
  item: CacheItem | undefined,
  fields: Fields.Fields,
  question: Fields.Fields | undefined = undefined,
  isAgain = false
): Effect.Effect<HandlerAnswer<Res>, E, R> => {
  const { origin, policy } = request
  let failed: Run | undefined
  const asking = origin.ask(fields, (reads, said) => {
    // Requests with other values of what a run that failed has read don't wait for one another.
    if (Reads.addsToVary(policy)) alike.nominate(request, Reads.unkeyed(reads, policy))
    failed = said
  }, question)
  const mustRunAgain = (said: Run | undefined) => !isAgain && said?.isForThisClient === true
  const again = () => run(request, item, fields, notOfParts(request, question), true)
  return Effect.matchCauseEffect(asking, {
    onFailure: (cause) =>
      mustRunAgain(failed) && !isInterruptedOnly(cause)
        ? Effect.andThen(Effect.logDebug(madeAgain, cause), again())
        : Effect.failCause(cause),
    onSuccess: (handled) => {
      const { answer: { body }, isFromBeneath, said } = handled
      if (!isFromBeneath && mustRunAgain(said)) return Effect.andThen(Body.discard(body), again())
      // Parts may be asked while the body is made.
      if (!isFromBeneath && body._tag === "Stream") said.question = notOfParts(request, question)
      return Exit.succeed({ handled, answer: answerOf(request, item, handled) })
    }
  })
}

/** What the handler has answered, with what it read in its `Vary`. */
const answerOf = <Res, E, R>(
  { policy, view: { method } }: CacheRequest<Res, E, R>,
  item: CacheItem | undefined,
  { answer, reads }: Handled<Res>
): Answer => {
  if (Reads.addsToVary(policy)) {
    const stored = isAboutStored(method, answer.status) ? item?.vary ?? [] : []
    const names = Vary.union(Reads.unkeyed(reads, policy), stored)
    if (names.length > 0) Vary.add(answer.fields, names)
  }
  return method === "GET" ? answers.asWhole(answer, policy.etag) : answer
}

/** What is not asked of the parts of a page: what the client asks of the page, and what this cache asks. */
const notOfParts = <Res, E, R>({ view }: CacheRequest<Res, E, R>, question: Fields.Fields = {}) =>
  Fields.merged(Fields.only(view.fields, ofClients), question)

const madeAgain =
  "effect-http-cache: a page is made once more, since its handler failed on less than the whole of a part"
