/**
 * A storage over the platform's `KeyValueStore`, such as a folder of files. It is for one process: two that share a folder
 * overwrite what the other has stored. It has no bounds, and what is over stays until its place is written again.
 */
import { KeyValueStore } from "@effect/platform"
import { Effect, Option, Schema } from "effect"
import { CacheError, CacheItem, CacheStorage, CollectableCacheStorage } from "effect-http-cache"
import { createHash } from "node:crypto"

/** What is in a place: items, each with the number of collects that there had been when its fill began. */
const Records = Schema.Array(Schema.Struct({ item: CacheItem.CacheItem, since: Schema.Number }))
type Records = typeof Records.Type

/** The number of a name's latest collect, of its latest one with `soft: true` or harder, and of its latest one that forgets. */
const Collects = Schema.Struct({ any: Schema.Number, soft: Schema.Number, hard: Schema.Number })
type Collects = typeof Collects.Type

const never: Collects = { any: 0, soft: 0, hard: 0 }
/** What can't be read may have been any collect. */
const unreadable: Collects = { any: Infinity, soft: Infinity, hard: Infinity }

const collected = (
  { hard, soft }: Collects,
  count: number,
  style: CollectableCacheStorage.CollectStyle = {}
): Collects => ({
  any: count,
  soft: style.soft === "unless-error" ? soft : count,
  hard: style.soft === "unless-error" || style.soft === true ? hard : count
})

/** A URI may be longer than the name of a file. */
const hashed = (kind: string, ...texts: ReadonlyArray<string>): string =>
  `${kind}-${createHash("sha256").update(JSON.stringify(texts)).digest("hex")}`

const nameOfPlace = ({ key, partition }: CacheStorage.Place) => hashed("place", key, partition)
const namesOf = ({ everything = true, groups, keys }: CollectableCacheStorage.Names): ReadonlyArray<string> => [
  ...(everything ? ["everything"] : []),
  ...keys.map((key) => hashed("key", key)),
  ...groups.map((group) => hashed("group", group))
]

const make = Effect.gen(function*() {
  const store = yield* KeyValueStore.KeyValueStore
  const places = store.forSchema(Records)
  const names = store.forSchema(Collects)
  const counts = store.forSchema(Schema.Number)
  /** How many collects there were. */
  let count = Option.getOrElse(yield* counts.get("count"), () => 0)
  const oneAtATime = (yield* Effect.makeSemaphore(1)).withPermits(1)

  const failing = (method: CacheError.CacheStorageError["method"], key: string) =>
    Effect.mapError((cause: unknown) =>
      new CacheError.CacheStorageError({ storage: "KeyValueStore", method, key, cause })
    )
  /** What can't be read is not there. */
  const recordsIn = (place: CacheStorage.Place) =>
    places.get(nameOfPlace(place)).pipe(
      Effect.catchTag("ParseError", () => Effect.succeedNone),
      Effect.map(Option.getOrElse((): Records => []))
    )
  const collectsOf = (name: string) =>
    names.get(name).pipe(
      Effect.map(Option.getOrElse(() => never)),
      Effect.catchTag("ParseError", () => Effect.succeed(unreadable))
    )
  const latestOf = (of: CollectableCacheStorage.Names) =>
    Effect.map(Effect.forEach(namesOf(of), collectsOf), (all): Collects => ({
      any: Math.max(...all.map(({ any }) => any)),
      soft: Math.max(...all.map(({ soft }) => soft)),
      hard: Math.max(...all.map(({ hard }) => hard))
    }))
  /** The items of a place as they are after the collects. */
  const itemsIn = (place: CacheStorage.Place) =>
    Effect.flatMap(
      recordsIn(place),
      (records) =>
        Effect.forEach(records, ({ item, since }) =>
          Effect.map(latestOf({ keys: [place.key], groups: item.groups }), ({ any, hard, soft }) => {
            if (hard > since) {
              return []
            }
            if (soft > since) {
              return [CollectableCacheStorage.softened(item, true)]
            }
            return [any > since ? CollectableCacheStorage.softened(item, "unless-error") : item]
          })).pipe(Effect.map((items) =>
            items.flat()
          ))
    )
  const holds = (of: CollectableCacheStorage.Names, { since }: CacheStorage.Fill) =>
    Effect.map(latestOf(of), ({ any }) => any <= (since as number))

  return {
    get: (lookup) =>
      Effect.flatMap(failing("get", lookup.key)(itemsIn(lookup)), (items) => {
        const item = CacheStorage.select(items, lookup)
        const reason = items.length === 0 ? "uri-miss" : "vary-miss"
        return item === undefined ? new CacheError.CacheMiss({ key: lookup.key, reason }) : Effect.succeed(item)
      }),
    begin: (lookup) =>
      Effect.suspend(() => {
        const since = count
        return Effect.map(itemsIn(lookup), (items) => ({ lookup, item: CacheStorage.select(items, lookup), since }))
      }).pipe(failing("begin", lookup.key)),
    set: (item, fill) =>
      Effect.gen(function*() {
        const { lookup } = fill
        if (!(yield* holds({ keys: [lookup.key], groups: item?.groups ?? [] }, fill))) return "overtaken" as const
        const after = CacheStorage.place(yield* itemsIn(lookup), item, fill)
        if (after === undefined) return "overtaken" as const
        const before = yield* recordsIn(lookup)
        const kept = before.filter((record) => after.some(({ id }) => id === record.item.id && id !== item?.id))
        const records = item === undefined ? kept : [...kept, { item, since: fill.since as number }]
        yield* places.set(nameOfPlace(lookup), records)
        return item === undefined ? "refused" as const : "kept" as const
      }).pipe(oneAtATime, failing("set", fill.lookup.key)),
    collect: ({ everything = false, groups, keys }, style) =>
      Effect.gen(function*() {
        for (const name of namesOf({ everything, groups, keys })) {
          yield* names.set(name, collected(yield* collectsOf(name), count + 1, style))
        }
        yield* counts.set("count", count + 1)
        count++
      }).pipe(oneAtATime, failing("collect", keys.join(" "))),
    holds: (of, fill) => failing("holds", fill.lookup.key)(holds(of, fill))
  } satisfies CollectableCacheStorage.Service
})

/** Routes can be cached and collected. Only what is under this prefix of the store is used. */
export const layer = CollectableCacheStorage.layer(
  Effect.provideServiceEffect(
    make,
    KeyValueStore.KeyValueStore,
    Effect.map(KeyValueStore.KeyValueStore, KeyValueStore.prefix("http-cache-"))
  )
)
