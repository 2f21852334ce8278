/** What is asked of a storage by URI: within a request of the platform's server, or outside of any. */
import { HttpServerRequest } from "@effect/platform/HttpServerRequest"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import { Defaults } from "../CachePolicy.js"
import type * as operations from "../engine/operations.js"
import * as policies from "../policy/policy.js"
import * as CacheKey from "../protocol/CacheKey.js"
import { serviceIn, withFiber } from "../runtime/effect.js"
import * as requests from "./request.js"

const ofNoRoute = policies.resolve<never>("HttpCache", {})

/** A path is of the present request's origin, or of the one in `Defaults`. */
export const operation = <A, E, R>(
  use: (operation: operations.Operation, context: Context.Context<R>) => Effect.Effect<A, E>
): Effect.Effect<A, E, R> =>
  withFiber<A, E, R>((context, clock) => {
    const policy = ofNoRoute(Context.get(context, Defaults))
    const request = serviceIn(context, HttpServerRequest)
    const base = request !== undefined
      ? requests.view(request, policy.origin).target
      : policy.origin === undefined
      ? undefined
      : CacheKey.target("/", policy.origin)
    return use({ policy, clock, base }, context)
  })
