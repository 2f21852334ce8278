/**
 * 46: four times the text may take four times as long: each parser is timed with 64 KB and 256 KB of what might make it
 * look twice. The exit code is 1 when the larger takes more than six times the smaller.
 */
import { Effect } from "effect"
import { CacheStorage, InMemoryCacheStorage } from "effect-http-cache"
import { itemOf, lookupOf } from "effect-http-cache/testing"
import * as CacheControl from "../src/protocol/CacheControl.js"
import * as CacheKey from "../src/protocol/CacheKey.js"
import * as EntityTag from "../src/protocol/EntityTag.js"
import * as Fields from "../src/protocol/Fields.js"
import * as HttpDate from "../src/protocol/HttpDate.js"
import * as Preconditions from "../src/protocol/Preconditions.js"
import * as Range from "../src/protocol/Range.js"
import * as Vary from "../src/protocol/Vary.js"

const sizes = [64 * 1024, 256 * 1024] as const
const runs = 20
const limit = 6
/** Milliseconds that a heap may take to find room for 256 KB. What is quadratic takes seconds more. */
const slack = 5
/** A shorter timing says more of the machine than of the parser: such calls are repeated within one. */
const shortest = 0.2
/** Milliseconds after which one call says enough. */
const patience = 1000
/** A neighbour on the machine is slow once; a parser that isn't linear is slow each time. */
const attempts = 3

const base = CacheKey.target("/a", "http://example.com")
const now = Date.UTC(2026, 0, 1)
const current = { etag: "\"a\"", lastModified: undefined }

const parsers: { readonly [name: string]: (text: string) => unknown } = {
  "Fields.members": Fields.members,
  "HttpDate.parse": (text) => HttpDate.parse(text, now),
  "CacheControl.response": CacheControl.response,
  "CacheControl.request": (text) => CacheControl.request({ "cache-control": text }),
  "EntityTag.parse": EntityTag.parse,
  "EntityTag.parseList": EntityTag.parseList,
  "Vary.parse": Vary.parse,
  "Vary.variant": (text) => Vary.variant(["accept"], { accept: text }),
  "CacheKey.target": (text) => CacheKey.target(text, base.origin),
  "CacheKey.make": (text) => CacheKey.make({ ...base, query: text }, { except: ["a"] }),
  "CacheKey.make, sorted": (text) => CacheKey.make({ ...base, query: text }, { sort: true }),
  "CacheKey.resolve": (text) => CacheKey.resolve(text, base),
  "Preconditions.evaluate": (text) =>
    Preconditions.evaluate("GET", { "if-match": text, "if-none-match": text }, current, { now, isOrigin: true }),
  "Range.select": (text) => Range.select("GET", { range: `bytes=${text}` }, { status: 200, fields: {} }, 100, now)
}

const repeated = (unit: string) => (size: number) => unit.repeat(Math.ceil(size / unit.length)).slice(0, size)

const inputs: { readonly [name: string]: (size: number) => string } = {
  "commas": repeated(","),
  "quotes": repeated("\""),
  "spaces": repeated(" "),
  "a": repeated("a"),
  "backslashes": repeated("\\"),
  "\",": repeated("\","),
  "\"\\": repeated("\"\\"),
  "open quote": (size) => `"${repeated(",\\")(size - 1)}`,
  "inner spaces": (size) => `"a"${repeated(" ")(size - 4)}a`
}

/** Milliseconds for one call. */
const timed = (parser: (text: string) => unknown, text: string, calls: number): number => {
  const start = performance.now()
  for (let call = 0; call < calls; call++) parser(text)
  return (performance.now() - start) / calls
}

const median = (times: ReadonlyArray<number>): number => {
  const sorted = [...times].sort((a, b) => a - b)
  return (sorted[runs / 2 - 1]! + sorted[runs / 2]!) / 2
}

type Times = readonly [small: number, large: number]

const isLinear = ([small, large]: Times): boolean => large <= limit * small + slack

