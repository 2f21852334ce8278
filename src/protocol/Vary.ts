/** Which of a URI's representations a request selects (RFC 9110 §12.5.5, RFC 9111 §4.1). */
import * as Fields from "./Fields.js"

/** The nominated field names, lower-case, sorted, each once. */
export type Vary = ReadonlyArray<string>

export const of = (names: ReadonlyArray<string>): Vary =>
  Array.from(new Set(names.map((name) => name.toLowerCase()))).sort()

/** `"*"` when a member is `*`, or isn't a field name: a list that can't be read selects for nobody. */
export const parse = (value: string | undefined): Vary | "*" => {
  if (value === undefined) return []
  const names = Fields.members(value)
  return names.every((name) => name !== "*" && Fields.isToken(name)) ? of(names) : "*"
}

export const union = (a: Vary, b: Vary): Vary => a.length === 0 ? b : b.length === 0 ? a : of([...a, ...b])

/** The `Vary` that clients are told: the response's own, and what the route adds to it. */
export const told = (own: string | undefined, route: Vary): string | undefined => {
  const named = parse(own)
  if (named === "*") return own
  const added = route.filter((name) => !named.includes(name))
  return added.length === 0
    ? own
    : own === undefined || named.length === 0
    ? added.join(", ")
    : `${own}, ${added.join(", ")}`
}

/** Nominates who is asking, so what it selects is private. */
export const isPersonal = (vary: Vary): boolean => vary.includes("cookie") || vary.includes("authorization")

/** White space around a list's commas says nothing (RFC 9111 §4.1). */
const normalise = (value: string): string => Fields.split(value).join(",")

/**
 * The variant that a request selects: injective over names and values; `""` when nothing is nominated. A cache beneath
 * others, so many as `depth` says, has variants of its own: what one keeps is nothing for the next to answer with.
 */
export const variant = (vary: Vary, request: Fields.Fields, depth: number = 0): string => {
  const selected = vary.length === 0 ? "" : JSON.stringify(vary.map((name) => {
    const value = Fields.get(request, name)
    return value === undefined ? [name] : [name, normalise(value)]
  }))
  return depth === 0 ? selected : `${depth}${selected}`
}
