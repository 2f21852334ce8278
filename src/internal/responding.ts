/** What does this client need of it? */
import * as HttpBody from "@effect/platform/HttpBody"
import type { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Effect from "effect/Effect"
import type { CacheItem } from "../CacheItem.js"
import * as CacheControl from "../protocol/CacheControl.js"
import type * as CacheStatus from "../protocol/CacheStatus.js"
import * as Fields from "../protocol/Fields.js"
import * as Freshness from "../protocol/Freshness.js"
import * as Preconditions from "../protocol/Preconditions.js"
import * as Range from "../protocol/Range.js"
import * as Storability from "../protocol/Storability.js"
import * as Body from "./body.js"
import * as failing from "./failing.js"
import type { Filled } from "./filling.js"
import * as enclosing from "./enclosing.js"
import type { Shared } from "./joining.js"
import type { Judged } from "./keeping.js"
import * as parts from "./parts.js"
import * as report from "./report.js"
import * as serverResponse from "./serverResponse.js"
import { withLines } from "./setCookies.js"
import type { Visit } from "./visit.js"

export const respondStored = <R>(
  here: Visit<R>,
  item: CacheItem,
  outcome: CacheStatus.Outcome,
  now: number,
  content?: parts.Coming
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const answer = serverResponse.fromItem(item, Freshness.currentAge(item, now))
  const told = Storability.answerOf(item, here.policy)
  return Effect.zipRight(tellAbove(here, told.private), respond(here, answer, content, told, outcome, now))
}

/** What is made of a response for one user is for that one too. */
const tellAbove = <R>({ identity }: Visit<R>, isPersonal: boolean): Effect.Effect<void> =>
  isPersonal ? enclosing.tellPersonal(identity.partition) : Effect.void

const streaming = (
  answer: serverResponse.Answer,
  content: Body.ByteStream,
  request: HttpServerRequest
): serverResponse.Answer => {
  const contentType = Fields.get(answer.fields, "content-type")
  return {
    ...answer,
    body: Body.ofStream(Body.breaking(content, request), contentType, serverResponse.lengthOf(answer))
  }
}

type Forwarded = Extract<CacheStatus.Outcome, { readonly _tag: "Forwarded" }>

/** What the handler answered to this request, or failed with. */
export const respondFilled = <R, E>(
  here: Visit<R>,
  filled: Exclude<Filled<E>, { readonly _tag: "Found" }>,
  outcome: Forwarded
): Effect.Effect<HttpServerResponse.HttpServerResponse, E> =>
  Effect.gen(function*() {
    if (filled._tag === "Failed") {
      return yield* filled.cause === undefined
        ? respondFailed(here, filled.status, outcome)
        : Effect.zipRight(failing.tell(here, filled.cause, outcome), Effect.failCause(filled.cause))
    }
    const { asked, fill, judged = unjudged } = filled
    const { answer, own, response, responseTime } = asked
    if (asked.isSent) return asked.response
    yield* tellAbove(here, judged.isPersonal)
    if (asked.isFromBeneath) return yield* respondFromBeneath(here, response, own, judged.told, responseTime)
    const content = fill !== undefined
      ? parts.ofFill(fill, here.policy.deadline)
      : answer.body._tag === "Stream"
      ? parts.ofStream(Body.measured(answer.body.stream, serverResponse.lengthOf(answer)))
      : undefined
    const { detail, item, told } = judged
    // Our freshness counts from now.
    if (told.expires) delete answer.fields["age"]
    const stored = item !== undefined && detail === undefined && fill === undefined
    const status = answer === own ? undefined : own.status
    // The fill goes on with it, also where this client is not sent it.
    const head = fill === undefined ? answer : { ...answer, body: HttpBody.empty }
    // A client may be sent a part of what is stored, and of what was sent as one.
    const isDivisible = answer !== own || item !== undefined
    return yield* respond(here, head, content, told, { ...outcome, stored, detail, status }, responseTime, isDivisible)
  })

/** An error for which something stored was to stand in. */
const unjudged: Judged = { told: { private: true, expires: false }, isPersonal: true, unkeyed: [] }

/** The answer to another request. */
export const respondShared = <R>(
  here: Visit<R>,
  { fill, item }: Shared,
  outcome: Forwarded,
  now: number
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  respondStored(here, item, outcome, now, fill && parts.ofFill(fill, here.policy.deadline))

/** The handler has failed for another request, whose answer is not to be told, or has taken too long. */
export const respondFailed = <R>(
  here: Visit<R>,
  status: number,
  outcome: Forwarded
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const fields = Fields.from([["cache-control", "no-store"]])
  report.tellStatus(fields, here, { ...outcome, status })
  const text = status === 504 ? "The request took too long.\n" : "The request failed.\n"
  return enclosing.sign(HttpServerResponse.text(text, { status, headers: fields }))
}

/** A cache beneath has told what is to be told; only what was read between, and what this one withheld from it, is left. */
const respondFromBeneath = <R>(
  { policy, request, view }: Visit<R>,
  own: HttpServerResponse.HttpServerResponse,
  answer: serverResponse.Answer,
  told: CacheControl.Answer,
  now: number
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  if (told.private) {
    const control = CacheControl.forClients(Fields.get(answer.fields, "cache-control"), policy, {
      ...told,
      expires: false
    })
    if (control !== undefined) answer.fields["cache-control"] = control
  }
  const { "cache-control": control, vary } = answer.fields
  const response = HttpServerResponse.setHeaders(own, {
    ...(control === undefined ? {} : { "cache-control": control }),
    ...(vary === undefined ? {} : { vary })
  })
  const judge = { now, isOrigin: false, isCache: false }
  const verdict = Preconditions.evaluateResponse(view.method, view.fields, answer, judge)
  if (verdict === "proceed") return enclosing.sign(response)
  return enclosing.sign(withLines(serverResponse.render(answer, view.method, verdict), answer.lines, request))
}

const respond = <R>(
  here: Visit<R>,
  answer: serverResponse.Answer,
  coming: parts.Coming | undefined,
  told: CacheControl.Answer,
  outcome: CacheStatus.Outcome,
  now: number,
  /** It is the whole, of which a client may be sent a part. */
  isDivisible = true
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const { policy, request, view } = here
  const send = (response: HttpServerResponse.HttpServerResponse) =>
    enclosing.sign(withLines(response, answer.lines, request))
  const isOrigin = policy.expiry !== undefined
  const verdict = Preconditions.evaluateResponse(view.method, view.fields, answer, {
    now,
    isOrigin: isOrigin && !answer.isStored,
    isCache: answer.isStored && !isOrigin
  })
  const content = coming === undefined ? Body.bytes(answer.body) : undefined
  const size = answer.range?.size ?? (coming === undefined ? content?.byteLength : serverResponse.lengthOf(answer))
  const asked = isDivisible && verdict === "proceed" && size !== undefined
    ? Range.select(view.method, view.fields, answer, size, now)
    : undefined
  // Several parts of what is still coming would have to be put in order first.
  const divided = coming !== undefined && asked !== undefined && asked.length > 1 ? undefined : asked
  const isAsItIs = verdict === "proceed" && divided === undefined
  const status = outcome._tag === "Hit" || isAsItIs ? {} : { status: outcome.status ?? answer.status }
  report.tell(answer.fields, here, told, { ...outcome, ...status })
  if (divided !== undefined && size !== undefined) {
    if (coming !== undefined) {
      return Effect.flatMap(parts.render(answer, divided[0], size, coming, request), send)
    }
    if (content !== undefined) return send(serverResponse.renderParts(answer, content, divided))
  }
  if (coming !== undefined && verdict === "proceed" && view.method !== "HEAD") {
    return Effect.flatMap(
      coming.stream,
      (sent) => send(serverResponse.render(streaming(answer, sent, request), view.method, verdict))
    )
  }
  return send(serverResponse.render(answer, view.method, verdict))
}
