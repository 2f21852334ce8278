/** A field that a handler reads and that has another value in each request: its route is warned that nothing is hit. */
import * as Effect from "effect/Effect"
import type { CacheItem } from "../CacheItem.js"
import * as Fields from "../protocol/Fields.js"
import * as Reads from "../protocol/Reads.js"
import type { Route } from "./origin.js"
import type { Asked, CacheRequest } from "./request.js"
import type { Found } from "./storageAccess.js"

/** So many values in a row without a hit. */
const manyValues = 16
const maxFields = 16

/** By route and field: the values since the last hit, hashed, for they may be long. */
const values = new WeakMap<object, Map<string, Set<number>>>()

const warned = new WeakSet<object>()

const hash = (text: string): number => {
  let sum = 0
  for (let index = 0; index < text.length; index++) sum = Math.imul(sum, 31) + text.charCodeAt(index) | 0
  return sum
}

const count = (fields: Map<string, Set<number>>, name: string, value: string): number => {
  const seen = fields.get(name) ?? new Set()
  if (fields.size < maxFields || fields.has(name)) fields.set(name, seen.add(hash(value)))
  return seen.size
}

/** What the handler reads selects, and was stored for other values only. */
export const missed = (
  found: Found,
  { key, policy, view }: Asked,
  { handler: route }: Route,
  reads: Reads.Reads | undefined
): Effect.Effect<void> => {
  if (found.item !== undefined || found.reason !== "vary-miss" || !Reads.addsToVary(policy)) return Effect.void
  if (warned.has(route)) return Effect.void
  const fields = values.get(route) ?? new Map<string, Set<number>>()
  values.set(route, fields)
  const useless = Reads.unkeyed(reads, policy).filter((name) => {
    const value = Fields.get(view.fields, name)
    return value !== undefined && count(fields, name, value) >= manyValues
  })
  if (useless.length === 0) return Effect.void
  warned.add(route)
  values.delete(route)
  return Effect.logWarning(
    `effect-http-cache: ${key} varies by ${
      useless.join(", ")
    }, since the handler reads it, and ${manyValues} values in a ` +
      "row had no hit: each one is a run of the handler and a copy; let it be read outside the cache, or name what " +
      "selects the response with vary: [...] and set unkeyed: \"ignore\""
  )
}

/** What is stored was of use. */
export const hit = <Res, E, R>({ origin, view }: CacheRequest<Res, E, R>, { vary }: CacheItem): Effect.Effect<void> =>
  vary.length === 0 ? Effect.void : Effect.sync(() => {
    const fields = values.get(origin.route.handler)
    if (fields === undefined) return
    for (const name of vary) if (Fields.get(view.fields, name) !== undefined) fields.delete(name)
  })
