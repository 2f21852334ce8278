/** How what is of a URI is named in Redis, and what is known here of what a place holds. */
import { LRUCache } from "lru-cache"
import type { CacheKey, Lookup, Place } from "../CacheStorage.js"
import type { CacheItem } from "../CacheItem.js"
import { remembering } from "../protocol/Remembering.js"
import { remembered } from "../protocol/Vary.js"
import { type Reply, textOf } from "./port.js"

/** The hash of a URI, and its items by when they may go: in a cluster, on one server. */
export const keysOf = (prefix: string, key: CacheKey): readonly [hash: string, index: string] => {
  const hash = `${prefix}{${key}}`
  return [hash, `${hash}:until`]
}

const recordField = (partition: string, variant: string): string =>
  `i${Buffer.byteLength(partition)}:${partition}${variant}`

const listsField = (partition: string): string => `l${partition}`

/** A list of field names as Redis has it. */
export const textOfList = (list: ReadonlyArray<string>): string => JSON.stringify(list)

type Lists = ReadonlyArray<ReadonlyArray<string>>

/** The lists of field names that the items of a place have, and the groups that they were seen to be of. */
export interface Known {
  readonly lists: Lists
  readonly groups: ReadonlyArray<string>
}

const nothing: Known = { lists: [[]], groups: [] }

const isList = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every((name) => typeof name === "string")

const parse = (text: string): Lists => {
  try {
    const texts: unknown = JSON.parse(text)
    return isList(texts) ? texts.map((list): unknown => JSON.parse(list)).filter(isList) : []
  } catch {
    return []
  }
}

/** A longer text is parsed each time. */
const longestText = 1000

/** Most places have the same few. */
const parsedBy = remembering<Lists>(longestText)

/** Lists as Redis has them; what can't be read is none. */
export const parseLists = (reply: Reply | undefined): Lists => {
  const text = textOf(reply)
  return text === undefined ? [] : parsedBy(text, () => parse(text))
}

export const includes = (lists: Lists, list: ReadonlyArray<string>): boolean =>
  lists.some((other) => other.length === list.length && other.every((name, at) => name === list[at]))

export const union = (lists: Lists, others: Lists): Lists => [
  ...lists,
  ...others.filter((list) => !includes(lists, list))
]

/** How many places are known; another one takes a second trip, where it has lists of names or groups. */
const maxPlaces = 10_000

export class Places {
  private readonly known = new LRUCache<string, Known>({ max: maxPlaces })

  of(place: Place): Known {
    return this.known.get(nameOf(place)) ?? nothing
  }

  learn(place: Place, known: Known): void {
    this.known.set(nameOf(place), known)
  }

  /** An item is stored there. */
  add(place: Place, { groups, vary }: Pick<CacheItem, "groups" | "vary">): void {
    const known = this.of(place)
    if (vary.length === 0 && groups.length === 0 && known === nothing) return
    this.learn(place, { lists: union(known.lists, [vary]), groups })
  }
}

const nameOf = ({ key, partition }: Place): string => partition === "" ? key : JSON.stringify([key, partition])

/** The marks of a hash that a look-up reads before the records. */
export const marks = ["t", "n", "u", "s"] as const

/** What a look-up reads of a hash: the marks, the lists of the place, and for each list the record that it would select. */
export const fieldsOf = (lookup: Lookup, { lists }: Known): ReadonlyArray<string> => {
  const { partition } = lookup
  const variantOf = remembered(lookup.variantOf)
  return [...marks, listsField(partition), ...lists.map((list) => recordField(partition, variantOf(list)))]
}
