/** What clients are told of the search parameters that say nothing (draft-ietf-httpbis-no-vary-search). */
import { isPattern, type QuerySelection } from "./CacheKey.js"

/** An inner list of strings (RFC 9651 §3.1.1): an encoded name has nothing that would have to be escaped. */
const list = (names: ReadonlyArray<string>): string =>
  `(${names.map((name) => `"${encodeURIComponent(name.replaceAll(/[\ud800-\udfff]/gu, "\ufffd"))}"`).join(" ")})`

/** What is left out of the key. The field can't say what a name begins with: what only patterns leave out is not told. */
const leftOut = (query: QuerySelection): ReadonlyArray<string> => {
  if (query === "all") return []
  if (query === "none") return ["params"]
  if (query.only !== undefined) return query.only.some(isPattern) ? [] : ["params", `except=${list(query.only)}`]
  const names = (query.except ?? []).filter((name) => !isPattern(name))
  return names.length === 0 ? [] : [`params=${list(names)}`]
}

/** `No-Vary-Search` for what is left out of the key, and for an order that says nothing; `undefined` when there is neither. */
export const told = (query: QuerySelection): string | undefined => {
  const isSorted = typeof query === "object" && query.sort === true
  const members = [...(isSorted ? ["key-order"] : []), ...leftOut(query)]
  return members.length === 0 ? undefined : members.join(", ")
}
