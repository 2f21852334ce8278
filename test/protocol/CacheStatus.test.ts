import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as CacheStatus from "../../src/protocol/CacheStatus.js"
import { text } from "./texts.js"

const brief: CacheStatus.Style = { name: "cache", detail: false, key: false }
const full: CacheStatus.Style = { name: "cache", detail: true, key: true }
const key = "https://example.com/a?b=\"c\""
const hit: CacheStatus.Outcome = { _tag: "Hit", ttl: 59_999, age: 0 }
const forwarded = (more: Partial<Extract<CacheStatus.Outcome, { _tag: "Forwarded" }>> = {}): CacheStatus.Outcome => ({
  _tag: "Forwarded",
  reason: "uri-miss",
  stored: false,
  ...more
})

const say = (outcome: CacheStatus.Outcome, style = brief) => CacheStatus.append({}, outcome, style, key)

describe("CacheStatus.append", () => {
  it.each<[CacheStatus.Outcome, CacheStatus.Style, string]>([
    [hit, brief, "cache; hit; ttl=59"],
    [hit, full, "cache; hit; ttl=59; key=\"https://example.com/a?b=\\\"c\\\"\""],
    [{ _tag: "Hit", ttl: 0, age: 0 }, brief, "cache; hit; ttl=0"],
    [{ _tag: "Hit", ttl: -1, age: 0 }, brief, "cache; hit; ttl=-1"],
    [{ _tag: "Hit", ttl: -1500, age: 0 }, brief, "cache; hit; ttl=-2"],
    [forwarded(), brief, "cache; fwd=uri-miss"],
    [forwarded({ stored: true }), brief, "cache; fwd=uri-miss; stored"],
    [forwarded({ status: 304 }), brief, "cache; fwd=uri-miss; fwd-status=304"],
    [forwarded({ status: 200, stored: true }), brief, "cache; fwd=uri-miss; fwd-status=200; stored"],
    [forwarded({ detail: "no-store" }), brief, "cache; fwd=uri-miss"],
    [forwarded({ detail: "no-store" }), { ...brief, detail: true }, "cache; fwd=uri-miss; detail=no-store"],
    [forwarded(), { ...brief, detail: true }, "cache; fwd=uri-miss"],
    [
      forwarded({ reason: "stale", status: 200, stored: true, detail: "not-kept" }),
      full,
      "cache; fwd=stale; fwd-status=200; stored; key=\"https://example.com/a?b=\\\"c\\\"\"; detail=not-kept"
    ]
  ])("%j in the style %j", (outcome, style, member) => {
    expect(say(outcome, style)).toBe(member)
  })

  it.each(["bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"] as const)(
    "the reason %s is a word of RFC 9211 §2.2",
    (reason) => {
      expect(say(forwarded({ reason }))).toBe(`cache; fwd=${reason}`)
    }
  )

  it.each([
    ["effect-http-cache", "effect-http-cache"],
    ["*", "*"],
    ["a:8080/b", "a:8080/b"],
    ["example.com", "example.com"],
    ["1st", "\"1st\""],
    ["-a", "\"-a\""],
    ["my cache", "\"my cache\""],
    ["a,b", "\"a,b\""],
    ["a;b", "\"a;b\""],
    ["say \"hi\" \\", "\"say \\\"hi\\\" \\\\\""],
    ["", "\"\""]
  ])("the name %j is written %s", (name, written) => {
    expect(say(hit, { ...brief, name })).toBe(`${written}; hit; ttl=59`)
  })

  it("what the caches before us said is kept, and ours comes last", () => {
    const fields = { "cache-status": "ORIGIN; hit, \"CDN, Inc\"; fwd=miss" }
    expect(CacheStatus.append(fields, hit, brief, key)).toBe("ORIGIN; hit, \"CDN, Inc\"; fwd=miss, cache; hit; ttl=59")
    expect(CacheStatus.append(Object.create(fields), hit, brief, key)).toBe("cache; hit; ttl=59")
  })

  it("whatever the name and the key, it is one member that a field can hold, and the key isn't in it unasked", () => {
    const quoted = /"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"/g
    fc.assert(fc.property(text, text, (name, key) => {
      const written = CacheStatus.append({}, hit, { name, detail: true, key: true }, key)
      expect(written).toMatch(/^[\x20-\x7e]*$/)
      expect(written.replaceAll(quoted, "Q")).toMatch(/^(Q|[A-Za-z*][\w!#$%&'*+\-.^`|~:/]*); hit; ttl=59; key=Q$/)
      expect(CacheStatus.append({}, hit, brief, key)).toBe("cache; hit; ttl=59")
    }))
  })

  it("every word of detail is a token of RFC 8941, so that it needs no quotes", () => {
    const words = Object.keys(CacheStatus.details) as Array<CacheStatus.Detail>
    const style = { ...brief, detail: true }
    expect(words.filter((detail) => !/; detail=[a-z]+(-[a-z]+)*$/.test(say(forwarded({ detail }), style)))).toEqual([])
  })
})

describe("CacheStatus.says", () => {
  it.each([
    [undefined, false],
    ["", false],
    ["cache", true],
    ["cache; hit", true],
    ["cache ;hit", true],
    ["origin; hit, cache; fwd=miss", true],
    ["caches; hit", false],
    ["origin; detail=cache", false],
    ["origin; key=\", cache; hit\"", false],
    ["\"cache\"; hit", false]
  ])("91: %j: %s", (field, says) => {
    expect(CacheStatus.says(field === undefined ? {} : { "cache-status": field }, brief)).toBe(says)
  })

  it("91: whatever the name, once it has said it, it has", () => {
    fc.assert(fc.property(text, text, (name, other) => {
      const fields = { "cache-status": CacheStatus.append({}, hit, { ...full, name: other }, key) }
      const appended = CacheStatus.append(fields, hit, { ...full, name }, key)
      expect(CacheStatus.says({ "cache-status": appended }, { ...full, name })).toBe(true)
    }))
  })
})
