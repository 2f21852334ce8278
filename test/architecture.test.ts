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

/** What a file imports: paths under `src` for its own, specifiers for others. */
const importsOf = (file: string): ReadonlyArray<string> =>
  [...source(file).matchAll(/(?:from|import)\s+"([^"]+)"/g)].map(([, specifier]) =>
    specifier!.startsWith(".")
      ? posix.join(posix.dirname(file), specifier!).replace(/\.js$/, ".ts")
      : specifier!
  )

/** From the bottom up: a file imports only what is in its own room or in one beneath. */
const rooms: ReadonlyArray<readonly [name: string, includes: (file: string) => boolean]> = [
  ["protocol", (file) => file.startsWith("protocol/")],
  ["items and errors", (file) => file === "CacheItem.ts" || file === "CacheError.ts"],
  ["home", (file) => file.startsWith("home/")],
  ["CacheStorage", (file) => file === "CacheStorage.ts"],
  ["CollectableCacheStorage", (file) => file === "CollectableCacheStorage.ts"],
  ["internal", (file) => file.startsWith("internal/")],
  ["HttpCache", (file) => file === "HttpCache.ts"],
  ["storages", (file) => file === "InMemoryCacheStorage.ts"],
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

  it("a storage imports neither another storage nor the hub", () => {
    const nameOf = (file: string) => rooms[roomOf(file)]?.[0] ?? ""
    const storages = files.filter((file) => nameOf(file) === "storages")
    expect(storages).not.toEqual([])
    for (const file of storages) {
      const rooms = importsOf(file).map(nameOf)
      expect(rooms.filter((name) => ["storages", "internal", "HttpCache"].includes(name))).toEqual([])
    }
  })

  it("the test kit needs no test runner", () => {
    const outside = files.filter((file) => rooms[roomOf(file)]![0] === "testing").flatMap(importsOf).filter((
      other
    ) => !files.includes(other))
    expect(new Set(outside.map((other) => other.split("/")[0])))
      .toEqual(new Set(["effect", "node:assert", "node:util", "structured-headers"]))
  })

  it.each(files)("%s has at most 400 lines", (file) => {
    expect(source(file).split("\n").length).toBeLessThanOrEqual(400)
  })

  it.each(besides)("%s has at most 400 lines", (file) => {
    expect(source(`../${file}`).split("\n").length).toBeLessThanOrEqual(400)
  })

  it("the hub names no field and does no arithmetic on times", () => {
    const code = source("HttpCache.ts").replace(/\/\*\*[\s\S]*?\*\/|\/\/.*/g, "")
    expect(code.match(/"(age|etag|date|vary|cache-control|last-modified|if-[a-z-]+|content-[a-z]+)"/gi)).toBeNull()
    expect(code.match(/[Tt]ime\s*[-+*/]|\/ 1000|\* 1000/g)).toBeNull()
  })
})
