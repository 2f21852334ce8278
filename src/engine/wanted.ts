/** What a request wants of a stored response, and whether that may be answered. */
import type { CacheItem } from "../CacheItem.js"
import * as Preconditions from "../protocol/Preconditions.js"
import * as Range from "../protocol/Range.js"
import * as Reuse from "../protocol/Reuse.js"
import * as alike from "./alike.js"
import type { Asked } from "./request.js"
import type { Found } from "./storageAccess.js"

/** Whether what was found may be answered. */
export const reuseOf = (found: Found, wanted: Reuse.Request, time: number): Reuse.Reuse<CacheItem> =>
  found.item === undefined ? Reuse.forward(found.reason) : Reuse.decide(found.item, wanted, time)

/** The conditions and directives of the request, as they apply to this stored response. */
export const wantedOf = (asked: Asked, stored: CacheItem | undefined, time: number): Reuse.Request => {
  const { asks, view } = asked
  return {
    noCache: asks.noCache,
    noStore: asks.noStore,
    onlyIfCached: asks.onlyIfCached,
    maxAge: asks.maxAge,
    maxStale: asks.maxStale,
    minFresh: asks.minFresh,
    forOrigin: Preconditions.isForOrigin(view.fields),
    isHeld: stored === undefined || Range.isHeld(stored, view, time),
    isRepeatable: view.method !== "QUERY",
    isBackedOff: alike.isBackedOff(asked, stored, time)
  }
}
