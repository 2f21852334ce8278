/** Fences and collects under random interleavings. `npm run check:fences` shows that what is broken is found. */
import { describe, expect, it } from "@effect/vitest"
import { randomInt } from "node:crypto"
import { model } from "./model.js"

const { MODEL_OPERATIONS, MODEL_SEED, MODEL_STORAGE } = process.env

/** `MODEL_STORAGE` is the name of one of them. */
const storages = ([
  ["at once", { storage: "at once", lane: false }, 100_000],
  ["after a yield", { storage: "after a yield", lane: false }, 50_000],
  ["at once, through a lane", { storage: "at once", lane: true }, 50_000]
] as const)
  .filter(([name]) => (MODEL_STORAGE ?? name) === name)
  .map(([name, plan, operations]) => [name, Number(MODEL_OPERATIONS ?? operations), plan] as const)

describe("whatever happens at once", () => {
  it.each(storages)(
    "nobody is shown what was collected before they asked: a storage that answers %s, %d operations",
    { timeout: 600_000 },
    async (_, operations, plan) => {
      const seed = Number(MODEL_SEED ?? randomInt(2 ** 31))
      process.stdout.write(`model: seed ${seed}\n`)
      const tally = await model({ ...plan, seed, operations })
      const seen = [
        "hit",
        "fwd=uri-miss",
        "fwd=vary-miss",
        "fwd=stale",
        "stale",
        "validated",
        "collapsed",
        "collected",
        "posted",
        "softly",
        ...["route", "field", "first", "last"].map((named) => `by a group: ${named}`)
      ]
      // What never comes about is not tested.
      const byLane = plan.lane ? ["by the lane"] : []
      for (const what of [...seen, ...byLane, "kept", "not kept", "evicted", "aborted", "failed"]) {
        expect(tally[what] ?? 0, what).toBeGreaterThan(operations / 1000)
      }
    }
  )
})
