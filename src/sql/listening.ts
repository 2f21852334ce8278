/** What all processes collect, as the table of collects tells those that ask it again and again. */
import type { SqlError } from "@effect/sql/SqlError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { CacheStorageError } from "../CacheError.js"
import type { Collected } from "../CollectableCacheStorage.js"
import { disconnected, pushed } from "../runtime/effect.js"
import { pause, type Row } from "./database.js"
import { isKnown, parseCollected, type Since, sinceOf } from "./rows.js"

/** Milliseconds. */
const asksEvery = 250
/** What takes longer is lost with the connection. Milliseconds. */
const timeout = 1000

const lost = (cause: unknown) =>
  new CacheStorageError({ storage: "SqlCacheStorage", method: "collect", key: "*", cause })

/** `collectedSince` answers one row at least; for `null` nothing but where the storage stands. */
export const collectsOf = (
  collectedSince: (moment: unknown) => Effect.Effect<ReadonlyArray<Row>, SqlError>
): Stream.Stream<Collected, CacheStorageError> =>
  pushed<Collected, CacheStorageError, Scope.Scope>((push, fail) => {
    let heard: Since | undefined
    const tooLate = Effect.zipRight(pause(timeout), Effect.fail("it is not answered in time"))
    const ask = Effect.suspend(() => collectedSince(heard?.moment ?? null)).pipe(
      disconnected,
      Effect.raceFirst(tooLate),
      Effect.catchAllCause((cause) => lost(Cause.squash(cause))),
      Effect.map((rows) => {
        const since = sinceOf(rows[0]!)
        if (heard === undefined || !isKnown(heard, since.turn)) push({ keys: [], groups: [], everything: true })
        else for (const row of rows) if (row["said"] !== null) push(parseCollected(row))
        heard = since
      })
    )
    const again = Effect.catchAll(
      Effect.forever(Effect.zipRight(pause(asksEvery), ask)),
      (error) => Effect.sync(() => fail(error))
    )
    return Effect.zipRight(ask, Effect.asVoid(Effect.forkScoped(again)))
  })
