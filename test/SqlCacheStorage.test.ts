/** The storage over SQL holds what every storage holds, in each of its databases. */
import { it } from "@effect/vitest"
import { Effect } from "effect"
import { collectableLaws } from "effect-http-cache/testing"
import { describeSql, layerSql } from "./sqlLayer.js"

describeSql("the laws", (database) => {
  it.scopedLive.each(collectableLaws({ tooLarge: 9 * 1024 * 1024 }))(
    "$title",
    ({ test }) => Effect.flatMap(database, (database) => Effect.provide(test, layerSql(database)))
  )
})
