/** Requests that pass by the cache: why they do, and what they are answered with. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as CacheStatus from "../protocol/CacheStatus.js"
import * as ClientFields from "../protocol/ClientFields.js"
import { isInterrupted, step } from "../runtime/effect.js"
import * as enclosing from "./enclosing.js"
import type { OwnFill, Passed } from "./origin.js"
import { report, type Served, tellStatus } from "./report.js"
import type { CacheRequest } from "./request.js"
import { begin } from "./storageAccess.js"
import { storeForGet } from "./store.js"

export interface Bypass {
  readonly reason: CacheStatus.ForwardReason
  readonly detail?: CacheStatus.Detail
}

/** What a cache may answer. */
export const handled = new Set(["GET", "HEAD", "QUERY"])

const byMethod: Bypass = { reason: "method" }
const byBypass: Bypass = { reason: "bypass" }
const byField: Bypass = { reason: "bypass", detail: "field" }
const byContent: Bypass = { reason: "bypass", detail: "body" }
const bySwitch: Bypass = { reason: "bypass", detail: "disabled" }

/** Nothing of it is stored, whatever its method is. */
const passesBy = <Res, E, R>({ origin, view }: CacheRequest<Res, E, R>): boolean =>
  view.isAmbiguous || view.asksToUpgrade || origin.isBypassed

/** Why a request is not the cache's to answer; `undefined` where it is. */
export const bypassOf = <Res, E, R>(
  request: CacheRequest<Res, E, R>
): Effect.Effect<Bypass | undefined> => {
  const { policy, view } = request
  if (!handled.has(view.method)) return Exit.succeed(byMethod)
  if (passesBy(request)) return Exit.succeed(byBypass)
  if (view.isUnnormalised) return Exit.succeed(byField)
  if (view.hasBody && view.method !== "QUERY") return Exit.succeed(byContent)
  if (policy.enabled === undefined) return Exit.succeed(undefined)
  // A switch that can't be asked never fails a request.
  return Effect.matchCause(policy.enabled, {
    onFailure: () => bySwitch,
    onSuccess: (isEnabled) => isEnabled === true ? undefined : bySwitch
  })
}

/** Answers with the handler's response, and says why the cache does not answer. */
export const pass = <Res, E, R>(
  request: CacheRequest<Res, E, R>,
  bypass: Bypass
): Effect.Effect<Served<Res>, E, R> =>
  mayAnswerGet(request) ? passAndStore(request, bypass) : passWith(request, bypass, undefined, () => Effect.void)

const passWith = <Res, E, R>(
  request: CacheRequest<Res, E, R>,
  bypass: Bypass,
  ownFill: OwnFill | undefined,
  keep: (passed: Passed<Res>) => Effect.Effect<unknown>
): Effect.Effect<Served<Res>, E, R> => {
  const { above, origin } = request
  const outcome = { _tag: "Forwarded", stored: false, ...bypass } as const
  const passing = origin.pass(
    (cause) =>
      origin.tellOfFailure(
        cause,
        (fields) => tellStatus(fields, request, outcome),
        () => isInterrupted(cause) ? undefined : report(request, outcome)
      ),
    ownFill
  )
  return Effect.flatMap(passing, (passed): Effect.Effect<Served<Res>> => {
    const { isFromBeneath, isSent, response } = passed.ran
    if (isSent) return Exit.succeed({ response, outcome: undefined })
    const kept = keep(passed)
    const answer = (): Served<Res> => {
      if (isFromBeneath) return { response, outcome: undefined }
      const own: { [name: string]: string } = {}
      if (bypass.detail === "partition") {
        enclosing.tellPersonal(above, "")
        Object.assign(own, passed.fields)
        ClientFields.tell(own, request.policy, { private: true, expires: false }, request.identity.reads)
      }
      tellStatus(own, request, outcome, passed.fields)
      return { response: passed.send(own), outcome }
    }
    return step(kept, () => Exit.succeed(answer()))
  })
}

/**
 * Whether the response to a `POST` may be stored for `GET` (RFC 9110 §9.3.3): not with `expiry`, partition, normaliser or
 * switch, and only where the route ignores reads, since those of a `POST` are not recorded.
 */
export const mayAnswerGet = <Res, E, R>(request: CacheRequest<Res, E, R>): boolean => {
  const { policy, view } = request
  return view.method === "POST" && !passesBy(request) &&
    policy.expiry === undefined && !policy.isPartitioned && policy.enabled === undefined &&
    policy.normalising.size === 0 && policy.unkeyed === "ignore" && policy.cacheControl !== "public"
}

/** The fill begins before the handler runs. A collect overtakes it, unless it is one of the run itself. */
const passAndStore = <Res, E, R>(
  request: CacheRequest<Res, E, R>,
  bypass: Bypass
): Effect.Effect<Served<Res>, E, R> =>
  step(begin(request), ({ fill }) => {
    const own: OwnFill = { storage: request.storage, key: request.key, fill }
    return passWith(
      request,
      bypass,
      own,
      ({ answer, ...exchange }) => storeForGet(request, fill, own.fill, answer(), exchange)
    )
  })
