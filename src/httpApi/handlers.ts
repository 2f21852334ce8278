/** Puts the cache around the handlers of a group of an `HttpApi`, or has them collect. */
import * as Effect from "effect/Effect"
import type { Options } from "../CachePolicy.js"
import * as policies from "../policy/policy.js"
import { cached, collecting } from "../server/cached.js"
import * as annotations from "./annotations.js"
import { answering, answeringErrors, reading } from "./endpoint.js"
import * as platform from "./platform.js"

/** Handlers that a `cached` has had: another one around would collect twice. */
const around = new WeakSet<object>()

/** By name, the endpoints of an api at which something is annotated, and those where that takes effect. */
interface Known {
  readonly annotated: ReadonlyArray<string>
  readonly effective: Set<string>
  isTold: boolean
}

const apis = new WeakMap<platform.Api, Known>()

const knownOf = (api: platform.Api): Known => {
  const known = apis.get(api)
  if (known !== undefined) return known
  const endpoints = annotations.endpointsOf(api).filter((located) => {
    const { collects, policy } = annotations.settingsOf(located)
    return (collects ?? policy) !== undefined
  })
  const made = { annotated: endpoints.map(annotations.nameOf), effective: new Set<string>(), isTold: false }
  apis.set(api, made)
  return made
}

/** Handlers are all made when the first request comes: what has no effect by then never has. */
const tellingOfOthers = <A, E, R>(known: Known, app: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  if (known.isTold) return app
  known.isTold = true
  const others = known.annotated.filter((name) => !known.effective.has(name))
  if (others.length === 0) return app
  const warning =
    `effect-http-cache: what is annotated has no effect at ${others.join(", ")}; pipe the handlers of the ` +
    "group through HttpApiCache.cached, or annotate it with false"
  return Effect.andThen(Effect.logWarning(warning), app)
}

/** The handler as the annotations want it; `undefined`: as it is. */
const handlerOf = <R>(
  located: platform.Located,
  handler: (given: platform.Given) => Effect.Effect<unknown, unknown, R>,
  errors: platform.Errors,
  partition: Options<R>["partition"]
) => {
  const known = knownOf(located.api)
  const { collects, policy } = annotations.settingsOf(located)
  if (policy !== undefined) {
    const options = { ...annotations.cacheOptions(located, policy), partition }
    const name = annotations.nameOf(located)
    const resolved = policies.resolve(
      `HttpApiCache.cached of ${name}`,
      options,
      (cause) => Effect.map(errors(cause, located), (response) => response?.status)
    )
    const cache = cached(resolved, { made: () => name, isPlaced: true })
    // Where nobody is told apart, what the handler knows of who is asking is for nobody else.
    const isForAll = partition !== undefined || policy.cacheControl === "public"
    const answered = reading(isForAll ? [] : platform.credentialsOf(located), answering(located, handler, true))
    const answer = answeringErrors(located, answered, errors, policies.namedIn(options.statuses ?? []))
    return (given: platform.Given) => tellingOfOthers(known, cache(answer(given)))
  }
  if (collects !== undefined) {
    const options = annotations.collectOptions(located, collects)
    const resolved = policies.resolve("HttpApiCache.Collects", { query: options.query })
    const answer = answering(located, handler, false)
    return (given: platform.Given) => {
      let hasWritten = false
      const collect = collecting(resolved, options, true, () => hasWritten)
      return tellingOfOthers(known, collect(answer(given, () => void (hasWritten = true))))
    }
  }
  return undefined
}

/** The handlers with what the annotations of the api want around each. */
export const wrapped = <R>(
  api: platform.Api,
  group: platform.Group,
  items: ReadonlyArray<platform.Item>,
  partition: Options<R>["partition"]
): ReadonlyArray<platform.Item> => {
  const errors = platform.errorsOf(api)
  return items.map((item): platform.Item => {
    if (around.has(item)) return item
    const located = { api, group, endpoint: item.endpoint }
    const handler = handlerOf(located, item.handler, errors, partition)
    if (handler === undefined) return item
    const made = { ...item, handler }
    around.add(made)
    knownOf(api).effective.add(annotations.nameOf(located))
    return made
  })
}
