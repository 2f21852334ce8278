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

/** Fields whose members are ranked by weights, not by their order, and are read without regard to case (RFC 9110 §12.5). */
const preferences = new Set(["accept", "accept-encoding", "accept-language"])

/** `en; Q=0.50` as `en;q=0.5`. The value of a parameter keeps its case, a quoted one all of it; a weight of 1 says nothing. */
const normalisePreference = (member: string): string => {
  if (member.includes("\"")) return member
  const [choice = "", ...parameters] = member.split(";").map(Fields.trim)
  const normal = parameters.map((parameter) => {
    const [name = "", value] = parameter.split("=", 2).map(Fields.trim)
    if (name.toLowerCase() !== "q" || !/^\d(?:\.\d*)?$/.test(value ?? "")) {
      return value === undefined ? name.toLowerCase() : `${name.toLowerCase()}=${value}`
    }
    return Number(value) === 1 ? "" : `q=${Number(value)}`
  })
  return [choice.toLowerCase(), ...normal].filter((part) => part !== "").join(";")
}

/** What says the same selects the same (RFC 9111 §4.1): white space around commas, and more where a field is known. */
const normalise = (name: string, value: string, keepsOrder: boolean): string => {
  if (!preferences.has(name)) return Fields.split(value).join(",")
  const members = Fields.members(value).map(normalisePreference)
  return (keepsOrder ? members : members.sort()).join(",")
}

/** Which cache selects, and how it reads what is selected by. */
export interface Selection {
  /** How many caches are above it: each has variants of its own, so that none answers with what another keeps. */
  readonly depth: number
  /** The handler may take the first of several preferences. */
  readonly keepsOrder: boolean
  /** What a request with content selects by: `QUERY` (its draft's section on caching). */
  readonly content?: string | undefined
}

/** The variant that a request selects: injective over names and values; `""` when nothing is nominated. */
export const variant = (
  vary: Vary,
  request: Fields.Fields,
  { content, depth, keepsOrder }: Selection = { depth: 0, keepsOrder: true }
): string => {
  const selected = vary.length === 0 ? "" : JSON.stringify(vary.map((name) => {
    const value = Fields.get(request, name)
    return value === undefined ? [name] : [name, normalise(name, value, keepsOrder)]
  }))
  return `${depth === 0 ? "" : depth}${content ?? ""}${selected}`
}
