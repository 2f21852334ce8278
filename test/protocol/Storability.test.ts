/** What is refused, and with which word (RFC 9111 §3). */
import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as CacheKey from "../../src/protocol/CacheKey.js"
import type { Detail } from "../../src/protocol/CacheStatus.js"
import * as HttpDate from "../../src/protocol/HttpDate.js"
import * as Storability from "../../src/protocol/Storability.js"
import { authorized, caused, causes, control, decide, now, origin, proxy, refusal } from "./exchanges.js"
import { fieldText } from "./texts.js"

describe("Storability.decide: the cache of one user", () => {
  const oneUser: Storability.Policy = { ...proxy, shared: false }

  it.each<[string, Partial<Storability.Exchange>]>([
    ["private", control("private, max-age=60")],
    ["a field list of private", control("private=\"x\", max-age=60")],
    ["Authorization", { ...authorized, ...control("max-age=60") }],
    ["cookies", { setsCookies: true, ...control("max-age=60") }],
    ["Vary: Cookie", { response: { "cache-control": "max-age=60", "vary": "cookie" } }]
  ])("keeps what a shared one does not: %s", (_, exchange) => {
    expect(refusal(exchange, oneUser)).toBeUndefined()
  })

  it("heeds max-age, not s-maxage, and no proxy-revalidate", () => {
    const kept = (value: string, policy: Storability.Policy) => {
      const storability = decide(control(value), policy)
      return storability._tag === "Keep"
        ? [storability.kept.lifetime, storability.kept.staleForbidden]
        : storability.detail
    }
    expect(kept("max-age=10, s-maxage=60", oneUser)).toEqual([10_000, false])
    expect(kept("max-age=10, s-maxage=60", proxy)).toEqual([60_000, true])
    expect(kept("max-age=10, proxy-revalidate", oneUser)).toEqual([10_000, false])
    expect(kept("max-age=10, must-revalidate", oneUser)).toEqual([10_000, true])
    expect(kept("s-maxage=60", oneUser)).toBe("no-freshness")
  })

  it("keeps the fields that a qualified private names", () => {
    const response = { "cache-control": "private=\"x-a\", max-age=60", "x-a": "1" }
    const headers = (policy: Storability.Policy) => {
      const storability = decide({ response }, policy)
      return storability._tag === "Keep" ? storability.kept.headers["x-a"] : storability.detail
    }
    expect([headers(oneUser), headers(proxy)]).toEqual(["1", undefined])
  })

  it("refuses no-store all the same", () => {
    expect(refusal(control("no-store, max-age=60"), oneUser)).toBe("no-store")
  })
})

