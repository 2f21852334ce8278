/** What clients are told of the search parameters that say nothing (draft-ietf-httpbis-no-vary-search). */
import { type InnerList, type Item, serializeDictionary } from "structured-headers"
import type { QuerySelection } from "./CacheKey.js"

const list = (names: ReadonlyArray<string>): InnerList => [
  names.map((name) => [encodeURIComponent(name.replaceAll(/[\ud800-\udfff]/gu, "\ufffd")), new Map()]),
  new Map()
]

/** `No-Vary-Search` for what is left out of the key; `undefined` when nothing is. */
export const told = (query: QuerySelection): string | undefined => {
  if (query === "all") return undefined
  if (query === "none") return serializeDictionary(new Map([["params", [true, new Map()]]]))
  if ("except" in query) {
    return query.except.length === 0
      ? undefined
      : serializeDictionary(new Map([["params", list(query.except)]]))
  }
  return serializeDictionary(
    new Map<string, InnerList | Item>([["params", [true, new Map()]], ["except", list(query.only)]])
  )
}
