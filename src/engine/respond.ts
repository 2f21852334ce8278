/** What this client is sent of a response, and what it is told. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { CacheItem } from "../CacheItem.js"
import * as Answers from "../protocol/Answer.js"
import type * as CacheControl from "../protocol/CacheControl.js"
import type * as CacheStatus from "../protocol/CacheStatus.js"
import * as ClientFields from "../protocol/ClientFields.js"
import * as Fields from "../protocol/Fields.js"
import * as Freshness from "../protocol/Freshness.js"
import * as Range from "../protocol/Range.js"
import * as Vary from "../protocol/Vary.js"
import { step } from "../runtime/effect.js"
import * as Body from "./body.js"
import * as enclosing from "./enclosing.js"
import type { RunResult } from "./fetch.js"
import { type Answer, noCookies, type Outgoing } from "./origin.js"
import { askingOf, type Ready, readyOf, rememberSent, sentBefore } from "./ready.js"
import { report, type Served, tellStatus } from "./report.js"
import { partOf, several } from "./parts.js"
import { type Answering, type CacheRequest, now } from "./request.js"
import type { Reader } from "./sharedBody.js"
import type { Judged } from "./store.js"

/** Answers with what is stored. `reader`: of its content, where that is still coming. */
export const respondStored = <Res>(
  request: Answering<Res>,
  item: CacheItem,
  outcome: CacheStatus.Outcome,
  time: number,
  reader?: Reader
): Effect.Effect<Served<Res>> => {
  const made = readyOf(request, item)
  // What another run has made may not have been kept.
  if (outcome._tag === "Hit" || outcome.collapsed !== true) request.runtime.observer?.saw(item)
  enclosing.tell(request, made.told.private, item.groups)
  if (item.vary.length > 0) request.origin.countAsRead(item.vary)
  const asking = reader === undefined && made.isSentAgain ? askingOf(request, outcome) : undefined
  const sent = asking === undefined ? undefined : sentBefore(item, asking, time)
  if (sent !== undefined) return Exit.succeed({ response: request.origin.respond(sent), outcome })
  return send(
    request,
    {
      // A part is of a 200, and sent as what is asked of it.
      status: item.range === undefined ? item.status : 200,
      statusText: undefined,
      fields: made.fields,
      own: Answers.ageOf(Freshness.currentAge(item, time)),
      cookies: made.cookies,
      body: made.body,
      range: item.range,
      isStored: true,
      isDivisible: true,
      reader,
      ready: made,
      remember: asking === undefined ? undefined : (outgoing) => rememberSent(item, asking, time, outgoing)
    },
    outcome,
    time
  )
}

/** An error for which something stored was to stand in. */
const unjudged: Judged = { told: { private: true, expires: false }, isPersonal: true, groups: [], unkeyed: [] }

/** What the handler answered to this request, or failed with. */
export const respondFetched = <Res, E, R>(
  request: CacheRequest<Res, E, R>,
  fetched: RunResult<Res, E>,
  outcome: CacheStatus.Forwarded
): Effect.Effect<Served<Res>, E> => {
  if (fetched._tag === "Failed") {
    const { cause, status } = fetched
    if (cause === undefined) return Exit.succeed(respondFailed(request, status, outcome))
    const told = request.origin.tellOfFailure(
      cause,
      (fields) => tellStatus(fields, request, outcome),
      () => report(request, outcome)
    )
    return Effect.andThen(told, Effect.failCause(cause))
  }
  const { answer, handled, judged = unjudged, shared } = fetched
  if (handled.isSent) return Exit.succeed({ response: handled.response, outcome: undefined })
  enclosing.tell(request, judged.isPersonal, judged.groups)
  // For a `304` the handler may have read less than what is stored was made of.
  const vary = Vary.inFields(answer.fields)
  if (vary !== "*") request.origin.countAsRead(vary)
  if (handled.isFromBeneath) return respondFromBeneath(request, handled.response, handled.answer, judged.told)
  const { detail, item, told } = judged
  if (told.expires) Answers.withoutAge(answer.fields)
  ClientFields.tell(answer.fields, request.policy, told, request.identity.reads)
  const own = handled.answer
  return send(
    request,
    {
      status: answer.status,
      statusText: answer.statusText,
      fields: answer.fields,
      cookies: answer.cookies,
      body: answer.body,
      range: answer.range,
      isStored: answer.isStored,
      own: {},
      // A client may be sent a part of what is stored, and of what was sent as one.
      isDivisible: answer !== own || item !== undefined,
      reader: shared?.first
    },
    {
      _tag: "Forwarded",
      reason: outcome.reason,
      stored: item !== undefined && detail === undefined && shared === undefined,
      status: answer === own ? undefined : own.status,
      detail,
      collapsed: outcome.collapsed
    },
    handled.responseTime
  )
}

/** The handler has failed for another request, whose answer is not to be told, or has taken too long. */
export const respondFailed = <Res, E, R>(
  request: CacheRequest<Res, E, R>,
  status: number,
  outcome: CacheStatus.Forwarded
): Served<Res> => {
  const own: { [name: string]: string } = {}
  const said = { ...outcome, status }
  tellStatus(own, request, said)
  const text = status === 504 ? "The request took too long.\n" : "The request failed.\n"
  const response = request.origin.respond({
    status,
    fields: Answers.fieldsOfNotStored,
    own,
    cookies: noCookies,
    body: Body.ofBytes(new TextEncoder().encode(text))
  })
  return { response, outcome: said }
}

