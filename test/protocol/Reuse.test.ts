import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { noRequestDirectives } from "../../src/protocol/CacheControl.js"
import * as Reuse from "../../src/protocol/Reuse.js"

type Asked = Partial<Parameters<typeof Reuse.decide>[1]>

const received = 1_000_000
const stored: Reuse.Terms = {
  initialAge: 2000,
  responseTime: received,
  lifetime: 10_000,
  alwaysValidate: false,
  staleForbidden: false,
  staleWhileRevalidateUntil: 0,
  staleIfErrorUntil: 0,
  retainUntil: received + 18_000
}

const decide = (now: number, asked: Asked = {}, terms: Partial<Reuse.Terms> = {}) =>
  Reuse.decide(
    { ...stored, ...terms },
    { ...noRequestDirectives, forOrigin: false, isHeld: true, isRepeatable: true, isBackedOff: false, ...asked },
    received + now
  )

const word = (reuse: Reuse.Reuse<Reuse.Terms>): string =>
  reuse._tag === "Forward" ? reuse.reason : reuse._tag.toLowerCase()

describe("Reuse.decide", () => {
  it("what is fresh is answered with its age and what is left of its lifetime", () => {
    expect(decide(3000)).toEqual({ _tag: "Serve", stored, age: 5000, ttl: 5000 })
  })

  it.each<[string, number, Asked, Partial<Reuse.Terms>, string]>([
    ["just received", 0, {}, {}, "serve"],
    ["a millisecond before its lifetime ends", 7999, {}, {}, "serve"],
    ["exactly at the end of its lifetime", 8000, {}, {}, "stale"],
    ["after its lifetime", 8001, {}, {}, "stale"],
    ["older than its lifetime when it came", 0, {}, { initialAge: 10_000 }, "stale"],
    ["without lifetime", 0, {}, { initialAge: 0, lifetime: 0 }, "stale"],
    ["the clock went back before it was received", -60_000, {}, {}, "serve"],
    ["74: by what clocks differ", -300_000, {}, {}, "serve"],
    ["74: well before it was received", -300_001, {}, {}, "stale"],
    ["74: well before, max-stale", -3_600_000, { maxStale: Infinity }, {}, "stale"],
    ["74: well before, in a window", -3_600_000, {}, { staleWhileRevalidateUntil: received + 9000 }, "stale"],
    ["74: well before, dropped", -3_600_000, {}, { retainUntil: received - 3_600_000 }, "uri-miss"],
    ["a millisecond before it is dropped", 17_999, { maxStale: Infinity }, {}, "serve"],
    ["exactly when it is dropped", 18_000, { maxStale: Infinity }, {}, "uri-miss"],
    ["dropped while it is fresh", 0, {}, { retainUntil: received }, "uri-miss"],
    ["dropped, whatever else is asked", 18_000, { noCache: true }, { alwaysValidate: true }, "uri-miss"],

    ["no-cache, while it is fresh", 0, {}, { alwaysValidate: true }, "stale"],
    ["no-cache, max-stale", 0, { maxStale: Infinity }, { alwaysValidate: true }, "stale"],

    ["max-stale without a number", 17_000, { maxStale: Infinity }, {}, "serve"],
    ["max-stale, exactly", 11_000, { maxStale: 3 }, {}, "serve"],
    ["max-stale, a millisecond more", 11_001, { maxStale: 3 }, {}, "stale"],
    ["max-stale of 0, exactly at the end", 8000, { maxStale: 0 }, {}, "serve"],
    ["max-stale of 0, a millisecond more", 8001, { maxStale: 0 }, {}, "stale"],
    ["must-revalidate, max-stale", 8000, { maxStale: Infinity }, { staleForbidden: true }, "stale"],
    ["must-revalidate, while it is fresh", 7999, {}, { staleForbidden: true }, "serve"],
    ["must-revalidate, max-stale, while it is fresh", 7999, { maxStale: 1 }, { staleForbidden: true }, "serve"],

    ["a client's no-cache", 0, { noCache: true }, {}, "request"],
    ["a client's no-cache, stale", 8000, { noCache: true }, {}, "stale"],
    ["a condition for the origin", 0, { forOrigin: true }, {}, "request"],
    ["a condition for the origin, max-stale", 8000, { forOrigin: true, maxStale: 9 }, {}, "request"],
    ["a client's no-store says nothing of what is stored", 0, { noStore: true }, {}, "serve"],
    ["only-if-cached", 0, { onlyIfCached: true }, {}, "serve"],

    ["max-age, exactly", 3000, { maxAge: 5 }, {}, "serve"],
    ["max-age, a millisecond more", 3001, { maxAge: 5 }, {}, "request"],
    ["max-age of 0", 0, { maxAge: 0 }, {}, "request"],
    ["max-age of 0 and an age of 0", 0, { maxAge: 0 }, { initialAge: 0 }, "serve"],
    ["max-age, stale", 8000, { maxAge: 60 }, {}, "stale"],
    ["max-age and max-stale", 9000, { maxAge: 60, maxStale: 5 }, {}, "serve"],

    ["min-fresh, exactly", 3000, { minFresh: 5 }, {}, "serve"],
    ["min-fresh, a millisecond less", 3001, { minFresh: 5 }, {}, "request"],
    ["min-fresh of 0", 7999, { minFresh: 0 }, {}, "serve"],
    ["min-fresh longer than the lifetime", 0, { minFresh: 11 }, { initialAge: 0 }, "request"],
    ["min-fresh against max-stale", 8000, { minFresh: 1, maxStale: 5 }, {}, "request"]
  ])("%s", (_, now, asked, terms, expected) => {
    expect(word(decide(now, asked, terms))).toBe(expected)
  })

  it("within its window, whoever takes it as it is and wants nothing fetched has nothing fetched", () => {
    const swr = { staleWhileRevalidateUntil: received + 60_000 }
    expect(decide(9500, { maxStale: 5, onlyIfCached: true }, swr)._tag).toBe("Serve")
    expect(decide(9500, { maxStale: 5 }, swr)._tag).toBe("Revalidate")
    expect(decide(9500, { onlyIfCached: true }, swr)._tag).toBe("Revalidate")
  })

  it("what is served stale says by how much", () => {
    expect(decide(9500, { maxStale: 5 })).toMatchObject({ _tag: "Serve", age: 11_500, ttl: -1500 })
  })

  it("nothing stale is served unless the client accepts it and nothing forbids it, and nothing that was dropped", () => {
    const millis = fc.integer({ min: 0, max: 20_000 })
    const seconds = fc.option(fc.integer({ min: 0, max: 20 }), { nil: undefined })
    const terms = fc.record({
      initialAge: millis,
      responseTime: fc.constant(received),
      lifetime: millis,
      alwaysValidate: fc.boolean(),
      staleForbidden: fc.boolean(),
      staleWhileRevalidateUntil: millis.map((later) => received + later),
      staleIfErrorUntil: fc.constant(0),
      retainUntil: millis.map((later) => received + later)
    })
    const asked = fc.record({
      noStore: fc.boolean(),
      noCache: fc.boolean(),
      onlyIfCached: fc.boolean(),
      forOrigin: fc.boolean(),
      isHeld: fc.constant(true),
      isRepeatable: fc.boolean(),
      isBackedOff: fc.constant(false),
      maxAge: seconds,
      minFresh: seconds,
      maxStale: seconds
    })
    fc.assert(
      fc.property(terms, asked, fc.integer({ min: -5000, max: 20_000 }), (terms, asked, later) => {
        const reuse = Reuse.decide(terms, asked, received + later)
        if (reuse._tag === "Forward") return
        expect(reuse.ttl).toBe(terms.lifetime - reuse.age)
        expect(reuse.age).toBeGreaterThanOrEqual(terms.initialAge)
        expect(terms.alwaysValidate || asked.noCache || asked.forOrigin).toBe(false)
        expect(received + later).toBeLessThan(terms.retainUntil)
        if (reuse.ttl <= 0) {
          expect(terms.staleForbidden).toBe(false)
          const isInWindow = asked.isRepeatable && received + later < terms.staleWhileRevalidateUntil
          const isAccepted = -reuse.ttl <= (asked.maxStale ?? -1) * 1000
          expect(isAccepted || isInWindow).toBe(true)
          expect(reuse._tag).toBe(isInWindow && !(isAccepted && asked.onlyIfCached) ? "Revalidate" : "Serve")
        }
      }),
      { numRuns: 2000 }
    )
  })
})

