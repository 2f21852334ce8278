/** The groups that a response is of, by which many are collected at once (RFC 9875). */
import { parseList } from "structured-headers"
import * as CacheKey from "./CacheKey.js"
import * as Fields from "./Fields.js"

/** Of one response; RFC 9875 §2 wants at least 32, of at least 32 characters. */
export const mostGroups = 256
export const longestGroup = 256

export const isGroup = (group: unknown): group is string => typeof group === "string" && group.length <= longestGroup

/** A group belongs to an origin (RFC 9875 §2.1): its name in a storage. A space ends the origin, which holds none. */
export const nameOf = (origin: string, group: string): string => `${CacheKey.prefixOf(origin)} ${group}`

/** The groups that a field lists; `undefined` where it is no list of texts, or one of them is too long. */
const parse = (field: string): ReadonlyArray<string> | undefined => {
  try {
    const groups = parseList(field).map(([member]) => member)
    return groups.every(isGroup) ? groups : undefined
  } catch {
    return undefined
  }
}

const none: ReadonlyArray<string> = []

const listed = (field: string | undefined): ReadonlyArray<string> | undefined =>
  field === undefined ? none : parse(field)

/** By name: those of the response (RFC 9875 §2). `undefined` where `Cache-Groups` can't be read. */
export const ofResponse = (origin: string, response: Fields.Fields): ReadonlyArray<string> | undefined =>
  listed(Fields.get(response, "cache-groups"))?.map((group) => nameOf(origin, group))

/** Those that a response to an unsafe method makes out of date (RFC 9875 §3), under the same condition. */
export const invalidated = (response: Fields.Fields): ReadonlyArray<string> | undefined =>
  listed(Fields.get(response, "cache-group-invalidation"))

export const remedy =
  `what can't be named can't be collected; a response is of at most ${mostGroups} groups, each a text of ` +
  `at most ${longestGroup} characters, in quotes where Cache-Groups lists them`

export const unread =
  "a Cache-Group-Invalidation can't be read, and the groups in it are not collected; it is a list of " +
  `texts in quotes of at most ${longestGroup} characters`

/** By name, each once: the groups within each of these origins. */
export const namesOf = (origins: ReadonlyArray<string>, groups: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...new Set(origins.flatMap((origin) => groups.map((group) => nameOf(origin, group))))
]

/** All of these, each once; `undefined` where they are more than one response may be of. */
export const union = (...lists: ReadonlyArray<Iterable<string>>): ReadonlyArray<string> | undefined => {
  const groups = new Set<string>()
  for (const list of lists) for (const group of list) groups.add(group)
  return groups.size === 0 ? none : groups.size <= mostGroups ? [...groups] : undefined
}

/** What a name is of: the origin as it begins a key, and the group within it. */
export const partsOf = (name: string): { readonly origin: string; readonly group: string } => {
  const space = name.indexOf(" ")
  return { origin: name.slice(0, space), group: name.slice(space + 1) }
}
