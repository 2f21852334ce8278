/** Items that hold no more than what is theirs: a view of a larger buffer, or a text cut from a larger one, holds all of it. */
import { type CacheItem, compose } from "../CacheItem.js"
import * as Fields from "../protocol/Fields.js"

/** V8 cuts a text of 13 characters or more out of a larger one without a copy, and so holds all of that. */
const minCut = 13

/** What V8 joins is a text of its own, unless all but one of the parts are empty. */
const copy = (text: string): string => text.length < minCut ? text : [text[0], text.slice(1)].join("")

const none: ReadonlyArray<string> = []

const copyAll = (texts: ReadonlyArray<string>): ReadonlyArray<string> => texts.length === 0 ? none : texts.map(copy)

/**
 * The item with texts and content of its own. V8 keeps the names of a record's properties apart from all other texts, and the
 * name of a cache is the same text for all of its items.
 */
export const owned = (item: CacheItem): CacheItem => {
  const { body, cookies, groups, headers, id, key, partition, variant, vary } = item
  return compose(item, {
    id: copy(id),
    key: copy(key),
    partition: copy(partition),
    variant: copy(variant),
    cache: item.cache,
    vary: copyAll(vary),
    groups: copyAll(groups),
    cookies: copyAll(cookies),
    headers: Fields.copy(headers, copy),
    body: body.byteLength === body.buffer.byteLength ? body : new Uint8Array(body)
  })
}
