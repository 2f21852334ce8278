/** Items that hold no more than what is theirs: a view of a larger buffer, or a text cut from a larger one, holds all of it. */
import { type CacheItem, compose } from "../CacheItem.js"
import * as Fields from "../protocol/Fields.js"

/** V8 cuts a text of 13 characters or more out of a larger one without a copy, and so holds all of that. */
const minCut = 13

const isLatin1 = (text: string): boolean => !/[^\0-\xff]/.test(text)

/** Copies these texts, in their order, with a byte for each character where that is enough for all. */
const copier = (texts: ReadonlyArray<string>) => {
  let joined = ""
  for (const text of texts) if (text.length >= minCut) joined += text
  const [encoding, width] = isLatin1(joined) ? ["latin1", 1] as const : ["utf16le", 2] as const
  const bytes = Buffer.from(joined, encoding)
  let at = 0
  return (text: string): string => text.length < minCut ? text : bytes.toString(encoding, at, at += width * text.length)
}

const none: ReadonlyArray<string> = []

/** The item with texts and content of its own. V8 keeps the names of a record's properties apart from all other texts. */
export const owned = (item: CacheItem): CacheItem => {
  const { body, cache, cookies, groups, headers, id, key, partition, variant, vary } = item
  const names = Object.keys(headers)
  const copy = copier([
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
  const copyAll = (texts: ReadonlyArray<string>) => texts.length === 0 ? none : texts.map(copy)
  // In the order of the texts.
  return compose(item, {
    id: copy(id),
    key: copy(key),
    partition: copy(partition),
    variant: copy(variant),
    cache: copy(cache),
    vary: copyAll(vary),
    groups: copyAll(groups),
    cookies: copyAll(cookies),
    headers: Fields.copy(headers, copy),
    body: body.byteLength === body.buffer.byteLength ? body : new Uint8Array(body)
  })
}
