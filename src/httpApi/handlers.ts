/** Puts the cache around the handlers of a group of an `HttpApi`, or has them collect. */
import type * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import type { Options } from "../CachePolicy.js"
import * as policies from "../policy/policy.js"
import { cached, collecting } from "../server/cached.js"
import * as annotations from "./annotations.js"
import * as encoded from "./encoded.js"
import { answering, answeringErrors, type Given } from "./endpoint.js"

type Item<R> = HttpApiBuilder.Handlers.Item<unknown, R>

/** Handlers that a `cached` has had: another one around would collect twice. */
const around = new WeakSet<object>()

/** What an api has of endpoints whose annotations take effect. */
interface Known {
  readonly names: Set<string>
  isTold: boolean
}

const apis = new WeakMap<annotations.Api, Known>()

const knownOf = (api: annotations.Api): Known => {
  const known = apis.get(api) ?? { names: new Set(), isTold: false }
  apis.set(api, known)
  return known
}

/** Handlers are all made when the first request comes: what has no effect by then never has. */
const tellOfOthers = (api: annotations.Api): Effect.Effect<void> =>
  Effect.suspend(() => {
    const known = knownOf(api)
    if (known.isTold) return Effect.void
    known.isTold = true
    const others = annotations.placesOf(api).filter((place) => {
      const { collects, policy } = annotations.settingsOf(place)
      return (collects ?? policy) !== undefined && !known.names.has(annotations.nameOf(place))
    })
    if (others.length === 0) return Effect.void
    return Effect.logWarning(
      `effect-http-cache: what is annotated has no effect at ${
        others.map(annotations.nameOf).join(", ")
      }; pipe the handlers ` +
        "of the group through HttpApiCache.cached, or annotate it with false"
    )
  })

/** The handler as the annotations want it; `undefined`: as it is. */
const handlerOf = <R>(
  place: annotations.Place,
  handler: (given: Given) => Effect.Effect<unknown, unknown, R>,
  errors: encoded.Errors,
  partition: Options<R>["partition"]
) => {
  const { api, endpoint } = place
  const { collects, policy } = annotations.settingsOf(place)
  if (policy !== undefined) {
    const options = { ...annotations.cacheOptions(place, policy), partition }
    const name = annotations.nameOf(place)
    const resolved = policies.resolve(
      `HttpApiCache.cached of ${name}`,
      options,
      (cause) => Effect.map(errors(cause), (response) => response?.status)
    )
    const cache = cached(resolved, { made: () => name, isPlaced: true })
    const answer = answeringErrors(answering(endpoint, handler, true), errors, policy.statuses ?? [])
    return (given: Given) => Effect.andThen(tellOfOthers(api), cache(answer(given)))
  }
  if (collects !== undefined) {
    const options = annotations.collectOptions(place, collects)
    const collect = collecting(policies.resolveCollect("HttpApiCache.Collects", options), options, true)
    const answer = answering(endpoint, handler, false)
    return (given: Given) => Effect.andThen(tellOfOthers(api), collect(answer(given)))
  }
  return undefined
}

/** The handlers with what the annotations of the api want around each. */
export const wrapped = <R>(
  api: annotations.Api,
  group: annotations.Place["group"],
  handlers: Chunk.Chunk<Item<R>>,
  partition: Options<R>["partition"]
): Chunk.Chunk<Item<unknown>> => {
  const errors = encoded.errorsOf(api)
  return Chunk.map(handlers, (item): Item<unknown> => {
    if (around.has(item)) return item
    const place = { api, group, endpoint: item.endpoint as annotations.Endpoint }
    knownOf(api).names.add(annotations.nameOf(place))
    const handler = handlerOf(place, item.handler as never, errors, partition)
    if (handler === undefined) return item
    const made = { ...item, handler: handler as Item<unknown>["handler"] }
    around.add(made)
    return made
  })
}
