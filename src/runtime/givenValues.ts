/** What a caller gives, an object of options or of limits, is checked at once: a `TypeError` says what is expected. */
import { inspect } from "node:util"

/** What is expected, where it is something else. */
export type Check = (value: unknown) => string | undefined

export const unless = (isRight: (value: unknown) => boolean, expected: string): Check => (value) =>
  isRight(value) ? undefined : expected

export const oneOrMore = unless(
  (value) => Number.isInteger(value) && Number(value) >= 1,
  "a whole number, 1 or more"
)

export const flag = unless((value) => typeof value === "boolean", "true or false")

export const isRecord = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !(Symbol.iterator in value)

export const show = (value: unknown): string => {
  if (typeof value === "function") return "a function"
  try {
    return typeof value === "number" ? String(value) : JSON.stringify(value) ?? String(value)
  } catch {
    return inspect(value, { depth: 0 })
  }
}

/** A copy of lists, whose holes become members, and of plain objects. */
const copied = (value: unknown): unknown =>
  Array.isArray(value)
    ? Array.from(value, copied)
    : isRecord(value) && Object.getPrototypeOf(value) === Object.prototype
    ? Object.fromEntries(Object.entries(value).map(([name, own]) => [name, copied(own)]))
    : value

/**
 * `kind`: "option" or "limit". Answers a copy of what was checked, each value read once: the given object may be changed later,
 * or have getters.
 */
export const check = <Given extends object>(
  where: string,
  kind: string,
  given: Given,
  checks: { readonly [name: string]: Check }
): Given => {
  if (!isRecord(given)) throw new TypeError(`${where}: the ${kind}s are ${show(given)}; they must be an object`)
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(checks, name)) {
      throw new TypeError(`${where}: there is no ${kind} ${name}; there are ${Object.keys(checks).join(", ")}`)
    }
  }
  const taken = Object.entries(checks).flatMap(([name, check]) => {
    const value = copied(given[name])
    if (value === undefined) return []
    const expected = check(value)
    if (expected === undefined) return [[name, value]]
    throw new TypeError(`${where}: ${name} is ${show(value)}; it must be ${expected}`)
  })
  // There is a check for each property of the type.
  return Object.fromEntries(taken) as Given
}
