/** The README's code compiles, and its tables say what the source says. */
import { describe, expect, it } from "@effect/vitest"
import { existsSync, readFileSync } from "node:fs"
import { details } from "../src/protocol/CacheStatus.js"
import { problemsOf, root } from "./compiling.js"

const readme = readFileSync(`${root}README.md`, "utf8")
const blocks = [...readme.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code]) => code!)

/** What a reader takes for granted. */
const prelude = `
import { type HttpApp, HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Context, Effect, Layer, TestClock } from "effect"
import { HttpCache, InMemoryCacheStorage, withCache, withCollect } from "effect-http-cache"
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

describe("README", () => {
  it("has code that compiles", () => {
    const sources = new Map(blocks.map((code, index) => [
      `readme-${index}.ts`,
      /^import /m.test(code) ? code : `${preludeFor(code)}\n${code}`
    ]))
    expect(sources.size).toBeGreaterThan(5)
    expect(problemsOf(sources)).toEqual([])
  }, 60_000)

  it("has a row for each word of detail, and no other", () => {
    const [, section] = /cacheStatus: \{ detail: true \}` it says([\s\S]*?)A typed failure/.exec(readme)!
    const rows = [...section!.matchAll(/^\| `(\S*?)` +\| (.*?) +\|$/gm)].slice(1).map((
      [, word, because]
    ) => [word, because])
    expect(Object.fromEntries(rows)).toEqual(details)
  })

  it("has a row for each option, with the words of the type", () => {
    const source = readFileSync(`${root}src/CachePolicy.ts`, "utf8")
    const [interfaces] = /export interface Options[\s\S]*?\n}\n[\s\S]*?\nexport interface DefaultOptions[\s\S]*?\n}/
      .exec(
        source
      )!
    const options = [...interfaces.matchAll(/^ {2}readonly (\w+)\?:/gm)].map(([, name]) => name)
    const [, section] = /^## Options([\s\S]*?)^## /m.exec(readme)!
    const rows = [...section!.matchAll(/^\| `(\w+)` +\|/gm)].map(([, name]) => name)
    expect(options).toHaveLength(27)
    expect(rows).toEqual(options)
  })

  it("94: has links that lead to what is packed", () => {
    const { files } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as { files: ReadonlyArray<string> }
    const links = [...readme.matchAll(/\]\(([^)]+)\)/g)].map(([, link]) => link!).filter((link) =>
      !link.startsWith("https:")
    )
    expect(links.length).toBeGreaterThan(5)
    expect(links.filter((link) => !existsSync(`${root}${link}`))).toEqual([])
    expect(links.filter((link) => !files.some((file) => link === file || link.startsWith(`${file}/`)))).toEqual([])
  })

  it("has the two commands", () => {
    expect(readme).toContain("npm install && npm start")
    expect(readme).toContain("npm install && npm test")
  })
})
