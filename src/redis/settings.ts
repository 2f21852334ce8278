/** The options of the storage in Redis, checked. */
import type { Options } from "../RedisCacheStorage.js"
import { type Check, check, unless } from "../runtime/givenValues.js"
import type { Settings } from "./storage.js"

const isCount = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 1

const count = unless(isCount, "a whole number, 1 or more")

const checks: { readonly [Option in keyof Options]-?: Check } = {
  prefix: unless((value) => typeof value === "string", "a text"),
  maxItemBytes: count,
  maxVariants: count,
  maxFill: unless((value) => typeof value === "number" && value > 0 && value < Infinity, "a number of seconds above 0"),
  durable: unless((value) => typeof value === "boolean", "true or false")
}

export const settingsOf = (options: Options): Settings => {
  check("RedisCacheStorage", "option", options, checks)
  const { durable, maxFill, maxItemBytes, maxVariants, prefix } = options
  return {
    prefix: prefix ?? "effect-http-cache:",
    maxItemBytes: maxItemBytes ?? 8 * 1024 * 1024,
    maxVariants: maxVariants ?? 64,
    fillLasts: Math.ceil((maxFill ?? 120) * 1000),
    isDurable: durable ?? false
  }
}
