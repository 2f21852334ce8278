/** Matches `Vary`: which of a URI's representations a request selects (RFC 9110 §12.5.5, RFC 9111 §4.1). */
import { describing } from "./EntityTag.js"
import * as Fields from "./Fields.js"
import { remembering } from "./Remembering.js"

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

/** Fields of preferences, which are read without regard to case (RFC 9110 §12.5). */
const preferences: ReadonlySet<string> = new Set(["accept", "accept-encoding", "accept-language"])

/** `en; Q=0.50` as `en;q=0.5`. The value of a parameter keeps its case, a quoted one all of it; a weight of 1 says nothing. */
const normalisePreference = (member: string): string => {
  const [choice = "", ...parameters] = member.split(";").map(Fields.trim)
  if (choice === "" || member.includes("\"")) return member
  const normal = parameters.map((parameter) => {
    const equals = parameter.indexOf("=")
    if (equals === -1) return parameter.toLowerCase()
    const name = Fields.trim(parameter.slice(0, equals)).toLowerCase()
    const value = Fields.trim(parameter.slice(equals + 1))
    if (name !== "q" || !/^\d(?:\.\d*)?$/.test(value)) return `${name}=${value}`
    return Number(value) === 1 ? "" : `q=${Number(value)}`
  })
  return [choice.toLowerCase(), ...normal.filter((part) => part !== "")].join(";")
}

const weightOf = (preference: string): number => {
  const weight = /;q=([\d.]+)$/.exec(preference)
  return weight === null ? 1 : Number(weight[1])
}

/** A longer value is compared as it is: nobody's preferences need more, and to read one takes its time. */
const maxSpelled = 1024

/** The canonical spellings of preferences; a client sends the same ones with each request. */
const spellingBy = remembering(maxSpelled)

const spellingOfPreferences = (value: string): string =>
  spellingBy(value, () =>
    Fields.members(value).map(normalisePreference)
      .sort((one, other) => weightOf(other) - weightOf(one)).join(", "))

/**
 * The one spelling of a value that selects (RFC 9111 §4.1): a space after each comma and no other white space around them;
 * of preferences no case, no weight of 1 and no empty member either, the larger weight first. Those of one weight stay in
 * their order, since a handler may take the first (RFC 4647 §2.3). A value of more than 1 KiB is its own spelling.
 */
export const canonical = (name: string, value: string): string =>
  value.length > maxSpelled
    ? value
    : preferences.has(name)
    ? spellingOfPreferences(value)
    : value.includes(",")
    ? Fields.split(value).join(", ")
    : Fields.trim(value)

/** The fields with the canonical spelling of these and of preferences; the same record where all are spelled so. */
export const spelled = (fields: Fields.Fields, names: Vary = []): Fields.Fields => {
  let changed: { [name: string]: string } | undefined
  for (const name of names.length === 0 ? preferences : [...preferences, ...names]) {
    const value = Fields.get(fields, name)
    const spelling = value === undefined ? undefined : canonical(name, value)
    if (spelling === value || spelling === undefined) continue
    changed ??= Fields.copy(fields)
    changed[name] = spelling
  }
  return changed ?? fields
}

/** Makes of a field's value the one that selects in its place. On both sides `undefined` is an absent field. */
export type Normalise = (value: string | undefined) => string | undefined

/** The fields with what is made of some, in canonical spelling before and after; `undefined` where no value can be made. */
export const normalised = (fields: Fields.Fields, by: ReadonlyMap<string, Normalise>): Fields.Fields | undefined => {
  if (by.size === 0) return fields
  const changed = Fields.copy(fields)
  for (const [name, normalise] of by) {
    const value = Fields.get(fields, name)
    let made: unknown
    try {
      made = normalise(value === undefined ? undefined : canonical(name, value))
    } catch {
      return undefined
    }
    if (made === undefined) delete changed[name]
    else if (typeof made === "string" && Fields.isValue(made)) changed[name] = canonical(name, made)
    else return undefined
  }
  return changed
}

/** Whether these fields have their canonical spelling: a request with another one is answered as if it had this. */
export const isSpelled = (fields: Fields.Fields, names: Vary): boolean =>
  names.every((name) => {
    const value = Fields.get(fields, name)
    return value === undefined || canonical(name, value) === value
  })

/** What a request selects by beside its fields. */
export interface Selection {
  /** How many caches are above this one: each has variants of its own, so that none answers with what another keeps. */
  readonly depth: number
  /** Which of several caches at one URI it is. */
  readonly name?: string | undefined
  /** Which version of the application it is of. */
  readonly version?: string | undefined
  /** What a middleware outside made of the target, as one that rewrites by tenant does. */
  readonly rewritten?: string | undefined
  /** The content of a request that asks by it: `QUERY` (its draft's section on caching). */
  readonly content?: string | undefined
}

/** The variant that a request selects: injective over all that it selects by; `""` when that is nothing. */
export const variant = (
  vary: Vary,
  request: Fields.Fields,
  { content, depth, name, rewritten, version }: Selection = { depth: 0 }
): string => {
  if (vary.length === 0 && depth === 0 && (name ?? version ?? rewritten ?? content) === undefined) return ""
  const values = vary.map((name) => {
    const value = Fields.get(request, name)
    return value === undefined ? [name] : [name, canonical(name, value)]
  })
  const others = { depth: depth === 0 ? undefined : depth, name, version, rewritten, content }
  const isOfOthers = Object.values(others).some((other) => other !== undefined)
  if (isOfOthers) return JSON.stringify([others, ...values])
  return values.length === 0 ? "" : JSON.stringify(values)
}

/** The fields that a variant was made of, each with its value; `undefined`: the request did not have it. */
export const fieldsOf = (variant: string): ReadonlyArray<readonly [name: string, value: string | undefined]> => {
  // It is what `variant` has made.
  const parts = variant === "" ? [] : JSON.parse(variant) as ReadonlyArray<readonly [string, string?] | object>
  return parts.flatMap((part) => Array.isArray(part) ? [[part[0] as string, part[1] as string | undefined]] : [])
}

/** The same function, which is asked once for each distinct list. */
export const remembered = (variantOf: (vary: Vary) => string): (vary: Vary) => string => {
  let ofNone: string | undefined
  let variants: Map<string, string> | undefined
  return (vary) => {
    if (vary.length === 0) return ofNone ??= variantOf(vary)
    const list = vary.join()
    variants ??= new Map()
    let variant = variants.get(list)
    if (variant === undefined) variants.set(list, variant = variantOf(vary))
    return variant
  }
}

/** The fields that a response nominates. */
export const inFields = (response: Fields.Fields): Vary | "*" => parse(Fields.get(response, "vary"))

/** Adds to the `Vary` of a response. */
export const add = (response: { [name: string]: string }, names: Vary): void => {
  const vary = told(Fields.get(response, "vary"), names)
  if (vary !== undefined) response["vary"] = vary
}

/** The `Vary` of a response and no other field. */
export const only = (response: Fields.Fields): { readonly [name: string]: string } => Fields.only(response, ["vary"])

/** What a request that asks by its content selects by: the content as text, and how it is to be read. */
export const contentOf = (request: Fields.Fields, content: string): string =>
  JSON.stringify({ query: [...describing.map((name) => Fields.get(request, name) ?? null), content] })
