import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as CacheKey from "../../src/protocol/CacheKey.js"
import type { Detail } from "../../src/protocol/CacheStatus.js"
import * as HttpDate from "../../src/protocol/HttpDate.js"
import * as Storability from "../../src/protocol/Storability.js"
import { fieldText } from "./texts.js"

const now = Date.UTC(2026, 10, 22, 12)
const day = 86_400_000

const proxy: Storability.Policy = {
  shared: true,
  expiry: undefined,
  sharedExpiry: undefined,
  statuses: new Set([200, 404]),
  cacheControl: undefined,
  maxBodyBytes: 100,
  vary: [],
  targets: [],
  staleWhileRevalidate: undefined,
  staleIfError: undefined,
  jitter: 0,
  retain: undefined
}
const origin: Storability.Policy = { ...proxy, expiry: 10_000 }
const plain: Storability.Exchange = {
  method: "GET",
  request: {},
  requestNoStore: false,
  partition: "",
  status: 200,
  response: {},
  setsCookies: false,
  setsPreResponseHandler: false,
  readsCredentials: false,
  isOfPersonal: false,
  readsUnkeyed: false,
  bodyBytes: 100,
  isOpaque: false,
  chance: 0,
  hasWhole: false,
  requestTime: now,
  responseTime: now
}
const control = (value: string): Partial<Storability.Exchange> => ({ response: { "cache-control": value } })
const authorized = { request: { authorization: "Bearer x" } }

const decide = (exchange: Partial<Storability.Exchange>, policy: Storability.Policy = proxy) =>
  Storability.decide({ ...plain, ...exchange }, policy)

/** `undefined` when it is kept. */
const refusal = (exchange: Partial<Storability.Exchange>, policy?: Storability.Policy): Detail | undefined => {
  const storability = decide(exchange, policy)
  return storability._tag === "Refuse" ? storability.detail : undefined
}

const keep = (exchange: Partial<Storability.Exchange>, policy?: Storability.Policy): Storability.Kept => {
  const storability = decide(exchange, policy)
  if (storability._tag === "Refuse") throw new Error(`refused: ${storability.detail}`)
  return storability.kept
}

interface Cause {
  readonly exchange?: Partial<Storability.Exchange>
  /** Added to `Cache-Control`; of freshness there is `max-age=60` unless `isUnstated`. */
  readonly control?: string
  readonly vary?: string
  readonly isUnstated?: true
}

const causes: ReadonlyArray<readonly [Detail, Cause]> = [
  ["head", { exchange: { method: "HEAD" } }],
  ["not-modified", { exchange: { status: 304 } }],
  ["status", { exchange: { status: 299 }, control: "must-understand" }],
  ["no-store", { control: "no-store" }],
  ["request-no-store", { exchange: { requestNoStore: true } }],
  ["cookies", { exchange: { setsCookies: true } }],
  ["pre-response-handler", { exchange: { setsPreResponseHandler: true } }],
  ["private", { control: "private" }],
  ["unkeyed", { exchange: { readsUnkeyed: true } }],
  ["credentials", { exchange: { readsCredentials: true } }],
  ["authorization", { exchange: authorized }],
  ["vary", { vary: "*" }],
  ["no-freshness", { isUnstated: true }],
  ["not-bytes", { exchange: { isOpaque: true } }],
  ["too-large", { exchange: { bodyBytes: 101 } }],
  ["partial", { exchange: { status: 206 } }]
]

/** Of two causes that set the same, the first counts. */
const caused = (...causes: ReadonlyArray<Cause>): Partial<Storability.Exchange> => {
  const directives = causes.flatMap(({ control }) => control ?? [])
  if (!causes.some(({ isUnstated }) => isUnstated)) directives.push("max-age=60")
  const vary = causes.find((cause) => cause.vary !== undefined)?.vary
  return {
    ...causes.reduceRight<Partial<Storability.Exchange>>((later, { exchange }) => ({ ...later, ...exchange }), {}),
    response: { "cache-control": directives.join(", "), ...(vary === undefined ? {} : { vary }) }
  }
}

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
    expect(refusal({ status }, { ...origin, statuses: new Set([status]) })).toBe("status")
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

