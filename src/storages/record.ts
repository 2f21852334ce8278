/** An item as it is kept outside the process: a head in JSON and the content as it is. */
import { type CacheItem, isItem } from "../CacheItem.js"

export interface Record {
  readonly item: CacheItem
  /** What the storage keeps in the head beside it. */
  readonly own: { readonly [name: string]: unknown }
}

/** The format. One of another version is a miss, in both directions. */
const version = "ehc1"
/** The version, and the lengths of the head and of the content. */
const prefixBytes = version.length + 8

export const encode = (item: CacheItem, own: object = {}): Uint8Array => {
  const { body, ...parts } = item
  const head = Buffer.from(JSON.stringify({ ...own, item: parts }))
  const record = Buffer.allocUnsafe(prefixBytes + head.byteLength + body.byteLength)
  record.write(version, 0, "latin1")
  record.writeUInt32BE(head.byteLength, version.length)
  record.writeUInt32BE(body.byteLength, version.length + 4)
  head.copy(record, prefixBytes)
  record.set(body, prefixBytes + head.byteLength)
  return record
}

/** `undefined` where it is something else: of another version, cut off, or made by somebody else. */
export const decode = (bytes: Uint8Array): Record | undefined => {
  if (bytes.byteLength < prefixBytes) return undefined
  const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const bodyAt = prefixBytes + record.readUInt32BE(version.length)
  if (record.toString("latin1", 0, version.length) !== version) return undefined
  if (record.byteLength !== bodyAt + record.readUInt32BE(version.length + 4)) return undefined
  try {
    return recordOf(JSON.parse(record.toString("utf8", prefixBytes, bodyAt)), bytes.subarray(bodyAt))
  } catch {
    return undefined
  }
}

const isObject = (value: unknown): value is { readonly [name: string]: unknown } =>
  typeof value === "object" && value !== null

const recordOf = (head: unknown, body: Uint8Array): Record | undefined => {
  if (!isObject(head) || !isObject(head["item"])) return undefined
  const item: unknown = Object.assign(head["item"], { body })
  return isItem(item) ? { item, own: head } : undefined
}
