import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as CacheControl from "../../src/protocol/CacheControl.js"
import type * as Fields from "../../src/protocol/Fields.js"
import * as Freshness from "../../src/protocol/Freshness.js"
import * as HttpDate from "../../src/protocol/HttpDate.js"
import { text } from "./texts.js"

const now = Date.UTC(2026, 10, 22, 12)
const at = (seconds: number): string => HttpDate.format(now + seconds * 1000)
const times = { requestTime: now, responseTime: now }

const lifetime = (response: Fields.Fields): number | undefined =>
  Freshness.explicitLifetime(response, CacheControl.response(response["cache-control"]), false, times)

describe("Freshness.explicitLifetime", () => {
  it.each<[string, Fields.Fields, number | undefined]>([
    ["nothing stated", {}, undefined],
    ["a Date alone", { date: at(0) }, undefined],
    ["directives without freshness", { "cache-control": "public, no-cache" }, undefined],
    ["max-age", { "cache-control": "max-age=10" }, 10],
    ["max-age that can't be read", { "cache-control": "max-age=x" }, 0],
    ["s-maxage over max-age", { "cache-control": "max-age=10, s-maxage=20" }, 20],
    ["s-maxage of 0 over max-age", { "cache-control": "s-maxage=0, max-age=10" }, 0],
    ["s-maxage that can't be read over max-age", { "cache-control": "s-maxage=x, max-age=10" }, 0],
    ["s-maxage over Expires", { "cache-control": "s-maxage=20", "expires": at(30) }, 20],
    ["max-age over Expires", { "cache-control": "max-age=10", "expires": at(30) }, 10],
    ["max-age of 0 over Expires", { "cache-control": "max-age=0", "expires": at(30) }, 0],
    ["max-age that can't be read over Expires", { "cache-control": "max-age=-1", "expires": at(30) }, 0],
    ["2^31 seconds at most", { "cache-control": "max-age=99999999999" }, 2_147_483_648],
    ["Expires without Date", { expires: at(30) }, 30],
    ["Expires after Date", { expires: at(30), date: at(-10) }, 40],
    ["Expires and Date both ahead of our clock", { expires: at(3630), date: at(3600) }, 30],
    ["Expires and Date both behind our clock", { expires: at(-3570), date: at(-3600) }, 30],
    ["Expires with a Date that can't be read", { expires: at(30), date: "yesterday" }, 30],
    ["Expires at Date", { expires: at(0), date: at(0) }, 0],
    ["Expires before Date", { expires: at(-1), date: at(0) }, 0],
    ["Expires in the past without Date", { expires: at(-1) }, 0]
  ])("%s", (_, response, seconds) => {
    expect(lifetime(response)).toBe(seconds === undefined ? undefined : seconds * 1000)
  })

  it.each([
    "",
    "0",
    "-1",
    "never",
    "3600",
    `${at(30)}, ${at(30)}`,
    at(30).replace("GMT", "UTC"),
    at(30).replace("GMT", "+0000"),
    at(30).replace(" GMT", ""),
    ` ${at(30)} x`
  ])("Expires: %j is in the past", (expires) => {
    expect(lifetime({ expires, date: at(-60) })).toBe(0)
  })

  it("whatever the fields say, a lifetime is no negative number", () => {
    fc.assert(fc.property(text, text, text, (control, expires, date) => {
      expect(lifetime({ "cache-control": control, expires, date })).toBeGreaterThanOrEqual(0)
    }))
  })

  it("a targeted field states it without Expires", () => {
    const stated = (value: string) =>
      Freshness.explicitLifetime({ expires: at(30) }, CacheControl.response(value), true, times)
    expect([stated("no-cache"), stated("max-age=10")]).toEqual([undefined, 10_000])
  })
})

describe("Freshness.heuristicLifetime", () => {
  const guess = (status: number, response: Fields.Fields): number | undefined =>
    Freshness.heuristicLifetime(status, response, CacheControl.response(response["cache-control"]), times)
  const dated = (seconds: number): Fields.Fields => ({ "date": at(0), "last-modified": at(-seconds) })

  it.each<[string, number, Fields.Fields, number | undefined]>([
    ["a tenth of the time since it was modified", 200, dated(600), 60],
    ["a day at most", 200, dated(8_640_010), 86_400],
    ["counted from Date, not from now", 200, { "date": at(-100), "last-modified": at(-600) }, 50],
    ["counted from now without Date", 200, { "last-modified": at(-600) }, 60],
    ["none when it was modified after its Date", 200, dated(-600), 0],
    ["none with an ETag alone: it is there to be validated", 200, { etag: "\"a\"" }, 0],
    ["of a redirect", 308, dated(600), 60],
    ["of a 404", 404, dated(600), 60],
    ["not kept without a validator", 200, { date: at(0) }, undefined],
    ["not kept with a Last-Modified that can't be read", 200, { "last-modified": "yesterday" }, undefined],
    ["not kept with a status that isn't heuristically cacheable", 302, dated(600), undefined],
    ["not kept with an error", 500, dated(600), undefined],
    ["any status that is public", 302, { ...dated(600), "cache-control": "public" }, 60],
    ["not any status for its s-maxage", 302, { ...dated(600), "cache-control": "s-maxage=60" }, undefined],
    ["not any status where public can't be read", 302, { ...dated(600), "cache-control": "x public" }, undefined]
  ])("%s: %s %j", (_, status, response, seconds) => {
    expect(guess(status, response)).toBe(seconds === undefined ? undefined : seconds * 1000)
  })
})

