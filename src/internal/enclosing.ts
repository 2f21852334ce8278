/** What caches around one handler tell each other: a cell in the context, one for each run of a handler. */
import type { HttpBody } from "@effect/platform/HttpBody"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Said } from "../protocol/CacheControl.js"

/** One run of a handler beneath a cache. */
export interface Run extends Said {
  /** How many caches are above this one; -1 where there is none at all. */
  readonly depth: number
  readonly above?: Run
  /** With what a cache beneath has answered. */
  body?: HttpBody
  isRefused?: boolean
  expiry?: number
  /** What caches beneath answered with for one user each: the partitions, `undefined` where none was named. */
  readonly personal: Set<string | undefined>
  /** The keys that it has collected itself. */
  readonly collected: Set<string>
}

export const newRun = (above: Run): Run => ({
  depth: above.depth + 1,
  above,
  personal: new Set(),
  collected: new Set()
})

/**
 * The run that this effect is part of. A cache beneath leaves the body there that it answered with, and the cache above steps
 * aside for it: a body stays the same through `setHeader` and `setStatus`; a handler that only calls a cached effect makes
 * another.
 */
export class EnclosingCache extends Context.Reference<EnclosingCache>()("effect-http-cache/EnclosingCache", {
  defaultValue: (): Run => ({ depth: -1, personal: new Set(), collected: new Set() })
}) {}

/** How many caches are above this one. */
export const depth: Effect.Effect<number> = Effect.map(EnclosingCache, (above) => above.depth + 1)

/** A run, and those above it. */
function* enclosing(nearest: Run): Generator<Run> {
  for (let run: Run | undefined = nearest; run !== undefined && run.depth >= 0; run = run.above) yield run
}

/** The platform has one empty body, which tells nothing of who answered with it. */
const emptyBody = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse => {
  const { body, headers } = response
  const own = Object.create(Object.getPrototypeOf(body) as object, Object.getOwnPropertyDescriptors(body)) as HttpBody
  // Another body takes the fields of the one before with it.
  return HttpServerResponse.setHeaders(HttpServerResponse.setBody(response, own), headers)
}

/** Tells a cache above that this response has been dealt with. */
export const sign = (
  response: HttpServerResponse.HttpServerResponse
): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.map(EnclosingCache, (above) => {
    if (above.depth < 0) return response
    const signed = response.body._tag === "Empty" ? emptyBody(response) : response
    above.body = signed.body
    return signed
  })

/** For all caches above: what one beneath does not keep is part of what the others would. */
export const refuse: Effect.Effect<void> = Effect.map(EnclosingCache, (nearest) => {
  for (const run of enclosing(nearest)) run.isRefused = true
})

/** For all caches above: the response is for one user, of this partition where one is named. */
export const tellPersonal = (partition: string): Effect.Effect<void> =>
  Effect.map(EnclosingCache, (nearest) => {
    for (const run of enclosing(nearest)) run.personal.add(partition === "" ? undefined : partition)
  })

/** For all caches above: what the handler beneath has collected with its success. */
export const tellCollected = (keys: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.map(EnclosingCache, (nearest) => {
    for (const run of enclosing(nearest)) for (const key of keys) run.collected.add(key)
  })

/** Whether a response that a handler made of such answers is for less than all of this partition. */
export const isPersonal = ({ personal }: Run, partition: string): boolean =>
  partition === "" ? personal.size > 0 : [...personal].some((other) => other !== undefined && other !== partition)

/** Milliseconds. */
export const annotate = (expiry: number): Effect.Effect<void> =>
  Effect.map(EnclosingCache, (nearest) => {
    if (nearest.depth >= 0) nearest.expiry = expiry
  })