/** The medians of both sizes, timed in turn, so that a slow moment is a slow moment for both. */
const measure = (parser: (text: string) => unknown, input: (size: number) => string): Times => {
  const texts = sizes.map(input)
  const first: Times = [timed(parser, texts[0]!, 1), timed(parser, texts[1]!, 1)]
  if (first[1] > patience) return first
  const calls = texts.map((text) => {
    for (let call = 0; call < 3; call++) parser(text)
    return Math.min(10_000, Math.ceil(shortest / Math.max(timed(parser, text, 3), 1e-6)))
  })
  const times: readonly [Array<number>, Array<number>] = [[], []]
  for (let run = 0; run < runs; run++) {
    for (const size of [0, 1] as const) times[size].push(timed(parser, texts[size]!, calls[size]!))
  }
  return [median(times[0]), median(times[1])]
}

const started = performance.now()
const failures: Array<string> = []
console.log(`${"".padEnd(24)}${Object.keys(inputs).map((name) => name.padStart(14)).join("")}`)
for (const [name, parser] of Object.entries(parsers)) {
  const cells = Object.entries(inputs).map(([inputName, input]) => {
    let times = measure(parser, input)
    for (let attempt = 1; attempt < attempts && !isLinear(times) && times[1] < patience; attempt++) {
      times = measure(parser, input)
    }
    const [small, large] = times
    if (!isLinear(times)) {
      failures.push(
        `${name} isn't linear: ${inputName}: ${small.toFixed(1)} ms for 64 KB, ${large.toFixed(1)} for 256 KB`
      )
    }
    return `${large.toFixed(3)} ${`×${(large / small).toFixed(1)}`.padStart(5)}`.padStart(14)
  })
  console.log(name.padEnd(24) + cells.join(""))
}
/** 85: a long field is read once for a look-up, however many variants there are to look through. */
const lookUp = (variants: number) => {
  const items = Array.from(
    { length: variants },
    (_, at) => itemOf("", lookupOf({ "accept-language": `${at}` }), { vary: ["accept-language"] })
  )
  return (text: string) => {
    const variantOf = (vary: ReadonlyArray<string>) => Vary.variant(vary, { "accept-language": text }, { depth: 0 })
    return CacheStorage.select(items, lookupOf({}, { variantOf }))
  }
}
const preferences = repeated("en-GB;q=0.5, ")(15 * 1024)
const lookUps = [1, 64].map(lookUp)
const timesOf = () => lookUps.map((find) => median(Array.from({ length: runs }, () => timed(find, preferences, 50))))
let [one = 0, many = 0] = timesOf()
for (let attempt = 1; attempt < attempts && many > limit * one + 0.05; attempt++) [one = 0, many = 0] = timesOf()
console.log(`a look-up among 64 variants: ×${(many / one).toFixed(1)} of one among 1; ${many.toFixed(3)} ms`)
if (many > limit * one + 0.05) failures.push(`a look-up among 64 variants takes ${many} ms, one among 1 ${one} ms`)

/** 141: the response for one user is looked up and stored as fast among those of 20,000 as among those of 100. */
const keptFor = (users: number) => {
  const storage = InMemoryCacheStorage.make()
  const lookups = Array.from({ length: users }, (_, at) => lookupOf({}, { partition: `user ${at}` }))
  const keep = (lookup: CacheStorage.Lookup) =>
    Effect.flatMap(storage.begin(lookup), (fill) => storage.set(itemOf("of one", lookup), fill))
  Effect.runSync(Effect.forEach(lookups, keep, { discard: true }))
  const again = Effect.forEach(
    lookups.slice(-20),
    (lookup) => Effect.zipRight(storage.get(lookup), keep(lookup)),
    { discard: true }
  )
  return () => Effect.runSync(again)
}
const usersOf = [100, 20_000].map(keptFor)
const userTimes = () => usersOf.map((again) => median(Array.from({ length: runs }, () => timed(again, "", 5))))
let [few = 0, all = 0] = userTimes()
for (let attempt = 1; attempt < attempts && all > limit * few; attempt++) [few = 0, all = 0] = userTimes()
console.log(`one user's response among 20,000: ×${(all / few).toFixed(1)} of among 100; ${all.toFixed(3)} ms for 20`)
if (all > limit * few) failures.push(`20 responses among those of 20,000 users take ${all} ms, among 100 ${few} ms`)

for (const failure of failures) console.error(failure)
const count = Object.keys(parsers).length * Object.keys(inputs).length
const seconds = ((performance.now() - started) / 1000).toFixed(0)
console.log(`${count - failures.length} of ${count} are linear; above, milliseconds for 256 KB. It took ${seconds} s.`)
if (failures.length > 0) process.exitCode = 1
