/** The bounds of the storage in memory, and what a caller may give for them. */
import type { Limits } from "../InMemoryCacheStorage.js"
import { type Check, check, unless } from "../runtime/givenValues.js"

export type Bounds = { readonly [Limit in keyof Limits]-?: number }

export const defaults: Bounds = {
  maxBytes: 64 * 1024 * 1024,
  maxItemBytes: 8 * 1024 * 1024,
  maxItems: Infinity,
  maxVariants: 64
}

const isWhole = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 1

const expected = "a whole number, 1 or more"

const limit = unless((value) => value === Infinity || isWhole(value), expected)

const checks: { readonly [Limit in keyof Limits]-?: Check } = {
  maxBytes: unless(isWhole, expected),
  maxItemBytes: limit,
  maxItems: limit,
  maxVariants: limit
}

export const boundsOf = (limits: Limits): Bounds => {
  // What is undefined is not among those that are checked.
  return { ...defaults, ...check("InMemoryCacheStorage", "limit", limits, checks) } as Bounds
}
