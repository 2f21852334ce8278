/** What a write forgets beside its own target: the spellings that the same route may answer. */
import * as CacheKey from "../protocol/CacheKey.js"
import type { Runtime } from "../runtime/runtime.js"
import type { Asked } from "./request.js"

/** Of one URI. */
const maxSpellings = 64

const keysOfTarget = (target: CacheKey.Target, query: CacheKey.QuerySelection): Array<CacheKey.CacheKey> =>
  CacheKey.spellings(target).map((spelling) => CacheKey.make(spelling, query))

/** Remembers how a target is spelled, before its handler is asked: a write meanwhile forgets what that answers. */
export const remember = ({ key, policy, runtime: { memory }, view }: Asked): void => {
  if (CacheKey.isPlain(view.target)) return
  const lenient = keysOfTarget(view.target, policy.query).at(-1)!
  const known = memory.spellings.get(lenient) ?? []
  if (key !== lenient && !known.includes(key)) {
    memory.spellings.set(lenient, [...known.slice(1 - maxSpellings), key])
  }
}

/** The keys of targets that were changed, each once: those of all their spellings as far as they are known. */
export const keysOf = (
  { memory }: Runtime,
  targets: ReadonlyArray<CacheKey.Target>,
  query: CacheKey.QuerySelection
): ReadonlyArray<CacheKey.CacheKey> => [
  ...new Set(targets.flatMap((target) => {
    const keys = keysOfTarget(target, query)
    return [...keys, ...memory.spellings.get(keys.at(-1)!) ?? []]
  }))
]
