/** Requests that pass by the cache: why they do, and what they are answered with. */
import type { HttpServerResponse } from "@effect/platform/HttpServerResponse"
import type * as Respondable from "@effect/platform/HttpServerRespondable"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as CacheStatus from "../protocol/CacheStatus.js"
import * as Fields from "../protocol/Fields.js"
import * as enclosing from "./enclosing.js"
import * as failing from "./failing.js"
import * as handlers from "./handler.js"
import type { KeepForGet } from "./keeping.js"
import * as misplaced from "./misplaced.js"
import * as report from "./report.js"
import * as serverResponse from "./serverResponse.js"
import type { Visit } from "./visit.js"

export interface Aside {
  readonly reason: CacheStatus.ForwardReason
  readonly detail?: CacheStatus.Detail
}

const answered = new Set(["GET", "HEAD", "QUERY"])

/** Why a request is not the cache's to answer; `undefined` where it is. */
export const passesBy = <R>(handler: object, { policy, request, view }: Visit<R>): Effect.Effect<Aside | undefined> => {
  if (!answered.has(view.method)) return Effect.succeed({ reason: "method" })
  if (
    view.isAmbiguous || view.asksToUpgrade || misplaced.isSending(handler) ||
    Either.getOrElse(Either.try(() => policy.bypass(request)), () => true)
  ) {
    return Effect.succeed({ reason: "bypass" })
  }
  if (view.hasBody && view.method !== "QUERY") return Effect.succeed({ reason: "bypass", detail: "body" })
  if (policy.enabled === undefined) return Effect.succeed(undefined)
  return Effect.map(
    orNone(policy.enabled),
    (isEnabled) => Option.contains(isEnabled, true) ? undefined : { reason: "bypass", detail: "disabled" }
  )
}

/** A policy that can't be asked never fails a request. */
const orNone = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Option.Option<A>, never, R> =>
  Effect.catchAllCause(Effect.asSome(effect), () => Effect.succeed(Option.none()))

/** The handler's response as it is, with a word on why. */
export const pass = <A extends Respondable.Respondable, E, R, RP>(
  handler: Effect.Effect<A, E, R>,
  here: Visit<RP>,
  aside: Aside,
  keep: KeepForGet = () => Effect.void,
  given: object = handler
): Effect.Effect<HttpServerResponse, E, R> =>
  Effect.gen(function*() {
    const outcome = { _tag: "Forwarded", stored: false, ...aside } as const
    const shown = handlers.asItIs(here.request)
    const ran = yield* handlers.run(handler, here.request, shown, [], given).pipe(
      Effect.tapErrorCause((cause) => failing.tell(here, cause, outcome))
    )
    const { isFromBeneath, isSent, response: own, said } = ran
    if (isSent) return own
    yield* keep(own, said)
    if (isFromBeneath) return yield* enclosing.sign(own)
    const response = yield* serverResponse.guarded(own, here.request)
    const fields = Fields.from(Object.entries(response.headers))
    if (aside.detail === "partition") yield* enclosing.tellPersonal("")
    if (aside.detail === "partition") report.tell(fields, here, { private: true, expires: false }, outcome)
    else report.tellStatus(fields, here, outcome)
    return yield* enclosing.sign(serverResponse.withFields(response, fields))
  })
