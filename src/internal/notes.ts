/** What is remembered of keys for a while, within a bound. */
import { LRUCache } from "lru-cache"
import type { Vary } from "../protocol/Vary.js"
import { perStorage } from "./home.js"

const maxBytes = 4 * 1024 * 1024
const overhead = 128

const notes = <Note extends {}>(name: string) =>
  perStorage(name, () =>
    new LRUCache<string, Note>({
      maxSize: maxBytes,
      sizeCalculation: (_, about) => overhead + 2 * about.length
    }))

/** By key: the names that its responses nominated, so that requests for different variants don't wait for each other. */
export const nominated = notes<Vary>("nominated")

/** Until when requests of a group are not joined, since their responses can't be shared. Epoch milliseconds. */
export const unjoined = notes<number>("unjoined")

/** By flight: how often a refresh has failed, and when the next may begin. */
export const refused = notes<{ readonly failures: number; readonly until: number }>("refused")
