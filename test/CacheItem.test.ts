/** What an item is, by hand and by the schema. */
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { CacheItem } from "effect-http-cache"
import { itemOf } from "effect-http-cache/testing"
import * as fc from "fast-check"

const bySchema = Schema.is(Schema.typeSchema(CacheItem.CacheItem))
const item = { ...itemOf("hello"), range: { first: 0, last: 4, size: 10 } }
const parts = Object.keys(item) as ReadonlyArray<keyof typeof item>

const oddValue = fc.oneof(
  fc.constantFrom(
    undefined,
    null,
    "",
    "a\r\nb: c",
    "\u00ff",
    "\u0100",
    -1,
    0,
    199,
    200,
    599,
    600,
    1.5,
    NaN,
    Infinity,
    true,
    new Uint8Array(1),
    [],
    [""],
    [1],
    ["a\nb"],
    {},
    { "Content-Type": "a" },
    { "a b": "c" },
    { etag: "\n" },
    { etag: 1 },
    { first: 0, last: 1 },
    { first: 0, last: 1, size: -1 },
    { first: 0.5, last: 1, size: 2 },
    { first: 0, last: 1, size: 2 }
  ),
  fc.jsonValue()
)

describe("isItem", () => {
  it.each(parts)("agrees with the schema on what %s may be, and on an item without it", (part) => {
    const { [part]: _, ...others } = item
    expect(CacheItem.isItem(item)).toBe(true)
    expect(CacheItem.isItem(others)).toBe(part === "range")
    expect(bySchema(others)).toBe(part === "range")
    fc.assert(
      fc.property(oddValue, (value) => {
        const odd = { ...item, [part]: value }
        expect(CacheItem.isItem(odd)).toBe(bySchema(odd))
      }),
      { numRuns: 500 }
    )
  })

  it("agrees with the schema on what is no record", () => {
    for (const value of [undefined, null, 1, "item", [], [item], new Map()]) {
      expect([value, CacheItem.isItem(value)]).toEqual([value, bySchema(value)])
    }
  })
})