describe("Freshness.heuristicLifetime of dates that say nothing", () => {
  it.each([
    ["Mon, 01 Jan 1990 00:00:00 GMT", 86_400],
    ["Sun, 31 Dec 1989 23:59:59 GMT", 0],
    ["Tue, 01 Jan 1980 00:00:00 GMT", 0],
    ["Thu, 01 Jan 1970 00:00:01 GMT", 0]
  ])("81: Last-Modified: %s gives %s seconds", (modified, seconds) => {
    const guess = (date: string) =>
      Freshness.heuristicLifetime(200, { date, "last-modified": modified }, CacheControl.response("public"), times)
    expect(guess(at(0))).toBe(seconds * 1000)
  })

  it("81: to a clock that is before 1990 itself they say what they say to any", () => {
    const early = { requestTime: 0, responseTime: 100_000_000 }
    const response = { "last-modified": "Thu, 01 Jan 1970 00:00:00 GMT" }
    expect(Freshness.heuristicLifetime(200, response, CacheControl.response(undefined), early)).toBe(10_000_000)
  })
})

describe("Freshness.overdue", () => {
  it.each<[Fields.Fields, number]>([
    [{}, 0],
    [{ expires: at(-30) }, 30],
    [{ expires: at(30) }, 0],
    [{ expires: at(-30), date: at(-30) }, 0],
    [{ expires: at(-30), date: at(-10) }, 20],
    [{ expires: "0" }, 0],
    [{ "expires": at(-30), "cache-control": "max-age=10" }, 0],
    [{ "expires": at(-30), "cache-control": "s-maxage=x" }, 0]
  ])("74: %j had been stale at its Date for %s seconds", (response, seconds) => {
    const directives = CacheControl.response(response["cache-control"])
    expect(Freshness.overdue(response, directives, false, times)).toBe(seconds * 1000)
    expect(Freshness.overdue(response, directives, true, times)).toBe(0)
  })
})

describe("Freshness.initialAge", () => {
  const age = (response: Fields.Fields, delay = 0) =>
    Freshness.initialAge(response, { requestTime: now - delay * 1000, responseTime: now }) / 1000

  it.each([
    ["7", 7],
    ["0", 0],
    ["007", 7],
    ["7, 9", 7],
    ["7,x", 7],
    [" 7 , 9", 7],
    ["2147483648", 2_147_483_648],
    ["2147483649", 2_147_483_648],
    ["9".repeat(400), 2_147_483_648],
    ["", 0],
    ["x", 0],
    ["x, 7", 0],
    ["-7", 0],
    ["+7", 0],
    ["7.0", 0],
    ["7s", 0],
    ["7 9", 0],
    ["\"7\"", 0],
    ["1e3", 0],
    ["0x7", 0],
    ["\u0667", 0]
  ])("Age: %j is %s seconds", (value, seconds) => {
    expect(age({ age: value })).toBe(seconds)
  })

  it.each<[string, Fields.Fields, number, number]>([
    ["the delay of the response counts", {}, 3, 3],
    ["the delay of the response adds to Age", { age: "7" }, 3, 10],
    ["a Date in the past is an age", { date: at(-30) }, 0, 30],
    ["a Date older than Age counts", { date: at(-30), age: "7" }, 3, 30],
    ["an Age older than Date counts", { date: at(-5), age: "7" }, 3, 10],
    ["a Date in the future is no age", { date: at(30) }, 0, 0],
    ["a Date in the future takes nothing from Age", { date: at(30), age: "7" }, 0, 7],
    ["a Date that can't be read is now", { date: "yesterday", age: "7" }, 0, 7],
    ["an answer before its question has no delay", { age: "7" }, -3, 7]
  ])("%s", (_, response, delay, seconds) => {
    expect(age(response, delay)).toBe(seconds)
  })

  it("a Date of the same second makes nothing older, one of the second before does", () => {
    const ageAt = (millis: number) =>
      Freshness.initialAge({ date: at(0) }, { requestTime: now + millis, responseTime: now + millis })
    expect([0, 999, 1000, 1001].map(ageAt)).toEqual([0, 0, 1000, 1001])
  })
})

describe("Freshness.date", () => {
  it.each([[{}, 0], [{ date: at(-5) }, -5], [{ date: at(5) }, 5], [{ date: "" }, 0], [{ date: "Thu" }, 0]])(
    "of %j it is the Date, else when it was received: %s seconds",
    (response, seconds) => {
      expect(Freshness.date(response, { requestTime: 0, responseTime: now })).toBe(now + seconds * 1000)
    }
  )

  it("the time it was received places a two-digit year", () => {
    const date = "Sunday, 22-Nov-99 00:00:00 GMT"
    const year = (now: string) =>
      new Date(Freshness.date({ date }, { requestTime: 0, responseTime: Date.parse(now) })).getUTCFullYear()
    expect([year("2026-11-22"), year("2060-11-22")]).toEqual([1999, 2099])
  })
})

describe("Freshness.currentAge", () => {
  it.each([[0, 5000], [1, 5001], [60_000, 65_000], [-1, 5000], [-60_000, 5000]])(
    "%s ms after it was received, what came 5 s old is %s ms old",
    (later, age) => {
      expect(Freshness.currentAge({ initialAge: 5000, responseTime: now }, now + later)).toBe(age)
    }
  )
})