describe("Storability.decide: freshness", () => {
  it.each<[string, Partial<Storability.Exchange>, Storability.Policy, number | undefined]>([
    ["nothing stated, no expiry", {}, proxy, undefined],
    ["public alone states none", control("public"), proxy, undefined],
    ["its own max-age", control("max-age=60"), proxy, 60],
    ["its own max-age on any status", { ...control("max-age=60"), status: 500 }, proxy, 60],
    ["its own s-maxage", control("max-age=60, s-maxage=30"), proxy, 30],
    ["its own Expires", { response: { expires: HttpDate.format(now + 60_000) } }, proxy, 60],
    ["its own, when it can't be read", control("max-age=x"), proxy, 0],
    ["the route's expiry", {}, origin, 10],
    ["the route's expiry of 0", {}, { ...origin, expiry: 0 }, 0],
    ["the route's sharedExpiry over its expiry", {}, { ...origin, sharedExpiry: 30_000 }, 30],
    ["the route's sharedExpiry of 0 over its expiry", {}, { ...origin, sharedExpiry: 0 }, 0],
    ["its own max-age over the route's", control("max-age=60"), { ...origin, sharedExpiry: 30_000 }, 60],
    ["its own max-age of 0 over the route's", control("max-age=0"), origin, 0],
    ["its own, when it can't be read, over the route's", control("max-age=x"), origin, 0],
    ["the route's expiry on a listed status", { status: 404 }, origin, 10],
    ["the route's expiry not on another status", { status: 500 }, origin, undefined],
    ["its own on a status that isn't listed", { ...control("max-age=60"), status: 418 }, origin, 60]
  ])("%s", (_, exchange, policy, seconds) => {
    expect(refusal(exchange, policy)).toBe(seconds === undefined ? "no-freshness" : undefined)
    if (seconds !== undefined) expect(keep(exchange, policy).lifetime).toBe(seconds * 1000)
  })

  it("under the route's expiry the age counts from the moment that the handler answered", () => {
    const exchange = { requestTime: now - 5000, response: { age: "7", date: HttpDate.format(now - 9000) } }
    expect(keep(exchange, origin)).toMatchObject({ initialAge: 0, requestTime: now, date: now - 9000 })
  })

  it("its own freshness has the age that the response came with, and the delay unless we are the origin", () => {
    const exchange = { requestTime: now - 5000, response: { "cache-control": "max-age=60", "age": "7" } }
    expect(keep(exchange)).toMatchObject({ initialAge: 12_000, requestTime: now - 5000 })
    expect(keep(exchange, origin)).toMatchObject({ initialAge: 7000, requestTime: now })
  })

  it.each([
    ["as long again as it is fresh", "max-age=60", "0", 120_000],
    ["a day at most", "max-age=864000", "0", 11 * day],
    ["a day when it is never fresh", "max-age=0", "0", day],
    ["less what it came old", "max-age=60", "20", 100_000],
    ["as long as its lifetime when it came stale", "max-age=60", "90", 60_000]
  ])("it is retained %s: %s, Age %s", (_, value, age, millis) => {
    expect(keep({ response: { "cache-control": value, age } }).retainUntil).toBe(now + millis)
  })

  it.each([
    ["max-age=60", false, false],
    ["max-age=60, no-cache", true, false],
    ["max-age=60, no-cache=\"\"", true, false],
    ["max-age=60, no-cache=\"x\"", false, false],
    ["max-age=60, must-revalidate", false, true],
    ["max-age=60, x must-revalidate", false, true],
    ["max-age=60, proxy-revalidate", false, true],
    ["max-age=60, s-maxage=60", false, true],
    ["s-maxage=x", false, true]
  ])("%s: always validated %s, never served stale %s", (value, alwaysValidate, staleForbidden) => {
    expect(keep(control(value))).toMatchObject({ alwaysValidate, staleForbidden })
  })

  it("the route's own sharedExpiry does not forbid stale", () => {
    expect(keep({}, { ...origin, sharedExpiry: 30_000 }).staleForbidden).toBe(false)
  })
})

