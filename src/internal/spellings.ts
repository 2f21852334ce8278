/** What a write forgets beside its own target: the spellings that the same route may answer. */
import * as notes from "../home/notes.js"
import * as CacheKey from "../protocol/CacheKey.js"

const keysOfTarget = (target: CacheKey.Target, query: CacheKey.QuerySelection): Array<CacheKey.CacheKey> =>
  CacheKey.spellings(target).map((spelling) => CacheKey.make(spelling, query))

/** Remembers how a target is spelled, before its handler is asked: a write meanwhile forgets what that answers. */
export const remember = (storage: object, target: CacheKey.Target, query: CacheKey.QuerySelection): void => {
  const keys = keysOfTarget(target, query)
  notes.spell(storage, keys.at(-1)!, keys[0]!)
}

/** The keys of targets that were changed, each once: those of all their spellings as far as they are known. */
export const keysOf = (
  storage: object,
  targets: ReadonlyArray<CacheKey.Target>,
  query: CacheKey.QuerySelection
): ReadonlyArray<CacheKey.CacheKey> => [
  ...new Set(targets.flatMap((target) => {
    const keys = keysOfTarget(target, query)
    return [...keys, ...notes.spelled(storage, keys.at(-1)!)]
  }))
]
