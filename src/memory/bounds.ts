/** The bounds of the storage in memory, and what a caller may give for them. */
import type { Limits } from "../InMemoryCacheStorage.js"
import { type Check, check, oneOrMore } from "../runtime/givenValues.js"

export type Bounds = { readonly [Limit in keyof Limits]-?: number }

export const defaults: Bounds = {
  maxBytes: 64 * 1024 * 1024,
  maxItemBytes: 8 * 1024 * 1024,
  maxItems: Infinity,
  maxVariants: 64
}

const limit: Check = (value) => value === Infinity ? undefined : oneOrMore(value)

const checks: { readonly [Limit in keyof Limits]-?: Check } = {
  maxBytes: oneOrMore,
  maxItemBytes: limit,
  maxItems: limit,
  maxVariants: limit
}

export const boundsOf = (limits: Limits): Bounds => {
  // What is undefined is not among those that are checked.
  return { ...defaults, ...check("InMemoryCacheStorage", "limit", limits, checks) } as Bounds
}