describe("Storability.decide: windows", () => {
  const minute = 60_000
  it.each<[string, string, Partial<Storability.Policy>, number, number]>([
    ["none", "max-age=60", {}, 0, 2 * minute],
    ["the response's own", "max-age=60, stale-if-error=30", {}, 90_000, 2 * minute],
    ["the response's own, longer than its lifetime", "max-age=60, stale-if-error=600", {}, 660_000, 660_000],
    ["the route's", "max-age=60", { staleIfError: 30_000 }, 90_000, 2 * minute],
    ["the longer of both", "max-age=60, stale-if-error=30", { staleIfError: 600_000 }, 660_000, 660_000],
    ["the route's, never fresh", "max-age=0", { staleIfError: 30_000 }, 30_000, 30_000],
    ["75: the route's, longer than a day", "max-age=60", { staleIfError: 7 * day }, 7 * day + minute, 7 * day + minute],
    ["75: longer than retain", "max-age=60", { staleIfError: 60_000, retain: 1000 }, 2 * minute, 2 * minute],
    ["75: its own, longer than retain", "max-age=60, stale-if-error=90", { retain: 0 }, 150_000, 150_000],
    ["forbidden by no-cache", "max-age=60, no-cache, stale-if-error=30", { staleIfError: 30_000 }, 0, 2 * minute],
    ["forbidden by must-revalidate", "max-age=60, must-revalidate", { staleIfError: 30_000 }, 0, 2 * minute],
    ["forbidden by proxy-revalidate", "max-age=60, proxy-revalidate", { staleIfError: 30_000 }, 0, 2 * minute],
    ["forbidden by s-maxage", "s-maxage=60, stale-if-error=30", { staleIfError: 30_000 }, 0, 2 * minute],
    [
      "not forbidden by a qualified no-cache",
      "max-age=60, no-cache=\"x\"",
      { staleIfError: 30_000 },
      90_000,
      2 * minute
    ],
    ["none, retained as the route says", "max-age=60", { retain: 1000 }, 0, 61_000],
    ["none, retained longer than a day", "max-age=60", { retain: 2 * day }, 0, 2 * day + minute]
  ])("on error, %s: %s", (_, value, policy, onError, retained) => {
    const kept = keep(control(value), { ...proxy, ...policy })
    expect(kept.staleIfErrorUntil).toBe(onError === 0 ? 0 : now + onError)
    expect(kept.retainUntil).toBe(now + retained)
  })
})

