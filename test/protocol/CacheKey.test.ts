import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as CacheKey from "../../src/protocol/CacheKey.js"
import { text } from "./texts.js"

const here = "http://example.com"
const keyOf = (requestTarget: string, selection?: CacheKey.QuerySelection) =>
  CacheKey.make(CacheKey.target(requestTarget, here), selection)

describe("CacheKey", () => {
  it.each([
    ["http", "Example.COM", "http://example.com"],
    ["HTTP", "example.com:80", "http://example.com"],
    ["https", "example.com:443", "https://example.com"],
    ["http", "example.com:443", "http://example.com:443"],
    ["https", "example.com:80", "https://example.com:80"],
    ["http", "example.com:8080", "http://example.com:8080"],
    ["http", "[::1]:80", "http://[::1]"],
    ["http", "[::80]", "http://[::80]"],
    ["ws", "example.com:80", "ws://example.com:80"],
    ["http", "example.com:", "http://example.com"],
    ["https", "[::1]:", "https://[::1]"],
    ["ws", "example.com:", "ws://example.com"],
    ["http", "", "http://"]
  ])("the origin of %s and %s is %s", (scheme, host, origin) => {
    expect(CacheKey.origin(scheme, host)).toBe(origin)
  })

  it.each([
    ["/", here, "/", undefined],
    ["", here, "/", undefined],
    ["*", here, "*", undefined],
    ["/a?", here, "/a", ""],
    ["?", here, "/", ""],
    ["/a?b?c", here, "/a", "b?c"],
    ["/a?b#c?d", here, "/a", "b"],
    ["/a#b?c", here, "/a", undefined],
    ["//a/b", here, "//a/b", undefined],
    ["/http://a/b", here, "/http://a/b", undefined],
    ["/%2F/.././/a%20b/", here, "/%2F/.././/a%20b/", undefined],
    ["HTTPS://Other.org:443/a?b", "https://other.org", "/a", "b"],
    ["http://other.org", "http://other.org", "/", undefined],
    ["http://other.org?a", "http://other.org", "/", "a"],
    ["http://other.org#a", "http://other.org", "/", undefined],
    ["http://other.org:8080/a#b", "http://other.org:8080", "/a", undefined]
  ])("the request target %j is taken apart, not normalised", (requestTarget, origin, path, query) => {
    expect(CacheKey.target(requestTarget, here)).toEqual({ origin, path, query })
  })

  it("what a router tells apart has keys of its own", () => {
    const targets = [
      "/a/b",
      "/a%2Fb",
      "/a%2fb",
      "/a%252Fb",
      "//a/b",
      "/a//b",
      "/a/b/",
      "/./a/b",
      "/a/./b",
      "/a/../a/b",
      "/A/b",
      "/%61/b",
      "/a/b;c",
      "/a/b%3F",
      "/a/b?",
      "/a/b?c",
      "/a/b?%63",
      "/a/b?c=",
      "/a/b?c=1",
      "/a/b?c=1&d=2",
      "/a/b?d=2&c=1",
      "/a/b?c=1;d=2",
      "/a/b?c=1&&d=2",
      "/a/b?c=1&d=2&",
      "/a/b?c=a+b",
      "/a/b?c=a%20b",
      "/a/b?c=1&c=2",
      "/a/b?c=2&c=1",
      "https://example.com/a/b",
      "http://example.com:8080/a/b",
      "http://other.com/a/b"
    ]
    expect(new Set(targets.map((target) => keyOf(target))).size).toBe(targets.length)
  })

  it("one URI in origin-form and in absolute-form has one key", () => {
    expect(keyOf("HTTP://EXAMPLE.com:80/a?b#c")).toBe(keyOf("/a?b"))
  })

  it.each([
    ["/users/1", "/users/1/"],
    ["/users/1", "/Users/1"],
    ["/users/1", "//users///1"],
    ["/users/1", "/users/%31"],
    ["/users/1", "/users/1?"],
    ["/users/1", "/users/1;a=1"],
    ["/users/1", "/x/../users/./1"],
    ["/a%2Fb", "/a%2fb/"],
    ["/%7Ea?q=1", "/~A?q=1"],
    ["/", "//"],
    ["/", "/.."],
    ["/a", "/../a"],
    ["/a/b", "/a/../../%2e%2e/a/b"]
  ])("71: %s and %s may be one: the last of their spellings is the same", (one, other) => {
    const [first, second] = [one, other].map((text) => CacheKey.spellings(CacheKey.target(text, here)))
    expect(first!.at(-1)).toEqual(second!.at(-1))
  })

  it.each([["/a", "/b"], ["/a%2Fb", "/a/b"], ["/a?q=1", "/a?q=2"], ["/a?q=a", "/a?q=A"], ["/a%20b", "/ab"]])(
    "71: %s and %s are two",
    (one, other) => {
      const [first, second] = [one, other].map((text) => CacheKey.spellings(CacheKey.target(text, here)))
      expect(first!.at(-1)).not.toEqual(second!.at(-1))
    }
  )

  it("71: the first of the spellings is the target itself, and theirs are the same", () => {
    fc.assert(fc.property(text, (requestTarget) => {
      const target = CacheKey.target(`/${requestTarget}`, here)
      const spellings = CacheKey.spellings(target)
      expect(spellings[0]).toEqual(target)
      expect(CacheKey.spellings(spellings[1])[1]).toEqual(spellings[1])
    }))
  })

  it.each<[CacheKey.QuerySelection, string, string]>([
    ["all", "/p?b=2&a=1", "/p?b=2&a=1"],
    ["all", "/p?", "/p?"],
    ["none", "/p?b=2&a=1", "/p"],
    ["none", "/p?", "/p"],
    [{ only: ["a"] }, "/p?b=2&a=1&a=2&c", "/p?a=1&a=2"],
    [{ only: ["a", "b"] }, "/p?b=2&x=3&a=1", "/p?b=2&a=1"],
    [{ only: ["a"] }, "/p?b=2", "/p"],
    [{ only: ["a"] }, "/p", "/p"],
    [{ only: ["a"] }, "/p?a=1;b=2", "/p?a=1;b=2"],
    [{ only: ["a"] }, "/p?A=1", "/p"],
    [{ only: ["a"] }, "/p?%61=1&b=2", "/p?%61=1"],
    [{ only: ["a b"] }, "/p?a+b=1&a%20b=2&ab=3", "/p?a+b=1&a%20b=2"],
    [{ only: ["%zz", "a"] }, "/p?%zz=1&a=%", "/p?%zz=1&a=%"],
    [{ only: ["a=b"] }, "/p?a=b=1&a%3Db=2", "/p?a%3Db=2"],
    [{ only: ["constructor"] }, "/p?a=1&constructor=2&__proto__=3", "/p?constructor=2"],
    [{ only: [] }, "/p?a=1", "/p"],
    [{ except: ["a"] }, "/p?b=2&a=1&c&a", "/p?b=2&c"],
    [{ except: ["a"] }, "/p?a=1", "/p"],
    [{ except: ["__proto__"] }, "/p?a=1&__proto__=3&constructor=2", "/p?a=1&constructor=2"],
    [{ except: [] }, "/p?b=2&a=1", "/p?b=2&a=1"],
    [{ except: ["utm_*", "q"] }, "/p?utm_source=1&b=2&q=3&utm_=4&utm=5", "/p?b=2&utm=5"],
    [{ only: ["filter[*"] }, "/p?filter[a]=1&b=2&filter%5Bb]=3&filter=4", "/p?filter[a]=1&filter%5Bb]=3"],
    [{ sort: true }, "/p?b=2&a=2&%61=1&c&a=0", "/p?a=2&%61=1&a=0&b=2&c"],
    [{ sort: true }, "/p?", "/p?"],
    [{ sort: false }, "/p?b=2&a=1", "/p?b=2&a=1"],
    [{ only: ["b", "a"], sort: true }, "/p?b=2&x=3&a=1", "/p?a=1&b=2"],
    [{ except: ["utm_*"], sort: true }, "/p?b=2&utm_x=3&a=1", "/p?a=1&b=2"]
  ])("with the query selection %j the key of %s is that of %s", (selection, requestTarget, expected) => {
    expect(keyOf(requestTarget, selection)).toBe(keyOf(expected))
  })

  it.each<[CacheKey.QuerySelection, string, string]>([
    ["all", "/p?b=2&a=1", "/p?b=2&a=1"],
    ["all", "/p?#x", "/p?"],
    ["all", "/p#x?b", "/p"],
    ["none", "/p?b=2", "/p"],
    ["none", "*", "*"],
    [{ only: ["a"] }, "/p;a=1?b=2&a=1#a=3", "/p;a=1?a=1"],
    [{ except: ["a"] }, "http://other.org:8080?a=1&b", "/?b"]
  ])("with the query selection %j, of the target %s a handler sees %s", (selection, requestTarget, narrowed) => {
    expect(CacheKey.narrow(requestTarget, selection)).toBe(narrowed)
  })

  it("what a handler sees of a target is what the key has of it", () => {
    const names = fc.array(fc.constantFrom("a", "b", "%61", "a b", "%zz", "a*", "%*"))
    const selection = fc.oneof(
      fc.constantFrom<CacheKey.QuerySelection>("all", "none"),
      fc.record({ only: names, sort: fc.boolean() }),
      fc.record({ except: names, sort: fc.boolean() }),
      fc.record({ sort: fc.boolean() })
    )
    const part = fc.constantFrom("a", "b", "%61", "a+b", "%zz", "=", "&", "?", "#", ";", "/", "1")
    const requestTarget = fc.array(part).map((parts) => `/${parts.join("")}`)
    fc.assert(fc.property(requestTarget, selection, (requestTarget, selection) => {
      const narrowed = CacheKey.narrow(requestTarget, selection)
      expect(keyOf(narrowed)).toBe(keyOf(requestTarget, selection))
      expect(`${here}${narrowed}`).toBe(keyOf(requestTarget, selection))
      expect(CacheKey.narrow(narrowed, selection)).toBe(narrowed)
    }))
  })

  it("different origins, paths and queries never have one key", () => {
    const parts = ["/", ":", "%", "%002f", "f", "?", " ", "a", "\u0002", "\ud83d", "\ude00", "\u{1f601}"]
    const texts = ["", ...parts, ...parts.flatMap((one) => parts.map((other) => one + other))]
    const paths = texts.filter((text) => !text.includes("?")).map((text) => `/${text}`)
    const components: { readonly [name: string]: ReadonlyArray<string | undefined> } = {
      scheme: texts,
      host: texts,
      path: paths,
      query: [undefined, ...texts]
    }
    const plain = { scheme: "http", host: "a", path: "/", query: undefined }
    const names = Object.keys(components)
    const collisions: Array<readonly [string, string]> = []
    for (const [index, one] of names.entries()) {
      for (const other of names.slice(index + 1)) {
        const keys = new Map<string, string>()
        for (const a of components[one]!) {
          for (const b of components[other]!) {
            const { host, path, query, scheme }: typeof plain = { ...plain, [one]: a, [other]: b }
            const origin = `${scheme}://${host}`
            const address = JSON.stringify([origin, path, query ?? null])
            const key = CacheKey.make({ origin, path, query }, "all")
            const same = keys.get(key)
            if (same === undefined) keys.set(key, address)
            else if (same !== address) collisions.push([same, address])
          }
        }
      }
    }
    expect(collisions).toEqual([])
  })

  it("long texts that differ in one character never have one key", () => {
    const path = text.map((path) => `/${path.replaceAll(/[?#]/g, "")}`)
    const insert = (whole: string, at: number, character: string) =>
      whole.slice(0, at % (whole.length + 1)) + character + whole.slice(at % (whole.length + 1))
    fc.assert(
      fc.property(text, path, text, fc.nat(), fc.fullUnicode(), (host, path, query, at, character) => {
        const origin = `http://${host}`
        const target = { origin, path, query }
        const keys = [
          CacheKey.make(target),
          CacheKey.make({ ...target, origin: `http://${insert(host, at, character)}` }),
          CacheKey.make({ ...target, query: insert(query, at, character) }),
          CacheKey.make({ ...target, query: undefined })
        ]
        expect(new Set(keys).size).toBe(keys.length)
      })
    )
  })

  it.each([
    ["/b", "http://example.com", "/b", undefined],
    ["b", "http://example.com", "/a/b", undefined],
    ["../b", "http://example.com", "/b", undefined],
    ["?x", "http://example.com", "/a/c", "x"],
    ["?", "http://example.com", "/a/c", ""],
    ["", "http://example.com", "/a/c", "q"],
    ["#top", "http://example.com", "/a/c", "q"],
    ["/b#top", "http://example.com", "/b", undefined],
    ["//other.org/b", "http://other.org", "/b", undefined],
    ["https://Example.com:443/b?c", "https://example.com", "/b", "c"],
    ["http://example.com:80/b", "http://example.com", "/b", undefined],
    ["http://other.org", "http://other.org", "/", undefined],
    ["http://ada:secret@example.com/b?c", "http://example.com", "/b", "c"],
    ["//ada@example.com/b@c", "http://example.com", "/b@c", undefined]
  ])("the reference %j is resolved", (reference, origin, path, query) => {
    const base = CacheKey.target("/a/c?q", here)
    expect(CacheKey.resolve(reference, base)).toEqual({ origin, path, query })
  })

  it.each(["/b", "", "b", "//other.org/b"])("without a base %j leads nowhere", (reference) => {
    expect(CacheKey.resolve(reference, undefined)).toBeUndefined()
  })

  it.each(["http://", "http://[", "http://a:b/", "mailto:a@b", "data:,a", "javascript:void(0)", "urn:a"])(
    "%j is no URI of an origin",
    (reference) => {
      expect(CacheKey.resolve(reference, CacheKey.target("/a", here))).toBeUndefined()
    }
  )

  it.each(["http://", "http://b:c:d", "http://a host", "http://127.1", "http://caf\u00e9.example"])(
    "a path stays within the origin %j, whether a URL can have it or not",
    (origin) => {
      const base = { origin, path: "/users/1", query: "a" }
      expect(CacheKey.resolve("/b?c", base)).toEqual({ origin, path: "/b", query: "c" })
      expect(CacheKey.resolve("2", base)).toEqual({ origin, path: "/users/2", query: undefined })
      expect(CacheKey.resolve("http://other.org/b", base)?.origin).toBe("http://other.org")
      expect(CacheKey.resolve("//other.org/b", base)?.origin).toBe("http://other.org")
    }
  )

  it.each<[string, ReadonlyArray<string>]>([
    ["/b", ["/b"]],
    ["/b?c=%27d%27#top", ["/b?c=%27d%27"]],
    ["/b?c='d'", ["/b?c='d'", "/b?c=%27d%27"]],
    ["/b c", ["/b c", "/b%20c"]],
    ["/b\"", ["/b\"", "/b%22"]],
    ["/caf\u00e9", ["/caf\u00e9", "/caf%C3%A9"]],
    ["/b/../c", ["/b/../c", "/c"]],
    ["/b\\c", ["/b\\c", "/b/c"]],
    ["/?", ["/?"]],
    ["../b", ["/b"]],
    ["//other.org/b", ["http://other.org/b"]],
    ["http://other.org/b", ["http://other.org/b"]],
    ["http://[", []]
  ])("%s can mean %j", (reference, targets) => {
    const found = CacheKey.resolveAll(reference, CacheKey.target("/a/c?q", here))
    expect(found).toEqual(targets.map((target) => CacheKey.target(target, here)))
  })

  it("without a base only an absolute URI means something", () => {
    expect(CacheKey.resolveAll("/b", undefined)).toEqual([])
    expect(CacheKey.resolveAll("http://other.org/b", undefined)).toEqual([CacheKey.target("http://other.org/b", "")])
  })

  it("any text is a request target, and a reference that leads somewhere or nowhere", () => {
    fc.assert(fc.property(text, text, text, (requestTarget, host, reference) => {
      const target = CacheKey.target(requestTarget, CacheKey.origin("http", host))
      expect(`${target.path}${target.query ?? ""}`).not.toContain("#")
      expect(target.path).not.toMatch(/\?|^$/)
      const resolved = CacheKey.resolve(reference, target)
      expect(resolved === undefined || resolved.path.startsWith("/")).toBe(true)
      expect(CacheKey.resolveAll(reference, target).length).toBeLessThanOrEqual(2)
      expect(typeof CacheKey.make(resolved ?? target, { only: [reference] })).toBe("string")
    }))
  })
})
