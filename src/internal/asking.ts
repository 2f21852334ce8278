/** The handler asked, and whether what is stored is still current with it (RFC 9111 §4.3). */
import type * as Respondable from "@effect/platform/HttpServerRespondable"
import * as Effect from "effect/Effect"
import type * as Fields from "../protocol/Fields.js"
import * as Preconditions from "../protocol/Preconditions.js"
import * as Validation from "../protocol/Validation.js"
import * as handlers from "./handler.js"
import * as serverRequest from "./serverRequest.js"
import * as serverResponse from "./serverResponse.js"
import type { Found } from "./storages.js"
import type { Visit } from "./visit.js"

export interface Asked extends handlers.Answered {
  /** What the handler answered. */
  readonly own: serverResponse.Answer
  /** The same, or the whole that its `304` stands for. */
  readonly answer: serverResponse.Answer
}

/**
 * `mayKeep`: the answer is wanted whole, whatever the client has already. A `304` about another response than ours says
 * nothing that is of use: the handler is asked once more without conditions.
 */
export const ask = <A extends Respondable.Respondable, E, R, RP>(
  handler: Effect.Effect<A, E, R>,
  { policy, request, view }: Visit<RP>,
  { item }: Found,
  mayKeep: boolean
): Effect.Effect<Asked, E, R> => {
  const run = (conditions: Fields.Fields | undefined): Effect.Effect<Asked, E, R> => {
    const asked = mayKeep ? serverRequest.asking(request, Preconditions.clientCopy, conditions) : request
    return Effect.map(handlers.run(handler, asked, policy.expiry !== undefined), (answered) => {
      const own = serverResponse.fromHandler(answered.response, view.method, policy, answered.responseTime)
      return { ...answered, own, answer: own }
    })
  }
  const conditions = item === undefined || !mayKeep || Preconditions.isForOrigin(view.fields)
    ? undefined
    : Validation.conditions(item.headers)
  if (item === undefined || conditions === undefined) return run(undefined)
  return Effect.flatMap(run(conditions), (asked) => {
    if (asked.isFromBeneath || asked.own.status !== 304) return Effect.succeed(asked)
    return Validation.isAbout(item.headers, asked.own.fields)
      ? Effect.succeed({ ...asked, answer: serverResponse.freshened(item, asked.own) })
      : run(undefined)
  })
}