/** The answer to `only-if-cached` where nothing stored can be reused (RFC 9111 §5.2.1.7). */
export const gatewayTimeout = <Res>({ origin }: Pick<Answering<Res>, "origin">): Res =>
  origin.respond({ status: 504, fields: {}, own: {}, cookies: noCookies, body: Body.empty })

/** Content is not sent for `HEAD`, except to a cache above, which needs it. */
const sendsContent = <Res>({ origin, view }: Answering<Res>): boolean => view.method !== "HEAD" || origin.isNested

/** Adds `private` and `Vary` to the response of a cache beneath, and judges conditions that it did not see. */
const respondFromBeneath = <Res, E, R>(
  request: CacheRequest<Res, E, R>,
  response: Res,
  answer: Answer,
  told: CacheControl.Told
): Effect.Effect<Served<Res>> => {
  const { origin, policy, view } = request
  ClientFields.tellPrivate(answer.fields, policy, told)
  const rest = {
    status: answer.status,
    fields: answer.fields,
    isStored: false,
    size: undefined,
    isDivisible: false,
    isComing: false
  }
  const needed = Answers.needed(rest, view, false, now(request))
  if (needed._tag === "All") {
    return step(
      sendsContent(request) ? Effect.void : Body.discard(answer.body),
      () => Exit.succeed({ response: origin.amend(response, ClientFields.changed(answer.fields)), outcome: undefined })
    )
  }
  const fields = needed._tag === "NotModified"
    ? Answers.fieldsOfNotModified(answer.fields)
    : Answers.fieldsOfFailed(answer.fields)
  const status = needed._tag === "NotModified" ? 304 : 412
  const own = origin.respond({ status, fields, own: {}, cookies: answer.cookies, body: Body.empty })
  return Effect.as(Body.discard(answer.body), { response: own, outcome: undefined })
}

interface Sent extends Answer {
  readonly own: { [name: string]: string }
  readonly isDivisible: boolean
  readonly reader: Reader | undefined
  readonly ready?: Ready
  /** Called with what the client is sent, where others are sent the same. */
  readonly remember?: ((outgoing: Outgoing) => void) | undefined
}

/** Closes a body that is not sent, and then answers. */
const closing = <Res>(body: Body.Body, served: Served<Res>): Effect.Effect<Served<Res>> =>
  step(Body.discard(body), () => Exit.succeed(served))

/** Sends what the client needs of a response. */
const send = <Res>(
  request: Answering<Res>,
  answer: Sent,
  outcome: CacheStatus.Outcome,
  time: number
): Effect.Effect<Served<Res>> => {
  const { origin, policy, view } = request
  const { cookies, fields, isDivisible, isStored, own, status } = answer
  const breakConnection = () => origin.breakConnection()
  const isForMany = answer.remember !== undefined && cookies.lines.length === 0
  const respond = (outgoing: Outgoing): Res => {
    if (isForMany) answer.remember?.(outgoing)
    return origin.respond(outgoing)
  }
  const coming = comingOf(answer, breakConnection)
  const body = coming ?? answer.body
  const bytes = coming === undefined ? Body.bytesOf(answer.body) : undefined
  const size = answer.range?.size ?? (coming === undefined ? bytes?.byteLength : Range.saidLength(answer))
  const needed = Answers.needed(
    { status, fields, isStored, size, isDivisible, isComing: coming !== undefined },
    view,
    policy.expiry !== undefined,
    time
  )
  const said = outcome._tag === "Hit" || needed._tag === "All"
    ? outcome
    : { ...outcome, status: outcome.status ?? status }
  tellStatus(own, request, said, fields)
  if (needed._tag === "All") {
    const hasContent = sendsContent(request)
    const { statusText } = answer
    const response = respond({
      status,
      statusText,
      fields,
      own,
      cookies,
      body: hasContent ? body : Body.empty,
      isForMany
    })
    const served = { response, outcome: said }
    return hasContent ? Exit.succeed(served) : closing(body, served)
  }
  if (needed._tag === "Parts") {
    const [part, ...more] = needed.parts
    const parts = more.length > 0 && bytes !== undefined
      ? several(answer, bytes, needed.parts, needed.size)
      : {
        fields: Answers.fieldsOfPart(fields, part, needed.size),
        body: part === undefined ? Body.empty : partOf(answer, coming, bytes, part, breakConnection)
      }
    const response = origin.respond({ status: part === undefined ? 416 : 206, own, cookies, ...parts })
    const served = { response, outcome: said }
    return part === undefined ? closing(body, served) : Exit.succeed(served)
  }
  const isFailed = needed._tag === "Failed"
  const response = respond({
    status: isFailed ? 412 : 304,
    statusText: undefined,
    fields: isFailed ? Answers.fieldsOfFailed(fields) : notModifiedOf(answer),
    own: isFailed ? Answers.fieldsOfFailed(own) : own,
    cookies,
    body: Body.empty,
    isForMany
  })
  return closing(body, { response, outcome: said })
}

const notModifiedOf = ({ fields, ready }: Sent): Fields.Fields =>
  ready === undefined
    ? Answers.fieldsOfNotModified(fields)
    : ready.notModified ??= Fields.copy(Answers.fieldsOfNotModified(fields))

/** Content that is still coming, from a stream that others read too or from the answer's own: it breaks off where it fails. */
const comingOf = (answer: Sent, breakConnection: () => void): Body.Streamed | undefined => {
  const { body, reader } = answer
  const own = reader === undefined ? body : Body.closable(reader.stream, undefined, reader.decline)
  if (own._tag !== "Stream") return undefined
  const length = Range.saidLength(answer)
  return Body.through(own, (stream) => Body.breaking(Body.measured(stream, length), breakConnection), length)
}
