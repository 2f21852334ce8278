/** What clients ask for by directives, and what they are told (RFC 9111 §5.2.1). */
import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as CacheControl from "../../src/protocol/CacheControl.js"
import { fieldText } from "./texts.js"

describe("CacheControl.request", () => {
  it.each<[string, Partial<CacheControl.RequestDirectives>]>([
    ["", {}],
    ["no-store", { noStore: true }],
    ["No-Cache", { noCache: true }],
    ["no-cache=\"a", { noCache: true }],
    ["max-age=10 no-store", { noStore: true, maxAge: 0 }],
    ["only-if-cached", { onlyIfCached: true }],
    ["max-age=0", { maxAge: 0 }],
    ["max-age=\"5\"", { maxAge: 5 }],
    ["max-age=x", { maxAge: 0 }],
    ["max-age=5, max-age=6", { maxAge: 0 }],
    ["min-fresh=10", { minFresh: 10 }],
    ["min-fresh", {}],
    ["min-fresh=-1", {}],
    ["min-fresh x", {}],
    ["max-stale", { maxStale: Infinity }],
    ["max-stale=10", { maxStale: 10 }],
    ["max-stale=\"10\"", { maxStale: 10 }],
    ["max-stale=99999999999", { maxStale: 2_147_483_648 }],
    ["max-stale=x", {}],
    ["max-stale=\"\"", {}],
    ["max-stale=-1", {}],
    ["max-stale=", {}],
    ["x max-stale", {}],
    ["foo=\"no-cache, no-store\"", {}]
  ])("%j asks for %j", (value, asked) => {
    const expected = { ...CacheControl.noRequestDirectives, ...asked }
    expect(CacheControl.request({ "cache-control": value })).toEqual(expected)
  })

  it("a request without the field asks for nothing", () => {
    expect(CacheControl.request({})).toEqual(CacheControl.noRequestDirectives)
  })

  it("Pragma: no-cache counts where there is no Cache-Control, and says nothing else", () => {
    const asked = { ...CacheControl.noRequestDirectives, noCache: true }
    expect(CacheControl.request({ pragma: "x, No-Cache" })).toEqual(asked)
    expect(CacheControl.request({ pragma: "no-store, max-age=0" })).toEqual(CacheControl.noRequestDirectives)
    expect(CacheControl.request({ "pragma": "no-cache", "cache-control": "max-age=5" })).toEqual({
      ...CacheControl.noRequestDirectives,
      maxAge: 5
    })
    expect(CacheControl.request({ "pragma": "no-cache", "cache-control": "" }).noCache).toBe(false)
  })
})

