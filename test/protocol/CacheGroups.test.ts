import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { serializeList } from "structured-headers"
import * as CacheGroups from "../../src/protocol/CacheGroups.js"
import { text } from "./texts.js"

const origin = "https://example.com"
const groupsIn = (field: string) => CacheGroups.ofResponse(origin, { "cache-groups": field })
const named = (...groups: ReadonlyArray<string>) => groups.map((group) => CacheGroups.nameOf(origin, group))
const listOf = (count: number, group: (at: number) => string) =>
  Array.from({ length: count }, (_, at) => `"${group(at)}"`).join(", ")

describe("Cache-Groups", () => {
  it.each([
    [`"scripts"`, named("scripts")],
    [`"eurovision-results", "australia"`, named("eurovision-results", "australia")],
    [`"a",\t"b"`, named("a", "b")],
    [`"A", "a"`, named("A", "a")],
    [`"a, b", "say \\"hi\\""`, named("a, b", "say \"hi\"")],
    [`"a";x=1;y, "b"`, named("a", "b")],
    [`""`, named("")],
    ["", []]
  ])("%s are the groups %j", (field, groups) => expect(groupsIn(field)).toEqual(groups))

  it.each([
    ["a token", "scripts"],
    ["a number", "\"a\", 1"],
    ["an inner list", "(\"a\" \"b\")"],
    ["a dictionary", "a=\"b\""],
    ["a text that does not end", "\"a"],
    ["a comma too many", "\"a\",, \"b\""],
    ["a character beyond ASCII", "\"ü\""]
  ])("%s can't be read", (_, field) => expect(groupsIn(field)).toBeUndefined())

  it("are none where there is no field", () => expect(CacheGroups.ofResponse(origin, {})).toEqual([]))

  it("holds 32 groups of 32 characters, and more", () => {
    expect(groupsIn(listOf(32, (at) => String(at).padStart(32, "-")))).toHaveLength(32)
    expect(groupsIn(listOf(1, () => "a".repeat(CacheGroups.longestGroup)))).toHaveLength(1)
    expect(groupsIn(listOf(1, () => "a".repeat(CacheGroups.longestGroup + 1)))).toBeUndefined()
  })

  it("reads what is written", () =>
    fc.assert(fc.property(fc.array(fc.string({ unit: "grapheme-ascii" })), (groups) => {
      const field = serializeList(groups.map((group) => [group, new Map()]))
      expect(groupsIn(field)).toEqual(named(...groups))
    })))
})

describe("Cache-Group-Invalidation", () => {
  it("is read as Cache-Groups is, and is another field", () => {
    const fields = { "cache-group-invalidation": "\"a\", \"b\"", "cache-groups": "\"c\"" }
    expect(CacheGroups.invalidated(fields)).toEqual(["a", "b"])
    expect(CacheGroups.ofResponse(origin, fields)).toEqual(named("c"))
    expect(CacheGroups.invalidated({ "cache-group-invalidation": "a" })).toBeUndefined()
  })
})

describe("the name of a group", () => {
  it("is one for each origin, each once", () => {
    expect(CacheGroups.namesOf([origin, "http://other"], ["a", "b", "a"]))
      .toEqual([...named("a", "b"), CacheGroups.nameOf("http://other", "a"), CacheGroups.nameOf("http://other", "b")])
    expect(CacheGroups.namesOf([origin, origin], ["a"])).toEqual(named("a"))
  })

  it("belongs to an origin: no other origin and group have it", () =>
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text), { minLength: 2, maxLength: 2 }), ([one, other]) => {
        const [name, another] = [one!, other!].map(([host, group]) => CacheGroups.nameOf(`https://${host}`, group))
        expect(name === another).toBe(one![0] === other![0] && one![1] === other![1])
      })
    ))
})

describe("all groups of a response", () => {
  it("are each of them once, and at most 256", () => {
    const names = Array.from({ length: CacheGroups.mostGroups }, (_, at) => `${at}`)
    expect(CacheGroups.union(["a", "b"], ["b"], new Set(["c"]))).toEqual(["a", "b", "c"])
    expect(CacheGroups.union(names, ["0"])).toEqual(names)
    expect(CacheGroups.union(names, ["a"])).toBeUndefined()
  })
})
