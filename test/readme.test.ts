/** The code in README and guides compiles, their tables say what the source says, and their links lead somewhere. */
import { describe, expect, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { posix } from "node:path"
import { meanings } from "../src/client/modes.js"
import { details } from "../src/protocol/CacheStatus.js"
import { problemsOf, root } from "./compiling.js"

const read = (path: string): string => readFileSync(`${root}${path}`, "utf8")

const documents = [
  "README.md",
  ...readdirSync(`${root}docs`).filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`)
]

const codeOf = (document: string): ReadonlyArray<string> =>
  [...read(document).matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code]) => code!)

/** The rows of the tables whose first column has this heading: their cells, without the backticks of the first. */
const rowsUnder = (document: string, heading: string): ReadonlyArray<ReadonlyArray<string>> => {
  const tables = read(document).split("\n\n").filter((block) => block.startsWith(`| ${heading} `))
  return tables.flatMap((table) =>
    table.trim().split("\n").slice(2).map((row) => {
      const [first, ...others] = row.split(" | ").map((cell) => cell.replace(/^\| | *\|$/g, "").trim())
      return [first!.replace(/^`|`$/g, ""), ...others]
    })
  )
}

/** What a reader takes for granted. */
const prelude = `
import {
  HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiError, HttpApiGroup, HttpApiMiddleware, HttpApiSecurity
} from "@effect/platform"
import { type HttpApp, HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Context, Effect, Layer, Schema, TestClock } from "effect"
import { CachePolicy, HttpApiCache, HttpCache, InMemoryCacheStorage, withCache, withCollect } from "effect-http-cache"
import { expectCacheStatus, Faults, layerFaulty } from "effect-http-cache/testing"
declare const router: HttpRouter.HttpRouter
declare const app: HttpApp.Default
declare const getUser: HttpApp.Default
declare const patchUser: HttpApp.Default
declare const getGreeting: HttpApp.Default
declare const getDashboard: HttpApp.Default
declare const findUser: Effect.Effect<{ readonly version: number } | undefined>
class Session extends Context.Tag("Session")<Session, { readonly userId: string }>() {}
declare const render: Effect.Effect<{ readonly isForm: boolean; readonly expiry: number }>
declare const report: HttpApp.Default
declare const user: Effect.Effect<string>
declare const authenticated: <E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<E, R>
`

/** Names that the block makes itself are not declared for it. */
const preludeFor = (code: string): string =>
  prelude.split("\n").filter((line) => {
    const name = /^declare const (\w+)/.exec(line)?.[1]
    return name === undefined || !new RegExp(`const ${name}\\b`).test(code)
  }).join("\n")

/** The calls of the library that stand in the tables for who comes from another cache. */
const callsOf = (document: string): ReadonlyArray<string> =>
  rowsUnder(document, "theirs").flatMap(([, ours]) => [...ours!.matchAll(/`([^`]+\([^`]*)`/g)].map(([, code]) => code!))

/** Where who searches for a word is led to: it stands in a heading there, or in the README beside the link. */
const searches = [
  ["purge", "README.md"],
  ["tags", "docs/groups.md"],
  ["Redis", "docs/storages.md"],
  ["cluster", "docs/storages.md"],
  ["several processes", "docs/storages.md"],
  ["gzip", "docs/compression.md"],
  ["nginx", "docs/compression.md"],
  ["CORS", "docs/cors.md"],
  ["graceful", "docs/shutdown.md"],
  ["Bun", "docs/effect4.md"],
  ["logout", "docs/browsers.md"],
  ["reload", "docs/browsers.md"],
  ["HttpLayerRouter", "docs/layer-router.md"],
  ["apicache", "docs/coming-from.md"],
  ["Nitro", "docs/coming-from.md"],
  ["ASP.NET", "docs/coming-from.md"],
  ["Varnish", "docs/coming-from.md"]
] as const

describe("README and guides", () => {
  it.each(searches)("lead who searches for \"%s\" to %s", (word, document) => {
    const isHere = (text: string) => text.toLowerCase().includes(word.toLowerCase())
    const headings = read(document).split("\n").filter((line) => line.startsWith("#"))
    const beside = read("README.md").split("\n").filter((line) =>
      document === "README.md" ? line.includes(word) : line.includes(`](${document}`)
    )
    expect([...headings, ...beside].some(isHere)).toBe(true)
  })

  it("have code that compiles", () => {
    const sources = new Map<string, string>(documents.flatMap((document) =>
      codeOf(document).map((code, index) =>
        [
          `${document.replaceAll("/", "-")}-${index}.ts`,
          /^import /m.test(code) ? code : `${preludeFor(code)}\n${code}`
        ] as const
      )
    ))
    const calls = callsOf("docs/coming-from.md")
    expect(calls.length).toBeGreaterThan(40)
    const ofTables = calls.map((call, index) => `export const call${index} = ${call}`)
    sources.set("calls.ts", `${prelude}\n${ofTables.join("\n")}`)
    for (
      const document of [
        "README.md",
        "docs/browsers.md",
        "docs/client.md",
        "docs/compression.md",
        "docs/cors.md",
        "docs/groups.md",
        "docs/http-api.md",
        "docs/layer-router.md",
        "docs/options.md",
        "docs/privacy.md",
        "docs/operations.md",
        "docs/shutdown.md",
        "docs/storage.md"
      ]
    ) {
      expect(codeOf(document).length, document).toBeGreaterThan(0)
    }
    expect(problemsOf(sources)).toEqual([])
  }, 180_000)

  it("have a row for each word of detail, and no other", () => {
    const rows = rowsUnder("docs/cache-status.md", "`detail`")
    expect(rows.map(([word]) => word)).toEqual(Object.keys(details))
    expect(Object.fromEntries(rows)).toEqual(details)
  })

  it("have a row for each reason why the handler ran, and no other", () => {
    const [, union] = /^export type ForwardReason =([\s\S]*?)\n\n/m.exec(read("src/protocol/CacheStatus.ts"))!
    const reasons = [...union!.matchAll(/"([a-z-]+)"/g)].map(([, reason]) => reason!)
    expect(reasons.length).toBeGreaterThan(5)
    expect(rowsUnder("docs/cache-status.md", "`fwd`").map(([word]) => word).sort()).toEqual(reasons.sort())
  })

  it("have a row for each option, in the order of the type", () => {
    const [interfaces] = /export interface Options[\s\S]*?\n}\n[\s\S]*?\nexport interface DefaultOptions[\s\S]*?\n}/
      .exec(
        read("src/CachePolicy.ts")
      )!
    const options = [...interfaces.matchAll(/^ {2}readonly (\w+)\?:/gm)].map(([, name]) => name)
    expect(options).toHaveLength(31)
    expect(rowsUnder("docs/options.md", "option").map(([name]) => name)).toEqual(options)
  })

  it("have a row for each option of a client's cache, and each mode", () => {
    const [options] = /export interface Options[\s\S]*?\n}/.exec(read("src/HttpClientCache.ts"))!
    const names = [...options.matchAll(/^ {2}readonly (\w+)\?:/gm)].map(([, name]) => name)
    expect(names).toHaveLength(4)
    expect(rowsUnder("docs/client.md", "option").map(([name]) => name)).toEqual(names)
    expect(rowsUnder("docs/client.md", "mode").map(([mode]) => JSON.parse(mode!)).sort()).toEqual(
      Object.keys(meanings).sort()
    )
  })

  it("have a row for each limit of the storage in memory", () => {
    const [limits] = /export interface Limits[\s\S]*?\n}/.exec(read("src/InMemoryCacheStorage.ts"))!
    const names = [...limits.matchAll(/^ {2}readonly (\w+)\?:/gm)].map(([, name]) => name)
    expect(names.length).toBeGreaterThan(3)
    expect(rowsUnder("docs/storage.md", "limit").map(([name]) => name)).toEqual(names)
  })

  it("have a row for each metric, and no other", () => {
    const sources = readdirSync(`${root}src`, { recursive: true, encoding: "utf8" }).filter((path) =>
      path.endsWith(".ts")
    )
    const metrics = sources.flatMap((path) => read(`src/${path}`).match(/"effect_http_cache_\w+"/g) ?? [])
    expect(metrics.length).toBeGreaterThan(1)
    expect(rowsUnder("docs/operations.md", "metric").map(([name]) => `"${name}"`).sort()).toEqual(metrics.sort())
  })

  it("94: have links that lead to what is packed", () => {
    const { files } = JSON.parse(read("package.json")) as { files: ReadonlyArray<string> }
    const links = documents.flatMap((document) =>
      [...read(document).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
        .filter(([, link]) => !link!.startsWith("https:"))
        .map(([, link]) => posix.join(posix.dirname(document), link!))
    )
    expect(links.length).toBeGreaterThan(20)
    expect(links.filter((link) => !existsSync(`${root}${link}`))).toEqual([])
    const packed = [...files, "README.md"]
    expect(links.filter((link) => !packed.some((file) => link === file || link.startsWith(`${file}/`)))).toEqual([])
  })

  it("are all found from the README, which has at most 160 lines and the two commands", () => {
    const readme = read("README.md")
    expect(readme.trimEnd().split("\n").length).toBeLessThanOrEqual(160)
    expect(documents.slice(1).filter((document) => !readme.includes(`](${document})`))).toEqual([])
    expect(readme).toContain("npm install && npm start")
    expect(readme).toContain("npm install && npm test")
  })
})

describe("CONTRIBUTING", () => {
  it("names files and commands that there are", () => {
    const contributing = read("CONTRIBUTING.md")
    const { scripts } = JSON.parse(read("package.json")) as { scripts: { readonly [name: string]: string } }
    const commands = [...contributing.matchAll(/npm (?:run )?((?:check:)?[a-z-]+)/g)].map(([, name]) => name!)
      .filter((name) => name !== "install")
    expect(commands.length).toBeGreaterThan(5)
    expect(commands.filter((name) => !(name in scripts))).toEqual([])
    const paths = [...contributing.matchAll(/`((?:\.?[\w-]+\/)+[\w.-]*|[\w-]+\.(?:ts|json|md))`/g)].map(([, path]) =>
      path!
    )
    expect(paths.length).toBeGreaterThan(15)
    expect(paths.filter((path) => !existsSync(`${root}${path}`))).toEqual([])
  })
})
