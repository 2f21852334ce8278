/** What a storage has for a URI, as far as it is everybody's. */
import * as Effect from "effect/Effect"
import type { CacheItem } from "../CacheItem.js"
import type { Lookup, Service } from "../CacheStorage.js"
import type { Operation } from "../engine/operations.js"
import * as storageAccess from "../engine/storageAccess.js"
import * as CacheKey from "../protocol/CacheKey.js"
import * as Vary from "../protocol/Vary.js"
import { runtimeOf } from "../runtime/runtime.js"
import type { Observation } from "./observation.js"

export interface Looked {
  readonly items: ReadonlyArray<CacheItem>
  /** How many more are known to be kept for one user each. */
  readonly hidden: number
  /** The storage has failed, or is left alone since it did. */
  readonly isUnread: boolean
}

/** The keys that a text can mean: one that was seen as it stands, and those of the URI. */
export const keysOf = (
  text: string,
  observation: Observation,
  { base, policy }: Operation
): ReadonlyArray<string> => [
  ...new Set([
    ...(observation.uri(text) === undefined ? [] : [text]),
    ...CacheKey.resolveAll(text, base).map((target) => CacheKey.make(target, policy.query))
  ])
]

/** The variants that were seen, and those of a request without any field. */
const lookupsOf = (key: string, observation: Observation, { policy }: Operation): ReadonlyArray<Lookup> => {
  const row = observation.uri(key)
  const seen = row === undefined ? [] : observation.itemsOf(row).flatMap(({ variant }) => variant ?? [])
  const place = { key, partition: "" }
  return [
    ...seen.map((variant): Lookup => ({ ...place, variantOf: () => variant })),
    ...[0, 1].map((depth): Lookup => ({
      ...place,
      variantOf: (vary) => Vary.variant(vary, {}, { depth, version: policy.version })
    }))
  ]
}

export const lookUp = (
  storage: Service,
  keys: ReadonlyArray<string>,
  observation: Observation,
  operation: Operation
): Effect.Effect<Looked> => {
  const { clock, policy } = operation
  const access = { storage, runtime: runtimeOf(storage), clock, policy, cache: undefined }
  const lookups = keys.flatMap((key) => lookupsOf(key, observation, operation))
  return Effect.map(
    Effect.forEach(lookups, (lookup) => storageAccess.lookup({ ...access, lookup }), { concurrency: 8 }),
    (found) => {
      const items = new Map(found.flatMap(({ item }) => item === undefined ? [] : [[item.id, item] as const]))
      const rows = keys.flatMap((key) => observation.uri(key) ?? [])
      return {
        items: [...items.values()],
        hidden: rows.flatMap((row) => observation.itemsOf(row)).filter(({ variant }) => variant === undefined).length,
        isUnread: found.some(({ isUnread }) => isUnread === true)
      }
    }
  )
}
