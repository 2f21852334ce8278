/** What every storage promises that several processes share. */
import { expect, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import type { CollectableCacheStorage } from "effect-http-cache"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import { createHash, randomBytes } from "node:crypto"
import { keep, read } from "./keeping.js"

const ofGroups = (groups: ReadonlyArray<string>) => itemOf("of groups", lookupOf(), { groups })

interface Processes {
  readonly a: CollectableCacheStorage.Service
  readonly b: CollectableCacheStorage.Service
}

interface Options {
  readonly maxItemBytes?: number
  readonly maxVariants?: number
  readonly maxFill?: number
}

/** `processes` has two that share what is stored, which is nothing yet. */
export const sharedStorage = (processes: (options: Options) => Effect.Effect<Processes, never, Scope.Scope>): void => {
  it.scopedLive("keeps bodies of any bytes, of 10 MB too, also when many are read at once", () =>
    Effect.gen(function*() {
      const { a } = yield* processes({ maxItemBytes: 16 * 1024 * 1024 })
      const sizes = [0, 1, 255, 65_536, 100_000, 10_000_000]
      const bodies = sizes.map((size) => randomBytes(size))
      const lookups = sizes.map((size) => lookupOf({}, { key: `http://localhost/${size}` }))
      for (const [at, body] of bodies.entries()) {
        const item = itemOf("", lookups[at], { body: new Uint8Array(body) })
        expect(yield* keep(a, item, lookups[at])).toBe("kept")
      }
      const sha = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")
      const found = yield* Effect.all(
        Array.from({ length: 3 }, () => lookups).flat().map((lookup) => a.get(lookup)),
        { concurrency: "unbounded" }
      )
      expect(found.map(({ body }) => sha(body))).toEqual(Array.from({ length: 3 }, () => bodies.map(sha)).flat())
    }))

  it.scopedLive.each([2 ** 31, 1e16, 1e300])(
    "159: keeps what it is told where maxFill is %s",
    (most) =>
      Effect.gen(function*() {
        const { a, b } = yield* processes({ maxFill: most, maxVariants: most, maxItemBytes: most })
        expect(yield* keep(a, ofGroups(["a group"]))).toBe("kept")
        expect(yield* read(b)).toBe("of groups")
      })
  )

  it.scopedLive("keeps so many variants of a URI in a partition, and the latest ones", () =>
    Effect.gen(function*() {
      const { a } = yield* processes({ maxVariants: 3 })
      const lookups = Array.from({ length: 5 }, (_, at) => lookupOf({ accept: `type/${at}` }))
      for (const [at, lookup] of lookups.entries()) {
        yield* keep(a, itemOf(`${at}`, lookup, { vary: ["accept"] }), lookup)
      }
      expect(yield* Effect.forEach(lookups, (lookup) => read(a, lookup)))
        .toEqual(["vary-miss", "vary-miss", "2", "3", "4"])
    }))

  it.scopedLive("keeps one of many that replace the same item, and loses none that stand beside each other", () =>
    Effect.gen(function*() {
      const { a, b } = yield* processes({})
      yield* keep(a, itemOf("old"))
      const fills = yield* Effect.all([a, b, a, b].map((storage) => storage.begin(lookupOf())))
      const kept = yield* Effect.all(
        fills.map((fill, at) => [a, b][at % 2]!.set(itemOf(`new ${at}`), fill)),
        { concurrency: "unbounded" }
      )
      expect([...kept].sort()).toEqual(["kept", "overtaken", "overtaken", "overtaken"])
      expect(yield* read(b)).toBe(`new ${kept.indexOf("kept")}`)

      const lookups = Array.from({ length: 40 }, (_, at) => lookupOf({ accept: `type/${at}` }, { partition: "many" }))
      const many = lookups.map((lookup, at) =>
        keep([a, b][at % 2]!, itemOf(`${at}`, lookup, { vary: at % 3 === 0 ? ["accept", "x"] : ["accept"] }), lookup)
      )
      expect(new Set(yield* Effect.all(many, { concurrency: "unbounded" }))).toEqual(new Set(["kept"]))
      expect(yield* Effect.forEach(lookups, (lookup) => read(b, lookup))).toEqual(lookups.map((_, at) => `${at}`))
    }))

  it.scopedLive("overtakes the fill of one process by the collect of another", () =>
    Effect.gen(function*() {
      const { a, b } = yield* processes({})
      const names = [{ keys: [lookupOf().key], groups: [] }, { keys: [], groups: ["users"] }]
      for (const name of [...names, { keys: [], groups: [], everything: true }]) {
        for (const soft of [false, true, "unless-error"] as const) {
          yield* keep(a, ofGroups(["users"]))
          const fill = yield* a.begin(lookupOf())
          expect(yield* a.holds({ keys: [lookupOf().key], groups: ["users"] }, fill)).toBe(true)
          yield* b.collect(name, { soft })
          expect(yield* a.holds({ keys: [lookupOf().key], groups: ["users"] }, fill)).toBe(false)
          expect(yield* a.set(ofGroups(["users"]), fill)).toBe("overtaken")
        }
      }
    }))

  it.scopedLive("70: lets a fill go on over its own collect, and over none of another process", () =>
    Effect.gen(function*() {
      const { a, b } = yield* processes({})
      const ofKey = { keys: [lookupOf().key], groups: [] }
      for (const soft of [false, true, "unless-error"] as const) {
        yield* keep(a, itemOf("old"))
        const fill = yield* a.begin(lookupOf())
        const own = yield* a.collect(ofKey, { soft }, fill)
        expect(own && (yield* a.set(itemOf("own"), own))).toBe("kept")
        expect(yield* read(b)).toBe("own")
        for (let round = 0; round < 20; round++) {
          const fill = yield* a.begin(lookupOf())
          const other = b.collect(ofKey, { soft })
          const [, own] = yield* Effect.all(
            [
              round % 2 === 0 ? other : Effect.void,
              a.collect(ofKey, { soft }, fill),
              round % 2 === 1 ? other : Effect.void
            ],
            { concurrency: "unbounded" }
          )
          expect(own && (yield* a.set(itemOf("too old"), own))).not.toBe("kept")
        }
      }
    }))
}
