/** What is remembered of keys for a while, within a bound. */
import { LRUCache } from "lru-cache"
import { union, type Vary } from "../protocol/Vary.js"
import { isAhead, perStorage } from "./home.js"

interface Place {
  readonly key: string
  readonly partition: string
}

const maxBytes = 4 * 1024 * 1024
const overhead = 128

const notes = <Note extends {}>(name: string, lengthOf: (note: Note) => number = () => 0) =>
  perStorage(name, () =>
    new LRUCache<string, Note>({
      maxSize: maxBytes,
      sizeCalculation: (note, about) => overhead + 2 * (about.length + lengthOf(note))
    }))

const nominations = notes<Vary>("nominated", (names) => names.join().length)

const placeOf = ({ key, partition }: Place): string => JSON.stringify([key, partition])

/** What the responses kept in a place nominated, so that requests for different variants don't wait for each other. */
export const nominated = (storage: object, place: Place): Vary => nominations.of(storage).get(placeOf(place)) ?? []

/** The names are texts of their own: one that was cut from a larger text would hold all of it. */
export const nominate = (storage: object, place: Place, names: Vary): void => {
  nominations.of(storage).set(placeOf(place), structuredClone(union(nominated(storage, place), names)))
}

/** Epoch milliseconds. */
const unjoinedUntil = notes<number>("unjoined")

const unjoinedFor = 60_000

/** Whether the responses to requests of a group could not be shared a minute ago or less: they don't wait for each other. */
export const isUnjoined = (storage: object, group: string, now: number): boolean =>
  isAhead(unjoinedUntil.of(storage).get(group) ?? 0, now, unjoinedFor)

export const unjoin = (storage: object, group: string, now: number): void => {
  unjoinedUntil.of(storage).set(group, now + unjoinedFor)
}

export const join = (storage: object, group: string): void => void unjoinedUntil.of(storage).delete(group)

/** By flight: how often a refresh has failed, and when the next may begin. */
export const refused = notes<{ readonly failures: number; readonly until: number }>("refused")

const lists = notes<ReadonlyArray<string>>("lists", (lists) => lists.join().length)

/** A handler that reads what the client names would make a list for each request; a lookup goes through them all. */
const maxLists = 8

/** Whether it is one of the first lists of fields that responses of the URI were read by. */
export const admits = (storage: object, key: string, vary: Vary): boolean => {
  const seen = lists.of(storage).get(key) ?? []
  const list = JSON.stringify(vary)
  if (seen.includes(list)) return true
  if (seen.length >= maxLists) return false
  lists.of(storage).set(key, [...seen, list])
  return true
}

const spellings = notes<ReadonlyArray<string>>("spellings", (keys) => keys.join().length)

/** Of one URI. */
const maxSpellings = 64

/** Other keys, beside the lenient one, of what a router may answer by the same route. */
export const spelled = (storage: object, lenient: string): ReadonlyArray<string> =>
  spellings.of(storage).get(lenient) ?? []

export const spell = (storage: object, lenient: string, key: string): void => {
  const known = spelled(storage, lenient)
  if (key !== lenient && !known.includes(key)) {
    spellings.of(storage).set(lenient, [...known.slice(1 - maxSpellings), key])
  }
}
