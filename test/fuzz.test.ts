/** Random exchanges: nothing throws, hangs or leaks. More of them, and of other seeds: `npm run fuzz`. */
import { describe, expect, it } from "@effect/vitest"
import { fuzz } from "./fuzz.js"
import { answering, type How } from "./waiting.js"

/** The lane answers what the storage does at once. */
const isInLane = process.env["LANE"] === "true"

const storages: ReadonlyArray<readonly [How, exchanges: number]> = isInLane
  ? [["at once", 10_000]]
  : [["at once", 100_000], ["after a yield", 50_000]]
const title = "nothing is thrown, hangs or leaks: a storage that answers %s, %d exchanges"

describe("whatever is sent and answered", () => {
  it.each(storages)(title, { timeout: 600_000 }, async (how, exchanges) => {
    const seed = Number(process.env["FUZZ_SEED"] ?? 1)
    process.stdout.write(`fuzz: seed ${seed}\n`)
    const tally = await fuzz({ seed, exchanges, lane: isInLane, storage: (service) => answering(how, service) })
    // What never comes about is not tested.
    for (
      const what of ["hit", "fwd=stale", "fwd=vary-miss", "shared", "private", "fresh", "written", "aborted", "failed"]
    ) {
      expect(tally[what] ?? 0, what).toBeGreaterThan(exchanges / 1000)
    }
    if (isInLane) expect(tally["answered by the lane"] ?? 0).toBeGreaterThan(exchanges / 20)
  })
})
