/** A streamed response that may be stored: it is sent while it comes, and stored once it has come whole. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { CacheItem } from "../CacheItem.js"
import * as Range from "../protocol/Range.js"
import * as Reads from "../protocol/Reads.js"
import * as answers from "./answers.js"
import * as Body from "./body.js"
import type { Answer, Route } from "./origin.js"
import { SharedBody } from "./sharedBody.js"
import { type Destination, drop, forget, groupsOf, type HandlerExchange, judge, store, tooLarge } from "./store.js"
import * as warnings from "./warnings.js"

interface StreamedAnswer {
  readonly destination: Destination
  readonly exchange: HandlerExchange
  readonly answer: Answer
  readonly stream: Body.Streamed
  /** What is stored of it, without content. */
  readonly item: CacheItem
  readonly route: Route
  /** Remembers that it can't be shared. */
  readonly unshare: () => void
}

/** The body of an answer, which many may read, and what pulls it to its end and stores it. */
export interface Pumped {
  readonly shared: SharedBody
  readonly pump: Effect.Effect<void>
}

export const share = (answer: StreamedAnswer): Pumped => {
  const { destination, unshare } = answer
  const { policy, runtime } = destination.asked
  const length = Range.saidLength(answer.answer)
  const shared = new SharedBody({
    runtime,
    limit: policy.maxBodyBytes,
    length,
    onTooLarge: Effect.suspend(() => {
      unshare()
      // What is stored is out of date, though nobody may pull this body to its end.
      return Effect.andThen(tooLarge(destination.asked), drop(destination))
    })
  })
  return { shared, pump: pump(answer, shared, length) }
}

const pump = (
  { answer, exchange, item, destination, route, stream, unshare }: StreamedAnswer,
  shared: SharedBody,
  length: number | undefined
): Effect.Effect<void> => {
  const { key, policy } = destination.asked
  const { reads, said } = exchange
  const readBefore = reads?.count
  const personalBefore = said.personal.size
  const mayBeKept = () => said.isRefused !== true && said.isForThisClient !== true
  // The head is sent, but the body then read a field that the head does not name, is made of what is for one user, or the handler
  // refused. The stream breaks for every reader; from now on this route's streams are private.
  const changed = Effect.gen(function*() {
    if (mayBeKept()) {
      const judged = yield* judge(destination, exchange, answer)
      const isNamed = !Reads.addsToVary(policy) || Reads.unkeyed(reads, policy, item.headers).length === 0
      if (judged.item !== undefined && isNamed) return
    }
    // One client's own question says nothing of the route.
    if (said.isForThisClient !== true) {
      warnings.readsLate(route)
      yield* warnings.ofReads(route.handler, key, [Reads.late])
    }
    unshare()
    yield* drop(destination)
    return yield* Effect.fail(new Error("the body read what selects it, or was refused"))
  })
  const isAsBefore = () => mayBeKept() && reads?.count === readBefore && said.personal.size === personalBefore
  const holds = Effect.suspend(() => isAsBefore() ? Effect.void : changed)
  let kept: CacheItem | undefined
  const atEnd = Effect.gen(function*() {
    yield* holds
    // The body may have named more of them.
    const groups = groupsOf(destination, exchange, answer)
    if (groups === undefined || !shared.isWhole) return yield* drop(destination)
    kept = answers.withContent({ ...item, groups }, shared.takeBytes(), policy.etag)
    return yield* store(destination, kept)
  })
  // All bytes of a known length are stored at once. What the body reads after the last one is in none of them, but what it says is heard.
  const isAsKept = ({ groups }: CacheItem) =>
    mayBeKept() && groupsOf(destination, exchange, answer)?.length === groups.length
  const afterEnd = Effect.suspend(() => kept === undefined || isAsKept(kept) ? Effect.void : forget(destination, kept))
  const source = Body.measured(stream.stream, length)
  return Effect.ensuring(shared.pump(Stream.tap(source, () => holds), atEnd, policy.deadline), afterEnd)
}
