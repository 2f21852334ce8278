/** An item as it is kept in Redis. */
import type { CacheItem } from "../CacheItem.js"
import * as Record from "../storages/record.js"

/** What is kept with an item: where the storage stood when its fill began. */
export interface Moment {
  /** The run of the server that keeps it. */
  readonly run: string
  /** The collects of its key until then. */
  readonly number: number
  /** Which count of collects of groups it is about, and how many there were. */
  readonly epoch: string
  readonly count: number
}

export interface Stored extends Moment {
  readonly item: CacheItem
}

export const encode = (item: CacheItem, moment: Moment): Uint8Array => Record.encode(item, moment)

/** `undefined` where it is something else. */
export const decode = (bytes: Uint8Array): Stored | undefined => {
  const record = Record.decode(bytes)
  if (record === undefined) return undefined
  const { item, own: { count, epoch, number, run } } = record
  const isMoment = typeof run === "string" && typeof epoch === "string" && typeof number === "number" &&
    typeof count === "number"
  return isMoment ? { run, epoch, number, count, item } : undefined
}
