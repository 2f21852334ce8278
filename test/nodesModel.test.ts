/** Two nodes over one far storage under random interleavings. `npm run check:fences` shows that what is broken is found. */
import { describe, expect, it } from "@effect/vitest"
import { randomInt } from "node:crypto"
import { nodesModel } from "./nodesModel.js"

const { NODES_OPERATIONS, NODES_SEED } = process.env
const operations = Number(NODES_OPERATIONS ?? 100_000)

describe("two nodes that share a far storage", () => {
  it(
    `nobody is shown what was collected before they asked, on the other node a second before: ${operations} operations`,
    { timeout: 600_000 },
    async () => {
      const seed = Number(NODES_SEED ?? randomInt(2 ** 31))
      process.stdout.write(`nodes: seed ${seed}\n`)
      const tally = await nodesModel({ seed, operations })
      const requests = ["hit", "fwd=uri-miss", "fwd=vary-miss", "fwd=stale", "stale", "validated", "collapsed"]
      const collects = [
        "collected",
        "posted",
        "softly",
        ...["route", "field", "first", "last"].map((named) => `by a group: ${named}`)
      ]
      const storages = ["found near", "found far", "kept", "not kept", "evicted"]
      const connections = [
        "connected",
        "heard",
        "heard at last",
        "lost",
        "missed",
        "not delivered",
        "delivered late"
      ]
      // What never comes about is not tested.
      for (const what of [...requests, ...collects, ...storages, ...connections, "aborted", "failed"]) {
        expect(tally[what] ?? 0, what).toBeGreaterThan(operations / 1000)
      }
    }
  )
})