describe("Storability.decide: refusals", () => {
  it("with none of the causes below it is kept", () => {
    expect(refusal(caused())).toBeUndefined()
  })

  it.each(causes)("it is refused with the word %s", (detail, cause) => {
    expect(refusal(caused(cause))).toBe(detail)
  })

  it("of two causes the earlier one is the word", () => {
    const pairs = causes.flatMap(([detail, cause], index) =>
      causes.slice(index + 1).map(([later, other]) => ({ detail, later, word: refusal(caused(cause, other)) }))
    )
    expect(pairs).toHaveLength(120)
    expect(pairs.filter(({ detail, word }) => word !== detail)).toEqual([])
  })

  it.each(["POST", "PUT", "get", ""])("only what answers a GET is kept, not %j", (method) => {
    expect(refusal({ ...control("max-age=60"), method })).toBe("head")
  })

  it.each(["*", "* ", ", *", "*,", "*, Foo", "a b"])("Vary: %j is refused, whatever the route varies on", (vary) => {
    expect(refusal({ response: { "cache-control": "max-age=60", vary } }, { ...proxy, vary: ["accept"] })).toBe("vary")
  })

  it.each(["Cookie", "accept, AUTHORIZATION"])("Vary: %s is private, also when it is said to be public", (vary) => {
    const response = { "cache-control": "public, s-maxage=60", vary }
    expect(refusal({ response })).toBe("private")
    expect(refusal({ response, partition: "ada" })).toBeUndefined()
  })

  it("what the route varies on is private for the same reason", () => {
    expect(refusal(control("max-age=60"), { ...proxy, vary: ["cookie"] })).toBe("private")
  })

  it.each([
    "private",
    "PRIVATE",
    "private=\"\"",
    "private, private=\"x\"",
    "private=\"x y\"",
    "\tprivate\t",
    "public, private",
    "s-maxage=60, private",
    "foo=\"a, private"
  ])("%j is private", (value) => {
    expect(refusal(control(`max-age=60, ${value}`))).toBe("private")
    expect(refusal(control(`${value}, max-age=60`))).toBe("private")
  })

  it("private and no-store hold in the company of any text", () => {
    const policy = { ...origin, cacheControl: "public" } as const
    fc.assert(fc.property(fieldText, (text) => {
      expect(refusal(control(`${text}, private`), policy)).toBe("private")
      expect(refusal(control(`private, ${text}`), policy)).toBe("private")
      expect(refusal(control(`${text}, no-store`), policy)).toBe("no-store")
    }))
  })

  it.each<[string, Detail | undefined]>([
    ["max-age=60", "authorization"],
    ["max-age=60, no-cache", "authorization"],
    ["max-age=60, proxy-revalidate", "authorization"],
    ["max-age=60, x public", "authorization"],
    ["max-age=60, foo=\"public\"", "authorization"],
    ["max-age=60, private=\"x\"", "authorization"],
    ["max-age=60, x must-revalidate", "authorization"],
    ["max-age=60, x s-maxage=60", "authorization"],
    ["max-age=60, s-maxage=x", "authorization"],
    ["max-age=60, public", undefined],
    ["max-age=60, must-revalidate", undefined],
    ["s-maxage=60", undefined],
    ["max-age=60, s-maxage=0", undefined],
    ["max-age=60, public, private", "private"]
  ])("a response to Authorization that says %s: %s (RFC 9111 §3.5)", (value, detail) => {
    expect(refusal({ ...authorized, ...control(value) })).toBe(detail)
    expect(refusal({ ...authorized, ...control(value), partition: "ada" })).toBeUndefined()
  })

  it("a route can permit to share what was made for Authorization, its expiry alone can't", () => {
    expect(refusal(authorized, origin)).toBe("authorization")
    expect(refusal(authorized, { ...origin, sharedExpiry: 1000 })).toBe("authorization")
    expect(refusal(authorized, { ...origin, cacheControl: "public" })).toBeUndefined()
  })

  it.each<[string, Detail | undefined]>([
    ["max-age=60", "credentials"],
    ["max-age=60, must-revalidate", "credentials"],
    ["max-age=60, s-maxage=x", "credentials"],
    ["max-age=60, public", undefined],
    ["s-maxage=60", undefined]
  ])("a response for which credentials were read that says %s: %s", (value, detail) => {
    expect(refusal({ ...control(value), readsCredentials: true })).toBe(detail)
    expect(refusal({ ...control(value), readsCredentials: true, partition: "ada" })).toBeUndefined()
  })

  it.each<[string, Detail | undefined]>([
    ["max-age=60", "unkeyed"],
    ["max-age=60, must-revalidate", "unkeyed"],
    ["max-age=60, private", "private"],
    ["max-age=60, public", undefined],
    ["s-maxage=60", undefined]
  ])("a response for which what can't be keyed was read that says %s: %s", (value, detail) => {
    expect(refusal({ ...control(value), readsUnkeyed: true })).toBe(detail)
    const kept = detail === undefined ? undefined : "unkeyed"
    expect(refusal({ ...control(value), readsUnkeyed: true, partition: "ada" })).toBe(kept)
  })

  it("a partition keeps what is private, but neither cookies nor what a pre-response handler may add", () => {
    const own = { ...control("private, max-age=60"), partition: "ada" }
    expect(refusal(own)).toBeUndefined()
    expect(refusal({ ...own, setsCookies: true })).toBe("cookies")
    expect(refusal({ ...own, setsPreResponseHandler: true })).toBe("pre-response-handler")
    expect(refusal({ ...own, ...control("private, no-store, max-age=60") })).toBe("no-store")
  })

  it("on a private route nobody's response is refused, and somebody's is kept", () => {
    const policy = { ...origin, cacheControl: "private" } as const
    expect(refusal({}, policy)).toBe("private")
    expect(refusal(control("public, max-age=60"), policy)).toBe("private")
    expect(refusal({ partition: "ada" }, policy)).toBeUndefined()
  })

  it.each([412, 416, 417])("a %s answers this request only, whatever freshness it states", (status) => {
    expect(refusal({ ...control("public, max-age=60"), status })).toBe("status")
    expect(refusal({ status }, { ...origin, statuses: new Map([[status, undefined]]) })).toBe("status")
  })

  it.each<[string, number, Detail | undefined]>([
    ["no-store, must-understand", 200, undefined],
    ["must-understand", 200, undefined],
    ["must-understand", 299, "status"],
    ["no-store, must-understand", 299, "status"],
    ["no-store, must-understand", 500, "status"],
    ["no-store, x must-understand", 200, "no-store"],
    ["no-store", 200, "no-store"],
    ["public", 299, undefined]
  ])("%s on %s: %s (RFC 9111 §5.2.2.3)", (value, status, detail) => {
    expect(refusal({ ...control(`max-age=60, ${value}`), status })).toBe(detail)
  })
})

