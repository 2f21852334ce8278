import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as EntityTag from "../../src/protocol/EntityTag.js"
import { text } from "./texts.js"

const strong = (opaque: string): EntityTag.EntityTag => ({ weak: false, opaque })
const weak = (opaque: string): EntityTag.EntityTag => ({ weak: true, opaque })

const codes = Array.from({ length: 256 }, (_, code) => code).filter((code) =>
  code > 0x20 && code !== 0x22 && code !== 0x7f
)
const tag: fc.Arbitrary<EntityTag.EntityTag> = fc.record({
  weak: fc.boolean(),
  opaque: fc.stringOf(
    fc.oneof(
      fc.constantFrom(",", "\\", "W", "/", "*"),
      fc.constantFrom(...codes).map((code) => String.fromCharCode(code))
    )
  )
})

describe("EntityTag", () => {
  it.each([
    ["\"\"", strong("")],
    ["\"a\"", strong("a")],
    ["W/\"a\"", weak("a")],
    ["\"a,b\"", strong("a,b")],
    ["\"W/\"", strong("W/")],
    ["\"a\\\"", strong("a\\")],
    ["\"\u00e9\u00ff\"", strong("\u00e9\u00ff")]
  ])("%s is one tag", (text, expected) => {
    expect(EntityTag.parse(text)).toEqual(expected)
  })

  it.each([
    "",
    "a",
    "*",
    "\"",
    "\"a",
    "a\"",
    "'a'",
    "w/\"a\"",
    "W/a",
    "W/",
    "W /\"a\"",
    "W/ \"a\"",
    "W/W/\"a\"",
    " \"a\"",
    "\"a\" ",
    "\"a\"\t",
    "\"a\",",
    "\"a\"b",
    "\"a\"\n",
    "\"a b\"",
    "\"a\\\"b\"",
    "\"a\u007f\"",
    "\"\u0100\"",
    "\"a\", \"b\""
  ])("%j is not one tag", (text) => {
    expect(EntityTag.parse(text)).toBeUndefined()
  })

  it.each<[string, ReadonlyArray<EntityTag.EntityTag> | "*"]>([
    ["*", "*"],
    [" *\t", "*"],
    ["", []],
    [" ,, ", []],
    ["\"a\"", [strong("a")]],
    ["\"a\",W/\"b\"", [strong("a"), weak("b")]],
    [" ,\t\"a\" , ,\t\"b\"\t,", [strong("a"), strong("b")]],
    ["\",\",\",\"", [strong(","), strong(",")]],
    ["\"a,b\", \",\", \"c\"", [strong("a,b"), strong(","), strong("c")]]
  ])("the list %j is read", (text, expected) => {
    expect(EntityTag.parseList(text)).toEqual(expected)
  })

  it.each<[string, ReadonlyArray<EntityTag.EntityTag>]>([
    ["a, \"b\"", [strong("b")]],
    ["\"a\"x, \"b\"", [strong("b")]],
    ["\"a\" \"b\", \"c\"", [strong("c")]],
    ["w/\"a\", \"b\"", [strong("b")]],
    ["*, \"b\"", [strong("b")]],
    ["\"b\", *", [strong("b")]],
    ["\"b\", \"a", [strong("b")]],
    ["\"a b\", \"c\"", [strong("c")]]
  ])("of the list %j only what can be read counts", (text, expected) => {
    expect(EntityTag.parseList(text)).toEqual(expected)
  })

  it.each([
    [weak("1"), weak("1"), false, true],
    [weak("1"), weak("2"), false, false],
    [weak("1"), strong("1"), false, true],
    [strong("1"), weak("1"), false, true],
    [strong("1"), strong("1"), true, true],
    [strong("1"), strong("2"), false, false],
    [strong("a"), strong("A"), false, false]
  ])("%j and %j: strong %s, weak %s (RFC 9110 §8.8.3.2)", (a, b, strongly, weakly) => {
    expect(EntityTag.strongEquals(a, b)).toBe(strongly)
    expect(EntityTag.weakEquals(a, b)).toBe(weakly)
  })

  it("a tag, and a list of tags, is what it was formatted from", () => {
    const comma = fc.constantFrom(",", ", ", " , ", ",\t,")
    fc.assert(fc.property(fc.array(tag), comma, (tags, comma) => {
      expect(EntityTag.parseList(tags.map(EntityTag.format).join(comma))).toEqual(tags)
      expect(tags.map((tag) => EntityTag.parse(EntityTag.format(tag)))).toEqual(tags)
    }))
  })

  it("any text is a tag or none, and a list", () => {
    fc.assert(fc.property(text, (value) => {
      const tag = EntityTag.parse(value)
      if (tag !== undefined) expect(EntityTag.format(tag)).toBe(value)
      const list = EntityTag.parseList(value)
      if (list !== "*") { for (const tag of list) expect(EntityTag.parse(EntityTag.format(tag))).toEqual(tag) }
    }))
  })
})
