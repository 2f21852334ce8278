/** The options of the storage in Redis, checked. */
import type { Options } from "../RedisCacheStorage.js"
import type { Options as FlightsOptions } from "../RedisSharedFlights.js"
import { type Check, check, flag, oneOrMore, unless } from "../runtime/givenValues.js"
import type { Settings } from "./storage.js"

const text = unless((value) => typeof value === "string", "a text")
const isSeconds = (value: unknown): boolean => typeof value === "number" && value > 0 && value < Infinity
const seconds = unless(isSeconds, "a number of seconds above 0")
/** Redis takes whole numbers, up to 2⁶³ from now. */
const millisOf = (seconds: number): number => Math.min(Math.ceil(seconds * 1000), 2 ** 52)
const defaultPrefix = "effect-http-cache:"

const checks: { readonly [Option in keyof Options]-?: Check } = {
  prefix: text,
  maxItemBytes: oneOrMore,
  maxVariants: oneOrMore,
  maxFill: seconds,
  durable: flag
}

export const settingsOf = (options: Options): Settings => {
  const { durable, maxFill, maxItemBytes, maxVariants, prefix } = check("RedisCacheStorage", "option", options, checks)
  return {
    prefix: prefix ?? defaultPrefix,
    maxItemBytes: maxItemBytes ?? 8 * 1024 * 1024,
    maxVariants: maxVariants ?? 64,
    fillLasts: millisOf(maxFill ?? 120),
    isDurable: durable ?? false
  }
}

const flightsChecks: { readonly [Option in keyof FlightsOptions]-?: Check } = { prefix: text, lease: seconds }

/** `lease`: milliseconds. */
export const flightsSettingsOf = (options: FlightsOptions): { readonly prefix: string; readonly lease: number } => {
  const { lease = 5, prefix = defaultPrefix } = check("RedisSharedFlights", "option", options, flightsChecks)
  return { prefix, lease: millisOf(lease) }
}
