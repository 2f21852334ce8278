/** What is kept: for how long, until when it may be stale, and with which fields (RFC 9111 §3.1, §4.2). */
import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as HttpDate from "../../src/protocol/HttpDate.js"
import type * as Storability from "../../src/protocol/Storability.js"
import { control, decide, keep, now, origin, proxy, refusal } from "./exchanges.js"
import { fieldText } from "./texts.js"

const day = 86_400_000

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

describe("Storability.decide: what is kept", () => {
  const fieldsOf = (kept: Storability.ItemHead) => ({ ...kept.headers })

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
