/** A stored item, and its size in bytes. */
import type { CacheItem } from "../CacheItem.js"
import { nameOfGroup, nameOfPlace } from "../runtime/names.js"
import { type Force, spared } from "../storages/force.js"

/** What an item costs beside its text and content; `npm run check:memory` holds it against the heap. */
const itemOverhead = 400
/** A group is also remembered by the name that its collects have. */
const groupOverhead = 48

/** Beside its text, what the name of a place takes in the list of those of its key. */
const partitionOverhead = 200

const textBytes = (text: string): number => text.length * 2

/** The size that counts for `maxBytes` and `maxItemBytes`. */
export const itemBytes = (item: CacheItem): number => {
  let bytes = itemOverhead + item.body.byteLength + textBytes(item.key) + textBytes(item.partition) +
    textBytes(item.variant) + textBytes(item.id) + textBytes(item.cache)
  if (item.partition !== "") bytes += partitionOverhead + textBytes(item.key) + textBytes(item.partition)
  for (const name of item.vary) bytes += textBytes(name)
  for (const group of item.groups) bytes += groupOverhead + textBytes(group)
  for (const line of item.cookies) bytes += textBytes(line)
  for (const name in item.headers) bytes += textBytes(name) + textBytes(item.headers[name]!)
  return bytes
}

const none: ReadonlyArray<string> = []

/** A stored item, in the order of storing, and beside the others of its place. */
export class Entry {
  readonly item: CacheItem
  readonly name: string
  /** Its groups, as collects name them. */
  readonly groups: ReadonlyArray<string>
  readonly bytes: number
  /** The number of the latest collect that is counted in `force`: at first, of the latest one before the handler was asked. */
  checked: number
  /** What collects have done to it; one that has forgotten its key, or everything, has removed it. */
  force: Force = spared
  /** Since the eviction hand came by. */
  isAskedFor: boolean
  older: Entry | undefined = undefined
  newer: Entry | undefined = undefined
  /** Another item of the same place: another variant. */
  next: Entry | undefined = undefined

  constructor(item: CacheItem, bytes: number, since: number, isAskedFor: boolean) {
    this.item = item
    this.name = nameOfPlace(item)
    this.isAskedFor = isAskedFor
    this.checked = since
    this.groups = item.groups.length === 0 ? none : item.groups.map(nameOfGroup)
    this.bytes = bytes
  }
}

/** The entries of a place, from its first one on. */
export const allFrom = (first: Entry | undefined): ReadonlyArray<Entry> => {
  const entries: Array<Entry> = []
  for (let entry = first; entry !== undefined; entry = entry.next) entries.push(entry)
  return entries
}
