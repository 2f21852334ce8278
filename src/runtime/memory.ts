/** What is remembered of keys for a while, each table within 4 MiB; the least recently used goes first. */
import { LRUCache } from "lru-cache"
import type { Vary } from "../protocol/Vary.js"

const maxBytes = 4 * 1024 * 1024
const overhead = 128

const table = <Note extends {}>(lengthOf: (note: Note) => number = () => 0) =>
  new LRUCache<string, Note>({
    maxSize: maxBytes,
    sizeCalculation: (note, about) => overhead + 2 * (about.length + lengthOf(note))
  })

interface Failures {
  /** In a row. */
  readonly count: number
  /** When the last one was. Epoch milliseconds. */
  readonly at: number
}

export class Memory {
  /** By key and partition: the fields that responses nominated. */
  readonly nominated = table<Vary>((names) => names.join().length)
  /** By kind of request: until when they don't wait for each other. Epoch milliseconds. */
  readonly unsharedUntil = table<number>()
  /** By flight: how often a refresh has failed, and when. */
  readonly failedRefreshes = table<Failures>()
  /** By flight: when the handler has failed, and what is stored stood in for that. Epoch milliseconds. */
  readonly failedAt = table<number>()
  /** By key: the different `Vary` of its responses. */
  readonly fieldLists = table<ReadonlyArray<string>>((lists) => lists.join().length)
  /** By lenient key: other keys that the same route may answer. */
  readonly spellings = table<ReadonlyArray<string>>((keys) => keys.join().length)
}

/** Is `until` ahead of `now`, by at most `most`? (Further ahead means that the clock was set back.) Milliseconds. */
export const isAhead = (until: number, now: number, most: number): boolean => now < until && until - now <= most
