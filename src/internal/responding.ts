/** What does this client need of it? */
import type * as HttpBody from "@effect/platform/HttpBody"
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
import type { Reading } from "./fill.js"
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
  /** Its content, where that is still coming. */
  reading?: Reading
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const answer = serverResponse.fromItem(item, Freshness.currentAge(item, now))
  const told = Storability.answerOf(item, here.policy)
  return Effect.zipRight(tellAbove(here, told.private), respond(here, answer, reading, told, outcome, now))
}

/** What is made of a response for one user is for that one too. */
const tellAbove = <R>({ identity }: Visit<R>, isPersonal: boolean): Effect.Effect<void> =>
  isPersonal ? enclosing.tellPersonal(identity.partition) : Effect.void

/** Content that is still coming, from a stream that others read too or from the answer's own: it breaks off where it fails. */
const comingOf = (
  answer: serverResponse.Answer,
  shared: Body.ByteStream | undefined,
  decline: Effect.Effect<void> | undefined,
  request: HttpServerRequest
): HttpBody.Stream | undefined => {
  const length = serverResponse.lengthOf(answer)
  const contentType = Fields.get(answer.fields, "content-type")
  const own = shared === undefined ? answer.body : Body.closable(Body.ofStream(shared, contentType, length), decline)
  if (own._tag !== "Stream") return undefined
  const guard = (stream: Body.ByteStream) => Body.breaking(Body.measured(stream, length), request)
  return Body.through(own, guard, contentType, length)
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
    const { detail, item, told } = judged
    // Our freshness counts from now.
    if (told.expires) delete answer.fields["age"]
    const stored = item !== undefined && detail === undefined && fill === undefined
    const status = answer === own ? undefined : own.status
    // A client may be sent a part of what is stored, and of what was sent as one.
    const isDivisible = answer !== own || item !== undefined
    const said = { ...outcome, stored, detail, status }
    return yield* respond(here, answer, fill?.first, told, said, responseTime, isDivisible)
  })

/** An error for which something stored was to stand in. */
const unjudged: Judged = { told: { private: true, expires: false }, isPersonal: true, unkeyed: [] }

/** The answer to another request. */
export const respondShared = <R>(
  here: Visit<R>,
  { item, reading }: Shared,
  outcome: Forwarded,
  now: number
): Effect.Effect<HttpServerResponse.HttpServerResponse> => respondStored(here, item, outcome, now, reading)

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
  return Effect.flatMap(
    serverResponse.render(answer, view.method, verdict),
    (rendered) => enclosing.sign(withLines(rendered, answer.lines, request))
  )
}

const respond = <R>(
  here: Visit<R>,
  answer: serverResponse.Answer,
  reading: Reading | undefined,
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
  const isComing = reading !== undefined || answer.body._tag === "Stream"
  const content = isComing ? undefined : Body.bytes(answer.body)
  const size = answer.range?.size ?? (isComing ? serverResponse.lengthOf(answer) : content?.byteLength)
  const asked = isDivisible && verdict === "proceed" && size !== undefined
    ? Range.select(view.method, view.fields, answer, size, now)
    : undefined
  // Several parts of what is still coming would have to be put in order first.
  const divided = isComing && asked !== undefined && asked.length > 1 ? undefined : asked
  const isAsItIs = verdict === "proceed" && divided === undefined
  const status = outcome._tag === "Hit" || isAsItIs ? {} : { status: outcome.status ?? answer.status }
  report.tell(answer.fields, here, told, { ...outcome, ...status })
  const coming = comingOf(answer, divided === undefined ? reading?.stream : reading?.partial, reading?.decline, request)
  if (divided !== undefined && size !== undefined) {
    if (coming !== undefined) return Effect.flatMap(parts.render(answer, coming, divided[0], size, request), send)
    if (content !== undefined) return send(serverResponse.renderParts(answer, content, divided))
  }
  const sent = coming === undefined ? answer : { ...answer, body: coming }
  return Effect.flatMap(serverResponse.render(sent, view.method, verdict), send)
}