describe("Storability.decide: targeted fields", () => {
  const policy = { ...proxy, targets: ["cdn-cache-control"] }

  it.each<[string, string, Detail | undefined]>([
    ["max-age=60", "no-store", undefined],
    ["max-age=60", "private", undefined],
    ["no-store", "public, max-age=60", "no-store"],
    ["private, max-age=60", "public", "private"],
    ["must-revalidate", "max-age=60", "no-freshness"],
    ["", "max-age=60", undefined],
    ["max-age=60,", "no-store", "no-store"]
  ])("%j over Cache-Control: %s", (targeted, value, detail) => {
    const response = { "cdn-cache-control": targeted, "cache-control": value }
    expect(refusal({ response }, policy)).toBe(detail)
  })

  it("one that isn't obeyed changes nothing", () => {
    expect(refusal({ response: { "cdn-cache-control": "no-store", "cache-control": "max-age=60" } })).toBeUndefined()
  })
})

describe("Storability.answersGet", () => {
  const target = CacheKey.target("/a?b", "https://example.com")
  const answers = (response: { readonly [name: string]: string }, method = "POST", status = 200) =>
    Storability.answersGet(method, target, status, response)
  const fresh = { "cache-control": "max-age=60" }

  it.each(["/a?b", "?b", "https://example.com/a?b", "HTTPS://EXAMPLE.COM:443/a?b#c"])(
    "with freshness, and %s as its Content-Location",
    (location) => {
      expect(answers({ ...fresh, "content-location": location })).toBe(true)
      expect(answers({ "expires": HttpDate.format(now), "content-location": location })).toBe(true)
      expect(answers({ "cache-control": "s-maxage=60", "content-location": location })).toBe(true)
    }
  )

  it("not without either, with another URI, another method or another status", () => {
    expect(answers(fresh)).toBe(false)
    expect(answers({ "content-location": "/a?b" })).toBe(false)
    expect(answers({ "cache-control": "public", "content-location": "/a?b" })).toBe(false)
    for (const location of ["/a", "/a?b&c", "http://example.com/a?b", "https://other.com/a?b", "http://["]) {
      expect(answers({ ...fresh, "content-location": location })).toBe(false)
    }
    expect(answers({ ...fresh, "content-location": "/a?b" }, "PUT")).toBe(false)
    expect(answers({ ...fresh, "content-location": "/a?b" }, "POST", 201)).toBe(false)
  })
})
