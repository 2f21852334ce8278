/** The options of the storage over SQL, checked. */
import { type Check, check, flag, oneOrMore, show, unless } from "../runtime/givenValues.js"
import type { Options } from "../SqlCacheStorage.js"
import { type DialectName, dialects } from "./dialect.js"

export interface Settings {
  readonly prefix: string
  readonly maxBytes: number
  readonly maxItems: number
  readonly maxItemBytes: number
  readonly maxVariants: number
  /** Seconds. */
  readonly maxFill: number
  readonly createTables: boolean
}

const prefix = unless(
  (value) => typeof value === "string" && /^[a-z_][a-z0-9_]{0,39}$/.test(value),
  "a text of at most 40 small letters, digits and underscores"
)

const checks: { readonly [Option in keyof Options]-?: Check } = {
  prefix,
  maxBytes: oneOrMore,
  maxItems: oneOrMore,
  maxItemBytes: oneOrMore,
  maxVariants: oneOrMore,
  maxFill: unless(
    (value) => typeof value === "number" && value >= 1 && value < Infinity,
    "a number of seconds, 1 or more"
  ),
  createTables: flag
}

export const settingsOf = (options: Options): Settings => {
  const taken = check("SqlCacheStorage", "option", options, checks)
  return {
    prefix: taken.prefix ?? "http_cache_",
    maxBytes: taken.maxBytes ?? 1024 * 1024 * 1024,
    maxItems: taken.maxItems ?? Infinity,
    maxItemBytes: taken.maxItemBytes ?? 8 * 1024 * 1024,
    maxVariants: taken.maxVariants ?? 64,
    maxFill: Math.ceil(taken.maxFill ?? 120),
    createTables: taken.createTables ?? true
  }
}

/** Throws a `TypeError` where it is unknown. */
export const dialectFrom = (where: string, given: DialectName): DialectName => {
  if (Object.hasOwn(dialects, given)) return given
  throw new TypeError(`${where}: the dialect is ${show(given)}; it must be one of "sqlite", "pg"`)
}
