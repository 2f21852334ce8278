/** What clients may be told of a response: that it is private, and how long it is fresh. */
import { describe, expect, it } from "@effect/vitest"
import type { Detail } from "../../src/protocol/CacheStatus.js"
import * as Storability from "../../src/protocol/Storability.js"
import { authorized, caused, causes, control, decide, now, origin, proxy, refusal } from "./exchanges.js"

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
    expect(decide(exchange, policy).told).toEqual({ private: isPrivate, expires })
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
      expect([detail, decide(caused(cause), origin).told.private]).toEqual([detail, reasons.has(detail)])
      expect([detail, decide(caused(cause)).told.private]).toEqual([detail, false])
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
          expect(Storability.toldOf({ ...storability.kept, partition }, policy)).toEqual(storability.told)
          seen.add(JSON.stringify(storability.told))
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
    expect(Storability.toldOf(stored, origin)).toEqual({ private: true, expires: true })
  })
})
