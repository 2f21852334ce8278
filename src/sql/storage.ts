/** The storage itself: what each of its methods says to the database, and what is made of the answers. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { randomInt } from "node:crypto"
import { CacheMiss, CacheStorageError } from "../CacheError.js"
import type { CacheItem } from "../CacheItem.js"
import * as CacheStorage from "../CacheStorage.js"
import type * as CollectableCacheStorage from "../CollectableCacheStorage.js"
import { isInterruptedOnly } from "../runtime/effect.js"
import { limitReached } from "../runtime/limits.js"
import { runtimeOf } from "../runtime/runtime.js"
import { answered, forceOf, hard } from "../storages/force.js"
import * as Record from "../storages/record.js"
import type { Database, Row } from "./database.js"
import { collectsOf } from "./listening.js"
import { groupsOf, type Head, headOf, isKnown, namesOf, parseHead, placeOf, type Since, sinceOf } from "./rows.js"
import type { Settings } from "./settings.js"
import type { Statements } from "./statements.js"
import { Sweeper } from "./sweeper.js"

interface Found {
  /** Of the place. */
  readonly rows: ReadonlyArray<Row>
  readonly item: CacheItem | undefined
  readonly isEmpty: boolean
}

type Run = (text: string, parameters: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<Row>, SqlError>

/** How often a place is read again whose item goes while it is read. */
const maxReads = 3

export class SqlStorage implements CollectableCacheStorage.SharedService {
  readonly sweeper: Sweeper
  private readonly database: Database
  private readonly statements: Statements
  private readonly settings: Settings
  private hasWarned = false

  private readonly looking: Run = (text, parameters) => this.database.look(text, parameters)
  private readonly running: Run = (text, parameters) => this.database.run(text, parameters)

  constructor(database: Database, statements: Statements, settings: Settings) {
    this.database = database
    this.statements = statements
    this.settings = settings
    this.sweeper = new Sweeper(database, statements, settings)
  }

  /** Begins to count turns, where the tables are new or were emptied. */
  get start(): Effect.Effect<unknown, SqlError> {
    return this.database.writeOne(this.database.run(this.statements.start, [randomInt(1, 2 ** 47)]))
  }

  readonly get = (lookup: CacheStorage.Lookup): Effect.Effect<CacheItem, CacheMiss | CacheStorageError> => {
    const found = Effect.matchCauseEffect(
      this.find(lookup, this.looking(this.statements.get, placeOf(lookup)), this.looking),
      {
        onFailure: (cause) => failed("get", lookup.key, cause),
        onSuccess: ({ isEmpty, item }): Effect.Effect<CacheItem, CacheMiss> =>
          item === undefined
            ? new CacheMiss({ key: lookup.key, reason: isEmpty ? "uri-miss" : "vary-miss" })
            : Effect.succeed(item)
      }
    )
    // It may see what was there when it began, which others have collected since.
    return this.database.unlessWithin(found, new CacheMiss({ key: lookup.key, reason: "uri-miss" }))
  }

  readonly begin = (lookup: CacheStorage.Lookup): Effect.Effect<CacheStorage.Fill, CacheStorageError> => {
    const read = this.standing(this.running(this.statements.begin, placeOf(lookup)))
    const begun = Effect.map(
      this.trying("begin", lookup.key, this.database.read(this.find(lookup, read, this.running))),
      ({ item, rows }): CacheStorage.Fill => ({ lookup, item, since: sinceOf(rows[0]!) })
    )
    return this.database.unlessWithin(
      begun,
      Effect.as(this.withinTransaction, { lookup, item: undefined, since: undefined })
    )
  }

  readonly set = (
    item: CacheItem | undefined,
    fill: CacheStorage.Fill
  ): Effect.Effect<CacheStorage.Kept, CacheStorageError> => {
    const { lookup, since } = fill
    if (!isSince(since)) return Effect.succeed("overtaken")
    return this.trying(
      "set",
      lookup.key,
      Effect.zipLeft(this.database.write(this.keep(item, fill, since)), this.sweeper.makeRoom)
    )
  }

  readonly collect = (
    names: CollectableCacheStorage.Names,
    style?: CollectableCacheStorage.CollectStyle,
    own?: CacheStorage.Fill
  ): Effect.Effect<CacheStorage.Fill | void, CacheStorageError> => {
    const all = namesOf(names)
    const [first] = Object.keys(all)
    if (first === undefined) return Effect.void
    const collected = this.database.run(this.statements.collect, [forceOf(style), JSON.stringify(all)])
    const alone = Effect.as(this.database.writeOne(collected), undefined)
    return this.trying(
      "collect",
      names.keys[0] ?? names.groups[0] ?? first,
      own === undefined ? alone : this.database.unlessWithin(this.goOn(own, collected), alone)
    )
  }

  readonly collects: CollectableCacheStorage.SharedService["collects"] = collectsOf((moment) =>
    this.standing(this.database.read(this.running(this.statements.collected, [moment])))
  )

  readonly holds = (
    names: CollectableCacheStorage.Names,
    { lookup, since }: CacheStorage.Fill
  ): Effect.Effect<boolean, CacheStorageError> =>
    isSince(since)
      ? this.trying("holds", lookup.key, this.database.read(this.isCurrent(names, since)))
      : Effect.succeed(false)

  /** What a handler reads there may never have happened, so that nothing is stored. That is logged once. */
  private get withinTransaction(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.hasWarned) return Effect.void
      this.hasWarned = true
      return Effect.logWarning(
        "effect-http-cache: SqlCacheStorage stores nothing that is asked for within a transaction of its client, since that may be rolled back: put the transaction within withCache; this is logged once"
      )
    })
  }

  private trying<A>(method: CacheStorageError["method"], key: string, effect: Effect.Effect<A, SqlError>) {
    return Effect.catchAllCause(effect, (cause) => failed(method, key, cause))
  }

  /** Rows that say where the storage stands. There are none where the tables were emptied. */
  private standing(read: Effect.Effect<ReadonlyArray<Row>, SqlError>): Effect.Effect<ReadonlyArray<Row>, SqlError> {
    return Effect.flatMap(read, (rows) => rows.length > 0 ? Effect.succeed(rows) : Effect.zipRight(this.start, read))
  }

  /** What is found by `read`, which answers the rows of the place. */
  private find(
    lookup: CacheStorage.Lookup,
    read: Effect.Effect<ReadonlyArray<Row>, SqlError>,
    run: Run,
    reads = 1
  ): Effect.Effect<Found, SqlError> {
    return Effect.flatMap(read, (rows) => {
      const heads = aliveOf(rows)
      const head = CacheStorage.select(heads, lookup)
      if (head === undefined) return Effect.succeed({ rows, item: undefined, isEmpty: heads.length === 0 })
      if (head.record !== null) return Effect.succeed(foundOf(rows, head, head.record, lookup))
      return Effect.flatMap(
        run(this.statements.record, [head.row]),
        ([found]) =>
          found === undefined && reads < maxReads
            ? this.find(lookup, read, run, reads + 1)
            : Effect.succeed(foundOf(rows, head, found?.["record"], lookup))
      )
    })
  }

  /** Whether none of these names, nor everything, was collected since. */
  private isCurrent(names: CollectableCacheStorage.Names, since: Since): Effect.Effect<boolean, SqlError> {
    return Effect.map(this.now(names, since), (now) => now !== undefined)
  }

  /** Where the storage stands, unless one of these names or everything was collected since, but by these collects. */
  private now(
    names: CollectableCacheStorage.Names,
    since: Since,
    own: ReadonlyArray<string> = []
  ): Effect.Effect<Since | undefined, SqlError> {
    const all = Object.keys(namesOf({ ...names, everything: true }))
    return Effect.map(
      this.database.run(this.statements.isOvertaken, [since.moment, JSON.stringify(all), JSON.stringify(own)]),
      ([row]) =>
        row !== undefined && isKnown(since, Number(row["turn"])) && !row["overtaken"] ? sinceOf(row) : undefined
    )
  }

  /**
   * The fill as it goes on over its own collect. What was collected before is asked about before, since in SQLite a collect
   * takes the place of an earlier one; what others commit at the same time, after it is committed.
   */
  private goOn(
    { lookup, since }: CacheStorage.Fill,
    collect: Effect.Effect<ReadonlyArray<Row>, SqlError>
  ): Effect.Effect<CacheStorage.Fill | undefined, SqlError> {
    const { database } = this
    const names = { keys: [lookup.key], groups: [] }
    return Effect.gen(this, function*() {
      const [isCurrent, rows] = yield* database.write(
        Effect.all([isSince(since) ? this.isCurrent(names, since) : Effect.succeed(false), collect])
      )
      if (!isCurrent || !isSince(since)) return undefined
      const now = yield* database.read(this.now(names, since, rows.map(({ id }) => String(id))))
      return now && { lookup, item: undefined, since: now }
    })
  }

  private keep(
    item: CacheItem | undefined,
    fill: CacheStorage.Fill,
    since: Since
  ): Effect.Effect<CacheStorage.Kept, SqlError> {
    const { database, settings, statements, sweeper } = this
    const { lookup } = fill
    const place = placeOf(lookup)
    return Effect.gen(this, function*() {
      yield* database.run(statements.lockPlace, [since.turn, place.join(" ")])
      const isCurrent = yield* this.isCurrent({ keys: [lookup.key], groups: item?.groups ?? [] }, since)
      if (!isCurrent) return "overtaken"
      const rows = yield* database.run(statements.getHeads, place)
      const before = aliveOf(rows)
      const after = CacheStorage.place<CacheStorage.Selectable>(before, item, fill)
      if (after === undefined) return "overtaken"
      const record = item === undefined ? undefined : Record.encode(item)
      const isKept = record !== undefined && record.byteLength <= Math.min(settings.maxItemBytes, sweeper.mostBytes)
      const others = before.filter((head) => after.includes(head))
      const tooMany = isKept ? others.slice(0, Math.max(0, others.length + 1 - settings.maxVariants)) : []
      const staying = new Set(others.filter((head) => !tooMany.includes(head)).map(({ row }) => row))
      yield* sweeper.remove(rows.map(({ id }) => String(id)).filter((id) => !staying.has(id)))
      if (tooMany.length > 0) {
        yield* limitReached(runtimeOf(this), "variants", "and the least recently stored of a URI goes")
      }
      if (!isKept || item === undefined) return "refused"
      yield* this.insert(item, record, place, since)
      return "kept"
    })
  }

  private insert(
    item: CacheItem,
    record: Uint8Array,
    place: readonly [string, string],
    { moment }: Since
  ): Effect.Effect<void, SqlError> {
    const { database, statements, sweeper } = this
    const columns = [...place, moment, item.retainUntil, record.byteLength, headOf(item), record]
    return Effect.gen(function*() {
      const [row] = yield* database.run(statements.insertItem, columns)
      const groups = groupsOf(item.groups)
      if (groups.length > 0) yield* database.run(statements.insertGroups, [row!["id"], JSON.stringify(groups)])
      sweeper.stored(record.byteLength)
    })
  }
}