describe("Reuse.insteadOfError", () => {
  const instead = (status: number, later: number, asked: Asked = {}, staleIfErrorUntil = received + 9000) =>
    Reuse.insteadOfError(
      { ...stored, staleIfErrorUntil },
      status,
      { ...noRequestDirectives, forOrigin: false, isHeld: true, isRepeatable: true, isBackedOff: false, ...asked },
      received + later
    )

  it.each([500, 502, 503, 504])("what is stale stands in for a %s until its window ends", (status) => {
    expect([0, 8999, 9000, 9001].map((later) => instead(status, later))).toEqual([true, true, false, false])
  })

  it.each([200, 304, 400, 403, 404, 410, 501, 505, 511])("a %s is an answer", (status) => {
    expect(instead(status, 0)).toBe(false)
  })

  it("74: not what a clock that went back by an hour left ahead", () => {
    expect([-1000, -300_000, -300_001, -3_600_000].map((later) => instead(503, later)))
      .toEqual([true, true, false, false])
  })

  it("neither without a window, nor for a client that says no-cache", () => {
    expect(instead(503, 0, {}, 0)).toBe(false)
    expect(instead(503, 0, { noCache: true })).toBe(false)
  })
})

describe("Reuse.softened", () => {
  const freshUntil = received + 8000

  it.each<[string, Partial<Reuse.Terms>, true | "unless-error", number]>([
    ["stands in for no error", { staleIfErrorUntil: freshUntil + 5000 }, true, 0],
    ["unless-error, for as long as it was fresh", {}, "unless-error", freshUntil],
    [
      "unless-error, to the end of its window",
      { staleIfErrorUntil: freshUntil + 5000 },
      "unless-error",
      freshUntil + 5000
    ],
    ["unless-error, not at all where it was never fresh", { alwaysValidate: true }, "unless-error", 0]
  ])("is validated before it is used, and %s", (_, terms, soft, staleIfErrorUntil) => {
    const softened = Reuse.softened({ ...stored, staleWhileRevalidateUntil: freshUntil + 5000, ...terms }, soft)
    for (const now of [0, 7999, 9000]) expect(word(decide(now, {}, softened))).toBe("stale")
    expect(softened.staleIfErrorUntil).toBe(staleIfErrorUntil)
  })
})