describe("Storability.decide: windows of what comes stale", () => {
  const ago = (seconds: number): string => HttpDate.format(now - seconds * 1000)
  const windows = "stale-while-revalidate=200, stale-if-error=200"

  it.each<[string, { readonly [name: string]: string }, number]>([
    ["Age", { "cache-control": `max-age=60, ${windows}`, "age": "160" }, 100],
    ["Age, past the windows", { "cache-control": `max-age=60, ${windows}`, "age": "260" }, 0],
    ["Age, well past the windows", { "cache-control": `max-age=60, ${windows}`, "age": "999" }, -739],
    ["Date", { "cache-control": `max-age=60, ${windows}`, "date": ago(160) }, 100],
    ["Date, of what is never fresh", { "cache-control": `max-age=0, ${windows}`, "date": ago(50) }, 150],
    ["Expires", { "cache-control": windows, "date": ago(160), "expires": ago(100) }, 100],
    ["Expires alone", { "cache-control": windows, "expires": ago(50) }, 150],
    ["Expires before Date", { "cache-control": windows, "date": ago(20), "expires": ago(50) }, 150],
    ["Expires that can't be read", { "cache-control": windows, "date": ago(20), "expires": "0" }, 180],
    ["Expires under max-age", { "cache-control": `max-age=60, ${windows}`, "expires": ago(999) }, 260],
    ["what is fresh", { "cache-control": `max-age=60, ${windows}`, "age": "20" }, 240]
  ])("74: they count from its staleness: %s", (_, response, left) => {
    for (const policy of [proxy, { ...proxy, staleWhileRevalidate: 200_000, staleIfError: 200_000 }]) {
      const kept = keep({ response }, policy)
      expect(kept).toMatchObject({
        staleWhileRevalidateUntil: now + left * 1000,
        staleIfErrorUntil: now + left * 1000
      })
      expect(kept.retainUntil).toBeGreaterThan(now)
    }
  })

  it("74: under expiry they count from the moment that the handler answered", () => {
    const policy = { ...origin, staleWhileRevalidate: 5000 }
    expect(keep({ response: { expires: ago(99) } }, policy).staleWhileRevalidateUntil).toBe(now - 94_000)
    expect(keep({ response: { age: "99" } }, policy).staleWhileRevalidateUntil).toBe(now + 15_000)
  })
})

describe("Storability.decide: no freshness of its own, and no expiry", () => {
  const modified = { "last-modified": HttpDate.format(now - 600_000) }

  it("is guessed from Last-Modified, and kept to be validated with an ETag", () => {
    expect(keep({ response: modified }).lifetime).toBe(60_000)
    expect(keep({ response: { etag: "\"a\"" } })).toMatchObject({ lifetime: 0, retainUntil: now + day })
  })

  it("is not guessed where the route has an expiry, whatever its status", () => {
    expect(keep({ response: modified }, origin).lifetime).toBe(10_000)
    expect(refusal({ response: modified, status: 410 }, origin)).toBe("no-freshness")
  })

  it("is not guessed where it is stated and can't be read", () => {
    expect(keep({ response: { ...modified, "cache-control": "max-age=x" } }).lifetime).toBe(0)
    expect(keep({ response: { ...modified, expires: "0" } }).lifetime).toBe(0)
  })
})

