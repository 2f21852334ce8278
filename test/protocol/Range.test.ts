import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as Range from "../../src/protocol/Range.js"
import { text } from "./texts.js"

const now = Date.UTC(2026, 6, 1, 12)
const answer = {
  status: 200,
  fields: { etag: "\"1\"", "last-modified": "Wed, 01 Jul 2026 10:00:00 GMT", "date": "Wed, 01 Jul 2026 10:00:01 GMT" }
}
const select = (range: string, size = 10, more: { readonly [name: string]: string } = {}) =>
  Range.select("GET", { range, ...more }, answer, size, now)?.map(({ first, last }) => [first, last])

describe("Range.select", () => {
  it.each<[string, ReadonlyArray<readonly [number, number]> | undefined]>([
    ["bytes=0-0", [[0, 0]]],
    ["bytes=0-9", [[0, 9]]],
    ["bytes=3-99", [[3, 9]]],
    ["bytes=9-", [[9, 9]]],
    ["bytes=10-", []],
    ["bytes=-1", [[9, 9]]],
    ["bytes=-10", [[0, 9]]],
    ["bytes=-11", [[0, 9]]],
    ["bytes=-0", []],
    ["Bytes=0-1", [[0, 1]]],
    ["bytes=0-1, 3-4 ,\t-1", [[0, 1], [3, 4], [9, 9]]],
    ["bytes=0-1,20-30", [[0, 1]]],
    ["bytes=20-30,-0", []],
    ["bytes=0-4,4-5", undefined],
    ["bytes=1-0", undefined],
    ["bytes=0-1,1-0", undefined],
    ["bytes=-", undefined],
    ["bytes=", undefined],
    ["bytes=1", undefined],
    ["bytes=a-b", undefined],
    ["bytes =0-1", undefined],
    ["pages=0-1", undefined],
    ["", undefined]
  ])("%j of ten bytes is %j", (range, parts) => {
    expect(select(range)).toEqual(parts)
  })

  it.each<[string, ReadonlyArray<never> | undefined]>([
    ["bytes=0-", []],
    ["bytes=0-0", []],
    ["bytes=-0", []],
    ["bytes=-1", undefined],
    ["bytes=-5", undefined],
    ["bytes=0-,-5", undefined],
    ["bytes=-5,3-", undefined]
  ])("78: %j of nothing is %j: its end is the whole", (range, parts) => {
    expect(select(range, 0)).toEqual(parts)
  })

  it.each([
    ["\"1\"", true],
    ["W/\"1\"", false],
    ["\"2\"", false],
    ["Wed, 01 Jul 2026 10:00:00 GMT", true],
    ["Wed, 01 Jul 2026 10:00:01 GMT", false],
    ["1", false]
  ])("If-Range: %s lets the range count: %s", (ifRange, counts) => {
    expect(select("bytes=0-1", 10, { "if-range": ifRange })).toEqual(counts ? [[0, 1]] : undefined)
  })

  it("If-Range with a date that was not a second old says nothing", () => {
    const young = { ...answer, fields: { ...answer.fields, date: "Wed, 01 Jul 2026 10:00:00 GMT" } }
    const request = { "range": "bytes=0-1", "if-range": "Wed, 01 Jul 2026 10:00:00 GMT" }
    expect(Range.select("GET", request, young, 10, now)).toBeUndefined()
  })

  it.each([["HEAD", 200], ["POST", 200], ["GET", 404], ["GET", 206]])("%s with a %s has no range", (method, status) => {
    expect(Range.select(method, { range: "bytes=0-1" }, { ...answer, status }, 10, now)).toBeUndefined()
  })

  it("is within the whole, in order, without overlap, and never throws", () => {
    const spec = fc.oneof(
      text,
      fc.tuple(fc.nat(30), fc.nat(30)).map(([a, b]) => `${a}-${b}`),
      fc.nat(30).map((n) => `-${n}`)
    )
    fc.assert(fc.property(fc.array(spec, { maxLength: 20 }), fc.nat(30), (specs, size) => {
      const parts = Range.select("GET", { range: `bytes=${specs.join(",")}` }, answer, size, now) ?? []
      for (const [index, { first, last }] of parts.entries()) {
        expect(first >= 0 && first <= last && last < size).toBe(true)
        expect(parts.some((other, i) => i !== index && other.first <= last && first <= other.last)).toBe(false)
      }
    }))
  })
})

describe("Range.extentOf", () => {
  it.each<[string | undefined, number, Range.Extent | undefined]>([
    ["bytes 2-6/10", 5, { first: 2, last: 6, size: 10 }],
    ["bytes 0-9/10", 10, { first: 0, last: 9, size: 10 }],
    ["bytes 2-6/10", 4, undefined],
    ["bytes 2-10/10", 9, undefined],
    ["bytes 1-0/10", 0, undefined],
    ["bytes 2-6/*", 5, undefined],
    ["bytes */10", 0, undefined],
    ["pages 2-6/10", 5, undefined],
    ["bytes=2-6/10", 5, undefined],
    [undefined, 5, undefined]
  ])("%j of %s bytes is %j", (contentRange, bytes, extent) => {
    expect(Range.extentOf(contentRange, bytes)).toEqual(extent)
  })
})

describe("Range.join", () => {
  it("of two parts that meet is the whole, whichever came first; of others nothing", () => {
    const whole = Uint8Array.from({ length: 10 }, (_, index) => index)
    const part = (first: number, last: number, size = 10) =>
      [{ first, last, size }, whole.slice(first, last + 1)] as const
    for (let cut = 1; cut < 10; cut++) {
      expect(Range.join(part(0, cut - 1), part(cut, 9))).toEqual(whole)
      expect(Range.join(part(cut, 9), part(0, cut - 1))).toEqual(whole)
    }
    expect(Range.join(part(0, 3), part(5, 9))).toBeUndefined()
    expect(Range.join(part(0, 3), part(3, 9))).toBeUndefined()
    expect(Range.join(part(0, 3), part(4, 8))).toBeUndefined()
    expect(Range.join(part(5, 9), part(1, 4))).toBeUndefined()
    expect(Range.join(part(0, 3), part(4, 9, 11))).toBeUndefined()
  })

  it("what is missing is asked for at one end, of the same representation", () => {
    expect(Range.completing({ first: 0, last: 3, size: 10 }, "\"1\"")).toEqual({
      "range": "bytes=4-",
      "if-range": "\"1\""
    })
    expect(Range.completing({ first: 6, last: 9, size: 10 }, "\"1\"")).toEqual({
      "range": "bytes=0-5",
      "if-range": "\"1\""
    })
    expect(Range.completing({ first: 2, last: 3, size: 10 }, "\"1\"")).toBeUndefined()
  })
})
