/** Items that hold no more than what is theirs: a view of a larger buffer, or a text cut from a larger one, holds all of it. */
import type { CacheItem } from "../CacheItem.js"
import * as Fields from "../protocol/Fields.js"

const isLatin1 = (text: string): boolean => !/[^\0-\xff]/.test(text)

/** A text of its own, with a byte for each character where that is enough. */
const flat = (text: string): string => {
  const encoding = isLatin1(text) ? "latin1" : "utf16le"
  return Buffer.from(text, encoding).toString(encoding)
}

/** The same texts, cut from one that holds nothing else: V8 cuts without a copy. */
const cutter = (texts: ReadonlyArray<string>) => {
  const whole = flat(texts.join(""))
  let at = 0
  return (text: string): string => whole.slice(at, at += text.length)
}

const none: ReadonlyArray<string> = []

/** The item with texts and content of its own. V8 keeps the names of a record's properties apart from all other texts. */
export const owned = (item: CacheItem): CacheItem => {
  const { body, cache, cookies, groups, headers, id, key, partition, variant, vary } = item
  const names = Object.keys(headers)
  const cut = cutter([
    id,
    key,
    partition,
    variant,
    cache,
    ...vary,
    ...groups,
    ...cookies,
    ...names.map((name) => headers[name]!)
  ])
  const cutAll = (texts: ReadonlyArray<string>) => texts.length === 0 ? none : texts.map(cut)
  // In the order of the texts.
  return {
    ...item,
    id: cut(id),
    key: cut(key),
    partition: cut(partition),
    variant: cut(variant),
    cache: cut(cache),
    vary: cutAll(vary),
    groups: cutAll(groups),
    cookies: cutAll(cookies),
    headers: Fields.plain(headers, cut),
    body: body.byteLength === body.buffer.byteLength ? body : new Uint8Array(body)
  }
}
