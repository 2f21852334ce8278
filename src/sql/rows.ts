/** What is kept of an item in the columns of its row, and what is read of them. */
import { hash } from "node:crypto"
import type { CacheItem } from "../CacheItem.js"
import type { Lookup, Selectable } from "../CacheStorage.js"
import type { Collected, Names } from "../CollectableCacheStorage.js"
import { remembering } from "../protocol/Remembering.js"
import * as Name from "../runtime/names.js"
import { type Force, hard, softOf, spared } from "../storages/force.js"
import type { Row } from "./database.js"
import { everything } from "./statements.js"

/** Texts may be long, or hold what a database does not take. JSON tells apart what is one text in UTF-8. */
const digest = (text: string): string => digests(text, () => hash("sha256", JSON.stringify(text), "base64url"))

const digests = remembering(512)

/** JSON in ASCII: a database of PostgreSQL may have an encoding that lacks the other characters. */
const written = (value: unknown): string =>
  JSON.stringify(value).replace(/[\x80-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)

/** The place of items, as two columns. */
export const placeOf = ({ key, partition }: Pick<Lookup, "key" | "partition">): readonly [string, string] => [
  digest(Name.nameOfKey(key)),
  partition === "" ? "" : digest(partition)
]

/** The names of groups, each once. */
export const groupsOf = (groups: ReadonlyArray<string>): ReadonlyArray<string> =>
  [...new Set(groups)].map((group) => digest(Name.nameOfGroup(group)))

/** What is collected, by what it is called in the tables. */
export const namesOf = ({ everything: all = false, groups, keys }: Names): { readonly [name: string]: string } =>
  Object.fromEntries([
    ...(all ? [[everything, written(Name.everything)]] : []),
    ...[...keys.map(Name.nameOfKey), ...groups.map(Name.nameOfGroup)].map((name) => [digest(name), written(name)])
  ])

/** What the fills of this storage, and who listens to it, know of when they have read it. */
export interface Since {
  readonly turn: number
  /** As the database has it. */
  readonly moment: unknown
}

export const sinceOf = ({ moment, turn }: Row): Since => ({ turn: Number(turn), moment })

/** Whether the collects after it are known in this turn. */
export const isKnown = (since: Since, turn: number): boolean => turn === since.turn || turn === since.turn + 1

/** What an item is selected by, and what has become of it. */
export interface Head extends Selectable {
  readonly row: string
  readonly force: Force
  /** Where it stands alone in its place. */
  readonly record: unknown
}

export const headOf = ({ date, id, variant, vary }: CacheItem): string => written([id, date, variant, vary])

const isText = (value: unknown): value is string => typeof value === "string"
const isForce = (value: number): value is Force => value >= spared && value <= hard

/** What can't be read may be about anything. */
export const parseCollected = ({ force, said }: Row): Collected => {
  try {
    const name: unknown = JSON.parse(String(said))
    const by = Number(force)
    if (isText(name) && isForce(by) && by !== spared) {
      return { everything: false, ...Name.namedBy(name), soft: softOf(by) }
    }
  } catch {
    // It is not what this library has written.
  }
  return { keys: [], groups: [], everything: true }
}

/** `undefined` where it is something else, of another version for one. */
export const parseHead = ({ force: by, head, id: row, record }: Row): Head | undefined => {
  const force = Number(by)
  try {
    const parts: unknown = JSON.parse(String(head))
    if (!Array.isArray(parts) || !isForce(force)) return undefined
    const [id, date, variant, vary] = parts
    const isSelectable = isText(id) && typeof date === "number" && isText(variant) && Array.isArray(vary) &&
      vary.every(isText)
    return isSelectable ? { row: String(row), force, record, id, date, variant, vary } : undefined
  } catch {
    return undefined
  }
}
