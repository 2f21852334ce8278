/** What clients are told of the search parameters that say nothing (draft-ietf-httpbis-no-vary-search). */
import { type InnerList, type Item, serializeDictionary } from "structured-headers"
import { isPattern, type QuerySelection } from "./CacheKey.js"

const list = (names: ReadonlyArray<string>): InnerList => [
  names.map((name) => [encodeURIComponent(name.replaceAll(/[\ud800-\udfff]/gu, "\ufffd")), new Map()]),
  new Map()
]

const yes: Item = [true, new Map()]

/** What is left out of the key. The field can't say what a name begins with: what only patterns leave out is not told. */
const leftOut = (query: QuerySelection): ReadonlyArray<readonly [string, InnerList | Item]> => {
  if (query === "all") return []
  if (query === "none") return [["params", yes]]
  if (query.only !== undefined) return query.only.some(isPattern) ? [] : [["params", yes], ["except", list(query.only)]]
  const names = (query.except ?? []).filter((name) => !isPattern(name))
  return names.length === 0 ? [] : [["params", list(names)]]
}

/** `No-Vary-Search` for what is left out of the key, and for an order that says nothing; `undefined` when there is neither. */
export const told = (query: QuerySelection): string | undefined => {
  const isSorted = typeof query === "object" && query.sort === true
  const members = [...(isSorted ? [["key-order", yes] as const] : []), ...leftOut(query)]
  return members.length === 0 ? undefined : serializeDictionary(new Map<string, InnerList | Item>(members))
}
