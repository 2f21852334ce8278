/** What the directives of a response bind a cache to (RFC 9111 §5.2.2, RFC 9213). */
import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as CacheControl from "../../src/protocol/CacheControl.js"
import { fieldText, text, token } from "./texts.js"

type Binding = Partial<CacheControl.ResponseDirectives>

const nothing: CacheControl.ResponseDirectives = {
  noStore: false,
  noCache: undefined,
  private: undefined,
  public: false,
  shareable: false,
  permitsAuthorization: false,
  mustRevalidate: false,
  proxyRevalidate: false,
  mustUnderstand: false,
  maxAge: undefined,
  sMaxAge: undefined,
  staleWhileRevalidate: undefined,
  staleIfError: undefined
}

describe("CacheControl.parse", () => {
  it.each<[string, ReadonlyArray<CacheControl.Directive>]>([
    ["", []],
    [" ,, ", []],
    ["A", [{ name: "a", valid: true }]],
    ["a=B", [{ name: "a", value: "B", valid: true }]],
    ["a=\"B, \\\"c\\\\\"", [{ name: "a", value: "B, \"c\\", valid: true }]],
    ["a=\"\"", [{ name: "a", value: "", valid: true }]],
    ["b, a, b", [{ name: "b", valid: true }, { name: "a", valid: true }, { name: "b", valid: true }]],
    ["a=", [{ name: "a", valid: false }]],
    ["a=b=c", [{ name: "a", valid: false }, { name: "b", valid: false }, { name: "c", valid: false }]],
    ["A B", [{ name: "a", valid: false }, { name: "b", valid: false }]],
    ["a =b", [{ name: "a", valid: false }, { name: "b", valid: false }]],
    ["=a", [{ name: "a", valid: false }]],
    ["\"a\"", [{ name: "a", valid: false }]],
    ["a=\"b\"c", [{ name: "a", valid: false }, { name: "b", valid: false }, { name: "c", valid: false }]],
    ["(), ?", []]
  ])("%j is read as %j", (value, directives) => {
    expect(CacheControl.parse(value)).toEqual(directives)
  })

  it("directives are what they were formatted from", () => {
    const directive = fc.oneof(
      token.map((name) => ({ name, valid: true })),
      fc.tuple(token, fc.oneof(token, fieldText)).map(([name, value]) => ({ name, value, valid: true }))
    )
    fc.assert(fc.property(fc.array(directive), (directives) => {
      expect(CacheControl.parse(CacheControl.format(directives))).toEqual(directives)
    }))
  })

  it("any text is read, and binds somehow", () => {
    fc.assert(fc.property(text, (value) => {
      for (const { name, valid } of CacheControl.parse(value)) {
        expect(name).toMatch(/^[^A-Z\s",]+$/)
        expect(typeof valid).toBe("boolean")
      }
      const { maxAge = 0, sMaxAge = 0 } = CacheControl.response(value)
      expect(maxAge + sMaxAge).toBeGreaterThanOrEqual(0)
      expect(CacheControl.request({ "cache-control": value }).onlyIfCached).toBe(false)
      expect(CacheControl.request({ pragma: value }).noStore).toBe(false)
    }))
  })
})

describe("CacheControl.response", () => {
  it.each<[string, Binding]>([
    ["private", { private: "all" }],
    ["PRIVATE", { private: "all" }],
    ["private=\" authorization\"", { private: ["authorization"] }],
    ["private=\"Set-Cookie ,\tX,\"", { private: ["set-cookie", "x"] }],
    ["private=x", { private: ["x"] }],
    ["private=\"\"", { private: "all" }],
    ["private=\" , \"", { private: "all" }],
    ["private=\"x y\"", { private: "all" }],
    ["private=\"x, y z\"", { private: "all" }],
    ["private=\"x, \\\"y\\\"\"", { private: "all" }],
    ["private, private=\"x\"", { private: "all" }],
    ["private=\"x\", private", { private: "all" }],
    ["private=\"x\", private=\"\"", { private: "all" }],
    ["private=\"x\", private=\"Y\"", { private: ["x", "y"] }],
    ["private=\"__proto__, constructor\"", { private: ["__proto__", "constructor"] }],
    ["private=", { private: "all" }],
    ["private=\"x", { private: "all" }],
    ["private \"x\"", { private: "all" }],
    ["private\t=\t\"x\"", { private: "all" }],
    ["private: x", { private: "all" }],
    ["\"private\"", { private: "all" }],
    ["\tprivate\t", { private: "all" }],
    ["a,\tprivate", { private: "all" }],
    ["private; no-store", { private: "all", noStore: true }],
    ["max-age=10 private", { private: "all", maxAge: 0 }],
    ["foo=\"a, private", { private: "all" }],
    ["foo=\"a\\\", private", { private: "all" }],
    ["foo=\"a, private, bar=\"b\"", { private: "all" }],
    ["public, private", { private: "all", public: true, shareable: true, permitsAuthorization: true }],
    ["no-cache", { noCache: "all" }],
    ["no-cache=\"A, b\"", { noCache: ["a", "b"] }],
    ["no-cache=\"a", { noCache: "all" }],
    ["no-cache=\"\"", { noCache: "all" }],
    ["no-cache no-store", { noCache: "all", noStore: true }],
    ["NO-STORE", { noStore: true }],
    ["no-store=1", { noStore: true }],
    ["no-store=\"", { noStore: true }],
    ["no-store=\"a\"", { noStore: true }],
    ["\tno-store", { noStore: true }],
    ["a, , no-store ,", { noStore: true }],
    ["Must-Revalidate", { mustRevalidate: true, permitsAuthorization: true }],
    ["proxy-revalidate", { proxyRevalidate: true }],
    ["no-store, must-understand", { noStore: true, mustUnderstand: true }]
  ])("%s restricts", (value, binding) => {
    expect(CacheControl.response(value)).toEqual({ ...nothing, ...binding })
  })

  it.each<[string | undefined]>([
    [undefined],
    [""],
    ["privately, no-stored, x-private, no_store, nocache"],
    ["foo=\"private, no-store, max-age=1\""],
    ["foo=\", no-cache, \\\", no-store\""],
    ["foo=private"],
    ["constructor, __proto__=1, toString"]
  ])("%j restricts nothing", (value) => {
    expect(CacheControl.response(value)).toEqual(nothing)
  })

  it.each(["no-store", "private", "no-cache"])("%s holds in any company", (name) => {
    const binding = name === "no-store" ? "noStore" : name === "private" ? "private" : "noCache"
    const expected = name === "no-store" ? true : "all"
    fc.assert(fc.property(text, text, (before, after) => {
      expect(CacheControl.response(`${before}, ${name}`)[binding]).toEqual(expected)
      expect(CacheControl.response(`${name}, ${after}`)[binding]).toEqual(expected)
      expect(CacheControl.response(`${name} ${before.replaceAll(",", "")}`)[binding]).toEqual(expected)
    }))
  })

  it.each([
    ["public", true, true],
    ["PUBLIC", true, true],
    ["a, public ", true, true],
    ["public, public=", true, true],
    ["public foo", false, false],
    ["max-age=5 public", false, false],
    ["\"public\"", false, false],
    ["public=", false, false],
    ["public=?0", false, false],
    ["public=\"", false, false],
    ["foo=\"public\"", false, false],
    ["foo=\"a, x public", false, false],
    ["publicly", false, false],
    ["s-maxage=60", true, true],
    ["s-maxage=0", true, true],
    ["S-MaxAge=\"60\"", true, true],
    ["s-maxage", false, false],
    ["s-maxage=x", false, false],
    ["s-maxage=-1", false, false],
    ["x s-maxage=60", false, false],
    ["s-maxage = 60", false, false],
    ["max-age=60", false, false],
    ["must-revalidate", false, true],
    ["x, Must-Revalidate", false, true],
    ["x must-revalidate", false, false],
    ["must-revalidate=", false, false],
    ["\"must-revalidate\"", false, false],
    ["proxy-revalidate", false, false],
    ["must-understand", false, false]
  ])("%j permits to share: %s; what was made for Authorization: %s", (value, shareable, permitsAuthorization) => {
    expect(CacheControl.response(value)).toMatchObject({ shareable, permitsAuthorization })
  })

  it.each(["x must-revalidate", "must-revalidate=", "must-revalidate;"])(
    "%j permits nothing, but restricts all the same",
    (value) => {
      expect(CacheControl.response(value)).toEqual({ ...nothing, mustRevalidate: true })
    }
  )

  it.each(["x must-understand", "must-understand=", "\"must-understand\""])(
    "%j lifts nothing, since it can't be read",
    (value) => {
      expect(CacheControl.response(value).mustUnderstand).toBe(false)
    }
  )

  it.each([
    ["max-age=10", 10],
    ["MAX-AGE=10", 10],
    ["max-age=\"10\"", 10],
    ["max-age=\"1\\0\"", 10],
    ["max-age=0", 0],
    ["max-age=00010", 10],
    ["max-age=2147483647", 2_147_483_647],
    ["max-age=2147483648", 2_147_483_648],
    ["max-age=2147483649", 2_147_483_648],
    [`max-age=${"9".repeat(400)}`, 2_147_483_648],
    ["max-age=10, max-age=10", 10],
    ["max-age=10, max-age=\"010\"", 10],
    ["foo=\"max-age=1\"", undefined],
    ["x-max-age=1", undefined]
  ])("%s is a lifetime of %s", (value, seconds) => {
    expect(CacheControl.response(value).maxAge).toBe(seconds)
    expect(CacheControl.response(value.replaceAll(/max-age/gi, "s-maxage")).sMaxAge).toBe(seconds)
  })

  it.each([
    "max-age",
    "max-age=",
    "max-age=\"\"",
    "max-age=-1",
    "max-age=+1",
    "max-age=1.5",
    "max-age=1e3",
    "max-age=0x10",
    "max-age=Infinity",
    "max-age=\" 10\"",
    "max-age=10s",
    "max-age=\u0661",
    "max-age = 10",
    "max-age =10",
    "max-age= 10",
    "max-age:10",
    "max-age=10 public",
    "max-age=10; public",
    "max-age=\"10",
    "max-age=10, max-age=20",
    "max-age=20, max-age=10",
    "max-age=10, max-age=x",
    "max-age=x, max-age=10",
    "max-age=10, max-age"
  ])("freshness that can't be read, or conflicts, is none: %s", (value) => {
    expect(CacheControl.response(value).maxAge).toBe(0)
    expect(CacheControl.response(value.replaceAll("max-age", "s-maxage")).sMaxAge).toBe(0)
  })
})

describe("CacheControl.response: stale-if-error", () => {
  it.each([
    ["stale-if-error=60", 60],
    ["Stale-If-Error=\"60\"", 60],
    ["stale-if-error=99999999999", 2_147_483_648],
    ["stale-if-error", undefined],
    ["stale-if-error=x", undefined],
    ["stale-if-error=-1", undefined],
    ["x stale-if-error=60", undefined]
  ])("%s: %s seconds", (value, seconds) => {
    expect(CacheControl.response(value).staleIfError).toBe(seconds)
  })
})

describe("CacheControl.targeted", () => {
  const targets = ["example-cache-control", "cdn-cache-control"]
  const of = (cdn: string) => CacheControl.targeted({ "cdn-cache-control": cdn, "cache-control": "no-store" }, targets)

  it.each<[string, Binding]>([
    ["max-age=60", { maxAge: 60 }],
    ["max-age=60;x=1", { maxAge: 60 }],
    ["max-age=60, max-age=10", { maxAge: 10 }],
    ["max-age=1.5", { maxAge: 0 }],
    ["max-age=60.0", { maxAge: 0 }],
    ["max-age=60.00;x=1.0", { maxAge: 0 }],
    ["stale-if-error=60.000, no-cache=\"a=1.0\"", { noCache: "all" }],
    ["max-age=-1", { maxAge: 0 }],
    ["max-age", { maxAge: 0 }],
    ["max-age=x", { maxAge: 0 }],
    ["max-age=\"60\"", { maxAge: 0 }],
    ["s-maxage=?0", {}],
    ["no-store, must-revalidate", { noStore: true, mustRevalidate: true, permitsAuthorization: true }],
    ["private", { private: "all" }],
    ["private=\"A, b\"", { private: ["a", "b"] }],
    ["no-cache=\"\"", { noCache: "all" }],
    ["no-cache=(\"a\")", { noCache: "all" }],
    ["private=x", { private: "all" }],
    ["private=?0", {}],
    ["public=?0", {}],
    ["public", { public: true, shareable: true, permitsAuthorization: true }],
    ["x=1", {}]
  ])("%s binds in place of Cache-Control", (value, binding) => {
    expect(of(value)).toEqual({ ...nothing, ...binding })
  })

  it.each([
    "",
    " ",
    "max-age=60,",
    "max-age=60 private",
    "MAX-AGE=60",
    "max-age=\"",
    "max-age=",
    "max-age=6.0000",
    "caf\u00e9"
  ])(
    "%j is no dictionary and says nothing",
    (value) => {
      expect(of(value)).toBeUndefined()
    }
  )

  it("the first that says something binds, and only those that are obeyed", () => {
    const fields = { "example-cache-control": "max-age=1", "cdn-cache-control": "max-age=2" }
    expect(CacheControl.targeted(fields, targets)?.maxAge).toBe(1)
    expect(CacheControl.targeted({ ...fields, "example-cache-control": "=" }, targets)?.maxAge).toBe(2)
    expect(CacheControl.targeted(fields, ["cdn-cache-control"])?.maxAge).toBe(2)
    expect(CacheControl.targeted(fields, [])).toBeUndefined()
    expect(CacheControl.targeted(Object.create(fields), targets)).toBeUndefined()
  })

  it("any text binds or says nothing", () => {
    fc.assert(fc.property(text, (value) => {
      const { maxAge = 0, sMaxAge = 0 } = of(value) ?? {}
      expect(maxAge + sMaxAge).toBeGreaterThanOrEqual(0)
    }))
  })
})

describe("CacheControl.inSeconds", () => {
  it.each([[0, 0], [999, 0], [1000, 1], [1999, 1], [1e15, 2_147_483_648], [Infinity, 2_147_483_648]])(
    "%s ms are %s delta-seconds",
    (millis, seconds) => {
      expect(CacheControl.inSeconds(millis)).toBe(seconds)
    }
  )
})
