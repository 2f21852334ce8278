/** Random exchanges: nothing throws, hangs or leaks. More of them, and of other seeds: `npm run fuzz`. */
import { describe, expect, it } from "@effect/vitest"
import { fuzz } from "./fuzz.js"

const exchanges = 100_000

describe("whatever is sent and answered", () => {
  it(`nothing is thrown, hangs or leaks in ${exchanges} exchanges`, { timeout: 600_000 }, async () => {
    const seed = Number(process.env["FUZZ_SEED"] ?? 1)
    process.stdout.write(`fuzz: seed ${seed}\n`)
    const tally = await fuzz({ seed, exchanges })
    // What never comes about is not tested.
    for (const what of ["hit", "fwd=stale", "fwd=vary-miss", "shared", "private", "aborted", "failed"]) {
      expect(tally[what] ?? 0, what).toBeGreaterThan(exchanges / 1000)
    }
  })
})
