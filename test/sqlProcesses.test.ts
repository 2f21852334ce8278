/** Processes of their own that share a database, and servers that are started again. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { keep, read } from "./keeping.js"
import { postgresServer } from "./postgresServer.js"
import { describePostgres, openSql, pgClient, sqliteFile } from "./sqlLayer.js"
import { clientOf } from "./sqliteLayer.js"

const script = fileURLToPath(new URL("sqlProcess.ts", import.meta.url))
const run = promisify(execFile)

it.scopedLive("three processes on one file of SQLite lose nothing, and overtake each other's fills", () =>
  Effect.gen(function*() {
    const filename = yield* sqliteFile
    const names = ["a", "b", "c"]
    const rounds = 60
    const late = yield* Effect.all(
      names.map((name) =>
        Effect.promise(async () => {
          const options = ["--import", "tsx", script, filename, name, String(rounds)]
          return (await run(process.execPath, options)).stdout
        })
      ),
      { concurrency: "unbounded" }
    )
    expect(late).toEqual(["0", "0", "0"])
    const { storage } = yield* openSql({ client: clientOf(filename), prefix: "http_cache_" })
    const lookups = names.flatMap((name) =>
      Array.from({ length: rounds }, (_, round) => lookupOf({}, { key: `http://localhost/${name}/${round}` }))
    )
    const found = yield* Effect.forEach(lookups, (lookup) => read(storage, lookup))
    expect(found).toEqual(names.flatMap(() => Array.from({ length: rounds }, (_, round) => `${round}`)))
    yield* storage.collect({ keys: [], groups: ["of b"] })
    const left = yield* Effect.forEach(lookups, (lookup) => read(storage, lookup))
    expect(left.filter((text) => text === "uri-miss").length).toBe(rounds)
  }))

describePostgres("a server of PostgreSQL that is started again", () => {
  const restarted = (signal: "SIGINT" | "SIGQUIT") =>
    Effect.gen(function*() {
      const server = yield* postgresServer
      const { storage } = yield* openSql({ client: pgClient(server.port), prefix: "http_cache_" })
      const other = lookupOf({}, { key: "http://localhost/users/2" })
      yield* keep(storage, itemOf("1"))
      yield* keep(storage, itemOf("2", other, { groups: ["users"] }), other)
      const fills = [yield* storage.begin(lookupOf()), yield* storage.begin(other)]
      yield* storage.collect({ keys: [], groups: ["users"] })
      yield* Effect.promise(async () => {
        await server.stop(signal)
        await server.start()
      })
      const again = Effect.retry(storage.get(other), { while: ({ _tag }) => _tag !== "CacheMiss", times: 50 })
      expect((yield* Effect.flip(again))._tag).toBe("CacheMiss")
      return { fills, other, storage }
    })

  it.scopedLive("keeps what is stored, and what was collected", () =>
    Effect.gen(function*() {
      const { fills, other, storage } = yield* restarted("SIGINT")
      expect([yield* read(storage), yield* read(storage, other)]).toEqual(["1", "uri-miss"])
      expect(yield* storage.set(itemOf("late", other, { groups: ["users"] }), fills[1]!)).toBe("overtaken")
      expect(yield* storage.set(itemOf("new"), fills[0]!)).toBe("kept")
    }))

  it.scopedLive("after a crash has nothing, and knows no fill from before", () =>
    Effect.gen(function*() {
      const { fills, other, storage } = yield* restarted("SIGQUIT")
      expect([yield* read(storage), yield* read(storage, other)]).toEqual(["uri-miss", "uri-miss"])
      for (const fill of fills) {
        expect(yield* storage.holds({ keys: [], groups: [] }, fill)).toBe(false)
        expect(yield* storage.set(itemOf("late", fill.lookup), fill)).toBe("overtaken")
      }
      expect(yield* keep(storage, itemOf("new", other), other)).toBe("kept")
      expect(yield* read(storage, other)).toBe("new")
    }))
})