describe("CacheControl.forClients", () => {
  const route: CacheControl.Advice = {
    expiry: undefined,
    sharedExpiry: undefined,
    cacheControl: undefined,
    clients: "expiry"
  }
  const minute = { expiry: 60_000 }
  const open = { expires: true, private: false }
  const closed = { expires: true, private: true }
  const refused = { expires: false, private: true }
  const silent = { expires: false, private: false }

  it.each<[string | undefined, Partial<CacheControl.Advice>, CacheControl.Told, string | undefined]>([
    [undefined, {}, silent, undefined],
    ["", {}, silent, ""],
    ["max-age=5, x", {}, silent, "max-age=5, x"],
    [undefined, minute, open, "max-age=60"],
    ["", minute, open, "max-age=60"],
    ["must-revalidate", minute, open, "max-age=60, must-revalidate"],
    [undefined, { expiry: 0 }, open, "max-age=0"],
    [undefined, { expiry: 1999 }, open, "max-age=1"],
    [undefined, { expiry: Infinity }, open, "max-age=2147483648"],
    [undefined, { expiry: 0, sharedExpiry: 60_000 }, open, "max-age=0, s-maxage=60"],
    ["private", { expiry: 0, sharedExpiry: 60_000 }, open, "max-age=0, private"],
    ["private=\"x\"", { ...minute, sharedExpiry: 1000 }, open, "max-age=60, s-maxage=1, private=\"x\""],
    ["no-store", minute, open, "no-store"],
    ["no-cache", minute, open, "no-cache"],
    [undefined, { ...minute, clients: "nothing" }, open, undefined],
    ["x=\"a\"", { ...minute, clients: "nothing" }, open, "x=\"a\""],
    [undefined, { ...minute, sharedExpiry: 1000, clients: "revalidate" }, open, "no-cache"],
    ["no-store", { ...minute, clients: "revalidate" }, open, "no-store"],
    ["no-cache", { ...minute, clients: "revalidate" }, open, "no-cache"],
    ["max-age=5", { ...minute, clients: "revalidate" }, silent, "max-age=5"],

    [undefined, { cacheControl: "public" }, silent, "public"],
    ["max-age=5", { cacheControl: "public" }, silent, "public, max-age=5"],
    [undefined, { ...minute, cacheControl: "public" }, open, "public, max-age=60"],
    [undefined, { ...minute, cacheControl: "public", clients: "nothing" }, open, "public"],
    ["Public, max-age=5", { cacheControl: "public" }, silent, "Public, max-age=5"],
    ["private", { cacheControl: "public" }, silent, "private"],
    ["private=\"", { cacheControl: "public" }, silent, "private=\""],
    ["x private", { cacheControl: "public" }, silent, "x private"],
    ["no-store", { cacheControl: "public" }, silent, "no-store"],
    ["private=\"x\"", { cacheControl: "public" }, silent, "public, private=\"x\""],
    [undefined, { cacheControl: "public" }, refused, "private"],

    [undefined, {}, refused, "private"],
    [undefined, minute, refused, "private"],
    [undefined, minute, closed, "private, max-age=60"],
    [undefined, { expiry: 0, sharedExpiry: 60_000 }, closed, "private, max-age=0"],
    [undefined, { ...minute, clients: "revalidate" }, closed, "private, no-cache"],
    ["max-age=5", {}, refused, "private, max-age=5"],
    ["private, max-age=5", {}, refused, "private, max-age=5"],
    ["public, max-age=5, s-maxage=9", {}, refused, "private, max-age=5"],
    ["PUBLIC", {}, refused, "private"],
    ["private=\"x\", max-age=5", {}, refused, "private, max-age=5"],
    ["public x, no-cache=\"a, b\"", {}, refused, "private, x, no-cache=\"a, b\""],
    ["no-store", {}, refused, "no-store"],
    ["no-store, public", {}, refused, "no-store"]
  ])("own %j, advice %j, answer %j: clients are told %j", (own, advice, answer, told) => {
    expect(CacheControl.forClients(own, { ...route, ...advice }, answer)).toBe(told)
  })

  it("whatever the handler says, an answer that must not be shared says so, and never how long to share it", () => {
    const own = fc.oneof(
      fieldText,
      fc.array(fc.constantFrom("public", "s-maxage=9", "private=\"x\"", "max-age=5", "foo"), { minLength: 1 })
        .map((members) => members.join(", "))
    )
    const advice = fc.record({
      expiry: fc.constantFrom(undefined, 0, 60_000),
      sharedExpiry: fc.constantFrom(undefined, 60_000),
      cacheControl: fc.constantFrom("public" as const, "private" as const, undefined),
      clients: fc.constantFrom("expiry" as const, "revalidate" as const, "nothing" as const)
    })
    fc.assert(fc.property(own, advice, fc.boolean(), (own, advice, expires) => {
      const told = CacheControl.response(CacheControl.forClients(own, advice, { private: true, expires }))
      expect(told).toMatchObject({ private: "all", shareable: false, sMaxAge: undefined })
    }))
  })

  it("what a handler restricted is still restricted when clients are told", () => {
    const own = fc.array(fc.constantFrom("private", "no-store", "no-cache", "must-revalidate", "public", "x=\"a\\\"\""))
      .map((members) => members.join(", "))
    fc.assert(fc.property(own, fc.boolean(), fc.boolean(), (own, isPrivate, expires) => {
      const before = CacheControl.response(own)
      const advice = { ...route, expiry: 60_000, cacheControl: "public" } as const
      const after = CacheControl.response(CacheControl.forClients(own, advice, { private: isPrivate, expires }))
      expect(after).toMatchObject({
        noStore: before.noStore,
        noCache: before.noCache,
        mustRevalidate: before.mustRevalidate
      })
      if (before.private === "all") expect(after.private).toBe("all")
    }))
  })
})
