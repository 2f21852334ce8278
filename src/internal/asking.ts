/** The handler asked, and whether what is stored is still current with it (RFC 9111 §4.3). */
import type * as Respondable from "@effect/platform/HttpServerRespondable"
import * as Effect from "effect/Effect"
import type { CacheItem } from "../CacheItem.js"
import * as notes from "../home/notes.js"
import * as CacheControl from "../protocol/CacheControl.js"
import * as Fields from "../protocol/Fields.js"
import * as Preconditions from "../protocol/Preconditions.js"
import * as Range from "../protocol/Range.js"
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
  /** The same, or the whole that its `304` stands for. */
  readonly answer: serverResponse.Answer
}

/** Is it still current, or, of a part, what is the rest of it? */
const question = (item: CacheItem, request: Fields.Fields): Fields.Fields | undefined => {
  if (Preconditions.isForOrigin(request)) return undefined
  if (item.range === undefined) return Validation.conditions(item.headers)
  if (Fields.get(request, "range") !== undefined) return undefined
  return Range.completing(item.range, Fields.get(item.headers, "etag") ?? "")
}

/** What is stored as the answer makes it: freshened by a `304`, completed by a `206`; `undefined` when it is about another. */
const resolved = (item: CacheItem, own: serverResponse.Answer): serverResponse.Answer | undefined => {
  if (own.status === 304) {
    return Validation.isAbout(item.headers, own.fields) ? serverResponse.freshened(item, own) : undefined
  }
  const rest = Body.bytes(own.body)
  const extent = rest === undefined
    ? undefined
    : Range.extentOf(Fields.get(own.fields, "content-range"), rest.byteLength)
  if (item.range === undefined || rest === undefined || extent === undefined) return undefined
  if (!Validation.isOfSame(item.headers, own.fields)) return undefined
  const whole = Range.join([item.range, item.body], [extent, rest])
  return whole === undefined ? undefined : serverResponse.freshened(item, own, whole)
}

/** An answer about what is stored: it may be made of less than that was. */
const isOfStored = (method: string, status: number): boolean => method === "HEAD" || status === 304 || status === 206

/**
 * `mayKeep`: the answer is wanted whole, whatever the client has already. A `304` or a `206` about another response than
 * ours is of no use: the handler is asked once more without our question.
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
    return Effect.map(handlers.run(handler, request, shown, policy.targets), (answered) => {
      const own = serverResponse.fromHandler(answered.response, view.method, policy, answered.responseTime)
      if (policy.unkeyed === "vary") {
        const stored = isOfStored(view.method, own.status) ? item?.vary ?? [] : []
        serverResponse.nominate(own, Vary.union(recorder.unkeyedFields(answered.reads, policy), stored))
      }
      return { ...answered, shown: fields, own, answer: own }
    })
  }
  const asks = item === undefined || !mayKeep ? undefined : question(item, view.fields)
  if (item === undefined || asks === undefined) return run(undefined)
  const expected = item.range === undefined ? 304 : 206
  return Effect.flatMap(run(asks), (asked) => {
    if (asked.own.status !== expected) return Effect.succeed(asked)
    const answer = resolved(item, asked.own)
    if (answer !== undefined) Object.assign(answer.fields, CacheControl.annotated(answer.fields, asked.said, []))
    // A cache beneath that answered our question did not answer the client.
    if (answer !== undefined) return Effect.succeed({ ...asked, isFromBeneath: false, answer })
    Body.discard(asked.own.body)
    return run(undefined)
  })
}
