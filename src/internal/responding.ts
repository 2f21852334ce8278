/** What does this client need of it? */
import type * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import type * as Effect from "effect/Effect"
import type { CacheItem } from "../CacheItem.js"
import type * as CacheControl from "../protocol/CacheControl.js"
import type * as CacheStatus from "../protocol/CacheStatus.js"
import * as Freshness from "../protocol/Freshness.js"
import * as Preconditions from "../protocol/Preconditions.js"
import * as Range from "../protocol/Range.js"
import * as Storability from "../protocol/Storability.js"
import * as handlers from "./handler.js"
import * as report from "./report.js"
import * as serverResponse from "./serverResponse.js"
import type { Visit } from "./visit.js"

export const respondStored = <R>(
  here: Visit<R>,
  item: CacheItem,
  outcome: CacheStatus.Outcome,
  now: number
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  respond(
    here,
    serverResponse.fromItem(item, Freshness.currentAge(item, now)),
    Storability.answerOf(item, here.policy),
    outcome,
    now
  )

/** A cache beneath has told what is to be told; only what this one withheld from it is left. */
export const respondFromBeneath = <R>(
  { view }: Visit<R>,
  response: HttpServerResponse.HttpServerResponse,
  answer: serverResponse.Answer,
  now: number
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const judge = { now, isOrigin: false, isCache: false }
  const verdict = Preconditions.evaluateResponse(view.method, view.fields, answer, judge)
  return handlers.sign(verdict === "proceed" ? response : serverResponse.render(answer, view.method, verdict))
}

export const respond = <R>(
  here: Visit<R>,
  answer: serverResponse.Answer,
  told: CacheControl.Answer,
  outcome: CacheStatus.Outcome,
  now: number
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const { policy, view } = here
  const isOrigin = policy.expiry !== undefined
  const verdict = Preconditions.evaluateResponse(view.method, view.fields, answer, {
    now,
    isOrigin: isOrigin && !answer.isStored,
    isCache: answer.isStored && !isOrigin
  })
  const content = answer.isStored || (outcome._tag === "Forwarded" && outcome.stored)
    ? serverResponse.bytes(answer)
    : undefined
  const parts = verdict === "proceed" && content !== undefined
    ? Range.select(view.method, view.fields, answer, answer.range?.size ?? content.byteLength, now)
    : undefined
  const isAsItIs = verdict === "proceed" && parts === undefined
  const status = outcome._tag === "Hit" || isAsItIs ? {} : { status: outcome.status ?? answer.status }
  report.tell(answer.fields, here, told, { ...outcome, ...status })
  return handlers.sign(
    parts === undefined || content === undefined
      ? serverResponse.render(answer, view.method, verdict)
      : serverResponse.renderParts(answer, content, parts)
  )
}