/** What dies in the client is a failure of the storage too, such as a transaction that can't be ended. */
const failed = (
  method: CacheStorageError["method"],
  key: string,
  cause: Cause.Cause<SqlError>
): Effect.Effect<never, CacheStorageError> =>
  isInterruptedOnly(cause)
    ? Effect.failCause(cause as Cause.Cause<never>)
    : new CacheStorageError({ storage: "SqlCacheStorage", method, key, cause: Cause.squash(cause) })

/** What can be read and is not forgotten, the newest last. */
const aliveOf = (rows: ReadonlyArray<Row>): ReadonlyArray<Head> =>
  rows.flatMap((row) => {
    const head = row["id"] === null ? undefined : parseHead(row)
    return head === undefined || head.force === hard ? [] : [head]
  })

const foundOf = (
  rows: ReadonlyArray<Row>,
  head: Head,
  bytes: unknown,
  { key, partition }: CacheStorage.Lookup
): Found => {
  const item = bytes instanceof Uint8Array ? Record.decode(bytes)?.item : undefined
  const isRight = item !== undefined && item.id === head.id && item.key === key && item.partition === partition
  return { rows, item: isRight ? answered(item, head.force) : undefined, isEmpty: !isRight }
}

const isSince = (since: unknown): since is Since => typeof since === "object" && since !== null && "moment" in since
