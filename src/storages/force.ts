/** What a collect does to an item, from the weakest to the strongest. */
import type { CacheItem } from "../CacheItem.js"
import * as CollectableCacheStorage from "../CollectableCacheStorage.js"

export type Force = typeof spared | typeof softUnlessError | typeof soft | typeof hard
export const spared = 0
export const softUnlessError = 1
export const soft = 2
export const hard = 3

export const forceOf = (style: CollectableCacheStorage.CollectStyle | undefined): Exclude<Force, typeof spared> =>
  style?.soft === "unless-error" ? softUnlessError : style?.soft === true ? soft : hard

/** How it is said to a storage. */
export const softOf = (force: Exclude<Force, typeof spared>): boolean | "unless-error" =>
  force === softUnlessError ? "unless-error" : force === soft

/** An item as it is answered after collects of this force, none of which has forgotten it. */
export const answered = (item: CacheItem, force: Force): CacheItem =>
  force === spared ? item : CollectableCacheStorage.softened(item, force === softUnlessError ? "unless-error" : true)
