/** Fields that are normalised before they select: key, variant and handler have what was made of them. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import { CachePolicy, HttpCache, withCache, withCollect } from "effect-http-cache"
import type { HttpCacheLane } from "effect-http-cache/node"
import { QuietServer, routes, serve } from "./harness.js"
import { laneServer } from "./lane.js"
import { Dice } from "./simulation.js"

type Varying = NonNullable<HttpCache.Options["vary"]>
const { acceptEncoding, acceptLanguage } = CachePolicy

/** A handler that says what it sees of a field, and in which run. */
const seeing = (field: string) => {
  let runs = 0
  return Effect.map(
    HttpServerRequest.HttpServerRequest,
    ({ headers }) => HttpServerResponse.text(`${headers[field] ?? "absent"} ${++runs}`)
  )
}

const detailed = { cacheStatus: { detail: true } } as const

/** What the handler of a route that normalises a field sees of these values, each for a URI of its own. */
const seenOf = (field: string, vary: Varying, values: ReadonlyArray<string | undefined>) =>
  Effect.gen(function*() {
    const ask = yield* serve(seeing(field).pipe(withCache({ expiry: 60, vary })))
    const replies = yield* Effect.forEach(
      values,
      (value, index) => ask(`/${index}`, { headers: value === undefined ? {} : { [field]: value } })
    )
    return replies.map(({ text }) => text.split(" ")[0])
  })

const seen = (field: string, vary: Varying, expected: ReadonlyArray<readonly [string | undefined, string]>) =>
  Effect.gen(function*() {
    const made = yield* seenOf(field, vary, expected.map(([value]) => value))
    expect(expected.map(([value], index) => [value, made[index]])).toEqual(expected)
  }).pipe(Effect.provide(QuietServer))

describe("acceptLanguage", () => {
  it.scoped("looks a language up as RFC 4647 §3.4 does", () =>
    seen("accept-language", [acceptLanguage(["en", "de", "de-CH-1996", "zh-Hant", "pt-BR"])], [
      [undefined, "en"],
      ["", "en"],
      ["fr", "en"],
      ["de", "de"],
      ["DE-at", "de"],
      ["de-CH", "de"],
      ["de-CH-1996", "de-ch-1996"],
      ["de-CH-1996-x-mine", "de-ch-1996"],
      ["zh-Hant-CN-x-private1-private2", "zh-hant"],
      ["zh-Hans", "en"],
      // A range finds nothing that is narrower.
      ["pt", "en"],
      ["den", "en"],
      ["fr, de;q=0.5", "de"],
      ["en;q=0.5, de;q=0.7", "de"],
      ["en;q=0.5;x=1, de ; Q=0.70", "de"],
      ["de, en", "de"],
      ["de;q=0.5, en;q=0.5", "de"],
      ["fr, fr, de, de", "de"],
      ["*", "en"],
      ["*, de;q=0.1", "de"],
      ["de;q=2, pt-BR;q=0.1", "pt-br"],
      [",;,q=1,;q=1", "en"]
    ]))

  it.scoped("refuses what has a weight of 0, by what is named most closely", () =>
    seen("accept-language", [acceptLanguage(["en", "de", "de-CH"])], [
      ["en;q=0", "de"],
      ["EN;q=0.000, *", "de"],
      ["de-CH, de;q=0", "de-ch"],
      ["de-AT, de;q=0", "en"],
      ["de, de-CH;q=0", "de"],
      ["de-CH, de-CH;q=0", "de-ch"],
      ["en;q=0, de;q=0", "en"],
      ["*;q=0", "en"],
      ["de-AT, *;q=0", "de"]
    ]))

  it.scoped("takes no time for what nobody prefers", () =>
    seen("accept-language", [acceptLanguage(["en", "de"])], [
      [`${"a-".repeat(7000)}a`, "en"],
      [`${"x, ".repeat(4000)}de`, "de"]
    ]))
})

