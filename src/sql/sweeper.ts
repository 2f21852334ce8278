/** What is over, forgotten or beyond the bounds goes from the tables. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type Force, hard, soft, softUnlessError } from "../storages/force.js"
import { type Database, pause } from "./database.js"
import type { Settings } from "./settings.js"
import { batch, type Statements } from "./statements.js"

/** The part of the bounds that is made room for. So much is stored before all is measured again. */
const roomShare = 1 / 16

/** A timer can't be set to more. Milliseconds. */
const longest = 2 ** 31 - 1

export class Sweeper {
  private readonly database: Database
  private readonly statements: Statements
  private readonly settings: Settings
  /** What is left where room is made: a larger item would go at once, after all others. */
  readonly mostBytes: number
  /** What this process may store before it measures. */
  private room = { bytes: 0, items: 0 }

  constructor(database: Database, statements: Statements, settings: Settings) {
    this.database = database
    this.statements = statements
    this.settings = settings
    this.mostBytes = Math.ceil(settings.maxBytes * (1 - roomShare))
  }

  /** An item of so many bytes was stored. */
  stored(bytes: number): void {
    this.room.bytes -= bytes
    this.room.items--
  }

  remove(rows: ReadonlyArray<string>): Effect.Effect<void, SqlError> {
    if (rows.length === 0) return Effect.void
    const { database, statements } = this
    const list = JSON.stringify(rows)
    return Effect.asVoid(
      Effect.zipRight(database.run(statements.deleteGroups, [list]), database.run(statements.deleteItems, [list]))
    )
  }

  /** What was stored longest ago goes, where there is more than the bounds allow. */
  get makeRoom(): Effect.Effect<void, SqlError> {
    return Effect.suspend(() => this.room.bytes >= 0 && this.room.items >= 0 ? Effect.void : this.measure)
  }

  private get measure(): Effect.Effect<void, SqlError> {
    const { database, mostBytes, settings: { maxBytes, maxItems }, statements } = this
    const mostItems = Math.ceil(maxItems * (1 - roomShare))
    return Effect.gen(this, function*() {
      const [total] = yield* database.read(database.run(statements.measure))
      let [bytes, items] = [Number(total!["bytes"]), Number(total!["items"])]
      while (bytes > mostBytes || items > mostItems) {
        const going: Array<string> = []
        for (const row of yield* database.read(database.run(statements.oldest))) {
          if (bytes <= mostBytes && items <= mostItems) break
          going.push(String(row["id"]))
          bytes -= Number(row["bytes"])
          items--
        }
        if (going.length === 0) break
        yield* database.write(this.remove(going))
      }
      this.room = { bytes: Math.floor(maxBytes * roomShare), items: Math.floor(maxItems * roomShare) }
    })
  }

  /** Removes what is over, and what is forgotten; a collect that nobody can have missed any more goes too. */
  get sweep(): Effect.Effect<void, SqlError> {
    const { database, statements } = this
    return Effect.gen(this, function*() {
      const now = yield* Clock.currentTimeMillis
      yield* this.removeAll(statements.expired, [now])
      const seen = Effect.gen(function*() {
        const [state] = yield* database.run(statements.nextTurn)
        if (state !== undefined) yield* database.run(statements.see, [state["turn"]])
        return state?.["turn"]
      })
      const turn = yield* database.write(seen)
      if (turn === undefined) return
      yield* this.removeAll(statements.unsettled, [hard, hard, hard])
      for (const force of [soft, softUnlessError] as const) yield* this.soften(force)
      yield* database.writeOne(database.run(statements.forget, [turn]))
    })
  }

  /** Sweeps once in `maxFill`. */
  get sweepAlways(): Effect.Effect<never> {
    const sweep = Effect.catchAllCause(
      this.sweep,
      (cause) => Effect.logWarning("effect-http-cache: SqlCacheStorage could not be swept", cause)
    )
    return Effect.forever(Effect.zipRight(pause(Math.min(this.settings.maxFill * 1000, longest)), sweep))
  }

  private removeAll(statement: string, parameters: ReadonlyArray<unknown>): Effect.Effect<void, SqlError> {
    return this.inBatches(statement, parameters, (rows) => this.remove(rows))
  }

  private soften(force: Force): Effect.Effect<void, SqlError> {
    const { database, statements } = this
    return this.inBatches(
      statements.unsettled,
      [force, force, force],
      (rows) => database.run(statements.settle, [force, JSON.stringify(rows)])
    )
  }

  /** Others go on between them. */
  private inBatches(
    statement: string,
    parameters: ReadonlyArray<unknown>,
    use: (rows: ReadonlyArray<string>) => Effect.Effect<unknown, SqlError>
  ): Effect.Effect<void, SqlError> {
    const { database } = this
    const one = Effect.gen(function*() {
      const found = yield* database.read(database.run(statement, parameters))
      if (found.length > 0) yield* database.write(use(found.map(({ id }) => String(id))))
      return found.length
    })
    return Effect.asVoid(Effect.repeat(Effect.zipLeft(one, Effect.yieldNow()), { until: (found) => found < batch }))
  }
}
