/** docs/architecture.md says what is so, and a search for a word of the field leads to the file that does it. */
import { describe, expect, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import ts from "typescript"

const root = new URL("../", import.meta.url)
const text = (path: string): string => readFileSync(new URL(path, root), "utf8")
const map = text("docs/architecture.md")
const files = readdirSync(new URL("src/", root), { recursive: true, encoding: "utf8" })
  .map((path) => path.replaceAll("\\", "/")).filter((path) => path.endsWith(".ts"))

/** What stands between a heading and the next one of its rank. */
const section = (heading: string): string => {
  const [, , rest] = map.split(new RegExp(`^(## ${heading})$`, "m"))
  return rest!.split(/^## /m)[0]!
}

/** The cells of the rows of the tables of a section, without their headings. */
const rowsOf = (heading: string): ReadonlyArray<ReadonlyArray<string>> =>
  section(heading).split("\n").filter((line) => line.startsWith("|"))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()))
    .filter((_, index) => index > 1)

const unquoted = (cell: string): string => /^`(.*)`$/.exec(cell)?.[1] ?? `${cell} is not in backquotes`

/** The names that are declared in a file, at whatever depth: functions, constants, classes, their members, types. */
const declaredIn = (file: string): ReadonlySet<string> => {
  const names = new Set<string>()
  const visit = (node: ts.Node): void => {
    const { name } = node as { readonly name?: ts.Node }
    const isDeclaration = ts.isFunctionDeclaration(node) || ts.isVariableDeclaration(node) || ts.isClassLike(node) ||
      ts.isInterfaceDeclaration(node) || ts.isMethodDeclaration(node) || ts.isPropertyDeclaration(node)
    if (isDeclaration && name !== undefined && ts.isIdentifier(name)) names.add(name.text)
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, text(`src/${file}`), ts.ScriptTarget.Latest))
  return names
}

const tables = [
  ["The way of a hit", 15],
  ["The way of a miss", 15],
  ["The way of a `PATCH`", 10],
  ["The way of a refresh", 10],
  ["Where is…", 43],
  ["What holds across files", 13]
] as const

describe("the map", () => {
  it("has a caption of one sentence for each file, and for no other", () => {
    const captions = [...section("The layout").matchAll(/^- `([^`]+)`: (.*)$/gm)].map(([, file, caption]) =>
      [file!, caption!] as const
    )
    expect(captions.map(([file]) => file).sort()).toEqual([...files].sort())
    expect(captions.filter(([, caption]) => !/^[A-Z](?:(?!\. ).)+\.$/.test(caption))).toEqual([])
  })

  it.each(tables)("names under \"%s\" files and functions that exist", (heading, count) => {
    const rows = rowsOf(heading)
    expect(rows).toHaveLength(count)
    const missing = rows.filter(([, file, name]) =>
      !files.includes(unquoted(file!)) || !declaredIn(unquoted(file!)).has(unquoted(name!))
    )
    expect(missing).toEqual([])
  })

  it("has a glossary of at most 30 words, each with a file that exists or with what to do instead", () => {
    const rows = rowsOf("Glossary")
    expect(rows.length).toBeGreaterThan(20)
    expect(rows.length).toBeLessThanOrEqual(30)
    const named = rows.map(([word, says]) => [word, [...says!.matchAll(/`([\w/]+\.ts)`/g)].map(([, file]) => file!)])
    expect(named.flatMap(([, found]) => found).filter((file) => !files.includes(file as string))).toEqual([])
    const idle = rows.filter(([, says], index) => named[index]![1]!.length === 0 && !says!.startsWith("Not done"))
    expect(idle).toEqual([])
  })
})

/** What is searched for, without regard to case, and the file that does it. */
const searches = [
  ["single flight", "runtime/singleFlight.ts"],
  ["coalesc", "runtime/singleFlight.ts"],
  ["collaps", "protocol/Collapsing.ts"],
  ["collaps", "engine/collapse.ts"],
  ["stampede", "runtime/singleFlight.ts"],
  ["thundering", "runtime/singleFlight.ts"],
  ["revalidat", "engine/revalidate.ts"],
  ["revalidat", "protocol/Validation.ts"],
  ["stale-if-error", "protocol/Reuse.ts"],
  ["stale-while-revalidate", "engine/revalidate.ts"],
  ["back-off", "engine/revalidate.ts"],
  ["circuit", "runtime/circuitBreaker.ts"],
  ["only-if-cached", "engine/handle.ts"],
  ["purge", "engine/invalidate.ts"],
  ["evict", "InMemoryCacheStorage.ts"],
  ["heuristic", "protocol/Freshness.ts"],
  ["entity tag", "protocol/EntityTag.ts"],
  ["hit-for-miss", "engine/alike.ts"],
  ["negative caching", "protocol/Storability.ts"],
  ["surrogate", "CollectableCacheStorage.ts"],
  ["conditional request", "protocol/Preconditions.ts"],
  ["\\bAge\\b", "protocol/Freshness.ts"]
] as const

/** Of many files that have a word nobody opens each. */
const maxFound = 16

describe("a search in src", () => {
  it.each(searches)("for \"%s\" leads to %s, among few", (word, file) => {
    const found = files.filter((file) => new RegExp(word, "i").test(text(`src/${file}`)))
    expect(found).toContain(file)
    expect(found.length).toBeLessThanOrEqual(maxFound)
  })

  it.each(searches)("and in the glossary, for \"%s\", has a line", (word) => {
    expect(rowsOf("Glossary").filter((row) => new RegExp(word, "i").test(row.join(" ")))).not.toEqual([])
  })
})