describe("acceptEncoding", () => {
  it.scoped("chooses a coding as RFC 9110 §12.5.3 does", () =>
    seen("accept-encoding", [acceptEncoding(["br", "gzip"])], [
      [undefined, "identity"],
      ["", "identity"],
      ["deflate, zstd", "identity"],
      ["gzip, deflate, br, zstd", "br"],
      ["GZIP", "gzip"],
      ["x-gzip", "gzip"],
      ["br;q=0.5, gzip", "gzip"],
      ["gzip;q=0.5, br;q=0.5", "br"],
      ["br;q=0, gzip", "gzip"],
      ["br;q=0, gzip;q=0.0", "identity"],
      ["*", "br"],
      ["*;q=0.1, gzip", "gzip"],
      ["br;q=0, *", "gzip"],
      ["*;q=0", "identity"],
      ["identity", "identity"],
      ["identity, gzip;q=0.5", "identity"],
      ["identity;q=0.5, gzip;q=0.5", "gzip"],
      // It can't be had: RFC 9110 leaves that to the server.
      ["identity;q=0, zstd", "identity"],
      ["gzip;q=nonsense", "identity"],
      ["gzip, gzip, gzip;q=0", "gzip"]
    ]))
})

describe("60: what is made of a field", () => {
  it.scoped("selects: thirty spellings of a preference are two runs, and one collect forgets both", () =>
    Effect.gen(function*() {
      const dice = new Dice(1)
      const spelled = (language: string) => {
        const others = dice.some(["fr", "nl;q=0.9", "es-ES", "*;q=0.1"], 3).filter((other) => !other.startsWith("*"))
        return [...others, `${language}${dice.one(["", "-CH", "-x-y"])};q=0.${1 + dice.below(8)}`].join(
          dice.one([",", ", "])
        )
      }
      const spellings = new Set<string>()
      while (spellings.size < 30) spellings.add(spelled(spellings.size % 2 === 0 ? "en" : "de"))
      const ask = yield* serve(routes({
        "GET /": seeing("accept-language").pipe(withCache({ expiry: 60, vary: [acceptLanguage(["en", "de"])] })),
        "PATCH /": Effect.succeed(HttpServerResponse.empty()).pipe(withCollect())
      }))
      const asks = Effect.forEach([...spellings], (value) => ask("/", { headers: { "accept-language": value } }))
      const replies = yield* asks
      expect(replies.filter(({ cacheStatus }) => cacheStatus.startsWith("hit"))).toHaveLength(28)
      expect(replies.map(({ text }) => text)).toEqual(replies.map((_, index) => index % 2 === 0 ? "en 1" : "de 2"))
      expect(new Set(replies.map(({ headers: { vary } }) => vary))).toEqual(new Set(["accept-language"]))
      yield* ask("/", { method: "PATCH" })
      expect(new Set((yield* asks).map(({ text }) => text))).toEqual(new Set(["en 3", "de 4"]))
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("is what the handler sees, whichever way it looks, and what a lookup asks for", () =>
    Effect.gen(function*() {
      const looking = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers, source }) => {
        // A request of Node's has its fields twice.
        const { rawHeaders } = source as { readonly rawHeaders: ReadonlyArray<string> }
        const raw = rawHeaders[rawHeaders.findIndex((name) => name === "x-tier") + 1]
        return HttpServerResponse.text(`${headers["x-tier"]} ${raw}`, { headers: { "cache-control": "public" } })
      })
      const as = (value = "none") => value.toUpperCase().slice(0, 4)
      const ask = yield* serve(looking.pipe(withCache({ expiry: 60, vary: [{ field: "X-Tier", as }] })))
      const headers = { "x-tier": "gold-2" }
      expect((yield* ask("/", { headers })).text).toBe("GOLD GOLD")
      expect((yield* ask("/")).text).toBe("NONE NONE")
      const found = yield* HttpCache.lookup(`http://127.0.0.1:${ask.port}/`, { headers: { "x-tier": "GOLD" } })
      expect(new TextDecoder().decode(found.body)).toBe("GOLD GOLD")
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("gets a value in one spelling, and its answer is given one; undefined is an absent field", () =>
    Effect.gen(function*() {
      const got: Array<string | undefined> = []
      const as = (value: string | undefined) => {
        got.push(value)
        return value === "a, b" ? " c ,d " : undefined
      }
      const made = yield* seenOf("x-a", [{ field: "x-a", as }], ["a,b", " a , b ", "other", undefined])
      expect([got, made]).toEqual([["a, b", "a, b", "other", undefined], ["c,", "c,", "absent", "absent"]])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped.each<[string, (value: string | undefined) => unknown]>([
    ["throws", () => {
      throw new Error("no")
    }],
    ["answers no text", () => 5],
    ["answers null", () => null],
    ["answers a promise", () => Promise.resolve("en")],
    ["answers what is no value of a field", () => "a\r\nb"]
  ])("passes by where a function %s, and answers nobody else's response", ([, wrong]) =>
    Effect.gen(function*() {
      const as = (value: string | undefined) => (value === "bad" ? wrong(value) : "good") as string
      const ask = yield* serve(seeing("x-a").pipe(withCache({ ...detailed, expiry: 60, vary: [{ field: "x-a", as }] })))
      yield* ask("/")
      const outcomes = yield* Effect.forEach(
        ["bad", "bad", "other"],
        (value) => ask("/", { headers: { "x-a": value } })
      )
      expect(outcomes.map(({ cacheStatus, text }) => [text, cacheStatus])).toEqual([
        ["bad 2", "fwd=bypass; detail=field"],
        ["bad 3", "fwd=bypass; detail=field"],
        ["good 1", "hit; ttl=60"]
      ])
    }).pipe(Effect.provide(QuietServer)))

  class Device implements CachePolicy.VaryField {
    get field() {
      return "x-device"
    }
    as(value: string | undefined) {
      return value ?? this.field
    }
  }

  it.scoped.each<[string, CachePolicy.VaryField]>([
    ["of a class", new Device()],
    ["of an object", Object.freeze({ field: "x-device", as: Device.prototype.as })]
  ])(
    "171: is made by a method %s, which may look at its own object",
    ([, varying]) => seen("x-device", [varying], [[undefined, "x-device"], ["a", "a"]])
  )

  it.scoped("is what a refresh in the background asks with, and what a partition is made of", () =>
    Effect.gen(function*() {
      const partition = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => headers["accept-language"])
      const vary = [acceptLanguage(["en", "de"])]
      const handler = seeing("accept-language")
      const ask = yield* serve(routes({
        "GET /refreshed": handler.pipe(withCache({ expiry: 10, staleWhileRevalidate: 60, refreshWait: 1, vary })),
        "GET /partition": handler.pipe(withCache({ expiry: 10, vary, partition }))
      }))
      const german = { headers: { "accept-language": "de-CH, en;q=0.5" } }
      expect((yield* ask("/refreshed", german)).text).toBe("de 1")
      yield* TestClock.adjust("11 seconds")
      expect((yield* ask("/refreshed", { headers: { "accept-language": "de-AT" } })).text).toBe("de 2")
      expect((yield* ask("/partition", german)).text).toBe("de 3")
      expect((yield* ask("/partition", { headers: { "accept-language": "de" } })).cacheStatus).toBe("hit; ttl=10")
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("is what a cache beneath begins with, and another cache beneath selects by its own", () =>
    Effect.gen(function*() {
      const inner = seeing("accept-language").pipe(withCache({ expiry: 60, name: "inner" }))
      const narrower = seeing("accept-language").pipe(
        withCache({ expiry: 60, name: "inner", vary: [acceptLanguage(["de-CH", "de"])] })
      )
      const ask = yield* serve(routes({
        "GET /outer": inner.pipe(withCache({ expiry: 60, name: "outer", vary: [acceptLanguage(["en", "de"])] })),
        "GET /inner": narrower.pipe(withCache({ expiry: 60, name: "outer" }))
      }))
      const texts = (path: string) =>
        Effect.forEach(
          ["de-CH", "de-AT", "fr", "de-CH"],
          (value) => Effect.map(ask(path, { headers: { "accept-language": value } }), ({ text }) => text)
        )
      expect(yield* texts("/outer")).toEqual(["de 1", "de 1", "en 2", "de 1"])
      expect(yield* texts("/inner")).toEqual(["de-ch 1", "de 2", "de-ch 1", "de-ch 1"])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("is decided by the route where Defaults say something of the field too", () =>
    Effect.gen(function*() {
      const route = (vary: Varying) => seeing("accept-language").pipe(withCache({ expiry: 60, vary }))
      const app = routes({
        "GET /defaults": route([]),
        "GET /plain": route(["Accept-Language"]),
        "GET /own": route([acceptLanguage(["fr", "nl"])])
      })
      const ask = yield* serve(Effect.provide(app, HttpCache.defaults({ vary: [acceptLanguage(["en", "de"])] })))
      const replies = yield* Effect.forEach(
        ["/defaults", "/plain", "/own"],
        (path) => ask(path, { headers: { "accept-language": "nl-BE, de;q=0.5" } })
      )
      expect(replies.map(({ text }) => text.slice(0, -2))).toEqual(["de", "nl-be, de;q=0.5", "nl"])
    }).pipe(Effect.provide(QuietServer)))

  it.scoped("is not stored of a POST whose handler saw the field as it came", () =>
    Effect.gen(function*() {
      const answering = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers, method, originalUrl }) =>
        HttpServerResponse.text(`${method} ${headers["x-a"]}`, {
          headers: { "cache-control": "max-age=60", "content-location": originalUrl }
        }))
      const ask = yield* serve(routes({
        "* /plain": answering.pipe(withCache({ vary: ["x-a"] })),
        "* /made": answering.pipe(withCache({
          vary: [{
            field: "x-a",
            as: () =>
              "made"
          }]
        }))
      }))
      const headers = { "x-a": "raw" }
      const stored = (path: string) =>
        Effect.andThen(
          ask(path, { method: "POST", headers }),
          Effect.map(ask(path, { headers }), ({ text }) =>
            text)
        )
      expect(yield* stored("/plain")).toBe("POST raw")
      expect(yield* stored("/made")).toBe("GET made")
    }).pipe(Effect.provide(QuietServer)))
})

describe("the lane", () => {
  it.scoped("normalises as the route does, and leaves to it what can't be", () =>
    Effect.gen(function*() {
      const hits: Array<HttpCacheLane.Hit> = []
      const context = yield* Layer.build(laneServer((hit) => hits.push(hit)))
      const as = (value = "") => {
        if (value === "bad") throw new Error("no")
        return value.slice(0, 1)
      }
      const handler = seeing("x-a").pipe(withCache({ expiry: 60, lane: true, vary: [{ field: "x-a", as }] }))
      const ask = yield* Effect.provide(serve(handler), context)
      const asks = (value: string) =>
        Effect.map(ask("/", { headers: { "x-a": value } }), ({ text }) => [text, hits.length])
      expect(yield* Effect.forEach(["a1", "a2", "a3", "a", "b", "b1", "bad", "a4"], asks)).toEqual([
        ["a 1", 0],
        ["a 1", 0],
        ["a 1", 1],
        ["a 1", 2],
        ["b 2", 2],
        ["b 2", 3],
        ["bad 3", 3],
        ["a 1", 4]
      ])
    }))
})

describe("an option that is wrong", () => {
  it.each<[unknown, string]>([
    [["a b"], "must be a list of request field names, such as [\"Accept-Language\"], or of { field, as }"],
    [[{ field: "x-a" }], "must be a list of request field names"],
    [[{ field: "x-*", as: String }], "must be a list of request field names"],
    [[{ field: "x-a", as: String, or: 1 }], "must be a list of request field names"],
    [[{ field: "Cookie", as: String }], "must be without Cookie and Authorization"],
    [
      [{ field: "Range", as: String }],
      "must be without { field, as } for a field that is part of the key, or that HTTP"
    ],
    [["X-A", { field: "x-a", as: String }], "must be without another member for a field that has { field, as }"]
  ])("%j: %s", (vary, sentence) => {
    expect(() => withCache({ vary: vary as Varying })).toThrow(TypeError)
    expect(() => withCache({ vary: vary as Varying })).toThrow(sentence)
  })

  it("says what a language is, and a coding", () => {
    for (const wrong of [[], ["e n"], ["*"], "en", undefined]) {
      expect(() => acceptLanguage(wrong as ReadonlyArray<string>)).toThrow(
        /^CachePolicy.acceptLanguage: the languages are .*; they must be a list of language tags, such as \["en", "pt-BR"\], /
      )
      expect(() => acceptEncoding(wrong === undefined ? wrong as never : ["*"])).toThrow(
        /^CachePolicy.acceptEncoding: the codings are .*; they must be a list of content codings, such as \["br", "gzip"\], /
      )
    }
  })
})
