/** What is remembered of keys for a while, within a bound. */
import { LRUCache } from "lru-cache"
import type { Vary } from "../protocol/Vary.js"
import { perStorage } from "./home.js"

const maxBytes = 4 * 1024 * 1024
const overhead = 128

const notes = <Note extends {}>(name: string, lengthOf: (note: Note) => number = () => 0) =>
  perStorage(name, () =>
    new LRUCache<string, Note>({
      maxSize: maxBytes,
      sizeCalculation: (note, about) => overhead + 2 * (about.length + lengthOf(note))
    }))

/** By key: the names that its responses nominated, so that requests for different variants don't wait for each other. */
export const nominated = notes<Vary>("nominated")

/** Until when requests of a group are not joined, since their responses can't be shared. Epoch milliseconds. */
export const unjoined = notes<number>("unjoined")

/** By flight: how often a refresh has failed, and when the next may begin. */
export const refused = notes<{ readonly failures: number; readonly until: number }>("refused")

const lists = notes<ReadonlyArray<string>>("lists", (lists) => lists.join().length)

/** A handler that reads what the client names would make a list for each request; a lookup goes through them all. */
const maxLists = 8

/** Whether it is one of the first lists of fields that responses of the URI were read by. */
export const admits = (storage: object, key: string, vary: Vary): boolean => {
  const seen = lists.of(storage).get(key) ?? []
  const list = vary.join()
  if (seen.includes(list)) return true
  if (seen.length >= maxLists) return false
  lists.of(storage).set(key, [...seen, list])
  return true
}
