/** Items that hold no more than what is theirs: a view of a larger buffer, or a text cut from a larger one, holds all of it. */
import type { CacheItem } from "../CacheItem.js"

/** V8 cuts a text of 13 characters or more out of a larger one without a copy, and so holds all of that. */
const minCut = 13

const ownText = (text: string): string => text.length < minCut ? text : Buffer.from(text, "utf16le").toString("utf16le")

const ownTexts = (texts: ReadonlyArray<string>): ReadonlyArray<string> =>
  texts.length === 0 ? texts : texts.map(ownText)

const none: ReadonlyArray<string> = []

/** Names that were stored: those of fields and their lists are few, and the same for many items. */
const ownHeaders = (headers: CacheItem["headers"]): CacheItem["headers"] => {
  // A record of its own shape takes less than one without a prototype.
  const own: { [name: string]: string } = {}
  for (const name in headers) {
    if (name === "__proto__") Object.defineProperty(own, name, { value: headers[name], enumerable: true })
    else own[ownText(name)] = ownText(headers[name]!)
  }
  return own
}

/** The item with texts and content of its own. */
export const owned = (item: CacheItem): CacheItem => ({
  ...item,
  id: ownText(item.id),
  key: ownText(item.key),
  partition: ownText(item.partition),
  variant: ownText(item.variant),
  cache: ownText(item.cache),
  vary: item.vary.length === 0 ? none : ownTexts(item.vary),
  groups: item.groups.length === 0 ? none : ownTexts(item.groups),
  cookies: item.cookies.length === 0 ? none : ownTexts(item.cookies),
  headers: ownHeaders(item.headers),
  body: item.body.byteLength === item.body.buffer.byteLength ? item.body : new Uint8Array(item.body)
})
