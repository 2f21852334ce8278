/**
 * Requests that are alike: where the response to one could not be shared, the others don't wait for each other for a minute
 * (hit-for-miss, as Varnish calls it).
 */
import type { CacheItem } from "../CacheItem.js"
import * as Collapsing from "../protocol/Collapsing.js"
import * as Vary from "../protocol/Vary.js"
import { isAhead } from "../runtime/memory.js"
import { nameOfPlace } from "../runtime/names.js"
import { flightKeyOf } from "./collecting.js"
import type { Asked } from "./request.js"

/** What the responses kept in a place nominated, so that requests for different variants don't wait for each other. */
export const nominatedOf = (asked: Asked): Vary.Vary =>
  asked.runtime.memory.nominated.get(nameOfPlace(asked.lookup)) ?? []

/** Copies the names: a text that was cut from a larger one would hold all of that. */
export const nominate = (asked: Asked, names: Vary.Vary): void => {
  const known = nominatedOf(asked)
  if (names.every((name) => known.includes(name))) return
  const own = names.map((name) => Buffer.from(name).toString())
  asked.runtime.memory.nominated.set(nameOfPlace(asked.lookup), Vary.union(known, own))
}

/** The variant that is asked for, as far as it is known what selects it. */
const variantOf = (asked: Asked, found: CacheItem | undefined): string =>
  asked.lookup.variantOf(Vary.union(asked.policy.vary, found?.vary ?? nominatedOf(asked)))

/** Requests of the same flight may wait for one run. */
export const flightOf = (asked: Asked, found: CacheItem | undefined): string =>
  flightKeyOf(asked.key, asked.cache, asked.lookup.partition, variantOf(asked, found))

const kindOf = (asked: Asked, found: CacheItem | undefined): string =>
  `${Collapsing.apartBy(asked.view.fields)} ${flightOf(asked, found)}`

/** Milliseconds. */
const unsharedFor = 60_000

/** Whether this response came before the handler has failed. One that came since then says that it no longer fails. */
const isBefore = (failedAt: number, { responseTime }: CacheItem): boolean => responseTime < failedAt

/** Whether the handler has failed for such requests, and is not to be asked again yet. */
export const isBackedOff = (asked: Asked, found: CacheItem | undefined, now: number): boolean => {
  const { policy: { errorBackOff }, runtime: { memory } } = asked
  if (errorBackOff === 0 || found === undefined) return false
  const failedAt = memory.failedAt.get(flightOf(asked, found)) ?? 0
  return isBefore(failedAt, found) && isAhead(failedAt + errorBackOff, now, errorBackOff)
}

/** The handler has failed, and what was found stands in for that. */
export const backOff = (asked: Asked, found: CacheItem, now: number): void => {
  const { policy: { errorBackOff }, runtime: { memory } } = asked
  if (errorBackOff > 0) memory.failedAt.set(flightOf(asked, found), now)
}

/** Whether the responses to requests of this kind could not be shared a minute ago or less: they don't wait for each other. */
export const isUnshared = (asked: Asked, found: CacheItem | undefined, now: number): boolean => {
  const { unsharedUntil } = asked.runtime.memory
  return unsharedUntil.size > 0 && isAhead(unsharedUntil.get(kindOf(asked, found)) ?? 0, now, unsharedFor)
}

export const unshare = (asked: Asked, found: CacheItem | undefined, now: number): void => {
  const { unsharedUntil } = asked.runtime.memory
  const kind = kindOf(asked, found)
  // What has been remembered a moment ago is not written again.
  if (!isAhead(unsharedUntil.get(kind) ?? 0, now + unsharedFor / 2, unsharedFor)) {
    unsharedUntil.set(kind, now + unsharedFor)
  }
}

export const share = (asked: Asked, found: CacheItem | undefined): void => {
  const { unsharedUntil } = asked.runtime.memory
  if (unsharedUntil.size > 0) unsharedUntil.delete(kindOf(asked, found))
}

/** The back-off after failures: it doubles from the first to the longest. Milliseconds. */
const firstBackOff = 1000
const longestBackOff = 60_000

const backOffAfter = (failures: number): number => Math.min(firstBackOff * 2 ** (failures - 1), longestBackOff)

/** How often the refreshes of an item have failed; `undefined` while the pause after the last one lasts. */
export const failuresOf = (asked: Asked, item: CacheItem, now: number): number | undefined => {
  const known = asked.runtime.memory.failedRefreshes.get(flightOf(asked, item))
  if (known === undefined || !isBefore(known.at, item)) return 0
  const { at, count } = known
  return isAhead(at + backOffAfter(count), now, longestBackOff) ? undefined : count
}
