import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as HttpDate from "../../src/protocol/HttpDate.js"
import { text } from "./texts.js"

const now = Date.UTC(2026, 10, 22)
const example = Date.UTC(1994, 10, 6, 8, 49, 37)
const iso = (date: string, at = now): string | undefined => {
  const time = HttpDate.parse(date, at)
  return time === undefined ? undefined : new Date(time).toISOString()
}

describe("HttpDate", () => {
  it.each([
    ["IMF-fixdate", "Sun, 06 Nov 1994 08:49:37 GMT"],
    ["RFC 850", "Sunday, 06-Nov-94 08:49:37 GMT"],
    ["asctime", "Sun Nov  6 08:49:37 1994"],
    ["asctime with two digits for the day", "Sun Nov 06 08:49:37 1994"],
    ["IMF-fixdate in upper case", "SUN, 06 NOV 1994 08:49:37 GMT"],
    ["RFC 850 in lower case", "sunday, 06-nov-94 08:49:37 gmt"],
    ["asctime in mixed case", "sUN nOV  6 08:49:37 1994"],
    ["IMF-fixdate on the wrong day of the week", "Mon, 06 Nov 1994 08:49:37 GMT"],
    ["RFC 850 on the wrong day of the week", "Wednesday, 06-Nov-94 08:49:37 GMT"],
    ["asctime on the wrong day of the week", "Xyz Nov  6 08:49:37 1994"]
  ])("reads %s: %s", (_, date) => {
    expect(HttpDate.parse(date, now)).toBe(example)
  })

  it.each([
    "",
    "0",
    "-1",
    "now",
    "784111777",
    "1994-11-06T08:49:37Z",
    "Sun, 06 Nov 1994 08:49:37",
    "Sun, 06 Nov 1994 08:49:37 UTC",
    "Sun, 06 Nov 1994 08:49:37 EST",
    "Sun, 06 Nov 1994 08:49:37 +0000",
    "Sun, 06 Nov 1994 08:49:37 GMT+1",
    "Sunday, 06-Nov-94 08:49:37 PST",
    "Sun Nov  6 08:49:37 1994 GMT",
    "Sun,  06 Nov 1994 08:49:37 GMT",
    "Sun, 06  Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994  08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37  GMT",
    " Sun, 06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37 GMT ",
    "Sun, 06 Nov 1994 08:49:37 GMT\n",
    "Sun, 06\tNov 1994 08:49:37 GMT",
    "Sun,06 Nov 1994 08:49:37 GMT",
    "Sun 06 Nov 1994 08:49:37 GMT",
    "Sun, 6 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 94 08:49:37 GMT",
    "Sun, 06 Nov 19940 08:49:37 GMT",
    "Sun, 06 Noc 1994 08:49:37 GMT",
    "Sun, 06 11 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 8:49:37 GMT",
    "Sun, 06 Nov 1994 08:49 GMT",
    "Sun, 06 Nov 1994 08:49:37.0 GMT",
    "Sun, 06 Nov 1994 24:00:00 GMT",
    "Sun, 06 Nov 1994 08:60:00 GMT",
    "Sun, 06 Nov 1994 08:49:61 GMT",
    "Sun, 00 Nov 1994 08:49:37 GMT",
    "Thu, 31 Nov 1994 08:49:37 GMT",
    "Wed, 30 Feb 1994 08:49:37 GMT",
    "Tue, 29 Feb 1994 08:49:37 GMT",
    "Thu, 29 Feb 1900 08:49:37 GMT",
    "Sunday, 06 Nov 94 08:49:37 GMT",
    "Sunday, 06-Nov-1994 08:49:37 GMT",
    "Tuesday, 30-Feb-94 08:49:37 GMT",
    "Wed Feb 30 08:49:37 1994",
    "Sun Nov 6 08:49:37 1994",
    "Sun Nov   6 08:49:37 1994",
    "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT"
  ])("%j is no date", (date) => {
    expect(HttpDate.parse(date, now)).toBeUndefined()
  })

  it.each([
    ["Thu, 29 Feb 2024 00:00:00 GMT", "2024-02-29T00:00:00.000Z"],
    ["Tue, 29 Feb 2000 23:59:59 GMT", "2000-02-29T23:59:59.000Z"],
    ["Tuesday, 29-Feb-00 00:00:00 GMT", "2000-02-29T00:00:00.000Z"],
    ["Sat, 31 Dec 2016 23:59:60 GMT", "2016-12-31T23:59:59.000Z"],
    ["Wed, 31 Dec 1969 23:59:59 GMT", "1969-12-31T23:59:59.000Z"],
    ["Mon, 01 Jan 0001 00:00:00 GMT", "0001-01-01T00:00:00.000Z"],
    ["Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59.000Z"]
  ])("%s is %s", (date, expected) => {
    expect(iso(date)).toBe(expected)
  })

  it.each([
    ["2026-11-22", "26", "2026"],
    ["2026-11-22", "27", "2027"],
    ["2026-11-22", "75", "2075"],
    ["2026-11-22", "77", "1977"],
    ["2026-11-22", "99", "1999"],
    ["2026-11-22", "00", "2000"],
    ["2060-11-22", "09", "2009"],
    ["2060-11-22", "99", "2099"],
    ["1980-11-22", "79", "1979"],
    ["1980-11-22", "94", "1994"]
  ])("in %s the two-digit year %s is %s: no more than fifty years ahead", (at, year, expected) => {
    expect(iso(`Sunday, 22-Nov-${year} 00:00:00 GMT`, Date.parse(at))).toBe(`${expected}-11-22T00:00:00.000Z`)
  })

  it("within the fiftieth year ahead the day decides", () => {
    expect(iso("Friday, 20-Nov-76 00:00:00 GMT")).toBe("2076-11-20T00:00:00.000Z")
    expect(iso("Tuesday, 24-Nov-76 00:00:00 GMT")).toBe("1976-11-24T00:00:00.000Z")
  })

  it("a date that was formatted is the second that it was", () => {
    const second = fc.integer({ min: 0, max: Date.UTC(9999, 11, 31, 23, 59, 59) / 1000 })
    fc.assert(fc.property(second, fc.integer({ min: 0, max: 999 }), fc.integer(), (second, millis, now) => {
      expect(HttpDate.parse(HttpDate.format(second * 1000 + millis), now)).toBe(second * 1000)
    }))
    expect(HttpDate.format(example + 999)).toBe("Sun, 06 Nov 1994 08:49:37 GMT")
  })

  it("every day from 1970 to 2100 is read in each of the three forms", () => {
    const wrong: Array<string> = []
    for (let day = 0; day < 47_847; day++) {
      const time = day * 86_400_000 + 45_296_000
      const fixdate = HttpDate.format(time)
      const [name, date, month, year, clock] = fixdate.split(/,? /)
      const asctime = `${name} ${month} ${date!.replace(/^0/, " ")} ${clock} ${year}`
      const rfc850 = `${name}xxxday, ${date}-${month}-${year!.slice(2)} ${clock} GMT`
      wrong.push(...[fixdate, asctime, rfc850].filter((text) => HttpDate.parse(text, time) !== time))
    }
    expect(wrong).toEqual([])
  })

  it("any text is a date or none", () => {
    fc.assert(fc.property(text, fc.integer(), (value, now) => {
      expect(Number.isNaN(HttpDate.parse(value, now))).toBe(false)
    }))
  })
})