describe("Storability.decide: targeted fields", () => {
  const policy = { ...proxy, targets: ["CDN-Cache-Control"] }

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

describe("Storability.decide: what is kept", () => {
  const fieldsOf = (kept: Storability.Kept) => ({ ...kept.headers })

  it("hop-by-hop fields, those in Connection, Age and Set-Cookie are left behind", () => {
    const response = {
      "cache-control": "max-age=60",
      "connection": "close, X-Secret",
      "x-secret": "1",
      "keep-alive": "timeout=5",
      "proxy-authenticate": "Basic",
      "transfer-encoding": "chunked",
      "upgrade": "h2c",
      "age": "7",
      "set-cookie": "a=b",
      "content-type": "text/plain",
      "__proto__x": "kept"
    }
    const fields = { "cache-control": "max-age=60", "content-type": "text/plain", "__proto__x": "kept" }
    expect(fieldsOf(keep({ response }))).toEqual(fields)
    expect(fieldsOf(keep({ response, partition: "ada" }))).toEqual(fields)
  })

  it.each<[string, string, ReadonlyArray<string>]>([
    ["private=\"X-User\"", "", ["x-page"]],
    ["private=\"X-User\"", "ada", ["x-page", "x-user"]],
    ["no-cache=\"X-User\"", "", ["x-page"]],
    ["no-cache=\"X-User\"", "ada", ["x-page"]],
    ["no-cache=\"x-user\", private=\"x-page\"", "", []],
    ["no-cache=\"x-user\", private=\"x-page\"", "ada", ["x-page"]],
    ["private=\" x-user , other\"", "", ["x-page"]]
  ])("under %s, for %j, of x-page and x-user %j are kept", (value, partition, names) => {
    const response = { "cache-control": `max-age=60, ${value}`, "x-user": "ada", "x-page": "1" }
    const { headers } = keep({ response, partition })
    expect(Object.keys(headers).filter((name) => name !== "cache-control").sort()).toEqual(names)
  })

  it("what is kept never aliases the response", () => {
    const response = { "cache-control": "max-age=60", "etag": "\"a\"" }
    const { headers } = keep({ response })
    response.etag = "\"b\""
    expect(headers["etag"]).toBe("\"a\"")
  })

  it("it varies on what the response and the route name", () => {
    const response = { "cache-control": "max-age=60", "vary": "Origin, ACCEPT" }
    expect(keep({ response }, { ...proxy, vary: ["accept", "x"] }).vary).toEqual(["accept", "origin", "x"])
    expect(keep(control("max-age=60")).vary).toEqual([])
  })

  it("status, times and Date are kept; a missing or unreadable Date is the time it was received", () => {
    const dated = { "cache-control": "max-age=60", "date": HttpDate.format(now - 9000) }
    expect(keep({ response: dated, status: 404, requestTime: now - 1000 })).toMatchObject({
      status: 404,
      date: now - 9000,
      requestTime: now - 1000,
      responseTime: now
    })
    expect(keep({ response: { ...dated, date: "yesterday" } }).date).toBe(now)
    expect(keep(control("max-age=60")).date).toBe(now)
  })

  it("content of exactly the limit is kept, and so is none", () => {
    expect(keep({ ...control("max-age=60"), bodyBytes: 100 }).lifetime).toBe(60_000)
    expect(keep({ ...control("max-age=60"), bodyBytes: 0 }, { ...proxy, maxBodyBytes: 0 }).lifetime).toBe(60_000)
  })

  it("any Cache-Control gives a finite item or a refusal", () => {
    fc.assert(fc.property(fieldText, fieldText, fieldText, (value, age, expires) => {
      const storability = decide({ response: { "cache-control": value, age, expires } }, origin)
      if (storability._tag === "Refuse") return
      const { initialAge, lifetime, retainUntil } = storability.kept
      expect([initialAge, lifetime, retainUntil].every(Number.isFinite)).toBe(true)
      expect(retainUntil).toBeGreaterThan(now)
    }))
  })
})

describe("Storability: the answer", () => {
  const privately = { ...origin, cacheControl: "private" } as const
  const publicly = { ...origin, cacheControl: "public" } as const

  it.each<[string, Partial<Storability.Exchange>, Storability.Policy, boolean, boolean]>([
    ["nothing special", {}, origin, false, true],
    ["without expiry", control("max-age=60"), proxy, false, false],
    ["with freshness of its own", control("max-age=60"), origin, false, false],
    ["a status that expiry does not apply to", { status: 500 }, origin, false, false],
    ["to HEAD", { method: "HEAD" }, origin, false, true],
    ["too large", { bodyBytes: 101 }, origin, false, true],
    ["for somebody", { partition: "ada" }, origin, true, true],
    ["for somebody, and public", { ...control("public"), partition: "ada" }, origin, false, true],
    ["for somebody, and s-maxage", { ...control("s-maxage=5"), partition: "ada" }, origin, false, false],
    [
      "for somebody, and s-maxage that can't be read",
      { ...control("s-maxage=x"), partition: "ada" },
      origin,
      true,
      false
    ],
    ["for somebody, and must-revalidate", { ...control("must-revalidate"), partition: "ada" }, origin, true, true],
    ["for somebody, on a public route", { partition: "ada" }, publicly, true, true],
    ["of what was for one user", { isOfPersonal: true }, origin, true, false],
    ["of what was for one user, on a public route", { isOfPersonal: true }, publicly, true, false],
    ["of what was for another partition", { isOfPersonal: true, partition: "ada" }, origin, true, false],
    ["for somebody, refused", { partition: "ada", bodyBytes: 101 }, origin, true, true],
    ["for somebody, with cookies", { partition: "ada", setsCookies: true }, publicly, true, false],
    ["with cookies", { setsCookies: true }, origin, true, false],
    ["with cookies, on a public route", { setsCookies: true }, publicly, true, false],
    ["with cookies, to HEAD", { setsCookies: true, method: "HEAD" }, origin, true, false],
    ["with a pre-response handler", { setsPreResponseHandler: true }, origin, true, false],
    ["credentials were read", { readsCredentials: true }, origin, true, false],
    ["credentials were read, on a public route", { readsCredentials: true }, publicly, true, false],
    ["what can't be keyed was read", { readsUnkeyed: true }, origin, true, false],
    ["what can't be keyed was read, on a public route", { readsUnkeyed: true }, publicly, true, false],
    ["what can't be keyed was read, for somebody", { readsUnkeyed: true, partition: "ada" }, origin, true, false],
    ["for Authorization", authorized, origin, true, false],
    ["for Authorization, with must-revalidate", { ...authorized, ...control("must-revalidate") }, origin, false, true],
    ["for Authorization, refused for another reason", { ...authorized, ...control("no-store") }, origin, true, false],
    ["said to be private", control("private"), origin, true, false],
    ["varying on a cookie", { response: { vary: "cookie" } }, origin, true, false],
    ["on a private route", {}, privately, true, true],
    ["on a private route, with freshness of its own", control("max-age=60"), privately, true, false],
    ["on a private route, with cookies", { setsCookies: true }, privately, true, false],
    ["on a private route, for somebody", { partition: "ada" }, privately, true, true],
    ["with a Vary of *", { response: { vary: "*" } }, origin, false, true]
  ])("%s", (_, exchange, policy, isPrivate, expires) => {
    expect(decide(exchange, policy).answer).toEqual({ private: isPrivate, expires })
  })

  it("what is refused for privacy is told to be private, by an origin; what is passed on stays as it is", () => {
    const reasons = new Set<Detail>([
      "authorization",
      "cookies",
      "credentials",
      "pre-response-handler",
      "private",
      "unkeyed"
    ])
    for (const [detail, cause] of causes) {
      expect([detail, decide(caused(cause), origin).answer.private]).toEqual([detail, reasons.has(detail)])
      expect([detail, decide(caused(cause)).answer.private]).toEqual([detail, false])
    }
  })

  it.each([100, 103, 199, 600, 999])("a status that is not final, or none, is not kept: %s", (status) => {
    expect(refusal({ ...control("max-age=60"), status })).toBe("status")
  })

  it("of a stored response the same is told as when it was stored", () => {
    const values = [
      "",
      "public",
      "max-age=60",
      "s-maxage=60",
      "private=\"x\"",
      "must-revalidate",
      "no-cache",
      "private"
    ]
    const seen = new Set<string>()
    for (const policy of [proxy, origin, publicly]) {
      for (const partition of ["", "ada"]) {
        for (const exchange of values.flatMap((value) => [200, 500].map((status) => ({ ...control(value), status })))) {
          const storability = decide({ ...exchange, partition }, policy)
          if (storability._tag === "Refuse") continue
          expect(Storability.answerOf({ ...storability.kept, partition }, policy)).toEqual(storability.answer)
          seen.add(JSON.stringify(storability.answer))
        }
      }
    }
    expect(seen.size).toBe(4)
  })

  it("what Object.prototype holds is no field", () => {
    const response = Object.create({ "cache-control": "public, max-age=60", "vary": "*" })
    expect(refusal({ response })).toBe("no-freshness")
    expect(refusal({ request: Object.create(authorized.request) }, origin)).toBeUndefined()
    const stored = { status: 200, headers: response, partition: "ada", requestTime: now, responseTime: now }
    expect(Storability.answerOf(stored, origin)).toEqual({ private: true, expires: true })
  })
})
