import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as CacheKey from "../../src/protocol/CacheKey.js"
import * as Invalidation from "../../src/protocol/Invalidation.js"
import { text } from "./texts.js"

const target = CacheKey.target("/users/1?a=b", "https://example.com")

const forgotten = (response: { readonly [name: string]: string }, method = "POST", status = 200) =>
  Invalidation.targets(method, target, status, response).map(({ origin, path, query }) =>
    `${origin}${path}${query === undefined ? "" : `?${query}`}`
  )

const self = "https://example.com/users/1?a=b"

describe("Invalidation", () => {
  it.each(["GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PROPFIND", "REPORT", "SEARCH"])(
    "%s is safe and forgets nothing",
    (method) => {
      expect(Invalidation.isSafe(method)).toBe(true)
      expect(forgotten({ location: "/users/2" }, method)).toEqual([])
    }
  )

  it.each(["POST", "PUT", "PATCH", "DELETE", "CONNECT", "M-SEARCH", "PURGE", "MKCOL", "GETX", "X", "", "constructor"])(
    "%j isn't known to be safe and forgets its target",
    (method) => {
      expect(Invalidation.isSafe(method)).toBe(false)
      expect(forgotten({}, method)).toEqual([self])
    }
  )

  it.each([
    [101, false],
    [199, false],
    [200, true],
    [201, true],
    [204, true],
    [299, true],
    [300, true],
    [303, true],
    [399, true],
    [400, false],
    [404, false],
    [412, false],
    [500, false],
    [503, false]
  ])("after a %s something is forgotten: %s", (status, isForgotten) => {
    const response = { "location": "/users/2", "content-location": "/users/3" }
    const all = [self, "https://example.com/users/2", "https://example.com/users/3"]
    expect(forgotten(response, "POST", status)).toEqual(isForgotten ? all : [])
  })

  it.each([
    ["/users/2", "https://example.com/users/2"],
    ["2", "https://example.com/users/2"],
    ["./", "https://example.com/users/"],
    ["../teams?b#top", "https://example.com/teams?b"],
    ["?page=2", "https://example.com/users/1?page=2"],
    ["https://example.com/users/2", "https://example.com/users/2"],
    ["HTTPS://EXAMPLE.COM:443/users/2", "https://example.com/users/2"],
    ["//example.com/users/2", "https://example.com/users/2"]
  ])("%s names a URI of the same origin", (reference, uri) => {
    expect(forgotten({ location: reference })).toEqual([self, uri])
    expect(forgotten({ "content-location": reference })).toEqual([self, uri])
  })

  it("a path that a URL would write differently is forgotten in both ways", () => {
    expect(forgotten({ location: "/users?name='b'" })).toEqual([
      self,
      "https://example.com/users?name='b'",
      "https://example.com/users?name=%27b%27"
    ])
  })

  it("where the host isn't known, paths still name what is within it", () => {
    const target = CacheKey.target("/users/1", CacheKey.origin("http", ""))
    const named = (location: string) => Invalidation.targets("POST", target, 201, { location }).slice(1)
    expect(named("/users/2")).toEqual([{ ...target, path: "/users/2" }])
    expect(named("http://example.com/users/2")).toEqual([])
  })

  it.each([
    "https://other.com/users/2",
    "//other.com/users/2",
    "http://example.com/users/2",
    "https://example.com:8443/users/2",
    "https://www.example.com/users/2",
    "https://example.com.evil.org/users/2",
    "https://evil.org/https://example.com/users/2",
    "\\\\evil.org/users/2",
    "http://[",
    "mailto:a@example.com"
  ])("%s names none of the same origin", (reference) => {
    expect(forgotten({ "location": reference, "content-location": reference })).toEqual([self])
  })

  it("what Object.prototype holds is no field", () => {
    expect(Invalidation.targets("POST", target, 200, Object.create({ location: "/users/2" }))).toEqual([target])
  })

  it("whatever the fields say, the target comes first and nothing of another origin after it", () => {
    fc.assert(fc.property(text, text, (location, contentLocation) => {
      const found = Invalidation.targets("PUT", target, 200, { location, "content-location": contentLocation })
      expect(found[0]).toEqual(target)
      expect(found.every(({ origin }) => origin === target.origin)).toBe(true)
    }))
  })
})
