/** The shape of the source: who may import whom, and how large a file may be, also one of tests or checks. */
import { describe, expect, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { posix } from "node:path"

const root = new URL("../src/", import.meta.url)
const filesOf = (folder: URL, endings: RegExp): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => endings.test(path))
const files = filesOf(root, /\.ts$/)
const besides = ["test", "checks"].flatMap((folder) =>
  filesOf(new URL(`../${folder}/`, root), /\.(ts|sh)$/).map((file) => `${folder}/${file}`)
)

const source = (file: string): string => readFileSync(new URL(file, root), "utf8")

/** What is code, without comments. */
const codeOf = (file: string): string => source(file).replace(/\/\*\*[\s\S]*?\*\/|\/\/.*/g, "")

/** What a file imports: paths under `src` for its own, specifiers for others. */
const importsOf = (file: string): ReadonlyArray<string> =>
  [...codeOf(file).matchAll(/(?:from|import)\s+"([^"]+)"/g)].map(([, specifier]) =>
    specifier!.startsWith(".")
      ? posix.join(posix.dirname(file), specifier!).replace(/\.js$/, ".ts")
      : specifier!
  )

/** From the bottom up: a file imports only what is in its own room or in one beneath. */
const rooms: ReadonlyArray<readonly [name: string, includes: (file: string) => boolean]> = [
  ["protocol", (file) => file.startsWith("protocol/")],
  ["items and errors", (file) => file === "CacheItem.ts" || file === "CacheError.ts"],
  ["runtime", (file) => file.startsWith("runtime/")],
  ["tags", (file) => /^(?:CacheStorage|CollectableCacheStorage|SharedFlights)\.ts$/.test(file)],
  [
    "storages",
    (file) =>
      /^(?:InMemory|Redis|Sql|Tiered)CacheStorage\.ts$|^RedisSharedFlights\.ts$|^(?:redis|sql)\.ts$|^(?:memory|redis|sql|storages)\//
        .test(file)
  ],
  ["policy", (file) => file === "CachePolicy.ts" || file.startsWith("policy/")],
  ["engine", (file) => file.startsWith("engine/")],
  ["client", (file) => file === "HttpClientCache.ts" || file.startsWith("client/")],
  ["server", (file) => file.startsWith("server/")],
  ["node", (file) => /^(?:HttpCacheLane|node)\.ts$/.test(file) || file.startsWith("node/")],
  ["HttpCache", (file) => /^Http(?:Api)?Cache\.ts$/.test(file) || file.startsWith("httpApi/")],
  ["inspector", (file) => /^(?:HttpCacheInspector|cli)\.ts$/.test(file) || file.startsWith("inspector/")],
  ["index", (file) => file === "index.ts"],
  ["testing", (file) => file === "testing.ts" || file.startsWith("testing/")]
]

const roomOf = (file: string): number => rooms.findIndex(([, includes]) => includes(file))

describe("architecture", () => {
  it.each(files)("%s is in a room, and imports only from its own and those beneath", (file) => {
    expect(roomOf(file)).toBeGreaterThanOrEqual(0)
    const above = importsOf(file).filter((other) => files.includes(other) && roomOf(other) > roomOf(file))
    expect(above).toEqual([])
  })

  it.each(files.filter((file) => file.startsWith("protocol/")))(
    "%s imports nothing but a parser from outside",
    (file) => {
      expect(importsOf(file).filter((other) => !other.startsWith("protocol/") && other !== "structured-headers"))
        .toEqual([])
    }
  )

  it("a storage imports no other storage", () => {
    const storages = files.filter((file) => /^\w+CacheStorage\.ts$/.test(file) && !file.startsWith("Collectable"))
    expect(storages).not.toEqual([])
    for (const file of storages) expect(importsOf(file).filter((other) => storages.includes(other))).toEqual([])
  })

  it.each(files.filter((file) => file.startsWith("engine/")))("%s imports no platform and no storage", (file) => {
    const others = importsOf(file).filter((other) =>
      other.startsWith("@effect/") || other.startsWith("memory/") || other === "InMemoryCacheStorage.ts"
    )
    expect(others).toEqual([])
  })

  it("there is no circle of files that run each other's code", () => {
    const runs = (file: string) =>
      [...source(file).matchAll(/^(?:import|export) (?!type\b)[^;]*?from "(\.[^"]+)"/gm)].map(([, specifier]) =>
        posix.join(posix.dirname(file), specifier!).replace(/\.js$/, ".ts")
      )
    const circles: Array<string> = []
    const visit = (file: string, path: ReadonlyArray<string>, done: Set<string>): void => {
      if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(" > "))
      else if (!done.has(file)) {
        for (const next of runs(file)) visit(next, [...path, file], done)
        done.add(file)
      }
    }
    const done = new Set<string>()
    for (const file of files) visit(file, [], done)
    expect(circles).toEqual([])
  })

  it("the test kit needs no test runner", () => {
    const outside = files.filter((file) => rooms[roomOf(file)]![0] === "testing").flatMap(importsOf).filter((
      other
    ) => !files.includes(other))
    expect(new Set(outside.map((other) => other.split("/")[0])))
      .toEqual(new Set(["effect", "node:assert", "node:util", "structured-headers"]))
  })

  it.each(files)("%s has at most 300 lines", (file) => {
    expect(source(file).split("\n").length).toBeLessThanOrEqual(301)
  })

  it.each(besides)("%s has at most 400 lines", (file) => {
    expect(source(`../${file}`).split("\n").length).toBeLessThanOrEqual(400)
  })

  it.each(files.filter((file) => /^(?:engine|runtime)\/|^HttpCache/.test(file)))(
    "%s names no field and does no arithmetic on times",
    (file) => {
      const names =
        /"(age|etag|date|vary|range|cache-control|cache-status|last-modified|if-[a-z-]+|content-[a-z]+|set-cookie)"/gi
      expect(codeOf(file).match(names)).toBeNull()
      if (file.startsWith("engine/")) expect(codeOf(file).match(/ \/ 1000| \* 1000/g)).toBeNull()
    }
  )

  it("the hub can be held in the head: one function of at most 45 lines, which answers with response and outcome", () => {
    const [whole] = /export const handle = [\s\S]*?\n {2}\}\)\n/.exec(source("engine/handle.ts"))!
    expect(whole.split("\n").length).toBeLessThanOrEqual(46)
    expect(whole).toContain("Effect.Effect<Served<Res>, E, R>")
    expect(source("engine/report.ts")).toMatch(
      /interface Served<Res> \{\s*readonly response: Res[\s\S]*?readonly outcome:/
    )
  })
})
